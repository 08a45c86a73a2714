//! A run that delivers what is due: at most one a spool, up to 8 uploads at once.
//! Above: `rec push`, `rec watch`, and the server for remotes with `when = "ended"`. Below: the remotes, and the queue.

mod attempt;
mod back_off;
mod engine;
mod pick;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::manifest::RecordingId;
use super::remote::Remotes;
use super::{Order, Outbox, OutboxError};

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// These recordings alone; empty: all that wait.
    pub ids: Vec<RecordingId>,
    /// To these remotes alone; empty: to all. With [`Options::ids`], a remote that never wanted them gets them all the same.
    pub to: Vec<String>,
    /// Only recordings that began so short a time ago.
    pub max_age: Option<Duration>,
    /// At most so many deliveries.
    pub limit: Option<u64>,
    /// Which first.
    pub order: Order,
    /// Ends by then, uploads that are on their way included: they go on in the next run.
    pub max_time: Option<Duration>,
    /// Begins after a time by chance, of at most this.
    pub jitter: Duration,
    /// Waits so long for another run to end.
    pub wait_lock: Duration,
    /// Waiting times, by item and by remote, do not count, and what is parked is tried again.
    pub now: Eagerness,
    /// When it ends.
    pub until: Until,
    /// Ends it when somebody asks for that, as [`Options::max_time`] does.
    pub stop: Stop,
    /// Uploads at once.
    pub uploads: usize,
    /// An attempt of which nothing is heard for so long has failed.
    pub stall: Duration,
    /// The time to the second attempt, and the longest between two: doubled from attempt to attempt.
    pub back_off: BackOff,
}

/// Whether waiting times count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eagerness {
    /// What is due.
    #[default]
    Due,
    /// Everything, parked or not.
    Now,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// When nothing more is due: for cron.
    #[default]
    Idle,
    /// When nothing waits any more: it stays for the back-off of what failed.
    Done,
    /// When it is stopped: new recordings are sent as they are finished.
    Stopped,
}

/// Asks a run to end. What has arrived by then is kept; what is on its way goes on in the next run. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Asks for it.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    /// Done when it has been asked for.
    pub async fn asked(&self) {
        // It cannot be closed: we have the sender.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}

/// How long to wait after failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// After the first.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            to: Vec::new(),
            max_age: None,
            limit: None,
            order: Order::Oldest,
            max_time: None,
            jitter: Duration::ZERO,
            wait_lock: Duration::ZERO,
            now: Eagerness::Due,
            until: Until::Idle,
            stop: Stop::default(),
            uploads: 8,
            stall: Duration::from_secs(60),
            back_off: BackOff { first: Duration::from_secs(1), most: Duration::from_secs(300) },
        }
    }
}

/// A delivery, as a run tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which recording.
    pub id: RecordingId,
    /// Which of its files, from 1.
    pub part: u32,
    /// The call's UUID.
    pub call: String,
    /// The file, relative to the spool.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// To which remote.
    pub remote: String,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived, and its receipt is stored.
    Delivered,
    /// It failed, and is tried again at this time.
    Waiting {
        /// What failed, naming recording, call, file, remote, URL and attempt.
        error: String,
        /// In how long.
        after: Duration,
    },
    /// It failed, and is not tried again by itself.
    Parked {
        /// What failed, naming recording, call, file, remote, URL and attempt.
        error: String,
        /// In a word or two: `vanished`, `changed`, `refused`, `given up`.
        reason: String,
    },
    /// The run ended first.
    CutShort,
}

/// What a run tells while it goes on.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// An attempt begins.
    Started(&'a Item),
    /// So many bytes more have left.
    Sent(&'a Item, u64),
    /// An attempt has ended.
    Ended(&'a Item, &'a Outcome),
}

/// Told what a run does.
pub trait Watcher: Send + Sync {
    /// Called from the run's own tasks: not to wait in.
    fn event(&self, event: &Event<'_>);
}

impl Watcher for () {
    fn event(&self, _event: &Event<'_>) {}
}

/// What a run did, and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Every delivery that was tried, with the last that became of it, in the order of first trial.
    pub items: Vec<(Item, Outcome)>,
    /// Delivered in this run.
    pub delivered: u64,
    /// Of what was asked for (recordings and remotes), still waiting.
    pub waiting: u64,
    /// In how long the next of that is due, where anything waits and its remote is not gone.
    pub next: Option<Duration>,
    /// Of what was asked for, parked.
    pub parked: u64,
    /// Bytes that left.
    pub bytes: u64,
}

/// What a run comes to, as `cli.md` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is undelivered (exit 0).
    Done,
    /// Something still waits (exit 75).
    Waiting,
    /// Something is parked (exit 6).
    Parked,
}

impl Summary {
    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.parked, self.waiting) {
            (0, 0) => Verdict::Done,
            (0, _) => Verdict::Waiting,
            _ => Verdict::Parked,
        }
    }
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Another one goes on (exit 75).
    #[error("{}: another run pushes this spool", path.display())]
    Locked {
        /// The spool.
        path: std::path::PathBuf,
    },
    /// A remote was named that is not configured.
    #[error("there is no remote `{name}`, known are {known}")]
    NoRemote {
        /// The name.
        name: String,
        /// Those that are configured.
        known: String,
    },
    /// The queue or the spool failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// Delivers what is due, until [`Options::stop`] is asked for at the latest. Dropping the future ends the run too, but then what has
/// arrived and waits for the disk is sent once more by the next.
///
/// # Errors
/// There was no run, or the queue failed in it.
pub async fn run(
    outbox: &Outbox,
    remotes: &Remotes,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Summary, PushError> {
    engine::run(outbox, remotes, options, watcher).await
}
