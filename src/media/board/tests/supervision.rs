//! Who hears whom with supervisors on a bridge, and that nobody else notices them.

use super::*;
use crate::audio::tone;

/// A tone this loud is heard, this soft is not, in dB relative to full scale.
const HEARD_DB: f32 = -16.0;
const UNHEARD_DB: f32 = -50.0;

/// Which of the tones are in the samples; panics on one that is neither heard nor unheard.
fn tones(samples: &[i16]) -> Vec<f32> {
    assert!(samples.len() >= 1_600, "{} samples", samples.len());
    let is_heard = |hz: &f32| {
        let level = tone::level_db(samples, *hz);
        assert!(!(UNHEARD_DB..HEARD_DB).contains(&level), "{hz} Hz at {level} dB");
        level >= HEARD_DB
    };
    [LEFT_HZ, RIGHT_HZ, VOICE_HZ, SECOND_VOICE_HZ].into_iter().filter(is_heard).collect()
}

#[test]
fn everyone_hears_exactly_whom_the_sides_say() {
    let sides = [Sides::NONE, Sides::LEFT, Sides::RIGHT, Sides::BOTH];
    for (hears, heard_by) in sides.iter().flat_map(|hears| sides.map(|heard_by| (*hears, heard_by))) {
        let mut hall = Hall::new();
        let (mut left, mut right) =
            (hall.party(LEFT_HZ), hall.party_with(RIGHT_HZ, |stream| stream.coding = Codec::Pcma.into()));
        hall.join(&left, &right);
        let mut supervisor = hall.supervisor(1, (&left, &right), (hears, heard_by));
        hall.talk([&mut left, &mut right], &mut [&mut supervisor], 25);
        supervisor.forget();
        hall.air.sent.clear();
        hall.talk([&mut left, &mut right], &mut [&mut supervisor], 25);
        let at_left = if heard_by.left { vec![RIGHT_HZ, VOICE_HZ] } else { vec![RIGHT_HZ] };
        let at_right = if heard_by.right { vec![LEFT_HZ, VOICE_HZ] } else { vec![LEFT_HZ] };
        assert_eq!(tones(&hall.sound_at(&left)), at_left, "left, {heard_by:?}");
        assert_eq!(tones(&hall.sound_at(&right)), at_right, "right, {heard_by:?}");
        let from_left = if hears.left { vec![LEFT_HZ] } else { vec![] };
        let from_right = if hears.right { vec![RIGHT_HZ] } else { vec![] };
        assert_eq!(tones(&supervisor.heard[0]), from_left, "supervisor's left, {hears:?}");
        assert_eq!(tones(&supervisor.heard[1]), from_right, "supervisor's right, {hears:?}");
    }
}

/// A call of 60 ticks; `change` is asked before each of them what a supervisor does. Everything sent to left and right.
fn call(mut change: impl FnMut(usize, &mut Hall, (&Party, &Party), &mut Option<Supervisor>)) -> [Vec<Vec<u8>>; 2] {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut supervisor = None;
    for tick in 0..60 {
        change(tick, &mut hall, (&left, &right), &mut supervisor);
        let mut supervisors: Vec<&mut Supervisor> = supervisor.iter_mut().collect();
        hall.talk([&mut left, &mut right], &mut supervisors, 1);
    }
    [hall.heard_by(&left), hall.heard_by(&right)]
}

#[test]
fn attaching_switching_and_leaving_adds_and_drops_no_packet_and_leaves_others_bit_identical() {
    let plain = call(|_, _, _, _| {});
    let supervised = call(|tick, hall, (left, right), supervisor| match tick {
        10 => *supervisor = Some(hall.supervisor(1, (left, right), (Sides::BOTH, Sides::NONE))),
        20 => hall.set((Sides::BOTH, Sides::LEFT)),
        30 => hall.set((Sides::LEFT, Sides::NONE)),
        35 => hall.set((Sides::BOTH, Sides::LEFT)),
        50 => {
            hall.obey(Command::Detach { tap: TapId(1) });
            *supervisor = None;
        }
        _ => {}
    });
    assert_eq!(plain[1].len(), 60);
    assert_eq!(plain[1], supervised[1], "the right party never heard the supervisor");
    let headers = |packets: &[Vec<u8>]| packets.iter().map(|bytes| header(bytes)).collect::<Vec<_>>();
    assert_eq!(headers(&plain[0]), headers(&supervised[0]));
    let differing: Vec<usize> = (0..60).filter(|&at| plain[0][at] != supervised[0][at]).collect();
    // What was said in a tick is heard with the next packet; the first 110 ms after a change may have been said before it.
    assert_eq!(differing, (26..30).chain(41..50).collect::<Vec<_>>());
}

#[test]
fn a_silent_supervisor_leaves_even_his_own_direction_bit_identical() {
    let plain = call(|_, _, _, _| {});
    let mut silent = None;
    let supervised = call(|tick, hall, parties, _| {
        if tick == 10 {
            silent = Some(hall.supervisor(1, parties, (Sides::BOTH, Sides::BOTH)));
        }
    });
    assert_eq!(plain, supervised);
}

#[test]
fn several_supervisors_are_summed() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut first = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::LEFT));
    let mut second = hall.supervisor(2, (&left, &right), (Sides::BOTH, Sides::BOTH));
    hall.talk([&mut left, &mut right], &mut [&mut first, &mut second], 40);
    assert_eq!(tones(&hall.sound_at(&left)[3_200..]), [RIGHT_HZ, VOICE_HZ, SECOND_VOICE_HZ]);
    assert_eq!(tones(&hall.sound_at(&right)[3_200..]), [LEFT_HZ, SECOND_VOICE_HZ]);
}

#[test]
fn nothing_said_before_a_switch_reaches_the_new_listener() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::LEFT));
    supervisor.speak();
    supervisor.speak();
    hall.set((Sides::BOTH, Sides::RIGHT));
    hall.talk([&mut left, &mut right], &mut [], 25);
    assert_eq!(tones(&hall.sound_at(&right)), [LEFT_HZ]);
    assert_eq!(tones(&hall.sound_at(&left)), [RIGHT_HZ]);
}

#[test]
fn a_supervisor_is_heard_though_the_other_party_sends_nothing() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::LEFT));
    for _ in 0..25 {
        hall.speak(&mut left);
        supervisor.speak();
        hall.tick();
        supervisor.listen();
    }
    let packets = hall.heard_by(&left);
    let samples: Vec<i16> = packets.iter().flat_map(|bytes| sound(Codec::Pcmu, bytes)).collect();
    assert_eq!(tones(&samples), [VOICE_HZ]);
    assert!((23..=25).contains(&packets.len()), "{} packets in 25 ticks", packets.len());
    let steady = packets.windows(2).all(|pair| {
        let (a, b) = (header(&pair[0]), header(&pair[1]));
        b.sequence == a.sequence.wrapping_add(1) && b.timestamp == a.timestamp.wrapping_add(160)
    });
    assert!(steady);
    assert_eq!(supervisor.heard[1][..3_200], [0; 3_200], "the silent party is silence, steadily");
    assert_eq!(hall.heard_by(&right).len(), 25);
}

#[test]
fn a_tap_begins_within_40_ms_and_beats_steadily_whatever_the_parties_do() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::NONE));
    for tick in 1..=50 {
        if tick % 7 != 0 {
            hall.speak(&mut left);
        }
        hall.tick();
        supervisor.listen();
        assert_eq!(supervisor.heard[0].len(), tick * 160);
    }
    hall.obey(Command::Configure { port: left.id, stream: Stream { receive: false, ..stream() } });
    supervisor.forget();
    for _ in 0..10 {
        hall.speak(&mut left);
        hall.tick();
        supervisor.listen();
    }
    assert_eq!(supervisor.heard[0], [0; 1_600], "on hold nothing is heard, at once");
}

#[test]
fn both_sides_of_a_tap_are_aligned_within_a_millisecond() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(0.0), hall.party(0.0));
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::NONE));
    // Left sends 20 ms packets, right 60 ms ones; both say the same at the same instant.
    let mut spoken: Vec<i16> = Vec::new();
    for tick in 0..90usize {
        spoken.extend((0..160).map(|at| if (tick * 160 + at) % 4_000 < 80 { 20_000 } else { 0 }));
        let (mut short, mut long) = ([0u8; 160], [0u8; 480]);
        Codec::Pcmu.encode(&spoken[tick * 160..], &mut short);
        hall.send(&mut left, &short);
        if tick % 3 == 2 {
            Codec::Pcmu.encode(&spoken[(tick - 2) * 160..], &mut long);
            hall.send(&mut right, &long);
        }
        hall.tick();
        supervisor.listen();
    }
    let clicks = |heard: &[i16]| -> Vec<usize> {
        (6_400..heard.len()).filter(|&at| heard[at] > 10_000 && heard[at - 1] <= 10_000).collect()
    };
    let (a, b) = (clicks(&supervisor.heard[0]), clicks(&supervisor.heard[1]));
    assert!(a.len() == b.len() && a.len() >= 2, "{a:?} {b:?}");
    assert!(a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) <= 8), "{a:?} {b:?}");
}

#[test]
fn a_closed_port_leaves_its_taps_beating_and_its_peer_with_silence() {
    let mut hall = Hall::new();
    let (left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::BOTH));
    hall.tick();
    hall.heard_by(&right);
    hall.obey(Command::Close { port: left.id });
    assert_eq!(supervisor.events.try_recv(), Ok(Event::SideEmpty { tap: TapId(1) }));
    supervisor.forget();
    assert!(
        hall.air.reports[&left.seat]
            .last()
            .is_some_and(|bytes| rtcp::parse(bytes, 0).is_some_and(|report| report.leaving))
    );
    hall.ticks(7);
    supervisor.listen();
    assert!(supervisor.heard.iter().all(|part| *part == [0; 1_120]), "seven frames of silence");
    let packets = hall.heard_by(&right);
    assert!((6..=7).contains(&packets.len()));
    assert!(packets.iter().all(|bytes| bytes[12..] == [0xff; 160]));
    assert_eq!(hall.board.port_count(), 1);
    let mut late = hall.supervisor(2, (&left, &right), (Sides::BOTH, Sides::BOTH));
    assert_eq!(late.events.try_recv(), Ok(Event::SideEmpty { tap: TapId(2) }));
    hall.obey(Command::Detach { tap: TapId(1) });
    assert_eq!(supervisor.events.try_recv(), Ok(Event::TapEnded { tap: TapId(1) }));
}

#[test]
fn an_abandoned_tap_takes_itself_off() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    drop(hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::BOTH)));
    hall.talk([&mut left, &mut right], &mut [], 20);
    assert!(!hall.board.has_beat());
    assert_eq!((hall.heard_by(&left).len(), hall.heard_by(&right).len()), (20, 20));
}

#[test]
fn supervisors_hear_each_other_once_in_whatever_order_and_by_whatever_name_they_came() {
    for swapped in [false, true] {
        let mut hall = Hall::new();
        let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
        hall.join(&left, &right);
        let mut first = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::BOTH));
        let parties = if swapped { (&right, &left) } else { (&left, &right) };
        let mut second = hall.supervisor(2, parties, (Sides::BOTH, Sides::LEFT));
        let mut mute = hall.supervisor(3, parties, (Sides::LEFT, Sides::NONE));
        let mut deaf = hall.supervisor(4, parties, (Sides::NONE, Sides::BOTH));
        deaf.oscillator = Oscillator::new([0.0; 2], 0.0);
        let [one, two] = [LEFT_HZ, RIGHT_HZ];
        mute.oscillator = Oscillator::new([one, two], -10.0);
        hall.talk([&mut left, &mut right], &mut [&mut first, &mut second, &mut deaf], 10);
        for supervisor in [&mut first, &mut second, &mut mute, &mut deaf] {
            supervisor.forget();
        }
        for _ in 0..50 {
            let _ = mute.voice.push([20_000; 160]);
            hall.talk([&mut left, &mut right], &mut [&mut first, &mut second, &mut deaf], 1);
            mute.listen();
        }
        assert_eq!(tones(&first.heard[2]), [SECOND_VOICE_HZ], "swapped: {swapped}");
        assert_eq!(tones(&second.heard[2]), [VOICE_HZ], "swapped: {swapped}");
        assert_eq!(tones(&mute.heard[2]), [VOICE_HZ, SECOND_VOICE_HZ], "who speaks to nobody is heard by nobody");
        let level = tone::level_db(&mute.heard[2], VOICE_HZ);
        assert!((level + 10.0).abs() < 0.5, "once, though both parties hear it: {level} dB");
        assert!(deaf.heard.iter().all(|part| part.iter().all(|&sample| sample == 0)), "who hears nobody hears nobody");
    }
}

#[test]
fn a_supervisor_who_reaches_nobody_is_not_heard_by_others_either() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut speaks = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::RIGHT));
    let mut hears = hall.supervisor(2, (&left, &right), (Sides::BOTH, Sides::NONE));
    hall.obey(Command::Close { port: right.id });
    for _ in 0..30 {
        hall.speak(&mut left);
        let _ = speaks.voice.push([9_000; 160]);
        hall.tick();
        hears.listen();
    }
    assert!(hears.heard[2].iter().all(|&sample| sample == 0));
}

#[test]
fn a_tap_is_moved_with_its_rings_and_goes_on_with_who_stays() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    let mut third = hall.party(SECOND_VOICE_HZ);
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::RIGHT));
    hall.talk([&mut left, &mut right], &mut [&mut supervisor], 20);
    hall.obey(Command::Close { port: right.id });
    hall.join(&left, &third);
    supervisor.forget();
    hall.air.sent.clear();
    supervisor.speak();
    hall.obey(Command::MoveTap { tap: TapId(1), left: Some(left.id), right: Some(third.id) });
    for _ in 0..10 {
        hall.talk([&mut left, &mut third], &mut [], 1);
        supervisor.listen();
    }
    assert_eq!(tones(&hall.sound_at(&third)), [LEFT_HZ], "what was said to the former party");
    assert_eq!(supervisor.heard[0].len(), 10 * 160, "not a beat is missed");
    assert!(tone::level_db(&supervisor.heard[0], LEFT_HZ) > HEARD_DB, "who stays is heard without a gap");
    hall.talk([&mut left, &mut third], &mut [&mut supervisor], 30);
    let (at_third, at_left) = (hall.sound_at(&third), hall.sound_at(&left));
    assert_eq!(tones(&at_third[3_000..]), [LEFT_HZ, VOICE_HZ]);
    assert_eq!(tones(&at_left), [SECOND_VOICE_HZ]);
    assert_eq!(tones(&supervisor.heard[1][1_600..]), [SECOND_VOICE_HZ]);
    hall.obey(Command::MoveTap { tap: TapId(1), left: None, right: None });
    supervisor.forget();
    hall.talk([&mut left, &mut third], &mut [&mut supervisor], 10);
    assert!(supervisor.heard.iter().all(|part| *part == [0; 1_600]), "on no port it beats on in silence");
}

#[test]
fn a_tap_that_was_late_misses_no_moment() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::NONE));
    hall.talk([&mut left, &mut right], &mut [&mut supervisor], 20);
    // The thread sleeps through 80 ms of slots, while packets gather.
    for _ in 0..4 {
        hall.speak(&mut left);
        hall.slot = hall.slot.after(4);
    }
    hall.tick();
    supervisor.listen();
    assert_eq!(supervisor.heard[0].len(), 25 * 160);
}
