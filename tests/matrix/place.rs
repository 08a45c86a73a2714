//! Takeover, when the one whose place was taken is connected with somebody else: he stays on hold, whoever comes.

use wirechief::control::protocol::{Bridge, method};
use wirechief::control::supervision::Mode;

use super::{SPY, may_barge};
use crate::harness::{Tone, only, strength};
use crate::spy::{Scene, request};
use crate::verbs::{ask, leg_of};

#[tokio::test]
async fn an_agent_whose_place_is_taken_stays_on_hold_when_he_is_connected_with_another() {
    let plan = format!("{SPY}\nexten => wait,1,Answer()\n same => n,Wait(60)");
    let mut scene = Scene::on(&plan, may_barge()).await;
    let phone = scene.pbx.phone("carol").await;
    let mut carol = phone.invite("wait").await;
    carol.expects([200]).await.ack().await.says(Tone::C).await;
    let ear = scene.spies(&request(&scene.uuids[1], Mode::Takeover, None)).await.expect("a session");
    scene.customer.hears(only(Tone::Supervisor)).await;
    let legs = [scene.uuids[1].clone(), leg_of(&scene.pbx, "carol").await];
    ask(&scene.pbx, method::BRIDGE, &Bridge { legs }).await;
    carol.hears(only(Tone::Supervisor)).await;
    ear.is_told("the new peer", |facts| facts.peer.number == "carol").await;
    let mark = scene.agent.dialog.media.received().len();
    scene.agent.dialog.media.receives("the agent", 25).await;
    let heard = scene.agent.dialog.media.samples(mark);
    for window in heard.chunks_exact(800) {
        assert!(strength(Tone::C, window) < 0.1, "the agent hears carol though his place is taken");
    }
    drop(ear);
    carol.hears(only(Tone::B)).await;
}
