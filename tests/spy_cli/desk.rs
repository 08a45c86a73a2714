//! A house with one call for `spy` to attach to: the real control socket, and behind it a backend that only makes tones.
//!
//! The party that called is a tone of 440 Hz, the party that answered one of 1100 Hz. Frames are made as fast as they are taken, so tests do not wait for speech.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{broadcast, mpsc};
use wirechief::control::protocol::{
    Bridge, Bridged, CallDetail, CallInfo, CallState, CodeInfo, ConsoleSaid, Dtmf, EventRecord, Fault, FaultCode, Held,
    Hold, Hungup, LegDetail, LegInfo, MediaInfo, Originate, Originated, Pressed, RecordTarget, RecordVerb, Recorded,
    RegistrationInfo, ReloadReport, ReloadWhat, RoomChanged, RoomInfo, RoomMute, RoomTarget, SettingsInForce, Status,
    Stop, TraceWanted, Traced, Transfer, Transferred, UserInfo,
};
use wirechief::control::server::{
    Backend, Bound, BoxFuture, Identity, Limits, SocketConfig, SpyControl, SpyNews, SpySession, SpySound, run,
};
use wirechief::control::supervision::{
    EndedBecause, Hear, HeardFrame, Mode, Party, PartyFacts, Role, Side, SpyEnd, SpyFacts, SpyInfo, SpyRequest,
    SpyState, SpyTarget, VoiceFrame,
};

pub(super) const CALL: &str = "c7709e9c-1517-11dc-842a-d3a3942d3d63";
pub(super) const FORBIDDEN: &str = "00000000-0000-4000-8000-000000000004";
pub(super) const OVER: &str = "00000000-0000-4000-8000-000000000008";
pub(super) const A_HZ: f64 = 440.0;
pub(super) const B_HZ: f64 = 1100.0;

/// What the call is made of, and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    /// A tone from each party, four times as fast as a real call.
    Fast,
    /// The same at a real call's pace, for sound cards.
    InTime,
    /// Something like speech from A, at a real call's pace; every frame said is seen, silent ones too.
    Speech,
}

impl Line {
    /// Between two frames.
    fn beat(self) -> Duration {
        Duration::from_millis(if self == Self::Fast { 5 } else { 20 })
    }

    fn frame(self, at: u64) -> HeardFrame {
        std::array::from_fn(|i| {
            let (part, i) = (i / 160, i % 160);
            let now = at * 160 + i as u64;
            match (part, self) {
                (0, Self::Speech) => speech(now),
                (0, _) => sine(A_HZ, 8_000, now),
                (1, Self::Fast | Self::InTime) => sine(B_HZ, 8_000, now),
                _ => 0,
            }
        })
    }
}

/// What happened to the call, in order.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Attached(SpyRequest),
    Mode(Mode, Option<Party>),
    /// A frame that is not silence.
    Voice(Box<VoiceFrame>),
    Detached,
}

/// The socket and what is behind it. Dropping it stops the server.
pub(super) struct Desk {
    folder: tempfile::TempDir,
    pub(super) seen: Receiver<Seen>,
    _runtime: tokio::runtime::Runtime,
}

impl Desk {
    /// A call of so many frames; `None`: one without end.
    pub(super) fn open(frames: Option<u64>) -> Self {
        Self::with(Line::Fast, frames)
    }

    /// A call at the pace of a real one.
    pub(super) fn in_time() -> Self {
        Self::with(Line::InTime, None)
    }

    /// A call with something like speech instead of tones.
    pub(super) fn with_speech() -> Self {
        Self::with(Line::Speech, None)
    }

    fn with(line: Line, frames: Option<u64>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (events, seen) = channel();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let path = folder.path().join("own/pbx.sock");
        runtime.block_on(async {
            let bound = Bound::new(&SocketConfig { path, group: None }).expect("a socket");
            let backend = Arc::new(Tones { line, frames, events: Mutex::new(events) });
            // A `spy` that a busy machine gives no time for some seconds is not let go of.
            let limits = Limits { stall: crate::harness::PATIENCE, ..Limits::default() };
            tokio::spawn(async move { run(&bound, backend, limits, std::future::pending()).await });
        });
        Self { folder, seen, _runtime: runtime }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("own/pbx.sock")
    }

    /// A place for files of the test.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for something to happen to the call; voice before it is passed over.
    pub(super) fn expect(&self, wanted: &Seen) {
        loop {
            match self.seen.recv_timeout(crate::harness::PATIENCE) {
                Ok(seen) if seen == *wanted => return,
                Ok(Seen::Voice(_) | Seen::Attached(_)) => {}
                Ok(other) => panic!("{other:?} instead of {wanted:?}"),
                Err(error) => panic!("{error} while waiting for {wanted:?}"),
            }
        }
    }

    /// So many samples of the supervisor's voice.
    pub(super) fn voice(&self, samples: usize) -> Vec<i16> {
        let mut voice = Vec::new();
        while voice.len() < samples {
            if let Seen::Voice(frame) = self.seen.recv_timeout(crate::harness::PATIENCE).expect("a voice") {
                voice.extend(*frame);
            }
        }
        voice
    }
}

/// A sine of amplitude 8000.
pub(super) fn sine(hz: f64, rate_hz: u32, at: u64) -> i16 {
    let turns = hz * at as f64 / f64::from(rate_hz);
    (8_000.0 * (std::f64::consts::TAU * turns).sin()).round() as i16
}

/// The amplitude of that tone in the samples (Goertzel).
pub(super) fn level(samples: &[i16], hz: f64, rate_hz: u32) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * hz / f64::from(rate_hz)).cos();
    let (before, last) = samples.iter().fold((0.0, 0.0), |(b, l), &s| (l, f64::from(s) + turn * l - b));
    2.0 * (before * before + last * last - turn * before * last).max(0.0).sqrt() / samples.len() as f64
}

/// Noise that comes and goes in syllables.
fn speech(at: u64) -> i16 {
    // SplitMix64: any sample without the ones before it.
    let mut bits = at.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits ^= bits >> 27;
    let noise = f64::from(bits as u16 as i16) / 4.0;
    let seconds = at as f64 / 8_000.0;
    (noise * (seconds * 9.0).sin().max(0.0) * (seconds * 2.3).cos().abs()) as i16
}

struct Tones {
    line: Line,
    frames: Option<u64>,
    events: Mutex<Sender<Seen>>,
}

fn facts(request: &SpyRequest) -> SpyFacts {
    let party = |side, role, number: &str| PartyFacts { role, number: number.into(), ..PartyFacts::nobody(side) };
    SpyFacts {
        session: "5e550000-0000-4000-8000-000000000000".into(),
        call: CALL.into(),
        state: SpyState::Call,
        target: party(Side::A, Role::Agent, "1001"),
        peer: party(Side::B, Role::Customer, "0791112233"),
        mode: request.mode,
        to: side(request.to),
        hear: request.hear,
        hears: vec![Side::A, Side::B],
        talks: Vec::new(),
        allowed: request.max_mode.unwrap_or(Mode::Barge),
    }
}

fn side(party: Option<Party>) -> Side {
    match party {
        Some(Party::B | Party::Customer) => Side::B,
        _ => Side::A,
    }
}

impl Tones {
    fn tell(&self) -> Sender<Seen> {
        self.events.lock().expect("a sender").clone()
    }

    fn attach(&self, request: SpyRequest) -> Result<SpySession, Fault> {
        let SpyTarget::Uuid(uuid) = &request.target else {
            return Err(Fault::new(FaultCode::NotFound, "there is no other call"));
        };
        match uuid.as_str() {
            CALL => {}
            FORBIDDEN => return Err(Fault::new(FaultCode::Denied, "you may not listen").hint("ask for the right")),
            OVER => return Err(Fault::new(FaultCode::Ended, "the call has ended")),
            other => return Err(Fault::new(FaultCode::NotFound, format!("{other}: no such call"))),
        }
        let (mut heard, frames) = rtrb::RingBuffer::new(8);
        let (voice, mut said) = rtrb::RingBuffer::<VoiceFrame>::new(64);
        let (end, news) = mpsc::channel(1);
        let (gone, attached) = channel::<()>();
        let (events, last, line) = (self.tell(), self.frames, self.line);
        let facts = facts(&request);
        let _ = events.send(Seen::Attached(request));
        std::thread::spawn(move || {
            let mut at = 0;
            let mut next = Instant::now();
            loop {
                next += line.beat();
                let until = next.saturating_duration_since(Instant::now());
                if attached.recv_timeout(until) == Err(RecvTimeoutError::Disconnected) {
                    break;
                }
                if last == Some(at) {
                    let over = SpyEnd { why: EndedBecause::CallEnded, message: "the call has ended".into() };
                    let _ = end.try_send(SpyNews::Ended(over));
                    break;
                }
                if heard.push(line.frame(at)).is_ok() {
                    at += 1;
                }
                while let Ok(frame) = said.pop() {
                    if line == Line::Speech || frame.iter().any(|&sample| sample != 0) {
                        let _ = events.send(Seen::Voice(Box::new(frame)));
                    }
                }
            }
            let _ = events.send(Seen::Detached);
        });
        let control = Box::new(Control {
            facts: Mutex::new(facts.clone()),
            events: Mutex::new(self.tell()),
            _gone: Mutex::new(gone),
        });
        Ok(SpySession { facts, sound: Some(SpySound { frames, voice }), control, news })
    }
}

struct Control {
    facts: Mutex<SpyFacts>,
    events: Mutex<Sender<Seen>>,
    /// Disconnects the frames when the session is dropped.
    _gone: Mutex<Sender<()>>,
}

impl SpyControl for Control {
    fn set_mode(&self, mode: Mode, to: Option<Party>) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        let mut facts = self.facts.lock().expect("facts");
        if mode > facts.allowed {
            return refused(Fault::new(FaultCode::Denied, format!("{} is not allowed", mode.word())));
        }
        (facts.mode, facts.to) = (mode, side(to));
        let _ = self.events.lock().expect("a sender").send(Seen::Mode(mode, to));
        Box::pin(std::future::ready(Ok(facts.clone())))
    }

    fn set_hear(&self, hear: Hear) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        let mut facts = self.facts.lock().expect("facts");
        facts.hear = hear;
        Box::pin(std::future::ready(Ok(facts.clone())))
    }

    fn next(&self) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        refused(Fault::new(FaultCode::Usage, "there is one call only"))
    }
}

fn refused<'a>(fault: Fault) -> BoxFuture<'a, Result<SpyFacts, Fault>> {
    Box::pin(std::future::ready(Err(fault)))
}

fn leg(uuid: &str, user: Option<&str>, number: &str) -> LegInfo {
    LegInfo {
        uuid: uuid.into(),
        user: user.map(Into::into),
        number: number.into(),
        state: CallState::Up,
        ..LegInfo::default()
    }
}

fn call<L: Default>(legs: Vec<L>) -> CallInfo<L> {
    CallInfo {
        uuid: CALL.into(),
        from: "1001".into(),
        to: "0791112233".into(),
        state: CallState::Up,
        legs,
        ..Default::default()
    }
}

impl Backend for Tones {
    fn status(&self) -> Status {
        Status::default()
    }

    fn calls(&self, _: &Identity) -> Vec<CallInfo> {
        vec![call(vec![leg(CALL, Some("1001"), "1001"), leg("b", None, "0791112233")])]
    }

    fn call<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<CallDetail, Fault>> {
        let detail = |leg| LegDetail { leg, media: Some(MediaInfo::default()), ..LegDetail::default() };
        let legs = vec![detail(leg(CALL, Some("1001"), "1001")), detail(leg("b", None, "0791112233"))];
        Box::pin(async { Ok(call(legs)) })
    }

    fn hangup<'a>(&'a self, _: &'a str, _: Option<u8>) -> BoxFuture<'a, Result<Hungup, Fault>> {
        Box::pin(async { Ok(Hungup::default()) })
    }

    fn dtmf(&self, _: Dtmf) -> BoxFuture<'_, Result<Pressed, Fault>> {
        Box::pin(async { Ok(Pressed::default()) })
    }

    fn transfer(&self, _: Transfer) -> BoxFuture<'_, Result<Transferred, Fault>> {
        Box::pin(async { Ok(Transferred::default()) })
    }

    fn bridge(&self, _: Bridge) -> BoxFuture<'_, Result<Bridged, Fault>> {
        Box::pin(async { Ok(Bridged::default()) })
    }

    fn hold(&self, _: Hold) -> BoxFuture<'_, Result<Held, Fault>> {
        Box::pin(async { Ok(Held::default()) })
    }

    fn unhold(&self, _: Hold) -> BoxFuture<'_, Result<Held, Fault>> {
        Box::pin(async { Ok(Held::default()) })
    }

    fn record<'a>(&'a self, _: &'a Identity, _: (RecordVerb, RecordTarget)) -> BoxFuture<'a, Result<Recorded, Fault>> {
        Box::pin(async { Ok(Recorded::default()) })
    }

    fn originate(&self, _: Originate) -> BoxFuture<'_, Result<Originated, Fault>> {
        Box::pin(async { Ok(Originated::default()) })
    }

    fn users(&self) -> Vec<UserInfo> {
        Vec::new()
    }

    fn registrations(&self) -> Vec<RegistrationInfo> {
        Vec::new()
    }

    fn codes(&self) -> Vec<CodeInfo> {
        Vec::new()
    }

    fn rooms(&self) -> Vec<RoomInfo> {
        Vec::new()
    }

    fn kick(&self, _: &RoomTarget) -> Result<RoomChanged, Fault> {
        Ok(RoomChanged::default())
    }

    fn mute(&self, _: &RoomMute) -> Result<RoomChanged, Fault> {
        Ok(RoomChanged::default())
    }

    fn records(&self, _: Option<jiff::Timestamp>, _: Option<usize>) -> BoxFuture<'_, Result<Vec<Value>, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn settings(&self) -> SettingsInForce {
        SettingsInForce::default()
    }

    fn reload(&self, _: ReloadWhat) -> BoxFuture<'_, Result<ReloadReport, Fault>> {
        Box::pin(async { Ok(ReloadReport::default()) })
    }

    fn stop(&self, _: Stop) {}

    fn subscribe(&self, _: Option<u64>) -> (Vec<EventRecord>, broadcast::Receiver<EventRecord>) {
        (Vec::new(), broadcast::channel(1).1)
    }

    fn trace(&self, _: TraceWanted) -> BoxFuture<'_, Result<mpsc::Receiver<Traced>, Fault>> {
        Box::pin(async { Ok(mpsc::channel(1).1) })
    }

    fn console<'a>(&'a self, _: &'a str) -> BoxFuture<'a, ConsoleSaid> {
        Box::pin(async { ConsoleSaid::default() })
    }

    fn spies(&self) -> Vec<SpyInfo> {
        Vec::new()
    }

    fn spy<'a>(&'a self, _: &'a Identity, request: SpyRequest) -> BoxFuture<'a, Result<SpySession, Fault>> {
        Box::pin(async { self.attach(request) })
    }
}
