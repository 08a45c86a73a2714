//! A recording's life: it takes its name, waits for the answer, tells the parties, follows its leg, and is in the outbox, whole, before
//! anybody is told that it is over.
//! Above: the rules, the dialplan and the control socket. Below: `core` says where it is, `files` does what waits for the disk.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    call::{
        cause::Cause,
        channel::Channel,
        exchange::Exchange,
        live::{LegFacts, LegState},
        recording::{
            beep, consent,
            core::{Core, Follows, Phase, hang_up},
            facts, files, required,
            wish::{RecordError, Until, Wish},
        },
        talks::{Side, Talks},
    },
    media::{self, Command},
    outbox::{Manifest, RecordingId},
    recorder::Notice,
};

/// A recording, for whoever began it or found it. Dropping it changes nothing.
#[derive(Clone)]
pub struct RecordingHandle(Arc<Core>);

/// Begins to record a leg: when this returns its name is taken, and it records as soon as the leg is answered.
///
/// # Errors
/// The leg is not there, the disk too full, or the spool does not take it: nothing is left behind.
pub async fn start(exchange: &Arc<Exchange>, uuid: &str, wish: Wish) -> Result<RecordingHandle, RecordError> {
    files::check(&exchange.settings.load().recording, &wish)?;
    let (call, leg) = exchange.live.find(uuid).ok_or_else(|| RecordError::NoSuchCall(uuid.to_owned()))?;
    let side = match &*leg.talks.borrow() {
        Talks::Ended => return Err(RecordError::Ended(uuid.to_owned())),
        Talks::With { side, .. } => *side,
        // Who called is left, whoever he is going to talk with.
        Talks::Nobody | Talks::Room(_) if call.uuid == leg.uuid => Side::A,
        Talks::Nobody | Talks::Room(_) => Side::B,
    };
    let manifest = facts::at_start(exchange, &wish, &call, &leg);
    begin(exchange, (wish, Follows::Leg { leg, side }), manifest).await
}

/// The same for whatever a recording can follow.
pub(super) async fn begin(
    exchange: &Arc<Exchange>,
    (wish, follows): (Wish, Follows),
    manifest: Manifest,
) -> Result<RecordingHandle, RecordError> {
    let core = register(exchange, (wish, follows), manifest);
    let taken = take_name(&core).await;
    goes_on(&core, taken)
}

/// Puts it on the list, so that the end of its call waits for it from now on.
pub(super) fn register(exchange: &Arc<Exchange>, what: (Wish, Follows), manifest: Manifest) -> Arc<Core> {
    let core = Core::new(exchange, what, manifest);
    exchange.recordings.begins(&core);
    core.settle();
    core
}

/// Takes its name, and puts it into the outbox.
pub(super) async fn take_name(core: &Arc<Core>) -> Result<(), RecordError> {
    files::begin(core).await
}

/// Lets it run on its own, or takes it off the list.
pub(super) fn goes_on(core: &Arc<Core>, taken: Result<(), RecordError>) -> Result<RecordingHandle, RecordError> {
    match taken {
        Ok(()) => {
            tokio::spawn(run(core.clone()));
            Ok(RecordingHandle(core.clone()))
        }
        Err(error) => {
            fails(core, &error);
            core.exchange.recordings.ends(core);
            Err(error)
        }
    }
}

/// From its name to its end.
async fn run(core: Arc<Core>) {
    let recorded = record(&core).await;
    let is_written = core.lock().running.is_some();
    // It counts, whatever becomes of the file.
    let refused = match &recorded {
        Err(RecordError::Refused(who)) => Some(who.clone()),
        _ => None,
    };
    let ended = match recorded {
        Err(RecordError::Refused(_)) if !is_written => files::refuse(&core).await,
        Err(RecordError::Refused(_)) => files::finish(&core).await,
        recorded if is_written => files::finish(&core).await.and(recorded),
        // Nobody answered, or the call ended while the parties were told: there is nothing to keep.
        Ok(()) | Err(RecordError::Ended(_)) => files::abandon(&core).await,
        Err(error) => {
            let _ = files::abandon(&core).await;
            Err(error)
        }
    };
    match (ended, &refused) {
        (Ok(()), Some(who)) if !is_written => drop(core.phase.send_replace(Phase::Refused(who.as_str().into()))),
        (Ok(()), _) => is_finished(&core),
        (Err(error), _) => {
            fails(&core, &error);
            files::finish_later(&core);
        }
    }
    if let Some(who) = &refused {
        is_refused(&core, who);
    }
    core.exchange.recordings.ends(&core);
    core.exchange.recording_changed();
}

/// It is whole, and in the outbox.
fn is_finished(core: &Core) {
    core.phase.send_replace(Phase::Finished);
    files::tell_finished(core);
}

/// Somebody does not agree: nothing more is recorded, and the call goes on or ends as the settings say.
fn is_refused(core: &Core, who: &str) {
    let call = &core.call;
    if consent::is_condition(&core.exchange) {
        tracing::info!(call, recording = %core.id, who, "does not agree to be recorded: the call ends");
        let legs = core.lock().refusal.take().map(|refusal| refusal.legs);
        hang_up(&legs.unwrap_or_default(), Cause::NORMAL);
    } else {
        tracing::info!(call, recording = %core.id, who, "does not agree to be recorded: the call goes on, and is not");
    }
}

/// Tells of a recording that is not as it should be; where it has to be, the call ends.
fn fails(core: &Arc<Core>, error: &RecordError) {
    core.phase.send_replace(Phase::Failed(error.to_string().into()));
    is_failing(core, (&error.to_string(), "a recording failed"));
}

/// Nothing is recorded, for now or at all: the log and the journal say so, and a call that must be recorded ends.
fn is_failing(core: &Core, (error, what): (&str, &str)) {
    let (call, recording) = (&core.call, core.id);
    core.exchange
        .journal
        .note("recording.failed", json!({"uuid": call, "recording": recording.to_string(), "error": error}));
    if required::is_strict(&core.exchange, &core.wish) {
        tracing::error!(call, %recording, error, "{what}, and the call ends: [recording] required");
        core.hangs_up(required::CAUSE);
    } else {
        tracing::error!(call, %recording, error, "{what}");
    }
}

/// Records from the answer to the end; the file is closed afterwards.
async fn record(core: &Arc<Core>) -> Result<(), RecordError> {
    answered(core).await?;
    consent::tell(core).await?;
    if core.is_over() {
        room_goes_on(core);
        let refusal = core.lock().refusal.clone();
        let ended = || RecordError::Ended(core.call.clone());
        return Err(refusal.map_or_else(ended, |refusal| RecordError::Refused(refusal.who)));
    }
    let (events, told) = mpsc::channel(16);
    let (notices, noticed) = mpsc::channel(16);
    let (running, copies) = files::open(core, (events, notices)).await?;
    core.settle();
    {
        let mut state = core.lock();
        // Before the first sound: who has not agreed is not heard for a moment.
        if state.is_cut {
            running.pause();
        }
        state.running = Some(running);
    }
    let [left, right] = core.heard().ports();
    core.exchange.media.send(Command::Record { tap: core.tap(), left, right, copies });
    core.is_on([left, right]);
    // What has changed since it was asked where to begin.
    core.settle();
    let wanted = {
        // Whoever turns it looks at the phase under this lock: no wish comes between.
        let mut state = core.lock();
        core.phase.send_replace(Phase::Running);
        state.wanted.take()
    };
    if let Some(wanted) = wanted {
        RecordingHandle(core.clone()).turn(wanted);
    }
    let file = core.lock().manifest.file.clone();
    core.exchange.journal.note(
        "recording.started",
        json!({"uuid": core.call, "recording": core.id.to_string(), "file": file, "reason": core.wish.by.to_string()}),
    );
    core.exchange.recording_changed();
    files::describe(core).await;
    let followed = follow(core, (told, noticed)).await;
    match followed {
        Ok(()) => room_goes_on(core),
        Err(_) => core.ends(),
    }
    core.exchange.media.send(Command::Detach { tap: core.tap() });
    followed
}

/// It ends; who has come into its room before that was known begins another.
fn room_goes_on(core: &Core) {
    let was_stopped = core.is_ending();
    core.ends();
    if let Follows::Room(room) = &core.follows
        && !was_stopped
        && !core.exchange.rooms.members(room, None).is_empty()
    {
        core.exchange.room_is_entered(room);
    }
}

/// Returns once the leg is answered.
async fn answered(core: &Arc<Core>) -> Result<(), RecordError> {
    let Some(leg) = core.leg() else { return Ok(()) };
    let mut talks = leg.talks.subscribe();
    loop {
        if core.is_ending() {
            return Err(RecordError::Ended(leg.uuid.clone()));
        }
        if matches!(leg.now().state, LegState::Up | LegState::Held) {
            return Ok(());
        }
        tokio::select! {
            _ = talks.changed() => {}
            () = core.nudge.notified() => {}
        }
    }
}

/// Keeps up with its leg until that is over, or somebody wants its end; whoever comes is told of it.
async fn follow(
    core: &Arc<Core>,
    (mut told, mut noticed): (mpsc::Receiver<media::Event>, mpsc::Receiver<Notice>),
) -> Result<(), RecordError> {
    let mut spies = core.exchange.spies.changes();
    spies.mark_changed();
    let mut beep = beep::Beat::of(core);
    let mut talks = core.talks();
    let mut latecomers = consent::Listening::to(core);
    while !core.is_over() {
        facts::note_listeners(core);
        latecomers.look();
        tokio::select! {
            () = core.nudge.notified() => {}
            () = talks.changed() => core.settle(),
            heard = latecomers.next() => {
                heard?;
                files::describe(core).await;
            }
            () = beep.next() => beep.sounds(core),
            _ = spies.changed() => {}
            Some(notice) = noticed.recv() => tell(core, notice),
            event = told.recv() => match event {
                Some(media::Event::SideEmpty { .. }) => core.lost_a_side(),
                // Nobody reads what is recorded any more: its file cannot be written.
                Some(media::Event::TapEnded { .. }) | None => break,
                Some(_) => {}
            },
        }
    }
    facts::note_listeners(core);
    Ok(())
}

/// Tells what happens to its file meanwhile; the call goes on, but where it has to be recorded.
fn tell(core: &Arc<Core>, notice: Notice) {
    let (call, recording) = (&core.call, core.id);
    match notice {
        Notice::Failing(error) => is_failing(core, (&error, "nothing is recorded for now")),
        Notice::GoesOn => tracing::warn!(call, %recording, "a recording goes on"),
        Notice::Rolled(path) => {
            tracing::info!(call, %recording, path = %path.display(), "a recording has a further file");
        }
    }
}

impl RecordingHandle {
    pub(super) fn of(core: Arc<Core>) -> Self {
        Self(core)
    }

    /// Its id: that of its manifest and of its delivery.
    pub fn id(&self) -> RecordingId {
        self.0.id
    }

    /// Its file, relative to the spool.
    pub fn file(&self) -> String {
        self.0.lock().manifest.file.clone()
    }

    /// Its file.
    pub fn path(&self) -> PathBuf {
        self.0.exchange.recordings.spool().folder().join(self.file())
    }

    /// The leg that it follows; `None` for one of a room.
    pub fn leg(&self) -> Option<&Arc<LegFacts>> {
        self.0.leg()
    }

    /// The UUID of the call that it began in; empty for one of a room.
    pub fn call(&self) -> &str {
        &self.0.call
    }

    /// Since when.
    pub fn began(&self) -> Timestamp {
        self.0.began
    }

    /// What was wished for.
    pub fn wish(&self) -> &Wish {
        &self.0.wish
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.0.phase.borrow().clone()
    }

    /// What is known of it so far.
    pub fn manifest(&self) -> Manifest {
        self.0.lock().manifest.clone()
    }

    /// Records nothing until [`Self::resume`]: the time is cut out.
    pub fn pause(&self) {
        self.turn(Phase::Paused);
    }

    /// The end of a pause.
    pub fn resume(&self) {
        if [Phase::Paused, Phase::Beginning].contains(&self.phase()) {
            self.turn(Phase::Running);
        }
    }

    /// Records silence until [`Self::unmask`].
    pub fn mask(&self) {
        self.turn(Phase::Masked);
    }

    /// The end of the silence.
    pub fn unmask(&self) {
        if [Phase::Masked, Phase::Beginning].contains(&self.phase()) {
            self.turn(Phase::Running);
        }
    }

    fn turn(&self, to: Phase) {
        let mut state = self.0.lock();
        let from = self.phase();
        if from == Phase::Beginning {
            state.wanted = Some(to);
            return;
        }
        let Some(running) = &state.running else { return };
        if from == to || from.is_over() {
            return;
        }
        match from {
            Phase::Paused if !state.is_cut => running.resume(),
            Phase::Masked => running.unmask(),
            _ => {}
        }
        match to {
            Phase::Paused => running.pause(),
            Phase::Masked => running.mask(),
            _ => {}
        }
        self.0.phase.send_replace(to);
        drop(state);
        self.0.exchange.recording_changed();
    }

    /// Ends it; when this returns its file is closed, and it is in the outbox.
    ///
    /// # Errors
    /// It is not as it should be: what there is of it is kept.
    pub async fn stop(&self) -> Result<Manifest, RecordError> {
        self.0.ends();
        self.ended().await
    }

    /// Waits until it records, or is over.
    ///
    /// # Errors
    /// It did not begin.
    pub async fn begun(&self) -> Result<(), RecordError> {
        let mut phase = self.0.phase.subscribe();
        let begun = phase.wait_for(|phase| *phase != Phase::Beginning).await.map(|phase| phase.clone());
        match begun {
            Ok(Phase::Refused(who)) => Err(RecordError::Refused(who.to_string())),
            Ok(Phase::Failed(why)) => Err(RecordError::Writing { file: self.file(), why: why.to_string() }),
            Ok(_) => Ok(()),
            Err(_) => Err(RecordError::Lost),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It is not as it should be: what there is of it is kept.
    pub async fn ended(&self) -> Result<Manifest, RecordError> {
        let mut phase = self.0.phase.subscribe();
        // The sender lives in the core that this holds.
        let ended = phase.wait_for(Phase::is_over).await.map(|phase| phase.clone());
        match ended {
            Ok(Phase::Refused(who)) => Err(RecordError::Refused(who.to_string())),
            Ok(Phase::Failed(why)) => Err(RecordError::Writing { file: self.file(), why: why.to_string() }),
            Ok(_) => Ok(self.manifest()),
            Err(_) => Err(RecordError::Lost),
        }
    }

    /// Its id, once it is known whether anything is kept of it: one that ends is waited for.
    pub(in crate::call) async fn kept(&self) -> Option<RecordingId> {
        if self.is_ending() {
            // Whatever went wrong is in the log.
            let _ = self.ended().await;
        }
        self.0.lock().is_kept.then_some(self.0.id)
    }

    /// Its end is wanted; nobody waits for it.
    pub(in crate::call) fn ends(&self) {
        self.0.ends();
    }

    /// Its leg is over, or somebody has ended it.
    pub(in crate::call) fn is_ending(&self) -> bool {
        self.0.is_ending()
    }

    /// A talk of these legs is over: whether it is to end with it.
    pub(in crate::call) fn ends_with_talk(&self) -> bool {
        self.0.wish.until == Until::Talk && self.0.lock().has_talked
    }

    /// It has this id, any case, or was begun as a part of the one that has.
    pub fn is_of(&self, id: &str) -> bool {
        let ids = [Some(self.0.id), self.0.wish.beside];
        ids.into_iter().flatten().any(|own| own.to_string().eq_ignore_ascii_case(id))
    }

    /// There is sound of it, in the file that it is known by.
    pub fn is_written(&self) -> bool {
        !matches!(self.phase(), Phase::Beginning | Phase::Refused(_)) && self.0.lock().is_kept
    }

    /// Two handles of one recording.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Channel {
    /// Its talk is over, and nothing of it comes again: recordings that were to last as long are complete when this returns.
    pub async fn ends_recorded_talk(&self) {
        self.exchange.clone().recorded_talk_ends(&[self.facts()]).await;
    }
}

impl Exchange {
    /// A talk of these legs is over: recordings that were to last as long are complete when this returns.
    pub(in crate::call) async fn recorded_talk_ends(&self, legs: &[&Arc<LegFacts>]) {
        for recording in self.recordings.following(legs) {
            if recording.ends_with_talk() {
                // Whatever went wrong is in the log.
                let _ = recording.stop().await;
            }
        }
    }
}
