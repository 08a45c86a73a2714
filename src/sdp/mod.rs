//! Session descriptions and offer/answer (RFC 8866, RFC 3264). Pure.
//!
//! [`parse`] reads and checks a body, [`offer`], [`answer`] and [`accept_answer`] agree with the peer on one stream of sound
//! and telephone events. Above: `call` makes media of what was [`Negotiated`].

mod description;
mod negotiate;

pub use description::{Audio, CodecName, Description, Direction, Format, SdpError, parse};
pub use negotiate::{LocalMedia, Negotiated, Spoken, accept_answer, answer, known_codecs, offer};
