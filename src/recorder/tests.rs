//! Recordings on virtual time: packets go into a ring when they arrive, the session is woken as its thread would, and the files are read.
//! Here the stand and its talkers; `timeline` tests where sound comes to lie, `codecs` whose codecs are decoded, `octets` and `kept` what is
//! kept as it came, `files` what is in the files, `faults` failing disks.

mod codecs;
mod faults;
mod files;
mod kept;
mod octets;
mod timeline;

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::mpsc;

use super::disk::{Disk, System};
use super::handle::Wish;
use super::kept::Kept;
use super::order::{Container, Finished, Order, Side, Why};
use super::session::Session;
use super::work::{Scratch, Tools, Work};
use crate::audio::codec::Codec;
use crate::audio::tone::{self, Oscillator};
use crate::media::{Content, Copied, Copies, CopyKey, CopyLink, CopyWriter, Mark, Origin};

/// When recordings begin, in µs: at no round number.
const START_US: u64 = 5_000_123;
const BEAT_US: u64 = 250_000;
const LEFT_HZ: f32 = 450.0;
const RIGHT_HZ: f32 = 700.0;

/// A recording and its ring.
struct Stand {
    folder: TempDir,
    session: Box<dyn Work>,
    copies: Copies,
    /// What is on its way, by arrival.
    queue: Vec<(Copied, Vec<u8>)>,
    beat_us: u64,
    ring: Option<CopyWriter>,
    tools: Tools,
}

impl Stand {
    fn new(change: impl FnOnce(&mut Order)) -> Self {
        Self::on(Arc::new(System), change)
    }

    fn on(disk: Arc<dyn Disk>, change: impl FnOnce(&mut Order)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut order = Order::new(folder.path().join("call.wav"));
        change(&mut order);
        Self::within(folder, disk, order)
    }

    /// A recording in a folder that is there.
    fn within(folder: TempDir, disk: Arc<dyn Disk>, order: Order) -> Self {
        let (link, intake) = CopyLink::new();
        let (copies, key) = link.recording(mpsc::channel(1).0);
        let ring = copies.provide(&mut None);
        let session = open(disk, order, key);
        let tools = Tools { intake, scratch: Scratch::default() };
        Self { folder, session, copies, queue: Vec::new(), beat_us: START_US + BEAT_US, ring, tools }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets a packet arrive at a time in ms.
    fn send(&mut self, at_ms: f64, (origin, content): (Origin, Content), numbers: (u16, u32, u32), payload: Vec<u8>) {
        let (sequence, timestamp, ssrc) = numbers;
        let at_us = START_US + (at_ms * 1_000.0) as u64;
        self.queue.push((Copied { at_us, origin, content, sequence, timestamp, ssrc }, payload));
    }

    fn mark(&mut self, at_ms: f64, origin: Origin, mark: Mark) {
        self.send(at_ms, (origin, Content::Mark(mark)), (0, 0, 0), Vec::new());
    }

    /// Lets time pass up to `ms` after the beginning.
    fn run(&mut self, ms: u64) {
        let until = START_US + ms * 1_000;
        self.queue.sort_by_key(|(copied, _)| copied.at_us);
        while self.beat_us <= until {
            self.arrive(self.beat_us);
            self.session.beat(self.beat_us, &mut self.tools);
            self.tools.intake.tidy(self.beat_us);
            self.beat_us += BEAT_US;
        }
        self.arrive(until);
    }

    fn arrive(&mut self, until: u64) {
        let here = self.queue.partition_point(|(copied, _)| copied.at_us <= until);
        for (copied, payload) in self.queue.drain(..here) {
            self.copies.put(&copied, &payload, &mut self.ring);
        }
        self.tools.intake.gather();
    }

    fn wish(&mut self, ms: u64, wish: &Wish) {
        self.run(ms);
        self.session.obey(wish, START_US + ms * 1_000, &mut self.tools);
    }

    /// Ends the recording, and reads its tracks.
    fn finish(mut self, ms: u64) -> (Finished, Vec<Vec<i16>>) {
        self.run(ms);
        let finished = self.session.finish(START_US + ms * 1_000, &mut self.tools);
        let tracks = tracks(&finished);
        (finished, tracks)
    }
}

fn open(disk: Arc<dyn Disk>, order: Order, key: CopyKey) -> Box<dyn Work> {
    match order.container {
        Container::OggOpus => Box::new(Kept::open(order, key, disk, START_US).expect("a recording")),
        Container::Wav => Box::new(Session::open(order, key, disk, START_US).expect("a recording")),
    }
}

/// The tracks of all files, read by `hound`.
fn tracks(finished: &Finished) -> Vec<Vec<i16>> {
    let mut tracks = vec![Vec::new(); finished.channels.into()];
    for part in &finished.files {
        let mut reader = hound::WavReader::open(&part.path).expect("a WAV file");
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (finished.channels, finished.rate_hz));
        assert_eq!(u64::from(reader.duration()), part.frames);
        assert_eq!(std::fs::metadata(&part.path).expect("a file").len(), part.bytes);
        for (at, sample) in reader.samples().enumerate() {
            tracks[at % usize::from(finished.channels)].push(sample.expect("a sample"));
        }
    }
    assert!(tracks.iter().all(|track| track.len() as u64 == finished.frames), "one length to the sample");
    tracks
}

/// A party that speaks packets of 20 ms.
struct Talker {
    origin: Origin,
    codec: Codec,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    oscillator: Oscillator,
}

impl Talker {
    fn left() -> Self {
        Self::new(Origin::Left, LEFT_HZ)
    }

    fn right() -> Self {
        Self::new(Origin::Right, RIGHT_HZ)
    }

    fn new(origin: Origin, hz: f32) -> Self {
        let (sequence, timestamp, ssrc) = (65_500, u32::MAX - 4_000, hz as u32);
        Self { origin, codec: Codec::Pcmu, sequence, timestamp, ssrc, oscillator: Oscillator::new([hz, 0.0], -10.0) }
    }

    /// Says 20 ms that arrive at a time.
    fn speak(&mut self, stand: &mut Stand, at_ms: f64) {
        let (mut samples, mut payload) = ([0; 160], vec![0; 160]);
        self.oscillator.fill(&mut samples);
        self.codec.encode(&samples, &mut payload);
        let numbers = (self.sequence, self.timestamp, self.ssrc);
        stand.send(at_ms, (self.origin, Content::Sound(self.codec)), numbers, payload);
        self.next();
    }

    /// Goes on by one packet without sending it.
    fn next(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
    }

    /// Speaks packets whose sound is from `from_ms` to before `until_ms`, each arriving when its sound is over.
    fn talk(&mut self, stand: &mut Stand, from_ms: u64, until_ms: u64) {
        for at in (from_ms..until_ms).step_by(20) {
            self.speak(stand, (at + 20) as f64);
        }
    }
}

/// Whether a stretch of ms of a track is a tone of this height, whole.
fn sounds(track: &[i16], ms: std::ops::Range<usize>, hz: f32) -> bool {
    let stretch = &track[ms.start * 8..ms.end * 8];
    let level = tone::level_db(stretch, hz);
    // A whole tone is nothing but itself: half of it missing would be 6 dB less.
    (level + 10.0).abs() < 0.5
}

fn is_silent(track: &[i16], ms: std::ops::Range<usize>) -> bool {
    track[ms.start * 8..ms.end * 8].iter().all(|&sample| sample == 0)
}

/// The gaps: whose, from, how long, why.
fn gaps(finished: &Finished) -> Vec<(Side, u64, u64, Why)> {
    finished.gaps.iter().map(|gap| (gap.side, gap.from_ms, gap.ms, gap.why)).collect()
}
