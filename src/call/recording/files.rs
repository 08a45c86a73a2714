//! What of a recording waits for the disk: its name and row in the outbox, its file, its end. All of it away from the tasks that serve
//! calls.
//! Above: `session`. Below: `outbox` and `recorder`.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{
    audio::codec::{Coding, Foreign},
    call::{
        exchange::Exchange,
        recording::{
            core::{Core, Follows},
            facts,
            wish::{Delivery, IfThere, RecordError, Wish},
        },
        talks::Side,
    },
    config::{RecordChannels, RecordForm, RecordRate, RecordWhispers, RecordingSettings},
    media::{Copies, Event},
    outbox::{self, Outbox, OutboxError, State},
    recorder::{self, Container, Form, Layout, Levels, Names, Notice, Order, Rate, Running, Whispers, Why},
};

/// What is written to see whether the spool takes it.
const PROBE_BYTES: usize = 4_096;

/// Puts a recording into the outbox: with the name that it has from now on. One that is to continue another is put there when it does,
/// and nobody else can continue that one meanwhile.
pub(super) async fn begin(core: &Arc<Core>) -> Result<(), RecordError> {
    let core = core.clone();
    let begun = spawn_blocking(move || {
        let manifest = {
            let manifest = &mut core.lock().manifest;
            if core.wish.delivery == Delivery::Nowhere {
                manifest.keep_to_ourselves();
            }
            manifest.clone()
        };
        let outbox = core.exchange.recordings.spool().outbox()?;
        has_room(&core.exchange)?;
        if core.wish.if_there == IfThere::Append
            && outbox.can_go_on(&manifest.file)?
            && core.exchange.recordings.reserves(&manifest.file, core.id)
        {
            return Ok(());
        }
        let manifest = outbox.begin(&manifest)?;
        let mut state = core.lock();
        state.manifest = manifest;
        state.is_kept = true;
        Ok(())
    });
    begun.await.unwrap_or(Err(RecordError::Lost))
}

/// Whether a recording that began now would find a spool that takes it: looked at by writing to it.
pub(super) async fn is_ready(exchange: &Arc<Exchange>) -> Result<(), RecordError> {
    let exchange = exchange.clone();
    let looked = spawn_blocking(move || {
        exchange.recordings.spool().tools()?;
        has_room(&exchange)?;
        takes_bytes(exchange.recordings.spool().folder()).map_err(RecordError::Unwritable)
    });
    looked.await.unwrap_or(Err(RecordError::Lost))
}

/// Writes as much to a file of no name as the head of a recording has.
fn takes_bytes(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".probe-{}", uuid::Uuid::new_v4()));
    let mut probe = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    probe.write_all(&[0; PROBE_BYTES])
}

/// Whether as much of the disk is free as the settings demand.
fn has_room(exchange: &Exchange) -> Result<(), RecordError> {
    let floor = exchange.settings.load().recording.free_space_floor;
    let space = rustix::fs::statvfs(exchange.recordings.spool().folder());
    let space = space.map_err(|error| RecordError::Space(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < floor { Err(RecordError::Floor { free, floor }) } else { Ok(()) }
}

/// Makes the file.
pub(super) async fn open(
    core: &Arc<Core>,
    (events, notices): (mpsc::Sender<Event>, mpsc::Sender<Notice>),
) -> Result<(Running, Copies), RecordError> {
    let core = core.clone();
    let opened = spawn_blocking(move || {
        let tools = core.exchange.recordings.spool().tools()?;
        facts::at_answer(&core);
        let (mut manifest, is_begun) = {
            let state = core.lock();
            (state.manifest.clone(), state.is_kept)
        };
        if is_begun {
            let mut order = Order { notices: Some(notices), ..order(&core, &tools.outbox, &manifest.file) };
            if let Some(ending) = facts::ending(&order) {
                order.path.set_extension(ending);
                manifest.file = format!("{}.{ending}", outbox::manifest::stem(&manifest.file));
                core.lock().manifest.file.clone_from(&manifest.file);
            }
            // That it was answered, and by whom, is on the disk before the first sample.
            tools.outbox.update(&manifest)?;
            return Ok(tools.recorder.open(order, events)?);
        }
        // It may have been removed meanwhile.
        let continued = tools.outbox.go_on(&manifest)?;
        let append = continued.is_some();
        let manifest = continued.map_or_else(|| tools.outbox.begin(&manifest), Ok)?;
        core.exchange.recordings.has_gone_on(core.id);
        {
            let mut state = core.lock();
            state.manifest = manifest.clone();
            state.is_kept = true;
        }
        let order = Order { append, notices: Some(notices), ..order(&core, &tools.outbox, &manifest.file) };
        let opened = tools.recorder.open(order, events);
        if opened.is_err() && append {
            // What was there before is whole, and stays.
            tools.outbox.finish(manifest)?;
            core.lock().is_kept = false;
        }
        Ok(opened?)
    });
    opened.await.unwrap_or(Err(RecordError::Lost))
}

/// Tells the outbox what is known by now, for whoever finds the recording after a crash.
pub(super) async fn describe(core: &Arc<Core>) {
    let core = core.clone();
    let told = spawn_blocking(move || {
        let manifest = core.lock().manifest.clone();
        Ok(core.exchange.recordings.spool().outbox()?.update(&manifest)?)
    });
    let told: Result<(), RecordError> = told.await.unwrap_or(Err(RecordError::Lost));
    if let Err(error) = told {
        // It is recorded all the same, and told anew at its end.
        tracing::warn!(%error, "what is known of a recording");
    }
}

/// How it is recorded.
fn order(core: &Core, outbox: &Outbox, file: &str) -> Order {
    let settings = core.exchange.settings.load();
    let settings = &settings.recording;
    let wish = &core.wish;
    let layout = match (wish.channels.unwrap_or(settings.channels), &core.follows, core.only()) {
        (_, _, Some(Side::A)) => Layout::One(recorder::Side::Left),
        (_, _, Some(Side::B)) => Layout::One(recorder::Side::Right),
        (_, Follows::Room(_), _) | (RecordChannels::Mix, ..) => Layout::Mix,
        (RecordChannels::Split, Follows::Leg { .. }, _) => Layout::Split,
    };
    // One step up or down is none.
    let [own, heard] = wish.volumes.map(|steps| if steps.unsigned_abs() > 1 { steps } else { 0 });
    let levels = match &core.follows {
        Follows::Leg { side: Side::B, .. } => Levels { spoken: heard, heard: own },
        _ => Levels { spoken: own, heard },
    };
    let (container, form) = form(core, settings, layout, levels);
    Order {
        layout,
        container,
        form,
        rate: rate(core, settings),
        whispers: match wish.whispers.unwrap_or(settings.whispers) {
            RecordWhispers::LeaveOut => Whispers::LeaveOut,
            RecordWhispers::OwnTrack => Whispers::OwnTrack,
        },
        roll_at_bytes: settings.roll,
        levels,
        floor_bytes: settings.free_space_floor,
        names: Arc::new(Further(outbox.clone())),
        ..Order::new(core.exchange.recordings.spool().folder().join(file))
    }
}

/// Further files have their names from the outbox, as all recordings have.
#[derive(Debug)]
struct Further(Outbox);

impl Names for Further {
    fn further(&self, first: &Path, number: u32) -> io::Result<PathBuf> {
        let spool = self.0.spool().path();
        let first = first.strip_prefix(spool).unwrap_or(first).to_string_lossy();
        self.0.take_further(&first, number).map(|name| spool.join(name)).map_err(io::Error::other)
    }
}

/// As many samples a second as the settings say, or as whoever is heard in it now has.
fn rate(core: &Core, settings: &RecordingSettings) -> Rate {
    let heard = match settings.rate {
        RecordRate::Hz(hz) => return Rate::of_hz(hz).unwrap_or_default(),
        RecordRate::Call => core.everybody(),
    };
    let carried = |coding| match coding {
        // Phones sample speech for Opus at 16 kHz; what music has above costs three times the room, and can be asked for.
        Coding::Foreign(Foreign::G722 | Foreign::Opus) => Rate::Hz16000,
        Coding::Sound(_) | Coding::Foreign(_) => Rate::Hz8000,
    };
    heard.iter().filter_map(|(_, leg)| leg.now().codec).map(carried).max().unwrap_or_default()
}

/// As it came only where it can be kept so: G.711, G.722 and Opus, a side apart from the other, at its own level. Who has named a file has
/// named a WAV file, which G.722 and Opus are decoded for.
fn form(core: &Core, settings: &RecordingSettings, layout: Layout, levels: Levels) -> (Container, Form) {
    let is_kept = core.wish.form.unwrap_or(settings.form) == RecordForm::AsCame
        && layout != Layout::Mix
        && levels == Levels::default();
    let coding = core.leg().filter(|_| is_kept).and_then(|leg| leg.now().codec);
    match coding {
        Some(Coding::Sound(codec)) => (Container::Wav, Form::AsCame(codec)),
        Some(Coding::Foreign(Foreign::Opus)) if core.wish.file.is_none() && layout == Layout::Split => {
            (Container::OggOpus, Form::Pcm16)
        }
        Some(Coding::Foreign(Foreign::G722)) if core.wish.file.is_none() => (Container::Wav, Form::G722),
        Some(Coding::Foreign(_)) | None => (Container::Wav, Form::Pcm16),
    }
}

/// Whether what is wished for can be had where sound is kept as it came.
pub(super) fn check(settings: &RecordingSettings, wish: &Wish) -> Result<(), RecordError> {
    let is_kept = wish.form.unwrap_or(settings.form) == RecordForm::AsCame;
    match (wish.channels, wish.volumes) {
        (Some(RecordChannels::Mix), _) if is_kept => {
            Err(RecordError::AsCame { what: "option m, both parties in one," })
        }
        (_, volumes) if is_kept && volumes.iter().any(|steps| steps.unsigned_abs() > 1) => {
            Err(RecordError::AsCame { what: "another level, by option v, V or W," })
        }
        _ => Ok(()),
    }
}

/// Closes the file, and finishes it in the outbox: on the disk when this returns.
pub(super) async fn finish(core: &Arc<Core>) -> Result<(), RecordError> {
    let Some(running) = core.lock().running.take() else { return Err(RecordError::Lost) };
    let lasted = core.lock().since.map(|since| since.elapsed());
    let finished = running.stop().await?;
    {
        let manifest = &mut core.lock().manifest;
        manifest.ended = Some(Timestamp::now());
        manifest.lasted_ms = lasted.and_then(|lasted| u64::try_from(lasted.as_millis()).ok());
    }
    facts::at_end(core, &finished);
    let core = core.clone();
    let done = spawn_blocking(move || {
        let manifest = core.lock().manifest.clone();
        let spool = core.exchange.recordings.spool();
        let whole = spool.finish(manifest)?;
        let file = whole.file.clone();
        core.lock().manifest = whole;
        // A failure that memory has outlasted has cost nothing.
        let is_whole = finished.gaps.iter().all(|gap| gap.why != Why::Disk);
        match finished.error {
            Some(why) if !is_whole => Err(RecordError::Writing { file, why }),
            _ => Ok(()),
        }
    });
    done.await.unwrap_or(Err(RecordError::Lost))
}

/// Tells that it is in the outbox, whole; one of which nothing is kept is not.
pub(super) fn tell_finished(core: &Core) {
    let (manifest, is_kept) = {
        let state = core.lock();
        (state.manifest.clone(), state.is_kept)
    };
    if is_kept {
        core.exchange.journal.note(
            "recording.finished",
            json!({"uuid": core.call, "recording": core.id.to_string(), "file": manifest.file,
                   "duration_s": manifest.audio.duration_s, "sha256": manifest.audio.sha256}),
        );
    }
}

/// How long after a failure it is tried again to finish a recording.
const AGAIN: Duration = Duration::from_secs(30);

/// What could not be finished, as on a disk that is full, is finished as soon as it can be: nobody else does while this server lives.
pub(super) fn finish_later(core: &Arc<Core>) {
    let (core, manifest) = (core.clone(), core.lock().manifest.clone());
    let is_closed = manifest.ended.is_some() && manifest.state == State::Open;
    if !is_closed {
        return;
    }
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(AGAIN).await;
            let (exchange, manifest) = (core.exchange.clone(), manifest.clone());
            match spawn_blocking(move || exchange.recordings.spool().finish(manifest)).await {
                Ok(Ok(whole)) => {
                    core.lock().manifest = whole;
                    tell_finished(&core);
                    return core.exchange.recordings.note_change();
                }
                // Somebody has made an end of it.
                Ok(Err(RecordError::Outbox(OutboxError::Unknown { .. }))) | Err(_) => return,
                Ok(Err(error)) => tracing::warn!(recording = %core.id, %error, "a recording is still not finished"),
            }
        }
    });
}

/// A party did not agree: what is known of it is kept in the outbox, and no sound.
pub(super) async fn refuse(core: &Arc<Core>) -> Result<(), RecordError> {
    facts::at_answer(core);
    core.lock().manifest.ended = Some(Timestamp::now());
    let core = core.clone();
    let done = spawn_blocking(move || {
        let (mut manifest, is_begun) = {
            let state = core.lock();
            (state.manifest.clone(), state.is_kept)
        };
        let outbox = core.exchange.recordings.spool().outbox()?;
        if !is_begun {
            manifest = outbox.begin(&manifest)?;
        }
        outbox.refuse(manifest)?;
        // No call's record is to name it as its recording.
        core.lock().is_kept = false;
        Ok(())
    });
    done.await.unwrap_or(Err(RecordError::Lost))
}

/// There is nothing to keep: no row, no manifest, no file.
pub(super) async fn abandon(core: &Arc<Core>) -> Result<(), RecordError> {
    if !core.lock().is_kept {
        return Ok(());
    }
    let core = core.clone();
    let done = spawn_blocking(move || {
        core.exchange.recordings.spool().outbox()?.abandon(core.id)?;
        core.lock().is_kept = false;
        Ok(())
    });
    done.await.unwrap_or(Err(RecordError::Lost))
}
