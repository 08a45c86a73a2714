//! Applications of the dialplan as a phone meets them.

use crate::call::{both_answer, hear_each_other, talk};
use crate::harness::{PATIENCE, TestPbx, Tone, free_address, only};

#[tokio::test]
async fn echo_gives_back_what_is_said_until_hash() {
    let pbx = TestPbx::with("exten => 100,1,Answer()\n same => n,Echo()\n same => n,Hangup()").await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.says(Tone::A).await.hears(only(Tone::A)).await;
    alice.presses("#").await;
    alice.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn a_prompt_is_played_to_its_end_and_the_plan_goes_on() {
    let pbx = TestPbx::with("exten => 100,1,Answer()\n same => n,Playback(beep)\n same => n,Hangup()").await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.is_hung_up().await;
    assert!(alice.dialog.media.loudest() > 1_000, "the beep was heard");
}

#[tokio::test]
async fn a_tone_of_the_plan_is_the_tone_that_is_heard() {
    let plan = "exten => 100,1,Answer()\n same => n,Playtones(650)\n same => n,Wait(30)\n";
    let pbx = TestPbx::with(plan).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.dialog.media.receives("alice", 25).await;
    let strengths = alice.dialog.media.strengths();
    let b = strengths.iter().find(|(tone, _)| *tone == Tone::B).map_or(0.0, |(_, strength)| *strength);
    assert!(strengths.iter().all(|(tone, strength)| *tone == Tone::B || strength * 20.0 < b), "{strengths:?}");
    alice.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn busy_congestion_and_hangup_refuse_with_their_cause() {
    let plan = "exten => busy,1,Busy(5)\nexten => full,1,Congestion(5)\nexten => gone,1,Hangup(1)\nexten => ring,1,Ringing()\n same => n,Wait(1)\n same => n,Hangup(17)";
    let pbx = TestPbx::with(plan).await;
    let alice = pbx.phone("alice").await;
    for (number, status) in [("busy", 486), ("full", 503), ("gone", 404), ("ring", 486)] {
        let mut call = alice.invite(number).await;
        if number == "ring" {
            call.expects([180]).await;
        }
        call.is_refused(&[status]).await;
    }
    pbx.is_idle().await;
}

#[tokio::test]
async fn goto_and_gotoif_lead_where_they_say() {
    let plan = "exten => 100,1,Set(WAY=left)\n same => n,Goto(200,1)\nexten => 200,1,GotoIf($[\"${WAY}\" = \"left\"]?left:right)\n same => n(right),Busy()\n same => n(left),NoOp(here)\n same => n,Goto(300,go)\nexten => 300,1,Busy()\n same => n(go),Answer()\n same => n,Echo()";
    let pbx = TestPbx::with(plan).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.says(Tone::A).await.hears(only(Tone::A)).await.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn with_g_the_caller_goes_on_after_the_callee_left() {
    let pbx = TestPbx::with("exten => bob,1,Dial(SIP/bob,10,g)\n same => n,Echo()").await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut alice, mut bob) = talk(&alice, &mut bob, "bob").await;
    hear_each_other(&mut alice, &mut bob).await;
    bob.hangs_up().await;
    alice.hears(only(Tone::A)).await.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn digits_for_the_callee_are_pressed_after_the_answer_and_the_caller_hears_none() {
    let pbx = TestPbx::with("exten => bob,1,Dial(SIP/bob,10,D(w12#))").await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut alice = alice.invite("bob").await;
    let mut bob = bob.is_called().await;
    both_answer(&mut alice, &mut bob).await;
    bob.hears_digits("12#").await;
    hear_each_other(&mut alice, &mut bob).await;
    alice.hears_digits("").await;
}

#[tokio::test]
async fn a_loop_of_calls_ends_by_itself() {
    // the plan names the server's own address, so that is chosen first
    let address = free_address();
    let plan = "exten => loop,1,Dial(SIP/loop@HERE,8)";
    let pbx = TestPbx::bound_to(address, &plan.replace("HERE", &address.to_string())).await;
    let guest = pbx.phone("guest").await;
    let mut looped = guest.invite_uri(&format!("sip:loop@{address}"), &[("Max-Forwards", "8")]).await;
    looped.is_refused(&[483]).await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn a_detail_record_tells_who_when_and_why() {
    let pbx = TestPbx::with("exten => bob,1,Dial(SIP/bob,10)\nexten => busy,1,Busy()").await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    hear_each_other(&mut calling, &mut called).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    let answered = &pbx.records(1).await[0];
    assert_eq!(answered["disposition"], "ANSWERED");
    assert_eq!((&answered["to"], &answered["cause"]), (&"bob".into(), &16.into()));
    assert!(answered["billable_s"].as_f64().is_some_and(|seconds| seconds > 0.0));
    let legs = answered["legs"].as_array().expect("legs");
    assert_eq!(legs.len(), 2);
    assert!(legs.iter().all(|leg| leg["packets_in"].as_u64() > Some(0)), "{legs:?}");
    alice.invite("busy").await.is_refused(&[486]).await;
    let busy = &pbx.records(2).await[1];
    assert_eq!((&busy["disposition"], &busy["cause"]), (&"BUSY".into(), &17.into()));
    assert_ne!(busy["uuid"], answered["uuid"]);
}

#[tokio::test]
async fn everything_is_given_back_after_the_calls() {
    let pbx = TestPbx::with("exten => bob,1,Dial(SIP/bob,10)\nexten => busy,1,Busy()").await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    for _ in 0..5 {
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        called.hangs_up().await;
        calling.is_hung_up().await;
        alice.invite("busy").await.is_refused(&[486]).await;
        let mut calling = alice.invite("bob").await;
        let mut called = bob.is_called().await;
        calling.cancels().await;
        called.is_cancelled().await;
    }
    // a transaction over UDP is remembered for 64·T1 = 32 s, a port until it is drained
    let nothing_left = |now: &wirechief::control::protocol::Status| {
        (now.calls, now.legs, now.ports, now.transactions, now.dialogs) == (0, 0, 0, 0, 0)
    };
    pbx.shows("nothing left", 2 * PATIENCE, nothing_left).await;
}

#[tokio::test]
async fn tryexec_says_what_came_of_an_application_that_there_may_not_be() {
    let tried = ["Set(X=1)", "Voicemail(1)", "Nope()", "${NONE}()"];
    let lines =
        tried.map(|call| format!(" same => n,TryExec({call})\n same => n,UserEvent(v,text:${{TRYSTATUS}}${{X}})\n"));
    let pbx = TestPbx::with(&format!("exten => 100,1,Answer()\n{}", lines.concat())).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await.is_hung_up().await;
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let told = events.iter().filter(|event| event.kind == "user");
    let told: Vec<_> = told.map(|event| event.fields["fields"]["text"].as_str().unwrap_or_default()).collect();
    assert_eq!(told, ["SUCCESS1", "NOAPP1", "NOAPP1", "NOAPP1"]);
}
