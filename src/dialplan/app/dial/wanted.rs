//! What one Dial asks for, its values known.

use std::time::Duration;

use super::options;
use crate::call::dial::CancelAs;
use crate::call::target::{self, Target};
use crate::call::{Cause, Channel};
use crate::dialplan::app::playtones;
use crate::dialplan::app::senddtmf::keys;
use crate::dialplan::app::{CheckError, Jump, seconds};
use crate::dialplan::args::Args;
use crate::dialplan::exec::Argument;
use crate::dialplan::options::Chosen;
use crate::dialplan::piece::Piece;
use crate::media::Source;

/// Everything that was asked for.
pub(super) struct Wanted {
    pub(super) targets: Vec<Target>,
    pub(super) timeout: Option<Duration>,
    /// Give up earlier when no phone has said anything.
    pub(super) silence: Option<Duration>,
    /// The options without arguments.
    letters: String,
    pub(super) hears: Hearing,
    pub(super) keys: Keys,
    /// Sounds for the called party and the caller.
    pub(super) announce: [String; 2],
    /// Subroutines: on the caller, on each called party before it is called, on the one that answered.
    pub(super) first: Option<Sub>,
    pub(super) before: Option<Sub>,
    pub(super) screen: Option<Sub>,
    /// Where the called party goes when the caller hangs up.
    pub(super) orphan: Option<Orphan>,
    /// Where the caller goes once answered, the called party one priority further.
    pub(super) part_at: Option<Jump>,
    pub(super) limit: Option<Limit>,
    pub(super) shown: Shown,
    pub(super) lose_as: Cause,
}

/// Rows of keys to be pressed.
#[derive(Default)]
pub(super) struct Keys {
    /// For the called party, after the answer.
    pub(super) called: String,
    /// For the caller, at the same time.
    pub(super) calling: String,
    /// For the called party, when its early media begins.
    pub(super) progress: String,
}

/// What the caller hears until the answer.
#[derive(Clone, Debug)]
pub(super) enum Hearing {
    FarSide,
    RingingFirst,
    Ringing,
    Tone(Source),
    Music(String),
}

/// A subroutine and its arguments.
pub(super) struct Sub {
    pub(super) target: Jump,
    pub(super) arguments: Vec<Argument>,
}

/// Where a called party goes whose caller hung up.
pub(super) enum Orphan {
    NextPriority,
    At(Jump),
}

/// How long a call may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) total: Duration,
    /// A warning when so much is left.
    pub(super) warning: Option<Duration>,
    /// The warning again after this.
    pub(super) repeat: Option<Duration>,
}

/// Who is shown as calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Caller,
    Number(String),
    Nobody,
}

impl Wanted {
    /// Reads the arguments. What an administrator wrote is split wherever it stands; what came from a call is never.
    pub(super) fn read(chan: &mut Channel, args: &Args<'_>) -> Result<Self, CheckError> {
        let written = args.written(chan, args.piece());
        let pieces = written.piece().arguments(3);
        let targets = targets(chan, args, pieces.first().ok_or(CheckError::Missing("the target"))?)?;
        let mut times = pieces.get(1).map(|timeout| timeout.split('^')).unwrap_or_default().into_iter();
        let mut time = || times.next().map_or(Ok(None), |time| seconds(&args.value(chan, &time)));
        let (timeout, silence) = (time()?, time()?);
        let chosen = pieces.get(2).map(options::chosen).transpose()?.unwrap_or_default();
        let letters = chosen.iter().filter(|option| option.argument.is_none()).map(|option| option.letter).collect();
        let mut reader = Reader { chan, args, chosen: &chosen };
        Ok(Self {
            targets,
            timeout,
            silence,
            letters,
            hears: reader.hearing()?,
            keys: reader.keys()?,
            announce: reader.rows('A'),
            first: reader.sub('B')?,
            before: reader.sub('b')?,
            screen: reader.screen(),
            orphan: reader.orphan(),
            part_at: reader.get('G').map(|place| reader.jump(&place)),
            limit: reader.limit()?,
            shown: reader.shown()?,
            lose_as: reader.lose_as()?,
        })
    }

    /// Whether an option without an argument was given.
    pub(super) fn has(&self, letter: char) -> bool {
        self.letters.contains(letter)
    }

    pub(super) fn cancel_as(&self) -> CancelAs {
        if self.has('c') { CancelAs::AnsweredElsewhere } else { CancelAs::Missed }
    }
}

/// The targets between written `&`. One that names nobody rings nowhere.
fn targets(chan: &mut Channel, args: &Args<'_>, all: &Piece<'_>) -> Result<Vec<Target>, CheckError> {
    let mut targets = Vec::new();
    let mut none = true;
    for piece in all.split('&') {
        let (text, values) = args.spelled(chan, &piece.trim());
        if text.trim().is_empty() {
            continue;
        }
        none = false;
        match target::parse_spelled(&text, &values) {
            Ok(target) => targets.push(target),
            Err(error) => tracing::warn!(uuid = chan.uuid(), %error, "Dial"),
        }
    }
    if none { Err(CheckError::Missing("the target")) } else { Ok(targets) }
}

/// The options of one Dial, and the scope in which their arguments are computed.
struct Reader<'r, 'a> {
    chan: &'r mut Channel,
    args: &'r Args<'a>,
    chosen: &'r [Chosen<'r>],
}

impl<'r> Reader<'r, '_> {
    fn has(&self, letter: char) -> bool {
        self.chosen.iter().any(|option| option.letter == letter)
    }

    /// The argument of an option that was given one; of two, the last.
    fn get(&self, letter: char) -> Option<Piece<'r>> {
        self.chosen.iter().rfind(|option| option.letter == letter)?.argument.clone()
    }

    fn value(&mut self, piece: &Piece<'_>) -> String {
        self.args.value(self.chan, piece).trim().to_owned()
    }

    fn text(&mut self, letter: char) -> Option<String> {
        self.get(letter).map(|argument| self.value(&argument))
    }

    /// The parts of an argument between colons, empty where none is written.
    fn rows<const COUNT: usize>(&mut self, letter: char) -> [String; COUNT] {
        let rows = self.get(letter).map(|argument| argument.split(':')).unwrap_or_default();
        std::array::from_fn(|at| rows.get(at).map(|row| self.value(row)).unwrap_or_default())
    }

    fn keys(&mut self) -> Result<Keys, CheckError> {
        let [called, calling, progress] = self.rows('D');
        Ok(Keys { called: keys(called)?, calling: keys(calling)?, progress: keys(progress)? })
    }

    fn hearing(&mut self) -> Result<Hearing, CheckError> {
        if self.has('m') {
            return Ok(Hearing::Music(self.text('m').unwrap_or_default()));
        }
        match self.text('r').filter(|tone| !tone.is_empty()) {
            Some(tone) => playtones::source(&tone).map(Hearing::Tone),
            None if self.has('r') => Ok(Hearing::Ringing),
            None if self.has('R') => Ok(Hearing::RingingFirst),
            None => Ok(Hearing::FarSide),
        }
    }

    /// `[[context^]extension^]priority`
    fn jump(&mut self, place: &Piece<'_>) -> Jump {
        let mut values = place.split('^').into_iter().rev();
        let priority = values.next().map(|part| self.value(&part)).unwrap_or_default();
        let mut part = || values.next().map(|part| self.value(&part)).filter(|part| !part.is_empty());
        let (extension, context) = (part(), part());
        Jump { context, extension, priority }
    }

    fn arguments(&mut self, pieces: Vec<Piece<'_>>) -> Vec<Argument> {
        let one = |piece: Piece<'_>| {
            let written = self.args.is_written(self.chan, &piece);
            Argument { value: self.args.value(self.chan, &piece), written }
        };
        pieces.into_iter().map(one).collect()
    }

    /// `[[context^]extension^]priority[(argument^...)]`
    fn sub(&mut self, letter: char) -> Result<Option<Sub>, CheckError> {
        let Some(call) = self.get(letter) else { return Ok(None) };
        let Some((place, arguments)) = call.split_once('(') else {
            return Ok(Some(Sub { target: self.jump(&call), arguments: Vec::new() }));
        };
        let arguments = arguments.trim().strip_suffix(')').ok_or(CheckError::Missing("`)` after the arguments"))?;
        let arguments = if arguments.is_empty() { Vec::new() } else { self.arguments(arguments.split('^')) };
        Ok(Some(Sub { target: self.jump(&place), arguments }))
    }

    /// `context[^argument...]`: the subroutine begins at `s`.
    fn screen(&mut self) -> Option<Sub> {
        let mut parts = self.get('U')?.split('^').into_iter();
        let context = parts.next().map(|context| self.value(&context));
        let target = Jump { context, extension: Some("s".to_owned()), priority: "1".to_owned() };
        let arguments = self.arguments(parts.collect());
        Some(Sub { target, arguments })
    }

    fn orphan(&mut self) -> Option<Orphan> {
        match self.get('F') {
            Some(place) if !place.is_empty() => Some(Orphan::At(self.jump(&place))),
            _ => self.has('F').then_some(Orphan::NextPriority),
        }
    }

    fn limit(&mut self) -> Result<Option<Limit>, CheckError> {
        if let Some(time) = self.text('S') {
            let total = seconds(&time)?.filter(|time| !time.is_zero());
            return Ok(total.map(|total| Limit { total, warning: None, repeat: None }));
        }
        if !self.has('L') {
            return Ok(None);
        }
        let mut ms = self.rows::<3>('L').into_iter().map(|text| match text.parse() {
            Ok(0) => Ok(None),
            Ok(ms) => Ok(Some(Duration::from_millis(ms))),
            Err(_) if text.is_empty() => Ok(None),
            Err(_) => Err(CheckError::Malformed { what: "number of milliseconds", found: text }),
        });
        let mut next = || ms.next().unwrap_or(Ok(None));
        let (total, warning, repeat) = (next()?, next()?, next()?);
        Ok(total.map(|total| Limit { total, warning: warning.filter(|warning| *warning < total), repeat }))
    }

    fn shown(&mut self) -> Result<Shown, CheckError> {
        if let Some(how) = self.text('u') {
            return match how.as_str() {
                "unavailable" => Ok(Shown::Nobody),
                how if how.starts_with("prohib") => Ok(Shown::Nobody),
                how if how.starts_with("allowed") => Ok(Shown::Caller),
                _ => Err(CheckError::Unknown {
                    what: "presentation",
                    found: how,
                    known: "allowed, allowed_not_screened, allowed_passed_screen, allowed_failed_screen, prohib, \
                            prohib_not_screened, prohib_passed_screen, prohib_failed_screen, unavailable"
                        .to_owned(),
                }),
            };
        }
        Ok(self.text('o').filter(|number| !number.is_empty()).map_or(Shown::Caller, Shown::Number))
    }

    fn lose_as(&mut self) -> Result<Cause, CheckError> {
        let Some(word) = self.text('Q') else { return Ok(Cause::ANSWERED_ELSEWHERE) };
        Cause::from_word(&word).ok_or(CheckError::Malformed { what: "cause", found: word })
    }
}
