//! What a remote's answer means: a receipt, later, never. The one place where a status is judged.
//! Above: the kinds. Below: `web`.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;

use super::{DeliveryError, Receipt, Retry};

/// The header in which a remote may put its receipt: the JSON object, base64url without padding.
pub(super) const RECEIPT_HEADER: &str = "x-recording-receipt";

/// So much of an answer's text is repeated in an error.
const QUOTED_CHARS: usize = 200;

/// The longest wait that a remote can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// A remote's answer.
pub(super) struct Answer {
    /// What was asked: `POST https://crm.example/api`.
    pub(super) asked: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Its beginning, where it is long.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The receipt in header or body, if there is one that at least names a hash.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        let header = self.header(RECEIPT_HEADER).and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
        let found = [header.as_deref(), Some(self.body.as_slice())];
        found.into_iter().flatten().find_map(|bytes| {
            let receipt: Receipt = serde_json::from_slice(bytes).ok()?;
            receipt.sha256.is_some().then_some(receipt)
        })
    }

    /// What `pointer` leads to in the body, as text.
    pub(super) fn pointed(&self, pointer: &str) -> Option<String> {
        text_of(self.json()?.pointer(pointer)?)
    }

    /// Why an answer that is no success is none.
    pub(super) fn failure(&self) -> DeliveryError {
        let reason = self.status.canonical_reason().unwrap_or("");
        let mut what = format!("{}: {} {reason}", self.asked, self.status.as_u16()).trim_end().to_owned();
        if self.status.is_redirection() {
            let target = self.headers.get(LOCATION).map_or_else(|| "nowhere".into(), |to| printable(to.as_bytes()));
            what.push_str(&format!(" to {target}: not followed"));
        } else if !self.body.is_empty() {
            what.push_str(&format!(": {}", printable(&self.body)));
        }
        DeliveryError { what, retry: self.retry() }
    }

    /// An answer that says yes, but not what was needed.
    pub(super) fn unusable(&self, why: &str) -> DeliveryError {
        let what = format!("{}: {}, but {why}: {}", self.asked, self.status.as_u16(), printable(&self.body));
        DeliveryError { what, retry: Retry::Later { after: None } }
    }

    /// Never only where the recording itself cannot be taken: a wrong login, a wrong page, a full or broken remote can be mended,
    /// and 400 is what a request that was damaged on its way gets.
    fn retry(&self) -> Retry {
        match self.status.as_u16() {
            409 | 411 | 413 | 414 | 415 | 422 | 431 => Retry::Never,
            _ => Retry::Later { after: self.retry_after() },
        }
    }

    /// `Retry-After` as seconds or as a date (RFC 9110 §10.2.3).
    fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO),
        };
        Some(wait.min(LONGEST_WAIT))
    }
}

/// A text that is not empty, or a number, as text.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The beginning of a foreign text on one line, without anything a terminal obeys.
pub(super) fn printable(bytes: &[u8]) -> String {
    let start = bytes.get(..bytes.len().min(QUOTED_CHARS * 4)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = words.chars().take(QUOTED_CHARS).flat_map(visible).collect();
    if words.chars().count() > QUOTED_CHARS {
        shown.push('…');
    }
    shown
}

fn visible(c: char) -> impl Iterator<Item = char> {
    let hidden = c.is_control() || ('\u{200b}'..='\u{206f}').contains(&c) || c == '\u{feff}';
    let escaped: Vec<char> = if hidden { c.escape_unicode().collect() } else { vec![c] };
    escaped.into_iter()
}

/// A failure that another attempt may mend.
pub(super) fn later(what: impl Into<String>) -> DeliveryError {
    DeliveryError { what: what.into(), retry: Retry::Later { after: None } }
}

/// A failure that stays.
pub(super) fn never(what: impl Into<String>) -> DeliveryError {
    DeliveryError { what: what.into(), retry: Retry::Never }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Answer {
            asked: "POST https://crm.example/api".into(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn each_class_of_status_means_later_or_never() {
        for status in [301, 302, 400, 307, 401, 402, 403, 404, 405, 408, 410, 423, 425, 429, 500, 502, 503, 504, 507] {
            assert!(matches!(answer(status, &[], "").failure().retry, Retry::Later { after: None }), "{status}");
        }
        for status in [409, 411, 413, 414, 415, 422, 431] {
            assert_eq!(answer(status, &[], "").failure().retry, Retry::Never, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |text| answer(503, &[("retry-after", text)], "").failure().retry;
        assert_eq!(after("7"), Retry::Later { after: Some(Duration::from_secs(7)) });
        assert_eq!(after("99999999"), Retry::Later { after: Some(LONGEST_WAIT) });
        assert_eq!(after("soon"), Retry::Later { after: None });
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Retry::Later { after: Some(Duration::ZERO) });
        // A date is of whole seconds, and the clock goes on while it is read.
        let began = SystemTime::now();
        let date = httpdate::fmt_http_date(began + Duration::from_secs(100));
        let Retry::Later { after: Some(wait) } = after(&date) else { panic!("no wait") };
        let least = Duration::from_secs(99).saturating_sub(began.elapsed().unwrap());
        assert!((least..=Duration::from_secs(100)).contains(&wait), "{wait:?}");
    }

    #[test]
    fn an_error_names_the_request_and_quotes_what_is_safe() {
        let told = answer(500, &[], "out of\r\n\x1b[31mspace").failure().what;
        assert_eq!(told, "POST https://crm.example/api: 500 Internal Server Error: out of \\u{1b}[31mspace");
        let moved = answer(302, &[("location", "http://169.254.169.254/")], "x").failure().what;
        assert_eq!(moved, "POST https://crm.example/api: 302 Found to http://169.254.169.254/: not followed");
    }

    #[test]
    fn a_receipt_is_found_in_body_and_header() {
        let json = r#"{"id":"7","sha256":"ab","size":3}"#;
        assert_eq!(answer(200, &[], json).receipt().unwrap().size, Some(3));
        let header = BASE64_URL_SAFE_NO_PAD.encode(json);
        assert_eq!(answer(204, &[(RECEIPT_HEADER, &header)], "").receipt().unwrap().id, "7");
        assert!(answer(200, &[], "{}").receipt().is_none());
        assert!(answer(200, &[], "<html>").receipt().is_none());
        assert_eq!(answer(200, &[], r#"{"data":[{"id":5}]}"#).pointed("/data/0/id").as_deref(), Some("5"));
    }
}
