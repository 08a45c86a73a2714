//! Following a script while it runs: its steps, the values computed for them, the variables that change.
//! Above: `pbx trace` reads, the dialplan tells. A channel that nobody follows pays one comparison a step.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::call::{
    channel::{Channel, Position},
    variables::{HIDDEN, Variables},
};

/// Lines a slow reader may be behind; what comes then is left out and counted.
pub const QUEUE: usize = 1024;

/// One thing that a script did. One line of `pbx trace --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// When.
    pub time: Timestamp,
    /// The channel's UUID.
    pub uuid: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a script did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// A step begins.
    Step {
        /// `[context]`.
        context: String,
        /// The extension.
        extension: String,
        /// Its priority.
        priority: u32,
        /// `file:line:column`, empty for a step that is in no file.
        at: String,
        /// `Application(arguments)` as it is written.
        step: String,
    },
    /// A value was computed for the step.
    Value {
        /// The value; `****` where a secret is part of it.
        value: String,
    },
    /// A variable is new or different after the step.
    Set {
        /// Its name.
        name: String,
        /// Its value, `****` for a secret; `None` when it is gone.
        value: Option<String>,
    },
    /// Some lines were left out: the reader is too slow.
    Lost {
        /// How many.
        count: usize,
    },
    /// The channel is over.
    End {
        /// Q.850 cause.
        cause: u8,
    },
}

/// Who wants to follow calls that are yet to come.
#[derive(Default)]
pub struct Traces {
    waiting: AtomicUsize,
    next: Mutex<Vec<(String, mpsc::Sender<Traced>)>>,
}

impl Traces {
    /// Follows the next call to, or from, this number.
    pub fn wait_for(&self, number: String, to: mpsc::Sender<Traced>) {
        let mut next = self.next();
        next.retain(|(_, to)| !to.is_closed());
        next.push((number, to));
        self.waiting.store(next.len(), Ordering::Relaxed);
    }

    /// Whoever waits for one of these numbers.
    fn take(&self, numbers: [&str; 2]) -> Option<mpsc::Sender<Traced>> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut next = self.next();
        next.retain(|(_, to)| !to.is_closed());
        let at = next.iter().position(|(number, _)| numbers.contains(&number.as_str()));
        let found = at.map(|at| next.remove(at).1);
        self.waiting.store(next.len(), Ordering::Relaxed);
        found
    }

    fn next(&self) -> MutexGuard<'_, Vec<(String, mpsc::Sender<Traced>)>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel's side of being followed.
pub(super) struct Tracer {
    to: mpsc::Sender<Traced>,
    /// Variables as they were told last.
    told: HashMap<String, String>,
    lost: usize,
}

impl Tracer {
    pub(super) fn new(to: mpsc::Sender<Traced>) -> Self {
        Self { to, told: HashMap::new(), lost: 0 }
    }

    fn tell(&mut self, uuid: &str, what: What) {
        let line = |what| Traced { time: Timestamp::now(), uuid: uuid.to_owned(), what };
        if self.lost > 0 && self.to.try_send(line(What::Lost { count: self.lost })).is_ok() {
            self.lost = 0;
        }
        if self.to.try_send(line(what)).is_err() {
            self.lost += 1;
        }
    }

    fn tell_changes(&mut self, uuid: &str, variables: &Variables) {
        let mut changed: Vec<(String, Option<String>)> = variables
            .iter()
            .filter(|(name, variable)| self.told.get(*name) != Some(&variable.value))
            .map(|(name, variable)| (name.to_owned(), Some(variable.value.clone())))
            .collect();
        changed.extend(self.told.keys().filter(|name| variables.find(name).is_none()).map(|name| (name.clone(), None)));
        changed.sort();
        for (name, value) in changed {
            match &value {
                Some(value) => self.told.insert(name.clone(), value.clone()),
                None => self.told.remove(&name),
            };
            let shown = if variables.is_secret(&name) { value.map(|_| HIDDEN.to_owned()) } else { value };
            self.tell(uuid, What::Set { name, value: shown });
        }
    }
}

impl Channel {
    /// Somebody follows this channel.
    pub fn is_traced(&self) -> bool {
        self.tracer.is_some()
    }

    /// Tells what the script does, to whoever follows it.
    pub fn trace(&mut self, what: What) {
        if let Some(tracer) = &mut self.tracer {
            tracer.tell(&self.leg.facts.uuid, what);
        }
    }

    /// Tells which variables have changed since this was called last.
    pub fn trace_changes(&mut self) {
        if let Some(tracer) = &mut self.tracer {
            tracer.tell_changes(&self.leg.facts.uuid, &self.variables);
        }
    }

    /// Whoever waits for a call like this one follows it from now on.
    pub fn trace_if_wanted(&mut self) {
        let Position { extension, .. } = self.position();
        if let Some(to) = self.exchange.traces.take([extension, &self.caller().number]) {
            self.tracer = Some(Box::new(Tracer::new(to)));
        }
    }

    pub(super) fn trace_end(&mut self, cause: u8) {
        self.trace_changes();
        self.trace(What::End { cause });
    }
}
