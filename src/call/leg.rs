//! A leg: one line (a SIP session or a Local half) and one media port, with what both say to its owner.
//! Above: `channel` owns legs. Below: `line` and `media::Engine`, told by commands.

mod codecs;
mod events;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    call::{
        cause::Cause,
        exchange::Exchange,
        holding::Holders,
        keyboard::{Keyboard, Row},
        line::Line,
        live::{LegFacts, LegNow, LegState, Order, Way},
        noted::Noted,
        pressing::GAP_MS,
        recording::Standing,
        speech::Takes,
        talks::{SpyGroups, Talks},
        variables::Variables,
    },
    media::{self, PortId, PortStats},
    sdp::{self, Description, Direction, LocalMedia, Negotiated, Spoken},
    sip::stack::{Invite, SessionEvent},
};

/// How many events of each kind may wait for the owner of a leg.
pub(super) const QUEUE: usize = 64;

/// What a leg tells its owner.
#[derive(Debug)]
pub(super) enum LegEvent {
    /// The called phone says something before the answer.
    Progress {
        /// Its early media can be heard.
        media: bool,
    },
    /// The called phone answered, and its media is configured.
    Answered,
    /// The called phone refused, or could not be reached.
    Refused(Cause),
    /// The leg is over: hung up by its phone, cancelled by its caller, or timed out.
    Gone(Cause),
    /// A key was pressed, by telephone-event or INFO.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How long it was held, ms.
        ms: u32,
        /// It came outside the media stream, so no relay carries it on.
        by_info: bool,
    },
    /// A prompt, tone or digit string came to its end.
    Played(media::PlayId),
    /// No media came for the whole RTP timeout.
    Silent,
    /// The phone's user began or ended to make a sound, as far as somebody asked.
    Sound {
        /// It can be heard now.
        is_loud: bool,
    },
    /// The phone put the call on hold, or took it back.
    HoldChanged,
    /// Another task asks for something.
    Order(Order),
}

/// One line and one media port.
pub(super) struct Leg {
    /// What others may see.
    pub facts: Arc<LegFacts>,
    pub(super) exchange: Arc<Exchange>,
    line: Line,
    signals: mpsc::Receiver<SessionEvent>,
    media_events: mpsc::Receiver<media::Event>,
    orders: mpsc::Receiver<Order>,
    media: LocalMedia,
    /// The peer's offer, as long as it is not answered.
    offer: Option<Description>,
    /// Our answer once made: a 18x and the 200 must carry the same (RFC 3261 §13.2.1).
    answer: Option<Bytes>,
    negotiated: Option<Negotiated>,
    /// Keys that wait to be pressed, on its side and on ours.
    pub(super) keyboard: Keyboard,
    /// The variables it inherited from the channel that dialled it.
    pub(super) inherited: Variables,
    /// Answered with an offer of ours: the peer's answer comes in the ACK.
    awaits_answer: bool,
    /// Its phone was asked to change its codec, and did not.
    refuses_change: bool,
    /// The session no longer exists, nothing need be told to it.
    over: bool,
    closed: bool,
}

/// What a new leg is made of.
pub(super) struct LegParts {
    pub line: Line,
    pub signals: mpsc::Receiver<SessionEvent>,
    pub way: Way,
    pub user: Option<String>,
    pub number: String,
    pub call_id: String,
    /// `SIP/1001-00000001`.
    pub name: String,
    /// Another leg of the same call: they share a media thread.
    pub near: Option<PortId>,
    /// What it speaks, best first.
    pub codecs: Vec<Spoken>,
    /// Variables for what runs on this leg alone.
    pub inherited: Variables,
}

impl Leg {
    /// Opens the media port of a new leg.
    ///
    /// # Errors
    /// No port is free.
    pub(super) fn open(exchange: &Arc<Exchange>, parts: LegParts) -> Result<Self, media::MediaError> {
        let (events, media_events) = mpsc::channel(QUEUE);
        let port = exchange.media.open(parts.near, events)?;
        let (orders, inbox) = mpsc::channel(QUEUE);
        let (uuid, session_id) = names();
        let facts = LegFacts {
            uuid,
            name: parts.name,
            user: parts.user,
            number: parts.number,
            way: parts.way,
            call_id: parts.call_id,
            port: port.id,
            rtp: port.rtp,
            began: Instant::now(),
            shared: Mutex::default(),
            groups: SpyGroups::default(),
            noted: Noted::of(&exchange.settings.load()),
            consent: Standing::default(),
            talks: watch::Sender::new(Talks::Nobody),
            orders,
            now: Mutex::new(LegNow {
                state: LegState::Dialling,
                codec: None,
                takes: Takes::default(),
                address: None,
                answered: None,
                holders: Holders::default(),
            }),
        };
        let media = LocalMedia {
            address: parts.line.media_address(exchange, port.rtp),
            port: port.rtp.port(),
            codecs: parts.codecs,
            direction: Direction::SendRecv,
            ptime_ms: 20,
            session_id,
            version: 1,
            // Taken where the phone offers it, never asked for.
            rtcp_mux: parts.way == Way::In,
        };
        Ok(Self {
            facts: Arc::new(facts),
            exchange: exchange.clone(),
            line: parts.line,
            signals: parts.signals,
            media_events,
            orders: inbox,
            media,
            offer: None,
            answer: None,
            negotiated: None,
            keyboard: Keyboard::default(),
            inherited: parts.inherited,
            awaits_answer: false,
            refuses_change: false,
            over: false,
            closed: false,
        })
    }

    /// The port in the media threads.
    pub(super) fn port(&self) -> PortId {
        self.facts.port
    }

    /// The peer's phone takes keys as telephone-event.
    pub(super) fn takes_telephone_event(&self) -> bool {
        self.negotiated.as_ref().is_some_and(|n| n.telephone_event.is_some())
    }

    /// The leg is answered.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.facts.now().state, LegState::Up | LegState::Held)
    }

    /// The other end is a leg of this server, whose end is always told: silence means nothing.
    pub(super) fn is_local(&self) -> bool {
        self.line.is_local()
    }

    /// The address that its signalling comes from.
    pub(super) fn signalled_from(&self) -> Option<IpAddr> {
        self.line.signalled_from()
    }

    /// The leg is over.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Our offer to the phone of an outgoing leg.
    pub(super) fn make_offer(&self) -> Bytes {
        Bytes::from(sdp::offer(&self.media))
    }

    /// Sends the INVITE of an outgoing leg.
    pub(super) fn invite(&self, invite: Invite) {
        self.line.invite(invite);
    }

    /// Tells an unanswered caller that the far phone rings.
    pub(super) fn ring(&mut self) {
        if self.facts.now().state == LegState::Dialling {
            self.set_state(LegState::Ringing);
        }
        self.line.progress(180, self.answer.clone());
    }

    /// Opens the way for early media to an unanswered caller (183). `prefer` is what needs no transcoding.
    ///
    /// # Errors
    /// The caller's offer cannot be met: the cause to refuse it with.
    pub(super) fn progress(&mut self, prefer: Option<&Spoken>) -> Result<(), Cause> {
        if self.is_up() || self.answer.is_some() {
            return Ok(());
        }
        let Some(description) = self.answer_offer(prefer)? else { return Ok(()) };
        self.line.progress(183, Some(description));
        Ok(())
    }

    /// Answers the caller (200). `prefer` is what needs no transcoding; without it, what can be decoded.
    ///
    /// # Errors
    /// The caller's offer cannot be met: the cause to refuse it with.
    pub(super) fn answer(&mut self, prefer: Option<&Spoken>) -> Result<(), Cause> {
        if self.is_up() {
            return Ok(());
        }
        let description = match self.answer_offer(prefer)? {
            Some(answer) => answer,
            // The INVITE had no offer: ours goes into the 200, the answer comes in the ACK (RFC 3261 §13.2.1).
            None => {
                self.awaits_answer = true;
                self.make_offer()
            }
        };
        self.mark_up();
        self.line.answer(description);
        if prefer.is_none() {
            self.facts.speaks_alone();
        }
        Ok(())
    }

    /// Ends the session for `cause`: BYE, CANCEL or a refusal, as its state needs.
    pub(super) fn hangup(&mut self, cause: Cause) {
        if self.over {
            return;
        }
        self.over = true;
        self.set_state(LegState::Ended);
        self.line.hangup(cause);
    }

    /// Refuses an unanswered caller with a status.
    pub(super) fn reject(&mut self, status: u16, headers: Vec<(String, String)>) {
        if self.over {
            return;
        }
        self.over = true;
        self.set_state(LegState::Ended);
        self.line.reject(status, headers);
    }

    /// Refuses an unanswered caller for a cause.
    pub(super) fn refuse(&mut self, cause: Cause, headers: Vec<(String, String)>) {
        if self.over {
            return;
        }
        self.over = true;
        self.set_state(LegState::Ended);
        self.line.refuse(cause, headers);
    }

    /// Gives the media port back; what it counted comes later.
    pub(super) fn close(&mut self) -> Closing {
        self.closed = true;
        let (_, nothing) = mpsc::channel(1);
        let events = std::mem::replace(&mut self.media_events, nothing);
        self.exchange.media.send(media::Command::Close { port: self.port() });
        Closing::GivenBack(events)
    }

    /// What its port has counted so far comes later; the leg lives on.
    pub(super) fn measure(&self) -> Closing {
        let (reply, counted) = oneshot::channel();
        self.exchange.media.send(media::Command::Measure { port: self.port(), reply });
        Closing::StaysOpen(counted)
    }

    /// The next thing this leg has to say.
    pub(super) async fn next(&mut self) -> LegEvent {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Self::next`], for owners of several legs. After the leg is over only orders and played prompts come.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LegEvent> {
        while let Poll::Ready(Some(signal)) = self.signals.poll_recv(cx) {
            if let Some(event) = self.on_signal(signal).filter(|event| !self.agrees_by(event)) {
                return Poll::Ready(event);
            }
        }
        if self.signals.is_closed() && self.signals.is_empty() && !self.over {
            self.over = true;
            return Poll::Ready(LegEvent::Gone(Cause::TEMPORARY_FAILURE));
        }
        while let Poll::Ready(Some(event)) = self.media_events.poll_recv(cx) {
            if let Some(event) = self.on_media(&event).filter(|event| !self.agrees_by(event)) {
                return Poll::Ready(event);
            }
        }
        loop {
            if !self.over
                && let Poll::Ready(key) = self.keyboard.poll(cx)
            {
                return Poll::Ready(key);
            }
            match self.orders.poll_recv(cx) {
                Poll::Ready(Some(Order::Speak(spoken))) => self.asks_to_speak(spoken),
                Poll::Ready(Some(Order::BeSeenToPress(keys))) => self.keyboard.will_be_seen(&keys),
                Poll::Ready(Some(Order::Press(keys))) => {
                    let row = self.keyboard.press(&keys);
                    self.presses(row);
                }
                Poll::Ready(Some(order)) => return Poll::Ready(LegEvent::Order(order)),
                _ => return Poll::Pending,
            }
        }
    }

    /// It is the key by which the party says whether it agrees to be recorded: nobody else's business. One that somebody lets the
    /// phone be seen to press never is.
    fn agrees_by(&self, event: &LegEvent) -> bool {
        matches!(event, LegEvent::Digit { digit, .. } if self.facts.consent.takes(*digit))
    }

    /// Presses a row of keys towards the phone.
    fn presses(&self, row: Option<Row>) {
        let Some(Row { id, keys: digits, tone_ms }) = row else { return };
        let port = self.port();
        self.exchange.media.send(media::Command::SendDigits { port, id, digits, tone_ms, gap_ms: GAP_MS });
    }

    fn mark_up(&mut self) {
        let mut now = self.facts.now();
        now.state = LegState::Up;
        now.answered = Some(Timestamp::now());
        drop(now);
        self.tell_change();
    }

    /// Whoever supervises this leg, or waits for it, looks again.
    fn tell_change(&self) {
        self.facts.touch();
        self.exchange.live.note_change();
    }

    fn finish(&mut self) {
        self.over = true;
        self.set_state(LegState::Ended);
    }

    fn set_state(&self, state: LegState) {
        self.facts.now().state = state;
        if state == LegState::Ended {
            self.facts.talks.send_replace(Talks::Ended);
        }
    }
}

/// What a media port counted, to be awaited.
pub(super) enum Closing {
    /// It was given back.
    GivenBack(mpsc::Receiver<media::Event>),
    /// It lives on in another call.
    StaysOpen(oneshot::Receiver<PortStats>),
}

impl Closing {
    /// The numbers, once the port's thread has told them.
    pub(super) async fn stats(mut self) -> Option<PortStats> {
        let events = match &mut self {
            Self::GivenBack(events) => events,
            Self::StaysOpen(counted) => return counted.await.ok(),
        };
        while let Some(event) = events.recv().await {
            if let media::Event::Closed { stats, .. } = event {
                return Some(stats);
            }
        }
        None
    }
}

impl Drop for Leg {
    /// A task that unwinds, or is aborted, leaves neither a session nor a port behind.
    fn drop(&mut self) {
        self.hangup(Cause::TEMPORARY_FAILURE);
        if !self.closed {
            self.exchange.media.send(media::Command::Close { port: self.facts.port });
        }
    }
}

/// A UUID, and a session id for the `o=` line: unpredictable and unique enough (RFC 8866 §5.2). One question to the system
/// does for both.
fn names() -> (String, u64) {
    let mut random = [0; 24];
    if getrandom::fill(&mut random).is_err() {
        return (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().as_u64_pair().0 >> 1);
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7, uuid @ ..] = random;
    let session = u64::from_ne_bytes([s0, s1, s2, s3, s4, s5, s6, s7]) >> 1;
    (uuid::Builder::from_random_bytes(uuid).into_uuid().to_string(), session)
}
