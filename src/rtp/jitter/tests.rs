//! Streams as networks deliver them, and what is then heard.

use super::*;
use proptest::prelude::*;

/// A stream whose sample at time t is `sample_at(t)`; every packet says when it arrives.
struct Stream {
    ptime: i64,
    ssrc: u32,
    offset: u32,
}

impl Stream {
    /// Packet number `number`, which ends at `(number + 1) · ptime`.
    fn insert(&self, buffer: &mut JitterBuffer, number: i64, arrival: i64) -> Inserted {
        let start = number * self.ptime;
        let samples: Vec<i16> = (start..start + self.ptime).map(sample_at).collect();
        buffer.insert(arrival, &self.header(number), &samples)
    }

    fn header(&self, number: i64) -> Header {
        let timestamp = self.offset.wrapping_add((number * self.ptime) as u32);
        Header { marker: false, payload_type: 0, sequence: number as u16, timestamp, ssrc: self.ssrc }
    }
}

const PLAIN: Stream = Stream { ptime: 160, ssrc: 1, offset: 0xffff_f000 };

fn sample_at(time: i64) -> i16 {
    (time % 30_000) as i16 + 1
}

/// Pulls 160 samples; missing ones become 0.
fn pull(buffer: &mut JitterBuffer, now: i64) -> (Vec<i16>, usize) {
    let delay = buffer.wanted_delay(160);
    let (mut out, mut missing) = (vec![0; 160], 0);
    buffer.pull(now, delay, &mut out, |run, samples| {
        if run == Run::Missing {
            missing += samples.len();
            samples.fill(0);
        }
    });
    (out, missing)
}

/// Plays a stream whose packet `n` arrives at `arrival(n)` and returns the missing samples of each frame after the first second.
fn missing_of(stream: &Stream, packets: i64, arrival: impl Fn(i64) -> Option<i64>) -> usize {
    let mut buffer = JitterBuffer::default();
    let mut due: Vec<(i64, i64)> = (0..packets).filter_map(|n| arrival(n).map(|at| (at, n))).collect();
    due.sort_unstable();
    let mut due = due.into_iter().peekable();
    let (mut missing, end) = (0, packets * stream.ptime);
    for tick in 1..end / 160 {
        let now = tick * 160 + 37;
        while let Some((at, number)) = due.next_if(|(at, _)| *at <= now) {
            stream.insert(&mut buffer, number, at);
        }
        let (_, lost) = pull(&mut buffer, now);
        missing += if now > 8_000 { lost } else { 0 };
    }
    missing
}

#[test]
fn a_clean_stream_is_played_whole_at_any_packet_time() {
    for ptime_ms in [10, 20, 30, 40, 50, 60] {
        let stream = Stream { ptime: ptime_ms * 8, ..PLAIN };
        let missing = missing_of(&stream, 4_000 / ptime_ms, |n| Some((n + 1) * ptime_ms * 8));
        assert_eq!(missing, 0, "{ptime_ms} ms");
    }
}

#[test]
fn samples_come_out_in_order_after_reordering_and_duplicates() {
    let mut buffer = JitterBuffer::default();
    let mut heard = Vec::new();
    for pair in 0..50 {
        let now = (2 * pair + 2) * 160;
        PLAIN.insert(&mut buffer, 2 * pair + 1, now);
        PLAIN.insert(&mut buffer, 2 * pair, now);
        PLAIN.insert(&mut buffer, 2 * pair, now);
        for tick in 0..2 {
            heard.extend(pull(&mut buffer, now + tick * 160).0);
        }
    }
    let start = heard.iter().position(|&sample| sample == sample_at(1_600)).expect("the tenth packet");
    let steady = &heard[start..start + 4_800];
    let breaks = steady.windows(2).filter(|pair| pair[1] - pair[0] > 2 || pair[1] < pair[0]).count();
    assert_eq!(breaks, 0);
}

#[test]
fn a_lost_packet_is_missing_once() {
    let lost = missing_of(&PLAIN, 200, |n| (n != 100).then_some((n + 1) * 160));
    assert_eq!(lost, 160);
}

#[test]
fn jitter_of_30_ms_is_absorbed_once_known() {
    // A fixed pattern of delays up to 30 ms, seen within the first second.
    let missing = missing_of(&PLAIN, 500, |n| Some((n + 1) * 160 + (n * 7_919 % 31) * 8));
    assert!(missing <= 160, "{missing} samples missing");
}

#[test]
fn clock_drift_of_200_ppm_is_followed_without_a_hole() {
    for ppm in [200, -200] {
        let missing = missing_of(&PLAIN, 6_000, |n| Some((n + 1) * 160 + (n + 1) * 160 * ppm / 1_000_000));
        assert_eq!(missing, 0, "{ppm} ppm");
    }
}

#[test]
fn a_new_source_is_heard_at_once() {
    let mut buffer = JitterBuffer::default();
    let other = Stream { ssrc: 2, offset: 77, ..PLAIN };
    for n in 0..20 {
        PLAIN.insert(&mut buffer, n, (n + 1) * 160);
        pull(&mut buffer, (n + 1) * 160);
    }
    assert_eq!(other.insert(&mut buffer, 20, 21 * 160), Inserted::Restarted);
    let mut first_heard = None;
    for n in 21..30 {
        other.insert(&mut buffer, n, (n + 1) * 160);
        let (_, missing) = pull(&mut buffer, (n + 1) * 160);
        first_heard = first_heard.or((missing == 0).then_some(n));
    }
    assert!(first_heard.is_some_and(|n| n <= 24), "{first_heard:?}");
}

#[test]
fn a_clock_set_back_is_heard_again_soon() {
    let mut buffer = JitterBuffer::default();
    for n in 0..100 {
        PLAIN.insert(&mut buffer, n, (n + 1) * 160);
        pull(&mut buffer, (n + 1) * 160);
    }
    let set_back = Stream { offset: PLAIN.offset.wrapping_sub(8_000), ..PLAIN };
    let mut silent = 0;
    for n in 100..150 {
        set_back.insert(&mut buffer, n, (n + 1) * 160);
        silent += usize::from(pull(&mut buffer, (n + 1) * 160).1 == 160);
    }
    assert!(silent <= 14, "{silent} frames without sound");
}

#[test]
fn sound_after_a_long_silence_is_played_at_its_place() {
    let missing = missing_of(&PLAIN, 300, |n| (!(100..250).contains(&n)).then_some((n + 1) * 160));
    assert_eq!(missing, 150 * 160);
}

#[test]
fn two_streams_played_with_one_delay_are_aligned_within_a_millisecond() {
    let (mut left, mut right) = (JitterBuffer::default(), JitterBuffer::default());
    let long = Stream { ptime: 480, ssrc: 9, offset: 12_345 };
    let mut worst = 0;
    for tick in 0..180i64 {
        let now = tick * 160 + 5;
        PLAIN.insert(&mut left, tick, (tick + 1) * 160 + tick % 3);
        if tick % 3 == 2 {
            long.insert(&mut right, tick / 3, (tick + 1) * 160 + tick % 2);
        }
        let delay = left.wanted_delay(160).max(right.wanted_delay(160));
        let (mut a, mut b) = ([0i16; 160], [0i16; 160]);
        left.pull(now + 160, delay, &mut a, |_, _| {});
        right.pull(now + 160, delay, &mut b, |_, _| {});
        if tick > 40 {
            worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).max().unwrap_or(0).max(worst);
        }
    }
    assert!(worst <= 8, "{worst} samples apart");
}

#[test]
fn nothing_received_is_missing() {
    assert_eq!(pull(&mut JitterBuffer::default(), 5_000), (vec![0; 160], 160));
}

proptest! {
    #[test]
    fn no_packets_however_wild_break_the_beat(
        packets in prop::collection::vec((any::<u32>(), 0usize..700, 0u32..3, 0i64..4_000), 0..80)
    ) {
        let mut buffer = JitterBuffer::default();
        let mut now = 0;
        for (timestamp, length, ssrc, wait) in packets {
            now += wait;
            let header = Header { marker: false, payload_type: 0, sequence: 0, timestamp, ssrc };
            buffer.insert(now, &header, &vec![1; length]);
            let (out, _) = pull(&mut buffer, now);
            prop_assert_eq!(out.len(), 160);
        }
    }
}
