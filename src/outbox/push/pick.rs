//! What a run reads from the queue and writes to it: what is due, what became of it, and what is left.
//! Above: `engine`. Below: `store`. Only the run that holds the lock of the spool does this.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::back_off::chance;
use super::{BackOff, Eagerness, Item, Options};
use crate::outbox::list::number;
use crate::outbox::manifest::Manifest;
use crate::outbox::remote::{BEGUN, Receipt, Resume};
use crate::outbox::store::{Durable, Fault, now_ms};
use crate::outbox::{Order, Outbox, OutboxError};

/// Failures in a row after which a remote is left alone for a while, and then asked by one upload at a time.
pub(super) const STRIKES: u32 = 8;

/// Deliveries taken from the queue at a time.
const BATCH: i64 = 256;

/// Parked by this where a remote is no longer configured, and un-parked where it is again.
const NO_REMOTE: &str = "no remote";

/// Which delivery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) number: i64,
    pub(super) part: u32,
    pub(super) remote: Arc<str>,
}

/// An attempt that has been put into the queue, and what it needs.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) key: Key,
    pub(super) item: Item,
    pub(super) manifest: Arc<Manifest>,
    pub(super) sha256: String,
    /// When its recording was finished, milliseconds since 1970.
    pub(super) finished_ms: Option<i64>,
    pub(super) resume: Option<Resume>,
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: String,
    /// In how long it is tried again; `None`: parked.
    pub(super) after: Option<Duration>,
    /// Why it is parked.
    pub(super) reason: &'static str,
    /// Whether it goes on where it was, or begins anew.
    pub(super) is_resumable: bool,
    /// Whether it says something about the remote, which then is left alone for a time after many failures in a row.
    pub(super) is_remotes: bool,
    /// What that time depends on, beside the number of failures.
    pub(super) back_off: BackOff,
    pub(super) asked: Option<Duration>,
}

impl Failure {
    /// How long the remote is left alone when it has failed so often in a row, this time included.
    fn closing(&self, failures: u32) -> Option<Duration> {
        let beyond = failures.checked_sub(STRIKES)?;
        Some(self.back_off.after(beyond + 1, chance(), self.asked))
    }
}

/// What a remote may be given just now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gate {
    /// Failures in a row.
    pub(super) failures: u32,
    /// Nothing before this time, milliseconds since 1970.
    pub(super) closed_until_ms: i64,
}

/// Of what was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left {
    pub(super) waiting: u64,
    pub(super) parked: u64,
    /// When the next of them is due, milliseconds since 1970.
    pub(super) next_ms: Option<i64>,
}

impl Left {
    /// In how long the next of them is due.
    pub(super) fn next_in(&self) -> Option<Duration> {
        let wait = |at: i64| u64::try_from(at.saturating_sub(now_ms())).unwrap_or_default();
        self.next_ms.map(|at| Duration::from_millis(wait(at)))
    }
}

/// Makes the queue ready for a run: attempts that a dead run began wait again, as does what waits for a time that a clock put back
/// has moved far away.
pub(super) fn prepare(outbox: &Outbox, options: &Options, names: &[Arc<str>]) -> Result<(), OutboxError> {
    for id in &options.ids {
        for name in names {
            outbox.want(*id, name)?;
        }
    }
    outbox.write("preparing a run", Durable::Soon, |tx| {
        tx.execute(
            "UPDATE deliveries INDEXED BY deliveries_waiting SET state = 'pending'
             WHERE state IN ('pending', 'uploading') AND state = 'uploading'",
            (),
        )?;
        mend(tx)?;
        tx.execute(
            "UPDATE deliveries SET state = 'parked', reason = ?1 WHERE state IN ('pending', 'uploading')
             AND remote IN (SELECT name FROM remotes WHERE NOT in_force) AND remote NOT IN (SELECT value FROM json_each(?2))",
            (NO_REMOTE, json(names)),
        )?;
        tx.execute(
            "UPDATE deliveries SET state = 'pending', reason = NULL WHERE state = 'parked' AND reason = ?1
             AND remote IN (SELECT value FROM json_each(?2))",
            (NO_REMOTE, json(names)),
        )?;
        if options.now == Eagerness::Now {
            hurry(tx, options, names)?;
        }
        Ok(())
    })
}

/// Times that were set later than now, according to a clock that has been put back since, are past.
pub(super) fn mend(tx: &Transaction<'_>) -> Result<(), Fault> {
    let now = now_ms();
    tx.prepare_cached("UPDATE deliveries SET due_ms = 0 WHERE state IN ('pending', 'uploading') AND due_ms > ?1 AND failed_ms > ?1 + 1000")?
        .execute([now])?;
    tx.prepare_cached("UPDATE remotes SET closed_until_ms = 0 WHERE closed_until_ms > ?1 AND failed_ms > ?1 + 1000")?
        .execute([now])?;
    Ok(())
}

/// What is asked for waits no longer, parked or not.
fn hurry(tx: &Transaction<'_>, options: &Options, names: &[Arc<str>]) -> Result<(), Fault> {
    tx.execute(
        "UPDATE deliveries SET due_ms = 0, reason = NULL, first_failed_ms = NULL,
         attempts = CASE state WHEN 'parked' THEN 0 ELSE attempts END, state = 'pending'
         WHERE state != 'delivered' AND remote IN (SELECT value FROM json_each(?1))
         AND number IN (SELECT number FROM recordings WHERE delivered < wanted)
         AND (?2 IS NULL OR number IN (SELECT number FROM recordings WHERE id IN (SELECT value FROM json_each(?2))))",
        (json(names), ids(options)),
    )?;
    tx.execute(
        "UPDATE remotes SET closed_until_ms = 0 WHERE name IN (SELECT value FROM json_each(?1))",
        [json(names)],
    )?;
    Ok(())
}

/// The next deliveries to a remote that are due.
pub(super) fn due(outbox: &Outbox, options: &Options, remote: &Arc<str>) -> Result<Vec<Key>, OutboxError> {
    let order = match options.order {
        Order::Newest => "DESC",
        Order::Oldest => "ASC",
    };
    let sql = format!(
        "SELECT number, part FROM deliveries INDEXED BY deliveries_waiting CROSS JOIN recordings USING (number)
         WHERE remote = ?1 AND deliveries.state IN ('pending', 'uploading') AND deliveries.state = 'pending' AND due_ms <= ?2
         AND started_ms >= ?3 AND (?4 IS NULL OR id IN (SELECT value FROM json_each(?4)))
         ORDER BY started_ms {order}, number {order}, part LIMIT {BATCH}"
    );
    let now = now_ms();
    outbox.read("looking for what is due", |tx| {
        let mut statement = tx.prepare_cached(&sql)?;
        let mut rows = statement.query(params![remote.as_ref(), now, begun_since(options, now), ids(options)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Key { number: row.get(0)?, part: row.get(1)?, remote: Arc::clone(remote) });
        }
        Ok(found)
    })
}

/// What a run wants of the queue at once: receipts to be kept, and attempts to be begun. One transaction for many of them costs little
/// more than for one.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// What has arrived, and when, milliseconds since 1970.
    pub(super) arrived: Vec<(Claim, Receipt, i64)>,
    /// Claimed, and not begun after all.
    pub(super) put_back: Vec<Key>,
    /// To be begun.
    pub(super) next: Vec<Key>,
}

/// Takes a turn: when it has come back all receipts count and are on the disk. Returns a claim for each of `next`; `None`: it is no
/// longer wanted, or not now.
pub(super) fn turn(outbox: &Outbox, turn: &Turn) -> Result<Vec<Option<Claim>>, OutboxError> {
    let durable = if turn.arrived.is_empty() { Durable::Soon } else { Durable::Yes };
    let found = outbox.write("keeping receipts and beginning attempts", durable, |tx| {
        for (claim, receipt, arrived_ms) in &turn.arrived {
            delivered(tx, claim, (receipt, *arrived_ms))?;
        }
        for key in &turn.put_back {
            tx.prepare_cached(
                "UPDATE deliveries SET state = 'pending', attempts = max(attempts - 1, 0)
                 WHERE number = ?1 AND part = ?2 AND remote = ?3 AND state = 'uploading'",
            )?
            .execute(params![key.number, key.part, key.remote.as_ref()])?;
        }
        turn.next.iter().map(|key| claim(tx, key)).collect::<Result<Vec<_>, Fault>>()
    })?;
    let whole = |(key, found): (&Key, Option<Found>)| match found {
        Some(found) => found.claim(outbox, key),
        None => Ok(None),
    };
    turn.next.iter().zip(found).map(whole).collect()
}

/// A delivery's row and its manifest.
struct Found {
    manifest: String,
    finished_ms: Option<i64>,
    attempt: u32,
    resume: Option<Resume>,
}

impl Found {
    /// `None`: the recording has no such part.
    fn claim(self, outbox: &Outbox, key: &Key) -> Result<Option<Claim>, OutboxError> {
        let Self { manifest, finished_ms, attempt, resume } = self;
        let manifest = outbox.parse(&manifest)?;
        let at = usize::try_from(key.part).unwrap_or(usize::MAX).saturating_sub(1);
        let Some((file, size, sha256)) = manifest.files().nth(at) else { return Ok(None) };
        let (id, call) = (manifest.id, manifest.call.clone());
        let (file, sha256) = (file.to_owned(), sha256.to_owned());
        let item = Item { id, part: key.part, call, file, size, remote: key.remote.to_string(), attempt };
        Ok(Some(Claim { key: key.clone(), item, manifest: Arc::new(manifest), sha256, finished_ms, resume }))
    }
}

/// Puts an attempt into the queue.
fn claim(tx: &Transaction<'_>, key: &Key) -> Result<Option<Found>, Fault> {
    let changed = tx
        .prepare_cached(
            "UPDATE deliveries SET state = 'uploading', attempts = attempts + 1
             WHERE number = ?1 AND part = ?2 AND remote = ?3 AND state = 'pending' AND due_ms <= ?4",
        )?
        .execute(params![key.number, key.part, key.remote.as_ref(), now_ms()])?;
    if changed == 0 {
        return Ok(None);
    }
    let mut one = tx.prepare_cached(
        "SELECT json, attempts, token, position, finished_ms
         FROM deliveries JOIN manifests USING (number) JOIN recordings USING (number)
         WHERE number = ?1 AND part = ?2 AND remote = ?3",
    )?;
    let row = one.query_row(params![key.number, key.part, key.remote.as_ref()], |row| {
        let (manifest, attempt, token) = (row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?);
        let offset = number(row, 3)?;
        let resume = token.map(|token| Resume { token, offset });
        Ok(Found { manifest, finished_ms: row.get(4)?, attempt, resume })
    });
    Ok(row.optional()?)
}

/// Where an upload can go on. This and what follows concerns the recording that was claimed: one that went on meanwhile has its row,
/// and another id.
pub(super) fn resume_at(outbox: &Outbox, claim: &Claim, resume: &Resume) -> Result<(), OutboxError> {
    let key = &claim.key;
    let durable = if resume.token == BEGUN { Durable::Yes } else { Durable::Soon };
    outbox.write("keeping where an upload is", durable, |tx| {
        tx.prepare_cached(
            "UPDATE deliveries SET token = ?4, position = ?5 WHERE number = ?1 AND part = ?2 AND remote = ?3 AND state = 'uploading'
             AND number = (SELECT number FROM recordings WHERE id = ?6)",
        )?
        .execute(params![
            key.number,
            key.part,
            key.remote.as_ref(),
            resume.token,
            i64::try_from(resume.offset).unwrap_or(i64::MAX),
            claim.item.id.to_string()
        ])?;
        Ok(())
    })
}

/// A receipt has come, and counts.
fn delivered(tx: &Transaction<'_>, claim: &Claim, (receipt, arrived_ms): (&Receipt, i64)) -> Result<(), Fault> {
    let key = &claim.key;
    let (text, now) = (serde_json::to_string(receipt).unwrap_or_default(), now_ms());
    tx.prepare_cached(
        "UPDATE deliveries SET state = 'delivered', receipt = ?4, delivered_ms = ?5, token = NULL, position = 0, error = NULL,
         reason = NULL WHERE number = ?1 AND part = ?2 AND remote = ?3
         AND number = (SELECT number FROM recordings WHERE id = ?6)",
    )?
    .execute(params![key.number, key.part, key.remote.as_ref(), text, now, claim.item.id.to_string()])?;
    tx.prepare_cached("UPDATE remotes SET delivered_ms = ?2 WHERE name = ?1")?
        .execute(params![key.remote.as_ref(), now])?;
    // What came before the remote failed, and is only now kept, says nothing of how it is; but a clock may have been put back.
    tx.prepare_cached(
        "UPDATE remotes SET failures = 0, closed_until_ms = 0, error = NULL, failed_ms = NULL
         WHERE name = ?1 AND (failed_ms IS NULL OR failed_ms <= ?2 OR failed_ms > ?3 + 1000)",
    )?
    .execute(params![key.remote.as_ref(), arrived_ms, now])?;
    Ok(())
}

/// An attempt has failed.
pub(super) fn failed(outbox: &Outbox, claim: &Claim, failure: &Failure) -> Result<(), OutboxError> {
    let key = &claim.key;
    outbox.write("keeping a failure", Durable::Yes, |tx| {
        let now = now_ms();
        let due = failure.after.map_or(now, |after| now.saturating_add(millis(after)));
        let (state, reason) =
            if failure.after.is_some() { ("pending", None) } else { ("parked", Some(failure.reason)) };
        tx.prepare_cached(
            "UPDATE deliveries SET state = ?4, reason = ?5, error = ?6, failed_ms = ?7, due_ms = ?8,
             first_failed_ms = coalesce(min(first_failed_ms, ?7), ?7),
             token = CASE WHEN ?9 THEN token END, position = CASE WHEN ?9 THEN position ELSE 0 END
             WHERE number = ?1 AND part = ?2 AND remote = ?3 AND state != 'delivered'
             AND number = (SELECT number FROM recordings WHERE id = ?10)",
        )?
        .execute(params![
            key.number,
            key.part,
            key.remote.as_ref(),
            state,
            reason,
            failure.error,
            now,
            due,
            failure.is_resumable,
            claim.item.id.to_string()
        ])?;
        if failure.is_remotes {
            // Counted here, since several fail at once.
            let failures: Option<u32> = tx
                .prepare_cached(
                    "UPDATE remotes SET failures = failures + 1, failed_ms = ?2, error = ?3 WHERE name = ?1
                     RETURNING failures",
                )?
                .query_row(params![key.remote.as_ref(), now, failure.error], |row| row.get(0))
                .optional()?;
            if let Some(closing) = failures.and_then(|failures| failure.closing(failures)) {
                tx.prepare_cached("UPDATE remotes SET closed_until_ms = max(closed_until_ms, ?2) WHERE name = ?1")?
                    .execute(params![key.remote.as_ref(), now.saturating_add(millis(closing))])?;
            }
        }
        Ok(())
    })
}

/// An attempt was ended by us: as if it waited still.
pub(super) fn put_back(outbox: &Outbox) -> Result<(), OutboxError> {
    outbox.write("ending a run", Durable::Soon, |tx| {
        tx.execute(
            "UPDATE deliveries INDEXED BY deliveries_waiting SET state = 'pending', attempts = max(attempts - 1, 0)
             WHERE state IN ('pending', 'uploading') AND state = 'uploading'",
            (),
        )?;
        Ok(())
    })
}

/// How long ago a delivery failed first, and how many attempts it has had.
pub(super) fn first_failure(outbox: &Outbox, key: &Key) -> Result<Duration, OutboxError> {
    outbox.read("reading a delivery", |tx| {
        let mut one = tx
            .prepare_cached("SELECT first_failed_ms FROM deliveries WHERE number = ?1 AND part = ?2 AND remote = ?3")?;
        let first: Option<i64> =
            one.query_row(params![key.number, key.part, key.remote.as_ref()], |row| row.get(0)).optional()?.flatten();
        let ago = first.map_or(0, |first| now_ms().saturating_sub(first));
        Ok(Duration::from_millis(u64::try_from(ago).unwrap_or_default()))
    })
}

/// Whether a delivery's file has another name by now, or is just being given one.
pub(super) fn is_renamed(outbox: &Outbox, claim: &Claim) -> Result<bool, OutboxError> {
    let is_moving = outbox.read("reading a rename", |tx| {
        let mut one = tx.prepare_cached("SELECT 1 FROM recordings WHERE number = ?1 AND moves IS NOT NULL")?;
        Ok(one.exists([claim.key.number])?)
    })?;
    let now = outbox.get(claim.item.id)?;
    Ok(is_moving || now.is_none_or(|now| now.file != claim.manifest.file))
}

/// What a remote may be given just now.
pub(super) fn gate(outbox: &Outbox, remote: &str) -> Result<Gate, OutboxError> {
    outbox.read("reading a remote", |tx| {
        let mut one = tx.prepare_cached("SELECT failures, closed_until_ms FROM remotes WHERE name = ?1")?;
        let gate = one.query_row([remote], |row| Ok(Gate { failures: row.get(0)?, closed_until_ms: row.get(1)? }));
        Ok(gate.optional()?.unwrap_or_default())
    })
}

/// What is left of what was asked for; the age and number that a run is limited to left out of account.
pub(super) fn left(outbox: &Outbox, options: &Options, names: &[Arc<str>]) -> Result<Left, OutboxError> {
    outbox.read("counting what is left", |tx| {
        let mut statement = tx.prepare_cached(
            "SELECT coalesce(sum(deliveries.state != 'parked'), 0), coalesce(sum(deliveries.state = 'parked'), 0),
             min(CASE WHEN deliveries.state != 'parked' AND started_ms >= ?3 THEN max(due_ms, coalesce(closed_until_ms, 0)) END)
             FROM recordings JOIN deliveries USING (number) LEFT JOIN remotes ON name = remote
             WHERE recordings.delivered < wanted AND deliveries.state != 'delivered'
             AND (?1 IS NULL OR remote IN (SELECT value FROM json_each(?1)))
             AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2)))",
        )?;
        // Without `--to`, what waits for a remote that is not configured counts too.
        let names = (!options.to.is_empty()).then(|| json(names));
        let since = begun_since(options, now_ms());
        let left = statement.query_row((names, ids(options), since), |row| {
            Ok(Left { waiting: number(row, 0)?, parked: number(row, 1)?, next_ms: row.get(2)? })
        })?;
        Ok(left)
    })
}

fn begun_since(options: &Options, now: i64) -> i64 {
    options.max_age.map_or(i64::MIN, |age| now.saturating_sub(millis(age)))
}

fn ids(options: &Options) -> Option<String> {
    let ids: Vec<String> = options.ids.iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| serde_json::to_string(&ids).unwrap_or_default())
}

fn json(names: &[Arc<str>]) -> String {
    serde_json::to_string(names).unwrap_or_default()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
