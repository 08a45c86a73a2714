//! G.722 that is kept as it came: every octet is in the file, on its side and in its place; the rest is silence, or encoded.

use std::time::Duration;

use proptest::prelude::*;

use super::codecs::{HIGH_G722, HIGH_HZ, LOW_G722, LOW_HZ, Phone, level, says};
use super::*;
use crate::audio::codec::{Foreign, g722};
use crate::audio::matroska::{CLUSTER_OCTETS, Head};
use crate::audio::source;
use crate::recorder::Rate;
use crate::recorder::order::{Form, Layout, RecorderError, Whispers};
use crate::recorder::repair;

const RATE: Rate = Rate::Hz16000;
/// Octets of a ms.
const MS: usize = 8;

fn stand(change: impl FnOnce(&mut Order)) -> Stand {
    Stand::new(|order| {
        order.path.set_extension("mka");
        order.form = Form::G722;
        change(order);
    })
}

fn phone(origin: Origin) -> Phone {
    Phone::new(origin, Foreign::G722)
}

/// The octets of each track of all files, each of which is whole.
fn octets(finished: &Finished) -> Vec<Vec<u8>> {
    let mut tracks = vec![Vec::new(); finished.channels.into()];
    for part in &finished.files {
        let bytes = std::fs::read(&part.path).expect("a file");
        let head = Head::parse(&bytes).expect("a head");
        assert_eq!((head.bytes, part.bytes), (bytes.len() as u64, bytes.len() as u64));
        assert_eq!((head.ms, head.tracks.count()), (part.frames as f64 / 16.0, finished.channels));
        let mut rest = &bytes[head.tracks.head_bytes() as usize..];
        for nth in 0.. {
            if rest.is_empty() {
                break;
            }
            let length = rest.len().min(head.tracks.cluster_bytes(CLUSTER_OCTETS) as usize);
            let cluster = head.tracks.nth_cluster(nth, &rest[..length]).expect("a cluster");
            tracks.iter_mut().zip(&cluster.tracks).for_each(|(track, octets)| track.extend(*octets));
            rest = &rest[cluster.bytes as usize..];
        }
        assert!(repair(&part.path).is_ok_and(|repaired| !repaired.changed && repaired.frames == part.frames));
    }
    assert!(tracks.iter().all(|track| 2 * track.len() as u64 == finished.frames), "one length to the octet");
    tracks
}

fn finish(mut stand: Stand, ms: u64) -> (Finished, Vec<Vec<u8>>, TempDir) {
    stand.run(ms);
    let finished = stand.session.finish(START_US + ms * 1_000, &mut stand.tools);
    let tracks = octets(&finished);
    (finished, tracks, stand.folder)
}

fn is_silent(octets: &[u8]) -> bool {
    octets.iter().all(|octet| *octet == g722::SILENCE)
}

/// The first octets of seconds that are said over and over.
fn over(second: &[u8], length: usize) -> Vec<u8> {
    second.iter().copied().cycle().take(length).collect()
}

#[test]
fn every_octet_is_in_the_file_as_it_came_on_its_side_and_in_its_place() {
    let mut stand = stand(|_| {});
    phone(Origin::Left).talk(&mut stand, 0, 3_000);
    phone(Origin::Right).talk(&mut stand, 1_000, 2_500);
    let (finished, tracks, _folder) = finish(stand, 3_011);
    assert_eq!((finished.frames, finished.rate_hz, finished.channels), (3_011 * 16, 16_000, 2));
    assert_eq!((gaps(&finished), finished.packets.received, finished.packets.lost), (vec![], 225, 0));
    assert_eq!(tracks[0][..3_000 * MS], over(HIGH_G722, 3_000 * MS));
    assert_eq!(tracks[1][1_000 * MS..2_500 * MS], over(LOW_G722, 1_500 * MS));
    assert!(is_silent(&tracks[0][3_000 * MS..]) && is_silent(&tracks[1][..1_000 * MS]));
    assert!(is_silent(&tracks[1][2_500 * MS..]));
}

#[test]
fn it_sounds_as_it_would_had_it_been_decoded() {
    let mut stand = stand(|_| {});
    phone(Origin::Left).talk(&mut stand, 0, 1_500);
    phone(Origin::Right).talk(&mut stand, 0, 1_500);
    let (finished, tracks, _folder) = finish(stand, 1_500);
    let file = std::fs::File::open(&finished.files[0].path).expect("a file");
    let (mut source, mut sides, mut block) = (source::open(file, "").expect("a sound"), [vec![], vec![]], Vec::new());
    while source.next(&mut block).is_ok() && !block.is_empty() {
        for pair in block.chunks_exact(2) {
            sides.iter_mut().zip(pair).for_each(|(side, sample)| side.push(*sample));
        }
    }
    assert_eq!(source.frames(), Some(finished.frames));
    assert!(sides[0] == g722::decode(&tracks[0]) && sides[1] == g722::decode(&tracks[1]));
    assert!(says(&sides[0], RATE, 100..900, HIGH_HZ) && says(&sides[1], RATE, 100..900, LOW_HZ));
}

#[test]
fn lost_packets_are_silence_and_a_gap_and_late_ones_find_their_place() {
    let mut stand = stand(|_| {});
    let mut left = phone(Origin::Left);
    left.talk(&mut stand, 0, 1_000);
    (0..5).for_each(|_| left.next());
    left.talk(&mut stand, 1_100, 1_500);
    left.speak(&mut stand, 2_100.0); // 580 ms late, when that place has been written
    left.talk(&mut stand, 1_520, 2_500);
    let (finished, tracks, _folder) = finish(stand, 2_600);
    assert_eq!(gaps(&finished), [(Side::Left, 1_000, 100, Why::Lost)]);
    assert_eq!(finished.packets.lost, 5);
    let mut expected = over(HIGH_G722, 2_500 * MS);
    expected[1_000 * MS..1_100 * MS].fill(g722::SILENCE);
    assert_eq!(tracks[0][..2_500 * MS], expected);
}

#[test]
fn a_hold_is_silence_in_its_place_and_told() {
    let mut stand = stand(|_| {});
    let mut right = phone(Origin::Right);
    right.talk(&mut stand, 0, 1_000);
    stand.mark(1_000.0, Origin::Right, Mark::Held);
    stand.mark(4_000.0, Origin::Right, Mark::Unheld);
    right.timestamp = right.timestamp.wrapping_add(3_000 * 8);
    right.talk(&mut stand, 4_000, 5_000);
    phone(Origin::Left).talk(&mut stand, 0, 5_000);
    let (finished, tracks, _folder) = finish(stand, 5_000);
    assert_eq!(gaps(&finished), [(Side::Right, 1_000, 3_000, Why::Held)]);
    assert!(is_silent(&tracks[1][1_000 * MS..4_000 * MS]));
    assert_eq!(tracks[1][4_000 * MS..], over(LOW_G722, 1_000 * MS));
    assert_eq!(tracks[0], over(HIGH_G722, 5_000 * MS));
}

#[test]
fn what_comes_in_another_codec_is_encoded_and_the_timeline_stays() {
    let mut stand = stand(|_| {});
    let mut law = Talker { oscillator: Oscillator::new([440.0, 0.0], -14.2), ..Talker::left() };
    phone(Origin::Left).talk(&mut stand, 0, 1_000);
    law.talk(&mut stand, 1_000, 2_000);
    Phone::new(Origin::Left, Foreign::Opus).talk(&mut stand, 2_000, 3_000);
    phone(Origin::Left).talk(&mut stand, 3_000, 4_000);
    phone(Origin::Right).talk(&mut stand, 0, 4_000);
    let (finished, tracks, _folder) = finish(stand, 4_000);
    assert_eq!((gaps(&finished), finished.frames), (vec![], 64_000));
    assert_eq!(tracks[0][3_000 * MS..], over(HIGH_G722, 1_000 * MS), "as it came again");
    assert_eq!(tracks[1], over(LOW_G722, 4_000 * MS), "the other side is not touched");
    let samples = g722::decode(&tracks[0]);
    for second in 0..4 {
        let ms = second * 1_000 + 80..second * 1_000 + 950;
        let found = level(&samples, RATE, ms.clone(), 440.0);
        assert!((found + 14.2).abs() < 2.0, "second {second}: {found}");
        let high = level(&samples, RATE, ms, 5_000.0);
        assert_eq!(high > -25.0, second != 1, "second {second}: {high}");
    }
}

#[test]
fn masks_are_silence_and_pauses_are_cut_out_whatever_time_stamps_say() {
    for (begin, end) in [(Wish::Mask, Wish::Unmask), (Wish::Pause, Wish::Resume)] {
        let mut stand = stand(|_| {});
        let mut left = phone(Origin::Left);
        left.talk(&mut stand, 0, 1_000);
        let secret: Vec<u8> = (0..160).map(|at| at ^ 0x5a).collect();
        let mut says = Phone::of(Origin::Left, Foreign::G722, vec![secret.clone()], 20);
        says.sequence = left.sequence;
        says.timestamp = left.timestamp.wrapping_add(190 * 8); // it says that it is later than it is
        says.talk(&mut stand, 1_000, 1_200);
        left.sequence = says.sequence;
        left.timestamp = left.timestamp.wrapping_add(200 * 8);
        left.talk(&mut stand, 1_200, 3_000);
        phone(Origin::Right).talk(&mut stand, 0, 3_000);
        stand.wish(1_000, &begin);
        stand.wish(1_200, &end);
        let (finished, tracks, _folder) = finish(stand, 3_000);
        let masked = matches!(begin, Wish::Mask);
        assert_eq!(finished.frames, if masked { 48_000 } else { 44_800 });
        if masked {
            assert!(is_silent(&tracks[1][1_000 * MS..1_200 * MS]));
            assert_eq!(tracks[1][1_200 * MS..], over(LOW_G722, 3_000 * MS)[1_200 * MS..]);
        } else {
            assert_eq!(tracks[1][1_000 * MS..], over(LOW_G722, 3_000 * MS)[1_200 * MS..]);
        }
        assert!(!tracks[0].windows(20).any(|window| secret.windows(20).any(|part| part == window)), "{begin:?}");
        assert!(tracks[0].starts_with(&over(HIGH_G722, 990 * MS)), "{begin:?}");
    }
}

#[test]
fn what_supervisors_say_is_left_out_or_on_a_third_track() {
    for whispers in [Whispers::LeaveOut, Whispers::OwnTrack] {
        let mut stand = stand(|order| order.whispers = whispers);
        phone(Origin::Left).talk(&mut stand, 0, 1_000);
        phone(Origin::Right).talk(&mut stand, 0, 1_000);
        let mut oscillator = Oscillator::new([1_000.0, 0.0], -10.0);
        for at in 1..=50u32 {
            let mut samples = [0; 160];
            oscillator.fill(&mut samples);
            let payload = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            stand.send(f64::from(at * 20), (Origin::Supervisor, Content::Samples), (0, at * 160, 1), payload);
            // Another, who says nothing, does not silence the first.
            stand.send(f64::from(at * 20), (Origin::Supervisor, Content::Samples), (0, at * 160, 2), vec![0; 320]);
        }
        let (finished, tracks, _folder) = finish(stand, 1_000);
        assert_eq!(finished.channels, if whispers == Whispers::OwnTrack { 3 } else { 2 });
        assert!(tracks[0] == over(HIGH_G722, 8_000) && tracks[1] == over(LOW_G722, 8_000), "never among the others");
        if let Some(third) = tracks.get(2) {
            let found = level(&g722::decode(third), RATE, 100..900, 1_000.0);
            assert!((found + 10.0).abs() < 0.5, "{found}");
        }
    }
}

#[test]
fn further_files_go_on_where_the_one_before_ended() {
    let by_size = |order: &mut Order| order.roll_at_bytes = 20_000;
    let by_time = |order: &mut Order| order.segment = Some(Duration::from_millis(1_010));
    for change in [&by_size as &dyn Fn(&mut Order), &by_time] {
        let mut stand = stand(|order| change(order));
        phone(Origin::Left).talk(&mut stand, 0, 4_000);
        phone(Origin::Right).talk(&mut stand, 0, 4_000);
        let (finished, tracks, _folder) = finish(stand, 4_007);
        assert!(finished.files.len() > 3 && finished.files.iter().all(|part| part.bytes <= 20_000));
        assert_eq!(tracks[0][..4_000 * MS], over(HIGH_G722, 4_000 * MS));
        assert_eq!(tracks[1][..4_000 * MS], over(LOW_G722, 4_000 * MS));
    }
}

#[test]
fn one_party_alone_has_a_file_of_one_track() {
    let mut stand = stand(|order| order.layout = Layout::One(Side::Right));
    phone(Origin::Left).talk(&mut stand, 0, 500);
    phone(Origin::Right).talk(&mut stand, 0, 500);
    let (finished, tracks, _folder) = finish(stand, 500);
    assert_eq!((finished.channels, &tracks[0]), (1, &over(LOW_G722, 500 * MS)));
}

#[test]
fn it_is_neither_mixed_nor_made_louder_nor_added_to_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("there.mka");
    std::fs::write(&path, "there").expect("written");
    let base = || Order { form: Form::G722, ..Order::new(&path) };
    let opened = |order: Order| {
        let (link, _intake) = CopyLink::new();
        let (_copies, key) = link.recording(mpsc::channel(1).0);
        Session::open(order, key, Arc::new(System), START_US)
    };
    assert!(matches!(opened(Order { layout: Layout::Mix, ..base() }), Err(RecorderError::NotAsCame)));
    assert!(matches!(opened(Order { append: true, ..base() }), Err(RecorderError::NotAppended { .. })));
    assert_eq!(std::fs::read(&path).expect("read"), b"there");
}

#[test]
fn a_clock_that_drifts_is_followed_and_the_sides_stay_together() {
    let mut stand = stand(|_| {});
    let (mut left, mut right) = (phone(Origin::Left), phone(Origin::Right));
    for packet in 1..=1_500u32 {
        left.speak(&mut stand, f64::from(packet) * 20.0);
        right.speak(&mut stand, f64::from(packet) * 20.0 * 1.000_3); // 9 ms late at the end
    }
    let (finished, tracks, _folder) = finish(stand, 30_100);
    assert_eq!((gaps(&finished), tracks[0].len()), (vec![], 30_100 * MS));
    assert_eq!(tracks[0][..30_000 * MS], over(HIGH_G722, 30_000 * MS));
    let end = tracks[1].iter().rposition(|octet| *octet != g722::SILENCE).expect("sound");
    assert!(end.abs_diff(30_009 * MS) <= 2 * MS, "{end}");
    let found = level(&g722::decode(&tracks[1]), RATE, 28_050..28_950, LOW_HZ[0]);
    assert!((found + 14.2).abs() < 2.0, "an octet said twice does no harm: {found}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn hostile_payloads_never_panic_and_both_sides_are_as_long(
        packets in prop::collection::vec(
            (0u64..60_000, 0usize..4, any::<u16>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..500)), 1..80,
        ),
        follows in any::<bool>(),
    ) {
        let contents = [Foreign::G722, Foreign::Gsm, Foreign::Opus].map(Content::Foreign);
        let mut stand = stand(|_| {});
        let (mut us, mut stamp) = (0, 0u32);
        for (number, (after_us, kind, sequence, timestamp, payload)) in packets.into_iter().enumerate() {
            us += after_us;
            stamp = if follows { stamp.wrapping_add(timestamp % 2_000) } else { timestamp };
            let sequence = if follows { number as u16 } else { sequence };
            let content = contents.get(kind).copied().unwrap_or(Content::Sound(Codec::Pcma));
            let origin = if sequence % 3 == 0 { Origin::Right } else { Origin::Left };
            stand.send(us as f64 / 1_000.0, (origin, content), (sequence, stamp, u32::from(sequence) % 6), payload);
        }
        let ms = us / 1_000 + 50;
        let (finished, _, _folder) = finish(stand, ms);
        prop_assert_eq!(finished.frames, ms * 16);
    }
}
