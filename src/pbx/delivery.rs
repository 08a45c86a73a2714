//! Delivering what was recorded: to remotes with `when = "ended"` as soon as a recording is whole, and again while any of them lacks one.
//! Above: the composition root runs it. Below: `outbox::push`, which shares the spool with every `rec push`.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::{task::spawn_blocking, time::sleep};

use super::House;
use crate::{
    call::{Exchange, recording::Recordings},
    config::{Config, PushWhen},
    outbox::{
        Outbox,
        push::{self, Event, Options, Outcome, PushError, Stop, Summary, Watcher},
        remote::{self, Remotes},
    },
};

/// How long after a run that left something waiting, or found another one at work, the next begins at the latest.
const AGAIN: Duration = Duration::from_secs(30);
/// The same where it is known that something is due sooner, at the earliest.
const SOON: Duration = Duration::from_millis(200);
/// How long another run is waited for: most have ended by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// The names of the remotes of these settings: they want every recording that is finished from now on.
pub(super) fn wanted_by(config: &Config, recordings: &Recordings) {
    let names = config.remotes.keys().cloned().collect();
    if let Err(error) = recordings.spool().wanted_by(names) {
        tracing::error!(%error, "the outbox does not know its remotes");
    }
}

/// Delivers until it is asked to end; receipts that have come by then are kept.
pub(super) async fn run(house: Arc<House>) {
    let exchange = house.exchange.clone();
    let mut changes = exchange.recordings.changes();
    let mut reloads = exchange.reloads.subscribe();
    loop {
        changes.mark_unchanged();
        let settings = exchange.settings.load_full();
        let again = once(&exchange, &settings, &house.end_deliveries).await;
        tokio::select! {
            _ = changes.changed() => {}
            _ = reloads.changed() => {}
            () = sleep(again.unwrap_or_default()), if again.is_some() => {}
            () = house.end_deliveries.asked() => return,
        }
    }
}

/// One run; when the next has to be, if nothing changes.
async fn once(exchange: &Arc<Exchange>, settings: &Config, stop: &Stop) -> Option<Duration> {
    let ended = settings.remotes.values().filter(|remote| remote.when == PushWhen::Ended);
    let names: Vec<_> = ended.map(|remote| remote.name.clone()).collect();
    if names.is_empty() || !exchange.recordings.spool().is_there() {
        return None;
    }
    let found = tools(exchange, settings).await?;
    let options = Options { to: names, wait_lock: PATIENCE, stop: stop.clone(), ..Options::default() };
    match push::run(&found.0, &found.1, &options, &Teller(exchange.clone())).await {
        Ok(summary) => next(&summary),
        Err(PushError::Locked { .. }) => Some(AGAIN),
        Err(error) => {
            tracing::error!(%error, "recordings are not delivered");
            Some(AGAIN)
        }
    }
}

async fn tools(exchange: &Arc<Exchange>, settings: &Config) -> Option<(Outbox, Remotes)> {
    let remotes = remote::remotes(settings.remotes.values());
    let remotes = remotes.inspect_err(|error| tracing::error!(%error, "recordings are not delivered")).ok()?;
    let exchange = exchange.clone();
    let opened = spawn_blocking(move || exchange.recordings.spool().outbox()).await.ok()?;
    let outbox = opened.inspect_err(|error| tracing::error!(%error, "recordings are not delivered")).ok()?;
    Some((outbox, remotes))
}

/// When something of what is left is due again, whoever has tried it last.
fn next(summary: &Summary) -> Option<Duration> {
    (summary.waiting > 0).then(|| summary.next.unwrap_or(AGAIN).clamp(SOON, AGAIN))
}

/// Tells of what arrived, and of what is given up.
struct Teller(Arc<Exchange>);

impl Watcher for Teller {
    fn event(&self, event: &Event<'_>) {
        let Event::Ended(item, outcome) = event else { return };
        let facts = |more: serde_json::Value| {
            let mut facts = json!({"uuid": item.call, "recording": item.id.to_string(), "file": item.file,
                                   "remote": item.remote, "attempt": item.attempt});
            if let (Some(facts), Some(more)) = (facts.as_object_mut(), more.as_object()) {
                facts.extend(more.clone());
            }
            facts
        };
        match outcome {
            Outcome::Delivered => self.0.journal.note("recording.delivered", facts(json!({}))),
            Outcome::Parked { error, reason } => {
                tracing::error!(error, "a recording is not delivered any more by itself");
                self.0.journal.note("recording.parked", facts(json!({"reason": reason, "error": error})));
            }
            Outcome::Waiting { error, .. } => tracing::warn!(error, "a recording waits to be delivered"),
            Outcome::CutShort => {}
        }
    }
}
