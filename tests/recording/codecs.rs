//! Calls in codecs that media threads only pass on: what the recorder makes of them.

use wirechief::control::protocol::{Moves, Transfer, method};
use wirechief::outbox::Manifest;

use super::{SAID, only_one, talks, with};
use crate::call::{hear_each_other, talk};
use crate::harness::{ABOVE_HZ, Call, Law, Phone, Tape, TestPbx, Tone, Unusual, calmly, only};
use crate::verbs::ask;

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10,g)\nexten => 66,1,Dial(SIP/carol,10)";

/// A server that records all calls, with these settings beside, and speaks these codecs.
async fn server(settings: &str, codecs: &'static str) -> TestPbx {
    let unusual = with(&format!("record = \"always\"\n{settings}"));
    TestPbx::unusual(PLAN, Unusual { codecs: Some(codecs), ..unusual }).await
}

async fn phone(pbx: &TestPbx, user: &str, laws: &[Law]) -> Phone {
    pbx.plugs_in(crate::harness::Profile { laws: laws.to_vec(), ..pbx.profile(user) }).await
}

/// Alice and bob, who share these codecs, talk; both say their tones.
async fn call(pbx: &TestPbx, laws: &[Law]) -> (Call, Call) {
    let (alice, mut bob) = (phone(pbx, "alice", laws).await, phone(pbx, "bob", laws).await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    calling.says(Tone::A).await;
    called.says(Tone::B).await;
    (calling, called)
}

/// Both hear so many tenths of a second of each other.
async fn go_on(calling: &Call, called: &Call, tenths: u32) {
    tokio::join!(talks(calling, tenths), talks(called, tenths));
}

/// One of them hangs up: he who was asked to change his codec, if anybody was.
async fn ends(pbx: &TestPbx, mut first: Call, mut second: Call) -> (Manifest, Tape) {
    first.was_asked_to_change();
    first.hangs_up().await;
    second.is_hung_up().await;
    pbx.is_idle().await;
    pbx.records(1).await;
    let (manifest, tape) = only_one(pbx);
    assert_eq!(tape.tracks[0].len(), tape.tracks[1].len(), "to the sample");
    assert_eq!(manifest.audio.rate_hz as usize, tape.rate_hz);
    (manifest, tape)
}

/// Most of a call sounds so.
fn is_most(tenths: usize, tape: &Tape) -> bool {
    tenths >= tape.ms() / 100 * 7 / 10
}

#[tokio::test]
async fn a_call_in_g722_or_opus_is_recorded_wide_with_each_party_on_its_side() {
    calmly(async || {
        for (law, codecs) in [(Law::G722, r#"["g722", "ulaw"]"#), (Law::Opus, r#"["opus", "ulaw"]"#)] {
            let pbx = server("", codecs).await;
            let (calling, called) = call(&pbx, &[law, Law::Ulaw]).await;
            go_on(&calling, &called, 20).await;
            let (manifest, tape) = ends(&pbx, calling, called).await;
            assert_eq!((tape.rate_hz, tape.tracks.len()), (16_000, 2), "{law:?}");
            let heard = [tape.has(0, &only(Tone::A)), tape.has(1, &only(Tone::B))];
            assert!(heard.iter().all(|heard| is_most(*heard, &tape)), "{law:?}: {heard:?} of {} ms", tape.ms());
            let above = [tape.tenths_with(0, ABOVE_HZ[0]).len(), tape.tenths_with(1, ABOVE_HZ[1]).len()];
            assert!(above.iter().all(|heard| is_most(*heard, &tape)), "{law:?}: {above:?} of {} ms", tape.ms());
            assert!(tape.tenths_with(0, ABOVE_HZ[1]).is_empty() && tape.tenths_with(1, ABOVE_HZ[0]).is_empty());
            assert!(manifest.gaps.iter().all(|gap| gap.why != "cannot be decoded"), "{:?}", manifest.gaps);
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_that_goes_from_law_to_g722_to_opus_and_back_is_heard_all_the_time_at_the_rate_it_was_given() {
    calmly(async || {
        for (settings, rate_hz) in [("", 8_000), ("rate = 16000", 16_000), ("rate = 48000", 48_000)] {
            let pbx = server(settings, r#"["ulaw", "g722", "opus"]"#).await;
            let (mut calling, mut called) = call(&pbx, &[Law::Ulaw, Law::G722, Law::Opus]).await;
            hear_each_other(&mut calling, &mut called).await;
            go_on(&calling, &called, 5).await;
            for law in [Law::G722, Law::Opus] {
                calling.offers(&[law]).await;
                go_on(&calling, &called, 7).await;
            }
            calling.offers(&[Law::Ulaw]).await;
            hear_each_other(&mut calling, &mut called).await;
            go_on(&calling, &called, 5).await;
            let (manifest, tape) = ends(&pbx, called, calling).await;
            assert_eq!(tape.rate_hz, rate_hz);
            let heard = [tape.has(0, &only(Tone::A)), tape.has(1, &only(Tone::B))];
            assert!(
                heard.iter().all(|heard| is_most(*heard, &tape)),
                "{heard:?} of {} ms: {:?}",
                tape.ms(),
                manifest.gaps
            );
            let wide = tape.tenths_with(1, ABOVE_HZ[1]);
            assert!(
                wide.len() >= SAID as usize && wide.len() < tape.ms() / 100 - 8,
                "{wide:?} at {rate_hz} Hz: {:?}",
                manifest.gaps
            );
            // While one phone has changed already and the other has not, nothing is passed on.
            assert!(wide[wide.len() - 1] - wide[0] < wide.len() + 4, "in the middle: {wide:?}");
            if rate_hz > 8_000 {
                assert!(tape.tenths_with(0, ABOVE_HZ[0]).len() >= SAID as usize);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_caller_in_g722_who_is_transferred_to_a_phone_without_it_is_recorded_on_with_both() {
    calmly(async || {
        let pbx = server("", r#"["g722", "ulaw"]"#).await;
        let (calling, mut called) = call(&pbx, &[Law::G722, Law::Ulaw]).await;
        let mut carol = phone(&pbx, "carol", &[Law::Ulaw]).await;
        go_on(&calling, &called, 12).await;
        let uuid = pbx.calls().await[0].legs[0].uuid.clone();
        let transfer = Transfer { uuid, extension: "66".into(), context: None, moves: Moves::This };
        ask(&pbx, method::TRANSFER, &transfer).await;
        called.is_hung_up().await;
        let mut there = carol.is_called().await;
        there.answers().await;
        there.says(Tone::C).await;
        go_on(&calling, &there, 12).await;
        let (manifest, tape) = ends(&pbx, calling, there).await;
        assert_eq!(tape.rate_hz, 16_000);
        let (wide, all) = (tape.tenths_with(0, ABOVE_HZ[0]).len(), tape.has(0, &only(Tone::A)));
        assert!(
            wide >= SAID as usize && all >= wide + SAID as usize,
            "{wide} of {all} tenths are wide: {:?}",
            manifest.gaps
        );
        let (bob, carol) = (tape.tenths(1, &only(Tone::B)), tape.tenths(1, &only(Tone::C)));
        assert!(
            bob.len() >= SAID as usize && carol.len() >= SAID as usize && bob.last() < carol.first(),
            "{bob:?} {carol:?}"
        );
        let users: Vec<_> = manifest.parties.iter().filter_map(|party| party.user.as_deref()).collect();
        assert_eq!(users, ["alice", "bob", "carol"]);
    })
    .await;
}

#[tokio::test]
async fn what_nobody_here_can_decode_stays_a_gap_that_says_so() {
    calmly(async || {
        let pbx = server("", r#"["ulaw", "g729"]"#).await;
        let (mut calling, mut called) = call(&pbx, &[Law::Ulaw, Law::G729]).await;
        hear_each_other(&mut calling, &mut called).await;
        go_on(&calling, &called, 5).await;
        calling.offers(&[Law::G729]).await;
        go_on(&calling, &called, 10).await;
        calling.offers(&[Law::Ulaw]).await;
        hear_each_other(&mut calling, &mut called).await;
        let (manifest, tape) = ends(&pbx, called, calling).await;
        let gaps: Vec<_> = manifest.gaps.iter().filter(|gap| gap.why == "cannot be decoded").collect();
        assert_eq!((gaps.len(), tape.rate_hz), (2, 8_000), "one of each party: {:?}", manifest.gaps);
        assert!(gaps.iter().all(|gap| gap.ms >= 800), "{gaps:?}");
    })
    .await;
}
