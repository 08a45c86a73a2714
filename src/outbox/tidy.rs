//! What is done to recordings that are whole: purged after delivery, forgotten, renamed.
//! Above: `rec purge`, `rec forget`, `rec rename`. Below: `store` and `spool`.
//!
//! The order of things, so that a kill between any two leaves nothing half done that the next call does not finish:
//!
//! | | steps | killed in between |
//! |---|---|---|
//! | purge | row `gone`, files and manifest, row without its name | the next purge or forget ends it; nobody else gets the name before |
//! | rename | row with its new name and what is to be moved, new manifest, audio, old manifest, row | [`Outbox::mend`] ends it |

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};

use super::error::OutboxError;
use super::list::id;
use super::manifest::{Manifest, RecordingId, State, manifest_name, stem};
use super::name::free_name;
use super::queue::{describe, is_taken, number_of};
use super::seal::key_name;
use super::store::{Durable, Fault, Outbox, now_ms};

/// Whether what no remote has confirmed is removed too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undelivered {
    /// Only what every remote that wanted it has a receipt for, and one at least did want.
    #[default]
    Kept,
    /// Everything that is old enough.
    Removed,
}

/// Whether something is done, or only told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doing {
    /// Done.
    #[default]
    Really,
    /// Told.
    DryRun,
}

/// What a purge removes.
#[derive(Clone, Copy, Debug)]
pub struct Purge {
    /// Recordings that ended so long ago, or earlier.
    pub keep: Duration,
    /// What is done with those that are not delivered.
    pub undelivered: Undelivered,
    /// Whether it is done.
    pub doing: Doing,
}

/// A recording that a purge removed, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Which recording.
    pub id: RecordingId,
    /// Its (first) file.
    pub file: String,
    /// Bytes of all its files.
    pub bytes: u64,
}

/// In the manifest of a recording that is gone: when it was removed.
const GONE: &str = "gone";

impl Outbox {
    /// Removes the audio of old recordings that are delivered; what is known of them, their hashes and receipts stay.
    ///
    /// # Errors
    /// A file cannot be removed; those before it are.
    pub fn purge(&self, purge: &Purge) -> Result<Vec<Purged>, OutboxError> {
        let keep = i64::try_from(purge.keep.as_millis()).unwrap_or(i64::MAX);
        let before = now_ms().saturating_sub(keep);
        let all = purge.undelivered == Undelivered::Removed;
        let found: Vec<RecordingId> = self.read("looking for old recordings", |tx| {
            let mut statement = tx.prepare_cached(
                "SELECT id FROM recordings WHERE state IN ('finished', 'interrupted')
                 AND coalesce(ended_ms, started_ms + duration_ms) <= ?1 AND (?2 OR (delivered = wanted AND wanted > 0))
                 ORDER BY started_ms, number",
            )?;
            let mut rows = statement.query((before, all))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(id(row, 0)?);
            }
            Ok(found)
        })?;
        if purge.doing == Doing::Really {
            self.mend()?;
        }
        let mut purged = Vec::with_capacity(found.len());
        for id in found {
            let Some(manifest) = self.get(id)? else { continue };
            let bytes = manifest.files().map(|(_, bytes, _)| bytes).sum();
            purged.push(Purged { id, file: manifest.file.clone(), bytes });
            if purge.doing == Doing::Really {
                self.remove_audio(manifest, purge.undelivered)?;
            }
        }
        Ok(purged)
    }

    /// Removes a recording's audio and manifest, and keeps the row: who called whom, the hash, the receipts.
    ///
    /// # Errors
    /// A remote has no receipt for it and they are to be [`Undelivered::Kept`], it is still open, or a file cannot be removed.
    pub fn forget(&self, id: RecordingId, undelivered: Undelivered) -> Result<(), OutboxError> {
        let manifest = self.get(id)?.ok_or(OutboxError::Unknown { id })?;
        match manifest.state {
            State::Open => Err(OutboxError::State { id, state: State::Open.word(), wanted: "forgotten" }),
            State::Gone => self.end_removal(id),
            _ => self.remove_audio(manifest, undelivered),
        }
    }

    /// Gives a recording another name, without extension: its files, its manifest, its row. Where another one has it, it becomes `-2`,
    /// `-3`, … as when it was begun. Returns the manifest as it is then; who is named so already stays as it is.
    ///
    /// # Errors
    /// It is open or gone, or the disk fails: then [`Outbox::mend`] ends what was begun.
    pub fn rename(&self, id: RecordingId, wished: &str) -> Result<Manifest, OutboxError> {
        self.end_move(id)?;
        let before = self.get(id)?.ok_or(OutboxError::Unknown { id })?;
        if !matches!(before.state, State::Finished | State::Interrupted) {
            return Err(OutboxError::State { id, state: before.state.word(), wanted: "renamed" });
        }
        let own = stem(&before.file);
        let wished = format!("{wished}{}", before.file.get(own.len()..).unwrap_or_default());
        let wished = self.spool().free_folders(&wished)?;
        let mut renamed = before.clone();
        self.write("renaming a recording", Durable::Yes, |tx| {
            let taken = |stem: &str| Ok(stem != own && is_taken(tx, stem)?);
            renamed.file = free_name::<Fault>(self.spool(), &wished, Some(own), taken)?;
            if renamed.file == before.file {
                return Ok(());
            }
            rename_parts(&mut renamed, &before.file);
            let mut moves: Vec<(String, String)> =
                before.files().zip(renamed.files()).map(|(old, new)| (old.0.to_owned(), new.0.to_owned())).collect();
            if before.sealed.is_some() {
                // behind the files: the first of all is the manifest's
                let keys: Vec<_> = moves.iter().map(|(old, new)| (key_name(old), key_name(new))).collect();
                moves.extend(keys);
            }
            for (_, to) in &moves {
                if self.spool().exists(to)? {
                    return Err(OutboxError::Name { name: to.clone(), what: "a file has this name" }.into());
                }
            }
            describe(tx, &renamed)?;
            let moves = serde_json::to_string(&moves).unwrap_or_default();
            tx.prepare_cached("UPDATE recordings SET moves = ?2 WHERE id = ?1")?.execute((id.to_string(), moves))?;
            Ok(())
        })?;
        self.end_move(id)?;
        Ok(renamed)
    }

    /// Ends the renames and removals that a process began and did not live to end; how many. Done by every program that is about to
    /// work on the outbox.
    ///
    /// # Errors
    /// The disk fails.
    pub fn mend(&self) -> Result<usize, OutboxError> {
        let [moving, going] = self.read("looking for what was begun", |tx| {
            let ids = |sql| -> Result<Vec<RecordingId>, Fault> {
                let mut statement = tx.prepare_cached(sql)?;
                let (mut rows, mut found) = (statement.query(())?, Vec::new());
                while let Some(row) = rows.next()? {
                    found.push(id(row, 0)?);
                }
                Ok(found)
            };
            Ok([
                ids("SELECT id FROM recordings WHERE moves IS NOT NULL")?,
                ids("SELECT id FROM recordings WHERE state = 'gone' AND file IS NOT NULL")?,
            ])
        })?;
        for id in &moving {
            self.end_move(*id)?;
        }
        for id in &going {
            self.end_removal(*id)?;
        }
        Ok(moving.len() + going.len())
    }

    /// Moves the files of a recording whose row has its new name already.
    fn end_move(&self, id: RecordingId) -> Result<(), OutboxError> {
        let text: Option<String> = self.read("reading a rename", |tx| {
            let mut one = tx.prepare_cached("SELECT moves FROM recordings WHERE id = ?1")?;
            Ok(one.query_row([id.to_string()], |row| row.get(0)).optional()?.flatten())
        })?;
        let Some(text) = text else { return Ok(()) };
        let moves: Vec<(String, String)> = serde_json::from_str(&text).unwrap_or_default();
        self.write_manifest(&self.get(id)?.ok_or(OutboxError::Unknown { id })?)?;
        for (from, to) in &moves {
            // Moved already by whoever began it, or vanished, which is not for a rename to tell.
            if self.spool().exists(from)? {
                self.spool().rename(from, to)?;
            }
        }
        if let Some((from, _)) = moves.first() {
            self.spool().remove(&manifest_name(from))?;
        }
        self.write("ending a rename", Durable::Yes, |tx| {
            tx.prepare_cached("UPDATE recordings SET moves = NULL WHERE id = ?1")?.execute([id.to_string()])?;
            Ok(())
        })
    }

    /// Removes the files of a recording whose row says that it is gone, and lets go of its name.
    fn end_removal(&self, id: RecordingId) -> Result<(), OutboxError> {
        if self.listed(id)?.is_none_or(|listed| listed.file.is_none()) {
            // The name may be another recording's by now.
            return Ok(());
        }
        let manifest = self.get(id)?.ok_or(OutboxError::Unknown { id })?;
        for (file, ..) in manifest.files() {
            self.spool().remove(file)?;
            if manifest.sealed.is_some() {
                self.spool().remove(&key_name(file))?;
            }
        }
        self.spool().remove(&manifest_name(&manifest.file))?;
        self.write("removing a recording", Durable::Yes, |tx| describe(tx, &manifest))
    }

    /// A recording that has begun and must not be, as a party did not agree: its row is kept with what `manifest` tells, as of one whose
    /// audio was removed; no sound and no name of it are.
    ///
    /// # Errors
    /// It is not open, or the disk fails.
    pub fn refuse(&self, manifest: Manifest) -> Result<(), OutboxError> {
        self.is_open(manifest.id, "refused")?;
        self.remove_audio(manifest, Undelivered::Removed)
    }

    fn remove_audio(&self, mut manifest: Manifest, undelivered: Undelivered) -> Result<(), OutboxError> {
        let id = manifest.id;
        self.end_move(id)?;
        manifest.state = State::Gone;
        manifest.extra.insert(GONE.into(), serde_json::json!(Timestamp::now()));
        self.write("removing a recording", Durable::Yes, |tx| {
            // Asked again within the transaction: a remote may have begun to want it.
            if undelivered == Undelivered::Kept {
                check_delivered(tx, id)?;
            }
            let number = number_of(tx, id)?;
            tx.execute("UPDATE recordings SET state = 'gone' WHERE number = ?1", [number])?;
            tx.execute(
                "UPDATE manifests SET json = ?2 WHERE number = ?1",
                (number, String::from_utf8_lossy(&manifest.print())),
            )?;
            tx.execute("DELETE FROM deliveries WHERE number = ?1 AND state != 'delivered'", [number])?;
            Ok(())
        })?;
        self.end_removal(id)
    }
}

fn check_delivered(tx: &Transaction<'_>, id: RecordingId) -> Result<(), Fault> {
    let number = number_of(tx, id)?;
    let mut all = tx.prepare_cached("SELECT remote, state = 'delivered' FROM deliveries WHERE number = ?1")?;
    let found: Vec<(String, bool)> =
        all.query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let missing = match found.iter().find(|(_, delivered)| !delivered) {
        Some((remote, _)) => remote.clone(),
        None if found.is_empty() => "any remote".to_owned(),
        None => return Ok(()),
    };
    Err(OutboxError::Undelivered { id, remote: missing }.into())
}

/// The further files of a recording are named after the first.
pub(super) fn rename_parts(manifest: &mut Manifest, before: &str) {
    let (old, new) = (stem(before).to_owned(), stem(&manifest.file).to_owned());
    let first = manifest.file.clone();
    for (at, part) in manifest.parts.iter_mut().enumerate() {
        part.file = match part.file.strip_prefix(&old) {
            _ if at == 0 => first.clone(),
            Some(rest) => format!("{new}{rest}"),
            None => format!("{new}.part{}.{}", at + 1, part.file.rsplit('.').next().unwrap_or("wav")),
        };
    }
}
