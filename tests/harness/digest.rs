//! Digest answers of a phone (RFC 7616; RFC 2617 for a challenge without qop).

use md5::{Digest, Md5};
use sha2::Sha256;

use super::Text;

/// What a phone can hash with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        let bytes = match self {
            Self::Md5 => Md5::digest(text).to_vec(),
            Self::Sha256 => Sha256::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// One `Digest …` challenge.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) qop: bool,
    pub(crate) stale: bool,
    pub(crate) opaque: Option<String>,
}

impl Challenge {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let rest = value.strip_prefix("Digest ")?;
        let get = |name: &str| {
            let start = rest
                .match_indices(&format!("{name}="))
                .find(|(at, _)| *at == 0 || rest[..*at].ends_with([' ', ',']))?;
            let after = &rest[start.0 + name.len() + 1..];
            Some(match after.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next()?.to_owned(),
                None => after.split(',').next()?.trim().to_owned(),
            })
        };
        let algorithm = match get("algorithm").as_deref() {
            None | Some("MD5") => Some(Algorithm::Md5),
            Some("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        };
        let qop = get("qop").is_some_and(|list| list.split(',').any(|item| item.trim() == "auth"));
        let stale = get("stale").is_some_and(|word| word.eq_ignore_ascii_case("true"));
        Some(Self { realm: get("realm")?, nonce: get("nonce")?, algorithm, qop, stale, opaque: get("opaque") })
    }
}

/// The challenges of a 401 or 407, in their order.
pub(crate) fn challenges(refusal: &Text) -> Vec<Challenge> {
    let name = if refusal.status() == Some(407) { "Proxy-Authenticate" } else { "WWW-Authenticate" };
    refusal.all(name).into_iter().filter_map(Challenge::parse).collect()
}

/// Who answers, and with which counter.
#[derive(Clone, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) count: u32,
}

/// The value of (Proxy-)Authorization.
pub(crate) fn answer(challenge: &Challenge, login: &Login<'_>) -> String {
    let algorithm = challenge.algorithm.expect("a challenge this phone can answer");
    let Challenge { realm, nonce, qop, .. } = challenge;
    let Login { user, password, method, uri, count } = login;
    let ha1 = algorithm.hash(&format!("{user}:{realm}:{password}"));
    let ha2 = algorithm.hash(&format!("{method}:{uri}"));
    let cnonce = "0a4f113b";
    let response = if *qop {
        algorithm.hash(&format!("{ha1}:{nonce}:{count:08x}:{cnonce}:auth:{ha2}"))
    } else {
        algorithm.hash(&format!("{ha1}:{nonce}:{ha2}"))
    };
    let mut value = format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", algorithm={}",
        algorithm.name()
    );
    if *qop {
        value.push_str(&format!(", qop=auth, nc={count:08x}, cnonce=\"{cnonce}\""));
    }
    if let Some(opaque) = &challenge.opaque {
        value.push_str(&format!(", opaque=\"{opaque}\""));
    }
    value
}

#[test]
fn the_answers_are_those_of_the_examples_in_the_rfcs() {
    let login = Login { user: "Mufasa", password: "Circle Of Life", method: "GET", uri: "/dir/index.html", count: 1 };
    let challenge = Challenge::parse(
        "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc\"",
    );
    // RFC 2617 §3.5, whose cnonce is the one used here
    let value = answer(&challenge.expect("a challenge"), &login);
    assert!(value.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{value}");
}
