//! Digest authentication (RFC 7616 and 8760, with RFC 2617 and 2069 phones let in): challenges, their verification,
//! and the answers of a client. Above: `call` decides whom to challenge. Nonces live in `nonce`.

mod fields;
mod hash;
mod nonce;

use std::time::Duration;

use crate::config::Secret;
use crate::sip::header::text;

use fields::Fields;
use hash::{Algorithm, Exchange, same_bytes};
use nonce::{Nonces, Use};

/// What an Authorization header proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The user knows the password and this is no replay.
    Accepted {
        /// The digest's user name.
        username: String,
    },
    /// Not for us: other scheme, realm or algorithm, or fields missing. Challenge again.
    Challenge,
    /// The password is right, the nonce too old, unknown or used before. Challenge again with `stale`.
    Stale,
    /// The password or user is wrong. Challenge again, and count it against the source.
    Wrong {
        /// The digest's user name.
        username: String,
    },
}

/// Makes challenges and verifies what comes back. Nonces prove themselves; only those used are remembered, and boundedly.
pub struct Authenticator {
    realm: String,
    nonces: Nonces,
}

impl Authenticator {
    /// For one realm; `secret` must be random and is what nonces are proved with.
    pub fn new(realm: impl Into<String>, secret: [u8; 32]) -> Self {
        Self { realm: realm.into(), nonces: Nonces::new(secret) }
    }

    /// The realm of its challenges.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Values for as many WWW- or Proxy-Authenticate headers, best algorithm first (RFC 8760 §2.4); a phone takes the
    /// first it knows. `now` is the time since any fixed start, the same for all calls. `stale` tells the phone that its
    /// answer was right and only the nonce too old, so that it need not ask its user.
    pub fn challenges(&mut self, now: Duration, stale: bool) -> Vec<String> {
        let nonce = self.nonces.make(now);
        let realm = text::quote(&self.realm);
        let stale = if stale { ", stale=true" } else { "" };
        let challenge = |algorithm: Algorithm| {
            format!("Digest realm={realm}, nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}", algorithm.name())
        };
        [Algorithm::Sha256, Algorithm::Md5].map(challenge).to_vec()
    }

    /// Judges the `authorization` value (Authorization or Proxy-Authorization) of a request. For an unknown user give no
    /// password: time and verdict are those of a wrong password.
    pub fn verify(
        &mut self,
        now: Duration,
        method: &str,
        authorization: &str,
        body: &[u8],
        password: Option<&Secret>,
    ) -> Verdict {
        let Some(fields) = Fields::parse(authorization) else { return Verdict::Challenge };
        let Some((exchange, response)) = self.exchange(&fields, method, body) else { return Verdict::Challenge };
        let nobody = Secret::new(String::new());
        let expected = exchange.response(password.unwrap_or(&nobody));
        let equal = same_bytes(expected.as_bytes(), response.to_ascii_lowercase().as_bytes());
        let username = fields.plain("username").unwrap_or_default();
        if !(equal & password.is_some()) {
            return Verdict::Wrong { username };
        }
        match self.nonces.spend(now, exchange.nonce, exchange.count()) {
            Use::Fresh => Verdict::Accepted { username },
            Use::Stale => Verdict::Stale,
        }
    }

    /// What was hashed, and the hash received; `None` when it cannot be an answer to one of our challenges.
    fn exchange<'a>(&self, fields: &Fields<'a>, method: &'a str, body: &'a [u8]) -> Option<(Exchange<'a>, &'a str)> {
        if fields.plain("realm")? != self.realm {
            return None;
        }
        let algorithm = Algorithm::of(fields.raw("algorithm"))?;
        let response = fields.raw("response").filter(|response| response.len() == algorithm.hex_len())?;
        let exchange = Exchange {
            algorithm,
            user: fields.raw("username")?,
            realm: fields.raw("realm")?,
            nonce: fields.raw("nonce")?,
            uri: fields.raw("uri")?,
            method,
            qop: fields.qop()?,
            body,
        };
        Some((exchange, response))
    }
}

/// The value of the Authorization header that answers a challenge; `None` for an algorithm or quality we do not know.
/// `nc` counts the requests signed with its nonce, this one included; `cnonce` is random text of ours.
pub fn answer(
    challenge: &str,
    method: &str,
    uri: &str,
    user: &str,
    password: &Secret,
    nc: u32,
    cnonce: &str,
) -> Option<String> {
    let fields = Fields::parse(challenge)?;
    let algorithm = Algorithm::of(fields.raw("algorithm"))?;
    let offers_auth = |offered: &str| offered.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
    let nc = format!("{nc:08x}");
    let qop = match fields.raw("qop") {
        None => None,
        Some(offered) if offers_auth(offered) => Some(("auth", nc.as_str(), cnonce)),
        Some(_) => return None,
    };
    let quoted_user = text::quote(user);
    let user = text::strip_quotes(&quoted_user);
    let (realm, nonce) = (fields.raw("realm")?, fields.raw("nonce")?);
    let qop = qop.map(|(name, nc, cnonce)| hash::Qop { name, nc, cnonce });
    let exchange = Exchange { algorithm, user, realm, nonce, uri, method, qop, body: &[] };
    let response = exchange.response(password);
    let mut value = format!("Digest username={quoted_user}, realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\"");
    value.push_str(&format!(", response=\"{}\"", *response));
    if fields.raw("algorithm").is_some() {
        value.push_str(&format!(", algorithm={}", algorithm.name()));
    }
    if let Some(qop) = qop {
        value.push_str(&format!(", qop=auth, nc={}, cnonce=\"{}\"", qop.nc, qop.cnonce));
    }
    if let Some(opaque) = fields.raw("opaque") {
        value.push_str(&format!(", opaque=\"{opaque}\""));
    }
    Some(value)
}

/// The user name of an Authorization header, quotes and escapes resolved.
pub fn username(authorization: &str) -> Option<String> {
    Fields::parse(authorization)?.plain("username")
}

#[cfg(test)]
mod tests;
