//! Requests within a dialog (RFC 3261 §12.2.2): which ones there are, and those that need little: BYE, INFO, OPTIONS.

use bytes::Bytes;
use rsip::{Method, Response};

use super::{Asked, Phase, Session};
use crate::sip::body::SDP;
use crate::sip::compose::{self, RELIABLE};
use crate::sip::dialog::Order;
use crate::sip::header::HeadersExt;
use crate::sip::stack::SessionEvent;
use crate::sip::stack::core::{Core, check_body};
use crate::sip::transaction::{Kind, LocalFailure, Purpose, User};

impl Session {
    /// Takes a request that names one of our dialogs.
    pub(crate) fn on_request(&mut self, core: &mut Core, asked: Asked<'_>) {
        let number = asked.request.headers.cseq_number().unwrap_or_default();
        let Some(dialog) = self.dialogs.iter_mut().find(|dialog| dialog.remote_tag() == asked.tag) else {
            core.reply_bare(asked.transaction, &asked.head, 481);
            return;
        };
        if dialog.order(number) == Order::Late {
            core.reply_bare(asked.transaction, &asked.head, 500); // §12.2.2
            return;
        }
        match asked.request.method {
            Method::Bye => self.on_bye(core, &asked),
            _ if matches!(self.phase, Phase::Leaving | Phase::Gone) => {
                core.reply_bare(asked.transaction, &asked.head, 481);
            }
            Method::Info => self.on_info(core, &asked),
            Method::Options => on_options(core, &asked),
            Method::PRack | Method::Update | Method::Invite => self.on_change(core, asked),
            _ => core.reply_with(asked.transaction, &asked.head, 405, ("Allow", compose::ALLOW)),
        }
    }

    /// Sends an INFO.
    pub(crate) fn info(&mut self, core: &mut Core, (content_type, body): (&str, &Bytes)) {
        if self.told_end {
            return;
        }
        let Some(dialog) = self.dialogs.first_mut() else { return };
        let (mut writer, key) = dialog.request(core, Method::Info);
        let info = writer.header("Content-Type", content_type).body(body);
        let way = dialog.way();
        core.send((Kind::Other, User::Session(self.id, Purpose::Info)), key, way, info);
    }

    /// Takes the final response to our INFO, PRACK or BYE.
    pub(crate) fn on_response(&mut self, core: &mut Core, purpose: Purpose, response: &Response) {
        match (purpose, response.status_code.code()) {
            (_, ..200) => {}
            (Purpose::Bye, _) => self.finish(core),
            (Purpose::Info, 408 | 481) => self.lose_dialog(core), // §12.2.1.2
            _ => {}
        }
    }

    /// No response to our INFO, PRACK or BYE came.
    pub(crate) fn on_failure(&mut self, core: &mut Core, (purpose, failure): (Purpose, LocalFailure)) {
        match (purpose, failure) {
            (Purpose::Bye, _) => self.finish(core),
            (Purpose::Info, LocalFailure::TimedOut) => self.lose_dialog(core), // §12.2.1.2
            _ => {}
        }
    }

    fn on_bye(&mut self, core: &mut Core, asked: &Asked<'_>) {
        core.reply_bare(asked.transaction, &asked.head, 200);
        let reason = asked.request.headers.reason();
        match self.phase {
            // §15.1.2: an INVITE that is still open gets 487.
            Phase::Ringing(_) => self.refuse_with(core, 487, &[]),
            // One fork of ours ends; the INVITE goes on.
            Phase::Calling(_) => {
                self.dialogs.retain(|dialog| dialog.remote_tag() != asked.tag);
                return;
            }
            Phase::Up | Phase::Leaving | Phase::Gone => {}
        }
        self.end_by_peer(core, reason);
    }

    fn on_info(&mut self, core: &mut Core, asked: &Asked<'_>) {
        core.reply_bare(asked.transaction, &asked.head, 200);
        if !asked.request.body.is_empty() {
            let content_type = asked.request.headers.value("Content-Type").unwrap_or_default().to_owned();
            let body = Bytes::copy_from_slice(&asked.request.body);
            self.tell(core, SessionEvent::Info { content_type, body });
        }
    }

    fn on_change(&mut self, core: &mut Core, asked: Asked<'_>) {
        if let Err(header) = check_body(&asked.request.headers, &asked.request.body) {
            core.reply_with(asked.transaction, &asked.head, 415, header);
            return;
        }
        match asked.request.method {
            Method::Invite => self.on_reinvite(core, asked),
            Method::Update => self.on_update(core, asked),
            _ => self.on_prack(core, asked),
        }
    }
}

/// §11.2, as outside a dialog.
fn on_options(core: &mut Core, asked: &Asked<'_>) {
    let response = core
        .reply(&asked.head, 200)
        .header("Allow", compose::ALLOW)
        .header("Accept", SDP)
        .header("Supported", RELIABLE)
        .body(&[]);
    core.respond(asked.transaction, 200, response);
}
