//! Recording calls: who is recorded and when, what is known of it, and that it is in the outbox before the call counts as recorded.
//!
//! [`start`] records a leg for the dialplan and the control socket, `rules` does it for the settings; `session` is a recording's life,
//! from its name to its end, `core` follows the leg through hold, transfer and further talks, `facts` fills the manifest, `consent`
//! tells the parties first and asks them, whose answers `standing` keeps, `required` refuses calls that could not be recorded, `files`
//! waits for the disk. [`Recordings`] knows all that run. The sound itself goes from the media
//! threads to the recorder and is never seen here.

mod beep;
mod consent;
mod core;
mod facts;
mod files;
mod recover;
mod registry;
mod required;
mod rules;
mod session;
mod spool;
mod standing;
mod wish;

pub use self::core::Phase;
pub use consent::Sounds;
pub use recover::{Recovered, recover};
pub use registry::Recordings;
pub use session::{RecordingHandle, start};
pub use spool::Spool;
pub(in crate::call) use standing::Standing;
pub use wish::{Announced, By, Delivery, IfThere, RecordError, Until, Voices, While, Wish};
