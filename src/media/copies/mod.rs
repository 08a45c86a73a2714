//! Copies of what the parties of a call say, on their way from a media thread to a recorder. The media thread copies and does nothing else.
//! Above: `recording`, which writes; the recorder's thread, which reads. Below: `ring`, `intake`.

mod intake;
mod ring;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::clock::Moment;
use super::command::Event;
use super::voice::Side;
use crate::audio::codec::{Codec, Foreign};
use crate::rtp::packet::Header;

pub use intake::{Intake, Waiting};
pub use ring::{CopyKey, CopyLink};
pub(crate) use ring::{CopyWriter, Provided};

/// Bytes of a media thread's ring for each call on record: two parties of G.711 fill them in 3 s. More than that in
/// a quarter of a second is not copied of any call.
pub const RING_BYTES: usize = 65_536;
/// Bytes of a record before its payload: whose it is, and the copy.
const HEAD: usize = 8 + COPIED;
/// Bytes of a copy before its payload.
const COPIED: usize = 22;
/// With the number of a codec that is only passed on: the content of a record.
const FOREIGN: u8 = 0x20;
/// A quarter of a second, in µs, as a power of two.
const QUARTER: u32 = 18;

/// A recording's place at the media threads: which copies are its, and who is told.
#[derive(Debug)]
pub struct Copies {
    number: u64,
    link: Arc<ring::Link>,
    /// Told when a side becomes empty, and when copying ends.
    pub(super) events: mpsc::Sender<Event>,
    dropped: Arc<AtomicU64>,
    /// Copies dropped since the last one that fitted.
    missing: u32,
    /// The present quarter of a second, and the bytes that may still be copied in it.
    quarter: u64,
    allowed: usize,
}

/// Whose sound a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The left party's. While there is no left port, what the right one hears.
    Left,
    /// The right party's. While there is no right port, what the left one hears: prompts, its room.
    Right,
    /// A supervisor's, as at least one party hears it. The source id of the header tells several apart.
    Supervisor,
}

/// What is in a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Sound of a codec, as it came.
    Sound(Codec),
    /// Sound of a codec that media threads only pass on, as it came. Its time stamps count by its own clock.
    Foreign(Foreign),
    /// Samples of 8 kHz, 16 bit, low byte first: what the server makes itself. Nothing of it is ever lost.
    Samples,
    /// A telephone-event: a number of the stream without sound.
    Digit,
    /// Something happened to the party; no payload.
    Mark(Mark),
}

/// What happened to a party on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is on hold now, by order or because it wants so.
    Held,
    /// It is no longer on hold.
    Unheld,
    /// What it says cannot be decoded now: no copies are made of it.
    Undecodable,
    /// It can be decoded again.
    Decodable,
    /// Here so many copies did not fit into the ring.
    Dropped(u32),
}

/// A copy, but for its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// When it arrived or was made, in µs of the system's monotonic clock.
    pub at_us: u64,
    /// Whose it is.
    pub origin: Origin,
    /// What it is.
    pub content: Content,
    /// Sequence number.
    pub sequence: u16,
    /// Time stamp of the first sample, in units of the codec's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Copies {
    fn new(number: u64, events: mpsc::Sender<Event>, (link, dropped): (Arc<ring::Link>, Arc<AtomicU64>)) -> Self {
        Self { number, link, events, dropped, missing: 0, quarter: 0, allowed: RING_BYTES }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.dropped) == 1
    }

    /// The ring that a media thread needs for it; `None` if the one it has will do.
    pub(crate) fn provide(&self, present: &mut Option<Provided>) -> Option<CopyWriter> {
        self.link.provide(present)
    }

    /// Copies a packet of a party. One that does not fit is dropped and counted.
    pub(super) fn packet(&mut self, side: Side, content: Content, packet: (&Header, &[u8]), to: To<'_>) {
        let ((header, payload), (now, ring)) = (packet, to);
        self.put(&Copied::of(side.into(), content, header, now), payload, ring);
    }

    /// Copies 20 ms or more of samples: what the server lets a party hear, or what a supervisor says.
    pub(super) fn samples(&mut self, (origin, ssrc): (Origin, u32), samples: &[i16], (now, ring): To<'_>) {
        let mut bytes = [0; 2 * LONGEST_SAMPLES];
        let count = samples.len().min(LONGEST_SAMPLES);
        for (pair, sample) in bytes.chunks_exact_mut(2).zip(samples) {
            pair.copy_from_slice(&sample.to_le_bytes());
        }
        let header = Header { marker: false, payload_type: 0, sequence: 0, timestamp: now.rtp_clock(), ssrc };
        self.put(&Copied::of(origin, Content::Samples, &header, now), &bytes[..2 * count], ring);
    }

    /// Tells that something happened to a party.
    pub(super) fn mark(&mut self, side: Side, mark: Mark, (now, ring): To<'_>) {
        self.put(&Copied::of_mark(side.into(), mark, now), &[], ring);
    }

    /// Copies anything. One that does not fit is dropped and counted.
    pub(crate) fn put(&mut self, copied: &Copied, payload: &[u8], ring: &mut Option<CopyWriter>) {
        let Ok(length) = u16::try_from(payload.len()) else { return };
        let quarter = copied.at_us >> QUARTER;
        if std::mem::replace(&mut self.quarter, quarter) != quarter {
            self.allowed = RING_BYTES;
        }
        let mark = (self.missing > 0)
            .then(|| Copied { content: Content::Mark(Mark::Dropped(self.missing)), ..*copied }.record(self.number, 0));
        let record = (copied.record(self.number, length), payload);
        let allowed = self.allowed.checked_sub(HEAD + payload.len());
        let is_put = allowed.is_some() && ring.as_mut().is_some_and(|ring| ring.put(&self.link, mark, record));
        if is_put {
            (self.missing, self.allowed) = (0, allowed.unwrap_or(0));
        } else {
            self.missing = self.missing.saturating_add(1);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// When something is copied, and the ring of the media thread.
pub(super) type To<'a> = (Moment, &'a mut Option<CopyWriter>);

/// The longest packet that is made here: 60 ms.
const LONGEST_SAMPLES: usize = 480;

impl Copied {
    fn of(origin: Origin, content: Content, header: &Header, now: Moment) -> Self {
        let (sequence, timestamp, ssrc) = (header.sequence, header.timestamp, header.ssrc);
        Self { at_us: now.ns() / 1_000, origin, content, sequence, timestamp, ssrc }
    }

    fn of_mark(origin: Origin, mark: Mark, now: Moment) -> Self {
        Self { at_us: now.ns() / 1_000, origin, content: Content::Mark(mark), sequence: 0, timestamp: 0, ssrc: 0 }
    }

    /// The head of its record.
    fn record(self, number: u64, length: u16) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.to_bytes(length));
        bytes
    }

    fn to_bytes(self, length: u16) -> [u8; COPIED] {
        let origin = match self.origin {
            Origin::Left => 0u8,
            Origin::Right => 1,
            Origin::Supervisor => 2,
        };
        // A mark has no source; its number, if it has one, takes that place.
        let (content, ssrc) = match self.content {
            Content::Sound(codec) => (
                match codec {
                    Codec::Pcmu => 0x10u8,
                    Codec::Pcma => 0x11,
                },
                self.ssrc,
            ),
            Content::Foreign(foreign) => (FOREIGN | foreign as u8, self.ssrc),
            Content::Samples => (1, self.ssrc),
            Content::Digit => (2, self.ssrc),
            Content::Mark(Mark::Held) => (5, 0),
            Content::Mark(Mark::Unheld) => (6, 0),
            Content::Mark(Mark::Dropped(count)) => (7, count),
            Content::Mark(Mark::Undecodable) => (8, 0),
            Content::Mark(Mark::Decodable) => (9, 0),
        };
        let mut bytes = [0; COPIED];
        bytes[0] = origin;
        bytes[1] = content;
        bytes[2..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[6..10].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes[10..14].copy_from_slice(&ssrc.to_le_bytes());
        bytes[14..22].copy_from_slice(&self.at_us.to_le_bytes());
        bytes
    }

    /// When it was made, in µs, and how long its payload is.
    fn time_and_length(bytes: &[u8; COPIED]) -> (u64, usize) {
        let [_, _, l0, l1, _, _, _, _, _, _, _, _, _, _, at @ ..] = *bytes;
        (u64::from_le_bytes(at), u16::from_le_bytes([l0, l1]).into())
    }

    fn from_bytes(bytes: &[u8; COPIED]) -> Option<Self> {
        let [origin, content, _, _, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3, at @ ..] = *bytes;
        let origin = match origin {
            0 => Origin::Left,
            1 => Origin::Right,
            2 => Origin::Supervisor,
            _ => return None,
        };
        let ssrc = u32::from_le_bytes([c0, c1, c2, c3]);
        let content = match content {
            0x10 => Content::Sound(Codec::Pcmu),
            0x11 => Content::Sound(Codec::Pcma),
            1 => Content::Samples,
            2 => Content::Digit,
            5 => Content::Mark(Mark::Held),
            6 => Content::Mark(Mark::Unheld),
            7 => Content::Mark(Mark::Dropped(ssrc)),
            8 => Content::Mark(Mark::Undecodable),
            9 => Content::Mark(Mark::Decodable),
            foreign => Content::Foreign(Foreign::of_number(foreign ^ FOREIGN)?),
        };
        Some(Self {
            at_us: u64::from_le_bytes(at),
            origin,
            content,
            sequence: u16::from_le_bytes([s0, s1]),
            timestamp: u32::from_le_bytes([t0, t1, t2, t3]),
            ssrc,
        })
    }
}

impl From<Side> for Origin {
    fn from(side: Side) -> Self {
        match side {
            Side::Left => Self::Left,
            Side::Right => Self::Right,
        }
    }
}

#[cfg(test)]
mod tests;
