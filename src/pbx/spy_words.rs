//! Sessions, parties and refusals in the words of the control socket. Above: `spying` and the desk. Below: `call::supervision`.

use crate::{
    call::supervision::{self, Refusal, Running, SpyError, Where},
    control::{
        protocol::{Fault, FaultCode},
        supervision::{Hear, Mode, PartyFacts, Role, Side, SpyFacts, SpyInfo, SpyState},
    },
    media::Sides,
};

use super::House;

impl House {
    /// The running sessions, the oldest first.
    pub(super) fn spies(&self) -> Vec<SpyInfo> {
        self.exchange.spies.all().iter().map(|running| self.spy_info(running)).collect()
    }

    fn spy_info(&self, running: &Running) -> SpyInfo {
        SpyInfo {
            who: running.who.name().to_owned(),
            via: running.via.word().to_owned(),
            from: running.via.from(),
            since: running.since,
            reason: running.reason.clone(),
            facts: spy_facts(self, &running.facts),
        }
    }
}

/// A session as it stands.
pub(super) fn spy_facts(house: &House, facts: &supervision::Facts) -> SpyFacts {
    let target = party(house, &facts.target);
    SpyFacts {
        session: facts.session.clone(),
        call: facts.call.clone(),
        state: match facts.place {
            Where::Call => SpyState::Call,
            Where::Alone => SpyState::Alone,
            Where::Room(_) => SpyState::Room,
            Where::Apart => SpyState::Apart,
            Where::Undecodable(_) => SpyState::Undecodable,
        },
        peer: facts.peer.as_ref().map_or_else(|| PartyFacts::nobody(target.side.other()), |peer| party(house, peer)),
        target,
        mode: facts.mode,
        to: facts.to,
        hear: facts.hear,
        hears: sides(facts.hears),
        talks: sides(facts.talks),
        allowed: facts.allowed,
    }
}

/// A session that waits for a call.
pub(super) fn waiting(mode: Mode) -> SpyFacts {
    SpyFacts {
        session: String::new(),
        call: String::new(),
        state: SpyState::Waiting,
        target: PartyFacts::nobody(Side::A),
        peer: PartyFacts::nobody(Side::B),
        mode,
        to: Side::A,
        hear: Hear::Both,
        hears: Vec::new(),
        talks: Vec::new(),
        allowed: Mode::Listen,
    }
}

fn sides(sides: Sides) -> Vec<Side> {
    let both = [(sides.left, Side::A), (sides.right, Side::B)].into_iter();
    both.filter(|(is_one, _)| *is_one).map(|(_, side)| side).collect()
}

fn party(house: &House, party: &supervision::PartyFacts) -> PartyFacts {
    let role = match party.is_agent {
        Some(true) => Role::Agent,
        Some(false) => Role::Customer,
        None => Role::Unknown,
    };
    let settings = house.exchange.settings.load();
    let user = party.user.as_deref().and_then(|user| settings.users.get(user));
    let name = user.and_then(|user| user.caller_id.as_ref()).map(|id| id.name.clone()).unwrap_or_default();
    let (uuid, number) = (party.uuid.clone(), party.number.clone());
    PartyFacts { side: party.side, role, uuid, number, name, held: party.is_held }
}

/// Why not, with what to do about it.
pub(super) fn fault(error: &SpyError) -> Fault {
    let message = error.to_string();
    match error {
        SpyError::NoSuchCall(_) | SpyError::NobodyThere => {
            Fault::new(FaultCode::NotFound, message).hint("`pbx calls` lists the live ones")
        }
        SpyError::NoMedia(_) | SpyError::NotConnected(_) => {
            Fault::new(FaultCode::TryAgain, message).hint("--wait waits for the answer; `pbx calls` shows its state")
        }
        SpyError::InRoom { .. } => {
            Fault::new(FaultCode::TryAgain, message).hint("`pbx conf show` tells who is in the room")
        }
        SpyError::TakenOver(_) => Fault::new(FaultCode::TryAgain, message).hint("`spy ls` tells who it is"),
        SpyError::Refused(Refusal::Unknown) => Fault::new(FaultCode::Denied, message)
            .hint("an entry in [supervision] shell_users gives an account the rights of a user"),
        SpyError::Refused(_) | SpyError::OwnLeg(_) | SpyError::Supervisor(_) => Fault::new(FaultCode::Denied, message),
        SpyError::Ambiguous(_) => Fault::new(FaultCode::Usage, message).hint("name the side: --to a or --to b"),
        SpyError::Codec { .. } | SpyError::Setting(_) => Fault::new(FaultCode::Invalid, message),
        SpyError::Log(_) => {
            Fault::new(FaultCode::Failure, message).hint("[supervision] log in pbx.toml names the file")
        }
        SpyError::Ended => Fault::new(FaultCode::Ended, message),
    }
}
