//! Leaving: a channel that another task sends elsewhere gives up what it does, and goes on there as itself: its leg keeps its
//! UUID, its call its record.
//! Above: the control socket orders it. Below: whatever the channel does ends as if its phone were gone; `ending` and `dial`
//! then let it go instead of hanging up.

use std::{fmt, sync::Arc};

use serde_json::json;
use tokio::sync::oneshot;

use crate::call::{
    channel::{CallerId, Channel, Part, Position},
    live::CallFacts,
};

/// Where a channel goes on that leaves what it does.
pub enum Away {
    /// In the dialplan in force.
    To(Position),
    /// Within the call of whoever fetches it, to talk with him.
    IsFetched(oneshot::Sender<Box<Channel>>),
    /// In a talk with the party that comes out of here.
    Meets(oneshot::Receiver<Box<Channel>>),
}

impl fmt::Debug for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(position) => f.debug_tuple("To").field(position).finish(),
            Self::IsFetched(_) => f.write_str("IsFetched"),
            Self::Meets(_) => f.write_str("Meets"),
        }
    }
}

/// The order to leave.
#[derive(Debug)]
pub struct Leave {
    /// Where this channel goes on.
    pub away: Away,
    /// Where the party goes on that it talks with; absent: that party ends, or goes on as when this one had hung up.
    pub other: Option<Position>,
    /// Told when it leaves. An order whose asker has given up is void.
    pub taken: oneshot::Sender<()>,
}

impl Channel {
    /// It has been sent elsewhere: what waits for its phone ends, though the phone is still there.
    pub fn is_leaving(&self) -> bool {
        self.away.is_some()
    }

    /// Does as the order says, where it still can: a channel that ends already leaves for nowhere, and one that talks with
    /// nobody takes nobody along. Whether it leaves.
    pub(super) fn leaves(&mut self, order: Leave, partner: Option<&mut Self>) -> bool {
        let Leave { away, other, taken } = order;
        let ends = self.still_here().is_err() || self.hangup.is_some();
        if ends || (other.is_some() && partner.is_none()) || taken.send(()).is_err() {
            return false;
        }
        if let Away::To(position) = &away {
            self.note_transfer(position);
        }
        self.away = Some(away);
        if let (Some(partner), Some(position)) = (partner, other) {
            partner.note_transfer(&position);
            partner.away = Some(Away::To(position));
        }
        true
    }

    fn note_transfer(&self, to: &Position) {
        self.exchange.journal.note(
            "call.transferred",
            json!({"uuid": self.call.uuid, "leg": self.uuid(), "to": to.extension, "context": to.context}),
        );
    }

    /// Lets go of a channel that leaves: `None` once it is under way, itself where it has to end after all.
    pub(super) fn departs(mut self) -> Option<Self> {
        if self.gone.is_some() || self.leg.is_over() {
            return Some(self);
        }
        let Some(away) = self.away.take() else { return Some(self) };
        while self.pop_frame().is_some() {}
        self.stop_playing();
        self.forget_digits();
        match away {
            Away::To(position) => {
                self.has_its_own_call(&position);
                self.set_position(position);
            }
            Away::Meets(partner) => {
                let here = self.position().clone();
                if self.part == Part::Callee {
                    // Where it was dialled from is no place of its own: no `h` there is for it.
                    self.set_position(Position::default());
                }
                self.has_its_own_call(&here);
                self.meets = Some(partner);
            }
            Away::IsFetched(by) => return self.go_over(by),
        }
        self.exchange.clone().hand_over(self);
        None
    }

    /// A called party leaves the call for one of its own, which is to `there`; for one that called nothing changes.
    pub(super) fn has_its_own_call(&mut self, there: &Position) {
        if self.part == Part::Caller {
            return;
        }
        self.exchange.live.drop_leg(&self.call, &self.leg.facts);
        let number = self.leg.facts.number.clone();
        self.set_caller(CallerId { name: String::new(), number: number.clone() });
        let call = CallFacts::new(self.leg.facts.clone(), (&number, ""), &there.extension, &there.context);
        self.call = Arc::new(call);
        self.part = Part::Caller;
        self.exchange.live.begin(self.call.clone());
        self.exchange.recordings.settle(&[&self.leg.facts]);
        self.exchange.journal.note(
            "call.started",
            json!({"uuid": self.call.uuid, "from": number, "to": there.extension, "context": there.context}),
        );
    }
}
