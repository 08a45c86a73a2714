//! The frame: 20 ms of mono sound, the unit of every tick.

/// Samples a second of all sound inside a media thread.
pub const RATE_HZ: u32 = 8_000;

/// Samples of one millisecond.
pub const SAMPLES_PER_MS: u32 = RATE_HZ / 1_000;

/// Length of a frame.
pub const FRAME_MS: u32 = 20;

/// Samples of one frame.
pub const FRAME_SAMPLES: usize = 160;

/// 20 ms of mono sound at 8 kHz.
pub type Frame = [i16; FRAME_SAMPLES];

/// A frame of silence.
pub const SILENCE: Frame = [0; FRAME_SAMPLES];
