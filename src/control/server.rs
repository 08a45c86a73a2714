//! The server of the control socket: one task a client, one request after another.
//! Above: the composition root runs it. Below: [`Bound`] is the socket, [`Backend`] knows what to answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

pub use super::backend::{Backend, BoxFuture, Identity, SpyControl, SpyNews, SpySession, SpySound};
use super::frame::Frame;
use super::link::{Link, LinkError, params_of, request_of, to_value};
use super::protocol::{
    Body, ConsoleLine, EventRecord, EventsSince, Fault, FaultCode, Hangup, Originate, RecordVerb, RecordsSince,
    ReloadWhat, Request, SpyRequest, Stop, Stopping, StoreList, StoreOrder, Target, TraceWanted, Traced, Unlock,
    method,
};
pub use super::socket::{Bound, SocketConfig, SocketError};
use super::supervision::{
    EndedBecause, FRAME_SAMPLES, HearChange, ModeChange, SpyEnd, SpyWord, heard_bytes, voice_frame,
};

/// How often a spy session looks for audio: half a frame's time.
const SPY_BEAT: Duration = Duration::from_millis(10);
/// The time of one frame of audio.
const FRAME: Duration = Duration::from_millis(20);

/// What one client, and all together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients at once.
    pub clients: usize,
    /// How long a client may say nothing between two requests.
    pub idle: Duration,
    /// How long a client may leave what was sent to it unread.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 256, idle: Duration::from_secs(300), stall: Duration::from_secs(5) }
    }
}

/// Serves clients until `stop` resolves, then lets go of all of them. The socket stays locked until `bound` is dropped: keep it to the very end of the
/// process, so that the next server starts only when this one is gone.
pub async fn run(bound: &Bound, backend: Arc<dyn Backend>, limits: Limits, stop: impl Future<Output = ()>) {
    let mut clients = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = clients.join_next() => {}
            accepted = bound.accept() => match accepted {
                Ok(stream) => admit(stream, bound, (&backend, limits), &mut clients),
                Err(error) => {
                    warn!(%error, "control socket: no client could be accepted");
                    // Out of descriptors: without a pause this would spin.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    clients.shutdown().await;
}

fn admit(stream: UnixStream, bound: &Bound, house: (&Arc<dyn Backend>, Limits), clients: &mut JoinSet<()>) {
    let (backend, limits) = house;
    let Some(who) = identify(&stream, bound) else { return };
    let mut link = Link::new(stream, limits.stall);
    if clients.len() >= limits.clients {
        clients.spawn(async move {
            let fault = Fault::new(FaultCode::TryAgain, format!("{} clients are connected, the limit", limits.clients));
            let _ = link.answer(0, Err(fault)).await;
        });
        return;
    }
    let mut client = Client { link, who, backend: Arc::clone(backend), idle: limits.idle };
    clients.spawn(async move {
        if let Err(error) = client.serve().await {
            debug!(uid = client.who.uid, %error, "control client let go");
        }
    });
}

fn identify(stream: &UnixStream, bound: &Bound) -> Option<Identity> {
    let peer = stream.peer_cred().ok()?;
    let admin = peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw();
    let operator = admin || bound.admits_group(peer.gid());
    Some(Identity { uid: peer.uid(), account: super::socket::account_name(peer.uid()), admin, operator })
}

struct Client {
    link: Link,
    who: Identity,
    backend: Arc<dyn Backend>,
    idle: Duration,
}

impl Client {
    async fn serve(&mut self) -> Result<(), LinkError> {
        loop {
            let Ok(frame) = tokio::time::timeout(self.idle, self.link.reader.next()).await else { return Ok(()) };
            match frame? {
                None => return Ok(()),
                Some(Frame::Json(payload)) => match request_of(&payload) {
                    Ok(request) => self.handle(request).await?,
                    Err(fault) => self.link.answer(0, Err(fault)).await?,
                },
                // A last word of a spy session that has just ended by itself.
                Some(Frame::Audio(_)) => {}
            }
        }
    }

    async fn handle(&mut self, request: Request) -> Result<(), LinkError> {
        let id = request.id;
        if let Err(fault) = self.may(&request.method) {
            warn!(uid = self.who.uid, account = self.who.account, method = request.method, "control request refused");
            return self.link.answer(id, Err(fault)).await;
        }
        match request.method.as_str() {
            method::CALLS => self.link.list(id, self.backend.calls(&self.who)).await,
            method::USERS => self.link.list(id, self.backend.users()).await,
            method::REGISTRATIONS => self.link.list(id, self.backend.registrations()).await,
            method::ROOMS => self.link.list(id, self.backend.rooms()).await,
            method::SPIES => self.link.list(id, self.backend.spies()).await,
            method::CODES => self.link.list(id, self.backend.codes()).await,
            method::RECORDS => match self.records(request).await {
                Ok(records) => self.link.list(id, records).await,
                Err(fault) => self.link.answer(id, Err(fault)).await,
            },
            method::EVENTS => match params_of(request) {
                Ok(since) => self.events(id, since).await,
                Err(fault) => self.link.answer(id, Err(fault)).await,
            },
            method::TRACE => match self.follow(request).await {
                Ok(lines) => self.trace(id, lines).await,
                Err(fault) => self.link.answer(id, Err(fault)).await,
            },
            method::SPY => match self.attach(request).await {
                Ok(session) => self.spy(id, session).await,
                Err(fault) => self.link.answer(id, Err(fault)).await,
            },
            method::SPY_LOG => match params_of(request) {
                Ok(wanted) => {
                    info!(uid = self.who.uid, account = self.who.account, "log of supervision read");
                    let entries = self.backend.log(wanted);
                    self.pass_on(id, entries).await
                }
                Err(fault) => self.link.answer(id, Err(fault)).await,
            },
            method::STORE_LIST => match self.store_list(request).await {
                Ok(items) => self.pass_on(id, items).await,
                Err(fault) => self.link.answer(id, Err(fault)).await,
            },
            method::STORE_UNLOCK => match params_of(request).and_then(|how| self.backend.takes_a_key().map(|()| how)) {
                Ok(how) => self.unlock(id, how).await,
                Err(fault) => self.link.answer(id, Err(fault)).await,
            },
            method::STOP => match params_of(request) {
                Ok(how) => self.stop(id, how).await,
                Err(fault) => self.link.answer(id, Err(fault)).await,
            },
            _ => {
                let answer = self.single(request).await;
                self.link.answer(id, answer).await
            }
        }
    }

    fn may(&self, asked: &str) -> Result<(), Fault> {
        let open_to_all = [method::STATUS, method::CALLS, method::SPY].contains(&asked);
        if open_to_all || self.who.operator {
            return Ok(());
        }
        let message = format!("`{asked}` is for the server's own account, root and the control group");
        Err(Fault::new(FaultCode::Denied, message).hint("`control.group` in pbx.toml names the group"))
    }

    /// Requests with one answer.
    async fn single(&self, request: Request) -> Result<Value, Fault> {
        self.note_change(&request);
        match request.method.as_str() {
            method::STATUS => Ok(to_value(&self.backend.status())),
            method::CALL => {
                let target: Target = params_of(request)?;
                Ok(to_value(&self.backend.call(&target.uuid).await?))
            }
            method::HANGUP => {
                let hangup: Hangup = params_of(request)?;
                Ok(to_value(&self.backend.hangup(&hangup.uuid, hangup.cause).await?))
            }
            method::TRANSFER => Ok(to_value(&self.backend.transfer(params_of(request)?).await?)),
            method::BRIDGE => Ok(to_value(&self.backend.bridge(params_of(request)?).await?)),
            method::HOLD => Ok(to_value(&self.backend.hold(params_of(request)?).await?)),
            method::UNHOLD => Ok(to_value(&self.backend.unhold(params_of(request)?).await?)),
            method::DTMF => Ok(to_value(&self.backend.dtmf(params_of(request)?).await?)),
            method::ORIGINATE => Ok(to_value(&self.backend.originate(params_of::<Originate>(request)?).await?)),
            method::ROOM_KICK => Ok(to_value(&self.backend.kick(&params_of(request)?)?)),
            method::ROOM_MUTE => Ok(to_value(&self.backend.mute(&params_of(request)?)?)),
            method::CONSOLE => {
                let console: ConsoleLine = params_of(request)?;
                Ok(to_value(&self.backend.console(&console.line).await))
            }
            method::STORE => self.backend.store(&self.who, params_of::<StoreOrder>(request)?).await,
            method::SPY_LOG_VERIFY => Ok(to_value(&self.backend.verify_log(params_of(request)?).await?)),
            method::SPY_PERMS => Ok(to_value(&self.backend.perms())),
            method::SETTINGS => Ok(to_value(&self.backend.settings())),
            method::RELOAD => Ok(to_value(&self.backend.reload(params_of::<ReloadWhat>(request)?).await?)),
            other => match RecordVerb::of(other) {
                Some(verb) => Ok(to_value(&self.backend.record(&self.who, (verb, params_of(request)?)).await?)),
                None => Err(Fault::new(FaultCode::Usage, format!("no method is named `{other}`"))),
            },
        }
    }

    fn note_change(&self, request: &Request) {
        const CHANGES: [&str; 10] = [
            method::HANGUP,
            method::DTMF,
            method::TRANSFER,
            method::BRIDGE,
            method::HOLD,
            method::UNHOLD,
            method::ORIGINATE,
            method::ROOM_KICK,
            method::ROOM_MUTE,
            method::RELOAD,
        ];
        if CHANGES.contains(&request.method.as_str()) || RecordVerb::of(&request.method).is_some() {
            info!(uid = self.who.uid, account = self.who.account, method = request.method, "control request");
        }
    }

    async fn records(&self, request: Request) -> Result<Vec<Value>, Fault> {
        let wanted: RecordsSince = params_of(request)?;
        self.backend.records(wanted.since, wanted.limit).await
    }

    async fn store_list(&self, request: Request) -> Result<mpsc::Receiver<Result<Value, Fault>>, Fault> {
        let wanted: StoreList = params_of(request)?;
        info!(uid = self.who.uid, account = self.who.account, "store read");
        self.backend.store_list(wanted).await
    }

    async fn pass_on(&mut self, id: u64, mut items: mpsc::Receiver<Result<Value, Fault>>) -> Result<(), LinkError> {
        while let Some(item) = items.recv().await {
            match item {
                Ok(item) => self.link.put(id, Body::Event(item)).await?,
                Err(fault) => return self.link.answer(id, Err(fault)).await,
            }
        }
        self.link.put(id, Body::End(true)).await?;
        self.link.flush().await
    }

    /// Asks for the key only now, so that it is read into memory of its own.
    async fn unlock(&mut self, id: u64, how: Unlock) -> Result<(), LinkError> {
        self.link.put(id, Body::Event(Value::Bool(true))).await?;
        self.link.flush().await?;
        let Ok(key) = tokio::time::timeout(self.idle, self.link.reader.key()).await else { return Ok(()) };
        let answer = self.backend.unlock(&self.who, how, key?).await;
        self.link.answer(id, answer.map(|key| to_value(&key))).await
    }

    /// The answer goes out first: what follows may end this task.
    async fn stop(&mut self, id: u64, how: Stop) -> Result<(), LinkError> {
        info!(uid = self.who.uid, account = self.who.account, graceful = how.graceful, "stop asked for");
        let answer = to_value(&Stopping { pid: self.backend.status().pid });
        let sent = self.link.answer(id, Ok(answer)).await;
        self.backend.stop(how);
        sent
    }

    /// Runs until the client leaves or the server ends. A client that lags behind loses the oldest and is told how many.
    async fn events(&mut self, id: u64, wanted: EventsSince) -> Result<(), LinkError> {
        let (past, mut coming) = self.backend.subscribe(wanted.since);
        let mut last = wanted.since.unwrap_or(0);
        for event in past {
            last = event.seq;
            self.put_event(id, &event, &wanted).await?;
        }
        loop {
            self.link.flush().await?;
            tokio::select! {
                event = coming.recv() => match event {
                    Ok(event) => {
                        last = event.seq;
                        self.put_event(id, &event, &wanted).await?;
                    }
                    Err(RecvError::Lagged(count)) => self.put_event(id, &lost(last, count), &EventsSince::default()).await?,
                    Err(RecvError::Closed) => {
                        self.link.put(id, Body::End(true)).await?;
                        return self.link.flush().await;
                    }
                },
                frame = self.link.reader.next() => match frame? {
                    None => return Err(LinkError::Gone),
                    Some(_) => return Err(LinkError::Misuse("a request during an event stream")),
                },
            }
        }
    }

    async fn put_event(&mut self, id: u64, event: &EventRecord, wanted: &EventsSince) -> Result<(), LinkError> {
        if event.is_of(&wanted.types) { self.link.put(id, Body::Event(to_value(event))).await } else { Ok(()) }
    }

    async fn follow(&self, request: Request) -> Result<mpsc::Receiver<Traced>, Fault> {
        let wanted: TraceWanted = params_of(request)?;
        self.backend.trace(wanted).await
    }

    /// Runs until the channel is over or the client leaves.
    async fn trace(&mut self, id: u64, mut lines: mpsc::Receiver<Traced>) -> Result<(), LinkError> {
        loop {
            self.link.flush().await?;
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => self.link.put(id, Body::Event(to_value(&line))).await?,
                    None => {
                        self.link.put(id, Body::End(true)).await?;
                        return self.link.flush().await;
                    }
                },
                frame = self.link.reader.next() => match frame? {
                    None => return Err(LinkError::Gone),
                    Some(_) => return Err(LinkError::Misuse("a request during a trace")),
                },
            }
        }
    }

    async fn attach(&self, request: Request) -> Result<SpySession, Fault> {
        let wanted: SpyRequest = params_of(request)?;
        self.backend.spy(&self.who, wanted).await
    }

    /// Carries audio both ways until the session ends or the client leaves; dropping `session` detaches.
    async fn spy(&mut self, id: u64, mut session: SpySession) -> Result<(), LinkError> {
        self.link.keep_short();
        self.link.answer(id, Ok(to_value(&session.facts))).await?;
        let mut beat = tokio::time::interval(SPY_BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut silence = Silence::default();
        loop {
            tokio::select! {
                news = session.news.recv() => {
                    self.send_heard(&mut session, &mut silence).await?;
                    let word = match news {
                        Some(SpyNews::Sound(sound)) => {
                            session.sound = Some(sound);
                            continue;
                        }
                        Some(SpyNews::Silence) => {
                            session.sound = None;
                            continue;
                        }
                        Some(SpyNews::Facts(facts)) => SpyWord::Facts(facts),
                        Some(SpyNews::Ended(end)) => SpyWord::Ended(end),
                        None => SpyWord::Ended(SpyEnd {
                            why: EndedBecause::CallEnded,
                            message: "the call has ended".into(),
                        }),
                    };
                    self.link.put(id, Body::Event(to_value(&word))).await?;
                    if matches!(word, SpyWord::Ended(_)) {
                        self.link.put(id, Body::End(true)).await?;
                        return self.link.flush().await;
                    }
                }
                _ = beat.tick() => self.send_heard(&mut session, &mut silence).await?,
                frame = self.link.reader.next() => match frame? {
                    None => return Err(LinkError::Gone),
                    Some(Frame::Audio(bytes)) => {
                        let frame = voice_frame(&bytes).ok_or(LinkError::Misuse("audio of another length than 20 ms"))?;
                        // A full ring means that the client is ahead of the call: what it said too early is left out.
                        if let Some(sound) = &mut session.sound {
                            let _ = sound.voice.push(frame);
                        }
                    }
                    Some(Frame::Json(payload)) => {
                        let (id, answer) = change(&payload, session.control.as_ref()).await;
                        self.link.answer(id, answer).await?;
                    }
                },
            }
        }
    }

    /// Sends what was heard, or silence where there is nobody to hear: the client's clock goes on.
    async fn send_heard(&mut self, session: &mut SpySession, silence: &mut Silence) -> Result<(), LinkError> {
        match &mut session.sound {
            Some(sound) => {
                silence.ends();
                while let Ok(frame) = sound.frames.pop() {
                    self.link.put_audio(heard_bytes(&frame))?;
                }
            }
            None => {
                for _ in 0..silence.frames_due(Instant::now()) {
                    self.link.put_audio(heard_bytes(&[0; 3 * FRAME_SAMPLES]))?;
                }
            }
        }
        self.link.flush().await
    }
}

/// Silence at the pace of sound.
#[derive(Default)]
struct Silence {
    /// Until when there was some.
    until: Option<Instant>,
}

impl Silence {
    fn ends(&mut self) {
        self.until = None;
    }

    fn frames_due(&mut self, now: Instant) -> usize {
        let until = self.until.get_or_insert(now);
        let mut frames = 0;
        while *until + FRAME <= now {
            *until += FRAME;
            frames += 1;
        }
        frames
    }
}

async fn change(payload: &[u8], session: &dyn SpyControl) -> (u64, Result<Value, Fault>) {
    match request_of(payload) {
        Err(fault) => (0, Err(fault)),
        Ok(request) => (request.id, changed(request, session).await),
    }
}

async fn changed(request: Request, session: &dyn SpyControl) -> Result<Value, Fault> {
    let facts = match request.method.as_str() {
        method::SPY_MODE => {
            let wanted: ModeChange = params_of(request)?;
            session.set_mode(wanted.mode, wanted.to).await?
        }
        method::SPY_HEAR => session.set_hear(params_of::<HearChange>(request)?.hear).await?,
        method::SPY_NEXT => session.next().await?,
        other => return Err(Fault::new(FaultCode::Usage, format!("`{other}` has no place in a spy session"))),
    };
    Ok(to_value(&facts))
}

fn lost(last: u64, count: u64) -> EventRecord {
    let fields = serde_json::Map::from_iter([("count".to_owned(), Value::from(count))]);
    EventRecord { seq: last, time: jiff::Timestamp::now(), kind: "events.lost".into(), fields }
}
