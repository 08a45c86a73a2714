//! `TIMEOUT(absolute|digit|response)`: how long a call may last, and how long keys are awaited.

use std::time::Duration;

use super::{Func, FuncError};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Timeout;

/// Longest time taken: more than any call lasts.
const MAX_S: f64 = 1e9;

#[derive(Clone, Copy)]
enum Kind {
    Absolute,
    Digit,
    Response,
}

impl Kind {
    /// The first letter decides, as in Asterisk.
    fn from_word(word: &str) -> Option<Self> {
        match word.trim().chars().next()?.to_ascii_lowercase() {
            'a' => Some(Self::Absolute),
            'd' => Some(Self::Digit),
            'r' => Some(Self::Response),
            _ => None,
        }
    }
}

impl Func for Timeout {
    fn name(&self) -> &'static str {
        "TIMEOUT"
    }

    fn syntax(&self) -> &'static str {
        "absolute|digit|response"
    }

    fn synopsis(&self) -> &'static str {
        "Seconds the call may still last (0 is for ever; then it goes to T), between keys, and to the first key; can be set."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        match args.literal() {
            Some(word) if Kind::from_word(&word).is_none() => {
                Err(CheckError::Unknown { what: "timeout", found: word, known: "absolute, digit, response".to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let word = args.value(scope);
        let kind = Kind::from_word(&word).ok_or(FuncError::Argument(word))?;
        let channel = scope.channel().ok_or(FuncError::NoCall)?;
        let time = match kind {
            Kind::Absolute => match channel.absolute_timeout() {
                Some(left) => left,
                None => return Ok("0".to_owned()),
            },
            Kind::Digit => channel.digit_timeout(),
            Kind::Response => channel.response_timeout(),
        };
        Ok(format!("{:.3}", time.as_secs_f64()))
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let word = args.value(scope);
        let kind = Kind::from_word(&word).ok_or(FuncError::Argument(word))?;
        let time = time(&value)?;
        let channel = scope.channel().ok_or(FuncError::NoCall)?;
        match kind {
            Kind::Absolute => channel.set_absolute_timeout(Some(time).filter(|time| !time.is_zero())),
            Kind::Digit => channel.set_digit_timeout(time),
            Kind::Response => channel.set_response_timeout(time),
        }
        Ok(())
    }
}

/// Seconds, fractions allowed; less than nothing is nothing.
fn time(text: &str) -> Result<Duration, FuncError> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| !seconds.is_nan());
    let seconds = seconds.ok_or_else(|| FuncError::Wrong(format!("`{text}` is no number of seconds")))?;
    Ok(Duration::from_secs_f64(seconds.clamp(0.0, MAX_S)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_says_which_and_nonsense_is_refused() {
        assert!(matches!(Kind::from_word("Absolute"), Some(Kind::Absolute)));
        assert!(matches!(Kind::from_word("dig"), Some(Kind::Digit)));
        assert!(Kind::from_word("x").is_none() && Kind::from_word("").is_none());
        assert_eq!(time("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(time("-3"), Ok(Duration::ZERO));
        assert!(time("inf").is_ok() && time("NaN").is_err() && time("soon").is_err());
    }
}
