//! Reliable provisional responses (RFC 3262), both sides: our 18x until its PRACK, and our PRACK for theirs.

use std::time::Duration;

use rsip::{Headers, Method};

use super::callee::{Described, HeldAnswer, Waiting};
use super::{Asked, Phase, Role, Session, description_of};
use crate::sip::compose::RELIABLE;
use crate::sip::header::HeadersExt;
use crate::sip::stack::core::Core;
use crate::sip::stack::{EndedBy, SessionEvent};
use crate::sip::timer::{Timer, Token};
use crate::sip::transaction::{Kind, Purpose, User};

/// What their INVITE says of 100rel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reliability {
    Absent,
    Supported,
    Required,
}

impl Reliability {
    pub(super) fn of(headers: &Headers) -> Self {
        if headers.lists("Require", RELIABLE) {
            Self::Required
        } else if headers.lists("Supported", RELIABLE) {
            Self::Supported
        } else {
            Self::Absent
        }
    }
}

/// Our reliable response that has no PRACK yet; its bytes are the last of the transaction.
pub(super) struct Unpracked {
    rseq: u32,
    /// Whether it holds a description.
    pub(super) described: bool,
    /// Length of the current pause between repeats.
    pause: Duration,
    pub(super) repeat: Option<Token>,
    pub(super) give_up: Option<Token>,
}

impl Session {
    pub(super) fn progress_reliably(&mut self, core: &mut Core, waiting: Waiting) {
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        let rseq = ringing.next_rseq;
        ringing.next_rseq = rseq.wrapping_add(1);
        let description = match ringing.described {
            Described::Reliably => None,
            _ => waiting.description,
        };
        let mut writer = core.reply(&ringing.head, waiting.status);
        Core::abilities(&mut writer)
            .header("Contact", &self.contact)
            .header("Require", RELIABLE)
            .header("RSeq", &rseq.to_string())
            .headers(&waiting.headers);
        let response = writer.description(description.as_deref());
        core.respond(ringing.invite, waiting.status, response);
        if description.is_some() {
            ringing.described = Described::Reliably;
        }
        let pause = core.config.times.length(Timer::Reliable);
        ringing.unpracked = Some(Unpracked {
            rseq,
            described: description.is_some(),
            pause,
            repeat: Some(core.start_timer(self.id, Timer::Reliable, pause)),
            give_up: Some(core.start_timer(self.id, Timer::AwaitPrack, core.config.times.give_up())),
        });
    }

    pub(super) fn repeat_reliable(&mut self, core: &mut Core) {
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        let Some(unpracked) = &mut ringing.unpracked else { return };
        core.transactions.resend(&mut core.out, ringing.invite);
        unpracked.pause = core.config.times.longer(Timer::Reliable, unpracked.pause);
        unpracked.repeat = Some(core.start_timer(self.id, Timer::Reliable, unpracked.pause));
    }

    /// No PRACK within 64·T1: the INVITE is refused with a 5xx (RFC 3262 §3).
    pub(super) fn give_up_on_prack(&mut self, core: &mut Core) {
        if matches!(self.phase, Phase::Ringing(_)) {
            self.refuse_with(core, 504, &[]);
            self.tell_end(core, SessionEvent::Ended { by: EndedBy::Timeout, reason: None });
            self.finish(core);
        }
    }

    /// Takes a PRACK: 481 unless it names the response that waits (RFC 3262 §3).
    pub(super) fn on_prack(&mut self, core: &mut Core, asked: Asked<'_>) {
        let Phase::Ringing(ringing) = &mut self.phase else {
            // Late, for a response without description: the 2xx did not wait for it.
            let status = if self.role == Role::Callee { 200 } else { 481 };
            core.reply_bare(asked.transaction, &asked.head, status);
            return;
        };
        let named = asked.request.headers.value("RAck").and_then(parse_rack);
        let unpracked = ringing.unpracked.take_if(|unpracked| named == Some((unpracked.rseq, ringing.number)));
        let Some(mut unpracked) = unpracked else {
            core.reply_bare(asked.transaction, &asked.head, 481);
            return;
        };
        core.out.timers.cancel(&mut unpracked.repeat);
        core.out.timers.cancel(&mut unpracked.give_up);
        let our_offer = unpracked.described && !ringing.offered;
        let description = description_of(&asked.request.headers, &mut asked.request.body);
        match description {
            Some(offer) if !our_offer => self.take_offer(core, asked, Some(offer)),
            description => {
                core.reply_bare(asked.transaction, &asked.head, 200);
                if our_offer {
                    self.tell(core, SessionEvent::OfferAnswered { description });
                }
            }
        }
        self.after_prack(core);
    }

    /// Sends what waited for a PRACK, or for the answer to an offer in it.
    pub(super) fn after_prack(&mut self, core: &mut Core) {
        let Phase::Ringing(ringing) = &mut self.phase else { return };
        if let Some(HeldAnswer { description, headers }) = ringing.answer.take() {
            self.answer(core, description, headers);
        } else if ringing.unpracked.is_none()
            && let Some(waiting) = ringing.waiting.pop_front()
        {
            self.progress(core, waiting);
        }
    }

    /// Acknowledges a reliable provisional response; `false` for a repeat or one out of order (RFC 3262 §4).
    pub(super) fn send_prack(&mut self, core: &mut Core, tag: &str, response: &Headers) -> bool {
        let rseq = response.value("RSeq").and_then(|value| value.trim().parse().ok());
        let dialog = self.dialogs.iter_mut().find(|dialog| dialog.remote_tag() == tag);
        let (Some(rseq), Some(dialog), Some(cseq)) = (rseq, dialog, response.cseq()) else { return false };
        if !dialog.takes_reliable(rseq) {
            return false;
        }
        let (mut writer, key) = dialog.request(core, Method::PRack);
        let prack = writer.header("RAck", &format!("{rseq} {} {}", cseq.number, cseq.method)).body(&[]);
        let way = dialog.way();
        core.send((Kind::Other, User::Session(self.id, Purpose::Prack)), key, way, prack);
        true
    }
}

/// The response number and the CSeq number of a RAck that is about an INVITE (RFC 3262 §7.2).
fn parse_rack(value: &str) -> Option<(u32, u32)> {
    let mut words = value.split_ascii_whitespace();
    let rseq = words.next()?.parse().ok()?;
    let number = words.next()?.parse().ok()?;
    (words.next()?.eq_ignore_ascii_case("INVITE") && words.next().is_none()).then_some((rseq, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rack_names_a_response_and_its_invite() {
        assert_eq!(parse_rack("776656 1 INVITE"), Some((776_656, 1)));
        for bad in ["", "1 1", "1 1 BYE", "x 1 INVITE", "1 99999999999 INVITE", "1 1 INVITE x"] {
            assert_eq!(parse_rack(bad), None, "{bad}");
        }
    }
}
