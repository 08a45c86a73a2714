//! A new queue, made from the manifests in the spool, where the old one is damaged.
//! Above: `rec verify --rebuild`. Below: `spool` and `schema`.
//!
//! Receipts stood in the old queue alone, so everything is offered to every remote once more: they know it by its key. What was
//! removed after delivery is not known any more.

use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::error::OutboxError;
use super::manifest::{Manifest, State, manifest_name};
use super::queue::{describe, enqueue, is_taken, number_of};
use super::spool::{PUSH_LOCK, QUEUE_FILE, Spool};
use super::store::{Durable, Outbox, now_ms};

/// What a rebuild found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Recordings that are in the new queue.
    pub recordings: u64,
    /// Files that look like manifests and are none, with the reason.
    pub unreadable: Vec<(String, String)>,
    /// Where the old queue is now, if there was one.
    pub aside: Option<String>,
}

/// The writer of recordings that were open: nobody, so they are recovered.
const NOBODY: &str = "rebuilt";

/// Puts the queue aside and makes a new one from the manifests; every recording is wanted by `remotes`.
///
/// # Errors
/// Some process works on the spool, or the disk fails.
pub fn rebuild(spool: &Path, remotes: &[&str]) -> Result<(Outbox, Rebuilt), OutboxError> {
    let folder = Spool::open(spool)?;
    let busy = |what: &'static str| OutboxError::Spool { path: spool.to_owned(), what };
    let _lock = folder.lock(PUSH_LOCK)?.ok_or_else(|| busy("a run pushes it; try again when it has ended"))?;
    if folder.has_writers()? {
        return Err(busy("a server records to it; stop it first"));
    }
    let mut rebuilt = Rebuilt { aside: put_aside(&folder)?, ..Rebuilt::default() };
    let outbox = Outbox::open(spool)?;
    outbox.set_remotes(remotes)?;
    for name in folder.names()?.into_iter().filter(|name| name.ends_with(".json")) {
        match add(&outbox, &name) {
            Ok(()) => rebuilt.recordings += 1,
            Err(error @ (OutboxError::Manifest { .. } | OutboxError::Name { .. })) => {
                rebuilt.unreadable.push((name, error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((outbox, rebuilt))
}

fn add(outbox: &Outbox, name: &str) -> Result<(), OutboxError> {
    let path = outbox.spool().path().join(name);
    let mut bytes = Vec::new();
    let read = outbox.spool().open_plain(name).and_then(|mut file| io::Read::read_to_end(&mut file, &mut bytes));
    read.map_err(OutboxError::io("reading", &path))?;
    let manifest = Manifest::parse(&bytes).map_err(|source| OutboxError::Manifest { path, source })?;
    let wrong = |what| OutboxError::Name { name: name.to_owned(), what };
    if manifest_name(&manifest.file) != name {
        return Err(wrong("the manifest in it is another recording's"));
    }
    if outbox.listed(manifest.id)?.is_some() {
        return Err(wrong("the recording in it has another manifest already"));
    }
    outbox.write("adding a recording", Durable::Yes, |tx| {
        if is_taken(tx, super::manifest::stem(&manifest.file))? {
            return Err(wrong("another recording has this name").into());
        }
        let writer = (manifest.state == State::Open).then_some(NOBODY);
        super::queue::insert(tx, manifest.id, writer)?;
        describe(tx, &manifest)?;
        if writer.is_none() && manifest.state != State::Gone {
            let number = number_of(tx, manifest.id)?;
            tx.execute("UPDATE recordings SET finished_ms = ?2 WHERE number = ?1", (number, now_ms()))?;
            enqueue(tx, number, &manifest, None)?;
        }
        Ok(())
    })
}

/// Gives the queue and what belongs to it other names; nothing is removed.
fn put_aside(folder: &Spool) -> Result<Option<String>, OutboxError> {
    if !folder.exists(QUEUE_FILE)? {
        return Ok(None);
    }
    let end = format!("damaged-{}", Timestamp::now().as_millisecond());
    for part in ["", "-wal", "-shm"] {
        if folder.exists(&format!("{QUEUE_FILE}{part}"))? {
            folder.rename(&format!("{QUEUE_FILE}{part}"), &format!("{QUEUE_FILE}.{end}{part}"))?;
        }
    }
    Ok(Some(format!("{QUEUE_FILE}.{end}")))
}
