//! What a request carries: nothing, a few bytes, or a recording read piece by piece, and measured, while it is sent.
//! Above: `web`. Below: `measuring` reads the file.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::Parcel;
use super::measuring::Pass;

/// Bytes read from the file at a time.
const PIECE_BYTES: u64 = 64 * 1024;

/// Pieces of an upload on their way: one leaves while the next is read. With 8 uploads, 1 MiB in all.
const PIECES: usize = 2;

/// So many are read at once: a thread each, whose memory the allocator keeps, and as many keep a disk busy.
static READING: Semaphore = Semaphore::const_new(4);

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
        /// What of it is sent.
        stretch: Box<Stretch>,
        /// Comes last.
        tail: Bytes,
    },
}

/// A stretch of a recording's file.
#[derive(Clone)]
pub(super) struct Stretch {
    /// Whose file it is.
    pub(super) parcel: Parcel,
    /// First byte of the file that is sent.
    pub(super) from: u64,
    /// So many of its bytes are.
    pub(super) len: u64,
}

impl Stretch {
    /// All of it.
    pub(super) fn whole(parcel: &Parcel) -> Self {
        Self { parcel: parcel.clone(), from: 0, len: parcel.size }
    }
}

impl Payload {
    /// Bytes in all.
    pub(super) fn len(&self) -> u64 {
        let short = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => short(bytes),
            Self::Recording { head, stretch, tail } => {
                short(head).saturating_add(stretch.len).saturating_add(short(tail))
            }
        }
    }

    /// The body for one request; what leaves is counted by `pulse`.
    pub(super) fn body(&self, pulse: &Arc<Pulse>) -> reqwest::Body {
        match self {
            Self::Empty => reqwest::Body::from(Bytes::new()),
            Self::Bytes(bytes) => reqwest::Body::from(bytes.clone()),
            Self::Recording { head, stretch, tail } => {
                let reading = Reading {
                    head: Some(head.clone()),
                    pass: Some(stretch.parcel.pass(stretch.from)),
                    parcel: Arc::new(stretch.parcel.clone()),
                    next: stretch.from,
                    left: stretch.len,
                    tail: Some(tail.clone()),
                    slots: Arc::new(Semaphore::new(PIECES)),
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
        if is_over { Err(too_late()) } else { Ok(()) }
    }

    /// Done when nothing more is to be sent.
    async fn over(&self) {
        let mut flow = self.flow.subscribe();
        if flow.wait_for(|flow| *flow == Flow::Over).await.is_err() {
            // never: we have its other end
            std::future::pending::<()>().await;
        }
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

fn too_late() -> io::Error {
    io::Error::other("the answer came first")
}

/// A body on its way.
struct Reading {
    head: Option<Bytes>,
    parcel: Arc<Parcel>,
    /// Taken while a piece is read, and away after an error.
    pass: Option<Pass>,
    /// The next byte of the file that is sent.
    next: u64,
    left: u64,
    tail: Option<Bytes>,
    /// For pieces on their way.
    slots: Arc<Semaphore>,
    pulse: Arc<Pulse>,
}

impl Reading {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        self.pulse.may_go_on().await?;
        if let Some(head) = self.head.take().filter(|head| !head.is_empty()) {
            return Ok(Some((head, self)));
        }
        while self.left > 0 {
            let (at, piece) = self.read().await?;
            let got = u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX);
            if at < self.next {
                // before what is sent: only measured, a sign of life
                self.pulse.beat(0);
                self.pulse.may_go_on().await?;
                continue;
            }
            self.next = self.next.saturating_add(got);
            self.left = self.left.saturating_sub(got);
            self.pulse.beat(got);
            return Ok(Some((Bytes::from_owner(piece), self)));
        }
        match self.tail.take().filter(|tail| !tail.is_empty()) {
            Some(tail) => Ok(Some((tail, self))),
            None => Ok(None),
        }
    }

    /// The next piece and where it begins.
    async fn read(&mut self) -> io::Result<(u64, Piece)> {
        let mut pass = self.pass.take().ok_or_else(|| io::Error::other("the file was given up"))?;
        let (at, parcel) = (pass.at, Arc::clone(&self.parcel));
        let most = if at < self.next { self.next.saturating_sub(at) } else { self.left };
        let want = most.min(PIECE_BYTES);
        let slot = tokio::select! {
            slot = Arc::clone(&self.slots).acquire_owned() => slot.map_err(io::Error::other)?,
            () = self.pulse.over() => return Err(too_late()),
        };
        // The semaphore is never closed.
        let turn = READING.acquire().await;
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut piece = Piece::new(slot);
            piece.bytes.reserve_exact(usize::try_from(PIECE_BYTES).unwrap_or(0));
            pass.read(&parcel, want, &mut piece.bytes)?;
            Ok::<_, io::Error>((pass, piece))
        });
        let (pass, piece) = read.await.map_err(io::Error::other)??;
        self.pass = Some(pass);
        Ok((at, piece))
    }
}

/// A piece of a file on its way.
struct Piece {
    bytes: Vec<u8>,
    /// Given back when it has left.
    _slot: OwnedSemaphorePermit,
}

impl Piece {
    /// An empty one.
    fn new(slot: OwnedSemaphorePermit) -> Self {
        let bytes = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Self { bytes, _slot: slot }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut piece = std::mem::take(&mut self.bytes);
        piece.clear();
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MOST_SPARE {
            spare.push(piece);
        }
    }
}
