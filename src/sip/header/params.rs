//! Parameters (`;name=value`) as they stand after addresses, URIs, Vias and Reasons (RFC 3261 §7.3.1).

use super::HeaderError;
use super::text;
use std::fmt;

/// Parameters of one address, URI or Via; more are refused, so that comparing them stays cheap.
const MAX_PARAMS: usize = 100;

/// Parameters in their order; names compare without case, values keep their quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// Reads `;a=b;c`; the text is empty or starts with `;`, blanks around `;` and `=` are allowed.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        split(text).map(|param| param.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))).collect()
    }

    /// The value of a parameter, without surrounding quotes; `None` when absent or without value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.first(name)?.map(text::strip_quotes)
    }

    /// The parameter's raw value, quotes kept: `Some(None)` for one without a value.
    pub fn first(&self, name: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_deref())
    }

    /// Whether the parameter stands there, with or without value.
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Replaces the parameter's value or adds it at the end; a value that is no token is quoted.
    pub fn set(&mut self, name: &str, value: &str) {
        let plain = !value.is_empty() && value.bytes().all(|b| text::is_token(b) || matches!(b, b'[' | b']' | b':'));
        self.put(name, Some(if plain { value.to_owned() } else { text::quote(value) }));
    }

    /// Adds the parameter without a value, or takes its value away.
    pub fn set_flag(&mut self, name: &str) {
        self.put(name, None);
    }

    /// Takes the parameter away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Name and raw value (quotes kept) of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn put(&mut self, name: &str, value: Option<String>) {
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

impl FromIterator<(String, Option<String>)> for Params {
    fn from_iter<T: IntoIterator<Item = (String, Option<String>)>>(params: T) -> Self {
        Self(params.into_iter().collect())
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// The parameters of `;a=b;c` one by one, without allocating; stops after the first error.
pub(crate) fn split(text: &str) -> impl Iterator<Item = Result<(&str, Option<&str>), HeaderError>> {
    let mut rest = Some(text.trim_matches(text::is_blank)).filter(|rest| !rest.is_empty());
    let mut count = 0;
    std::iter::from_fn(move || {
        let current = rest.take()?;
        count += 1;
        let (param, after) = match next(current) {
            Ok(_) if count > MAX_PARAMS => return Some(Err(HeaderError::Params)),
            Ok(split) => split,
            Err(error) => return Some(Err(error)),
        };
        rest = after;
        Some(Ok(param))
    })
}

type Split<'a> = ((&'a str, Option<&'a str>), Option<&'a str>);

fn next(text: &str) -> Result<Split<'_>, HeaderError> {
    let body = text.strip_prefix(';').ok_or(HeaderError::Params)?;
    let (param, rest) = match text::find_unquoted(body, b';').ok_or(HeaderError::Quote)? {
        end if end == body.len() => (body, None),
        end => {
            let (param, rest) = body.split_at_checked(end).ok_or(HeaderError::Params)?;
            (param, Some(rest))
        }
    };
    let (name, value) = match param.split_once('=') {
        Some((name, value)) => (name, Some(value.trim_matches(text::is_blank))),
        None => (param, None),
    };
    let name = name.trim_matches(text::is_blank);
    let bad_name = name.is_empty()
        || !name.bytes().all(|b| text::is_token(b) || matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'$'));
    if bad_name || value.is_some_and(|value| !is_value(value)) {
        return Err(HeaderError::Params);
    }
    Ok(((name, value), rest))
}

/// A token, a host, a quoted string, or what phones write in their place: anything visible without quotes or brackets.
fn is_value(value: &str) -> bool {
    if value.starts_with('"') {
        return text::quoted_end(value) == Some(value.len());
    }
    value.bytes().all(|b| b > b' ' && b != 0x7f && !matches!(b, b'"' | b'<' | b'>' | b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_quotes_are_understood_and_printing_is_tight() {
        let params = Params::parse(" ;  tag  = 98asjd8 ; x=\"q;\\\"r\" ;lr").unwrap();
        assert_eq!(params.get("TAG"), Some("98asjd8"));
        assert_eq!(params.get("x"), Some("q;\\\"r"));
        assert!(params.has("lr") && params.get("lr").is_none());
        assert_eq!(params.to_string(), ";tag=98asjd8;x=\"q;\\\"r\";lr");
    }

    #[test]
    fn empty_parameters_open_quotes_and_stray_text_are_refused() {
        for bad in [";;", ";a;;b", ";", ";a=\"x", "a=b", ";=b", ";a=\"x\"y", ";a b", ";a=b c"] {
            assert!(Params::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hundred_parameters_are_enough() {
        assert!(Params::parse(&";a".repeat(MAX_PARAMS)).is_ok());
        assert!(Params::parse(&";a".repeat(MAX_PARAMS + 1)).is_err());
    }

    #[test]
    fn a_value_that_is_no_token_is_quoted_when_set() {
        let mut params = Params::default();
        params.set("text", "Call completed, elsewhere");
        params.set("received", "2001:db8::1");
        assert_eq!(params.to_string(), ";text=\"Call completed, elsewhere\";received=2001:db8::1");
    }
}
