//! The life of a recording in the outbox: begun, finished, recovered after a crash.
//! Above: whoever records. Below: `store` with the tables, `spool` with the files.
//!
//! The order of things, so that a kill between any two loses nothing:
//!
//! | | steps | killed in between |
//! |---|---|---|
//! | begin | row, manifest, (first sample) | an open row whose writer is dead: [`Outbox::recover`] gives it out, with or without its files |
//! | finish | audio synced and hashed, manifest, row and its deliveries in one transaction | still open: recovered and finished again |

use std::collections::BTreeSet;

use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, Transaction, params};

use super::error::OutboxError;
use super::manifest::{Manifest, Part, RecordingId, State, manifest_name, stem};
use super::name::free_name;
use super::store::{Durable, Fault, Outbox, now_ms};

impl Outbox {
    /// A recording begins: takes a free name for it (`-2`, `-3`, … where the one wished for is taken), and puts it into the queue and
    /// beside the audio that is to come, before the first sample. Returns the manifest with the name to record to.
    ///
    /// # Errors
    /// Nothing is in the queue.
    pub fn begin(&self, manifest: &Manifest) -> Result<Manifest, OutboxError> {
        let mut manifest = Manifest { state: State::Open, ..manifest.clone() };
        let writer = self.writer()?;
        manifest.file = self.spool().free_folders(&manifest.file)?;
        self.write("adding a recording", Durable::Yes, |tx| {
            // Within the transaction nobody else takes a name.
            manifest.file = free_name::<Fault>(self.spool(), &manifest.file, None, |stem| Ok(is_taken(tx, stem)?))?;
            insert(tx, manifest.id, Some(&writer))?;
            describe(tx, &manifest)
        })?;
        if let Err(error) = self.write_manifest(&manifest) {
            // Nothing has been recorded yet: as if it had never begun.
            self.write("taking back a recording", Durable::Soon, |tx| erase(tx, manifest.id))?;
            return Err(error);
        }
        Ok(manifest)
    }

    /// What is known of an open recording has changed: it was answered, transferred, paused.
    ///
    /// # Errors
    /// It is not open, or the disk fails; what was known before still is.
    pub fn update(&self, manifest: &Manifest) -> Result<(), OutboxError> {
        self.is_open(manifest.id, "changed by its writer")?;
        self.write_manifest(manifest)?;
        self.write("changing a recording", Durable::Soon, |tx| describe(tx, manifest))
    }

    /// A recording that turned out not to be one (nobody answered, no sample was written): its row, manifest and file are removed.
    ///
    /// # Errors
    /// It is not open, or the disk fails.
    pub fn abandon(&self, id: RecordingId) -> Result<(), OutboxError> {
        let manifest = self.is_open(id, "abandoned")?;
        for (file, ..) in manifest.files() {
            self.spool().remove(file)?;
        }
        self.spool().remove(&manifest_name(&manifest.file))?;
        self.write("abandoning a recording", Durable::Yes, |tx| erase(tx, id))
    }

    /// A recording is whole, and from here on to be delivered to every remote in force: its files are brought to the disk and hashed,
    /// its manifest is written, and both are in the queue when this returns. [`State::Interrupted`] is kept, everything else becomes
    /// [`State::Finished`]. Returns the manifest with hashes and sizes. Finishing again what is finished changes nothing.
    ///
    /// # Errors
    /// It is still open: finish it again, or leave it to [`Outbox::recover`].
    pub fn finish(&self, manifest: Manifest) -> Result<Manifest, OutboxError> {
        let mut manifest = manifest;
        if self.get(manifest.id)?.ok_or(OutboxError::Unknown { id: manifest.id })?.state != State::Open {
            return self.get(manifest.id)?.ok_or(OutboxError::Unknown { id: manifest.id });
        }
        if manifest.state != State::Interrupted {
            manifest.state = State::Finished;
        }
        self.settle(&mut manifest)?;
        self.write_manifest(&manifest)?;
        self.write("finishing a recording", Durable::Yes, |tx| {
            describe(tx, &manifest)?;
            let now = now_ms();
            let number = number_of(tx, manifest.id)?;
            tx.prepare_cached("UPDATE recordings SET finished_ms = ?2, writer = NULL WHERE number = ?1")?
                .execute((number, now))?;
            enqueue(tx, number, &manifest, None)?;
            Ok(())
        })?;
        Ok(manifest)
    }

    /// A finished recording that did not come from us, or that [`Outbox::begin`] never saw: its file lies in the spool already.
    ///
    /// # Errors
    /// Its file is missing, or its name is another recording's.
    pub fn adopt(&self, manifest: Manifest) -> Result<Manifest, OutboxError> {
        let mut manifest = manifest;
        if matches!(manifest.state, State::Open | State::Gone) {
            manifest.state = State::Finished;
        }
        let name = manifest.file.clone();
        let check = |tx: &Transaction<'_>| match is_taken(tx, stem(&name))? {
            true => Err(OutboxError::Name { name: name.clone(), what: "another recording has this name" }.into()),
            false => Ok(()),
        };
        self.read("looking for a name", check)?;
        self.settle(&mut manifest)?;
        self.write_manifest(&manifest)?;
        self.write("adopting a recording", Durable::Yes, |tx| {
            check(tx)?;
            insert(tx, manifest.id, None)?;
            describe(tx, &manifest)?;
            let number = number_of(tx, manifest.id)?;
            tx.prepare_cached("UPDATE recordings SET finished_ms = ?2 WHERE number = ?1")?
                .execute((number, now_ms()))?;
            enqueue(tx, number, &manifest, None)?;
            Ok(())
        })?;
        Ok(manifest)
    }

    /// Takes over the recordings whose writers are dead, for the caller to repair and [`Outbox::finish`]; two who ask at once share
    /// them out. Their files may be missing altogether: then there is nothing to repair, and [`Outbox::abandon`] ends them.
    ///
    /// # Errors
    /// The queue or a lock cannot be read.
    pub fn recover(&self) -> Result<Vec<Manifest>, OutboxError> {
        let writers: Vec<String> = self.read("looking for open recordings", |tx| {
            let mut found = tx
                .prepare_cached("SELECT DISTINCT writer FROM recordings WHERE state = 'open' AND writer IS NOT NULL")?;
            Ok(found.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?)
        })?;
        let mut dead = BTreeSet::new();
        for writer in writers {
            if self.spool().is_dead(&writer)? {
                dead.insert(writer);
            }
        }
        if dead.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.writer()?;
        let mut taken = Vec::new();
        for writer in dead {
            let texts: Vec<String> = self.write("taking over recordings", Durable::Soon, |tx| {
                let mut open = tx.prepare_cached("SELECT json FROM recordings JOIN manifests USING (number) WHERE state = 'open' AND writer = ?1 ORDER BY number")?;
                let texts = open.query_map([&writer], |row| row.get(0))?.collect::<Result<_, _>>()?;
                tx.prepare_cached("UPDATE recordings SET writer = ?2 WHERE state = 'open' AND writer = ?1")?.execute((&writer, &own))?;
                Ok(texts)
            })?;
            self.spool().remove_writer(&writer)?;
            for text in texts {
                taken.push(self.parse(&text)?);
            }
        }
        Ok(taken)
    }

    /// What is known of a recording; `None`: there is none with this id.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn get(&self, id: RecordingId) -> Result<Option<Manifest>, OutboxError> {
        let text: Option<String> = self.read("reading a recording", |tx| {
            let mut one =
                tx.prepare_cached("SELECT json FROM recordings JOIN manifests USING (number) WHERE id = ?1")?;
            Ok(one.query_row([id.to_string()], |row| row.get(0)).optional()?)
        })?;
        text.map(|text| self.parse(&text)).transpose()
    }

    /// Brings all files of a recording to the disk, and fills in their hashes and sizes.
    fn settle(&self, manifest: &mut Manifest) -> Result<(), OutboxError> {
        for part in &mut manifest.parts {
            let measure = self.spool().settle(&part.file)?;
            (part.bytes, part.sha256) = (measure.bytes, measure.sha256);
        }
        let (bytes, sha256) = match manifest.parts.first() {
            Some(Part { bytes, sha256, .. }) => (*bytes, sha256.clone()),
            None => {
                let measure = self.spool().settle(&manifest.file)?;
                (measure.bytes, measure.sha256)
            }
        };
        (manifest.audio.bytes, manifest.audio.sha256) = (bytes, sha256);
        if !manifest.audio.duration_s.is_finite() {
            manifest.audio.duration_s = 0.0;
        }
        Ok(())
    }

    /// Writes the manifest beside its audio, with what others have added to the one that is there.
    pub(super) fn write_manifest(&self, manifest: &Manifest) -> Result<(), OutboxError> {
        self.spool().write_whole(&manifest_name(&manifest.file), &manifest.print())
    }

    pub(super) fn parse(&self, text: &str) -> Result<Manifest, OutboxError> {
        Manifest::parse(text.as_bytes()).map_err(|source| OutboxError::Manifest {
            path: self.spool().path().join(super::spool::QUEUE_FILE),
            source,
        })
    }

    pub(super) fn is_open(&self, id: RecordingId, wanted: &'static str) -> Result<Manifest, OutboxError> {
        let manifest = self.get(id)?.ok_or(OutboxError::Unknown { id })?;
        match manifest.state {
            State::Open => Ok(manifest),
            state => Err(OutboxError::State { id, state: state.word(), wanted }),
        }
    }
}

/// The row's number of a recording.
pub(super) fn number_of(tx: &Transaction<'_>, id: RecordingId) -> Result<i64, Fault> {
    let mut one = tx.prepare_cached("SELECT number FROM recordings WHERE id = ?1")?;
    let number = one.query_row([id.to_string()], |row| row.get(0)).optional()?;
    number.ok_or_else(|| OutboxError::Unknown { id }.into())
}

/// Whether a recording has this name, its extension left out.
pub(super) fn is_taken(tx: &Transaction<'_>, stem: &str) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM recordings WHERE stem = ?1")?.exists([stem])
}

/// A new row, to be brought in line with its manifest.
pub(super) fn insert(tx: &Transaction<'_>, id: RecordingId, writer: Option<&str>) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO recordings (id, writer, state, started_ms, call, leg, uniqueid, from_number, from_name, to_number, direction)
         VALUES (?1, ?2, 'open', 0, '', '', '', '', '', '', '')",
    )?
    .execute((id.to_string(), writer))?;
    Ok(())
}

/// Brings a row in line with its manifest.
pub(super) fn describe(tx: &Transaction<'_>, manifest: &Manifest) -> Result<(), Fault> {
    let number = number_of(tx, manifest.id)?;
    let bytes: u64 = manifest.files().map(|(_, bytes, _)| bytes).sum();
    let duration = std::time::Duration::try_from_secs_f64(manifest.audio.duration_s).unwrap_or_default();
    let named = manifest.state != State::Gone;
    let json = manifest.print();
    let values: [&dyn ToSql; 21] = [
        &number,
        &named.then_some(manifest.file.as_str()),
        &named.then_some(stem(&manifest.file)),
        &manifest.state.word(),
        &manifest.started.as_millisecond(),
        &manifest.ended.map(|ended| ended.as_millisecond()),
        &i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
        &manifest.call,
        &manifest.leg,
        &manifest.uniqueid,
        &manifest.from,
        &manifest.from_name,
        &manifest.to,
        &manifest.direction.word(),
        &manifest.agent,
        &manifest.trunk,
        &manifest.room,
        &i64::try_from(bytes).unwrap_or(i64::MAX),
        &manifest.audio.sha256,
        &manifest.sealed.is_some(),
        &String::from_utf8_lossy(&json),
    ];
    tx.prepare_cached(
        "UPDATE recordings SET file = ?2, stem = ?3, state = ?4, started_ms = ?5, ended_ms = ?6, duration_ms = ?7, call = ?8,
         leg = ?9, uniqueid = ?10, from_number = ?11, from_name = ?12, to_number = ?13, direction = ?14, agent = ?15, trunk = ?16,
         room = ?17, bytes = ?18, sha256 = ?19, sealed = ?20 WHERE number = ?1",
    )?
    .execute(values.get(..20).unwrap_or_default())?;
    tx.prepare_cached("INSERT OR REPLACE INTO manifests (number, json) VALUES (?1, ?2)")?
        .execute((values[0], values[20]))?;
    concern(tx, number, manifest)
}

/// Notes whose recording it is.
fn concern(tx: &Transaction<'_>, number: i64, manifest: &Manifest) -> Result<(), Fault> {
    tx.prepare_cached("DELETE FROM concerns WHERE number = ?1")?.execute([number])?;
    let users = manifest.users().map(|user| ("user", user));
    for (kind, name) in users.chain(manifest.trunk.as_deref().map(|trunk| ("trunk", trunk))) {
        tx.prepare_cached("INSERT OR IGNORE INTO concerns (kind, name, number) VALUES (?1, ?2, ?3)")?
            .execute((kind, name, number))?;
    }
    Ok(())
}

/// Wanted from now on by a remote, or by all in force; what it has had or waits for already stays as it is.
pub(super) fn enqueue(
    tx: &Transaction<'_>,
    number: i64,
    manifest: &Manifest,
    remote: Option<&str>,
) -> Result<(), Fault> {
    if remote.is_none() && manifest.is_for_nobody() {
        return Ok(());
    }
    let parts = i64::try_from(manifest.parts.len().max(1)).unwrap_or(i64::MAX);
    for part in 1..=parts {
        tx.prepare_cached(
            "INSERT OR IGNORE INTO deliveries (number, part, remote, state)
             SELECT ?1, ?2, name, 'pending' FROM remotes WHERE CASE WHEN ?3 IS NULL THEN in_force ELSE name = ?3 END",
        )?
        .execute(params![number, part, remote])?;
    }
    Ok(())
}

/// Removes a row and all that hangs on it.
pub(super) fn erase(tx: &Transaction<'_>, id: RecordingId) -> Result<(), Fault> {
    let number = number_of(tx, id)?;
    for table in ["deliveries", "manifests", "concerns", "recordings"] {
        tx.execute(&format!("DELETE FROM {table} WHERE number = ?1"), [number])?;
    }
    Ok(())
}
