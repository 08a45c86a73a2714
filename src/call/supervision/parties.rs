//! Who is who in a call: the target and its other half, the sides A and B, agent and customer.
//! Above: `session`, `judge` and `state`. Below: what the legs' own tasks tell of themselves.

use std::sync::Arc;

use crate::{
    audio::codec::Coding,
    call::{
        live::{LegFacts, LegState, Live, Way},
        supervision::{
            refused::SpyError,
            wish::{Hear, Party},
        },
        talks::{Side, Talks},
    },
    media::{PortId, Sides},
};

/// Local pairs that may lie between two phones; more are not followed.
const FARTHEST: usize = 8;

/// A leg and the one it talks with, if any.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) target: Arc<LegFacts>,
    pub(super) side: Side,
    pub(super) peer: Option<Arc<LegFacts>>,
}

/// Where a leg is, as far as it can be supervised.
pub(super) enum Place {
    /// Answered: alone or with one other.
    There(Pair),
    /// Not answered yet.
    Early,
    /// In a conference room.
    Room(String),
    /// Over.
    Over,
}

impl Place {
    /// Where `target` is now.
    pub(super) fn of(target: &Arc<LegFacts>) -> Self {
        let (state, has_media) = {
            let now = target.now();
            (now.state, now.codec.is_some())
        };
        // A copy: the watch must not be held while others are asked.
        let talks = target.talks.borrow().clone();
        match (talks, state) {
            (Talks::Ended, _) | (_, LegState::Ended) => Self::Over,
            (Talks::Room(room), _) => Self::Room(room),
            (_, LegState::Dialling | LegState::Ringing) => Self::Early,
            _ if !has_media => Self::Early,
            (Talks::With { peer, side }, _) => Self::There(Pair { target: target.clone(), side, peer: peer.upgrade() }),
            (Talks::Nobody, _) => {
                let side = if target.way == Way::In { Side::A } else { Side::B };
                Self::There(Pair { target: target.clone(), side, peer: None })
            }
        }
    }

    /// The pair, or why there is none.
    pub(super) fn pair(self, uuid: &str) -> Result<Pair, SpyError> {
        match self {
            Self::There(pair) => Ok(pair),
            Self::Early => Err(SpyError::NoMedia(uuid.into())),
            Self::Room(room) => Err(SpyError::InRoom { uuid: uuid.into(), room }),
            Self::Over => Err(SpyError::Ended),
        }
    }
}

impl Pair {
    /// The leg on a side.
    pub(super) fn on(&self, side: Side) -> Option<&Arc<LegFacts>> {
        if side == self.side { Some(&self.target) } else { self.peer.as_ref() }
    }

    /// Both legs, or the one there is: the target first.
    pub(super) fn legs(&self) -> impl Iterator<Item = &Arc<LegFacts>> {
        [Some(&self.target), self.peer.as_ref()].into_iter().flatten()
    }

    /// Both legs, and whoever can be heard through them: those at the far ends of Local pairs.
    pub(super) fn everybody(&self, live: &Live) -> Vec<Arc<LegFacts>> {
        self.legs().flat_map(|leg| behind(live, leg)).collect()
    }

    /// The ports, left and right.
    pub(super) fn ports(&self) -> [Option<PortId>; 2] {
        [Side::A, Side::B].map(|side| self.on(side).map(|leg| leg.port))
    }

    /// A codec of theirs that cannot be turned into sound here.
    pub(super) fn undecodable(&self) -> Option<Coding> {
        self.legs().filter(|leg| !can_be_decoded(leg)).find_map(|leg| leg.now().codec)
    }

    /// The side of the leg with this UUID.
    pub(super) fn side_of(&self, uuid: &str) -> Option<Side> {
        [Side::A, Side::B].into_iter().find(|side| self.on(*side).is_some_and(|leg| leg.uuid == uuid))
    }

    /// The side of the agent, where exactly one of the two legs is a configured user's.
    ///
    /// # Errors
    /// It is not clear: how many there are.
    pub(super) fn agent(&self) -> Result<Side, usize> {
        let is_user = |side: &Side| self.on(*side).is_some_and(|leg| leg.user.is_some());
        let users = [Side::A, Side::B].into_iter().filter(is_user).count();
        let agent = [Side::A, Side::B].into_iter().find(is_user);
        agent.filter(|_| users == 1 && self.peer.is_some()).ok_or(users)
    }

    /// The side of a party that somebody named.
    ///
    /// # Errors
    /// Agent and customer are not clear.
    pub(super) fn find(&self, party: Party) -> Result<Side, SpyError> {
        match party {
            Party::A => Ok(Side::A),
            Party::B => Ok(Side::B),
            Party::Target => Ok(self.side),
            Party::Peer => Ok(self.side.other()),
            Party::Agent => self.agent().map_err(SpyError::Ambiguous),
            Party::Customer => self.agent().map(Side::other).map_err(SpyError::Ambiguous),
        }
    }

    /// The side whose place a supervisor takes: the agent's, or the target's where the agent is not clear.
    pub(super) fn replaced(&self) -> Side {
        self.agent().unwrap_or(self.side)
    }

    /// The sides that `hear` names. Where agent and customer are no longer clear, the target's: less than was meant, never more.
    pub(super) fn heard(&self, hear: Hear) -> Sides {
        match (hear, hear.only()) {
            (Hear::Nobody, _) => Sides::NONE,
            (_, None) => Sides::BOTH,
            (_, Some(party)) => alone(self.find(party).unwrap_or(self.side)),
        }
    }

    /// A party, as told to the supervisor.
    pub(super) fn facts(&self, side: Side) -> Option<PartyFacts> {
        let leg = self.on(side)?;
        Some(PartyFacts {
            side,
            uuid: leg.uuid.clone(),
            user: leg.user.clone(),
            number: leg.number.clone(),
            is_agent: self.agent().ok().map(|agent| agent == side),
            is_held: leg.now().is_on_hold(),
        })
    }
}

/// One party, as told to the supervisor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartyFacts {
    /// Which half.
    pub side: Side,
    /// The leg's UUID.
    pub uuid: String,
    /// The configured user whose phone it is.
    pub user: Option<String>,
    /// Its number.
    pub number: String,
    /// It is the leg of a configured user, the other is not (`Some(true)`), or the other way round.
    pub is_agent: Option<bool>,
    /// Its phone has put the call on hold.
    pub is_held: bool,
}

/// One side.
pub(super) fn alone(side: Side) -> Sides {
    match side {
        Side::A => Sides::LEFT,
        Side::B => Sides::RIGHT,
    }
}

/// Whether what a leg sends can be turned into sound here (S059). Of a leg without a codec yet nothing is known.
pub fn can_be_decoded(leg: &LegFacts) -> bool {
    leg.now().codec.is_none_or(Coding::can_be_decoded)
}

/// Whoever can be heard on a leg: it, and where it is a Local half, also those at the far end of the pair, the farthest last, so
/// that no exempt user hides behind one.
fn behind(live: &Live, leg: &Arc<LegFacts>) -> Vec<Arc<LegFacts>> {
    let mut found = vec![leg.clone()];
    while let Some(other) = found.last().and_then(|last| other_half(live, last)) {
        let peer = other.peer();
        found.push(other);
        found.extend(peer);
        if found.len() > 2 * FARTHEST {
            break;
        }
    }
    found
}

/// The person on a leg: behind a Local pair, whoever is at its far end.
pub(super) fn person_on(live: &Live, leg: &Arc<LegFacts>) -> Arc<LegFacts> {
    behind(live, leg).pop().unwrap_or_else(|| leg.clone())
}

/// The leg is half of a Local pair.
pub(super) fn is_local(leg: &LegFacts) -> bool {
    leg.is_local()
}

fn other_half(live: &Live, leg: &LegFacts) -> Option<Arc<LegFacts>> {
    let (pair, half) = leg.name.rsplit_once(';').filter(|_| is_local(leg))?;
    live.named(&format!("{pair};{}", if half == "1" { 2 } else { 1 }))
}
