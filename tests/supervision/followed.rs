//! A session follows its target's leg: through hold and transfer, and not a frame further than the rights reach.

use wirechief::control::client::SpyEvent;
use wirechief::control::protocol::{FaultCode, SpyState};
use wirechief::control::supervision::{EndedBecause, Mode, Party, Role};

use crate::call::hear_each_other;
use crate::harness::{Call, Ear, Phone, TestPbx, Tone, Unusual, nothing, only};
use crate::spy::rights::sets;
use crate::spy::{Scene, fault, request};

/// The agent may send the customer to carol.
const TRANSFER: &str = "exten => bob,1,Dial(SIP/bob,10,t)
exten => 66,1,Dial(SIP/carol,10)";

/// The agent sends the customer to carol, who answers.
async fn transfers(scene: &mut Scene, carol: &mut Phone) -> Call {
    scene.agent.presses("#66#").await;
    let mut there = carol.is_called().await;
    there.answers().await;
    there.says(Tone::C).await;
    there
}

#[tokio::test]
async fn a_transferred_target_is_heard_with_whomever_it_talks_with() {
    let mut scene = Scene::on(TRANSFER, Unusual::default()).await;
    let mut carol = scene.pbx.phone("carol").await;
    let ear = scene.spies(&request(&scene.uuids[0], Mode::Listen, None)).await.expect("a session");
    let left = scene.spies(&request(&scene.uuids[1], Mode::Listen, None)).await.expect("a session");
    ear.hears(only(Tone::A), only(Tone::B)).await;
    let mut there = transfers(&mut scene, &mut carol).await;
    scene.agent.is_hung_up().await;
    assert_eq!(left.is_ended().await.why, EndedBecause::CallEnded, "the agent's own leg is over");
    ear.is_told("that the customer is alone", |facts| facts.state == SpyState::Alone).await;
    let facts = ear.is_told("who is there now", |facts| facts.peer.number == "carol").await;
    assert_eq!((facts.state, facts.peer.role, facts.target.role), (SpyState::Call, Role::Agent, Role::Customer));
    ear.hears(only(Tone::A), only(Tone::C)).await;
    there.hears(only(Tone::A)).await;
    there.hangs_up().await;
    assert_eq!(ear.is_ended().await.why, EndedBecause::CallEnded);
}

#[tokio::test]
async fn a_transfer_to_an_exempt_user_ends_the_session_before_a_word_of_his_is_heard() {
    let mut scene = Scene::on(TRANSFER, Unusual::default()).await;
    let mut carol = scene.pbx.phone("carol").await;
    sets(&scene.pbx, |config| config.users.get_mut("carol").expect("carol").may_be_spied = false);
    let ear = scene.spies(&request(&scene.uuids[0], Mode::Barge, None)).await.expect("a session");
    scene.hears([true, true]).await;
    let mut there = transfers(&mut scene, &mut carol).await;
    let end = ear.is_ended().await;
    assert_eq!(end.why, EndedBecause::Denied);
    assert!(end.message.contains("exempt"), "{}", end.message);
    there.hears(only(Tone::A)).await;
    scene.customer.hears(only(Tone::C)).await;
    assert!(!ear.ever_heard(Tone::C), "not one frame of the exempt user");
}

#[tokio::test]
async fn a_whisper_does_not_pass_to_whoever_comes_in_the_place_of_its_hearer() {
    let mut scene = Scene::on(TRANSFER, Unusual::default()).await;
    let mut carol = scene.pbx.phone("carol").await;
    let ear = scene.spies(&request(&scene.uuids[0], Mode::Whisper, Some(Party::Peer))).await.expect("a session");
    scene.hears([false, true]).await;
    let mut there = transfers(&mut scene, &mut carol).await;
    let facts = ear.is_told("who is there now", |facts| facts.peer.number == "carol").await;
    assert_eq!((facts.mode, facts.talks), (Mode::Listen, vec![]), "the agent that was coached is gone");
    there.hears(only(Tone::A)).await;
    scene.customer.hears(only(Tone::C)).await;
}

#[tokio::test]
async fn barging_goes_on_with_the_next_party() {
    let mut scene = Scene::on(TRANSFER, Unusual::default()).await;
    let mut carol = scene.pbx.phone("carol").await;
    let ear = scene.spies(&request(&scene.uuids[0], Mode::Barge, None)).await.expect("a session");
    scene.hears([true, true]).await;
    let mut there = transfers(&mut scene, &mut carol).await;
    there.hears(Tone::A + Tone::Supervisor).await;
    scene.customer.hears(Tone::C + Tone::Supervisor).await;
    ear.hears(only(Tone::A), only(Tone::C)).await;
}

#[tokio::test]
async fn a_held_call_is_still_heard_and_coached_and_told_as_held() {
    let mut scene = Scene::new(Unusual::default()).await;
    let ear = scene.spies(&request(&scene.uuids[1], Mode::Whisper, Some(Party::Customer))).await.expect("a session");
    scene.agent.holds().await;
    ear.is_told("that the agent holds", |facts| facts.target.held).await;
    ear.hears(only(Tone::A), nothing()).await;
    scene.customer.hears(only(Tone::Supervisor)).await;
    scene.agent.resumes().await;
    ear.is_told("that the agent is back", |facts| !facts.target.held && facts.state == SpyState::Call).await;
    ear.hears(only(Tone::A), only(Tone::B)).await;
}

#[tokio::test]
async fn groups_may_change_while_somebody_listens() {
    let mut scene = Scene::new(Unusual::default()).await;
    sets(&scene.pbx, |config| config.users.get_mut("bob").expect("bob").groups = vec!["sales".into()]);
    let mut wanted = request(&scene.uuids[0], Mode::Listen, None);
    wanted.groups = vec!["support".into()];
    assert!(scene.spies(&wanted).await.is_err());
    wanted.groups.push("sales".into());
    let ear = scene.spies(&wanted).await.expect("a session");
    ear.hears(only(Tone::A), only(Tone::B)).await;
    sets(&scene.pbx, |config| config.users.get_mut("bob").expect("bob").groups.clear());
    assert_eq!(ear.is_ended().await.why, EndedBecause::Denied);
    scene.hears([false, false]).await;
}

#[tokio::test]
async fn s010_to_s014_a_channels_own_variables_name_its_groups() {
    let plan = "exten => bob,1,Set(eavesdrop_group=one,sales)\n same => n,Set(SPYGROUP=night:support)\n same => n,Dial(SIP/bob,10)";
    let scene = Scene::on(plan, Unusual::default()).await;
    for (group, reaches) in
        [("sales", true), ("one", true), ("night", true), ("support", true), ("Sales", false), ("two", false)]
    {
        for uuid in &scene.uuids {
            let mut wanted = request(uuid, Mode::Listen, None);
            wanted.groups = vec![group.into()];
            assert_eq!(scene.spies(&wanted).await.is_ok(), reaches, "{group}");
        }
    }
}

#[tokio::test]
async fn supervisors_hear_each_other_once_whatever_order_they_came_in() {
    let mut scene = Scene::new(Unusual::default()).await;
    let first = scene.spies(&request(&scene.uuids[0], Mode::Listen, None)).await.expect("a session");
    let second = scene.spies(&request(&scene.uuids[1], Mode::Barge, None)).await.expect("a session");
    scene.hears([true, true]).await;
    first.hears_of_others(only(Tone::Supervisor)).await;
    second.hears_of_others(nothing()).await;
    let mut first = first;
    let changed = first.changes_to(Mode::Whisper, Some(Party::Agent)).await;
    assert!(matches!(changed, SpyEvent::Changed(_)), "{changed:?}");
    second.hears_of_others(only(Tone::Supervisor)).await;
    first.hears(only(Tone::A), only(Tone::B)).await;
}

#[tokio::test]
async fn an_exempt_user_cannot_hide_behind_a_local_pair() {
    let plan = "exten => bob,1,Dial(Local/inner@internal/n,10)\nexten => inner,1,Dial(SIP/bob,10)";
    let pbx = TestPbx::with(plan).await;
    let (guest, mut bob) = (pbx.phone("guest").await, pbx.phone("bob").await);
    let mut calling = guest.invite("bob").await;
    let mut called = bob.is_called().await;
    called.answers().await;
    calling.expects([200]).await.ack().await;
    hear_each_other(&mut calling, &mut called).await;
    let calls = pbx.calls().await;
    let customer = calls.iter().flat_map(|call| &call.legs).find(|leg| leg.number == "guest");
    let wanted = request(&customer.expect("the customer's leg").uuid, Mode::Listen, None);
    let ear = Ear::attach(pbx.client().await, &wanted).await.expect("a session");
    ear.hears(only(Tone::A), only(Tone::B)).await;
    sets(&pbx, |config| config.users.get_mut("bob").expect("bob").may_be_spied = false);
    assert_eq!(ear.is_ended().await.why, EndedBecause::Denied);
    assert_eq!(fault(Ear::attach(pbx.client().await, &wanted).await), FaultCode::Denied);
}
