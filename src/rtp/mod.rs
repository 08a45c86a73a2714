//! RTP (RFC 3550) without sockets: packets, sequence numbers, reports, the jitter buffer, telephone-events (RFC 4733).

pub mod jitter;
pub mod packet;
pub mod rtcp;
pub mod sequence;
pub mod stats;
pub mod telephone_event;
