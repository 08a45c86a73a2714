//! A recording as it stands: whom it follows, which ports it is on, who was in it, how far it is.
//! Above: `session` runs it, the bridge lets it settle. Below: media commands.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::{
    call::{
        cause::Cause,
        exchange::Exchange,
        live::{LegFacts, Order},
        recording::{
            consent,
            wish::{Voices, While, Wish},
        },
        supervision::{Mode, next_tap_id},
        talks::{Side, Talks},
    },
    media::{Command, PortId, TapId},
    outbox::{Manifest, RecordingId},
    recorder::Running,
};

/// How far a recording is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The parties are being told, or its file is being made.
    Beginning,
    /// It runs.
    Running,
    /// Nothing is recorded for a while: the time is cut out.
    Paused,
    /// Silence is recorded for a while.
    Masked,
    /// It is whole and in the outbox.
    Finished,
    /// Somebody did not agree: there is no sound of it.
    Refused(Arc<str>),
    /// It did not begin, or was not ended as it should.
    Failed(Arc<str>),
}

impl Phase {
    /// The word of the JSON shapes.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Beginning => "beginning",
            Self::Running => "recording",
            Self::Paused => "paused",
            Self::Masked => "masked",
            Self::Finished => "finished",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// Sound gets into the file.
    pub fn is_recording(&self) -> bool {
        *self == Self::Running
    }

    /// Nothing more comes.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Finished | Self::Refused(_) | Self::Failed(_))
    }
}

/// Whom a recording follows.
pub(super) enum Follows {
    /// One leg through all its talks.
    Leg {
        leg: Arc<LegFacts>,
        /// Where it is heard, whatever side of later talks it comes to be on.
        side: Side,
    },
    /// Whoever is in a conference room.
    Room(String),
}

/// What all holders of a recording share.
pub(super) struct Core {
    pub(super) exchange: Arc<Exchange>,
    pub(super) id: RecordingId,
    pub(super) wish: Wish,
    pub(super) follows: Follows,
    /// The UUID of the call it began in; empty for a room.
    pub(super) call: String,
    pub(super) began: Timestamp,
    tap: TapId,
    /// Held while it looks where it belongs and goes there: of two who see it differently the later has the last word.
    settling: Mutex<()>,
    state: Mutex<State>,
    pub(super) phase: watch::Sender<Phase>,
    /// Somebody wants its end, or it has reached it.
    pub(super) is_ending: AtomicBool,
    /// Wakes its task.
    pub(super) nudge: Notify,
}

/// What changes of a recording.
pub(super) struct State {
    /// What will stand in its manifest.
    pub(super) manifest: Manifest,
    /// When its file was begun, by a clock that nobody can set.
    pub(super) since: Option<Instant>,
    /// The recorder's handle, while there is a file.
    pub(super) running: Option<Running>,
    /// The ports it is on, left and right; `None` before it records.
    on: Option<[Option<PortId>; 2]>,
    /// Paused because its leg talks with nobody, or because somebody in the talk has not agreed.
    pub(super) is_cut: bool,
    /// Paused or masked before it records.
    pub(super) wanted: Option<Phase>,
    /// It has been in a talk.
    pub(super) has_talked: bool,
    /// It is in the outbox, open or whole.
    pub(super) is_kept: bool,
    /// The UUIDs of the legs whose parties were told of it.
    pub(super) told: Vec<String>,
    /// Who did not agree, and whose calls end with that where they do.
    pub(super) refusal: Option<Refusal>,
    /// Everybody who was in it.
    pub(super) legs: Vec<(Side, Arc<LegFacts>)>,
    /// Who listens now: the session, its place among the manifest's listeners, its highest mode.
    pub(super) listening: Vec<(String, usize, Mode)>,
}

/// Somebody does not agree to be recorded.
#[derive(Clone)]
pub(super) struct Refusal {
    /// Who, as the log names him.
    pub(super) who: String,
    /// Whoever must not go on unrecorded.
    pub(super) legs: Vec<Arc<LegFacts>>,
}

impl Core {
    pub(super) fn new(exchange: &Arc<Exchange>, (wish, follows): (Wish, Follows), manifest: Manifest) -> Arc<Self> {
        Arc::new(Self {
            exchange: exchange.clone(),
            id: manifest.id,
            wish,
            follows,
            call: manifest.call.clone(),
            began: manifest.started,
            tap: next_tap_id(),
            settling: Mutex::default(),
            state: Mutex::new(State {
                manifest,
                since: None,
                running: None,
                on: None,
                is_cut: false,
                wanted: None,
                has_talked: false,
                is_kept: false,
                told: Vec::new(),
                refusal: None,
                legs: Vec::new(),
                listening: Vec::new(),
            }),
            phase: watch::Sender::new(Phase::Beginning),
            is_ending: AtomicBool::new(false),
            nudge: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tap(&self) -> TapId {
        self.tap
    }

    /// The leg it follows.
    pub(super) fn leg(&self) -> Option<&Arc<LegFacts>> {
        match &self.follows {
            Follows::Leg { leg, .. } => Some(leg),
            Follows::Room(_) => None,
        }
    }

    /// The one side whose voice it has, where it has not both.
    pub(super) fn only(&self) -> Option<Side> {
        match (&self.follows, self.wish.voices) {
            (Follows::Room(_), _) | (_, Voices::Both) => None,
            (Follows::Leg { side, .. }, Voices::Own) => Some(*side),
            (Follows::Leg { side, .. }, Voices::Heard) => Some(side.other()),
        }
    }

    /// Its end is wanted.
    pub(super) fn ends(&self) {
        self.is_ending.store(true, Ordering::Release);
        self.nudge.notify_waiters();
        self.nudge.notify_one();
    }

    /// It ends, or has ended: its leg is over, or somebody wants it.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
            || self.phase.borrow().is_over()
            || self.leg().is_some_and(|leg| matches!(*leg.talks.borrow(), Talks::Ended))
    }

    /// It ends, or everybody has left its room.
    pub(super) fn is_over(&self) -> bool {
        let is_empty =
            matches!(&self.follows, Follows::Room(room) if self.exchange.rooms.members(room, None).is_empty());
        is_empty || self.is_ending()
    }

    /// Sees whom its leg comes to talk with; nothing where it follows a room.
    pub(super) fn talks(&self) -> SeenTalks {
        SeenTalks(self.leg().map(|leg| leg.talks.subscribe()))
    }

    /// One of these legs can be heard in it.
    pub(super) fn concerns(&self, legs: &[&Arc<LegFacts>]) -> bool {
        let is_one = |leg: &Arc<LegFacts>| legs.iter().any(|other| Arc::ptr_eq(other, leg));
        match &self.follows {
            Follows::Leg { leg, .. } => {
                is_one(leg)
                    || peer_of(leg).as_ref().is_some_and(is_one)
                    || self.room_heard().is_some_and(|room| legs.iter().any(|leg| is_in(leg, &room)))
            }
            Follows::Room(room) => {
                legs.iter().any(|leg| is_in(leg, room))
                    || self.lock().on.is_some_and(|on| legs.iter().any(|leg| on.contains(&Some(leg.port))))
            }
        }
    }

    /// What is said in this conference room gets into it: it follows the room, or a leg that hears it.
    pub(super) fn hears_room(&self, room: &str) -> bool {
        match &self.follows {
            Follows::Leg { .. } => self.room_heard().is_some_and(|heard| heard == room),
            Follows::Room(name) => name == room,
        }
    }

    /// The conference room that its leg hears while it is recorded.
    fn room_heard(&self) -> Option<String> {
        let is_heard = self.wish.voices != Voices::Own && self.wish.during == While::Answered;
        match &*self.leg().filter(|_| is_heard)?.talks.borrow() {
            Talks::Room(room) => Some(room.clone()),
            _ => None,
        }
    }

    /// The others in the room that its leg is in: what they say is what it hears, on its other side.
    pub(super) fn roommates(&self) -> Vec<(Side, Arc<LegFacts>)> {
        let (Follows::Leg { leg, side }, Some(room)) = (&self.follows, self.room_heard()) else { return Vec::new() };
        let members = self.exchange.rooms.members(&room, None);
        let others = members.iter().filter(|member| !Arc::ptr_eq(&member.leg, leg));
        others.map(|member| (side.other(), member.leg.clone())).collect()
    }

    /// From now on it records: its tap exists, on these ports.
    pub(super) fn is_on(&self, ports: [Option<PortId>; 2]) {
        self.lock().on = Some(ports);
    }

    /// Who is heard left and right now, the leg it follows first where there is one.
    pub(super) fn heard(&self) -> Heard {
        match &self.follows {
            Follows::Leg { leg, side } => {
                let talks = leg.talks.borrow().clone();
                let peer = match talks {
                    Talks::Ended => return Heard::default(),
                    Talks::With { peer, .. } => peer.upgrade(),
                    Talks::Nobody | Talks::Room(_) => None,
                };
                Heard::of(*side, Some(leg.clone()), peer)
            }
            Follows::Room(room) => {
                let members = self.exchange.rooms.members(room, None);
                // What somebody says whom the others do not hear is nobody's business: he who is heard lends his ears.
                let ears = members.iter().find(|member| !member.is_muted());
                Heard::of(Side::A, ears.map(|member| member.leg.clone()), None)
            }
        }
    }

    /// Goes to where the leg, or the room, is now; at once, without waiting for anything.
    pub(super) fn settle(self: &Arc<Self>) {
        // It protects nothing but the order.
        let _settling = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = self.heard();
        let everybody = self.everybody();
        let must_agree = consent::must_agree(self);
        let mut state = self.lock();
        for (side, leg) in &everybody {
            if !state.legs.iter().any(|(_, known)| Arc::ptr_eq(known, leg)) {
                state.legs.push((*side, leg.clone()));
            }
        }
        let talks = heard.is_talk();
        if state.on.is_some_and(|on| on != heard.ports()) {
            self.exchange.media.send(Command::MoveTap {
                tap: self.tap,
                left: heard.ports()[0],
                right: heard.ports()[1],
            });
            state.on = Some(heard.ports());
        }
        let has_agreed = |leg: &Arc<LegFacts>| state.told.contains(&leg.uuid) && leg.consent.has_agreed();
        let is_cut = (self.wish.during == While::Talking && !talks) || !must_agree.iter().all(has_agreed);
        if state.is_cut != is_cut {
            state.is_cut = is_cut;
            let is_paused = *self.phase.borrow() == Phase::Paused;
            if let Some(running) = state.running.as_ref().filter(|_| !is_paused) {
                if is_cut { running.pause() } else { running.resume() }
            }
        }
        state.has_talked |= talks;
        drop(state);
        // The records of their calls name it.
        for (call, _) in everybody.iter().filter_map(|(_, leg)| self.exchange.live.find(&leg.uuid)) {
            self.exchange.recordings.belongs_to(self, &call.uuid);
        }
        self.nudge.notify_one();
    }

    /// Ends its call: everybody whom it follows is hung up.
    pub(super) fn hangs_up(&self, cause: Cause) {
        let everybody = self.everybody().into_iter().map(|(_, leg)| leg);
        hang_up(&self.leg().cloned().map_or_else(|| everybody.collect(), |leg| vec![leg]), cause);
    }

    /// Everybody who can be heard in it now.
    pub(super) fn everybody(&self) -> Vec<(Side, Arc<LegFacts>)> {
        match &self.follows {
            Follows::Leg { .. } => self.heard().legs().map(|(side, leg)| (side, leg.clone())).collect(),
            Follows::Room(room) => {
                let members = self.exchange.rooms.members(room, None);
                members.iter().map(|member| (Side::A, member.leg.clone())).collect()
            }
        }
    }

    /// A port went to another media thread under the tap: it is put there again.
    pub(super) fn lost_a_side(self: &Arc<Self>) {
        let ports = self.heard().ports();
        self.exchange.media.send(Command::MoveTap { tap: self.tap, left: ports[0], right: ports[1] });
    }
}

/// Whom a recording's leg talks with, as far as it follows one.
pub(super) struct SeenTalks(Option<watch::Receiver<Talks>>);

impl SeenTalks {
    /// Returns when that is different.
    pub(super) async fn changed(&mut self) {
        match &mut self.0 {
            Some(talks) => {
                let _ = talks.changed().await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Who is heard.
#[derive(Default)]
pub(super) struct Heard {
    left: Option<Arc<LegFacts>>,
    right: Option<Arc<LegFacts>>,
}

impl Heard {
    fn of(side: Side, own: Option<Arc<LegFacts>>, peer: Option<Arc<LegFacts>>) -> Self {
        match side {
            Side::A => Self { left: own, right: peer },
            Side::B => Self { left: peer, right: own },
        }
    }

    /// Both ports.
    pub(super) fn ports(&self) -> [Option<PortId>; 2] {
        [&self.left, &self.right].map(|leg| leg.as_ref().map(|leg| leg.port))
    }

    /// Both legs, as far as there are.
    pub(super) fn legs(&self) -> impl Iterator<Item = (Side, &Arc<LegFacts>)> {
        [(Side::A, &self.left), (Side::B, &self.right)]
            .into_iter()
            .filter_map(|(side, leg)| leg.as_ref().map(|leg| (side, leg)))
    }

    /// Two talk with each other.
    pub(super) fn is_talk(&self) -> bool {
        self.left.is_some() && self.right.is_some()
    }
}

/// Hangs these legs up.
pub(super) fn hang_up(legs: &[Arc<LegFacts>], cause: Cause) {
    for leg in legs {
        // A full queue holds orders of somebody who ends it as well.
        let _ = leg.orders.try_send(Order::Hangup(cause));
    }
}

/// A leg is in this conference room.
fn is_in(leg: &LegFacts, room: &str) -> bool {
    matches!(&*leg.talks.borrow(), Talks::Room(name) if name == room)
}

/// Whom a leg talks with.
pub(super) fn peer_of(leg: &LegFacts) -> Option<Arc<LegFacts>> {
    match &*leg.talks.borrow() {
        Talks::With { peer, .. } => peer.upgrade(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
