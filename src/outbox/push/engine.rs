//! The run itself: the lock, who is next, the uploads on their way, and when it ends.
//! Above: [`super::run`]. Below: `pick` reads and writes the queue, `attempt` makes one delivery.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until};

use super::attempt::{self, Ended, Flying, blocking};
use super::back_off::chance;
use super::pick::{self, Gate, Key, STRIKES};
use super::{Item, Options, Outcome, PushError, Summary, Until, Watcher};
use crate::outbox::remote::Remotes;
use crate::outbox::spool::{Lock, PUSH_LOCK};
use crate::outbox::store::{Durable, now_ms};
use crate::outbox::{Outbox, OutboxError};

/// How often another run's lock is tried while it is waited for.
const LOCK_AGAIN: Duration = Duration::from_millis(50);
/// How often the queue is asked for what others have put into it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often times that a clock put back has moved away are looked for.
const MEND_AGAIN: Duration = Duration::from_secs(30);

type Attempt<'a> = BoxFuture<'a, Result<Ended, OutboxError>>;

/// A remote in this run.
struct Line {
    name: Arc<str>,
    /// Due, taken from the queue.
    due: VecDeque<Key>,
    on_the_way: usize,
    /// The queue has nothing more that is due; asked again after this.
    asked: Option<Instant>,
    /// What it may be given, as far as we know; only this run changes it. `None`: it has changed.
    gate: Option<Gate>,
}

struct Run<'a> {
    outbox: &'a Outbox,
    remotes: &'a Remotes,
    options: &'a Options,
    watcher: &'a dyn Watcher,
    lines: Vec<Line>,
    attempts: FuturesUnordered<Attempt<'a>>,
    flying: Flying,
    /// Where a delivery stands in the summary.
    places: BTreeMap<Key, usize>,
    begun: u64,
    mended: Instant,
    summary: Summary,
}

pub(super) async fn run(
    outbox: &Outbox,
    remotes: &Remotes,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Summary, PushError> {
    let names = names(remotes, options)?;
    let deadline = options.max_time.map(|time| Instant::now() + time);
    if !options.jitter.is_zero() {
        sleep(options.jitter.mul_f64(chance())).await;
    }
    let _lock = lock(outbox, options.wait_lock).await?;
    let (wanted, of) = (options.clone(), names.clone());
    blocking(outbox, move |outbox| pick::prepare(outbox, &wanted, &of)).await?;
    let line =
        |name: &Arc<str>| Line { name: Arc::clone(name), due: VecDeque::new(), on_the_way: 0, asked: None, gate: None };
    let mut run = Run {
        outbox,
        remotes,
        options,
        watcher,
        lines: names.iter().map(line).collect(),
        attempts: FuturesUnordered::new(),
        flying: Flying::default(),
        places: BTreeMap::new(),
        begun: 0,
        mended: Instant::now(),
        summary: Summary::default(),
    };
    let forever = Duration::from_secs(u64::from(u32::MAX));
    tokio::select! {
        done = run.go(&names) => done?,
        () = sleep_until(deadline.unwrap_or_else(|| Instant::now() + forever)) => {}
    }
    run.end(&names).await
}

/// The remotes that are asked for.
fn names(remotes: &Remotes, options: &Options) -> Result<Vec<Arc<str>>, PushError> {
    if let Some(name) = options.to.iter().find(|name| !remotes.contains_key(*name)) {
        let known: Vec<&str> = remotes.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(PushError::NoRemote { name: name.clone(), known });
    }
    let wanted = |name: &&String| options.to.is_empty() || options.to.contains(name);
    Ok(remotes.keys().filter(wanted).map(|name| name.as_str().into()).collect())
}

async fn lock(outbox: &Outbox, wait: Duration) -> Result<Lock, PushError> {
    let until = Instant::now() + wait;
    loop {
        if let Some(lock) = blocking(outbox, |outbox| outbox.spool().lock(PUSH_LOCK)).await? {
            return Ok(lock);
        }
        if Instant::now() >= until {
            return Err(PushError::Locked { path: outbox.spool().path().to_owned() });
        }
        sleep(LOCK_AGAIN.min(until.saturating_duration_since(Instant::now()))).await;
    }
}

impl<'a> Run<'a> {
    async fn go(&mut self, names: &[Arc<str>]) -> Result<(), OutboxError> {
        loop {
            self.fill().await?;
            if self.attempts.is_empty() {
                let pause = self.pause(names).await?;
                let Some(pause) = pause else { return Ok(()) };
                sleep(pause).await;
                self.look_again().await?;
                continue;
            }
            tokio::select! {
                Some(done) = self.attempts.next() => self.ended(done?),
                () = sleep(LOOK_AGAIN) => self.look_again().await?,
            }
        }
    }

    /// How long nothing is to be done; `None`: the run is over.
    async fn pause(&mut self, names: &[Arc<str>]) -> Result<Option<Duration>, OutboxError> {
        let is_used_up = self.options.limit.is_some_and(|limit| self.begun >= limit);
        if is_used_up || self.options.until == Until::Idle {
            return Ok(None);
        }
        let (options, of) = (self.options.clone(), names.to_vec());
        let left = blocking(self.outbox, move |outbox| pick::left(outbox, &options, &of)).await?;
        let next = left.next_ms.map(|at| u64::try_from(at.saturating_sub(now_ms())).unwrap_or_default());
        match (self.options.until, next) {
            (Until::Stopped, next) => Ok(Some(next.map_or(LOOK_AGAIN, Duration::from_millis).min(LOOK_AGAIN))),
            (_, None) => Ok(None),
            // At least a moment: what is due may be beyond the age that is asked for.
            (_, Some(next)) => Ok(Some(Duration::from_millis(next.max(5)).min(LOOK_AGAIN))),
        }
    }

    async fn look_again(&mut self) -> Result<(), OutboxError> {
        for line in &mut self.lines {
            (line.asked, line.gate) = (None, None);
        }
        if self.mended.elapsed() >= MEND_AGAIN {
            self.mended = Instant::now();
            let mend = |outbox: &Outbox| outbox.write("mending times", Durable::Soon, pick::mend);
            blocking(self.outbox, mend).await?;
        }
        Ok(())
    }

    /// Begins attempts while there is room and something is due; the remote with the fewest on their way is next.
    async fn fill(&mut self) -> Result<(), OutboxError> {
        while self.attempts.len() < self.options.uploads.max(1) {
            if self.options.limit.is_some_and(|limit| self.begun >= limit) {
                return Ok(());
            }
            let mut order: Vec<usize> = (0..self.lines.len()).collect();
            order.sort_by_key(|at| self.lines.get(*at).map(|line| line.on_the_way));
            let mut found = None;
            for at in order {
                if let Some(key) = self.next_of(at).await? {
                    found = Some(key);
                    break;
                }
            }
            let Some(key) = found else { return Ok(()) };
            self.begin(key);
        }
        Ok(())
    }

    /// What is next for a remote; nothing while it is left alone.
    async fn next_of(&mut self, at: usize) -> Result<Option<Key>, OutboxError> {
        let Some(line) = self.lines.get_mut(at) else { return Ok(None) };
        if line.due.is_empty() && line.asked.is_some_and(|asked| asked.elapsed() < LOOK_AGAIN) {
            return Ok(None);
        }
        let gate = match line.gate {
            Some(gate) => gate,
            None => {
                let name = Arc::clone(&line.name);
                *line.gate.insert(blocking(self.outbox, move |outbox| pick::gate(outbox, &name)).await?)
            }
        };
        let is_probing = gate.failures >= STRIKES && line.on_the_way > 0;
        if gate.closed_until_ms > now_ms() || is_probing {
            return Ok(None);
        }
        if line.due.is_empty() {
            let (options, name) = (self.options.clone(), Arc::clone(&line.name));
            line.due = blocking(self.outbox, move |outbox| pick::due(outbox, &options, &name)).await?.into();
            if line.due.is_empty() {
                line.asked = Some(Instant::now());
            }
        }
        Ok(line.due.pop_front())
    }

    fn begin(&mut self, key: Key) {
        let Some(configured) = self.remotes.get(key.remote.as_ref()) else { return };
        if let Some(line) = self.line(&key) {
            line.on_the_way += 1;
        }
        self.begun += 1;
        let (outbox, flying, with) = (self.outbox, Arc::clone(&self.flying), (self.options, self.watcher));
        self.attempts.push(Box::pin(attempt::make(outbox, configured, (key, flying), with)));
    }

    fn ended(&mut self, ended: Ended) {
        let Ended { key, done, bytes } = ended;
        let has_arrived = matches!(done, Some((_, Outcome::Delivered)));
        if let Some(line) = self.line(&key) {
            line.on_the_way = line.on_the_way.saturating_sub(1);
            // What failed may be due again very soon.
            line.asked = None;
            line.gate = has_arrived.then(Gate::default);
        }
        self.summary.bytes += bytes;
        self.summary.delivered += u64::from(has_arrived);
        match done {
            Some((item, outcome)) => self.tell(key, item, outcome),
            None => self.begun = self.begun.saturating_sub(1),
        }
    }

    fn tell(&mut self, key: Key, item: Item, outcome: Outcome) {
        match self.places.get(&key).and_then(|at| self.summary.items.get_mut(*at)) {
            Some(told) => *told = (item, outcome),
            None => {
                self.places.insert(key, self.summary.items.len());
                self.summary.items.push((item, outcome));
            }
        }
    }

    fn line(&mut self, key: &Key) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.name == key.remote)
    }

    /// Ends what is on its way, and counts what is left.
    async fn end(mut self, names: &[Arc<str>]) -> Result<Summary, PushError> {
        drop(std::mem::take(&mut self.attempts));
        let flying = std::mem::take(&mut *self.flying.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, item) in flying {
            self.watcher.event(&super::Event::Ended(&item, &Outcome::CutShort));
            self.tell(key, item, Outcome::CutShort);
        }
        let (options, of) = (self.options.clone(), names.to_vec());
        let left = blocking(self.outbox, move |outbox| {
            pick::put_back(outbox)?;
            pick::left(outbox, &options, &of)
        });
        let left = left.await?;
        (self.summary.waiting, self.summary.parked) = (left.waiting, left.parked);
        Ok(self.summary)
    }
}
