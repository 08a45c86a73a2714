//! Speaking with a caller: sounds that keys may end, digits up to a number, a terminator or an extension.
//! Above: the applications that ask. Below: `sounds`, `growth`, `call::Channel`.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::app::{CheckError, Jump, Next};
use super::args::Args;
use super::context::Dialplan;
use super::pattern::MAX_NAME_BYTES;
use super::piece::Piece;
use super::recorded;
use super::search::Query;
use super::sounds::SoundProblem;
use crate::call::{Channel, Gone};
use crate::media::Source;

/// The sounds of `a&b&c`: those that were written there, and those of variables that only the dialplan wrote.
pub(super) fn names(args: &Args<'_>, chan: &mut Channel, piece: Option<&Piece<'_>>) -> Vec<String> {
    let Some(piece) = piece else { return Vec::new() };
    let written = args.written(chan, piece);
    let names = written.piece().split('&').into_iter().map(|name| args.value(chan, &name).trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// What came of playing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Played {
    /// The key that ended it.
    pub(super) key: Option<char>,
    /// Sounds that there were none of.
    pub(super) missing: usize,
}

/// Who has named a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// The script: where there is no such sound, it may be what its channel recorded.
    ByScript,
    /// The server itself: no recording is played instead.
    ByServer,
}

/// Plays sounds that the script names one after the other until a key that `stops`; missing ones are passed over.
pub(super) async fn play(
    chan: &mut Channel,
    args: &Args<'_>,
    names: &[String],
    stops: impl Fn(char) -> bool,
) -> Result<Played, Gone> {
    play_named(chan, args, (names, Named::ByScript), stops).await
}

/// The same of the server's own prompts and words.
pub(super) async fn prompt(
    chan: &mut Channel,
    args: &Args<'_>,
    names: &[String],
    stops: impl Fn(char) -> bool,
) -> Result<Played, Gone> {
    play_named(chan, args, (names, Named::ByServer), stops).await
}

/// A whole path is that of the recording; of a relative name the sound comes first: a caller may be called as one is.
async fn load(chan: &Channel, args: &Args<'_>, (name, named): (&str, Named)) -> Result<Source, SoundProblem> {
    let sounds = args.env().sounds();
    let own = || recorded::own(chan, name).filter(|_| named == Named::ByScript);
    if let Some(file) = own().filter(|_| name.starts_with('/')) {
        return sounds.load_file(file).await;
    }
    match (sounds.load_in(chan.language(), name).await, own()) {
        (Err(_), Some(file)) => sounds.load_file(file).await,
        (loaded, _) => loaded,
    }
}

async fn play_named(
    chan: &mut Channel,
    args: &Args<'_>,
    (names, named): (&[String], Named),
    stops: impl Fn(char) -> bool,
) -> Result<Played, Gone> {
    let mut played = Played::default();
    for name in names {
        match load(chan, args, (name, named)).await {
            Ok(source) => played.key = chan.play_until(source, &stops).await?,
            Err(problem) => {
                tracing::warn!(uuid = chan.uuid(), %problem, "a sound is missing");
                played.missing += 1;
            }
        }
        if played.key.is_some() {
            break;
        }
    }
    Ok(played)
}

/// Says words. Where the dialplan set `SAY_DTMF_INTERRUPT` to true, a key ends it and begins a number to go on at.
pub(super) async fn say(chan: &mut Channel, args: &Args<'_>, names: &[String]) -> Result<Next, Gone> {
    Unanswered::EarlyMedia.meet(chan).await?;
    let wish = chan.var("SAY_DTMF_INTERRUPT").unwrap_or_default().to_ascii_lowercase();
    let interruptible = ["yes", "true", "y", "t", "1", "on"].contains(&wish.as_str());
    match prompt(chan, args, names, |_| interruptible).await?.key {
        Some(key) => {
            let context = context(chan);
            let dialled = dial(chan, args.plan(), &context, key).await?;
            Ok(go_to(&context, dialled))
        }
        None => Ok(Next::Continue),
    }
}

/// Plays the server's own prompts to the end, whatever is pressed.
pub(super) async fn play_all(chan: &mut Channel, args: &Args<'_>, names: &[&str]) -> Result<(), Gone> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    prompt(chan, args, &names, |_| false).await.map(|_| ())
}

/// What ends the collecting of digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Ends with the digit of this number.
    pub(super) most: usize,
    /// Keys that end it and are not taken.
    pub(super) terminators: &'a str,
    /// How long to wait for the first digit, and for each further one.
    pub(super) first: Duration,
    pub(super) next: Duration,
}

/// Why collecting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With as many digits as were wanted.
    Full,
    /// With this key.
    Terminated(char),
    TimedOut,
}

/// Adds to `digits` what is pressed.
pub(super) async fn collect(chan: &mut Channel, digits: &mut String, wanted: &Wanted<'_>) -> Result<Ended, Gone> {
    while digits.len() < wanted.most {
        let patience = if digits.is_empty() { wanted.first } else { wanted.next };
        match chan.digit(patience).await? {
            Some(key) if wanted.terminators.contains(key) => return Ok(Ended::Terminated(key)),
            Some(key) => digits.push(key),
            None => return Ok(Ended::TimedOut),
        }
    }
    Ok(Ended::Full)
}

/// Collects a number that begins with `first`, as long as a longer one could be an extension of the context.
pub(super) async fn dial(chan: &mut Channel, plan: &Dialplan, context: &str, first: char) -> Result<String, Gone> {
    let mut typed = String::from(first);
    while typed.len() < MAX_NAME_BYTES && grows(chan, plan, (context, &typed)) {
        match chan.digit(chan.digit_timeout()).await? {
            Some(key) => typed.push(key),
            None => break,
        }
    }
    Ok(typed)
}

/// Whether a longer number that begins so could be an extension for this caller.
pub(super) fn grows(chan: &Channel, plan: &Dialplan, (context, typed): (&str, &str)) -> bool {
    plan.grows(&Query::new(context, typed).caller(&chan.caller().number))
}

/// Whether it is an extension for this caller.
pub(super) fn is_extension(chan: &Channel, plan: &Dialplan, (context, typed): (&str, &str)) -> bool {
    plan.begins(&Query::new(context, typed).caller(&chan.caller().number))
}

/// The script goes on at what was dialled; where that is nothing, at `i`.
pub(super) fn go_to(context: &str, dialled: String) -> Next {
    Next::Jump(Jump { context: Some(context.to_owned()), extension: Some(dialled), priority: "1".to_owned() })
}

/// The context whose extensions a caller dials: inside a macro that of its caller.
pub(super) fn context(chan: &Channel) -> String {
    let of_macro = chan.var("MACRO_CONTEXT").filter(|context| !context.is_empty());
    of_macro.unwrap_or(&chan.position().context).to_owned()
}

/// What to do with a caller who is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    Answer,
    EarlyMedia,
    Skip,
}

impl Unanswered {
    /// Does it; false when there is nothing to be done with this caller.
    pub(super) async fn meet(self, chan: &mut Channel) -> Result<bool, Gone> {
        if chan.is_answered() {
            return Ok(true);
        }
        match self {
            Self::Answer => chan.answer().await?,
            Self::EarlyMedia => chan.progress().await?,
            Self::Skip => return Ok(false),
        }
        Ok(true)
    }
}

/// Whether what was entered is the secret, in a time that tells nothing of either. An empty secret admits nobody.
pub(super) fn is_secret(entered: &str, secret: &str) -> bool {
    let [entered, wanted] = [entered, secret].map(|text| Sha256::digest(text.as_bytes()));
    let different = entered.iter().zip(wanted).fold(0, |all, (a, b)| all | (a ^ b));
    different == 0 && !secret.is_empty()
}

/// A number from 1 to `most`; anything else is `most`.
pub(super) fn up_to(text: &str, most: usize) -> usize {
    text.trim().parse().ok().filter(|count| (1..=most).contains(count)).unwrap_or(most)
}

/// Refuses a written argument that is no whole number.
pub(super) fn check_count(piece: Option<&Piece<'_>>, what: &'static str) -> Result<(), CheckError> {
    match piece.and_then(Piece::literal) {
        Some(text) if !text.trim().is_empty() && text.trim().parse::<i64>().is_err() => {
            Err(CheckError::Malformed { what, found: text })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s198_and_s199_only_the_secret_itself_is_the_secret_and_nothing_is_none() {
        assert!(is_secret("1234", "1234"));
        for (entered, secret) in
            [("1235", "1234"), ("123", "1234"), ("12345", "1234"), ("", "1234"), ("", ""), ("1", "")]
        {
            assert!(!is_secret(entered, secret), "{entered} for {secret}");
        }
    }

    #[test]
    fn a_count_out_of_range_means_the_most() {
        assert_eq!(
            [up_to("3", 255), up_to("0", 255), up_to("-1", 255), up_to("999", 255), up_to("", 7)],
            [3, 255, 255, 255, 7]
        );
    }
}
