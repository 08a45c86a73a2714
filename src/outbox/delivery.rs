//! Deliveries: what each remote has had of each recording, and what it waits for.
//! Above: `push` moves them on, `rec show` and `rec status` print them. Below: `store`.

use jiff::Timestamp;
use rusqlite::Row;

use super::error::OutboxError;
use super::list::{number, timestamp};
use super::manifest::RecordingId;
use super::queue::{enqueue, number_of};
use super::remote::{Receipt, Resume};
use super::store::{Durable, Fault, Outbox, now_ms};

/// How far a delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its turn.
    Pending,
    /// An attempt is being made, or was when its process ended.
    Uploading,
    /// Arrived.
    Delivered(Receipt),
    /// Given up until somebody says otherwise: `vanished`, `changed`, `refused`, `given up`, `no remote`.
    Parked(String),
}

impl DeliveryState {
    /// In one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Uploading => "uploading",
            Self::Delivered(_) => "delivered",
            Self::Parked(_) => "parked",
        }
    }
}

/// A recording's file and a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which recording.
    pub id: RecordingId,
    /// Which of its files, from 1.
    pub part: u32,
    /// To which remote.
    pub remote: String,
    /// How far it is.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// The next attempt is not made before this time.
    pub due: Option<Timestamp>,
    /// Where it can go on.
    pub resume: Option<Resume>,
    /// What the last failed attempt said.
    pub error: Option<String>,
    /// When that was.
    pub failed: Option<Timestamp>,
    /// When it arrived.
    pub delivered: Option<Timestamp>,
}

/// A remote as the queue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteStatus {
    /// Its name.
    pub name: String,
    /// Whether it is configured.
    pub in_force: bool,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that are parked.
    pub parked: u64,
    /// Deliveries with a receipt.
    pub delivered: u64,
    /// When the oldest recording began that waits or is parked.
    pub oldest_unsent: Option<Timestamp>,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Nothing is sent before this time, after failures in a row.
    pub closed_until: Option<Timestamp>,
    /// What the last failed attempt said.
    pub error: Option<String>,
    /// When that was.
    pub failed: Option<Timestamp>,
    /// When something arrived last.
    pub last_delivered: Option<Timestamp>,
}

const COLUMNS: &str = "id, part, remote, deliveries.state, attempts, due_ms, position, token, reason, error, receipt, failed_ms, delivered_ms";

impl Outbox {
    /// Says which remotes there are: recordings that are finished from here on are wanted by these. Told at the start of every
    /// program that knows the configuration; it stands in the queue, for those that do not.
    ///
    /// # Errors
    /// The queue cannot be written.
    pub fn set_remotes(&self, names: &[&str]) -> Result<(), OutboxError> {
        let before: Vec<String> = self.read("reading the remotes", |tx| {
            let mut found = tx.prepare_cached("SELECT name FROM remotes WHERE in_force")?;
            Ok(found.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?)
        })?;
        let same = before.len() == names.len() && before.iter().all(|name| names.contains(&name.as_str()));
        if same {
            return Ok(());
        }
        self.write("changing the remotes", Durable::Yes, |tx| {
            tx.execute("UPDATE remotes SET in_force = 0", ())?;
            for name in names {
                tx.prepare_cached(
                    "INSERT INTO remotes (name, in_force, since_ms) VALUES (?1, 1, ?2)
                     ON CONFLICT (name) DO UPDATE SET in_force = 1",
                )?
                .execute((name, now_ms()))?;
            }
            Ok(())
        })
    }

    /// Wants a recording delivered to a remote that did not get it by itself, as it was configured later.
    ///
    /// # Errors
    /// There is no such recording, or it is still open.
    pub fn want(&self, id: RecordingId, remote: &str) -> Result<(), OutboxError> {
        let manifest = self.get(id)?.ok_or(OutboxError::Unknown { id })?;
        if !matches!(manifest.state, super::State::Finished | super::State::Interrupted) {
            return Err(OutboxError::State { id, state: manifest.state.word(), wanted: "delivered" });
        }
        self.write("wanting a delivery", Durable::Yes, |tx| {
            tx.prepare_cached("INSERT OR IGNORE INTO remotes (name, in_force, since_ms) VALUES (?1, 0, ?2)")?
                .execute((remote, now_ms()))?;
            enqueue(tx, number_of(tx, id)?, &manifest, Some(remote))
        })
    }

    /// The deliveries of a recording, by remote and part.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn deliveries(&self, id: RecordingId) -> Result<Vec<Delivery>, OutboxError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM recordings JOIN deliveries USING (number) WHERE id = ?1 ORDER BY remote, part"
        );
        self.read("reading deliveries", |tx| {
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query([id.to_string()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(delivery(row)?);
            }
            Ok(found)
        })
    }

    /// All remotes that are configured, or that something still waits for.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn remotes(&self) -> Result<Vec<RemoteStatus>, OutboxError> {
        self.read("reading the remotes", |tx| {
            let mut statement = tx.prepare_cached(
                "SELECT name, in_force, failures, failed_ms, closed_until_ms, error, remotes.delivered_ms,
                 coalesce((SELECT sum(many) FROM counted_deliveries WHERE remote = name AND state IN ('pending', 'uploading')), 0),
                 coalesce((SELECT many FROM counted_deliveries WHERE remote = name AND state = 'parked'), 0),
                 coalesce((SELECT many FROM counted_deliveries WHERE remote = name AND state = 'delivered'), 0),
                 CASE WHEN EXISTS (SELECT 1 FROM counted_deliveries WHERE remote = name AND state != 'delivered' AND many > 0)
                 THEN (SELECT started_ms FROM recordings INDEXED BY recordings_unsent WHERE delivered < wanted AND EXISTS
                       (SELECT 1 FROM deliveries WHERE number = recordings.number AND remote = name AND state != 'delivered')
                       ORDER BY started_ms, number LIMIT 1) END
                 FROM remotes ORDER BY name",
            )?;
            let all = statement.query_map((), |row| {
                let at = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(timestamp));
                Ok(RemoteStatus {
                    name: row.get(0)?,
                    in_force: row.get(1)?,
                    failures: row.get(2)?,
                    failed: at(3)?,
                    closed_until: at(4)?.filter(|until| *until > Timestamp::now()),
                    error: row.get(5)?,
                    last_delivered: at(6)?,
                    waiting: number(row, 7)?,
                    parked: number(row, 8)?,
                    delivered: number(row, 9)?,
                    oldest_unsent: at(10)?,
                })
            })?;
            let all: Vec<RemoteStatus> = all.collect::<Result<_, _>>()?;
            Ok(all.into_iter().filter(|remote| remote.in_force || remote.waiting + remote.parked > 0).collect())
        })
    }

    /// Un-parks the deliveries of a recording, and lets them wait no longer; how many that were. One that is under way goes on.
    ///
    /// # Errors
    /// The queue cannot be written.
    pub fn retry(&self, id: RecordingId) -> Result<usize, OutboxError> {
        self.write("retrying a recording", Durable::Yes, |tx| {
            let number = number_of(tx, id)?;
            Ok(tx
                .prepare_cached(
                    "UPDATE deliveries SET state = CASE state WHEN 'uploading' THEN state ELSE 'pending' END, attempts = 0, first_failed_ms = NULL, due_ms = 0, reason = NULL
                     WHERE number = ?1 AND state != 'delivered'",
                )?
                .execute([number])?)
        })
    }

    /// Gives up delivering a recording, to a remote or to all: what has arrived stays known, what waits or is parked is wanted no
    /// more. Its audio stays. Returns how many deliveries that were.
    ///
    /// # Errors
    /// The queue cannot be written.
    pub fn unwant(&self, id: RecordingId, remote: Option<&str>) -> Result<usize, OutboxError> {
        self.write("giving up a delivery", Durable::Yes, |tx| {
            let number = number_of(tx, id)?;
            let sql =
                "DELETE FROM deliveries WHERE number = ?1 AND state != 'delivered' AND (?2 IS NULL OR remote = ?2)";
            Ok(tx.prepare_cached(sql)?.execute((number, remote))?)
        })
    }
}

/// A row of [`COLUMNS`].
fn delivery(row: &Row<'_>) -> Result<Delivery, Fault> {
    let (state, token): (String, Option<String>) = (row.get(3)?, row.get(7)?);
    let at = |column| Ok::<_, Fault>(row.get::<_, Option<i64>>(column)?.map(timestamp));
    let state = match state.as_str() {
        "uploading" => DeliveryState::Uploading,
        "delivered" => {
            let text: Option<String> = row.get(10)?;
            // A receipt of a later version that cannot be read is one all the same.
            DeliveryState::Delivered(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
        }
        "parked" => DeliveryState::Parked(row.get::<_, Option<String>>(8)?.unwrap_or_default()),
        _ => DeliveryState::Pending,
    };
    let waits = matches!(state, DeliveryState::Pending | DeliveryState::Uploading);
    let offset = number(row, 6)?;
    Ok(Delivery {
        id: super::list::id(row, 0)?,
        part: row.get(1)?,
        remote: row.get(2)?,
        attempts: row.get(4)?,
        due: at(5)?.filter(|due| waits && due.as_millisecond() > 0),
        resume: token.map(|token| Resume { token, offset }),
        error: row.get(9)?,
        failed: at(11)?,
        delivered: at(12)?,
        state,
    })
}
