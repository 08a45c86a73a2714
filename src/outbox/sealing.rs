//! Sealing within the outbox: rows, manifests and files change so that a kill between any two leaves the recording readable by
//! somebody. Above: whoever finishes recordings, `rec seal|shred`. Below: `seal` makes the files.
//!
//! | | steps | killed in between |
//! |---|---|---|
//! | seal | sealed files on the disk, row and manifest name them, clear files removed | the clear ones are still named, or both are there: [`Outbox::drop_clear_files`] ends it |

use jiff::Timestamp;

use super::error::OutboxError;
use super::manifest::{Manifest, RecordingId, State};
use super::queue::{describe, number_of};
use super::seal::{self, Recipients, SealError};
use super::store::{Durable, Outbox};

impl Outbox {
    /// Finishes a recording as [`Outbox::finish`] does, sealed where there is anybody to seal to.
    ///
    /// # Errors
    /// As [`Outbox::finish`]; one that cannot be sealed stays open and is recovered later, rather than going out in the clear.
    pub fn finish_sealed(&self, manifest: Manifest, recipients: &Recipients) -> Result<Manifest, SealError> {
        if recipients.is_empty() || manifest.sealed.is_some() {
            return Ok(self.finish(manifest)?);
        }
        let sealed = seal::seal(self.spool(), &manifest, recipients)?;
        let finished = self.finish(sealed)?;
        seal::drop_clear(self.spool(), &finished)?;
        Ok(finished)
    }

    /// Seals a recording that is finished; its clear files are gone when this returns.
    ///
    /// # Errors
    /// It is open, gone or sealed already, there is nobody to seal to, or the disk fails: then it is as it was.
    pub fn seal(&self, id: RecordingId, recipients: &Recipients) -> Result<Manifest, SealError> {
        let before = self.get(id)?.ok_or(OutboxError::Unknown { id })?;
        if before.sealed.is_some() {
            // Whoever sealed it may not have lived, or had the disk, to end it.
            self.write_manifest(&before)?;
            seal::drop_clear(self.spool(), &before)?;
        }
        match before.state {
            State::Finished | State::Interrupted => {}
            State::Open => return Err(SealError::Open(id.to_string())),
            state => return Err(OutboxError::State { id, state: state.word(), wanted: "sealed" }.into()),
        }
        let sealed = seal::seal(self.spool(), &before, recipients)?;
        self.write("sealing a recording", Durable::Yes, |tx| {
            // An upload that goes on would bring it in the clear.
            let mut uploads =
                tx.prepare_cached("SELECT 1 FROM deliveries WHERE number = ?1 AND state = 'uploading'")?;
            if uploads.exists([number_of(tx, id)?])? {
                return Err(OutboxError::State { id, state: "being uploaded", wanted: "sealed" }.into());
            }
            describe(tx, &sealed)?;
            // What was half-way goes on with other bytes: from their beginning.
            tx.prepare_cached(
                "UPDATE deliveries SET position = 0, token = NULL WHERE number = ?1 AND state != 'delivered'",
            )?
            .execute([number_of(tx, id)?])?;
            Ok(())
        })?;
        self.write_manifest(&sealed)?;
        seal::drop_clear(self.spool(), &sealed)?;
        Ok(sealed)
    }

    /// Forgets the keys of a sealed recording, and says so in its manifest.
    ///
    /// # Errors
    /// It is not sealed, or the disk fails: it can be done again.
    pub fn shred(&self, id: RecordingId) -> Result<Manifest, SealError> {
        self.mend()?;
        let mut manifest = self.get(id)?.ok_or(OutboxError::Unknown { id })?;
        if manifest.state == State::Gone {
            // Its files went with it; the name may be another recording's by now.
            return Err(OutboxError::State { id, state: manifest.state.word(), wanted: "shredded" }.into());
        }
        seal::shred(self.spool(), &manifest)?;
        if let Some(sealed) = &mut manifest.sealed {
            sealed.extra.entry("shredded".to_owned()).or_insert_with(|| serde_json::json!(Timestamp::now()));
        }
        self.write("shredding a recording", Durable::Yes, |tx| describe(tx, &manifest))?;
        self.write_manifest(&manifest)?;
        Ok(manifest)
    }

    /// Removes the clear files that a process left behind which did not live to end its sealing; how many recordings had them. Done
    /// when a server starts.
    ///
    /// # Errors
    /// The spool cannot be read, or one is still there.
    pub fn drop_clear_files(&self) -> Result<usize, SealError> {
        let names = self.spool().names()?;
        let mut dropped = 0;
        for file in names.iter().filter(|name| name.ends_with(".age")) {
            let stem = super::manifest::stem(file);
            // the list is sorted, and both stand in it
            let is_there = |ending| names.binary_search(&format!("{stem}.{ending}")).is_ok();
            if !["wav", "opus", "mka", "ogg", "flac", "mp3", "gsm"].into_iter().any(is_there) {
                continue;
            }
            for id in self.find(file)? {
                let is_sealed = |manifest: &Manifest| manifest.sealed.is_some() && manifest.state != State::Open;
                if let Some(manifest) = self.get(id)?.filter(is_sealed) {
                    self.write_manifest(&manifest)?;
                    seal::drop_clear(self.spool(), &manifest)?;
                    dropped += 1;
                }
            }
        }
        Ok(dropped)
    }
}
