//! The options of Dial: those there are, and those of Asterisk's that are refused, each with its reason.

use crate::dialplan::app::senddtmf::keys;
use crate::dialplan::app::{CheckError, Opt};
use crate::dialplan::options::{Chosen, Known, choose_among};
use crate::dialplan::piece::Piece;

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        name: "A",
        help: "A(called[:calling]): plays a sound to the called party, and one to the caller, before they hear each other",
    },
    Opt {
        name: "B",
        help: "B([[context^]extension^]priority[(argument^...)]): a Gosub on the caller before anybody is called",
    },
    Opt { name: "C", help: "the detail record counts from here" },
    Opt {
        name: "D",
        help: "D([called][:calling[:progress]]): keys sent after the answer, before the parties hear each other",
    },
    Opt {
        name: "F",
        help: "F[([[context^]extension^]priority)]: when the caller hangs up, the called party goes on there, else at the next priority",
    },
    Opt {
        name: "G",
        help: "G([[context^]extension^]priority): once answered, the caller goes there and the called party to the priority after",
    },
    Opt { name: "H", help: "the caller may end the call, or the ringing, by *" },
    Opt { name: "I", help: "no changes of the connected party are told (none ever are)" },
    Opt {
        name: "L",
        help: "L(ms[:warning[:repeat]]): the call lasts this long; a sound is played when so much is left, and again each repeat; see LIMIT_WARNING_FILE, LIMIT_TIMEOUT_FILE, LIMIT_CONNECT_FILE, LIMIT_PLAYAUDIO_CALLER, LIMIT_PLAYAUDIO_CALLEE",
    },
    Opt { name: "Q", help: "Q(cause): what phones that stop ringing are told when another one answers" },
    Opt { name: "R", help: "the caller hears that it rings from the start; early media breaks in" },
    Opt { name: "S", help: "S(seconds): the call lasts this long after the answer" },
    Opt { name: "T", help: "the caller may send the called party elsewhere by # and a number" },
    Opt {
        name: "U",
        help: "U(context[^argument...]): a Gosub to s,1 there on the called party before it is connected; GOSUB_RESULT may be ABORT, BUSY, CONGESTION, CONTINUE or GOTO:[[context^]extension^]priority",
    },
    Opt { name: "a", help: "the caller is answered as soon as the called party answers, before anything is played" },
    Opt {
        name: "b",
        help: "b([[context^]extension^]priority[(argument^...)]): a Gosub on each called party before it is called",
    },
    Opt { name: "c", help: "phones that stop ringing because the caller gave up are told: answered elsewhere" },
    Opt {
        name: "d",
        help: "a key pressed while it rings leads to the extension of that digit in EXITCONTEXT, else here",
    },
    Opt { name: "e", help: "runs the h extension for the called party too" },
    Opt { name: "g", help: "goes on at the next priority when the called party hangs up" },
    Opt { name: "h", help: "the called party may end the call by *" },
    Opt { name: "i", help: "forwards by a phone are not followed (none ever are)" },
    Opt { name: "j", help: "the streams of the caller stay as they are (they always do)" },
    Opt { name: "m", help: "m[(class)]: the caller hears music until the answer" },
    Opt { name: "o", help: "o[(number)]: the number shown as calling; without one the caller's own, as always" },
    Opt { name: "r", help: "r[(tone)]: the caller hears our ringing tone, or this one, and no early media" },
    Opt { name: "t", help: "the called party may send the caller elsewhere by # and a number" },
    Opt { name: "u", help: "u(presentation): how the caller is shown: allowed..., prohib... or unavailable" },
];

const KNOWN: Known<'_> = Known {
    options: OPTIONS,
    with_argument: &['A', 'B', 'D', 'G', 'L', 'Q', 'S', 'U', 'b', 'u'],
    may_have_argument: &['F', 'm', 'o', 'r'],
    refused: &[
        ('E', "there is no MF or SF signalling on SIP"),
        ('K', "there is no parking"),
        ('M', "Asterisk has it no more: write U(context^argument) and end it by Return"),
        ('N', "there is no screening of callers: Read() in a subroutine of U() does it"),
        ('O', "operator services belong to analogue lines"),
        ('P', "there is no privacy database: Read() in a subroutine of U() does it"),
        ('W', "calls are not recorded by keys"),
        ('X', "calls are not recorded by keys"),
        ('f', "forwards by a phone are not followed"),
        ('k', "there is no parking"),
        ('n', "there is no screening of callers: Read() in a subroutine of U() does it"),
        ('p', "there is no screening of callers: Read() in a subroutine of U() does it"),
        ('s', "caller ids have no tag on SIP"),
        ('w', "calls are not recorded by keys"),
        ('x', "calls are not recorded by keys"),
        ('z', "forwards by a phone are not followed"),
    ],
};

/// The options as written.
pub(super) fn chosen<'a>(options: &Piece<'a>) -> Result<Vec<Chosen<'a>>, CheckError> {
    choose_among(options, &KNOWN)
}

/// What can be known to be wrong with an option's argument.
pub(super) fn check(option: &Chosen<'_>) -> Result<(), CheckError> {
    let Some(argument) = &option.argument else { return Ok(()) };
    let parts = |most: usize, delimiter| {
        let found = argument.split(delimiter).len();
        if found > most { Err(CheckError::TooMany { most, found }) } else { Ok(()) }
    };
    match option.letter {
        'D' => {
            parts(3, ':')?;
            argument.split(':').iter().filter_map(Piece::literal).try_for_each(|text| keys(text).map(|_| ()))
        }
        'A' => parts(2, ':'),
        'L' => parts(3, ':'),
        'F' | 'G' => parts(3, '^'),
        _ => Ok(()),
    }
}
