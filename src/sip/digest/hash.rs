//! The arithmetic of a digest (RFC 7616 §3.4), the same for both sides.

use std::fmt::Write;

use md5::Md5;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::config::Secret;

/// A hash function, plain or bound to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Md5Sess,
    Sha256,
    Sha256Sess,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess];

    /// By its name; none at all means MD5 (RFC 2617 §3.2.1).
    pub(super) fn of(name: Option<&str>) -> Option<Self> {
        let name = name.unwrap_or("MD5");
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    /// Length of its result in hexadecimal digits.
    pub(super) fn hex_len(self) -> usize {
        match self {
            Self::Md5 | Self::Md5Sess => 32,
            Self::Sha256 | Self::Sha256Sess => 64,
        }
    }

    /// The hash of parts joined by colons, in lower-case hexadecimal.
    fn hash(self, parts: &[&[u8]]) -> Zeroizing<String> {
        match self {
            Self::Md5 | Self::Md5Sess => joined::<Md5>(parts),
            Self::Sha256 | Self::Sha256Sess => joined::<Sha256>(parts),
        }
    }
}

fn joined<D: Digest>(parts: &[&[u8]]) -> Zeroizing<String> {
    let mut digest = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            digest.update(b":");
        }
        digest.update(part);
    }
    Zeroizing::new(hex(&digest.finalize()))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Quality of protection with its counters, as written.
#[derive(Clone, Copy)]
pub(super) struct Qop<'a> {
    pub(super) name: &'a str,
    pub(super) nc: &'a str,
    pub(super) cnonce: &'a str,
}

/// All that goes into a response, as written between the quotes.
pub(super) struct Exchange<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) user: &'a str,
    pub(super) realm: &'a str,
    pub(super) nonce: &'a str,
    pub(super) uri: &'a str,
    pub(super) method: &'a str,
    pub(super) qop: Option<Qop<'a>>,
    pub(super) body: &'a [u8],
}

impl Exchange<'_> {
    /// The response that the right password gives.
    pub(super) fn response(&self, password: &Secret) -> Zeroizing<String> {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let mut a1 = hash(&[self.user.as_bytes(), self.realm.as_bytes(), password.expose().as_bytes()]);
        if matches!(self.algorithm, Algorithm::Md5Sess | Algorithm::Sha256Sess) {
            let cnonce = self.qop.map_or("", |qop| qop.cnonce);
            a1 = hash(&[a1.as_bytes(), self.nonce.as_bytes(), cnonce.as_bytes()]);
        }
        let a2 = match self.qop {
            Some(qop) if qop.name.eq_ignore_ascii_case("auth-int") => {
                hash(&[self.method.as_bytes(), self.uri.as_bytes(), hash(&[self.body]).as_bytes()])
            }
            _ => hash(&[self.method.as_bytes(), self.uri.as_bytes()]),
        };
        match self.qop {
            Some(Qop { name, nc, cnonce }) => {
                let middle = [self.nonce, nc, cnonce, name].map(str::as_bytes);
                let [nonce, nc, cnonce, name] = middle;
                hash(&[a1.as_bytes(), nonce, nc, cnonce, name, a2.as_bytes()])
            }
            None => hash(&[a1.as_bytes(), self.nonce.as_bytes(), a2.as_bytes()]), // RFC 2069
        }
    }

    /// The nonce count; without one the nonce is good once.
    pub(super) fn count(&self) -> u32 {
        self.qop.map_or(Some(1), |qop| u32::from_str_radix(qop.nc, 16).ok()).unwrap_or(0)
    }
}

/// Equality in a time that depends on the lengths alone.
pub(super) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0_u8, |found, (a, b)| std::hint::black_box(found | (a ^ b)));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}
