//! Disks that fail: any one write, for a while, or for good; and that each file is valid after every single write.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use super::*;
use crate::audio::matroska;
use crate::recorder::Names;
use crate::recorder::disk::Medium;
use crate::recorder::order::{Form, Notice, RecorderError};
use crate::recorder::wav::Beginning;

/// What a disk does, and what it has seen.
#[derive(Debug, Default)]
struct Plan {
    writes: u64,
    /// Writes that fail, counted from 0; half of their bytes are written.
    fails: Range<u64>,
    /// Writes to this file fail.
    dead: Option<PathBuf>,
    free: Option<u64>,
    /// Frames each file was last seen to have.
    frames: Vec<(PathBuf, u64)>,
}

#[derive(Clone, Debug, Default)]
struct Faulty(Arc<Mutex<Plan>>);

#[derive(Debug)]
struct FaultyFile(Box<dyn Medium>, PathBuf, Faulty);

impl Faulty {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().expect("the plan")
    }

    fn failing(fails: Range<u64>) -> Self {
        let faulty = Self::default();
        faulty.plan().fails = fails;
        faulty
    }
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(FaultyFile(System.create(path)?, path.to_owned(), self.clone())))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(FaultyFile(System.open(path)?, path.to_owned(), self.clone())))
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.plan().free.map_or_else(|| System.free_bytes(path), Ok)
    }
}

impl FaultyFile {
    /// Counts a write; an error when it is to fail.
    fn count(&self) -> io::Result<()> {
        let mut plan = self.2.plan();
        let at = plan.writes;
        plan.writes += 1;
        let fails = plan.fails.contains(&at) || plan.dead.as_ref() == Some(&self.1);
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// A reader sees a whole file now, and no shorter one than before.
    fn check(&self) {
        let bytes = std::fs::read(&self.1).expect("the file");
        if let Some(head) = matroska::Head::parse(&bytes) {
            assert!(head.bytes <= bytes.len() as u64, "the head claims what is not there");
            let octets = head.tracks.octets_in(head.bytes);
            for nth in 0..octets / matroska::CLUSTER_OCTETS {
                let cluster = &bytes[head.tracks.file_bytes(nth * matroska::CLUSTER_OCTETS) as usize..];
                assert!(head.tracks.nth_cluster(nth, cluster).is_some(), "cluster {nth}");
            }
            return self.note(octets);
        }
        let Some(beginning) = Beginning::parse(&bytes) else {
            assert!(bytes.is_empty(), "no WAV file");
            return;
        };
        let (at, claimed) = (beginning.data_at, u64::from(beginning.data_bytes));
        assert!(at + claimed <= bytes.len() as u64, "the header claims what is not there");
        let frames = claimed / u64::from(beginning.frame_bytes);
        self.note(frames);
        if beginning.tag == 1 {
            let reader = hound::WavReader::new(&bytes[..]).expect("hound reads it");
            assert_eq!(u64::from(reader.duration()), frames);
        }
    }

    fn note(&self, frames: u64) {
        let mut plan = self.2.plan();
        match plan.frames.iter_mut().find(|(path, _)| *path == self.1) {
            Some((_, before)) => {
                assert!(frames >= *before, "{frames} after {before} frames");
                *before = frames;
            }
            None => plan.frames.push((self.1.clone(), frames)),
        }
    }
}

impl Medium for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        if let Err(error) = self.count() {
            self.0.write_at(&bytes[..bytes.len() / 2], at)?;
            self.check_if_begun();
            return Err(error);
        }
        self.0.write_at(bytes, at)?;
        self.check();
        Ok(())
    }
    fn read_at(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        self.0.read_at(at, most)
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
    fn set_length(&mut self, bytes: u64) -> io::Result<()> {
        if bytes > self.0.length()? {
            self.count()?; // to make a file shorter takes no space
        }
        self.0.set_length(bytes)?;
        self.check();
        Ok(())
    }
}

impl FaultyFile {
    fn check_if_begun(&self) {
        if self.2.plan().frames.iter().any(|(path, _)| *path == self.1) {
            self.check();
        }
    }
}

fn call(stand: &mut Stand, ms: u64) {
    Talker::left().talk(stand, 0, ms);
    Talker::right().talk(stand, 0, ms);
}

#[test]
fn the_file_is_valid_after_every_single_write() {
    for form in [Form::Pcm16, Form::AsCame(Codec::Pcmu), Form::G722] {
        let faulty = Faulty::default();
        let mut stand = Stand::on(Arc::new(faulty.clone()), |order| {
            (order.form, order.roll_at_bytes) = (form, 20_000);
        });
        call(&mut stand, 3_000);
        stand.run(3_000);
        let finished = stand.session.finish(START_US + 3_000_000, &mut stand.tools);
        assert_eq!(finished.frames, 3 * u64::from(finished.rate_hz));
        assert!(faulty.plan().writes > 30 && finished.files.len() > 1);
    }
}

#[test]
fn whichever_write_fails_nothing_is_lost() {
    // The first is the header of the new file: without that there is no recording.
    for at in 1..13 {
        let faulty = Faulty::failing(at..at + 3);
        let mut stand = Stand::on(Arc::new(faulty), |_| {});
        call(&mut stand, 2_000);
        let (finished, tracks) = stand.finish(2_400);
        assert!(finished.error.is_some_and(|error| error.contains("call.wav")), "write {at}");
        assert_eq!((finished.frames, finished.gaps), (2_400 * 8, vec![]), "write {at}");
        assert!(sounds(&tracks[0], 0..2_000, LEFT_HZ) && sounds(&tracks[1], 0..2_000, RIGHT_HZ), "write {at}");
    }
}

#[test]
fn a_full_disk_costs_what_did_not_fit_into_memory_and_nothing_else() {
    for form in [Form::Pcm16, Form::AsCame(Codec::Pcmu), Form::G722] {
        let faulty = Faulty::default();
        let (notices, mut told) = mpsc::channel(8);
        let mut stand = Stand::on(Arc::new(faulty.clone()), |order| {
            (order.form, order.notices) = (form, Some(notices));
        });
        call(&mut stand, 20_000);
        stand.run(2_000);
        faulty.plan().fails = 0..u64::MAX;
        stand.run(12_000);
        faulty.plan().fails = 0..0;
        stand.run(20_000);
        let finished = stand.session.finish(START_US + 20_000_000, &mut stand.tools);
        assert_eq!(finished.frames, 20 * u64::from(finished.rate_hz), "time stays right");
        let lost: Vec<_> = gaps(&finished);
        assert_eq!(lost.len(), 2, "one for each party: {lost:?}");
        assert!(
            lost.iter().all(|(_, from, ms, why)| *why == Why::Disk && *from < 2_000 && (4_500..6_000).contains(ms))
        );
        assert!(matches!(told.try_recv(), Ok(Notice::Failing(_))));
        assert_eq!(told.try_recv(), Ok(Notice::GoesOn));
        if form == Form::Pcm16 {
            let tracks = tracks(&finished);
            let (from, end) = (lost[0].1 as usize, (lost[0].1 + lost[0].2) as usize);
            assert!(sounds(&tracks[0], 0..from, LEFT_HZ) && is_silent(&tracks[0], from + 1..end));
            assert!(sounds(&tracks[0], end + 1..20_000, LEFT_HZ));
        }
    }
}

#[test]
fn a_file_that_takes_nothing_any_more_is_followed_by_another() {
    let faulty = Faulty::default();
    let mut stand = Stand::on(Arc::new(faulty.clone()), |_| {});
    call(&mut stand, 12_000);
    stand.run(1_000);
    faulty.plan().dead = Some(stand.path("call.wav"));
    let (finished, tracks) = stand.finish(12_000);
    assert_eq!(finished.files.len(), 2);
    assert_eq!(finished.frames, 96_000);
    assert!(sounds(&tracks[0], 8_000..12_000, LEFT_HZ));
}

/// Hands out no name twice, and then one after the other.
#[derive(Debug, Default)]
struct Reluctant(Mutex<u32>);

impl Names for Reluctant {
    fn further(&self, first: &Path, _: u32) -> io::Result<PathBuf> {
        let mut asked = self.0.lock().expect("a number");
        *asked += 1;
        if *asked < 3 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let path = first.with_extension(asked.to_string());
        System.create(&path).map(|_| path)
    }
}

#[test]
fn where_no_further_file_can_be_made_the_present_one_goes_on() {
    for container in [Container::Wav, Container::OggOpus] {
        let mut stand = Stand::new(|order| {
            (order.container, order.segment) = (container, Some(std::time::Duration::from_secs(2)));
            order.names = Arc::new(Reluctant::default());
        });
        call(&mut stand, 26_000);
        stand.run(26_000);
        let finished = stand.session.finish(START_US + 26_000_000, &mut stand.tools);
        let seconds = |nth: usize| finished.files[nth].frames / u64::from(finished.rate_hz);
        assert_eq!((finished.files.len(), seconds(0), seconds(1)), (3, 22, 2), "{container:?}");
        assert_eq!((finished.frames, gaps(&finished)), (u64::from(finished.rate_hz) * 26, vec![]), "{container:?}");
        assert!(finished.error.is_some_and(|error| error.contains("call.wav")), "{container:?}");
    }
}

#[test]
fn what_cannot_be_written_at_the_end_is_told() {
    let faulty = Faulty::default();
    let mut stand = Stand::on(Arc::new(faulty.clone()), |_| {});
    call(&mut stand, 4_000);
    stand.run(2_000);
    faulty.plan().fails = 0..u64::MAX;
    let (finished, tracks) = stand.finish(4_000);
    assert!(finished.error.is_some() && finished.frames < 16_000);
    let end = finished.frames / 8;
    assert_eq!(gaps(&finished)[0], (Side::Left, end, 4_000 - end, Why::Disk));
    assert!(sounds(&tracks[0], 0..end as usize, LEFT_HZ));
}

#[test]
fn recording_stops_before_the_disk_is_full_and_goes_on_when_there_is_room() {
    let faulty = Faulty::default();
    faulty.plan().free = Some(5_000);
    let full = {
        let key = CopyLink::new().0.recording(mpsc::channel(1).0).1;
        let order = Order { floor_bytes: 10_000, ..Order::new("/nowhere/call.wav") };
        Session::open(order, key, Arc::new(faulty.clone()), START_US)
    };
    assert!(matches!(full, Err(RecorderError::Full { free: 5_000, floor: 10_000, .. })));
    faulty.plan().free = Some(50_000);
    let mut stand = Stand::on(Arc::new(faulty.clone()), |order| order.floor_bytes = 10_000);
    call(&mut stand, 12_000);
    stand.run(2_000);
    faulty.plan().free = Some(9_999);
    stand.run(5_000);
    let there = std::fs::metadata(stand.path("call.wav")).expect("a file").len();
    assert!(there < 44 + 32_000 * 4, "{there} bytes");
    faulty.plan().free = Some(10_000);
    let (finished, tracks) = stand.finish(12_000);
    assert!(finished.error.is_some_and(|error| error.contains("9999 bytes are free")));
    assert_eq!((finished.frames, finished.gaps), (96_000, vec![]), "three seconds were kept in memory");
    assert!(sounds(&tracks[0], 0..12_000, LEFT_HZ));
}
