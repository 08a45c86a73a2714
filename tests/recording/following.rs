//! A recording follows its leg: hold, transfer, re-INVITE, another codec. Both sides are the same length, to the sample.

use wirechief::control::protocol::{Hold, Mode, Moves, Party, Transfer, method};
use wirechief::outbox::manifest::Side;

use super::{SAID, only_one, talks, with};
use crate::harness::{Law, TestPbx, Tone, Unusual, calmly, nothing, only};
use crate::spy::{Scene, request};
use crate::verbs::ask;

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10,g)\nexten => 66,1,Dial(SIP/carol,10)";

/// A customer and an agent who are recorded from now on.
async fn scene(settings: &str) -> Scene {
    let scene = Scene::on(PLAN, with(&format!("record = \"always\"\n{settings}"))).await;
    talks(&scene.agent, 10).await;
    scene
}

/// The customer hangs up, and the call's record is written.
async fn ends(scene: &mut Scene) {
    scene.customer.hangs_up().await;
    scene.pbx.is_idle().await;
    scene.pbx.records(1).await;
}

#[tokio::test]
async fn holds_re_invites_and_another_law_leave_both_sides_of_one_length() {
    calmly(async || {
        let mut scene = scene("").await;
        scene.agent.holds().await;
        scene.customer.hears(nothing()).await;
        talks(&scene.agent, 0).await;
        scene.agent.resumes().await;
        scene.hears([false, false]).await;
        talks(&scene.agent, 10).await;
        let uuid = scene.uuids[1].clone();
        ask(&scene.pbx, method::HOLD, &Hold { uuid: uuid.clone() }).await;
        scene.customer.hears(nothing()).await;
        ask(&scene.pbx, method::UNHOLD, &Hold { uuid }).await;
        scene.hears([false, false]).await;
        scene.customer.says(Tone::C).await;
        scene.agent.hears(only(Tone::C)).await;
        talks(&scene.agent, 10).await;
        ends(&mut scene).await;
        let (manifest, tape) = only_one(&scene.pbx);
        let [left, right] = [&tape.tracks[0], &tape.tracks[1]].map(Vec::len);
        assert_eq!(left, right, "to the sample");
        assert!(tape.has(0, &only(Tone::A)) >= 2 * SAID as usize && tape.has(1, &only(Tone::B)) >= 2 * SAID as usize);
        assert!(tape.has(0, &only(Tone::C)) >= SAID as usize, "what was said after the last hold");
        let held: Vec<_> = manifest.gaps.iter().filter(|gap| gap.why == "held").map(|gap| gap.side).collect();
        assert_eq!(held, [Side::Right, Side::Right], "{:?}", manifest.gaps);
    })
    .await;
}

#[tokio::test]
async fn another_law_in_the_middle_is_heard_on() {
    calmly(async || {
        let pbx = TestPbx::unusual(PLAN, with("record = \"always\"")).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = crate::call::talk(&alice, &mut bob, "bob").await;
        crate::call::hear_each_other(&mut calling, &mut called).await;
        talks(&calling, 10).await;
        for law in [Law::Alaw, Law::Ulaw] {
            calling.offers(&[law]).await;
            crate::call::hear_each_other(&mut calling, &mut called).await;
            talks(&calling, 10).await;
        }
        calling.hangs_up().await;
        called.is_hung_up().await;
        pbx.records(1).await;
        let (_, tape) = only_one(&pbx);
        assert_eq!(tape.tracks[0].len(), tape.tracks[1].len());
        let wanted = tape.ms() / 100 * 8 / 10;
        let heard = [tape.has(0, &only(Tone::A)), tape.has(1, &only(Tone::B))];
        assert!(heard.iter().all(|heard| *heard >= wanted), "{heard:?} of {} ms", tape.ms());
    })
    .await;
}

#[tokio::test]
async fn a_transferred_leg_is_recorded_on_with_whomever_it_talks_with_on_the_side_it_had() {
    calmly(async || {
        let mut scene = scene("").await;
        let mut carol = scene.pbx.phone("carol").await;
        let transfer =
            Transfer { uuid: scene.uuids[0].clone(), extension: "66".into(), context: None, moves: Moves::This };
        ask(&scene.pbx, method::TRANSFER, &transfer).await;
        scene.agent.is_hung_up().await;
        let mut there = carol.is_called().await;
        there.answers().await;
        there.says(Tone::C).await;
        scene.customer.hears(only(Tone::C)).await;
        talks(&there, 10).await;
        scene.customer.hangs_up().await;
        there.is_hung_up().await;
        let record = scene.pbx.records(1).await.remove(0);
        let (manifest, tape) = only_one(&scene.pbx);
        assert_eq!(record["recorded"][0], manifest.id.to_string());
        assert_eq!(tape.tracks[0].len(), tape.tracks[1].len(), "to the sample");
        assert!(tape.has(0, &only(Tone::A)) >= 2 * SAID as usize, "the customer, all the time");
        let (bob, carol) = (tape.tenths(1, &only(Tone::B)), tape.tenths(1, &only(Tone::C)));
        let is_in_turn = bob.len() >= SAID as usize && carol.len() >= SAID as usize && bob.last() < carol.first();
        assert!(is_in_turn, "first bob {bob:?}, then carol {carol:?} of {} ms", tape.ms());
        let users: Vec<_> = manifest.parties.iter().map(|party| (party.side, party.user.as_deref())).collect();
        assert_eq!(users, [(Side::Left, None), (Side::Right, Some("bob")), (Side::Right, Some("carol"))]);
    })
    .await;
}

#[tokio::test]
async fn a_whisper_is_left_out_or_has_a_track_of_its_own_and_who_listened_is_told() {
    calmly(async || {
        for (settings, tracks) in [("", 2), ("whispers = \"own-track\"", 3)] {
            let mut scene = scene(settings).await;
            let ear =
                scene.spies(&request(&scene.uuids[1], Mode::Whisper, Some(Party::Agent))).await.expect("a session");
            scene.hears([false, true]).await;
            talks(&scene.agent, 10).await;
            ear.leaves();
            scene.hears([false, false]).await;
            ends(&mut scene).await;
            let (manifest, tape) = only_one(&scene.pbx);
            assert_eq!(tape.tracks.len(), tracks);
            for (track, own) in [(0, Tone::A), (1, Tone::B)] {
                assert!(tape.has(track, &only(own)) >= 2 * SAID as usize, "track {track}");
                assert_eq!(tape.has(track, &(own + Tone::Supervisor)), 0, "the supervisor is on no party's track");
            }
            if tracks == 3 {
                assert!(tape.has(2, &only(Tone::Supervisor)) >= SAID as usize);
            }
            let listeners: Vec<_> = manifest.listeners.iter().map(|one| (&*one.user, &*one.mode)).collect();
            assert_eq!(listeners, [("admin", "whisper")]);
            assert!(manifest.listeners[0].until < manifest.ended);
        }
    })
    .await;
}

#[tokio::test]
async fn recordings_of_one_call_do_not_disturb_each_other() {
    calmly(async || {
        let mut scene =
            Scene::on(PLAN, Unusual { user_keys: vec![("bob", "record = \"always\"")], ..Unusual::default() }).await;
        for uuid in scene.uuids.clone() {
            super::orders::order(&scene.pbx, method::RECORD_START, &uuid).await;
        }
        assert_eq!(scene.pbx.pbx.status().recordings, 3);
        talks(&scene.agent, 12).await;
        ends(&mut scene).await;
        let all = super::finished(&scene.pbx);
        assert_eq!(all.len(), 3);
        for (manifest, tape) in all {
            assert!(
                tape.has(0, &only(Tone::A)) >= SAID as usize && tape.has(1, &only(Tone::B)) >= SAID as usize,
                "{manifest:?}"
            );
        }
    })
    .await;
}
