//! What ports do: relay, hold, play, press keys, tell silence, report, and keep strangers out.

use super::*;
use crate::audio::tone;
use crate::media::command::{PlayId, Source};

#[test]
fn digits_are_told_and_go_only_to_a_peer_that_takes_them() {
    for takes in [Some(96), None] {
        let mut hall = Hall::new();
        let (mut left, right) =
            (hall.party(LEFT_HZ), hall.party_with(RIGHT_HZ, |stream| stream.telephone_event = takes));
        hall.join(&left, &right);
        hall.speak(&mut left);
        for (part, duration) in [(0x0a, 160u16), (0x0a, 320), (0x8a, 480), (0x8a, 480), (0x8a, 480)] {
            let header = Header { payload_type: 101, timestamp: 9_000, ..left.next };
            left.next.sequence += 1;
            hall.send_as(left.seat, header, &[5, part, duration.to_be_bytes()[0], duration.to_be_bytes()[1]]);
        }
        hall.speak(&mut left);
        assert_eq!(left.events.try_recv(), Ok(Event::Digit { port: left.id, digit: '5', ms: 60 }));
        assert!(left.events.try_recv().is_err(), "told once");
        let packets: Vec<Header> = hall.heard_by(&right).iter().map(|bytes| header(bytes)).collect();
        assert_eq!(
            packets.iter().filter(|header| Some(header.payload_type) == takes).count(),
            if takes.is_some() { 5 } else { 0 }
        );
        let steady = packets.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1));
        assert!(steady, "no hole where events were left out");
    }
}

#[test]
fn a_party_on_hold_is_sent_nothing_and_resumes_without_a_gap() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    hall.speak(&mut left);
    let before = header(&hall.heard_by(&right)[0]);
    hall.obey(Command::Configure { port: right.id, stream: Stream { send: false, ..stream() } });
    for _ in 0..20 {
        hall.tick();
        hall.speak(&mut left);
    }
    assert!(hall.heard_by(&right).is_empty());
    hall.obey(Command::Configure { port: right.id, stream: stream() });
    hall.tick();
    hall.speak(&mut left);
    let after = header(&hall.heard_by(&right)[0]);
    assert_eq!(
        (after.sequence, after.timestamp),
        (before.sequence.wrapping_add(1), before.timestamp.wrapping_add(21 * 160))
    );
    assert!(after.marker);
    assert_eq!(hall.air.aimed.len(), 2, "the address was not learnt anew");
}

#[test]
fn a_party_hears_steady_silence_while_the_other_end_sends_nothing_and_then_the_voice_again() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    for _ in 0..20 {
        hall.speak(&mut left);
        hall.tick();
    }
    assert_eq!(hall.heard_by(&right).len(), 20, "nothing is added while the other end speaks");
    for _ in 0..100 {
        hall.tick();
    }
    let quiet = hall.heard_by(&right);
    assert!((60..=80).contains(&quiet.len()), "{} packets in two seconds of silence", quiet.len());
    assert!(quiet.iter().all(|bytes| bytes[12..] == [Codec::Pcmu.silence(); 160]));
    for _ in 0..50 {
        hall.speak(&mut left);
        hall.tick();
    }
    let packets = hall.heard_by(&right);
    assert!((49..=51).contains(&packets.len()), "{} packets in one second of voice", packets.len());
    let all: Vec<_> = quiet.iter().chain(&packets).map(|bytes| header(bytes).sequence).collect();
    assert!(all.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "one stream without a gap");
}

#[test]
fn a_change_of_source_goes_on_in_one_stream() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.ticks(5);
    hall.join(&left, &right);
    for n in 0..10 {
        if n == 5 {
            (left.next.ssrc, left.next.sequence, left.next.timestamp) = (999, 40_000, 123_456_789);
        }
        hall.speak(&mut left);
        hall.tick();
    }
    let headers: Vec<Header> = hall.heard_by(&right).iter().map(|bytes| header(bytes)).collect();
    assert!(headers.len() >= 14);
    assert!(headers.windows(2).all(|pair| {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        pair[1].sequence == pair[0].sequence.wrapping_add(1)
            && (160..=320).contains(&step)
            && pair[1].ssrc == pair[0].ssrc
    }));
    assert_eq!(headers.iter().filter(|header| header.marker).count(), 3, "silence, the call, the new source");
}

#[test]
fn keys_are_sent_as_events_and_the_sound_waits() {
    let mut hall = Hall::new();
    let mut party = hall.party(LEFT_HZ);
    hall.obey(Command::Play { port: party.id, id: PlayId(1), source: Source::Silence });
    hall.obey(Command::SendDigits { port: party.id, id: PlayId(2), digits: "1#".into(), tone_ms: 80, gap_ms: 40 });
    hall.ticks(40);
    assert_eq!(party.events.try_recv(), Ok(Event::Played { id: PlayId(2), finished: true }));
    let packets = hall.heard_by(&party);
    let headers: Vec<Header> = packets.iter().map(|bytes| header(bytes)).collect();
    assert!(headers.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    let kinds: String = headers.iter().map(|header| if header.payload_type == 101 { 'e' } else { '.' }).collect();
    assert_eq!(kinds.trim_end_matches('.'), "eeeeee..eeeeee");
    assert_eq!(headers.iter().filter(|header| header.payload_type == 101 && header.marker).count(), 2);
    // Without events the keys are tones.
    let mut plain = hall.party_with(RIGHT_HZ, |stream| stream.telephone_event = None);
    hall.obey(Command::SendDigits { port: plain.id, id: PlayId(3), digits: "5".into(), tone_ms: 400, gap_ms: 20 });
    hall.ticks(21);
    let samples = hall.sound_at(&plain);
    assert!(
        tone::level_db(&samples[320..3_000], 770.0) > -14.0 && tone::level_db(&samples[320..3_000], 1_336.0) > -14.0
    );
    hall.ticks(5);
    assert_eq!(plain.events.try_recv(), Ok(Event::Played { id: PlayId(3), finished: true }));
}

#[test]
fn joining_ends_what_plays_and_a_bridged_port_plays_nothing() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.obey(Command::Play { port: left.id, id: PlayId(1), source: Source::Silence });
    hall.ticks(2);
    hall.join(&left, &right);
    hall.obey(Command::Play { port: left.id, id: PlayId(2), source: Source::Silence });
    assert_eq!(left.events.try_recv(), Ok(Event::Played { id: PlayId(1), finished: false }));
    assert_eq!(left.events.try_recv(), Ok(Event::Played { id: PlayId(2), finished: false }));
    hall.heard_by(&left);
    hall.ticks(5);
    assert!(hall.heard_by(&left).is_empty());
    hall.obey(Command::Part { port: right.id });
    hall.ticks(5);
    assert!(hall.heard_by(&left).len() >= 4);
}

#[test]
fn packets_of_any_time_keep_their_beat() {
    for ptime_ms in [10, 20, 30, 40, 50, 60] {
        let mut hall = Hall::new();
        let party = hall.party_with(LEFT_HZ, |stream| stream.ptime_ms = ptime_ms);
        hall.ticks(61);
        let packets = hall.heard_by(&party);
        assert!(packets.iter().all(|bytes| bytes.len() == 12 + ptime_ms as usize * 8));
        assert!((1_200 / ptime_ms as usize).abs_diff(packets.len()) <= 2, "{ptime_ms} ms: {} packets", packets.len());
    }
}

#[test]
fn silence_is_told_every_timeout_until_packets_come() {
    let mut hall = Hall::new();
    let mut party = hall.party(LEFT_HZ);
    let silent = |party: &mut Party| std::iter::from_fn(|| party.events.try_recv().ok()).collect::<Vec<_>>();
    hall.ticks(95);
    assert_eq!(silent(&mut party), []);
    hall.ticks(20);
    assert_eq!(silent(&mut party), [Event::Silent { port: party.id }]);
    hall.ticks(120);
    assert_eq!(silent(&mut party), [Event::Silent { port: party.id }]);
    hall.speak(&mut party);
    hall.ticks(95);
    assert_eq!(silent(&mut party), []);
    let mut held = hall.party_with(RIGHT_HZ, |stream| stream.receive = false);
    hall.ticks(200);
    assert_eq!(silent(&mut held), [], "nothing is expected of a party on hold");
}

#[test]
fn reports_tell_loss_and_jitter_and_the_peers_are_read() {
    let mut hall = Hall::new();
    let mut party = hall.party(LEFT_HZ);
    for n in 0..600 {
        if n % 10 == 9 {
            party.next.sequence += 1; // one in ten is lost
            party.next.timestamp += 160;
        }
        hall.speak(&mut party);
        hall.tick();
    }
    let reports = &hall.air.reports[&party.seat];
    assert!((2..=5).contains(&reports.len()), "{} reports in 12 s", reports.len());
    let last = rtcp::parse(reports.last().expect("a report"), party.next.ssrc).expect("RTCP");
    let about = last.about_us.expect("a block about the party");
    assert!(last.sender.is_some() && (20..=26).contains(&about.fraction_lost), "{about:?}");
    let ours = hall.board.port(party.seat).expect("a port").out.ssrc();
    let theirs = rtcp::Outgoing {
        ssrc: 1,
        sender: None,
        receiver: Some(rtcp::ReceiverInfo {
            report: crate::rtp::stats::Report { ssrc: ours, fraction_lost: 3, lost: 42, highest: 0, jitter: 80 },
            last_report: 0,
            delay: 0,
        }),
        cname: "them",
        leaving: Leaving::No,
    };
    let mut bytes = [0; rtcp::MAX_BYTES];
    let length = theirs.write(&mut bytes);
    hall.board.receive(party.seat, &mut bytes[..length], None, (hall.slot.start(), &mut hall.air));
    hall.obey(Command::Close { port: party.id });
    let Ok(Event::Closed { stats, .. }) = party.events.try_recv() else { panic!("closed") };
    assert_eq!((stats.packets_in, stats.lost, stats.remote_lost, stats.remote_jitter_ms), (600, 60, 42, 10.0));
}

#[test]
fn strangers_are_counted_and_never_heard_nor_answered() {
    let mut hall = Hall::new();
    let nat = "203.0.113.7".parse().ok();
    let (mut left, right) = (hall.party_with(LEFT_HZ, |stream| stream.nat_source = nat), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let from = |text: &str| Some(text.parse().expect("an address"));
    let deliver = |hall: &mut Hall, sequence: u16, from: Option<SocketAddr>| {
        let header = Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 5 };
        let mut bytes = [&header.to_bytes()[..], &[1; 160]].concat();
        hall.board.receive(left.seat, &mut bytes, from, (hall.slot.start(), &mut hall.air));
    };
    for sequence in 0..10 {
        deliver(&mut hall, sequence, from("198.51.100.1:4000"));
    }
    assert!(hall.heard_by(&right).is_empty() && hall.air.locked.is_empty());
    for sequence in 20..24 {
        deliver(&mut hall, sequence, from("203.0.113.7:61000"));
    }
    assert_eq!(hall.heard_by(&right).len(), 4);
    let remote = "203.0.113.7:61000".parse().expect("an address");
    assert_eq!(hall.air.locked, [(left.seat, remote)]);
    assert_eq!(left.events.try_recv(), Ok(Event::Latched { port: left.id, remote }));
    deliver(&mut hall, 24, from("203.0.113.7:61002"));
    let again = Stream { nat_source: nat, ..stream() };
    hall.obey(Command::Configure { port: left.id, stream: again });
    deliver(&mut hall, 24, Some(remote));
    assert_eq!(hall.heard_by(&right).len(), 1, "the same remote keeps what was learnt");
    hall.obey(Command::Close { port: left.id });
    let Ok(Event::Closed { stats, .. }) = left.events.try_recv() else { panic!("closed") };
    assert_eq!((stats.packets_in, stats.strangers), (5, 11));
}

#[test]
fn junk_is_counted() {
    let mut hall = Hall::new();
    let mut party = hall.party(LEFT_HZ);
    for junk in [&b"hello"[..], &[0x80; 5], &[0x80, 200, 0, 99], &[0xbf; 40]] {
        hall.board.receive(party.seat, &mut junk.to_vec(), None, (hall.slot.start(), &mut hall.air));
    }
    let header = Header { payload_type: 13, ..party.next };
    hall.send_as(party.seat, header, &[1]);
    hall.obey(Command::Close { port: party.id });
    let Ok(Event::Closed { stats, .. }) = party.events.try_recv() else { panic!("closed") };
    assert_eq!((stats.packets_in, stats.malformed, stats.unexpected), (0, 4, 1));
}

#[test]
fn sound_and_silence_are_told_when_they_change_and_only_to_who_asked() {
    let mut hall = Hall::new();
    let mut left = hall.party(LEFT_HZ);
    hall.speak(&mut left);
    assert!(left.events.try_recv().is_err(), "nobody asked");
    hall.obey(Command::TellSound { port: left.id, on: true });
    hall.speak(&mut left);
    hall.tick();
    hall.speak(&mut left);
    assert_eq!(left.events.try_recv(), Ok(Event::Sound { port: left.id, is_loud: true }));
    assert!(left.events.try_recv().is_err(), "told once");
    for _ in 0..30 {
        hall.tick();
    }
    assert_eq!(left.events.try_recv(), Ok(Event::Sound { port: left.id, is_loud: false }));
    hall.obey(Command::TellSound { port: left.id, on: false });
    hall.speak(&mut left);
    assert!(left.events.try_recv().is_err());
}
