//! The option letters of `MixMonitor`, read into what they mean.
//! Above: `mixmonitor`. Below: `options`.

use std::time::Duration;

use crate::dialplan::app::{CheckError, Opt};
use crate::dialplan::options::{self, Chosen, Known};
use crate::dialplan::piece::Piece;
use crate::dialplan::recorded;

/// How often a beep is heard where it is not said.
const USUAL_BEEP: Duration = Duration::from_secs(15);

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        name: "B",
        help: "B[(seconds)]: both parties hear a beep at the start and every so many seconds, 15 at first",
    },
    Opt { name: "D", help: "two channels, the caller left and the callee right, whatever [recording] channels says" },
    Opt { name: "P", help: "the channel hears a beep when the recording ends" },
    Opt { name: "S", help: "accepted: both directions are always one timeline" },
    Opt { name: "V", help: "V(-4 to 4): how loud the channel's own voice is in the recording" },
    Opt { name: "W", help: "W(-4 to 4): V and v at once" },
    Opt { name: "a", help: "goes on in the file if there is one" },
    Opt { name: "b", help: "only while the channel talks with another party" },
    Opt { name: "i", help: "i(variable): is set to the recording's id, for StopMixMonitor and MIXMONITOR()" },
    Opt { name: "p", help: "the channel hears a beep when the recording begins" },
    Opt { name: "r", help: "r(file.wav): a recording of its own of what the channel's phone sends" },
    Opt { name: "t", help: "t(file.wav): a recording of its own of what the channel hears" },
    Opt { name: "v", help: "v(-4 to 4): how loud what the channel hears is in the recording" },
];

const KNOWN: Known<'_> = Known {
    options: OPTIONS,
    with_argument: &['V', 'W', 'i', 'r', 't', 'v'],
    may_have_argument: &['B'],
    refused: &[
        ('c', "there is no voicemail"),
        ('d', "nothing is deleted by a script: rec purge deletes what is delivered"),
        ('m', "there is no voicemail"),
        ('n', "both directions are always one timeline"),
    ],
};

/// The options as written.
pub(super) fn choose<'a>(options: &Piece<'a>) -> Result<Vec<Chosen<'a>>, CheckError> {
    options::choose_among(options, &KNOWN)
}

/// What the letters mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    letters: String,
    /// How often both parties hear a beep.
    pub(super) beep_every: Option<Duration>,
    /// How loud the channel's own voice is, from -4 to 4.
    pub(super) spoken: i8,
    /// How loud is what it hears, from -4 to 4.
    pub(super) heard: i8,
    /// The variable for the recording's id.
    pub(super) id_variable: Option<String>,
    /// The file for what the channel's phone sends.
    pub(super) received: Option<String>,
    /// The file for what it hears.
    pub(super) sent: Option<String>,
}

impl Options {
    /// Reads them; `value` computes what is in the brackets of a letter, or does not know it yet.
    ///
    /// # Errors
    /// A letter that is not known, or whose brackets are wrong.
    pub(super) fn read(
        piece: Option<&Piece<'_>>,
        value: impl FnMut(char, &Piece<'_>) -> Option<String>,
    ) -> Result<Self, CheckError> {
        let mut read = Self::default();
        for option in piece.map(choose).transpose()?.iter().flatten().filter(|option| "rt".contains(option.letter)) {
            recorded::check(option.argument.as_ref())?;
        }
        let letters = options::read((piece, &KNOWN), value, |letter, argument| read.take(letter, argument))?;
        Ok(Self { letters, ..read })
    }

    fn take(&mut self, letter: char, argument: &str) -> Result<(), CheckError> {
        match letter {
            'B' => self.beep_every = Some(interval(argument)?),
            'V' => self.spoken = options::volume(argument)?,
            'v' => self.heard = options::volume(argument)?,
            'W' => {
                self.spoken = options::volume(argument)?;
                self.heard = self.spoken;
            }
            'i' if argument.is_empty() => return Err(CheckError::Missing("the variable of option i")),
            'i' => self.id_variable = Some(argument.to_owned()),
            'r' => self.received = Some(argument.to_owned()),
            't' => self.sent = Some(argument.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// Whether a letter is there.
    pub(super) fn has(&self, letter: char) -> bool {
        self.letters.contains(letter)
    }
}

fn interval(text: &str) -> Result<Duration, CheckError> {
    if text.is_empty() {
        return Ok(USUAL_BEEP);
    }
    let seconds = text.parse().ok().filter(|seconds| (1..=3_600).contains(seconds));
    let wrong = || CheckError::Malformed { what: "number of seconds from 1 to 3600", found: text.to_owned() };
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    fn read(text: &str) -> Result<Options, CheckError> {
        Options::read(Some(&Template::compile(text).unwrap().piece()), |_, piece| piece.literal())
    }

    #[test]
    fn every_letter_has_its_meaning() {
        let options = read("abpPSDB(5)v(-2)V(3)i(ID)r(in.wav)t(${X}.wav)").unwrap();
        assert_eq!((options.received.as_deref(), options.sent.as_deref()), (Some("in.wav"), None));
        assert!("abpPSD".chars().all(|letter| options.has(letter)) && !options.has('W'));
        assert_eq!((options.beep_every, options.heard, options.spoken), (Some(Duration::from_secs(5)), -2, 3));
        assert_eq!(options.id_variable.as_deref(), Some("ID"));
        assert_eq!(read("B").unwrap().beep_every, Some(USUAL_BEEP));
        assert_eq!(read("W(4)").map(|options| (options.heard, options.spoken)), Ok((4, 4)));
        assert_eq!(read("v(${LEVEL})").map(|options| options.heard), Ok(0), "known when the call is there");
    }

    #[test]
    fn letters_of_asterisk_that_are_not_here_are_refused_with_the_reason() {
        for letter in "cdmn".chars() {
            let error = read(&letter.to_string()).unwrap_err();
            assert!(matches!(error, CheckError::RefusedOption { option, .. } if option == letter), "{error}");
        }
        for wrong in
            ["v(9)", "V", "W(x)", "B(0)", "B(x)", "i()", "i", "z", "r", "t()", "r(a.gsm)", "t(../a.wav)", "${LETTERS}"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
