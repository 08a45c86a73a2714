//! What is told of a recording: who, which way, when, by which rule, who listened, what was played, and what the recorder saw.
//! Above: `session` and `files`. Below: what the legs' own tasks tell of themselves.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use crate::{
    call::{
        exchange::Exchange,
        live::{CallFacts, LegFacts},
        recording::{
            core::{Core, Follows, peer_of},
            wish::Wish,
        },
        talks::{Side as Party, Talks},
    },
    config::Config,
    outbox::{
        manifest::{Audio, Direction, Gap, Listener, Manifest, Part, Party as Recorded, Side, Span},
        name::{Template, clean_name},
    },
    recorder::{self, Container, Finished, Form, Order},
};

/// The ending of a recording's file.
const ENDING: &str = ".wav";

/// What the name of a recording's file ends in, without the dot, where that is not what was wished for.
pub(super) fn ending(order: &Order) -> Option<&'static str> {
    match (order.container, order.form) {
        (Container::OggOpus, _) => Some("opus"),
        (Container::Wav, Form::G722) => Some("mka"),
        (Container::Wav, Form::Pcm16 | Form::AsCame(_)) => None,
    }
}

/// What is known when a recording begins, with the name wished for.
pub(super) fn at_start(exchange: &Exchange, wish: &Wish, call: &CallFacts, leg: &Arc<LegFacts>) -> Manifest {
    let settings = exchange.settings.load();
    let peer = peer_of(leg);
    let is_second = matches!(&*leg.talks.borrow(), Talks::With { side: Party::B, .. });
    let (calling, called) = if is_second { (peer.as_ref(), Some(leg)) } else { (Some(leg), peer.as_ref()) };
    let mut manifest = Manifest::new("", Timestamp::now());
    manifest.call.clone_from(&call.uuid);
    manifest.leg.clone_from(&leg.uuid);
    manifest.uniqueid.clone_from(&call.uuid);
    manifest.from.clone_from(&call.from);
    manifest.from_name.clone_from(&call.from_name);
    manifest.to.clone_from(&call.to);
    manifest.reason = wish.by.to_string();
    manifest.extra.insert("context".into(), call.context.clone().into());
    describe(&mut manifest, &settings, (calling, called));
    manifest.file = file_name(&settings, wish, &manifest);
    manifest
}

/// The same of a recording of a conference room.
pub(super) fn of_room(exchange: &Exchange, wish: &Wish, room: &str) -> Manifest {
    let mut manifest = Manifest::new("", Timestamp::now());
    manifest.room = Some(room.to_owned());
    manifest.to = room.to_owned();
    manifest.answered = Some(manifest.started);
    manifest.reason = wish.by.to_string();
    manifest.file = file_name(&exchange.settings.load(), wish, &manifest);
    manifest
}

fn file_name(settings: &Config, wish: &Wish, manifest: &Manifest) -> String {
    if let Some(wished) = &wish.file {
        let stem = wished.strip_suffix(ENDING).or_else(|| wished.strip_suffix(".WAV")).unwrap_or(wished);
        return clean_name(stem) + ENDING;
    }
    // What `pbx check` has not seen: a recording under another name is better than none.
    let template = Template::parse(&settings.recording.name);
    let template = template.or_else(|_| Template::parse(&config_default()));
    let name = template.map(|template| template.fill(manifest, &TimeZone::system()));
    name.unwrap_or_else(|_| manifest.id.to_string()) + ENDING
}

fn config_default() -> String {
    crate::config::RecordingSettings::default().name
}

/// Which way the call goes, whose agent and trunk it has: seen from both parties.
fn describe(manifest: &mut Manifest, settings: &Config, parties: (Option<&Arc<LegFacts>>, Option<&Arc<LegFacts>>)) {
    let (calling, called) = parties;
    manifest.direction = direction(parties);
    let trunks: Vec<_> = [calling, called].into_iter().flatten().filter_map(|leg| trunk_of(settings, leg)).collect();
    if let Some(trunk) = trunks.first() {
        manifest.trunk = Some((*trunk).to_owned());
    }
    let users: Vec<_> = [calling, called].into_iter().flatten().filter_map(|leg| leg.user.as_ref()).collect();
    if let [agent] = users[..]
        && manifest.direction != Direction::Internal
    {
        manifest.agent = Some(agent.clone());
    }
}

/// Which way a call goes between these, the calling one first. A Local half is nobody from outside.
pub(super) fn direction((calling, called): (Option<&Arc<LegFacts>>, Option<&Arc<LegFacts>>)) -> Direction {
    let is_outside = |leg: &&Arc<LegFacts>| leg.user.is_none() && !leg.is_local();
    match (calling.is_some_and(|leg| is_outside(&leg)), called.is_some_and(|leg| is_outside(&leg))) {
        (true, _) => Direction::In,
        (false, true) => Direction::Out,
        (false, false) => Direction::Internal,
    }
}

/// The trunk that a leg came or went by.
pub(super) fn trunk_of<'a>(settings: &'a Config, leg: &LegFacts) -> Option<&'a str> {
    let name = leg.device().strip_prefix("SIP/").filter(|_| leg.user.is_none())?;
    settings.trunks.get_key_value(name).map(|(name, _)| name.as_str())
}

/// The leg is answered, and recording begins.
pub(super) fn at_answer(core: &Core) {
    let mut state = core.lock();
    (state.manifest.started, state.since) = (Timestamp::now(), Some(Instant::now()));
    let only = core.only().map(|only| if only == Party::A { "left" } else { "right" });
    state.manifest.extra.extend(only.map(|side| ("side".into(), side.into())));
    state.manifest.extra.extend(core.wish.beside.map(|id| ("beside".into(), id.to_string().into())));
    if let Some(leg) = core.leg() {
        state.manifest.answered = leg.now().answered;
    }
    state.manifest.parties = parties(core, &state.manifest.from_name, &state.legs);
}

/// Who was in it, each once on a side.
fn parties(core: &Core, from_name: &str, legs: &[(Party, Arc<LegFacts>)]) -> Vec<Recorded> {
    let settings = core.exchange.settings.load();
    let recorded = |(side, leg): &(Party, Arc<LegFacts>)| {
        let shown = leg.user.as_ref().and_then(|user| settings.users.get(user)?.caller_id.as_ref());
        Recorded {
            side: match side {
                Party::A => Side::Left,
                Party::B => Side::Right,
            },
            uuid: leg.uuid.clone(),
            user: leg.user.clone(),
            number: leg.number.clone(),
            name: shown.map(|id| id.name.clone()).unwrap_or_default(),
            extra: BTreeMap::new(),
        }
    };
    let only = core.only();
    let mut all: Vec<_> = legs.iter().filter(|(side, _)| only.is_none_or(|only| only == *side)).map(recorded).collect();
    for party in all.iter_mut().filter(|party| party.name.is_empty() && party.uuid == core.call) {
        from_name.clone_into(&mut party.name);
    }
    all
}

/// All that came of it.
pub(super) fn at_end(core: &Core, finished: &Finished) {
    note_listeners(core);
    let settings = core.exchange.settings.load();
    let mut state = core.lock();
    let legs = state.legs.clone();
    let first = |side| legs.iter().find(|(known, _)| *known == side).map(|(_, leg)| leg);
    if matches!(core.follows, Follows::Leg { .. }) {
        describe(&mut state.manifest, &settings, (first(Party::A), first(Party::B)));
    }
    let now = state.manifest.ended.unwrap_or_else(Timestamp::now);
    for listener in state.manifest.listeners.iter_mut().filter(|listener| listener.until.is_none()) {
        listener.until = Some(now);
    }
    for (name, value) in &core.wish.variables {
        state.manifest.variables.insert(name.clone(), value.clone());
    }
    for (_, leg) in &legs {
        state.manifest.variables.extend(leg.noted.all());
    }
    state.manifest.parties = parties(core, &state.manifest.from_name, &legs);
    take(&mut state.manifest, finished, core.exchange.recordings.spool().folder());
}

/// What the recorder tells.
pub(super) fn take(manifest: &mut Manifest, finished: &Finished, spool: &std::path::Path) {
    let below = |path: &std::path::Path| path.strip_prefix(spool).unwrap_or(path).to_string_lossy().into_owned();
    manifest.audio = Audio {
        format: match (finished.container, finished.form) {
            (Container::OggOpus, _) => "opus",
            (Container::Wav, Form::G722) => "g722",
            (Container::Wav, Form::Pcm16) => "pcm16",
            (Container::Wav, Form::AsCame(crate::audio::codec::Codec::Pcmu)) => "ulaw",
            (Container::Wav, Form::AsCame(_)) => "alaw",
        }
        .to_owned(),
        rate_hz: finished.rate_hz,
        channels: finished.channels,
        frames: finished.frames,
        duration_s: seconds(finished.frames, finished.rate_hz),
        bytes: finished.files.first().map_or(0, |part| part.bytes),
        ..Audio::default()
    };
    if finished.files.len() > 1 {
        let part = |part: &recorder::Part| Part { file: below(&part.path), frames: part.frames, ..Part::default() };
        manifest.parts = finished.files.iter().map(part).collect();
    }
    let side = |side| match side {
        recorder::Side::Left => Side::Left,
        recorder::Side::Right => Side::Right,
    };
    manifest.gaps = finished
        .gaps
        .iter()
        .map(|gap| Gap { side: side(gap.side), from_ms: gap.from_ms, ms: gap.ms, why: gap.why.word().to_owned() })
        .collect();
    let span = |span: &recorder::Span| Span { from_ms: span.from_ms, ms: span.ms, by: String::new() };
    manifest.pauses = finished.pauses.iter().map(span).collect();
    manifest.masks = finished.masks.iter().map(span).collect();
    let packets = &finished.packets;
    manifest.extra.insert(
        "packets".into(),
        json!({"received": packets.received, "lost": packets.lost, "late": packets.late, "dropped": finished.dropped}),
    );
    if let Some(error) = &finished.error {
        manifest.extra.insert("error".into(), error.as_str().into());
    }
}

/// Milliseconds are enough.
fn seconds(frames: u64, rate_hz: u32) -> f64 {
    let ms = frames.saturating_mul(1_000) / u64::from(rate_hz.max(1));
    std::time::Duration::from_millis(ms).as_secs_f64()
}

/// Those who supervise its call now.
pub(super) fn listening(core: &Core) -> Vec<crate::call::supervision::Running> {
    if core.exchange.spies.count() == 0 {
        return Vec::new();
    }
    let heard: Vec<_> = core.heard().legs().map(|(_, leg)| leg.uuid.clone()).collect();
    let mut sessions = core.exchange.spies.all();
    sessions.retain(|running| {
        let peer = running.facts.peer.as_ref().map(|peer| &peer.uuid);
        heard.iter().any(|uuid| *uuid == running.facts.target.uuid || Some(uuid) == peer)
    });
    sessions
}

/// Notes who listens to its call now, and who no longer does.
pub(super) fn note_listeners(core: &Core) {
    if core.exchange.spies.count() == 0 && core.lock().listening.is_empty() {
        return;
    }
    let here = listening(core);
    let mut state = core.lock();
    let state = &mut *state;
    let now = Timestamp::now();
    for running in &here {
        let mode = running.facts.mode;
        match state.listening.iter_mut().find(|(session, ..)| *session == running.facts.session) {
            Some((_, at, highest)) => {
                *highest = (*highest).max(mode);
                if let Some(listener) = state.manifest.listeners.get_mut(*at) {
                    listener.mode = highest.word().to_owned();
                }
            }
            None => {
                state.listening.push((running.facts.session.clone(), state.manifest.listeners.len(), mode));
                state.manifest.listeners.push(Listener {
                    user: running.who.name().to_owned(),
                    mode: mode.word().to_owned(),
                    from: running.since.max(state.manifest.started),
                    until: None,
                });
            }
        }
    }
    state.listening.retain(|(session, at, _)| {
        let is_still_here = here.iter().any(|running| running.facts.session == *session);
        if let (false, Some(listener)) = (is_still_here, state.manifest.listeners.get_mut(*at)) {
            listener.until = Some(now);
        }
        is_still_here
    });
}
