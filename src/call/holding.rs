//! Holding by this server: a party hears music instead of whom it talks with, who does not hear it; supervisors do.
//! Above: the control socket's orders, and supervisors who take a party's place. Below: the media threads hold the port.
//! A leg stays held as long as anybody holds it: the end of one hold does not undo another.

use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    call::{channel::Channel, exchange::Exchange, hold_music::hold_music, live::LegFacts},
    media::Command,
};

/// Who holds a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holder {
    /// An operator, by order.
    Operator,
    /// A supervisor in its place.
    Supervisor,
}

/// All who hold a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holders {
    operator: bool,
    supervisors: u32,
}

impl Holders {
    /// Held by order.
    pub fn operator(self) -> bool {
        self.operator
    }

    fn any(self) -> bool {
        self.operator || self.supervisors > 0
    }

    fn with(self, holder: Holder) -> Self {
        match holder {
            Holder::Operator => Self { operator: true, ..self },
            Holder::Supervisor => Self { supervisors: self.supervisors.saturating_add(1), ..self },
        }
    }

    fn without(self, holder: Holder) -> Self {
        match holder {
            Holder::Operator => Self { operator: false, ..self },
            Holder::Supervisor => Self { supervisors: self.supervisors.saturating_sub(1), ..self },
        }
    }
}

impl Exchange {
    /// From now on `holder` holds that leg.
    pub(super) fn hold(&self, leg: &LegFacts, holder: Holder) {
        self.change_holders(leg, holder, Holders::with);
    }

    /// `holder` holds it no more.
    pub(super) fn unhold(&self, leg: &LegFacts, holder: Holder) {
        self.change_holders(leg, holder, Holders::without);
    }

    fn change_holders(&self, leg: &LegFacts, holder: Holder, change: fn(Holders, Holder) -> Holders) {
        let mut now = leg.now();
        let before = now.holders;
        let after = change(before, holder);
        now.holders = after;
        // While nobody else can change it: the media threads are told in the order in which it was done.
        match (before.any(), after.any()) {
            (false, true) => self.media.send(Command::Hold { port: leg.port, music: hold_music() }),
            (true, false) => self.media.send(Command::Unhold { port: leg.port }),
            _ => {}
        }
        drop(now);
        if before.operator != after.operator {
            self.journal.note(if after.operator { "call.held" } else { "call.unheld" }, json!({"uuid": leg.uuid}));
            leg.touch();
            self.live.note_change();
        }
    }

    /// Holds the port of a held leg anew: it has been joined, which ended that.
    pub(super) fn hold_anew(&self, leg: &LegFacts) {
        let now = leg.now();
        if now.holders.any() {
            self.media.send(Command::Hold { port: leg.port, music: hold_music() });
        }
    }

    /// What plays to a held leg is heard, until it is held anew.
    pub(super) fn pause_hold(&self, leg: &LegFacts) {
        let now = leg.now();
        if now.holders.any() {
            self.media.send(Command::Unhold { port: leg.port });
        }
    }
}

impl Channel {
    /// It is held by order, and the asker knows.
    pub(super) fn is_held_by_order(&self, done: oneshot::Sender<()>) {
        self.exchange.hold(&self.leg.facts, Holder::Operator);
        // The asker may have given up.
        let _ = done.send(());
    }

    /// It is no longer held by order, and the asker knows.
    pub(super) fn is_taken_back(&self, done: oneshot::Sender<()>) {
        self.ends_hold();
        // The asker may have given up.
        let _ = done.send(());
    }

    /// It talks with nobody any more whom it could be held for by order.
    pub fn ends_hold(&self) {
        self.exchange.unhold(&self.leg.facts, Holder::Operator);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_is_held_as_long_as_anybody_holds_it() {
        use Holder::{Operator, Supervisor};
        let both = Holders::default().with(Operator).with(Supervisor).with(Operator);
        assert!(both.any() && both.operator());
        let one = both.without(Operator);
        assert!(one.any() && !one.operator(), "the supervisor is still in its place");
        assert!(both.without(Supervisor).any());
        assert!(both.with(Supervisor).without(Operator).without(Supervisor).any(), "two supervisors came, one went");
        let none = one.without(Supervisor);
        assert_eq!((none, none.without(Supervisor).without(Operator)), (Holders::default(), Holders::default()));
    }
}
