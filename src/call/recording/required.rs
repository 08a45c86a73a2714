//! Calls that must be recorded, and could not be: they are refused before they are put through, as far as that is known then.
//! Above: the answer, Dial, rooms and the dialplan ask. Below: `rules` says which calls, `files` looks at the spool.

use std::sync::Arc;

use serde_json::json;

use crate::{
    call::{
        cause::Cause,
        channel::{Channel, Gone, Part},
        exchange::Exchange,
        live::LegFacts,
        recording::{
            files,
            rules::{Ruling, for_one, for_two},
            wish::{Delivery, RecordError, Wish},
        },
    },
    sip::header::Reason,
};

/// Why such a call is refused, or ends: 503 before its answer.
pub(super) const CAUSE: Cause = Cause::TEMPORARY_FAILURE;
/// The same in words, for whoever calls.
const TEXT: &str = "This call must be recorded and cannot be";

/// A call must not go on where this recording of it fails. A message or a prompt is no call.
pub(super) fn is_strict(exchange: &Exchange, wish: &Wish) -> bool {
    exchange.settings.load().recording.required && wish.delivery == Delivery::AsSet
}

impl Exchange {
    /// Where a rule wants whoever is alone with the script recorded: whether that can be.
    async fn can_record_one(self: &Arc<Self>, leg: &Arc<LegFacts>) -> Result<(), RecordError> {
        let settings = self.settings.load_full();
        let is_meant = settings.recording.required && for_one(&settings, leg).is_some();
        if is_meant && !self.is_recorded_by_rule(&[leg]) { files::is_ready(self).await } else { Ok(()) }
    }

    /// Before phones are called on behalf of no channel: the cause where a rule wants one of them recorded, and that cannot be.
    ///
    /// # Errors
    /// None of them is to be called.
    pub(in crate::call) async fn can_record_any(self: &Arc<Self>, called: &[Arc<LegFacts>]) -> Result<(), Cause> {
        for leg in called {
            if let Err(error) = self.can_record_one(leg).await {
                self.tells_of_refusal(&leg.uuid, &error);
                return Err(CAUSE);
            }
        }
        Ok(())
    }

    fn tells_of_refusal(&self, call: &str, error: &RecordError) {
        let error = error.to_string();
        tracing::error!(call, error, "a call is refused, it could not be recorded: [recording] required");
        self.journal.note("recording.failed", json!({"uuid": call, "error": error}));
    }
}

impl Channel {
    /// Refuses the caller where a rule wants him recorded as soon as he is answered, and that cannot be.
    ///
    /// # Errors
    /// He is refused.
    pub(in crate::call) async fn is_recordable(&mut self) -> Result<(), Gone> {
        if self.still_here().is_err() || self.is_answered() || self.part == Part::Callee {
            return Ok(());
        }
        let exchange = self.exchange.clone();
        let leg = self.facts().clone();
        exchange.can_record_one(&leg).await.map_err(|error| self.is_refused_unrecorded(&error))
    }

    /// The same before he enters a room that is recorded.
    ///
    /// # Errors
    /// He is refused.
    pub(in crate::call) async fn is_recordable_in(&mut self, room: &str) -> Result<(), Gone> {
        let exchange = self.exchange.clone();
        let settings = exchange.settings.load_full();
        let recording = &settings.recording;
        let is_meant = recording.required && recording.rooms.iter().any(|wanted| wanted == room);
        if !is_meant || exchange.recordings.is_room_recorded(room) {
            return Ok(());
        }
        files::is_ready(&exchange).await.map_err(|error| self.is_refused_unrecorded(&error))
    }

    /// The same before a phone rings: where a rule wants his talk with any of these recorded.
    ///
    /// # Errors
    /// He is refused.
    pub(in crate::call) async fn is_recordable_with(&mut self, called: &[Arc<LegFacts>]) -> Result<(), Gone> {
        let exchange = self.exchange.clone();
        let settings = exchange.settings.load_full();
        if !settings.recording.required {
            return Ok(());
        }
        let own = self.facts().clone();
        let is_meant = |leg: &Arc<LegFacts>| {
            let pair = [&own, leg];
            matches!(for_two(&settings, pair), Ruling::Records { .. }) && !exchange.is_recorded_by_rule(&pair)
        };
        if !called.iter().any(is_meant) {
            return Ok(());
        }
        files::is_ready(&exchange).await.map_err(|error| self.is_refused_unrecorded(&error))
    }

    /// A recording that the script wants of this call did not begin: where calls must be recorded, it ends.
    ///
    /// # Errors
    /// It does.
    pub fn goes_on_unrecorded(&mut self, wish: &Wish) -> Result<(), Gone> {
        if is_strict(&self.exchange, wish) { Err(self.ends_unrecorded()) } else { Ok(()) }
    }

    fn is_refused_unrecorded(&mut self, error: &RecordError) -> Gone {
        self.exchange.tells_of_refusal(&self.call.uuid, error);
        self.ends_unrecorded()
    }

    fn ends_unrecorded(&mut self) -> Gone {
        self.gone.get_or_insert(CAUSE);
        if self.leg.is_up() {
            self.leg.hangup(CAUSE);
        } else {
            let reason = Reason { text: Some(TEXT.into()), ..Reason::q850(CAUSE.number().into()) };
            let mut headers = self.exchange.retry_after(CAUSE.status());
            headers.push(("Reason".into(), reason.to_string()));
            self.leg.refuse(CAUSE, headers);
        }
        Gone
    }
}
