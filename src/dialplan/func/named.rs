//! Arguments that name what to work on: `${CUT(CHANNEL,-,1)}` reads CHANNEL. Below: `vars`.
//!
//! A name may be that of a variable with a substring, `EXTEN:1`, or a function, `CALLERID(num)`. Which of the two is
//! decided by what is written: a value never becomes a call.

use super::{Func, FuncError, find};
use crate::dialplan::piece::{Bit, Piece};
use crate::dialplan::vars::{self, Scope};

/// What an argument names.
pub(super) struct Named<'a> {
    what: What<'a>,
    slice: Option<Piece<'a>>,
}

enum What<'a> {
    Variable(Piece<'a>),
    Func(&'static dyn Func, Piece<'a>),
}

impl<'a> Named<'a> {
    /// Takes a name apart.
    ///
    /// # Errors
    /// It names a function that does not exist.
    pub(super) fn new(name: &Piece<'a>) -> Result<Self, FuncError> {
        if let Some((func, rest)) = name.split_once('(')
            && let Some((args, after)) = rsplit_once(&rest, ')')
        {
            let func = func.trim().literal().unwrap_or_default();
            let func = find(&func).ok_or(FuncError::Argument(func))?;
            let slice = after.split_once(':').map(|(_, slice)| slice);
            return Ok(Self { what: What::Func(func, args), slice });
        }
        Ok(match name.split_once(':') {
            Some((name, slice)) => Self { what: What::Variable(name), slice: Some(slice) },
            None => Self { what: What::Variable(name.clone()), slice: None },
        })
    }

    /// Its value, empty when there is none.
    pub(super) fn read(&self, scope: &mut dyn Scope) -> Result<String, FuncError> {
        let whole = match &self.what {
            What::Variable(name) => {
                let name = name.value(scope);
                scope.variable(&name).unwrap_or_default()
            }
            What::Func(func, args) => func.read(scope, args.clone())?,
        };
        let Some(slice) = &self.slice else { return Ok(whole) };
        let slice = slice.value(scope);
        Ok(vars::sliced(&whole, &slice))
    }

    /// The value of what stays when marks for inheritance, `_` or `__`, are left off.
    pub(super) fn read_unmarked(&self, scope: &mut dyn Scope) -> Result<String, FuncError> {
        let What::Variable(name) = &self.what else { return self.read(scope) };
        let name = name.value(scope);
        let plain = name.strip_prefix("__").or_else(|| name.strip_prefix('_')).unwrap_or(&name);
        Ok(scope.variable(plain).unwrap_or_default())
    }

    /// Sets it.
    pub(super) fn write(self, scope: &mut dyn Scope, value: String) -> Result<(), FuncError> {
        let value = vars::limit(value, scope);
        match self.what {
            What::Variable(name) => {
                let name = name.value(scope);
                scope.set_variable(&name, value);
                Ok(())
            }
            What::Func(func, args) => func.write(scope, args, value),
        }
    }
}

/// The value of what an argument names.
pub(super) fn read(scope: &mut dyn Scope, name: &Piece<'_>) -> Result<String, FuncError> {
    Named::new(name)?.read(scope)
}

/// At the last written `delimiter`.
fn rsplit_once<'a>(piece: &Piece<'a>, delimiter: char) -> Option<(Piece<'a>, Piece<'a>)> {
    let bits = piece.bits();
    bits.iter().enumerate().rev().find_map(|(index, bit)| {
        let Bit::Text(text) = *bit else { return None };
        let (before, after) = text.rsplit_once(delimiter)?;
        let mut left = bits.get(..index)?.to_vec();
        left.push(Bit::Text(before));
        let mut right = vec![Bit::Text(after)];
        right.extend_from_slice(bits.get(index + 1..)?);
        Some((Piece::new(left), Piece::new(right)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;
    use crate::dialplan::vars::tests::Variables;

    fn named(text: &str) -> Result<String, FuncError> {
        let mut scope = Variables::with(&[("V", "0123456789"), ("EVIL", "CALLERID(num)"), ("N", "V"), ("O", "7")]);
        scope.caller.number = "+44-123".to_owned();
        read(&mut scope, &Template::compile(text).unwrap().piece())
    }

    #[test]
    fn variables_substrings_and_functions_are_named_but_values_never_call() {
        for (text, expected) in [
            ("V", "0123456789"),
            ("V:8", "89"),
            ("V:1:2", "12"),
            ("V:${O}:-1", "78"),
            ("V:x", "0123456789"),
            ("${N}", "0123456789"),
            ("CALLERID(num)", "+44-123"),
            ("CALLERID(num):1:2", "44"),
            ("${EVIL}", ""),
            ("nothing", ""),
        ] {
            assert_eq!(named(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(named("NOSUCH(x)"), Err(FuncError::Argument("NOSUCH".to_owned())));
    }
}
