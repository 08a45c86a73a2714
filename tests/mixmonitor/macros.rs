//! The macro `record-enable` that is built in, as document [002] uses it, and calls through DISA.

use tokio::sync::mpsc::channel;

use super::{bob_hangs_up, both, conversation, holds, manifest, names, reaches, says, spool, tell, told, until};
use crate::call::hear_each_other;
use crate::harness::{TestPbx, Tone, calmly, only};

#[tokio::test]
async fn s104_s106_s107_s109_s111_s112_the_macro_names_the_call_and_its_recording_is_complete_behind_dial() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Macro(record-enable,000, OUT)\n same => n,Dial(SIP/bob,,g)\n same => n,{}\n same => n,Wait(60)\n",
        tell("${CALLFILENAME}|${DIALSTATUS}|${EXTEN}"),
    );
    let pbx = TestPbx::with(&plan).await;
    let (to, mut lines) = channel(1_000);
    pbx.pbx.exchange().traces.wait_for("1".to_owned(), to);
    let (mut calling, mut called) = conversation(&pbx, "1").await;
    let before = names(&spool(&pbx));
    let path = spool(&pbx).join(&before[0]);
    assert_eq!(manifest(&path)["state"], "open");
    called.hangs_up().await;
    reaches(&mut lines, "UserEvent(").await;
    let manifest = manifest(&path);
    assert_eq!(manifest["state"], "finished", "S112");
    assert!(manifest["audio"]["sha256"].as_str().is_some_and(|hash| hash.len() == 64), "{manifest}");
    assert!(holds(&path, &both()));
    reaches(&mut lines, "Wait(").await;
    let uuid = &pbx.calls().await[0].uuid;
    let name = path.file_stem().expect("a name").to_string_lossy();
    assert!(name.starts_with("OUT000-2") && name.ends_with(uuid.as_str()), "{name}");
    assert_eq!(told(&pbx), [format!("{name}|ANSWER|1")]);
    calling.hangs_up().await;
    pbx.is_idle().await;
    assert_eq!(names(&spool(&pbx)), before, "one recording");
    })
    .await;
}

#[tokio::test]
async fn s112_a_call_that_a_limit_or_a_key_ends_is_complete_behind_dial_too() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Macro(record-enable,000,OUT)\n same => n,Dial(SIP/bob,,gH)\n same => n,{}\n same => n,Hangup()\n",
        tell("over"),
    );
    let pbx = TestPbx::with(&plan).await;
    let (to, mut lines) = channel(1_000);
    pbx.pbx.exchange().traces.wait_for("1".to_owned(), to);
    let (mut calling, mut called) = conversation(&pbx, "1").await;
    let path = spool(&pbx).join(&names(&spool(&pbx))[0]);
    calling.presses("*").await;
    reaches(&mut lines, "UserEvent(").await;
    assert_eq!(manifest(&path)["state"], "finished");
    called.is_hung_up().await;
    calling.is_hung_up().await;
    pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn s105_an_outer_macro_hands_over_its_extension_and_the_method() {
    calmly(async || {
        let plan = format!(
            "exten => 1,1,Set(RecordMethod=IN)\n same => n,Macro(stdexten)\n same => n,Dial(SIP/bob)\n\
         [macro-stdexten]\nexten => s,1,Macro(record-enable,${{MACRO_EXTEN}},${{RecordMethod}})\n same => n,{}\n",
            tell("${CALLFILENAME}")
        );
        let pbx = TestPbx::with(&plan).await;
        let (mut calling, mut called) = conversation(&pbx, "1").await;
        bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
        let name = told(&pbx).remove(0);
        assert!(name.starts_with('2'), "as FreePBX names what comes in: {name}");
        assert_eq!(names(&spool(&pbx)), [format!("{name}.wav")]);
    })
    .await;
}

#[tokio::test]
async fn a_dialplans_own_record_enable_is_the_one_that_runs() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Macro(record-enable,000,OUT)\n same => n,Dial(SIP/bob)\n[macro-record-enable]\nexten => s,1,{}\n",
        tell("own ${ARG1}")
    );
    let pbx = TestPbx::with(&plan).await;
    let (mut calling, mut called) = conversation(&pbx, "1").await;
    bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
    assert_eq!(told(&pbx), ["own 000"]);
    assert_eq!(names(&spool(&pbx)), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn s097_a_call_made_through_disa_is_recorded() {
    calmly(async || {
    let plan = "exten => 1,1,DISA(no-password,outbound,,,u)\n[outbound]\nexten => _2XX,1,Gosub(sub-record-enable,s,1(${EXTEN},OUT))\n \
                same => n,Dial(SIP/bob)\n";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("1").await;
    calling.expects([200]).await.ack().await.presses("200").await;
    let mut called = bob.is_called().await;
    called.answers().await;
    hear_each_other(&mut calling, &mut called).await;
    bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
    let all = names(&spool(&pbx));
    assert!(matches!(all.as_slice(), [name] if name.starts_with("OUT200-")), "{all:?}");
    assert!(holds(&spool(&pbx).join(&all[0]), &both()));
    })
    .await;
}

#[tokio::test]
async fn s103_answer_answers_before_recording_and_dialling() {
    calmly(async || {
        let numbered = "exten => _*123.,1,Answer()\nexten => _*123.,2,Macro(record-enable,000, OUT)\n\
                    exten => _*123.,3,Dial(SIP/bob,,g)\n";
        let pbx = TestPbx::with(numbered).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut calling = alice.invite("*1234178575309").await;
        // The very first answer: nothing rings before.
        calling.expects([200]).await.ack().await.says(Tone::A).await;
        let mut called = bob.is_called().await;
        called.rings().await;
        until("a recording", || !names(&spool(&pbx)).is_empty()).await;
        let path = spool(&pbx).join(&names(&spool(&pbx))[0]);
        until("what the caller says while the third party is still ringing", || says(&path, &only(Tone::A))).await;
        let recorded = manifest(&path);
        assert_eq!((&recorded["state"], recorded["answered"].is_string()), (&"open".into(), true), "{recorded}");
        called.answers().await;
        hear_each_other(&mut calling, &mut called).await;
        bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
        assert!(holds(&path, &both()));
    })
    .await;
}
