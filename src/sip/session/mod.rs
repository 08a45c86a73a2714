//! INVITE sessions (RFC 3261 §13–§15): one INVITE with its dialogs, from the first request to the last BYE.
//! Above: `stack` hands in messages, commands and timers of this session. Below: `dialog` writes requests, `core` sends.
//!
//! A session is its verbs: `caller` and `callee` set it up, `reliable` is 100rel, `offer` changes it, `within` is the rest.

mod callee;
mod caller;
mod offer;
mod reliable;
#[cfg(test)]
mod tests;
mod within;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rsip::{Headers, Method};

use super::body;
use super::compose::ReplyHead;
use super::dialog::Dialog;
use super::header::{HeadersExt, Reason};
use super::hop::Hop;
use super::stack::core::Core;
use super::stack::{EndedBy, SessionEvent, SessionId};
use super::timer::{Timer, Token};
use super::transaction::{Kind, Purpose, TransactionId, User};
pub(crate) use callee::{NewInvite, Waiting};

use callee::Ringing;
use caller::Calling;
use offer::Offers;

/// Who sent the first INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Caller,
    Callee,
}

/// How far a session is.
enum Phase {
    /// Our INVITE has no final response yet.
    Calling(Calling),
    /// Their INVITE has no final response yet.
    Ringing(Box<Ringing>),
    /// A 2xx went one way or the other.
    Up,
    /// The last event was given; our BYE is under way, or waits for their ACK.
    Leaving,
    /// Nothing is left to do.
    Gone,
}

/// Which ACK we wait for.
#[derive(Clone, Copy)]
struct AckWanted {
    invite: TransactionId,
    number: u32,
    /// It is that of the first INVITE, not of a re-INVITE.
    is_first: bool,
    /// It holds their answer.
    with_answer: bool,
}

/// A 2xx of ours that has no ACK yet (§13.3.1.4).
struct Unacked {
    wanted: AckWanted,
    /// Length of the current pause between repeats.
    pause: Duration,
    repeat: Option<Token>,
    give_up: Option<Token>,
    /// Hung up meanwhile: the BYE follows the ACK (§15), with this Reason.
    bye: Option<Option<Reason>>,
}

/// One INVITE session.
pub(crate) struct Session {
    id: SessionId,
    role: Role,
    phase: Phase,
    local_tag: Box<str>,
    /// Value of our Contact.
    contact: Box<str>,
    /// One, or the early ones of a forked INVITE; empty before the first response.
    dialogs: Vec<Dialog>,
    /// Whether the peer lists UPDATE in Allow (RFC 3311 §4).
    peer_takes_update: bool,
    unacked: Option<Box<Unacked>>,
    offers: Offers,
    /// Whether the last event was given.
    told_end: bool,
}

/// A request that came within the dialog, with what is needed to answer it.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a mut rsip::Request,
    pub(crate) transaction: TransactionId,
    pub(crate) head: ReplyHead,
    pub(crate) hop: Hop,
    /// Their From tag.
    pub(crate) tag: &'a str,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            Phase::Calling(calling) => calling.describe(),
            Phase::Ringing(_) => "ringing",
            Phase::Up if self.unacked.is_some() => "up, no ACK yet",
            Phase::Up => "up",
            Phase::Leaving => "leaving",
            Phase::Gone => "gone",
        };
        write!(
            f,
            "session {:x} as {:?}: {phase}, {} dialogs, {}",
            self.id.0,
            self.role,
            self.dialogs.len(),
            self.offers
        )
    }
}

impl Session {
    pub(crate) fn local_tag(&self) -> &str {
        &self.local_tag
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    pub(crate) fn dialog_count(&self) -> usize {
        self.dialogs.len()
    }

    /// Whether a message with this Call-ID and their tag belongs to one of the dialogs.
    pub(crate) fn has_dialog(&self, call_id: &str, tag: &str) -> bool {
        self.dialogs.iter().any(|dialog| dialog.is(call_id, tag))
    }

    /// Ends the session by what its state needs.
    pub(crate) fn hang_up(&mut self, core: &mut Core, reason: Option<Reason>) {
        match &mut self.phase {
            Phase::Calling(_) => self.cancel(core, reason),
            Phase::Ringing(_) => self.refuse(core, 603, &reason_header(reason.as_ref())),
            Phase::Up => {
                self.tell_end(core, SessionEvent::Ended { by: EndedBy::Us, reason: None });
                self.leave(core, reason);
            }
            Phase::Leaving | Phase::Gone => {}
        }
    }

    pub(crate) fn on_timer(&mut self, core: &mut Core, timer: Timer) {
        match timer {
            Timer::Answer => self.repeat_answer(core),
            Timer::AwaitAck => self.give_up_on_ack(core),
            Timer::Reliable => self.repeat_reliable(core),
            Timer::AwaitPrack => self.give_up_on_prack(core),
            Timer::KeepRinging => self.keep_ringing(core),
            Timer::Expires => self.expire(core),
            Timer::Glare => self.offer_again(core),
            _ => {} // the transactions' own
        }
    }

    /// Gives an event, unless the last one was given already.
    fn tell(&self, core: &mut Core, event: SessionEvent) {
        if !self.told_end {
            core.emit(self.id, event);
        }
    }

    /// Gives the last event, once.
    fn tell_end(&mut self, core: &mut Core, event: SessionEvent) {
        self.tell(core, event);
        self.told_end = true;
    }

    /// Sends the BYE, or lets it wait for the ACK of our 2xx (§15).
    fn leave(&mut self, core: &mut Core, reason: Option<Reason>) {
        self.phase = Phase::Leaving;
        self.drop_offers(core);
        match &mut self.unacked {
            Some(unacked) if unacked.wanted.is_first => unacked.bye = Some(reason),
            _ => {
                self.stop_waiting_for_ack(core);
                self.send_bye(core, reason.as_ref());
            }
        }
    }

    fn send_bye(&mut self, core: &mut Core, reason: Option<&Reason>) {
        let Some(dialog) = self.dialogs.first_mut() else {
            self.finish(core);
            return;
        };
        let (mut writer, key) = dialog.request(core, Method::Bye);
        let bye = writer.headers(&reason_header(reason)).body(&[]);
        let way = dialog.way();
        core.send((Kind::Other, User::Session(self.id, Purpose::Bye)), key, way, bye);
    }

    /// Frees everything; the stack removes the session next.
    fn finish(&mut self, core: &mut Core) {
        self.drop_offers(core);
        self.stop_waiting_for_ack(core);
        match &mut self.phase {
            Phase::Ringing(ringing) => ringing.stop_timers(core),
            Phase::Calling(_) | Phase::Up | Phase::Leaving | Phase::Gone => {}
        }
        self.dialogs.clear();
        self.phase = Phase::Gone;
    }

    /// The peer knows the dialog no more, or does not answer within it (§12.2.1.2).
    fn lose_dialog(&mut self, core: &mut Core) {
        if matches!(self.phase, Phase::Up) {
            self.tell_end(core, SessionEvent::Ended { by: EndedBy::Timeout, reason: None });
            self.stop_waiting_for_ack(core);
            self.leave(core, None);
        }
    }

    fn note_abilities(&mut self, headers: &Headers) {
        if headers.value("Allow").is_some() {
            self.peer_takes_update = headers.lists("Allow", "UPDATE");
        }
    }
}

/// The Reason header of a CANCEL, BYE or refusal.
fn reason_header(reason: Option<&Reason>) -> Vec<(String, String)> {
    reason.map(|reason| ("Reason".to_owned(), reason.to_string())).into_iter().collect()
}

/// The description in a message, taken out of it.
fn description_of(headers: &Headers, body: &mut Vec<u8>) -> Option<Bytes> {
    let range = body::find_description(headers, body)?;
    let bytes = Bytes::from(std::mem::take(body));
    Some(bytes.slice(range))
}
