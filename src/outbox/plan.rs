//! What renames would come to, one after the other, without doing any. Above: `rec rename --dry-run`. Below: `tidy`, which does them.

use std::collections::BTreeSet;

use super::error::OutboxError;
use super::manifest::{RecordingId, State, stem};
use super::name::{first_free, is_free};
use super::queue::is_taken;
use super::store::{Fault, Outbox};
use super::tidy::rename_parts;

/// Renames that were asked about: each one's name is taken for those after it, and its old one is free.
#[derive(Debug)]
pub struct Plan<'a> {
    outbox: &'a Outbox,
    taken: BTreeSet<String>,
    freed: BTreeSet<String>,
}

impl Outbox {
    /// A plan without renames.
    #[must_use]
    pub fn plan(&self) -> Plan<'_> {
        Plan { outbox: self, taken: BTreeSet::new(), freed: BTreeSet::new() }
    }
}

impl Plan<'_> {
    /// The file that [`Outbox::rename`] would give a recording when all before it in this plan are done.
    ///
    /// # Errors
    /// Those that it would have.
    pub fn rename(&mut self, id: RecordingId, wished: &str) -> Result<String, OutboxError> {
        let before = self.outbox.get(id)?.ok_or(OutboxError::Unknown { id })?;
        if !matches!(before.state, State::Finished | State::Interrupted) {
            return Err(OutboxError::State { id, state: before.state.word(), wanted: "renamed" });
        }
        let own = stem(&before.file);
        let wished = format!("{wished}{}", before.file.get(own.len()..).unwrap_or_default());
        let wished = self.outbox.spool().folders_to_be(&wished)?;
        let (outbox, taken, freed) = (self.outbox, &self.taken, &self.freed);
        let file = outbox.read("looking for a name", |tx| {
            first_free::<Fault>(&wished, Some(own), |name| match stem(name) {
                planned if taken.contains(planned) => Ok(false),
                left if left == own || freed.contains(left) => Ok(true),
                _ => is_free(outbox.spool(), name, |stem| Ok(is_taken(tx, stem)?)),
            })
        })?;
        let mut renamed = before.clone();
        renamed.file.clone_from(&file);
        rename_parts(&mut renamed, &before.file);
        self.freed.extend(before.files().map(|(old, ..)| stem(old).to_owned()));
        self.taken.extend(renamed.files().map(|(new, ..)| stem(new).to_owned()));
        Ok(file)
    }
}
