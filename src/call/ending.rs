//! The end of a channel: the phone is told, everything is given back, the detail record is written.
//! Above: whoever ran the channel's script. Below: `leg`, `detail_record`.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    call::{
        cause::Cause,
        channel::Channel,
        detail_record::{DetailRecord, LegRecord},
        exchange::Exchange,
        leg::Closing,
    },
    media::PortStats,
};

impl Channel {
    /// Ends the channel: tells the phone, gives everything back, writes the detail record. One that was sent elsewhere goes on
    /// there instead.
    pub async fn finish(self) {
        let Some(mut ending) = self.departs() else { return };
        let cause = ending.gone.or(ending.hangup).unwrap_or(Cause::NORMAL);
        if !ending.leg.is_over() {
            if ending.leg.is_up() {
                ending.leg.hangup(cause);
            } else {
                let headers = ending.exchange.retry_after(cause.status());
                ending.leg.refuse(cause, headers);
            }
        }
        ending.trace_end(cause.number());
        let own = (ending.leg_record(cause), ending.leg.close());
        let _ = ending.ends_record(cause, own).await;
    }

    /// What the detail record keeps of its leg, its statistics not counted in yet.
    pub(super) fn leg_record(&self, cause: Cause) -> LegRecord {
        let facts = &self.leg.facts;
        let now = facts.now();
        LegRecord {
            uuid: facts.uuid.clone(),
            user: facts.user.clone(),
            number: facts.number.clone(),
            direction: facts.way.word().into(),
            address: now.address.map(|a| a.to_string()),
            codec: now.codec.map(|codec| codec.word().to_owned()),
            answered: now.answered,
            ended: jiff::Timestamp::now(),
            cause: cause.number(),
            packets_in: 0,
            packets_out: 0,
            packets_lost: 0,
            jitter_ms: 0.0,
        }
    }

    /// Writes the call's record, once all its legs are counted.
    pub(super) fn ends_record(&mut self, cause: Cause, own: (LegRecord, Closing)) -> JoinHandle<()> {
        let mut record = self.record(cause);
        let mut legs = vec![own];
        legs.append(&mut self.ended_legs);
        let exchange = self.exchange.clone();
        let recordings = exchange.recordings.take_call(&record.uuid);
        let promised = Promised::of(&exchange);
        tokio::spawn(async move {
            let _promised = promised;
            for (mut leg, closing) in legs {
                leg.count(&closing.stats().await.unwrap_or_default());
                record.legs.push(leg);
            }
            for recording in recordings {
                record.recorded.extend(recording.kept().await.map(|id| id.to_string()));
            }
            exchange.journal.note(
                "call.ended",
                json!({"uuid": record.uuid, "cause": record.cause, "cause_text": record.cause_text,
                       "disposition": record.disposition, "duration_s": record.duration_s}),
            );
            exchange.records.write(record);
        })
    }

    /// The call's record, without its legs.
    fn record(&mut self, cause: Cause) -> DetailRecord {
        let ended = jiff::Timestamp::now();
        let (started, began) = self.counted_from.unwrap_or((self.call.started, self.call.began));
        let duration_s = began.elapsed().as_secs_f64();
        let answered = self.answered().map(|answered| answered.max(started));
        let billable = |from: jiff::Timestamp| ended.duration_since(from).as_secs_f64().clamp(0.0, duration_s);
        DetailRecord {
            uuid: self.call.uuid.clone(),
            from: self.call.from.clone(),
            from_name: self.call.from_name.clone(),
            to: self.call.to.clone(),
            context: self.call.context.clone(),
            started,
            answered,
            ended,
            duration_s,
            billable_s: answered.map_or(0.0, billable),
            disposition: disposition(cause, answered).into(),
            account: std::mem::take(&mut self.about.account),
            user_field: std::mem::take(&mut self.about.user_field),
            fields: std::mem::take(&mut self.about.fields),
            cause: cause.number(),
            cause_text: cause.text().into(),
            legs: Vec::new(),
            recorded: Vec::new(),
        }
    }
}

/// A record that is to be written, however its task ends.
struct Promised(Arc<Exchange>);

impl Promised {
    fn of(exchange: &Arc<Exchange>) -> Self {
        exchange.unrecorded.send_modify(|waiting| *waiting += 1);
        Self(exchange.clone())
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        self.0.unrecorded.send_modify(|waiting| *waiting -= 1);
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

impl LegRecord {
    fn count(&mut self, stats: &PortStats) {
        self.packets_in = stats.packets_in;
        self.packets_out = stats.packets_out;
        self.packets_lost = stats.lost;
        self.jitter_ms = stats.jitter_ms.into();
    }
}
