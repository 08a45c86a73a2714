//! The live calls: every leg by its UUID, every call by its calling leg's UUID, as other tasks may see them.
//! Above: the control socket lists and finds here. Below: the owning task of each leg writes its own facts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    audio::codec::Coding,
    call::{
        cause::Cause,
        channel::Position,
        holding::Holders,
        leaving::Leave,
        noted::Noted,
        pressing::QueuedKeys,
        recording::Standing,
        speech::Takes,
        talks::{Side, SpyGroups, Talks},
        variables::Variables,
    },
    media::PortId,
    sdp::Spoken,
};

/// Which way a leg was set up, seen from this server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The phone called us.
    In,
    /// We called the phone.
    Out,
}

impl Way {
    /// The word of the JSON shapes.
    pub fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// How far a leg is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LegState {
    /// Being set up, nothing heard from the phone yet.
    Dialling,
    /// The phone rings (out), or its caller hears that it does (in).
    Ringing,
    /// Answered.
    Up,
    /// Answered, and put on hold by its phone.
    Held,
    /// Over.
    Ended,
}

impl LegState {
    /// The word of the JSON shapes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dialling => "dialling",
            Self::Ringing => "ringing",
            Self::Up => "up",
            Self::Held => "held",
            Self::Ended => "ended",
        }
    }
}

/// What another task may ask of the task that owns a leg.
#[derive(Debug)]
pub enum Order {
    /// End the leg.
    Hangup(Cause),
    /// Leave what it does, and go on elsewhere.
    Leave(Leave),
    /// Be held by this server, for whom it talks with; told when it is.
    Hold(oneshot::Sender<()>),
    /// Be held so no more; told when it is not.
    Unhold(oneshot::Sender<()>),
    /// Leave the conference room it is in, and go on in the dialplan.
    LeaveRoom,
    /// The call has lasted as long as it may.
    TimeIsUp,
    /// Be seen to press these keys: they reach whatever runs on the leg.
    BeSeenToPress(QueuedKeys),
    /// Ask the leg's phone to speak this, for whom it talks with.
    Speak(Spoken),
    /// Press these keys towards the leg's phone.
    Press(QueuedKeys),
    /// Tell what the channel knows of itself.
    Describe(oneshot::Sender<Described>),
    /// Tell what the channel's script does from now on.
    Trace(mpsc::Sender<crate::call::trace::Traced>),
}

/// What a channel tells of itself when asked.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// Everything the dialplan could read.
    pub variables: Vec<(String, String)>,
    /// Where in the dialplan it is.
    pub position: Position,
    /// What runs there.
    pub application: Option<&'static str>,
    /// Its arguments.
    pub data: String,
    /// The number of who calls.
    pub caller: String,
    /// Who is charged.
    pub account: String,
    /// Who is charged for the other end.
    pub peer_account: String,
}

/// A leg as others see it.
pub struct LegFacts {
    /// 36 characters, lower case.
    pub uuid: String,
    /// `SIP/1001-00000001`.
    pub name: String,
    /// The configured user whose phone this is.
    pub user: Option<String>,
    /// The number it has or was called by.
    pub number: String,
    /// Which way it was set up.
    pub way: Way,
    /// The Call-ID of its dialog.
    pub call_id: String,
    /// Its end in the media threads.
    pub port: PortId,
    /// Our RTP address of it.
    pub rtp: std::net::SocketAddr,
    /// When it began.
    pub began: Instant,
    /// What its channel shares with others by `SHARED()`.
    pub shared: Mutex<Variables>,
    /// The supervision groups that its channel's variables name.
    pub groups: SpyGroups,
    /// The variables of its channel that are kept with recordings.
    pub noted: Noted,
    /// What its party was told of being recorded, and said to it.
    pub(in crate::call) consent: Standing,
    /// Whom it talks with; told anew as well when the leg is answered, held or taken back.
    pub talks: watch::Sender<Talks>,
    /// Reaches the owning task.
    pub orders: mpsc::Sender<Order>,
    /// What changes.
    pub now: Mutex<LegNow>,
}

/// The part of [`LegFacts`] that changes.
pub struct LegNow {
    /// How far it is.
    pub state: LegState,
    /// The codec once negotiated.
    pub codec: Option<Coding>,
    /// What its phone has shown that it speaks.
    pub takes: Takes,
    /// Where its media comes from.
    pub address: Option<std::net::SocketAddr>,
    /// When it was answered.
    pub answered: Option<Timestamp>,
    /// Who holds it by this server.
    pub holders: Holders,
}

impl LegNow {
    /// On hold, by its phone or by order.
    pub fn is_on_hold(&self) -> bool {
        self.state == LegState::Held || (self.state == LegState::Up && self.holders.operator())
    }
}

impl LegFacts {
    /// What its channel shares with others; a panicked writer leaves it readable.
    pub fn shared(&self) -> MutexGuard<'_, Variables> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it talks with another leg, and is the party on `side`.
    pub(super) fn talks_with(&self, peer: &Arc<Self>, side: Side) {
        self.become_talking(Talks::With { peer: Arc::downgrade(peer), side });
    }

    /// From now on it is alone.
    pub(super) fn talks_with_nobody(&self) {
        self.become_talking(Talks::Nobody);
    }

    /// The other leg that it talks with.
    pub(super) fn peer(&self) -> Option<Arc<Self>> {
        self.talks.borrow().peer()
    }

    /// What is over stays over.
    pub(super) fn become_talking(&self, talks: Talks) {
        self.talks.send_if_modified(|now| {
            let lives = !matches!(now, Talks::Ended);
            if lives {
                *now = talks;
            }
            lives
        });
    }

    /// Tells everybody who waits that something about it is different.
    pub(super) fn touch(&self) {
        self.talks.send_modify(|_| ());
    }

    /// It is half of a Local pair.
    pub fn is_local(&self) -> bool {
        self.name.starts_with("Local/")
    }

    /// Its name without the number at the end: `SIP/1001`.
    pub fn device(&self) -> &str {
        self.name.rsplit_once('-').map_or(&self.name, |(device, _)| device)
    }

    /// The changing part; a panicked writer leaves it readable.
    pub fn now(&self) -> MutexGuard<'_, LegNow> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call as others see it.
pub struct CallFacts {
    /// The calling leg's UUID.
    pub uuid: String,
    /// The calling number.
    pub from: String,
    /// The caller's name.
    pub from_name: String,
    /// The number that was dialled.
    pub to: String,
    /// The context it was dialled in.
    pub context: String,
    /// When it began.
    pub started: Timestamp,
    /// The same, for durations.
    pub began: Instant,
    legs: Mutex<Legs>,
}

#[derive(Default)]
struct Legs {
    all: Vec<Arc<LegFacts>>,
    /// The party that called and the party that answered, while they hear each other.
    bridged: Option<(Arc<LegFacts>, Arc<LegFacts>)>,
}

impl CallFacts {
    /// A call that begins now with its calling leg.
    pub fn new(first: Arc<LegFacts>, from: (&str, &str), to: &str, context: &str) -> Self {
        Self {
            uuid: first.uuid.clone(),
            from: from.0.into(),
            from_name: from.1.into(),
            to: to.into(),
            context: context.into(),
            started: Timestamp::now(),
            began: Instant::now(),
            legs: Mutex::new(Legs { all: vec![first], bridged: None }),
        }
    }

    /// All legs, the calling one first.
    pub fn legs(&self) -> Vec<Arc<LegFacts>> {
        self.lock().all.clone()
    }

    /// The party that called and the party that answered, while they hear each other.
    pub fn bridged(&self) -> Option<(Arc<LegFacts>, Arc<LegFacts>)> {
        self.lock().bridged.clone()
    }

    /// Notes that two legs now hear each other, or no longer do.
    pub(super) fn set_bridged(&self, pair: Option<(Arc<LegFacts>, Arc<LegFacts>)>) {
        self.lock().bridged = pair;
    }

    fn lock(&self) -> MutexGuard<'_, Legs> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All live calls of the server.
#[derive(Default)]
pub struct Live {
    table: Mutex<Table>,
    /// Counts what changes about calls, for those who wait for one.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Table {
    calls: HashMap<String, Arc<CallFacts>>,
    /// Leg UUID → call UUID.
    legs: HashMap<String, String>,
    per_user: HashMap<String, usize>,
    /// Calls that ever began, for the channel names.
    begun: u64,
    calls_begun: u64,
    /// Watches the number of live calls, for a graceful stop.
    idle: Option<Arc<tokio::sync::Notify>>,
}

impl Live {
    /// Puts a new call on the list.
    pub fn begin(&self, call: Arc<CallFacts>) {
        let mut table = self.lock();
        for leg in call.legs() {
            table.add(&leg, &call.uuid);
        }
        table.calls_begun += 1;
        table.calls.insert(call.uuid.clone(), call);
        drop(table);
        self.note_change();
    }

    /// Puts a further leg of a call on the list.
    pub fn add_leg(&self, call: &CallFacts, leg: Arc<LegFacts>) {
        self.lock().add(&leg, &call.uuid);
        call.lock().all.push(leg);
        self.note_change();
    }

    /// Takes a leg off the list.
    pub fn drop_leg(&self, call: &CallFacts, leg: &LegFacts) {
        self.lock().remove(leg);
        call.lock().all.retain(|other| other.uuid != leg.uuid);
        self.note_change();
    }

    /// Takes a call and all its legs off the list.
    pub fn end(&self, call: &CallFacts) {
        let mut table = self.lock();
        for leg in call.legs() {
            table.remove(&leg);
        }
        table.calls.remove(&call.uuid);
        if table.calls.is_empty()
            && let Some(idle) = &table.idle
        {
            idle.notify_waiters();
        }
        drop(table);
        self.note_change();
    }

    /// Something about a call is different: it is there, gone, answered, or its parties changed.
    pub(super) fn note_change(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Counts what changes about calls.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Every live call, oldest first.
    pub fn calls(&self) -> Vec<Arc<CallFacts>> {
        let mut calls: Vec<_> = self.lock().calls.values().cloned().collect();
        calls.sort_by(|a, b| (a.began, &a.uuid).cmp(&(b.began, &b.uuid)));
        calls
    }

    /// The leg with this UUID (any case) and its call.
    pub fn find(&self, uuid: &str) -> Option<(Arc<CallFacts>, Arc<LegFacts>)> {
        let uuid = uuid.to_ascii_lowercase();
        let call = {
            let table = self.lock();
            table.calls.get(table.legs.get(&uuid)?)?.clone()
        };
        let leg = call.legs().into_iter().find(|leg| leg.uuid == uuid)?;
        Some((call, leg))
    }

    /// The leg of this channel name (any case).
    pub fn named(&self, name: &str) -> Option<Arc<LegFacts>> {
        self.legs().into_iter().find(|leg| leg.name.eq_ignore_ascii_case(name))
    }

    /// The legs of a device, `SIP/1001`, `SIP/host` at any port, `Local/700@internal` (any case; PJSIP is SIP).
    pub fn legs_of_device(&self, device: &str) -> Vec<Arc<LegFacts>> {
        let sip = device.get(..6).filter(|start| start.eq_ignore_ascii_case("PJSIP/"));
        let device = sip.map_or_else(|| device.to_owned(), |start| format!("SIP/{}", &device[start.len()..]));
        let is_it = |own: &str| {
            let without_port = own.rsplit_once(':').map_or(own, |(host, _)| host);
            own.eq_ignore_ascii_case(&device) || without_port.eq_ignore_ascii_case(&device)
        };
        self.legs().into_iter().filter(|leg| is_it(leg.device())).collect()
    }

    fn legs(&self) -> Vec<Arc<LegFacts>> {
        self.calls().iter().flat_map(|call| call.legs()).collect()
    }

    /// Calls that ever began.
    pub fn processed(&self) -> u64 {
        self.lock().calls_begun
    }

    /// Live calls and legs.
    pub fn counts(&self) -> (usize, usize) {
        let table = self.lock();
        (table.calls.len(), table.legs.len())
    }

    /// Legs of a user's phones that are live now.
    pub fn legs_of(&self, user: &str) -> usize {
        self.lock().per_user.get(user).copied().unwrap_or(0)
    }

    /// The name of the next channel: `label`, a dash and eight hexadecimal digits that count.
    pub fn next_name(&self, label: &str) -> String {
        let mut table = self.lock();
        table.begun += 1;
        format!("{label}-{:08x}", table.begun)
    }

    /// Returns when no call is live.
    pub async fn idle(&self) {
        loop {
            let notify = {
                let mut table = self.lock();
                if table.calls.is_empty() {
                    return;
                }
                table.idle.get_or_insert_with(Arc::default).clone()
            };
            let notified = notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.lock().calls.is_empty() {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn add(&mut self, leg: &LegFacts, call: &str) {
        if let Some(user) = &leg.user {
            *self.per_user.entry(user.clone()).or_default() += 1;
        }
        self.legs.insert(leg.uuid.clone(), call.into());
    }

    fn remove(&mut self, leg: &LegFacts) {
        if self.legs.remove(&leg.uuid).is_none() {
            return;
        }
        let Some(user) = &leg.user else { return };
        if let Some(count) = self.per_user.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.per_user.remove(user);
            }
        }
    }
}
