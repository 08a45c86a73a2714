//! What is said on the control socket to change live calls: keys, transfers, bridges, holds. The field names are those of the commands' `--json`.
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

/// Whose leg a transfer moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moves {
    /// The one that is named; the other one ends, or goes on as if it had hung up.
    #[default]
    This,
    /// The one it talks with.
    Other,
    /// Both, to the same place.
    Both,
}

/// Sends legs elsewhere in the dialplan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The UUID of a leg.
    pub uuid: String,
    /// The extension.
    pub extension: String,
    /// Its context; the one that the leg calls in when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Which legs go.
    #[serde(default)]
    pub moves: Moves,
}

/// Legs that were sent elsewhere (`pbx.transfer/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    /// Their UUIDs.
    pub legs: Vec<String>,
    /// The extension.
    pub extension: String,
    /// Its context.
    pub context: String,
}

/// Connects two legs with each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// The UUIDs: in the call of the first they go on.
    pub legs: [String; 2],
}

/// Legs that talk with each other (`pbx.bridge/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridged {
    /// Their UUIDs.
    pub legs: [String; 2],
}

/// Holds a party for whom it talks with, or takes it back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The UUID of the party's leg.
    pub uuid: String,
}

/// A party that is held, or no longer (`pbx.hold/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The UUID of its leg.
    pub uuid: String,
    /// Whether it is held by order from now on.
    pub held: bool,
}

/// Calls an endpoint; who answers runs applications, or goes on in the dialplan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Originate {
    /// `SIP/1001`, `user/1001`, `SIP/4178575309@icall`.
    pub endpoint: String,
    /// The first application's name; empty where there are only further ones, or a place.
    #[serde(default)]
    pub app: String,
    /// Its arguments, one text as in the dialplan.
    #[serde(default)]
    pub args: String,
    /// Further applications, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<Application>,
    /// Where in the dialplan it goes on, instead of applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Channel variables to set first.
    #[serde(default)]
    pub vars: Vec<(String, String)>,
    /// Whose name is shown as calling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<String>,
    /// Whose number is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_number: Option<String>,
    /// How long it may ring, in seconds; the server's rule when absent.
    #[serde(default)]
    pub timeout_s: Option<u64>,
}

/// An application of the dialplan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its name.
    pub app: String,
    /// Its arguments, one text.
    #[serde(default)]
    pub args: String,
}

/// A place in the dialplan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The extension.
    pub extension: String,
    /// Its context.
    pub context: String,
}

/// The call that was begun (`pbx.originate/1`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Originated {
    /// The UUID of the leg to the endpoint.
    pub uuid: String,
}
