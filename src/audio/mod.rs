//! 20 ms frames of sound: codecs, gain, mixing, tones, concealment. Pure: no socket, thread or clock.

pub mod file;
pub mod prompts;
