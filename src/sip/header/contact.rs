//! The Contact header (RFC 3261 §20.10) with the parameters of Outbound (RFC 5626) that a registrar needs.

use super::{HeaderError, NameAddr, parse_seconds};

/// One element of a Contact header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// `*`: all bindings (only to remove them).
    Star,
    /// An address.
    Address(NameAddr),
}

impl Contact {
    /// Reads one element.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        if value == "*" { Ok(Self::Star) } else { NameAddr::parse(value).map(Self::Address) }
    }

    /// The address, when it is one.
    pub fn address(&self) -> Option<&NameAddr> {
        match self {
            Self::Star => None,
            Self::Address(address) => Some(address),
        }
    }

    /// The `expires` parameter in seconds; malformed counts as 3600 (§20.10), too large as the largest.
    pub fn expires(&self) -> Option<u32> {
        self.address()?.params.get("expires").map(|value| parse_seconds(value).unwrap_or(3600))
    }

    /// The `q` preference in thousandths, 0 to 1000.
    pub fn q(&self) -> Option<u16> {
        let value = self.address()?.params.get("q")?;
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        let digits = whole.len() == 1 && fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
        let thousandths: u16 = if digits { format!("{whole}{fraction:0<3}").parse().ok()? } else { return None };
        (thousandths <= 1000).then_some(thousandths)
    }

    /// The device's lasting name, `+sip.instance`, without quotes and brackets (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<&str> {
        let value = self.address()?.params.get("+sip.instance")?;
        Some(value.strip_prefix('<').and_then(|inner| inner.strip_suffix('>')).unwrap_or(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrars_parameters_are_read() {
        let contact = Contact::parse("\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam = newvalue ; q = 0.33;expires=60;+sip.instance=\"<urn:uuid:0-1>\"").unwrap();
        assert_eq!((contact.q(), contact.expires(), contact.instance()), (Some(330), Some(60), Some("urn:uuid:0-1")));
        assert_eq!(Contact::parse("*"), Ok(Contact::Star));
    }

    #[test]
    fn odd_expires_and_q_do_not_break_the_contact() {
        let expires = |value: &str| Contact::parse(&format!("<sip:a@b>;expires={value}")).unwrap().expires();
        assert_eq!((expires("280297596632815"), expires("-1"), expires("0")), (Some(u32::MAX), Some(3600), Some(0)));
        let q = |value: &str| Contact::parse(&format!("<sip:a@b>;q={value}")).unwrap().q();
        assert_eq!((q("1.0"), q("1.5"), q("x"), q("0.1234")), (Some(1000), None, None, None));
    }
}
