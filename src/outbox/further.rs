//! The further files of a recording that became too large for one, or whose file took no more: `NAME-2.wav`, `NAME-3.wav`, ….
//! Above: who records takes their names here, who mends a recording finds them here. Below: `name`, which is asked what is free.

use super::error::OutboxError;
use super::manifest::stem;
use super::name::{is_free, numbered};
use super::queue::is_taken;
use super::store::{Durable, Fault, Outbox};

/// Files of a recording at most.
const MOST: u32 = 10_000;

impl Outbox {
    /// Takes a name for a further file of the recording that begins with `first`: the first free one from `NAME-number` on. The file
    /// is there when this returns, empty, so no other recording gets its name.
    ///
    /// # Errors
    /// The disk fails, or the recording has thousands of files.
    pub fn take_further(&self, first: &str, number: u32) -> Result<String, OutboxError> {
        self.write("naming a further file", Durable::Soon, |tx| {
            // Within the transaction nobody else takes a name.
            for name in (number..=MOST).map(|number| numbered(first, number)) {
                if is_free::<Fault>(self.spool(), &name, |stem| Ok(is_taken(tx, stem)?))? {
                    self.spool().create(&name)?;
                    return Ok(name);
                }
            }
            Err(OutboxError::Name { name: first.to_owned(), what: "a recording has thousands of files" }.into())
        })
    }

    /// The further files that are there of the recording that begins with `first`, in order.
    ///
    /// # Errors
    /// The queue or the folder cannot be read.
    pub fn further_files(&self, first: &str) -> Result<Vec<String>, OutboxError> {
        self.read("looking for further files", |tx| {
            let mut found = Vec::new();
            for name in (2..=MOST).map(|number| numbered(first, number)) {
                // Another recording that wished for the same name is in between.
                if is_taken(tx, stem(&name))? {
                    continue;
                }
                if !self.spool().exists(&name)? {
                    break;
                }
                found.push(name);
            }
            Ok(found)
        })
    }
}
