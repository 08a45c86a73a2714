//! Rooms: everybody hears everybody else and nobody himself, whoever comes, goes, is muted or played to.

use super::*;
use crate::audio::tone;
use crate::media::command::{PlayId, RoomId, Source};

const ROOM: RoomId = RoomId(5);
/// Tones of the members, in the order they come.
const TONES_HZ: [f32; 4] = [LEFT_HZ, RIGHT_HZ, VOICE_HZ, SECOND_VOICE_HZ];

fn enter(hall: &mut Hall, party: &Party) {
    hall.obey(Command::EnterRoom { room: ROOM, port: party.id, muted: false });
}

fn leave(hall: &mut Hall, party: &Party) {
    hall.obey(Command::LeaveRoom { port: party.id });
}

/// A room of this many, each with its own tone.
fn room_of(hall: &mut Hall, count: usize) -> Vec<Party> {
    let parties: Vec<Party> = TONES_HZ[..count].iter().map(|&hz| hall.party(hz)).collect();
    for party in &parties {
        enter(hall, party);
    }
    parties
}

/// All speak for `count` ticks.
fn talk(hall: &mut Hall, parties: &mut [Party], count: usize) {
    for _ in 0..count {
        for party in parties.iter_mut() {
            hall.speak(party);
        }
        hall.tick();
    }
}

/// Which of the tones are in a sound: `Err` when one is neither clearly there nor clearly not.
fn tones_in(sound: &[i16]) -> Result<Vec<f32>, String> {
    let mut heard = Vec::new();
    for hz in TONES_HZ {
        match tone::level_db(sound, hz) {
            level if level > -12.0 => heard.push(hz),
            level if level < -40.0 => {}
            level => return Err(format!("{hz} Hz at {level} dB")),
        }
    }
    Ok(heard)
}

#[test]
fn each_member_hears_exactly_the_others() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 3);
    talk(&mut hall, &mut parties, 100);
    for (at, party) in parties.iter().enumerate() {
        let sound = hall.sound_at(party);
        assert!((98..=100).contains(&(sound.len() / 160)), "{} frames in 100", sound.len() / 160);
        let others: Vec<f32> = (0..3).filter(|other| *other != at).map(|other| TONES_HZ[other]).collect();
        assert_eq!(tones_in(&sound[sound.len() - 8_000..]), Ok(others), "member {at}");
    }
}

#[test]
fn nobody_hears_a_gap_when_others_come_and_go() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 2);
    let guest = hall.party(SECOND_VOICE_HZ);
    parties.push(guest);
    talk(&mut hall, &mut parties, 50);
    hall.sound_at(&parties[0]);
    let mut heard = Vec::new();
    for n in 0..6 {
        match n % 2 {
            0 => enter(&mut hall, &parties[2]),
            _ => leave(&mut hall, &parties[2]),
        }
        talk(&mut hall, &mut parties, 50);
        let packets = hall.heard_by(&parties[0]);
        let sound: Vec<i16> = packets.iter().flat_map(|bytes| sound(Codec::Pcmu, bytes)).collect();
        let there = if n % 2 == 0 { vec![RIGHT_HZ, SECOND_VOICE_HZ] } else { vec![RIGHT_HZ] };
        assert_eq!(tones_in(&sound[3_200..]), Ok(there), "round {n}");
        heard.extend(packets);
    }
    let numbers: Vec<_> = heard.iter().map(|bytes| (header(bytes).sequence, header(bytes).timestamp)).collect();
    let is_steady = |pair: &[(u16, u32)]| pair[1] == (pair[0].0.wrapping_add(1), pair[0].1.wrapping_add(160));
    assert!(numbers.windows(2).all(is_steady), "one stream without a gap");
    assert!((299..=301).contains(&numbers.len()), "{} packets in 300 ticks", numbers.len());
    let sound: Vec<i16> = heard.iter().flat_map(|bytes| sound(Codec::Pcmu, bytes)).collect();
    // The other member's tone goes on through all of it.
    for (at, window) in sound.chunks_exact(800).enumerate() {
        assert!(tone::level_db(window, RIGHT_HZ) > -11.0, "window {at}: {} dB", tone::level_db(window, RIGHT_HZ));
    }
}

#[test]
fn who_leaves_or_is_muted_fades_and_does_not_click() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 2);
    let mut loud = [0; 160];
    Codec::Pcmu.encode(&[8_000; 160], &mut loud);
    let mut speak = |hall: &mut Hall| {
        for _ in 0..20 {
            hall.send(&mut parties[1], &loud);
            hall.tick();
        }
        hall.sound_at(&parties[0])
    };
    assert!(speak(&mut hall)[1_600] > 7_500);
    let id = PortId(2);
    for command in [Command::MuteInRoom { port: id, muted: true }, Command::LeaveRoom { port: id }] {
        hall.obey(command);
        let heard = speak(&mut hall);
        assert!(heard.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 512), "falls in small steps");
        assert!(heard[400..].iter().all(|sample| *sample == 0));
        hall.obey(Command::MuteInRoom { port: id, muted: false });
        speak(&mut hall);
    }
}

#[test]
fn one_member_alone_hears_steady_silence_and_the_room_goes_with_the_last() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 1);
    talk(&mut hall, &mut parties, 50);
    let sound = hall.sound_at(&parties[0]);
    assert!(sound.len() >= 49 * 160 && sound.iter().all(|sample| *sample == 0));
    assert!(hall.board.has_rooms());
    hall.obey(Command::Close { port: parties[0].id });
    assert!(!hall.board.has_rooms());
    assert!(!hall.board.has_beat());
}

#[test]
fn a_muted_member_hears_and_is_not_heard() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 2);
    for muted in [true, false] {
        hall.obey(Command::MuteInRoom { port: parties[0].id, muted });
        talk(&mut hall, &mut parties, 50);
        let (own, other) = (hall.sound_at(&parties[0]), hall.sound_at(&parties[1]));
        assert_eq!(tones_in(&own[4_000..]), Ok(vec![RIGHT_HZ]));
        assert_eq!(tones_in(&other[4_000..]), Ok(if muted { vec![] } else { vec![LEFT_HZ] }));
    }
}

#[test]
fn packets_of_any_time_and_law_fit_into_a_room() {
    for ptime_ms in [10, 20, 25, 30, 40, 50, 60] {
        let mut hall = Hall::new();
        let mut parties = vec![hall.party(LEFT_HZ)];
        parties.push(hall.party_with(RIGHT_HZ, |stream| {
            (stream.ptime_ms, stream.coding, stream.payload) = (ptime_ms, Codec::Pcma.into(), 8);
        }));
        parties.iter().for_each(|party| enter(&mut hall, party));
        talk(&mut hall, &mut parties, 120);
        let packets = hall.heard_by(&parties[1]);
        let samples: usize = packets.iter().map(|bytes| bytes.len() - 12).sum();
        assert!(packets.iter().all(|bytes| bytes.len() == 12 + ptime_ms as usize * 8));
        assert!((18_600..=19_200).contains(&samples), "{ptime_ms} ms: {samples} samples in 2.4 s");
        let heard: Vec<i16> = packets.iter().flat_map(|bytes| sound(Codec::Pcma, bytes)).collect();
        assert_eq!(tones_in(&heard[8_000..16_000]), Ok(vec![LEFT_HZ]), "{ptime_ms} ms");
        let heard = hall.sound_at(&parties[0]);
        assert_eq!(tones_in(&heard[8_000..16_000]), Ok(vec![RIGHT_HZ]), "{ptime_ms} ms");
    }
}

#[test]
fn loss_and_jitter_of_one_member_are_smoothed_for_the_others() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 2);
    for n in 0..200 {
        hall.speak(&mut parties[0]);
        if n % 3 == 2 {
            // Three packets at once, every sixth one lost.
            for burst in 0..3 {
                if (n + burst) % 6 == 0 {
                    parties[1].next.sequence += 1;
                    parties[1].next.timestamp += 160;
                    parties[1].oscillator.fill(&mut [0; 160]);
                } else {
                    hall.speak(&mut parties[1]);
                }
            }
        }
        hall.tick();
    }
    let sound = hall.sound_at(&parties[0]);
    for window in sound[16_000..].chunks_exact(800) {
        assert!(tone::level_db(window, RIGHT_HZ) > -14.0, "{} dB", tone::level_db(window, RIGHT_HZ));
    }
}

#[test]
fn keys_of_a_member_are_told_and_keys_for_it_are_sent() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 2);
    talk(&mut hall, &mut parties, 10);
    let header = Header { payload_type: 101, timestamp: 9_000, ..parties[0].next };
    hall.send_as(parties[0].seat, header, &[5, 0x8a, 3, 0x20]);
    assert_eq!(parties[0].events.try_recv(), Ok(Event::Digit { port: parties[0].id, digit: '5', ms: 100 }));
    hall.heard_by(&parties[1]);
    hall.obey(Command::SendDigits { port: parties[1].id, id: PlayId(2), digits: "1".into(), tone_ms: 80, gap_ms: 40 });
    talk(&mut hall, &mut parties, 30);
    let packets = hall.heard_by(&parties[1]);
    let kinds: String = packets.iter().map(|bytes| if bytes[1] & 0x7f == 101 { 'e' } else { '.' }).collect();
    assert_eq!(kinds.trim_matches('.'), "eeeeee", "six packets of the key, and the room again: {kinds}");
    assert!((29..=31).contains(&packets.len()));
    assert_eq!(parties[1].events.try_recv(), Ok(Event::Played { id: PlayId(2), finished: true }));
}

#[test]
fn a_sound_for_the_room_is_heard_by_all_and_one_for_a_member_only_there() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 3);
    let tone_of = |hz: f32| {
        let mut samples = vec![0i16; 8_000];
        Oscillator::new([hz, 0.0], -10.0).fill(&mut samples);
        Source::Samples { rate_hz: 8_000, samples: samples.into(), repeat: false }
    };
    parties[2].oscillator = Oscillator::default();
    hall.obey(Command::PlayToRoom { room: ROOM, source: tone_of(SECOND_VOICE_HZ) });
    hall.obey(Command::Play { port: parties[0].id, id: PlayId(9), source: tone_of(VOICE_HZ) });
    talk(&mut hall, &mut parties, 60);
    let heard: Vec<_> = parties.iter().map(|party| tones_in(&hall.sound_at(party)[1_600..7_200])).collect();
    assert_eq!(heard[0], Ok(vec![RIGHT_HZ, VOICE_HZ, SECOND_VOICE_HZ]));
    assert_eq!(heard[1], Ok(vec![LEFT_HZ, SECOND_VOICE_HZ]));
    assert_eq!(heard[2], Ok(vec![LEFT_HZ, RIGHT_HZ, SECOND_VOICE_HZ]));
    assert_eq!(parties[0].events.try_recv(), Ok(Event::Played { id: PlayId(9), finished: true }));
    talk(&mut hall, &mut parties, 50);
    assert_eq!(tones_in(&hall.sound_at(&parties[0])[1_600..]), Ok(vec![RIGHT_HZ]), "both are over");
}

#[test]
fn a_member_that_is_joined_with_another_port_has_left_the_room() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 3);
    let (first, second) = (parties[0].id, parties[1].id);
    hall.obey(Command::Join { a: first, b: second });
    talk(&mut hall, &mut parties, 50);
    let heard: Vec<_> = parties.iter().map(|party| tones_in(&hall.sound_at(party)[4_000..])).collect();
    assert_eq!(heard, [Ok(vec![RIGHT_HZ]), Ok(vec![LEFT_HZ]), Ok(vec![])]);
    enter(&mut hall, &parties[0]);
    enter(&mut hall, &parties[0]);
    talk(&mut hall, &mut parties, 50);
    let heard: Vec<_> = parties.iter().map(|party| tones_in(&hall.sound_at(party)[4_000..])).collect();
    assert_eq!(heard, [Ok(vec![VOICE_HZ]), Ok(vec![]), Ok(vec![LEFT_HZ])]);
}

#[test]
fn a_supervisor_of_a_member_hears_it_and_is_heard_over_the_room() {
    let mut hall = Hall::new();
    let mut parties = room_of(&mut hall, 2);
    let mut supervisor = hall.supervisor(2, (&parties[0], &parties[1]), (Sides::LEFT, Sides::RIGHT));
    for _ in 0..50 {
        supervisor.speak();
        talk(&mut hall, &mut parties, 1);
        supervisor.listen();
    }
    assert_eq!(tones_in(&supervisor.heard[0][1_600..]), Ok(vec![LEFT_HZ]));
    assert_eq!(tones_in(&hall.sound_at(&parties[0])[4_000..]), Ok(vec![RIGHT_HZ]));
    assert_eq!(tones_in(&hall.sound_at(&parties[1])[4_000..]), Ok(vec![LEFT_HZ, SECOND_VOICE_HZ]));
}

#[test]
fn many_at_full_strength_are_clamped_and_not_wrapped() {
    let mut hall = Hall::new();
    let mut parties: Vec<Party> = (0..20).map(|_| hall.party(LEFT_HZ)).collect();
    parties.iter().for_each(|party| enter(&mut hall, party));
    talk(&mut hall, &mut parties, 50);
    let sound = hall.sound_at(&parties[7]);
    let loud = &sound[4_000..];
    let flat = loud.iter().filter(|sample| sample.unsigned_abs() > 31_000).count();
    assert!(flat > loud.len() / 2, "{flat} of {} samples are at the limit", loud.len());
    assert!(tone::level_db(loud, LEFT_HZ) > 0.0, "a square wave of the same pitch");
}
