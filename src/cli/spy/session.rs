//! `spy UUID`: the flags of a session, and what they wire it to.
//! Below: `crate::spy` does the work.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args as ClapArgs};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as WordError, StrDeserializer};
use tokio::sync::{mpsc, oneshot};

use super::sound;
use crate::cli::common::{Common, Context};
use crate::cli::complete;
use crate::cli::entry::interruptible;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::client::{Client, SpyLink};
use crate::control::protocol::{CallInfo, Fault, FaultCode, method};
use crate::control::supervision::{Announce, Hear, Mode, Order, Party, SpyInfo, SpyRequest, SpyTarget};
use crate::spy::choose;
use crate::spy::device::DeviceName;
use crate::spy::input::Input;
use crate::spy::keys::{self, KeySource};
use crate::spy::others;
use crate::spy::output::{Channels, Form, Format, Output};
use crate::spy::pick::{self, Choice};
use crate::spy::record::{Existing, Recording};
use crate::spy::screen::{Screen, Style, can_draw, is_in_foreground};
use crate::spy::session::{self, End, Journey, Wiring};
use crate::spy::silence::{self, Reasons};
use crate::spy::sound::Volume;
use crate::spy::spool::{SinkFailure, Spool};

/// When the reasons for silence are looked up: late enough for first packets, early enough for the first second.
const LOOK_AFTER: Duration = Duration::from_millis(300);

/// Listen to a live call, whisper to one side, or barge in
#[derive(ClapArgs, Clone, Debug)]
#[command(group(ArgGroup::new("streams").args(["stdout", "stdin"]).multiple(true)))]
#[command(group(ArgGroup::new("whom").args(["uuid", "exten", "user", "all"])))]
pub(super) struct Args {
    /// The shared flags.
    #[command(flatten)]
    pub(super) common: Common,
    /// The call: the UUID of any of its legs. On a terminal, without it: choose from the live calls
    #[arg(add = complete::live_uuids())]
    pub(super) uuid: Option<String>,
    /// The call of that extension
    #[arg(long, value_name = "NUMBER")]
    pub(super) exten: Option<String>,
    /// The call of that user
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    /// And the user's next call, and so on, until you leave
    #[arg(long, requires = "user", conflicts_with_all = ["uuid", "exten", "all"])]
    pub(super) follow: bool,
    /// All calls, one after the other: * goes to the next
    #[arg(long)]
    pub(super) all: bool,
    /// Only calls of that group; more than one with commas
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub(super) group: Vec<String>,
    /// Which call of all is the first: the youngest, the oldest, the one talked in for longest
    #[arg(long, value_name = "ORDER", requires = "all", default_value = "newest")]
    #[arg(conflicts_with_all = ["uuid", "exten", "user"])]
    #[arg(value_parser = word::<Order>(&["newest", "oldest", "longest"]))]
    pub(super) order: Order,
    /// Wait for such a call, or for its answer, where there is none yet
    #[arg(long)]
    pub(super) wait: bool,
    /// Who hears you: nobody (listen), one party (whisper), both (barge), the customer in the agent's place (takeover)
    #[arg(long, default_value = "listen", value_parser = word::<Mode>(&["listen", "whisper", "barge", "takeover"]))]
    pub(super) mode: Mode,
    /// Whom to whisper to; without it: the party whose UUID is given
    #[arg(long, value_name = "PARTY", value_parser = word::<Party>(&["agent", "customer", "a", "b"]))]
    pub(super) to: Option<Party>,
    /// Whom to hear: a called, b answered
    #[arg(long, value_name = "PARTY", default_value = "both")]
    #[arg(value_parser = word::<Hear>(&["both", "agent", "customer", "a", "b"]))]
    pub(super) hear: Hear,
    /// The highest mode of this session, whatever key is pressed
    #[arg(long, value_name = "MODE", value_parser = word::<Mode>(&["listen", "whisper", "barge"]))]
    pub(super) max_mode: Option<Mode>,
    /// Tell the parties by a short tone; without it: as the settings demand
    #[arg(long, value_name = "HOW", value_parser = word::<Announce>(&["beep", "none"]))]
    pub(super) announce: Option<Announce>,
    /// Why you listen, for the log
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Sound card by its name or a part of it, with its own microphone or NAME,MICROPHONE; or file:IN.wav[,OUT.wav], or none. On a terminal, without it: the default card
    #[arg(long, env = "SPY_DEVICE", hide_env_values = true, value_name = "NAME")]
    pub(super) device: Option<DeviceName>,
    /// Show the sound cards and leave
    #[arg(long)]
    pub(super) list_devices: bool,
    /// Leave what the loudspeaker plays in what the microphone hears, as with a headset
    #[arg(long)]
    pub(super) no_aec: bool,
    /// Write what is heard to standard output
    #[arg(long)]
    pub(super) stdout: bool,
    /// Read your voice from standard input, one side, at the call's pace
    #[arg(long)]
    pub(super) stdin: bool,
    /// The form of standard output and input
    #[arg(long, value_enum, default_value = "s16le", requires = "streams")]
    pub(super) format: Format,
    /// Samples a second of standard output and input
    #[arg(long, default_value = "8000", requires = "streams", value_parser = rate())]
    pub(super) rate: u32,
    /// Both sides in one, or left the party that called and right the party that answered
    #[arg(long, value_enum, default_value = "mix", requires = "stdout")]
    pub(super) channels: Channels,
    /// Record the session into that WAV file, left the party that called, right the party that answered
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) record: Option<PathBuf>,
    /// Write sound to a terminal; write over an existing --record file
    #[arg(long)]
    pub(super) force: bool,
    /// Take keys, also from a pipe: 0 listen, 2 this party, 1 other party, 3 both, * next call, + - volume, q quit
    #[arg(long, overrides_with = "no_keys")]
    pub(super) keys: bool,
    /// Take no keys
    #[arg(long)]
    pub(super) no_keys: bool,
    /// Your volume, in steps of 3 dB
    #[arg(long, default_value = "0", allow_hyphen_values = true, value_parser = clap::value_parser!(i8).range(-4..=4))]
    pub(super) volume: i8,
    /// End after that time: 30s, 5m
    #[arg(long, value_name = "DUR", value_parser = crate::config::parse_duration)]
    pub(super) duration: Option<Duration>,
    /// With --all or --follow: end when a call ends; with one call it is always so
    #[arg(long)]
    pub(super) exit_on_hangup: bool,
    /// Exit with 8 when the call ends while you listen
    #[arg(long)]
    pub(super) expect_live: bool,
}

/// A value that the control protocol knows by its word.
fn word<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: for<'de> Deserialize<'de> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| {
        let word: StrDeserializer<'_, WordError> = word.as_str().into_deserializer();
        T::deserialize(word)
    })
}

fn rate() -> impl TypedValueParser<Value = u32> {
    PossibleValuesParser::new(["8000", "16000", "48000"]).try_map(|rate| rate.parse::<u32>())
}

/// Runs the program. A session answers Ctrl-C and SIGTERM itself, so that what was heard is written to its end.
///
/// # Errors
/// To be printed by the caller.
pub(super) async fn run(args: Args, context: Context) -> Done {
    if args.list_devices {
        return attended(sound::list(&context)).await;
    }
    refuse_nonsense(&args)?;
    let keys = key_source(&args);
    let style = style(&args);
    let (failures, failed) = mpsc::unbounded_channel();
    // Before the question for a call: nobody chooses one for nothing.
    let opened =
        if context.common.dry_run { None } else { Some(attended(sound::device(&args, failures.clone())).await?) };
    let Some(target) = attended(which(&args, &context)).await? else { return Ok(Exit::Ok) };
    let Some(device) = opened else { return dry_run(&args, &context, &target).await };
    let input = args.stdin.then(|| input(&args)).transpose()?;
    let link = attended(attach(&args, &context, target)).await?;
    let reasons = look_for_silence(&context, &link.facts.call);
    let wiring = Wiring {
        output: args.stdout.then(|| output(&args, failures.clone())).transpose()?,
        record: args.record.is_some().then(|| record(&args, failures)).transpose()?,
        input,
        device,
        failures: failed,
        reasons,
        others: look_for_others(&context, style),
        journey: journey(&args),
        screen: Screen::open(style, keys).map_err(Failure::from)?,
        keys: keys::start(keys),
        volume: Volume::new(args.volume),
        limit: args.duration,
        hint: no_sound_hint(&args),
    };
    verdict(session::run(link, wiring).await, &args)
}

/// Before the session, Ctrl-C and SIGTERM end the program at once.
async fn attended<T>(step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut result = None;
    interruptible(async {
        result = Some(step.await?);
        Ok(Exit::Ok)
    })
    .await?;
    result.ok_or(Failure::Silent(Exit::Failure))
}

fn refuse_nonsense(args: &Args) -> Result<(), Failure> {
    if args.stdout && io::stdout().is_terminal() && !args.force {
        return Err(usage("--stdout: this is a terminal", "send it into a file or a pipe, or add --force"));
    }
    if args.stdin && io::stdin().is_terminal() {
        return Err(usage(
            "--stdin: this is a terminal",
            "send sound into it, as with `arecord -t raw -f S16_LE -r 8000 |`",
        ));
    }
    Ok(())
}

/// What was asked for, or the call chosen from the live ones; none when the user chose to leave.
async fn which(args: &Args, context: &Context) -> Result<Option<SpyTarget>, Failure> {
    if args.all {
        return Ok(Some(SpyTarget::All { order: args.order }));
    }
    if let Some(exten) = &args.exten {
        return Ok(Some(SpyTarget::Exten(exten.clone())));
    }
    if let Some(user) = &args.user {
        return Ok(Some(SpyTarget::User { user: user.clone(), follow: args.follow }));
    }
    if let Some(uuid) = &args.uuid {
        return Ok(Some(SpyTarget::Uuid(uuid.trim().to_lowercase())));
    }
    if args.common.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(usage("which call? no UUID is given", "`pbx calls` lists the live calls"));
    }
    let choice = if can_draw() { choose(context).await? } else { ask(context).await? };
    Ok(match choice {
        Choice::Call(uuid) => Some(SpyTarget::Uuid(uuid)),
        Choice::Leave => None,
    })
}

/// A list that lives, on a terminal that can be drawn on.
async fn choose(context: &Context) -> Result<Choice, Failure> {
    let client = context.connect().await?;
    Ok(choose::from_live_calls(client).await?)
}

/// A list and a question, on any other terminal.
async fn ask(context: &Context) -> Result<Choice, Failure> {
    let calls: Vec<CallInfo> = context.list(method::CALLS, &serde_json::json!({})).await?;
    if calls.is_empty() {
        return Err(Fault::new(FaultCode::NotFound, "there is no live call")
            .hint("`pbx demo` puts one up to try")
            .into());
    }
    let asked = tokio::task::spawn_blocking(move || pick::ask(&calls, io::stdin().lock(), io::stderr())).await;
    Ok(asked.map_err(io::Error::other)??)
}

async fn attach(args: &Args, context: &Context, target: SpyTarget) -> Result<SpyLink, Failure> {
    let request = SpyRequest {
        mode: args.mode,
        to: args.to,
        hear: args.hear,
        max_mode: args.max_mode,
        groups: args.group.clone(),
        wait: args.wait,
        announce: args.announce,
        reason: args.reason.clone(),
        target,
    };
    let client = context.connect().await?;
    Ok(context.in_time(client.spy(&request)).await?)
}

async fn dry_run(args: &Args, context: &Context, target: &SpyTarget) -> Done {
    let mode = args.mode.word();
    let uuid = match target {
        SpyTarget::Uuid(uuid) => uuid,
        SpyTarget::Exten(exten) => return would(context, &format!("would {mode} on the call of extension {exten}")),
        SpyTarget::User { user, .. } => return would(context, &format!("would {mode} on the call of user {user}")),
        SpyTarget::All { .. } => return would(context, &format!("would {mode} on one call after the other")),
    };
    let calls: Vec<CallInfo> = context.list(method::CALLS, &serde_json::json!({})).await?;
    let call = calls.iter().find(|call| call.uuid == *uuid || call.legs.iter().any(|leg| leg.uuid == *uuid));
    let Some(call) = call else {
        return Err(Fault::new(FaultCode::NotFound, format!("{uuid}: no such call"))
            .hint("`pbx calls` lists them")
            .into());
    };
    would(context, &format!("would {mode} on the call of {} with {}", call.from, call.to))
}

fn would(context: &Context, text: &str) -> Done {
    context.output.line(text)?;
    Ok(Exit::Ok)
}

fn journey(args: &Args) -> Journey {
    match (args.all || args.follow, args.exit_on_hangup) {
        (false, _) => Journey::OneCall,
        (true, false) => Journey::Onward,
        (true, true) => Journey::UntilHangup,
    }
}

fn input(args: &Args) -> Result<Input, Failure> {
    let stdin = owned(io::stdin().as_fd())?;
    Input::start(stdin, args.format, args.rate).map_err(|error| invalid("--stdin", &error))
}

fn output(args: &Args, failures: mpsc::UnboundedSender<SinkFailure>) -> Result<Spool, Failure> {
    let form = Form { format: args.format, rate_hz: args.rate, channels: args.channels };
    let output = Output::new(owned(io::stdout().as_fd())?, form).map_err(|error| invalid("--stdout", &error))?;
    Ok(Spool::start("--stdout".to_owned(), output, failures)?)
}

fn record(args: &Args, failures: mpsc::UnboundedSender<SinkFailure>) -> Result<Spool, Failure> {
    let path = args.record.clone().unwrap_or_default();
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let recording = Recording::create(&path, existing).map_err(|error| {
        let fault = Fault::new(FaultCode::Failure, format!("--record {}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::AlreadyExists => fault.hint("choose another name, or add --force to write over it"),
            _ => fault,
        }
    })?;
    Ok(Spool::start(format!("--record {}", path.display()), recording, failures)?)
}

fn owned(stream: impl AsFd) -> Result<OwnedFd, Failure> {
    Ok(stream.as_fd().try_clone_to_owned()?)
}

/// Where keys come from. The keyboard is left alone when standard input is something else that is not our sound.
fn key_source(args: &Args) -> KeySource {
    let stdin_is_keyboard = io::stdin().is_terminal();
    if args.no_keys {
        return KeySource::Off;
    }
    if args.keys && !args.stdin && !stdin_is_keyboard {
        return KeySource::Pipe;
    }
    let wanted = args.keys || (can_draw() && (stdin_is_keyboard || args.stdin));
    if wanted && is_in_foreground() { KeySource::Terminal } else { KeySource::Off }
}

fn style(args: &Args) -> Style {
    match (args.common.json, args.common.quiet) {
        (true, _) if args.stdout => Style::JsonErr,
        (true, _) => Style::JsonOut,
        (_, true) => Style::Quiet,
        _ if can_draw() => Style::Live,
        _ => Style::Lines,
    }
}

fn no_sound_hint(args: &Args) -> Option<&'static str> {
    let without_device = match &args.device {
        Some(device) => *device == DeviceName::None,
        None => !sound::wants_card(args),
    };
    let silent = !args.stdout && args.record.is_none() && without_device;
    silent.then_some("the meters show what is heard; for the sound itself add --stdout or --device default")
}

/// Asks a second connection why a side is silent. Over ssh that would be a second login, so there the reasons stay open.
fn look_for_silence(context: &Context, uuid: &str) -> oneshot::Receiver<Reasons> {
    let (found, reasons) = oneshot::channel();
    if context.common.host.is_none() {
        let (socket, uuid) = (context.socket(), uuid.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(LOOK_AFTER).await;
            let Ok(mut client) = Client::connect(&socket).await else { return };
            if let Ok(reasons) = silence::reasons(&mut client, &uuid).await {
                let _ = found.send(reasons);
            }
        });
    }
    reasons
}

/// Asks a third connection who else listens: for people at a terminal, and not over ssh, for the same reason.
fn look_for_others(context: &Context, style: Style) -> mpsc::UnboundedReceiver<Vec<SpyInfo>> {
    let (told, others) = mpsc::unbounded_channel();
    if context.common.host.is_none() && style == Style::Live {
        let socket = context.socket();
        tokio::spawn(async move {
            if let Ok(client) = Client::connect(&socket).await {
                others::watch(client, told).await;
            }
        });
    }
    others
}

fn verdict(end: End, args: &Args) -> Done {
    match end {
        End::CallEnded if args.expect_live => {
            Err(Fault::new(FaultCode::Ended, "the call has ended, --expect-live").into())
        }
        End::Quit | End::TimeUp | End::ReaderLeft | End::CallEnded => Ok(Exit::Ok),
        End::Interrupted => Err(Failure::Silent(Exit::Interrupted)),
        End::Terminated => Err(Failure::Silent(Exit::Terminated)),
        End::Failed(fault) => Err(fault.into()),
    }
}

fn usage(message: &str, hint: &str) -> Failure {
    Fault::new(FaultCode::Usage, message).hint(hint).into()
}

fn invalid(what: &str, error: &dyn std::error::Error) -> Failure {
    Fault::new(FaultCode::Invalid, format!("{what}: {error}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Spy {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &str) -> Result<Args, clap::Error> {
        Spy::try_parse_from(words.split(' ')).map(|spy| spy.args)
    }

    #[test]
    fn the_words_of_the_manual_are_the_words_of_the_protocol() {
        let args = parsed("spy --mode whisper --to customer --hear b --max-mode barge --volume -3 U").expect("flags");
        assert_eq!((args.mode, args.to, args.hear), (Mode::Whisper, Some(Party::Customer), Hear::B));
        assert_eq!((args.max_mode, args.volume, args.uuid.as_deref()), (Some(Mode::Barge), -3, Some("U")));
    }

    #[test]
    fn without_flags_it_listens_to_both_sides() {
        let args = parsed("spy U").expect("flags");
        assert_eq!((args.mode, args.hear, args.rate, args.volume), (Mode::Listen, Hear::Both, 8_000, 0));
        assert_eq!((args.format, args.channels), (Format::S16le, Channels::Mix));
    }

    #[test]
    fn flags_that_would_do_nothing_are_refused() {
        for words in ["spy --rate 16000 U", "spy --format wav U", "spy --stdin --channels split U"] {
            assert!(parsed(words).is_err(), "{words}");
        }
        assert!(parsed("spy --stdin --stdout --rate 16000 --channels split U").is_ok());
        for words in ["spy --rate 44100 --stdout U", "spy --volume 5 U", "spy --mode shout U", "spy --device , U"] {
            assert!(parsed(words).is_err(), "{words}");
        }
    }

    #[test]
    fn only_a_lost_call_or_a_fault_is_no_success() {
        let (plain, strict) = (parsed("spy U").expect("flags"), parsed("spy --expect-live U").expect("flags"));
        for end in [End::Quit, End::TimeUp, End::ReaderLeft] {
            assert!(matches!(verdict(end, &strict), Ok(Exit::Ok)));
        }
        assert!(matches!(verdict(End::CallEnded, &plain), Ok(Exit::Ok)));
        let Err(Failure::Fault(fault)) = verdict(End::CallEnded, &strict) else { panic!("a success") };
        assert_eq!(fault.code, FaultCode::Ended);
        assert!(matches!(verdict(End::Interrupted, &plain), Err(Failure::Silent(Exit::Interrupted))));
    }
}
