//! One attempt: the file is looked at, sent, and its receipt judged.
//! Above: `engine` runs up to 8 of them. Below: a remote.
//!
//! A receipt counts only when the whole file was measured in the same attempt and is what it was when its recording was finished. Most
//! remotes measure it while they send it, and then the last of a file that has changed never leaves; where the file was touched since
//! it was finished, or the remote does not measure, it is measured before its first byte leaves.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::back_off::chance;
use super::pick::{self, Claim, Failure, Key};
use super::{Event, Item, Options, Outcome, Watcher};
use crate::outbox::receipt::{self, Sent};
use crate::outbox::remote::{Configured, DeliveryError, Parcel, Progress, Receipt, Resume, Retry};
use crate::outbox::spool::{Measure, measure};
use crate::outbox::{Outbox, OutboxError, seal};

/// So many files are looked at or hashed at once: more would take the processors away from those who send, and each more is a thread
/// whose memory the allocator keeps.
static HASHING: Semaphore = Semaphore::const_new(2);

/// What went wrong, before it is known what follows from it.
struct Trouble {
    what: String,
    kind: Kind,
}

enum Kind {
    /// It is not where it was.
    Vanished,
    /// It is not what it was.
    Changed,
    /// Our own disk.
    Disk,
    /// What the remote has got is not what was sent: it begins anew.
    Receipt,
    /// The remote, or the way to it.
    Remote(Retry),
}

impl Trouble {
    /// What went wrong with our own file.
    fn with_file(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::InvalidData => return Self { what: error.to_string(), kind: Kind::Changed },
            io::ErrorKind::NotFound => Kind::Vanished,
            // A link, or a folder on the way that became one.
            io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory => Kind::Changed,
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Kind::Changed,
            _ => Kind::Disk,
        };
        Self { what: format!("reading the file: {error}"), kind }
    }
}

/// Deliveries on their way, for the summary of a run that is cut short.
pub(super) type Flying = Arc<Mutex<BTreeMap<Key, Item>>>;

/// An attempt that has ended.
pub(super) struct Ended {
    pub(super) claim: Claim,
    pub(super) came: Came,
    /// That left, whether they arrived or not.
    pub(super) bytes: u64,
}

/// What an attempt came to.
pub(super) enum Came {
    /// It has arrived; its receipt is good, and has still to be kept.
    There(Receipt),
    /// It has not; that is in the queue already.
    Not(Outcome),
}

/// Makes an attempt; what went wrong with it is stored, a receipt is for the run to store.
pub(super) async fn make(
    outbox: &Outbox,
    configured: &Configured,
    (claim, flying): (Claim, Flying),
    (options, watcher): (&Options, &dyn Watcher),
) -> Result<Ended, OutboxError> {
    flying.lock().unwrap_or_else(PoisonError::into_inner).insert(claim.key.clone(), claim.item.clone());
    watcher.event(&Event::Started(&claim.item));
    let sent = Sending::new(outbox, &claim, watcher);
    let done = deliver(outbox, configured, &claim, &sent, options.stall).await;
    let bytes = sent.bytes.load(Ordering::Relaxed);
    let came = match done {
        Ok(receipt) => Came::There(receipt),
        Err(trouble) => {
            let place = configured.remote.place();
            let error = describe(&claim.item, &place, &trouble.what);
            let outcome = fail(outbox, configured, &claim, trouble.kind, (error, options)).await?;
            watcher.event(&Event::Ended(&claim.item, &outcome));
            Came::Not(outcome)
        }
    };
    flying.lock().unwrap_or_else(PoisonError::into_inner).remove(&claim.key);
    Ok(Ended { claim, came, bytes })
}

/// Runs what waits for the disk where it may.
pub(super) async fn blocking<T: Send + 'static>(outbox: &Outbox, act: impl FnOnce(&Outbox) -> T + Send + 'static) -> T {
    let outbox = outbox.clone();
    match tokio::task::spawn_blocking(move || act(&outbox)).await {
        Ok(done) => done,
        // A panic there is a panic here; it cannot have been cancelled.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn deliver(
    outbox: &Outbox,
    configured: &Configured,
    claim: &Claim,
    sending: &Sending<'_>,
    stall: Duration,
) -> Result<Receipt, Trouble> {
    let parcel = parcel(outbox, claim);
    let is_touched = glance(outbox, claim).await?;
    let is_measured = is_touched || !configured.remote.measures();
    if is_measured {
        measured(outbox, claim).await?;
    }
    let attempt = configured.remote.deliver(&parcel, sending);
    let receipt = tokio::select! {
        done = attempt => done,
        () = sending.falls_silent(stall) => Err(DeliveryError {
            what: format!("nothing moved for {} s", stall.as_secs_f32()),
            retry: Retry::Later { after: None },
        }),
    };
    let found = parcel.measuring.found();
    // Whatever the remote says of it.
    if let Some(Err(error)) = found {
        return Err(Trouble::with_file(&error));
    }
    let receipt = receipt.map_err(|error| Trouble { what: error.what, kind: Kind::Remote(error.retry) })?;
    let sent = Sent { key: &parcel.key, sha256: &parcel.sha256, size: parcel.size };
    receipt::check(&receipt, &sent, &configured.policy)
        .map_err(|error| Trouble { what: error.to_string(), kind: Kind::Receipt })?;
    if found.is_none() && !is_measured {
        // It had arrived before, so that nothing or not all of it was sent.
        measured(outbox, claim).await?;
    }
    Ok(receipt)
}

/// Whether a file may be another than the one that was finished: somebody has written to it since, or renamed it.
async fn glance(outbox: &Outbox, claim: &Claim) -> Result<bool, Trouble> {
    let (file, size, finished_ms) = (claim.item.file.clone(), claim.item.size, claim.finished_ms);
    // The semaphore is never closed.
    let _turn = HASHING.acquire().await;
    let facts = blocking(outbox, move |outbox| outbox.spool().open_plain(&file)?.metadata());
    let facts = facts.await.map_err(|error| Trouble::with_file(&error))?;
    let changed_ms = facts.ctime().saturating_mul(1_000).saturating_add(facts.ctime_nsec() / 1_000_000);
    Ok(facts.len() != size || finished_ms.is_none_or(|finished_ms| changed_ms > finished_ms))
}

/// Reads a file from its beginning to its end: whether it is what it was when its recording was finished.
async fn measured(outbox: &Outbox, claim: &Claim) -> Result<(), Trouble> {
    let (file, expected) = (claim.item.file.clone(), Measure { bytes: claim.item.size, sha256: claim.sha256.clone() });
    // The semaphore is never closed.
    let _turn = HASHING.acquire().await;
    let found = blocking(outbox, move |outbox| {
        let found = measure(&outbox.spool().open_plain(&file)?)?;
        if found == expected { Ok(()) } else { Err(found.differs_from(&expected)) }
    });
    found.await.map_err(|error| Trouble::with_file(&error))
}

fn parcel(outbox: &Outbox, claim: &Claim) -> Parcel {
    let Item { id, part, file, size, attempt, .. } = &claim.item;
    let key = if *part == 1 { id.to_string() } else { format!("{id}.{part}") };
    // Who gets a sealed recording gets its wrapped keys; one that was shredded goes without.
    let keyed = seal::with_keys(outbox.spool(), &claim.manifest);
    let manifest = keyed.map_or_else(|_| Arc::clone(&claim.manifest), Arc::new);
    Parcel {
        key,
        part: *part,
        manifest_json: manifest.print().into(),
        manifest,
        file: file.clone(),
        size: *size,
        sha256: claim.sha256.clone(),
        measuring: Arc::default(),
        resume: claim.resume.clone(),
        attempt: *attempt,
        spool: Arc::clone(outbox.spool()),
    }
}

/// Everything that somebody needs who has to find out why.
fn describe(item: &Item, place: &str, what: &str) -> String {
    let Item { id, call, file, remote, attempt, .. } = item;
    let call = if call.is_empty() { "unknown" } else { call };
    // What a remote answers is shown, not obeyed.
    let what: String = what.chars().flat_map(shown).collect();
    format!("recording {id} (call {call}, file {file}) to {remote} ({place}), attempt {attempt}: {what}")
}

/// A character of somebody else's text on a terminal or in a log: control and bidi characters by their number.
fn shown(c: char) -> Vec<char> {
    let is_bidi = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    if c.is_control() || is_bidi { c.escape_unicode().collect() } else { vec![c] }
}

async fn fail(
    outbox: &Outbox,
    configured: &Configured,
    claim: &Claim,
    kind: Kind,
    (error, options): (String, &Options),
) -> Result<Outcome, OutboxError> {
    let of = claim.clone();
    let read = move |outbox: &Outbox| {
        Ok::<_, OutboxError>((pick::first_failure(outbox, &of.key)?, pick::is_renamed(outbox, &of)?))
    };
    let (ago, is_renamed) = blocking(outbox, read).await?;
    let kind = if is_renamed && matches!(kind, Kind::Vanished) { Kind::Disk } else { kind };
    let policy = &configured.policy;
    let is_given_up = claim.item.attempt >= policy.give_up_attempts && ago >= policy.give_up_after;
    let (asked, reason) = match &kind {
        Kind::Vanished => (None, Some("vanished")),
        Kind::Changed | Kind::Remote(Retry::Changed) => (None, Some("changed")),
        Kind::Remote(Retry::Never) => (None, Some("refused")),
        Kind::Remote(Retry::Later { after }) => (*after, is_given_up.then_some("given up")),
        Kind::Remote(Retry::Told { again }) => (Some(*again), is_given_up.then_some("given up")),
        Kind::Disk | Kind::Receipt => (None, is_given_up.then_some("given up")),
    };
    let after = reason.is_none().then(|| options.back_off.after(claim.item.attempt, chance(), asked));
    // What it says of one recording says nothing of the next.
    let is_remotes = matches!(kind, Kind::Remote(Retry::Later { .. }));
    let failure = Failure {
        error: error.clone(),
        after,
        reason: reason.unwrap_or_default(),
        is_resumable: matches!(kind, Kind::Remote(_) | Kind::Disk),
        is_remotes,
        back_off: options.back_off,
        asked,
    };
    let claim = claim.clone();
    blocking(outbox, move |outbox| pick::failed(outbox, &claim, &failure)).await?;
    Ok(match after {
        Some(after) => Outcome::Waiting { error, after },
        None => Outcome::Parked { error, reason: reason.unwrap_or_default().to_owned() },
    })
}

/// What a remote tells of an upload.
struct Sending<'a> {
    outbox: &'a Outbox,
    claim: &'a Claim,
    watcher: &'a dyn Watcher,
    bytes: AtomicU64,
    heard: Mutex<Instant>,
}

impl<'a> Sending<'a> {
    fn new(outbox: &'a Outbox, claim: &'a Claim, watcher: &'a dyn Watcher) -> Self {
        Self { outbox, claim, watcher, bytes: AtomicU64::new(0), heard: Mutex::new(Instant::now()) }
    }

    fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Done when nothing has been heard for so long.
    async fn falls_silent(&self, stall: Duration) {
        self.hear();
        loop {
            let until = *self.heard.lock().unwrap_or_else(PoisonError::into_inner) + stall;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl Progress for Sending<'_> {
    fn sent(&self, bytes: u64) {
        self.hear();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.watcher.event(&Event::Sent(&self.claim.item, bytes));
    }

    fn resume_at<'a>(&'a self, token: &'a str, offset: u64) -> BoxFuture<'a, ()> {
        self.hear();
        let (claim, resume) = (self.claim.clone(), Resume { token: token.to_owned(), offset });
        Box::pin(async move {
            let kept = blocking(self.outbox, move |outbox| pick::resume_at(outbox, &claim, &resume)).await;
            if let Err(error) = kept {
                // It costs bytes, no recording: the next attempt begins at an earlier place.
                tracing::warn!(%error, "where an upload can go on is not kept");
            }
        })
    }
}
