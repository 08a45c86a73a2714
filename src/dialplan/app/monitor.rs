//! `Monitor([format[,base[,options]]])` and `StopMonitor()`: records the call as `MixMonitor` does, with the arguments of old.

use super::stopmixmonitor::stop;
use super::{App, CheckError, Doing, Next, Opt, Outcome, at_most};
use crate::call::Channel;
use crate::call::recording::{By, While, Wish};
use crate::config::RecordChannels;
use crate::dialplan::args::Args;
use crate::dialplan::options::{Known, choose_among};
use crate::dialplan::piece::Piece;
use crate::dialplan::recorded::{self, ENDING};

pub(super) struct Monitor;
pub(super) struct StopMonitor;

/// As it is called, in manifests too.
pub(super) const NAME: &str = "Monitor";

const OPTIONS: &[Opt] = &[
    Opt { name: "b", help: "only while the channel talks with another party" },
    Opt {
        name: "m",
        help: "both directions in one channel; without it what comes from the phone is left, what goes to it right",
    },
];

const KNOWN: Known<'_> = Known {
    options: OPTIONS,
    with_argument: &[],
    may_have_argument: &[],
    refused: &[
        ('B', "MixMonitor has B, a beep every so many seconds"),
        ('X', "both directions are recorded"),
        ('i', "both directions are recorded: the left channel is what comes from the phone"),
        ('o', "both directions are recorded: the right channel is what goes to the phone"),
    ],
};

impl App for Monitor {
    fn name(&self) -> &'static str {
        NAME
    }

    fn syntax(&self) -> &'static str {
        "[wav[,base[,options]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Records the call from now on, as MixMonitor does, into one file base.wav with two channels, where Asterisk made \
         base-in.wav and base-out.wav; without a base it is called after the channel. MIXMONITOR_FILENAME is its path."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 3)?;
        let pieces = args.arguments(3);
        match pieces.first().and_then(Piece::literal) {
            Some(format) if !format.trim().is_empty() => recorded::check_ending(format.trim())?,
            _ => {}
        }
        pieces.get(2).map_or(Ok(()), |options| choose_among(options, &KNOWN).map(|_| ()))
    }

    fn records<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        args.arguments(3).into_iter().skip(1).take(1).collect()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(record(chan, args))
    }
}

async fn record(chan: &mut Channel, args: Args<'_>) -> Outcome {
    let pieces = args.piece().arguments(3);
    let options = pieces.get(2).map(|options| choose_among(options, &KNOWN)).transpose()?.unwrap_or_default();
    let has = |letter| options.iter().any(|option| option.letter == letter);
    let base = pieces.get(1).map(|base| recorded::value(chan, &args, base)).unwrap_or_default();
    let base = if base.is_empty() { chan.name().replace('/', "-") } else { base };
    let wish = Wish {
        file: Some(recorded::file(chan, &format!("{base}.{ENDING}"))?),
        channels: Some(if has('m') { RecordChannels::Mix } else { RecordChannels::Split }),
        during: if has('b') { While::Talking } else { While::Answered },
        ..Wish::new(By::Dialplan(NAME))
    };
    if let Some(recording) = recorded::begin(chan, wish).await? {
        chan.set_var(super::mixmonitor::FILENAME, recording.path().to_string_lossy());
    }
    Ok(Next::Continue)
}

impl App for StopMonitor {
    fn name(&self) -> &'static str {
        "StopMonitor"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Ends the recordings that Monitor began on this channel; the next priority finds them complete."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(stop(chan, args, &[NAME]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    #[test]
    fn what_monitor_cannot_do_is_refused_when_the_file_is_read() {
        let check = |args: &str| Monitor.check(&Template::compile(args).unwrap().piece());
        for right in ["", "wav", "wav,base,mb", ",base", "${FORMAT},${BASE}"] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for wrong in ["gsm", "wav:http://x", "wav,b,o", "wav,b,i", "wav,b,B(5)", "wav,b,z", "wav,b,m,x"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
