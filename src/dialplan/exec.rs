//! Runs a channel over the dialplan: position, jumps, `i`, `h`, and scripts that never wait.
//! Above: `pbx.rs` for each incoming channel. Below: `app/*`.

use std::future::poll_fn;
use std::sync::Arc;

use serde_json::json;

use super::app::{App, AppError, Doing, Jump, Line, Next};
use super::args::Args;
use super::context::{Dialplan, Step};
use super::env::Env;
use super::piece::Piece;
use super::search::{Found, Query};
use super::sought::Sought;
use super::talk;
use super::template::Template;
use crate::call::trace::What;
use crate::call::{Cause, Channel, Frame, FrameKind, Gone, Position, variables};

/// Priorities a script may run without waiting once; then it is taken for an endless loop.
pub const MAX_BUSY_STEPS: u32 = 100_000;

/// Priorities after which other tasks get their turn.
const STEPS_PER_TURN: u32 = 64;

/// Subroutines that may run inside each other; one more is a runaway recursion.
pub const MAX_FRAMES: usize = 256;

/// Runs the script at the channel's position to its end, then its `h` extension; the caller of this finishes the channel. One
/// that is to meet somebody talks with him instead; one that is sent elsewhere leaves at once.
pub async fn run(plan: Arc<Dialplan>, env: Arc<Env>, mut channel: Channel) -> Channel {
    if channel.is_to_meet() {
        return talk::run((&plan, &env), channel).await;
    }
    let Position { context, extension, priority } = channel.position().clone();
    let extension = if extension.is_empty() { "s".to_owned() } else { extension };
    let start = Position { context, extension, priority: priority.max(1) };
    if !plan.admits(&start, &channel.caller().number) {
        channel.hangup(Cause::UNALLOCATED);
        return channel;
    }
    channel.set_position(start);
    for name in &env.settings().secrets {
        channel.variables_mut().keep_secret(name);
    }
    channel.trace_if_wanted();
    let mut script = Script::new(&plan, &env);
    script.run(&mut channel, Phase::Call).await;
    if channel.is_leaving() {
        return channel;
    }
    if !channel.is_gone() && channel.cause() == Cause::UNKNOWN {
        let cause = cause_of_last_dial(&channel);
        channel.hangup(cause);
    }
    script.hang_up(&mut channel).await;
    channel
}

/// Runs steps that are not in the plan, one after the other, as `pbx originate` asks for; there is no `h`.
pub async fn run_applications(plan: Arc<Dialplan>, env: Arc<Env>, channel: Channel, steps: Vec<Step>) -> Channel {
    run_apps(plan, env, channel, steps.into_iter().map(|step| (step.app, step.args)).collect()).await
}

/// Runs applications one after the other, as `Originate` does with one; there is no `h`. One that leads elsewhere is the last.
pub(super) async fn run_apps(
    plan: Arc<Dialplan>,
    env: Arc<Env>,
    mut channel: Channel,
    apps: Vec<(&'static dyn App, Template)>,
) -> Channel {
    let mut script = Script::new(&plan, &env);
    for (app, args) in apps {
        let next = match script.work(app, args.piece(), &mut channel).await {
            Err(AppError::Argument(error)) => {
                tracing::warn!(uuid = channel.uuid(), app = app.name(), %error, "originate");
                Next::Continue
            }
            Err(AppError::Gone(_)) => break,
            Ok(next) => next,
        };
        let target = match next {
            Next::Continue if !channel.is_gone() && !channel.is_leaving() && channel.cause() == Cause::UNKNOWN => {
                continue;
            }
            Next::Jump(jump) => plan.reach((channel.position(), &channel.caller().number), &jump).ok(),
            Next::At(position) => Some(position),
            _ => None,
        };
        if let Some(position) = target {
            channel.set_position(position);
            return run(plan, env, channel).await;
        }
        break;
    }
    if !channel.is_gone() && !channel.is_leaving() && channel.cause() == Cause::UNKNOWN {
        channel.hangup(Cause::NORMAL);
    }
    channel
}

/// Runs a subroutine to its `Return` from inside an application, and comes back to where the channel was. `None`: it ended
/// otherwise, and so does the script.
///
/// # Errors
/// The channel hung up.
pub(super) async fn subroutine(
    channel: &mut Channel,
    (plan, env): (&Arc<Dialplan>, &Arc<Env>),
    target: &Jump,
    arguments: Vec<Argument>,
) -> Result<Option<String>, Gone> {
    let here = channel.position().clone();
    let Ok(position) = plan.reach((&here, &channel.caller().number), target) else {
        tracing::warn!(uuid = channel.uuid(), ?target, "there is no such subroutine");
        return Ok(None);
    };
    let floor = channel.frames().len();
    enter(channel, FrameKind::Gosub, arguments);
    channel.set_position(position);
    channel.set_var("GOSUB_RETVAL", "");
    let mut script = Script { floor, within: Some(floor + 1), ..Script::new(plan, env) };
    let ended = script.run(channel, Phase::Call).await;
    while channel.frames().len() > floor {
        channel.pop_frame();
    }
    channel.set_position(here);
    if channel.is_gone() || channel.time_is_up() || channel.is_leaving() {
        return Err(Gone);
    }
    Ok((ended == Ended::Returned).then(|| channel.var("GOSUB_RETVAL").unwrap_or_default().to_owned()))
}

/// Runs the `h` extension for a party whose phone is hung up, as from `here`.
pub(super) async fn hung_up((plan, env): (&Arc<Dialplan>, &Arc<Env>), channel: &mut Channel, here: &Position) {
    channel.set_position(here.clone());
    Script::new(plan, env).hang_up(channel).await;
}

/// An argument of a subroutine, and whether it is text of the dialplan only.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) value: String,
    pub(super) written: bool,
}

/// Begins a subroutine: its arguments are `ARG1`…, those of an outer one are hidden.
pub(super) fn enter(channel: &mut Channel, kind: FrameKind, arguments: Vec<Argument>) {
    let outer = channel.var("ARGC").and_then(|count| count.parse().ok()).unwrap_or(0_usize);
    let back = channel.position().clone();
    channel.push_frame(Frame::new(kind, back));
    for number in 1..=outer.max(arguments.len()).min(MAX_ARGUMENTS) {
        channel.hide_var(&format!("ARG{number}"));
    }
    channel.hide_var("ARGC");
    channel.set_var("ARGC", arguments.len().to_string());
    for (number, Argument { value, written }) in (1..).zip(arguments) {
        let name = format!("ARG{number}");
        let variables = channel.variables_mut();
        if written { variables.set_written(&name, value) } else { variables.set(&name, value) }
    }
}

/// Arguments of a subroutine that are given names.
const MAX_ARGUMENTS: usize = 1_000;

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
    /// Whether a call of this number that begins at `position` means anything; one that does not is refused as an
    /// unallocated number.
    pub fn admits(&self, position: &Position, caller: &str) -> bool {
        let extension = if position.extension.is_empty() { "s" } else { &position.extension };
        self.begins(&Query::new(&position.context, extension).caller(caller))
    }

    /// Where a jump from `here` leads a caller.
    pub(super) fn reach(&self, (here, caller): (&Position, &str), jump: &Jump) -> Result<Position, NoTarget> {
        let context = jump.context.as_ref().unwrap_or(&here.context);
        let name = jump.extension.as_ref().unwrap_or(&here.extension);
        let query = Query::new(context, name).caller(caller);
        let priority = jump.priority_from(here.priority, |label| self.labelled(&query, label));
        match priority.filter(|priority| self.at_priority(&query, *priority).is_some()) {
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

/// How a script ended.
#[derive(Clone, Copy, PartialEq)]
enum Ended {
    /// The subroutine it was run for returned.
    Returned,
    Over,
}

/// Where an extension leads.
enum Along {
    To(Position),
    /// Past its last step, or into a gap.
    Out,
    Over,
}

struct Script<'a> {
    plan: &'a Arc<Dialplan>,
    env: &'a Arc<Env>,
    /// Since the script last waited.
    busy_steps: u32,
    /// Frames that are not this script's own.
    floor: usize,
    /// The frames there are as long as the subroutine runs that this script was begun for.
    within: Option<usize>,
}

impl<'a> Script<'a> {
    fn new(plan: &'a Arc<Dialplan>, env: &'a Arc<Env>) -> Self {
        Self { plan, env, busy_steps: 0, floor: 0, within: None }
    }

    /// From the channel's position to where the script ends.
    async fn run(&mut self, channel: &mut Channel, phase: Phase) -> Ended {
        loop {
            let along = match self.extension_at(channel) {
                Some(found) => self.along(found, channel, phase).await,
                None => Along::Out,
            };
            let position = match along {
                Along::To(position) => position,
                Along::Out => match self.out_of_macro(channel) {
                    Some(position) => position,
                    None => return Ended::Over,
                },
                Along::Over => return Ended::Over,
            };
            channel.set_position(position);
            if self.has_returned(channel) {
                return Ended::Returned;
            }
        }
    }

    /// The subroutine that this script was begun for is over.
    fn has_returned(&self, channel: &Channel) -> bool {
        self.within.is_some_and(|depth| channel.frames().len() < depth)
    }

    /// The extension whose priority is the channel's next one.
    fn extension_at(&self, channel: &Channel) -> Option<Found<'a>> {
        let position = channel.position();
        let query = Query::new(&position.context, &position.extension).caller(&channel.caller().number);
        self.plan.at_priority(&query, position.priority)
    }

    /// Where the steps of a macro end, its caller goes on.
    fn out_of_macro(&self, channel: &mut Channel) -> Option<Position> {
        if channel.frames().len() <= self.floor || channel.frames().last()?.kind != FrameKind::Macro {
            return None;
        }
        after_macro(self.plan, channel)
    }

    /// Along one extension until a gap, the end, or a jump, whose target is returned.
    async fn along(&mut self, found: Found<'a>, channel: &mut Channel, phase: Phase) -> Along {
        let mut sought = Sought::new(found, channel);
        loop {
            let step = sought.found.extension.step(channel.position().priority).filter(|_| sought.found.first);
            // a priority that the first extension lacks is that of the next one that has it
            let next = || self.extension_at(channel);
            let Some(step) = step.or_else(|| {
                sought = Sought::new(next()?, channel);
                sought.found.extension.step(channel.position().priority)
            }) else {
                return Along::Out;
            };
            if phase == Phase::HungUp && step.app.line() == Line::Needed {
                tracing::debug!(uuid = channel.uuid(), app = step.app.name(), "h ends: there is no line any more");
                return Along::Over;
            }
            if !self.may_go_on(channel).await {
                return Along::Over;
            }
            let next = match self.step(step, channel).await {
                Ok(next) => next,
                Err(AppError::Gone(_)) => return self.time_is_up(channel).map_or(Along::Over, Along::To),
                Err(AppError::Argument(error)) => {
                    tracing::warn!(uuid = channel.uuid(), at = ?step.span, app = step.app.name(), %error, "dialplan");
                    Next::Continue
                }
            };
            if channel.is_leaving() || phase == Phase::Call && (channel.is_gone() || channel.cause() != Cause::UNKNOWN)
            {
                return Along::Over;
            }
            let target = match next {
                Next::Continue => {
                    let Some(priority) = channel.position().priority.checked_add(1) else { return Along::Out };
                    channel.set_priority(priority);
                    continue;
                }
                Next::Jump(jump) => {
                    if let Some(priority) =
                        sought.priority_within(channel, &jump).filter(|_| !self.has_returned(channel))
                    {
                        channel.set_priority(priority);
                        continue;
                    }
                    self.jump(channel, &jump)
                }
                Next::At(position) => Some(position),
                Next::Invalid(dialled) => self.invalid(channel, &dialled),
                Next::Timeout => self.special(channel, "t"),
                Next::End => None,
            };
            return target.map_or(Along::Over, Along::To);
        }
    }

    /// Lets others have their turn; ends a script that only loops or hoards.
    async fn may_go_on(&mut self, channel: &mut Channel) -> bool {
        self.busy_steps += 1;
        let why = if self.busy_steps > MAX_BUSY_STEPS {
            "an endless loop that never waits"
        } else if channel.frames().len() > MAX_FRAMES {
            "subroutines that call each other without end"
        } else if channel.variables().bytes() > variables::MAX_BYTES {
            "variables that take more than 4 MiB"
        } else {
            if self.busy_steps.is_multiple_of(STEPS_PER_TURN) {
                tokio::task::yield_now().await;
            }
            return true;
        };
        run_away(channel, why);
        false
    }

    async fn step(&mut self, step: &Step, channel: &mut Channel) -> Result<Next, AppError> {
        tracing::trace!(uuid = channel.uuid(), at = ?step.span, ?step, "dialplan");
        if channel.is_traced() {
            channel.trace_changes();
            let Position { context, extension, priority } = channel.position().clone();
            let at = step.span.as_ref().map(ToString::to_string).unwrap_or_default();
            channel.trace(What::Step { context, extension, priority, at, step: format!("{step:?}") });
        }
        self.work(step.app, step.args.piece(), channel).await
    }

    /// Runs an application; one that had to wait for anything starts the count of busy steps anew.
    async fn work(&mut self, app: &'static dyn App, args: Piece<'_>, channel: &mut Channel) -> Result<Next, AppError> {
        let first = args.waits().then(|| app.read_first(&args));
        let mut args = Args::new(args, (self.plan, self.env));
        if let Some(first) = first {
            args = args.settle(channel, &first).await;
        }
        // Only what may take its time is ever seen at it.
        let data = (app.line() == Line::Needed).then(|| args.looked_at(channel));
        channel.does(app.name(), data);
        let mut work = match app.exec(channel, args) {
            Doing::Done(outcome) => return outcome,
            Doing::Waits(work) => work,
        };
        let mut waited = false;
        let outcome = poll_fn(|context| {
            let poll = work.as_mut().poll(context);
            waited |= poll.is_pending();
            poll
        })
        .await;
        drop(work);
        if waited {
            self.busy_steps = 0;
        }
        outcome
    }

    /// Where a jump leads: its target, else the `i` extension of the context it names, else nowhere. A jump out of a macro's
    /// context ends the macro.
    fn jump(&self, channel: &mut Channel, jump: &Jump) -> Option<Position> {
        match self.plan.reach((channel.position(), &channel.caller().number), jump) {
            Ok(position) => {
                let leaves = position.context != channel.position().context;
                if leaves && channel.frames().len() > self.floor {
                    let ends = channel.frames().last().is_some_and(|frame| frame.kind == FrameKind::Macro);
                    if ends {
                        channel.pop_frame();
                    }
                }
                Some(position)
            }
            Err(NoTarget { context, extension, priority }) => {
                tracing::warn!(uuid = channel.uuid(), context, extension, priority, "jump to nowhere");
                let from = Position { context, ..channel.position().clone() };
                channel.set_position(from);
                self.invalid(channel, &extension)
            }
        }
    }

    fn invalid(&self, channel: &mut Channel, dialled: &str) -> Option<Position> {
        channel.set_var("INVALID_EXTEN", dialled);
        self.special(channel, "i")
    }

    /// Where a call goes on that has lasted as long as it may: `T`. Not from a subroutine inside an application, which ends.
    fn time_is_up(&self, channel: &mut Channel) -> Option<Position> {
        if self.within.is_some() || !channel.take_time_is_up() {
            return None;
        }
        let target = self.special(channel, "T");
        if target.is_none() {
            channel.hangup(Cause::NORMAL);
        }
        target
    }

    /// A special extension of the channel's context; without it `e`, the catch-all. It may lead to itself, as a menu in `i` does
    /// that asks again; one that never waits is stopped as any other loop.
    fn special(&self, channel: &Channel, name: &str) -> Option<Position> {
        let here = channel.position();
        let begins = |name: &&str| self.begins_at(channel, &here.context, name);
        let extension = [name, "e"].into_iter().find(begins)?.to_owned();
        Some(Position { context: here.context.clone(), extension, priority: 1 })
    }

    fn begins_at(&self, channel: &Channel, context: &str, name: &str) -> bool {
        self.plan.begins(&Query::new(context, name).caller(&channel.caller().number))
    }

    /// The `h` extension, once: that of the context in which the script ended, else of the one that called its subroutines.
    async fn hang_up(&mut self, channel: &mut Channel) {
        let outer = channel.frames().first().map(|frame| frame.back.context.clone());
        let contexts = [Some(channel.position().context.clone()), outer];
        let Some(context) = contexts.into_iter().flatten().find(|context| self.begins_at(channel, context, "h")) else {
            return;
        };
        channel.set_position(Position { context, extension: "h".to_owned(), priority: 1 });
        self.busy_steps = 0;
        self.floor = channel.frames().len();
        self.run(channel, Phase::HungUp).await;
    }
}

/// Ends a macro: where its caller goes on, `MACRO_OFFSET` priorities further when there is a step.
pub(super) fn after_macro(plan: &Dialplan, channel: &mut Channel) -> Option<Position> {
    let offset = channel.var("MACRO_OFFSET").and_then(|offset| offset.trim().parse::<u32>().ok()).unwrap_or(0);
    let mut back = channel.pop_frame()?.back;
    back.priority = back.priority.checked_add(1)?;
    let further = back.priority.checked_add(offset)?;
    let query = Query::new(&back.context, &back.extension).caller(&channel.caller().number);
    if plan.at_priority(&query, further).is_some() {
        back.priority = further;
    }
    Some(back)
}

/// Stops a script that would never end.
pub(super) fn run_away(channel: &mut Channel, why: &str) {
    let Position { context, extension, priority } = channel.position().clone();
    tracing::error!(uuid = channel.uuid(), context, extension, priority, why, "runaway dialplan: hanging up");
    channel.exchange().journal.note(
        "dialplan.runaway",
        json!({"uuid": channel.uuid(), "context": context, "extension": extension, "priority": priority, "why": why}),
    );
    channel.hangup(Cause::TEMPORARY_FAILURE);
}
