//! Whether every call that was to be recorded was, every recording is whole, and everyone who wanted it has it.
//! Above: `rec verify`. Below: the queue, the spool, and the server's detail records.

mod calls;
mod clusters;
mod header;
mod ogg;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::error::OutboxError;
use super::list::{Filter, Order};
use super::manifest::{Manifest, RecordingId, State, manifest_name, stem};
use super::seal::{self, key_name};
use super::spool::measure;
use super::store::Outbox;
use super::{DeliveryState, Spool};
use crate::audio::raw;
pub use calls::{Call, CallLeg};
use header::Head;

/// What a recording may be longer or shorter than its call, and the part of its length in percent.
const SLACK: Duration = Duration::from_secs(2);
const SLACK_PERCENT: u32 = 2;

/// How well it is looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Sizes and heads of files.
    #[default]
    Quick,
    /// Every byte.
    Deep,
}

/// What is looked at.
pub struct Scope<'a> {
    /// Only calls and recordings that began at this time or later, and then no files that belong to nothing.
    pub since: Option<Timestamp>,
    /// How well.
    pub depth: Depth,
    /// The server's detail records.
    pub calls: Option<&'a Path>,
    /// The rule by which a call was to be recorded; `None`: by none.
    pub rule: &'a dyn Fn(&Call) -> Option<String>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A call that a rule should have recorded has no recording.
    Unrecorded,
    /// A call's recording is in no queue.
    Lost,
    /// A detail record cannot be read.
    Record,
    /// A recording's file is not there.
    Vanished,
    /// A recording's file is not what it was.
    Changed,
    /// A recording's file has a head that no player would know.
    Damaged,
    /// A recording has less sound than time went by.
    Short,
    /// A recording has more sound than time went by.
    Long,
    /// A recording's manifest is missing, or is not what the queue knows.
    Manifest,
    /// A recording is open, and its writer is dead.
    Abandoned,
    /// A file that belongs to no recording.
    Orphan,
    /// A remote has no receipt yet.
    Waiting,
    /// A remote will get no receipt by itself.
    Parked,
}

impl Kind {
    /// As in `rec verify --json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unrecorded => "unrecorded",
            Self::Lost => "lost",
            Self::Record => "record",
            Self::Vanished => "vanished",
            Self::Changed => "changed",
            Self::Damaged => "damaged",
            Self::Short => "short",
            Self::Long => "long",
            Self::Manifest => "manifest",
            Self::Abandoned => "abandoned",
            Self::Orphan => "orphan",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
        }
    }

    /// Whether a recording is missing or damaged (exit 5), not just not delivered (exit 6).
    #[must_use]
    pub fn is_damage(self) -> bool {
        !matches!(self, Self::Waiting | Self::Parked)
    }
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// With which recording.
    pub id: Option<RecordingId>,
    /// With which call.
    pub call: Option<String>,
    /// With which file, relative to the spool.
    pub file: Option<String>,
    /// In words.
    pub what: String,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Calls in the detail records.
    pub calls: u64,
    /// Recordings that are there.
    pub recordings: u64,
    /// Bytes that were read and hashed.
    pub bytes: u64,
    /// Things that are wrong.
    pub findings: u64,
}

struct Look<'a> {
    outbox: &'a Outbox,
    scope: &'a Scope<'a>,
    tell: &'a mut dyn FnMut(Finding),
    /// How long calls were, by their UUIDs and those of their legs.
    lengths: HashMap<String, Duration>,
    /// Files that belong to recordings.
    owned: HashSet<String>,
    verified: Verified,
}

impl Outbox {
    /// Looks at calls, recordings, deliveries and files; tells what is wrong as it is found.
    ///
    /// # Errors
    /// The queue, the spool or the detail records cannot be read.
    pub fn verify(&self, scope: &Scope<'_>, tell: &mut dyn FnMut(Finding)) -> Result<Verified, OutboxError> {
        let (lengths, owned) = (HashMap::new(), HashSet::new());
        let mut look = Look { outbox: self, scope, tell, lengths, owned, verified: Verified::default() };
        if let Some(path) = scope.calls {
            look.calls(path)?;
        }
        look.recordings()?;
        if scope.since.is_none() {
            look.orphans()?;
        }
        Ok(look.verified)
    }
}

impl Look<'_> {
    fn found(&mut self, kind: Kind, manifest: Option<&Manifest>, what: String) {
        let (id, call) = (manifest.map(|manifest| manifest.id), manifest.map(|manifest| manifest.call.clone()));
        let file = manifest.map(|manifest| manifest.file.clone());
        self.verified.findings += 1;
        (self.tell)(Finding { kind, id, call, file, what });
    }

    fn calls(&mut self, path: &Path) -> Result<(), OutboxError> {
        let (mut all, mut bad) = (Vec::new(), Vec::new());
        let since = self.scope.since;
        let read = calls::each(path, &mut |call| match call {
            Ok(call) if since.is_none_or(|since| call.started >= since) => all.push(call),
            Ok(_) => {}
            Err(line) => bad.push(line),
        });
        read.map_err(OutboxError::io("reading the detail records", path))?;
        for line in bad {
            self.found(Kind::Record, None, format!("{}:{line}: this is no detail record", path.display()));
        }
        for call in all {
            self.verified.calls += 1;
            self.call(&call)?;
            let Some(length) = call.lasted() else { continue };
            for uuid in call.legs.iter().map(|leg| &leg.uuid).chain([&call.uuid]) {
                self.lengths.insert(uuid.clone(), length);
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<(), OutboxError> {
        let mut finding = |kind, what: String| {
            self.verified.findings += 1;
            let uuid = Some(call.uuid.clone());
            (self.tell)(Finding { kind, id: None, call: uuid, file: None, what });
        };
        for text in &call.recorded {
            let id = text.parse::<RecordingId>().ok();
            let is_there = id.map(|id| self.outbox.listed(id)).transpose()?.flatten().is_some();
            if !is_there {
                finding(Kind::Lost, format!("its recording {text} is in no outbox"));
            }
        }
        let Some(rule) = (self.scope.rule)(call).filter(|_| call.answered.is_some() && call.recorded.is_empty()) else {
            return Ok(());
        };
        if !is_recorded(self.outbox, call)? {
            let seconds = call.ended.duration_since(call.answered.unwrap_or(call.started)).as_secs();
            let (from, to, started) = (&call.from, &call.to, call.started);
            let what = format!("{from} to {to} at {started:.0}, {seconds} s: not recorded, though {rule} says so");
            finding(Kind::Unrecorded, what);
        }
        Ok(())
    }

    fn recordings(&mut self) -> Result<(), OutboxError> {
        let filter = Filter { since: self.scope.since, order: Order::Oldest, ..Filter::default() };
        let mut ids = Vec::new();
        self.outbox.each(&filter, &mut |listed| {
            ids.push((listed.id, listed.delivered < listed.wanted));
            ControlFlow::Continue(())
        })?;
        for (id, is_unsent) in ids {
            // Gone meanwhile is not missing.
            let Some(manifest) = self.outbox.get(id)?.filter(|manifest| manifest.state != State::Gone) else {
                continue;
            };
            self.verified.recordings += 1;
            self.owned.extend(manifest.files().flat_map(|(file, ..)| [file.to_owned(), key_name(file)]));
            self.owned.insert(manifest.file.clone());
            self.owned.insert(manifest_name(&manifest.file));
            self.manifest(&manifest)?;
            if manifest.state == State::Open {
                self.open(&manifest)?;
                continue;
            }
            self.files(&manifest)?;
            self.length(&manifest);
            if is_unsent {
                self.deliveries(&manifest)?;
            }
        }
        Ok(())
    }

    fn manifest(&mut self, manifest: &Manifest) -> Result<(), OutboxError> {
        let name = manifest_name(&manifest.file);
        let bytes = read(self.outbox.spool(), &name);
        let what = match bytes.map(|bytes| Manifest::parse(&bytes)) {
            Err(error) => format!("{name}: {error}"),
            Ok(Err(error)) => format!("{name}: {error}"),
            // An open one is written while we look.
            Ok(Ok(found)) if found == *manifest || manifest.state == State::Open => return Ok(()),
            Ok(Ok(_)) if self.outbox.get(manifest.id)?.as_ref() != Some(manifest) => return Ok(()),
            Ok(Ok(_)) => format!("{name}: it is not what the queue knows"),
        };
        self.found(Kind::Manifest, Some(manifest), what);
        Ok(())
    }

    fn open(&mut self, manifest: &Manifest) -> Result<(), OutboxError> {
        let writer: Option<String> = self.outbox.read("reading a writer", |tx| {
            let mut one = tx.prepare_cached("SELECT writer FROM recordings WHERE id = ?1 AND state = 'open'")?;
            Ok(one.query_row([manifest.id.to_string()], |row| row.get(0)).optional()?.flatten())
        })?;
        if let Some(writer) = writer
            && self.outbox.spool().is_dead(&writer)?
        {
            let what = "its writer is dead; the server repairs and finishes it when it starts".to_owned();
            self.found(Kind::Abandoned, Some(manifest), what);
        }
        Ok(())
    }

    fn files(&mut self, manifest: &Manifest) -> Result<(), OutboxError> {
        let files: Vec<_> =
            manifest.files().map(|(file, bytes, hash)| (file.to_owned(), bytes, hash.to_owned())).collect();
        let (mut frames, mut is_counted) = (0, true);
        for (name, bytes, sha256) in files {
            let mut file = match self.outbox.spool().open_plain(&name) {
                Ok(file) => file,
                Err(error) => {
                    let kind =
                        if error.kind() == std::io::ErrorKind::NotFound { Kind::Vanished } else { Kind::Damaged };
                    self.found(kind, Some(manifest), format!("{name}: {error}"));
                    is_counted = false;
                    continue;
                }
            };
            let failed = OutboxError::io("reading", &self.outbox.spool().path().join(&name));
            let size = file.metadata().map_err(&failed)?.len();
            if size != bytes {
                self.found(Kind::Changed, Some(manifest), format!("{name}: it has {size} bytes, and had {bytes}"));
            } else if self.scope.depth == Depth::Deep {
                let found = measure(&file).map_err(&failed)?;
                self.verified.bytes += found.bytes;
                if found.sha256 != sha256 {
                    let what = format!("{name}: its SHA-256 is {}, and was {sha256}", found.sha256);
                    self.found(Kind::Changed, Some(manifest), what);
                }
                std::io::Seek::rewind(&mut file).map_err(&failed)?;
            }
            if let Some(sealed) = &manifest.sealed {
                // Nobody here can look into it; that its wrapped key is there can be seen.
                is_counted = false;
                if !sealed.extra.contains_key("shredded")
                    && let Err(error) = seal::header(self.outbox.spool(), &name)
                {
                    self.found(Kind::Vanished, Some(manifest), error.to_string());
                }
                continue;
            }
            match header::look(&mut file).map_err(&failed)? {
                Head::Damaged(_) if bytes > 0 && has_no_head(&name) => is_counted = false,
                Head::Damaged(what) => {
                    self.found(Kind::Damaged, Some(manifest), format!("{name}: {what}"));
                    is_counted = false;
                }
                Head::Wav { frames: Some(here), .. } | Head::Opus { frames: here } | Head::G722 { frames: here } => {
                    frames += here;
                }
                Head::Wav { .. } | Head::Other => is_counted = false,
            }
        }
        if is_counted && manifest.audio.frames != frames {
            let (name, told) = (&manifest.file, manifest.audio.frames);
            let kind = if frames < told { Kind::Short } else { Kind::Long };
            self.found(kind, Some(manifest), format!("{name}: it has {frames} samples, and its manifest says {told}"));
        }
        Ok(())
    }

    /// Compares how long a recording is with the time that went by, and with its call.
    fn length(&mut self, manifest: &Manifest) {
        let sound = Duration::try_from_secs_f64(manifest.audio.duration_s).unwrap_or_default();
        // What its file had before is part of another call.
        let sound = sound.saturating_sub(manifest.before());
        let slack = SLACK + sound * SLACK_PERCENT / 100;
        if let Some(lasted) = manifest.lasted().filter(|_| manifest.state == State::Finished) {
            let paused = manifest.pauses.iter().map(|pause| pause.ms).sum();
            let lasted = lasted.saturating_sub(Duration::from_millis(paused));
            if sound + slack < lasted {
                let what =
                    format!("{:.1} s of sound of {:.1} s that it lasted", sound.as_secs_f64(), lasted.as_secs_f64());
                return self.found(Kind::Short, Some(manifest), what);
            }
        }
        let call = self.lengths.get(&manifest.call).or_else(|| self.lengths.get(&manifest.leg)).copied();
        if let Some(call) = call.filter(|call| sound > *call + slack) {
            let what = format!("{:.1} s of sound of a call of {:.1} s", sound.as_secs_f64(), call.as_secs_f64());
            self.found(Kind::Long, Some(manifest), what);
        }
    }

    fn deliveries(&mut self, manifest: &Manifest) -> Result<(), OutboxError> {
        for delivery in self.outbox.deliveries(manifest.id)? {
            let (kind, why) = match &delivery.state {
                DeliveryState::Delivered(_) => continue,
                DeliveryState::Parked(reason) => (Kind::Parked, reason.as_str()),
                DeliveryState::Pending | DeliveryState::Uploading => (Kind::Waiting, "waiting"),
            };
            let last = delivery.error.map(|error| format!(": {error}")).unwrap_or_default();
            let (remote, attempts) = (&delivery.remote, delivery.attempts);
            self.found(kind, Some(manifest), format!("no receipt of {remote}, {why} after {attempts} attempts{last}"));
        }
        Ok(())
    }

    fn orphans(&mut self) -> Result<(), OutboxError> {
        for name in self.outbox.spool().names()? {
            if self.owned.contains(&name) || self.is_just_begun(&name)? {
                continue;
            }
            self.verified.findings += 1;
            let what = "it belongs to no recording of the outbox".to_owned();
            (self.tell)(Finding { kind: Kind::Orphan, id: None, call: None, file: Some(name), what });
        }
        Ok(())
    }

    /// Whether a file belongs to a recording that began, or was renamed, while we looked.
    fn is_just_begun(&self, name: &str) -> Result<bool, OutboxError> {
        let file: Option<String> = self.outbox.read("looking for a name", |tx| {
            let mut one = tx.prepare_cached("SELECT file FROM recordings WHERE stem = ?1")?;
            Ok(one.query_row([stem(name)], |row| row.get(0)).optional()?.flatten())
        })?;
        Ok(file.is_some_and(|file| [file.clone(), manifest_name(&file), key_name(&file)].iter().any(|own| own == name)))
    }
}

/// Whether a call has a recording, by its own UUID or one of its legs'.
fn is_recorded(outbox: &Outbox, call: &Call) -> Result<bool, OutboxError> {
    outbox.read("looking for a call", |tx| {
        let mut one = tx.prepare_cached("SELECT 1 WHERE EXISTS (SELECT 1 FROM recordings WHERE call = ?1) OR EXISTS (SELECT 1 FROM recordings WHERE leg = ?1)")?;
        for uuid in call.legs.iter().map(|leg| &leg.uuid).chain([&call.uuid]) {
            if one.exists([uuid])? {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Whether a file is of a form without a header, as recordings of other exchanges may be.
fn has_no_head(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ending == "mp3" || raw::endings().any(|known| known == ending)
}

fn read(spool: &Spool, name: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut spool.open_plain(name)?, &mut bytes)?;
    Ok(bytes)
}
