//! `Digest name=value, name="value"`: the fields of challenges and answers.

use crate::sip::header::text;

use super::hash::Qop;

/// Fields in their order.
pub(super) struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    /// `None` for other schemes, for broken fields, and for a field said twice, which two readers could read differently.
    pub(super) fn parse(value: &'a str) -> Option<Self> {
        let (scheme, rest) = value.trim_matches(text::is_blank).split_once(text::is_blank)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut fields: Vec<(&str, &str)> = Vec::with_capacity(12);
        for field in text::split_list(rest).filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=')?;
            let (name, value) = (name.trim_end_matches(text::is_blank), value.trim_start_matches(text::is_blank));
            let whole = !value.starts_with('"') || text::quoted_end(value) == Some(value.len());
            let repeated = fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
            if !text::is_token_text(name) || !whole || repeated || fields.len() >= 32 {
                return None;
            }
            fields.push((name, text::strip_quotes(value)));
        }
        Some(Self(fields))
    }

    /// A value without quotes, escapes kept: what is hashed (RFC 7616 §3.4).
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// A value's meaning.
    pub(super) fn plain(&self, name: &str) -> Option<String> {
        self.raw(name).map(text::unescape)
    }

    /// The quality of protection of an answer: `Some(None)` without one (RFC 2069), `None` when it is unknown or broken.
    pub(super) fn qop(&self) -> Option<Option<Qop<'a>>> {
        let Some(name) = self.raw("qop") else { return Some(None) };
        let (nc, cnonce) = (self.raw("nc")?, self.raw("cnonce")?);
        let known = name.eq_ignore_ascii_case("auth") || name.eq_ignore_ascii_case("auth-int");
        let sound = known && nc.len() == 8 && nc.bytes().all(|b| b.is_ascii_hexdigit());
        sound.then_some(Some(Qop { name, nc, cnonce }))
    }
}
