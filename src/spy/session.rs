//! A spy session from attaching to its end: frames in, voice out, keys, meters, and why it ended.
//! Above: `cli`. Below: the control client, and every other file of this room. The call's frames are the only clock of the sound.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::device::{Device, Microphone};
use super::input::Input;
use super::keys::Key;
use super::meter::Meter;
use super::screen::{Screen, Told};
use super::signals::Signals;
use super::silence::Reasons;
use super::sound::{Heard, Volume};
use super::spool::{SinkFailure, Spool};
use super::words::{self, View};
use crate::control::client::{ClientError, SpyEvent, SpyIncoming, SpyLink, SpyOutgoing};
use crate::control::protocol::{Fault, FaultCode};
use crate::control::supervision::{
    EndedBecause, HeardFrame, Mode, Party, PartyFacts, Side, SpyEnd, SpyFacts, SpyInfo, SpyState,
};

/// When it is said what is heard, after the start: within the first second.
const STATEMENT: Duration = Duration::from_millis(900);
/// Between two drawings of the status line.
const REDRAW: Duration = Duration::from_millis(100);
/// How long a pipe or file may stand still at the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the session is wired to.
pub struct Wiring {
    /// Standard output, where wanted.
    pub output: Option<Spool>,
    /// The own recording, where wanted.
    pub record: Option<Spool>,
    /// The voice from standard input; the device's is then not asked for.
    pub input: Option<Input>,
    /// The sound device.
    pub device: Box<dyn Device>,
    /// What the keys ask for.
    pub keys: mpsc::UnboundedReceiver<Key>,
    /// Sinks that could not go on.
    pub failures: mpsc::UnboundedReceiver<SinkFailure>,
    /// Why a side is silent, when that is found out.
    pub reasons: oneshot::Receiver<Reasons>,
    /// All running sessions, now and then, where they may be seen.
    pub others: mpsc::UnboundedReceiver<Vec<SpyInfo>>,
    /// Where the user is told.
    pub screen: Screen,
    /// Whether there are more calls than one.
    pub journey: Journey,
    /// To begin with.
    pub volume: Volume,
    /// The longest the session may last.
    pub limit: Option<Duration>,
    /// Said once at the start.
    pub hint: Option<&'static str>,
}

/// Whether a session goes from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journey {
    /// It is on one call and ends with it.
    OneCall,
    /// It goes on, until the supervisor leaves.
    Onward,
    /// It goes on at `*`, and ends when a call ends.
    UntilHangup,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The user wants no more.
    Quit,
    /// Its time is up.
    TimeUp,
    /// Whoever read our output has left.
    ReaderLeft,
    /// The call is over.
    CallEnded,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM, or the terminal is gone.
    Terminated,
    /// Something went wrong.
    Failed(Fault),
}

impl End {
    fn word(&self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::TimeUp => "time-up",
            Self::ReaderLeft => "reader-left",
            Self::CallEnded => "call-ended",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::Failed(_) => "failed",
        }
    }
}

/// Runs a session to its end; when it returns, all that was heard is written and the terminal is as before.
pub async fn run(link: SpyLink, wiring: Wiring) -> End {
    let mut session = Session::new(link.facts, link.outgoing, wiring);
    let mut incoming = link.incoming;
    let end = match session.live(&mut incoming).await {
        Ok(end) | Err(end) => end,
    };
    session.close(end)
}

struct Session {
    facts: SpyFacts,
    outgoing: SpyOutgoing,
    wiring: Wiring,
    started: Instant,
    a: Meter,
    b: Meter,
    volume: Volume,
    /// A recording that failed: the session goes on, its exit code tells.
    spoiled: Option<Fault>,
    /// Who else listens to this call.
    others: Vec<String>,
    /// The user has asked for the next call: the end of this one is no hang-up.
    skipping: bool,
    /// A call has begun of which it is not yet said what is heard.
    unstated: bool,
}

impl Session {
    fn new(facts: SpyFacts, outgoing: SpyOutgoing, wiring: Wiring) -> Self {
        let (a, b) = (Meter::default(), Meter::default());
        let volume = wiring.volume;
        Self {
            facts,
            outgoing,
            wiring,
            started: Instant::now(),
            a,
            b,
            volume,
            spoiled: None,
            others: Vec::new(),
            skipping: false,
            unstated: true,
        }
    }

    async fn live(&mut self, incoming: &mut SpyIncoming) -> Result<End, End> {
        let mut signals = Signals::new().map_err(|error| End::Failed(failure("signals", &error)))?;
        let mut redraw = interval(REDRAW);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let statement = tokio::time::sleep(STATEMENT);
        tokio::pin!(statement);
        let limit = tokio::time::sleep(self.wiring.limit.unwrap_or(Duration::MAX));
        tokio::pin!(limit);
        self.tell_start()?;
        if self.is_speaking() {
            self.move_microphone();
        }
        loop {
            tokio::select! {
                // What has come counts first: after a stall nothing is missing that waits to be read.
                biased;
                event = incoming.next() => {
                    self.take(event)?;
                    if self.new_call() {
                        statement.as_mut().reset(tokio::time::Instant::now() + STATEMENT);
                    }
                }
                Some(spies) = self.wiring.others.recv() => self.meet(&spies)?,
                Some(key) = self.wiring.keys.recv() => self.press(key)?,
                Some(failure) = self.wiring.failures.recv() => self.lose(&failure)?,
                end = signals.next() => return Ok(end),
                () = &mut limit => {
                    if self.unstated {
                        self.tell_levels()?;
                    }
                    return Ok(End::TimeUp);
                }
                () = &mut statement, if self.unstated => {
                    self.unstated = false;
                    self.tell_levels()?;
                }
                _ = redraw.tick() => self.draw()?,
            }
        }
    }

    fn take(&mut self, event: Result<SpyEvent, ClientError>) -> Result<(), End> {
        match event {
            Ok(SpyEvent::Heard(frame)) => self.beat(&frame),
            Ok(SpyEvent::Changed(facts) | SpyEvent::Facts(facts)) => self.learn(*facts),
            Ok(SpyEvent::Refused(fault)) => shown(self.wiring.screen.notice(&fault.message, Instant::now())),
            Ok(SpyEvent::Ended(end)) => Err(ended(end)),
            Err(error) => Err(End::Failed(error.into())),
        }
    }

    /// Other facts: another mode, other parties, another call.
    fn learn(&mut self, facts: SpyFacts) -> Result<(), End> {
        let spoke = self.is_speaking();
        let before = std::mem::replace(&mut self.facts, facts);
        if self.facts == before {
            return Ok(());
        }
        if self.is_speaking() != spoke {
            self.move_microphone();
        }
        if self.facts.session == before.session {
            return self.tell_mode();
        }
        let skipped = std::mem::take(&mut self.skipping);
        if before.state != SpyState::Waiting && !skipped && self.wiring.journey == Journey::UntilHangup {
            return Err(End::CallEnded);
        }
        // What was said to one call is not for the next.
        self.forget_voice();
        self.others.clear();
        (self.a, self.b) = (Meter::default(), Meter::default());
        self.unstated = true;
        self.tell_call("call")
    }

    /// Whether what is heard of a call is still to be said and its first second begins now.
    fn new_call(&self) -> bool {
        self.unstated && self.a.frames() == 0
    }

    /// Who else is on this call.
    fn meet(&mut self, spies: &[SpyInfo]) -> Result<(), End> {
        let here = |spy: &&SpyInfo| spy.facts.call == self.facts.call && spy.facts.session != self.facts.session;
        let others: Vec<String> = spies
            .iter()
            .filter(here)
            .map(|spy| format!("{} ({})", words::clean(&spy.who), spy.facts.mode.word()))
            .collect();
        if others == self.others {
            return Ok(());
        }
        self.others = others;
        let text = match self.others.as_slice() {
            [] => "nobody else listens any more".to_owned(),
            others => format!("also on this call: {}", others.join(", ")),
        };
        shown(self.wiring.screen.tell(&Told { text, json: json!({"event": "others", "others": self.others}) }))
    }

    /// One frame heard, at most one frame said.
    fn beat(&mut self, frame: &HeardFrame) -> Result<(), End> {
        let heard = Heard::new(frame, self.volume);
        self.a.push(&heard.a);
        self.b.push(&heard.b);
        for sink in [&mut self.wiring.output, &mut self.wiring.record].into_iter().flatten() {
            sink.push(heard);
        }
        self.wiring.device.play(&heard);
        if let Some(trouble) = self.wiring.device.trouble() {
            shown(
                self.wiring.screen.tell(&Told { json: json!({"event": "trouble", "message": trouble}), text: trouble }),
            )?;
        }
        let speaking = self.is_speaking();
        let voice = match &mut self.wiring.input {
            // Read in every mode, so that its source keeps the call's pace.
            Some(input) => input
                .take()
                .map_err(|error| End::Failed(Fault::new(FaultCode::Invalid, format!("--stdin: {error}"))))?,
            None if speaking => self.wiring.device.voice(),
            None => None,
        };
        if let Some(voice) = voice.filter(|_| speaking) {
            self.outgoing.say(&voice);
        }
        Ok(())
    }

    fn is_speaking(&self) -> bool {
        self.facts.mode != Mode::Listen && self.facts.state != SpyState::Waiting
    }

    /// The microphone follows the mode; where standard input speaks, the device does not.
    fn move_microphone(&mut self) {
        if self.wiring.input.is_none() {
            let wanted = if self.is_speaking() { Microphone::Open } else { Microphone::Closed };
            self.wiring.device.microphone(wanted);
        }
    }

    fn press(&mut self, key: Key) -> Result<(), End> {
        match key {
            Key::Listen => self.ask(Mode::Listen, None),
            Key::This => self.ask(Mode::Whisper, Some(party(self.facts.target.side))),
            Key::Other => self.ask(Mode::Whisper, Some(party(self.facts.peer.side))),
            Key::Both => self.ask(Mode::Barge, None),
            Key::Louder => self.set_volume(self.volume.louder()),
            Key::Softer => self.set_volume(self.volume.softer()),
            Key::Next if self.wiring.journey == Journey::OneCall => Err(End::Quit),
            Key::Next => {
                self.skipping = true;
                self.outgoing.next_call().map_err(|error| End::Failed(error.into()))
            }
            Key::Quit => Err(End::Quit),
            Key::Interrupt => Err(End::Interrupted),
        }
    }

    fn ask(&mut self, mode: Mode, to: Option<Party>) -> Result<(), End> {
        self.forget_voice();
        self.outgoing.set_mode(mode, to).map_err(|error| End::Failed(error.into()))
    }

    /// What was said to one listener is not for the next.
    fn forget_voice(&mut self) {
        if let Some(input) = &mut self.wiring.input {
            input.forget();
        }
        self.wiring.device.forget();
    }

    fn set_volume(&mut self, volume: Volume) -> Result<(), End> {
        self.volume = volume;
        shown(self.wiring.screen.notice(&format!("volume {:+}", volume.step()), Instant::now()))
    }

    fn lose(&mut self, lost: &SinkFailure) -> Result<(), End> {
        let is_output = lost.what == "--stdout";
        if is_output && lost.error.kind() == io::ErrorKind::BrokenPipe {
            return Err(End::ReaderLeft);
        }
        let fault = failure(&lost.what, &lost.error);
        if is_output {
            return Err(End::Failed(fault));
        }
        let told = shown(self.wiring.screen.notice(&fault.message, Instant::now()));
        self.spoiled = Some(fault);
        told
    }

    fn tell_start(&mut self) -> Result<(), End> {
        self.tell_call("started")?;
        if let Some(hint) = self.wiring.hint {
            let told = Told { text: hint.to_owned(), json: json!({"event": "hint", "message": hint}) };
            shown(self.wiring.screen.tell(&told))?;
        }
        Ok(())
    }

    /// On which call the session is.
    fn tell_call(&mut self, event: &str) -> Result<(), End> {
        let facts = &self.facts;
        let text = match facts.state {
            SpyState::Waiting => words::mode(facts),
            _ => format!("{} on call {}: {}", words::mode(facts), words::clean(&facts.call), words::parties(facts)),
        };
        let mut json = described(facts, event);
        json["schema"] = json!("spy.session/1");
        shown(self.wiring.screen.tell(&Told { text, json }))
    }

    fn tell_mode(&mut self) -> Result<(), End> {
        let told = Told { text: words::standing(&self.facts), json: described(&self.facts, "mode") };
        shown(self.wiring.screen.tell(&told))?;
        self.draw()
    }

    /// Says what is heard of each side: its level, or why there is silence.
    fn tell_levels(&mut self) -> Result<(), End> {
        if self.facts.state == SpyState::Waiting {
            return Ok(());
        }
        if self.a.frames() == 0 {
            let text = "hears nothing: the server sends no audio".to_owned();
            return shown(self.wiring.screen.tell(&Told { text, json: json!({"event": "hears", "frames": 0}) }));
        }
        let reasons = self.wiring.reasons.try_recv().unwrap_or_default();
        let mut texts = Vec::new();
        let mut json = json!({"event": "hears", "frames": self.a.frames()});
        for (name, side, meter, reason) in [("a", Side::A, &self.a, &reasons.a), ("b", Side::B, &self.b, &reasons.b)] {
            if !words::hears(&self.facts, side) {
                continue;
            }
            let loudest_db = meter.loudest_db();
            let audible = loudest_db > super::meter::SILENCE_DB;
            texts.push(words::heard(self.facts.party(side), loudest_db, reason.as_deref()));
            json[name] = json!({
                "level_db": audible.then(|| (f64::from(loudest_db) * 10.0).round() / 10.0),
                "silent_because": reason.as_deref().filter(|_| !audible),
            });
        }
        shown(self.wiring.screen.tell(&Told { text: format!("hears {}", texts.join(", ")), json }))
    }

    fn draw(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let view = View {
            facts: &self.facts,
            running: now.duration_since(self.started),
            a: &self.a,
            b: &self.b,
            volume: self.volume,
            others: &self.others,
            notice: None,
        };
        shown(self.wiring.screen.draw(&view, now))
    }

    /// Writes what is left, tells the end, and turns a spoiled recording into the end's verdict.
    fn close(mut self, end: End) -> End {
        let patience = if end == End::Interrupted { Duration::from_millis(200) } else { PATIENCE };
        let dropped = self.wiring.output.as_ref().map_or(0, Spool::dropped)
            + self.wiring.record.as_ref().map_or(0, Spool::dropped);
        for sink in [self.wiring.output.take(), self.wiring.record.take()].into_iter().flatten() {
            sink.finish(patience);
        }
        self.wiring.device.finish();
        let seconds = self.started.elapsed().as_secs_f64();
        let mut text = format!("ended after {seconds:.0} s ({})", end.word());
        if dropped > 0 {
            let lost_s = dropped as f64 / 50.0;
            text.push_str(&format!("; {lost_s:.1} s of sound were dropped because the reader was too slow"));
        }
        let json = json!({
            "event": "ended",
            "reason": end.word(),
            "duration_s": (seconds * 1_000.0).round() / 1_000.0,
            "frames": self.a.frames(),
            "dropped_frames": dropped,
        });
        let _ = self.wiring.screen.tell(&Told { text, json });
        match (end, self.spoiled) {
            (End::Failed(fault), _) | (_, Some(fault)) => End::Failed(fault),
            (end, None) => end,
        }
    }
}

/// A user who can no longer be told is one who has left.
fn shown(done: io::Result<()>) -> Result<(), End> {
    done.map_err(|_| End::ReaderLeft)
}

fn failure(what: &str, error: &io::Error) -> Fault {
    Fault::new(FaultCode::Failure, format!("{what}: {error}"))
}

fn ended(end: SpyEnd) -> End {
    match end.why {
        EndedBecause::CallEnded => End::CallEnded,
        EndedBecause::Denied => End::Failed(Fault::new(FaultCode::Denied, end.message)),
        EndedBecause::Stopping => End::Failed(Fault::new(FaultCode::Unreachable, end.message)),
    }
}

fn party(side: Side) -> Party {
    match side {
        Side::A => Party::A,
        Side::B => Party::B,
    }
}

fn described(facts: &SpyFacts, event: &str) -> Value {
    let party = |party: &PartyFacts| json!(party);
    json!({
        "event": event,
        "session": facts.session,
        "call": facts.call,
        "state": facts.state,
        "mode": facts.mode,
        "to": facts.to,
        "hear": facts.hear,
        "hears": facts.hears,
        "talks": facts.talks,
        "allowed": facts.allowed,
        "target": party(&facts.target),
        "peer": party(&facts.peer),
        "words": words::mode(facts),
    })
}
