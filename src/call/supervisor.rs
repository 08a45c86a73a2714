//! Supervision of a live call by UUID: who is heard by whom, attached as a tap on the bridge's two ports.
//! Above: the control socket. Below: `permission` decides, `media` carries; the call's own task is not disturbed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::{
    call::{
        exchange::Exchange,
        live::{CallFacts, LegFacts},
        permission::{self, Mode, Refusal},
    },
    media::{self, Sides, TapAudio, TapId},
};

/// 20 ms frames that may wait for a slow listener before they are dropped: 2 s.
const FRAMES: usize = 100;
/// Frames of the supervisor's voice that may wait: 200 ms.
const VOICE: usize = 10;

/// A side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The party that called: left.
    A,
    /// The party that answered: right.
    B,
}

impl Side {
    /// The other half.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn alone(self) -> Sides {
        Sides { left: self == Self::A, right: self == Self::B }
    }
}

/// A party as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The leg of a configured user.
    Agent,
    /// The other one.
    Customer,
    /// The party that called.
    A,
    /// The party that answered.
    B,
}

impl From<Side> for Party {
    fn from(side: Side) -> Self {
        match side {
            Side::A => Self::A,
            Side::B => Self::B,
        }
    }
}

/// What a supervisor wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// A leg's UUID, any case.
    pub uuid: String,
    /// How.
    pub mode: Mode,
    /// Whom a whisper is for; absent: the party the UUID belongs to.
    pub to: Option<Party>,
    /// Which sides are heard; absent: both.
    pub hear: Option<Side>,
    /// Never above this, whatever the rights.
    pub ceiling: Option<Mode>,
    /// Why, for the journal.
    pub reason: Option<String>,
}

/// Whose rights a supervisor has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rights {
    /// root or the server's own account.
    Admin,
    /// Those of a configured user.
    User(String),
    /// None.
    Nobody,
}

/// Why there is no supervision.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SpyError {
    /// No live leg has this UUID.
    #[error("no live call has the UUID {0}")]
    NoSuchCall(String),
    /// The call has only one party so far.
    #[error("call {0} is not connected to a second party yet")]
    NotConnected(String),
    /// It is in a conference room.
    #[error("call {uuid} is in conference room {room}: only calls between two parties can be listened to")]
    InRoom {
        /// As asked for.
        uuid: String,
        /// The room.
        room: String,
    },
    /// Not allowed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// `agent` or `customer` where both parties, or neither, are users.
    #[error("this call has {0} configured users, so agent and customer are not clear")]
    Ambiguous(usize),
    /// The media threads are gone.
    #[error("the call ended")]
    Ended,
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
}

/// What is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The call.
    pub call: String,
    /// The party the UUID belongs to.
    pub target: PartyFacts,
    /// The other half.
    pub peer: PartyFacts,
    /// The mode.
    pub mode: Mode,
    /// The side that hears a whisper.
    pub to: Side,
    /// The only side heard, or both.
    pub hear: Option<Side>,
    /// The highest mode allowed.
    pub allowed: Mode,
}

/// A running supervision; dropping it detaches.
pub struct Session {
    exchange: Arc<Exchange>,
    rights: Rights,
    ceiling: Option<Mode>,
    call: Arc<CallFacts>,
    legs: (Arc<LegFacts>, Arc<LegFacts>),
    tap: TapId,
    facts: Mutex<Facts>,
}

/// The supervisor's ends of the audio.
pub struct Ears {
    /// What is heard: 160 samples of A, 160 of B, 160 of the other supervisors, 8 kHz, one frame each 20 ms.
    pub frames: rtrb::Consumer<media::EarFrame>,
    /// What the supervisor says: 160 samples at 8 kHz.
    pub voice: rtrb::Producer<[i16; 160]>,
    /// True once the call has ended.
    pub ended: watch::Receiver<bool>,
}

/// Attaches a supervisor to the call of a leg.
///
/// # Errors
/// No such call, no second party, or no right.
pub fn attach(exchange: &Arc<Exchange>, rights: Rights, wish: &Wish) -> Result<(Session, Ears), SpyError> {
    let uuid = wish.uuid.to_ascii_lowercase();
    let (call, leg) = exchange.live.find(&uuid).ok_or_else(|| SpyError::NoSuchCall(uuid.clone()))?;
    let alone = || match exchange.rooms.of_leg(&leg.uuid) {
        Some(room) => SpyError::InRoom { uuid: uuid.clone(), room },
        None => SpyError::NotConnected(uuid.clone()),
    };
    let (a, b) = call.bridged().ok_or_else(alone)?;
    let side = match leg.uuid {
        ref u if *u == a.uuid => Side::A,
        ref u if *u == b.uuid => Side::B,
        _ => return Err(SpyError::NotConnected(uuid)),
    };
    let allowed = allowed(exchange, &rights, wish.ceiling, [&a, &b]).inspect_err(|refusal| {
        note_refusal(exchange, &rights, &call, wish.mode, refusal);
    })?;
    if wish.mode > allowed {
        let refusal = Refusal::Level { wanted: wish.mode, granted: Some(allowed) };
        note_refusal(exchange, &rights, &call, wish.mode, &refusal);
        return Err(refusal.into());
    }
    let to = whom(wish.to.unwrap_or(Party::from(side)), [&a, &b])?;
    let parties = |which: Side| party_facts(which, [&a, &b]);
    let facts = Facts {
        call: call.uuid.clone(),
        target: parties(side),
        peer: parties(side.other()),
        mode: wish.mode,
        to,
        hear: wish.hear,
        allowed,
    };
    let (tap, ears) = open_tap(exchange, &facts, (&a, &b));
    exchange.spy_came(&call.uuid);
    exchange.journal.note(
        "spy.attached",
        json!({"uuid": call.uuid, "who": who(&rights), "mode": wish.mode.word(), "target": facts.target.uuid,
               "reason": wish.reason}),
    );
    let session = Session {
        exchange: exchange.clone(),
        rights,
        ceiling: wish.ceiling,
        call,
        legs: (a, b),
        tap,
        facts: facts.into(),
    };
    Ok((session, ears))
}

impl Session {
    /// What is in force.
    pub fn facts(&self) -> Facts {
        self.lock().clone()
    }

    /// Changes mode and the side that hears a whisper (absent: the target's). The rights are asked again (S070, S090).
    ///
    /// # Errors
    /// The mode is not allowed, the call ended, or the party is not clear; nothing is changed then.
    pub fn set_mode(&self, mode: Mode, to: Option<Party>) -> Result<Facts, SpyError> {
        let legs = [&self.legs.0, &self.legs.1];
        if self.call.bridged().is_none_or(|pair| pair.0.uuid != self.legs.0.uuid || pair.1.uuid != self.legs.1.uuid) {
            return Err(SpyError::Ended);
        }
        let granted = allowed(&self.exchange, &self.rights, self.ceiling, legs).inspect_err(|refusal| {
            note_refusal(&self.exchange, &self.rights, &self.call, mode, refusal);
        })?;
        if mode > granted {
            let refusal = Refusal::Level { wanted: mode, granted: Some(granted) };
            note_refusal(&self.exchange, &self.rights, &self.call, mode, &refusal);
            return Err(refusal.into());
        }
        let mut facts = self.lock();
        facts.to = whom(to.unwrap_or(Party::from(facts.target.side)), legs)?;
        facts.mode = mode;
        facts.allowed = granted;
        self.tell_media(&facts);
        self.exchange
            .journal
            .note("spy.mode", json!({"uuid": facts.call, "who": who(&self.rights), "mode": mode.word()}));
        Ok(facts.clone())
    }

    /// Narrows what is heard to one side, or widens it to both.
    pub fn set_hear(&self, hear: Option<Side>) -> Facts {
        let mut facts = self.lock();
        facts.hear = hear;
        self.tell_media(&facts);
        facts.clone()
    }

    /// The rights as they are now: an error when the session must end (the right was taken away).
    ///
    /// # Errors
    /// Listening is no longer allowed.
    pub fn recheck(&self) -> Result<(), Refusal> {
        let granted = allowed(&self.exchange, &self.rights, self.ceiling, [&self.legs.0, &self.legs.1])?;
        let mut facts = self.lock();
        facts.allowed = granted;
        if facts.mode > granted {
            facts.mode = granted;
            self.tell_media(&facts);
        }
        Ok(())
    }

    fn tell_media(&self, facts: &Facts) {
        let (hears, heard_by) = sides(facts);
        self.exchange.media.send(media::Command::SetTap { tap: self.tap, hears, heard_by });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.exchange.media.send(media::Command::Detach { tap: self.tap });
        self.exchange.spy_left(&self.call.uuid);
        self.exchange.journal.note("spy.detached", json!({"uuid": self.call.uuid, "who": who(&self.rights)}));
    }
}

/// The table of the architecture page: who hears whom in each mode.
fn sides(facts: &Facts) -> (Sides, Sides) {
    const BOTH: Sides = Sides { left: true, right: true };
    let hears = facts.hear.map_or(BOTH, Side::alone);
    let heard_by = match facts.mode {
        Mode::Listen => Sides { left: false, right: false },
        Mode::Whisper => facts.to.alone(),
        Mode::Barge => BOTH,
    };
    (hears, heard_by)
}

fn open_tap(exchange: &Exchange, facts: &Facts, (a, b): (&LegFacts, &LegFacts)) -> (TapId, Ears) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let tap = TapId(NEXT.fetch_add(1, Ordering::Relaxed));
    let (out, frames) = rtrb::RingBuffer::new(FRAMES);
    let (voice, from_voice) = rtrb::RingBuffer::new(VOICE);
    let (events, mut ends) = mpsc::channel(4);
    let (end, ended) = watch::channel(false);
    let (hears, heard_by) = sides(facts);
    exchange.media.send(media::Command::Attach {
        tap,
        left: Some(a.port),
        right: Some(b.port),
        hears,
        heard_by,
        audio: TapAudio { out, voice: from_voice, events },
    });
    tokio::spawn(async move {
        // The media thread drops its sender with the tap; that is an end as well.
        while let Some(event) = ends.recv().await {
            if matches!(event, media::Event::TapEnded { .. } | media::Event::SideEmpty { .. }) {
                break;
            }
        }
        let _ = end.send(true);
    });
    (tap, Ears { frames, voice, ended })
}

fn allowed(
    exchange: &Exchange,
    rights: &Rights,
    ceiling: Option<Mode>,
    legs: [&Arc<LegFacts>; 2],
) -> Result<Mode, Refusal> {
    let settings = exchange.settings.load_full();
    let supervisor = match rights {
        Rights::Admin => permission::Supervisor::Admin,
        Rights::User(name) => {
            settings.users.get(name).map_or(permission::Supervisor::Nobody, permission::Supervisor::User)
        }
        Rights::Nobody => permission::Supervisor::Nobody,
    };
    let users = legs.iter().filter_map(|leg| leg.user.as_deref());
    let parties: Vec<_> = users.filter_map(|name| Some((name, settings.users.get(name)?))).collect();
    let granted = permission::ceiling(supervisor, &parties)?;
    Ok(ceiling.map_or(granted, |ceiling| granted.min(ceiling)))
}

fn whom(party: Party, legs: [&Arc<LegFacts>; 2]) -> Result<Side, SpyError> {
    let users = legs.iter().filter(|leg| leg.user.is_some()).count();
    let agent = if legs[0].user.is_some() { Side::A } else { Side::B };
    match party {
        Party::A => Ok(Side::A),
        Party::B => Ok(Side::B),
        _ if users != 1 => Err(SpyError::Ambiguous(users)),
        Party::Agent => Ok(agent),
        Party::Customer => Ok(agent.other()),
    }
}

fn party_facts(side: Side, legs: [&Arc<LegFacts>; 2]) -> PartyFacts {
    let leg = if side == Side::A { legs[0] } else { legs[1] };
    let is_agent = whom(Party::Agent, legs).ok().map(|agent| agent == side);
    PartyFacts { side, uuid: leg.uuid.clone(), user: leg.user.clone(), number: leg.number.clone(), is_agent }
}

fn who(rights: &Rights) -> &str {
    match rights {
        Rights::Admin => "admin",
        Rights::User(name) => name,
        Rights::Nobody => "nobody",
    }
}

fn note_refusal(exchange: &Exchange, rights: &Rights, call: &CallFacts, mode: Mode, refusal: &Refusal) {
    tracing::warn!(uuid = call.uuid, who = who(rights), mode = mode.word(), %refusal, "supervision refused");
    exchange.journal.note(
        "spy.refused",
        json!({"uuid": call.uuid, "who": who(rights), "mode": mode.word(), "reason": refusal.to_string()}),
    );
}
