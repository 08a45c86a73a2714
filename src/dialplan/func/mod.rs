//! Dialplan functions, `${NAME(args)}` and `Set(NAME(args)=value)`: one file and one table line each.

mod callerid;
mod dialplan_exists;
mod eval;
mod exists;
mod global;
mod r#if;
mod iftime;
mod isnull;
mod local;
mod set;

use std::fmt;

use super::app::CheckError;
use super::piece::Piece;
use super::vars::Scope;

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
    /// For a function that only chooses among its written arguments: the one chosen, not yet evaluated, so that what is
    /// written in it may still be split as the arguments of an application.
    fn chosen<'p>(&self, _scope: &mut dyn Scope, _args: &Piece<'p>) -> Option<Piece<'p>> {
        None
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
    /// Asked where there is no call, as in `pbx eval`.
    #[error("needs a call")]
    NoCall,
    /// Anything else, as a sentence.
    #[error("{0}")]
    Wrong(String),
}

/// All functions, in the order of the manual.
pub static TABLE: &[&dyn Func] = &[
    &callerid::CallerId,
    &dialplan_exists::DialplanExists,
    &eval::Eval,
    &exists::Exists,
    &global::Global,
    &r#if::If,
    &iftime::IfTime,
    &isnull::IsNull,
    &local::Local,
    &set::Set,
];

/// The function of this name.
pub fn find(name: &str) -> Option<&'static dyn Func> {
    let index = TABLE.binary_search_by(|func| func.name().cmp(name)).ok()?;
    TABLE.get(index).copied()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sorted() {
        assert!(super::TABLE.is_sorted_by(|a, b| a.name() < b.name()));
    }
}
