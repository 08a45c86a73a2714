//! The listening post: sound in and out, keys, meters, a session over the control socket.
//!
//! [`session`] is the heart: a frame that comes from the call goes to the meters, to `output`, `record` and `device`, and makes room for one frame
//! of the supervisor's voice from `input` or `device`. What takes sound has a thread of its own behind `spool`, so nothing slow holds the call's pace up.

pub mod choose;
pub mod device;
pub mod drift;
pub mod echo;
pub mod input;
pub mod keys;
pub mod meter;
pub mod others;
pub mod output;
pub mod pick;
pub mod record;
pub mod resample;
pub mod screen;
pub mod session;
mod signals;
pub mod silence;
pub mod sound;
pub mod spool;
#[cfg(test)]
mod tone;
pub mod voice;
pub mod words;
