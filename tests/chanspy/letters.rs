//! Option letters: who hears whom, which channels are chosen, and when it is over; each by tones at every ear.

use wirechief::evidence::Event;

use super::{AGENT, EVERYBODY, MAY_BARGE, MAY_LISTEN, NOBODY, carol_may, dials, on_record};
use crate::call::talk;
use crate::harness::{TestPbx, Tone, calmly, nothing, only};
use crate::spy::Scene;

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10)
exten => listen,1,ChanSpy(SIP/bob,q)
exten => any,1,ChanSpy(,qb)
exten => pj,1,ChanSpy(PJSIP/bob,qblDs)
exten => whisper,1,ChanSpy(SIP/bob,qw)
exten => barge,1,ExtenSpy(bob,qB)
exten => own,1,ChanSpy(SIP/bob,qo)
exten => private,1,ExtenSpy(bob@internal,qW)
exten => named,1,ChanSpy(,qe(SIP/bob:dave))
exten => _u.,1,ChanSpy(${EXTEN:1},qu)
exten => quiet,1,ChanSpy(SIP/bob,qv(-4))
exten => ends,1,ExtenSpy(bob,qE)
 same => n,Echo()
exten => over,1,ChanSpy(SIP/dave,qS)
 same => n,Echo()
exten => elsewhere,1,ExtenSpy(bob@elsewhere,qS)
exten => group,1,ChanSpy(SIP/bob,qSg(sales:night))
exten => exits,1,ChanSpy(SIP/bob,qX)
exten => 7,1,Echo()
exten => leaves,1,ChanSpy(SIP/bob,qx(9))
 same => n,GotoIf($[\"${SPY_CHANNEL:0:8}\" = \"SIP/bob-\"]?7,1)";

#[tokio::test]
async fn s081_each_letter_lets_those_hear_that_it_says() {
    calmly(async || {
        let mut scene = Scene::on(PLAN, carol_may(MAY_BARGE)).await;
        let by_uuid = format!("u{}", scene.uuids[1]);
        let rows: [(&str, Vec<Tone>, [bool; 2]); 9] = [
            ("listen", Tone::A + Tone::B, NOBODY),
            ("any", Tone::A + Tone::B, NOBODY),
            ("pj", Tone::A + Tone::B, NOBODY),
            ("whisper", Tone::A + Tone::B, AGENT),
            ("barge", Tone::A + Tone::B, EVERYBODY),
            ("own", only(Tone::B), NOBODY),
            ("private", nothing(), AGENT),
            ("named", Tone::A + Tone::B, NOBODY),
            (&by_uuid, Tone::A + Tone::B, NOBODY),
        ];
        for (number, heard, hearers) in rows {
            let (_phone, mut carol) = dials(&scene.pbx, number).await;
            scene.hears(hearers).await;
            carol.hears(heard).await.hangs_up().await;
            scene.hears(NOBODY).await;
        }
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn s076_s077_e_leaves_with_the_call_and_s_when_there_is_none() {
    calmly(async || {
        let mut scene = Scene::on(PLAN, carol_may(MAY_BARGE)).await;
        let (_phone, mut carol) = dials(&scene.pbx, "over").await;
        carol.hears(only(Tone::Supervisor)).await.hangs_up().await;
        for number in ["elsewhere", "group"] {
            let (_phone, mut carol) = dials(&scene.pbx, number).await;
            carol.is_hung_up().await;
        }
        let (_phone, mut carol) = dials(&scene.pbx, "ends").await;
        carol.hears(Tone::A + Tone::B).await;
        scene.agent.hangs_up().await;
        carol.hears(only(Tone::Supervisor)).await;
        assert_eq!(on_record(&scene.pbx, Event::Ended, 1).await[0].why, "the call ended");
    })
    .await;
}

#[tokio::test]
async fn s079_b_hears_nobody_who_talks_with_nobody() {
    calmly(async || {
        let plan = "exten => waits,1,Answer()\n same => n,Wait(60)\nexten => any,1,ChanSpy(SIP/dave,q)\n\
                exten => bridged,1,ChanSpy(SIP/dave,qb)\nexten => bob,1,Dial(SIP/bob,10)";
        let pbx = TestPbx::unusual(plan, carol_may(MAY_LISTEN)).await;
        let (dave, mut bob) = (pbx.phone("dave").await, pbx.phone("bob").await);
        let mut alone = dave.invite("waits").await;
        alone.expects([200]).await.ack().await.says(Tone::D).await;
        let (_phone, mut carol) = dials(&pbx, "any").await;
        carol.hears(only(Tone::D)).await.hangs_up().await;
        let (_phone, mut carol) = dials(&pbx, "bridged").await;
        carol.dialog.media.receives("carol", 50).await;
        carol.hears(nothing()).await;
        let (_calling, mut called) = talk(&dave, &mut bob, "bob").await;
        called.says(Tone::B).await;
        carol.hears(only(Tone::B)).await;
    })
    .await;
}

#[tokio::test]
async fn s081_g_hears_the_calls_of_a_group_only() {
    calmly(async || {
        let plan = PLAN.replace("exten => bob,1,", "exten => bob,1,Set(_SPYGROUP=day:night)\n same => n,");
        let mut scene = Scene::on(&plan, carol_may(MAY_BARGE)).await;
        let (_phone, mut carol) = dials(&scene.pbx, "group").await;
        carol.hears(Tone::A + Tone::B).await;
        scene.hears(NOBODY).await;
    })
    .await;
}

#[tokio::test]
async fn s081_x_keys_leave_and_spy_channel_names_the_last_one() {
    calmly(async || {
        let scene = Scene::on(PLAN, carol_may(MAY_BARGE)).await;
        for (number, key) in [("exits", "7"), ("leaves", "9")] {
            let (_phone, mut carol) = dials(&scene.pbx, number).await;
            carol
                .hears(Tone::A + Tone::B)
                .await
                .presses(key)
                .await
                .hears(only(Tone::Supervisor))
                .await
                .hangs_up()
                .await;
        }
    })
    .await;
}

#[tokio::test]
async fn without_s_it_waits_for_a_channel_and_without_q_says_which_it_is() {
    calmly(async || {
        let plan =
            "exten => bob,1,Dial(SIP/bob,10)\nexten => dave,1,Dial(SIP/dave,10)\nexten => wait,1,ChanSpy(SIP/dave)";
        let scene = Scene::on(plan, carol_may(MAY_BARGE)).await;
        let (_phone, mut carol) = dials(&scene.pbx, "wait").await;
        let mut dave = scene.pbx.phone("dave").await;
        let alice = scene.pbx.phone("alice").await;
        let mut calling = alice.invite("dave").await;
        let mut called = dave.is_called().await;
        called.answers().await.says(Tone::D).await;
        calling.expects([200]).await.ack().await.says(Tone::C).await;
        carol.hears(Tone::C + Tone::D).await;
        calling.hears(only(Tone::D)).await;
        called.hears(only(Tone::C)).await;
    })
    .await;
}
