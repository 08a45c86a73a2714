//! `Record(file.wav[,silence[,maxduration[,options]]])`: records what the caller says until a key, silence or a time ends it.
//! Below: `call::recording`, `call::Channel::listen_until`.

mod options;

use std::path::Path;

use super::{App, AppError, CheckError, Doing, Line, Next, Opt, Outcome, at_most, check_seconds, seconds};
use crate::call::recording::{Announced, By, Delivery, IfThere, RecordingHandle, Wish};
use crate::call::{Channel, Gone, Listened};
use crate::config::{RecordChannels, RecordForm};
use crate::dialplan::args::Args;
use crate::dialplan::keypad;
use crate::dialplan::piece::Piece;
use crate::dialplan::recorded;
use options::{OPTIONS, Options};

pub(super) struct Record;

/// As it is called, in manifests too.
const NAME: &str = "Record";
/// Stands in a name for the lowest number that is free.
const NUMBER: &str = "%d";
/// Numbers that are tried.
const NUMBERS: u32 = 1_000_000;

impl App for Record {
    fn name(&self) -> &'static str {
        NAME
    }

    fn syntax(&self) -> &'static str {
        "file.wav[,silence[,maxduration[,options]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Answers, beeps, and records what the caller says until #, so many seconds of silence or so many in all; he who hangs up \
         has been recorded. RECORDED_FILE is its path without .wav, RECORD_STATUS is DTMF, OPERATOR, SILENCE, TIMEOUT, SKIP, \
         HANGUP or ERROR, RECORD_TIME its length in ms. It lies in [recording] spool, where a file of that name gets a -2 behind \
         it; %d is the lowest number that is free. It is delivered to no remote by itself: it is a \
         prompt or a message, not a call. Playback and the like find it on this channel by RECORDED_FILE, and the newest of a relative \
         name by that name without .wav."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 4)?;
        let pieces = args.arguments(4);
        recorded::check(pieces.first())?;
        check_seconds(pieces.get(1))?;
        check_seconds(pieces.get(2))?;
        Options::read(pieces.get(3)).map(|_| ())
    }

    fn records<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        args.arguments(4).into_iter().take(1).collect()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(record(chan, args))
    }
}

async fn record(chan: &mut Channel, args: Args<'_>) -> Outcome {
    let pieces = args.piece().arguments(4);
    let options = Options::read(pieces.get(3))?;
    let [_, silence, longest, _] = args.values::<4>(chan);
    let [silence, longest] = [seconds(&silence)?, seconds(&longest)?].map(|time| time.filter(|time| !time.is_zero()));
    let name = pieces.first().map(|name| recorded::value(chan, &args, name)).unwrap_or_default();
    chan.set_var("RECORDED_FILE", "");
    if !chan.is_answered() {
        if options.has('s') {
            return Ok(status(chan, "SKIP"));
        }
        chan.answer().await?;
    }
    let wish = wish(chan, &name, &options)?;
    if !options.has('q') {
        keypad::play_all(chan, &args, &["beep"]).await?;
    }
    let Some(recording) = recorded::begin(chan, wish).await? else { return Ok(status(chan, "ERROR")) };
    let ended = chan.listen_until((silence, longest), |key| options.ends(key)).await;
    let word = match ended {
        Ok(Listened::Silence) => "SILENCE",
        Ok(Listened::TimeOver) => "TIMEOUT",
        Ok(Listened::Key('0')) if options.has('o') => "OPERATOR",
        Ok(Listened::Key(_)) => "DTMF",
        Err(Gone) => "HANGUP",
    };
    finish(chan, &recording, word).await;
    ended.map(|_| Next::Continue).map_err(AppError::from)
}

fn wish(chan: &Channel, name: &str, options: &Options) -> Result<Wish, CheckError> {
    let mut file = recorded::file(chan, name)?;
    if file.contains(NUMBER) {
        file = numbered(&file, chan.exchange().recordings.spool().folder());
    }
    Ok(Wish {
        file: Some(file),
        if_there: if options.has('a') { IfThere::Append } else { IfThere::Number },
        channels: Some(RecordChannels::Mix),
        form: Some(RecordForm::Pcm),
        announce: Announced::No,
        delivery: Delivery::Nowhere,
        ..Wish::new(By::Dialplan(NAME))
    })
}

/// With the lowest number that no file has.
fn numbered(file: &str, spool: &Path) -> String {
    let names = (0..NUMBERS).map(|number| file.replace(NUMBER, &number.to_string()));
    names.into_iter().find(|name| !spool.join(name).exists()).unwrap_or_else(|| file.replace(NUMBER, ""))
}

/// Closes it, and tells what it has become.
async fn finish(chan: &mut Channel, recording: &RecordingHandle, word: &'static str) {
    let stopped = recording.stop().await;
    // By now it is known whether it continues another.
    let path = recording.path().with_extension("");
    chan.set_var("RECORDED_FILE", path.to_string_lossy());
    match stopped {
        Ok(manifest) => {
            let ms = (manifest.audio.duration_s * 1_000.0).round();
            chan.set_var("RECORD_TIME", format!("{ms:.0}"));
            status(chan, word);
        }
        Err(error) => {
            tracing::error!(uuid = chan.uuid(), %error, "Record");
            status(chan, "ERROR");
        }
    }
}

fn status(chan: &mut Channel, word: &'static str) -> Next {
    chan.set_var("RECORD_STATUS", word);
    Next::Continue
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    #[test]
    fn what_is_wrong_is_found_when_the_file_is_read() {
        let check = |args: &str| Record.check(&Template::compile(args).unwrap().piece());
        for right in ["a.wav", "a%d.wav,3,30,qo", "${X},${Y}", "a.wav,,,x"] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for wrong in ["", "a.gsm", "a.wav,x", "a.wav,1,y", "a.wav,,,z", "a.wav,,,n", "a.wav,1,2,3,4"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_with_a_number_gets_the_lowest_that_is_free() {
        let spool = tempfile::tempdir().unwrap();
        assert_eq!(numbered("m-%d.wav", spool.path()), "m-0.wav");
        std::fs::write(spool.path().join("m-0.wav"), "").unwrap();
        assert_eq!(numbered("m-%d.wav", spool.path()), "m-1.wav");
    }
}
