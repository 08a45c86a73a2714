//! What goes on record: every session, every change, every refusal; and nothing happens that could not be recorded.

use wirechief::control::client::SpyEvent;
use wirechief::control::protocol::FaultCode;
use wirechief::control::supervision::{Hear, Mode, Party, Side, SpyRequest};
use wirechief::evidence::{Entry, Event, Wanted, read};

use crate::harness::{TestPbx, Tone, Unusual, nothing, only};
use crate::spy::{Scene, fault, request};

/// The entries about sessions, once there are so many.
async fn entries(pbx: &TestPbx, count: usize) -> Vec<Entry> {
    let path = pbx.pbx.exchange().evidence.path().to_owned();
    let end = tokio::time::Instant::now() + crate::harness::PATIENCE;
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(20));
    loop {
        beat.tick().await;
        let mut entries = Vec::new();
        let wanted = Wanted::default();
        read(&path, &wanted, |record| {
            entries.push(record.entry);
            true
        })
        .expect("the log");
        entries.retain(|entry| !entry.session.is_empty());
        if entries.len() >= count {
            return entries;
        }
        assert!(tokio::time::Instant::now() < end, "{entries:#?}");
    }
}

#[tokio::test]
async fn a_session_is_on_record_from_its_beginning_through_each_change_to_its_end() {
    let scene = Scene::new(Unusual::default()).await;
    let wanted = SpyRequest { reason: Some("training".into()), ..request(&scene.uuids[1], Mode::Listen, None) };
    let mut ear = scene.spies(&wanted).await.expect("a session");
    let started = entries(&scene.pbx, 1).await.remove(0);
    assert_eq!((started.event, started.who.as_str(), started.via.as_str()), (Event::Started, "admin", "socket"));
    assert_eq!((started.mode.as_str(), started.reason.as_str()), ("listen", "training"));
    assert_eq!(started.target.as_ref().map(|person| person.uuid.as_str()), Some(scene.uuids[1].as_str()));
    assert_eq!(started.target.and_then(|person| person.user).as_deref(), Some("bob"));
    assert_eq!(started.peer.map(|person| person.uuid), Some(scene.uuids[0].clone()));
    assert_eq!((started.call.as_str(), started.hears.len(), started.talks.len()), (scene.uuids[0].as_str(), 2, 0));
    assert!(matches!(ear.changes_to(Mode::Whisper, None).await, SpyEvent::Changed(_)));
    let changed = entries(&scene.pbx, 2).await.remove(1);
    assert_eq!((changed.event, changed.mode.as_str(), changed.talks), (Event::Mode, "whisper", vec!["bob".to_owned()]));
    let session = ear.facts.session.clone();
    ear.leaves();
    let all = entries(&scene.pbx, 3).await;
    assert_eq!((all[2].event, all[2].why.as_str()), (Event::Ended, "the supervisor left"));
    assert!(all.iter().all(|entry| entry.session == session));
}

#[tokio::test]
async fn each_refusal_is_on_record_with_its_reason() {
    let mut scene = Scene::new(Unusual::default()).await;
    let nowhere = "00000000-0000-4000-8000-000000000000";
    assert_eq!(fault(scene.spies(&request(nowhere, Mode::Listen, None)).await), FaultCode::NotFound);
    let grouped = SpyRequest { groups: vec!["sales".into()], ..request(&scene.uuids[0], Mode::Barge, None) };
    assert_eq!(fault(scene.spies(&grouped).await), FaultCode::Denied);
    let capped = SpyRequest { max_mode: Some(Mode::Listen), ..request(&scene.uuids[0], Mode::Listen, None) };
    let mut ear = scene.spies(&capped).await.expect("a session");
    assert!(matches!(ear.changes_to(Mode::Barge, None).await, SpyEvent::Refused(_)));
    let entries = entries(&scene.pbx, 4).await;
    let told: Vec<_> =
        entries.iter().map(|entry| (entry.event, entry.mode.as_str(), entry.why.split(':').next())).collect();
    let refused = |mode, why| (Event::Refused, mode, Some(why));
    assert_eq!(
        told,
        [
            refused("listen", "no-such-call"),
            refused("barge", "group"),
            (Event::Started, "listen", Some("")),
            refused("barge", "level"),
        ]
    );
    assert_eq!(entries[3].session, ear.facts.session);
    scene.hears([false, false]).await;
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_happen() {
    let mut scene = Scene::new(Unusual::default()).await;
    let mut ear = scene.spies(&request(&scene.uuids[1], Mode::Listen, None)).await.expect("a session");
    ear.hears(only(Tone::A), only(Tone::B)).await;
    scene.pbx.pbx.exchange().evidence.close();
    let refused = ear.changes_to(Mode::Barge, None).await;
    assert!(matches!(&refused, SpyEvent::Refused(fault) if fault.code == FaultCode::Failure), "{refused:?}");
    assert_eq!(fault(scene.spies(&request(&scene.uuids[0], Mode::Listen, None)).await), FaultCode::Failure);
    scene.hears([false, false]).await;
    scene.pbx.shows("one session", crate::harness::PATIENCE, |now| now.spies == 1).await;
}

#[tokio::test]
async fn a_supervisor_falls_silent_though_that_cannot_be_recorded() {
    let mut scene = Scene::new(Unusual::default()).await;
    let mut ear = scene.spies(&request(&scene.uuids[1], Mode::Barge, None)).await.expect("a session");
    scene.hears([true, true]).await;
    scene.pbx.pbx.exchange().evidence.close();
    let changed = ear.changes_to(Mode::Listen, None).await;
    assert!(!matches!(&changed, SpyEvent::Refused(_)), "{changed:?}");
    scene.hears([false, false]).await;
}

#[tokio::test]
async fn who_gives_the_agents_place_back_hears_both_only_once_that_is_on_record() {
    let scene = Scene::new(Unusual::default()).await;
    let mut ear = scene.spies(&request(&scene.uuids[1], Mode::Takeover, None)).await.expect("a session");
    ear.hears(only(Tone::A), nothing()).await;
    scene.pbx.pbx.exchange().evidence.close();
    let refused = ear.changes_to(Mode::Listen, None).await;
    assert!(matches!(&refused, SpyEvent::Refused(fault) if fault.code == FaultCode::Failure), "{refused:?}");
    ear.hears(only(Tone::A), nothing()).await;
}

#[tokio::test]
async fn whom_a_listener_hears_from_now_on_is_on_record_first() {
    let scene = Scene::new(Unusual::default()).await;
    let wanted = SpyRequest { hear: Hear::A, ..request(&scene.uuids[1], Mode::Listen, None) };
    let mut ear = scene.spies(&wanted).await.expect("a session");
    ear.hears(only(Tone::A), nothing()).await;
    let changed = ear.listens_to(Hear::B).await;
    assert!(matches!(&changed, SpyEvent::Changed(facts) if facts.hears == [Side::B]), "{changed:?}");
    ear.hears(nothing(), only(Tone::B)).await;
    let [started, changed] = entries(&scene.pbx, 2).await.try_into().expect("two entries");
    assert_eq!((started.event, started.hears), (Event::Started, vec!["guest".to_owned()]));
    assert_eq!((changed.event, changed.mode.as_str()), (Event::Mode, "listen"));
    assert_eq!((changed.hears, changed.talks), (vec!["bob".to_owned()], Vec::new()));
    scene.pbx.pbx.exchange().evidence.close();
    let refused = ear.listens_to(Hear::Both).await;
    assert!(matches!(&refused, SpyEvent::Refused(fault) if fault.code == FaultCode::Failure), "{refused:?}");
    ear.hears(nothing(), only(Tone::B)).await;
}

#[tokio::test]
async fn who_was_heard_is_on_record_when_the_target_talks_with_another() {
    let plan = "exten => bob,1,Dial(SIP/bob,10,t)\nexten => 66,1,Dial(SIP/carol,10)";
    let mut scene = Scene::on(plan, Unusual::default()).await;
    let mut carol = scene.pbx.phone("carol").await;
    let wanted = SpyRequest { hear: Hear::Customer, ..request(&scene.uuids[0], Mode::Whisper, Some(Party::Target)) };
    let ear = scene.spies(&wanted).await.expect("a session");
    scene.agent.presses("#66#").await;
    let mut there = carol.is_called().await;
    there.answers().await;
    ear.is_told("who is there now", |facts| facts.peer.number == "carol").await;
    let second = entries(&scene.pbx, 2).await.remove(1);
    assert_eq!((second.event, second.peer.and_then(|peer| peer.user).as_deref()), (Event::Mode, Some("carol")));
    assert_eq!(second.why, "the target talks with another party");
}
