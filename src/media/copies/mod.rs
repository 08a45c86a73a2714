//! Copies of what the parties of a call say, on their way from a media thread to a recorder: a ring of bytes with a record for
//! each packet. The media thread copies and does nothing else. Above: `recording`, which writes; the recorder's thread, which reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::clock::Moment;
use super::command::Event;
use super::voice::Side;
use crate::audio::codec::{Codec, Foreign};
use crate::rtp::packet::Header;

/// Bytes of a ring, at least 64 KiB: two parties of G.711 fill it in 3.4 s.
pub const RING_BYTES: usize = 65_536;
/// Bytes of a record before its payload.
const HEAD: usize = 22;
/// With the number of a codec that is only passed on: the content of a record.
const FOREIGN: u8 = 0x20;

/// The media thread's end: where copies go.
#[derive(Debug)]
pub struct Copies {
    out: rtrb::Producer<u8>,
    /// Told when a side becomes empty, and when copying ends.
    pub(super) events: mpsc::Sender<Event>,
    dropped: Arc<AtomicU64>,
    /// Copies dropped since the last one that fitted.
    missing: u32,
}

/// The recorder's end: copies in the order in which they were made.
#[derive(Debug)]
pub struct CopyReader {
    ring: rtrb::Consumer<u8>,
    dropped: Arc<AtomicU64>,
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
    /// Both ends of a ring of [`RING_BYTES`].
    pub fn new(events: mpsc::Sender<Event>) -> (Self, CopyReader) {
        let (out, ring) = rtrb::RingBuffer::new(RING_BYTES);
        let dropped = Arc::<AtomicU64>::default();
        let copies = Self { out, events, dropped: Arc::clone(&dropped), missing: 0 };
        (copies, CopyReader { ring, dropped })
    }

    /// Whether nobody reads any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.out.is_abandoned()
    }

    /// Copies a packet of a party. One that does not fit is dropped and counted.
    pub(super) fn packet(&mut self, side: Side, content: Content, (header, payload): (&Header, &[u8]), now: Moment) {
        self.put(&Copied::of(side.into(), content, header, now), payload);
    }

    /// Copies 20 ms or more of samples: what the server lets a party hear, or what a supervisor says.
    pub(super) fn samples(&mut self, origin: Origin, ssrc: u32, samples: &[i16], now: Moment) {
        let mut bytes = [0; 2 * LONGEST_SAMPLES];
        let count = samples.len().min(LONGEST_SAMPLES);
        for (pair, sample) in bytes.chunks_exact_mut(2).zip(samples) {
            pair.copy_from_slice(&sample.to_le_bytes());
        }
        let header = Header { marker: false, payload_type: 0, sequence: 0, timestamp: now.rtp_clock(), ssrc };
        self.put(&Copied::of(origin, Content::Samples, &header, now), &bytes[..2 * count]);
    }

    /// Tells that something happened to a party.
    pub(super) fn mark(&mut self, side: Side, mark: Mark, now: Moment) {
        self.put(&Copied::of_mark(side.into(), mark, now), &[]);
    }

    /// Copies anything. One that does not fit is dropped and counted.
    pub(crate) fn put(&mut self, copied: &Copied, payload: &[u8]) {
        let Ok(length) = u16::try_from(payload.len()) else { return };
        let mark = (self.missing > 0)
            .then(|| Copied { content: Content::Mark(Mark::Dropped(self.missing)), ..*copied }.to_bytes(0));
        let mark = mark.as_ref().map_or(&[][..], |bytes| bytes);
        let wanted = mark.len() + HEAD + payload.len();
        // Where the reader is, which is in another processor's cache, is looked at only when there seems to be no room.
        let Ok(mut room) = self.out.write_chunk(wanted) else {
            self.missing = self.missing.saturating_add(1);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let (first, second) = room.as_mut_slices();
        let mut at = 0;
        for piece in [mark, &copied.to_bytes(length), payload] {
            copy_across((first, second), at, piece);
            at += piece.len();
        }
        room.commit_all();
        self.missing = 0;
    }
}

/// The longest packet that is made here: 60 ms.
const LONGEST_SAMPLES: usize = 480;

impl CopyReader {
    /// The next copy; its payload replaces what is in `payload`. `None` when there is none yet.
    pub fn next(&mut self, payload: &mut Vec<u8>) -> Option<Copied> {
        self.next_until(u64::MAX, payload)
    }

    /// The next copy if it was made at a time, in µs, or before; a later one is left for another time.
    pub(crate) fn next_until(&mut self, until_us: u64, payload: &mut Vec<u8>) -> Option<Copied> {
        payload.clear();
        let mut head = [0; HEAD];
        read(&mut self.ring, &mut head)?;
        let (copied, length) = Copied::from_bytes(&head).filter(|(copied, _)| copied.at_us <= until_us)?;
        let chunk = self.ring.read_chunk(HEAD + usize::from(length)).ok()?;
        let (first, second) = chunk.as_slices();
        payload.extend_from_slice(first.get(HEAD..).unwrap_or_default());
        payload.extend_from_slice(second.get(HEAD.saturating_sub(first.len())..).unwrap_or_default());
        chunk.commit_all();
        Some(copied)
    }

    /// Whether no more copies will be made. Those that were made can still be read.
    pub fn is_ended(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Copies that did not fit into the ring so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Copies bytes to a place in two slices that go on from each other, and are together long enough.
fn copy_across((first, second): (&mut [u8], &mut [u8]), at: usize, bytes: &[u8]) {
    let here = first.get_mut(at..).unwrap_or_default();
    let (now, later) = bytes.split_at(here.len().min(bytes.len()));
    here[..now.len()].copy_from_slice(now);
    if !later.is_empty() {
        let from = at.saturating_sub(first.len());
        second[from..from + later.len()].copy_from_slice(later);
    }
}

/// Looks at the next bytes of a ring, and leaves them there.
fn read(ring: &mut rtrb::Consumer<u8>, out: &mut [u8]) -> Option<()> {
    let chunk = ring.read_chunk(out.len()).ok()?;
    let (first, second) = chunk.as_slices();
    let (start, end) = out.split_at_mut(first.len());
    start.copy_from_slice(first);
    end.copy_from_slice(second);
    Some(())
}

impl Copied {
    fn of(origin: Origin, content: Content, header: &Header, now: Moment) -> Self {
        let (sequence, timestamp, ssrc) = (header.sequence, header.timestamp, header.ssrc);
        Self { at_us: now.ns() / 1_000, origin, content, sequence, timestamp, ssrc }
    }

    fn of_mark(origin: Origin, mark: Mark, now: Moment) -> Self {
        Self { at_us: now.ns() / 1_000, origin, content: Content::Mark(mark), sequence: 0, timestamp: 0, ssrc: 0 }
    }

    fn to_bytes(self, length: u16) -> [u8; HEAD] {
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
        let mut bytes = [0; HEAD];
        bytes[0] = origin;
        bytes[1] = content;
        bytes[2..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[6..10].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes[10..14].copy_from_slice(&ssrc.to_le_bytes());
        bytes[14..22].copy_from_slice(&self.at_us.to_le_bytes());
        bytes
    }

    /// The copy and the length of its payload.
    fn from_bytes(bytes: &[u8; HEAD]) -> Option<(Self, u16)> {
        let [origin, content, l0, l1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3, at @ ..] = *bytes;
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
        let copied = Self {
            at_us: u64::from_le_bytes(at),
            origin,
            content,
            sequence: u16::from_le_bytes([s0, s1]),
            timestamp: u32::from_le_bytes([t0, t1, t2, t3]),
            ssrc,
        };
        Some((copied, u16::from_le_bytes([l0, l1])))
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
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(ms: u64) -> Moment {
        Moment::default().after(Duration::from_millis(ms))
    }

    fn header(sequence: u16) -> Header {
        Header { marker: false, payload_type: 8, sequence, timestamp: u32::from(sequence) * 160, ssrc: 9 }
    }

    #[test]
    fn copies_come_out_as_they_went_in() {
        let (mut copies, mut reader) = Copies::new(mpsc::channel(1).0);
        let mut payload = vec![1, 2, 3];
        assert_eq!(reader.next(&mut payload), None);
        copies.mark(Side::Left, Mark::Held, at(1));
        copies.packet(Side::Right, Content::Sound(Codec::Pcma), (&header(7), &[5; 160]), at(2));
        copies.packet(Side::Left, Content::Digit, (&header(8), &[]), at(3));
        for foreign in [Foreign::G722, Foreign::Gsm, Foreign::Opus] {
            copies.packet(Side::Left, Content::Foreign(foreign), (&header(9), &[foreign as u8; 99]), at(4));
        }
        copies.samples(Origin::Supervisor, 77, &[-2; 160], at(4));
        let mark = reader.next(&mut payload).expect("a mark");
        assert_eq!((mark.at_us, mark.origin, mark.content), (1_000, Origin::Left, Content::Mark(Mark::Held)));
        let sound = reader.next(&mut payload).expect("a packet");
        assert_eq!((sound.origin, sound.content), (Origin::Right, Content::Sound(Codec::Pcma)));
        assert_eq!((sound.sequence, sound.timestamp, sound.ssrc, &payload[..]), (7, 1_120, 9, &[5; 160][..]));
        assert_eq!(reader.next(&mut payload).map(|copied| copied.content), Some(Content::Digit));
        for foreign in [Foreign::G722, Foreign::Gsm, Foreign::Opus] {
            assert_eq!(reader.next(&mut payload).map(|copied| copied.content), Some(Content::Foreign(foreign)));
            assert_eq!(payload, [foreign as u8; 99]);
        }
        let said = reader.next(&mut payload).expect("samples");
        assert_eq!((said.origin, said.content, said.ssrc), (Origin::Supervisor, Content::Samples, 77));
        assert_eq!((payload.len(), &payload[..2]), (320, &[0xfe, 0xff][..]));
        assert!(reader.next(&mut payload).is_none() && !reader.is_ended());
        drop(copies);
        assert!(reader.is_ended());
    }

    #[test]
    fn what_does_not_fit_is_counted_and_marked_where_it_is_missing() {
        let (mut copies, mut reader) = Copies::new(mpsc::channel(1).0);
        let put = |copies: &mut Copies, sequence| {
            copies.packet(Side::Left, Content::Sound(Codec::Pcmu), (&header(sequence), &[0; 1_000]), at(0));
        };
        let fit = (RING_BYTES / 1_022) as u16;
        (0..fit + 3).for_each(|sequence| put(&mut copies, sequence));
        assert_eq!(reader.dropped(), 3);
        let mut payload = Vec::new();
        assert!((0..fit).all(|sequence| reader.next(&mut payload).is_some_and(|copied| copied.sequence == sequence)));
        put(&mut copies, 500);
        assert_eq!(reader.next(&mut payload).map(|copied| copied.content), Some(Content::Mark(Mark::Dropped(3))));
        assert_eq!(reader.next(&mut payload).map(|copied| copied.sequence), Some(500));
    }
}
