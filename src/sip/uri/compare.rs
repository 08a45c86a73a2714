//! When two URIs are the same (RFC 3261 §19.1.4, RFC 3966 §4), and the form addresses-of-record share.

use super::{Scheme, Uri, decode};

impl Uri {
    /// Scheme, user and host in the one form that equal addresses-of-record share: no port, password or parameters.
    pub fn address_of_record(&self) -> String {
        let user = self.user.as_deref().map(|user| normal(user) + "@").unwrap_or_default();
        format!("{}:{user}{}", self.scheme, self.host.to_string().to_ascii_lowercase())
    }

    /// Equality as RFC 3261 §19.1.4 defines it; for `tel:` RFC 3966 §4, for other schemes letter by letter.
    pub fn matches(&self, other: &Self) -> bool {
        match (&self.scheme, &other.scheme) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => self.matches_sip(other),
            (Scheme::Tel, Scheme::Tel) => digits(self.user.as_deref()).eq(digits(other.user.as_deref())),
            (Scheme::Other(a), Scheme::Other(b)) => a.eq_ignore_ascii_case(b) && self.user == other.user,
            _ => false,
        }
    }

    fn matches_sip(&self, other: &Self) -> bool {
        self.user.as_deref().map(normal) == other.user.as_deref().map(normal)
            && self.password.as_deref().map(normal) == other.password.as_deref().map(normal)
            && self.host.matches(&other.host)
            && self.port == other.port
            && self.params_match(other)
            && other.params_match(self)
            && header_set(self.headers.as_deref()) == header_set(other.headers.as_deref())
    }

    /// Every parameter of ours that the other has too is equal, and none of the five that must be in both is ours alone.
    fn params_match(&self, other: &Self) -> bool {
        const BOTH_OR_NONE: [&str; 5] = ["transport", "user", "ttl", "method", "maddr"];
        // of a parameter said twice the first counts
        self.params.iter().all(|(name, _)| match (self.params.first(name).flatten(), other.params.first(name)) {
            (value, Some(theirs)) => {
                let lower = |value: Option<&str>| normal(value.unwrap_or_default()).to_ascii_lowercase();
                lower(value) == lower(theirs)
            }
            (_, None) => !BOTH_OR_NONE.iter().any(|must| must.eq_ignore_ascii_case(name)),
        })
    }
}

/// A form in which two equal texts are equal bytes: only reserved and non-graphic bytes stay escaped (§19.1.4).
fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for (byte, escaped) in decode(text) {
        let graphic = byte.is_ascii_graphic() && !b";/?:@&=+$,%".contains(&byte);
        if escaped && !graphic {
            normal.push_str(&format!("%{byte:02X}"));
        } else {
            normal.push(char::from(byte));
        }
    }
    normal
}

/// URI headers compare as a set.
fn header_set(headers: Option<&str>) -> Vec<(String, String)> {
    let mut set: Vec<_> = headers
        .into_iter()
        .flat_map(|headers| headers.split('&'))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (normal(name).to_ascii_lowercase(), normal(value)))
        .collect();
    set.sort();
    set
}

/// The dialled characters of a `tel:` number, without visual separators.
fn digits(number: Option<&str>) -> impl Iterator<Item = u8> {
    number
        .unwrap_or_default()
        .bytes()
        .filter(|b| !matches!(b, b'-' | b'.' | b'(' | b')'))
        .map(|b| b.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_follows_the_examples_of_rfc_3261() {
        let equal = |a: &str, b: &str| Uri::parse(a).unwrap().matches(&Uri::parse(b).unwrap());
        assert!(equal("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"));
        assert!(equal("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(equal("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
        assert!(equal("sip:a@b?x=1&y=2", "sip:a@b?y=2&x=1"));
        assert!(!equal("sip:ALICE@atlanta.com", "sip:alice@atlanta.com"));
        assert!(!equal("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!equal("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!equal("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
        assert!(!equal("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
        assert!(!equal("sip:%00@h", "sip:%00%00@h"));
        assert!(equal("tel:+1-201-555-0123", "tel:+12015550123"));
    }
}
