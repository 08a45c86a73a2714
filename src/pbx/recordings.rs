//! The desk's recordings: what is asked of them on the control socket, what a crash has left, the sounds that announce them.

use std::{path::Path, sync::Arc};

use crate::{
    call::recording::{self, By, RecordError, RecordingHandle, Recordings, Spool, Wish},
    config::Config,
    control::{
        protocol::{Fault, FaultCode, RecordTarget, RecordVerb, Recorded, RecordingInfo},
        server::Identity,
    },
    dialplan::Env,
    outbox::seal::Recipients,
};

use super::{House, backend::no_such, delivery};

/// The recordings of a server with that state folder, those that its last end has interrupted finished. Waits for the disk.
pub(super) fn opened(config: &Config, state: &Path) -> Recordings {
    let spool = Spool::at(state.join(&config.recording.spool)).sealed_to(recipients(config));
    let recordings = Recordings::new(spool);
    delivery::wanted_by(config, &recordings);
    match recording::recover(recordings.spool()) {
        Ok(recovered) => recovered.iter().for_each(tell),
        Err(error) => tracing::error!(%error, "recordings cannot be made"),
    }
    recordings
}

/// Whom recordings are sealed to.
fn recipients(config: &Config) -> Recipients {
    // Each was read as a recipient when the settings were.
    Recipients::parse(&config.recording.seal_to.join("\n")).expect("recipients of checked settings")
}

fn tell(one: &recording::Recovered) {
    let (id, file) = (one.id, &one.file);
    match one.duration_s {
        Some(seconds) => tracing::warn!(recording = %id, file, seconds, "an interrupted recording was mended"),
        None => tracing::info!(recording = %id, file, "an interrupted recording had not begun"),
    }
}

/// Announcements are sounds of the dialplan.
pub(super) fn announced_by(recordings: &Recordings, env: &Arc<Env>) {
    let env = env.clone();
    recordings.finds_sounds_by(Box::new(move |name| {
        let sounds = env.sounds().clone();
        Box::pin(async move {
            let found = sounds.load(&name).await;
            found.inspect_err(|error| tracing::error!(%error, "[recording] announce")).ok()
        })
    }));
}

impl House {
    /// Does to recordings what is asked; what has ended is whole when this returns.
    pub(super) async fn record(
        &self,
        who: &Identity,
        (verb, target): (RecordVerb, RecordTarget),
    ) -> Result<Recorded, Fault> {
        let recordings = match verb {
            RecordVerb::Start => vec![self.starts_recording(who, target).await?],
            _ => self.meant(&target.uuid)?,
        };
        let mut failed = None;
        for recording in &recordings {
            match verb {
                RecordVerb::Start | RecordVerb::Look => {}
                RecordVerb::Stop => {
                    // One that fails keeps no other from its end.
                    if let Err(error) = recording.stop().await {
                        failed = failed.or_else(|| Some(fault(&error)));
                    }
                }
                RecordVerb::Pause => recording.pause(),
                RecordVerb::Resume => recording.resume(),
                RecordVerb::Mask => recording.mask(),
                RecordVerb::Unmask => recording.unmask(),
            }
        }
        failed.map_or_else(|| Ok(Recorded { recordings: recordings.iter().map(info).collect() }), Err)
    }

    async fn starts_recording(&self, who: &Identity, target: RecordTarget) -> Result<RecordingHandle, Fault> {
        let account = who.account.clone().unwrap_or_else(|| format!("uid {}", who.uid));
        let wish = Wish { file: target.file, ..Wish::new(By::Shell(account)) };
        let (_, leg) = self.exchange.live.find(&target.uuid).ok_or_else(|| no_such(&target.uuid))?;
        if leg.now().answered.is_none() {
            return Err(fault(&RecordError::NotAnswered(target.uuid)));
        }
        let recording = recording::start(&self.exchange, &target.uuid, wish).await.map_err(|error| fault(&error))?;
        recording.begun().await.map_err(|error| fault(&error))?;
        Ok(recording)
    }

    /// The recordings in which a leg is heard, or the one with that id.
    pub(super) fn meant(&self, uuid: &str) -> Result<Vec<RecordingHandle>, Fault> {
        let recordings = &self.exchange.recordings;
        if let Some(one) = recordings.find(uuid) {
            return Ok(vec![one]);
        }
        let (_, leg) = self.exchange.live.find(uuid).ok_or_else(|| no_such(uuid))?;
        let heard = recordings.hearing(&leg);
        if heard.is_empty() {
            return Err(Fault::new(FaultCode::NotFound, format!("{uuid} is not being recorded"))
                .hint("`rec start UUID` begins; `pbx calls` shows which calls are recorded"));
        }
        Ok(heard)
    }
}

fn info(recording: &RecordingHandle) -> RecordingInfo {
    RecordingInfo {
        id: recording.id().to_string(),
        uuid: recording.leg().map(|leg| leg.uuid.clone()).unwrap_or_default(),
        call: recording.call().to_owned(),
        file: recording.file(),
        since: recording.began(),
        state: recording.phase().word().to_owned(),
    }
}

/// As the control socket says it.
pub(super) fn fault(error: &RecordError) -> Fault {
    let message = error.to_string();
    match error {
        RecordError::NoSuchCall(uuid) => no_such(uuid),
        RecordError::Ended(_) => Fault::new(FaultCode::Ended, message),
        RecordError::NotAnswered(_) => {
            Fault::new(FaultCode::TryAgain, message).hint("try again once it is; `pbx calls` shows its state")
        }
        RecordError::Floor { .. } => Fault::new(FaultCode::TryAgain, message)
            .hint("`rec purge` removes what is delivered, or lower [recording] free_space_floor"),
        _ => Fault::new(FaultCode::Failure, message),
    }
}
