//! A backend without telephony, served over a real socket: what the control and command line tests talk to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use wirechief::control::protocol::*;
use wirechief::control::server::{
    self, Backend, Bound, BoxFuture, Identity, Limits, SocketConfig, SpyControl, SpyNews, SpySession, SpySound,
};

pub(crate) const CALLER: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const CALLEE: &str = "22222222-2222-4222-8222-222222222222";
/// A conference room with one member.
pub(crate) const ROOM: &str = "12345";
/// A dialplan application that the fake refuses with the fault its argument names.
pub(crate) const REFUSING: &str = "Refuse";

/// The media thread's ends of a fake session.
pub(crate) struct Tap {
    pub(crate) frames: rtrb::Producer<HeardFrame>,
    pub(crate) voice: rtrb::Consumer<VoiceFrame>,
    pub(crate) news: mpsc::Sender<SpyNews>,
}

pub(crate) struct Fake {
    pub(crate) pid: u32,
    pub(crate) caller_name: String,
    pub(crate) events: broadcast::Sender<EventRecord>,
    pub(crate) past: Vec<EventRecord>,
    pub(crate) taps: Mutex<Vec<Tap>>,
    pub(crate) stopped: watch::Sender<Option<Stop>>,
    pub(crate) asked_by: Mutex<Vec<Identity>>,
    pub(crate) originated: Mutex<Vec<Originate>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            pid: std::process::id(),
            caller_name: "1001".into(),
            events: broadcast::channel(64).0,
            past: vec![event(1, "call.started"), event(2, "registration.added")],
            taps: Mutex::default(),
            stopped: watch::channel(None).0,
            asked_by: Mutex::default(),
            originated: Mutex::default(),
        }
    }
}

pub(crate) fn event(seq: u64, kind: &str) -> EventRecord {
    let fields = serde_json::Map::from_iter([("uuid".to_owned(), Value::from(CALLER))]);
    EventRecord { seq, time: Timestamp::UNIX_EPOCH, kind: kind.into(), fields }
}

impl Fake {
    fn detail(&self) -> CallDetail {
        let leg = |uuid: &str, number: &str, direction| LegDetail {
            leg: LegInfo {
                uuid: uuid.into(),
                user: Some(number.into()),
                number: number.into(),
                direction,
                state: CallState::Up,
                codec: Some("ulaw".into()),
                address: Some("127.0.0.1:40000".into()),
            },
            channel: format!("SIP/{number}-00000001"),
            variables: [("EXTEN".to_owned(), "1002".to_owned())].into(),
            media: Some(MediaInfo::default()),
            ..LegDetail::default()
        };
        CallInfo {
            uuid: CALLER.into(),
            from: self.caller_name.clone(),
            to: "1002".into(),
            state: CallState::Up,
            started: Timestamp::UNIX_EPOCH,
            duration_s: 12.5,
            recorded: false,
            spied: 0,
            legs: vec![leg(CALLER, "1001", LegDirection::In), leg(CALLEE, "1002", LegDirection::Out)],
        }
    }
}

fn found(uuid: &str) -> Result<(), Fault> {
    if [CALLER, CALLEE].contains(&uuid) {
        return Ok(());
    }
    Err(Fault::new(FaultCode::NotFound, format!("{uuid}: no such call")).hint("`pbx calls` lists them"))
}

fn answer<'a, T: Send + 'a>(answer: Result<T, Fault>) -> BoxFuture<'a, Result<T, Fault>> {
    Box::pin(std::future::ready(answer))
}

impl Backend for Fake {
    fn status(&self) -> Status {
        Status { pid: self.pid, version: "1.0.0".into(), calls: 1, legs: 2, ..Status::default() }
    }

    fn calls(&self, who: &Identity) -> Vec<CallInfo> {
        self.asked_by.lock().unwrap().push(who.clone());
        let CallInfo { uuid, from, to, state, started, duration_s, recorded, spied, legs } = self.detail();
        let legs = legs.into_iter().map(|leg| leg.leg).collect();
        vec![CallInfo { uuid, from, to, state, started, duration_s, recorded, spied, legs }]
    }

    fn call<'a>(&'a self, uuid: &'a str) -> BoxFuture<'a, Result<CallDetail, Fault>> {
        answer(found(uuid).map(|()| self.detail()))
    }

    fn hangup<'a>(&'a self, uuid: &'a str, _: Option<u8>) -> BoxFuture<'a, Result<Hungup, Fault>> {
        answer(found(uuid).map(|()| Hungup { legs: vec![CALLER.into(), CALLEE.into()] }))
    }

    fn originate(&self, request: Originate) -> BoxFuture<'_, Result<Originated, Fault>> {
        if request.app == REFUSING {
            let code = serde_json::from_value(Value::from(request.args.as_str())).unwrap();
            return answer(Err(Fault::new(code, "refused")));
        }
        self.originated.lock().unwrap().push(request);
        answer(Ok(Originated { uuid: CALLEE.into() }))
    }

    fn dtmf(&self, wanted: Dtmf) -> BoxFuture<'_, Result<Pressed, Fault>> {
        let Dtmf { uuid, digits, way } = wanted;
        answer(found(&uuid).map(|()| Pressed { uuid, digits, way }))
    }

    fn transfer(&self, wanted: Transfer) -> BoxFuture<'_, Result<Transferred, Fault>> {
        let Transfer { uuid, extension, .. } = wanted;
        answer(found(&uuid).map(|()| Transferred { legs: vec![uuid], extension, context: "internal".into() }))
    }

    fn bridge(&self, wanted: Bridge) -> BoxFuture<'_, Result<Bridged, Fault>> {
        let legs = wanted.legs;
        answer(legs.iter().try_for_each(|uuid| found(uuid)).map(|()| Bridged { legs: legs.clone() }))
    }

    fn hold(&self, wanted: Hold) -> BoxFuture<'_, Result<Held, Fault>> {
        answer(found(&wanted.uuid).map(|()| Held { uuid: wanted.uuid, held: true }))
    }

    fn unhold(&self, wanted: Hold) -> BoxFuture<'_, Result<Held, Fault>> {
        answer(found(&wanted.uuid).map(|()| Held { uuid: wanted.uuid, held: false }))
    }

    fn record<'a>(
        &'a self,
        _: &'a Identity,
        (verb, target): (RecordVerb, RecordTarget),
    ) -> BoxFuture<'a, Result<Recorded, Fault>> {
        let state = match verb {
            RecordVerb::Start | RecordVerb::Resume | RecordVerb::Unmask | RecordVerb::Look => "recording",
            RecordVerb::Pause => "paused",
            RecordVerb::Mask => "masked",
            RecordVerb::Stop => "finished",
        };
        let RecordTarget { uuid, file } = target;
        answer(found(&uuid).map(|()| {
            let id = "44444444-4444-4444-8444-444444444444".into();
            let file = file.unwrap_or_else(|| "call.wav".into());
            let state = state.into();
            Recorded {
                recordings: vec![RecordingInfo { id, uuid, call: CALLER.into(), file, state, ..Default::default() }],
            }
        }))
    }

    fn codes(&self) -> Vec<CodeInfo> {
        let application = "Playback(vm-goodbye)".into();
        vec![CodeInfo { code: "*77".into(), context: "internal".into(), application, ..CodeInfo::default() }]
    }

    fn rooms(&self) -> Vec<RoomInfo> {
        let members = vec![MemberInfo {
            uuid: CALLER.into(),
            channel: "SIP/1001-00000001".into(),
            number: "1001".into(),
            ..MemberInfo::default()
        }];
        vec![RoomInfo { room: ROOM.into(), duration_s: 12.5, members, ..RoomInfo::default() }]
    }

    fn kick(&self, target: &RoomTarget) -> Result<RoomChanged, Fault> {
        if target.room != ROOM {
            return Err(Fault::new(FaultCode::NotFound, format!("{}: nobody is in that room", target.room)));
        }
        Ok(RoomChanged { members: vec![CALLER.into()] })
    }

    fn mute(&self, wanted: &RoomMute) -> Result<RoomChanged, Fault> {
        self.kick(&wanted.target)
    }

    fn users(&self) -> Vec<UserInfo> {
        vec![UserInfo {
            user: "1001".into(),
            context: "internal".into(),
            may_spy: "none".into(),
            ..UserInfo::default()
        }]
    }

    fn registrations(&self) -> Vec<RegistrationInfo> {
        vec![RegistrationInfo {
            user: "1001".into(),
            contact: "sip:1001@127.0.0.1".into(),
            ..RegistrationInfo::default()
        }]
    }

    fn records(&self, _: Option<Timestamp>, limit: Option<usize>) -> BoxFuture<'_, Result<Vec<Value>, Fault>> {
        let record =
            json!({"uuid": CALLER, "from": "1001", "to": "1002", "duration_s": 61.0, "disposition": "ANSWERED"});
        answer(Ok(vec![record; limit.unwrap_or(2)]))
    }

    fn settings(&self) -> SettingsInForce {
        SettingsInForce { sources: vec!["/etc/wirechief/pbx.toml".into()], settings: json!({"sip": {"realm": "r"}}) }
    }

    fn reload(&self, what: ReloadWhat) -> BoxFuture<'_, Result<ReloadReport, Fault>> {
        answer(match what.what {
            Reload::Dialplan => Err(Fault::new(FaultCode::Invalid, "extensions.conf:3:1: unknown application `Foo`")),
            _ => Ok(ReloadReport { changes: vec!["users.1004 added".into()], warnings: Vec::new() }),
        })
    }

    fn stop(&self, how: Stop) {
        self.stopped.send_replace(Some(how));
    }

    fn subscribe(&self, since: Option<u64>) -> (Vec<EventRecord>, broadcast::Receiver<EventRecord>) {
        let past =
            since.map_or_else(Vec::new, |since| self.past.iter().filter(|event| event.seq > since).cloned().collect());
        (past, self.events.subscribe())
    }

    fn trace(&self, wanted: TraceWanted) -> BoxFuture<'_, Result<mpsc::Receiver<Traced>, Fault>> {
        let uuid = wanted.uuid.unwrap_or_default();
        if let Err(fault) = found(&uuid) {
            return answer(Err(fault));
        }
        let (to, lines) = mpsc::channel(4);
        let line = |what| Traced { time: Timestamp::UNIX_EPOCH, uuid: uuid.clone(), what };
        let _ = to.try_send(line(TracedWhat::Set { name: "X".into(), value: Some("1".into()) }));
        let _ = to.try_send(line(TracedWhat::End { cause: 16 }));
        answer(Ok(lines))
    }

    fn console<'a>(&'a self, line: &'a str) -> BoxFuture<'a, ConsoleSaid> {
        Box::pin(async move { ConsoleSaid { text: format!("said: {line}\n"), fault: None } })
    }

    fn spies(&self) -> Vec<SpyInfo> {
        vec![SpyInfo {
            who: "1003".into(),
            via: "socket".into(),
            from: "carol (uid 1003)".into(),
            since: Timestamp::UNIX_EPOCH,
            reason: Some("training".into()),
            facts: facts(Mode::Listen, Hear::Both),
        }]
    }

    fn spy<'a>(&'a self, _: &'a Identity, request: SpyRequest) -> BoxFuture<'a, Result<SpySession, Fault>> {
        if let SpyTarget::Uuid(uuid) = &request.target
            && let Err(fault) = found(uuid)
        {
            return answer(Err(fault));
        }
        let (heard, frames) = rtrb::RingBuffer::new(16);
        let (voice, said) = rtrb::RingBuffer::new(16);
        let (news, told) = mpsc::channel(4);
        self.taps.lock().unwrap().push(Tap { frames: heard, voice: said, news });
        let facts = facts(request.mode, request.hear);
        let control = Box::new(FakeControl(Mutex::new(facts.clone())));
        answer(Ok(SpySession { facts, sound: Some(SpySound { frames, voice }), control, news: told }))
    }
}

fn facts(mode: Mode, hear: Hear) -> SpyFacts {
    let party =
        |side, number: &str| PartyFacts { role: Role::Unknown, number: number.into(), ..PartyFacts::nobody(side) };
    SpyFacts {
        session: "33333333-3333-4333-8333-333333333333".into(),
        call: CALLER.into(),
        state: SpyState::Call,
        target: party(Side::A, "1001"),
        peer: party(Side::B, "1002"),
        mode,
        to: Side::A,
        hear,
        hears: vec![Side::A, Side::B],
        talks: Vec::new(),
        allowed: Mode::Whisper,
    }
}

struct FakeControl(Mutex<SpyFacts>);

impl SpyControl for FakeControl {
    fn set_mode(&self, mode: Mode, to: Option<Party>) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        if mode > Mode::Whisper {
            return answer(Err(Fault::new(FaultCode::Denied, "barge is above your permission, whisper")));
        }
        let mut facts = self.0.lock().unwrap();
        facts.mode = mode;
        facts.to = if to == Some(Party::B) { Side::B } else { Side::A };
        answer(Ok(facts.clone()))
    }

    fn set_hear(&self, hear: Hear) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        let mut facts = self.0.lock().unwrap();
        facts.hear = hear;
        answer(Ok(facts.clone()))
    }

    fn next(&self) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        answer(Ok(self.0.lock().unwrap().clone()))
    }
}

/// A running server in this process.
pub(crate) struct Server {
    pub(crate) folder: TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(Fake::default(), Limits::default())
    }

    pub(crate) fn with(fake: Fake, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("run/pbx.sock");
        let bound = Bound::new(&socket_at(&socket)).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let fake = Arc::new(fake);
        let backend: Arc<dyn Backend> = Arc::clone(&fake) as _;
        let task = tokio::spawn(async move {
            server::run(&bound, backend, limits, async { drop(stopped.await) }).await;
        });
        Self { folder, socket, fake, stop: Some(stop), task }
    }

    pub(crate) async fn shutdown(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }

    pub(crate) async fn client(&self) -> wirechief::control::client::Client {
        wirechief::control::client::Client::connect(&self.socket).await.unwrap()
    }
}

pub(crate) fn socket_at(path: &Path) -> SocketConfig {
    SocketConfig { path: path.to_path_buf(), group: None }
}
