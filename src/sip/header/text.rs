//! The scanning every structured header needs: tokens, quoted strings, lists (RFC 3261 §25.1). Linear time, no allocation.

/// Whether each byte may stand in a `token`.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

/// Whether the byte may stand in a `token`.
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether all of a text is one `token`.
pub(crate) fn is_token_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token)
}

/// Linear white space once lines are unfolded.
pub(crate) fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// Where the quoted string that opens `text` ends (just behind its closing quote); `None` when it does not close.
pub(crate) fn quoted_end(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Where `wanted` first stands outside quotes, or the text's length; `None` when a quote does not close.
pub(crate) fn find_unquoted(text: &str, wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quoted => {
                bytes.next();
            }
            b'"' => quoted = !quoted,
            _ if byte == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

/// The elements of a comma list, trimmed, empty ones included; commas in quotes and in `<>` do not split.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let end = list_comma(current);
        rest = end.and_then(|at| current.get(at + 1..));
        Some(end.and_then(|at| current.get(..at)).unwrap_or(current).trim_matches(is_blank))
    })
}

fn list_comma(text: &str) -> Option<usize> {
    let (mut quoted, mut bracketed) = (false, false);
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quoted => {
                bytes.next();
            }
            b'"' if !bracketed => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            b',' if !quoted && !bracketed => return Some(at),
            _ => {}
        }
    }
    None
}

/// The inside of a quoted string; a text without quotes as it is. Escapes stay.
pub(crate) fn strip_quotes(text: &str) -> &str {
    text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(text)
}

/// The meaning of a quoted string's inside: `\x` becomes `x`.
pub(crate) fn unescape(inner: &str) -> String {
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    plain
}

/// A text as a quoted string; control characters become blanks, so no text can leave its header.
pub(crate) fn quote(plain: &str) -> String {
    let mut quoted = String::with_capacity(plain.len() + 2);
    quoted.push('"');
    for c in plain.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_split_only_outside_quotes_and_brackets() {
        let list: Vec<_> = split_list("\"a, \\\"b\" <sip:x,y@z>;q=1 , <sip:c> ,, d").collect();
        assert_eq!(list, ["\"a, \\\"b\" <sip:x,y@z>;q=1", "<sip:c>", "", "d"]);
    }

    #[test]
    fn quoting_and_unescaping_are_inverse_and_tame_line_ends() {
        let wild = "J \"x\" \\ y";
        assert_eq!(unescape(strip_quotes(&quote(wild))), wild);
        assert_eq!(quote("a\r\nVia: b"), "\"a  Via: b\"");
    }
}
