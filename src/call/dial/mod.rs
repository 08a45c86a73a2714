//! What `Dial` is made of: called parties, their ringing, and the bridge. The dialplan's Dial goes from one to the next.
//! Above: `dialplan::app::dial`. Below: `place` sends, `leg` is told what.

mod bridge;
mod callee;
mod ring;

pub use bridge::{BridgeEnd, Side, Watch};
pub use callee::Callee;
pub use ring::{CancelAs, Hears, Ring, RingEnd, Rung, ringing_tone};
