//! Where sound comes to lie in time, whatever the network does to it.

use super::*;
use crate::recorder::Rate;
use crate::recorder::line::{Line, Stretch};
use proptest::prelude::*;

/// Numbers by chance, always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

#[test]
fn two_parties_are_left_and_right_with_one_length_to_the_sample() {
    let mut stand = Stand::new(|_| {});
    Talker::left().talk(&mut stand, 0, 3_000);
    Talker::right().talk(&mut stand, 1_000, 2_500);
    let (finished, tracks) = stand.finish(3_011);
    assert_eq!((finished.frames, finished.channels, finished.rate_hz), (3_011 * 8, 2, 8_000));
    assert!(sounds(&tracks[0], 0..3_000, LEFT_HZ) && is_silent(&tracks[0], 3_001..3_011));
    assert!(is_silent(&tracks[1], 0..999) && sounds(&tracks[1], 1_001..2_499, RIGHT_HZ));
    assert!(is_silent(&tracks[1], 2_501..3_011));
    assert_eq!((finished.packets.received, finished.packets.lost, finished.packets.late), (225, 0, 0));
    assert_eq!((finished.gaps, finished.error, finished.dropped), (vec![], None, 0));
}

#[test]
fn lost_packets_are_a_marked_gap_of_silence_and_time_stays_right() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    (0..5).for_each(|_| left.next());
    left.talk(&mut stand, 1_100, 2_000);
    let (finished, tracks) = stand.finish(2_000);
    assert_eq!(gaps(&finished), [(Side::Left, 1_000, 100, Why::Lost)]);
    assert_eq!(finished.packets.lost, 5);
    assert!(is_silent(&tracks[0], 1_001..1_099) && sounds(&tracks[0], 1_101..1_999, LEFT_HZ));
}

#[test]
fn disorder_and_jitter_lose_nothing() {
    let mut stand = Stand::new(|_| {});
    let (mut left, mut dice) = (Talker::left(), Dice(7));
    for at in (0..10_000).step_by(20) {
        left.speak(&mut stand, (at + 20 + dice.roll(120)) as f64);
    }
    let (finished, tracks) = stand.finish(10_300);
    assert_eq!((gaps(&finished), finished.packets.lost, finished.packets.late), (vec![], 0, 0));
    // The path without jitter is known after a second or two.
    assert!(sounds(&tracks[0], 4_000..5_000, LEFT_HZ) && sounds(&tracks[0], 7_000..9_000, LEFT_HZ));
}

#[test]
fn a_network_that_stands_still_for_most_of_a_second_loses_nothing() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    (0..40).for_each(|at| left.speak(&mut stand, 1_800.0 + f64::from(at) / 10.0));
    left.talk(&mut stand, 1_800, 3_000);
    let (finished, tracks) = stand.finish(3_200);
    assert_eq!((gaps(&finished), finished.packets.lost, finished.packets.late), (vec![], 0, 0));
    assert!(sounds(&tracks[0], 0..3_000, LEFT_HZ), "also what was silence on the disk before it came");
}

#[test]
fn a_path_that_becomes_longer_and_shorter_again_costs_no_word() {
    let mut stand = Stand::new(|_| {});
    let (mut left, mut last) = (Talker::left(), 0.0f64);
    for at in (0..8_000u32).step_by(20) {
        let delay = if (2_000..5_000).contains(&at) { 400.0 } else { 0.0 };
        last = (f64::from(at) + 20.0 + delay).max(last + 0.1); // one after the other
        left.speak(&mut stand, last);
    }
    let (finished, tracks) = stand.finish(8_600);
    assert_eq!((finished.packets.lost, finished.packets.late), (0, 0));
    let sounding = tracks[0].iter().filter(|&&sample| sample != 0).count();
    assert!((62_000..66_000).contains(&sounding), "{sounding} samples of 64,000");
    assert!(sounds(&tracks[0], 0..2_000, LEFT_HZ));
}

#[test]
fn what_comes_far_too_late_is_counted_and_stays_a_gap() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    let (numbers, content) = ((left.sequence, left.timestamp, left.ssrc), (Origin::Left, Content::Sound(Codec::Pcmu)));
    stand.send(2_700.0, content, numbers, vec![0; 160]);
    left.next();
    left.talk(&mut stand, 1_020, 4_000);
    let (finished, tracks) = stand.finish(4_000);
    assert_eq!(gaps(&finished), [(Side::Left, 1_000, 20, Why::Lost)]);
    assert_eq!((finished.packets.lost, finished.packets.late), (0, 1), "it restarts nothing, and is not heard");
    assert!(is_silent(&tracks[0], 1_001..1_019) && sounds(&tracks[0], 1_021..3_999, LEFT_HZ));
}

#[test]
fn a_change_of_codec_or_source_goes_on_where_it_was() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    left.codec = Codec::Pcma;
    left.talk(&mut stand, 1_000, 2_000);
    (left.ssrc, left.sequence, left.timestamp) = (99, 7, 123_456_789);
    left.talk(&mut stand, 2_000, 3_000);
    (left.sequence, left.timestamp) = (40_000, 5);
    left.talk(&mut stand, 3_000, 4_000);
    let (finished, tracks) = stand.finish(4_000);
    assert_eq!((gaps(&finished), finished.frames), (vec![], 32_000));
    assert!(sounds(&tracks[0], 0..4_000, LEFT_HZ));
}

#[test]
fn silence_that_is_not_sent_is_silence_and_no_loss() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    left.timestamp = left.timestamp.wrapping_add(1_500 * 8);
    left.talk(&mut stand, 2_500, 3_500);
    left.timestamp = left.timestamp.wrapping_add(5_000 * 8);
    left.talk(&mut stand, 8_500, 9_000);
    let (finished, tracks) = stand.finish(9_000);
    assert_eq!(gaps(&finished), [(Side::Left, 3_500, 5_000, Why::Nothing)], "more than two seconds are told");
    assert!(is_silent(&tracks[0], 1_001..2_499) && sounds(&tracks[0], 2_501..3_499, LEFT_HZ));
    assert!(sounds(&tracks[0], 8_501..8_999, LEFT_HZ));
}

#[test]
fn a_clock_that_stood_still_is_put_right_by_arrivals() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    left.talk(&mut stand, 1_700, 4_000); // the time stamps know nothing of the 700 ms
    let (finished, tracks) = stand.finish(4_000);
    assert!(sounds(&tracks[0], 2_200..3_999, LEFT_HZ), "{:?}", gaps(&finished));
    assert_eq!(finished.packets.lost, 0);
}

#[test]
fn keys_are_silence_and_no_loss() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    for at in 0..10 {
        let numbers = (left.sequence, left.timestamp, left.ssrc);
        stand.send(f64::from(1_020 + at * 20), (Origin::Left, Content::Digit), numbers, Vec::new());
        left.sequence = left.sequence.wrapping_add(1);
    }
    left.timestamp = left.timestamp.wrapping_add(200 * 8);
    left.talk(&mut stand, 1_200, 2_000);
    let (finished, tracks) = stand.finish(2_000);
    assert_eq!((gaps(&finished), finished.packets.lost), (vec![], 0));
    assert!(is_silent(&tracks[0], 1_001..1_199) && sounds(&tracks[0], 1_201..1_999, LEFT_HZ));
}

#[test]
fn a_stretch_that_cannot_be_decoded_is_silence_with_that_reason() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    stand.mark(1_000.0, Origin::Left, Mark::Undecodable);
    stand.mark(2_000.0, Origin::Left, Mark::Held);
    stand.mark(3_000.0, Origin::Left, Mark::Unheld);
    stand.mark(5_000.0, Origin::Left, Mark::Decodable);
    left.timestamp = left.timestamp.wrapping_add(4_000 * 8);
    left.talk(&mut stand, 5_000, 6_000);
    let (finished, tracks) = stand.finish(6_500);
    let mut found = gaps(&finished);
    found.sort_by_key(|(_, from, ..)| *from);
    assert_eq!(found, [(Side::Left, 1_000, 4_000, Why::Undecodable), (Side::Left, 2_000, 1_000, Why::Held)]);
    assert!(is_silent(&tracks[0], 1_001..4_999) && sounds(&tracks[0], 5_001..5_999, LEFT_HZ));
}

#[test]
fn a_hold_is_marked_and_nothing_else_is_told_of_it() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    stand.mark(1_000.0, Origin::Left, Mark::Held);
    stand.mark(5_000.0, Origin::Left, Mark::Unheld);
    left.timestamp = left.timestamp.wrapping_add(4_000 * 8);
    left.talk(&mut stand, 5_000, 6_000);
    stand.mark(6_000.0, Origin::Right, Mark::Held);
    let (finished, _) = stand.finish(6_500);
    let held = [(Side::Left, 1_000, 4_000, Why::Held), (Side::Right, 6_000, 500, Why::Held)];
    assert_eq!(gaps(&finished), held);
}

#[test]
fn copies_that_did_not_fit_are_counted_and_the_gap_is_ours() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    stand.run(1_000);
    left.talk(&mut stand, 1_000, 11_000);
    stand.queue.sort_by_key(|(copied, _)| copied.at_us);
    stand.arrive(START_US + 11_000_000); // the recorder does not come
    stand.beat_us = START_US + 11_000_000;
    left.talk(&mut stand, 11_000, 12_000);
    let (finished, tracks) = stand.finish(12_000);
    assert!(finished.dropped > 100, "{}", finished.dropped);
    assert_eq!((finished.gaps.len(), finished.gaps[0].why, finished.packets.lost), (1, Why::Dropped, 0));
    assert!(sounds(&tracks[0], 11_001..11_999, LEFT_HZ));
}

#[test]
fn a_loss_of_ours_is_told_as_such_whoever_was_copied_first_afterwards() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    stand.mark(1_050.0, Origin::Supervisor, Mark::Dropped(5));
    (0..5).for_each(|_| left.next());
    left.talk(&mut stand, 1_100, 2_000);
    let (finished, _) = stand.finish(2_000);
    assert_eq!(gaps(&finished), [(Side::Left, 1_000, 100, Why::Dropped)]);
}

#[test]
fn nothing_is_laid_far_ahead_of_its_time() {
    let mut line = Line::new(0, Rate::Hz8000, 0);
    for number in 0..2_000u16 {
        let arrived = i64::from(number) * 160 + 160;
        let copied = Copied {
            at_us: 0,
            origin: Origin::Left,
            content: Content::Sound(Codec::Pcmu),
            sequence: number,
            timestamp: u32::from(number) * 1_600,
            ssrc: 1,
        };
        let laid = line.take(&copied, arrived, &mut vec![1; 160], Stretch::Bytes);
        assert!(laid.is_some_and(|laid| laid.start - arrived <= 1_300 * 8), "{number}: {laid:?}");
        line.forget_before(arrived - 8_000);
    }
}

/// An hour of two parties whose clocks are apart; both say a click each second of real time. The greatest distance of two clicks.
fn clicks_apart(ppm: i64, jitter_us: u64) -> i64 {
    let mut lines = [Line::new(0, Rate::Hz8000, 0), Line::new(0, Rate::Hz8000, 0)];
    let mut dice = Dice(3);
    let mut apart = 0;
    let (mut found, mut spare) = ([Vec::new(), Vec::new()], Vec::new());
    // Each party: samples its clock has made, and the next second that clicks.
    let mut made = [0i64; 2];
    for second in 0..3_600i64 {
        for (side, line) in lines.iter_mut().enumerate() {
            let rate = if side == 0 { 8_000_000_000 } else { 8_000_000_000 + ppm * 8_000 }; // samples in 10⁶ s
            while (made[side] + 160) * 1_000_000 <= (second + 1) * rate {
                let (start, click) =
                    (made[side], ((second * 1_000_000 + 500_000) as i128 * rate as i128 / 1_000_000_000_000) as i64);
                let mut cells = vec![0i16; 160];
                if let Some(cell) = usize::try_from(click - start).ok().and_then(|at| cells.get_mut(at)) {
                    *cell = 20_000;
                }
                made[side] += 160;
                let us =
                    (made[side] as i128 * 1_000_000_000_000 / rate as i128) as i64 + dice.roll(jitter_us + 1) as i64;
                let content = Content::Sound(Codec::Pcmu);
                let origin = if side == 0 { Origin::Left } else { Origin::Right };
                let (sequence, timestamp) = ((start / 160) as u16, start as u32);
                let copied = Copied { at_us: us as u64, origin, content, sequence, timestamp, ssrc: 1 };
                line.take(&copied, us * 8 / 1_000, &mut cells, Stretch::Lines);
            }
            if second > 1 {
                let from = (second - 1) * 8_000;
                let heard = line.read(&(from - 8_000..from), &mut spare);
                let loudest = heard.iter().enumerate().max_by_key(|(_, cell)| **cell);
                found[side].push(loudest.filter(|(_, cell)| **cell > 5_000).map(|(at, _)| at as i64));
                line.forget_before(from - 8_000);
            }
        }
    }
    for (left, right) in found[0].iter().zip(&found[1]).skip(5) {
        let (left, right) = (left.expect("a click"), right.expect("a click"));
        apart = apart.max((left - right).abs());
    }
    assert!(lines.iter_mut().all(|line| line.take_gone().next().is_none() && line.packets.lost == 0));
    apart
}

#[test]
fn clocks_200_ppm_apart_stay_aligned_within_a_millisecond_for_an_hour() {
    for (ppm, jitter_us) in [(200, 0), (-200, 5_000)] {
        let apart = clicks_apart(ppm, jitter_us);
        assert!(apart <= 8, "{ppm} ppm, {jitter_us} µs of jitter: {apart} samples");
    }
}

#[test]
fn a_drift_is_followed_without_clicks() {
    let mut stand = Stand::new(|_| {});
    let mut right = Talker::right();
    for packet in 1..1_500 {
        right.speak(&mut stand, f64::from(packet) * 20.0 * 1.000_5); // 500 ppm slow
    }
    let (_, tracks) = stand.finish(30_000);
    // A tone of 700 Hz at this level moves less than this from sample to sample.
    let most = 10_362.0 * 700.0 * std::f32::consts::TAU / 8_000.0;
    let steps = tracks[1][160..239_000].windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
    let greatest = steps.max().expect("samples");
    assert!((greatest as f32) < most * 1.15, "{greatest} of {most}");
}

/// How high a tone is, by the times it crosses zero upwards, in Hz.
fn height(samples: &[i16]) -> f64 {
    let pairs = samples.windows(2).enumerate();
    let rises = pairs.filter(|(_, pair)| pair[0] < 0 && pair[1] >= 0).map(|(at, pair)| {
        let (low, high) = (f64::from(pair[0]), f64::from(pair[1]));
        at as f64 + low / (low - high)
    });
    let rises: Vec<f64> = rises.collect();
    (rises.len() - 1) as f64 * 8_000.0 / (rises[rises.len() - 1] - rises[0])
}

#[test]
fn a_stream_that_rejoins_late_is_put_right_so_that_nobody_hears_it() {
    // What the first packet of the new stream is later than those that follow.
    for late_ms in [5.0, 20.0, 40.0, 59.0] {
        let mut stand = Stand::new(|_| {});
        let mut left = Talker::left();
        left.talk(&mut stand, 0, 1_000);
        (left.ssrc, left.sequence, left.timestamp) = (77, 300, 99);
        left.oscillator = Oscillator::new([LEFT_HZ, 0.0], -10.0);
        for packet in 0..300 {
            let regular = f64::from(packet) * 20.0 + 3_020.0;
            left.speak(&mut stand, regular.max(3_020.0 + late_ms + f64::from(packet) / 10.0));
        }
        Talker::right().talk(&mut stand, 0, 9_000);
        let (finished, tracks) = stand.finish(9_000);
        assert_eq!((tracks[0].len(), tracks[1].len(), finished.packets.lost), (72_000, 72_000, 0));
        let from = (3_000.0 + late_ms) as usize + 1;
        assert!(is_silent(&tracks[0], 1_001..from - 2), "{late_ms} ms late");
        for at in (from..8_700).step_by(100) {
            let hz = height(&tracks[0][at * 8..(at + 200) * 8]);
            assert!((hz / f64::from(LEFT_HZ) - 1.0).abs() < 0.03, "{late_ms} ms late: {hz} Hz at {at} ms");
        }
        // A tone of this height and level moves less than this from sample to sample.
        let most = 10_362.0 * LEFT_HZ * std::f32::consts::TAU / 8_000.0;
        let sound = &tracks[0][from * 8..8_900 * 8];
        let greatest = sound.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        assert!(greatest.is_some_and(|step| (step as f32) < most * 1.15), "{late_ms} ms late: {greatest:?} of {most}");
        assert!(sounds(&tracks[0], 8_000..8_900, LEFT_HZ), "{late_ms} ms late: in its place again");
        let end = tracks[0].iter().rposition(|&sample| sample != 0).expect("sound");
        assert!(end.abs_diff(72_000) <= 16 + 24, "{late_ms} ms late: it ends at {end}");
    }
}

fn copies() -> impl Strategy<Value = (u64, Copied, Vec<u8>)> {
    let origin = prop_oneof![Just(Origin::Left), Just(Origin::Right), Just(Origin::Supervisor)];
    let content = prop_oneof![
        4 => Just(Content::Sound(Codec::Pcmu)),
        1 => Just(Content::Sound(Codec::Pcma)),
        1 => Just(Content::Samples),
        1 => Just(Content::Digit),
        1 => Just(Content::Mark(Mark::Held)),
        1 => Just(Content::Mark(Mark::Unheld)),
        1 => Just(Content::Mark(Mark::Dropped(3))),
    ];
    let length = prop_oneof![Just(160usize), 0usize..2_000];
    let stamp = prop_oneof![any::<u32>(), 0u32..10_000];
    let head = (0u64..120_000, origin, content, any::<u16>(), stamp, 0u32..3, length);
    head.prop_map(|(after_us, origin, content, sequence, timestamp, ssrc, length)| {
        (after_us, Copied { at_us: 0, origin, content, sequence, timestamp, ssrc }, vec![0x90; length])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_packets_give_a_file_of_the_right_length(packets in proptest::collection::vec((copies(), 0u8..12), 1..150)) {
        let mut stand = Stand::new(|order| order.whispers = super::super::Whispers::OwnTrack);
        let (mut us, mut paused, mut cut) = (0, None, 0);
        for ((after_us, copied, payload), wish) in packets {
            us += after_us;
            stand.queue.push((Copied { at_us: START_US + us, ..copied }, payload));
            let ms = us / 1_000;
            let wish = match wish {
                0 => Wish::Pause,
                1 => Wish::Resume,
                2 => Wish::Mask,
                3 => Wish::Unmask,
                _ => continue,
            };
            match wish {
                Wish::Pause => paused = paused.or(Some(ms)),
                Wish::Resume => cut += paused.take().map_or(0, |from| ms - from),
                _ => {}
            }
            stand.wish(ms, &wish);
        }
        let ms = us / 1_000 + 50;
        cut += paused.map_or(0, |from| ms - from);
        let (finished, _) = stand.finish(ms);
        prop_assert_eq!(finished.frames, (ms - cut) * 8);
    }
}
