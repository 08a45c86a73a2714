//! Finds the bracket that closes an application's arguments, or names the one that is never closed. Above: `parse`.

use super::problem::ProblemKind;

/// What brackets count.
#[derive(Clone, Copy, PartialEq)]
enum Counting {
    /// Not those between `"` and the next `"`.
    Unquoted,
    All,
    /// As `Unquoted`, and in `$[ ]` no `( )`: which are missing there is the expression's affair.
    OutsideExpressions,
}

/// The byte of the `)` that closes the `(` with which `text` starts; else the byte of the bracket that is wrong.
///
/// A quote may be meant as a mere character, so brackets that fit without regard to quotes are right too; so are those
/// that fit without regard to the `( )` of an expression, which may have a syntax error and be used all the same.
pub(super) fn closing(text: &str) -> Result<usize, (usize, ProblemKind)> {
    let fits = scan(text, Counting::Unquoted).or_else(|_| scan(text, Counting::All));
    fits.or_else(|wrong| scan(text, Counting::OutsideExpressions).map_err(|_| wrong))
}

fn scan(text: &str, counting: Counting) -> Result<usize, (usize, ProblemKind)> {
    let mut open: Vec<(&'static str, usize)> = Vec::new();
    // those of `open` that are `${`, and those that `]` closes
    let (mut braces, mut squares) = (0_usize, 0_usize);
    let mut quoted = false;
    let mut after_dollar = false;
    let mut chars = text.char_indices();
    let mut end = None;
    while let Some((at, c)) = chars.next() {
        let dollar = std::mem::replace(&mut after_dollar, c == '$');
        match c {
            '\\' => {
                chars.next();
            }
            '"' if counting != Counting::All => quoted = !quoted,
            _ if quoted => {}
            '(' | ')' if counting == Counting::OutsideExpressions && matches!(open.last(), Some(("$[" | "[", _))) => {}
            '(' => open.push(("(", at)),
            '{' if dollar => {
                braces += 1;
                open.push(("${", at - 1));
            }
            '[' if dollar || matches!(open.last(), Some(("$[" | "[", _))) => {
                squares += 1;
                open.push(if dollar { ("$[", at - 1) } else { ("[", at) });
            }
            ')' if open.is_empty() => return Err((at, ProblemKind::Unopened(")"))),
            ')' => close(&mut open, &["("])?,
            '}' if braces > 0 => {
                close(&mut open, &["${"])?;
                braces -= 1;
            }
            ']' if squares > 0 => {
                close(&mut open, &["$[", "["])?;
                squares -= 1;
            }
            _ => {}
        }
        if open.is_empty() && end.is_none() {
            end = Some(at);
        }
    }
    match (open.last(), end) {
        (Some((opening, at)), _) => Err((*at, ProblemKind::Unclosed(opening))),
        (None, Some(end)) => Ok(end),
        (None, None) => Err((0, ProblemKind::Unclosed("("))),
    }
}

/// Takes the innermost open bracket off, which must be one of `partners`.
fn close(open: &mut Vec<(&'static str, usize)>, partners: &[&str]) -> Result<(), (usize, ProblemKind)> {
    match open.pop() {
        Some((opening, at)) if !partners.contains(&opening) => Err((at, ProblemKind::Unclosed(opening))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_bracket_is_found_whatever_is_inside() {
        for text in [
            "()",
            "(a(b)c)",
            "($[${EXISTS(${SET(D=${EXTEN})})}]?Call,1:i,1)",
            "(\")\")",
            "(5\" wide)",
            "(\\))",
            "(a}]b{[)",
            "($[ \"a\" : \"[0-9]\" ])",
            "($[1 + (2])",
            "($[1)]?a:b)",
        ] {
            assert_eq!(closing(text), Ok(text.len() - 1), "{text}");
        }
        assert_eq!(closing("(a) b"), Ok(2));
    }

    #[test]
    fn s177_the_bracket_that_is_never_closed_is_named() {
        for (text, at, opening) in [
            ("(abc", 0, "("),
            ("(${CALLERID(num})", 11, "("),
            ("(${A)", 1, "${"),
            ("($[1 + (2)", 1, "$["),
            ("(f(x)", 0, "("),
            ("($[${EXISTS(${SET(D=${EXTEN})})}?Call,1:i,1)", 1, "$["),
            ("($[${EXISTS(${SET(D=${EXTEN})}]?Call,1:i,1)", 11, "("),
        ] {
            assert_eq!(closing(text), Err((at, ProblemKind::Unclosed(opening))), "{text}");
        }
        assert_eq!(closing("(a))"), Err((3, ProblemKind::Unopened(")"))));
    }
}
