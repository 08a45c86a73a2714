//! The desk: answers the control socket's questions about this server and does what it is told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};
use zeroize::Zeroizing;

use crate::{
    call::{
        Cause,
        live::{CallFacts, LegFacts, LegNow, LegState, Order, Way},
        trace,
    },
    config::{CodeFor, Config},
    control::{
        protocol::{
            Bridge, Bridged, CallDetail, CallInfo, CallState, CodeInfo, ConsoleSaid, Dtmf, EventRecord, Fault,
            FaultCode, Held, Hold, Hungup, LegDetail, LegDirection, LegInfo, LogVerify, MediaInfo, Originate,
            Originated, Perms, Pressed, RecordTarget, RecordVerb, Recorded, RegistrationInfo, Reload, ReloadReport,
            ReloadWhat, RoomChanged, RoomInfo, RoomMute, RoomTarget, SettingsInForce, SpyInfo, SpyRequest, Status,
            Stop, StoreKey, StoreList, StoreOrder, TraceWanted, Traced, Transfer, Transferred, Unlock, UserInfo,
        },
        server::{Backend, BoxFuture, Identity, SpySession},
    },
    dialplan::Dialplan,
    evidence::{Report, Wanted},
};

use super::{
    House,
    changes::{differences, needs_restart},
    delivery,
    sources::Loaded,
};

/// How long a channel's task may take to describe itself.
const DESCRIBE_TIME: Duration = Duration::from_millis(500);

/// Answers for one server.
pub(crate) struct Desk {
    house: Arc<House>,
}

impl Desk {
    pub(crate) fn new(house: Arc<House>) -> Self {
        Self { house }
    }
}

impl Backend for Desk {
    fn status(&self) -> Status {
        self.house.status()
    }

    fn calls(&self, _who: &Identity) -> Vec<CallInfo> {
        self.house.exchange.live.calls().iter().map(|call| self.house.call_info(call)).collect()
    }

    fn call<'a>(&'a self, uuid: &'a str) -> BoxFuture<'a, Result<CallDetail, Fault>> {
        Box::pin(self.house.call_detail(uuid))
    }

    fn hangup<'a>(&'a self, uuid: &'a str, cause: Option<u8>) -> BoxFuture<'a, Result<Hungup, Fault>> {
        Box::pin(self.house.hangup(uuid, cause))
    }

    fn dtmf(&self, wanted: Dtmf) -> BoxFuture<'_, Result<Pressed, Fault>> {
        Box::pin(self.house.dtmf(wanted))
    }

    fn transfer(&self, wanted: Transfer) -> BoxFuture<'_, Result<Transferred, Fault>> {
        Box::pin(self.house.transfer(wanted))
    }

    fn bridge(&self, wanted: Bridge) -> BoxFuture<'_, Result<Bridged, Fault>> {
        Box::pin(self.house.bridge(wanted))
    }

    fn hold(&self, wanted: Hold) -> BoxFuture<'_, Result<Held, Fault>> {
        Box::pin(self.house.hold(wanted))
    }

    fn unhold(&self, wanted: Hold) -> BoxFuture<'_, Result<Held, Fault>> {
        Box::pin(self.house.unhold(wanted))
    }

    fn record<'a>(
        &'a self,
        who: &'a Identity,
        wanted: (RecordVerb, RecordTarget),
    ) -> BoxFuture<'a, Result<Recorded, Fault>> {
        Box::pin(self.house.record(who, wanted))
    }

    fn originate(&self, request: Originate) -> BoxFuture<'_, Result<Originated, Fault>> {
        Box::pin(self.house.originate(request))
    }

    fn users(&self) -> Vec<UserInfo> {
        self.house.users()
    }

    fn registrations(&self) -> Vec<RegistrationInfo> {
        self.house.registrations()
    }

    fn codes(&self) -> Vec<CodeInfo> {
        codes_of(&self.house.plan.load(), Some(&self.house.exchange.settings.load()))
    }

    fn rooms(&self) -> Vec<RoomInfo> {
        self.house.rooms()
    }

    fn kick(&self, target: &RoomTarget) -> Result<RoomChanged, Fault> {
        self.house.kick(target)
    }

    fn mute(&self, wanted: &RoomMute) -> Result<RoomChanged, Fault> {
        self.house.mute(wanted)
    }

    fn records(&self, since: Option<Timestamp>, limit: Option<usize>) -> BoxFuture<'_, Result<Vec<Value>, Fault>> {
        let records = self.house.exchange.records.clone();
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || records.read(since, limit.unwrap_or(usize::MAX)));
            let failed = |error: String| Fault::new(FaultCode::Failure, format!("detail records: {error}"));
            read.await.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))
        })
    }

    fn settings(&self) -> SettingsInForce {
        SettingsInForce {
            sources: self.house.files.load().iter().map(|path| path.display().to_string()).collect(),
            settings: self.house.exchange.settings.load().masked(),
        }
    }

    fn reload(&self, what: ReloadWhat) -> BoxFuture<'_, Result<ReloadReport, Fault>> {
        Box::pin(self.house.reload(what))
    }

    fn stop(&self, how: Stop) {
        // A full queue holds stops already.
        let _ = self.house.stop.try_send(how);
    }

    fn subscribe(&self, since: Option<u64>) -> (Vec<EventRecord>, broadcast::Receiver<EventRecord>) {
        self.house.exchange.journal.subscribe(since)
    }

    fn trace(&self, wanted: TraceWanted) -> BoxFuture<'_, Result<mpsc::Receiver<Traced>, Fault>> {
        Box::pin(self.house.trace(wanted))
    }

    fn console<'a>(&'a self, line: &'a str) -> BoxFuture<'a, ConsoleSaid> {
        Box::pin(self.house.console(line))
    }

    fn store<'a>(&'a self, who: &'a Identity, order: StoreOrder) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(self.house.store_order(who, order))
    }

    fn store_list(&self, list: StoreList) -> BoxFuture<'_, Result<mpsc::Receiver<Result<Value, Fault>>, Fault>> {
        Box::pin(async move { self.house.store_list(list) })
    }

    fn takes_a_key(&self) -> Result<(), Fault> {
        self.house.safe().map(|_| ())
    }

    fn unlock<'a>(
        &'a self,
        who: &'a Identity,
        how: Unlock,
        key: Zeroizing<Vec<u8>>,
    ) -> BoxFuture<'a, Result<StoreKey, Fault>> {
        Box::pin(self.house.unlock(who, how, key))
    }

    fn spies(&self) -> Vec<SpyInfo> {
        self.house.spies()
    }

    fn log(&self, wanted: Wanted) -> mpsc::Receiver<Result<Value, Fault>> {
        self.house.log(wanted)
    }

    fn verify_log(&self, wanted: LogVerify) -> BoxFuture<'_, Result<Report, Fault>> {
        Box::pin(self.house.verify_log(wanted))
    }

    fn perms(&self) -> Perms {
        self.house.perms()
    }

    fn spy<'a>(&'a self, who: &'a Identity, request: SpyRequest) -> BoxFuture<'a, Result<SpySession, Fault>> {
        Box::pin(self.house.spy(who, request))
    }
}

impl House {
    pub(crate) fn status(&self) -> Status {
        let exchange = &self.exchange;
        let (calls, legs) = exchange.live.counts();
        let sip = exchange.sip.counts();
        let media = exchange.media.stats();
        Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: exchange.began.elapsed().as_secs_f64(),
            sip: exchange
                .sip
                .listening()
                .iter()
                .map(|(transport, at)| format!("{}://{at}", transport.uri_name()))
                .collect(),
            calls: calls as u64,
            legs: legs as u64,
            transactions: sip.transactions as u64,
            dialogs: sip.dialogs as u64,
            ports: media.ports_open,
            registrations: exchange.registrar().len() as u64,
            spies: exchange.spies.count() as u64,
            recordings: exchange.recordings.count() as u64,
            tick_late_p99_us: media.tick_late_p99_us,
            store_locked: self.keys.is_locked(),
            stopping: exchange.is_closing(),
        }
    }

    fn call_info(&self, call: &CallFacts) -> CallInfo {
        info(call, self.watchers(call), leg_info)
    }

    /// How many listen to a call, and whether it is recorded.
    fn watchers(&self, call: &CallFacts) -> (u32, bool) {
        let spied = count(self.exchange.spies.on_call(&call.uuid));
        (spied, self.exchange.recordings.is_any_recorded(&call.legs()))
    }

    async fn call_detail(&self, uuid: &str) -> Result<CallDetail, Fault> {
        let (call, _) = self.exchange.live.find(uuid).ok_or_else(|| no_such(uuid))?;
        let variables = variables_of(&call).await;
        let mut media = BTreeMap::new();
        for leg in call.legs() {
            media.insert(leg.uuid.clone(), self.exchange.media.port_stats(leg.port).await);
        }
        Ok(info(&call, self.watchers(&call), |leg| LegDetail {
            leg: leg_info(leg),
            channel: leg.name.clone(),
            call_id: leg.call_id.clone(),
            variables: variables.get(&leg.uuid).cloned().unwrap_or_default(),
            media: media.get(&leg.uuid).and_then(Option::as_ref).map(|stats| MediaInfo {
                local: leg.rtp.to_string(),
                packets_in: stats.packets_in,
                packets_out: stats.packets_out,
                lost: stats.lost,
                jitter_ms: stats.jitter_ms.into(),
            }),
        }))
    }

    async fn trace(&self, wanted: TraceWanted) -> Result<mpsc::Receiver<Traced>, Fault> {
        let (to, lines) = mpsc::channel(trace::QUEUE);
        match (wanted.uuid, wanted.next) {
            (Some(uuid), None) => {
                let (call, _) = self.exchange.live.find(&uuid).ok_or_else(|| no_such(&uuid))?;
                let first = call.legs().first().cloned().ok_or_else(|| no_such(&uuid))?;
                first.orders.send(Order::Trace(to)).await.map_err(|_| no_such(&uuid))?;
            }
            (None, Some(number)) => self.exchange.traces.wait_for(number, to),
            _ => return Err(Fault::new(FaultCode::Usage, "either a call's UUID or the number of the next one")),
        }
        Ok(lines)
    }

    pub(super) async fn hangup(&self, uuid: &str, cause: Option<u8>) -> Result<Hungup, Fault> {
        let (call, _) = self.exchange.live.find(uuid).ok_or_else(|| no_such(uuid))?;
        let cause = cause.map_or(Cause::NORMAL, |number| Cause::from_number(number.into()));
        let legs = call.legs();
        // The calling leg's task ends all others with it.
        if let Some(first) = legs.first()
            && first.orders.send(Order::Hangup(cause)).await.is_err()
        {
            return Err(no_such(uuid));
        }
        Ok(Hungup { legs: legs.iter().map(|leg| leg.uuid.clone()).collect() })
    }

    fn users(&self) -> Vec<UserInfo> {
        let settings = self.exchange.settings.load_full();
        let now = std::time::Instant::now();
        let users = settings.users.iter().map(|(name, user)| UserInfo {
            user: name.clone(),
            caller_id: user.caller_id.as_ref().map(|id| format!("{} <{}>", id.name, id.number).trim().to_owned()),
            context: user.context.clone(),
            registrations: count(self.exchange.registrar().bindings(now, name).len()),
            calls: count(self.exchange.live.legs_of(name)),
            may_spy: user.may_spy.as_str().into(),
            may_be_spied: user.may_be_spied,
            groups: user.groups.clone(),
        });
        users.collect()
    }

    fn registrations(&self) -> Vec<RegistrationInfo> {
        let now = std::time::Instant::now();
        let registrar = self.exchange.registrar();
        let all = registrar.all().flat_map(|(user, bindings)| bindings.iter().map(move |binding| (user, binding)));
        let in_force = all.filter(|(_, binding)| binding.expires_at > now);
        let mut infos: Vec<_> = in_force
            .map(|(user, binding)| RegistrationInfo {
                user: user.to_owned(),
                contact: binding.contact.to_string(),
                source: format!("{}://{}", binding.source.transport.uri_name(), binding.source.remote),
                expires_in_s: binding.expires_at.saturating_duration_since(now).as_secs(),
                user_agent: binding.user_agent.clone(),
                instance: binding.instance.clone(),
            })
            .collect();
        infos.sort_by(|a, b| (&a.user, &a.contact).cmp(&(&b.user, &b.contact)));
        infos
    }

    /// Reads everything again, and swaps in what was asked for; on an error the old stays in force.
    pub(crate) async fn reload(&self, what: ReloadWhat) -> Result<ReloadReport, Fault> {
        let _one_at_a_time = self.reloading.lock().await;
        let Loaded { config, plan, files, mut warnings } =
            self.source.read(&self.state).map_err(|error| Fault::new(FaultCode::Invalid, error.to_string()))?;
        let mut changes = Vec::new();
        if matches!(what.what, Reload::Config | Reload::All) {
            let old = self.exchange.settings.load_full();
            changes.extend(differences(&old.masked(), &config.masked(), ""));
            warnings.extend(needs_restart(&changes));
            if !what.dry_run {
                self.env.configure(&config);
                delivery::wanted_by(&config, &self.exchange.recordings);
                self.exchange.settings.store(Arc::new(config));
                self.exchange.reloads.send_modify(|count| *count += 1);
            }
        }
        if matches!(what.what, Reload::Dialplan | Reload::All) {
            changes.extend(self.plan.load().changes_to(&plan));
            if !what.dry_run {
                self.env.set_globals(&plan);
                self.plan.store(plan);
            }
        }
        if !what.dry_run {
            self.files.store(Arc::new(files));
            self.exchange.journal.note("server.reloaded", serde_json::json!({"changes": changes.len()}));
        }
        Ok(ReloadReport { changes, warnings })
    }
}

/// The feature codes of a plan, and the supervision codes of the settings.
pub(crate) fn codes_of(plan: &Dialplan, settings: Option<&Config>) -> Vec<CodeInfo> {
    let codes = plan.feature_codes().into_iter();
    let supervision = settings.into_iter().flat_map(|settings| settings.supervision.codes.all());
    let supervision = supervision.map(|(code, meaning)| CodeInfo {
        code: format!("{code}EXTENSION"),
        context: "(users)".to_owned(),
        application: match meaning {
            CodeFor::Listen => "listens to the extension's call",
            CodeFor::Whisper => "whispers to the extension",
            CodeFor::Barge => "barges into the extension's call",
            CodeFor::Eavesdrop => "listens; 2 1 3 0 choose who hears",
        }
        .to_owned(),
        file: "[supervision] codes".to_owned(),
        line: 0,
    });
    codes
        .map(|code| CodeInfo {
            code: code.code,
            context: code.context.to_owned(),
            application: code.application.to_owned(),
            file: code.file,
            line: code.line,
        })
        .chain(supervision)
        .collect()
}

/// What each leg's own task says of its variables, by UUID.
async fn variables_of(call: &CallFacts) -> BTreeMap<String, BTreeMap<String, String>> {
    let until = tokio::time::Instant::now() + DESCRIBE_TIME;
    let mut asked = Vec::new();
    for leg in call.legs() {
        let (reply, told) = oneshot::channel();
        // A leg whose task is behind with its orders is not waited for.
        if leg.orders.try_send(Order::Describe(reply)).is_ok() {
            asked.push((leg.uuid.clone(), told));
        }
    }
    let mut all = BTreeMap::new();
    for (uuid, told) in asked {
        if let Ok(Ok(described)) = tokio::time::timeout_at(until, told).await {
            all.insert(uuid, described.variables.into_iter().collect());
        }
    }
    all
}

fn info<L>(call: &CallFacts, (spied, recorded): (u32, bool), leg: impl Fn(&LegFacts) -> L) -> CallInfo<L> {
    let legs = call.legs();
    let states: Vec<_> = legs.iter().map(|leg| shown(&leg.now())).collect();
    let any = |wanted: LegState| states.contains(&wanted);
    let state = if any(LegState::Held) {
        CallState::Held
    } else if any(LegState::Up) {
        CallState::Up
    } else if any(LegState::Ringing) {
        CallState::Ringing
    } else {
        CallState::Trying
    };
    CallInfo {
        uuid: call.uuid.clone(),
        from: call.from.clone(),
        to: call.to.clone(),
        state,
        started: call.started,
        duration_s: call.began.elapsed().as_secs_f64(),
        recorded,
        spied,
        legs: legs.iter().map(|l| leg(l)).collect(),
    }
}

/// How far a leg is, held by its phone or by order.
fn shown(now: &LegNow) -> LegState {
    if now.is_on_hold() { LegState::Held } else { now.state }
}

fn leg_info(leg: &LegFacts) -> LegInfo {
    let now = leg.now();
    LegInfo {
        uuid: leg.uuid.clone(),
        user: leg.user.clone(),
        number: leg.number.clone(),
        direction: match leg.way {
            Way::In => LegDirection::In,
            Way::Out => LegDirection::Out,
        },
        state: match shown(&now) {
            LegState::Dialling => CallState::Trying,
            LegState::Ringing => CallState::Ringing,
            LegState::Up => CallState::Up,
            LegState::Held => CallState::Held,
            LegState::Ended => CallState::Ending,
        },
        codec: now.codec.map(|codec| codec.word().to_owned()),
        address: now.address.map(|address| address.to_string()),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn no_such(uuid: &str) -> Fault {
    Fault::new(FaultCode::NotFound, format!("no live call has the UUID {uuid}")).hint("`pbx calls` lists the live ones")
}
