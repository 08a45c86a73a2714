//! Functions of one text that look at nothing else: the frame they share.

use super::{Func, FuncError};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

/// A function of one text, commas and all.
pub(super) struct Plain {
    pub(super) name: &'static str,
    pub(super) syntax: &'static str,
    pub(super) synopsis: &'static str,
    pub(super) empty: Empty,
    pub(super) value: fn(&str) -> String,
}

/// What a function does when it is given nothing.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Empty {
    /// What it always does.
    Taken,
    /// It has no value.
    Refused,
}

impl Func for Plain {
    fn name(&self) -> &'static str {
        self.name
    }

    fn syntax(&self) -> &'static str {
        self.syntax
    }

    fn synopsis(&self) -> &'static str {
        self.synopsis
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() && self.empty == Empty::Refused {
            return Err(CheckError::Missing(self.syntax));
        }
        Ok(())
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let text = args.value(scope);
        if text.is_empty() && self.empty == Empty::Refused {
            return Err(FuncError::Missing(self.syntax));
        }
        Ok((self.value)(&text))
    }
}
