//! Files that `#include` and `#tryinclude` name: relative to the folder of the file that names them, `*` and `?` allowed.
//! Above: `sections`. Reading goes through a [`Loader`], so that a plan can be read without a disk.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::problem::IncludeError;

/// Folders and files looked at for one name with `*` or `?`.
const MAX_NAMES: usize = 10_000;

/// Where included files are read from.
pub trait Loader {
    /// A file's bytes.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The names in a folder, in any order.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Loader for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(folder)?.take(MAX_NAMES);
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

/// No files but these, by name and text.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a>(pub &'a [(PathBuf, String)]);

impl Loader for Given<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.0.iter().find(|(name, _)| plain(name) == plain(path));
        found.map(|(_, text)| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inside = self.0.iter().filter_map(|(path, _)| path.strip_prefix(folder).ok()?.iter().next()?.to_str());
        Ok(inside.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// What a line that begins with `#` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    pub(super) absence: Absence,
    /// The file as written, without its quotes, and the byte of the line at which it stands.
    pub(super) name: (&'a str, usize),
}

/// Whether an included file must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    IsWrong,
    IsFine,
}

impl<'a> Directive<'a> {
    /// Reads `#include "file"`; the error comes with the byte of the line at which it is.
    pub(super) fn parse(line: &'a str) -> Result<Self, (usize, IncludeError)> {
        let word_end = line.find(char::is_whitespace).unwrap_or(line.len());
        let (word, rest) = line.split_at(word_end);
        let absence = match word.trim_start_matches('#').to_ascii_lowercase().as_str() {
            "include" => Absence::IsWrong,
            "tryinclude" => Absence::IsFine,
            "exec" => return Err((0, IncludeError::Exec)),
            _ => return Err((0, IncludeError::Unknown(word.chars().take(40).collect()))),
        };
        let name = rest.trim();
        let quotes = [('"', '"'), ('<', '>')];
        let inside = |(open, close)| name.strip_prefix(open)?.strip_suffix(close);
        let bare = quotes.into_iter().find_map(inside).unwrap_or(name);
        if bare.is_empty() {
            return Err((word_end, IncludeError::NoName));
        }
        let blanks = rest.len() - rest.trim_start().len();
        Ok(Self { absence, name: (bare, word_end + blanks + (name.len() - bare.len()) / 2) })
    }
}

/// The files that `name` means in a file of `folder`, sorted.
pub(super) fn files(name: &str, folder: &Path, loader: &dyn Loader) -> Vec<PathBuf> {
    if !name.contains(['*', '?']) {
        return vec![folder.join(name)];
    }
    let mut found = vec![folder.to_owned()];
    for part in Path::new(name).iter() {
        let Some(pattern) = part.to_str().filter(|part| part.contains(['*', '?'])) else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let mut next = Vec::new();
        for folder in &found {
            let mut names = loader.names(folder).unwrap_or_default();
            names.retain(|name| fits(pattern.as_bytes(), name.as_bytes()));
            names.sort();
            next.extend(names.iter().map(|name| folder.join(name)));
        }
        next.truncate(MAX_NAMES);
        found = next;
    }
    found
}

/// `*` is any stretch, `?` any character; a leading dot must be written. At most one way back: no exponential time.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    let mut back = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || name.get(n) == Some(&byte) => {
                p += 1;
                n += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// A path without its `.` and with its `..` resolved as far as they are written.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_with_or_without_quotes() {
        let parse = |line| Directive::parse(line).map(|directive| (directive.absence, directive.name));
        assert_eq!(parse("#include \"a b.conf\""), Ok((Absence::IsWrong, ("a b.conf", 10))));
        assert_eq!(parse("#include  a.conf"), Ok((Absence::IsWrong, ("a.conf", 10))));
        assert_eq!(parse("#TryInclude <x/*.conf>"), Ok((Absence::IsFine, ("x/*.conf", 13))));
        assert_eq!(parse("#exec /bin/date"), Err((0, IncludeError::Exec)));
        assert_eq!(parse("#include"), Err((8, IncludeError::NoName)));
        assert_eq!(parse("#incude x"), Err((0, IncludeError::Unknown("#incude".into()))));
    }

    #[test]
    fn stars_find_sorted_files_and_no_hidden_ones() {
        let file = |name: &str| (PathBuf::from(name), String::new());
        let given = [file("d/b.conf"), file("d/a.conf"), file("d/.c.conf"), file("d/a.txt"), file("e/a/x.conf")];
        let found = |name| files(name, Path::new("d"), &Given(&given));
        assert_eq!(found("*.conf"), [Path::new("d/a.conf"), Path::new("d/b.conf")]);
        assert_eq!(found("../e"), [Path::new("d/../e")]);
        assert_eq!(files("*/?.conf", Path::new(""), &Given(&given)), [Path::new("d/a.conf"), Path::new("d/b.conf")]);
        assert_eq!(found("x*.conf"), [] as [&Path; 0]);
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let name = "a".repeat(200);
        assert!(!fits("*a".repeat(60).as_bytes(), format!("{name}b").as_bytes()));
        assert!(fits("*a".repeat(60).as_bytes(), name.as_bytes()));
    }
}
