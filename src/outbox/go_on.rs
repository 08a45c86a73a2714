//! Going on with a finished recording, under its name and with an id of its own: what was finished before is part of what comes.
//! Above: whoever records. Below: `store` with the tables.

use rusqlite::OptionalExtension;

use super::error::OutboxError;
use super::manifest::{Manifest, State, stem};
use super::queue::describe;
use super::store::{Durable, Outbox};

impl Outbox {
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
            let found: Option<(i64, String, String)> = tx
                .prepare_cached(
                    "SELECT number, id, json FROM recordings JOIN manifests USING (number) WHERE stem = ?1 AND sealed = 0 AND state IN ('finished', 'interrupted')",
                )?
                .query_row([stem(&manifest.file)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((number, before, json)) = found else { return Ok(false) };
            // What is added to the first of several files would come before the second.
            if !self.parse(&json)?.parts.is_empty() {
                return Ok(false);
            }
            tx.prepare_cached("DELETE FROM deliveries WHERE number = ?1")?.execute([number])?;
            tx.prepare_cached("UPDATE recordings SET id = ?2, writer = ?3, finished_ms = NULL WHERE number = ?1")?
                .execute((number, manifest.id.to_string(), &writer))?;
            manifest.extra.insert("continues".into(), before.into());
            describe(tx, &manifest)?;
            Ok(true)
        })?;
        if !is_there {
            return Ok(None);
        }
        self.write_manifest(&manifest)?;
        Ok(Some(manifest))
    }
}
