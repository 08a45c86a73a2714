//! What is in the outbox: lists of recordings, and finding one by what a user has at hand.
//! Above: `rec ls`, `rec show`, the pages of `rec serve`. Below: `store`.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::error::OutboxError;
use super::manifest::{Direction, RecordingId, State};
use super::store::{Fault, Outbox};

/// Which recordings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All whose audio is there, open ones included.
    #[default]
    All,
    /// Those that were removed after delivery as well.
    WithGone,
    /// Those a remote still waits for, parked ones included.
    Unsent,
    /// Those parked at a remote.
    Failed,
    /// Those being written.
    Open,
    /// Those that are whole, or were cut short and repaired; not open, not gone.
    Closed,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest first.
    #[default]
    Newest,
    /// The earliest first.
    Oldest,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Which.
    pub which: Which,
    /// Begun at this time or later.
    pub since: Option<Timestamp>,
    /// Begun before this time.
    pub until: Option<Timestamp>,
    /// In which numbers, names, agents, rooms, trunks and files this text stands.
    pub text: Option<String>,
    /// Of whom; `None`: of everybody.
    pub of: Option<Circle>,
    /// In which order.
    pub order: Order,
    /// At most so many; `None`: all.
    pub limit: Option<u32>,
    /// So many of them left out at the beginning.
    pub skip: u32,
}

/// Those whose recordings are meant: any of these users talked in it, or it went over any of these trunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circle {
    /// Users, as parties or as agent.
    pub users: Vec<String>,
    /// Trunks.
    pub trunks: Vec<String>,
}

/// A recording in a list; its texts are its own, or lent by the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<S = String> {
    /// Which recording.
    pub id: RecordingId,
    /// Its file, relative to the spool; `None`: gone.
    pub file: Option<S>,
    /// How far it is.
    pub state: State,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How long it is.
    pub duration: Duration,
    /// The call: its calling leg's UUID.
    pub call: S,
    /// The leg whose call is recorded.
    pub leg: S,
    /// The calling number.
    pub from: S,
    /// The caller's name.
    pub from_name: S,
    /// The dialled number.
    pub to: S,
    /// Where the call came from and went.
    pub direction: Direction,
    /// The user who talked with somebody outside.
    pub agent: Option<S>,
    /// The trunk.
    pub trunk: Option<S>,
    /// The conference room.
    pub room: Option<S>,
    /// Bytes of all its files.
    pub bytes: u64,
    /// SHA-256 of its (first) file; empty while it is open.
    pub sha256: S,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Deliveries in all: one for each file and remote.
    pub wanted: u32,
    /// Those with a receipt.
    pub delivered: u32,
    /// Those parked.
    pub parked: u32,
}

/// What a line about a recording says, lent by the queue: a hundred thousand of them are read without a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'a> {
    /// Which recording.
    pub id: &'a str,
    /// Its file, relative to the spool; `None`: gone.
    pub file: Option<&'a str>,
    /// How far it is.
    pub state: State,
    /// When it began.
    pub started: Timestamp,
    /// How long it is.
    pub duration: Duration,
    /// The calling number.
    pub from: &'a str,
    /// The dialled number.
    pub to: &'a str,
    /// Where the call came from and went.
    pub direction: Direction,
    /// Deliveries in all: one for each file and remote.
    pub wanted: u32,
    /// Those with a receipt.
    pub delivered: u32,
    /// Those parked.
    pub parked: u32,
}

pub(super) const LINE_COLUMNS: &str =
    "id, file, state, started_ms, duration_ms, from_number, to_number, direction, wanted, delivered, parked";

const COLUMNS: &str = "id, file, state, started_ms, ended_ms, duration_ms, call, leg, from_number, from_name, to_number, direction, \
                       agent, trunk, room, bytes, sha256, sealed, wanted, delivered, parked";

/// Those whose name's last part is this.
const CALLED: &str = "SELECT id FROM recordings
    WHERE stem IS NOT NULL AND replace(stem, rtrim(stem, replace(stem, '/', '')), '') = ?1 ORDER BY number";

impl Outbox {
    /// All that the filter lets through.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Listed>, OutboxError> {
        let mut found = Vec::new();
        self.each(filter, &mut |listed| {
            found.push(listed);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The same one by one, for lists that are long; all as of one moment.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn each(&self, filter: &Filter, take: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<(), OutboxError> {
        self.each_row(COLUMNS, filter, |row| Ok(take(listed(row)?)))
    }

    /// The same without a copy of their texts.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn each_lent(
        &self,
        filter: &Filter,
        take: &mut dyn FnMut(&Listed<&str>) -> ControlFlow<()>,
    ) -> Result<(), OutboxError> {
        self.each_row(COLUMNS, filter, |row| Ok(take(&listed(row)?)))
    }

    /// The same, no more than a line about each.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn each_line(
        &self,
        filter: &Filter,
        take: &mut dyn FnMut(&Line<'_>) -> ControlFlow<()>,
    ) -> Result<(), OutboxError> {
        self.each_row(LINE_COLUMNS, filter, |row| Ok(take(&line(row)?)))
    }

    /// How many the filter lets through, its limit and skip left out of account.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn count(&self, filter: &Filter) -> Result<u64, OutboxError> {
        let (clause, values) = clause(filter);
        let sql = match filter {
            // Of all that are in a state it is known how many there are.
            Filter {
                which: Which::All | Which::WithGone | Which::Open | Which::Closed,
                since: None,
                until: None,
                text: None,
                of: None,
                ..
            } => format!("SELECT coalesce(sum(many), 0) FROM counted_recordings {clause}"),
            _ => format!("SELECT count(*) FROM recordings {clause}"),
        };
        self.read("counting recordings", |tx| {
            Ok(tx.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| number(row, 0))?)
        })
    }

    /// A recording as it stands in a list; `None`: there is none with this id.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn listed(&self, id: RecordingId) -> Result<Option<Listed>, OutboxError> {
        let sql = format!("SELECT {COLUMNS} FROM recordings WHERE id = ?1");
        self.read("reading a recording", |tx| {
            let mut statement = tx.prepare_cached(&sql)?;
            let mut rows = statement.query([id.to_string()])?;
            rows.next()?.map(listed).transpose()
        })
    }

    /// The recordings whose (first) file has this name, its folders and its extension left out.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn called(&self, last: &str) -> Result<Vec<RecordingId>, OutboxError> {
        self.read("looking for a name", |tx| {
            let mut statement = tx.prepare_cached(CALLED)?;
            let (mut rows, mut found) = (statement.query([last])?, Vec::new());
            while let Some(row) = rows.next()? {
                found.push(id(row, 0)?);
            }
            Ok(found)
        })
    }

    /// The recordings a user may mean: by their id or its beginning (at least 4 digits), their file's name with or without its
    /// extension, their call's or leg's UUID, or its `UNIQUEID`.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub fn find(&self, text: &str) -> Result<Vec<RecordingId>, OutboxError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let is_start = text.len() >= 4 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let start = is_start.then(|| text.to_ascii_lowercase());
        self.read("looking for a recording", |tx| {
            let mut statement = tx.prepare_cached(
                "SELECT id FROM recordings WHERE (?1 IS NOT NULL AND id >= ?1 AND id < ?1 || 'g')
                 UNION SELECT id FROM recordings WHERE stem = ?2
                 UNION SELECT id FROM recordings WHERE stem = ?3 AND file = ?2
                 UNION SELECT id FROM recordings WHERE call = ?2
                 UNION SELECT id FROM recordings WHERE leg = ?2
                 UNION SELECT id FROM recordings WHERE uniqueid = ?2",
            )?;
            let mut found = Vec::new();
            let mut rows = statement.query((start, text, super::manifest::stem(text)))?;
            while let Some(row) = rows.next()? {
                found.push(id(row, 0)?);
            }
            Ok(found)
        })
    }
}

pub(super) fn clause(filter: &Filter) -> (String, Vec<Value>) {
    let mut terms: Vec<String> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    match filter.which {
        Which::All => terms.push("state != 'gone'".into()),
        Which::WithGone => {}
        Which::Unsent => terms.push("delivered < wanted".into()),
        Which::Failed => terms.push("delivered < wanted AND parked > 0".into()),
        Which::Open => terms.push("state = 'open'".into()),
        Which::Closed => terms.push("state IN ('finished', 'interrupted')".into()),
    }
    if let Some(since) = filter.since {
        values.push(since.as_millisecond().into());
        terms.push(format!("started_ms >= ?{}", values.len()));
    }
    if let Some(until) = filter.until {
        values.push(until.as_millisecond().into());
        terms.push(format!("started_ms < ?{}", values.len()));
    }
    if let Some(text) = &filter.text {
        values.push(text.clone().into());
        let at = values.len();
        let columns = ["from_number", "from_name", "to_number", "agent", "room", "trunk", "file", "call", "id"];
        // Not LIKE: `%` and `_` of a user are themselves. Lower case as SQLite has it: of ASCII.
        let any: Vec<String> =
            columns.iter().map(|column| format!("instr(lower(coalesce({column}, '')), lower(?{at})) > 0")).collect();
        terms.push(format!("({})", any.join(" OR ")));
    }
    if let Some(Circle { users, trunks }) = &filter.of {
        let mut of = |kind: &str, names: &[String]| {
            let first = values.len() + 1;
            values.extend(names.iter().map(|name| Value::from(name.clone())));
            let marks: Vec<String> = (first..=values.len()).map(|at| format!("?{at}")).collect();
            format!("SELECT number FROM concerns WHERE kind = '{kind}' AND name IN ({})", marks.join(", "))
        };
        let (users, trunks) = (of("user", users), of("trunk", trunks));
        terms.push(format!("number IN ({users} UNION {trunks})"));
    }
    let clause = if terms.is_empty() { String::new() } else { format!("WHERE {}", terms.join(" AND ")) };
    (clause, values)
}

fn listed<'a, S: From<&'a str>>(row: &'a Row<'_>) -> Result<Listed<S>, Fault> {
    let word = |at: usize| Ok::<_, Fault>(row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?);
    let text = |at: usize| Ok::<_, Fault>(S::from(word(at)?));
    let maybe = |at: usize| {
        let text = row.get_ref(at)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        Ok::<_, Fault>(text.map(S::from))
    };
    Ok(Listed {
        id: id(row, 0)?,
        file: maybe(1)?,
        state: State::of(word(2)?).unwrap_or_default(),
        started: timestamp(row.get(3)?),
        ended: row.get::<_, Option<i64>>(4)?.map(timestamp),
        duration: Duration::from_millis(number(row, 5)?),
        call: text(6)?,
        leg: text(7)?,
        from: text(8)?,
        from_name: text(9)?,
        to: text(10)?,
        direction: Direction::of(word(11)?).unwrap_or_default(),
        agent: maybe(12)?,
        trunk: maybe(13)?,
        room: maybe(14)?,
        bytes: number(row, 15)?,
        sha256: text(16)?,
        sealed: row.get(17)?,
        wanted: row.get(18)?,
        delivered: row.get(19)?,
        parked: row.get(20)?,
    })
}

fn line<'a>(row: &'a Row<'_>) -> Result<Line<'a>, Fault> {
    let text = |at: usize| row.get_ref(at).and_then(|value| Ok(value.as_str()?));
    Ok(Line {
        id: text(0)?,
        file: row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)?,
        state: State::of(text(2)?).unwrap_or_default(),
        started: timestamp(row.get(3)?),
        duration: Duration::from_millis(number(row, 4)?),
        from: text(5)?,
        to: text(6)?,
        direction: Direction::of(text(7)?).unwrap_or_default(),
        wanted: row.get(8)?,
        delivered: row.get(9)?,
        parked: row.get(10)?,
    })
}

/// A column that holds an id.
pub(super) fn id(row: &Row<'_>, at: usize) -> Result<RecordingId, Fault> {
    let text = row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?;
    let wrong = |error| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error));
    Ok(text.parse().map_err(|error: uuid::Error| wrong(error))?)
}

/// Milliseconds since 1970 as a time; those no calendar has are its ends.
pub(super) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A column that counts something: never below zero.
pub(super) fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::walk::listing;

    #[test]
    fn the_recordings_of_a_few_are_found_without_a_walk_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&folder.path().join("spool")).unwrap();
        let plan = |sql: &str, values: Vec<Value>| -> String {
            let steps = outbox.read("planning", |tx| {
                let mut statement = tx.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3))?;
                Ok(steps.collect::<Result<Vec<_>, _>>()?.join("\n"))
            });
            steps.unwrap()
        };
        let of = Circle { users: vec!["1001".into(), "1002".into()], trunks: vec!["icall".into()] };
        for order in [Order::Newest, Order::Oldest] {
            let filter =
                Filter { of: Some(of.clone()), which: Which::Closed, order, limit: Some(51), ..Filter::default() };
            let (sql, values) = listing(COLUMNS, &filter);
            let steps = plan(&sql, values);
            assert!(steps.contains("SEARCH recordings USING INTEGER PRIMARY KEY"), "{steps}");
            assert!(!steps.contains("SCAN recordings") && !steps.contains("SCAN concerns"), "{steps}");
        }
        let (sql, values) = (CALLED, vec!["a".to_owned().into()]);
        let steps = plan(sql, values);
        assert!(steps.contains("USING INDEX recordings_by_last_name"), "{steps}");
    }
}
