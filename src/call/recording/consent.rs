//! Telling the parties that they are recorded, and asking them where a key is to say so: before anything is recorded those who are
//! there, afterwards whoever joins. What each heard and said is a fact of the manifest.
//! Above: `session`. Below: the media threads play it over the call, `standing` remembers it, the composition root knows the sound.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    call::{
        cause::Cause,
        channel::next_play_id,
        exchange::Exchange,
        live::LegFacts,
        recording::{
            core::{Core, Follows, Refusal, hang_up},
            facts,
            standing::{Answer, Telling, Told},
            wish::{Announced, RecordError},
        },
        supervision::Mode,
        talks::{Side as Party, Talks},
    },
    config::{AnnounceTo, RecordConsent, WithoutConsent},
    media::{Command, PlayId, PortId, Source},
    outbox::manifest::{Consent, Side},
};

/// A media thread that is too busy to tell the end of a sound: how much longer than the sound is waited for it.
const SLACK: Duration = Duration::from_secs(2);
/// The rate of sounds as they are played, samples a second.
const PLAYED_HZ: u64 = 8_000;

/// Finds a sound by its name.
pub type Sounds = Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = Option<Source>> + Send>> + Send + Sync>;

/// Who does not agree to be recorded is hung up, not put through unrecorded.
pub(super) fn is_condition(exchange: &Exchange) -> bool {
    let settings = exchange.settings.load();
    settings.recording.required || settings.recording.without_consent == WithoutConsent::End
}

/// What the settings demand before somebody is recorded.
#[derive(Clone)]
struct Policy {
    announcement: String,
    to: AnnounceTo,
    /// The key that agrees, where one is asked for.
    key: Option<char>,
    key_time: Duration,
}

impl Policy {
    /// `None`: nobody is told.
    fn of(core: &Core) -> Option<Self> {
        if core.wish.announce == Announced::No {
            return None;
        }
        let settings = core.exchange.settings.load();
        let recording = &settings.recording;
        Some(Self {
            announcement: recording.announce.clone()?,
            to: recording.announce_to,
            key: (recording.consent == RecordConsent::Key).then_some(recording.agree_key),
            key_time: recording.consent_time,
        })
    }

    /// Without the key for one who is only told: a supervisor knows the house, and what he says is nobody's but his.
    fn towards(mut self, hearer: &Hearer) -> Self {
        self.key = self.key.filter(|_| hearer.side != Some(Side::Whisper));
        self
    }
}

/// Somebody who is to be told.
#[derive(Clone)]
struct Hearer {
    /// Where he is heard in the recording; `None`: among others.
    side: Option<Side>,
    leg: Arc<LegFacts>,
}

/// Tells those who are there, and whoever comes meanwhile, before anything is recorded.
pub(super) async fn tell(core: &Arc<Core>) -> Result<(), RecordError> {
    let mut listening = Listening::to(core);
    let mut talks = core.talks();
    loop {
        listening.look();
        if core.is_over() || (listening.is_empty() && has_voice(core)) {
            // Told at once: in the order of their sides.
            core.lock().manifest.consent.sort_by_key(|consent| consent.to == Some(Side::Right));
            return Ok(());
        }
        tokio::select! {
            heard = listening.next() => heard?,
            () = core.nudge.notified() => {}
            () = talks.changed() => {}
        }
    }
}

/// Somebody here may be recorded: nobody has to be asked, or one has agreed.
fn has_voice(core: &Core) -> bool {
    let asked = must_agree(core);
    asked.is_empty() || asked.iter().any(|leg| leg.consent.has_agreed())
}

/// Who must agree before anything of the present talk is recorded.
pub(super) fn must_agree(core: &Core) -> Vec<Arc<LegFacts>> {
    match Policy::of(core) {
        Some(policy) if policy.key.is_some() => hearers(core, policy.to).into_iter().map(|hearer| hearer.leg).collect(),
        _ => Vec::new(),
    }
}

type Hears = Pin<Box<dyn Future<Output = Result<(Hearer, Option<Arc<Told>>), RecordError>> + Send>>;

/// Those who are being told of a recording, all at once.
pub(super) struct Listening<'a> {
    core: &'a Arc<Core>,
    /// The UUIDs of their legs.
    who: Vec<String>,
    told: FuturesUnordered<Hears>,
}

impl<'a> Listening<'a> {
    pub(super) fn to(core: &'a Arc<Core>) -> Self {
        Self { core, who: Vec::new(), told: FuturesUnordered::new() }
    }

    /// Begins to tell whoever has come and does not know it.
    pub(super) fn look(&mut self) {
        let Some(policy) = Policy::of(self.core) else { return };
        let mut hearers = hearers(self.core, policy.to);
        let parties: Vec<_> = hearers.iter().map(|hearer| hearer.leg.uuid.clone()).collect();
        hearers.extend(supervisors(self.core, policy.to).into_iter().filter(|one| !parties.contains(&one.leg.uuid)));
        let known = self.core.lock().told.clone();
        // A supervisor who was told and comes to take part is asked as well.
        let is_to_be_asked =
            |hearer: &Hearer| policy.clone().towards(hearer).key.is_some() && hearer.leg.consent.was_not_asked();
        let is_known = |hearer: &Hearer| known.contains(&hearer.leg.uuid) && !is_to_be_asked(hearer);
        hearers.retain(|hearer| !is_known(hearer) && !self.who.contains(&hearer.leg.uuid));
        for hearer in hearers {
            self.who.push(hearer.leg.uuid.clone());
            self.told.push(Box::pin(hears(self.core.clone(), hearer.clone(), policy.clone().towards(&hearer))));
        }
    }

    /// Nobody is being told.
    fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Waits until one has been told; for ever where there is none.
    ///
    /// # Errors
    /// He does not agree, or there is nothing to tell him with.
    pub(super) async fn next(&mut self) -> Result<(), RecordError> {
        let Some(heard) = self.told.next().await else { return std::future::pending().await };
        let (hearer, told) = heard?;
        self.who.retain(|leg| *leg != hearer.leg.uuid);
        match told {
            Some(told) => is_told(self.core, &hearer, &told),
            // He went away meanwhile: nobody waits for his answer.
            None => {
                self.core.settle();
                Ok(())
            }
        }
    }
}

/// Who is to hear it: where agent and customer are not clear, and in a room, everybody.
fn hearers(core: &Core, to: AnnounceTo) -> Vec<Hearer> {
    let mut all = core.everybody();
    let roommates = core.roommates();
    let users = all.iter().filter(|(_, leg)| leg.user.is_some()).count();
    let is_clear = all.len() == 2 && users == 1 && core.leg().is_some() && roommates.is_empty();
    all.extend(roommates);
    all.retain(|(_, leg)| match to {
        AnnounceTo::Agent if is_clear => leg.user.is_some(),
        AnnounceTo::Customer if is_clear => leg.user.is_none(),
        _ => true,
    });
    let side = |party| match (&core.follows, party) {
        (Follows::Room(_), _) => None,
        (Follows::Leg { .. }, Party::A) => Some(Side::Left),
        (Follows::Leg { .. }, Party::B) => Some(Side::Right),
    };
    all.into_iter().map(|(party, leg)| Hearer { side: side(party), leg }).collect()
}

/// The phones of supervisors who speak with the parties.
fn supervisors(core: &Core, to: AnnounceTo) -> Vec<Hearer> {
    if to == AnnounceTo::Customer {
        return Vec::new();
    }
    let mut speaking = facts::listening(core);
    speaking.retain(|running| matches!(running.facts.mode, Mode::Barge | Mode::Takeover));
    let phones = speaking.iter().filter_map(|running| running.via.phone());
    let legs = phones.filter_map(|phone| core.exchange.live.find(&phone.leg));
    legs.map(|(_, leg)| Hearer { side: Some(Side::Whisper), leg }).collect()
}

/// Tells one; nothing where he went away before it was done.
async fn hears(core: Arc<Core>, hearer: Hearer, policy: Policy) -> Result<(Hearer, Option<Arc<Told>>), RecordError> {
    let told = tokio::select! {
        told = told(&core, &hearer.leg, &policy) => Some(told?),
        () = leaves(&core, &hearer) => None,
    };
    Ok((hearer, told))
}

async fn told(core: &Core, leg: &LegFacts, policy: &Policy) -> Result<Arc<Told>, RecordError> {
    let name = &policy.announcement;
    match leg.consent.told(|told| policy.key.is_none() || told.answer != Answer::NotAsked).await {
        Ok(told) => Ok(told),
        Err(telling) => {
            let sound = core.exchange.recordings.sound(name).await;
            let sound = sound.ok_or_else(|| RecordError::Announcement(name.clone()))?;
            Ok(ask(core, leg, (telling, sound), policy).await)
        }
    }
}

/// Plays it to one party, and waits for the answer if there is to be one.
async fn ask(core: &Core, leg: &LegFacts, (telling, sound): (Telling<'_>, Source), policy: &Policy) -> Arc<Told> {
    let mut keys = policy.key.map(|_| telling.asks());
    let (mut playing, length) = Playing::begin(core, leg.port, sound);
    let (is_whole, pressed) = tokio::select! {
        over = timeout(length + SLACK, &mut playing.over) => (matches!(over, Ok(Ok(true))), None),
        key = next_key(&mut keys) => (false, Some(key)),
    };
    drop(playing);
    let pressed = match pressed {
        None if keys.is_some() => timeout(policy.key_time, next_key(&mut keys)).await.ok(),
        pressed => pressed,
    };
    let answer = match (policy.key, pressed) {
        (None, _) => Answer::NotAsked,
        (Some(_), None) => Answer::Nothing,
        (Some(key), Some(pressed)) if key == pressed => Answer::Agreed(key),
        (Some(_), Some(pressed)) => Answer::Refused(pressed),
    };
    let announcement = policy.announcement.clone();
    telling.ends(Told { announcement, at: Timestamp::now(), is_whole, answer })
}

/// The next key of one who is asked.
async fn next_key(keys: &mut Option<mpsc::UnboundedReceiver<char>>) -> char {
    match keys {
        Some(keys) => match keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// An announcement that plays; it ends with this.
struct Playing<'a> {
    core: &'a Core,
    port: PortId,
    id: PlayId,
    /// Whether it was played to its end.
    over: oneshot::Receiver<bool>,
}

impl<'a> Playing<'a> {
    /// With its length.
    fn begin(core: &'a Core, port: PortId, source: Source) -> (Self, Duration) {
        let length = match &source {
            Source::Samples { samples, .. } => Duration::from_millis(samples.len() as u64 * 1_000 / PLAYED_HZ),
            _ => Duration::ZERO,
        };
        let id = next_play_id();
        let over = core.exchange.recordings.hears_of(id);
        core.exchange.media.send(Command::PlayOver { port, id, source });
        (Self { core, port, id, over }, length)
    }
}

impl Drop for Playing<'_> {
    fn drop(&mut self) {
        if self.core.exchange.recordings.forgets(self.id) {
            self.core.exchange.media.send(Command::StopPlayOver { port: self.port });
        }
    }
}

/// Returns when somebody is not heard in the recording any more.
async fn leaves(core: &Core, hearer: &Hearer) {
    let (mut talks, mut spies) = (hearer.leg.talks.subscribe(), core.exchange.spies.changes());
    let mut followed = core.talks();
    let is_here = |leg: &Arc<LegFacts>| Arc::ptr_eq(leg, &hearer.leg);
    loop {
        let stays = match hearer.side {
            Some(Side::Whisper) => supervisors(core, AnnounceTo::Both).iter().any(|other| is_here(&other.leg)),
            _ => core.everybody().iter().chain(&core.roommates()).any(|(_, leg)| is_here(leg)),
        };
        if !stays || matches!(*hearer.leg.talks.borrow(), Talks::Ended) {
            return;
        }
        tokio::select! {
            _ = talks.changed() => {}
            () = followed.changed() => {}
            _ = spies.changed() => {}
        }
    }
}

/// Puts into the manifest what somebody was told, and said.
fn is_told(core: &Arc<Core>, hearer: &Hearer, told: &Told) -> Result<(), RecordError> {
    let leg = &hearer.leg;
    let mut consent = Consent {
        announcement: told.announcement.clone(),
        at: told.at,
        to: hearer.side,
        extra: [("leg".into(), leg.uuid.clone().into()), ("to_its_end".into(), told.is_whole.into())].into(),
    };
    let (word, key) = match told.answer {
        Answer::NotAsked => (None, None),
        Answer::Agreed(key) => (Some("agreed"), Some(key)),
        Answer::Refused(key) => (Some("refused"), Some(key)),
        Answer::Nothing => (Some("no answer"), None),
    };
    consent.extra.extend(word.map(|word| ("answer".into(), word.into())));
    consent.extra.extend(key.map(|key| ("key".into(), key.to_string().into())));
    {
        let mut state = core.lock();
        state.manifest.consent.push(consent);
        state.told.push(leg.uuid.clone());
    }
    core.settle();
    if told.answer.is_refusal() { refuses(core, leg, key) } else { Ok(()) }
}

/// Somebody does not agree: of a room he alone is sent out where nobody goes on without, and the others stay recorded.
fn refuses(core: &Arc<Core>, leg: &Arc<LegFacts>, key: Option<char>) -> Result<(), RecordError> {
    core.exchange.journal.note(
        "recording.refused",
        json!({"uuid": core.call, "recording": core.id.to_string(), "leg": leg.uuid, "number": leg.number, "key": key}),
    );
    let who = if leg.number.is_empty() { leg.name.clone() } else { leg.number.clone() };
    let is_in_room = core.leg().is_none() || core.roommates().iter().any(|(_, other)| Arc::ptr_eq(other, leg));
    let mut legs = vec![leg.clone()];
    if !is_in_room {
        let everybody = core.everybody().into_iter().map(|(_, leg)| leg).chain(core.leg().cloned());
        legs.extend(everybody.filter(|other| !Arc::ptr_eq(other, leg)));
    }
    core.lock().refusal = Some(Refusal { who: who.clone(), legs });
    if is_in_room && is_condition(&core.exchange) {
        tracing::info!(call = core.call, recording = %core.id, who, "does not agree to be recorded: he is sent out of the room");
        // While he is there nothing is recorded.
        hang_up(std::slice::from_ref(leg), Cause::NORMAL);
        return Ok(());
    }
    Err(RecordError::Refused(who))
}
