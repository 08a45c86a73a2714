//! `eavesdrop` and `userspy` at a supervisor's phone: who hears whom, by which key or variable, and who is refused, in words.

mod document;
mod everybody;
mod refused;
mod user;
mod variables;

use std::time::Duration;

use tokio::time::{Instant, interval};
use wirechief::control::protocol::{Dtmf, KeysWay, method};

use crate::harness::{Call, PATIENCE, Phone, TestPbx, Tone, Unusual, calmly, only};
use crate::spy::Scene;
use crate::verbs::{ask, leg_of};

/// `spyUUID` hears that leg's call, then tells how it ended.
const SPY: &str = "exten => bob,1,Dial(SIP/bob,10)
exten => _spy.,1,eavesdrop(${EXTEN:3})
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})";

/// Carol may do everything.
fn may_barge() -> Unusual {
    Unusual { user_keys: vec![("carol", "may_spy = \"barge\"")], ..Unusual::default() }
}

/// Carol's phone dials, and speaks.
async fn dials(pbx: &TestPbx, number: &str) -> (Phone, Call) {
    let phone = pbx.phone("carol").await;
    let call = supervises(&phone, number).await;
    (phone, call)
}

/// A supervisor's phone dials, and speaks.
async fn supervises(phone: &Phone, number: &str) -> Call {
    let mut call = phone.invite(number).await;
    call.expects([200]).await.ack().await.says(Tone::Supervisor).await;
    call
}

/// How the applications that are over have ended, once there are so many.
async fn results(pbx: &TestPbx, count: usize) -> Vec<String> {
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
    loop {
        beat.tick().await;
        let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
        let over = events.iter().filter(|event| event.kind == "user" && event.fields["name"] == "over");
        let results: Vec<_> = over.map(|event| event.fields["fields"]["result"].as_str().unwrap().to_owned()).collect();
        if results.len() >= count {
            return results;
        }
        assert!(Instant::now() < end, "{results:?}");
    }
}

/// Which of customer and agent hears the supervisor.
const NOBODY: [bool; 2] = [false, false];
const CUSTOMER: [bool; 2] = [true, false];
const AGENT: [bool; 2] = [false, true];
const EVERYBODY: [bool; 2] = [true, true];

#[tokio::test]
async fn s001_s031_to_s040_keys_say_who_hears_the_supervisor_however_they_come_and_star_ends() {
    calmly(async || {
        let mut scene = Scene::on(SPY, may_barge()).await;
        let uuids = scene.uuids.clone();
        for (uuid, own, other) in [(&uuids[0], CUSTOMER, AGENT), (&uuids[1], AGENT, CUSTOMER)] {
            let (_phone, mut carol) = dials(&scene.pbx, &format!("spy{}", uuid.to_uppercase())).await;
            carol.hears(Tone::A + Tone::B).await;
            scene.hears(NOBODY).await;
            for (key, hearers) in
                [('2', own), ('1', other), ('7', other), ('3', EVERYBODY), ('#', EVERYBODY), ('0', NOBODY)]
            {
                carol.presses(&key.to_string()).await;
                scene.hears(hearers).await;
                carol.hears(Tone::A + Tone::B).await;
            }
            for (key, hearers) in [('1', other), ('3', EVERYBODY), ('2', own)] {
                carol.informs(key).await;
                scene.hears(hearers).await;
            }
            let leg = leg_of(&scene.pbx, "carol").await;
            for (key, hearers) in [("0", NOBODY), ("w2@60", own)] {
                let keys = Dtmf { uuid: leg.clone(), digits: key.to_owned(), way: KeysWay::Received };
                ask(&scene.pbx, method::DTMF, &keys).await;
                scene.hears(hearers).await;
            }
            carol.presses("*").await.is_hung_up().await;
            scene.hears(NOBODY).await;
            scene.agent.hears_digits("").await;
            scene.customer.hears_digits("").await;
        }
        assert_eq!(results(&scene.pbx, 2).await, ["left", "left"]);
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn s040_keys_that_are_heard_as_tones_command_like_any_other_and_reach_nobody() {
    calmly(async || {
        let mut scene = Scene::on(SPY, may_barge()).await;
        let (_phone, mut carol) = dials(&scene.pbx, &format!("spy{}", scene.uuids[1])).await;
        carol.hears(Tone::A + Tone::B).await;
        for (key, hearers) in [('1', CUSTOMER), ('3', EVERYBODY), ('2', AGENT)] {
            carol.sounds(key).await;
            scene.hears(NOBODY).await;
            carol.says(Tone::Supervisor).await;
            scene.hears(hearers).await;
        }
        carol.sounds('*').await.is_hung_up().await;
        scene.hears(NOBODY).await;
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn the_supervisor_leaves_with_the_call() {
    calmly(async || {
        let mut scene = Scene::on(SPY, may_barge()).await;
        let (_phone, mut carol) = dials(&scene.pbx, &format!("spy{}", scene.uuids[1])).await;
        carol.hears(Tone::A + Tone::B).await;
        scene.agent.hangs_up().await;
        carol.is_hung_up().await;
        assert_eq!(results(&scene.pbx, 1).await, ["ended"]);
        scene.customer.is_hung_up().await;
        scene.pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn s042_s044_queued_keys_command_the_session_that_comes() {
    calmly(async || {
        let plan = "exten => bob,1,Dial(SIP/bob,10)
exten => _[12]spy.,1,answer()
 same => n,set(eavesdrop_enable_dtmf=true)
 same => n,queue_dtmf(w${EXTEN:0:1}@500)
 same => n,eavesdrop(${EXTEN:4})";
        let mut scene = Scene::on(plan, may_barge()).await;
        for (key, hearers) in [("1", AGENT), ("2", CUSTOMER)] {
            let number = format!("{key}spy{}", scene.uuids[0]);
            let (_phone, mut carol) = dials(&scene.pbx, &number).await;
            scene.hears(hearers).await;
            carol.hears(Tone::A + Tone::B).await.hangs_up().await;
            scene.hears(NOBODY).await;
        }
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn a_supervisor_of_one_party_alone_hears_it() {
    calmly(async || {
        let plan = format!("{SPY}\nexten => echo,1,Answer()\n same => n,WaitExten(60)");
        let pbx = TestPbx::unusual(&plan, may_barge()).await;
        let alice = pbx.phone("alice").await;
        let mut waiting = alice.invite("echo").await;
        waiting.expects([200]).await.ack().await.says(Tone::A).await;
        let (_phone, mut carol) = dials(&pbx, &format!("spy{}", leg_of(&pbx, "alice").await)).await;
        carol.hears(only(Tone::A)).await.presses("2").await;
        waiting.hears(only(Tone::Supervisor)).await;
        carol.presses("1").await;
        waiting.hears(only(Tone::Supervisor)).await;
    })
    .await;
}
