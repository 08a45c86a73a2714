//! Opus in Ogg without a decoder: pages (RFC 3533), the headers of a stream (RFC 7845), and the frames within packets (RFC 6716 §3).
//! Pure. Above: `recorder` keeps packets so, `source` reads them, `outbox` looks at them.

mod head;
mod packet;
mod page;
mod pages;

pub use head::{Head, tags};
pub use packet::{Framing, LARGEST_FRAME, Packet, SILENCE, Toc, streams};
pub use page::{Broken, LARGEST_PAGE, Page, end_at, write_pages};
pub use pages::Pages;

/// Positions in Ogg Opus count samples of this rate, whatever was encoded (RFC 7845 §4).
pub const CLOCK_HZ: u32 = 48_000;
