//! Finds the description in a body: the body itself, or a part of a multipart one (RFC 5621 §3, RFC 2046 §5.1).
//! Above: `session` and the checks of `stack`. It copies nothing and looks a bounded number of levels deep.

use std::ops::Range;

use memchr::memmem;
use rsip::Headers;

use super::header::HeadersExt;

/// The one kind of body we understand.
pub(crate) const SDP: &str = "application/sdp";
/// Multiparts within multiparts that are looked into.
const DEPTH: u8 = 4;
/// Parts of one multipart that are looked at.
const PARTS: usize = 32;

/// Where in the body the description is; a body without Content-Type is taken for one.
pub(crate) fn find_description(headers: &Headers, body: &[u8]) -> Option<Range<usize>> {
    find(headers.value("Content-Type").unwrap_or(SDP), body, DEPTH).filter(|range| !range.is_empty())
}

fn find(content_type: &str, body: &[u8], depth: u8) -> Option<Range<usize>> {
    let (kind, params) = content_type.split_once(';').unwrap_or((content_type, ""));
    let kind = kind.trim();
    if kind.eq_ignore_ascii_case(SDP) {
        return Some(0..body.len());
    }
    if depth == 0 || !kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/")) {
        return None;
    }
    let delimiter = format!("--{}", boundary(params)?);
    let is_line = |at: &usize| {
        let begins = *at == 0 || body.get(..*at).is_some_and(|before| before.ends_with(b"\r\n"));
        let after = body.get(at + delimiter.len()..).unwrap_or_default();
        begins && [&b"\r\n"[..], b"--", b" ", b"\t"].iter().any(|start| after.starts_with(start))
    };
    let marks: Vec<_> = memmem::find_iter(body, delimiter.as_bytes()).filter(is_line).take(PARTS + 1).collect();
    marks.windows(2).find_map(|pair| {
        let [mark, end] = pair else { return None };
        let start = mark + delimiter.len();
        let part = body.get(start..*end)?;
        let head_end = memmem::find(part, b"\r\n\r\n")?;
        let head = part.get(..head_end)?;
        let from = head_end + 4;
        let content = part.get(from..)?;
        let content = content.strip_suffix(b"\r\n").unwrap_or(content); // that line end belongs to the delimiter
        let head = String::from_utf8_lossy(head);
        let kind = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("Content-Type").then_some(value.trim())
        })?;
        let found = find(kind, content, depth - 1)?;
        Some(start + from + found.start..start + from + found.end)
    })
}

fn boundary(params: &str) -> Option<&str> {
    let value = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    })?;
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!bare.is_empty()).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(content_type: &str, body: &str) -> Option<String> {
        let mut headers = Headers::default();
        headers.push_header("Content-Type", content_type);
        let range = find_description(&headers, body.as_bytes())?;
        Some(body[range].to_owned())
    }

    #[test]
    fn a_description_stands_alone_or_in_a_part() {
        assert_eq!(found("application/sdp", "v=0"), Some("v=0".to_owned()));
        assert_eq!(found("Application/SDP; charset=utf-8", "v=0"), Some("v=0".to_owned()));
        assert_eq!(found("text/plain", "v=0"), None);
        let body = "preamble\r\n--b\r\nContent-Type: application/isup\r\n\r\nxyz\r\n--b\r\ncontent-type: application/sdp\r\n\r\nv=0\r\no=1\r\n\r\n--b--\r\n";
        assert_eq!(found("multipart/mixed; boundary=b", body), Some("v=0\r\no=1\r\n".to_owned()));
        assert_eq!(found("Multipart/Mixed;boundary=\"b\"", body), Some("v=0\r\no=1\r\n".to_owned()));
        assert_eq!(found("multipart/mixed", body), None);
        assert_eq!(found("multipart/mixed;boundary=other", body), None);
    }

    #[test]
    fn a_multipart_within_a_multipart_is_looked_into_four_levels_deep() {
        let nested = |levels: usize| {
            (0..levels).fold("Content-Type: application/sdp\r\n\r\nv=0".to_owned(), |inner, level| {
                format!(
                    "Content-Type: multipart/mixed;boundary=x{level}y\r\n\r\n--x{level}y\r\n{inner}\r\n--x{level}y--"
                )
            })
        };
        let outer =
            |levels: usize| found("multipart/mixed;boundary=out", &format!("--out\r\n{}\r\n--out--", nested(levels)));
        assert_eq!(outer(3), Some("v=0".to_owned()));
        assert_eq!(outer(4), None);
    }

    proptest! {
        #[test]
        fn no_body_breaks_it(body in "(--b|\r\n|Content-Type: |application/sdp|multipart/mixed;boundary=b|[ -~]){0,40}") {
            let _ = found("multipart/mixed;boundary=b", &body);
        }
    }
}
