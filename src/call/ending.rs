//! The end of a channel: the phone is told, everything is given back, the detail record is written.
//! Above: whoever ran the channel's script. Below: `leg`, `detail_record`.

use serde_json::json;

use crate::{
    call::{
        cause::Cause,
        channel::Channel,
        detail_record::{DetailRecord, LegRecord},
        live::LegFacts,
    },
    media::PortStats,
};

impl Channel {
    /// Ends the channel: tells the phone, gives everything back, writes the detail record.
    pub async fn finish(mut self) {
        let cause = self.gone.or(self.hangup).unwrap_or(Cause::NORMAL);
        if !self.leg.is_over() {
            if self.leg.is_up() {
                self.leg.hangup(cause);
            } else {
                let headers = self.exchange.retry_after(cause.status());
                self.leg.refuse(cause, headers);
            }
        }
        self.trace_end(cause.number());
        let closing = self.leg.close();
        let answered = self.leg.facts.now().answered;
        self.ended_legs.insert(0, (leg_record(&self.leg.facts, cause), closing));
        let mut legs = Vec::with_capacity(self.ended_legs.len());
        for (mut leg, closing) in std::mem::take(&mut self.ended_legs) {
            leg.count(&closing.stats().await.unwrap_or_default());
            legs.push(leg);
        }
        self.write_record(cause, answered, legs);
    }

    fn write_record(&mut self, cause: Cause, answered: Option<jiff::Timestamp>, legs: Vec<LegRecord>) {
        let ended = jiff::Timestamp::now();
        let started = self.counted_from.unwrap_or(self.call.started);
        let answered = answered.map(|answered| answered.max(started));
        let seconds = |from: jiff::Timestamp| ended.duration_since(from).as_secs_f64().max(0.0);
        let record = DetailRecord {
            uuid: self.call.uuid.clone(),
            from: self.call.from.clone(),
            from_name: self.call.from_name.clone(),
            to: self.call.to.clone(),
            context: self.call.context.clone(),
            started,
            answered,
            ended,
            duration_s: seconds(started),
            billable_s: answered.map_or(0.0, seconds),
            disposition: disposition(cause, answered).into(),
            account: std::mem::take(&mut self.about.account),
            user_field: std::mem::take(&mut self.about.user_field),
            fields: std::mem::take(&mut self.about.fields),
            cause: cause.number(),
            cause_text: cause.text().into(),
            legs,
        };
        self.exchange.journal.note(
            "call.ended",
            json!({"uuid": record.uuid, "cause": record.cause, "cause_text": record.cause_text,
                   "disposition": record.disposition, "duration_s": record.duration_s}),
        );
        self.exchange.records.write(record);
    }
}

/// How a call went, in the words of detail records.
pub(super) fn disposition(cause: Cause, answered: Option<jiff::Timestamp>) -> &'static str {
    match cause {
        _ if answered.is_some() => "ANSWERED",
        Cause::BUSY | Cause::REJECTED => "BUSY",
        Cause::UNKNOWN | Cause::NORMAL | Cause::NO_ANSWER | Cause::NO_USER_RESPONDING => "NO ANSWER",
        _ => "FAILED",
    }
}

/// What the detail record keeps of a leg, its statistics not counted in yet.
pub(super) fn leg_record(facts: &LegFacts, cause: Cause) -> LegRecord {
    let now = facts.now();
    LegRecord {
        uuid: facts.uuid.clone(),
        user: facts.user.clone(),
        number: facts.number.clone(),
        direction: facts.way.word().into(),
        address: now.address.map(|a| a.to_string()),
        codec: now.codec.map(str::to_owned),
        answered: now.answered,
        ended: jiff::Timestamp::now(),
        cause: cause.number(),
        packets_in: 0,
        packets_out: 0,
        packets_lost: 0,
        jitter_ms: 0.0,
    }
}

impl LegRecord {
    fn count(&mut self, stats: &PortStats) {
        self.packets_in = stats.packets_in;
        self.packets_out = stats.packets_out;
        self.packets_lost = stats.lost;
        self.jitter_ms = stats.jitter_ms.into();
    }
}
