//! The event journal: what happened, numbered, kept a while so that a reader can resume (`pbx events`).
//! Above: everything in `call` notes events here. Below: the control server subscribes.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::broadcast;

/// How many events a late reader can go back.
const KEPT: usize = 4096;

/// Something that happened. One line of `pbx events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Counts from 1 since the server started.
    pub seq: u64,
    /// When.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// `call.started`, `call.ended`, `registration.added`…
    pub kind: String,
    /// What the kind carries.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl EventRecord {
    /// Whether one of `types` names this kind or a family of it; no types name everything.
    pub fn is_of(&self, types: &[String]) -> bool {
        types.is_empty()
            || types.iter().any(|wanted| {
                self.kind.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
    }
}

/// RFC 3339 in UTC with milliseconds.
fn milliseconds<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.3}"))
}

/// All events of this server's life, the last 4,096 of them readable again.
pub struct Journal {
    kept: Mutex<Kept>,
    live: broadcast::Sender<EventRecord>,
}

struct Kept {
    next: u64,
    entries: VecDeque<EventRecord>,
}

impl Default for Journal {
    fn default() -> Self {
        let (live, _) = broadcast::channel(1024);
        Self { kept: Mutex::new(Kept { next: 1, entries: VecDeque::new() }), live }
    }
}

impl Journal {
    /// Notes one event.
    pub fn note(&self, kind: &str, fields: Value) {
        let mut kept = self.lock();
        let fields = match fields {
            Value::Object(fields) => fields,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        let entry = EventRecord { seq: kept.next, time: Timestamp::now(), kind: kind.into(), fields };
        kept.next += 1;
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
        }
        // Sent under the lock, so that `subscribe` can neither miss an event nor see it twice. No reader is no error.
        if self.live.receiver_count() > 0 {
            let _ = self.live.send(entry.clone());
        }
        kept.entries.push_back(entry);
    }

    /// Events after number `since` that are still kept (none for `None`), and all that will come.
    pub fn subscribe(&self, since: Option<u64>) -> (Vec<EventRecord>, broadcast::Receiver<EventRecord>) {
        let kept = self.lock();
        let past = since.map(|seq| kept.entries.iter().filter(|e| e.seq > seq).cloned().collect()).unwrap_or_default();
        (past, self.live.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_resumes_where_it_stopped_and_misses_nothing() {
        let journal = Journal::default();
        for _ in 0..3 {
            journal.note("call.started", serde_json::json!({}));
        }
        let (past, mut live) = journal.subscribe(Some(1));
        assert_eq!(past.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3]);
        journal.note("call.ended", serde_json::json!({}));
        assert_eq!(live.try_recv().unwrap().seq, 4);
    }

    #[test]
    fn only_a_bounded_past_is_kept() {
        let journal = Journal::default();
        for _ in 0..KEPT + 10 {
            journal.note("call.started", serde_json::json!({}));
        }
        assert_eq!(journal.subscribe(Some(0)).0.len(), KEPT);
    }

    #[test]
    fn a_type_names_its_kind_and_its_family_and_nothing_that_only_begins_alike() {
        let event = EventRecord {
            seq: 1,
            time: Timestamp::UNIX_EPOCH,
            kind: "call.started".into(),
            fields: Default::default(),
        };
        assert!(event.is_of(&[]));
        assert!(event.is_of(&["call".into()]));
        assert!(event.is_of(&["x".into(), "call.started".into()]));
        assert!(!event.is_of(&["cal".into()]));
        assert!(!event.is_of(&["call.start".into()]));
    }
}
