//! `userspy`: a supervisor stays with a user, whatever calls come and go.

use super::{AGENT, NOBODY, dials, may_barge};
use crate::call::talk;
use crate::harness::{Call, TestPbx, Tone, Unusual, only};
use crate::spy::Scene;

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10)
exten => alice,1,Dial(SIP/alice,10)
exten => stay,1,userspy(bob@test)";

/// Music plays: there is sound, and of nobody's tone.
async fn hears_music(call: &mut Call) {
    let mark = call.dialog.media.received().len();
    call.dialog.media.receives("the supervisor", 60).await;
    let heard = call.dialog.media.samples(mark + 20);
    assert!(heard.iter().any(|sample| sample.unsigned_abs() > 300), "there is music");
    let strengths = call.dialog.media.strengths();
    assert!(strengths.iter().all(|(_, strength)| *strength < 0.4), "and nobody is heard: {strengths:?}");
}

#[tokio::test]
async fn s004_the_running_call_is_heard_and_each_that_comes_with_music_between_them() {
    let mut scene = Scene::on(PLAN, may_barge()).await;
    let (_phone, mut carol) = dials(&scene.pbx, "stay").await;
    carol.hears(Tone::A + Tone::B).await.presses("2").await;
    scene.hears(AGENT).await;
    scene.agent.hangs_up().await;
    scene.customer.is_hung_up().await;
    hears_music(&mut carol).await;
    let (alice, mut bob) = (scene.pbx.phone("alice").await, scene.pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    calling.says(Tone::C).await;
    called.says(Tone::D).await.hears(only(Tone::C)).await;
    carol.hears(Tone::C + Tone::D).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    hears_music(&mut carol).await;
    let mut alice = alice;
    let (mut calling, mut called) = talk(&bob, &mut alice, "alice").await;
    calling.says(Tone::D).await;
    called.says(Tone::C).await.hears(only(Tone::D)).await;
    carol.hears(Tone::C + Tone::D).await.hangs_up().await;
    calling.hears(only(Tone::C)).await.hangs_up().await;
    called.is_hung_up().await;
    scene.pbx.is_idle().await;
}

#[tokio::test]
async fn s005_a_second_call_is_heard_when_the_first_ends_or_is_left_and_several_may_stay() {
    let both = Unusual {
        user_keys: vec![("carol", "may_spy = \"barge\""), ("dave", "may_spy = \"listen\"")],
        ..Unusual::default()
    };
    let pbx = TestPbx::unusual(PLAN, both).await;
    let (alice, guest, mut bob) = (pbx.phone("alice").await, pbx.phone("guest").await, pbx.phone("bob").await);
    let (mut first, mut first_at_bob) = talk(&alice, &mut bob, "bob").await;
    first.says(Tone::A).await;
    first_at_bob.says(Tone::B).await;
    let (_phone, mut carol) = dials(&pbx, "stay").await;
    let dave = pbx.phone("dave").await;
    let mut too = dave.invite("stay").await;
    too.expects([200]).await.ack().await;
    carol.hears(Tone::A + Tone::B).await;
    too.hears(Tone::A + Tone::B).await;
    let (mut second, mut second_at_bob) = talk(&guest, &mut bob, "bob").await;
    second.says(Tone::C).await;
    second_at_bob.says(Tone::D).await;
    carol.presses("*").await.hears(Tone::C + Tone::D).await;
    first.hangs_up().await;
    first_at_bob.is_hung_up().await;
    too.hears(Tone::C + Tone::D).await;
    carol.presses("*").await;
    hears_music(&mut carol).await;
    carol.presses("*").await.hears(Tone::C + Tone::D).await;
    too.hangs_up().await;
    carol.hears(Tone::C + Tone::D).await;
    second.hears(only(Tone::D)).await;
    second_at_bob.hears(only(Tone::C)).await;
}

#[tokio::test]
async fn nobody_is_heard_by_a_supervisor_who_stays_with_a_user_without_calls() {
    let plan = format!("{PLAN}\nexten => hers,1,userspy(alice)");
    let mut scene = Scene::on(&plan, may_barge()).await;
    let (_phone, mut carol) = dials(&scene.pbx, "hers").await;
    hears_music(&mut carol).await;
    scene.hears(NOBODY).await;
}
