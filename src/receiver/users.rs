//! Who may see the pages: a file of names and hashed passwords, read again when it changes.
//! Above: `login`. Below: argon2id, and a file that nobody else may read.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::ReceiverError;
use crate::config::Secret;

/// Files of users and secrets that are longer, in bytes, are something else.
const FILE_LIMIT: u64 = 1024 * 1024;
/// Passwords that were right and are remembered, at most.
const REMEMBERED: usize = 1_024;

/// A person who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Viewer {
    /// The name.
    pub(super) name: String,
    /// What the person may see: recordings with one of these agents, users, groups or trunks; empty: all.
    pub(super) words: Vec<String>,
}

#[derive(Debug)]
struct Line {
    hash: String,
    words: Vec<String>,
}

#[derive(Debug, Default)]
struct Known {
    /// The file's own time and length when it was read.
    read: Option<(SystemTime, u64)>,
    lines: Arc<BTreeMap<String, Line>>,
    /// Passwords that were right, as keyed hashes: a browser shows the same one with every request.
    right: BTreeMap<[u8; 32], Viewer>,
}

/// The users of a file.
pub(super) struct Users {
    path: PathBuf,
    known: Mutex<Known>,
    /// Of this process alone, for what it remembers.
    key: [u8; 32],
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, others may read it, or a line of it is none.
    pub(super) fn open(path: &Path) -> Result<Self, ReceiverError> {
        let mut key = [0; 32];
        let failed = ReceiverError::io("asking for random bytes", path);
        getrandom::fill(&mut key).map_err(|error| failed(io::Error::other(error.to_string())))?;
        let users = Self { path: path.to_owned(), known: Mutex::default(), key };
        users.refresh()?;
        Ok(users)
    }

    /// Who shows this name and password; blocks for the hash, which is slow by design, unless the same was right before.
    pub(super) fn viewer(&self, name: &str, password: &str) -> Option<Viewer> {
        if let Err(error) = self.refresh() {
            tracing::warn!(%error, "the users are those of before");
        }
        let (lines, seen) = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = self.digest(name, password);
            if let Some(viewer) = known.right.get(&seen) {
                return Some(viewer.clone());
            }
            (Arc::clone(&known.lines), seen)
        };
        let line = lines.get(name);
        // A name that nobody has takes as long as one that somebody has.
        let hash = line.map_or(NOBODY, |line| line.hash.as_str());
        let is_right = Argon2::default().verify_password(password.as_bytes(), hash).is_ok();
        let line = line.filter(|_| is_right)?;
        let viewer = Viewer { name: name.to_owned(), words: line.words.clone() };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.right.len() >= REMEMBERED {
            known.right.clear();
        }
        if Arc::ptr_eq(&known.lines, &lines) {
            known.right.insert(seen, viewer.clone());
        }
        Some(viewer)
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        // A key of 32 bytes is never refused; without one nothing would be remembered twice.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return [0; 32] };
        mac.update(&u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(name.as_bytes());
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Reads the file again if it has changed; forgets then who was right before.
    fn refresh(&self) -> Result<(), ReceiverError> {
        let failed = ReceiverError::io("reading the users", &self.path);
        let facts = std::fs::metadata(&self.path).map_err(&failed)?;
        let now = (facts.modified().map_err(&failed)?, facts.len());
        let is_old = self.known.lock().unwrap_or_else(PoisonError::into_inner).read != Some(now);
        if is_old {
            let lines = Arc::new(parse(&private_text(&self.path)?, &self.path)?);
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
                Known { read: Some(now), lines, right: BTreeMap::new() };
        }
        Ok(())
    }
}

/// A hash that no password has: its bytes are not what argon2id makes of anything known.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$d2lyZWNoaWVmLW5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn parse(text: &str, path: &Path) -> Result<BTreeMap<String, Line>, ReceiverError> {
    let mut users = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what| ReceiverError::Users { path: path.to_owned(), line: at + 1, what };
        let (name, rest) =
            line.split_once(':').ok_or_else(|| wrong("write NAME:HASH, as `rec serve --add-user` does"))?;
        let (hash, words) = rest.split_once(':').unwrap_or((rest, ""));
        if !is_name(name) {
            return Err(wrong("a name is made of letters, digits and . _ + - @"));
        }
        if PasswordHash::new(hash).is_err() || !hash.starts_with("$argon2id$") {
            return Err(wrong("there is no argon2id hash behind the name"));
        }
        let words: Vec<String> = words_of(words).map(str::to_owned).collect();
        if rest.contains(':') && words.is_empty() {
            return Err(wrong("there is no word behind the last colon: leave it out for all recordings"));
        }
        users.insert(name.to_owned(), Line { hash: hash.to_owned(), words });
    }
    Ok(users)
}

/// What a user may see, as the file has it.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Whether this can be a user's name in the file and in HTTP's Basic scheme.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._+-@".contains(c))
}

/// The text of a users' file with one user more, or with another password for one who is there; what the user may see is kept
/// where `words` is not given.
///
/// # Errors
/// The name cannot be one.
pub fn with_user(text: &str, name: &str, password: &Secret, words: Option<&str>) -> Result<String, String> {
    if !is_name(name) {
        return Err(format!("`{}`: a name is made of letters, digits and . _ + - @", name.escape_debug()));
    }
    if words.is_some_and(|words| words.contains([':', '\n', '\r']) || words_of(words).next().is_none()) {
        return Err("--only takes words with commas between them; leave it out for all recordings".to_owned());
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|error| error.to_string())?;
    let before = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    let kept = before.and_then(|rest| rest.split_once(':')).map_or("", |(_, words)| words);
    let words = words.unwrap_or(kept);
    let entry = if words.is_empty() { format!("{name}:{hash}") } else { format!("{name}:{hash}:{words}") };
    let is_other = |line: &&str| line.trim().split_once(':').is_none_or(|(other, _)| other != name);
    let lines: Vec<&str> = text.lines().filter(is_other).chain([entry.as_str()]).collect();
    Ok(lines.join("\n") + "\n")
}

/// Reads a file that nobody but its owner may read.
pub(super) fn private_text(path: &Path) -> Result<Zeroizing<String>, ReceiverError> {
    let failed = ReceiverError::io("reading", path);
    let file = std::fs::File::open(path).map_err(&failed)?;
    let facts = file.metadata().map_err(&failed)?;
    if facts.mode() & 0o077 != 0 {
        return Err(ReceiverError::Open { path: path.to_owned(), mode: facts.mode() & 0o777 });
    }
    let mut text = Zeroizing::new(String::new());
    let read = file.take(FILE_LIMIT + 1).read_to_string(&mut text).map_err(&failed)?;
    if read as u64 > FILE_LIMIT {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is too long")));
    }
    Ok(text)
}

/// The first line of a file that nobody but its owner may read.
pub(super) fn private_secret(path: &Path) -> Result<Secret, ReceiverError> {
    let text = private_text(path)?;
    match text.lines().next().map(str::trim_end) {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        _ => Err(ReceiverError::io("reading", path)(io::Error::new(io::ErrorKind::InvalidData, "it is empty"))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn an_empty_restriction_is_no_permission_for_everything() {
        for words in ["", ",", " , ", "a:b", "a\nroot:x"] {
            assert!(with_user("", "bob", &secret("p"), Some(words)).is_err(), "{words:?}");
        }
        let line = with_user("", "bob", &secret("p"), None).unwrap();
        let path = Path::new("users");
        assert!(parse(&line, path).unwrap()["bob"].words.is_empty());
        assert!(parse(&format!("{}:\n", line.trim_end()), path).is_err(), "a word was forgotten");
    }

    fn private(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn users_are_read_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let one = with_user("# ours\n", "ann", &secret("one"), Some("sales,1001")).unwrap();
        private(&path, &one);
        let users = Users::open(&path).unwrap();
        let ann = Viewer { name: "ann".into(), words: vec!["sales".into(), "1001".into()] };
        assert_eq!(users.viewer("ann", "one"), Some(ann.clone()));
        assert_eq!(users.viewer("ann", "one"), Some(ann.clone()), "remembered");
        assert_eq!(
            (users.viewer("ann", "two"), users.viewer("bob", "one"), users.viewer("ann", "")),
            (None, None, None)
        );
        let two =
            with_user(&with_user(&one, "bob", &secret("b"), None).unwrap(), "ann", &secret("another"), None).unwrap();
        assert!(two.starts_with("# ours\n") && two.lines().count() == 3);
        private(&path, &two);
        assert_eq!(users.viewer("ann", "one"), None, "an old password is forgotten");
        assert_eq!(users.viewer("ann", "another"), Some(ann));
        std::fs::remove_file(&path).unwrap();
        assert!(users.viewer("bob", "b").is_some(), "a file that is gone changes nothing");
    }

    #[test]
    fn a_users_file_that_is_none_or_open_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        for wrong in
            ["ann", "ann:secret", "a b:$argon2id$x", "ann:$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"]
        {
            private(&path, &format!("# one\n{wrong}\n"));
            assert!(matches!(Users::open(&path), Err(ReceiverError::Users { line: 2, .. })), "{wrong}");
        }
        private(&path, "");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Users::open(&path), Err(ReceiverError::Open { mode: 0o640, .. })));
        assert!(with_user("", "a:b", &secret("x"), None).is_err());
    }
}
