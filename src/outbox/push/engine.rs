//! The run itself: the lock, what is due, the uploads.

use super::{Options, PushError, Summary, Watcher};
use crate::outbox::Outbox;
use crate::outbox::remote::Remotes;
use crate::outbox::spool::PUSH_LOCK;

pub(super) async fn run(
    outbox: &Outbox,
    _remotes: &Remotes,
    _options: &Options,
    _watcher: &dyn Watcher,
) -> Result<Summary, PushError> {
    let locked = || PushError::Locked { path: outbox.spool().path().to_owned() };
    let _lock = outbox.spool().lock(PUSH_LOCK)?.ok_or_else(locked)?;
    let status = outbox.remotes()?;
    let (waiting, parked) = status.iter().fold((0, 0), |(w, p), remote| (w + remote.waiting, p + remote.parked));
    Ok(Summary { waiting, parked, ..Summary::default() })
}
