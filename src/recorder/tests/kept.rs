//! Opus that is kept as it came: every frame is in the file, byte by byte, on its side and near its time; and the file plays whatever
//! happens to it.

mod edges;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use opus_rs::{Application, OpusEncoder};
use proptest::prelude::*;

use super::*;
use crate::audio::codec::Foreign;
use crate::audio::ogg::{Page, streams};
use crate::audio::source;
use crate::recorder::disk::Medium;
use crate::recorder::order::Whispers;
use crate::recorder::repair;

const OPUS: Content = Content::Foreign(Foreign::Opus);
/// First bytes of packets of one frame: 2.5, 5, 10 and 20 ms of CELT; 10, 20, 40 and 60 ms of SILK.
const TOCS: [(u8, f64); 8] =
    [(0xe0, 2.5), (0xe8, 5.0), (0xf0, 10.0), (0xf8, 20.0), (0x40, 10.0), (0x48, 20.0), (0x50, 40.0), (0x58, 60.0)];

fn stand(change: impl FnOnce(&mut Order)) -> Stand {
    on(Arc::new(System), change)
}

fn on(disk: Arc<dyn Disk>, change: impl FnOnce(&mut Order)) -> Stand {
    Stand::on(disk, |order| {
        order.path.set_extension("opus");
        order.container = Container::OggOpus;
        change(order);
    })
}

/// A party that sends packets of one frame, each with a number in it.
struct Phone {
    origin: Origin,
    toc: u8,
    ms: f64,
    /// Packets sent so far; that is their number too.
    sent: u32,
    /// When the first was said, in ms.
    from: f64,
    /// Ms of a ms of its clock.
    pace: f64,
}

impl Phone {
    fn new(origin: Origin, (toc, ms): (u8, f64), from: f64) -> Self {
        Self { origin, toc, ms, sent: 0, from, pace: 1.0 }
    }

    /// When a packet was said.
    fn said(&self, number: u32) -> f64 {
        self.from + f64::from(number) * self.ms * self.pace
    }

    fn numbers(&self) -> (u16, u32, u32) {
        (
            (65_500 + self.sent) as u16,
            (u64::from(u32::MAX) - 9_000 + (f64::from(self.sent) * self.ms * 48.0) as u64) as u32,
            7,
        )
    }

    fn speak(&mut self, stand: &mut Stand) {
        let payload = [&[self.toc], &self.sent.to_be_bytes()[..]].concat();
        stand.send(self.said(self.sent + 1), (self.origin, OPUS), self.numbers(), payload);
        self.sent += 1;
    }

    fn talk(&mut self, stand: &mut Stand, until_ms: f64) {
        while self.said(self.sent + 1) <= until_ms {
            self.speak(stand);
        }
    }
}

/// The frames of a side of all files: where each lies, in ms, and the number in it.
fn frames(finished: &Finished, side: usize) -> Vec<(f64, Vec<u8>)> {
    let (mut found, mut before) = (Vec::new(), 0.0);
    for part in &finished.files {
        let mut at = before;
        for (packet, _) in packets(&part.path) {
            let streams = streams(&packet, finished.channels.into()).expect("packets of all sides");
            for (nth, frame) in streams[side].frames.iter().enumerate() {
                found.push((at + nth as f64 * f64::from(streams[side].toc.frame_ticks()) / 48.0, frame.to_vec()));
            }
            at += f64::from(streams[side].ticks()) / 48.0;
        }
        before += part.frames as f64 / 48.0;
    }
    found.retain(|(_, frame)| !frame.is_empty() && frame != &[0xff, 0xfe]);
    found
}

/// The packets of a file that is whole, with the position after each page's last one.
fn packets(path: &Path) -> Vec<(Vec<u8>, u64)> {
    let bytes = std::fs::read(path).expect("a file");
    let (mut rest, mut found, mut is_ended, mut number) = (&bytes[..], Vec::new(), false, 0);
    while !rest.is_empty() {
        let (page, length) = Page::parse(rest).expect("a whole page");
        assert_eq!((page.number, is_ended), (number, false));
        found.extend(page.packets().map(|(packet, _)| (packet.to_vec(), page.position)));
        (is_ended, number, rest) = (page.is_last, number + 1, &rest[length..]);
    }
    assert!(is_ended, "the last page is marked");
    found.split_off(2)
}

fn numbers(frames: &[(f64, Vec<u8>)]) -> Vec<u32> {
    frames.iter().map(|(_, frame)| u32::from_be_bytes(frame[..4].try_into().expect("a number"))).collect()
}

#[test]
fn every_frame_is_in_the_file_as_it_came_whatever_its_length_and_beside_whom() {
    for (left, right) in TOCS.into_iter().flat_map(|left| TOCS.map(|right| (left, right))) {
        let mut stand = stand(|_| {});
        let mut phones = [Phone::new(Origin::Left, left, 37.0), Phone::new(Origin::Right, right, 110.3)];
        phones.iter_mut().for_each(|phone| phone.talk(&mut stand, 1_500.0));
        stand.run(1_600);
        let finished = stand.session.finish(START_US + 1_600_000, &mut stand.tools);
        assert_eq!((finished.frames, finished.rate_hz, finished.channels), (1_600 * 48, 48_000, 2));
        for (side, phone) in phones.iter().enumerate() {
            let found = frames(&finished, side);
            assert_eq!(numbers(&found), (0..phone.sent).collect::<Vec<_>>(), "{left:?} {right:?}, side {side}");
            for (number, (at, _)) in (0..).zip(&found) {
                let off = at - phone.said(number);
                assert!(off.abs() <= phone.ms * 0.75 + 0.1, "{left:?} {right:?}: {number} is {off} ms off");
            }
        }
        assert_eq!(gaps(&finished), [], "{left:?} {right:?}");
    }
}

#[test]
fn clocks_that_drift_stay_together_and_leave_out_no_more_than_they_must() {
    for ppm in [-200.0, 200.0] {
        let mut stand = stand(|_| {});
        let mut phones = [Phone::new(Origin::Left, TOCS[3], 0.0), Phone::new(Origin::Right, TOCS[3], 5.0)];
        phones[1].pace = 1.0 + ppm / 1e6;
        while phones[0].said(phones[0].sent + 2) < 600_000.0 {
            for phone in &mut phones {
                phone.speak(&mut stand);
            }
            let now = phones[0].said(phones[0].sent) as u64;
            stand.run(now.saturating_sub(400)); // what is sent now arrives later
        }
        stand.run(600_200);
        let finished = stand.session.finish(START_US + 600_200_000, &mut stand.tools);
        let right = frames(&finished, 1);
        // Ten minutes are 120 ms more or fewer: six frames.
        assert!(phones[1].sent as usize - right.len() <= 6, "{} of {}", right.len(), phones[1].sent);
        for ((at, _), number) in right.iter().zip(numbers(&right)) {
            let off = at - phones[1].said(number);
            assert!(off.abs() < 20.0, "{ppm}: {number} is {off} ms off");
        }
        let unfit = gaps(&finished).iter().filter(|gap| gap.3 == Why::Unfit).count();
        assert_eq!(unfit, phones[1].sent as usize - right.len(), "what is left out is told");
    }
}

#[test]
fn what_is_lost_is_an_empty_frame_and_a_gap() {
    let mut stand = stand(|_| {});
    let mut phone = Phone::new(Origin::Left, TOCS[3], 0.0);
    phone.talk(&mut stand, 400.0);
    stand.queue.retain(|(copied, _)| !(65_505..65_508).contains(&copied.sequence));
    stand.run(400);
    let finished = stand.session.finish(START_US + 400_000, &mut stand.tools);
    assert_eq!(numbers(&frames(&finished, 0)), (0..20).filter(|at| !(5..8).contains(at)).collect::<Vec<_>>());
    let empty = packets(&finished.files[0].path)[6].0.clone();
    assert_eq!(streams(&empty, 2).expect("packets")[0].frames, [&[] as &[u8]]);
    assert_eq!(gaps(&finished)[0], (Side::Left, 100, 60, Why::Lost));
    assert_eq!(finished.packets.lost, 3);
}

#[test]
fn nothing_said_in_a_pause_or_under_a_mask_is_there() {
    for (kind, phase) in TOCS.into_iter().flat_map(|kind| [0.0, 5.5, 13.0, 18.0].map(|phase| (kind, phase))) {
        let mut stand = stand(|_| {});
        let mut phone = Phone::new(Origin::Right, kind, phase);
        phone.talk(&mut stand, 6_000.0);
        stand.wish(1_003, &Wish::Pause);
        stand.wish(2_011, &Wish::Resume);
        stand.wish(3_005, &Wish::Mask);
        stand.wish(4_001, &Wish::Unmask);
        stand.run(6_000);
        let finished = stand.session.finish(START_US + 6_000_000, &mut stand.tools);
        let (pause, mask) = (finished.pauses[0], finished.masks[0]);
        assert!(pause.from_ms <= 1_003 && pause.from_ms > 980 && pause.ms.is_multiple_of(20), "{pause:?}");
        assert_eq!(finished.frames, (6_000 - pause.ms) * 48);
        let heard = numbers(&frames(&finished, 1));
        let secret = [1_003.0..2_011.0, 3_005.0..4_001.0];
        for number in 0..phone.sent {
            let said = phone.said(number)..phone.said(number + 1);
            let is_secret = secret.iter().any(|secret| said.start < secret.end && secret.start < said.end);
            assert!(!(is_secret && heard.contains(&number)), "{kind:?} from {phase}: {number} was said at {said:?}");
        }
        // At each edge no more than the frames over it, and what the raster of 20 ms takes.
        let public = (0..phone.sent).filter(|number| {
            let said = phone.said(*number)..phone.said(number + 1);
            secret.iter().all(|secret| said.end < secret.start || secret.end < said.start)
        });
        let missing = public.filter(|number| !heard.contains(number)).count() as f64 * phone.ms;
        assert!(missing <= 4.0 * phone.ms + 40.0, "{kind:?}: {missing} ms are missing");
        assert!(mask.from_ms > 1_950 && mask.ms > 970, "{mask:?}");
    }
}

/// A party that says a tone in real packets.
struct Singer {
    phone: Phone,
    encoder: OpusEncoder,
    oscillator: Oscillator,
}

impl Singer {
    fn new(origin: Origin, hz: f32) -> Self {
        let encoder = OpusEncoder::new(48_000, 1, Application::Audio).expect("an encoder");
        // An oscillator counts in samples of 8 kHz.
        Self { phone: Phone::new(origin, TOCS[3], 0.0), encoder, oscillator: Oscillator::new([hz / 6.0, 0.0], -10.0) }
    }

    fn sing(&mut self, stand: &mut Stand, ms: Range<u64>) {
        self.phone.sent = (ms.start / 20) as u32;
        while self.phone.said(self.phone.sent + 1) <= ms.end as f64 {
            let (mut samples, mut packet) = ([0; 960], vec![0; 1_276]);
            self.oscillator.fill(&mut samples);
            let length = self.encoder.encode_i16(&samples, 960, &mut packet).expect("a packet");
            packet.truncate(length);
            let numbers = self.phone.numbers();
            stand.send(self.phone.said(self.phone.sent + 1), (self.phone.origin, OPUS), numbers, packet);
            self.phone.sent += 1;
        }
    }
}

/// The sides of all files together, decoded to 48 kHz.
fn heard(finished: &Finished) -> Vec<Vec<i16>> {
    let open = |part: &crate::recorder::Part| source::open(File::open(&part.path).expect("a file"), "").expect("Opus");
    let mut source = source::Parts::new(finished.files.iter().map(open).collect()).expect("parts");
    use source::Source;
    assert_eq!(source.frames(), Some(finished.frames));
    let (mut sides, mut block) = (vec![Vec::new(); source.channels().into()], Vec::new());
    while source.next(&mut block).is_ok() && !block.is_empty() {
        for (at, sample) in block.iter().enumerate() {
            let side = at % sides.len();
            sides[side].push(*sample);
        }
    }
    assert!(sides.iter().all(|side| side.len() as u64 == finished.frames), "one length to the sample");
    sides
}

fn level(side: &[i16], ms: Range<usize>, hz: f32) -> f32 {
    tone::level_db(&side[ms.start * 48..ms.end * 48], hz / 6.0)
}

fn is_heard(side: &[i16], ms: Range<usize>, hz: f32) -> bool {
    (level(side, ms, hz) + 10.0).abs() < 1.5
}

fn is_quiet(side: &[i16], ms: Range<usize>) -> bool {
    side[ms.start * 48..ms.end * 48].iter().all(|sample| sample.abs() < 200)
}

#[test]
fn each_side_sounds_on_its_side_at_its_time() {
    let mut stand = stand(|order| order.segment = Some(std::time::Duration::from_millis(1_500)));
    let (mut left, mut right) = (Singer::new(Origin::Left, LEFT_HZ), Singer::new(Origin::Right, RIGHT_HZ));
    left.sing(&mut stand, 0..1_000);
    left.sing(&mut stand, 2_000..4_000);
    right.sing(&mut stand, 1_000..4_000);
    stand.wish(3_000, &Wish::Mask);
    stand.wish(3_400, &Wish::Unmask);
    stand.run(4_000);
    let finished = stand.session.finish(START_US + 4_010_000, &mut stand.tools);
    assert!(finished.files.len() > 2, "{:?}", finished.files);
    let sides = heard(&finished);
    for (side, hz, loud) in
        [(0, LEFT_HZ, [60..940, 2_060..2_900, 3_500..3_900]), (1, RIGHT_HZ, [1_060..1_900, 2_060..2_900, 3_500..3_900])]
    {
        for ms in loud {
            assert!(
                is_heard(&sides[side], ms.clone(), hz),
                "side {side}, {ms:?}: {}",
                level(&sides[side], ms.clone(), hz)
            );
        }
    }
    assert!(is_quiet(&sides[1], 0..980) && is_quiet(&sides[0], 1_600..1_960), "who says nothing is silent");
    assert!(sides.iter().all(|side| is_quiet(side, 3_060..3_380)), "a mask is silent");
    assert_eq!(finished.masks[0].ms, 400);
}

#[test]
fn what_comes_in_another_codec_or_from_us_is_encoded() {
    let mut stand = stand(|order| order.whispers = Whispers::OwnTrack);
    let mut left = Singer::new(Origin::Left, LEFT_HZ);
    left.sing(&mut stand, 0..1_000);
    let mut later = Talker::left();
    later.talk(&mut stand, 1_000, 2_000);
    let mut prompt = Oscillator::new([RIGHT_HZ, 0.0], -10.0);
    for at in (0..2_000).step_by(20) {
        let mut samples = [0; 160];
        prompt.fill(&mut samples);
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let origin = if at < 1_000 { Origin::Right } else { Origin::Supervisor };
        stand.send((at + 20) as f64, (origin, Content::Samples), (0, 0, 0), bytes);
    }
    stand.run(2_000);
    let finished = stand.session.finish(START_US + 2_000_000, &mut stand.tools);
    let sides = heard(&finished);
    assert!(is_heard(&sides[0], 60..940, LEFT_HZ), "as it came");
    assert!(is_heard(&sides[0], 1_100..1_900, LEFT_HZ), "encoded: {}", level(&sides[0], 1_100..1_900, LEFT_HZ));
    assert!(is_heard(&sides[1], 100..900, RIGHT_HZ), "a prompt: {}", level(&sides[1], 100..900, RIGHT_HZ));
    assert!(is_heard(&sides[2], 1_100..1_900, RIGHT_HZ) && is_quiet(&sides[2], 0..900), "a whisper on its own track");
    assert!(is_quiet(&sides[1], 1_600..1_900));
}

/// A disk that takes nothing for some writes, but for half of their bytes.
#[derive(Clone, Debug)]
struct Failing(Arc<Mutex<(u32, Range<u32>)>>);

#[derive(Debug)]
struct FailingFile(Box<dyn Medium>, Failing);

impl Disk for Failing {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(FailingFile(System.create(path)?, self.clone())))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(FailingFile(System.open(path)?, self.clone())))
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        System.free_bytes(path)
    }
}

impl Medium for FailingFile {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        let fails = {
            let mut plan = self.1.0.lock().expect("the plan");
            plan.0 += 1;
            plan.1.contains(&plan.0)
        };
        self.0.write_at(if fails { &bytes[..bytes.len() / 2] } else { bytes }, at)?;
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
    fn read_at(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        self.0.read_at(at, most)
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
    fn set_length(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_length(bytes)
    }
}

#[test]
fn a_disk_that_fails_costs_nothing_for_a_while_and_time_is_kept_after_longer() {
    for (fails, is_whole) in [(5..9, true), (5..70, false)] {
        let disk = Failing(Arc::new(Mutex::new((0, fails.clone()))));
        let mut stand = on(Arc::new(disk), |_| {});
        let mut phone = Phone::new(Origin::Left, TOCS[3], 0.0);
        phone.talk(&mut stand, 20_000.0);
        stand.run(20_000);
        let finished = stand.session.finish(START_US + 20_000_000, &mut stand.tools);
        assert_eq!(finished.frames, 20_000 * 48, "{fails:?}");
        let found = frames(&finished, 0);
        assert!(found.iter().zip(numbers(&found)).all(|((at, _), number)| (at - phone.said(number)).abs() < 1.0));
        assert_eq!(found.len() == phone.sent as usize, is_whole, "{} frames", found.len());
        let lost: u64 =
            finished.gaps.iter().filter(|gap| gap.why == Why::Disk && gap.side == Side::Left).map(|gap| gap.ms).sum();
        assert_eq!(lost, (phone.sent as usize - found.len()) as u64 * 20, "what is missing is told");
        assert!(finished.error.is_some());
    }
}

fn two_seconds() -> (Finished, TempDir) {
    let mut stand = stand(|_| {});
    Phone::new(Origin::Left, TOCS[3], 0.0).talk(&mut stand, 2_000.0);
    Phone::new(Origin::Right, TOCS[7], 0.0).talk(&mut stand, 2_000.0);
    stand.run(2_000);
    (stand.session.finish(START_US + 2_000_000, &mut stand.tools), stand.folder)
}

#[test]
fn a_file_cut_anywhere_behind_its_head_is_mended_to_its_last_whole_page() {
    let (finished, _folder) = two_seconds();
    let path = &finished.files[0].path;
    let whole = std::fs::read(path).expect("the file");
    assert!(!repair(path).expect("whole").changed);
    let head =
        whole.len() - whole.windows(4).skip(60).position(|four| four == b"OggS").map_or(0, |at| whole.len() - at - 60);
    for cut in (head + 80..whole.len()).step_by(7) {
        let zeros = if cut % 2 == 0 { vec![0; 500] } else { Vec::new() };
        std::fs::write(path, [&whole[..cut], &zeros].concat()).expect("written");
        let mended = repair(path).expect("mended");
        let packets = packets(path);
        assert_eq!(mended.frames, packets.last().map_or(0, |(_, position)| *position), "{cut}");
        assert!(mended.changed && (mended.bytes as usize) <= cut && (cut - mended.bytes as usize) < 1_500, "{cut}");
        assert_eq!(repair(path).expect("again"), crate::recorder::Repaired { changed: false, ..mended });
    }
    std::fs::write(path, &whole[..20]).expect("written");
    assert!(repair(path).is_err(), "half a head is nothing");
}

#[test]
fn a_page_damaged_in_the_middle_costs_no_other() {
    let (finished, _folder) = two_seconds();
    let path = &finished.files[0].path;
    let mut bytes = std::fs::read(path).expect("the file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, &bytes).expect("written");
    let mended = repair(path).expect("mended");
    assert_eq!((mended.frames, mended.bytes), (finished.frames, bytes.len() as u64));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hostile_packets_leave_a_file_that_plays_and_is_as_long_as_the_call(
        payloads in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60), any::<u8>()), 1..120),
        jumps in proptest::collection::vec(any::<u32>(), 120),
    ) {
        let mut stand = stand(|_| {});
        let mut at = 0.0;
        for (number, (is_left, payload, jump)) in payloads.into_iter().enumerate() {
            at += f64::from(jump % 40);
            let origin = if is_left { Origin::Left } else { Origin::Right };
            let timestamp = if jump > 200 { jumps[number] } else { (at * 48.0) as u32 };
            stand.send(at, (origin, OPUS), (number as u16, timestamp, 1), payload);
        }
        stand.run(5_000);
        let finished = stand.session.finish(START_US + 5_003_000, &mut stand.tools);
        prop_assert_eq!(finished.frames, 5_003 * 48);
        for (packet, _) in packets(&finished.files[0].path) {
            prop_assert!(streams(&packet, 2).is_some());
        }
        heard(&finished);
    }
}
