//! Verbs on live calls, through the control socket: what each phone hears, and that no call is lost or counted twice.

mod bridge;
mod hold;
mod keys;
mod originate;
mod show;
mod transfer;

use serde::Serialize;
use serde_json::Value;
use wirechief::control::client::ClientError;
use wirechief::control::protocol::FaultCode;

use crate::harness::TestPbx;

/// What the server answers.
pub(crate) async fn ask(pbx: &TestPbx, method: &str, wanted: &(impl Serialize + Sync)) -> Value {
    pbx.client().await.request(method, wanted).await.expect("done")
}

/// How it refuses.
pub(crate) async fn refusal(pbx: &TestPbx, method: &str, wanted: &(impl Serialize + Sync)) -> FaultCode {
    match pbx.client().await.request::<Value>(method, wanted).await {
        Err(ClientError::Fault(fault)) => fault.code,
        other => panic!("not refused: {other:?}"),
    }
}

/// The UUID of the leg of that number in the newest call that has one.
pub(crate) async fn leg_of(pbx: &TestPbx, number: &str) -> String {
    let calls = pbx.calls().await;
    let mut legs = calls.iter().rev().flat_map(|call| &call.legs);
    legs.find(|leg| leg.number == number).unwrap_or_else(|| panic!("a leg of {number}")).uuid.clone()
}
