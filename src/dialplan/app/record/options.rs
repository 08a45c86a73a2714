//! The option letters of `Record`. Above: `record`. Below: `options`.

use crate::dialplan::app::{CheckError, Opt};
use crate::dialplan::options::{Known, choose_among};
use crate::dialplan::piece::Piece;

pub(super) const OPTIONS: &[Opt] = &[
    Opt { name: "a", help: "goes on in the file if there is one" },
    Opt { name: "k", help: "accepted: what was recorded is always kept" },
    Opt { name: "o", help: "0 ends it too: RECORD_STATUS is then OPERATOR" },
    Opt { name: "q", help: "no beep before" },
    Opt { name: "s", help: "records nothing of a caller who is not answered: RECORD_STATUS is then SKIP" },
    Opt { name: "t", help: "* ends it, not #" },
    Opt { name: "u", help: "accepted: the silence that ended it is never cut off" },
    Opt { name: "x", help: "no key ends it" },
    Opt { name: "y", help: "any key ends it" },
];

const KNOWN: Known<'_> = Known {
    options: OPTIONS,
    with_argument: &[],
    may_have_argument: &[],
    refused: &[('n', "nothing is recorded before the answer")],
};

/// What the letters mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    letters: String,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// A letter that is not known.
    pub(super) fn read(piece: Option<&Piece<'_>>) -> Result<Self, CheckError> {
        let chosen = piece.map(|piece| choose_among(piece, &KNOWN)).transpose()?.unwrap_or_default();
        Ok(Self { letters: chosen.into_iter().map(|option| option.letter).collect() })
    }

    /// Whether a letter is there.
    pub(super) fn has(&self, letter: char) -> bool {
        self.letters.contains(letter)
    }

    /// Whether a key ends the recording.
    pub(super) fn ends(&self, key: char) -> bool {
        let usual = match (self.has('x'), self.has('t')) {
            (true, _) => None,
            (false, true) => Some('*'),
            (false, false) => Some('#'),
        };
        Some(key) == usual || self.has('y') || key == '0' && self.has('o')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    fn read(text: &str) -> Result<Options, CheckError> {
        Options::read(Some(&Template::compile(text).unwrap().piece()))
    }

    #[test]
    fn keys_end_a_recording_as_the_options_say() {
        let ends = |options: &str| {
            let options = read(options).unwrap();
            "0#*1".chars().filter(|key| options.ends(*key)).collect::<String>()
        };
        assert_eq!([ends(""), ends("t"), ends("x"), ends("xo")], ["#", "*", "", "0"]);
        assert_eq!([ends("y"), ends("xy"), ends("o")], ["0#*1", "0#*1", "0#"]);
    }

    #[test]
    fn letters_that_are_not_known_are_errors() {
        assert!(read("aoqstuxky").is_ok());
        assert!(matches!(read("n"), Err(CheckError::RefusedOption { option: 'n', .. })));
        assert!(read("z").is_err() && read("a(1)").is_err() && read("${X}").is_err());
    }
}
