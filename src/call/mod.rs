//! Legs, channels and the B2BUA that bridges them; supervision by UUID, causes, detail records.
//!
//! A call comes in by [`inbound`], becomes a [`Channel`] that the dialplan drives, dials further legs and is bridged
//! with one of them in [`dial`]. Everything that another task may see or touch is found in [`live`] by UUID.

pub mod about;
pub mod cause;
mod channel;
pub mod demands;
pub mod detail_record;
pub mod device;
pub mod dial;
mod dtmf_info;
mod ending;
mod exchange;
mod frame;
pub mod groups;
pub mod headers;
mod hold_music;
mod holding;
pub mod inbound;
pub mod journal;
mod keyboard;
mod keys;
mod leaving;
mod leg;
mod line;
mod listening;
pub mod listing;
pub mod live;
pub mod login;
mod meeting;
mod noted;
mod originate;
mod place;
mod pressing;
pub mod recording;
pub mod room;
mod route;
mod speech;
pub mod supervision;
pub mod talks;
pub mod target;
mod timeouts;
pub mod trace;
pub mod variables;

pub use cause::{Cause, DialStatus};
pub use channel::{CallerId, Channel, Gone, Position};
pub use exchange::{Exchange, SoftHangup};
pub use frame::{Frame, FrameKind};
pub use leaving::{Away, Leave};
pub use listening::{Heard, Listened};
pub use originate::{Origin, Originate, originate};
pub use pressing::QueuedKeys;
