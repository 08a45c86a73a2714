//! Telling the parties before anything is recorded: whether they heard it to its end is a fact of the manifest.
//! Above: `session`. Below: the media threads play it over the call, the composition root knows the sound.

use std::{pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::timeout;

use crate::{
    call::{
        channel::next_play_id,
        live::LegFacts,
        recording::{
            core::Core,
            wish::{Announced, RecordError},
        },
        talks::Side as Party,
    },
    config::AnnounceTo,
    media::{Command, Source},
    outbox::manifest::{Consent, Side},
};

/// A media thread that is too busy to tell the end of a sound: how much longer than the sound is waited for it.
const SLACK: Duration = Duration::from_secs(2);
/// The rate of sounds as they are played, samples a second.
const PLAYED_HZ: u64 = 8_000;

/// Finds a sound by its name.
pub type Sounds = Box<dyn Fn(String) -> Pin<Box<dyn Future<Output = Option<Source>> + Send>> + Send + Sync>;

/// Plays the announcement of the settings, if there is one, to those who are to hear it. A call is told once.
pub(super) async fn tell(core: &Arc<Core>) -> Result<(), RecordError> {
    let (name, to) = {
        let settings = core.exchange.settings.load();
        (settings.recording.announce.clone(), settings.recording.announce_to)
    };
    let Some(name) = name.filter(|_| core.wish.announce == Announced::AsSet && core.leg().is_some()) else {
        return Ok(());
    };
    if is_told(core) {
        return Ok(());
    }
    let sound = core.exchange.recordings.sound(&name).await.ok_or_else(|| RecordError::Announcement(name.clone()))?;
    let hearers = hearers(core, to);
    let played = futures_util::future::join_all(hearers.iter().map(|(_, leg)| play(core, leg, sound.clone()))).await;
    let mut state = core.lock();
    for ((side, leg), is_whole) in hearers.iter().zip(played) {
        let to = match side {
            Party::A => Side::Left,
            Party::B => Side::Right,
        };
        let mut consent =
            Consent { announcement: name.clone(), at: Timestamp::now(), to: Some(to), extra: Default::default() };
        consent.extra.insert("leg".into(), leg.uuid.clone().into());
        consent.extra.insert("to_its_end".into(), is_whole.into());
        state.manifest.consent.push(consent);
    }
    Ok(())
}

/// Another recording of the same parties has told them, or does.
fn is_told(core: &Arc<Core>) -> bool {
    let heard: Vec<_> = core.heard().legs().map(|(_, leg)| leg.clone()).collect();
    let legs: Vec<_> = heard.iter().collect();
    let others = core.exchange.recordings.concerned(&legs);
    others.iter().any(|other| !Arc::ptr_eq(other, core) && (other.began, other.id) < (core.began, core.id))
}

/// Who hears it: where agent and customer are not clear, everybody.
fn hearers(core: &Core, to: AnnounceTo) -> Vec<(Party, Arc<LegFacts>)> {
    let heard = core.heard();
    let all: Vec<_> = heard.legs().map(|(side, leg)| (side, leg.clone())).collect();
    let users = all.iter().filter(|(_, leg)| leg.user.is_some()).count();
    let is_clear = all.len() == 2 && users == 1;
    let is_meant = |(_, leg): &(Party, Arc<LegFacts>)| match to {
        AnnounceTo::Agent if is_clear => leg.user.is_some(),
        AnnounceTo::Customer if is_clear => leg.user.is_none(),
        _ => true,
    };
    all.into_iter().filter(is_meant).collect()
}

/// Plays it to one party; whether to its end.
async fn play(core: &Core, leg: &LegFacts, sound: Source) -> bool {
    let length = match &sound {
        Source::Samples { samples, .. } => Duration::from_millis(samples.len() as u64 * 1_000 / PLAYED_HZ),
        _ => Duration::ZERO,
    };
    let id = next_play_id();
    let told = core.exchange.recordings.hears_of(id);
    core.exchange.media.send(Command::PlayOver { port: leg.port, id, source: sound });
    let is_whole = tokio::select! {
        told = timeout(length + SLACK, told) => matches!(told, Ok(Ok(true))),
        () = ended(core) => false,
    };
    core.exchange.recordings.forgets(id);
    is_whole
}

/// Returns when nothing is to be recorded any more.
async fn ended(core: &Core) {
    let Some(leg) = core.leg() else { return };
    let mut talks = leg.talks.subscribe();
    while !core.is_ending() {
        tokio::select! {
            _ = talks.changed() => {}
            () = core.nudge.notified() => {}
        }
    }
}
