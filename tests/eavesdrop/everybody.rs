//! `eavesdrop(all)`: from call to call in a stable order, one entry for each, nobody outside the group, and quiet between calls.

use super::{AGENT, NOBODY, dials, may_barge};
use crate::call::talk;
use crate::documents::heard::was_said;
use crate::harness::{Call, Law, Phone, Profile, TestPbx, Tone, Unusual, nothing, only};
use crate::spy::Scene;

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10)
exten => sales,1,set(eavesdrop_group=training,sales_call_eavesdrop)
 same => n,Dial(SIP/dave,10)
exten => 777,1,set(eavesdrop_order=oldest)
 same => n,eavesdrop(ALL)
exten => 778,1,set(eavesdrop_indicate_new=digits/1)
 same => n,set(eavesdrop_indicate_idle=digits/2.wav)
 same => n,set(eavesdrop_indicate_failed=/sounds/nowhere.wav)
 same => n,eavesdrop(all)
exten => 776,1,set(eavesdrop_indicate_failed=digits/3)
 same => n,set(eavesdrop_order=oldest)
 same => n,eavesdrop(all)
exten => 779,1,answer()
 same => n,set(eavesdrop_require_group=sales_call_eavesdrop)
 same => n,eavesdrop(all)
exten => 780,1,set(eavesdrop_require_group=Sales_call_eavesdrop)
 same => n,eavesdrop(all)";

/// Alice talks with dave of sales.
async fn sells(pbx: &TestPbx) -> ([Phone; 2], Call, Call) {
    let (alice, mut dave) = (pbx.phone("alice").await, pbx.phone("dave").await);
    let (mut calling, mut called) = talk(&alice, &mut dave, "sales").await;
    calling.says(Tone::C).await;
    called.says(Tone::D).await;
    calling.hears(only(Tone::D)).await;
    called.hears(only(Tone::C)).await;
    ([alice, dave], calling, called)
}

#[tokio::test]
async fn s002_s035_star_goes_from_call_to_call_and_each_begins_as_the_first_did() {
    let mut scene = Scene::on(PLAN, may_barge()).await;
    let (_phones, mut calling, mut called) = sells(&scene.pbx).await;
    let (_phone, mut carol) = dials(&scene.pbx, "777").await;
    for _ in 0..2 {
        carol.hears(Tone::A + Tone::B).await.presses("2").await;
        scene.hears(AGENT).await;
        carol.presses("*").await.hears(Tone::C + Tone::D).await;
        scene.hears(NOBODY).await;
        calling.hears(only(Tone::D)).await;
        called.hears(only(Tone::C)).await;
        carol.presses("*").await;
    }
    carol.hears(Tone::A + Tone::B).await;
    scene.agent.hangs_up().await;
    scene.customer.is_hung_up().await;
    carol.hears(Tone::C + Tone::D).await.presses("*").await.hears(Tone::C + Tone::D).await;
    called.hangs_up().await;
    calling.is_hung_up().await;
    carol.hears(nothing()).await;
    let (_phones, mut calling, mut called) = sells(&scene.pbx).await;
    carol.hears(Tone::C + Tone::D).await.hangs_up().await;
    calling.hears(only(Tone::D)).await.hangs_up().await;
    called.is_hung_up().await;
    scene.pbx.is_idle().await;
}

#[tokio::test]
async fn s010_s014_s057_s058_a_required_group_shuts_out_every_other_call() {
    let mut scene = Scene::on(PLAN, may_barge()).await;
    let (_phone, mut carol) = dials(&scene.pbx, "779").await;
    carol.hears(nothing()).await;
    let (_phones, mut calling, mut called) = sells(&scene.pbx).await;
    for _ in 0..3 {
        carol.hears(Tone::C + Tone::D).await.presses("*").await;
    }
    carol.hears(Tone::C + Tone::D).await;
    called.hangs_up().await;
    calling.is_hung_up().await;
    carol.hears(nothing()).await.hangs_up().await;
    let (_again, _calling, _called) = sells(&scene.pbx).await;
    let (_phone, mut carol) = dials(&scene.pbx, "780").await;
    carol.hears(nothing()).await;
    carol.dialog.media.receives("carol", 60).await;
    carol.hears(nothing()).await;
    scene.hears(NOBODY).await;
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn s015_to_s020_sounds_tell_the_supervisor_alone_how_far_it_is_and_a_missing_one_ends_nothing() {
    let pbx = TestPbx::unusual(PLAN, may_barge()).await;
    let (_phone, mut carol) = dials(&pbx, "778").await;
    carol.dialog.media.receives("carol", 250).await;
    was_said(&carol, &["digits/2", "digits/2"]).await;
    let (_phones, mut calling, mut called) = sells(&pbx).await;
    carol.hears(Tone::C + Tone::D).await.presses("*").await;
    calling.hears(only(Tone::D)).await;
    called.hears(only(Tone::C)).await;
    carol.dialog.media.receives("carol", 60).await;
    carol.hears(Tone::C + Tone::D).await;
    was_said(&carol, &["digits/2", "digits/2", "digits/1", "digits/1"]).await;
    calling.hears(only(Tone::D)).await;
    called.hears(only(Tone::C)).await;
}

#[tokio::test]
async fn s015_a_call_that_cannot_be_listened_to_is_told_by_a_sound_and_the_next_one_is_heard() {
    let pbx = TestPbx::unusual(PLAN, Unusual { codecs: Some(r#"["g729", "ulaw"]"#), ..may_barge() }).await;
    let profile = |user: &str| Profile { laws: vec![Law::G729, Law::Ulaw], ..pbx.profile(user) };
    let (guest, mut bob) = (pbx.plugs_in(profile("guest")).await, pbx.plugs_in(profile("bob")).await);
    let (_unheard, _there) = talk(&guest, &mut bob, "bob").await;
    let (_phones, mut calling, mut called) = sells(&pbx).await;
    let (_phone, mut carol) = dials(&pbx, "776").await;
    was_said(&carol, &["digits/3"]).await;
    carol.hears(Tone::C + Tone::D).await.presses("*").await;
    was_said(&carol, &["digits/3", "digits/3"]).await;
    carol.hears(Tone::C + Tone::D).await;
    calling.hears(only(Tone::D)).await;
    called.hears(only(Tone::C)).await;
}
