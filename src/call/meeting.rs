//! Meeting: two parties that another task brings together. One is fetched out of its call, which ends, and becomes a party of
//! the other one's.
//! Above: `dialplan::exec` lets them talk. Below: `leaving` brings both here.

use std::time::Duration;

use tokio::{sync::oneshot, time::timeout};

use crate::call::{
    cause::Cause,
    channel::{Channel, Gone, Part},
};

/// How long a party may take to leave what it did.
const COMING_TIME: Duration = Duration::from_secs(5);

impl Channel {
    /// It is to talk with a party that somebody brings.
    pub fn is_to_meet(&self) -> bool {
        self.meets.is_some()
    }

    /// The party it is to talk with, in its call from now on; `None` when that one hung up on the way.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn meet(&mut self) -> Result<Option<Box<Self>>, Gone> {
        let Some(coming) = self.meets.take() else { return Ok(None) };
        let Ok(Ok(mut partner)) = self.serve_until(timeout(COMING_TIME, coming)).await? else { return Ok(None) };
        partner.call = self.call.clone();
        partner.kin = self.kin.clone();
        self.exchange.live.add_leg(&self.call, partner.leg.facts.clone());
        Ok(Some(partner))
    }

    /// It ran a script of its own before it was fetched.
    pub fn had_a_script(&self) -> bool {
        self.was_caller
    }

    /// Goes over to whoever fetches it. A call of its own is over, and recorded; itself where nobody fetches it any more.
    pub(super) fn go_over(mut self, by: oneshot::Sender<Box<Self>>) -> Option<Self> {
        if by.is_closed() {
            return Some(self);
        }
        match self.part {
            Part::Caller => {
                let own = (self.leg_record(Cause::NORMAL), self.leg.measure());
                self.ends_record(Cause::NORMAL, own);
                self.exchange.live.end(&self.call);
                self.part = Part::Callee;
                self.was_caller = true;
            }
            Part::Callee => self.exchange.live.drop_leg(&self.call, &self.leg.facts),
        }
        // Nobody there any more: it is dropped, which hangs up.
        let _ = by.send(Box::new(self));
        None
    }
}
