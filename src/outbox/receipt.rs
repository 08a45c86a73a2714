//! Receipts: when one counts, and how it is signed.
//! Above: `push` checks those of remotes; the receiver signs its own. Below: HMAC.
//!
//! A signature is `v1,` and the base64 of HMAC-SHA256 over `KEY.RECEIVED_AT.SHA256.SIZE`: the idempotency key the recording came
//! with, then the receipt's own fields as they stand in it (the hash in lower-case digits, the size in decimal ones). The form is
//! that of standard webhooks: a secret `whsec_…` is base64, any other is taken as its bytes; of several signatures with blanks
//! between them one has to be right, so that keys can change. As the key of the recording is signed too, a receipt for one cannot be
//! given for another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::remote::{Policy, Receipt, ReceiptKind};
use crate::config::Secret;

/// Why a receipt does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// A hash or size is missing.
    #[error("its receipt names no {0}")]
    Missing(&'static str),
    /// Something else arrived.
    #[error("it received {what} {theirs}, not {ours}")]
    Differs {
        /// `a file with SHA-256`, `bytes:`
        what: &'static str,
        /// According to the receipt.
        theirs: String,
        /// As sent.
        ours: String,
    },
    /// A signature is required, and there is none.
    #[error("its receipt is not signed")]
    Unsigned,
    /// The signature is somebody else's.
    #[error("the signature of its receipt is wrong")]
    Forged,
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The idempotency key.
    pub key: &'a str,
    /// SHA-256, lower-case hexadecimal digits.
    pub sha256: &'a str,
    /// Bytes.
    pub size: u64,
}

/// Whether a receipt counts for what was sent.
///
/// # Errors
/// It does not.
pub fn check(receipt: &Receipt, sent: &Sent<'_>, policy: &Policy) -> Result<(), ReceiptError> {
    let must_name = policy.receipt == ReceiptKind::Full || policy.receipt_key.is_some();
    match &receipt.sha256 {
        Some(theirs) if !theirs.eq_ignore_ascii_case(sent.sha256) => {
            let (theirs, ours) = (theirs.chars().take(80).collect::<String>(), sent.sha256.to_owned());
            let theirs = theirs.escape_debug().to_string();
            return Err(ReceiptError::Differs { what: "a file with SHA-256", theirs, ours });
        }
        None if must_name => return Err(ReceiptError::Missing("SHA-256")),
        _ => {}
    }
    match receipt.size {
        Some(theirs) if theirs != sent.size => {
            let (theirs, ours) = (theirs.to_string(), sent.size.to_string());
            return Err(ReceiptError::Differs { what: "bytes:", theirs, ours });
        }
        None if must_name => return Err(ReceiptError::Missing("size")),
        _ => {}
    }
    let Some(key) = &policy.receipt_key else { return Ok(()) };
    let signatures = receipt.signature.as_deref().ok_or(ReceiptError::Unsigned)?;
    let received_at = receipt.received_at.as_deref().unwrap_or_default();
    let mac = mac(key, sent, received_at);
    let is_right = |signature: &str| {
        let bytes = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        bytes.is_some_and(|bytes| mac.clone().verify_slice(&bytes).is_ok())
    };
    if signatures.split(' ').any(is_right) { Ok(()) } else { Err(ReceiptError::Forged) }
}

/// The signature of a receipt.
#[must_use]
pub fn sign(key: &Secret, sent: &Sent<'_>, received_at: &str) -> String {
    format!("v1,{}", STANDARD.encode(mac(key, sent, received_at).finalize().into_bytes()))
}

fn mac(key: &Secret, sent: &Sent<'_>, received_at: &str) -> Hmac<Sha256> {
    let text = key.expose().trim();
    let decoded = text.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
    let bytes = decoded.as_deref().map_or(text.as_bytes(), Vec::as_slice);
    // HMAC takes keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(bytes).unwrap_or_else(|_| Hmac::new(&Default::default()));
    let Sent { key, sha256, size } = sent;
    mac.update(format!("{key}.{received_at}.{}.{size}", sha256.to_ascii_lowercase()).as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Sent<'_> = Sent { key: "k", sha256: "ab", size: 3 };

    fn receipt() -> Receipt {
        let (sha256, received_at) = (Some("AB".to_owned()), Some("2026-11-21T09:00:00Z".to_owned()));
        Receipt { id: "7".into(), sha256, size: Some(3), received_at, ..Receipt::default() }
    }

    fn keyed() -> Policy {
        Policy { receipt_key: Some(Secret::new("whsec_c2VjcmV0".into())), ..Policy::default() }
    }

    #[test]
    fn a_receipt_counts_where_hash_and_size_are_right() {
        let policy = Policy::default();
        assert_eq!(check(&receipt(), &SENT, &policy), Ok(()));
        let other = Receipt { sha256: Some("ac".into()), ..receipt() };
        assert!(matches!(check(&other, &SENT, &policy), Err(ReceiptError::Differs { .. })));
        let longer = Receipt { size: Some(4), ..receipt() };
        assert!(matches!(check(&longer, &SENT, &policy), Err(ReceiptError::Differs { .. })));
        let silent = Receipt { sha256: None, ..receipt() };
        assert_eq!(check(&silent, &SENT, &policy), Err(ReceiptError::Missing("SHA-256")));
        let silent = Receipt { size: None, ..receipt() };
        assert_eq!(check(&silent, &SENT, &policy), Err(ReceiptError::Missing("size")));
    }

    #[test]
    fn where_a_yes_is_enough_a_wrong_hash_is_still_wrong() {
        let policy = Policy { receipt: ReceiptKind::Status, ..Policy::default() };
        assert_eq!(check(&Receipt::default(), &SENT, &policy), Ok(()));
        let other = Receipt { sha256: Some("ac".into()), ..Receipt::default() };
        assert!(check(&other, &SENT, &policy).is_err());
        let signed = Policy { receipt: ReceiptKind::Status, ..keyed() };
        assert!(check(&Receipt::default(), &SENT, &signed).is_err(), "what is signed must be there");
    }

    #[test]
    fn a_key_wants_its_signature_on_this_very_recording() {
        let policy = keyed();
        let key = policy.receipt_key.as_ref().unwrap();
        assert_eq!(check(&receipt(), &SENT, &policy), Err(ReceiptError::Unsigned));
        let signature = sign(key, &SENT, "2026-11-21T09:00:00Z");
        let signed = |signature: String| Receipt { signature: Some(signature), ..receipt() };
        assert_eq!(check(&signed(signature.clone()), &SENT, &policy), Ok(()));
        assert_eq!(check(&signed(format!("v1,AAAA v2,x {signature}")), &SENT, &policy), Ok(()));
        for wrong in [
            sign(&Secret::new("c2VjcmV0".into()), &SENT, "2026-11-21T09:00:00Z"),
            sign(key, &Sent { key: "other", ..SENT }, "2026-11-21T09:00:00Z"),
            sign(key, &SENT, "2026-11-21T09:00:01Z"),
            signature.replace("v1,", ""),
            "v1,".into(),
            String::new(),
        ] {
            assert_eq!(check(&signed(wrong), &SENT, &policy), Err(ReceiptError::Forged));
        }
    }

    #[test]
    fn a_signature_is_what_any_other_program_would_make() {
        // printf %s 'k.t.ab.3' | openssl dgst -sha256 -hmac secret -binary | base64
        let key = Secret::new("secret\n".into());
        assert_eq!(sign(&key, &SENT, "t"), "v1,/biNqlfVw2EBd9ngo124vWBTlnbIKK4k+qWC3mnL4D4=");
    }
}
