//! A party held by order: it hears music, the other does not hear it, supervisors do, and nobody else's hold is undone.

use tokio::time::Instant;
use wirechief::call::device::DeviceState;
use wirechief::control::protocol::{CallState, FaultCode, Hold, Mode, Moves, Party, Transfer, method};

use super::{ask, leg_of, refusal};
use crate::call::DIAL_BOB;
use crate::harness::{Call, PATIENCE, TestPbx, Tone, Unusual, nothing, only, strength};
use crate::spy::{Scene, request};

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10,g)\n same => n,Echo()\nexten => echo,1,Answer()\n same => n,Echo()";

fn hold(uuid: &str) -> Hold {
    Hold { uuid: uuid.to_owned() }
}

/// Waits until a phone hears music, of the parties none, and the supervisor as wanted.
async fn hears_music(call: &Call, supervisor: Option<Tone>) {
    let media = &call.dialog.media;
    let (mark, end) = (media.received().len(), Instant::now() + PATIENCE);
    loop {
        media.receives("who is held", 10).await;
        let samples = media.samples(mark);
        let window = &samples[samples.len().saturating_sub(4_000)..];
        let loudest = window.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        let heard = |tone: Tone| strength(tone, window);
        let is_as_wanted = match supervisor {
            Some(tone) => heard(tone) > 0.5,
            None => heard(Tone::Supervisor) < 0.1,
        };
        if window.len() == 4_000 && loudest > 500 && heard(Tone::A).max(heard(Tone::B)) < 0.1 && is_as_wanted {
            return;
        }
        assert!(Instant::now() < end, "no music: up to {loudest}, {:?}", Tone::ALL.map(heard));
    }
}

async fn states(pbx: &TestPbx) -> (CallState, Vec<CallState>) {
    let calls = pbx.calls().await;
    (calls[0].state, calls[0].legs.iter().map(|leg| leg.state).collect())
}

impl Scene {
    fn party(&mut self, target: usize) -> &mut Call {
        if target == 0 { &mut self.customer } else { &mut self.agent }
    }
}

#[tokio::test]
async fn a_held_party_hears_music_and_only_supervisors_hear_it_until_it_is_taken_back() {
    let mut scene = Scene::new(Unusual::default()).await;
    for target in [0, 1] {
        let uuid = scene.uuids[target].clone();
        let held = ask(&scene.pbx, method::HOLD, &hold(&uuid.to_ascii_uppercase())).await;
        assert_eq!((&held["uuid"], &held["held"]), (&uuid.as_str().into(), &true.into()));
        ask(&scene.pbx, method::HOLD, &hold(&uuid)).await;
        hears_music(scene.party(target), None).await;
        scene.party(1 - target).hears(nothing()).await;
        let mut legs = vec![CallState::Up; 2];
        legs[target] = CallState::Held;
        assert_eq!(states(&scene.pbx).await, (CallState::Held, legs));
        let device = |scene: &Scene| scene.pbx.pbx.exchange().device_state("SIP/bob");
        assert_eq!(device(&scene), [DeviceState::InUse, DeviceState::OnHold][target], "of whom it is that is held");
        let wish = request(&uuid, Mode::Whisper, Some([Party::A, Party::B][target]));
        let ear = scene.spies(&wish).await.expect("a session");
        ear.hears(only(Tone::A), only(Tone::B)).await;
        hears_music(scene.party(target), Some(Tone::Supervisor)).await;
        scene.party(1 - target).hears(nothing()).await;
        ear.leaves();
        hears_music(scene.party(target), None).await;
        let held = ask(&scene.pbx, method::UNHOLD, &hold(&uuid)).await;
        assert_eq!(held["held"], false);
        scene.hears([false, false]).await;
        assert_eq!(states(&scene.pbx).await, (CallState::Up, vec![CallState::Up; 2]));
        assert_eq!(device(&scene), DeviceState::InUse);
        let (events, _) = scene.pbx.pbx.exchange().journal.subscribe(Some(0));
        let told = events.iter().filter(|event| event.fields.get("uuid").is_some_and(|of| *of == uuid));
        let told: Vec<_> = told.map(|event| event.kind.as_str()).filter(|kind| kind.ends_with("held")).collect();
        assert_eq!(told, ["call.held", "call.unheld"], "once, though it was ordered twice");
    }
}

#[tokio::test]
async fn neither_the_end_of_a_takeover_nor_an_order_takes_back_whom_the_other_holds() {
    let mut scene = Scene::new(Unusual::default()).await;
    let uuid = scene.uuids[1].clone();
    let mut ear = scene.spies(&request(&uuid, Mode::Takeover, None)).await.expect("a session");
    scene.customer.hears(only(Tone::Supervisor)).await;
    ask(&scene.pbx, method::HOLD, &hold(&uuid)).await;
    ear.changes_to(Mode::Listen, None).await;
    scene.customer.hears(nothing()).await;
    hears_music(&scene.agent, None).await;
    ear.changes_to(Mode::Takeover, None).await;
    ask(&scene.pbx, method::UNHOLD, &hold(&uuid)).await;
    scene.customer.hears(only(Tone::Supervisor)).await;
    hears_music(&scene.agent, None).await;
    assert_eq!(refusal(&scene.pbx, method::UNHOLD, &hold(&uuid)).await, FaultCode::TryAgain);
    ear.leaves();
    scene.hears([false, false]).await;
}

#[tokio::test]
async fn a_hold_by_the_phone_changes_nothing_of_that_by_order() {
    let mut scene = Scene::new(Unusual::default()).await;
    let uuid = scene.uuids[0].clone();
    ask(&scene.pbx, method::HOLD, &hold(&uuid)).await;
    scene.customer.holds().await;
    scene.customer.resumes().await;
    hears_music(&scene.customer, None).await;
    scene.agent.holds().await;
    ask(&scene.pbx, method::UNHOLD, &hold(&uuid)).await;
    assert_eq!(states(&scene.pbx).await.0, CallState::Held, "the agent's phone still holds");
    scene.agent.resumes().await;
    scene.hears([false, false]).await;
}

#[tokio::test]
async fn a_held_party_that_is_sent_elsewhere_or_left_is_held_no_more() {
    for (moves, leaves) in [(Some(Moves::This), "customer"), (Some(Moves::Other), "agent"), (None, "agent")] {
        let mut scene = Scene::on(PLAN, Unusual::default()).await;
        let uuid = scene.uuids[0].clone();
        ask(&scene.pbx, method::HOLD, &hold(&uuid)).await;
        hears_music(&scene.customer, None).await;
        match moves {
            Some(moves) => {
                let there = Transfer { uuid: uuid.clone(), extension: "echo".to_owned(), context: None, moves };
                ask(&scene.pbx, method::TRANSFER, &there).await;
            }
            None => {
                scene.agent.hangs_up().await;
            }
        }
        scene.customer.hears(only(Tone::A)).await;
        if leaves == "customer" {
            scene.agent.is_hung_up().await;
        } else if moves.is_some() {
            scene.agent.hears(only(Tone::B)).await;
        }
        let calls = scene.pbx.calls().await;
        let leg = calls.iter().flat_map(|call| &call.legs).find(|leg| leg.uuid == uuid).expect("the customer's leg");
        assert_eq!(leg.state, CallState::Up);
        assert_eq!(refusal(&scene.pbx, method::HOLD, &hold(&uuid)).await, FaultCode::TryAgain, "it talks with nobody");
    }
}

#[tokio::test]
async fn who_talks_with_nobody_cannot_be_held_nor_taken_back() {
    let pbx = TestPbx::with(&format!("{DIAL_BOB}\n{}", "exten => echo,1,Answer()\n same => n,Echo()")).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let nobody = "00000000-0000-4000-8000-000000000000";
    let mut call = alice.invite("echo").await;
    call.expects([200]).await.ack().await;
    let mut ringing = alice.invite("bob").await;
    let mut rung = bob.is_called().await;
    rung.rings().await;
    ringing.expects([180]).await;
    for method in [method::HOLD, method::UNHOLD] {
        for number in ["alice", "bob"] {
            let leg = leg_of(&pbx, number).await;
            assert_eq!(refusal(&pbx, method, &hold(&leg)).await, FaultCode::TryAgain, "{method} {number}");
        }
        assert_eq!(refusal(&pbx, method, &hold(nobody)).await, FaultCode::NotFound);
    }
    call.says(Tone::A).await.hears(only(Tone::A)).await;
}
