//! Settings: TOML with file:line errors, paths, and the configuration built in. Pure: files come through a reader.
//!
//! The way: [`paths`] says which files, [`load`] reads them through a closure into [`Config`], [`Config::masked`] shows
//! it without secrets, [`builtin()`] is what holds without files.

mod builtin;
mod error;
mod masked;
mod matching;
mod nearest;
pub mod paths;
mod read;
mod recording;
mod remotes;
mod secret;
mod serve;
mod settings;
mod supervision;
mod template;
mod units;
mod value;

pub use builtin::{BUILTIN_EXTENSIONS, BUILTIN_USERS, InitFile, builtin, init_files};
pub use error::{ConfigError, Place, Problem};
pub use matching::{Match, MatchError};
pub use nearest::nearest;
pub use read::{Reader, load};
pub use recording::{
    RecordChannels, RecordChoice, RecordConsent, RecordForm, RecordRate, RecordWhispers, RecordingSettings,
    WithoutConsent,
};
pub use remotes::{
    Login, NoticeSettings, OAuth2Settings, PushWhen, ReceiptForm, ReceiptSettings, RemoteKind, RemoteSettings,
    RemoteUrl, RequestMethod, RequestSettings, S3Settings,
};
pub use secret::Secret;
pub use serve::ServeSettings;
pub use settings::*;
pub use supervision::{
    Announce, AnnounceTo, CodeFor, OnAgentLeave, SPY_LETTERS, SupervisionCodes, SupervisionSettings, USUAL_SPY_PARAMS,
};
pub use template::{Form, Template, sample};
pub use units::{parse_duration, parse_size, print_duration, print_size};

#[cfg(test)]
mod tests;
