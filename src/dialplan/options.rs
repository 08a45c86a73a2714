//! Option letters of an application, `gD(12#)`: letters are what is written, their `(…)` may hold substitutions.
//! Above: `app/*`. Below: `piece`.

use super::app::{CheckError, Opt};
use super::piece::{Bit, Piece};

/// One option as chosen.
#[derive(Clone, Debug)]
pub(super) struct Chosen<'a> {
    /// The letter.
    pub(super) letter: char,
    /// What is in its brackets.
    pub(super) argument: Option<Piece<'a>>,
}

/// The options of an application.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'k> {
    pub(super) options: &'k [Opt],
    /// Letters that need a `(…)`.
    pub(super) with_argument: &'k [char],
    /// Letters that may have one.
    pub(super) may_have_argument: &'k [char],
    /// Letters that Asterisk has and we have not, and why.
    pub(super) refused: &'k [(char, &'static str)],
}

impl Known<'_> {
    fn takes_argument(&self, letter: char) -> bool {
        self.with_argument.contains(&letter) || self.may_have_argument.contains(&letter)
    }

    fn unknown(&self, letter: char) -> CheckError {
        match self.refused.iter().find(|(refused, _)| *refused == letter) {
            Some((option, why)) => CheckError::RefusedOption { option: *option, why },
            None => {
                let known = self.options.iter().map(|option| option.name).collect::<Vec<_>>().join(", ");
                CheckError::UnknownOption { option: letter.to_string(), known }
            }
        }
    }
}

/// Takes options apart, as [`choose_among`]; those in `with_argument` need a `(…)`, the others take none.
///
/// # Errors
/// A letter that is not known, or brackets that are wrong.
pub(super) fn choose<'a>(
    piece: &Piece<'a>,
    options: &[Opt],
    with_argument: &[char],
) -> Result<Vec<Chosen<'a>>, CheckError> {
    choose_among(piece, &Known { options, with_argument, ..Known::default() })
}

/// Takes options apart.
///
/// # Errors
/// A letter that is not known, or brackets that are wrong.
pub(super) fn choose_among<'a>(piece: &Piece<'a>, known: &Known<'_>) -> Result<Vec<Chosen<'a>>, CheckError> {
    let mut chosen: Vec<Chosen<'a>> = Vec::new();
    // bits of the argument being read, and how deep in its brackets
    let mut argument: Option<(Vec<Bit<'a>>, usize)> = None;
    for bit in piece.bits() {
        let Bit::Text(text) = *bit else {
            argument.as_mut().ok_or(CheckError::ComputedOptions)?.0.push(*bit);
            continue;
        };
        for (at, c) in text.char_indices() {
            let here = text.get(at..at + c.len_utf8()).unwrap_or_default();
            match (&mut argument, c) {
                (Some((bits, 0)), ')') => {
                    let bits = std::mem::take(bits);
                    argument = None;
                    chosen.last_mut().ok_or(CheckError::ComputedOptions)?.argument = Some(Piece::new(bits));
                }
                (Some((bits, depth)), c) => {
                    *depth = if c == '(' { *depth + 1 } else { depth.saturating_sub(usize::from(c == ')')) };
                    bits.push(Bit::Text(here));
                }
                (None, '(') if chosen.last().is_some_and(|last| known.takes_argument(last.letter)) => {
                    argument = Some((Vec::new(), 0));
                }
                (None, '(') if !chosen.is_empty() => {
                    let option = chosen.last().map_or(c, |last| last.letter);
                    return Err(CheckError::OptionArgument { option, wanted: "takes no (…)" });
                }
                (None, letter) if is_known(letter, known.options) => chosen.push(Chosen { letter, argument: None }),
                (None, other) => return Err(known.unknown(other)),
            }
        }
    }
    let needs = |letter| known.with_argument.contains(letter);
    let lacking = chosen.iter().find(|option| needs(&option.letter) && option.argument.is_none());
    // `F(` that is never closed is no `F`
    match lacking.or_else(|| chosen.last().filter(|_| argument.is_some())) {
        Some(option) => Err(CheckError::OptionArgument { option: option.letter, wanted: "needs (…)" }),
        None => Ok(chosen),
    }
}

/// Reads options one by one: `value` computes what is in the brackets of a letter, or does not know it yet; `take` gets what is known,
/// nothing for a letter without brackets. Returns the letters.
///
/// # Errors
/// A letter that is not known, brackets that are wrong, or what `take` does not take.
pub(super) fn read(
    (piece, known): (Option<&Piece<'_>>, &Known<'_>),
    mut value: impl FnMut(char, &Piece<'_>) -> Option<String>,
    mut take: impl FnMut(char, &str) -> Result<(), CheckError>,
) -> Result<String, CheckError> {
    let chosen = piece.map(|piece| choose_among(piece, known)).transpose()?.unwrap_or_default();
    for Chosen { letter, argument } in &chosen {
        let argument = argument.as_ref().map_or(Some(String::new()), |piece| value(*letter, piece));
        argument.map_or(Ok(()), |argument| take(*letter, argument.trim()))?;
    }
    Ok(chosen.iter().map(|option| option.letter).collect())
}

/// Loudest and, negated, least loud.
pub(super) const LOUDEST: i8 = 4;

/// How loud something is, in Asterisk's steps.
///
/// # Errors
/// It is no number, or too large.
pub(super) fn volume(text: &str) -> Result<i8, CheckError> {
    let steps = text.parse().ok().filter(|steps: &i8| (-LOUDEST..=LOUDEST).contains(steps));
    steps.ok_or_else(|| CheckError::Malformed { what: "volume from -4 to 4", found: text.to_owned() })
}

fn is_known(letter: char, known: &[Opt]) -> bool {
    known.iter().any(|option| option.name.chars().eq([letter]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;
    use crate::dialplan::vars::tests::Variables;

    const KNOWN: &[Opt] = &[Opt { name: "D", help: "" }, Opt { name: "g", help: "" }];

    fn chosen(text: &str) -> Result<Vec<(char, Option<String>)>, CheckError> {
        let template = Template::compile(text).unwrap();
        let mut scope = Variables::with(&[("PIN", "12)g")]);
        let options = choose(&template.piece(), KNOWN, &['D'])?;
        Ok(options
            .into_iter()
            .map(|option| (option.letter, option.argument.map(|piece| piece.value(&mut scope))))
            .collect())
    }

    #[test]
    fn letters_are_written_and_arguments_may_be_computed() {
        assert_eq!(chosen("gD(ww1#:2)"), Ok(vec![('g', None), ('D', Some("ww1#:2".into()))]));
        assert_eq!(chosen("D(w${PIN}#)g"), Ok(vec![('D', Some("w12)g#".into())), ('g', None)]));
        assert_eq!(chosen(""), Ok(vec![]));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        assert_eq!(chosen("gm"), Err(CheckError::UnknownOption { option: "m".into(), known: "D, g".into() }));
        assert_eq!(chosen("D"), Err(CheckError::OptionArgument { option: 'D', wanted: "needs (…)" }));
        assert_eq!(chosen("D(1"), Err(CheckError::OptionArgument { option: 'D', wanted: "needs (…)" }));
        assert_eq!(chosen("g(1)"), Err(CheckError::OptionArgument { option: 'g', wanted: "takes no (…)" }));
        assert_eq!(chosen("${PIN}"), Err(CheckError::ComputedOptions));
    }
}
