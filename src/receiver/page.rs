//! The page of recordings: a table, a search, a player for each, all values escaped, nothing that runs.
//! Above: `pages` serves it, `rec index` writes it to a file. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// What may stand in a query or a path as it is (RFC 3986 §2.3).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const STYLE: &str = "body{font:15px/1.4 sans-serif;margin:2em;color:#222;background:#fff}\
h1{font-size:1.3em}form{margin:1em 0}input{font:inherit;padding:.2em .4em}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3em .7em;border-bottom:1px solid #ddd;vertical-align:middle}\
th{background:#f3f3f3}td.file{word-break:break-all}audio{height:2em;width:16em}nav a{margin-right:1em}";

/// A recording as the page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// When the call began.
    pub date: String,
    /// Who called: name and number.
    pub caller: String,
    /// The number called.
    pub number: String,
    /// The user on the call.
    pub agent: String,
    /// How long it lasts: `3:07`.
    pub duration: String,
    /// The file's name within the spool.
    pub file: String,
    /// Where it has been delivered, and where not.
    pub delivered: String,
    /// The address of the player's audio; none: it cannot be played here.
    pub audio: Option<String>,
    /// Why not.
    pub silent: &'static str,
    /// The address to download it from.
    pub download: String,
}

/// A page of the list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// Its recordings.
    pub entries: &'a [Entry],
    /// The text searched for; none: there is no search, as in a file.
    pub search: Option<&'a str>,
    /// Its number, from 1.
    pub number: u64,
    /// Whether another follows.
    pub has_more: bool,
}

/// `Content-Security-Policy` of the page: only its own style, audio from here, the search.
pub(super) fn policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// The page as HTML.
pub fn html(page: &Page<'_>) -> String {
    let mut out = String::with_capacity(2_048 + page.entries.len() * 600);
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    if page.search.is_none() {
        // a file has no headers to say it with; what a player may fetch is decided by where the links lead
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let _ = writeln!(
            out,
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; media-src http: https:; base-uri 'none'\">"
        );
    }
    out.push_str(
        "<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"referrer\" content=\"no-referrer\">\n",
    );
    let _ = writeln!(out, "<title>Recordings</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Recordings</h1>");
    if let Some(search) = page.search {
        let _ = writeln!(
            out,
            "<form method=\"get\" action=\"/\" role=\"search\"><input type=\"search\" name=\"q\" value=\"{}\" aria-label=\"Search\" maxlength=\"200\"> <input type=\"submit\" value=\"Search\"></form>",
            escaped(search)
        );
    }
    out.push_str("<table>\n<thead><tr><th>Date</th><th>Caller ID</th><th>Number</th><th>Agent</th><th>Duration</th><th>Play</th><th>File</th><th>Delivered</th></tr></thead>\n<tbody>\n");
    page.entries.iter().for_each(|entry| row(entry, &mut out));
    out.push_str("</tbody>\n</table>\n");
    if page.entries.is_empty() {
        out.push_str("<p>There are no recordings here.</p>\n");
    }
    if let Some(search) = page.search {
        neighbours(page, search, &mut out);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn row(entry: &Entry, out: &mut String) {
    out.push_str("<tr>");
    for text in [&entry.date, &entry.caller, &entry.number, &entry.agent, &entry.duration] {
        let _ = write!(out, "<td>{}</td>", escaped(text));
    }
    match &entry.audio {
        Some(audio) => {
            let _ = write!(out, "<td><audio controls preload=\"none\" src=\"{}\"></audio></td>", escaped(audio));
        }
        None => {
            let _ = write!(out, "<td>{}</td>", escaped(entry.silent));
        }
    }
    let _ = writeln!(
        out,
        "<td class=\"file\"><a href=\"{}\">{}</a></td><td>{}</td></tr>",
        escaped(&entry.download),
        escaped(&entry.file),
        escaped(&entry.delivered)
    );
}

fn neighbours(page: &Page<'_>, search: &str, out: &mut String) {
    let link = |number: u64, rel: &str, text: &str| {
        let address = format!("/?q={}&page={number}", encoded(search));
        format!("<a rel=\"{rel}\" href=\"{}\">{text}</a>", escaped(&address))
    };
    out.push_str("<nav>");
    if page.number > 1 {
        out.push_str(&link(page.number - 1, "prev", "Newer"));
    }
    if page.has_more {
        out.push_str(&link(page.number + 1, "next", "Older"));
    }
    out.push_str("</nav>\n");
}

/// Text as a part of an address: everything but letters, digits and `-._~` as %XX.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// Text as HTML shows it, in an element or in a quoted attribute; controls and direction marks cannot lead the eye astray.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'' | '`') && !misleads(c);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 32);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            c if misleads(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Controls, line separators, and marks of Unicode's bidirectional algorithm (UAX 9).
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a browser would make elements of: everything between `<` and `>`.
    fn elements(html: &str) -> Vec<&str> {
        html.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag).collect()
    }

    #[test]
    fn s134_html_injection_every_value_is_text() {
        let evil = "\"><script>alert(1)</script><img src=x onerror='alert(1)'>\u{202e}`\u{0}";
        let all = || evil.to_owned();
        let entry = Entry {
            date: all(),
            caller: all(),
            number: all(),
            agent: all(),
            duration: all(),
            file: all(),
            delivered: all(),
            audio: Some(all()),
            silent: "",
            download: all(),
        };
        let bad = html(&Page { entries: &[entry], search: Some(evil), number: 2, has_more: true });
        let good = html(&Page {
            entries: &[Entry { audio: Some("a".into()), ..Entry::default() }],
            search: Some("x"),
            number: 2,
            has_more: true,
        });
        let names =
            |html: &str| elements(html).iter().map(|tag| tag.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&bad), names(&good), "no element more");
        assert!(!bad.contains("<script") && !bad.contains("<img") && !bad.contains('\u{202e}') && !bad.contains('\0'));
        assert!(bad.contains("&lt;script&gt;"), "it is shown all the same");
    }

    #[test]
    fn what_cannot_be_played_has_no_player_and_says_why() {
        let entry = Entry { silent: "sealed", ..Entry::default() };
        let text = html(&Page { entries: &[entry], ..Page::default() });
        assert!(text.contains("<td>sealed</td>") && !text.contains("<audio"));
    }

    #[test]
    fn the_page_names_its_own_style_and_nothing_else_runs() {
        let text = html(&Page { search: Some(""), number: 1, ..Page::default() });
        let style = text.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
        let hash = STANDARD.encode(Sha256::digest(style));
        assert!(policy().contains(&format!("style-src 'sha256-{hash}'")) && policy().starts_with("default-src 'none'"));
        assert!(!policy().contains("script-src") && !policy().contains("unsafe"));
    }

    proptest! {
        #[test]
        fn escaped_text_opens_no_element_and_ends_no_attribute(text: String) {
            let safe = escaped(&text);
            prop_assert!(!safe.contains(['<', '>', '"', '\'', '`']));
        }
    }
}
