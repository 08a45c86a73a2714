//! What is copied of a call on record: every packet as it came, supervisors apart from the parties, and nothing changes for anybody.

use super::*;
use crate::audio::codec::Foreign;
use crate::audio::tone;
use crate::media::command::{PlayId, RoomId, Source, ToneStep};
use crate::media::copies::{Content, Copied, CopyKey, CopyLink, Intake, Mark, Origin};

const TAP: TapId = TapId(90);

/// A recorder with one recording.
struct Reader {
    intake: Intake,
    key: CopyKey,
}

/// What came of a recording.
#[derive(Default)]
struct Heard {
    /// Samples of left, right and supervisors.
    sound: [Vec<i16>; 3],
    heads: Vec<Copied>,
}

fn record(hall: &mut Hall, left: Option<&Party>, right: Option<&Party>) -> (Reader, mpsc::Receiver<Event>) {
    let (sender, events) = mpsc::channel(8);
    let (link, intake) = CopyLink::new();
    let (copies, key) = link.recording(sender);
    hall.board.copying = copies.provide(&mut None);
    hall.obey(Command::Record { tap: TAP, left: left.map(|p| p.id), right: right.map(|p| p.id), copies });
    (Reader { intake, key }, events)
}

fn read(reader: &mut Reader) -> Heard {
    let mut all = Heard::default();
    reader.intake.gather();
    while let Some((copied, payload)) = reader.intake.of(&reader.key).next_until(u64::MAX) {
        let at = match copied.origin {
            Origin::Left => 0,
            Origin::Right => 1,
            Origin::Supervisor => 2,
        };
        match copied.content {
            Content::Sound(codec) => {
                let mut samples = vec![0; payload.len()];
                codec.decode(payload, &mut samples);
                all.sound[at].extend(samples);
            }
            Content::Samples => {
                all.sound[at].extend(payload.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
            }
            Content::Foreign(_) | Content::Digit | Content::Mark(_) => {}
        }
        all.heads.push(copied);
    }
    all
}

/// The only tone in the samples.
fn only_tone(samples: &[i16]) -> f32 {
    assert!(samples.len() >= 1_600, "{} samples", samples.len());
    let all = [LEFT_HZ, RIGHT_HZ, VOICE_HZ, SECOND_VOICE_HZ];
    let heard: Vec<f32> = all.into_iter().filter(|hz| tone::level_db(samples, *hz) > -40.0).collect();
    assert_eq!(heard.len(), 1, "{heard:?}");
    heard[0]
}

fn marks(all: &Heard) -> Vec<(Origin, Mark)> {
    let mark = |copied: &Copied| match copied.content {
        Content::Mark(mark) => Some((copied.origin, mark)),
        _ => None,
    };
    all.heads.iter().filter_map(mark).collect()
}

fn tones_source() -> Source {
    let step = ToneStep { hz: [VOICE_HZ, 0.0], ms: 60_000, level_db: -10.0 };
    Source::Tones { steps: [step].into(), repeat: true }
}

#[test]
fn each_partys_packets_are_copied_as_they_came_and_nobody_notices() {
    let run = |is_recorded: bool| {
        let mut hall = Hall::new();
        let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party_with(RIGHT_HZ, |s| s.coding = Codec::Pcma.into()));
        hall.join(&left, &right);
        let mut reader = is_recorded.then(|| record(&mut hall, Some(&left), Some(&right)).0);
        hall.talk([&mut left, &mut right], &mut [], 50);
        let heard = [hall.heard_by(&left), hall.heard_by(&right)];
        (heard, reader.as_mut().map(read))
    };
    let ((with, all), (without, _)) = (run(true), run(false));
    assert_eq!(with, without, "what the parties hear");
    let all = all.expect("a recording");
    assert_eq!([only_tone(&all.sound[0]), only_tone(&all.sound[1])], [LEFT_HZ, RIGHT_HZ]);
    assert_eq!([all.sound[0].len(), all.sound[1].len(), all.sound[2].len()], [8_000, 8_000, 0]);
    let lefts: Vec<&Copied> = all.heads.iter().filter(|copied| copied.origin == Origin::Left).collect();
    assert_eq!(lefts.iter().map(|copied| copied.sequence).collect::<Vec<_>>(), (100..150).collect::<Vec<_>>());
    assert_eq!((lefts[1].timestamp, lefts[1].content), (5_160, Content::Sound(Codec::Pcmu)));
    assert_eq!(lefts[1].at_us - lefts[0].at_us, 20_000);
}

#[test]
fn what_a_supervisor_says_is_apart_from_the_parties_and_there_once() {
    for heard_by in [Sides::LEFT, Sides::RIGHT, Sides::BOTH] {
        let mut hall = Hall::new();
        let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
        hall.join(&left, &right);
        let (mut reader, _events) = record(&mut hall, Some(&left), Some(&right));
        let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, heard_by));
        hall.talk([&mut left, &mut right], &mut [&mut supervisor], 50);
        if heard_by.left {
            let at_left = hall.sound_at(&left);
            assert!(tone::level_db(&at_left, VOICE_HZ) > -20.0, "the left party hears the supervisor");
        }
        let all = read(&mut reader);
        let heard = [0, 1, 2].map(|at| only_tone(&all.sound[at]));
        assert_eq!(heard, [LEFT_HZ, RIGHT_HZ, VOICE_HZ], "{heard_by:?}");
        assert!(all.sound[2].len() <= 8_000, "once: {} samples", all.sound[2].len());
    }
}

#[test]
fn a_supervisor_nobody_hears_is_not_copied() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let (mut reader, _events) = record(&mut hall, Some(&left), Some(&right));
    let mut supervisor = hall.supervisor(1, (&left, &right), (Sides::BOTH, Sides::NONE));
    hall.talk([&mut left, &mut right], &mut [&mut supervisor], 20);
    assert!(read(&mut reader).sound[2].is_empty());
}

#[test]
fn what_a_leg_alone_or_in_a_room_hears_is_the_other_side_without_supervisors_and_beeps() {
    let mut hall = Hall::new();
    let (mut left, mut other) = (hall.party(LEFT_HZ), hall.party(SECOND_VOICE_HZ));
    let (mut reader, _events) = record(&mut hall, Some(&left), None);
    hall.obey(Command::Play { port: left.id, id: PlayId(1), source: tones_source() });
    hall.ticks(30);
    let all = read(&mut reader);
    assert_eq!(only_tone(&all.sound[1]), VOICE_HZ, "a prompt");
    for port in [left.id, other.id] {
        hall.obey(Command::EnterRoom { room: RoomId(3), port, muted: false });
    }
    let (_, said) = rtrb::RingBuffer::new(1);
    let audio = TapAudio { out: rtrb::RingBuffer::new(50).0, voice: said, events: mpsc::channel(4).0 };
    let (hears, heard_by) = (Sides::NONE, Sides::LEFT);
    hall.obey(Command::Attach { tap: TapId(1), left: Some(left.id), right: None, hears, heard_by, audio });
    let step = ToneStep { hz: [RIGHT_HZ, 0.0], ms: 60_000, level_db: -10.0 };
    let beep = Source::Tones { steps: [step].into(), repeat: true };
    hall.obey(Command::PlayOver { port: left.id, id: PlayId(2), source: beep });
    hall.talk([&mut left, &mut other], &mut [], 30);
    read(&mut reader);
    hall.heard_by(&left);
    hall.talk([&mut left, &mut other], &mut [], 30);
    let all = read(&mut reader);
    assert_eq!([only_tone(&all.sound[0]), only_tone(&all.sound[1])], [LEFT_HZ, SECOND_VOICE_HZ]);
    assert!(tone::level_db(&hall.sound_at(&left), RIGHT_HZ) > -20.0, "the party does hear the beep");
}

#[test]
fn with_a_right_port_nothing_that_the_server_plays_is_copied() {
    let mut hall = Hall::new();
    let (left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    let (mut reader, _events) = record(&mut hall, Some(&left), Some(&right));
    hall.obey(Command::Play { port: left.id, id: PlayId(1), source: tones_source() });
    hall.ticks(10);
    assert!(read(&mut reader).heads.is_empty());
}

#[test]
fn holds_are_marked_whoever_orders_them() {
    let mut hall = Hall::new();
    let (mut left, mut right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let (mut reader, _events) = record(&mut hall, Some(&left), Some(&right));
    hall.obey(Command::Hold { port: left.id, music: Source::Silence });
    hall.talk([&mut left, &mut right], &mut [], 10);
    hall.obey(Command::Unhold { port: left.id });
    let all = read(&mut reader);
    assert_eq!(marks(&all), [(Origin::Left, Mark::Held), (Origin::Left, Mark::Unheld)]);
    assert_eq!(all.sound[1].len(), 1_600, "the other party goes on");
    let mut deaf = stream();
    deaf.receive = false;
    hall.obey(Command::Configure { port: right.id, stream: deaf });
    hall.obey(Command::Configure { port: right.id, stream: stream() });
    assert_eq!(marks(&read(&mut reader)), [(Origin::Right, Mark::Held), (Origin::Right, Mark::Unheld)]);
}

#[test]
fn a_party_that_cannot_be_decoded_is_marked_and_nothing_of_it_is_copied() {
    let mut hall = Hall::new();
    let (mut left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    let (mut reader, _events) = record(&mut hall, Some(&left), Some(&right));
    hall.obey(Command::Configure {
        port: left.id,
        stream: Stream { coding: Coding::Foreign(Foreign::G729), ..stream() },
    });
    hall.speak(&mut left);
    hall.tick();
    hall.obey(Command::Configure { port: left.id, stream: stream() });
    let all = read(&mut reader);
    assert_eq!(marks(&all), [(Origin::Left, Mark::Undecodable), (Origin::Left, Mark::Decodable)]);
    assert!(all.sound[0].is_empty());
}

#[test]
fn what_only_the_recorder_decodes_is_copied_as_it_came() {
    for foreign in [Foreign::G722, Foreign::Gsm, Foreign::Opus] {
        let mut hall = Hall::new();
        let coding = Coding::Foreign(foreign);
        let mut left = hall.party_with(LEFT_HZ, |stream| (stream.coding, stream.payload) = (coding, 111));
        let right = hall.party_with(RIGHT_HZ, |stream| (stream.coding, stream.payload) = (coding, 96));
        hall.join(&left, &right);
        let (mut reader, _events) = record(&mut hall, Some(&left), Some(&right));
        let numbers = (left.next.sequence, left.next.timestamp, left.next.ssrc);
        hall.send(&mut left, b"as it came");
        reader.intake.gather();
        let (copied, payload) = reader.intake.of(&reader.key).next_until(u64::MAX).expect("a copy");
        assert_eq!(
            (copied.origin, copied.content, payload),
            (Origin::Left, Content::Foreign(foreign), &b"as it came"[..])
        );
        assert_eq!((copied.sequence, copied.timestamp, copied.ssrc), numbers);
        assert_eq!(reader.intake.of(&reader.key).next_until(u64::MAX), None, "no mark either");
        assert_eq!(&hall.heard_by(&right)[0][12..], b"as it came", "and passed on");
    }
}

#[test]
fn a_recording_that_begins_in_a_hold_says_so() {
    let mut hall = Hall::new();
    let (left, right) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ));
    hall.join(&left, &right);
    hall.obey(Command::Hold { port: right.id, music: Source::Silence });
    let (mut reader, _events) = record(&mut hall, Some(&left), Some(&right));
    assert_eq!(marks(&read(&mut reader)), [(Origin::Right, Mark::Held)]);
}

#[test]
fn a_recording_is_moved_loses_ports_and_ends() {
    let mut hall = Hall::new();
    let (mut left, mut right, mut third) = (hall.party(LEFT_HZ), hall.party(RIGHT_HZ), hall.party(VOICE_HZ));
    hall.join(&left, &right);
    let (mut reader, mut events) = record(&mut hall, Some(&left), Some(&right));
    hall.talk([&mut left, &mut right], &mut [], 20);
    read(&mut reader);
    hall.join(&left, &third);
    hall.obey(Command::MoveTap { tap: TAP, left: Some(left.id), right: Some(third.id) });
    hall.talk([&mut left, &mut third], &mut [], 20);
    hall.speak(&mut right);
    let all = read(&mut reader);
    assert_eq!([only_tone(&all.sound[0]), only_tone(&all.sound[1])], [LEFT_HZ, VOICE_HZ]);
    assert_eq!(all.sound[1].len(), 3_200, "nothing of the party that left");
    hall.obey(Command::Close { port: third.id });
    assert_eq!(events.try_recv(), Ok(Event::SideEmpty { tap: TAP }));
    hall.obey(Command::Detach { tap: TAP });
    assert_eq!(events.try_recv(), Ok(Event::TapEnded { tap: TAP }));
    hall.speak(&mut left);
    assert!(read(&mut reader).heads.is_empty());
}

#[test]
fn a_recording_that_nobody_reads_ends_by_itself() {
    let mut hall = Hall::new();
    let left = hall.party(LEFT_HZ);
    let (reader, mut events) = record(&mut hall, Some(&left), None);
    drop(reader);
    hall.ticks(5);
    assert_eq!(events.try_recv(), Ok(Event::TapEnded { tap: TAP }));
    assert!(hall.board.by_recording.is_empty());
}

#[test]
fn keys_are_numbers_without_sound() {
    let mut hall = Hall::new();
    let mut left = hall.party(LEFT_HZ);
    let (mut reader, _events) = record(&mut hall, Some(&left), None);
    let key = Header { payload_type: 101, ..left.next };
    hall.send_as(left.seat, key, &[5, 0x0a, 0, 160]);
    left.next.sequence += 1;
    hall.speak(&mut left);
    let contents: Vec<Content> = read(&mut reader).heads.iter().map(|copied| copied.content).collect();
    assert_eq!(contents, [Content::Digit, Content::Sound(Codec::Pcmu)]);
}
