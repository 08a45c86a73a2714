//! Supervisors' phones: what they hear and say, that no key of theirs is heard, and what is played over, held and passed by.

use super::*;
use crate::audio::{dtmf, tone};
use crate::media::command::{PlayId, Source};

/// The supervisor's phone, its port on the board of the call.
fn phone(hall: &mut Hall, (left, right): (&Party, &Party), heard_by: Sides) -> Party {
    let phone = hall.party(VOICE_HZ);
    supervise(hall, (1, &phone), (left, right), heard_by);
    phone
}

fn supervise(hall: &mut Hall, (number, phone): (u64, &Party), (left, right): (&Party, &Party), heard_by: Sides) {
    let (out, heard) = rtrb::RingBuffer::new(100);
    let (voice, said) = rtrb::RingBuffer::new(10);
    let audio = TapAudio { out, voice: said, events: mpsc::channel(8).0 };
    let (tap, left, right) = (TapId(number), Some(left.id), Some(right.id));
    hall.obey(Command::Attach { tap, left, right, hears: Sides::BOTH, heard_by, audio });
    hall.obey(Command::Supervise { port: phone.id, heard, voice });
}

/// All speak for `count` ticks.
fn talk(hall: &mut Hall, parties: &mut [&mut Party], count: usize) {
    for _ in 0..count {
        for party in parties.iter_mut() {
            hall.speak(party);
        }
        hall.tick();
    }
}

/// Says those samples, 20 ms in a packet, while `others` speak.
fn say(hall: &mut Hall, party: &mut Party, samples: &[i16], others: &mut [&mut Party]) {
    for frame in samples.chunks(160) {
        let mut payload = vec![0; frame.len()];
        party.codec.encode(frame, &mut payload);
        hall.send(party, &payload);
        talk(hall, others, 1);
    }
}

fn key(key: char, samples: usize) -> Vec<i16> {
    let mut sound = vec![0; samples];
    Oscillator::new(dtmf::tones_of(key).expect("a key"), -12.0).fill(&mut sound);
    sound
}

fn hears(sound: &[i16], hz: f32) -> bool {
    let level = tone::level_db(sound, hz);
    assert!(!(-45.0..-14.0).contains(&level), "{hz} Hz at {level} dB");
    level >= -14.0
}

fn digits(party: &mut Party) -> String {
    let events = std::iter::from_fn(|| party.events.try_recv().ok());
    events.filter_map(|event| if let Event::Digit { digit, .. } = event { Some(digit) } else { None }).collect()
}

#[test]
fn a_phone_hears_both_parties_steadily_and_is_heard_by_whom_it_should() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut phone = phone(&mut hall, (&left, &right), Sides::LEFT);
    talk(&mut hall, &mut [&mut left, &mut right, &mut phone], 60);
    let packets = hall.heard_by(&phone);
    assert!((59..=60).contains(&packets.len()), "{} packets in 60 ticks", packets.len());
    assert!(packets.windows(2).all(|pair| header(&pair[1]).timestamp == header(&pair[0]).timestamp.wrapping_add(160)));
    let heard: Vec<i16> = packets[20..].iter().flat_map(|bytes| sound(phone.codec, bytes)).collect();
    assert!(hears(&heard, LEFT_HZ) && hears(&heard, RIGHT_HZ) && !hears(&heard, VOICE_HZ));
    let (at_left, at_right) = (hall.sound_at(&left), hall.sound_at(&right));
    assert!(hears(&at_left[3_200..], VOICE_HZ) && hears(&at_left[3_200..], RIGHT_HZ));
    assert!(!hears(&at_right[3_200..], VOICE_HZ) && hears(&at_right[3_200..], LEFT_HZ));
    hall.obey(Command::StopSupervising { port: phone.id });
    hall.ticks(5);
    hall.heard_by(&phone);
    talk(&mut hall, &mut [&mut left, &mut right, &mut phone], 20);
    assert_eq!(tone::loudness_db(&hall.sound_at(&phone)), f32::NEG_INFINITY, "alone it is a port like any other");
    assert!(!hears(&hall.sound_at(&left)[1_600..], VOICE_HZ));
}

#[test]
fn a_phone_is_heard_within_80_ms() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(0.0), hall.party(0.0));
    hall.join(&left, &right);
    let mut phone = phone(&mut hall, (&left, &right), Sides::LEFT);
    say(&mut hall, &mut phone, &[0; 3_200], &mut [&mut left, &mut right]);
    hall.heard_by(&left);
    let mut click = vec![0i16; 3_200];
    click[..40].fill(20_000);
    say(&mut hall, &mut phone, &click, &mut [&mut left, &mut right]);
    let heard = hall.sound_at(&left);
    // Both streams are counted from the packet that the click came in: 20 ms of it are the packet itself.
    let delay = heard.iter().position(|&sample| sample > 10_000).expect("heard");
    assert!(delay <= 80 * 8, "{} ms", delay / 8);
}

#[test]
fn s038_nothing_said_before_a_switch_reaches_the_new_listener_and_never_do_both_hear() {
    for ptime in [80, 160, 240, 480] {
        let mut hall = Hall::new();
        let (mut left, mut right) = (hall.party(0.0), hall.party(0.0));
        hall.join(&left, &right);
        let mut phone = phone(&mut hall, (&left, &right), Sides::LEFT);
        let mut voice = Oscillator::new([VOICE_HZ, 0.0], -10.0);
        let (mut at_left, mut at_right, mut said) = (Vec::new(), Vec::new(), 0);
        for tick in 0..150 {
            if tick == 60 {
                voice = Oscillator::new([SECOND_VOICE_HZ, 0.0], -10.0);
                hall.set((Sides::BOTH, Sides::RIGHT));
            }
            while said + ptime <= tick * 160 {
                let (mut samples, mut payload) = (vec![0; ptime], vec![0; ptime]);
                voice.fill(&mut samples);
                phone.codec.encode(&samples, &mut payload);
                hall.send(&mut phone, &payload);
                said += ptime;
            }
            talk(&mut hall, &mut [&mut left, &mut right], 1);
            at_left.push(hall.sound_at(&left));
            at_right.push(hall.sound_at(&right));
        }
        let is_loud = |packets: &Vec<i16>| packets.iter().any(|sample| sample.unsigned_abs() > 50);
        let last_at_left = at_left.iter().rposition(is_loud).expect("heard before");
        let first_at_right = at_right.iter().position(is_loud).expect("heard after");
        assert!(last_at_left < 60 && first_at_right >= 60, "{last_at_left} {first_at_right}");
        assert!(first_at_right <= 69, "{ptime}: heard again after {} ms", (first_at_right - 60) * 20);
        let heard: Vec<i16> = at_right.concat();
        let before =
            heard.windows(160).step_by(20).map(|window| tone::level_db(window, VOICE_HZ)).fold(-99.0, f32::max);
        assert!(before < -28.0, "{ptime}: the voice from before at {before} dB");
    }
}

#[test]
fn late_frames_and_a_faster_clock_make_no_click_and_no_growing_delay() {
    let mut hall = Hall::new();
    let phone = hall.party(0.0);
    let (mut heard, out) = rtrb::RingBuffer::new(100);
    let (voice, _said) = rtrb::RingBuffer::new(10);
    hall.obey(Command::Supervise { port: phone.id, heard: out, voice });
    let mut tone = Oscillator::new([200.0, 0.0], -10.0);
    let mut pushed = 0u64;
    for slot in 0..12_000u64 {
        // One frame in a thousand is too many; frames are up to 15 ms late, and once 55 ms.
        let late = if (6_000..6_011).contains(&slot) { 11 } else { slot / 4 * 7 % 4 };
        while pushed * 4 * 999 / 1_000 + late <= slot {
            let mut frame = [0; 480];
            tone.fill(&mut frame[..160]);
            let _ = heard.push(frame);
            pushed += 1;
        }
        hall.board.beat(hall.slot, &mut hall.air);
        hall.slot = hall.slot.after(1);
    }
    let packets = hall.heard_by(&phone);
    assert!(packets.len().abs_diff(3_000) <= 2, "{} packets in a minute", packets.len());
    let sound: Vec<i16> = packets[10..].iter().flat_map(|bytes| sound(phone.codec, bytes)).collect();
    let steepest = sound.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max();
    assert!(steepest < Some(3_000), "a click of {steepest:?}");
    let quiet = sound.chunks(80).filter(|part| tone::loudness_db(part) < -14.0).count();
    assert!(quiet <= 8, "{quiet} holes of 10 ms");
    let waiting = hall.board.port(phone.seat).and_then(|port| port.phone.as_ref()).map(|phone| phone.waiting());
    assert!(waiting <= Some(480), "{waiting:?} samples wait");
}

#[test]
fn s039_not_one_sample_of_a_key_in_the_sound_is_heard_and_each_is_told() {
    for (offset, ptime) in [(0, 160), (37, 160), (80, 160), (119, 80), (141, 240), (159, 480)] {
        let mut hall = Hall::new();
        let (mut left, mut right) = (hall.party(0.0), hall.party(0.0));
        hall.join(&left, &right);
        let mut phone = phone(&mut hall, (&left, &right), Sides::BOTH);
        let mut said = vec![0i16; 1_600];
        Oscillator::new([300.0, 0.0], -12.0).fill(&mut said);
        said.extend(vec![0; offset]);
        for pressed in "1590".chars() {
            said.extend(key(pressed, 640));
            let mut speech = vec![0i16; 960];
            Oscillator::new([300.0, 0.0], -12.0).fill(&mut speech);
            said.extend(speech);
        }
        let mut at_left = Vec::new();
        let mut passed = 0;
        for packet in said.chunks(ptime) {
            let mut payload = vec![0; packet.len()];
            phone.codec.encode(packet, &mut payload);
            hall.send(&mut phone, &payload);
            passed += packet.len();
            while passed >= 80 {
                passed -= 80;
                hall.board.beat(hall.slot, &mut hall.air);
                hall.slot = hall.slot.after(1);
                hall.board.beat(hall.slot, &mut hall.air);
                hall.slot = hall.slot.after(1);
                if hall.slot.0.is_multiple_of(4) {
                    hall.speak(&mut left);
                    hall.speak(&mut right);
                    at_left.extend(hall.sound_at(&left));
                }
            }
        }
        talk(&mut hall, &mut [&mut left, &mut right], 10);
        assert_eq!(digits(&mut phone), "1590", "packets of {ptime} samples");
        let mut loudest = f32::NEG_INFINITY;
        for window in at_left.windows(120).step_by(10) {
            for hz in [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0] {
                loudest = loudest.max(tone::level_db(window, hz));
            }
        }
        // What the end of 300 Hz leaves in a window of 15 ms is below this; 3 ms of a key are not.
        assert!(loudest < -30.0, "a key at {loudest} dB, {offset} samples into packets of {ptime}");
        assert!(hears(&at_left[800..1_400], 300.0), "what is said before and between is heard");
    }
}

#[test]
fn s040_keys_by_telephone_event_are_told_and_are_no_sound() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(0.0), hall.party(0.0));
    hall.join(&left, &right);
    let mut phone = phone(&mut hall, (&left, &right), Sides::BOTH);
    talk(&mut hall, &mut [&mut left, &mut right], 5);
    for duration in [160u16, 320, 480, 640] {
        let header = Header { payload_type: 101, timestamp: 9_000, ..phone.next };
        phone.next.sequence += 1;
        let end = if duration == 640 { 0x8a } else { 0x0a };
        hall.send_as(phone.seat, header, &[2, end, duration.to_be_bytes()[0], duration.to_be_bytes()[1]]);
        // A careless phone sends the tones as well.
        phone.next.timestamp = 9_000 + u32::from(duration);
        say(&mut hall, &mut phone, &key('2', 160), &mut [&mut left, &mut right]);
    }
    say(&mut hall, &mut phone, &[0; 1_600], &mut [&mut left, &mut right]);
    assert_eq!(digits(&mut phone), "2", "told once");
    for party in [&left, &right] {
        let packets = hall.heard_by(party);
        assert!(packets.iter().all(|bytes| header(bytes).payload_type == 0), "no event is sent on");
        let sound: Vec<i16> = packets.iter().flat_map(|bytes| sound(party.codec, bytes)).collect();
        assert!(sound.iter().all(|sample| sample.unsigned_abs() < 40), "nor heard");
    }
}

#[test]
fn volume_has_asterisks_steps() {
    for (steps, db) in [(0, -30.0), (1, -30.0), (2, -24.0), (4, -18.0), (-1, -30.0), (-2, -36.0), (-4, -42.0)] {
        let mut hall = Hall::new();
        let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(0.0));
        left.oscillator = Oscillator::new([LEFT_HZ, 0.0], -30.0);
        hall.join(&left, &right);
        let phone = phone(&mut hall, (&left, &right), Sides::NONE);
        hall.obey(Command::SetVolume { port: phone.id, steps });
        talk(&mut hall, &mut [&mut left, &mut right], 40);
        let level = tone::level_db(&hall.sound_at(&phone)[3_200..6_200], LEFT_HZ);
        assert!((level - db).abs() < 0.5, "{steps}: {level} dB");
    }
}

#[test]
fn what_is_played_over_is_heard_in_every_state_and_by_nobody_else() {
    let beep = || Source::Tones {
        steps: [crate::media::command::ToneStep { hz: [SECOND_VOICE_HZ, 0.0], ms: 200, level_db: -10.0 }].into(),
        repeat: false,
    };
    let over = |hall: &mut Hall, party: &mut Party, others: &mut [&mut Party], what: &str| {
        hall.ticks(1);
        hall.air.sent.clear();
        hall.obey(Command::PlayOver { port: party.id, id: PlayId(77), source: beep() });
        for _ in 0..15 {
            for other in others.iter_mut() {
                hall.speak(other);
            }
            hall.tick();
        }
        let heard = hall.sound_at(party);
        let level = tone::level_db(&heard[..1_600.min(heard.len())], SECOND_VOICE_HZ);
        assert!(level > -14.0, "{what}: {level} dB");
        let events: Vec<Event> = std::iter::from_fn(|| party.events.try_recv().ok()).collect();
        assert!(events.contains(&Event::Played { id: PlayId(77), finished: true }), "{what}: {events:?}");
        for other in others {
            let heard = hall.sound_at(other);
            assert!(heard.is_empty() || !hears(&heard[320..], SECOND_VOICE_HZ), "{what}");
        }
    };
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    over(&mut hall, &mut left, &mut [], "alone");
    hall.join(&left, &right);
    talk(&mut hall, &mut [&mut left, &mut right], 5);
    over(&mut hall, &mut left, &mut [&mut right], "bridged");
    hall.ticks(40);
    over(&mut hall, &mut left, &mut [], "bridged to a silent party");
    hall.obey(Command::Hold { port: left.id, music: Source::Silence });
    over(&mut hall, &mut left, &mut [&mut right], "held");
    hall.obey(Command::Unhold { port: left.id });
    let mut supervisor = phone(&mut hall, (&left, &right), Sides::NONE);
    over(&mut hall, &mut supervisor, &mut [&mut left, &mut right], "supervising");
    let room = crate::media::command::RoomId(1);
    for port in [left.id, right.id] {
        hall.obey(Command::EnterRoom { room, port, muted: false });
    }
    over(&mut hall, &mut left, &mut [&mut right], "in a room");
    hall.obey(Command::PlayOver { port: left.id, id: PlayId(78), source: Source::Silence });
    hall.obey(Command::StopPlayOver { port: left.id });
    assert_eq!(left.events.try_recv(), Ok(Event::Played { id: PlayId(78), finished: false }));
}

#[test]
fn a_held_party_hears_music_and_its_supervisor_and_the_other_hears_silence_at_once() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::LEFT));
    hall.talk([&mut left, &mut right], &mut [&mut supervisor], 20);
    let mut music = vec![0i16; 8_000];
    Oscillator::new([SECOND_VOICE_HZ, 0.0], -10.0).fill(&mut music);
    let music = Source::Samples { rate_hz: 8_000, samples: music.into(), repeat: true };
    hall.obey(Command::Hold { port: left.id, music });
    supervisor.forget();
    hall.air.sent.clear();
    hall.talk([&mut left, &mut right], &mut [&mut supervisor], 40);
    let (at_left, at_right) = (hall.heard_by(&left), hall.sound_at(&right));
    assert!((39..=41).contains(&at_left.len()) && at_right.len() >= 39 * 160, "both streams are steady");
    let at_left: Vec<i16> = at_left.iter().flat_map(|bytes| sound(left.codec, bytes)).collect();
    assert!(hears(&at_left[1_600..], SECOND_VOICE_HZ) && hears(&at_left[1_600..], VOICE_HZ));
    assert!(!hears(&at_left, RIGHT_HZ));
    assert_eq!(tone::loudness_db(&at_right), f32::NEG_INFINITY);
    assert!(hears(&supervisor.heard[0], LEFT_HZ) && hears(&supervisor.heard[1], RIGHT_HZ), "supervisors hear on");
    hall.obey(Command::Unhold { port: left.id });
    hall.talk([&mut left, &mut right], &mut [&mut supervisor], 20);
    let (at_left, at_right) = (hall.sound_at(&left), hall.sound_at(&right));
    assert!(hears(&at_left, RIGHT_HZ) && hears(&at_right, LEFT_HZ) && !hears(&at_left, SECOND_VOICE_HZ));
}

#[test]
fn a_hold_ends_with_a_new_bridge_and_lasts_when_parted() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    let mut third = hall.party(VOICE_HZ);
    hall.join(&left, &right);
    let tones = crate::media::command::ToneStep { hz: [SECOND_VOICE_HZ, 0.0], ms: 5_000, level_db: -10.0 };
    hall.obey(Command::Hold { port: left.id, music: Source::Tones { steps: [tones].into(), repeat: true } });
    talk(&mut hall, &mut [&mut left, &mut right], 10);
    hall.obey(Command::Part { port: left.id });
    hall.air.sent.clear();
    talk(&mut hall, &mut [&mut left, &mut right], 20);
    assert!(hears(&hall.sound_at(&left), SECOND_VOICE_HZ), "parked with music");
    hall.join(&third, &left);
    hall.air.sent.clear();
    talk(&mut hall, &mut [&mut left, &mut third], 20);
    let at_left = hall.sound_at(&left);
    assert!(hears(&at_left, VOICE_HZ) && !hears(&at_left, SECOND_VOICE_HZ));
    assert!(hears(&hall.sound_at(&third), LEFT_HZ));
}
