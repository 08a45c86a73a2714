//! Dialplan functions, `${NAME(args)}` and `Set(NAME(args)=value)`: one file and one table line each.

mod aes;
mod array;
mod base64;
mod bytes;
pub(super) mod callerid;
mod cdr;
mod channel;
mod confbridge_info;
mod connectedline;
mod cut;
pub(super) mod db;
pub(super) mod db_words;
mod device_state;
mod dialplan_exists;
mod digest;
mod env;
mod eval;
mod exists;
mod extension_state;
mod extreme;
mod field;
mod filter;
mod global;
mod group;
mod hangupcause;
mod hash;
mod r#if;
mod iftime;
mod isnull;
mod letters;
mod list;
mod listfilter;
mod local;
mod math;
mod mixmonitor;
mod named;
mod passthru;
mod pin_check;
mod pjsip_header;
mod plain;
mod printf;
mod quote;
mod rand;
mod regex;
mod replace;
mod scan;
mod secret;
mod set;
mod shared;
mod slots;
mod sort;
mod sprintf;
mod step;
mod strftime;
mod strptime;
#[cfg(test)]
mod testing;
mod timeout;
mod trim;
mod uri;
mod uuid;
mod version;
mod zone;

use std::fmt;

use super::app::{BoxFuture, CheckError};
use super::piece::Piece;
use super::settle::Secrecy;
use super::vars::Scope;
use crate::call::Channel;

/// A function of the dialplan.
pub trait Func: Sync {
    /// As written: `CALLERID`.
    fn name(&self) -> &'static str;
    /// Its arguments, for the manual.
    fn syntax(&self) -> &'static str;
    /// One line for the manual.
    fn synopsis(&self) -> &'static str;
    /// What can be known to be wrong with the arguments before any value is; nothing, unless a function says otherwise.
    ///
    /// # Errors
    /// What is wrong.
    fn check(&self, _args: &Piece<'_>) -> Result<(), CheckError> {
        Ok(())
    }
    /// Its value.
    ///
    /// # Errors
    /// Why there is none; the script goes on with an empty one.
    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError>;
    /// Sets it.
    ///
    /// # Errors
    /// Why it was not set, [`FuncError::ReadOnly`] for most; the script goes on.
    fn write(&self, _scope: &mut dyn Scope, _args: Piece<'_>, _value: String) -> Result<(), FuncError> {
        Err(FuncError::ReadOnly)
    }
    /// Sets it to text of the dialplan, in which nothing comes from outside; only functions that name variables care.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn write_text(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        self.write(scope, args, value)
    }
    /// How it is read; most at once.
    fn reading(&self) -> Setting {
        Setting::AtOnce
    }
    /// Reads it, where [`Self::reading`] says that this takes time: the work, to be waited for.
    fn read_later(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Later<ReadLater> {
        let read = self.read(scope, args);
        Box::pin(async move { read.map(ReadLater::of) })
    }
    /// What [`Self::read_later`] leaves behind when it fails.
    fn read_failed(&self, _scope: &mut dyn Scope) {}
    /// How it is set; most at once.
    fn setting(&self) -> Setting {
        Setting::AtOnce
    }
    /// Sets it, where [`Self::setting`] says that this takes time: the work, to be waited for.
    fn write_later(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Later {
        let done = self.write(scope, args, value);
        Box::pin(async move { done })
    }
    /// Whether it only chooses among its written arguments: then [`Self::chosen`] does.
    fn chooses(&self) -> bool {
        false
    }
    /// Whether what it stands for is to be shown to nobody.
    fn is_secret(&self, _scope: &mut dyn Scope, _args: &Piece<'_>) -> bool {
        false
    }
    /// For a function that only chooses among its written arguments: the one chosen, not yet evaluated, so that what is
    /// written in it may still be split as the arguments of an application.
    fn chosen<'p>(&self, _scope: &mut dyn Scope, _args: &Piece<'p>) -> Option<Piece<'p>> {
        None
    }
}

/// Whether setting a function can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// [`Func::write`] is quick.
    AtOnce,
    /// It writes to a disk: who can wait calls [`Func::write_later`].
    TakesTime,
}

/// Work of a function that takes time.
pub type Later<T = ()> = BoxFuture<'static, Result<T, FuncError>>;

/// What came of reading a function that takes time.
#[derive(Debug)]
pub struct ReadLater {
    /// Its value.
    pub(super) value: String,
    /// Variables that it sets.
    pub(super) variables: Vec<(&'static str, String)>,
    pub(super) secrecy: Secrecy,
}

impl ReadLater {
    fn of(value: String) -> Self {
        Self { value, variables: Vec::new(), secrecy: Secrecy::Open }
    }
}

impl fmt::Debug for dyn Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a function has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FuncError {
    /// An argument that is none of those it takes.
    #[error("`{0}` is no argument of it")]
    Argument(String),
    /// An argument that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Set, though it can only be read.
    #[error("can only be read")]
    ReadOnly,
    /// Read, though it can only be set.
    #[error("can only be set")]
    WriteOnly,
    /// A value that should be a number.
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// A variable that must have a value.
    #[error("`{0}` is not set")]
    Unset(String),
    /// A variable of the environment that scripts may not read.
    #[error("`{0}` is not in [dialplan] env")]
    NotListed(String),
    /// A time zone nobody knows.
    #[error("there is no time zone `{0}`")]
    NoZone(String),
    /// An encryption key of so many characters.
    #[error("the key must be exactly 16 characters, not {0}")]
    KeyLength(usize),
    /// The store waits for its key.
    #[error("the store is locked: `astdb unlock` gives the server its key")]
    StoreLocked,
    /// Asked where there is no call, as in `pbx eval`.
    #[error("needs a call")]
    NoCall,
    /// Anything else, as a sentence.
    #[error("{0}")]
    Wrong(String),
}

/// All functions, in the order of the manual.
pub static TABLE: &[&dyn Func] = &[
    &extreme::Abs,
    &aes::Aes::Decrypt,
    &aes::Aes::Encrypt,
    &array::Array,
    &mixmonitor::AudiohookInherit,
    &base64::BASE64_DECODE,
    &base64::BASE64_ENCODE,
    &callerid::CallerId,
    &cdr::Cdr,
    &channel::Channel,
    &confbridge_info::ConfBridgeInfo,
    &connectedline::ConnectedLine,
    &quote::CSV_QUOTE,
    &cut::Cut,
    &db::Db,
    &db::DbDelete,
    &db::DbExists,
    &db::DbKeyCount,
    &db::DbKeys,
    &step::DEC,
    &device_state::DeviceState,
    &dialplan_exists::DialplanExists,
    &letters::DIGIT_SUM,
    &env::EnvVar,
    &eval::Eval,
    &exists::Exists,
    &extension_state::ExtensionState,
    &field::FieldNum,
    &field::FieldQty,
    &filter::Filter,
    &global::Global,
    &group::Group::Own,
    &group::Group::Count,
    &group::Group::First,
    &group::Group::List,
    &group::Group::MatchCount,
    &hangupcause::HangupCause,
    &hash::Hash,
    &hash::HashKeys,
    &r#if::If,
    &iftime::IfTime,
    &step::INC,
    &isnull::IsNull,
    &letters::KEYPADHASH,
    &letters::LEN,
    &listfilter::ListFilter,
    &local::Local,
    &trim::LTRIM,
    &math::Math,
    &extreme::MAX,
    &digest::MD5,
    &extreme::MIN,
    &mixmonitor::MixMonitor,
    &passthru::Passthru,
    &pin_check::PinCheck,
    &pjsip_header::PjsipHeader,
    &list::POP,
    &list::PUSH,
    &quote::QUOTE,
    &rand::Rand,
    &mixmonitor::RecordingInfo,
    &regex::RegexFunc,
    &replace::Replace,
    &trim::RTRIM,
    &secret::Secret,
    &set::Set,
    &digest::SHA1,
    &shared::Shared,
    &list::SHIFT,
    &pjsip_header::SipHeader,
    &sort::Sort,
    &sprintf::Sprintf,
    &replace::StrBetween,
    &strftime::Strftime,
    &strptime::Strptime,
    &replace::StrReplace,
    &timeout::Timeout,
    &letters::TOLOWER,
    &letters::TOUPPER,
    &trim::TRIM,
    &list::UNSHIFT,
    &uri::URIDECODE,
    &uri::URIENCODE,
    &uuid::Uuid,
    &version::Version,
    &db_words::DbWords,
];

/// The channel of the script.
fn channel(scope: &mut dyn Scope) -> Result<&mut Channel, FuncError> {
    scope.channel().ok_or(FuncError::NoCall)
}

/// Refuses a word that is written out and is none of those known.
fn known(
    word: &Piece<'_>,
    what: &'static str,
    words: impl IntoIterator<Item = &'static str>,
) -> Result<(), CheckError> {
    let Some(found) = word.literal() else { return Ok(()) };
    let words: Vec<_> = words.into_iter().collect();
    if words.iter().any(|known| known.eq_ignore_ascii_case(found.trim())) {
        return Ok(());
    }
    Err(CheckError::Unknown { what, found, known: words.join(", ") })
}

/// The function of this name, or the stand-in for one that is not here.
pub fn find(name: &str) -> Option<&'static dyn Func> {
    let index = TABLE.binary_search_by(|func| func.name().cmp(name)).ok();
    index.and_then(|index| TABLE.get(index).copied()).or_else(|| super::absent::function(name))
}

#[cfg(test)]
mod tests {
    use super::testing::value_in;
    use super::*;
    use crate::dialplan::template::Template;
    use crate::dialplan::vars::MAX_VALUE_BYTES;
    use crate::dialplan::vars::tests::Variables;

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.name() < b.name()));
    }

    #[test]
    fn every_function_says_in_a_sentence_what_it_is() {
        for func in TABLE {
            assert!(func.synopsis().ends_with('.'), "{}", func.name());
        }
    }

    #[test]
    fn the_longest_values_make_no_function_slow_or_its_value_longer() {
        let long = "a-1,%s".repeat(MAX_VALUE_BYTES / 6);
        let variables = [("V", long.as_str()), ("X", "-")];
        for func in TABLE {
            for args in ["V,${V},${V},${V}", "${V},${V}", "V,${X},1-", "V,-,${V}", "\"${V}\" ${V}", "${V}"] {
                let call = format!("${{{}({args})}}", func.name());
                let Ok(template) = Template::compile(&call) else { continue };
                let mut scope = Variables::with(&variables);
                assert!(template.piece().value(&mut scope).len() <= MAX_VALUE_BYTES, "{call}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_arguments_of_any_function_are_survived(
            func in 0..TABLE.len(),
            args in "([a-z0-9,:&\"\\\\%+*-]|\\$\\{V\\}|\\$\\{W\\}|V|é){0,12}",
            v in "\\PC{0,12}",
            w in "[-0-9.,%:a-f]{0,12}",
        ) {
            let name = TABLE[func].name();
            let mut scope = Variables::with(&[("V", &v), ("W", &w)]);
            if Template::compile(&format!("${{{name}({args})}}")).is_ok() {
                value_in(&mut scope, &format!("${{{name}({args})}}"));
                let _ = testing::set(&mut scope, name, &args, &w);
            }
        }
    }
}
