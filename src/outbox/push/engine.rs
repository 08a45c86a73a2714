//! The run itself: the lock, who is next, the uploads on their way, and when it ends.
//! Above: [`super::run`]. Below: `pick` reads and writes the queue, `attempt` makes one delivery.
//!
//! Uploads do not wait for the disk: receipts that came while it was busy are kept together, in the same turn in which the next attempts
//! are put into the queue. So the more uploads end in the time that a turn takes, the more begin with it; and those that have ended
//! without being kept are never more than three times as many as are made at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::attempt::{self, Came, Ended, Flying, blocking};
use super::back_off::chance;
use super::pick::{self, Claim, Gate, Key, STRIKES, Turn};
use super::{Event, Item, Options, Outcome, PushError, Summary, Until, Watcher};
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
/// Comes back with what was asked for, and the claims.
type Taken<'a> = BoxFuture<'a, (Turn, Result<Vec<Option<Claim>>, OutboxError>)>;

/// A remote in this run.
struct Line {
    name: Arc<str>,
    /// Due, taken from the queue.
    due: VecDeque<Key>,
    /// From the moment it is taken from those until its attempt has ended.
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
    /// In the queue as begun.
    ready: VecDeque<Claim>,
    /// What the next turn is for.
    next: Turn,
    /// A turn that is being taken, and how many receipts it keeps.
    turn: Option<(Taken<'a>, usize)>,
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
    let began = async {
        if !options.jitter.is_zero() {
            sleep(options.jitter.mul_f64(chance())).await;
        }
        lock(outbox, options.wait_lock).await
    };
    let _lock = tokio::select! {
        // First: a lock that nobody waits for any more is held for a moment all the same, and the next run would meet it.
        biased;
        () = options.stop.asked() => return Ok(Summary::default()),
        lock = began => lock?,
    };
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
        ready: VecDeque::new(),
        next: Turn::default(),
        turn: None,
        flying: Flying::default(),
        places: BTreeMap::new(),
        begun: 0,
        mended: Instant::now(),
        summary: Summary::default(),
    };
    let forever = Duration::from_secs(u64::from(u32::MAX));
    let done = tokio::select! {
        done = run.go(&names) => done,
        () = sleep_until(deadline.unwrap_or_else(|| Instant::now() + forever)) => Ok(()),
        () = options.stop.asked() => Ok(()),
    };
    // Whatever went wrong: what has arrived is kept first.
    let kept = run.keep().await;
    done.and(kept)?;
    run.end(&names).await
}

/// Done when the turn that is being taken is; never, if none is.
async fn taken(turn: &mut Option<(Taken<'_>, usize)>) -> (Turn, Result<Vec<Option<Claim>>, OutboxError>) {
    let Some((taken, _)) = turn else { return std::future::pending().await };
    let done = taken.await;
    *turn = None;
    done
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
            self.begin();
            self.take_turn().await?;
            if self.attempts.is_empty() && self.turn.is_none() {
                let pause = self.pause(names).await?;
                let Some(pause) = pause else { return Ok(()) };
                sleep(pause).await;
                self.look_again().await?;
                continue;
            }
            tokio::select! {
                Some(done) = self.attempts.next() => self.ended(done?),
                (turn, claims) = taken(&mut self.turn) => self.over(turn, claims)?,
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
        match (self.options.until, left.next_in()) {
            (Until::Stopped, next) => Ok(Some(next.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN))),
            (_, None) => Ok(None),
            // At least a moment: what is due may be beyond the age that is asked for.
            (_, Some(next)) => Ok(Some(next.clamp(Duration::from_millis(5), LOOK_AGAIN))),
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

    /// Begins what is in the queue as begun, while there is room.
    fn begin(&mut self) {
        while self.attempts.len() < self.uploads() && self.unkept() < 2 * self.uploads() {
            let Some(claim) = self.ready.pop_front() else { return };
            let Some(configured) = self.remotes.get(claim.key.remote.as_ref()) else { continue };
            let (flying, with) = (Arc::clone(&self.flying), (self.options, self.watcher));
            self.attempts.push(Box::pin(attempt::make(self.outbox, configured, (claim, flying), with)));
        }
    }

    fn uploads(&self) -> usize {
        self.options.uploads.max(1)
    }

    /// Receipts that have come and are not on the disk.
    fn unkept(&self) -> usize {
        self.next.arrived.len() + self.turn.as_ref().map_or(0, |(_, receipts)| *receipts)
    }

    /// Begins a turn, if none is being taken and there is something to do in it.
    async fn take_turn(&mut self) -> Result<(), OutboxError> {
        if self.turn.is_some() {
            return Ok(());
        }
        self.fill().await?;
        let turn = std::mem::take(&mut self.next);
        if turn.arrived.is_empty() && turn.put_back.is_empty() && turn.next.is_empty() {
            return Ok(());
        }
        let (outbox, receipts) = (self.outbox, turn.arrived.len());
        let taken = async move {
            blocking(outbox, move |outbox| {
                let claims = pick::turn(outbox, &turn);
                (turn, claims)
            })
            .await
        };
        self.turn = Some((Box::pin(taken), receipts));
        Ok(())
    }

    /// Takes from what is due as much as there is room for, and as is likely to find room while the turn is taken; the remote with the
    /// fewest on their way is next.
    async fn fill(&mut self) -> Result<(), OutboxError> {
        // One that ended alone says nothing: then uploads are long, and nothing is begun before its time.
        let ahead = if self.next.arrived.len() > 1 { self.next.arrived.len().min(self.uploads()) } else { 0 };
        let room = (self.uploads() + ahead).saturating_sub(self.attempts.len() + self.ready.len());
        while self.next.next.len() < room {
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
            if let Some(line) = self.line(&key.remote) {
                line.on_the_way += 1;
            }
            self.begun += 1;
            self.next.next.push(key);
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

    /// An upload has ended.
    fn ended(&mut self, ended: Ended) {
        let Ended { claim, came, bytes } = ended;
        self.summary.bytes += bytes;
        let outcome = match came {
            Came::There(receipt) => return self.next.arrived.push((claim, receipt, now_ms())),
            Came::Not(outcome) => outcome,
        };
        self.leaves(&claim.key);
        if let Some(line) = self.line(&claim.key.remote) {
            line.gate = None;
        }
        // What is ready for the same remote waits until it is known how that is.
        let (of_it, others): (Vec<Claim>, _) =
            std::mem::take(&mut self.ready).into_iter().partition(|ready| ready.key.remote == claim.key.remote);
        self.ready = others.into();
        for ready in of_it.into_iter().rev() {
            self.begun = self.begun.saturating_sub(1);
            self.leaves(&ready.key);
            self.next.put_back.push(ready.key);
        }
        self.tell(claim.key, claim.item, outcome);
    }

    /// A turn has been taken: its receipts count.
    fn turned(&mut self, turn: Turn, claims: Vec<Option<Claim>>) {
        for (claim, ..) in turn.arrived {
            self.watcher.event(&Event::Ended(&claim.item, &Outcome::Delivered));
            self.leaves(&claim.key);
            if let Some(line) = self.line(&claim.key.remote) {
                line.gate = None;
            }
            self.summary.delivered += 1;
            self.tell(claim.key, claim.item, Outcome::Delivered);
        }
        for (key, claim) in turn.next.into_iter().zip(claims) {
            match claim {
                Some(claim) => self.ready.push_back(claim),
                None => {
                    self.begun = self.begun.saturating_sub(1);
                    self.leaves(&key);
                }
            }
        }
        for key in turn.put_back {
            if let Some(line) = self.line(&key.remote) {
                line.asked = None;
            }
        }
    }

    /// Nothing is on its way of this delivery any more.
    fn leaves(&mut self, key: &Key) {
        if let Some(line) = self.line(&key.remote) {
            line.on_the_way = line.on_the_way.saturating_sub(1);
            // What failed may be due again very soon.
            line.asked = None;
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

    fn line(&mut self, remote: &Arc<str>) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.name == *remote)
    }

    /// A turn is over; when it has failed, its receipts are still to be kept.
    fn over(&mut self, turn: Turn, claims: Result<Vec<Option<Claim>>, OutboxError>) -> Result<(), OutboxError> {
        match claims {
            Ok(claims) => self.turned(turn, claims),
            Err(error) => {
                self.next.arrived.extend(turn.arrived);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends what is on its way, and keeps what has arrived, whatever the time and whatever has failed; the first thing that fails now.
    async fn keep(&mut self) -> Result<(), OutboxError> {
        let mut kept = Ok(());
        while let Some(Some(done)) = self.attempts.next().now_or_never() {
            kept = kept.and(done.map(|done| self.ended(done)));
        }
        drop(std::mem::take(&mut self.attempts));
        if self.turn.is_some() {
            let (turn, claims) = taken(&mut self.turn).await;
            kept = kept.and(self.over(turn, claims));
        }
        let last = Turn { arrived: std::mem::take(&mut self.next.arrived), ..Turn::default() };
        self.next = Turn::default();
        if last.arrived.is_empty() {
            return kept;
        }
        let turn = blocking(self.outbox, move |outbox| {
            let claims = pick::turn(outbox, &last);
            (last, claims)
        });
        let (last, claims) = turn.await;
        kept.and(self.over(last, claims))
    }

    /// Tells of what was cut short, and counts what is left.
    async fn end(mut self, names: &[Arc<str>]) -> Result<Summary, PushError> {
        let flying = std::mem::take(&mut *self.flying.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, item) in flying {
            self.watcher.event(&Event::Ended(&item, &Outcome::CutShort));
            self.tell(key, item, Outcome::CutShort);
        }
        let (options, of) = (self.options.clone(), names.to_vec());
        let left = blocking(self.outbox, move |outbox| {
            pick::put_back(outbox)?;
            pick::left(outbox, &options, &of)
        });
        let left = left.await?;
        (self.summary.waiting, self.summary.parked) = (left.waiting, left.parked);
        self.summary.next = left.next_in();
        Ok(self.summary)
    }
}
