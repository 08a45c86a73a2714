//! Going from call to call: who can be listened to, in a stable order, and waiting for somebody who can.
//! Above: `eavesdrop all`, `userspy`, `ChanSpy` and `spy --all`. Below: the live calls; `judge` leaves out what may not even be named.

use std::{cmp::Reverse, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::call::{
    exchange::Exchange,
    live::{CallFacts, LegFacts},
    supervision::{
        judge,
        parties::{Pair, Place, is_local},
        wish::Wish,
    },
};

/// Whose calls are candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's: one entry for each call.
    #[default]
    Everybody,
    /// The leg with this UUID.
    Leg(String),
    /// A user's: his legs.
    User(String),
    /// An extension's: legs of the user of that name, and legs that have or were called by that number.
    Extension(String),
    /// Channels whose names begin so (`SIP/1001`, any case); several beginnings, one entry for each channel.
    Prefixes(Vec<String>),
}

/// In which order calls are gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The call that began last is the first.
    #[default]
    Newest,
    /// The call that began first is the first.
    Oldest,
    /// The call whose parties have talked longest is the first.
    Longest,
}

/// Which calls are candidates, and in which order. The wish says for whom: whatever he may not hear is none.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Whose.
    pub whose: Whose,
    /// Only those that talk with another party.
    pub bridged_only: bool,
    /// In which order.
    pub order: Order,
}

/// A call that may be listened to.
#[derive(Clone)]
pub struct Candidate {
    /// The call.
    pub call: Arc<CallFacts>,
    /// The leg to attach to: the one that was looked for, else the agent's, else the one that called.
    pub leg: Arc<LegFacts>,
}

/// All candidates, in order. The UUID in `wish` does not matter.
pub fn candidates(exchange: &Exchange, wish: &Wish, choice: &Choice) -> Vec<Candidate> {
    let mut found: Vec<_> =
        exchange.live.calls().into_iter().flat_map(|call| legs_of(exchange, wish, choice, &call)).collect();
    // Calls come the oldest first; the sort is stable, so calls of one moment keep that order.
    match choice.order {
        Order::Oldest => {}
        Order::Newest => found.sort_by_key(|one| Reverse(one.call.began)),
        Order::Longest => found.sort_by_key(|one| one.leg.now().answered.unwrap_or(jiff::Timestamp::MAX)),
    }
    found
}

/// Those who are meant, whether or not they may be heard; of the newest call first.
pub fn meant(exchange: &Exchange, whose: &Whose) -> Vec<Candidate> {
    let calls = exchange.live.calls().into_iter().rev();
    let legs = calls.flat_map(|call| call.legs().into_iter().map(move |leg| Candidate { call: call.clone(), leg }));
    legs.filter(|one| is_meant(whose, &one.leg)).collect()
}

fn legs_of(exchange: &Exchange, wish: &Wish, choice: &Choice, call: &Arc<CallFacts>) -> Vec<Candidate> {
    let legs = call.legs();
    let pairs = legs.iter().filter_map(|leg| match Place::of(leg) {
        Place::There(pair) => Some(pair),
        _ => None,
    });
    let may = |pair: &Pair| may_be_heard(exchange, wish, choice, pair);
    let mut pairs: Vec<_> = pairs.filter(|pair| is_meant(&choice.whose, &pair.target)).filter(may).collect();
    // One entry for each call; of its legs the agent's, else the first.
    if !matches!(choice.whose, Whose::Prefixes(_)) {
        let agent = pairs.iter().position(|pair| pair.agent() == Ok(pair.side)).unwrap_or(0);
        pairs = pairs.into_iter().skip(agent).take(1).collect();
    }
    pairs.into_iter().map(|pair| Candidate { call: call.clone(), leg: pair.target }).collect()
}

/// Without a right there is not even a name; what is merely not possible, such as a codec, is told when it is tried.
fn may_be_heard(exchange: &Exchange, wish: &Wish, choice: &Choice, pair: &Pair) -> bool {
    if pair.peer.is_none() && (choice.bridged_only || is_local(&pair.target)) {
        return false;
    }
    let possible = judge::possible(exchange, wish, pair);
    possible.is_ok()
        && judge::allowed(exchange, wish, pair).is_ok_and(|allowed| allowed >= wish.mode.min(super::Mode::Barge))
}

fn is_meant(whose: &Whose, leg: &LegFacts) -> bool {
    match whose {
        Whose::Everybody => true,
        Whose::Leg(uuid) => leg.uuid.eq_ignore_ascii_case(uuid),
        Whose::User(user) => leg.user.as_ref() == Some(user),
        Whose::Extension(number) => leg.user.as_ref() == Some(number) || leg.number == *number,
        Whose::Prefixes(starts) => {
            starts.iter().any(|start| leg.name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start)))
        }
    }
}

/// Goes through the candidates, round after round, in a stable order: nobody twice before all were there once.
pub struct Walk {
    exchange: Arc<Exchange>,
    wish: Wish,
    choice: Choice,
    /// Legs visited in this round.
    visited: Vec<String>,
    changes: Changes,
}

struct Changes {
    calls: watch::Receiver<u64>,
    spies: watch::Receiver<u64>,
    reloads: watch::Receiver<u64>,
}

impl Walk {
    /// A walk that has been nowhere yet.
    pub fn new(exchange: &Arc<Exchange>, wish: Wish, choice: Choice) -> Self {
        let changes = Changes {
            calls: exchange.live.changes(),
            spies: exchange.spies.changes(),
            reloads: exchange.reloads.subscribe(),
        };
        Self { exchange: exchange.clone(), wish, choice, visited: Vec::new(), changes }
    }

    /// What is wished for, to be attached with the UUID of a candidate.
    pub fn wish(&self, of: &Candidate) -> Wish {
        Wish { uuid: of.leg.uuid.clone(), ..self.wish.clone() }
    }

    /// From now on it goes through others.
    pub fn chooses(&mut self, whose: Whose) {
        self.choice.whose = whose;
        self.visited.clear();
    }

    /// The next candidate that was not visited in this round, if there is one.
    pub fn fresh(&mut self) -> Option<Candidate> {
        self.changes.see();
        let all = candidates(&self.exchange, &self.wish, &self.choice);
        self.visited.retain(|uuid| all.iter().any(|one| one.leg.uuid == *uuid));
        let next = all.into_iter().find(|one| !self.visited.contains(&one.leg.uuid))?;
        self.visited.push(next.leg.uuid.clone());
        Some(next)
    }

    /// When every candidate has been visited, all may be visited again; not the same one twice in a row where there are others.
    pub fn begins_round(&mut self) {
        let all = candidates(&self.exchange, &self.wish, &self.choice);
        if all.iter().all(|one| self.visited.contains(&one.leg.uuid)) {
            let first = all.first().map(|one| &one.leg.uuid).filter(|_| all.len() > 1);
            let again = self.visited.pop().filter(|last| Some(last) == first);
            self.visited = again.into_iter().collect();
        }
    }

    /// A candidate that was not visited in this round, as soon as there is one.
    pub async fn wait(&mut self) -> Candidate {
        loop {
            if let Some(fresh) = self.fresh() {
                return fresh;
            }
            self.changed().await;
        }
    }

    /// Waits until the candidates may be others than at the last look.
    pub async fn changed(&mut self) {
        let Changes { calls, spies, reloads } = &mut self.changes;
        tokio::select! {
            _ = calls.changed() => {}
            _ = spies.changed() => {}
            _ = reloads.changed() => {}
        }
    }

    /// There is nobody to hear.
    pub fn is_empty(&self) -> bool {
        candidates(&self.exchange, &self.wish, &self.choice).is_empty()
    }
}

impl Iterator for Walk {
    type Item = Candidate;

    /// The next candidate: in a round that has been everywhere, the first of another round.
    fn next(&mut self) -> Option<Candidate> {
        if let Some(fresh) = self.fresh() {
            return Some(fresh);
        }
        self.begins_round();
        self.fresh()
    }
}

impl Changes {
    /// What is looked at from here on is as new as everything told so far.
    fn see(&mut self) {
        self.calls.mark_unchanged();
        self.spies.mark_unchanged();
        self.reloads.mark_unchanged();
    }
}
