//! What ports do with sound that is only passed on: nobody hears it here, nothing is heard over it, and it arrives as it was sent.

use super::*;
use crate::audio::codec::Foreign;
use crate::media::command::{PlayId, Source};

fn g729(payload: u8) -> impl FnOnce(&mut Stream) {
    move |stream| (stream.coding, stream.payload) = (Coding::Foreign(Foreign::G729), payload)
}

/// A packet of 20 ms.
fn packet(number: u8) -> [u8; 20] {
    std::array::from_fn(|at| number.wrapping_mul(37).wrapping_add(at as u8))
}

fn say(hall: &mut Hall, party: &mut Party, number: u8) {
    let header = party.next;
    party.next.sequence = party.next.sequence.wrapping_add(1);
    party.next.timestamp = party.next.timestamp.wrapping_add(160);
    hall.send_as(party.seat, header, &packet(number));
}

#[test]
fn it_arrives_as_it_was_sent_whoever_supervises_and_whatever_is_played_over_it() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party_with(LEFT_HZ, g729(18)), hall.party_with(RIGHT_HZ, g729(99)));
    hall.join(&left, &right);
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::BOTH));
    let source = Source::Samples { rate_hz: 8_000, samples: vec![9_000; 1_600].into(), repeat: false };
    hall.obey(Command::PlayOver { port: right.id, id: PlayId(7), source });
    for number in 0..50 {
        say(&mut hall, &mut left, number);
        supervisor.speak();
        hall.tick();
        supervisor.listen();
    }
    let heard = hall.heard_by(&right);
    assert_eq!(heard.len(), 50);
    for (number, bytes) in (0..).zip(&heard) {
        assert_eq!((header(bytes).payload_type, &bytes[12..]), (99, &packet(number)[..]));
        assert_eq!(header(bytes).timestamp, header(&heard[0]).timestamp + 160 * u32::from(number));
    }
    assert!(supervisor.heard[0].iter().all(|&sample| sample == 0), "nobody can hear it here");
    assert_eq!(right.events.try_recv(), Ok(Event::Played { id: PlayId(7), finished: true }));
    assert!(hall.heard_by(&left).is_empty(), "nothing is made in a codec that nobody here speaks");
}

#[test]
fn to_a_phone_that_does_not_speak_it_goes_steady_silence() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party_with(LEFT_HZ, g729(18)), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    for number in 0..100 {
        say(&mut hall, &mut left, number);
        hall.tick();
    }
    let heard = hall.heard_by(&right);
    assert!((50..=90).contains(&heard.len()), "{} packets", heard.len());
    assert!(heard.iter().all(|bytes| bytes[12..] == [Codec::Pcmu.silence(); 160]));
}

#[test]
fn time_stamps_of_our_own_events_count_in_the_clock_of_the_codec() {
    let mut hall = Hall::new();
    let opus = |stream: &mut Stream| (stream.coding, stream.payload) = (Coding::Foreign(Foreign::Opus), 111);
    let party = hall.party_with(LEFT_HZ, opus);
    let digits = |id| Command::SendDigits { port: party.id, id, digits: "1".into(), tone_ms: 80, gap_ms: 40 };
    hall.obey(digits(PlayId(1)));
    hall.ticks(15);
    hall.obey(digits(PlayId(2)));
    hall.ticks(15);
    let stamps: Vec<_> = hall.heard_by(&party).iter().map(|bytes| header(bytes).timestamp).collect();
    let [first, last] = [stamps[0], stamps[stamps.len() - 1]];
    // 300 ms and the phase of the beat later.
    assert!((270 * 48..=330 * 48).contains(&last.wrapping_sub(first)), "{}", last.wrapping_sub(first));
}
