//! `REPLACE(name,characters,character)`, `STRREPLACE(name,text,text,most)`, `STRBETWEEN(name,text)`: a variable's value
//! with something else in it. The variable stays as it is.

use super::{Func, FuncError, bytes, named, scan, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::{self, MAX_VALUE_BYTES, Scope};

pub(super) struct Replace;

impl Func for Replace {
    fn name(&self) -> &'static str {
        "REPLACE"
    }

    fn syntax(&self) -> &'static str {
        "name,characters[,character]"
    }

    fn synopsis(&self) -> &'static str {
        "The value of a variable with each of the characters replaced by another one, or left out."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name", "characters"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [name, find, with] = slots::fixed(&args);
        let value = named::read(scope, &name)?;
        let find = bytes::decoded(&find.value(scope));
        if find.is_empty() {
            return Err(FuncError::Missing("characters"));
        }
        let mut find: Vec<char> = find.chars().collect();
        find.sort_unstable();
        find.dedup();
        let with = with.value(scope);
        let with = bytes::encoded(&with).map(|(with, _)| with);
        Ok(value.chars().filter_map(|c| if find.binary_search(&c).is_ok() { with } else { Some(c) }).collect())
    }
}

pub(super) struct StrReplace;

impl Func for StrReplace {
    fn name(&self) -> &'static str {
        "STRREPLACE"
    }

    fn syntax(&self) -> &'static str {
        "name,text[,replacement[,most]]"
    }

    fn synopsis(&self) -> &'static str {
        "The value of a variable with a text in it replaced by another one, everywhere or so many times."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name", "text"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [name, find, with, most, _] = slots::fixed(&args);
        let value = named::read(scope, &name)?;
        let [find, with, most] = [find, with, most].map(|piece| piece.value(scope));
        if find.is_empty() {
            return Err(FuncError::Missing("text"));
        }
        let most = scan::whole(&most).map(|(most, _)| most).filter(|most| *most > 0);
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let parts = value.splitn(most.saturating_add(1), find.as_str());
        let replaced = joined(parts, &with);
        Ok(vars::limit(replaced, scope))
    }
}

pub(super) struct StrBetween;

impl Func for StrBetween {
    fn name(&self) -> &'static str {
        "STRBETWEEN"
    }

    fn syntax(&self) -> &'static str {
        "name,text"
    }

    fn synopsis(&self) -> &'static str {
        "The value of a variable with a text between all its characters."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["name", "text"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [name, between, _] = slots::fixed(&args);
        let value = named::read(scope, &name)?;
        let between = between.value(scope);
        let characters = value.char_indices().filter_map(|(at, c)| value.get(at..at + c.len_utf8()));
        let spaced = joined(characters, &between);
        Ok(vars::limit(spaced, scope))
    }
}

/// The parts with `between` between them, until there is more than a value may hold.
fn joined<'a>(parts: impl Iterator<Item = &'a str>, between: &str) -> String {
    let mut all = String::new();
    for (index, part) in parts.enumerate() {
        if all.len() > MAX_VALUE_BYTES {
            break;
        }
        if index > 0 {
            all.push_str(between);
        }
        all.push_str(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};
    use super::*;

    fn of(call: &str, v: &str) -> String {
        value(call, &[("V", v)])
    }

    #[test]
    fn characters_are_replaced_or_left_out() {
        for (v, args, expected) in [
            ("abc,def", "\\,,-", "abc-def"),
            ("abc,abc", "bc,a", "aaa,aaa"),
            ("abc,def", "x,?", "abc,def"),
            ("abc,def", "\\,,", "abcdef"),
            ("abc,def", "\\,", "abcdef"),
            ("+44 (0)20", "+() ", "44020"),
            ("a\tb\nc", "\\\\t\\\\n,\\x5f", "a_b_c"),
            ("ä-é", "é,e", "ä-e"),
            ("", "x,y", ""),
        ] {
            assert_eq!(of(&format!("${{REPLACE(V,{args})}}"), v), expected, "{v} {args}");
        }
        assert_eq!(refusal("${REPLACE(V)}"), "REPLACE: characters is missing");
        assert_eq!(evaluate("${REPLACE(V,${X})}", &[("V", "a")]).1, ["REPLACE: characters is missing"]);
    }

    #[test]
    fn texts_are_replaced_from_the_left_and_at_most_so_often() {
        for (v, args, expected) in [
            ("Foxes ate my phone", "ate my,eat our,", "Foxes eat our phone"),
            ("twenty is twenty-two", "twenty,thirty", "thirty is thirty-two"),
            ("foofoofoofoofoofoofoo", "foofoo,bar", "barbarbarfoo"),
            ("dog dog dog dog", "dog,cat,3", "cat cat cat dog"),
            ("and and", "and,plus,1", "plus and"),
            ("and and", "and,plus,-1", "plus plus"),
            ("", "x,y", ""),
            ("it is missing.", "missing", "it is ."),
            ("an \"escaped\" word", "\\\"escaped\\\",\"a,b\"", "an a,b word"),
        ] {
            assert_eq!(of(&format!("${{STRREPLACE(V,{args})}}"), v), expected, "{v} {args}");
        }
        assert_eq!(refusal("${STRREPLACE(V)}"), "STRREPLACE: text is missing");
        assert_eq!(evaluate("${STRREPLACE(V,,,)}", &[("V", "a")]).1, ["STRREPLACE: text is missing"]);
    }

    #[test]
    fn a_text_comes_between_all_characters() {
        for (v, between, expected) in [
            ("0", "w", "0"),
            ("5551212", "w", "5w5w5w1w2w1w2"),
            ("212", "55", "2551552"),
            ("212", " ", "2 1 2"),
            ("", "w", ""),
            ("555", "", "555"),
            ("aäb", "_", "a_ä_b"),
        ] {
            assert_eq!(of(&format!("${{STRBETWEEN(V,{between})}}"), v), expected, "{v} {between}");
        }
    }

    #[test]
    fn growth_ends_where_values_end() {
        let long = "x".repeat(MAX_VALUE_BYTES);
        for call in ["${STRREPLACE(V,x,${V})}", "${STRBETWEEN(V,${V})}"] {
            let (grown, warnings) = evaluate(call, &[("V", &long)]);
            assert_eq!((grown.len(), warnings.len()), (MAX_VALUE_BYTES, 1), "{call}");
        }
    }
}
