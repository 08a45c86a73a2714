//! In which order the rows of a list are read: all recordings are read much faster as they lie in the file, one after the other, than
//! through the index of their beginnings, with a search for each. Above: `list`. Below: `store`.
//!
//! A file holds them in the order in which they were put into the queue. That is the order in which they began, but for a clock that
//! was put back and for older ones that were imported: then it is a few such orders, one after the other, here called runs.

use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params_from_iter};

use super::error::OutboxError;
use super::list::{Filter, Order, Which, clause};
use super::store::{Fault, Outbox};

/// The numbers and beginnings of all in the order in which they began, from the index alone.
const BEGINNINGS: &str =
    "SELECT number, started_ms FROM recordings INDEXED BY recordings_by_start ORDER BY started_ms, number";

/// More runs than this are read through the index.
const MOST_RUNS: usize = 256;

/// Recordings that began in the order of their numbers, none of another run between them in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    numbers: (i64, i64),
    started_ms: (i64, i64),
}

impl Outbox {
    /// Gives out the rows that the filter lets through, in its order.
    pub(super) fn each_row(
        &self,
        columns: &str,
        filter: &Filter,
        mut take: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), OutboxError> {
        self.read("listing recordings", |tx| {
            let Some(mut runs) = long_runs(tx, filter)? else {
                return each(tx, listing(columns, filter), &mut take).map(drop);
            };
            if filter.order == Order::Newest {
                runs.reverse();
            }
            for run in runs {
                if each(tx, listing_run(columns, filter, run), &mut take)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

fn each(
    tx: &Transaction<'_>,
    (sql, values): (String, Vec<Value>),
    take: &mut impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, Fault>,
) -> Result<ControlFlow<()>, Fault> {
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        if take(row)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The runs of a list that holds nearly all recordings; `None`: it does not, or they are not worth it.
fn long_runs(tx: &Transaction<'_>, filter: &Filter) -> Result<Option<Vec<Run>>, Fault> {
    let is_long = matches!(filter.which, Which::All | Which::WithGone | Which::Closed);
    if !is_long
        || filter.since.is_some()
        || filter.until.is_some()
        || filter.of.is_some()
        || filter.limit.is_some()
        || filter.skip > 0
    {
        return Ok(None);
    }
    let mut statement = tx.prepare_cached(BEGINNINGS)?;
    let (mut rows, mut runs, mut count) = (statement.query(())?, Vec::<Run>::new(), 0_i64);
    while let Some(row) = rows.next()? {
        let (number, started_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
        count += 1;
        if let Some(run) = runs.last_mut().filter(|run| run.numbers.1 < number) {
            (run.numbers.1, run.started_ms.1) = (number, started_ms);
        } else if runs.len() == MOST_RUNS {
            return Ok(None);
        } else {
            runs.push(Run { numbers: (number, number), started_ms: (started_ms, started_ms) });
        }
    }
    // Runs that lie in one another are read once for each.
    let read = runs.iter().fold(0_i64, |sum, run| sum.saturating_add(run.numbers.1.saturating_sub(run.numbers.0)));
    Ok((read <= count.saturating_mul(2)).then_some(runs))
}

/// The statement that lists what the filter lets through.
pub(super) fn listing(columns: &str, filter: &Filter) -> (String, Vec<Value>) {
    let (clause, values) = clause(filter);
    let order = match (filter.order, &filter.of) {
        (Order::Newest, None) => "ORDER BY started_ms DESC, number DESC",
        (Order::Oldest, None) => "ORDER BY started_ms, number",
        // The `+` keeps SQLite from walking all recordings in their order to find those of a few.
        (Order::Newest, Some(_)) => "ORDER BY +started_ms DESC, +number DESC",
        (Order::Oldest, Some(_)) => "ORDER BY +started_ms, +number",
    };
    let limit = filter.limit.map_or(-1, i64::from);
    (format!("SELECT {columns} FROM recordings {clause} {order} LIMIT {limit} OFFSET {}", filter.skip), values)
}

/// The same for a run.
fn listing_run(columns: &str, filter: &Filter, run: Run) -> (String, Vec<Value>) {
    let (mut clause, mut values) = clause(filter);
    let at = values.len();
    let word = if clause.is_empty() { "WHERE" } else { "AND" };
    // The `+` keeps SQLite from the index.
    clause.push_str(&format!(
        " {word} number BETWEEN ?{} AND ?{} AND +started_ms BETWEEN ?{} AND ?{}",
        at + 1,
        at + 2,
        at + 3,
        at + 4
    ));
    values.extend([run.numbers.0, run.numbers.1, run.started_ms.0, run.started_ms.1].map(Value::from));
    let order = if filter.order == Order::Newest { " DESC" } else { "" };
    (format!("SELECT {columns} FROM recordings {clause} ORDER BY number{order}"), values)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::outbox::Manifest;
    use crate::outbox::list::LINE_COLUMNS;

    /// The ids of a list, read in both ways.
    fn both_ways(outbox: &Outbox, filter: &Filter) -> [Vec<String>; 2] {
        let slow = outbox.read("listing", |tx| {
            let mut ids: Vec<String> = Vec::new();
            let _ = each(tx, listing("id", filter), &mut |row| {
                ids.push(row.get(0)?);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(ids)
        });
        let mut quick = Vec::new();
        outbox
            .each_row("id", filter, |row| {
                quick.push(row.get(0)?);
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        [slow.unwrap(), quick]
    }

    fn began_at(outbox: &Outbox, starts: &[i64]) {
        for start in starts {
            let started = Timestamp::from_second(1_780_000_000 + start).unwrap();
            outbox.begin(&Manifest::new("n.wav", started)).unwrap();
        }
    }

    #[test]
    fn a_long_list_is_read_as_it_lies_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&folder.path().join("spool")).unwrap();
        let run = Run { numbers: (1, 2), started_ms: (3, 4) };
        let (of_run, values) = listing_run(LINE_COLUMNS, &Filter::default(), run);
        for (sql, values, step) in [
            (BEGINNINGS.to_owned(), Vec::new(), "USING COVERING INDEX recordings_by_start"),
            (of_run, values, "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ] {
            let steps = outbox.read("planning", |tx| {
                let mut statement = tx.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3))?;
                Ok(steps.collect::<Result<Vec<_>, _>>()?)
            });
            let steps = steps.unwrap();
            assert!(steps.len() == 1 && steps[0].contains(step), "{steps:?}");
        }
        began_at(&outbox, &[5, 6, 6, 9, 1, 2, 3, 4]);
        let runs = outbox.read("reading", |tx| long_runs(tx, &Filter::default())).unwrap().unwrap();
        assert_eq!(runs.iter().map(|run| run.numbers).collect::<Vec<_>>(), [(5, 8), (1, 4)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn both_ways_lead_to_the_same_list(starts in prop::collection::vec(0_i64..12, 0..14)) {
            let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
            let outbox = Outbox::open(&folder.path().join("spool")).unwrap();
            began_at(&outbox, &starts);
            for order in [Order::Newest, Order::Oldest] {
                for text in [None, Some("n-1".to_owned())] {
                    let [slow, quick] = both_ways(&outbox, &Filter { order, text, ..Filter::default() });
                    prop_assert_eq!(slow, quick);
                }
            }
        }
    }
}
