//! A port: a leg's end in a media thread. What it exchanges, whom it listens to, what it has seen.
//! Above: `board`. Below: `latch` (source), `outgoing` (numbers), `report` (RTCP), `rtp`.

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::mpsc;

use super::board::{Seat, Target};
use super::clock::{Moment, Slot};
use super::command::{Event, PlayId, PortId};
use super::digits::Digits;
use super::latch::{Admission, Latch};
use super::loudness::Loudness;
use super::outgoing::Outgoing;
use super::phone::Phone;
use super::player::Player;
use super::report::Reports;
use super::room::Member;
use super::setup::Stream;
use super::stats::PortStats;
use super::voice::Side;
use crate::rtp::packet::{Header, Packet};
use crate::rtp::stats::Reception;
use crate::rtp::telephone_event::{self, Payload, Press};

/// A key whose packets stop for this long was let go.
const LOST_END: Duration = Duration::from_millis(200);

/// Who is on a port, by number, and which side of them it is. Looked at for each packet; mostly there is one, which lies in the port itself.
pub(super) type OnPort = SmallVec<[(usize, Side); 1]>;

/// Where a port's packets go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Route {
    /// Nowhere: what its peer hears is ours.
    #[default]
    Alone,
    /// Back to where they came from.
    Echo,
    /// To the port on that seat.
    Bridged(Seat),
    /// To everybody in the room it is in, on the beat.
    Room,
    /// To the parties that its peer speaks to as their supervisor.
    Supervising,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Sound of the negotiated codec.
    Audio,
    /// A telephone-event.
    Event,
}

/// A port's state; small, since there are thousands.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) id: PortId,
    pub(super) stream: Option<Stream>,
    pub(super) route: Route,
    pub(super) latch: Latch,
    /// What the sockets were last aimed at.
    pub(super) target: Option<Target>,
    pub(super) out: Outgoing,
    /// What plays, while the port is alone or in a room.
    pub(super) player: Option<Box<Player>>,
    /// What plays over whatever its peer hears.
    pub(super) over: Option<Box<Player>>,
    /// What its peer hears while it is held.
    pub(super) hold: Option<Box<Player>>,
    /// Its place in a room.
    pub(super) member: Option<Box<Member>>,
    /// What makes it a supervisor's phone.
    pub(super) phone: Option<Box<Phone>>,
    /// How loud its peer hears what it supervises, −4 to 4.
    pub(super) volume: i8,
    /// Keys being pressed.
    pub(super) digits: Option<Box<Digits>>,
    /// When its own next packet is due, while it makes any; the default when it has just begun.
    pub(super) due: Slot,
    /// The taps on it, and which side of them it is.
    pub(super) taps: OnPort,
    /// The recordings of it, and which side of them it is.
    pub(super) recordings: OnPort,
    /// How many of the taps its peer hears.
    pub(super) speakers: usize,
    /// What its peer is sent while the other end of the bridge sends nothing.
    pub(super) filler: Filler,
    pub(super) reports: Reports,
    /// What is told of whenever it changes, once somebody asked.
    pub(super) loudness: Option<Loudness>,
    reception: Reception,
    presses: telephone_event::Receiver,
    pressed_at: Moment,
    /// When the peer's last packet came, or listening began.
    heard_at: Moment,
    /// When the silence that lasts was last told.
    silence_told: Option<Moment>,
    counts: Counts,
    events: mpsc::Sender<Event>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packets: u64,
    bytes: u64,
    malformed: u64,
    strangers: u64,
    unexpected: u64,
}

/// Steady silence for the peer of a bridged port whose other end is muted, on hold or gone, so that its stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filler {
    /// The other end sends, or nobody has looked yet.
    Idle,
    /// It was first seen silent then.
    Waits(Moment),
    /// Silence is sent in its place.
    Fills,
    /// It is held, so silence is sent in its place from the start.
    Held,
}

/// How long the other end of a bridge may send nothing before silence takes its place.
const FILL_AFTER: Duration = Duration::from_millis(500);

/// Random numbers a port begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(pub(super) [u8; 22]);

/// A packet that was taken, and what it means for the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) kind: Kind,
    /// The peer's address was just learnt.
    pub(super) latched: Option<SocketAddr>,
    /// Keys that were let go.
    pub(super) presses: [Option<Press>; 2],
}

impl Port {
    /// A port that waits to be configured.
    pub(super) fn new(id: PortId, events: mpsc::Sender<Event>, seed: Seed) -> Self {
        let [s3, s2, s1, s0, q1, q0, t3, t2, t1, t0, name @ ..] = seed.0;
        let out = Outgoing::new(
            u32::from_be_bytes([s3, s2, s1, s0]),
            u16::from_be_bytes([q1, q0]),
            u32::from_be_bytes([t3, t2, t1, t0]),
        );
        Self {
            id,
            stream: None,
            route: Route::Alone,
            latch: Latch::Closed,
            target: None,
            out,
            player: None,
            over: None,
            hold: None,
            member: None,
            phone: None,
            volume: 0,
            digits: None,
            due: Slot::default(),
            taps: OnPort::new(),
            recordings: OnPort::new(),
            speakers: 0,
            filler: Filler::Idle,
            reports: Reports::new(name),
            loudness: None,
            reception: Reception::default(),
            presses: telephone_event::Receiver::default(),
            pressed_at: Moment::default(),
            heard_at: Moment::default(),
            silence_told: None,
            counts: Counts::default(),
            events,
        }
    }

    /// Judges a packet and takes it into the statistics; `None` when it is not to be heard.
    pub(super) fn take(
        &mut self,
        packet: &Packet,
        from: Option<SocketAddr>,
        payload: &[u8],
        now: Moment,
    ) -> Option<Taken> {
        let header = &packet.header;
        let kind = match &self.stream {
            Some(stream) if header.payload_type == stream.payload => Kind::Audio,
            Some(stream) if Some(header.payload_type) == stream.telephone_event => Kind::Event,
            _ => {
                self.counts.unexpected += 1;
                return None;
            }
        };
        let latched = match self.latch.admit(from, header) {
            Admission::Taken => None,
            Admission::Latched(remote) => Some(remote),
            Admission::Stranger => {
                self.counts.strangers += 1;
                return None;
            }
        };
        self.count(header, kind, payload.len(), now);
        let is_heard = self.stream.as_ref().is_some_and(|stream| stream.receive);
        let presses = match kind {
            Kind::Event if is_heard => self.press(header, payload, now),
            Kind::Event | Kind::Audio => [None, None],
        };
        (is_heard || latched.is_some()).then_some(Taken { kind, latched, presses })
    }

    /// How often its time stamps count while 8 kHz counts once.
    pub(super) fn clock(&self) -> u32 {
        self.stream.as_ref().map_or(1, |stream| stream.coding.clock_hz() / 8_000)
    }

    /// Whether what the peer sends is listened to.
    pub(super) fn is_listening(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.receive)
    }

    /// Whether anybody is shown what its peer says.
    pub(super) fn is_listened_to(&self) -> bool {
        !self.taps.is_empty() || self.route == Route::Room || self.phone.is_some() || self.loudness.is_some()
    }

    /// Whether a key is held down towards the peer: nothing else may sound.
    pub(super) fn is_pressing(&self) -> bool {
        self.digits.as_ref().is_some_and(|digits| digits.is_pressing())
    }

    /// Counts a datagram that is no RTP or RTCP.
    pub(super) fn count_malformed(&mut self) {
        self.counts.malformed += 1;
    }

    /// Counts a datagram from elsewhere.
    pub(super) fn count_stranger(&mut self) {
        self.counts.strangers += 1;
    }

    /// Begins the time after which silence is told.
    pub(super) fn listen_from(&mut self, now: Moment) {
        self.heard_at = now;
        self.silence_told = None;
    }

    /// Tells silence, once for each timeout that it lasts; and a press whose end was lost.
    pub(super) fn watch(&mut self, now: Moment, timeout: Duration) {
        if now.since(self.pressed_at) > LOST_END
            && let Some(press) = self.presses.close()
        {
            self.tell_press(press);
        }
        let heard_at = self.heard_at;
        let changed = self.loudness.as_mut().and_then(|loudness| loudness.watch(now, heard_at));
        self.tell_loudness(changed);
        let unheard = now.since(self.silence_told.unwrap_or(self.heard_at));
        if !timeout.is_zero() && unheard >= timeout && self.is_listening() {
            self.silence_told = Some(now);
            self.tell(Event::Silent { port: self.id });
        }
    }

    /// Tells whether the peer makes a sound, when these samples of its change that.
    pub(super) fn hear(&mut self, samples: &[i16]) {
        let changed = self.loudness.as_mut().and_then(|loudness| loudness.hear(samples));
        self.tell_loudness(changed);
    }

    fn tell_loudness(&self, changed: Option<Loudness>) {
        if let Some(loudness) = changed {
            self.tell(Event::Sound { port: self.id, is_loud: loudness == Loudness::Loud });
        }
    }

    /// Looks whether the other end of the bridge is silent; true when that changes who makes packets.
    pub(super) fn look_at_silence(&mut self, now: Moment) -> bool {
        let is_silent = matches!(self.route, Route::Bridged(_)) && self.out.peer_is_silent(now);
        let next = match self.filler {
            Filler::Held => Filler::Held,
            _ if !is_silent => Filler::Idle,
            Filler::Idle => Filler::Waits(now),
            Filler::Waits(since) if now.since(since) >= FILL_AFTER => Filler::Fills,
            unchanged => unchanged,
        };
        let before = std::mem::replace(&mut self.filler, next);
        (before == Filler::Fills) != (next == Filler::Fills)
    }

    /// The statistics for a report, with the stream they stand beside.
    pub(super) fn report_parts(&mut self) -> (&mut Reports, &mut Reception, &Outgoing) {
        (&mut self.reports, &mut self.reception, &self.out)
    }

    /// Tells the owner; what it does not take is lost.
    pub(super) fn tell(&self, event: Event) {
        let _ = self.events.try_send(event);
    }

    /// Tells the owner of a key.
    pub(super) fn tell_press(&self, press: Press) {
        self.tell(Event::Digit { port: self.id, digit: press.key, ms: press.ms });
    }

    /// Ends what plays.
    pub(super) fn stop_playing(&mut self) {
        if let Some(player) = self.player.take() {
            self.tell_played(player.id, Played::Stopped);
        }
    }

    /// Ends what plays over.
    pub(super) fn stop_playing_over(&mut self) {
        if let Some(player) = self.over.take() {
            self.tell_played(player.id, Played::Stopped);
        }
    }

    /// Whether something is to be heard over what its peer hears.
    pub(super) fn is_spoken_to(&self) -> bool {
        self.speakers > 0 || self.over.is_some()
    }

    /// Ends the keys being pressed.
    pub(super) fn stop_digits(&mut self) {
        if let Some(digits) = self.digits.take() {
            self.tell_played(digits.id, Played::Stopped);
        }
    }

    /// Tells how a sound ended.
    pub(super) fn tell_played(&self, id: PlayId, how: Played) {
        self.tell(Event::Played { id, finished: how == Played::Finished });
    }

    /// What the port saw.
    pub(super) fn stats(&self) -> PortStats {
        let units_per_ms = (crate::audio::frame::SAMPLES_PER_MS * self.clock()) as f32;
        let remote = &self.reports.remote;
        PortStats {
            packets_in: self.counts.packets,
            bytes_in: self.counts.bytes,
            packets_out: self.out.packets(),
            bytes_out: self.out.bytes(),
            lost: self.reception.lost(),
            late: self.reception.misordered(),
            jitter_ms: self.reception.jitter() as f32 / units_per_ms,
            malformed: self.counts.malformed,
            strangers: self.counts.strangers,
            unexpected: self.counts.unexpected,
            remote_lost: remote.lost,
            remote_jitter_ms: remote.jitter as f32 / units_per_ms,
            round_trip: remote.round_trip,
        }
    }

    fn count(&mut self, header: &Header, kind: Kind, bytes: usize, now: Moment) {
        self.counts.packets += 1;
        self.counts.bytes += bytes as u64;
        self.heard_at = now;
        self.silence_told = None;
        match kind {
            Kind::Audio => self.reception.receive(header, now.rtp_clock().wrapping_mul(self.clock())),
            Kind::Event => self.reception.receive_untimed(header),
        }
    }

    fn press(&mut self, header: &Header, payload: &[u8], now: Moment) -> [Option<Press>; 2] {
        self.pressed_at = now;
        if let Some(phone) = &mut self.phone {
            phone.note_event();
        }
        match Payload::parse(payload) {
            Some(event) => self.presses.receive(header.timestamp, event),
            None => {
                self.counts.malformed += 1;
                [None, None]
            }
        }
    }
}

/// How a sound ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Played {
    /// To its end.
    Finished,
    /// Before it.
    Stopped,
}
