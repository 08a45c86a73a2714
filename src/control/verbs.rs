//! What is said on the control socket to change live calls: keys. The field names are those of the commands' `--json`.
//! Above: `protocol` re-exports them. Below: `call::live` carries the orders.

use serde::{Deserialize, Serialize};

/// Which way keys go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeysWay {
    /// To the phone of the leg.
    #[default]
    Sent,
    /// From it, as if it had pressed them.
    Received,
}

/// Presses keys on a leg.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dtmf {
    /// The UUID of a leg.
    pub uuid: String,
    /// Keys, pauses and lengths: `w12@500+#`.
    pub digits: String,
    /// To its phone, or as if from it.
    #[serde(default)]
    pub way: KeysWay,
}

/// Keys that are being pressed (`pbx.dtmf/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressed {
    /// The leg's UUID.
    pub uuid: String,
    /// As asked for.
    pub digits: String,
    /// Which way.
    pub way: KeysWay,
}
