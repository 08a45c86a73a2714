//! Recordings that a script begins: their names, inside the spool whatever a caller is called and ending in what can be
//! written; and those of a channel that still run.
//! Above: `MixMonitor`, `Monitor`, `Record`, `ChanSpy`. Below: `call::recording`, which finds the name that is still free.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::app::CheckError;
use super::args::Args;
use super::keypad;
use super::piece::{Bit, Piece};
use crate::call::recording::{self, By, RecordError, RecordingHandle, Wish};
use crate::call::{Channel, Gone};

/// What a recording is written as.
pub(super) const ENDING: &str = "wav";

/// The longest part of a name between slashes, in bytes: a number, an ending and that of the manifest come behind it.
const LONGEST_PART: usize = 200;

/// Endings of Asterisk's that are not written, and why.
const REFUSED: &[(&[&str], &str)] = &[
    (&["WAV", "wav49"], "that is GSM in a WAV: write .wav, and rec export makes smaller files of it"),
    (
        &["alaw", "al", "alw", "ulaw", "ul", "ulw", "pcm", "mu", "g722", "gsm", "g729", "sln", "raw"],
        "such a file has no header that says what it is: write .wav, and rec export makes others of it",
    ),
];

/// Refuses a name that is written with an ending nothing is written as, or that can be seen to lead out of the spool.
///
/// # Errors
/// What is wrong.
pub(super) fn check(name: Option<&Piece<'_>>) -> Result<(), CheckError> {
    let name = name.filter(|name| !name.is_empty()).ok_or(CheckError::Missing("the name of the file"))?;
    let literal = name.literal();
    if let Some(text) = &literal {
        parts(text)?;
    }
    // What is written at its end may come in pieces.
    let written = name.bits().iter().rev().map_while(|bit| match bit {
        Bit::Text(text) => Some(*text),
        Bit::Code(_) => None,
    });
    let end: String = written.collect::<Vec<_>>().into_iter().rev().collect();
    if end.is_empty() {
        return Ok(());
    }
    let last = end.trim_end().rsplit('/').next().unwrap_or_default();
    match last.rsplit_once('.') {
        Some((_, ending)) => check_ending(ending),
        None if literal.is_some() => Err(CheckError::Missing("the ending of the file, .wav,")),
        None => Ok(()),
    }
}

/// Refuses an ending that nothing is written as.
///
/// # Errors
/// It is not `wav`.
pub(super) fn check_ending(ending: &str) -> Result<(), CheckError> {
    if ending == ENDING {
        return Ok(());
    }
    let of_asterisk = REFUSED.iter().find(|(endings, _)| {
        endings.contains(&ending) || ending.strip_prefix("sln").is_some_and(|rate| rate.parse::<u32>().is_ok())
    });
    let why = of_asterisk.map_or("only .wav is written", |(_, why)| *why);
    Err(CheckError::RefusedEnding { ending: ending.to_owned(), why })
}

/// The value of a name: of what is not written in the dialplan only letters, digits and `+._-` are left (S139).
pub(super) fn value(chan: &mut Channel, args: &Args<'_>, name: &Piece<'_>) -> String {
    let written = args.written(chan, name);
    let (text, values) = args.spelled(chan, &written.piece());
    clean(text.trim(), &values)
}

fn clean(text: &str, values: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_kept = if values.iter().any(|range| range.contains(&at)) {
            let begins = kept.is_empty() || kept.ends_with('/');
            c.is_ascii_alphanumeric() || "+_-".contains(c) || c == '.' && !begins
        } else {
            !c.is_control()
        };
        kept.extend(is_kept.then_some(c));
    }
    kept
}

/// The file of a name for `call::recording`; without one it is called as the channel's UUID.
///
/// # Errors
/// It leads out of the spool.
pub(super) fn file(chan: &Channel, name: &str) -> Result<String, CheckError> {
    let file = path(name, chan.exchange().recordings.spool().folder(), chan.uuid())?;
    Ok(file.to_string_lossy().into_owned())
}

/// Begins to record the channel; `None` where it cannot be, which is in the log: the script goes on all the same.
///
/// # Errors
/// The call must be recorded, and ends.
pub(super) async fn begin(chan: &mut Channel, wish: Wish) -> Result<Option<RecordingHandle>, Gone> {
    match recording::start(chan.exchange(), chan.uuid(), wish.clone()).await {
        Ok(recording) => {
            let wished = wish.file.unwrap_or_default();
            chan.about_mut().recorded.push((wished, recording.clone()));
            Ok(Some(recording))
        }
        Err(error) => {
            // What comes later has been told by the recording itself.
            if matches!(error, RecordError::NoSuchCall(_) | RecordError::Ended(_) | RecordError::AsCame { .. }) {
                tracing::error!(uuid = chan.uuid(), %error, "not recorded");
                let call = &chan.call().uuid;
                chan.exchange()
                    .journal
                    .note("recording.failed", json!({"uuid": call, "file": wish.file, "error": error.to_string()}));
            }
            chan.goes_on_unrecorded(&wish).map(|()| None)
        }
    }
}

/// The file of a sound's name, where it is a recording that the script of this channel began: by its whole path without its ending, as
/// `RECORDED_FILE` has it, or by the relative name that it was given, the newest of that name.
pub(super) fn own(chan: &Channel, sound: &str) -> Option<PathBuf> {
    let spool = chan.exchange().recordings.spool().folder();
    let is_named =
        |file: &str, name: &str| file.strip_suffix(ENDING).and_then(|stem| stem.strip_suffix('.')) == Some(name);
    let whole = sound.strip_prefix(&*spool.to_string_lossy()).and_then(|rest| rest.strip_prefix('/'));
    let recorded = chan.about().recorded.iter().rev();
    // One that had to begin anew since what it was to continue is gone may be called otherwise: that is asked now, and it has sound by then.
    let mut fitting = recorded.filter(|(_, one)| one.is_written()).filter(|(wished, one)| match whole {
        Some(name) => is_named(&one.file(), name),
        None => is_named(wished, sound),
    });
    fitting.next().map(|(_, one)| one.path())
}

/// The running recordings of this channel that these applications began.
pub(super) fn of(chan: &Channel, applications: &[&str]) -> Vec<RecordingHandle> {
    let mut own = chan.exchange().recordings.following(&[chan.facts()]);
    own.retain(|one| matches!(one.wish().by, By::Dialplan(by) if applications.contains(&by)));
    own
}

/// The beep of a recording that begins or ends.
pub(super) async fn beep(chan: &mut Channel, args: &Args<'_>) -> Result<(), Gone> {
    if chan.is_answered() { keypad::play_all(chan, args, &["beep"]).await } else { Ok(()) }
}

/// The path of a name, relative to the spool. One that is left empty is called `otherwise`; one that ends in nothing that is
/// written gets the ending of what is.
///
/// # Errors
/// It leads out of the spool.
fn path(name: &str, spool: &Path, otherwise: &str) -> Result<PathBuf, CheckError> {
    let folder = spool.to_string_lossy();
    let inner = name.strip_prefix(&*folder).filter(|rest| rest.starts_with('/'));
    if inner.is_none() && name.starts_with('/') {
        return Err(outside(name));
    }
    let name = inner.unwrap_or(name);
    let mut parts = parts(name.trim_start_matches('/'))?;
    let last = parts.pop().unwrap_or_default();
    let stem = match last.rsplit_once('.') {
        Some((stem, ending)) if ending == ENDING || check_ending(ending).is_err_and(|error| is_sound(&error)) => stem,
        _ => &last,
    };
    let stem = if stem.is_empty() { otherwise } else { stem };
    parts.push(format!("{}.{ENDING}", shortened(stem)));
    Ok(parts.iter().collect())
}

/// Whether an ending that is refused is one of a sound file, not the rest of a name with a dot in it.
fn is_sound(error: &CheckError) -> bool {
    let CheckError::RefusedEnding { ending, .. } = error else { return false };
    REFUSED.iter().any(|(endings, _)| endings.contains(&ending.as_str()))
}

/// What is between the slashes, none of it leading upwards.
fn parts(name: &str) -> Result<Vec<String>, CheckError> {
    let parts = name.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.map(|part| if part == ".." { Err(outside(name)) } else { Ok(shortened(part).to_owned()) }).collect()
}

fn outside(name: &str) -> CheckError {
    CheckError::Malformed { what: "name inside the folder of recordings", found: name.to_owned() }
}

fn shortened(part: &str) -> &str {
    let end = (0..=LONGEST_PART.min(part.len())).rev().find(|end| part.is_char_boundary(*end)).unwrap_or(0);
    part.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    fn checked(name: &str) -> Result<(), CheckError> {
        check(Some(&Template::compile(name).unwrap().piece()))
    }

    #[test]
    fn what_cannot_be_written_is_refused_when_the_file_is_read_with_what_to_do() {
        for right in ["a.wav", "calls/${UNIQUEID}.wav", "${FILE}", "${DIR}/${FILE}", "a.b/${X}.wav"] {
            assert_eq!(checked(right), Ok(()), "{right}");
        }
        for wrong in ["a.gsm", "a.WAV", "${X}.ulaw", "a.sln16", "a.mp3", "a", "", "../a.wav", "a/../b.wav"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
        let error = checked("a.gsm").unwrap_err().to_string();
        assert!(error.contains("`.gsm`") && error.contains("rec export"), "{error}");
    }

    #[test]
    fn s139_of_a_callers_name_nothing_is_left_that_leads_anywhere() {
        let name = "out/../../etc/pa sswd\u{7}ü+1.wav";
        assert_eq!(clean(name, std::slice::from_ref(&(4..name.len() - 4))), "out/etcpasswd+1.wav");
        assert_eq!(clean("../a.wav", std::slice::from_ref(&(0..2))), "/a.wav");
        assert_eq!(clean("a b/c.wav", &[]), "a b/c.wav", "what an administrator wrote stays");
    }

    #[test]
    fn names_lie_in_the_spool() {
        let spool = Path::new("/var/spool/wirechief");
        let found = |name: &str| path(name, spool, "uuid").map(|path| path.to_string_lossy().into_owned());
        assert_eq!(found("a.wav"), Ok("a.wav".into()));
        assert_eq!(found("/var/spool/wirechief/2026/a.wav"), Ok("2026/a.wav".into()));
        assert_eq!(found(".wav"), Ok("uuid.wav".into()), "a caller without a number");
        assert_eq!(found("a/./b//c"), Ok("a/b/c.wav".into()));
        assert_eq!(found("a.gsm"), Ok("a.wav".into()), "a call is recorded rather than not");
        assert_eq!(found("1258.4"), Ok("1258.4.wav".into()), "not every dot begins an ending");
        assert_eq!(found(&"x".repeat(300)).map(|path| path.len()), Ok(LONGEST_PART + 4));
        for wrong in ["/etc/a.wav", "/var/spool/wirechief2/a.wav", "../a.wav", "/var/spool/wirechief/../a.wav"] {
            assert!(found(wrong).is_err(), "{wrong}");
        }
    }
}
