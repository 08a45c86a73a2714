//! Cuts a stream into messages by Content-Length (RFC 3261 §18.3) and finds keep-alives (RFC 5626 §4.4.1).
//! Every byte is looked at a bounded number of times.

use super::check::{self, StartLine};
use super::head::{self, Head};
use super::reject::{DropReason, Fault, Reject, reject};
use super::{MAX_BODY, MAX_HEAD};
use crate::sip::header::table::Name;
use bytes::{Buf, BytesMut};
use rsip::Response;

/// What a stream holds next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// The bytes of one message.
    Message(Vec<u8>),
    /// A keep-alive (two line ends); the answer is one line end.
    Ping,
}

/// The stream cannot be cut any further and must be closed, after the answer, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream cannot be cut into messages: {cause}")]
pub struct FramingError {
    /// What is wrong.
    pub cause: FramingFault,
    /// The answer to send before closing; `None` for what may not be answered.
    pub answer: Option<Box<Response>>,
}

/// What makes a stream impossible to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FramingFault {
    /// Start line and headers are larger than we read.
    #[error("head larger than {MAX_HEAD} bytes")]
    HeadTooLarge,
    /// Content-Length is absent, repeated, malformed, or larger than we read.
    #[error("no usable Content-Length up to {MAX_BODY}")]
    ContentLength,
    /// What is there does not start like SIP.
    #[error("not SIP")]
    NotSip,
}

/// Collects what a stream delivers and gives it out message by message. After an error nothing more comes.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// Bytes of `buffer` known not to hold the start of an empty line.
    scanned: usize,
    /// Length of the message at the front, once its head was read.
    wanted: Option<usize>,
    failed: bool,
}

impl Framer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was received.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.failed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Bytes waiting for the rest of their message.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a message has begun and is not complete (for a deadline on slow senders).
    pub fn is_inside_message(&self) -> bool {
        !head::skip_line_ends(&self.buffer).is_empty()
    }

    /// The next whole message or keep-alive; `None` when more bytes are needed.
    #[allow(clippy::should_implement_trait)] // an iterator would end where this waits
    pub fn next(&mut self) -> Result<Option<Framed>, FramingError> {
        if self.failed {
            return Ok(None);
        }
        if self.wanted.is_none() && self.skip_line_ends() {
            return Ok(Some(Framed::Ping));
        }
        if self.wanted.is_none() {
            self.wanted = self.measure().inspect_err(|_| self.failed = true)?;
        }
        match self.wanted {
            Some(length) if self.buffer.len() >= length => {
                (self.wanted, self.scanned) = (None, 0);
                Ok(Some(Framed::Message(self.buffer.split_to(length).to_vec())))
            }
            _ => Ok(None),
        }
    }

    /// Removes line ends before a start line; true when they were a ping (a double line end).
    fn skip_line_ends(&mut self) -> bool {
        loop {
            match &*self.buffer {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.buffer.advance(4);
                    return true;
                }
                // maybe the first half of a ping
                [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return false,
                [b'\r', b'\n', ..] => self.buffer.advance(2),
                _ => return false,
            }
        }
    }

    /// The length of the message at the front, when its head is complete.
    fn measure(&mut self) -> Result<Option<usize>, FramingError> {
        if matches!(&*self.buffer, [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r']) {
            return Ok(None);
        }
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr::memmem::find(unseen, b"\r\n\r\n") else {
            self.scanned = self.buffer.len().saturating_sub(3);
            return if self.buffer.len() > MAX_HEAD { Err(self.fail(FramingFault::HeadTooLarge)) } else { Ok(None) };
        };
        let head_length = self.scanned + found + 4;
        if head_length > MAX_HEAD {
            return Err(self.fail(FramingFault::HeadTooLarge));
        }
        self.scanned = head_length;
        match self.content_length() {
            Ok(body_length) => Ok(Some(head_length + body_length)),
            Err(error) => Err(error),
        }
    }

    fn content_length(&self) -> Result<usize, FramingError> {
        let (text, _) = head::cut(&self.buffer);
        let head = Head::split(&text);
        let start = match check::start_line(head.start) {
            Ok(start) => Some(start),
            // its end is where it says, whatever else is wrong: the parser drops it (RFC 4475 §3.1.2.19)
            Err(DropReason::BadResponse) => None,
            Err(_) => return Err(self.fail(FramingFault::NotSip)),
        };
        let mut lengths = head.values(Name::ContentLength);
        let length = match (lengths.next(), lengths.next()) {
            (Some(value), None) => check::content_length(value),
            (None, _) => Err(Fault::bad("Missing Content-Length")),
            (_, Some(_)) => Err(Fault::bad("Repeated Content-Length")),
        };
        length.map_err(|fault| {
            let answer = start.and_then(|start| answer(&head, &start, fault));
            FramingError { cause: FramingFault::ContentLength, answer }
        })
    }

    fn fail(&self, cause: FramingFault) -> FramingError {
        FramingError { cause, answer: None }
    }
}

fn answer(head: &Head<'_>, start: &StartLine<'_>, fault: Fault) -> Option<Box<Response>> {
    match reject(head, start, fault) {
        Reject::Answer { response } => Some(Box::new(response)),
        Reject::Drop(_) => None,
    }
}
