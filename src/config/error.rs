//! What can be wrong with the settings, and where: always file, line and column. Printed by the shell as one line.

use std::fmt;
use std::path::PathBuf;

/// Why the settings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A settings file that cannot be read.
    #[error("{}: cannot read the settings: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A settings file that says something wrong.
    #[error("{place}: {problem}")]
    Wrong {
        /// Where.
        place: Place,
        /// What.
        problem: Box<Problem>,
    },
}

/// A spot in a file; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named to us.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// What is wrong at a place in the settings.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key nobody reads.
    #[error("unknown key `{key}`{}{}", in_section(.section), did_you_mean(.hint))]
    UnknownKey {
        /// As written.
        key: String,
        /// Table it stands in; empty at the top.
        section: String,
        /// The nearest key that exists there.
        hint: Option<String>,
    },
    /// A value of another type.
    #[error("`{key}` must be {expected}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it takes.
        expected: &'static str,
        /// What was written.
        found: &'static str,
    },
    /// A value of the right type that cannot be meant.
    #[error("`{key}`: {why}")]
    BadValue {
        /// The key.
        key: String,
        /// What is wrong with the value.
        why: String,
    },
    /// A word that is none of those allowed.
    #[error("`{key}`: `{found}` is none of {allowed}{}", did_you_mean(.hint))]
    UnknownWord {
        /// The key.
        key: String,
        /// As written.
        found: String,
        /// Those there are.
        allowed: String,
        /// The nearest of them.
        hint: Option<String>,
    },
    /// A key that must be there.
    #[error("[{section}] needs `{key}`")]
    Missing {
        /// Table that lacks it.
        section: String,
        /// The key.
        key: &'static str,
    },
    /// A file named by a setting that cannot be read.
    #[error("`{key}`: cannot read {}: {source}", path.display())]
    UnreadableFile {
        /// The key that names it.
        key: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn in_section(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" in [{name}]") }
}

fn did_you_mean(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(", did you mean `{hint}`?")).unwrap_or_default()
}
