//! A folder of recordings that another exchange writes: which of its files are whole, and which belong together.
//! Above: `import`. The folder is only read.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::audio::raw;

/// Folders within folders, at most.
const DEPTH: usize = 12;
/// Bits of `flags` in `/proc/PID/fdinfo/FD` that say whether it is open for writing (open(2)), octal as it is written there.
const ACCESS_MODE: u32 = 0o3;
/// What is taken for a recording by the ending of its name, in lower case, beside sound without a header.
const CONTAINERS: [&str; 11] = ["wav", "wav49", "mp3", "ogg", "oga", "opus", "mka", "flac", "aiff", "aif", "caf"];
/// What is a recording too, of exchanges and others, and cannot be read here: told, and not passed over in silence.
const FOREIGN: [&str; 20] = [
    "g729", "g723", "g723sf", "g719", "g726-16", "g726-24", "g726-32", "g726-40", "ilbc", "siren7", "siren14", "vox",
    "spx", "amr", "awb", "au", "m4a", "aac", "wma", "w64",
];

/// Whether sound with this ending can be read here.
pub(super) fn is_known(ending: &str) -> bool {
    CONTAINERS.contains(&ending) || raw::endings().any(|known| known == ending)
}

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where.
    pub(super) path: PathBuf,
    /// Below the folder, `/` between its parts.
    pub(super) name: String,
    /// Bytes.
    pub(super) bytes: u64,
    /// When it was written last, in nanoseconds since 1970.
    pub(super) modified_ns: i128,
    /// When it, its owner or its permissions were changed last, in nanoseconds since 1970.
    pub(super) changed_ns: i128,
    place: (u64, u64),
}

/// One recording: a file, or the two sides of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// A file.
    One(Found),
    /// What the caller said, and what it heard.
    Pair(Found, Found),
}

impl Take {
    /// The files of it.
    pub(super) fn files(&self) -> impl Iterator<Item = &Found> {
        let (first, second) = match self {
            Self::One(one) => (one, None),
            Self::Pair(left, right) => (left, Some(right)),
        };
        std::iter::once(first).chain(second)
    }

    /// Its name below the folder, without ending, and without `-in` where it is of a pair.
    pub(super) fn stem(&self) -> &str {
        match self {
            Self::One(one) => stem(&one.name),
            Self::Pair(left, _) => side(&left.name).map_or_else(|| stem(&left.name), |(stem, _)| stem),
        }
    }
}

/// What a look into the folder has found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Recordings that are whole.
    pub(super) takes: Vec<Take>,
    /// Files that are still being written, or may be.
    pub(super) later: Vec<PathBuf>,
    /// Folders and files that cannot be read.
    pub(super) unread: Vec<(PathBuf, io::Error)>,
}

/// Looks for recordings; those written to within `quiet` before `now`, or open for writing anywhere, are for later.
pub(super) fn look(folder: &Path, (now, quiet): (SystemTime, Duration)) -> io::Result<Look> {
    let mut look = Look::default();
    let mut found = Vec::new();
    // What is wrong with the folder itself ends it; what is wrong below is told with the rest.
    fs::read_dir(folder)?;
    walk(folder, ("", DEPTH), &mut found, &mut look.unread);
    let writers = if found.is_empty() { HashSet::new() } else { written_to() };
    let at_least = nanoseconds(now) - i128::try_from(quiet.as_nanos()).unwrap_or(i128::MAX);
    let is_done = |file: &Found| file.modified_ns <= at_least && !writers.contains(&file.place);
    let mut sides: BTreeMap<(String, String), [Option<Found>; 2]> = BTreeMap::new();
    for file in found {
        match side(&file.name) {
            Some((stem, at)) => {
                let key = (stem.to_owned(), ending(&file.name));
                if let Some(place) = sides.entry(key).or_default().get_mut(at) {
                    *place = Some(file);
                }
            }
            None if is_done(&file) => look.takes.push(Take::One(file)),
            None => look.later.push(file.path),
        }
    }
    for pair in sides.into_values() {
        if !pair.iter().flatten().all(is_done) {
            look.later.extend(pair.into_iter().flatten().map(|file| file.path));
            continue;
        }
        match pair {
            [Some(left), Some(right)] => look.takes.push(Take::Pair(left, right)),
            [one, other] => look.takes.extend(one.or(other).map(Take::One)),
        }
    }
    look.takes.sort_by(|a, b| a.stem().cmp(b.stem()));
    Ok(look)
}

fn walk(folder: &Path, (above, depth): (&str, usize), found: &mut Vec<Found>, unread: &mut Vec<(PathBuf, io::Error)>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return unread.push((folder.to_owned(), error)),
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let below = if above.is_empty() { name } else { format!("{above}/{name}") };
        // Links are not followed: they lead out of the folder.
        let Ok(facts) = entry.path().symlink_metadata() else { continue };
        if facts.is_dir() && depth > 0 {
            walk(&entry.path(), (&below, depth - 1), found, unread);
        } else if facts.is_file() && is_sound(&ending(&below).to_ascii_lowercase()) {
            let place = (facts.dev(), facts.ino());
            found.push(Found {
                path: entry.path(),
                name: below,
                bytes: facts.size(),
                modified_ns: moment(facts.mtime(), facts.mtime_nsec()),
                changed_ns: moment(facts.ctime(), facts.ctime_nsec()),
                place,
            });
        }
    }
}

fn is_sound(ending: &str) -> bool {
    is_known(ending) || FOREIGN.contains(&ending)
}

/// Whether a file is still as it was found.
pub(super) fn is_same(file: &Found, opened: &File) -> io::Result<bool> {
    let facts = opened.metadata()?;
    let modified_ns = moment(facts.mtime(), facts.mtime_nsec());
    Ok((facts.size(), modified_ns, (facts.dev(), facts.ino())) == (file.bytes, file.modified_ns, file.place))
}

/// `NAME-in.wav` as `NAME` and 0, `NAME-out.wav` as `NAME` and 1.
fn side(name: &str) -> Option<(&str, usize)> {
    let stem = stem(name);
    let of = |end: &str, at: usize| {
        stem.strip_suffix(end).filter(|stem| !stem.is_empty() && !stem.ends_with('/')).map(|stem| (stem, at))
    };
    of("-in", 0).or_else(|| of("-out", 1))
}

fn stem(name: &str) -> &str {
    let file = name.rfind('/').map_or(0, |at| at + 1);
    match name.rfind('.') {
        Some(dot) if dot > file => name.get(..dot).unwrap_or(name),
        _ => name,
    }
}

/// What a name ends in, as it is written.
pub(super) fn ending(name: &str) -> String {
    Path::new(name).extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The disk's seconds and nanoseconds as nanoseconds.
fn moment(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

fn nanoseconds(time: SystemTime) -> i128 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

/// Device and inode of all files that are open for writing, in processes we may look at: root sees all.
fn written_to() -> HashSet<(u64, u64)> {
    let mut places = HashSet::new();
    let Ok(processes) = fs::read_dir("/proc") else { return places };
    for process in processes.flatten() {
        if !process.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            let info = process.path().join("fdinfo").join(descriptor.file_name());
            let writes = fs::read_to_string(info).is_ok_and(|info| {
                let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
                flags
                    .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
                    .is_some_and(|flags| flags & ACCESS_MODE != 0)
            });
            if writes && let Ok(facts) = fs::metadata(descriptor.path()) {
                places.insert((facts.dev(), facts.ino()));
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Looks until so many files are for later: a program that another test starts has the files open that this one writes, until it
    /// runs.
    fn seen(folder: &Path, when: (SystemTime, Duration), later: usize) -> Look {
        let began = Instant::now();
        loop {
            let seen = look(folder, when).unwrap();
            if seen.later.len() == later {
                return seen;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "not {later} are for later, but {:?}", seen.later);
            std::thread::yield_now();
        }
    }

    fn names(look: &Look) -> Vec<String> {
        look.takes.iter().map(|take| take.files().map(|file| file.name.clone()).collect::<Vec<_>>().join("+")).collect()
    }

    #[test]
    fn whole_files_are_taken_pairs_together_and_what_is_being_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            path
        };
        for name in
            ["2024/01/02/a-in.wav", "2024/01/02/a-out.wav", "b-in.WAV", "c.gsm", ".hidden.wav", "notes.txt", "in.wav"]
        {
            put(name);
        }
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        let open = File::options().append(true).open(put("open.wav")).unwrap();
        let hour = Duration::from_secs(3_600);
        let later = SystemTime::now() + hour;
        let found = seen(folder.path(), (later, hour / 2), 1);
        assert_eq!(names(&found), ["2024/01/02/a-in.wav+2024/01/02/a-out.wav", "b-in.WAV", "c.gsm", "in.wav"]);
        assert_eq!(found.takes[0].stem(), "2024/01/02/a");
        assert_eq!(found.later, [folder.path().join("open.wav")]);
        drop(open);
        assert_eq!(seen(folder.path(), (later, hour / 2), 0).takes.len(), 5);
        assert_eq!(look(folder.path(), (later, hour * 2)).unwrap().later.len(), 6);
        assert!(look(&folder.path().join("nowhere"), (later, hour)).is_err());
    }
}
