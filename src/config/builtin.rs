//! The configuration used when there is no file, and its text for `pbx init`: one source, so that both are the same.

use std::io;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Secret, load};

/// The users of the built-in configuration, in the order of the passwords given to [`builtin`].
pub const BUILTIN_USERS: [&str; 3] = ["1001", "1002", "1003"];

/// The dialplan of the built-in configuration.
pub const BUILTIN_EXTENSIONS: &str = include_str!("builtin/extensions.conf");

const BUILTIN_SETTINGS: &str = include_str!("builtin/pbx.toml");

/// One file that `pbx init` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitFile {
    /// Relative to the folder asked for.
    pub path: PathBuf,
    /// Its whole text.
    pub text: Secret,
    /// Whether it holds a secret: to be made with mode 0600, in a folder of mode 0700.
    pub private: bool,
}

/// The files of the built-in configuration with these passwords.
pub fn init_files(passwords: &[Secret; 3]) -> Vec<InitFile> {
    let open = |name: &str, text: &str| InitFile {
        path: PathBuf::from(name),
        text: Secret::new(text.to_owned()),
        private: false,
    };
    let mut files = vec![open("pbx.toml", BUILTIN_SETTINGS), open("extensions.conf", BUILTIN_EXTENSIONS)];
    files.extend(BUILTIN_USERS.iter().zip(passwords).map(|(user, password)| InitFile {
        path: Path::new("secrets").join(user),
        text: Secret::new(format!("{}\n", password.expose())),
        private: true,
    }));
    files
}

/// The built-in configuration with these passwords; its only dialplan file, `extensions.conf`, is [`BUILTIN_EXTENSIONS`].
///
/// # Errors
/// Only for an empty password.
pub fn builtin(passwords: &[Secret; 3]) -> Result<Config, ConfigError> {
    let files = init_files(passwords);
    let reader = |path: &Path| match files.iter().find(|file| file.path == path) {
        Some(file) => Ok(file.text.expose().to_owned()),
        None => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    load(&[PathBuf::from("pbx.toml")], &reader)
}
