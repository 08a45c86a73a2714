//! The handle to the recorder's thread, and to each recording that runs on it. Nothing here waits for a disk but `open` and `stop`.
//! Above: `call::recording`. Below: `thread`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, oneshot};

use super::disk::{Disk, System};
use super::kept::Kept;
use super::order::{Container, Finished, Order, RecorderError};
use super::session::Session;
use super::sync::{Place, Syncer};
use super::thread::{self, Message};
use super::work::Work;
use crate::media::{Copies, CopyLink, Event};

/// The recorder: one thread for all recordings. Clones are handles to the same one; it ends with the last handle and recording.
#[derive(Clone, Debug)]
pub struct Recorder {
    messages: Sender<Message>,
    disk: Arc<dyn Disk>,
    link: CopyLink,
    syncer: Syncer,
}

/// A recording that runs. Dropped, it is closed as by [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    id: u64,
    path: PathBuf,
    messages: Sender<Message>,
    /// Where it lies is synced meanwhile.
    _place: Option<Arc<Place>>,
}

/// What can be asked of a recording.
#[derive(Debug)]
pub(super) enum Wish {
    /// Cut time out from now on.
    Pause,
    /// Cut no more.
    Resume,
    /// Write silence from now on.
    Mask,
    /// Write what is heard again.
    Unmask,
    /// Close.
    Stop(Option<oneshot::Sender<Finished>>),
}

impl Recorder {
    /// Starts the thread `recorder`.
    ///
    /// # Errors
    ///
    /// [`RecorderError::Start`] when the system refuses a thread.
    pub fn start() -> Result<Self, RecorderError> {
        Self::on(Arc::new(System))
    }

    /// Starts the thread with another disk.
    pub(super) fn on(disk: Arc<dyn Disk>) -> Result<Self, RecorderError> {
        let (messages, inbox) = channel();
        let builder = std::thread::Builder::new().name("recorder".to_owned());
        let (link, intake) = CopyLink::new();
        builder.spawn(move || thread::run(&inbox, intake)).map_err(RecorderError::Start)?;
        let syncer = Syncer::start().map_err(RecorderError::Start)?;
        Ok(Self { messages, disk, link, syncer })
    }

    /// Creates the file of a recording, whose time begins now. What comes back beside its handle goes into
    /// [`Command::Record`](crate::media::Command::Record); `events` are told of that. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`RecorderError`] when the file exists, cannot be made, or the order contradicts itself.
    pub fn open(&self, order: Order, events: mpsc::Sender<Event>) -> Result<(Running, Copies), RecorderError> {
        let (copies, key) = self.link.recording(events);
        let id = key.number();
        let (path, notices) = (order.path.clone(), order.notices.clone());
        let disk = Arc::clone(&self.disk);
        let work: Box<dyn Work> = match order.container {
            Container::OggOpus => Box::new(Kept::open(order, key, disk, now_us())?),
            Container::Wav => Box::new(Session::open(order, key, disk, now_us())?),
        };
        // It is recorded all the same.
        let _place = self.syncer.keep(&path).ok();
        let running = Running { id, path, messages: self.messages.clone(), _place };
        self.messages.send(Message::Begin(id, work, notices)).map_err(|_| RecorderError::Ended)?;
        Ok((running, copies))
    }
}

impl Running {
    /// The file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Cuts out the time from now on.
    pub fn pause(&self) {
        self.wish(Wish::Pause);
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.wish(Wish::Resume);
    }

    /// Writes silence in the place of sound from now on.
    pub fn mask(&self) {
        self.wish(Wish::Mask);
    }

    /// Writes sound again.
    pub fn unmask(&self) {
        self.wish(Wish::Unmask);
    }

    /// Writes what was heard until now, and closes the file.
    ///
    /// # Errors
    ///
    /// [`RecorderError::Ended`] when the recorder's thread is gone.
    pub async fn stop(self) -> Result<Finished, RecorderError> {
        let (reply, finished) = oneshot::channel();
        self.wish(Wish::Stop(Some(reply)));
        finished.await.map_err(|_| RecorderError::Ended)
    }

    fn wish(&self, wish: Wish) {
        // A thread that is gone has closed all files.
        let _ = self.messages.send(Message::Wish(self.id, wish, now_us()));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `stop` there is nothing left to stop.
        self.wish(Wish::Stop(None));
    }
}

/// The clock of the copies, in µs.
pub(super) fn now_us() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // The monotonic clock starts at 0 and stays below 2⁶⁴ ns for centuries.
    time.tv_sec.cast_unsigned() * 1_000_000 + time.tv_nsec.cast_unsigned() / 1_000
}
