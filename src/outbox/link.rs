//! Signed links: who has one may fetch one recording until a time, and needs no login. Pure but for the key's file.
//! Above: remotes that are only given notice, `rec link`, `rec index`; `receiver` checks what comes back.
//!
//! `BASE/r/KEY?expires=SECONDS&sig=HEX`: the recording's id, with `.2`, `.3` for its further files; the end of its time in seconds
//! since 1970; HMAC-SHA-256 under the key's text of `wirechief link 1`, KEY and SECONDS, each ended by LF. A link in a notice has
//! `&to=REMOTE` as well, and its signature covers that behind the others: fetching over it is that remote's delivery, and no other's.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use crate::config::Secret;

/// Links that hold longer are refused, in seconds: a slip of the keyboard is no right for ever. Ten years.
pub const LONGEST_S: i64 = 10 * 366 * 86_400;

/// The link to what has this key ([`super::remote::Parcel::key`]) below `base`, such as `https://pbx.example:8443`.
pub fn link(base: &str, key: &Secret, what: &str, expires: Timestamp) -> String {
    made(base, key, (what, None), expires)
}

/// The same for a remote that is told of it: who fetches over this one has it for that remote.
pub fn link_to(base: &str, key: &Secret, what: &str, expires: Timestamp, remote: &str) -> String {
    made(base, key, (what, Some(remote)), expires)
}

fn made(base: &str, key: &Secret, (what, to): (&str, Option<&str>), expires: Timestamp) -> String {
    let seconds = expires.as_second();
    let signature = super::spool::hex(&mac(key, (what, to), &seconds.to_string()).finalize().into_bytes());
    let link = format!("{}/r/{what}?expires={seconds}&sig={signature}", base.trim_end_matches('/'));
    match to {
        Some(to) => {
            format!("{link}&to={}", percent_encoding::utf8_percent_encode(to, percent_encoding::NON_ALPHANUMERIC))
        }
        None => link,
    }
}

/// What is said of a link that held once: whoever shows it was given it.
pub const EXPIRED: &str = "This link has expired";

/// Whether a link for what has this key, and for this remote if for any, was made here and its time is not over; `given` are its
/// `expires` and `sig`. The signature is compared in constant time.
///
/// # Errors
/// Why it does not hold, in words for whoever followed it.
pub fn check(
    key: &Secret,
    what: (&str, Option<&str>),
    given: (&str, &str),
    now: Timestamp,
) -> Result<(), &'static str> {
    const FALSE: &str = "This link does not hold";
    let (expires, signature) = given;
    let signature = unhex(signature).ok_or(FALSE)?;
    mac(key, what, expires).verify_slice(&signature).map_err(|_| FALSE)?;
    let seconds: i64 = expires.parse().map_err(|_| FALSE)?;
    match seconds.saturating_sub(now.as_second()) {
        left if left <= 0 => Err(EXPIRED),
        left if left > LONGEST_S => Err(FALSE),
        _ => Ok(()),
    }
}

fn mac(key: &Secret, (what, to): (&str, Option<&str>), expires: &str) -> Hmac<Sha256> {
    // HMAC takes keys of every length (RFC 2104 §2): this never fails, and an empty key would only make links nobody checks.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(format!("wirechief link 1\n{what}\n{expires}\n").as_bytes());
    if let Some(to) = to {
        mac.update(format!("{to}\n").as_bytes());
    }
    mac
}

/// 64 small hexadecimal digits as 32 bytes.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_hex = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2).filter(|_| is_hex)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

    fn parts(link: &str) -> (String, String, String) {
        let rest = link.strip_prefix("https://pbx.example/r/").unwrap();
        let (what, query) = rest.split_once("?expires=").unwrap();
        let (expires, signature) = query.split_once("&sig=").unwrap();
        (what.to_owned(), expires.to_owned(), signature.to_owned())
    }

    #[test]
    fn s125_a_link_holds_until_its_time_and_for_its_recording_alone() {
        let (key, end) = (Secret::new("k".into()), Timestamp::from_second(1_800_000_000).unwrap());
        let (what, expires, signature) = parts(&link("https://pbx.example/", &key, ID, end));
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let holds =
            |what: &str, expires: &str, signature: &str, now| check(&key, (what, None), (expires, signature), now);
        assert_eq!(holds(&what, &expires, &signature, at(-1)), Ok(()));
        assert_eq!(holds(&what, &expires, &signature, at(0)), Err("This link has expired"));
        assert!(holds(&what, "1900000000", &signature, at(-1)).is_err(), "its end cannot be moved");
        assert!(holds(&format!("{ID}.2"), &expires, &signature, at(-1)).is_err(), "nor what it leads to");
        assert!(check(&key, (&what, Some("crm")), (&expires, &signature), at(-1)).is_err(), "nor for whom it is");
        let told = link_to("https://pbx.example", &key, ID, end, "c r/m");
        let (_, query) = told.split_once("&sig=").unwrap();
        let (signature, to) = query.split_once('&').unwrap();
        assert_eq!(to, "to=c%20r%2Fm");
        assert_eq!(check(&key, (ID, Some("c r/m")), (&expires, signature), at(-1)), Ok(()));
        assert!(check(&key, (ID, None), (&expires, signature), at(-1)).is_err(), "nor is it a link for anybody");
        assert!(check(&Secret::new("other".into()), (&what, None), (&expires, signature), at(-1)).is_err());
    }

    #[test]
    fn every_bit_of_a_signature_counts() {
        let (key, end) = (Secret::new("k".into()), Timestamp::from_second(1_800_000_000).unwrap());
        let (what, expires, signature) = parts(&link("https://pbx.example", &key, ID, end));
        let bytes = unhex(&signature).unwrap();
        for bit in 0..256 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = super::super::spool::hex(&flipped);
            assert!(check(&key, (&what, None), (&expires, &flipped), Timestamp::UNIX_EPOCH).is_err(), "bit {bit}");
        }
        for wrong in ["", "00", &signature.to_uppercase(), &format!("{signature}0"), "é".repeat(32).as_str()] {
            assert!(check(&key, (&what, None), (&expires, wrong), Timestamp::UNIX_EPOCH).is_err(), "{wrong}");
        }
    }
}
