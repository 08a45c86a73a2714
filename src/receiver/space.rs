//! Space on the disk: deliveries leave some of it free, as calls are recorded beside them. Above: `intake`, `uploads`. Below: the disk.

use super::desk::Desk;
use super::intake::{Untaken, full};

/// Bytes that deliveries may take now; blocks for the disk.
///
/// # Errors
/// The disk does not say.
pub(super) fn left(desk: &Desk) -> Result<u64, Untaken> {
    let space = rustix::fs::statvfs(desk.outbox.spool().path()).map_err(|error| full(&error))?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize).saturating_sub(desk.settings.keep_free))
}

/// Whether `bytes` more may be written; blocks for the disk.
///
/// # Errors
/// They may not: too little would stay free.
pub(super) fn has(desk: &Desk, bytes: u64) -> Result<(), Untaken> {
    if left(desk)? < bytes { Err(full(&"too little space is free (keep_free of [serve])")) } else { Ok(()) }
}
