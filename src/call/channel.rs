//! A channel: the calling leg as the dialplan sees it, with caller id, variables and position.
//! Above: `dialplan` drives it with straight-line async code. Below: `leg` speaks SIP and media.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{
    call::{
        about::About,
        cause::Cause,
        detail_record::LegRecord,
        exchange::Exchange,
        frame::Frame,
        leaving::Away,
        leg::{Closing, Leg, LegEvent},
        live::{CallFacts, Order},
        place::Calling,
        timeouts::Timeouts,
        trace::Tracer,
        variables::Variables,
    },
    media::{self, PlayId, Source},
    sdp::Spoken,
};

/// Keys typed ahead that a channel keeps.
const TYPED_AHEAD: usize = 64;

/// The channel has hung up: the script unwinds (its `h` extension may still run).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the channel has hung up")]
pub struct Gone;

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CallerId {
    /// The display name, may be empty.
    pub name: String,
    /// The number, may be empty.
    pub number: String,
}

/// Where in the dialplan a channel is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// `[context]`.
    pub context: String,
    /// The extension.
    pub extension: String,
    /// Its priority, from 1.
    pub priority: u32,
}

/// What a channel is in its call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// It called: the call ends with it.
    Caller,
    /// It was called.
    Callee,
}

/// One leg as the dialplan sees it.
pub struct Channel {
    pub(super) leg: Leg,
    pub(super) call: Arc<CallFacts>,
    pub(super) part: Part,
    pub(super) exchange: Arc<Exchange>,
    caller: CallerId,
    pub(super) variables: Variables,
    pub(super) frames: Vec<Frame>,
    position: Position,
    pub(super) digits: VecDeque<char>,
    pub(super) gone: Option<Cause>,
    pub(super) hangup: Option<Cause>,
    /// Where it goes on once what it does has ended.
    pub(super) away: Option<Away>,
    /// Brings the party it is to talk with.
    pub(super) meets: Option<oneshot::Receiver<Box<Self>>>,
    /// It had a call and a script of its own before it was fetched into another's.
    pub(super) was_caller: bool,
    playing: Option<PlayId>,
    /// The statistics of a leg come when its port is closed: nobody waits for them before the record is written.
    pub(super) ended_legs: Vec<(LegRecord, Closing)>,
    /// The caller's Max-Forwards, for the legs it dials.
    pub(super) max_forwards: Option<u8>,
    /// Whoever follows the script.
    pub(super) tracer: Option<Box<Tracer>>,
    /// The UUID of the oldest of the channels that came from one another by Local pairs, held by each of them.
    pub(super) kin: Arc<str>,
    pub(super) about: Box<About>,
    /// When its record was begun anew.
    pub(super) counted_from: Option<(jiff::Timestamp, std::time::Instant)>,
    pub(super) timeouts: Timeouts,
    /// The language it is spoken to in; empty is the usual one.
    pub(super) language: String,
}

impl Channel {
    /// A channel over a calling leg, on the list of live calls from now on.
    pub(super) fn new(leg: Leg, exchange: &Arc<Exchange>, caller: CallerId, position: Position) -> Self {
        let call = Arc::new(CallFacts::new(
            leg.facts.clone(),
            (&caller.number, &caller.name),
            &position.extension,
            &position.context,
        ));
        exchange.live.begin(call.clone());
        exchange.journal.note(
            "call.started",
            json!({"uuid": call.uuid, "from": caller.number, "to": position.extension, "context": position.context}),
        );
        Self::made(leg, (call, Part::Caller), exchange, caller).at(position)
    }

    /// The channel of a leg that this one dials, within its call, with its caller id and what it hands down.
    pub(super) fn called(&self, leg: Leg) -> Self {
        let part = (self.call.clone(), Part::Callee);
        let mut callee = Self::made(leg, part, &self.exchange, self.caller.clone()).at(self.position.clone());
        callee.kin = self.kin.clone();
        callee.about.headers = self.about.headers.to_send();
        callee.max_forwards = self.max_forwards;
        callee
    }

    fn made(mut leg: Leg, (call, part): (Arc<CallFacts>, Part), exchange: &Arc<Exchange>, caller: CallerId) -> Self {
        let mut variables = std::mem::take(&mut leg.inherited);
        variables.seen_by(leg.facts.groups.mirror(&leg.facts.noted));
        Self {
            kin: leg.facts.uuid.as_str().into(),
            about: Box::default(),
            counted_from: None,
            variables,
            leg,
            call,
            part,
            exchange: exchange.clone(),
            caller,
            frames: Vec::new(),
            position: Position::default(),
            digits: VecDeque::new(),
            gone: None,
            hangup: None,
            away: None,
            meets: None,
            was_caller: false,
            playing: None,
            ended_legs: Vec::new(),
            max_forwards: None,
            timeouts: Timeouts::default(),
            language: String::new(),
            tracer: None,
        }
    }

    fn at(mut self, position: Position) -> Self {
        self.position = position;
        self
    }

    pub(super) fn with_max_forwards(mut self, max_forwards: Option<u8>) -> Self {
        self.max_forwards = max_forwards;
        self
    }

    pub(super) fn with_kin(mut self, kin: Arc<str>) -> Self {
        self.kin = kin;
        self
    }

    /// Further headers of the INVITEs of legs it dials; of its own, before it is called.
    pub(super) fn headers(&self) -> &[(String, String)] {
        self.about.headers.added()
    }

    /// From now on the call's record counts anew.
    pub fn begins_record_anew(&mut self) {
        self.counted_from = Some((jiff::Timestamp::now(), std::time::Instant::now()));
    }

    /// As the legs it dials see it.
    pub(super) fn calling(&self) -> Calling<'_> {
        Calling {
            id: &self.caller,
            codecs: self.leg.codecs_for_other(),
            near: Some(self.leg.port()),
            max_forwards: self.max_forwards,
            variables: self.variables.inherited(),
            headers: self.headers(),
            kin: Some(self.kin.clone()),
        }
    }

    /// 36 characters, lower case.
    pub fn uuid(&self) -> &str {
        &self.leg.facts.uuid
    }

    /// `SIP/1001-00000001`.
    pub fn name(&self) -> &str {
        &self.leg.facts.name
    }

    /// Who calls.
    pub fn caller(&self) -> &CallerId {
        &self.caller
    }

    /// Changes who is shown as calling, on legs dialled from now on.
    pub fn set_caller(&mut self, caller: CallerId) {
        self.caller = caller;
    }

    /// A variable's value.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.variables.get(name)
    }

    /// Sets a variable.
    pub fn set_var(&mut self, name: &str, value: impl Into<String>) {
        self.variables.set(name, value.into());
    }

    /// All variables.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// All variables, to be changed.
    pub fn variables_mut(&mut self) -> &mut Variables {
        &mut self.variables
    }

    /// What all calls share.
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// Where in the dialplan it is.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Moves it in the dialplan.
    pub fn set_position(&mut self, position: Position) {
        self.position = position;
    }

    /// Moves it within its extension.
    pub fn set_priority(&mut self, priority: u32) {
        self.position.priority = priority;
    }

    /// The calling phone's leg is answered.
    pub fn is_answered(&self) -> bool {
        self.leg.facts.now().answered.is_some()
    }

    /// The calling phone has hung up.
    pub fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// Why it ends, as far as is known: [`Cause::UNKNOWN`] while it lives.
    pub fn cause(&self) -> Cause {
        self.gone.or(self.hangup).unwrap_or(Cause::UNKNOWN)
    }

    /// Answers the calling phone.
    ///
    /// # Errors
    /// The phone has hung up, or its offer cannot be met.
    pub async fn answer(&mut self) -> Result<(), Gone> {
        let is_new = !self.leg.is_up() && self.part == Part::Caller;
        self.is_recordable().await?;
        self.answer_like(None)?;
        if is_new {
            self.exchange.answered_by_script(&self.call, &self.leg.facts);
        }
        Ok(())
    }

    pub(super) fn answer_like(&mut self, prefer: Option<&Spoken>) -> Result<(), Gone> {
        self.still_here()?;
        if self.leg.is_up() || self.part == Part::Callee {
            return Ok(());
        }
        self.leg.answer(prefer).map_err(|cause| self.refuse(cause))?;
        self.exchange.journal.note("call.answered", json!({"uuid": self.call.uuid}));
        Ok(())
    }

    /// Tells an unanswered phone that the far one rings (180).
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn ring(&mut self) -> Result<(), Gone> {
        self.still_here()?;
        if !self.leg.is_up() && self.part == Part::Caller {
            self.leg.ring();
        }
        Ok(())
    }

    /// Opens the way for early media (183).
    ///
    /// # Errors
    /// The phone has hung up, or its offer cannot be met.
    pub async fn progress(&mut self) -> Result<(), Gone> {
        self.still_here()?;
        if self.part == Part::Callee {
            return Ok(());
        }
        self.leg.progress(None).map_err(|cause| self.refuse(cause))
    }

    /// Plays to the end; keys pressed meanwhile, or before, are forgotten.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn play(&mut self, source: Source) -> Result<(), Gone> {
        self.play_until(source, |_| false).await.map(|_| ())
    }

    /// Plays beside what the script does, until [`Self::stop_playing`] or the next sound.
    pub fn start_playing(&mut self, source: Source) {
        self.start(source);
    }

    /// Ends what plays.
    pub fn stop_playing(&mut self) {
        if self.playing.take().is_some() {
            self.exchange.media.send(media::Command::StopPlay { port: self.leg.port() });
        }
    }

    /// Waits, serving the phone meanwhile; keys pressed until then are forgotten. No time at all forgets none.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn wait(&mut self, time: Duration) -> Result<(), Gone> {
        if time.is_zero() {
            return self.still_here();
        }
        let until = Instant::now() + time;
        while self.next_event(Some(until)).await?.is_some() {}
        self.forget_digits();
        Ok(())
    }

    /// Sends back what the phone sends, until `#`.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn echo(&mut self) -> Result<(), Gone> {
        let port = self.leg.port();
        self.exchange.media.send(media::Command::Echo { port, on: true });
        let ended = loop {
            match self.next_event(None).await {
                Ok(_) if self.digits.pop_front() == Some('#') => break Ok(()),
                Ok(_) => {}
                Err(gone) => break Err(gone),
            }
        };
        self.exchange.media.send(media::Command::Echo { port, on: false });
        ended
    }

    /// The next key, typed ahead or within the time given.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn digit(&mut self, within: Duration) -> Result<Option<char>, Gone> {
        let until = Instant::now() + within;
        loop {
            if let Some(digit) = self.digits.pop_front() {
                return Ok(Some(digit));
            }
            if self.next_event(Some(until)).await?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Remembers why the channel is to end; the phone is told when the script is over.
    pub fn hangup(&mut self, cause: Cause) {
        self.hangup.get_or_insert(cause);
    }

    /// The next event that is not the channel's own business; `None` when `until` has passed.
    pub(super) async fn next_event(&mut self, until: Option<Instant>) -> Result<Option<LegEvent>, Gone> {
        self.still_here()?;
        let event = match until {
            Some(until) => match timeout_at(until, self.leg.next()).await {
                Ok(event) => event,
                Err(_) => return Ok(None),
            },
            None => self.leg.next().await,
        };
        self.take(event).map(Some)
    }

    /// Does what every owner of a channel must do with an event, and passes it on.
    pub(super) fn take(&mut self, event: LegEvent) -> Result<LegEvent, Gone> {
        match event {
            LegEvent::Gone(cause) | LegEvent::Refused(cause) => {
                self.gone = Some(cause);
                self.about.hangup_source = self.name().to_owned();
                return Err(Gone);
            }
            LegEvent::Order(Order::Hangup(cause)) => {
                self.hangup(cause);
                self.gone = Some(cause);
                self.leg.hangup(cause);
                return Err(Gone);
            }
            LegEvent::Order(Order::Leave(order)) => {
                return if self.leaves(order, None) { Err(Gone) } else { Ok(LegEvent::HoldChanged) };
            }
            LegEvent::Order(Order::TimeIsUp) => {
                self.timeouts.expired = true;
                return Err(Gone);
            }
            // A single answered leg that is silent for the whole time has lost its phone; a bridge looks at both sides itself.
            LegEvent::Silent if self.leg.is_up() && !self.leg.is_local() => {
                self.leg.hangup(Cause::NETWORK_FAILURE);
                self.gone = Some(Cause::NETWORK_FAILURE);
                return Err(Gone);
            }
            LegEvent::Digit { digit, .. } if self.digits.len() < TYPED_AHEAD => self.digits.push_back(digit),
            LegEvent::Played(id) if self.playing == Some(id) => self.playing = None,
            _ => {}
        }
        if let LegEvent::Order(Order::Trace(to)) = event {
            self.tracer = Some(Box::new(Tracer::new(to)));
            return Ok(LegEvent::HoldChanged);
        }
        if let LegEvent::Order(Order::Describe(reply)) = event {
            let _ = reply.send(self.describe());
            return Ok(LegEvent::HoldChanged);
        }
        Ok(event)
    }

    /// Forgets keys typed so far.
    pub fn forget_digits(&mut self) {
        self.digits.clear();
    }

    pub(super) fn start(&mut self, source: Source) -> PlayId {
        let id = next_play_id();
        self.exchange.media.send(media::Command::Play { port: self.leg.port(), id, source });
        self.playing = Some(id);
        id
    }

    pub(super) fn still_here(&self) -> Result<(), Gone> {
        if self.gone.is_some() || self.leg.is_over() || self.time_is_up() || self.is_leaving() {
            Err(Gone)
        } else {
            Ok(())
        }
    }

    pub(super) fn refuse(&mut self, cause: Cause) -> Gone {
        self.gone = Some(cause);
        if !self.leg.is_over() {
            self.leg.refuse(cause, Vec::new());
        }
        Gone
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.exchange.groups.leave(&self.leg.facts.uuid);
        match self.part {
            Part::Caller => self.exchange.forgets(&self.call),
            Part::Callee => self.exchange.live.drop_leg(&self.call, &self.leg.facts),
        }
    }
}

/// Numbers prompts and digit strings of all channels.
pub(super) fn next_play_id() -> PlayId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    PlayId(NEXT.fetch_add(1, Ordering::Relaxed))
}
