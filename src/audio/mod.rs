//! 20 ms frames of sound: codecs, gain, mixing, tones, concealment. Pure: no socket, thread or clock.

pub mod codec;
pub mod conceal;
pub mod dtmf;
pub mod export;
pub mod file;
pub mod frame;
pub mod gain;
pub mod keytone;
pub mod matroska;
pub mod mix;
pub mod ogg;
pub mod polyphase;
pub mod prompts;
pub mod raw;
pub mod resample;
pub mod source;
pub mod steady;
pub mod stretch;
pub mod tone;
pub mod wave;
