//! Changing a session: re-INVITE (RFC 3261 §14) and UPDATE (RFC 3311) from either side, and glare.
//! One offer at a time (RFC 3264 §4): ours waits in line, theirs is refused with 491 or 500.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rsip::{Method, Response};

use super::{AckWanted, Asked, Phase, Role, Session, description_of};
use crate::sip::compose::{self, RELIABLE, ReplyHead};
use crate::sip::header::HeadersExt;
use crate::sip::hop::Hop;
use crate::sip::stack::core::Core;
use crate::sip::stack::{EndedBy, SessionEvent};
use crate::sip::timer::{Timer, Token};
use crate::sip::transaction::{Kind, LocalFailure, Purpose, TransactionId, User};

/// Our offer that has no answer yet.
struct Ours {
    method: Method,
    description: Bytes,
    /// The one under way, if the offer was sent.
    transaction: Option<TransactionId>,
    /// Runs between a 491 and the next try.
    glare: Option<Token>,
}

/// Their offer that we have not answered yet.
pub(super) struct Theirs {
    transaction: TransactionId,
    head: ReplyHead,
    method: Method,
    number: u32,
    /// The re-INVITE asks for our offer.
    wants_offer: bool,
}

/// All offers under way.
#[derive(Default)]
pub(super) struct Offers {
    ours: Option<Ours>,
    /// Our next offer, until its turn comes; a newer one replaces it.
    next: Option<Bytes>,
    pub(super) theirs: Option<Theirs>,
    /// INVITE transaction and number of a 2xx that held their offer: the ACK takes our answer.
    pub(super) owed_ack: Option<(TransactionId, u32)>,
}

impl Offers {
    /// Whether they wait for our answer.
    pub(super) fn owes_answer(&self) -> bool {
        self.theirs.is_some()
    }

    /// Whether our next offer may go.
    fn is_idle(&self) -> bool {
        self.ours.is_none() && self.theirs.is_none() && self.owed_ack.is_none()
    }

    /// Whether theirs would meet one of ours: one that waits after a 491 is not out.
    fn is_out(&self) -> bool {
        self.ours.as_ref().is_some_and(|ours| ours.glare.is_none()) || self.owed_ack.is_some()
    }
}

impl fmt::Display for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ours, &self.theirs, &self.owed_ack) {
            (Some(Ours { glare: Some(_), .. }), ..) => f.write_str("our offer waits after 491"),
            (Some(_), ..) => f.write_str("our offer is out"),
            (_, Some(_), _) => f.write_str("their offer waits for us"),
            (_, _, Some(_)) => f.write_str("ACK waits for our answer"),
            _ => f.write_str("no offer"),
        }
    }
}

impl Session {
    /// Offers a change, now or as soon as it may be.
    pub(crate) fn reoffer(&mut self, core: &mut Core, description: Bytes) {
        self.offers.next = Some(description);
        self.next_offer(core);
    }

    /// Answers their offer; to a re-INVITE without one, this is our offer.
    pub(crate) fn accept_offer(&mut self, core: &mut Core, description: &Bytes) {
        let Some(theirs) = self.offers.theirs.take() else { return };
        let mut writer = core.reply(&theirs.head, 200);
        if theirs.method != Method::PRack {
            Core::abilities(&mut writer).header("Contact", &self.contact);
        }
        let response = writer.description(Some(description));
        core.respond(theirs.transaction, 200, response);
        if theirs.method == Method::Invite {
            let (invite, number, with_answer) = (theirs.transaction, theirs.number, theirs.wants_offer);
            self.wait_for_ack(core, AckWanted { invite, number, is_first: false, with_answer });
        }
        self.after_prack(core);
        self.next_offer(core);
    }

    /// Refuses their offer.
    pub(crate) fn refuse_offer(&mut self, core: &mut Core, status: u16) {
        let Some(theirs) = self.offers.theirs.take() else { return };
        let status = if (300..700).contains(&status) { status } else { 488 };
        core.reply_bare(theirs.transaction, &theirs.head, status);
        self.after_prack(core);
        self.next_offer(core);
    }

    /// Takes a re-INVITE.
    pub(super) fn on_reinvite(&mut self, core: &mut Core, asked: Asked<'_>) {
        let first_is_open = matches!(self.phase, Phase::Calling(_) | Phase::Ringing(_));
        if self.offers.theirs.is_some() || (first_is_open && self.role == Role::Callee) {
            // §14.2: an INVITE of theirs is still open.
            let pause_s = core.random.below(11).to_string();
            core.reply_with(asked.transaction, &asked.head, 500, ("Retry-After", &pause_s));
            return;
        }
        if self.offers.is_out() || self.unacked.is_some() || first_is_open {
            core.reply_bare(asked.transaction, &asked.head, 491);
            return;
        }
        self.refresh(&asked);
        core.reply_bare(asked.transaction, &asked.head, 100);
        let description = description_of(&asked.request.headers, &mut asked.request.body);
        self.take_offer(core, asked, description);
    }

    /// Takes an UPDATE (RFC 3311 §5.2).
    pub(super) fn on_update(&mut self, core: &mut Core, asked: Asked<'_>) {
        let description = description_of(&asked.request.headers, &mut asked.request.body);
        if description.is_none() {
            self.refresh(&asked);
            let mut writer = core.reply(&asked.head, 200);
            let response = Core::abilities(&mut writer).header("Contact", &self.contact).body(&[]);
            core.respond(asked.transaction, 200, response);
        } else if self.offers.theirs.is_some() || self.waits_for_our_answer() {
            let pause_s = core.random.below(11).to_string();
            core.reply_with(asked.transaction, &asked.head, 500, ("Retry-After", &pause_s));
        } else if self.offers.is_out() || self.waits_for_their_answer() {
            core.reply_bare(asked.transaction, &asked.head, 491);
        } else {
            self.refresh(&asked);
            self.take_offer(core, asked, description);
        }
    }

    /// Remembers their offer and tells of it.
    pub(super) fn take_offer(&mut self, core: &mut Core, asked: Asked<'_>, description: Option<Bytes>) {
        let method = asked.request.method;
        self.offers.theirs = Some(Theirs {
            transaction: asked.transaction,
            head: asked.head,
            method,
            number: asked.request.headers.cseq_number().unwrap_or_default(),
            wants_offer: description.is_none(),
        });
        self.tell(core, SessionEvent::Offer { description, method });
    }

    /// Takes their CANCEL of a re-INVITE.
    pub(super) fn withdraw_offer(&mut self, core: &mut Core, invite: TransactionId) {
        if let Some(theirs) = self.offers.theirs.take_if(|theirs| theirs.transaction == invite) {
            core.reply_bare(theirs.transaction, &theirs.head, 487);
            self.next_offer(core);
        }
    }

    /// Sends our next offer if none is under way.
    pub(super) fn next_offer(&mut self, core: &mut Core) {
        if !self.offers.is_idle() || self.unacked.is_some() {
            return;
        }
        let method = match &self.phase {
            Phase::Up => Method::Invite,
            // Before the first INVITE is answered only UPDATE may change the session (RFC 3311 §5.1).
            Phase::Calling(calling) if calling.answered && self.peer_takes_update => Method::Update,
            Phase::Ringing(ringing) if ringing.is_settled() && self.peer_takes_update => Method::Update,
            _ => return,
        };
        if let Some(description) = self.offers.next.take() {
            self.offers.ours = Some(Ours { method, description, transaction: None, glare: None });
            self.send_offer(core);
        }
    }

    /// The pause after a 491 is over.
    pub(super) fn offer_again(&mut self, core: &mut Core) {
        let Some(ours) = &mut self.offers.ours else { return };
        ours.glare = None;
        if self.offers.theirs.is_some() || self.unacked.is_some() {
            // They came first: ours waits for its turn again, unless there is a newer one.
            let ours = self.offers.ours.take();
            self.offers.next = self.offers.next.take().or(ours.map(|ours| ours.description));
        } else {
            self.send_offer(core);
        }
    }

    /// Takes a response to our re-INVITE or UPDATE.
    pub(crate) fn on_offer_response(
        &mut self,
        core: &mut Core,
        invite: TransactionId,
        (mut response, hop): (Response, Hop),
    ) {
        let status = response.status_code.code();
        let Some(cseq) = response.headers.cseq().filter(|_| status >= 200) else { return };
        let is_invite = cseq.method == "INVITE";
        if is_invite && status < 300 {
            self.acknowledge_offer(core, (invite, cseq.number));
        }
        let Some(ours) = self.offers.ours.take_if(|ours| ours.glare.is_none()) else { return };
        match status {
            ..300 => {
                if let Some(dialog) = self.dialogs.first_mut() {
                    dialog.refresh_target(&response.headers, hop);
                }
                let description = description_of(&response.headers, &mut response.body);
                self.tell(core, SessionEvent::OfferAnswered { description });
            }
            491 => {
                let pause = self.glare_pause(core);
                let glare = Some(core.start_timer(self.id, Timer::Glare, pause));
                self.offers.ours = Some(Ours { glare, ..ours });
                return;
            }
            408 | 481 => self.lose_dialog(core), // §12.2.1.2
            _ => self.tell(core, SessionEvent::OfferRefused { status }),
        }
        self.next_offer(core);
    }

    /// No response to our offer came: the dialog is gone (§12.2.1.2).
    pub(crate) fn on_offer_failure(&mut self, core: &mut Core, failure: LocalFailure) {
        if self.offers.ours.take().is_some() {
            match failure {
                LocalFailure::TimedOut => self.lose_dialog(core),
                LocalFailure::Unreachable => self.tell(core, SessionEvent::OfferRefused { status: failure.status() }),
            }
        }
    }

    /// Forgets all offers; theirs gets its refusal, so that no transaction is left open.
    pub(super) fn drop_offers(&mut self, core: &mut Core) {
        if let Some(theirs) = self.offers.theirs.take() {
            core.reply_bare(theirs.transaction, &theirs.head, 487);
        }
        if let Some(mut ours) = self.offers.ours.take() {
            core.out.timers.cancel(&mut ours.glare);
            if let Some(transaction) = ours.transaction.filter(|_| ours.method == Method::Invite) {
                core.transactions.limit((&mut core.out, core.now), transaction);
            }
        }
        if self.offers.owed_ack.is_some() {
            self.acknowledge(core, None); // §13.2.2.4: a 2xx always gets its ACK
        }
        self.offers.next = None;
    }

    fn send_offer(&mut self, core: &mut Core) {
        let (Some(ours), Some(dialog)) = (&mut self.offers.ours, self.dialogs.first_mut()) else { return };
        let (mut writer, key) = dialog.request(core, ours.method);
        let request = writer
            .header("Contact", &self.contact)
            .header("Allow", compose::ALLOW)
            .header("Supported", RELIABLE)
            .description(Some(&ours.description));
        let kind = if ours.method == Method::Invite { Kind::Invite } else { Kind::Other };
        let way = dialog.way();
        let user = User::Session(self.id, Purpose::Offer);
        let transaction = core.send((kind, user), key, way, request);
        ours.transaction = Some(transaction);
        if kind == Kind::Invite {
            // A phone does not ring for a change: one that answers 1xx and no more has 64·T1, whatever becomes of the offer.
            core.transactions.limit((&mut core.out, core.now), transaction);
        }
    }

    fn acknowledge_offer(&mut self, core: &mut Core, (invite, number): (TransactionId, u32)) {
        let Some(dialog) = self.dialogs.first() else { return };
        let (mut ack, _) = dialog.request_numbered(core, Method::Ack, number);
        let ack = ack.body(&[]);
        core.transactions.keep_ack(invite, dialog.remote_tag(), (dialog.way(), ack.clone()));
        core.transmit(dialog.way(), ack);
    }

    /// §14.1: whoever made the Call-ID waits longer, both in steps of 10 ms.
    fn glare_pause(&self, core: &mut Core) -> Duration {
        let steps = match self.role {
            Role::Caller => 210 + core.random.below(191),
            Role::Callee => core.random.below(201),
        };
        Duration::from_millis(steps * 10)
    }

    /// Their first INVITE held an offer that no response of ours has answered yet.
    fn waits_for_our_answer(&self) -> bool {
        matches!(&self.phase, Phase::Ringing(ringing) if ringing.offered && !ringing.is_settled())
    }

    /// Our first INVITE held an offer that no reliable response has answered yet, or our 2xx holds one.
    fn waits_for_their_answer(&self) -> bool {
        let early = matches!(&self.phase, Phase::Calling(calling) if calling.offered && !calling.answered);
        early || self.unacked.as_ref().is_some_and(|unacked| unacked.wanted.with_answer)
    }

    /// Takes over their Contact from a request that may change it.
    fn refresh(&mut self, asked: &Asked<'_>) {
        self.note_abilities(&asked.request.headers);
        if let Some(dialog) = self.dialogs.iter_mut().find(|dialog| dialog.remote_tag() == asked.tag) {
            dialog.refresh_target(&asked.request.headers, asked.hop);
        }
    }

    /// The session is over for the peer: used when it ends while an offer waits.
    pub(super) fn end_by_peer(&mut self, core: &mut Core, reason: Option<crate::sip::header::Reason>) {
        self.tell_end(core, SessionEvent::Ended { by: EndedBy::Peer, reason });
        self.finish(core);
    }
}
