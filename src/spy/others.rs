//! Who else listens, asked for beside a session now and then.
//! Above: `session`. Below: the control client.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::control::client::Client;
use crate::control::protocol::method;
use crate::control::supervision::SpyInfo;

/// Between two looks.
const BETWEEN: Duration = Duration::from_secs(2);

/// Tells all running sessions every two seconds, until nobody wants to know or the server does not say: not everybody may see them.
pub async fn watch(mut client: Client, told: mpsc::UnboundedSender<Vec<SpyInfo>>) {
    let mut again = interval(BETWEEN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = again.tick() => {}
            () = told.closed() => return,
        }
        let Ok(spies) = client.list(method::SPIES, &serde_json::json!({})).await else { return };
        if told.send(spies).is_err() {
            return;
        }
    }
}
