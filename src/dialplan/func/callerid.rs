//! `CALLERID(num|name|all)`: who calls, as those called will see it.

use crate::config::CallerIdText;

use super::{Func, FuncError};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct CallerId;

/// A part of a caller id.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Number,
    Name,
    All,
}

impl Field {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().as_str() {
            "num" | "number" => Some(Self::Number),
            "name" => Some(Self::Name),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

impl Func for CallerId {
    fn name(&self) -> &'static str {
        "CALLERID"
    }

    fn syntax(&self) -> &'static str {
        "num|name|all"
    }

    fn synopsis(&self) -> &'static str {
        "The caller's number, name, or both as \"name\" <number>; can be set."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        match args.literal() {
            Some(word) if Field::from_word(&word).is_none() => {
                Err(CheckError::Unknown { what: "argument", found: word, known: self.syntax().to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let word = args.value(scope);
        let caller = scope.caller();
        match Field::from_word(&word).ok_or(FuncError::Argument(word))? {
            Field::Number => Ok(caller.number),
            Field::Name => Ok(caller.name),
            Field::All => Ok(all(&caller)),
        }
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let word = args.value(scope);
        let caller = scope.caller();
        let changed = match Field::from_word(&word).ok_or(FuncError::Argument(word))? {
            Field::Number => CallerIdText { number: value, ..caller },
            Field::Name => CallerIdText { name: value, ..caller },
            Field::All => split_all(&value),
        };
        scope.set_caller(changed);
        Ok(())
    }
}

/// `"Alice" <1001>`, or a number alone.
pub(super) fn all(caller: &CallerIdText) -> String {
    if caller.name.is_empty() { caller.number.clone() } else { format!("\"{}\" <{}>", caller.name, caller.number) }
}

/// `"Alice" <1001>`, `Alice <1001>` or a number alone.
pub(in crate::dialplan) fn split_all(text: &str) -> CallerIdText {
    let text = text.trim();
    let (name, number) = match text.rsplit_once('<') {
        Some((name, number)) => (name, number.trim_end_matches('>')),
        None => ("", text),
    };
    CallerIdText { name: name.trim().trim_matches('"').to_owned(), number: number.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;
    use crate::dialplan::vars::tests::Variables;

    #[test]
    fn each_field_is_read_and_set() {
        let mut scope = Variables::default();
        let all = Template::literal("all");
        CallerId.write(&mut scope, all.piece(), "\"Alice A.\" <1001>".to_owned()).unwrap();
        let mut read = |text: &str| Template::compile(text).unwrap().piece().value(&mut scope);
        assert_eq!(read("${CALLERID(num)}|${CALLERID(name)}"), "1001|Alice A.");
        assert_eq!(read("${CALLERID(all)}"), "\"Alice A.\" <1001>");
        assert_eq!(read("${CALLERID(name):0:5}"), "Alice");
        CallerId.write(&mut scope, Template::literal("num").piece(), "7".to_owned()).unwrap();
        assert_eq!(scope.caller, CallerIdText { name: "Alice A.".into(), number: "7".into() });
    }

    #[test]
    fn an_argument_it_does_not_have_is_refused_when_the_file_is_read() {
        assert!(Template::compile("${CALLERID(nmu)}").is_err());
        assert!(Template::compile("${CALLERID(${WHICH})}").is_ok());
    }
}
