//! What the handlers share: the outbox, the gate, the record of who took what, the keys. Above: all handlers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::tz::TimeZone;

use super::audit::{Audit, Event, Line};
use super::error::ReceiverError;
use super::intake::Seen;
use super::kind::{Door, Kind};
use super::login::{Gate, Tokens};
use super::notice::Fetcher;
use super::page::{Entry, encoded};
use super::receipts::Told;
use super::uploads::{Announced, Turns};
use super::users::{Users, Viewer, private_secret};
use crate::config::{Limits, Secret, ServeSettings};
use crate::outbox::manifest::stem;
use crate::outbox::{Circle, Filter, Listed, Manifest, Outbox, OutboxError, RecordingId, Which};

/// Recordings on one page.
const PER_PAGE: u32 = 50;

/// What a server of recordings works with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// `[serve]`
    pub settings: ServeSettings,
    /// Where the log and the links' key are kept.
    pub state: PathBuf,
    /// The recordings.
    pub spool: PathBuf,
    /// The groups of each configured user.
    pub groups: BTreeMap<String, Vec<String>>,
    /// How often a login may be wrong.
    pub limits: Limits,
    /// Remotes that fetch what they are told of.
    pub told: Told,
}

/// What the handlers share.
pub(super) struct Desk {
    pub(super) outbox: Outbox,
    pub(super) gate: Gate,
    pub(super) audit: Audit,
    pub(super) settings: ServeSettings,
    pub(super) link_key: Secret,
    pub(super) signing_key: Option<Secret>,
    pub(super) receipt_key: Option<Secret>,
    /// Signatures that were here lately.
    pub(super) seen: Mutex<Seen>,
    /// Held while a recording is filed: of two with one key the second finds the first.
    pub(super) filing: tokio::sync::Mutex<()>,
    /// Who goes on with which upload.
    pub(super) uploads: Turns,
    /// How long those are to be that are not finished.
    pub(super) announced: Announced,
    pub(super) fetcher: Fetcher,
    pub(super) told: Told,
    groups: BTreeMap<String, Vec<String>>,
}

impl Desk {
    /// Opens the outbox and reads the secrets.
    pub(super) fn open(setup: Setup) -> Result<Self, ReceiverError> {
        let Setup { settings, state, spool, groups, limits, told } = setup;
        let secret = |file: &Option<PathBuf>| file.as_deref().map(private_secret).transpose();
        let users = settings.users_file.as_deref().map(Users::open).transpose()?;
        let tokens = Tokens { deliver: secret(&settings.token_file)?, read: secret(&settings.read_token_file)? };
        if let (Some(path), true) = (&settings.read_token_file, tokens.read.is_some() && tokens.read == tokens.deliver)
        {
            return Err(ReceiverError::OneToken(path.clone()));
        }
        let link_key = super::links::key(&state.join(&settings.link_key_file))?;
        Ok(Self {
            outbox: Outbox::open(&spool)?,
            gate: Gate::new(users, tokens, limits),
            audit: Audit::new(state.join(&settings.log)),
            signing_key: secret(&settings.signing_key_file)?,
            receipt_key: secret(&settings.receipt_key_file)?,
            seen: Mutex::default(),
            filing: tokio::sync::Mutex::default(),
            uploads: Turns::default(),
            announced: Announced::default(),
            fetcher: Fetcher::new(&settings.pull_from, settings.pull_ca_file.as_deref())?,
            link_key,
            settings,
            told,
            groups,
        })
    }

    /// Puts an answer on record; blocks for the disk.
    ///
    /// # Errors
    /// The status to answer with, when that could not be done: nothing leaves without a line.
    pub(super) fn record(&self, line: &Line<'_>) -> Result<(), StatusCode> {
        self.audit.write(line).map_err(|error| {
            tracing::error!(%error, "downloads cannot be put on record: none is served");
            StatusCode::SERVICE_UNAVAILABLE
        })
    }

    /// The same for a refusal, which goes out all the same.
    pub(super) fn note(&self, event: Event, who: &str, from: IpAddr, refused: (&str, u16, &str)) {
        let (what, status, why) = refused;
        let _ = self.record(&Line { event, who, from, what, id: None, status, why: Some(why) });
    }

    /// Whether a recording is for this viewer: of all, or of an agent, a user, a group or a trunk of his.
    pub(super) fn may_see(&self, viewer: &Viewer, manifest: &Manifest) -> bool {
        if viewer.words.is_empty() {
            return true;
        }
        let groups = manifest.users().filter_map(|user| self.groups.get(user)).flatten().map(String::as_str);
        let mut words = manifest.users().chain(groups).chain(manifest.trunk.as_deref());
        words.any(|word| viewer.words.iter().any(|his| his == word))
    }

    /// Whose recordings those of this viewer are; `None`: he may see all.
    fn circle(&self, viewer: &Viewer) -> Option<Circle> {
        let is_his = |word: &String| viewer.words.contains(word);
        let members = self.groups.iter().filter(|(_, groups)| groups.iter().any(is_his)).map(|(user, _)| user);
        let users = viewer.words.iter().chain(members).cloned().collect();
        (!viewer.words.is_empty()).then(|| Circle { users, trunks: viewer.words.clone() })
    }

    /// A page of the recordings that this viewer may see, and whether more follow; blocks for the disk.
    pub(super) fn entries(&self, viewer: &Viewer, search: &str, page: u64) -> Result<(Vec<Entry>, bool), OutboxError> {
        let wanted = usize::try_from(PER_PAGE).unwrap_or(usize::MAX);
        let filter = Filter {
            which: Which::Closed,
            text: (!search.is_empty()).then(|| search.to_owned()),
            of: self.circle(viewer),
            skip: u32::try_from((page.max(1) - 1).saturating_mul(PER_PAGE.into())).unwrap_or(u32::MAX),
            limit: Some(PER_PAGE + 1),
            ..Filter::default()
        };
        let mut shown = self.outbox.list(&filter)?;
        let has_more = shown.len() > wanted;
        shown.truncate(wanted);
        Ok((shown.iter().map(entry).collect(), has_more))
    }

    /// The recordings that may have a file of this name, or with this last part of its name.
    pub(super) fn find_files(&self, name: &str) -> Result<Vec<RecordingId>, OutboxError> {
        let last = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
        // a further part of a recording has the first one's name with a number behind it
        let first = stem(name).trim_end_matches(|c: char| c.is_ascii_digit());
        let first = first.strip_suffix('-').unwrap_or(stem(name));
        let mut found = self.outbox.called(&last(stem(name)))?;
        found.extend(self.outbox.called(&last(first))?);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// A recording as the page shows it.
pub fn entry(listed: &Listed) -> Entry {
    let file = listed.file.clone().unwrap_or_default();
    let id = listed.id.to_string();
    let is_audio = !listed.sealed;
    let is_played = Kind::of(&file, Door::ById).is_none_or(Kind::is_played);
    Entry {
        date: listed.started.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        caller: named(&listed.from_name, &listed.from),
        number: listed.to.clone(),
        agent: listed.agent.clone().unwrap_or_default(),
        duration: clock(listed.duration),
        delivered: delivered(listed),
        audio: (is_audio && is_played).then(|| format!("/recordings/{id}?play=1")),
        silent: if listed.sealed { "sealed" } else { "no browser plays it" },
        download: if is_audio { format!("/download.php?call={}", encoded(&file)) } else { format!("/recordings/{id}") },
        file,
    }
}

/// `Alice <1001>`, or what there is of it.
fn named(name: &str, number: &str) -> String {
    match (name, number) {
        ("", number) => number.to_owned(),
        (name, "") => name.to_owned(),
        (name, number) => format!("{name} <{number}>"),
    }
}

/// `3:07`, `1:02:03`.
pub(super) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn delivered(listed: &Listed) -> String {
    match (listed.delivered, listed.wanted, listed.parked) {
        (_, 0, _) => "-".to_owned(),
        (done, wanted, _) if done == wanted => "yes".to_owned(),
        (done, wanted, 0) => format!("{done} of {wanted}"),
        (done, wanted, parked) => format!("{done} of {wanted}, {parked} parked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_on_a_clock() {
        let times = [(0, "0:00"), (499, "0:00"), (500, "0:01"), (187_000, "3:07"), (3_723_000, "1:02:03")];
        for (ms, text) in times {
            assert_eq!(clock(Duration::from_millis(ms)), text);
        }
    }
}
