//! Supervisors that stand still, say nothing or vanish: the parties go on as if nobody were there, and nothing is left behind.

use wirechief::control::supervision::{Mode, Party};

use super::{SPY, dials, may_barge};
use crate::harness::{PATIENCE, Tone, Unusual, only};
use crate::spy::{Scene, request};

#[tokio::test]
async fn a_client_that_stops_reading_costs_the_parties_nothing_and_leaves_nothing() {
    let mut scene = Scene::on(SPY, Unusual::default()).await;
    let mut links = Vec::new();
    for (mode, uuid) in [(Mode::Listen, 0), (Mode::Whisper, 1), (Mode::Barge, 0)] {
        let wanted = request(&scene.uuids[uuid], mode, Some(Party::Target));
        links.push(scene.pbx.client().await.spy(&wanted).await.expect("a session"));
    }
    scene.pbx.shows("three spies", PATIENCE, |now| now.spies == 3).await;
    scene.customer.dialog.media.receives("the customer", 100).await;
    scene.hears([false, false]).await;
    let ear = scene.spies(&request(&scene.uuids[1], Mode::Barge, None)).await.expect("one more, that reads");
    scene.hears([true, true]).await;
    ear.hears(only(Tone::A), only(Tone::B)).await;
    drop(ear);
    drop(links);
    scene.pbx.shows("no spies", PATIENCE, |now| now.spies == 0).await;
    scene.hears([false, false]).await;
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn a_call_that_ends_under_a_client_that_does_not_read_ends_at_once() {
    let mut scene = Scene::on(SPY, Unusual::default()).await;
    let wanted = request(&scene.uuids[0], Mode::Takeover, None);
    let _link = scene.pbx.client().await.spy(&wanted).await.expect("a session");
    scene.agent.hangs_up().await;
    scene.customer.is_hung_up().await;
    scene.pbx.shows("nothing", PATIENCE, |now| (now.spies, now.calls, now.legs, now.ports) == (0, 0, 0, 0)).await;
}

#[tokio::test]
async fn a_supervisors_phone_that_sends_nothing_and_vanishes_is_hung_up_alone() {
    let mut scene = Scene::on(SPY, Unusual { rtp_timeout: Some("3s"), ..may_barge() }).await;
    let (phone, mut carol) = dials(&scene, &format!("spy{}", scene.uuids[1])).await;
    carol.presses("3").await;
    scene.hears([true, true]).await;
    carol.dialog.media.goes_quiet();
    scene.hears([false, false]).await;
    drop(carol);
    drop(phone);
    scene.pbx.shows("no spies", PATIENCE, |now| now.spies == 0).await;
    scene.hears([false, false]).await;
    scene.noticed_nothing().await;
}
