//! A thread between the session and whatever takes sound (a pipe, a file), so that a slow taker never holds the session up.
//! Above: `session`. Below: `output`, `record`, `device`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::sound::Heard;

/// How far a taker may fall behind before frames are dropped: 30 s of 20 ms frames.
const ROOM: usize = 1_500;

/// Takes what is heard, a frame at a time.
pub trait Sink: Send + 'static {
    /// Takes a frame; may block.
    ///
    /// # Errors
    ///
    /// What the file or pipe says; the sink gets no more frames then.
    fn write(&mut self, heard: &Heard) -> io::Result<()>;

    /// No more frames come.
    ///
    /// # Errors
    ///
    /// What the file or pipe says.
    fn finish(&mut self) -> io::Result<()>;
}

/// A sink that could not go on.
#[derive(Debug)]
pub struct SinkFailure {
    /// What it was: `--stdout`, `--record FILE`.
    pub what: String,
    /// Why.
    pub error: io::Error,
}

/// The session's end of a sink's thread.
pub struct Spool {
    frames: SyncSender<Heard>,
    /// Disconnects when the thread is done.
    done: Receiver<()>,
    written: Arc<AtomicU64>,
    dropped: u64,
}

impl Spool {
    /// Starts the thread. A failure is told once on `failures`, and the sink is then at its end.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(what: String, mut sink: impl Sink, failures: mpsc::UnboundedSender<SinkFailure>) -> io::Result<Self> {
        let (frames, queue) = sync_channel::<Heard>(ROOM);
        let (done_when_dropped, done) = channel();
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        thread::Builder::new().name("sound-out".into()).spawn(move || {
            let _done_when_dropped: std::sync::mpsc::Sender<()> = done_when_dropped;
            if let Err(error) = drain(&queue, &mut sink, &counter) {
                let _ = failures.send(SinkFailure { what, error });
            }
        })?;
        Ok(Self { frames, done, written, dropped: 0 })
    }

    /// Hands a frame over; drops it when the taker is 30 s behind.
    pub fn push(&mut self, heard: Heard) {
        if let Err(TrySendError::Full(_)) = self.frames.try_send(heard) {
            self.dropped += 1;
        }
    }

    /// Frames that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Waits until all is written, as long as something still moves every `patience`.
    pub fn finish(self, patience: Duration) {
        drop(self.frames);
        let mut before = self.written.load(Ordering::Relaxed);
        while let Err(RecvTimeoutError::Timeout) = self.done.recv_timeout(patience) {
            let now = self.written.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
        }
    }
}

fn drain(queue: &Receiver<Heard>, sink: &mut impl Sink, written: &AtomicU64) -> io::Result<()> {
    while let Ok(heard) = queue.recv() {
        sink.write(&heard)?;
        written.fetch_add(1, Ordering::Relaxed);
    }
    sink.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spy::sound::Volume;

    struct Slow {
        gate: Receiver<()>,
        taken: Arc<AtomicU64>,
    }

    impl Sink for Slow {
        fn write(&mut self, _: &Heard) -> io::Result<()> {
            self.gate.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            self.taken.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_taker_that_stands_still_costs_frames_and_never_time() {
        let (open, gate) = channel();
        let taken = Arc::new(AtomicU64::new(0));
        let (failures, mut failed) = mpsc::unbounded_channel();
        let sink = Slow { gate, taken: Arc::clone(&taken) };
        let mut spool = Spool::start("--stdout".into(), sink, failures).expect("a thread");
        let frame = Heard::new(&[0; 480], Volume::default());
        for _ in 0..ROOM + 10 {
            spool.push(frame);
        }
        assert!((9..=10).contains(&spool.dropped()), "{}: one frame may be in the sink's hands", spool.dropped());
        for _ in 0..3 {
            open.send(()).expect("the sink waits");
        }
        drop(open);
        spool.finish(Duration::from_secs(60));
        assert_eq!(taken.load(Ordering::Relaxed), 3);
        let failure = failed.blocking_recv().expect("the failure is told");
        assert_eq!((failure.what.as_str(), failure.error.kind()), ("--stdout", io::ErrorKind::BrokenPipe));
    }
}
