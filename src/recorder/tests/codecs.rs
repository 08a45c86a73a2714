//! Codecs that only the recorder decodes, at every rate of files: what was said by other encoders is heard where it belongs.

use super::*;
use crate::audio::codec::Foreign;
use crate::recorder::Rate;
use crate::recorder::decode::Decoding;
use crate::recorder::order::{Form, Whispers};
use opus_rs::{Application, OpusEncoder};
use proptest::prelude::*;

/// One second each of 440 Hz at −14 dB with 5 kHz at −16.5 dB, and of 650 Hz with 3.5 kHz.
pub(super) const HIGH_G722: &[u8] = include_bytes!("../../../tests/data/sounds/high.g722");
pub(super) const LOW_G722: &[u8] = include_bytes!("../../../tests/data/sounds/low.g722");
const HIGH_OPUS: &[u8] = include_bytes!("../../../tests/data/sounds/high.opus");
const LOW_OPUS: &[u8] = include_bytes!("../../../tests/data/sounds/low.opus");
pub(super) const HIGH_HZ: [f32; 2] = [440.0, 5_000.0];
pub(super) const LOW_HZ: [f32; 2] = [650.0, 3_500.0];

/// A party that says packets that another encoder made, over and over.
pub(super) struct Phone {
    origin: Origin,
    foreign: Foreign,
    packets: Vec<Vec<u8>>,
    said: usize,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    ms: u32,
}

impl Phone {
    pub(super) fn new(origin: Origin, foreign: Foreign) -> Self {
        let packets = match (foreign, origin) {
            (Foreign::G722, Origin::Left) => HIGH_G722.chunks(160).map(<[u8]>::to_vec).collect(),
            (Foreign::G722, _) => LOW_G722.chunks(160).map(<[u8]>::to_vec).collect(),
            (Foreign::Opus, Origin::Left) => ogg_packets(HIGH_OPUS),
            (Foreign::Opus, _) => ogg_packets(LOW_OPUS),
            (other, _) => panic!("no packets of {other:?}"),
        };
        Self::of(origin, foreign, packets, 20)
    }

    pub(super) fn of(origin: Origin, foreign: Foreign, packets: Vec<Vec<u8>>, ms: u32) -> Self {
        Self { origin, foreign, packets, said: 0, sequence: 65_500, timestamp: u32::MAX - 40_001, ms }
    }

    pub(super) fn speak(&mut self, stand: &mut Stand, at_ms: f64) {
        let payload = self.packets[self.said % self.packets.len()].clone();
        self.send(stand, at_ms, payload);
        self.next();
    }

    fn send(&self, stand: &mut Stand, at_ms: f64, payload: Vec<u8>) {
        let numbers = (self.sequence, self.timestamp, 77);
        stand.send(at_ms, (self.origin, Content::Foreign(self.foreign)), numbers, payload);
    }

    /// Goes on by one packet without sending it.
    pub(super) fn next(&mut self) {
        self.said += 1;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.foreign.clock_hz() / 1_000 * self.ms);
    }

    pub(super) fn talk(&mut self, stand: &mut Stand, from_ms: u64, until_ms: u64) {
        for at in (from_ms..until_ms).step_by(self.ms as usize) {
            self.speak(stand, (at + u64::from(self.ms)) as f64);
        }
    }
}

/// The packets of an Ogg Opus file, behind the two that describe it: a whole second.
fn ogg_packets(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = ogg::PacketReader::new(std::io::Cursor::new(bytes));
    std::iter::from_fn(|| reader.read_packet().expect("Ogg").map(|packet| packet.data)).skip(2).take(50).collect()
}

/// How loud a tone is in a stretch of ms of a track of a rate, in dB.
pub(super) fn level(track: &[i16], rate: Rate, ms: std::ops::Range<usize>, hz: f32) -> f32 {
    let per_ms = rate.hz() as usize / 1_000;
    tone::level_db(&track[ms.start * per_ms..ms.end * per_ms], hz * 8_000.0 / rate.hz() as f32)
}

/// Whether the first tone is there, and the second where the rate can carry it, and nothing of the others.
pub(super) fn says(track: &[i16], rate: Rate, ms: std::ops::Range<usize>, hz: [f32; 2]) -> bool {
    let level = |hz| level(track, rate, ms.clone(), hz);
    let other = if hz == HIGH_HZ { LOW_HZ } else { HIGH_HZ };
    let carries_second = rate != Rate::Hz8000 || hz[1] < 4_000.0;
    let is_there = (level(hz[0]) + 14.2).abs() < 2.0 && (!carries_second || (level(hz[1]) + 16.5).abs() < 4.0);
    // What a file of 8 kHz cannot carry must not come back as its mirror image.
    let has_mirror = !carries_second && level(8_000.0 - hz[1]) > -50.0;
    is_there && !has_mirror && level(other[0]) < -40.0
}

fn is_quiet(track: &[i16], rate: Rate, ms: std::ops::Range<usize>) -> bool {
    let per_ms = rate.hz() as usize / 1_000;
    track[ms.start * per_ms..ms.end * per_ms].iter().all(|&sample| sample == 0)
}

#[test]
fn a_call_in_g722_or_opus_is_heard_at_each_ear_at_its_time_at_every_rate() {
    for (foreign, rate) in [Foreign::G722, Foreign::Opus].into_iter().flat_map(|one| Rate::ALL.map(|rate| (one, rate)))
    {
        let mut stand = Stand::new(|order| order.rate = rate);
        Phone::new(Origin::Left, foreign).talk(&mut stand, 0, 3_000);
        Phone::new(Origin::Right, foreign).talk(&mut stand, 1_000, 2_500);
        let (finished, tracks) = stand.finish(3_011);
        assert_eq!((finished.frames, finished.rate_hz), (3_011 * u64::from(rate.hz()) / 1_000, rate.hz()));
        assert_eq!((gaps(&finished), finished.packets.received, finished.packets.lost), (vec![], 225, 0));
        let what = format!("{foreign:?} at {rate:?}");
        assert!(says(&tracks[0], rate, 100..900, HIGH_HZ) && says(&tracks[0], rate, 2_100..2_900, HIGH_HZ), "{what}");
        assert!(says(&tracks[1], rate, 1_100..1_900, LOW_HZ) && says(&tracks[1], rate, 2_020..2_480, LOW_HZ), "{what}");
        assert!(is_quiet(&tracks[0], rate, 3_001..3_011), "{what}");
        assert!(is_quiet(&tracks[1], rate, 0..999) && is_quiet(&tracks[1], rate, 2_501..3_011), "{what}");
        let sox = std::process::Command::new("sox").arg("--i").arg(&finished.files[0].path).output();
        if let Ok(sox) = sox {
            let said = String::from_utf8_lossy(&sox.stdout).into_owned();
            assert!(said.is_empty() || said.contains(&format!("Sample Rate    : {}", rate.hz())), "{said}");
        }
    }
}

#[test]
fn a_change_from_law_to_g722_to_opus_and_back_keeps_the_timeline() {
    for rate in Rate::ALL {
        let mut stand = Stand::new(|order| order.rate = rate);
        let mut law = Talker { oscillator: Oscillator::new([440.0, 0.0], -14.2), ..Talker::left() };
        law.talk(&mut stand, 0, 1_000);
        Phone::new(Origin::Left, Foreign::G722).talk(&mut stand, 1_000, 2_000);
        Phone::new(Origin::Left, Foreign::Opus).talk(&mut stand, 2_000, 3_000);
        law.timestamp = law.timestamp.wrapping_add(2_000 * 8);
        law.talk(&mut stand, 3_000, 4_000);
        Talker::right().talk(&mut stand, 0, 4_000);
        let (finished, tracks) = stand.finish(4_000);
        assert_eq!((gaps(&finished), finished.frames), (vec![], 4 * u64::from(rate.hz())), "{rate:?}");
        for second in 0..4 {
            let ms = second * 1_000 + 50..second * 1_000 + 950;
            let found = level(&tracks[0], rate, ms.clone(), 440.0);
            assert!((found + 14.2).abs() < 2.0, "{rate:?}, second {second}: {found}");
            let right = level(&tracks[1], rate, ms.clone(), RIGHT_HZ);
            assert!((right + 10.0).abs() < 0.5, "{rate:?}, second {second}: {right}");
            let high = level(&tracks[0], rate, ms, 5_000.0);
            let has_high = rate != Rate::Hz8000 && [1, 2].contains(&second);
            assert!(rate == Rate::Hz8000 || (high > -25.0) == has_high, "{rate:?}, second {second}: {high}");
        }
    }
}

#[test]
fn a_law_in_a_wider_file_is_as_smooth_as_it_was() {
    for rate in [Rate::Hz16000, Rate::Hz48000] {
        let mut stand = Stand::new(|order| (order.rate, order.whispers) = (rate, Whispers::OwnTrack));
        Talker::left().talk(&mut stand, 0, 2_000);
        let mut oscillator = Oscillator::new([1_000.0, 0.0], -10.0);
        for at in 1..=100u32 {
            let mut samples = [0; 160];
            oscillator.fill(&mut samples);
            let payload = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            stand.send(f64::from(at * 20), (Origin::Supervisor, Content::Samples), (0, at * 160, 1), payload);
        }
        let (_, tracks) = stand.finish(2_000);
        for (track, hz) in [(0, LEFT_HZ), (2, 1_000.0)] {
            let track = &tracks[track];
            assert!((level(track, rate, 100..1_900, hz) + 10.0).abs() < 0.3, "{rate:?} {hz}");
            let most = 10_362.0 * hz * std::f32::consts::TAU / rate.hz() as f32;
            let inner = &track[rate.hz() as usize / 10..rate.hz() as usize * 19 / 10];
            let greatest = inner.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().expect("samples");
            // The steps of the law, up to 512 at this level, are softened but there.
            assert!(f32::from(greatest) < most * 1.05 + 300.0, "{rate:?} {hz}: {greatest} of {most}");
        }
    }
}

#[test]
fn lost_packets_of_any_codec_are_a_gap_and_time_stays_right() {
    for foreign in [Foreign::G722, Foreign::Opus] {
        let rate = Rate::Hz16000;
        let mut stand = Stand::new(|order| order.rate = rate);
        let mut left = Phone::new(Origin::Left, foreign);
        left.talk(&mut stand, 0, 1_000);
        (0..5).for_each(|_| left.next());
        left.talk(&mut stand, 1_100, 2_000);
        let (finished, tracks) = stand.finish(2_000);
        assert_eq!(gaps(&finished), [(Side::Left, 1_000, 100, Why::Lost)], "{foreign:?}");
        assert_eq!(finished.packets.lost, 5);
        assert!(is_quiet(&tracks[0], rate, 1_001..1_099) && says(&tracks[0], rate, 1_200..1_900, HIGH_HZ));
    }
}

#[test]
fn packets_of_2_5_to_60_ms_one_or_two_channels_are_recorded_and_their_drift_is_followed() {
    for (ms, channels, application) in
        [(2.5, 1, Application::Audio), (10.0, 2, Application::Audio), (60.0, 1, Application::Voip)]
    {
        let mut encoder = OpusEncoder::new(48_000, channels, application).expect("an encoder");
        encoder.bitrate_bps = 64_000;
        let frame = (ms * 48.0) as usize;
        let step = std::f32::consts::TAU * 440.0 / 48_000.0;
        let mut stand = Stand::new(|order| order.rate = Rate::Hz16000);
        let mut phone = Phone::of(Origin::Left, Foreign::Opus, Vec::new(), 0);
        let count = (10_000.0 / ms) as usize;
        for packet in 0..count {
            let sample = |at: usize| ((packet * frame + at) as f32 * step).sin() * 0.25;
            let sound: Vec<f32> = (0..frame * channels).map(|at| sample(at / channels)).collect();
            let mut payload = vec![0; 1_276];
            let length = encoder.encode(&sound, frame, &mut payload).expect("a packet");
            payload.truncate(length);
            // 300 ppm slow: 3 ms at the end.
            phone.send(&mut stand, (packet + 1) as f64 * ms * 1.000_3, payload);
            phone.sequence = phone.sequence.wrapping_add(1);
            phone.timestamp = phone.timestamp.wrapping_add(frame as u32);
        }
        let (finished, tracks) = stand.finish(10_003);
        assert_eq!((gaps(&finished), finished.frames), (vec![], 10_003 * 16), "{ms} ms");
        let found = level(&tracks[0], Rate::Hz16000, 200..1_200, 440.0);
        assert!((found + 12.0).abs() < 1.0, "{ms} ms, {channels} channels: {found}");
        let end = tracks[0].iter().rposition(|&sample| sample != 0).expect("sound");
        let wanted = (count as f64 * ms * 1.000_3 * 16.0) as usize;
        assert!(end.abs_diff(wanted) <= 24, "{ms} ms: it ends at {end} of {wanted}");
    }
}

#[test]
fn silence_that_opus_does_not_send_is_no_loss() {
    let rate = Rate::Hz16000;
    let mut stand = Stand::new(|order| order.rate = rate);
    let mut left = Phone::new(Origin::Left, Foreign::Opus);
    left.talk(&mut stand, 0, 1_000);
    // 400 ms apart: only the first byte of a packet (RFC 6716 §2.1.9, RFC 7587 §3.1.3).
    let first = vec![left.packets[0][0] & 0xfc];
    for at in [1_020.0, 1_420.0, 1_820.0] {
        left.send(&mut stand, at, first.clone());
        left.sequence = left.sequence.wrapping_add(1);
        left.timestamp = left.timestamp.wrapping_add(400 * 48);
    }
    left.talk(&mut stand, 2_200, 3_000);
    let (finished, tracks) = stand.finish(3_000);
    assert_eq!((gaps(&finished), finished.packets.lost), (vec![], 0));
    assert!(is_quiet(&tracks[0], rate, 1_500..1_780) && says(&tracks[0], rate, 2_300..2_900, HIGH_HZ));
}

#[test]
fn a_packet_that_cannot_be_decoded_is_a_gap_with_that_reason() {
    let mut stand = Stand::new(|order| order.rate = Rate::Hz16000);
    let mut left = Phone::new(Origin::Left, Foreign::Opus);
    left.talk(&mut stand, 0, 1_000);
    for at in [1_020.0, 1_040.0] {
        left.send(&mut stand, at, vec![0x1b, 63, 0, 0]); // longer than 120 ms
        left.next();
    }
    left.talk(&mut stand, 1_040, 2_000);
    let (finished, tracks) = stand.finish(2_000);
    assert_eq!(gaps(&finished), [(Side::Left, 1_000, 40, Why::Undecodable)]);
    assert_eq!((finished.packets.received, finished.packets.lost), (100, 0));
    assert!(says(&tracks[0], Rate::Hz16000, 1_100..1_900, HIGH_HZ));
}

#[test]
fn where_a_law_is_kept_a_wider_codec_becomes_that_law() {
    let mut stand = Stand::new(|order| (order.form, order.rate) = (Form::AsCame(Codec::Pcma), Rate::Hz48000));
    Phone::new(Origin::Left, Foreign::G722).talk(&mut stand, 0, 1_000);
    stand.run(1_400);
    let path = stand.path("call.wav");
    let finished = stand.session.finish(START_US + 1_400_000, &mut stand.tools);
    assert_eq!((finished.rate_hz, finished.frames), (8_000, 11_200), "the rate of the law");
    let bytes = std::fs::read(path).expect("a file");
    let left: Vec<u8> = bytes[58..].iter().step_by(2).copied().collect();
    let mut samples = vec![0; left.len()];
    Codec::Pcma.decode(&left, &mut samples);
    assert!((level(&samples, Rate::Hz8000, 100..900, 440.0) + 14.2).abs() < 1.0);
}

#[test]
fn gsm_is_recorded() {
    let packets: Vec<Vec<u8>> =
        include_bytes!("../../../tests/data/sounds/tone.gsm").chunks_exact(33).map(<[u8]>::to_vec).collect();
    let theirs = include_bytes!("../../../tests/data/sounds/tone-from-gsm.sln");
    let theirs: Vec<i16> = theirs.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut stand = Stand::new(|_| {});
    let ms = packets.len() as u64 * 20;
    Phone::of(Origin::Right, Foreign::Gsm, packets, 20).talk(&mut stand, 0, ms);
    let (_, tracks) = stand.finish(ms);
    assert!(tracks[1][..] == theirs[..tracks[1].len()], "to the sample what another decoder makes of it");
}

#[test]
fn a_recording_that_goes_on_keeps_the_rate_that_it_had() {
    let mut stand = Stand::new(|_| {});
    Talker::left().talk(&mut stand, 0, 1_000);
    stand.run(1_000);
    let (path, folder) = (stand.path("call.wav"), stand.folder);
    stand.session.finish(START_US + 1_000_000, &mut stand.tools);
    let again = Order { append: true, rate: Rate::Hz16000, ..Order::new(&path) };
    let mut stand = Stand::within(folder, Arc::new(System), again);
    Phone::new(Origin::Right, Foreign::G722).talk(&mut stand, 0, 1_000);
    let (finished, tracks) = stand.finish(1_000);
    assert_eq!((finished.rate_hz, finished.frames), (8_000, 16_000));
    assert!(sounds(&tracks[0], 0..1_000, LEFT_HZ) && says(&tracks[1], Rate::Hz8000, 1_100..1_900, LOW_HZ));
}

#[test]
fn pauses_masks_and_further_files_are_as_long_at_every_rate() {
    for rate in Rate::ALL {
        let mut stand = Stand::new(|order| {
            (order.rate, order.roll_at_bytes) = (rate, 44 + 4 * u64::from(rate.hz()));
        });
        Phone::new(Origin::Left, Foreign::G722).talk(&mut stand, 0, 5_000);
        stand.wish(1_500, &Wish::Pause);
        stand.wish(2_500, &Wish::Resume);
        stand.wish(3_200, &Wish::Mask);
        stand.wish(3_700, &Wish::Unmask);
        let (finished, tracks) = stand.finish(5_000);
        assert_eq!((finished.frames, finished.files.len()), (4 * u64::from(rate.hz()), 4), "{rate:?}");
        let spans = [&finished.pauses, &finished.masks].map(|spans| (spans[0].from_ms, spans[0].ms));
        assert_eq!(spans, [(1_500, 1_000), (2_200, 500)]);
        assert!(is_quiet(&tracks[0], rate, 2_200..2_700) && says(&tracks[0], rate, 2_800..3_900, HIGH_HZ), "{rate:?}");
    }
}

#[test]
fn who_sends_more_than_anybody_says_is_not_decoded_but_a_network_that_stood_still_is_caught_up() {
    let mut decoding = Decoding::new(Form::Pcm16, Rate::Hz8000);
    let mut decoded = |at_ms: u64, ssrc: u32, payload: &[u8]| {
        let (content, mut cells) = (Content::Foreign(Foreign::Opus), Vec::new());
        let copied = Copied { at_us: at_ms * 1_000, origin: Origin::Left, content, sequence: 0, timestamp: 0, ssrc };
        decoding.packet(&copied, payload, &mut cells).is_some()
    };
    let packet = &ogg_packets(HIGH_OPUS)[7];
    let all = |count: usize| (0..count).map(move |at| at as u64 * 20);
    assert!(all(500).all(|at| decoded(at, 1, packet)), "as everybody says it");
    assert!((0..200).all(|_| decoded(14_000, 1, packet)), "four seconds at once, after as many of nothing");
    let taken = (0..5_000).filter(|_| decoded(14_000, 1, packet)).count();
    assert!(taken < 400, "{taken} of a hundred seconds at once");
    let taken = (0..1_000).filter(|at| decoded(14_000 + u64::from(*at), at + 2, packet)).count();
    assert!(taken < 30, "{taken} new streams in a second");
    assert!(all(50).skip(10).all(|at| decoded(20_000 + at, 1, packet)), "and then as before");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn hostile_payloads_never_panic_and_the_file_has_the_right_length(
        packets in prop::collection::vec(
            (0u64..60_000, 0usize..4, any::<u16>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..500)), 1..80,
        ),
        rate in prop::sample::select(Rate::ALL.to_vec()), follows in any::<bool>(),
    ) {
        let contents = [Foreign::G722, Foreign::Gsm, Foreign::Opus].map(Content::Foreign);
        let mut stand = Stand::new(|order| order.rate = rate);
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
        let (finished, _) = stand.finish(ms);
        prop_assert_eq!(finished.frames, ms * u64::from(rate.hz()) / 1_000);
    }
}
