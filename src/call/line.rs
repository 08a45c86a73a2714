//! The line of a leg: what carries its signalling, a SIP session or the other half of a Local pair.
//! Above: `leg` says what is to happen. Below: `transport::Sip`, or the queue of the other half's leg.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    call::{cause::Cause, exchange::Exchange},
    sip::{
        Hop,
        header::Reason,
        stack::{Command, EndedBy, Invite, SessionEvent, SessionId},
    },
    transport::Sip,
};

/// What carries the signalling of a leg.
pub(super) enum Line {
    /// A phone or trunk.
    Sip(SipLine),
    /// Another leg of this server.
    Local(Half),
}

/// A session of the SIP stack.
pub(super) struct SipLine {
    pub sip: Sip,
    pub session: SessionId,
    pub hop: Hop,
}

/// One half of a Local pair.
pub(super) struct Half {
    end: HalfEnd,
    /// What the other half's leg hears from us; given up with the last word, which no full queue can hold back.
    other: Option<mpsc::Sender<SessionEvent>>,
    is_answered: bool,
}

/// Which half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HalfEnd {
    /// `;1`, whose owner dialled.
    Dialled,
    /// `;2`, which runs the dialplan.
    Runs,
}

/// Both halves of a Local pair, `;1` first, each with what it hears.
pub(super) fn local_pair(capacity: usize) -> [(Line, mpsc::Receiver<SessionEvent>); 2] {
    let (to_dialled, dialled) = mpsc::channel(capacity);
    let (to_runs, runs) = mpsc::channel(capacity);
    let half = |end, other| Line::Local(Half { end, other: Some(other), is_answered: false });
    [(half(HalfEnd::Dialled, to_runs), dialled), (half(HalfEnd::Runs, to_dialled), runs)]
}

impl Line {
    /// Where the other end shall send its media: see [`Exchange::media_address`]; within this server to where the port is bound.
    pub(super) fn media_address(&self, exchange: &Exchange, bound: SocketAddr) -> IpAddr {
        match self {
            Self::Sip(line) => exchange.media_address(bound, &line.hop),
            Self::Local(_) if !bound.ip().is_unspecified() => bound.ip(),
            Self::Local(_) if bound.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
            Self::Local(_) => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// The address that the other end's signalling comes from.
    pub(super) fn signalled_from(&self) -> Option<IpAddr> {
        match self {
            Self::Sip(line) => Some(line.hop.remote.ip()),
            Self::Local(_) => None,
        }
    }

    /// The other end is a leg of this server.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// The INVITE; a Local half needs none.
    pub(super) fn invite(&self, invite: Invite) {
        if let Self::Sip(SipLine { sip, session: id, .. }) = self {
            sip.send(Command::Invite { id: *id, invite: Box::new(invite) });
        }
    }

    /// A word before the answer: 180, 183.
    pub(super) fn progress(&mut self, status: u16, description: Option<Bytes>) {
        match self {
            Self::Sip(SipLine { sip, session: id, .. }) => {
                sip.send(Command::Progress { id: *id, status, description, headers: Vec::new() });
            }
            Self::Local(half) => half.mention(SessionEvent::Progress { status, reason: String::new(), description }),
        }
    }

    /// The answer.
    pub(super) fn answer(&mut self, description: Bytes) {
        match self {
            Self::Sip(SipLine { sip, session: id, .. }) => {
                sip.send(Command::Answer { id: *id, description: Some(description), headers: Vec::new() });
            }
            Self::Local(half) => {
                half.is_answered = true;
                half.tell(SessionEvent::Answered { description: Some(description), headers: Box::default() });
            }
        }
    }

    /// A refusal instead of an answer, by its status.
    pub(super) fn reject(&mut self, status: u16, headers: Vec<(String, String)>) {
        match self {
            Self::Sip(SipLine { sip, session: id, .. }) => sip.send(Command::Reject { id: *id, status, headers }),
            Self::Local(half) => half.refuse(Cause::from_status(status)),
        }
    }

    /// A refusal instead of an answer, for a cause.
    pub(super) fn refuse(&mut self, cause: Cause, headers: Vec<(String, String)>) {
        match self {
            Self::Sip(_) => self.reject(cause.status(), headers),
            Self::Local(half) => half.refuse(cause),
        }
    }

    /// The end, as the state needs it.
    pub(super) fn hangup(&mut self, cause: Cause) {
        match self {
            Self::Sip(SipLine { sip, session: id, .. }) => {
                sip.send(Command::Hangup { id: *id, reason: Some(reason(cause)) });
            }
            Self::Local(half) if half.end == HalfEnd::Runs && !half.is_answered => half.refuse(cause),
            Self::Local(half) => half.end(SessionEvent::Ended { by: EndedBy::Peer, reason: Some(reason(cause)) }),
        }
    }

    /// Offers the other end a change of the session.
    pub(super) fn reoffer(&mut self, description: Bytes) {
        match self {
            Self::Sip(SipLine { sip, session: id, .. }) => sip.send(Command::Reoffer { id: *id, description }),
            Self::Local(half) => {
                half.tell(SessionEvent::Offer { description: Some(description), method: rsip::Method::Invite });
            }
        }
    }

    /// Takes the other end's offer within the session.
    pub(super) fn accept_offer(&mut self, description: Bytes) {
        match self {
            Self::Sip(SipLine { sip, session: id, .. }) => sip.send(Command::AcceptOffer { id: *id, description }),
            Self::Local(half) => half.tell(SessionEvent::OfferAnswered { description: Some(description) }),
        }
    }

    /// Refuses the other end's offer within the session.
    pub(super) fn refuse_offer(&mut self, status: u16) {
        match self {
            Self::Sip(SipLine { sip, session: id, .. }) => sip.send(Command::RefuseOffer { id: *id, status }),
            Self::Local(half) => half.tell(SessionEvent::OfferRefused { status }),
        }
    }
}

impl Half {
    /// Says what may be missed.
    fn mention(&self, event: SessionEvent) {
        if let Some(other) = &self.other {
            let _ = other.try_send(event);
        }
    }

    /// Says what must not be missed: a half that cannot hear it is taken for dead, and hears that.
    fn tell(&mut self, event: SessionEvent) {
        if self.other.as_ref().is_some_and(|other| other.try_send(event).is_err()) {
            self.other = None;
        }
    }

    /// Says the last word.
    fn end(&mut self, event: SessionEvent) {
        self.mention(event);
        self.other = None;
    }

    fn refuse(&mut self, cause: Cause) {
        // A dialplan that ended without an answer: nobody answered.
        let cause = if matches!(cause, Cause::NORMAL | Cause::UNKNOWN) { Cause::NO_ANSWER } else { cause };
        let cause_header = Some(Reason::q850(cause.number().into()));
        let status = cause.status();
        self.end(SessionEvent::Refused { status, reason: String::new(), headers: Box::default(), cause: cause_header });
    }
}

/// A cause as the header that a BYE or CANCEL carries.
fn reason(cause: Cause) -> Reason {
    if cause == Cause::ANSWERED_ELSEWHERE {
        return Reason::sip(200, "Call completed elsewhere");
    }
    Reason { text: Some(cause.text().into()), ..Reason::q850(cause.number().into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(event: Option<SessionEvent>) -> Option<u16> {
        match event {
            Some(SessionEvent::Refused { cause, .. }) => cause.map(|reason| reason.cause),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_half_that_is_gone_before_the_answer_refuses_and_after_it_hangs_up() {
        let [(_one, mut heard), (mut two, _)] = local_pair(4);
        two.hangup(Cause::NORMAL);
        assert_eq!(refusal(heard.recv().await), Some(19), "no answer");
        assert!(heard.recv().await.is_none(), "the last word");
        let [(_one, mut heard), (mut two, _)] = local_pair(4);
        two.answer(Bytes::new());
        two.hangup(Cause::BUSY);
        assert!(matches!(heard.recv().await, Some(SessionEvent::Answered { .. })));
        assert!(matches!(heard.recv().await, Some(SessionEvent::Ended { reason: Some(r), .. }) if r.cause == 17));
    }

    #[tokio::test]
    async fn a_half_too_busy_to_hear_the_answer_hears_the_end() {
        let [(_one, mut heard), (mut two, _)] = local_pair(1);
        two.progress(180, None);
        two.answer(Bytes::new());
        assert!(matches!(heard.recv().await, Some(SessionEvent::Progress { .. })));
        assert!(heard.recv().await.is_none());
    }
}
