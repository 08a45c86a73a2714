//! The calling side (RFC 3261 §13.2): our INVITE, its responses and forks, the ACK, the CANCEL (§9.1).

use bytes::Bytes;
use rsip::{Method, Response};

use super::{Offers, Phase, Role, Session, description_of};
use crate::sip::compose::{self, RELIABLE, Writer};
use crate::sip::dialog::{Dialog, Way, tag_of_to};
use crate::sip::header::{HeadersExt, Reason};
use crate::sip::hop::Hop;
use crate::sip::message::{reason_of, reason_phrase};
use crate::sip::stack::core::Core;
use crate::sip::stack::{EndedBy, Invite, SessionEvent, SessionId};
use crate::sip::transaction::key::ClientKey;
use crate::sip::transaction::{Kind, LocalFailure, Purpose, TransactionId, User};

/// Most early dialogs of one INVITE; a peer that makes up more is not followed.
const FORKS: usize = 16;

/// Our INVITE before its final response.
pub(crate) struct Calling {
    invite: TransactionId,
    /// Whether the INVITE held our offer.
    pub(super) offered: bool,
    /// Whether the answer came in a reliable provisional response (RFC 3262 §5).
    pub(super) answered: bool,
    /// Whether a provisional response came: only then may a CANCEL go (§9.1).
    provisional: bool,
    /// Set once we have hung up.
    cancel: Cancel,
}

enum Cancel {
    Unwanted,
    /// Waits for a provisional response.
    Wanted(Option<String>),
    Sent,
}

impl Calling {
    pub(super) fn describe(&self) -> &'static str {
        match self.cancel {
            Cancel::Unwanted if self.provisional => "calling, proceeding",
            Cancel::Unwanted => "calling",
            Cancel::Wanted(_) => "calling, to be cancelled",
            Cancel::Sent => "calling, cancelled",
        }
    }
}

impl Session {
    /// Sends the INVITE. A call without hops left ends here (§16.3 step 3): then there is no session.
    pub(crate) fn call(core: &mut Core, id: SessionId, invite: &Invite) -> Option<Self> {
        if invite.max_forwards == Some(0) {
            core.emit(id, refused_here(483));
            return None;
        }
        let local_tag = core.random.tag();
        let key = core.new_client_key();
        let way = Way { hop: invite.hop, reopen_at: None };
        let contact = format!("<{}>", invite.contact);
        let request = write_invite(core, key, invite, (&local_tag, &contact));
        let invite_id = core.send((Kind::Invite, User::Session(id, Purpose::Invite)), key, way, request);
        let calling = Calling {
            invite: invite_id,
            offered: invite.offer.is_some(),
            answered: false,
            provisional: false,
            cancel: Cancel::Unwanted,
        };
        Some(Self {
            id,
            role: Role::Caller,
            phase: Phase::Calling(calling),
            local_tag: local_tag.into(),
            contact: contact.into(),
            dialogs: Vec::new(),
            peer_takes_update: false,
            unacked: None,
            offers: Offers::default(),
            told_end: false,
        })
    }

    pub(crate) fn on_invite_response(
        &mut self,
        core: &mut Core,
        invite: TransactionId,
        (response, hop): (Response, Hop),
    ) {
        let status = response.status_code.code();
        match &mut self.phase {
            Phase::Calling(calling) if status < 200 => {
                calling.provisional = true;
                match calling.cancel {
                    Cancel::Unwanted => self.on_provisional(core, (response, hop)),
                    Cancel::Wanted(_) => self.send_cancel(core),
                    Cancel::Sent => {}
                }
            }
            Phase::Calling(calling) if status < 300 => match calling.cancel {
                Cancel::Unwanted => self.on_accepted(core, invite, (response, hop)),
                // The 2xx crossed our CANCEL (§9.1): the call exists, so it must be ended.
                Cancel::Wanted(_) | Cancel::Sent => {
                    core.ack_and_bye(invite, &response.headers, hop);
                    self.finish(core);
                }
            },
            Phase::Calling(_) => {
                let cause = response.headers.reason();
                let reason = reason_of(&response.status_code).to_owned();
                let headers = Box::new(response.headers);
                self.tell_end(core, SessionEvent::Refused { status, reason, headers, cause });
                self.finish(core);
            }
            _ if (200..300).contains(&status) => self.on_late_accept(core, invite, (response, hop)),
            _ => {}
        }
    }

    /// No response came, or the INVITE could not be sent.
    pub(crate) fn on_invite_failure(&mut self, core: &mut Core, failure: LocalFailure) {
        if matches!(self.phase, Phase::Calling(_)) {
            self.tell_end(core, refused_here(failure.status()));
            self.finish(core);
        }
    }

    /// Acknowledges a 2xx that held an offer, with our answer.
    pub(crate) fn acknowledge(&mut self, core: &mut Core, description: Option<&Bytes>) {
        let Some((invite, number)) = self.offers.owed_ack.take() else { return };
        let Some(dialog) = self.dialogs.first() else { return };
        let (mut ack, _) = dialog.request_numbered(core, Method::Ack, number);
        let ack = ack.description(description.map(|description| &description[..]));
        core.transactions.keep_ack(invite, dialog.remote_tag(), (dialog.way(), ack.clone()));
        core.transmit(dialog.way(), ack);
        self.next_offer(core);
    }

    /// Hangs up before the final response.
    pub(super) fn cancel(&mut self, core: &mut Core, reason: Option<Reason>) {
        let Phase::Calling(calling) = &mut self.phase else { return };
        if let Cancel::Unwanted = calling.cancel {
            calling.cancel = Cancel::Wanted(reason.map(|reason| reason.to_string()));
            let provisional = calling.provisional;
            self.tell_end(core, SessionEvent::Ended { by: EndedBy::Us, reason: None });
            if provisional {
                self.send_cancel(core);
            }
        }
    }

    fn send_cancel(&mut self, core: &mut Core) {
        let Phase::Calling(calling) = &mut self.phase else { return };
        let Cancel::Wanted(reason) = std::mem::replace(&mut calling.cancel, Cancel::Sent) else { return };
        core.transactions.limit((&mut core.out, core.now), calling.invite);
        let Some((request, way, key)) = core.transactions.request(calling.invite) else { return };
        let cancel = compose::cancel(request, reason.as_deref());
        core.send((Kind::Other, User::Nobody), ClientKey { cancel: true, ..key }, way, cancel);
    }

    fn on_provisional(&mut self, core: &mut Core, (mut response, hop): (Response, Hop)) {
        let status = response.status_code.code();
        if status == 100 {
            return;
        }
        let tag = tag_of_to(&response.headers).to_owned();
        let is_known = tag.is_empty() || self.dialogs.iter().any(|dialog| dialog.remote_tag() == tag);
        if !is_known && self.dialogs.len() < FORKS {
            self.dialogs.push(Dialog::of_response(&response.headers, hop));
        }
        self.note_abilities(&response.headers);
        let description = description_of(&response.headers, &mut response.body);
        let Phase::Calling(calling) = &mut self.phase else { return };
        // Without an offer of ours 100rel was not supported, so none is due to be reliable.
        if calling.offered && response.headers.lists("Require", RELIABLE) {
            calling.answered |= description.is_some();
            if !self.send_prack(core, &tag, &response.headers) {
                return;
            }
        }
        let reason = reason_of(&response.status_code).to_owned();
        self.tell(core, SessionEvent::Progress { status, reason, description });
    }

    fn on_accepted(&mut self, core: &mut Core, invite: TransactionId, (mut response, hop): (Response, Hop)) {
        let Phase::Calling(calling) = &self.phase else { return };
        let (offered, answered) = (calling.offered, calling.answered);
        let tag = tag_of_to(&response.headers).to_owned();
        let mut dialogs = std::mem::take(&mut self.dialogs);
        let dialog = match dialogs.iter().position(|dialog| dialog.remote_tag() == tag) {
            Some(index) => {
                let mut dialog = dialogs.swap_remove(index);
                dialog.confirm(&response.headers, hop);
                dialog
            }
            None => Dialog::of_response(&response.headers, hop),
        };
        let number = response.headers.cseq_number().unwrap_or_default();
        self.dialogs.push(dialog);
        self.note_abilities(&response.headers);
        self.phase = Phase::Up;
        let description = description_of(&response.headers, &mut response.body).filter(|_| !answered);
        self.offers.owed_ack = Some((invite, number));
        if offered || description.is_none() {
            self.acknowledge(core, None);
        }
        self.tell(core, SessionEvent::Answered { description, headers: Box::new(response.headers) });
        self.next_offer(core);
    }

    /// A 2xx after the first: another fork's is acknowledged and ended (§13.2.2.4), a repeat waits for its ACK.
    fn on_late_accept(&mut self, core: &mut Core, invite: TransactionId, (response, hop): (Response, Hop)) {
        let tag = tag_of_to(&response.headers).to_owned();
        if !self.dialogs.iter().any(|dialog| dialog.remote_tag() == tag) {
            core.ack_and_bye(invite, &response.headers, hop);
        }
    }
}

/// The event of a call that failed before any response.
fn refused_here(status: u16) -> SessionEvent {
    SessionEvent::Refused { status, reason: reason_phrase(status).to_owned(), headers: Box::default(), cause: None }
}

fn write_invite(core: &mut Core, key: ClientKey, invite: &Invite, (tag, contact): (&str, &str)) -> Bytes {
    let call_id = invite.call_id.clone().unwrap_or_else(|| core.random.call_id());
    let mut writer = Writer::request("INVITE", &invite.uri.to_string());
    let hops = invite.max_forwards.map_or(70, |left| left.saturating_sub(1));
    writer.header("Via", &core.via(invite.hop, key)).header("Max-Forwards", &hops.to_string());
    for route in &invite.routes {
        writer.header("Route", &route.to_string());
    }
    writer
        .header("From", &invite.from.clone().with_tag(tag).to_string())
        .header("To", &invite.to.to_string())
        .header("Call-ID", &call_id)
        .header("CSeq", "1 INVITE")
        .header("Contact", contact)
        .header("User-Agent", &core.config.agent)
        .header("Allow", compose::ALLOW);
    if invite.offer.is_some() {
        // Without an offer of ours a reliable response would hold theirs, and PRACK our answer: not needed, so not supported.
        writer.header("Supported", RELIABLE);
    }
    writer.headers(&invite.headers).description(invite.offer.as_deref())
}
