//! The desk's changes of live calls: orders to the tasks that own the legs.

use std::sync::Arc;

use super::{House, backend::no_such};
use crate::{
    call::{
        QueuedKeys,
        live::{CallFacts, LegFacts, LegState, Order},
    },
    control::protocol::{Dtmf, Fault, FaultCode, KeysWay, Pressed},
};

impl House {
    /// Presses keys towards a leg's phone, or as if it pressed them.
    pub(super) async fn dtmf(&self, wanted: Dtmf) -> Result<Pressed, Fault> {
        let Dtmf { uuid, digits, way } = wanted;
        let keys = QueuedKeys::parse(&digits).ok_or_else(|| {
            Fault::new(FaultCode::Usage, format!("`{digits}` is no row of keys"))
                .hint("keys 0-9 * # A-D, w and W for pauses, @ms behind them, + between groups: w12@500+#")
        })?;
        let (_, leg) = self.answered(&uuid)?;
        let order = match way {
            KeysWay::Sent => Order::Press(keys),
            KeysWay::Received => Order::BeSeenToPress(keys),
        };
        leg.orders.send(order).await.map_err(|_| no_such(&uuid))?;
        Ok(Pressed { uuid: leg.uuid.clone(), digits, way })
    }

    /// An answered leg and its call, by the leg's UUID in any letter case.
    fn answered(&self, uuid: &str) -> Result<(Arc<CallFacts>, Arc<LegFacts>), Fault> {
        let (call, leg) = self.exchange.live.find(uuid).ok_or_else(|| no_such(uuid))?;
        let state = leg.now().state;
        match state {
            LegState::Up | LegState::Held => Ok((call, leg)),
            LegState::Dialling | LegState::Ringing => {
                Err(Fault::new(FaultCode::TryAgain, format!("{uuid} is not answered yet"))
                    .hint("try again once it is; `pbx calls` shows its state"))
            }
            LegState::Ended => Err(no_such(uuid)),
        }
    }
}
