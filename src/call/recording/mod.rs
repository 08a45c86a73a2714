//! Recording calls: who is recorded and when, what is known of it, and that it is in the outbox before the call counts as recorded.
//!
//! [`start`] records a leg for the dialplan and the control socket, `rules` does it for the settings; `session` is a recording's life,
//! from its name to its end, `core` follows the leg through hold, transfer and further talks, `facts` fills the manifest, `consent`
//! tells the parties first, `files` waits for the disk. [`Recordings`] knows all that run. The sound itself goes from the media
//! threads to the recorder and is never seen here.

mod beep;
mod consent;
mod core;
mod facts;
mod files;
mod recover;
mod registry;
mod rules;
mod session;
mod spool;
mod wish;

pub use self::core::Phase;
pub use consent::Sounds;
pub use recover::{Recovered, recover};
pub use registry::Recordings;
pub use session::{RecordingHandle, start};
pub use spool::Spool;
pub use wish::{Announced, By, Delivery, IfThere, RecordError, Until, While, Wish};
