//! How a message finds its transaction (RFC 3261 §17.1.3, §17.2.3), and the mark of a merged request (§8.2.2.2).

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use rsip::{Method, Request};

use crate::sip::dialog::tag_of_from;
use crate::sip::header::{HeadersExt, MAGIC_COOKIE, Via, cseq};
use crate::sip::message::method_name;
use crate::sip::uri::Host;

/// Names a client transaction: the random part of our branch, and whether it is the CANCEL of the INVITE with that branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey {
    pub(crate) branch: u64,
    pub(crate) cancel: bool,
}

/// What all branches of one stack begin with after the magic cookie: by it, a stack knows its own Via again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instance(pub(crate) u32);

impl Instance {
    pub(crate) fn branch(self, number: u64) -> String {
        format!("{MAGIC_COOKIE}{:08x}{number:016x}", self.0)
    }

    /// The random part, if the branch is one of ours.
    pub(crate) fn number(self, branch: &str) -> Option<u64> {
        let hex = branch.strip_prefix(MAGIC_COOKIE)?;
        let (instance, number) = hex.split_at_checked(8)?;
        (number.len() == 16 && u32::from_str_radix(instance, 16).ok()? == self.0).then_some(())?;
        u64::from_str_radix(number, 16).ok()
    }
}

/// Names a server transaction: branch, sent-by and method class, or what RFC 2543 offers instead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerKey(Box<str>);

impl ServerKey {
    /// The key of a request; an ACK has the key of its INVITE.
    pub(crate) fn of(request: &Request, via: &Via) -> Self {
        let class = match request.method {
            Method::Ack => Method::Invite,
            method => method,
        };
        Self::with_class(request, via, class)
    }

    /// The key of the INVITE that a CANCEL means (§9.2).
    pub(crate) fn of_cancelled(request: &Request, via: &Via) -> Self {
        Self::with_class(request, via, Method::Invite)
    }

    fn with_class(request: &Request, via: &Via, class: Method) -> Self {
        let branch = via.branch().unwrap_or_default();
        let mut key = String::with_capacity(branch.len() + 48);
        // §17.2.3, last part: no cookie, so an RFC 2543 peer.
        if via.unique_branch().is_none() {
            let headers = &request.headers;
            let number = headers.cseq_number().unwrap_or_default();
            let (call_id, tag) = (headers.call_id().unwrap_or_default(), tag_of_from(headers));
            let _ = write!(key, "{call_id} {tag} {number} ");
        }
        key.push_str(branch);
        key.push(' ');
        match &via.host {
            Host::Name(name) => key.extend(name.chars().map(|c| c.to_ascii_lowercase())),
            address => drop(write!(key, "{address}")),
        }
        let _ = write!(key, ":{} ", via.port.unwrap_or(5060));
        key.push_str(method_name(class));
        Self(key.into_boxed_str())
    }
}

/// A mark that is equal for the same request by two ways (§8.2.2.2): From tag, Call-ID and CSeq.
pub(crate) fn merge_mark(seed: u64, request: &Request, from_tag: &str) -> Option<u64> {
    let (number, method) = cseq::split(request.headers.value("CSeq")?)?;
    let mut hasher = DefaultHasher::new();
    (seed, from_tag, request.headers.call_id()?, number, method).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Message;
    use crate::sip::wire;

    fn parsed(text: &str) -> (Request, Via) {
        let Ok(Message::Request(request)) = wire::parse(text.as_bytes()) else { panic!("a request") };
        let via = request.headers.top_via().unwrap();
        (request, via)
    }

    fn text(method: &str, via: &str) -> String {
        format!(
            "{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContact: <sip:a@h>\r\nContent-Length: 0\r\n\r\n"
        )
    }

    #[test]
    fn ack_and_cancel_find_their_invite_with_and_without_the_cookie() {
        for via in ["Host.example;branch=z9hG4bKx", "host.example:5060;branch=old", "host.example"] {
            let invite = parsed(&text("INVITE", via));
            let invite = ServerKey::of(&invite.0, &invite.1);
            let ack = parsed(&text("ACK", via));
            assert_eq!(ServerKey::of(&ack.0, &ack.1), invite, "{via}");
            let (cancel, mut via) = parsed(&text("CANCEL", via));
            assert_ne!(ServerKey::of(&cancel, &via), invite);
            via.params.set("received", "192.0.2.1"); // as it stands once it was completed
            assert_eq!(ServerKey::of_cancelled(&cancel, &via), invite);
        }
    }

    #[test]
    fn the_same_branch_of_another_sender_is_another_transaction() {
        let key = |via: &str| {
            let (request, via) = parsed(&text("INVITE", via));
            ServerKey::of(&request, &via)
        };
        assert_ne!(key("a.example;branch=z9hG4bKx"), key("b.example;branch=z9hG4bKx"));
        assert_ne!(key("a.example:5060;branch=z9hG4bKx"), key("a.example:5070;branch=z9hG4bKx"));
        assert_eq!(key("a.example:5060;branch=z9hG4bKx"), key("A.EXAMPLE;branch=z9hG4bKx"));
    }

    #[test]
    fn a_stack_knows_its_own_branches_and_no_others() {
        let ours = Instance(0xfeed);
        let branch = ours.branch(77);
        assert_eq!(ours.number(&branch), Some(77));
        assert_eq!(Instance(0xbeef).number(&branch), None);
        for other in [
            "z9hG4bK",
            "z9hG4bK0000feed",
            "nonsense",
            "z9hG4bK0000feed00000000000000zz",
            "z9hG4bKé000feed0000000000000000",
        ] {
            assert_eq!(ours.number(other), None, "{other}");
        }
    }
}
