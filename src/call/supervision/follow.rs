//! Keeping up with the target: whatever changes about parties, groups and rights is weighed at once, and the session ends with
//! the target's leg or with the right.
//! Above: `session` spawns it. Below: `state` settles.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::{
    call::{
        live::LegFacts,
        supervision::{
            parties::is_local,
            record,
            refused::SpyError,
            session::{End, Ended},
            state::{Core, Settled},
        },
        talks::Talks,
    },
    media,
};

/// Follows the target until the session is over.
pub(super) async fn follow(core: Arc<Core>, mut told: mpsc::Receiver<media::Event>) {
    loop {
        // Before it is settled, so that no change is missed.
        let mut watched = Watched::of(&core);
        core.settle_on_record().await;
        if core.lock().is_over {
            return;
        }
        tokio::select! {
            () = core.nudge.notified() => {}
            () = watched.changed() => {}
            Some(event) = told.recv() => match event {
                // A port went to another media thread under the tap: it is put there again.
                media::Event::SideEmpty { .. } => core.let_go(),
                media::Event::TapEnded { .. } => return core.end(Ended::Left),
                _ => {}
            },
        }
    }
}

impl Core {
    /// Settles, and puts on record what comes of it.
    pub(super) async fn settle_on_record(&self) {
        let _one = self.changing.lock().await;
        loop {
            let settled = self.settle();
            if let Err(error) = self.record_changes().await {
                return self.end(Ended::Refused(error));
            }
            match settled {
                Settled::Done => return,
                Settled::Unrecorded(pair) => {
                    let everybody = pair.everybody(&self.exchange.live);
                    let (mode, sides) = {
                        let state = self.lock();
                        (state.mode, state.sides_on(&pair))
                    };
                    let change =
                        record::Change { pair: &pair, mode, sides, why: "the target talks with another party" };
                    if let Err(error) = record::changes(self, &change).await {
                        return self.end(Ended::Refused(error));
                    }
                    let mut state = self.lock();
                    everybody.iter().for_each(|leg| state.knows(leg));
                }
                Settled::Refused(error) => return self.end(Ended::Refused(error)),
                Settled::Over => return self.end(Ended::Call),
            }
        }
    }

    /// Puts on record what was lowered without anybody's asking.
    async fn record_changes(&self) -> Result<(), SpyError> {
        let (whys, pair, mode, sides) = {
            let mut state = self.lock();
            let whys = std::mem::take(&mut state.unrecorded);
            let Some(pair) = state.pair_now() else { return Ok(()) };
            let sides = state.sides_on(&pair);
            (whys, pair, state.mode, sides)
        };
        for why in whys {
            record::changes(self, &record::Change { pair: &pair, mode, sides, why }).await?;
        }
        Ok(())
    }

    /// Ends the session, once.
    pub(super) fn end(&self, why: Ended) {
        if !self.finish() {
            return;
        }
        self.exchange.spies.ends(&self.id);
        let end = End::new(why);
        record::ended(self, &end);
        self.news.send_modify(|news| news.ended = Some(end));
        self.nudge.notify_one();
    }
}

/// Everything whose change may matter.
struct Watched {
    target: Leg,
    peer: Option<Leg>,
    reloads: watch::Receiver<u64>,
    /// Of all calls: only where somebody may hide behind a Local pair.
    calls: Option<watch::Receiver<u64>>,
}

struct Leg {
    talks: watch::Receiver<Talks>,
    groups: watch::Receiver<[Vec<String>; 2]>,
}

impl Leg {
    fn of(leg: &Arc<LegFacts>) -> Self {
        Self { talks: leg.talks.subscribe(), groups: leg.groups.watch() }
    }

    async fn changed(&mut self) {
        tokio::select! {
            _ = self.talks.changed() => {}
            _ = self.groups.changed() => {}
        }
    }
}

impl Watched {
    fn of(core: &Core) -> Self {
        let target = core.lock().target.clone();
        let peer = target.peer();
        let is_far = is_local(&target) || peer.as_deref().is_some_and(is_local);
        Self {
            target: Leg::of(&target),
            peer: peer.as_ref().map(Leg::of),
            reloads: core.exchange.reloads.subscribe(),
            calls: is_far.then(|| core.exchange.live.changes()),
        }
    }

    async fn changed(&mut self) {
        let Self { target, peer, reloads, calls } = self;
        tokio::select! {
            () = target.changed() => {}
            () = one(peer.as_mut().map(Leg::changed)) => {}
            _ = reloads.changed() => {}
            _ = one(calls.as_mut().map(watch::Receiver::changed)) => {}
        }
    }
}

/// The future that is there; without one, never.
async fn one<T>(future: Option<impl Future<Output = T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
