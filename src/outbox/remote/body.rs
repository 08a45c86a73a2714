//! What a request carries: nothing, a few bytes, or a recording read piece by piece while it is sent.
//! Above: `web`. Below: the file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{Notify, watch};

use super::Parcel;

/// Bytes read from the file at a time: with two pieces on their way for each of 8 uploads, 4 MiB in all.
const PIECE_BYTES: u64 = 256 * 1024;

/// Pieces that have been sent. They are filled again: the system would have to clear new memory for each, and the allocator would keep
/// more of it, for each thread some.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// So many spare pieces are kept.
const MOST_SPARE: usize = 16;

/// The body of a request; it can be sent more than once.
#[derive(Clone)]
pub(super) enum Payload {
    /// None.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// A stretch of the recording between two texts.
    Recording {
        /// Comes first: the parts of a form before the audio.
        head: Bytes,
        /// Whose file it is.
        parcel: Parcel,
        /// First byte of the file that is sent.
        from: u64,
        /// So many of its bytes are.
        len: u64,
        /// Comes last.
        tail: Bytes,
    },
}

impl Payload {
    /// Bytes in all.
    pub(super) fn len(&self) -> u64 {
        let short = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => short(bytes),
            Self::Recording { head, len, tail, .. } => short(head).saturating_add(*len).saturating_add(short(tail)),
        }
    }

    /// The body for one request; what leaves is counted by `pulse`.
    pub(super) fn body(&self, pulse: &Arc<Pulse>) -> reqwest::Body {
        match self {
            Self::Empty => reqwest::Body::from(Bytes::new()),
            Self::Bytes(bytes) => reqwest::Body::from(bytes.clone()),
            Self::Recording { head, parcel, from, len, tail } => {
                let reading = Reading {
                    head: Some(head.clone()),
                    file: Source::Closed { parcel: Box::new(parcel.clone()), from: *from },
                    left: *len,
                    tail: Some(tail.clone()),
                    pulse: Arc::clone(pulse),
                };
                reqwest::Body::wrap_stream(stream::try_unfold(reading, Reading::next))
            }
        }
    }
}

/// How far a body has been sent.
#[derive(Default)]
pub(super) struct Pulse {
    untold: AtomicU64,
    moved: Notify,
    flow: watch::Sender<Flow>,
}

/// Whether a body goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flow {
    #[default]
    On,
    Held,
    Over,
}

impl Pulse {
    /// Waits until bytes of the recording have left; how many since the last time.
    pub(super) async fn moved(&self) -> u64 {
        self.moved.notified().await;
        self.untold.swap(0, Ordering::Relaxed)
    }

    /// Sends nothing more for now: the answer says that it is not wanted.
    pub(super) fn hold(&self) {
        self.flow.send_replace(Flow::Held);
    }

    /// The answer is read. What of the body has not left by now never does, and its connection ends.
    pub(super) fn end(&self) {
        self.flow.send_replace(Flow::Over);
    }

    async fn may_go_on(&self) -> io::Result<()> {
        let mut flow = self.flow.subscribe();
        let is_over = flow.wait_for(|flow| *flow != Flow::Held).await.is_ok_and(|flow| *flow == Flow::Over);
        if is_over { Err(io::Error::other("the answer came first")) } else { Ok(()) }
    }

    /// What has left and was not told yet.
    pub(super) fn rest(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    fn beat(&self, bytes: u64) {
        self.untold.fetch_add(bytes, Ordering::Relaxed);
        self.moved.notify_one();
    }
}

/// A body on its way.
struct Reading {
    head: Option<Bytes>,
    file: Source,
    left: u64,
    tail: Option<Bytes>,
    pulse: Arc<Pulse>,
}

/// The file is opened when its first byte is due.
enum Source {
    Closed {
        parcel: Box<Parcel>,
        from: u64,
    },
    Open(File),
    /// Between two pieces, and after an error.
    Away,
}

impl Reading {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        self.pulse.may_go_on().await?;
        if let Some(head) = self.head.take().filter(|head| !head.is_empty()) {
            return Ok(Some((head, self)));
        }
        if self.left > 0 {
            let source = std::mem::replace(&mut self.file, Source::Away);
            let want = self.left.min(PIECE_BYTES);
            let (file, piece) =
                tokio::task::spawn_blocking(move || source.read(want)).await.map_err(io::Error::other)??;
            let got = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.file = Source::Open(file);
            self.left = self.left.saturating_sub(got);
            self.pulse.beat(got);
            return Ok(Some((piece, self)));
        }
        match self.tail.take().filter(|tail| !tail.is_empty()) {
            Some(tail) => Ok(Some((tail, self))),
            None => Ok(None),
        }
    }
}

/// A piece of a file on its way.
struct Piece(Vec<u8>);

impl Piece {
    /// An empty one.
    fn new() -> Self {
        Self(SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default())
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut piece = std::mem::take(&mut self.0);
        piece.clear();
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MOST_SPARE {
            spare.push(piece);
        }
    }
}

impl Source {
    /// Exactly `want` bytes; an error when the file has fewer.
    fn read(self, want: u64) -> io::Result<(File, Bytes)> {
        let mut file = match self {
            Self::Open(file) => file,
            Self::Closed { parcel, from } => {
                let mut file = parcel.open().map_err(|error| io::Error::other(error.to_string()))?;
                file.seek(SeekFrom::Start(from))?;
                file
            }
            Self::Away => return Err(io::Error::other("the file was given up")),
        };
        let mut piece = Piece::new();
        piece.0.reserve_exact(usize::try_from(PIECE_BYTES).unwrap_or(0));
        let got = (&mut file).take(want).read_to_end(&mut piece.0)?;
        if u64::try_from(got).ok() != Some(want) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
        }
        Ok((file, Bytes::from_owner(piece)))
    }
}
