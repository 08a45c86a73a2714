//! Going on with a finished recording, under its name and with an id of its own: what was finished before is part of what comes.
//! Above: whoever records. Below: `store` with the tables.

use rusqlite::{OptionalExtension, Transaction};

use super::error::OutboxError;
use super::manifest::{Manifest, State, stem};
use super::queue::describe;
use super::store::{Durable, Fault, Outbox};

impl Outbox {
    /// Whether [`Outbox::go_on`] would go on with the file of this name now.
    ///
    /// # Errors
    /// The queue or the spool cannot be read.
    pub fn can_go_on(&self, file: &str) -> Result<bool, OutboxError> {
        let is_known =
            self.read("looking for a recording to go on with", |tx| Ok(self.continued(tx, file)?.is_some()))?;
        Ok(is_known && self.spool().exists(file)?)
    }

    /// The file of this name is being continued: its recording is open again, with the id and the facts of `manifest`, and is to be
    /// delivered anew once it is finished, whatever had arrived of it before. Returns the manifest, which names the id it had as
    /// `continues`. `None`: no finished recording has this
    /// name, or it is in several files.
    ///
    /// # Errors
    /// The disk fails: it stays as it was.
    pub fn go_on(&self, manifest: &Manifest) -> Result<Option<Manifest>, OutboxError> {
        let mut manifest = Manifest { state: State::Open, ..manifest.clone() };
        let writer = self.writer()?;
        let is_there = self.write("going on with a recording", Durable::Yes, |tx| {
            let Some((number, before)) = self.continued(tx, &manifest.file)? else { return Ok(false) };
            tx.prepare_cached("DELETE FROM deliveries WHERE number = ?1")?.execute([number])?;
            tx.prepare_cached("UPDATE recordings SET id = ?2, writer = ?3, finished_ms = NULL WHERE number = ?1")?
                .execute((number, manifest.id.to_string(), &writer))?;
            manifest.goes_on_after(&before);
            describe(tx, &manifest)?;
            Ok(true)
        })?;
        if !is_there {
            return Ok(None);
        }
        self.write_manifest(&manifest)?;
        Ok(Some(manifest))
    }

    /// The row and the manifest of a recording that can be continued; what is added to the first of several files would come before
    /// the second.
    fn continued(&self, tx: &Transaction<'_>, file: &str) -> Result<Option<(i64, Manifest)>, Fault> {
        let found: Option<(i64, String)> = tx
            .prepare_cached(
                "SELECT number, json FROM recordings JOIN manifests USING (number)
                 WHERE stem = ?1 AND sealed = 0 AND state IN ('finished', 'interrupted')",
            )?
            .query_row([stem(file)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((number, json)) = found else { return Ok(None) };
        let before = self.parse(&json)?;
        Ok((before.parts.is_empty() && before.file == file).then_some((number, before)))
    }
}
