//! `Dial(target[&target...][,timeout[,options]])`: calls others and connects the caller with the first who answers.

use super::{App, CheckError, Doing, Line, Next, Opt, at_most, check_seconds, seconds};
use crate::call::{self, CancelAs, Channel, DialStatus, Dialled, Ringback};
use crate::dialplan::args::Args;
use crate::dialplan::options::{Chosen, choose};
use crate::dialplan::piece::Piece;

pub(super) struct Dial;

const OPTIONS: &[Opt] = &[
    Opt {
        name: "D",
        help: "D([called][:calling[:progress]]): keys sent after the answer, before the parties hear each other",
    },
    Opt { name: "c", help: "phones that stop ringing because the caller gave up are told: answered elsewhere" },
    Opt { name: "g", help: "goes on at the next priority when the called party hangs up" },
    Opt { name: "r", help: "the caller hears our ringing tone and no early media" },
];

impl App for Dial {
    fn name(&self) -> &'static str {
        "Dial"
    }

    fn syntax(&self) -> &'static str {
        "target[&target...][,timeout[,options]]"
    }

    fn synopsis(&self) -> &'static str {
        "Calls all targets at once for at most the timeout in seconds; sets DIALSTATUS, HANGUPCAUSE, DIALEDTIME, \
         ANSWEREDTIME, DIALEDPEERNAME and DIALEDPEERNUMBER."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 3)?;
        let args = args.arguments(3);
        let targets = args.first().filter(|targets| !targets.is_empty()).ok_or(CheckError::Missing("the target"))?;
        targets.split('&').iter().try_for_each(check_target)?;
        check_seconds(args.get(1))?;
        match args.get(2) {
            Some(options) => chosen(options)?.iter().filter(|option| option.letter == 'D').try_for_each(check_keys),
            None => Ok(()),
        }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            set_before(chan);
            let pieces = args.piece().arguments(3);
            let options = pieces.get(2).map(chosen).transpose()?.unwrap_or_default();
            let dial = request(chan, &args, (&pieces, &options));
            let dial = dial.inspect_err(|_| chan.set_var("DIALSTATUS", "INVALIDARGS"))?;
            let dialled = match chan.dial(dial).await {
                Ok(dialled) => dialled,
                Err(gone) => {
                    chan.set_var("DIALSTATUS", DialStatus::Cancel.word());
                    return Err(gone.into());
                }
            };
            set_after(chan, &dialled);
            let go_on = options.iter().any(|option| option.letter == 'g');
            match dialled.status {
                DialStatus::Answer if dialled.ended_by_callee && go_on => Ok(Next::Continue),
                DialStatus::Answer => {
                    chan.hangup(dialled.cause);
                    Ok(Next::End)
                }
                _ => Ok(Next::Continue),
            }
        })
    }
}

fn chosen<'a>(options: &Piece<'a>) -> Result<Vec<Chosen<'a>>, CheckError> {
    choose(options, OPTIONS, &['D'])
}

/// A target written out whole must have a technology.
fn check_target(target: &Piece<'_>) -> Result<(), CheckError> {
    match target.literal() {
        Some(text) if text.trim().split_once('/').is_none_or(|(tech, rest)| tech.is_empty() || rest.is_empty()) => {
            Err(CheckError::Malformed { what: "target (write SIP/1001 or SIP/number@host)", found: text })
        }
        _ => Ok(()),
    }
}

fn check_keys(option: &Chosen<'_>) -> Result<(), CheckError> {
    let texts = option.argument.iter().flat_map(|argument| argument.split(':'));
    texts.filter_map(|text| text.literal()).try_for_each(|text| keys(text).map(|_| ()))
}

/// Keys to be sent: digits, `*`, `#`, A to D, `w` for half a second and `W` for a second of pause.
fn keys(text: String) -> Result<String, CheckError> {
    let known = |c: char| c.is_ascii_digit() || "*#ABCDabcdwW".contains(c);
    if text.chars().all(known) { Ok(text) } else { Err(CheckError::Malformed { what: "row of keys", found: text }) }
}

fn request(
    chan: &mut Channel,
    args: &Args<'_>,
    (pieces, options): (&[Piece<'_>], &[Chosen<'_>]),
) -> Result<call::Dial, CheckError> {
    let targets = pieces.first().map(|targets| targets.split('&')).unwrap_or_default();
    let targets: Vec<String> = targets
        .iter()
        .map(|target| args.value(chan, target).trim().to_owned())
        .filter(|target| !target.is_empty())
        .collect();
    if targets.is_empty() {
        return Err(CheckError::Missing("the target"));
    }
    let timeout = pieces.get(1).map(|timeout| seconds(&args.value(chan, timeout))).transpose()?.flatten();
    let has = |letter| options.iter().any(|option| option.letter == letter);
    let argument = options.iter().find(|option| option.letter == 'D').and_then(|option| option.argument.as_ref());
    let mut rows = argument.map(|argument| argument.split(':')).unwrap_or_default().into_iter();
    let mut row = || rows.next().map_or(Ok(String::new()), |row| keys(args.value(chan, &row)));
    Ok(call::Dial {
        targets,
        timeout,
        send_called: row()?,
        send_calling: row()?,
        send_progress: row()?,
        ringing: if has('r') { Ringback::Ours } else { Ringback::FarSide },
        cancel_as: if has('c') { CancelAs::AnsweredElsewhere } else { CancelAs::Missed },
    })
}

/// What an earlier Dial left must not be taken for this one's.
fn set_before(chan: &mut Channel) {
    for name in ["DIALSTATUS", "DIALEDTIME", "ANSWEREDTIME", "DIALEDPEERNAME", "DIALEDPEERNUMBER"] {
        chan.set_var(name, "");
    }
}

fn set_after(chan: &mut Channel, dialled: &Dialled) {
    chan.set_var("DIALSTATUS", dialled.status.word());
    chan.set_var("HANGUPCAUSE", dialled.cause.number().to_string());
    chan.set_var("DIALEDTIME", dialled.dialled_for.as_secs().to_string());
    if dialled.status == DialStatus::Answer {
        chan.set_var("ANSWEREDTIME", dialled.answered_for.as_secs().to_string());
    }
    chan.set_var("DIALEDPEERNAME", dialled.peer_name.as_str());
    chan.set_var("DIALEDPEERNUMBER", dialled.peer_number.as_str());
}
