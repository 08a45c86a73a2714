//! Opening a log to write on: finds its end from the sealed head without reading the rest, and puts right what a killed server left.
//! Above: the writer. What is found wrong becomes entries of the log itself, so that it stays on record.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use super::entry::{Entry, Event, genuine};
use super::error::EvidenceError;
use super::files::{Disk, Paths};
use super::head::Head;
use super::lines::{self, Lines};
use super::seal::Key;

/// Head files longer than this, in bytes, are something else.
const HEAD_LIMIT: u64 = 4_096;

/// A log that may be written on; locked while it is open.
pub(super) struct Tail {
    pub(super) file: File,
    pub(super) key: Key,
    pub(super) head: Head,
}

impl Drop for Tail {
    /// Closing would not do: a program that is being started at this moment has the same file open until it runs.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The tail, and what is to be put on record about it.
pub(super) struct Found {
    pub(super) tail: Tail,
    pub(super) notes: Vec<Entry>,
}

/// What this process knows of a log that it has had open before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// The head as it last wrote it: it counts more than the file beside the log.
    pub(super) head: Option<Head>,
    /// Behind that head there may be a batch that the disk did not take, and that nobody was told is on record.
    pub(super) is_unfinished: bool,
}

/// Opens or makes the log.
pub(super) fn open(paths: &Paths, past: Past, disk: &mut dyn Disk) -> Result<Found, EvidenceError> {
    disk.make_folder(paths).map_err(EvidenceError::io("making its folder", &paths.log))?;
    let key = Key::load(&paths.key)?;
    let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&paths.log);
    let file = opened.map_err(EvidenceError::io("opening", &paths.log))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(EvidenceError::Locked { path: paths.log.clone() }),
        Err(TryLockError::Error(error)) => return Err(EvidenceError::io("locking", &paths.log)(error)),
    }
    match key {
        Some(key) => resume(paths, past, Tail { file, key, head: Head::START }, disk),
        None => begin(paths, past, file, disk),
    }
}

/// A log without entries and without a key is a new one. The key gets its name last: where there is one, there was a head.
fn begin(paths: &Paths, past: Past, file: File, disk: &mut dyn Disk) -> Result<Found, EvidenceError> {
    // From here on the lock goes with it, whatever fails.
    let tail = Tail { file, key: Key::random()?, head: Head::START };
    let size = tail.file.metadata().map_err(EvidenceError::io("reading", &paths.log))?.len();
    if size > 0 {
        return Err(EvidenceError::KeyMissing { path: paths.key.clone() });
    }
    // One may be left of a start that was killed.
    let _ = std::fs::remove_file(&paths.new_key);
    let made = tail
        .key
        .save(&paths.new_key)
        .and_then(|()| disk.write_new(&paths.new_head, &Head::START.sealed(&tail.key)))
        .and_then(|()| disk.rename(&paths.new_head, &paths.head))
        .and_then(|()| disk.rename(&paths.new_key, &paths.key))
        .and_then(|()| disk.sync_folder(paths));
    made.map_err(EvidenceError::io("making the key", &paths.key))?;
    let lost = past.head.filter(|known| known.seq > 0).map(|known| {
        let why = format!("the log and its key were removed under the running server: {} entries are gone", known.seq);
        Entry::own(Event::Damaged, why)
    });
    Ok(Found { tail, notes: lost.into_iter().collect() })
}

fn resume(paths: &Paths, past: Past, mut tail: Tail, disk: &mut dyn Disk) -> Result<Found, EvidenceError> {
    let reading = EvidenceError::io("reading", &paths.log);
    let mut notes = Vec::new();
    let sealed = read_head(paths, &tail.key)?;
    let damaged = |why: String| Entry::own(Event::Damaged, why);
    if let Err(why) = sealed {
        notes.push(damaged(format!("the head of the log {why}; entries cut off before now cannot be told")));
    }
    let reference = sealed.ok().into_iter().chain(past.head).max_by_key(|head| head.seq);
    match base(&tail, reference).map_err(&reading)? {
        Base::There(head) if past.is_unfinished => tail.head = head,
        Base::There(head) => tail.head = walk(&tail, head).map_err(&reading)?,
        Base::Moved(head) => {
            notes.push(damaged(format!("entries before {} were changed, removed or inserted", head.seq)));
            tail.head = walk(&tail, head).map_err(&reading)?;
        }
        Base::Gone { head, last } => {
            notes.push(damaged(format!("the log was cut off: its last entry was {}, {last} was found", head.seq)));
            tail.head = head;
        }
    }
    notes.extend(set_aside(paths, past, &tail, disk)?);
    Ok(Found { tail, notes })
}

/// The head file, or in words what is wrong with it.
pub(super) fn read_head(paths: &Paths, key: &Key) -> Result<Result<Head, &'static str>, EvidenceError> {
    let mut text = Vec::new();
    match File::open(&paths.head) {
        Ok(file) => {
            file.take(HEAD_LIMIT).read_to_end(&mut text).map_err(EvidenceError::io("reading", &paths.head))?;
            Ok(Head::open(key, &text).ok_or("was changed, or sealed with another key"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err("is missing")),
        Err(error) => Err(EvidenceError::io("reading", &paths.head)(error)),
    }
}

/// Where the entry of the head is.
enum Base {
    /// Where it belongs.
    There(Head),
    /// Somewhere else: what is before it has another length.
    Moved(Head),
    /// Nowhere: the chain goes on behind it all the same, so that the gap stays in sight. `last`: the last one there is.
    Gone { head: Head, last: u64 },
}

fn base(tail: &Tail, reference: Option<Head>) -> io::Result<Base> {
    let (file, key) = (&tail.file, &tail.key);
    let Some(head) = reference else { return Ok(Base::There(lines::find(file, key, |_| false)?.1)) };
    if head.seq == 0 {
        return Ok(Base::There(head));
    }
    let line = lines::line_ending_at(file, head.size)?;
    let place = line.and_then(|line| genuine(key, &line));
    if place.is_some_and(|place| place.seq == head.seq && place.hash == head.hash) {
        return Ok(Base::There(head));
    }
    let (found, last) = lines::find(file, key, |here| here.seq == head.seq && here.hash == head.hash)?;
    if let Some(found) = found {
        return Ok(Base::Moved(found));
    }
    Ok(Base::Gone { head: Head { size: end_of_lines(file)?, ..head }, last: last.seq })
}

/// The end of the last whole line.
fn end_of_lines(file: &File) -> io::Result<u64> {
    let mut lines = Lines::from(file, 0)?;
    let mut end = 0;
    while let Some(raw) = lines.next()?.filter(|raw| raw.whole) {
        end = raw.end;
    }
    Ok(end)
}

/// Goes over entries that were written when the head was not yet: genuine, in order, and perhaps acknowledged.
fn walk(tail: &Tail, mut head: Head) -> io::Result<Head> {
    let mut lines = Lines::from(&tail.file, head.size)?;
    while let Some(raw) = lines.next()?.filter(|raw| raw.whole) {
        match genuine(&tail.key, &raw.bytes) {
            Some(place) if place.seq == head.seq + 1 && place.prev == head.hash => {
                head = Head { seq: place.seq, hash: place.hash, size: raw.end };
            }
            _ => break,
        }
    }
    Ok(head)
}

/// Moves what is behind the last entry out of the log. Half a line is what a killed server leaves; a whole one is not.
fn set_aside(paths: &Paths, past: Past, tail: &Tail, disk: &mut dyn Disk) -> Result<Option<Entry>, EvidenceError> {
    let reading = EvidenceError::io("reading", &paths.log);
    let size = tail.file.metadata().map_err(&reading)?.len();
    if size <= tail.head.size {
        return Ok(None);
    }
    let torn = Lines::from(&tail.file, tail.head.size).and_then(|mut lines| lines.next()).map_err(&reading)?;
    let is_ours = past.is_unfinished || torn.is_some_and(|raw| !raw.whole);
    copy_aside(paths, tail, disk).map_err(EvidenceError::io("setting aside what is no entry", &paths.aside))?;
    disk.truncate(&tail.file, tail.head.size).map_err(EvidenceError::io("cutting off what is no entry", &paths.log))?;
    let bytes = size - tail.head.size;
    let (event, why) = if is_ours {
        (Event::Repaired, format!("{bytes} bytes were only half written when the server was killed or the disk failed"))
    } else {
        (Event::Damaged, format!("{bytes} bytes that are no entries were found behind the last one"))
    };
    Ok(Some(Entry::own(event, format!("{why}; they are kept in {}", name(paths)))))
}

fn name(paths: &Paths) -> String {
    paths.aside.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn copy_aside(paths: &Paths, tail: &Tail, disk: &mut dyn Disk) -> io::Result<()> {
    let mut to = OpenOptions::new().append(true).create(true).mode(0o600).open(&paths.aside)?;
    let mut from = &tail.file;
    from.seek(SeekFrom::Start(tail.head.size))?;
    io::copy(&mut from, &mut to)?;
    disk.append(&to, b"\n")?;
    disk.sync(&to)?;
    disk.sync_folder(paths)
}
