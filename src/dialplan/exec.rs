//! Runs a channel over the dialplan: position, jumps, `i`, `h`, and scripts that never wait.
//! Above: `pbx.rs` for each incoming channel. Below: `app/*`.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::app::{AppError, Jump, Line, Next};
use super::args::Args;
use super::context::{Dialplan, Extension, Step};
use super::env::Env;
use crate::call::{Cause, Channel, Position};

/// Priorities a script may run without waiting once; then it is taken for an endless loop.
const MAX_BUSY_STEPS: u32 = 100_000;

/// Priorities after which other tasks get their turn.
const STEPS_PER_TURN: u32 = 64;

/// Runs the script at the channel's position to its end, then its `h` extension; the caller of this finishes the channel.
pub async fn run(plan: Arc<Dialplan>, env: Arc<Env>, mut channel: Channel) -> Channel {
    let Position { context, extension, priority } = channel.position().clone();
    let extension = if extension.is_empty() { "s".to_owned() } else { extension };
    let start = Position { context, extension, priority: priority.max(1) };
    if !plan.admits(&start) {
        channel.hangup(Cause::UNALLOCATED);
        return channel;
    }
    channel.set_position(start);
    let mut script = Script { plan: &plan, env: &env, busy_steps: 0 };
    script.run(&mut channel, Phase::Call).await;
    if !channel.is_gone() && channel.cause() == Cause::UNKNOWN {
        let cause = cause_of_last_dial(&channel);
        channel.hangup(cause);
    }
    script.hang_up(&mut channel).await;
    channel
}

/// Runs one step that is not in the plan, as `pbx originate` asks for; there is no `h`.
pub async fn run_application(plan: Arc<Dialplan>, env: Arc<Env>, mut channel: Channel, step: Step) -> Channel {
    let script = Script { plan: &plan, env: &env, busy_steps: 0 };
    let next = script.step(&step, &mut channel).await;
    if let Ok(Next::Jump(jump)) = next
        && let Ok(position) = plan.target(channel.position(), &jump)
    {
        channel.set_position(position);
        return run(plan, env, channel).await;
    }
    if !channel.is_gone() && channel.cause() == Cause::UNKNOWN {
        channel.hangup(Cause::NORMAL);
    }
    channel
}

/// Why the last Dial of an unanswered channel failed; for all others a normal end.
pub(super) fn cause_of_last_dial(channel: &Channel) -> Cause {
    let number = channel.var("HANGUPCAUSE").and_then(|number| number.parse().ok()).filter(|number| *number > 0);
    match number {
        Some(number) if !channel.is_answered() => Cause::from_number(number),
        _ => Cause::NORMAL,
    }
}

/// Why a jump leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoTarget {
    context: String,
    extension: String,
    priority: String,
}

impl Dialplan {
    /// Whether a call that begins at `position` means anything; one that does not is refused as an unallocated number.
    pub fn admits(&self, position: &Position) -> bool {
        let extension = if position.extension.is_empty() { "s" } else { &position.extension };
        self.begins_at(&position.context, extension)
    }

    /// Where a jump from `here` leads.
    pub(super) fn target(&self, here: &Position, jump: &Jump) -> Result<Position, NoTarget> {
        let context = jump.context.as_ref().unwrap_or(&here.context);
        let name = jump.extension.as_ref().unwrap_or(&here.extension);
        let relative = |by: &str| by.parse::<u32>().ok();
        let priority = self.find(context, name).and_then(|extension| {
            let priority = match (jump.priority.strip_prefix('+'), jump.priority.strip_prefix('-')) {
                (Some(by), _) => relative(by).and_then(|by| here.priority.checked_add(by)),
                (_, Some(by)) => relative(by).and_then(|by| here.priority.checked_sub(by)),
                _ => jump.priority.parse().ok().or_else(|| extension.labelled(&jump.priority)),
            };
            priority.filter(|priority| extension.step(*priority).is_some())
        });
        match priority {
            Some(priority) => Ok(Position { context: context.clone(), extension: name.clone(), priority }),
            None => {
                Err(NoTarget { context: context.clone(), extension: name.clone(), priority: jump.priority.clone() })
            }
        }
    }
}

/// Which part of a channel's life a script runs in.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Call,
    /// The `h` extension: there is no line any more.
    HungUp,
}

struct Script<'a> {
    plan: &'a Dialplan,
    env: &'a Env,
    /// Since the script last waited.
    busy_steps: u32,
}

impl<'a> Script<'a> {
    /// From the channel's position to where the script ends.
    async fn run(&mut self, channel: &mut Channel, phase: Phase) {
        while let Some(extension) = self.extension_at(channel) {
            let Some(position) = self.along(extension, channel, phase).await else { return };
            channel.set_position(position);
        }
    }

    fn extension_at(&self, channel: &Channel) -> Option<&'a Extension> {
        let position = channel.position();
        self.plan.find(&position.context, &position.extension)
    }

    /// Along one extension until a gap, the end, or a jump, whose target is returned.
    async fn along(&mut self, extension: &Extension, channel: &mut Channel, phase: Phase) -> Option<Position> {
        loop {
            let step = extension.step(channel.position().priority)?;
            if phase == Phase::HungUp && step.app.line() == Line::Needed {
                tracing::debug!(uuid = channel.uuid(), app = step.app.name(), "h ends: there is no line any more");
                return None;
            }
            if !self.may_go_on(channel).await {
                return None;
            }
            match self.counted(step, channel).await {
                Ok(Next::Continue) => {}
                Ok(Next::Jump(jump)) => return self.jump(channel, &jump),
                Ok(Next::End) | Err(AppError::Gone(_)) => return None,
                Err(AppError::Argument(error)) => {
                    tracing::warn!(uuid = channel.uuid(), at = ?step.span, app = step.app.name(), %error, "dialplan");
                }
            }
            if phase == Phase::Call && (channel.is_gone() || channel.cause() != Cause::UNKNOWN) {
                return None;
            }
            let mut position = channel.position().clone();
            position.priority = position.priority.checked_add(1)?;
            channel.set_position(position);
        }
    }

    /// Lets others have their turn; ends a script that only loops.
    async fn may_go_on(&mut self, channel: &mut Channel) -> bool {
        self.busy_steps += 1;
        if self.busy_steps > MAX_BUSY_STEPS {
            let Position { context, extension, .. } = channel.position().clone();
            tracing::error!(uuid = channel.uuid(), context, extension, "endless loop in the dialplan: hanging up");
            channel.hangup(Cause::TEMPORARY_FAILURE);
            return false;
        }
        if self.busy_steps.is_multiple_of(STEPS_PER_TURN) {
            tokio::task::yield_now().await;
        }
        true
    }

    /// Runs a step; one that had to wait for anything starts the count of busy steps anew.
    async fn counted(&mut self, step: &Step, channel: &mut Channel) -> Result<Next, AppError> {
        let mut waited = false;
        let mut work = Box::pin(self.step(step, channel));
        let outcome = poll_fn(|context| {
            let poll = work.as_mut().poll(context);
            waited |= poll.is_pending();
            match poll {
                Poll::Ready(outcome) => Poll::Ready(outcome),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        drop(work);
        if waited {
            self.busy_steps = 0;
        }
        outcome
    }

    async fn step(&self, step: &Step, channel: &mut Channel) -> Result<Next, AppError> {
        tracing::trace!(uuid = channel.uuid(), at = ?step.span, ?step, "dialplan");
        step.app.exec(channel, Args::new(step.args.piece(), self.env)).await
    }

    /// Where a jump leads: its target, else the `i` extension of the context it names, else nowhere.
    fn jump(&self, channel: &mut Channel, jump: &Jump) -> Option<Position> {
        let missing = match self.plan.target(channel.position(), jump) {
            Ok(position) => return Some(position),
            Err(missing) => missing,
        };
        let NoTarget { context, extension, priority } = missing;
        tracing::warn!(uuid = channel.uuid(), context, extension, priority, "jump to nowhere");
        channel.set_var("INVALID_EXTEN", extension.as_str());
        let invalid = Position { context, extension: "i".to_owned(), priority: 1 };
        // an `i` that jumps to nowhere itself would come back here for ever
        let from_invalid = channel.position().extension == "i" && channel.position().context == invalid.context;
        (!from_invalid && self.plan.begins_at(&invalid.context, "i")).then_some(invalid)
    }

    /// The `h` extension of the context in which the script ended, once.
    async fn hang_up(&mut self, channel: &mut Channel) {
        let context = channel.position().context.clone();
        if self.plan.begins_at(&context, "h") {
            channel.set_position(Position { context, extension: "h".to_owned(), priority: 1 });
            self.busy_steps = 0;
            self.run(channel, Phase::HungUp).await;
        }
    }
}
