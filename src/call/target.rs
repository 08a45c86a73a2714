//! Dial targets: what `Dial(SIP/…)` and `originate` name, parsed into meaning.
//! Above: `route`. Below: nothing; a target's text is data, so nothing in it can start a second target.

use std::ops::Range;

use thiserror::Error;

/// Where a call is to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// `SIP/1001`: all phones of a configured user, or the host of a trunk by its bare name.
    Peer(String),
    /// `SIP/icall/4178575309`, `SIP/4178575309@icall`: a number through a named peer; `SIP/7070@remote.example`: at a host.
    NumberAt {
        /// The user part of the request URI.
        number: String,
        /// A trunk's name, or `host[:port]`.
        at: String,
    },
    /// `Local/700@internal`, with or without `/n`: an extension of this server's dialplan.
    Local {
        /// The extension.
        extension: String,
        /// Its context; `default` where none is written.
        context: String,
    },
}

/// Why a target names nothing that can be called.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TargetError {
    /// No `technology/` in front.
    #[error("`{0}` names no technology; write SIP/{0}")]
    NoTechnology(String),
    /// Not a technology of ours.
    #[error("technology `{0}` is not known here; SIP, PJSIP and Local are")]
    UnknownTechnology(String),
    /// Nothing behind the technology, or an empty number or peer.
    #[error("`{0}` names nobody")]
    Empty(String),
    /// A letter behind `Local/…@context/` that is none of those it takes.
    #[error("Local channels have no option `{0}` here; n and j are taken")]
    LocalOption(char),
    /// Bytes that can never be part of a SIP user or host.
    #[error("`{0}` holds a character that no target may hold")]
    Unprintable(String),
}

/// Reads one target. `SIP/…` and `PJSIP/…` are the same technology; originate's `user/…` too.
///
/// # Errors
/// The text names no technology of ours, or nobody.
pub fn parse(text: &str) -> Result<Target, TargetError> {
    parse_spelled(text, &[])
}

/// Reads one target in which the bytes of `values` were put in by substitution: whatever they are, they separate nothing. A
/// value at the very beginning is the way that is to be taken, and read like written text.
///
/// # Errors
/// The text names no technology of ours, or nobody.
pub fn parse_spelled(text: &str, values: &[Range<usize>]) -> Result<Target, TargetError> {
    if text.chars().any(char::is_control) {
        return Err(TargetError::Unprintable(text.escape_debug().to_string()));
    }
    let whole = Spelled { text, offset: 0, values };
    let (technology, rest) = whole.split_once('/').ok_or_else(|| TargetError::NoTechnology(text.into()))?;
    let technology = technology.text.trim();
    if technology.eq_ignore_ascii_case("local") {
        return local(rest).unwrap_or_else(|| Err(TargetError::Empty(text.into())));
    }
    if !["sip", "pjsip", "user"].contains(&technology.to_ascii_lowercase().as_str()) {
        return Err(TargetError::UnknownTechnology(technology.into()));
    }
    let target = if let Some((peer, number)) = rest.split_once('/') {
        // PJSIP's long form carries a whole URI behind the peer: its user part is the number.
        let number = match number.text.strip_prefix("sip:") {
            Some(uri) => number.split_once('@').and_then(|(user, _)| user.text.strip_prefix("sip:")).unwrap_or(uri),
            None => number.text,
        };
        Target::NumberAt { number: number.into(), at: peer.text.into() }
    } else if let Some((number, at)) = rest.rsplit_once('@') {
        Target::NumberAt { number: number.text.into(), at: at.text.into() }
    } else {
        Target::Peer(rest.text.into())
    };
    match &target {
        Target::Peer(peer) if peer.is_empty() => Err(TargetError::Empty(text.into())),
        Target::NumberAt { number, at } if number.is_empty() || at.is_empty() => Err(TargetError::Empty(text.into())),
        _ => Ok(target),
    }
}

/// `extension[@context][/options]`. The halves of a pair are never joined into one (`n`), and their sound never waits (`j`), so
/// both letters ask for what is.
fn local(text: Spelled<'_>) -> Option<Result<Target, TargetError>> {
    let (extension, rest) = match text.rsplit_once('@') {
        Some((extension, rest)) => (extension.text, Some(rest)),
        None => (text.text, None),
    };
    let (context, options) = match rest.map(|rest| (rest.text, rest.split_once('/'))) {
        Some((_, Some((context, options)))) => (context.text, options.text),
        Some((context, None)) => (context, ""),
        None => ("default", ""),
    };
    if let Some(letter) = options.chars().find(|letter| !"nj".contains(*letter)) {
        return Some(Err(TargetError::LocalOption(letter)));
    }
    let target = Target::Local { extension: extension.into(), context: context.into() };
    (!extension.is_empty() && !context.is_empty()).then_some(Ok(target))
}

/// A stretch of a target, and which bytes of the whole are values.
#[derive(Clone, Copy)]
struct Spelled<'t> {
    text: &'t str,
    /// Where it begins in the whole.
    offset: usize,
    values: &'t [Range<usize>],
}

impl<'t> Spelled<'t> {
    fn separates(&self, at: usize) -> bool {
        let at = self.offset + at;
        !self.values.iter().any(|value| value.start > 0 && value.contains(&at))
    }

    fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (at, _) = self.text.match_indices(separator).find(|(at, _)| self.separates(*at))?;
        self.split(at)
    }

    fn rsplit_once(self, separator: char) -> Option<(Self, Self)> {
        let (at, _) = self.text.rmatch_indices(separator).find(|(at, _)| self.separates(*at))?;
        self.split(at)
    }

    /// Around the one byte at `at`.
    fn split(self, at: usize) -> Option<(Self, Self)> {
        let after = at + 1;
        let left = Self { text: self.text.get(..at)?, ..self };
        Some((left, Self { text: self.text.get(after..)?, offset: self.offset + after, ..self }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: &str, at: &str) -> Result<Target, TargetError> {
        Ok(Target::NumberAt { number: number.into(), at: at.into() })
    }

    #[test]
    fn s108_s179_every_documented_form_is_read() {
        assert_eq!(parse("SIP/1001"), Ok(Target::Peer("1001".into())));
        assert_eq!(parse("pjsip/1001"), Ok(Target::Peer("1001".into())));
        assert_eq!(parse("SIP/icall/4178575309"), at("4178575309", "icall"));
        assert_eq!(parse("PJSIP/4178575309@icall"), at("4178575309", "icall"));
        assert_eq!(parse("PJSIP/icall/sip:417@host"), at("417", "icall"));
        assert_eq!(parse("SIP/7070@remote-server.tld:5070"), at("7070", "remote-server.tld:5070"));
        assert_eq!(parse("user/1001"), Ok(Target::Peer("1001".into())));
    }

    #[test]
    fn s211_an_extension_of_this_server_is_a_target() {
        let local =
            |extension: &str, context: &str| Ok(Target::Local { extension: extension.into(), context: context.into() });
        assert_eq!(parse("Local/700@internal"), local("700", "internal"));
        assert_eq!(parse("local/700@internal/n"), local("700", "internal"));
        assert_eq!(parse("Local/*77"), local("*77", "default"));
        assert_eq!(parse("Local/700@internal/b"), Err(TargetError::LocalOption('b')));
        assert!(matches!(parse("Local/@internal"), Err(TargetError::Empty(_))));
        assert!(matches!(parse("Local/700@"), Err(TargetError::Empty(_))));
    }

    #[test]
    fn what_names_nobody_is_refused_with_the_reason() {
        assert_eq!(parse("1001"), Err(TargetError::NoTechnology("1001".into())));
        assert_eq!(parse("DAHDI/g1/5"), Err(TargetError::UnknownTechnology("DAHDI".into())));
        for empty in ["SIP/", "SIP//1", "SIP/a/", "SIP/@b", "SIP/a@"] {
            assert!(matches!(parse(empty), Err(TargetError::Empty(_))), "{empty}");
        }
        assert!(matches!(parse("SIP/a\r\nX: y"), Err(TargetError::Unprintable(_))));
    }

    #[test]
    fn an_ampersand_in_a_number_stays_in_the_number() {
        assert_eq!(parse("SIP/300&SIP"), Ok(Target::Peer("300&SIP".into())));
        assert_eq!(parse("SIP/300&SIP/trunk/1900"), at("trunk/1900", "300&SIP"));
    }

    #[test]
    fn a_value_separates_nothing_but_may_be_the_whole_way() {
        let spelled = |parts: &[(&str, bool)]| {
            let (mut text, mut values) = (String::new(), Vec::new());
            for (part, value) in parts {
                let start = text.len();
                text.push_str(part);
                values.extend(value.then_some(start..text.len()));
            }
            parse_spelled(&text, &values)
        };
        assert_eq!(spelled(&[("SIP/", false), ("evil/9@x", true), ("@icall", false)]), at("evil/9@x", "icall"));
        assert_eq!(spelled(&[("SIP/icall/", false), ("1@evil", true)]), at("1@evil", "icall"));
        assert_eq!(spelled(&[("PJSIP/icall/sip:", false), ("1@evil", true), ("@h", false)]), at("1@evil", "icall"));
        assert_eq!(spelled(&[("SIP/", false), ("1@evil", true)]), Ok(Target::Peer("1@evil".into())));
        assert_eq!(spelled(&[("SIP/icall", true), ("/", false), ("5/6", true)]), at("5/6", "icall"));
        let local = Target::Local { extension: "1@admin/n".into(), context: "in".into() };
        assert_eq!(spelled(&[("Local/", false), ("1@admin/n", true), ("@in/n", false)]), Ok(local));
    }
}
