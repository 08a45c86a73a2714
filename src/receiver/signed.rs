//! Who may deliver: the token, and the signature of standard webhooks: HMAC-SHA-256 over `ID.TIMESTAMP.TEXT`, fresh, each once.
//! Above: `intake`, `notice`. Below: `login` counts what is wrong.

use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::answer::header_text;
use super::desk::Desk;
use super::intake::Untaken;
use super::login::Refusal;
use crate::config::Secret;

/// A signature may be so old, or from so far in the future, in seconds.
const WINDOW_S: i64 = 300;
/// Signatures remembered at most; they are forgotten with their window.
const REMEMBERED: usize = 100_000;

/// Lets a program in that shows the token, or any where only signatures count.
///
/// # Errors
/// It shows none or a wrong one, or nothing is taken here at all.
pub(super) fn program(desk: &Desk, headers: &HeaderMap, from: IpAddr) -> Result<(), Untaken> {
    if !desk.gate.has_token() {
        return match desk.signing_key {
            Some(_) => desk.gate.is_banned(from, Instant::now()).map_err(untaken),
            None => Err(Untaken::new(
                StatusCode::FORBIDDEN,
                "nothing is taken here: `token_file` or `signing_key_file` of [serve] is needed for it",
            )),
        };
    }
    match desk.gate.delivers(headers, from) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Untaken::nobodys(StatusCode::UNAUTHORIZED, "a token is needed")),
        Err(refusal) => Err(untaken(refusal)),
    }
}

fn untaken(refusal: Refusal) -> Untaken {
    match refusal {
        Refusal::Banned(_) => Untaken::nobodys(StatusCode::TOO_MANY_REQUESTS, "too often wrong"),
        Refusal::Other => {
            Untaken::new(StatusCode::FORBIDDEN, "this token reads: `token_file` of [serve] is for deliveries")
        }
        Refusal::Nothing | Refusal::Wrong => Untaken::new(StatusCode::UNAUTHORIZED, "the login is wrong"),
    }
}

/// Checks the signature over `text`, where one is asked for; whether the very same has been here before.
///
/// # Errors
/// It is missing, wrong, too old or from the future.
pub(super) fn checked(desk: &Desk, headers: &HeaderMap, text: &[u8], from: IpAddr) -> Result<bool, Untaken> {
    let Some(key) = &desk.signing_key else { return Ok(false) };
    let value = |name| header_text(headers, name).unwrap_or_default();
    let shown = Shown {
        id: value("webhook-id"),
        timestamp: value("webhook-timestamp"),
        signatures: value("webhook-signature"),
    };
    let now = Timestamp::now().as_second();
    let code = verify(key, &shown, text, now).map_err(|why| {
        desk.gate.wrong(from, Instant::now());
        Untaken::new(StatusCode::UNAUTHORIZED, why)
    })?;
    let mut seen = desk.seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.0.retain(|_, until| *until > now);
    // The one that held: others beside it make no other request.
    let mark = format!("{} {} {}", shown.id, shown.timestamp, STANDARD.encode(code));
    if seen.0.len() >= REMEMBERED {
        seen.0.pop_first();
    }
    Ok(seen.0.insert(mark, now + 2 * WINDOW_S).is_some())
}

/// What the three headers say.
struct Shown<'a> {
    id: &'a str,
    timestamp: &'a str,
    /// Several with blanks between them, so that keys can change.
    signatures: &'a str,
}

/// The code that holds.
fn verify(key: &Secret, shown: &Shown<'_>, text: &[u8], now_s: i64) -> Result<Vec<u8>, &'static str> {
    if shown.signatures.is_empty() {
        return Err("it is not signed");
    }
    let time: i64 = shown.timestamp.parse().map_err(|_| "its webhook-timestamp is no number")?;
    if time.saturating_sub(now_s).saturating_abs() > WINDOW_S {
        return Err("its signature is too old, or from the future");
    }
    let coded = key.expose().strip_prefix("whsec_").and_then(|coded| STANDARD.decode(coded).ok()).map(Zeroizing::new);
    let bytes = coded.as_deref().map_or(key.expose().as_bytes(), Vec::as_slice);
    let right = |signature: &str| {
        let code = signature.strip_prefix("v1,").and_then(|code| STANDARD.decode(code).ok())?;
        // HMAC takes keys of every length (RFC 2104 §3)
        let mut mac = Hmac::<Sha256>::new_from_slice(bytes).ok()?;
        for piece in [shown.id.as_bytes(), b".", shown.timestamp.as_bytes(), b".", text] {
            mac.update(piece);
        }
        mac.verify_slice(&code).is_ok().then_some(code)
    };
    shown.signatures.split(' ').find_map(right).ok_or("its signature is wrong")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r7_a_signature_holds_for_its_text_and_its_time() {
        // the example of the standard, by another program
        let key = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let text = br#"{"test": 2432232314}"#;
        let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let holds =
            |signatures: &str, text: &[u8], now| verify(&key, &Shown { id, timestamp, signatures }, text, now).is_ok();
        assert!(holds(good, text, 1_614_265_330) && holds(&format!("v1,AAAA {good}"), text, 1_614_265_630));
        assert!(!holds(good, text, 1_614_265_631) && !holds(good, text, 1_614_265_029), "ten minutes are the window");
        assert!(
            !holds(good, b"{}", 1_614_265_330) && !holds("", text, 1_614_265_330) && !holds("v1,", text, 1_614_265_330)
        );
        let beside = format!("{good} v1,AAAA");
        let code = |signatures| verify(&key, &Shown { id, timestamp, signatures }, text, 1_614_265_330);
        assert_eq!(code(good), code(&beside), "what stands beside it makes no other request");
        let bytes = STANDARD.decode(good.strip_prefix("v1,").unwrap()).unwrap();
        for bit in 0..256 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&format!("v1,{}", STANDARD.encode(flipped)), text, 1_614_265_330), "bit {bit}");
        }
    }
}
