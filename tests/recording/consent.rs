//! Consent: who is told and asked, alone and once, when he joins later too; what he says is a fact, and without his word nothing of
//! him is kept.

use serde_json::{Value, json};
use tempfile::TempDir;
use wirechief::control::protocol::{Moves, Transfer, method};
use wirechief::outbox::manifest::{Consent, Side};
use wirechief::outbox::{Manifest, Outbox, State};

use super::{finished, has_begun, only_one, talks};
use crate::call::{DIAL_BOB, both_answer, hear_each_other, talk};
use crate::harness::{Call, PATIENCE, TestPbx, Tone, Unusual, calmly, nothing, only};
use crate::verbs::{ask, leg_of};

/// A server whose announcement `told` is tone D, so many tenths of a second of it.
pub(super) async fn telling(plan: &str, tenths: u64, recording: &str) -> (TestPbx, TempDir) {
    telling_users(plan, tenths, (recording, &[])).await
}

/// The same, with these words of users.
pub(super) async fn telling_users(
    plan: &str,
    tenths: u64,
    (recording, keys): (&str, &[(&'static str, &'static str)]),
) -> (TestPbx, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(folder.path().join("told.wav"), spec).expect("a sound");
    (0..tenths * 800).for_each(|at| wav.write_sample(Tone::D.sample(at)).expect("a sample"));
    wav.finalize().expect("a sound");
    let sounds = folder.path().display();
    let settings = format!("[dialplan]\nsounds = \"{sounds}\"\n[recording]\nannounce = \"told\"\n{recording}\n");
    (TestPbx::unusual(plan, Unusual { settings, user_keys: keys.to_vec(), ..Unusual::default() }).await, folder)
}

/// Where, and what was answered by which key.
pub(super) fn answers(manifest: &Manifest) -> Vec<(Option<Side>, Value, Value)> {
    let of = |consent: &Consent, name| consent.extra.get(name).cloned().unwrap_or_default();
    manifest.consent.iter().map(|one| (one.to, of(one, "answer"), of(one, "key"))).collect()
}

/// What is kept of recordings that have no sound.
fn refused(pbx: &TestPbx, call: &str) -> Manifest {
    let outbox = Outbox::open(&pbx.spool()).expect("an outbox");
    let ids = outbox.find(call).expect("the queue");
    assert_eq!(ids.len(), 1, "asked once");
    let manifest = outbox.get(ids[0]).expect("the queue").expect("a row");
    assert_eq!(manifest.state, State::Gone);
    let left = outbox.spool().names().expect("names");
    assert!(!left.iter().any(|name| name.ends_with(".wav") || name.ends_with(".json")), "{left:?}");
    manifest
}

async fn end(pbx: &TestPbx, calling: &mut Call, called: &mut Call) {
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
    pbx.records(1).await;
}

#[tokio::test]
async fn nothing_is_recorded_until_both_have_pressed_the_key_and_who_pressed_which_is_a_fact() {
    calmly(async || {
        let (pbx, _sounds) = telling(DIAL_BOB, 2, "record = \"always\"\nconsent = \"key\"\nagree_key = \"#\"").await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        calling.hears(only(Tone::D)).await;
        hear_each_other(&mut calling, &mut called).await;
        calling.presses("#").await;
        talks(&calling, 3).await;
        assert!(!pbx.calls().await[0].recorded, "bob has not agreed");
        called.says(Tone::C).await.presses("#").await;
        calling.hears(only(Tone::C)).await;
        has_begun(&pbx).await;
        talks(&calling, 10).await;
        let legs = [leg_of(&pbx, "alice").await, leg_of(&pbx, "bob").await];
        end(&pbx, &mut calling, &mut called).await;
        let (manifest, tape) = only_one(&pbx);
        let agreed = |side| (Some(side), json!("agreed"), json!("#"));
        assert_eq!(answers(&manifest), [agreed(Side::Left), agreed(Side::Right)]);
        let told: Vec<_> = manifest.consent.iter().map(|one| &one.extra["leg"]).collect();
        assert_eq!(told, [&json!(legs[0]), &json!(legs[1])]);
        assert!(manifest.consent.iter().all(|one| one.announcement == "told" && one.at <= manifest.started));
        assert!(tape.has(0, &only(Tone::A)) >= 5 && tape.has(1, &only(Tone::C)) >= 5);
        assert_eq!(tape.has(1, &only(Tone::B)), 0, "what bob said before he agreed");
    })
    .await;
}

#[tokio::test]
async fn of_a_call_that_somebody_refuses_to_have_recorded_no_sound_is_kept_but_that_he_did() {
    calmly(async || {
        let (pbx, _sounds) =
            telling(DIAL_BOB, 2, "record = \"always\"\nconsent = \"key\"\nannounce_to = \"both\"").await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        let uuid = pbx.calls().await[0].uuid.clone();
        calling.presses("1").await;
        called.presses("2").await;
        pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
        hear_each_other(&mut calling, &mut called).await;
        end(&pbx, &mut calling, &mut called).await;
        let manifest = refused(&pbx, &uuid);
        assert!(answers(&manifest).contains(&(Some(Side::Right), json!("refused"), json!("2"))), "{manifest:?}");
        assert_eq!(manifest.audio.frames, 0);
        assert!(pbx.records(1).await[0].get("recorded").is_none());
        let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
        let told = events.iter().find(|event| event.kind == "recording.refused").expect("an event");
        assert_eq!((&told.fields["uuid"], &told.fields["key"]), (&json!(uuid), &json!("2")));
    })
    .await;
}

#[tokio::test]
async fn who_says_nothing_has_refused_and_the_call_ends_where_the_settings_say_so() {
    calmly(async || {
        let settings = "record = \"always\"\nconsent = \"key\"\nconsent_time = \"1s\"\nwithout_consent = \"end\"";
        let (pbx, _sounds) = telling("exten => echo,1,Answer()\n same => n,Echo()", 1, settings).await;
        let mut call = pbx.phone("alice").await.invite("echo").await;
        call.expects([200]).await.ack().await;
        let uuid = pbx.calls().await[0].uuid.clone();
        call.is_hung_up().await;
        pbx.is_idle().await;
        pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
        assert_eq!(answers(&refused(&pbx, &uuid)), [(Some(Side::Left), json!("no answer"), Value::Null)]);
    })
    .await;
}

#[tokio::test]
async fn who_is_dialled_or_transferred_into_a_recorded_call_hears_the_announcement_alone_and_is_told_once() {
    calmly(async || {
    let plan = "exten => 1,1,Answer()\n same => n,MixMonitor(a.wav)\n same => n,Wait(0.5)\n same => n,Dial(SIP/bob,10,gF(2,1))\n\
                exten => 2,1,Dial(SIP/carol,10)";
    let (pbx, _sounds) = telling(plan, 3, "").await;
    let (alice, mut bob, mut carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let mut calling = alice.invite("1").await;
    calling.expects([200]).await.ack().await.hears(only(Tone::D)).await.says(Tone::A).await;
    for phone in [&mut bob, &mut carol] {
        let mut called = phone.is_called().await;
        called.answers().await.hears(Tone::A + Tone::D).await.says(Tone::B).await;
        calling.hears(only(Tone::B)).await;
        called.hears(only(Tone::A)).await;
        let alices = leg_of(&pbx, "alice").await;
        let to = Transfer { uuid: alices, extension: "2".into(), context: None, moves: Moves::This };
        match phone.station.profile.user.as_str() {
            "bob" => drop(ask(&pbx, method::TRANSFER, &to).await),
            _ => drop(calling.hangs_up().await),
        }
        called.is_hung_up().await;
    }
    pbx.is_idle().await;
    pbx.records(1).await;
    let (manifest, _) = only_one(&pbx);
    let told: Vec<_> = manifest.consent.iter().map(|one| (one.to, one.at > manifest.started)).collect();
    assert_eq!(told, [(Some(Side::Left), false), (Some(Side::Right), true), (Some(Side::Right), true)]);
    assert!(manifest.consent.iter().all(|one| one.extra["to_its_end"] == true), "{:?}", manifest.consent);
    })
    .await;
}

#[tokio::test]
async fn where_who_joins_later_refuses_what_was_before_is_kept_and_nothing_of_him() {
    calmly(async || {
        let plan =
            "exten => 1,1,Answer()\n same => n,MixMonitor(a.wav)\n same => n,Echo()\n same => n,Dial(SIP/bob,10)";
        let (pbx, _sounds) = telling(plan, 1, "consent = \"key\"").await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut calling = alice.invite("1").await;
        calling.expects([200]).await.ack().await.presses("1").await;
        has_begun(&pbx).await;
        calling.says(Tone::A).await.hears(only(Tone::A)).await;
        talks(&calling, 8).await;
        calling.presses("#").await;
        let mut called = bob.is_called().await;
        called.answers().await;
        hear_each_other(&mut calling, &mut called).await;
        talks(&calling, 3).await;
        called.presses("3").await;
        pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
        called.hears(only(Tone::A)).await;
        end(&pbx, &mut calling, &mut called).await;
        let (manifest, tape) = only_one(&pbx);
        let wanted =
            [(Some(Side::Left), json!("agreed"), json!("1")), (Some(Side::Right), json!("refused"), json!("3"))];
        assert_eq!(answers(&manifest), wanted);
        assert!(tape.has(0, &only(Tone::A)) >= 5);
        assert_eq!(tape.has(1, &only(Tone::B)), 0, "bob has not agreed");
    })
    .await;
}

#[tokio::test]
async fn each_who_enters_a_recorded_room_hears_the_announcement_alone() {
    calmly(async || {
        let (pbx, _sounds) = telling("exten => 8000,1,ConfBridge(8000)", 5, "rooms = [\"8000\"]").await;
        let (alice, bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut first = alice.invite("8000").await;
        first.expects([200]).await.ack().await.hears(only(Tone::D)).await.says(Tone::A).await;
        has_begun(&pbx).await;
        first.hears(nothing()).await;
        let mut second = bob.invite("8000").await;
        second.expects([200]).await.ack().await.hears(Tone::A + Tone::D).await.says(Tone::B).await;
        first.hears(only(Tone::B)).await;
        second.hears(only(Tone::A)).await;
        first.hangs_up().await;
        second.hangs_up().await;
        pbx.is_idle().await;
        pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
        let (manifest, tape) = only_one(&pbx);
        let legs: Vec<_> = manifest.consent.iter().map(|one| one.extra["leg"].clone()).collect();
        let parties: Vec<_> = manifest.parties.iter().map(|party| json!(party.uuid)).collect();
        assert_eq!((legs.len(), legs), (2, parties));
        assert_eq!(tape.has(0, &only(Tone::D)) + tape.has(0, &(Tone::A + Tone::D)), 0, "it is not recorded");
    })
    .await;
}

#[tokio::test]
async fn a_supervisor_who_takes_part_is_told_alone_and_not_asked() {
    calmly(async || {
        let plan = "exten => bob,1,MixMonitor(a.wav)\n same => n,Dial(SIP/bob,10)\nexten => 9,1,ChanSpy(SIP/alice,qB)";
        let folder = "[users.dave2]\npassword = \"correct-horse-dave2\"\ncontext = \"internal\"\nmay_spy = \"barge\"";
        let (pbx, _sounds) = telling(plan, 5, folder).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut calling = alice.invite("bob").await;
        let mut called = bob.is_called().await;
        both_answer(&mut calling, &mut called).await;
        has_begun(&pbx).await;
        hear_each_other(&mut calling, &mut called).await;
        let dave = pbx.phone("dave2").await;
        let mut spying = dave.invite("9").await;
        spying.expects([200]).await.ack().await.hears(vec![Tone::A, Tone::B, Tone::D]).await;
        called.hears(only(Tone::A)).await;
        spying.hears(Tone::A + Tone::B).await;
        spying.hangs_up().await;
        end(&pbx, &mut calling, &mut called).await;
        let (manifest, _) = only_one(&pbx);
        assert_eq!(manifest.consent[2].to, Some(Side::Whisper), "{:?}", manifest.consent);
    })
    .await;
}

#[tokio::test]
async fn a_supervisor_who_was_told_is_asked_when_he_comes_to_be_a_party() {
    calmly(async || {
        let plan =
            "exten => bob,1,Dial(SIP/bob,10)\nexten => 9,1,ChanSpy(SIP/alice,qBE)\n same => n,Dial(SIP/carol,10)";
        let dave = "[users.dave2]\npassword = \"correct-horse-dave2\"\ncontext = \"internal\"\nmay_spy = \"barge\"";
        let keys = [("alice", "record = \"always\""), ("carol", "record = \"always\"")];
        let (pbx, _sounds) = telling_users(plan, 5, (&format!("consent = \"key\"\n{dave}"), &keys)).await;
        let (alice, mut bob, mut carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        calling.hears(only(Tone::D)).await.presses("1").await;
        called.presses("1").await;
        has_begun(&pbx).await;
        hear_each_other(&mut calling, &mut called).await;
        let mut coming = pbx.phone("dave2").await.invite("9").await;
        coming.expects([200]).await.ack().await.hears(vec![Tone::A, Tone::B, Tone::D]).await;
        coming.hears(Tone::A + Tone::B).await.says(Tone::C).await;
        calling.hangs_up().await;
        called.is_hung_up().await;
        let mut other = carol.is_called().await;
        other.answers().await;
        tokio::join!(other.hears(Tone::C + Tone::D), coming.hears(only(Tone::D)));
        other.presses("1").await;
        coming.presses("1").await;
        has_begun(&pbx).await;
        talks(&coming, 3).await;
        coming.hangs_up().await;
        other.is_hung_up().await;
        pbx.is_idle().await;
        pbx.records(2).await;
        let recorded = finished(&pbx);
        let of_whom = |user: &str| recorded.iter().map(|(one, _)| one).find(|one| one.users().any(|name| name == user));
        let told = &of_whom("alice").expect("alice's").consent;
        assert!(told.iter().any(|one| one.to == Some(Side::Whisper)), "{told:?}");
        let agreed = |side| (Some(side), json!("agreed"), json!("1"));
        assert_eq!(answers(of_whom("carol").expect("carol's")), [agreed(Side::Left), agreed(Side::Right)]);
    })
    .await;
}
