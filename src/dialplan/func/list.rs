//! `SHIFT(name,delimiter)`, `POP(…)`, `Set(PUSH(…)=value)`, `Set(UNSHIFT(…)=value)`: a variable as a list.

use super::named::Named;
use super::{Func, FuncError, bytes, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

/// The end of a list.
#[derive(Clone, Copy, PartialEq)]
enum End {
    First,
    Last,
}

/// Takes a field off a list.
pub(super) struct Take {
    name: &'static str,
    synopsis: &'static str,
    end: End,
}

pub(super) static SHIFT: Take =
    Take { name: "SHIFT", synopsis: "The first field of a variable, taken off it.", end: End::First };

pub(super) static POP: Take =
    Take { name: "POP", synopsis: "The last field of a variable, taken off it.", end: End::Last };

impl Func for Take {
    fn name(&self) -> &'static str {
        self.name
    }

    fn syntax(&self) -> &'static str {
        "name[,delimiter]"
    }

    fn synopsis(&self) -> &'static str {
        self.synopsis
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let (list, delimiter) = list(scope, &args)?;
        let value = list.read(scope)?;
        if value.is_empty() {
            return Ok(value);
        }
        let (taken, left) = match self.end {
            End::First => value.split_once(delimiter).unwrap_or((&value, "")),
            End::Last => value.rsplit_once(delimiter).map_or((&*value, ""), |(left, taken)| (taken, left)),
        };
        list.write(scope, left.to_owned())?;
        Ok(taken.to_owned())
    }
}

/// Puts fields onto a list.
pub(super) struct Put {
    name: &'static str,
    synopsis: &'static str,
    end: End,
}

pub(super) static PUSH: Put =
    Put { name: "PUSH", synopsis: "Set: puts the value after the fields of a variable.", end: End::Last };

pub(super) static UNSHIFT: Put =
    Put { name: "UNSHIFT", synopsis: "Set: puts the value before the fields of a variable.", end: End::First };

impl Func for Put {
    fn name(&self) -> &'static str {
        self.name
    }

    fn syntax(&self) -> &'static str {
        "name[,delimiter]"
    }

    fn synopsis(&self) -> &'static str {
        self.synopsis
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name"])
    }

    fn read(&self, _scope: &mut dyn Scope, _args: Piece<'_>) -> Result<String, FuncError> {
        Err(FuncError::WriteOnly)
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let (list, delimiter) = list(scope, &args)?;
        let present = list.read_unmarked(scope)?;
        let joined = match self.end {
            _ if present.is_empty() => value,
            End::First => format!("{value}{delimiter}{present}"),
            End::Last => format!("{present}{delimiter}{value}"),
        };
        list.write(scope, joined)
    }
}

/// The list and its delimiter.
fn list<'a>(scope: &mut dyn Scope, args: &Piece<'a>) -> Result<(Named<'a>, char), FuncError> {
    let [name, delimiter] = slots::fixed(args);
    if name.is_empty() {
        return Err(FuncError::Missing("name"));
    }
    let delimiter = delimiter.value(scope);
    Ok((Named::new(&name)?, bytes::encoded(&delimiter).map_or(',', |(delimiter, _)| delimiter)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, set, value_in};
    use crate::dialplan::vars::tests::Variables;
    use crate::dialplan::vars::{MAX_VALUE_BYTES, Scope};

    #[test]
    fn fields_are_taken_off_both_ends_until_none_is_left() {
        let mut scope = Variables::with(&[("array", "one,two,three"), ("d", "a|b")]);
        let mut read = |text: &str| value_in(&mut scope, text);
        assert_eq!(read("${SHIFT(array)}|${array}"), "one|two,three");
        assert_eq!(read("${POP(array)}|${array}"), "three|two");
        assert_eq!(read("${POP(array)}|${array}|${SHIFT(array)}|${POP(array)}"), "two|||");
        assert_eq!(read("${SHIFT(d,|)} ${d}"), "a b");
        assert_eq!(evaluate("${PUSH(array)}", &[]), (String::new(), vec!["PUSH: can only be set".to_owned()]));
    }

    #[test]
    fn fields_are_put_at_both_ends() {
        let mut scope = Variables::default();
        set(&mut scope, "PUSH", "array", "one,two").unwrap();
        set(&mut scope, "PUSH", "array", "three").unwrap();
        set(&mut scope, "UNSHIFT", "array", "zero").unwrap();
        set(&mut scope, "PUSH", "array,\\x7c", "x").unwrap();
        assert_eq!(scope.variable("array").as_deref(), Some("zero,one,two,three|x"));
        set(&mut scope, "PUSH", "__array", "y").unwrap();
        assert_eq!(scope.variable("__array").as_deref(), Some("zero,one,two,three|x,y"));
        set(&mut scope, "PUSH", "CALLERID(name)", "Al").unwrap();
        set(&mut scope, "PUSH", "CALLERID(name)", "Bo").unwrap();
        assert_eq!(scope.caller.name, "Al,Bo");
        assert!(set(&mut scope, "PUSH", "", "Al").is_err());
    }

    #[test]
    fn a_list_does_not_grow_without_end() {
        let mut scope = Variables::default();
        for _ in 0..80 {
            set(&mut scope, "PUSH", "array", &"x".repeat(1000)).unwrap();
        }
        assert_eq!(scope.variable("array").map(|list| list.len()), Some(MAX_VALUE_BYTES));
    }
}
