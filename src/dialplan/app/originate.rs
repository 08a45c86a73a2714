//! `Originate(tech/data,app|exten,arg1[,arg2[,arg3[,timeout[,options]]]])`: calls somebody, and lets a script run on who answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{App, CheckError, Doing, Next, Opt, at_most, check_seconds, seconds};
use crate::call::variables::Variables;
use crate::call::{self, CallerId, Cause, Channel, Exchange, Position};
use crate::dialplan::args::Args;
use crate::dialplan::context::Dialplan;
use crate::dialplan::env::Env;
use crate::dialplan::exec;
use crate::dialplan::options::{Chosen, choose};
use crate::dialplan::piece::Piece;
use crate::dialplan::template::Template;

/// How long it may ring where no time is given.
const RING_TIME: Duration = Duration::from_secs(30);

pub(super) struct Originate;

const OPTIONS: &[Opt] = &[
    Opt { name: "a", help: "goes on at once, without waiting for the answer" },
    Opt { name: "c", help: "c(number): the caller's number that is shown" },
    Opt { name: "n", help: "n(name): the caller's name that is shown" },
    Opt { name: "v", help: "v(name=value^...): variables of the new channel" },
];

impl App for Originate {
    fn name(&self) -> &'static str {
        "Originate"
    }

    fn syntax(&self) -> &'static str {
        "tech/data,app|exten,application|context[,arguments|extension[,priority[,timeout[,options]]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Calls somebody for at most the timeout (30 s) and runs an application, or the dialplan from an extension on, for who \
         answers; sets ORIGINATE_STATUS to SUCCESS, BUSY, CONGESTION, RINGING (nobody answered), HANGUP or FAILED."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 7)?;
        let args = args.arguments(7);
        let given = |index: usize, what| args.get(index).filter(|arg| !arg.is_empty()).ok_or(CheckError::Missing(what));
        super::dial::check_target(given(0, "whom to call")?)?;
        if let Some(kind) = given(1, "app or exten")?.literal() {
            Kind::from_word(&kind)?;
        }
        given(2, "the application or context")?;
        check_seconds(args.get(5))?;
        args.get(6).map_or(Ok(()), |options| chosen(options).map(|_| ()))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            chan.set_var("ORIGINATE_STATUS", "FAILED");
            let Wanted { call, after, waits } = wanted(chan, &args)?;
            let (tell, told) = oneshot::channel();
            let script = Script { plan: args.plan().clone(), env: args.env().clone(), after };
            tokio::spawn(run(chan.exchange().clone(), call, script, tell));
            let status = match waits {
                Waits::No => "SUCCESS",
                Waits::ForTheAnswer => match chan.serve_until(told).await? {
                    Ok(Ok(())) => "SUCCESS",
                    Ok(Err(cause)) => status(cause),
                    Err(_) => "FAILED",
                },
            };
            chan.set_var("ORIGINATE_STATUS", status);
            Ok(Next::Continue)
        })
    }
}

/// What comes after the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    App,
    Exten,
}

impl Kind {
    fn from_word(word: &str) -> Result<Self, CheckError> {
        match word.trim().to_ascii_lowercase().as_str() {
            "app" => Ok(Self::App),
            "exten" => Ok(Self::Exten),
            _ => Err(CheckError::Unknown { what: "type", found: word.to_owned(), known: "app, exten".to_owned() }),
        }
    }
}

struct Wanted {
    call: call::Originate,
    after: After,
    waits: Waits,
}

enum After {
    /// This application, its values already known.
    Runs(&'static dyn App, Template),
    /// The dialplan at the channel's position.
    GoesOn,
}

enum Waits {
    ForTheAnswer,
    No,
}

/// The script of the new channel.
struct Script {
    plan: Arc<Dialplan>,
    env: Arc<Env>,
    after: After,
}

fn wanted(chan: &mut Channel, args: &Args<'_>) -> Result<Wanted, CheckError> {
    let pieces = args.piece().arguments(7);
    let mut value = |index: usize| pieces.get(index).map(|piece| args.value(chan, piece)).unwrap_or_default();
    let endpoint = value(0).trim().to_owned();
    let kind = Kind::from_word(&value(1))?;
    let timeout = seconds(&value(5))?.unwrap_or(RING_TIME);
    let (position, after) = match kind {
        Kind::App => {
            let name = value(2).trim().to_owned();
            let app = super::find(&name).ok_or_else(|| CheckError::Unknown {
                what: "application",
                found: name.clone(),
                known: "see the manual".to_owned(),
            })?;
            let arguments = pieces.get(3).map(|piece| args.settled(chan, piece)).unwrap_or_default();
            (Position { context: String::new(), extension: name, priority: 1 }, After::Runs(app, arguments))
        }
        Kind::Exten => {
            let (context, extension, priority) = (value(2), value(3), value(4));
            let or = |text: String, usual: &str| {
                if text.trim().is_empty() { usual.to_owned() } else { text.trim().to_owned() }
            };
            let priority = or(priority, "1");
            let malformed = |_| CheckError::Malformed { what: "priority", found: priority.clone() };
            let priority = priority.parse().map_err(malformed)?;
            (Position { context: context.trim().to_owned(), extension: or(extension, "s"), priority }, After::GoesOn)
        }
    };
    let options = pieces.get(6).map(chosen).transpose()?.unwrap_or_default();
    let (caller, variables) = told(chan, args, &options);
    let waits = if options.iter().any(|option| option.letter == 'a') { Waits::No } else { Waits::ForTheAnswer };
    let call = call::Originate { endpoint, caller, timeout, variables, position, origin: Some(chan.origin()) };
    Ok(Wanted { call, after, waits })
}

fn chosen<'a>(options: &Piece<'a>) -> Result<Vec<Chosen<'a>>, CheckError> {
    choose(options, OPTIONS, &['c', 'n', 'v'])
}

/// What options tell the new channel.
fn told(chan: &mut Channel, args: &Args<'_>, options: &[Chosen<'_>]) -> (CallerId, Variables) {
    let (mut caller, mut variables) = (CallerId::default(), Variables::default());
    for option in options {
        let Some(argument) = &option.argument else { continue };
        match option.letter {
            'c' => caller.number = args.value(chan, argument),
            'n' => caller.name = args.value(chan, argument),
            _ => {
                for pair in argument.split('^') {
                    let Some((name, value)) = pair.split_once('=') else { continue };
                    let value = args.value(chan, &value);
                    variables.set(args.value(chan, &name).trim(), value);
                }
            }
        }
    }
    (caller, variables)
}

/// Calls, tells how that went, and runs the script of who answered to its end.
async fn run(exchange: Arc<Exchange>, call: call::Originate, script: Script, tell: oneshot::Sender<Result<(), Cause>>) {
    let Script { plan, env, after } = script;
    match call::originate(&exchange, call).await {
        Ok(channel) => {
            // Whoever asked may have hung up since.
            let _ = tell.send(Ok(()));
            let channel = match after {
                After::Runs(app, arguments) => exec::run_apps(plan, env, channel, vec![(app, arguments)]).await,
                After::GoesOn => exec::run(plan, env, channel).await,
            };
            channel.finish().await;
        }
        Err(cause) => {
            let _ = tell.send(Err(cause));
        }
    }
}

fn status(cause: Cause) -> &'static str {
    match cause {
        Cause::BUSY | Cause::REJECTED => "BUSY",
        Cause::CONGESTION => "CONGESTION",
        Cause::NO_ANSWER | Cause::NO_USER_RESPONDING => "RINGING",
        Cause::NO_ROUTE | Cause::UNALLOCATED | Cause::ROUTING_ERROR => "FAILED",
        _ => "HANGUP",
    }
}
