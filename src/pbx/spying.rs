//! Supervision over the control socket: turns its words into `call::supervisor`'s, and watches over the session's end.

use std::sync::{Arc, Weak};

use tokio::sync::{oneshot, watch};

use crate::{
    call::supervisor::{self, Rights, Side, Wish},
    call::{permission, supervisor::SpyError},
    control::{
        protocol::{Fault, FaultCode},
        server::{Identity, SpyControl, SpySession},
        supervision::{EndedBecause, Hear, Mode, Party, PartyFacts, Role, SpyEnd, SpyFacts, SpyRequest},
    },
};

use super::House;

/// A session's handle for the control server.
struct Handle {
    session: Arc<supervisor::Session>,
    uuid: String,
    house: Weak<House>,
}

impl House {
    /// Attaches a supervisor for a client of the control socket.
    pub(crate) fn spy(self: &Arc<Self>, who: &Identity, request: &SpyRequest) -> Result<SpySession, Fault> {
        let wish = Wish {
            uuid: request.uuid.clone(),
            mode: request.mode,
            to: request.to,
            hear: hear_in(request.hear),
            ceiling: request.max_mode,
            reason: request.reason.clone(),
        };
        let (session, ears) =
            supervisor::attach(&self.exchange, self.rights(who), &wish).map_err(|error| fault(&error))?;
        let session = Arc::new(session);
        let (end, ended) = oneshot::channel();
        tokio::spawn(watch_over(Arc::downgrade(&session), ears.ended, self.reloads.subscribe(), end));
        let uuid = uuid::Uuid::new_v4().to_string();
        let handle = Handle { session, uuid, house: Arc::downgrade(self) };
        Ok(SpySession {
            facts: handle.facts(&handle.session.facts()),
            frames: ears.frames,
            voice: ears.voice,
            control: Box::new(handle),
            ended,
        })
    }

    fn rights(&self, who: &Identity) -> Rights {
        if who.admin {
            return Rights::Admin;
        }
        let settings = self.exchange.settings.load();
        let user = who.account.as_ref().and_then(|account| settings.supervision.shell_users.get(account));
        user.map_or(Rights::Nobody, |user| Rights::User(user.clone()))
    }
}

/// Ends the session when the call does, or when a reload takes the right away (at once, S090).
async fn watch_over(
    session: Weak<supervisor::Session>,
    mut call_ended: watch::Receiver<bool>,
    mut reloads: watch::Receiver<u64>,
    end: oneshot::Sender<SpyEnd>,
) {
    let why = loop {
        tokio::select! {
            _ = call_ended.wait_for(|ended| *ended) => {
                break SpyEnd { why: EndedBecause::CallEnded, message: "the call ended".into() };
            }
            reloaded = reloads.changed() => {
                let Some(session) = session.upgrade() else { return };
                match (reloaded, session.recheck()) {
                    (Ok(()), Ok(())) => {}
                    (Ok(()), Err(refusal)) => {
                        break SpyEnd { why: EndedBecause::Denied, message: refusal.to_string() };
                    }
                    (Err(_), _) => break SpyEnd { why: EndedBecause::Stopping, message: "the server stops".into() },
                }
            }
        }
    };
    let _ = end.send(why);
}

impl SpyControl for Handle {
    fn set_mode(&self, mode: Mode, to: Option<Party>) -> Result<SpyFacts, Fault> {
        self.session.set_mode(mode, to).map(|facts| self.facts(&facts)).map_err(|error| fault(&error))
    }

    fn set_hear(&self, hear: Hear) -> Result<SpyFacts, Fault> {
        Ok(self.facts(&self.session.set_hear(hear_in(hear))))
    }
}

impl Handle {
    fn facts(&self, facts: &supervisor::Facts) -> SpyFacts {
        SpyFacts {
            session: self.uuid.clone(),
            call: facts.call.clone(),
            target: self.party(&facts.target),
            peer: self.party(&facts.peer),
            mode: facts.mode,
            to: facts.to,
            hear: facts.hear.map_or(Hear::Both, |side| match side {
                Side::A => Hear::A,
                Side::B => Hear::B,
            }),
            allowed: facts.allowed,
        }
    }

    fn party(&self, party: &supervisor::PartyFacts) -> PartyFacts {
        let role = match party.is_agent {
            Some(true) => Role::Agent,
            Some(false) => Role::Customer,
            None => Role::Unknown,
        };
        let settings = self.house.upgrade().map(|house| house.exchange.settings.load_full());
        let name = settings.and_then(|s| Some(s.users.get(party.user.as_deref()?)?.caller_id.as_ref()?.name.clone()));
        PartyFacts { side: party.side, role, number: party.number.clone(), name: name.unwrap_or_default() }
    }
}

fn fault(error: &SpyError) -> Fault {
    let message = error.to_string();
    match error {
        SpyError::NoSuchCall(_) => Fault::new(FaultCode::NotFound, message).hint("`pbx calls` lists the live ones"),
        SpyError::NotConnected(_) => {
            Fault::new(FaultCode::TryAgain, message).hint("try again once it is answered; `pbx calls` shows its state")
        }
        SpyError::InRoom { .. } => {
            Fault::new(FaultCode::TryAgain, message).hint("`pbx conf show` tells who is in the room")
        }
        SpyError::Refused(permission::Refusal::Unknown) => Fault::new(FaultCode::Denied, message)
            .hint("an entry in [supervision] shell_users gives an account the rights of a user"),
        SpyError::Refused(_) => Fault::new(FaultCode::Denied, message),
        SpyError::Ambiguous(_) => Fault::new(FaultCode::Usage, message).hint("name the side: --to a or --to b"),
        SpyError::Ended => Fault::new(FaultCode::Ended, message),
    }
}

fn hear_in(hear: Hear) -> Option<Side> {
    match hear {
        Hear::Both => None,
        Hear::A => Some(Side::A),
        Hear::B => Some(Side::B),
    }
}
