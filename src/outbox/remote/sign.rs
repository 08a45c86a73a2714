//! Signatures over what is sent, by the headers of Standard Webhooks: HMAC-SHA256 of `id.timestamp.text`.
//! Above: `http`, `tus`, `notice`. Below: hmac.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::DeliveryError;
use super::web::Ask;
use crate::config::Secret;

/// Adds `webhook-id`, `webhook-timestamp` and `webhook-signature`. `text` is the JSON that goes along; it names the audio's hash,
/// so that one signature holds for both.
pub(super) fn sign(ask: &mut Ask, key: &Secret, id: &str, text: &[u8]) -> Result<(), DeliveryError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    ask.header("webhook-id", id)?;
    ask.header("webhook-signature", &signature(key, id, &now, text))?;
    ask.header("webhook-timestamp", &now)
}

/// `v1,` and the base64 of the code. A key `whsec_…` is base64, any other is taken as it is.
pub(super) fn signature(key: &Secret, id: &str, timestamp: &str, text: &[u8]) -> String {
    let coded = key.expose().strip_prefix("whsec_").and_then(|coded| BASE64_STANDARD.decode(coded).ok());
    let bytes = zeroize::Zeroizing::new(coded.unwrap_or_else(|| key.expose().as_bytes().to_vec()));
    let code = hmac_sha256(&bytes, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", text]);
    format!("v1,{}", BASE64_STANDARD.encode(code))
}

/// HMAC-SHA256 (RFC 2104) over the pieces one after the other.
pub(super) fn hmac_sha256(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    // a key of any length is good (RFC 2104 §3), so this never takes the second way
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_comes_out() {
        let key = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let text = br#"{"test": 2432232314}"#;
        let made = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", text);
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
