//! As much of the `Link` header (RFC 8288) as a list's next page takes. Above: `exists`. Pure.

/// The target of the first link whose relation is `next`, as it is written: often relative.
pub(super) fn next(text: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, following) = link_end(after);
        if is_next(parameters) {
            return Some(target.trim().to_owned());
        }
        rest = following;
    }
}

/// Splits before the comma that ends a link; one between quotes does not.
fn link_end(text: &str) -> (&str, &str) {
    let end = unquoted(text, ',').unwrap_or(text.len());
    (text.get(..end).unwrap_or(text), text.get(end..).unwrap_or(""))
}

/// Whether a link's parameters say `rel=next`; those of another context than this answer do not (§3.2).
fn is_next(mut parameters: &str) -> bool {
    let mut relations = None;
    while !parameters.is_empty() {
        let end = unquoted(parameters, ';').unwrap_or(parameters.len());
        let (parameter, rest) = parameters.split_at(end);
        parameters = rest.get(1..).unwrap_or("");
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("anchor") {
            return false;
        }
        // §3.3: of several the first counts
        if name.eq_ignore_ascii_case("rel") && relations.is_none() {
            relations = Some(value.trim().trim_matches('"'));
        }
    }
    relations.is_some_and(|words| words.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next")))
}

/// Where a character stands outside of quotes.
fn unquoted(text: &str, wanted: char) -> Option<usize> {
    let (mut in_quotes, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' => in_quotes = !in_quotes,
            c if c == wanted && !in_quotes => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_page_is_found_among_the_others() {
        for (text, target) in [
            ("<https://h/x?page=2>; rel=\"next\", <https://h/x?page=9>; rel=\"last\"", Some("https://h/x?page=2")),
            ("<?page=1>; rel=prev,<?page=3>;rel=next", Some("?page=3")),
            ("<a,b;c>; title=\"x, <no>; rel=next\"; REL=\"last NEXT\"", Some("a,b;c")),
            ("<a>; title=\"\\\"\"; rel=next", Some("a")),
            ("<a>; rel=last; rel=next", None),
            ("<a>; rel=nextish", None),
            ("<a>; rel=next; anchor=\"#x\"", None),
            ("<a>", None),
            ("<a; rel=next", None),
            ("rel=next", None),
            ("", None),
        ] {
            assert_eq!(next(text).as_deref(), target, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[<>;,=\"\\\\ a-e]{0,40}|\\PC{0,30}") {
            let _ = next(&text);
        }
    }
}
