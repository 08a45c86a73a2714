//! Supervision: who listens to whom, how, and by what right; one engine below every way in.
//!
//! [`attach`] puts a supervisor on a leg, once that is on record; the [`Session`] follows the leg through hold, transfer and
//! further calls until either ends. `permission` decides, and is asked again whenever rights, groups or parties change;
//! `parties` knows who is who; `tap` tells the media threads; [`Spies`] knows all sessions; [`walk`] goes from call to call.

mod announce;
mod follow;
mod judge;
mod leaving;
mod parties;
pub mod permission;
mod phone;
mod record;
mod refused;
mod registry;
mod session;
mod state;
pub(crate) mod table;
mod tap;
pub mod walk;
mod wish;

pub use crate::call::talks::Side;
pub use parties::{PartyFacts, can_be_decoded};
pub use permission::{Mode, Refusal};
pub use phone::{Idle, Supervised, Supervising};
pub use refused::SpyError;
pub use registry::{Running, Spies};
pub use session::{Ears, End, Ended, News, Session, attach, may_ever, none_found, refuse};
pub use state::{Facts, Where};
pub(in crate::call) use tap::next_tap_id;
pub use wish::{Hear, Party, Phone, Rights, Via, Wish};
