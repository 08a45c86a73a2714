//! How copies go from a media thread to the recorder's: one ring of bytes for all recordings of a media thread, so that what is written
//! is always in the processor's cache, and a number in each record that says whose it is.
//! Above: `Copies`, which is written with; `intake`, which reads. Below: `rtrb`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::mpsc;

use super::intake::Intake;
use super::{Copied, Copies, HEAD, RING_BYTES};

/// A ring is never larger than this.
const LARGEST_RING: usize = 512 * RING_BYTES;
/// A record is never longer than this.
const LONGEST_RECORD: usize = HEAD + u16::MAX as usize;
/// A ring this many times as large as is wanted is exchanged for a smaller one.
const MUCH_TOO_LARGE: usize = 8;

/// A media thread's end of the ring that its recordings share.
#[derive(Debug)]
pub(crate) struct CopyWriter {
    out: rtrb::Producer<u8>,
    /// Whose recordings it is for.
    reader: Arc<Link>,
    /// The record in hand.
    record: Vec<u8>,
}

/// The recorder's end of such a ring.
#[derive(Debug)]
pub(super) struct CopyReader(rtrb::Consumer<u8>);

/// What recordings and the recorder know of each other.
#[derive(Debug)]
pub(super) struct Link {
    rings: Sender<CopyReader>,
    next: AtomicU64,
    /// Recordings that run.
    running: AtomicUsize,
}

/// Makes the two ends of recordings, for one recorder. Clones are for the same one.
#[derive(Clone, Debug)]
pub struct CopyLink(Arc<Link>);

/// The recorder's end of a recording: which copies are its, and how many did not fit.
#[derive(Debug)]
pub struct CopyKey {
    pub(super) number: u64,
    dropped: Arc<AtomicU64>,
    link: Arc<Link>,
}

/// Which ring a media thread was given.
#[derive(Debug)]
pub(crate) struct Provided {
    reader: Arc<Link>,
    bytes: usize,
}

impl CopyLink {
    /// A link, and where its copies come in.
    pub fn new() -> (Self, Intake) {
        let (rings, readers) = channel();
        let link = Link { rings, next: AtomicU64::new(1), running: AtomicUsize::new(0) };
        (Self(Arc::new(link)), Intake::new(readers))
    }

    /// Both ends of a new recording. `events` are told when a side becomes empty, and when copying ends.
    pub fn recording(&self, events: mpsc::Sender<super::Event>) -> (Copies, CopyKey) {
        let link = Arc::clone(&self.0);
        let number = link.next.fetch_add(1, Ordering::Relaxed);
        link.running.fetch_add(1, Ordering::Relaxed);
        let dropped = Arc::<AtomicU64>::default();
        let copies = Copies::new(number, events, (Arc::clone(&link), Arc::clone(&dropped)));
        (copies, CopyKey { number, dropped, link })
    }
}

impl Link {
    /// The ring that a media thread needs which now gets a recording; `None` if the one it has will do.
    pub(super) fn provide(self: &Arc<Self>, present: &mut Option<Provided>) -> Option<CopyWriter> {
        let running = self.running.load(Ordering::Relaxed).max(1);
        let wanted = running.next_power_of_two().saturating_mul(RING_BYTES).min(LARGEST_RING);
        let will_do = |present: &Provided| {
            let is_large_enough = (wanted..=wanted.saturating_mul(MUCH_TOO_LARGE)).contains(&present.bytes);
            Arc::ptr_eq(&present.reader, self) && is_large_enough
        };
        if present.as_ref().is_some_and(will_do) {
            return None;
        }
        let (out, ring) = rtrb::RingBuffer::new(wanted);
        // A recorder that is gone reads nothing; its recordings are swept.
        let _ = self.rings.send(CopyReader(ring));
        *present = Some(Provided { reader: Arc::clone(self), bytes: wanted });
        Some(CopyWriter { out, reader: Arc::clone(self), record: Vec::with_capacity(RING_BYTES / 8) })
    }
}

impl CopyWriter {
    /// Writes records, the first of them without a payload; `false` if they do not fit or are not for this ring, and nothing is written.
    pub(super) fn put(
        &mut self,
        reader: &Arc<Link>,
        mark: Option<[u8; HEAD]>,
        (head, payload): ([u8; HEAD], &[u8]),
    ) -> bool {
        self.record.clear();
        if let Some(mark) = mark {
            self.record.extend_from_slice(&mark);
        }
        self.record.extend_from_slice(&head);
        self.record.extend_from_slice(payload);
        Arc::ptr_eq(&self.reader, reader) && self.out.push_entire_slice(&self.record).is_ok()
    }
}

impl CopyReader {
    /// Hands on all records that are there; `false` when nothing more will come.
    pub(super) fn pour(&mut self, mut into: impl FnMut(Record)) -> bool {
        let is_open = !self.0.is_abandoned(); // before the rest is read
        if let Ok(chunk) = self.0.read_chunk(self.0.slots()) {
            let (first, mut second) = chunk.as_slices();
            let torn = pour(first, &mut into);
            if !torn.is_empty() {
                let whole = [torn, &second[..second.len().min(LONGEST_RECORD)]].concat();
                if let Some(record) = Record::first_of(&whole) {
                    second = &second[record.bytes.len() - torn.len()..];
                    into(record);
                }
            }
            pour(second, into);
            chunk.commit_all();
        }
        is_open
    }
}

/// Hands on the whole records at the beginning of `bytes`; what comes after them.
pub(super) fn pour<'a>(mut bytes: &'a [u8], mut into: impl FnMut(Record<'a>)) -> &'a [u8] {
    while let Some(record) = Record::first_of(bytes) {
        bytes = &bytes[record.bytes.len()..];
        into(record);
    }
    bytes
}

impl CopyKey {
    /// The recording's number: no two of a link have the same.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Copies that did not fit into the ring so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for CopyKey {
    fn drop(&mut self) {
        self.link.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where new rings come from, for the recorder.
pub(super) type NewRings = Receiver<CopyReader>;

/// A record as it lies in a ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Whose it is, and when it was made, in µs.
    pub(super) number: u64,
    pub(super) at_us: u64,
    pub(super) bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first of some records; `None` behind the last.
    pub(super) fn first_of(bytes: &'a [u8]) -> Option<Self> {
        let (number, copied) = bytes.split_first_chunk::<8>()?;
        let (at_us, length) = Copied::time_and_length(copied.first_chunk()?);
        let bytes = bytes.get(..HEAD + length)?;
        Some(Self { number: u64::from_le_bytes(*number), at_us, bytes })
    }

    /// The copy in it, and its payload.
    pub(super) fn copy(&self) -> Option<(Copied, &'a [u8])> {
        let (head, payload) = self.bytes.split_first_chunk::<HEAD>()?;
        Some((Copied::from_bytes(head.last_chunk()?)?, payload))
    }
}
