//! The option letters of `ChanSpy` and `ExtenSpy`, read into what they mean.
//! Above: `chanspy`. Below: `options`.

use crate::call::supervision::{Hear, Mode, Wish};
use crate::config::USUAL_SPY_PARAMS;
use crate::dialplan::app::{CheckError, Opt};
use crate::dialplan::options::{self, Known};
use crate::dialplan::piece::Piece;
use crate::dialplan::template::Template;

/// What a recording is called where option r says nothing.
const USUAL_BASE: &str = "chanspy";

pub(super) const OPTIONS: &[Opt] = &[
    Opt { name: "B", help: "barges: both parties hear the supervisor" },
    Opt {
        name: "D",
        help: "accepted: a phone has one ear, so both directions are heard in it; spy --channels split has two",
    },
    Opt { name: "E", help: "leaves when the call that is heard ends" },
    Opt { name: "N", help: "does not answer: what is heard is early media" },
    Opt { name: "S", help: "leaves when there is no channel left" },
    Opt { name: "W", help: "whispers to the channel's party and hears nothing" },
    Opt { name: "X", help: "a key that is an extension of the context, or of SPY_EXIT_CONTEXT, leaves to it" },
    Opt { name: "b", help: "only channels that talk with another party" },
    Opt { name: "c", help: "(key) is the key for the next channel, instead of *" },
    Opt { name: "d", help: "4 listens, 5 whispers, 6 barges, as far as the right goes" },
    Opt { name: "e", help: "(SIP/1001:1002) only channels of these names or users" },
    Opt { name: "g", help: "(a:b) only calls of one of these groups" },
    Opt { name: "l", help: "accepted: nothing that is heard is dropped or delayed here" },
    Opt {
        name: "n",
        help: "says the number of whoever is heard instead of the channel; recorded names are not looked for",
    },
    Opt { name: "o", help: "hears the channel's party only" },
    Opt { name: "q", help: "neither beep nor name before a channel is heard" },
    Opt {
        name: "r",
        help: "r[(base)]: records the calls that are heard, while they are, as base-date-time.wav in the spool (chanspy where there is no base); who may hear a call may record it, and what he says is left out or on its own track as in any recording",
    },
    Opt { name: "s", help: "does not say the technology" },
    Opt { name: "u", help: "the prefix is a UUID or the whole name of a channel" },
    Opt { name: "v", help: "(-4 to 4) is how loud it is at first; # makes it louder" },
    Opt { name: "w", help: "whispers to the channel's party" },
    Opt { name: "x", help: "(key) leaves" },
];

const KNOWN: Known<'_> =
    Known { options: OPTIONS, with_argument: &['c', 'e', 'g', 'v', 'x'], may_have_argument: &['n', 'r'], refused: &[] };

/// What the letters mean.
#[derive(Clone, Debug)]
pub(super) struct Options {
    letters: String,
    /// The mode to begin in.
    pub(super) mode: Mode,
    /// The key for the next channel.
    pub(super) next_key: char,
    /// The key that leaves.
    pub(super) exit_key: Option<char>,
    /// The call must belong to one of these.
    groups: Vec<String>,
    /// Only channels of these names; empty: of any.
    pub(super) enforced: Vec<String>,
    /// How loud at first.
    pub(super) volume: i8,
    /// What recordings of what is heard are called at first; `None`: there are none.
    pub(super) record: Option<String>,
}

impl Options {
    fn none() -> Self {
        Self {
            letters: String::new(),
            mode: Mode::Listen,
            next_key: '*',
            exit_key: None,
            groups: Vec::new(),
            enforced: Vec::new(),
            volume: 0,
            record: None,
        }
    }

    /// Reads them; `value` computes what is in brackets, or does not know it yet.
    ///
    /// # Errors
    /// A letter that is not known, or whose brackets are wrong.
    pub(super) fn read(
        piece: Option<&Piece<'_>>,
        mut value: impl FnMut(&Piece<'_>) -> Option<String>,
    ) -> Result<Self, CheckError> {
        let mut read = Self::none();
        let letters =
            options::read((piece, &KNOWN), |_, piece| value(piece), |letter, argument| read.take(letter, argument))?;
        Ok(Self { letters, ..read })
    }

    /// Those of a user's `spy_params`, in the mode that the code he dialled is for.
    ///
    /// # Errors
    /// They were not checked when the settings were read.
    pub(super) fn of_code(params: &str, mode: Mode) -> Result<Self, CheckError> {
        let malformed = || CheckError::Malformed { what: "row of ChanSpy's letters", found: params.to_owned() };
        let template = Template::compile(params).map_err(|_| malformed())?;
        let mut read = Self::read(Some(&template.piece()), |piece| piece.literal())?;
        read.letters.retain(|letter| !"wWB".contains(letter));
        read.mode = mode;
        Ok(read)
    }

    fn take(&mut self, letter: char, argument: &str) -> Result<(), CheckError> {
        let list = || argument.split([':', ',']).map(|one| one.trim().to_owned()).filter(|one| !one.is_empty());
        match letter {
            'w' | 'W' => self.mode = self.mode.max(Mode::Whisper),
            'B' => self.mode = Mode::Barge,
            'c' => self.next_key = key(argument)?,
            'x' => self.exit_key = Some(key(argument)?),
            'g' => self.groups = list().collect(),
            'e' => self.enforced = list().collect(),
            'r' if argument.is_empty() => self.record = Some(USUAL_BASE.to_owned()),
            'r' => self.record = Some(argument.to_owned()),
            'v' => self.volume = options::volume(argument)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether a letter is there.
    pub(super) fn has(&self, letter: char) -> bool {
        self.letters.contains(letter)
    }

    /// The wish, with these options.
    pub(super) fn applied(&self, wish: Wish) -> Wish {
        let hear = match (self.has('W'), self.has('o')) {
            (true, _) => Hear::Nobody,
            (false, true) => Hear::Target,
            (false, false) => Hear::Both,
        };
        Wish { mode: self.mode, hear, groups: self.groups.clone(), ..wish }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::of_code(USUAL_SPY_PARAMS, Mode::Listen).unwrap_or_else(|_| Self::none())
    }
}

fn key(text: &str) -> Result<char, CheckError> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(key @ ('0'..='9' | '*' | '#')), None) => Ok(key),
        _ => Err(CheckError::Malformed { what: "key", found: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SPY_LETTERS;

    fn read(text: &str) -> Result<Options, CheckError> {
        Options::read(Some(&Template::compile(text).unwrap().piece()), |piece| piece.literal())
    }

    #[test]
    fn s081_the_letters_of_settings_and_of_the_application_are_the_same() {
        let letters: String = OPTIONS.iter().map(|option| option.name).collect();
        assert_eq!(letters, SPY_LETTERS);
    }

    #[test]
    fn s081_every_letter_has_its_meaning() {
        let options = read("bdESsqv(-2)c(#)x(9)g(a:b)e(SIP/1001:1002)nlDuXNo").unwrap();
        assert_eq!((options.next_key, options.exit_key, options.volume), ('#', Some('9'), -2));
        assert_eq!((options.groups.len(), options.enforced.len()), (2, 2));
        assert_eq!([read("r"), read("r(qa)")].map(|o| o.unwrap().record.unwrap()), ["chanspy", "qa"]);
        assert!("bdESsqnlDuXNo".chars().all(|letter| options.has(letter)) && !options.has('B'));
        assert_eq!(
            [read("w"), read("W"), read("B"), read("wB"), read("")].map(|o| o.unwrap().mode),
            [Mode::Whisper, Mode::Whisper, Mode::Barge, Mode::Barge, Mode::Listen]
        );
    }

    #[test]
    fn s080_a_letter_that_is_not_known_is_an_error_that_names_it() {
        let error = read("ESz").unwrap_err().to_string();
        assert!(error.contains("option `z`"), "{error}");
        for wrong in ["v", "v(5)", "v(x)", "c(12)", "x()", "E(1)"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn s084_the_code_decides_the_mode_not_the_letters() {
        let options = Options::of_code("ESsbBW", Mode::Listen).unwrap();
        assert_eq!(options.mode, Mode::Listen);
        assert!(!options.has('W') && options.has('E'));
    }
}
