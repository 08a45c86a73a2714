//! What a leg's session and media port tell, turned into the leg's own events; offers within the dialog are answered here.
//! Above: `leg` polls. Below: `sdp` negotiates.

use bytes::Bytes;

use crate::{
    call::{
        cause::Cause,
        dtmf_info,
        leg::{Leg, LegEvent},
        live::LegState,
    },
    media,
    sip::{header::Reason, stack::SessionEvent},
};

impl Leg {
    pub(super) fn on_signal(&mut self, signal: SessionEvent) -> Option<LegEvent> {
        match signal {
            SessionEvent::Incoming { .. } => None,
            SessionEvent::Progress { status, description, .. } => {
                let media = description.is_some_and(|body| self.accept_answer(&body).is_ok());
                if status > 100 && self.facts.now().state == LegState::Dialling {
                    self.set_state(LegState::Ringing);
                }
                Some(LegEvent::Progress { media })
            }
            SessionEvent::Answered { description, .. } => Some(self.on_answered(description)),
            SessionEvent::Acked { description } => {
                if std::mem::take(&mut self.awaits_answer)
                    && description.is_none_or(|body| self.accept_answer(&body).is_err())
                {
                    self.hangup(Cause::INCOMPATIBLE);
                    return Some(LegEvent::Gone(Cause::INCOMPATIBLE));
                }
                None
            }
            SessionEvent::Refused { status, cause, .. } => {
                self.finish();
                let cause = cause.and_then(|r| q850(&r)).unwrap_or_else(|| Cause::from_status(status));
                Some(LegEvent::Refused(cause))
            }
            SessionEvent::Cancelled { .. } => {
                self.finish();
                Some(LegEvent::Gone(Cause::NORMAL))
            }
            SessionEvent::Offer { description, .. } => self.on_offer(description),
            SessionEvent::OfferAnswered { description } => {
                if description.is_some_and(|body| self.accept_answer(&body).is_err()) {
                    self.refused_change();
                }
                Some(LegEvent::HoldChanged)
            }
            SessionEvent::OfferRefused { .. } => {
                self.refused_change();
                None
            }
            SessionEvent::Info { content_type, body } => {
                let (digit, ms) = dtmf_info::parse(&content_type, &body)?;
                Some(LegEvent::Digit { digit, ms, by_info: true })
            }
            SessionEvent::Ended { reason, .. } => {
                self.finish();
                Some(LegEvent::Gone(reason.and_then(|r| q850(&r)).unwrap_or(Cause::NORMAL)))
            }
        }
    }

    fn on_answered(&mut self, description: Option<Bytes>) -> LegEvent {
        // The answer may have come in a reliable 18x; then the 2xx carries none (RFC 3262 §5).
        let usable = match description {
            Some(body) => self.accept_answer(&body).is_ok(),
            None => self.negotiated.is_some(),
        };
        if !usable {
            self.hangup(Cause::INCOMPATIBLE);
            return LegEvent::Refused(Cause::INCOMPATIBLE);
        }
        self.mark_up();
        LegEvent::Answered
    }

    /// A re-INVITE or UPDATE from the phone: answered here; the other leg is disturbed only by a codec that it does not speak yet.
    fn on_offer(&mut self, description: Option<Bytes>) -> Option<LegEvent> {
        match self.answer_change(description.as_deref()) {
            Ok(answer) => {
                self.line.accept_offer(answer);
                description.map(|_| LegEvent::HoldChanged)
            }
            Err(_) => {
                self.line.refuse_offer(488);
                None
            }
        }
    }

    pub(super) fn on_media(&mut self, event: &media::Event) -> Option<LegEvent> {
        match *event {
            media::Event::Digit { digit, ms, .. } => Some(LegEvent::Digit { digit, ms, by_info: false }),
            media::Event::Played { id, finished } => {
                self.exchange.recordings.played(id, finished);
                let next = self.keyboard.pressed(id);
                self.presses(next);
                Some(LegEvent::Played(id))
            }
            media::Event::Silent { .. } => Some(LegEvent::Silent),
            media::Event::Sound { is_loud, .. } => Some(LegEvent::Sound { is_loud }),
            media::Event::Latched { remote, .. } => {
                self.facts.now().address = Some(remote);
                None
            }
            media::Event::TapEnded { .. } | media::Event::SideEmpty { .. } | media::Event::Closed { .. } => None,
        }
    }
}

fn q850(reason: &Reason) -> Option<Cause> {
    if reason.is_q850() {
        return Some(Cause::from_number(reason.cause.into()));
    }
    reason.is_sip().then(|| Cause::from_status(reason.cause))
}
