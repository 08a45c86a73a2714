//! The called side (RFC 3261 §13.3): their INVITE, our responses, their CANCEL (§9.2) and ACK, our 2xx until it (§13.3.1.4).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rsip::Request;

use super::reliable::{Reliability, Unpracked};
use super::{AckWanted, Offers, Phase, Role, Session, Unacked, description_of};
use crate::sip::compose::ReplyHead;
use crate::sip::dialog::Dialog;
use crate::sip::header::{HeadersExt, Reason};
use crate::sip::hop::Hop;
use crate::sip::stack::core::Core;
use crate::sip::stack::{EndedBy, SessionEvent, SessionId};
use crate::sip::timer::{Timer, Token};
use crate::sip::transaction::TransactionId;

/// Most provisional responses that wait for a PRACK; the newest replaces the last of more.
const WAITING: usize = 8;

/// A provisional response that waits until the reliable one before it is acknowledged (RFC 3262 §3).
pub(crate) struct Waiting {
    pub(crate) status: u16,
    pub(crate) description: Option<Bytes>,
    pub(crate) headers: Vec<(String, String)>,
}

/// A 2xx that waits for a PRACK.
pub(super) struct HeldAnswer {
    pub(super) description: Option<Bytes>,
    pub(super) headers: Vec<(String, String)>,
}

/// Which description we have sent in answer to their INVITE.
pub(super) enum Described {
    Nothing,
    /// In an unreliable 18x: the 2xx must repeat it (§13.2.1).
    Preview(Bytes),
    /// In a reliable 18x: the 2xx holds none (RFC 3262 §5).
    Reliably,
}

/// Their INVITE before our final response.
pub(crate) struct Ringing {
    pub(super) invite: TransactionId,
    pub(super) head: ReplyHead,
    /// Number of the INVITE.
    pub(super) number: u32,
    /// Whether the INVITE held an offer.
    pub(super) offered: bool,
    pub(super) reliability: Reliability,
    pub(super) described: Described,
    /// RSeq of the next reliable response.
    pub(super) next_rseq: u32,
    pub(super) unpracked: Option<Unpracked>,
    pub(super) waiting: VecDeque<Waiting>,
    /// The 2xx that waits for a PRACK (RFC 3262 §5).
    pub(super) answer: Option<HeldAnswer>,
    keep_ringing: Option<Token>,
    expires: Option<Token>,
}

impl Ringing {
    /// Whether offer and answer of the INVITE were exchanged by a reliable response and its PRACK.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.described, Described::Reliably) && self.unpracked.is_none()
    }

    /// Whether our own offer went out in a reliable response.
    fn has_offered(&self) -> bool {
        !self.offered && matches!(self.described, Described::Reliably)
    }

    pub(super) fn stop_timers(&mut self, core: &mut Core) {
        core.out.timers.cancel(&mut self.keep_ringing);
        core.out.timers.cancel(&mut self.expires);
        if let Some(unpracked) = &mut self.unpracked {
            core.out.timers.cancel(&mut unpracked.repeat);
            core.out.timers.cancel(&mut unpracked.give_up);
        }
    }
}

/// A new INVITE, looked over and with its transaction opened.
pub(crate) struct NewInvite {
    pub(crate) request: Request,
    pub(crate) hop: Hop,
    pub(crate) invite: TransactionId,
    pub(crate) head: ReplyHead,
    /// Our To tag, which is in `head`.
    pub(crate) local_tag: String,
    /// Our Contact.
    pub(crate) contact: String,
}

impl Session {
    /// Takes a new INVITE and tells of it.
    pub(crate) fn ring(core: &mut Core, id: SessionId, new: NewInvite) -> Self {
        let NewInvite { mut request, hop, invite, head, local_tag, contact } = new;
        let local = format!("{};tag={local_tag}", request.headers.value("To").unwrap_or_default());
        let dialog = Dialog::of_request(&request, &local, hop);
        let offer = description_of(&request.headers, &mut request.body);
        let expires = request.headers.expires().map(|seconds| Duration::from_secs(seconds.into()));
        let mut session = Self {
            id,
            role: Role::Callee,
            phase: Phase::Ringing(Box::new(Ringing {
                invite,
                head,
                number: request.headers.cseq_number().unwrap_or_default(),
                offered: offer.is_some(),
                reliability: Reliability::of(&request.headers),
                described: Described::Nothing,
                next_rseq: u32::try_from(core.random.below(1 << 16)).unwrap_or_default() + 1,
                unpracked: None,
                waiting: VecDeque::new(),
                answer: None,
                keep_ringing: None,
                expires: expires.map(|after| core.start_timer(id, Timer::Expires, after)),
            })),
            local_tag: local_tag.into(),
            contact: contact.into(),
            dialogs: vec![dialog],
            peer_takes_update: false,
            unacked: None,
            offers: Offers::default(),
            told_end: false,
        };
        session.note_abilities(&request.headers);
        session.tell(core, SessionEvent::Incoming { request: Box::new(request), hop, offer });
        session
    }

    /// Answers provisionally.
    pub(crate) fn progress(&mut self, core: &mut Core, waiting: Waiting) {
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        if !(101..200).contains(&waiting.status) || ringing.answer.is_some() {
            return;
        }
        core.out.timers.cancel(&mut ringing.keep_ringing);
        ringing.keep_ringing =
            Some(core.start_timer(self.id, Timer::KeepRinging, core.config.times.length(Timer::KeepRinging)));
        if ringing.unpracked.is_some() {
            ringing.waiting.truncate(WAITING - 1);
            ringing.waiting.push_back(waiting);
            return;
        }
        let reliable = match ringing.reliability {
            Reliability::Absent => false,
            Reliability::Supported => waiting.description.is_some(),
            // §13.2.1: the first reliable response would have to hold our offer, so without one there is nothing to send.
            Reliability::Required if !ringing.offered && waiting.description.is_none() && !ringing.has_offered() => {
                return;
            }
            Reliability::Required => true,
        };
        if reliable {
            self.progress_reliably(core, waiting);
        } else {
            self.progress_plainly(core, waiting);
        }
    }

    /// Accepts the INVITE; waits for the PRACK of a description sent before (RFC 3262 §5).
    pub(crate) fn answer(&mut self, core: &mut Core, description: Option<Bytes>, headers: Vec<(String, String)>) {
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        ringing.waiting.clear();
        if ringing.unpracked.as_ref().is_some_and(|unpracked| unpracked.described) || self.offers.owes_answer() {
            ringing.answer = Some(HeldAnswer { description, headers });
            return;
        }
        ringing.stop_timers(core);
        let described = std::mem::replace(&mut ringing.described, Described::Nothing);
        let (description, wants_answer) = match described {
            Described::Reliably => (None, false),
            Described::Preview(preview) => (Some(description.unwrap_or(preview)), false),
            Described::Nothing => (description, !ringing.offered),
        };
        let mut writer = core.reply(&ringing.head, 200);
        Core::abilities(&mut writer).header("Contact", &self.contact).headers(&headers);
        let response = writer.description(description.as_deref());
        let (invite, number) = (ringing.invite, ringing.number);
        core.respond(invite, 200, response);
        self.phase = Phase::Up;
        let with_answer = wants_answer && description.is_some();
        self.wait_for_ack(core, AckWanted { invite, number, is_first: true, with_answer });
    }

    /// Refuses the INVITE.
    pub(crate) fn refuse(&mut self, core: &mut Core, status: u16, headers: &[(String, String)]) {
        if matches!(self.phase, Phase::Ringing(_)) && (300..700).contains(&status) {
            self.refuse_with(core, status, headers);
            self.tell_end(core, SessionEvent::Ended { by: EndedBy::Us, reason: None });
            self.finish(core);
        }
    }

    /// Takes their CANCEL of the INVITE or of a re-INVITE; its own 200 was sent (§9.2).
    pub(crate) fn on_cancel(&mut self, core: &mut Core, (invite, reason): (TransactionId, Option<Reason>)) {
        match &self.phase {
            Phase::Ringing(ringing) if ringing.invite == invite => {
                self.refuse_with(core, 487, &[]);
                self.tell_end(core, SessionEvent::Cancelled { reason });
                self.finish(core);
            }
            _ => self.withdraw_offer(core, invite),
        }
    }

    /// The INVITE's own Expires ran out (§13.3.1).
    pub(super) fn expire(&mut self, core: &mut Core) {
        if let Phase::Ringing(ringing) = &mut self.phase {
            ringing.expires = None;
            self.refuse_with(core, 487, &[]);
            self.tell_end(core, SessionEvent::Cancelled { reason: None });
            self.finish(core);
        }
    }

    /// Repeats the last provisional response, so that no proxy on the way gives up (§13.3.1.1).
    pub(super) fn keep_ringing(&mut self, core: &mut Core) {
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        core.transactions.resend(&mut core.out, ringing.invite);
        ringing.keep_ringing =
            Some(core.start_timer(self.id, Timer::KeepRinging, core.config.times.length(Timer::KeepRinging)));
    }

    /// Takes the ACK of our 2xx; false if it belongs to nothing here.
    pub(crate) fn on_ack(&mut self, core: &mut Core, request: &mut Request) -> bool {
        let number = request.headers.cseq_number();
        let Some(unacked) = self.unacked.as_ref().filter(|unacked| Some(unacked.wanted.number) == number) else {
            return false;
        };
        let wanted = unacked.wanted;
        core.transactions.forget_response(wanted.invite);
        if let Some(reason) = self.stop_waiting_for_ack(core) {
            self.send_bye(core, reason.as_ref());
            return true;
        }
        let description = description_of(&request.headers, &mut request.body).filter(|_| wanted.with_answer);
        if wanted.is_first || wanted.with_answer {
            self.tell(core, SessionEvent::Acked { description });
        }
        self.next_offer(core);
        true
    }

    /// Starts to repeat a 2xx until its ACK.
    pub(super) fn wait_for_ack(&mut self, core: &mut Core, wanted: AckWanted) {
        let times = core.config.times;
        let pause = times.length(Timer::Answer);
        self.unacked = Some(Box::new(Unacked {
            wanted,
            pause,
            repeat: Some(core.start_timer(self.id, Timer::Answer, pause)),
            give_up: Some(core.start_timer(self.id, Timer::AwaitAck, times.give_up())),
            bye: None,
        }));
    }

    pub(super) fn repeat_answer(&mut self, core: &mut Core) {
        let Some(unacked) = &mut self.unacked else { return };
        core.transactions.resend(&mut core.out, unacked.wanted.invite);
        unacked.pause = core.config.times.longer(Timer::Answer, unacked.pause);
        unacked.repeat = Some(core.start_timer(self.id, Timer::Answer, unacked.pause));
    }

    /// No ACK within 64·T1: the session ends with a BYE (§13.3.1.4).
    pub(super) fn give_up_on_ack(&mut self, core: &mut Core) {
        let reason = self.stop_waiting_for_ack(core).flatten();
        self.tell_end(core, SessionEvent::Ended { by: EndedBy::Timeout, reason: None });
        self.leave(core, reason);
    }

    /// Returns the Reason of a BYE that waited for the ACK.
    pub(super) fn stop_waiting_for_ack(&mut self, core: &mut Core) -> Option<Option<Reason>> {
        let mut unacked = self.unacked.take()?;
        core.out.timers.cancel(&mut unacked.repeat);
        core.out.timers.cancel(&mut unacked.give_up);
        unacked.bye
    }

    fn progress_plainly(&mut self, core: &mut Core, waiting: Waiting) {
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        // An offer of ours may not go in an unreliable response (§13.2.1): it waits for the 2xx.
        let description =
            waiting.description.filter(|_| ringing.offered && !matches!(ringing.described, Described::Reliably));
        let mut writer = core.reply(&ringing.head, waiting.status);
        Core::abilities(&mut writer).header("Contact", &self.contact).headers(&waiting.headers);
        let response = writer.description(description.as_deref());
        core.respond(ringing.invite, waiting.status, response);
        if let Some(description) = description {
            ringing.described = Described::Preview(description);
        }
    }

    pub(super) fn refuse_with(&mut self, core: &mut Core, status: u16, headers: &[(String, String)]) {
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        let response = core.reply(&ringing.head, status).headers(headers).body(&[]);
        core.respond(ringing.invite, status, response);
    }
}
