//! Dialplan applications: one file and one table line each; the order of the table is the order of the manual.

mod answer;
mod authenticate;
mod background;
mod busy;
mod chanspy;
mod confbridge;
mod congestion;
mod db;
mod dbdel;
mod dial;
mod disa;
mod eavesdrop;
mod echo;
mod exec;
mod execif;
mod execiftime;
mod gosub;
mod gosubif;
mod goto;
mod gotoif;
mod gotoiftime;
mod hangup;
mod incomplete;
mod info;
mod log;
mod r#macro;
mod macroexit;
mod mixmonitor;
mod monitor;
mod mset;
mod musiconhold;
mod noop;
mod originate;
mod pausemonitor;
mod playback;
mod playtones;
mod progress;
mod queue_dtmf;
mod read;
mod readexten;
mod record;
mod record_enable;
mod r#return;
mod ringing;
mod sayalpha;
mod saydigits;
mod saynumber;
mod sayphonetic;
mod senddtmf;
mod set;
mod sipaddheader;
mod softhangup;
mod stackpop;
mod stopmixmonitor;
mod stopplaytones;
mod system;
mod tryexec;
mod userevent;
mod verbose;
mod wait;
mod waitexten;
mod waitfornoise;
mod waitforsilence;
mod r#while;

pub(super) use chanspy::ByCode;

use std::pin::Pin;
use std::time::Duration;

use super::args::Args;
use super::piece::Piece;
use super::risk::Risk;
use crate::call::{Channel, Gone, Position};

/// What an application's work is.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How an application's work ended.
pub type Outcome = Result<Next, AppError>;

/// What an application does when it is reached.
pub enum Doing<'a> {
    /// It only computed and is done: nothing was boxed, nobody waited.
    Done(Outcome),
    /// It waits for something.
    Waits(BoxFuture<'a, Outcome>),
}

impl<'a> Doing<'a> {
    /// Work that waits.
    pub fn waits(work: impl Future<Output = Outcome> + Send + 'a) -> Self {
        Self::Waits(Box::pin(work))
    }
}

impl From<Outcome> for Doing<'_> {
    fn from(outcome: Outcome) -> Self {
        Self::Done(outcome)
    }
}

/// An application of the dialplan.
pub trait App: Sync {
    /// As written: `Playback`. Letter case does not count.
    fn name(&self) -> &'static str;
    /// Its arguments, for the manual.
    fn syntax(&self) -> &'static str;
    /// One line for the manual.
    fn synopsis(&self) -> &'static str;
    /// Its option letters or words, for the manual and for [`App::check`].
    fn options(&self) -> &'static [Opt] {
        &[]
    }
    /// Whether it does something with the caller's line; then it ends the `h` extension, which has none.
    fn line(&self) -> Line {
        Line::NotNeeded
    }
    /// What can be known to be wrong with the arguments before any value is.
    ///
    /// # Errors
    /// What is wrong.
    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError>;
    /// The names of sounds among its arguments, so that those which are nowhere can be told before a call needs them.
    fn sounds<'p>(&self, _args: &Piece<'p>) -> Vec<Piece<'p>> {
        Vec::new()
    }
    /// The files that it records into, whose names sounds may have afterwards.
    fn records<'p>(&self, _args: &Piece<'p>) -> Vec<Piece<'p>> {
        Vec::new()
    }
    /// What in its arguments is right and worth a second look all the same.
    fn risks(&self, _args: &Piece<'_>) -> Vec<Risk> {
        Vec::new()
    }
    /// What of its arguments is read whatever they say; an application that leaves some unread says which.
    fn read_first<'p>(&self, args: &Piece<'p>) -> Piece<'p> {
        args.clone()
    }
    /// Does its work.
    ///
    /// # Errors
    /// The channel has hung up, or an argument's value is wrong.
    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a>;
}

/// Whether an application needs the caller's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It only computes.
    NotNeeded,
    /// It speaks to the caller or waits with him.
    Needed,
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt {
    /// The letter, or the word for applications whose options are words.
    pub name: &'static str,
    /// What it does, for the manual.
    pub help: &'static str,
}

/// Where the script goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// At the next priority.
    Continue,
    /// Elsewhere.
    Jump(Jump),
    /// Exactly there; where there is no step, the script ends as at the end of an extension.
    At(Position),
    /// At the `i` extension, `INVALID_EXTEN` being what was dialled; without one at `e`, else nowhere.
    Invalid(String),
    /// At the `t` extension: nothing was dialled in time; without one at `e`, else nowhere.
    Timeout,
    /// Nowhere: the script is over.
    End,
}

/// A place in the dialplan as Goto names it; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jump {
    /// Context.
    pub context: Option<String>,
    /// Extension.
    pub extension: Option<String>,
    /// Number, label, `+2` or `-1`.
    pub priority: String,
}

/// Why an application did not do its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// The channel has hung up: the script unwinds.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// An argument's value is wrong: said in the log, the script goes on.
    #[error(transparent)]
    Argument(#[from] CheckError),
}

/// What is wrong with arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Something that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// More than it takes.
    #[error("takes at most {most} arguments, not {found}")]
    TooMany {
        /// What it takes.
        most: usize,
        /// How many there are.
        found: usize,
    },
    /// An option it does not have.
    #[error("option `{option}` is not supported (known: {known})")]
    UnknownOption {
        /// The letter or word.
        option: String,
        /// The ones there are.
        known: String,
    },
    /// An option that Asterisk has and we have not.
    #[error("option `{option}` is not supported: {why}")]
    RefusedOption {
        /// The letter.
        option: char,
        /// The reason.
        why: &'static str,
    },
    /// A file that is not written.
    #[error("no `.{ending}` is written: {why}")]
    RefusedEnding {
        /// The ending of its name.
        ending: String,
        /// The reason.
        why: &'static str,
    },
    /// Options that come from a variable.
    #[error("options must be written in the file; a value cannot choose them")]
    ComputedOptions,
    /// An option whose `(…)` is missing, not closed or unwanted.
    #[error("option `{option}` {wanted}")]
    OptionArgument {
        /// The letter.
        option: char,
        /// `needs (…)` or the like.
        wanted: &'static str,
    },
    /// A word that is none of those it knows.
    #[error("`{found}` is no {what} (known: {known})")]
    Unknown {
        /// What it should be.
        what: &'static str,
        /// As it is.
        found: String,
        /// Those there are.
        known: String,
    },
    /// A variable that is misspelt, of an application that takes no unknown ones.
    #[error("unknown variable `{name}`{}", super::problem::did_you_mean(.hint))]
    UnknownVariable {
        /// As written.
        name: String,
        /// The nearest one.
        hint: Option<String>,
    },
    /// A function in `Set` that does not exist.
    #[error("unknown function `{name}`{}", super::problem::did_you_mean(.hint))]
    UnknownFunc {
        /// As written.
        name: String,
        /// The nearest one.
        hint: Option<String>,
    },
    /// An encryption key of so many characters; the key itself is not told.
    #[error("the key must be exactly 16 characters, not {0}")]
    KeyLength(usize),
    /// A text that is not what it should be.
    #[error("`{found}` is no {what}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// As it is.
        found: String,
    },
}

/// All applications, sorted by name.
pub static TABLE: &[&dyn App] = &[
    &answer::Answer,
    &authenticate::Authenticate,
    &background::BackGround,
    &busy::Busy,
    &chanspy::ChanSpy,
    &confbridge::ConfBridge,
    &congestion::Congestion,
    &r#while::ContinueWhile,
    &db::Db,
    &dbdel::DbDel,
    &dbdel::DbDelTree,
    &dial::Dial,
    &disa::Disa,
    &eavesdrop::Eavesdrop,
    &echo::Echo,
    &r#while::EndWhile,
    &exec::Exec,
    &execif::ExecIf,
    &execiftime::ExecIfTime,
    &r#while::ExitWhile,
    &chanspy::ExtenSpy,
    &gosub::Gosub,
    &gosubif::GosubIf,
    &goto::Goto,
    &gotoif::GotoIf,
    &gotoiftime::GotoIfTime,
    &hangup::Hangup,
    &incomplete::Incomplete,
    &info::Info,
    &log::Log,
    &r#macro::Macro,
    &macroexit::MacroExit,
    &mixmonitor::MixMonitor,
    &monitor::Monitor,
    &mset::MSet,
    &musiconhold::MusicOnHold,
    &noop::NoOp,
    &originate::Originate,
    &pausemonitor::PauseMonitor,
    &playback::Playback,
    &playtones::Playtones,
    &progress::Progress,
    &queue_dtmf::QueueDtmf,
    &read::Read,
    &readexten::ReadExten,
    &record::Record,
    &r#return::Return,
    &ringing::Ringing,
    &sayalpha::SayAlpha,
    &saydigits::SayDigits,
    &saynumber::SayNumber,
    &sayphonetic::SayPhonetic,
    &senddtmf::SendDtmf,
    &set::Set,
    &sipaddheader::SipAddHeader,
    &softhangup::SoftHangup,
    &stackpop::StackPop,
    &musiconhold::StartMusicOnHold,
    &stopmixmonitor::StopMixMonitor,
    &monitor::StopMonitor,
    &musiconhold::StopMusicOnHold,
    &stopplaytones::StopPlaytones,
    &system::System,
    &tryexec::TryExec,
    &system::TrySystem,
    &pausemonitor::UnpauseMonitor,
    &userevent::UserEvent,
    &eavesdrop::UserSpy,
    &verbose::Verbose,
    &wait::Wait,
    &waitexten::WaitExten,
    &waitfornoise::WaitForNoise,
    &waitforsilence::WaitForSilence,
    &r#while::While,
];

/// The application of this name, or the stand-in for one that is not here; letter case does not count.
pub fn find(name: &str) -> Option<&'static dyn App> {
    TABLE.iter().find(|app| app.name().eq_ignore_ascii_case(name)).copied().or_else(|| super::absent::app(name))
}

/// For applications that take at most `most` arguments: refuses more.
fn at_most(args: &Piece<'_>, most: usize) -> Result<(), CheckError> {
    let found = args.arguments(usize::MAX).len();
    if found > most { Err(CheckError::TooMany { most, found }) } else { Ok(()) }
}

/// A time in seconds, fractions allowed; nothing is `None`.
fn seconds(text: &str) -> Result<Option<Duration>, CheckError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || CheckError::Malformed { what: "time in seconds", found: text.to_owned() };
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| wrong())
}

/// Refuses an argument that is written as something else than a time in seconds.
fn check_seconds(piece: Option<&Piece<'_>>) -> Result<(), CheckError> {
    match piece.and_then(Piece::literal) {
        Some(text) => seconds(&text).map(|_| ()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_entry_is_documented() {
        assert!(TABLE.is_sorted_by(|a, b| a.name().to_lowercase() < b.name().to_lowercase()));
        for app in TABLE {
            assert!(app.synopsis().ends_with('.'), "{}", app.name());
            assert!(app.options().is_sorted_by_key(|option| option.name), "{}", app.name());
        }
    }

    #[test]
    fn names_are_found_in_any_letter_case() {
        assert_eq!(find("noop").map(App::name), Some("NoOp"));
        assert_eq!(find("GOTOIF").map(App::name), Some("GotoIf"));
        assert!(find("Nope").is_none());
    }
}
