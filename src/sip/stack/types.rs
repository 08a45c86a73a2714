//! What goes into the stack and comes out of it: commands, events, settings and figures.
//! Above: `transport` carries them; `call` gives them meaning.

use std::net::SocketAddr;

use bytes::Bytes;
use rsip::{Headers, Method, Request, Response};

use crate::sip::header::{NameAddr, Reason};
use crate::sip::hop::Hop;
use crate::sip::timer::Times;
use crate::sip::uri::Uri;

/// Names a session; those made by the stack itself have the top bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Names a request outside any session, ours or theirs; those made by the stack itself have the top bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The bit of ids that the stack hands out for what comes from the network.
pub(crate) const FROM_NETWORK: u64 = 1 << 63;

/// Settings of a stack.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// T1, T2 and T4 of RFC 3261 §17.1.1.1.
    pub times: Times,
    /// Value of User-Agent and Server.
    pub agent: String,
    /// Host that peers should use instead of the socket's address, in Via and Contact.
    pub advertise: Option<String>,
    /// Most transactions at one time; further requests get 503.
    pub max_transactions: usize,
    /// Most sessions at one time; further INVITEs get 503.
    pub max_sessions: usize,
    /// Seconds in the Retry-After of such a 503.
    pub retry_after_s: u32,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            times: Times::default(),
            agent: concat!("wirechief/", env!("CARGO_PKG_VERSION")).to_owned(),
            advertise: None,
            max_transactions: 400_000,
            max_sessions: 100_000,
            retry_after_s: 5,
        }
    }
}

/// A message to be put on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub hop: Hop,
    /// The whole message.
    pub bytes: Bytes,
    /// Where to connect if the hop's connection is gone: the Via's sent-by of a response (RFC 3261 §18.2.2), or the
    /// address in the URI of a request. Absent: the hop's own remote address.
    pub reopen_at: Option<SocketAddr>,
}

/// What the stack tells.
#[derive(Debug)]
pub enum Event {
    /// A request outside any dialog that needs a decision (REGISTER, OPTIONS); to be answered with [`Command::Respond`].
    Request {
        /// To be named in the answer.
        id: RequestId,
        /// The request, its topmost Via completed with `received` and `rport`.
        request: Request,
        /// Where it came from.
        hop: Hop,
    },
    /// The final response to our [`Command::Request`]; 408 or 503 made here when none came.
    Response {
        /// As in the command.
        id: RequestId,
        /// The response.
        response: Response,
    },
    /// Something happened in a session.
    Session {
        /// Which session.
        id: SessionId,
        /// What happened.
        event: SessionEvent,
    },
}

/// What happens in a session. The last one of each session is `Refused`, `Cancelled` or `Ended`, and comes once.
#[derive(Debug)]
pub enum SessionEvent {
    /// A new INVITE; 100 was sent already.
    Incoming {
        /// The INVITE without its body.
        request: Box<Request>,
        /// Where it came from.
        hop: Hop,
        /// The offer; without one, our answer carries the offer.
        offer: Option<Bytes>,
    },
    /// A provisional response above 100 to our INVITE.
    Progress {
        /// 101 to 199.
        status: u16,
        /// The reason phrase as received.
        reason: String,
        /// The answer, or a preview of it.
        description: Option<Bytes>,
    },
    /// Our INVITE was accepted. When the 2xx holds an offer, the ACK waits for [`Command::Ack`]; else it was sent.
    Answered {
        /// Their answer (or offer); absent when it came in a reliable provisional response.
        description: Option<Bytes>,
        /// The headers of the 2xx.
        headers: Box<Headers>,
    },
    /// The ACK of our 2xx came.
    Acked {
        /// Their answer, when our 2xx held the offer.
        description: Option<Bytes>,
    },
    /// Our INVITE was refused, or found no one (408, 503 made here).
    Refused {
        /// 300 to 699.
        status: u16,
        /// The reason phrase as received.
        reason: String,
        /// The headers of the response.
        headers: Box<Headers>,
        /// Their Reason header.
        cause: Option<Reason>,
    },
    /// The caller gave up before we answered; 487 was sent.
    Cancelled {
        /// Their Reason header.
        reason: Option<Reason>,
    },
    /// The peer wants to change the session: to be answered with [`Command::AcceptOffer`] or [`Command::RefuseOffer`].
    Offer {
        /// Their offer; absent in a re-INVITE that asks for ours, whose answer then comes as `Acked`.
        description: Option<Bytes>,
        /// INVITE, UPDATE or PRACK.
        method: Method,
    },
    /// Our [`Command::Reoffer`] (or our offer in a provisional response) was answered.
    OfferAnswered {
        /// Their answer.
        description: Option<Bytes>,
    },
    /// Our [`Command::Reoffer`] was refused; the session goes on as before.
    OfferRefused {
        /// 300 to 699.
        status: u16,
    },
    /// An INFO came; 200 was sent.
    Info {
        /// Its Content-Type.
        content_type: String,
        /// Its body.
        body: Bytes,
    },
    /// The session is over.
    Ended {
        /// Who ended it.
        by: EndedBy,
        /// Their Reason header, if they ended it.
        reason: Option<Reason>,
    },
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Their BYE.
    Peer,
    /// Our hang-up or rejection.
    Us,
    /// No ACK, no PRACK, or no answer within the dialog.
    Timeout,
}

/// An outgoing call.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Where the INVITE goes first.
    pub hop: Hop,
    /// The Request-URI.
    pub uri: Uri,
    /// Whom we call.
    pub to: NameAddr,
    /// Who calls; without a tag.
    pub from: NameAddr,
    /// Where we are reached in the dialog.
    pub contact: Uri,
    /// Route headers, in order.
    pub routes: Vec<NameAddr>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Our offer; without one, theirs comes in the 2xx.
    pub offer: Option<Bytes>,
    /// The Max-Forwards of the call that this one goes on from: one less is sent, 0 refuses it here with 483 (RFC 3261 §16.3,
    /// §16.6). Absent for a call of our own, which is sent with 70.
    pub max_forwards: Option<u8>,
    /// The Call-ID; made here when absent.
    pub call_id: Option<String>,
}

/// An answer to a request outside any session.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// 200 to 699.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body; its Content-Type is among the headers.
    pub body: Bytes,
}

/// What the stack is told to do. Commands for sessions that are gone, or that do not fit their state, do nothing.
#[derive(Clone, Debug)]
pub enum Command {
    /// Call someone.
    Invite {
        /// A new id, below the stack's own.
        id: SessionId,
        /// The call.
        invite: Box<Invite>,
    },
    /// Answer an INVITE provisionally: reliably if the peer requires it, or supports it and a description is carried.
    Progress {
        /// The session.
        id: SessionId,
        /// 101 to 199.
        status: u16,
        /// The answer; our offer when the INVITE held none.
        description: Option<Bytes>,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Accept an INVITE.
    Answer {
        /// The session.
        id: SessionId,
        /// The answer; our offer when the INVITE held none.
        description: Option<Bytes>,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Refuse an INVITE.
    Reject {
        /// The session.
        id: SessionId,
        /// 300 to 699.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// End the session by what its state needs: CANCEL, BYE or a refusal with 603.
    Hangup {
        /// The session.
        id: SessionId,
        /// Sent as Reason header.
        reason: Option<Reason>,
    },
    /// Acknowledge a 2xx that held an offer, with our answer.
    Ack {
        /// The session.
        id: SessionId,
        /// The answer.
        description: Bytes,
    },
    /// Offer a change of the session: by re-INVITE, or by UPDATE before the first INVITE is answered.
    Reoffer {
        /// The session.
        id: SessionId,
        /// The offer.
        description: Bytes,
    },
    /// Answer their offer.
    AcceptOffer {
        /// The session.
        id: SessionId,
        /// The answer; our offer when theirs was absent.
        description: Bytes,
    },
    /// Refuse their offer; the session goes on as before.
    RefuseOffer {
        /// The session.
        id: SessionId,
        /// 300 to 699.
        status: u16,
    },
    /// Send an INFO.
    Info {
        /// The session.
        id: SessionId,
        /// Its Content-Type.
        content_type: String,
        /// Its body.
        body: Bytes,
    },
    /// Send a request outside any session.
    Request {
        /// A new id, below the stack's own.
        id: RequestId,
        /// Where it goes.
        hop: Hop,
        /// The request, without a Via.
        request: Box<Request>,
    },
    /// Answer a request that came as [`Event::Request`].
    Respond {
        /// As in the event.
        id: RequestId,
        /// The answer.
        response: Reply,
    },
}

/// Figures of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Live transactions, those included that only absorb repeats.
    pub transactions: usize,
    /// Live dialogs, early and confirmed.
    pub dialogs: usize,
    /// Live sessions, those included whose BYE or CANCEL is under way.
    pub sessions: usize,
    /// Requests that came and wait for [`Command::Respond`].
    pub requests: usize,
    /// Messages that were no acceptable SIP.
    pub malformed: u64,
    /// Messages that belong to nothing here.
    pub stray: u64,
    /// Messages sent again.
    pub retransmissions: u64,
    /// Requests refused for lack of room.
    pub overload: u64,
}
