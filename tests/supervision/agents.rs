//! What a supervisor does to the parties: takes the agent's place, goes on without him, is announced.

use wirechief::config::{Announce, AnnounceTo, OnAgentLeave, SpyRight};
use wirechief::control::client::SpyEvent;
use wirechief::control::protocol::FaultCode;
use wirechief::control::supervision::{EndedBecause, Mode, Side, SpyRequest};

use crate::harness::{Tone, Unusual, nothing, only};
use crate::spy::rights::sets;
use crate::spy::{Scene, fault, request};

#[tokio::test]
async fn to_take_over_is_to_talk_in_the_agents_place_who_comes_back_afterwards() {
    let mut scene = Scene::new(Unusual::default()).await;
    for uuid in scene.uuids.clone() {
        let mut ear = scene.spies(&request(&uuid, Mode::Listen, None)).await.expect("a session");
        let changed = ear.changes_to(Mode::Takeover, None).await;
        let SpyEvent::Changed(facts) = changed else { panic!("{changed:?}") };
        assert_eq!(
            (facts.mode, facts.talks.clone(), facts.hears.clone()),
            (Mode::Takeover, vec![Side::A], vec![Side::A])
        );
        scene.customer.hears(only(Tone::Supervisor)).await;
        ear.hears(only(Tone::A), nothing()).await;
        let back = ear.changes_to(Mode::Listen, None).await;
        assert!(matches!(back, SpyEvent::Changed(_)), "{back:?}");
        scene.hears([false, false]).await;
        // leaving gives the agent back as well
        assert!(matches!(ear.changes_to(Mode::Takeover, None).await, SpyEvent::Changed(_)));
        scene.customer.hears(only(Tone::Supervisor)).await;
        ear.leaves();
        scene.hears([false, false]).await;
    }
}

#[tokio::test]
async fn an_agent_taken_over_is_given_back_whole_however_often_the_call_is_connected_anew() {
    let mut scene = Scene::on("exten => bob,1,Dial(SIP/bob,10,t)", Unusual::default()).await;
    let mut ear = scene.spies(&request(&scene.uuids[1], Mode::Listen, None)).await.expect("a session");
    for _ in 0..2 {
        let taken = ear.changes_to(Mode::Takeover, None).await;
        assert!(matches!(taken, SpyEvent::Changed(_)), "{taken:?}");
        scene.customer.hears(only(Tone::Supervisor)).await;
        // A transfer to nowhere: both are parted, and connected anew.
        scene.agent.presses("#9#").await;
        ear.is_told("that there was nobody to talk with", |facts| facts.mode == Mode::Listen).await;
        scene.hears([false, false]).await;
    }
    assert!(matches!(ear.changes_to(Mode::Takeover, None).await, SpyEvent::Changed(_)));
    scene.customer.hears(only(Tone::Supervisor)).await;
    ear.leaves();
    scene.hears([false, false]).await;
}

#[tokio::test]
async fn only_one_takes_over_and_only_with_the_right_to_barge() {
    let scene = Scene::new(Unusual::default()).await;
    let capped = SpyRequest { max_mode: Some(Mode::Whisper), ..request(&scene.uuids[1], Mode::Takeover, None) };
    assert_eq!(fault(scene.spies(&capped).await), FaultCode::Denied);
    let _first = scene.spies(&request(&scene.uuids[1], Mode::Takeover, None)).await.expect("a session");
    let refused = scene.spies(&request(&scene.uuids[0], Mode::Takeover, None)).await;
    assert_eq!(fault(refused), FaultCode::TryAgain);
}

#[tokio::test]
async fn s088_the_call_ends_when_the_agent_leaves_it() {
    let mut scene = Scene::new(Unusual::default()).await;
    let ear = scene.spies(&request(&scene.uuids[0], Mode::Barge, None)).await.expect("a session");
    scene.hears([true, true]).await;
    scene.agent.hangs_up().await;
    scene.customer.is_hung_up().await;
    assert_eq!(ear.is_ended().await.why, EndedBecause::CallEnded);
}

#[tokio::test]
async fn s089_by_the_setting_a_barged_supervisor_goes_on_with_the_customer() {
    for target in [0, 1] {
        let mut scene = Scene::new(Unusual::default()).await;
        sets(&scene.pbx, |config| config.supervision.on_agent_leave = OnAgentLeave::Supervisor);
        let ear = scene.spies(&request(&scene.uuids[target], Mode::Barge, None)).await.expect("a session");
        scene.hears([true, true]).await;
        scene.agent.hangs_up().await;
        scene.customer.hears(only(Tone::Supervisor)).await;
        let facts = ear.is_told("who is left", |facts| facts.peer.uuid.is_empty()).await;
        assert_eq!(facts.target.uuid, scene.uuids[0]);
        ear.hears(only(Tone::A), nothing()).await;
        if target == 0 {
            ear.leaves();
            scene.customer.is_hung_up().await;
        } else {
            scene.customer.hangs_up().await;
            assert_eq!(ear.is_ended().await.why, EndedBecause::CallEnded);
        }
        scene.pbx.is_idle().await;
    }
}

#[tokio::test]
async fn a_listener_does_not_keep_a_call_whose_agent_left() {
    let mut scene = Scene::new(Unusual::default()).await;
    sets(&scene.pbx, |config| config.supervision.on_agent_leave = OnAgentLeave::Supervisor);
    let _ear = scene.spies(&request(&scene.uuids[0], Mode::Listen, None)).await.expect("a session");
    scene.agent.hangs_up().await;
    scene.customer.is_hung_up().await;
}

#[tokio::test]
async fn a_customer_who_leaves_ends_the_call_whatever_the_setting() {
    let mut scene = Scene::new(Unusual::default()).await;
    sets(&scene.pbx, |config| config.supervision.on_agent_leave = OnAgentLeave::Supervisor);
    let _ear = scene.spies(&request(&scene.uuids[1], Mode::Barge, None)).await.expect("a session");
    scene.hears([true, true]).await;
    scene.customer.hangs_up().await;
    scene.agent.is_hung_up().await;
}

#[tokio::test]
async fn the_parties_that_the_policy_names_hear_a_tone_when_somebody_begins_to_listen() {
    for (to, [customer, agent]) in
        [(AnnounceTo::Both, [true, true]), (AnnounceTo::Agent, [false, true]), (AnnounceTo::Customer, [true, false])]
    {
        let mut scene = Scene::new(Unusual::default()).await;
        sets(&scene.pbx, |config| {
            config.supervision.announce = Announce::Beep;
            config.supervision.announce_to = to;
        });
        scene.customer.falls_silent().await;
        scene.agent.falls_silent().await.hears(nothing()).await;
        scene.customer.hears(nothing()).await;
        let marks = [&scene.customer, &scene.agent].map(|party| party.dialog.media.received().len());
        let _ear = scene.spies(&request(&scene.uuids[0], Mode::Listen, None)).await.expect("a session");
        for (party, (mark, hears)) in
            [&scene.customer, &scene.agent].into_iter().zip(marks.into_iter().zip([customer, agent]))
        {
            party.dialog.media.receives("a party", 50).await;
            let peak = party.dialog.media.samples(mark).iter().map(|sample| sample.unsigned_abs()).max();
            assert_eq!(peak > Some(1_000), hears, "{to:?}: {peak:?}");
        }
    }
}

#[tokio::test]
async fn s068_whisper_reaches_the_agent_and_the_customer_only_with_the_right_to_barge() {
    use wirechief::call::supervision::{Party, Refusal, Rights, SpyError, Wish, attach};
    let scene = Scene::new(Unusual::default()).await;
    let exchange = scene.pbx.pbx.exchange();
    sets(&scene.pbx, |config| config.users.get_mut("carol").expect("carol").may_spy = SpyRight::Whisper);
    let carol = || Rights::User("carol".to_owned());
    let whisper = |uuid: &str, to| Wish { to, ..crate::spy::rights::of(carol(), uuid, Mode::Whisper) };
    for (target, to, may) in [
        (1, None, true),
        (1, Some(Party::Peer), false),
        (0, None, false),
        (0, Some(Party::Agent), true),
        (1, Some(Party::Customer), false),
        (0, Some(Party::A), false),
    ] {
        let attached = attach(exchange, whisper(&scene.uuids[target], to)).await;
        match attached {
            Ok(_) => assert!(may, "{target} {to:?}"),
            Err(SpyError::Refused(Refusal::Customer { .. })) => assert!(!may, "{target} {to:?}"),
            Err(other) => panic!("{other}"),
        }
    }
}
