//! The log on a disk that works, that fails, and that somebody has had his hands on.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::entry::{Entry, Event, Record};
use super::files::{Disk, Os, Paths};
use super::verify::{Class, Report};
use super::{EvidenceError, Log, Wanted, read, verify};

fn entry(who: &str) -> Entry {
    Entry { who: who.into(), session: format!("s-{who}"), ..Entry::new(Event::Started) }
}

fn append(log: &Log, entry: Entry) -> Result<u64, EvidenceError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(log.append(entry))
}

/// A log of some entries, closed.
fn written(folder: &Path, entries: usize) -> PathBuf {
    let path = folder.join("spy.log");
    let log = Log::open(&path).unwrap();
    for number in 0..entries {
        append(&log, entry(&number.to_string())).unwrap();
    }
    log.close();
    path
}

fn records(path: &Path) -> Vec<Record> {
    let mut all = Vec::new();
    read(path, &Wanted::default(), |record| {
        all.push(record);
        true
    })
    .unwrap();
    all
}

fn events(path: &Path) -> Vec<Event> {
    records(path).into_iter().map(|record| record.entry.event).collect()
}

fn classes(report: &Report) -> BTreeSet<Class> {
    report.findings.iter().map(|finding| finding.class).collect()
}

fn whole(path: &Path) -> u64 {
    let report = verify(path).unwrap();
    assert_eq!(report.findings, [], "{report:?}");
    report.last
}

#[test]
fn entries_are_numbered_chained_and_whole_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    assert_eq!(whole(&path), 5);
    written(folder.path(), 2);
    assert_eq!(whole(&path), 9);
    let all = records(&path);
    assert_eq!(all.iter().map(|record| record.seq).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    assert!(all.windows(2).all(|pair| pair[1].prev == pair[0].hash));
    assert_eq!((all[0].entry.event, all[4].entry.event), (Event::Opened, Event::Closed));
    for file in ["spy.log", "spy.log.key", "spy.log.head"] {
        let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn those_who_wait_together_share_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let syncs = Arc::new(AtomicUsize::new(0));
    let disk = Failing { steps: Arc::default(), fails: |_| false, syncs: syncs.clone() };
    let log = Log::on(&folder.path().join("spy.log"), Box::new(disk)).unwrap();
    log.check().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let before = syncs.load(Ordering::Relaxed);
    runtime.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for number in 0..200 {
            let log = log.clone();
            all.spawn(async move { log.append(entry(&number.to_string())).await.unwrap() });
        }
        let numbers: BTreeSet<u64> = all.join_all().await.into_iter().collect();
        assert_eq!(numbers, (2..=201).collect());
    });
    let batches = syncs.load(Ordering::Relaxed) - before;
    assert!(batches < 200, "{batches} syncs for 200 entries");
    log.close();
    assert_eq!(whole(log.path()), 202);
}

#[test]
fn a_log_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spy.log");
    let first = Log::open(&path).unwrap();
    assert!(matches!(Log::open(&path), Err(EvidenceError::Locked { .. })));
    let second = Log::at(&path).unwrap();
    assert!(append(&second, entry("a")).is_err());
    first.close();
    assert!(matches!(append(&first, entry("b")), Err(EvidenceError::Closed)));
    append(&second, entry("c")).unwrap();
    second.close();
    whole(&path);
}

#[test]
fn half_a_line_of_a_killed_server_is_set_aside_and_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    let torn = b"{\"seq\":6,\"time\":\"2026-";
    io::Write::write_all(&mut fs::OpenOptions::new().append(true).open(&path).unwrap(), torn).unwrap();
    let report = verify(&path).unwrap();
    assert_eq!((classes(&report), report.is_whole()), ([Class::Torn].into(), true));
    written(folder.path(), 1);
    assert_eq!(whole(&path), 9);
    assert_eq!(events(&path)[5..7], [Event::Repaired, Event::Opened]);
    let aside = fs::read(folder.path().join("spy.log.aside")).unwrap();
    assert_eq!(aside, [torn.as_slice(), b"\n"].concat());
}

#[test]
fn entries_written_when_the_head_was_not_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    let old_head = fs::read(folder.path().join("spy.log.head")).unwrap();
    written(folder.path(), 3);
    fs::write(folder.path().join("spy.log.head"), old_head).unwrap();
    assert_eq!(whole(&path), 10);
    written(folder.path(), 1);
    assert_eq!(whole(&path), 13);
    assert!(!events(&path).contains(&Event::Damaged));
}

#[test]
fn cut_off_entries_stay_in_sight_after_the_server_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    let text = fs::read_to_string(&path).unwrap();
    let kept: String = text.split_inclusive('\n').take(3).collect();
    fs::write(&path, &kept).unwrap();
    let report = verify(&path).unwrap();
    assert_eq!(
        (report.findings[0].class, report.findings[0].seq, report.findings[0].through),
        (Class::CutOff, Some(4), Some(5))
    );
    written(folder.path(), 1);
    let report = verify(&path).unwrap();
    assert_eq!(classes(&report), [Class::Removed, Class::Noted].into());
    assert_eq!((report.findings[0].seq, report.findings[0].through), (Some(4), Some(5)));
    // Whoever puts them back has mended the chain; that they were gone stays on record.
    let now = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + now.strip_prefix(&kept).unwrap()).unwrap();
    assert_eq!(classes(&verify(&path).unwrap()), [Class::Noted].into());
}

#[test]
fn a_log_removed_whole_or_without_its_head_is_told() {
    for (gone, expected) in [("spy.log", Class::CutOff), ("spy.log.head", Class::Head)] {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 3);
        fs::remove_file(folder.path().join(gone)).unwrap();
        assert_eq!(classes(&verify(&path).unwrap()), [expected].into(), "{gone}");
        written(folder.path(), 1);
        assert!(events(&path).contains(&Event::Damaged), "{gone}");
        assert!(classes(&verify(&path).unwrap()).contains(&Class::Noted), "{gone}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    fs::remove_file(folder.path().join("spy.log.key")).unwrap();
    assert!(matches!(verify(&path), Err(EvidenceError::KeyMissing { .. })));
    assert!(matches!(Log::open(&path), Err(EvidenceError::KeyMissing { .. })));
    assert!(matches!(verify(&folder.path().join("none")), Err(EvidenceError::Missing { .. })));
}

#[test]
fn a_log_put_back_under_the_running_server_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spy.log");
    let log = Log::open(&path).unwrap();
    let head = folder.path().join("spy.log.head");
    append(&log, entry("a")).unwrap();
    let older = (fs::read(&path).unwrap(), fs::read(&head).unwrap());
    append(&log, entry("b")).unwrap();
    fs::write(&path, older.0).unwrap();
    fs::write(&head, older.1).unwrap();
    assert_eq!(whole(&path), 2, "nothing but the server knows");
    append(&log, entry("c")).unwrap();
    log.close();
    assert_eq!(classes(&verify(&path).unwrap()), [Class::Removed, Class::Noted].into());
}

/// A disk on which the steps that `fails` names fail; a write that fails has written half.
struct Failing {
    steps: Arc<AtomicUsize>,
    fails: fn(usize) -> bool,
    syncs: Arc<AtomicUsize>,
}

impl Failing {
    fn step(&self) -> io::Result<()> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        if (self.fails)(step) { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl Disk for Failing {
    fn make_folder(&mut self, paths: &Paths) -> io::Result<()> {
        Os.make_folder(paths)
    }

    fn write_new(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.step() {
            Os.write_new(path, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        Os.write_new(path, bytes)
    }

    fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.step() {
            Os.append(file, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        Os.append(file, bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.step()?;
        Os.sync(file)
    }

    fn truncate(&mut self, file: &File, size: u64) -> io::Result<()> {
        self.step()?;
        Os.truncate(file, size)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        Os.rename(from, to)
    }

    fn sync_folder(&mut self, paths: &Paths) -> io::Result<()> {
        self.step()?;
        Os.sync_folder(paths)
    }
}

/// Appends ten entries, five from nobody who waits; returns those acknowledged.
fn load(log: &Log) -> Vec<(u64, String)> {
    let mut acknowledged = Vec::new();
    for number in 0..5 {
        let who = number.to_string();
        if let Ok(seq) = append(log, entry(&who)) {
            acknowledged.push((seq, who));
        }
        log.note(entry(&format!("noted {number}")));
    }
    acknowledged
}

#[test]
fn whichever_step_fails_the_chain_stays_whole_and_no_acknowledged_entry_is_lost() {
    static BAD: AtomicUsize = AtomicUsize::new(0);
    static LENGTH: AtomicUsize = AtomicUsize::new(0);
    let fails = |step| {
        (BAD.load(Ordering::Relaxed)..BAD.load(Ordering::Relaxed) + LENGTH.load(Ordering::Relaxed)).contains(&step)
    };
    let mut failures = 0;
    for (length, bad) in [1, 2, 3, 7].into_iter().flat_map(|length| (0..40).map(move |bad| (length, bad))) {
        BAD.store(bad, Ordering::Relaxed);
        LENGTH.store(length, Ordering::Relaxed);
        // In memory where that is: thousands of syncs, and what they do is told elsewhere.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = folder.path().join("spy.log");
        let disk = Failing { steps: Arc::default(), fails, syncs: Arc::default() };
        let log = Log::on(&path, Box::new(disk)).unwrap();
        let acknowledged = load(&log);
        failures += 5 - acknowledged.len();
        // There is space again: what nobody waited for is on record too.
        LENGTH.store(0, Ordering::Relaxed);
        let last = append(&log, entry("after")).unwrap();
        log.close();
        let report = verify(&path).unwrap();
        assert!(report.is_whole() && report.last == last + 1, "step {bad}, {length} times: {report:?}");
        let all = records(&path);
        for (seq, who) in acknowledged {
            let found = all.iter().filter(|record| record.seq == seq && record.entry.who == who).count();
            assert_eq!(found, 1, "step {bad}, {length} times: {seq} of {who}");
        }
        for number in 0..5 {
            let who = format!("noted {number}");
            assert_eq!(all.iter().filter(|record| record.entry.who == who).count(), 1, "step {bad}, {length} times");
        }
    }
    assert!(failures > 50, "{failures}");
}

/// What somebody does to a log.
#[derive(Clone, Debug)]
enum Tampering {
    Flip { at: prop::sample::Index, bit: u8 },
    Remove(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Copy { from: prop::sample::Index, to: prop::sample::Index },
    Cut(prop::sample::Index),
    Insert { at: prop::sample::Index, bytes: Vec<u8> },
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 0..8_u8).prop_map(|(at, bit)| Tampering::Flip { at, bit }),
        1 => index().prop_map(Tampering::Remove),
        1 => (index(), index()).prop_map(|(one, other)| Tampering::Swap(one, other)),
        1 => (index(), index()).prop_map(|(from, to)| Tampering::Copy { from, to }),
        2 => index().prop_map(Tampering::Cut),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..50)).prop_map(|(at, bytes)| Tampering::Insert { at, bytes }),
    ]
}

/// The log after it, and the classes of which one must be told; `None`: nothing was changed.
fn tampered(text: &[u8], how: &Tampering) -> Option<(Vec<u8>, Vec<Class>)> {
    use Class::{Changed, CutOff, Inserted, Removed, Reordered, Torn};
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let count = lines.len();
    let told = match how {
        Tampering::Flip { at, bit } => {
            let mut bytes = text.to_vec();
            bytes[at.index(text.len())] ^= 1 << bit;
            return Some((bytes, vec![Changed, CutOff]));
        }
        Tampering::Cut(at) => return Some((text[..at.index(text.len())].to_vec(), vec![CutOff])),
        Tampering::Insert { at, bytes } => {
            let mut changed = text.to_vec();
            let at = at.index(text.len() + 1);
            changed.splice(at..at, bytes.iter().copied());
            let is_behind = at == text.len() && !bytes.contains(&b'\n');
            return Some((changed, if is_behind { vec![Torn] } else { vec![Changed, Inserted, CutOff] }));
        }
        Tampering::Remove(at) => {
            let at = at.index(count);
            lines.remove(at);
            if at == count - 1 { CutOff } else { Removed }
        }
        Tampering::Swap(one, other) => {
            let (one, other) = (one.index(count), other.index(count));
            if one == other {
                return None;
            }
            lines.swap(one, other);
            Reordered
        }
        Tampering::Copy { from, to } => {
            let copy = lines[from.index(count)].clone();
            lines.insert(to.index(count + 1), copy);
            Inserted
        }
    };
    Some((lines.concat(), vec![told, Inserted, Reordered]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_change_of_the_log_is_found(how in tampering()) {
        thread_local! {
            static LOG: tempfile::TempDir = {
                let folder = tempfile::tempdir().unwrap();
                written(folder.path(), 6);
                fs::copy(folder.path().join("spy.log"), folder.path().join("good")).unwrap();
                folder
            };
        }
        LOG.with(|folder| {
            let good = fs::read(folder.path().join("good")).unwrap();
            let Some((bad, expected)) = tampered(&good, &how) else { return Ok(()) };
            let path = folder.path().join("spy.log");
            fs::write(&path, bad).unwrap();
            let report = verify(&path).unwrap();
            prop_assert!(expected.iter().any(|class| classes(&report).contains(class)), "{:?}: {:?}", how, report);
            prop_assert_eq!(report.is_whole(), expected == [Class::Torn], "{:?}: {:?}", how, report);
            Ok(())
        })?;
    }
}

#[test]
fn cut_at_every_byte_it_is_always_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 2);
    let good = fs::read(&path).unwrap();
    for end in 0..good.len() {
        fs::write(&path, &good[..end]).unwrap();
        let report = verify(&path).unwrap();
        assert_eq!(report.first_wrong().map(|finding| finding.class), Some(Class::CutOff), "{end}");
    }
}

#[test]
fn each_kind_of_change_is_called_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 8);
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let told = |order: &[usize], change: fn(String) -> String| {
        fs::write(&path, change(order.iter().map(|at| lines[*at]).collect())).unwrap();
        let report = verify(&path).unwrap();
        report.findings.iter().map(|finding| (finding.class, finding.seq, finding.through)).collect::<Vec<_>>()
    };
    let same = |text| text;
    let all: Vec<usize> = (0..10).collect();
    assert_eq!(told(&all, same), []);
    assert_eq!(told(&all, |text| text.replace("\"who\":\"3\"", "\"who\":\"4\"")), [(Class::Changed, Some(5), None)]);
    assert_eq!(told(&[0, 1, 5, 6, 7, 8, 9], same), [(Class::Removed, Some(3), Some(5))]);
    assert_eq!(told(&[0, 1, 3, 2, 4, 5, 6, 7, 8, 9], same), [(Class::Reordered, Some(3), None)]);
    assert_eq!(told(&[0, 1, 2, 3, 2, 4, 5, 6, 7, 8, 9], same), [(Class::Inserted, Some(3), None)]);
    assert_eq!(told(&[0, 1, 2, 3, 4, 5, 6], same), [(Class::CutOff, Some(8), Some(10))]);
    assert_eq!(told(&all, |text| text + "{\"seq\":11}\n"), [(Class::Inserted, None, None)]);
}

#[test]
fn opening_a_long_log_reads_its_end_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    // A hole of a gigabyte in the middle of the first line could not be read through in the time of a test.
    let text = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let hole = 64 << 30;
    std::os::unix::fs::FileExt::write_all_at(&file, &text, hole).unwrap();
    let head = fs::read_to_string(folder.path().join("spy.log.head")).unwrap();
    let key = super::seal::Key::load(&folder.path().join("spy.log.key")).unwrap().unwrap();
    let mut head = super::head::Head::open(&key, head.as_bytes()).unwrap();
    head.size += hole;
    fs::write(folder.path().join("spy.log.head"), head.sealed(&key)).unwrap();
    let log = Log::open(&path).unwrap();
    assert_eq!(append(&log, entry("a")).unwrap(), 7);
}
