//! Copies from several media threads, whole and in order, each to its recording.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const ALL: u64 = u64::MAX;

fn at(ms: u64) -> Moment {
    Moment::default().after(Duration::from_millis(ms))
}

fn header(sequence: u16) -> Header {
    Header { marker: false, payload_type: 8, sequence, timestamp: u32::from(sequence) * 160, ssrc: 9 }
}

fn say(copies: &mut Copies, sequence: u16, when: (u64, &mut Option<CopyWriter>)) {
    say_bytes(copies, (sequence, 1_000), when);
}

fn say_bytes(copies: &mut Copies, (sequence, length): (u16, usize), (ms, ring): (u64, &mut Option<CopyWriter>)) {
    let payload = vec![sequence as u8; length];
    copies.packet(Side::Left, Content::Sound(Codec::Pcmu), (&header(sequence), &payload), (at(ms), ring));
}

/// The numbers of a recording's packets.
fn numbers(intake: &mut Intake, key: &CopyKey, until_us: u64) -> Vec<u16> {
    intake.gather();
    let mut numbers = Vec::new();
    while let Some((copied, payload)) = intake.of(key).next_until(until_us) {
        assert_eq!(payload, [copied.sequence as u8; 1_000]);
        numbers.push(copied.sequence);
    }
    numbers
}

#[test]
fn copies_come_out_as_they_went_in() {
    let (link, mut intake) = CopyLink::new();
    let (mut copies, key) = link.recording(mpsc::channel(1).0);
    let mut ring = copies.provide(&mut None);
    intake.gather();
    assert_eq!(intake.of(&key).next_until(ALL), None);
    copies.mark(Side::Left, Mark::Held, (at(1), &mut ring));
    copies.packet(Side::Right, Content::Sound(Codec::Pcma), (&header(7), &[5; 160]), (at(2), &mut ring));
    copies.packet(Side::Left, Content::Digit, (&header(8), &[]), (at(3), &mut ring));
    for foreign in [Foreign::G722, Foreign::Gsm, Foreign::Opus] {
        let payload = [foreign as u8; 99];
        copies.packet(Side::Left, Content::Foreign(foreign), (&header(9), &payload), (at(4), &mut ring));
    }
    copies.samples((Origin::Supervisor, 77), &[-2; 160], (at(4), &mut ring));
    assert_eq!(intake.of(&key).next_until(ALL), None, "nothing was gathered");
    intake.gather();
    let (mark, _) = intake.of(&key).next_until(ALL).expect("a mark");
    assert_eq!((mark.at_us, mark.origin, mark.content), (1_000, Origin::Left, Content::Mark(Mark::Held)));
    assert_eq!(intake.of(&key).next_until(1_999), None, "not yet");
    let (sound, payload) = intake.of(&key).next_until(2_000).expect("a packet");
    assert_eq!((sound.origin, sound.content), (Origin::Right, Content::Sound(Codec::Pcma)));
    assert_eq!((sound.sequence, sound.timestamp, sound.ssrc, payload), (7, 1_120, 9, &[5; 160][..]));
    assert_eq!(intake.of(&key).next_until(ALL).map(|(copied, _)| copied.content), Some(Content::Digit));
    for foreign in [Foreign::G722, Foreign::Gsm, Foreign::Opus] {
        let (copied, payload) = intake.of(&key).next_until(ALL).expect("a packet");
        assert_eq!((copied.content, payload), (Content::Foreign(foreign), &[foreign as u8; 99][..]));
    }
    let (said, payload) = intake.of(&key).next_until(ALL).expect("samples");
    assert_eq!((said.origin, said.content, said.ssrc), (Origin::Supervisor, Content::Samples, 77));
    assert_eq!((payload.len(), &payload[..2]), (320, &[0xfe, 0xff][..]));
    assert_eq!(intake.of(&key).next_until(ALL), None);
}

#[test]
fn what_does_not_fit_is_counted_and_marked_where_it_is_missing() {
    let (link, mut intake) = CopyLink::new();
    let (mut copies, key) = link.recording(mpsc::channel(1).0);
    let mut ring = copies.provide(&mut None);
    let fit = (RING_BYTES / (1_000 + HEAD)) as u16;
    // A little in each quarter of a second.
    (0..fit + 3).for_each(|sequence| say(&mut copies, sequence, (u64::from(sequence) * 20, &mut ring)));
    assert_eq!(key.dropped(), 3);
    assert_eq!(numbers(&mut intake, &key, ALL), (0..fit).collect::<Vec<_>>());
    say(&mut copies, 500, (9_000, &mut ring));
    intake.gather();
    let dropped = intake.of(&key).next_until(ALL).map(|(copied, _)| copied.content);
    assert_eq!(dropped, Some(Content::Mark(Mark::Dropped(3))));
    assert_eq!(numbers(&mut intake, &key, ALL), [500]);
}

#[test]
fn one_who_sends_without_end_takes_no_others_room() {
    let (link, mut intake) = CopyLink::new();
    let recordings: Vec<_> = (0..3).map(|_| link.recording(mpsc::channel(1).0)).collect();
    let [(mut flood, flooded), (mut calm, key), _] = <[_; 3]>::try_from(recordings).expect("three");
    let mut ring = calm.provide(&mut None);
    for sequence in 0..500 {
        say(&mut flood, sequence, (0, &mut ring));
    }
    say(&mut calm, 1, (20, &mut ring));
    assert!(flooded.dropped() > 400);
    assert_eq!((numbers(&mut intake, &key, ALL), key.dropped()), (vec![1], 0));
}

#[test]
fn without_a_ring_of_its_recorder_everything_is_dropped() {
    let ((link, _intake), (other, mut theirs)) = (CopyLink::new(), CopyLink::new());
    let (mut copies, key) = link.recording(mpsc::channel(1).0);
    say(&mut copies, 1, (0, &mut None));
    let (strangers, their_key) = other.recording(mpsc::channel(1).0);
    say(&mut copies, 2, (0, &mut strangers.provide(&mut None)));
    assert_eq!((key.dropped(), numbers(&mut theirs, &their_key, ALL)), (2, vec![]));
}

#[test]
fn a_ring_is_as_large_as_the_calls_on_record_need() {
    let (link, mut intake) = CopyLink::new();
    let mut present = None;
    let (mut first, key) = link.recording(mpsc::channel(1).0);
    let mut ring = first.provide(&mut present);
    say(&mut first, 1, (0, &mut ring));
    assert!(first.provide(&mut present).is_none(), "it will do");
    let others: Vec<_> = (0..20).map(|_| link.recording(mpsc::channel(1).0)).collect();
    ring = others[0].0.provide(&mut present);
    say(&mut first, 2, (20, &mut ring));
    assert_eq!(numbers(&mut intake, &key, ALL), [1, 2], "what was in the small one is not lost");
    drop(others);
    assert!(first.provide(&mut present).is_some(), "a smaller one");
    let (other, _intake) = CopyLink::new();
    assert!(other.recording(mpsc::channel(1).0).0.provide(&mut present).is_some(), "another recorder's");
}

#[test]
fn copies_of_two_media_threads_are_taken_in_the_order_of_time() {
    let (link, mut intake) = CopyLink::new();
    let (mut copies, key) = link.recording(mpsc::channel(1).0);
    let (mut here, mut there) = (copies.provide(&mut None), copies.provide(&mut None));
    for (ms, sequence) in [(40, 2), (80, 4)] {
        say(&mut copies, sequence, (ms, &mut here));
    }
    for (ms, sequence) in [(20, 1), (60, 3), (100, 5)] {
        say(&mut copies, sequence, (ms, &mut there));
    }
    assert_eq!(numbers(&mut intake, &key, 70_000), [1, 2, 3]);
    intake.tidy(70_000);
    assert_eq!(numbers(&mut intake, &key, ALL), [4, 5], "what was left stays");
}

#[test]
fn what_nobody_took_in_time_is_forgotten() {
    let (link, mut intake) = CopyLink::new();
    let (mut copies, key) = link.recording(mpsc::channel(1).0);
    let mut ring = copies.provide(&mut None);
    for (ms, sequence) in [(20, 1), (40, 2)] {
        say(&mut copies, sequence, (ms, &mut ring));
    }
    intake.gather();
    intake.tidy(20_000);
    assert_eq!(numbers(&mut intake, &key, ALL), [2]);
}

#[test]
fn who_lets_go_is_noticed() {
    let (copies, key) = CopyLink::new().0.recording(mpsc::channel(1).0);
    assert!(!copies.is_abandoned());
    drop(key);
    assert!(copies.is_abandoned());
}

proptest! {
    /// Whoever copies when, and whenever it is gathered and taken: each recording gets its own packets, each once, in order.
    #[test]
    fn each_recording_gets_its_own(steps in prop::collection::vec((0..3_usize, 0..2_usize, 0..4_u8), 1..200)) {
        let (link, mut intake) = CopyLink::new();
        let mut recordings: Vec<_> = (0..3).map(|_| link.recording(mpsc::channel(1).0)).collect();
        let mut rings = [recordings[0].0.provide(&mut None), recordings[0].0.provide(&mut None)];
        let (mut said, mut got) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
        for (ms, (who, thread, act)) in (0..).map(|step| step * 20).zip(steps) {
            say(&mut recordings[who].0, ms as u16, (ms, &mut rings[thread]));
            said[who].push(ms as u16);
            // Not the newest: those stay through the tidying.
            let taken_us = (ms * 1_000).saturating_sub(50_000);
            match act {
                0 => intake.gather(),
                1 => {
                    for ((_, key), got) in recordings.iter().zip(&mut got) {
                        got.extend(numbers(&mut intake, key, taken_us));
                    }
                    intake.tidy(taken_us);
                }
                _ => {}
            }
        }
        for ((_, key), got) in recordings.iter().zip(&mut got) {
            got.extend(numbers(&mut intake, key, ALL));
        }
        prop_assert_eq!(got, said);
    }

    /// However the records lie in the ring when it begins anew, each comes out as it went in.
    #[test]
    fn a_ring_that_begins_anew_tears_nothing(steps in prop::collection::vec((0..1_500_usize, prop::bool::ANY), 200..400)) {
        let (link, mut intake) = CopyLink::new();
        let (mut copies, key) = link.recording(mpsc::channel(1).0);
        let mut ring = copies.provide(&mut None);
        let mut waiting = std::collections::VecDeque::new();
        for (number, (length, gathers)) in (0..).zip(steps) {
            say_bytes(&mut copies, (number, length), (u64::from(number) * 20, &mut ring));
            waiting.push_back((number, vec![number as u8; length]));
            if gathers {
                intake.gather();
                while let Some((copied, payload)) = intake.of(&key).next_until(ALL) {
                    prop_assert_eq!(Some((copied.sequence, payload.to_vec())), waiting.pop_front());
                }
                prop_assert!(waiting.is_empty());
                intake.tidy(0);
            }
        }
        prop_assert_eq!(key.dropped(), 0);
    }
}
