//! Rooms: who is in which conference, by its name. Made by the first who enters, gone with the last who leaves.
//! Above: `ConfBridge()` puts channels in, `CONFBRIDGE_INFO()` and the control socket look. Below: `media` mixes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    call::{
        channel::{CallerId, Channel, Gone},
        exchange::Exchange,
        leg::LegEvent,
        live::{LegFacts, LegState, Order},
        talks::Talks,
    },
    media::{self, RoomId, Source},
};

/// The rooms of the server.
#[derive(Default)]
pub struct Rooms {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    rooms: HashMap<String, Room>,
    /// Rooms that were ever made: a new one of an old name is another room.
    made: u64,
}

struct Room {
    id: RoomId,
    began: Timestamp,
    members: Vec<Arc<Member>>,
}

/// Who is in a room.
pub struct Member {
    /// The leg.
    pub leg: Arc<LegFacts>,
    /// Who it is.
    pub caller: CallerId,
    /// When it came.
    pub entered: Timestamp,
    is_muted: AtomicBool,
    /// When its phone was last found to have sent nothing for the whole RTP timeout.
    silent_at: Mutex<Option<Instant>>,
}

impl Member {
    /// The others do not hear it.
    pub fn is_muted(&self) -> bool {
        self.is_muted.load(Ordering::Relaxed)
    }

    /// Nothing comes from its phone, or it is on hold and nothing is expected.
    fn is_silent(&self, patience: Duration) -> bool {
        // Told anew after each timeout, so that what is older was broken since.
        let told = *self.silent_at.lock().unwrap_or_else(PoisonError::into_inner);
        told.is_some_and(|at| at.elapsed() < patience + patience / 2) || self.leg.now().state == LegState::Held
    }

    /// Whether `word` is its UUID, in any letter case, or its channel's name.
    fn is_called(&self, word: &str) -> bool {
        self.leg.uuid.eq_ignore_ascii_case(word) || self.leg.name == word
    }
}

/// A room as it is now.
pub struct RoomFacts {
    /// Its name.
    pub name: String,
    /// When the first member came.
    pub began: Timestamp,
    /// Who is in it, in the order they came.
    pub members: Vec<Arc<Member>>,
}

/// What can be counted of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Everybody in it.
    Parties,
    /// Those who may rule it. Nobody may from inside a room.
    Admins,
    /// Those whom others wait for. There are none.
    Marked,
    /// 1 when nobody else may come in. Rooms are open.
    Locked,
    /// Those whom the others do not hear.
    Muted,
}

/// What is played when members come and go.
#[derive(Clone, Debug)]
pub struct RoomSounds {
    /// To a member who is the only one.
    pub alone: Option<Source>,
    /// To everybody when one came in to others.
    pub entered: Source,
    /// To those who stay when one left.
    pub left: Source,
}

/// How a channel left a room, other than by hanging up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It was sent out.
    Kicked,
}

impl Rooms {
    /// A number about a room; 0 for one that is not there.
    pub fn count(&self, what: Count, room: &str) -> usize {
        let table = self.lock();
        let Some(room) = table.rooms.get(room) else { return 0 };
        match what {
            Count::Parties => room.members.len(),
            Count::Muted => room.members.iter().filter(|member| member.is_muted()).count(),
            Count::Admins | Count::Marked | Count::Locked => 0,
        }
    }

    /// All rooms, by name.
    pub fn all(&self) -> Vec<RoomFacts> {
        let table = self.lock();
        let facts = |(name, room): (&String, &Room)| RoomFacts {
            name: name.clone(),
            began: room.began,
            members: room.members.clone(),
        };
        let mut all: Vec<_> = table.rooms.iter().map(facts).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The members of a room whom `who` names by UUID or channel; everybody for `None`.
    pub fn members(&self, room: &str, who: Option<&str>) -> Vec<Arc<Member>> {
        let table = self.lock();
        let Some(room) = table.rooms.get(room) else { return Vec::new() };
        let is_meant = |member: &&Arc<Member>| who.is_none_or(|who| member.is_called(who));
        room.members.iter().filter(is_meant).cloned().collect()
    }

    /// The room that a leg is in.
    pub fn of_leg(&self, uuid: &str) -> Option<String> {
        let table = self.lock();
        let has_it = |room: &Room| room.members.iter().any(|member| member.leg.uuid == uuid);
        table.rooms.iter().find(|(_, room)| has_it(room)).map(|(name, _)| name.clone())
    }

    fn enter(&self, name: &str, member: Arc<Member>) -> (RoomId, usize) {
        let mut table = self.lock();
        if !table.rooms.contains_key(name) {
            table.made += 1;
        }
        let new = Room { id: RoomId(table.made), began: member.entered, members: Vec::new() };
        let room = table.rooms.entry(name.to_owned()).or_insert(new);
        room.members.push(member);
        (room.id, room.members.len())
    }

    /// How many are left.
    fn leave(&self, name: &str, member: &Arc<Member>) -> usize {
        let mut table = self.lock();
        let Some(room) = table.rooms.get_mut(name) else { return 0 };
        room.members.retain(|other| !Arc::ptr_eq(other, member));
        let left = room.members.len();
        if left == 0 {
            table.rooms.remove(name);
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// Lets the others in its room hear a member no longer, or again.
    pub fn mute_in_room(&self, member: &Member, muted: bool) {
        member.is_muted.store(muted, Ordering::Relaxed);
        self.media.send(media::Command::MuteInRoom { port: member.leg.port, muted });
        self.recordings.settle(&[&member.leg]);
    }
}

impl Channel {
    /// The conference rooms of the server.
    pub fn rooms(&self) -> &Rooms {
        &self.exchange.rooms
    }

    /// Answers, and stays in a room until it hangs up or is sent out.
    ///
    /// # Errors
    /// The phone has hung up; the room has one party less by then.
    pub async fn confer(&mut self, room: &str, sounds: RoomSounds) -> Result<Left, Gone> {
        self.is_recordable_in(room).await?;
        self.answer().await?;
        self.stop_playing();
        let alone = sounds.alone.clone();
        let membership = Membership::begin(self, room, sounds);
        if membership.is_first
            && let Some(alone) = alone
        {
            self.start_playing(alone);
        }
        let left = loop {
            let event = self.leg.next().await;
            // A phone may say nothing while its user only listens; when nothing comes from anybody, nobody is there.
            if matches!(event, LegEvent::Silent) && !membership.is_all_silent() {
                continue;
            }
            match self.take(event) {
                Ok(LegEvent::Order(Order::LeaveRoom)) => break Ok(Left::Kicked),
                Ok(_) => {}
                Err(gone) => break Err(gone),
            }
        };
        drop(membership);
        self.stop_playing();
        // Keys pressed in a room are not for what the script asks later.
        self.forget_digits();
        left
    }
}

/// A channel's stay in a room. Dropping it leaves, so that an aborted task leaves too.
struct Membership {
    exchange: Arc<Exchange>,
    call: String,
    room: String,
    id: RoomId,
    member: Arc<Member>,
    is_first: bool,
    /// Played to those who stay.
    left: Source,
}

impl Membership {
    fn begin(channel: &Channel, room: &str, sounds: RoomSounds) -> Self {
        let exchange = channel.exchange.clone();
        let member = Arc::new(Member {
            leg: channel.leg.facts.clone(),
            caller: channel.caller().clone(),
            entered: Timestamp::now(),
            is_muted: AtomicBool::new(false),
            silent_at: Mutex::new(None),
        });
        let (id, parties) = exchange.rooms.enter(room, member.clone());
        member.leg.become_talking(Talks::Room(room.to_owned()));
        exchange.spies.settle(&[&member.leg]);
        // Recordings first: they pause for whoever has not agreed before he is heard.
        exchange.recordings.settle(&[&member.leg]);
        exchange.media.send(media::Command::EnterRoom { room: id, port: member.leg.port, muted: false });
        exchange.room_is_entered(room);
        if parties > 1 {
            exchange.media.send(media::Command::PlayToRoom { room: id, source: sounds.entered });
        }
        let call = channel.call.uuid.clone();
        exchange
            .journal
            .note("room.entered", json!({"uuid": call, "room": room, "channel": member.leg.name, "parties": parties}));
        Self { exchange, call, room: room.to_owned(), id, member, is_first: parties == 1, left: sounds.left }
    }

    /// Notes that nothing comes from this member's phone; true when nothing comes from any other either.
    fn is_all_silent(&self) -> bool {
        let patience = self.exchange.settings.load().media.rtp_timeout;
        *self.member.silent_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.exchange.rooms.members(&self.room, None).iter().all(|member| member.is_silent(patience))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Self { exchange, call, room, id, member, left, .. } = self;
        let parties = exchange.rooms.leave(room, member);
        exchange.media.send(media::Command::LeaveRoom { port: member.leg.port });
        member.leg.talks_with_nobody();
        exchange.spies.settle(&[&member.leg]);
        exchange.recordings.settle(&[&member.leg]);
        exchange.recordings.settle_room(room);
        if parties > 0 {
            exchange.media.send(media::Command::PlayToRoom { room: *id, source: left.clone() });
        }
        exchange
            .journal
            .note("room.left", json!({"uuid": call, "room": room, "channel": member.leg.name, "parties": parties}));
    }
}
