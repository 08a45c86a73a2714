//! What every answer has in common: short texts, refusals, and the headers that keep private audio private.
//! Above: all handlers.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::login::Refusal;

/// The document's own words for a file that is not there, or not to be had.
pub(super) const MISSING: &str = "404 File not found!";
/// Asks a browser for name and password.
const CHALLENGE: &str = "Basic realm=\"recordings\", charset=\"UTF-8\"";

/// A short text.
pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Response {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The answer to a page or a file that is not there.
pub(super) fn missing() -> Response {
    text(StatusCode::NOT_FOUND, MISSING)
}

/// The answer to somebody who is not let in.
pub(super) fn refused(refusal: Refusal) -> Response {
    let banned = |left: std::time::Duration| {
        let mut response = text(StatusCode::TOO_MANY_REQUESTS, "429 Too many wrong logins");
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(left.as_secs() + 1));
        response
    };
    match refusal {
        Refusal::Banned(left) => banned(left),
        Refusal::Other => {
            text(StatusCode::FORBIDDEN, "403 This token delivers: `read_token_file` of [serve] has the one that reads")
        }
        Refusal::Nothing | Refusal::Wrong => {
            let mut response = text(StatusCode::UNAUTHORIZED, "401 Log in first");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
            response
        }
    }
}

/// Puts on what is missing of the headers that all answers have.
pub(super) fn guarded(mut response: Response) -> Response {
    let usual = [
        (header::CACHE_CONTROL, "private, no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in usual {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A header's one value as text.
pub(super) fn header_text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
