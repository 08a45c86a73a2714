//! Opus kept as it came: the frames of each side's packets go into an Ogg Opus file, one stream a side, without being decoded
//! (RFC 7845). Above: `thread`. Below: `side` (what came, on a raster of 20 ms), `file` (pages), `mend` (after a crash).
//!
//! Both sides share each packet of the file, and so must last alike there (RFC 7845 §5.1.1). So frames lie on a raster: those of 20 ms
//! and less at multiples of 20 ms and of themselves, those of 40 and 60 ms at multiples of themselves, and what the other side says
//! meanwhile is in packets of that length then. That moves a side by half a frame at most, and by three quarters before a clock that
//! drifts makes it skip or leave out one. What is missing is an empty frame, which a player conceals; where a side is masked, on hold or
//! not there, it is silence. What comes in another codec, or from the server itself, is encoded.

mod file;
mod mend;
mod session;
mod side;

pub(super) use mend::mend;
pub(super) use session::Kept;

/// Samples of 48 kHz in a cell of 8 kHz.
const TICKS_PER_CELL: i64 = 6;
/// Cells of 20 ms.
const SLOT: i64 = 160;

/// A place, or the multiple of `step` that follows it.
fn up(place: i64, step: i64) -> i64 {
    place + (-place).rem_euclid(step)
}
