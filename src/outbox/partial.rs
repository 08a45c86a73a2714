//! Files that arrive in pieces, over days if need be: what has been written of one is there for the next process, until it is whole
//! and takes its name, or is removed. Above: whoever receives recordings. Below: the spool's folder `.uploads`, which holds two
//! files for each: `ID.part` with its bytes, and `ID.json` with what its owner noted when it began.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags, openat};

use super::aside::Aside;
use super::error::OutboxError;
use super::spool::{Measure, Spool, measure, sync};

/// The folder of them.
const FOLDER: &str = ".uploads";

/// A note that is longer, in bytes, is none of ours.
const NOTE_LIMIT: u64 = 1024 * 1024;

/// A file that is not whole yet, opened to go on with it.
#[derive(Debug)]
pub struct Partial {
    id: String,
    note: Vec<u8>,
    aside: Aside,
}

/// What is left of a file that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its id.
    pub id: String,
    /// When something was last written of it.
    pub touched: SystemTime,
    /// Bytes that have arrived.
    pub bytes: u64,
}

impl Spool {
    /// Begins a file under an id of small letters and digits; its bytes and its note are for their owner alone.
    ///
    /// # Errors
    /// The disk does not take it, or the id is in use.
    pub fn begin_partial(&self, id: &str, note: &[u8]) -> Result<Partial, OutboxError> {
        let name = part_name(id);
        self.make_folders(&name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let begun = || -> io::Result<Aside> {
            let (folder, last) = self.folder_of(&name)?;
            let file = File::from(openat(&folder, last, flags, Mode::RUSR | Mode::WUSR)?);
            sync(&folder)?;
            Ok(Aside::kept(folder, last, file))
        };
        let aside = begun().map_err(OutboxError::io("writing", &self.path().join(&name)))?;
        // Last: bytes without a note are nobody's, and swept away.
        self.write_whole(&note_name(id), note)?;
        Ok(Partial { id: id.to_owned(), note: note.to_vec(), aside })
    }

    /// Opens a file to go on with it; `None`: there is none with this id.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open_partial(&self, id: &str) -> Result<Option<Partial>, OutboxError> {
        if !is_id(id) {
            return Ok(None);
        }
        let name = part_name(id);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = || -> io::Result<Partial> {
            let (folder, last) = self.folder_of(&name)?;
            let file = File::from(openat(&folder, last, flags, Mode::empty())?);
            let mut note = Vec::new();
            let mut text = io::Read::take(self.open_plain(&note_name(id))?, NOTE_LIMIT);
            io::Read::read_to_end(&mut text, &mut note)?;
            Ok(Partial { id: id.to_owned(), note, aside: Aside::kept(folder, last, file) })
        };
        match opened() {
            Ok(partial) => Ok(Some(partial)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OutboxError::io("opening", &self.path().join(&name))(error)),
        }
    }

    /// Removes what is left of a file and its note.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove_partial(&self, id: &str) -> Result<(), OutboxError> {
        if !is_id(id) || !self.exists(FOLDER)? {
            return Ok(());
        }
        self.remove(&note_name(id))?;
        self.remove(&part_name(id))
    }

    /// All files of which anything is left, by their ids.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn partials(&self) -> Result<Vec<Left>, OutboxError> {
        let mut found = std::collections::BTreeMap::new();
        for name in self.names_below(FOLDER)? {
            let Some(last) = name.rsplit('/').next() else { continue };
            let part = last.strip_suffix(".part");
            let Some(id) = part.or_else(|| last.strip_suffix(".json")) else { continue };
            // One that has gone meanwhile is as good as one that was never there.
            let Ok(facts) = self.open_plain(&name).and_then(|file| file.metadata()) else { continue };
            let Ok(touched) = facts.modified() else { continue };
            let bytes = part.map_or(0, |_| facts.len());
            let left = found.entry(id.to_owned()).or_insert(Left { id: id.to_owned(), touched, bytes });
            left.touched = touched.max(left.touched);
            left.bytes = left.bytes.max(bytes);
        }
        Ok(found.into_values().filter(|left| is_id(&left.id)).collect())
    }
}

impl Spool {
    /// Removes notes that a process was writing aside when it died, and that nobody has written to for `quiet`.
    ///
    /// # Errors
    /// The folder cannot be read, or one is still there.
    pub fn sweep_partials(&self, quiet: Duration) -> Result<(), OutboxError> {
        let folder = self.path().join(FOLDER);
        let failed = |error: io::Error| OutboxError::io("clearing up", &folder)(error);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.starts_with('.') && name.ends_with(".part")) else {
                continue;
            };
            // One that has gone meanwhile has its own name by now.
            let Ok(touched) = entry.metadata().and_then(|facts| facts.modified()) else { continue };
            let age = touched.elapsed().unwrap_or_else(|ahead| ahead.duration());
            if age > quiet {
                self.remove(&format!("{FOLDER}/{name}"))?;
            }
        }
        Ok(())
    }
}

impl Partial {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What was noted when it began.
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// For [`Spool::place_aside`].
    pub fn aside(&self) -> &Aside {
        &self.aside
    }

    /// Bytes that are there.
    ///
    /// # Errors
    /// The disk fails.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.file().metadata()?.len())
    }

    /// When something was last written.
    ///
    /// # Errors
    /// The disk fails.
    pub fn touched(&self) -> io::Result<SystemTime> {
        self.file().metadata()?.modified()
    }

    /// Writes a piece that begins at byte `at`.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write_at(&self, piece: &[u8], at: u64) -> io::Result<()> {
        self.file().write_all_at(piece, at)
    }

    /// Forgets all but the first `bytes`.
    ///
    /// # Errors
    /// The disk fails.
    pub fn cut(&self, bytes: u64) -> io::Result<()> {
        self.file().set_len(bytes)
    }

    /// Brings what is there to the disk.
    ///
    /// # Errors
    /// It could not be brought there.
    pub fn sync(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    /// Its first bytes, at most `most`.
    ///
    /// # Errors
    /// The disk fails.
    pub fn head(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut head = vec![0; most];
        let mut got = 0;
        while let Some(room) = head.get_mut(got..).filter(|room| !room.is_empty()) {
            match self.file().read_at(room, got as u64) {
                Ok(0) => break,
                Ok(read) => got += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        head.truncate(got);
        Ok(head)
    }

    /// How long it is and what is in it.
    ///
    /// # Errors
    /// The disk fails.
    pub fn measure(&self) -> io::Result<Measure> {
        let mut file = self.file();
        file.seek(SeekFrom::Start(0))?;
        measure(file)
    }

    fn file(&self) -> &File {
        self.aside.file()
    }
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn part_name(id: &str) -> String {
    format!("{FOLDER}/{id}.part")
}

fn note_name(id: &str) -> String {
    format!("{FOLDER}/{id}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there_for_the_next_process_until_it_takes_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        {
            let spool = Spool::open(&path).unwrap();
            let begun = spool.begin_partial("abc1", b"a note").unwrap();
            begun.write_at(b"0123456789", 0).unwrap();
            begun.cut(6).unwrap();
            assert!(spool.begin_partial("abc1", b"another").is_err(), "the id is in use");
        }
        let spool = Spool::open(&path).unwrap();
        let found: Vec<_> = spool.partials().unwrap().into_iter().map(|left| (left.id, left.bytes)).collect();
        assert_eq!(found, [("abc1".to_owned(), 6)]);
        let there = spool.open_partial("abc1").unwrap().unwrap();
        assert_eq!((there.bytes().unwrap(), there.note()), (6, b"a note".as_slice()));
        there.write_at(b"xyz", 6).unwrap();
        assert_eq!(there.head(4).unwrap(), b"0123");
        assert_eq!(there.measure().unwrap().bytes, 9);
        assert!(spool.names().unwrap().is_empty(), "it is no recording yet");
        spool.place_aside(there.aside(), "day/a.wav").unwrap();
        spool.remove_partial("abc1").unwrap();
        assert_eq!(std::fs::read(path.join("day/a.wav")).unwrap(), b"012345xyz");
        assert!(spool.partials().unwrap().is_empty() && spool.open_partial("abc1").unwrap().is_none());
    }

    #[test]
    fn what_a_process_died_over_is_swept_away_though_the_clock_was_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("spool")).unwrap();
        let hour = Duration::from_secs(3_600);
        spool.sweep_partials(hour).unwrap();
        spool.begin_partial("abc1", b"a note").unwrap();
        let uploads = spool.path().join(FOLDER);
        for (name, time) in [
            (".new.part", SystemTime::now()),
            (".old.part", SystemTime::now() - 2 * hour),
            (".ahead.part", SystemTime::now() + 2 * hour),
        ] {
            File::create(uploads.join(name)).unwrap().set_modified(time).unwrap();
        }
        spool.sweep_partials(hour).unwrap();
        let mut left: Vec<_> = uploads.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".new.part", "abc1.json", "abc1.part"]);
    }

    #[test]
    fn an_id_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("spool")).unwrap();
        for id in ["", "../x", "a/b", "A", "a.part", "é"] {
            assert!(spool.open_partial(id).unwrap().is_none(), "{id}");
            spool.remove_partial(id).unwrap();
        }
    }
}
