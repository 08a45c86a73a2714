//! What recordings that run have written reaches the disk every few seconds, so that a power failure costs no more than that. A thread of
//! its own does it, for which nobody waits, by one call for a whole file system: hundreds of files cost as much as one.
//! Above: `handle` keeps a share for each recording that runs. Below: the system.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Time between two syncs, from the end of one to the next.
const EVERY: Duration = Duration::from_secs(5);

/// Lets file systems be synced. The thread ends with the last clone.
#[derive(Clone, Debug)]
pub(super) struct Syncer {
    places: Sender<Weak<Place>>,
    /// By the numbers of their devices.
    known: Arc<Mutex<BTreeMap<u64, Weak<Place>>>>,
}

/// A file system that is synced as long as this lives.
#[derive(Debug)]
pub(super) struct Place(File);

impl Syncer {
    /// Starts the thread `sync`.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start() -> io::Result<Self> {
        Self::with(EVERY, |file| Ok(rustix::fs::syncfs(file)?))
    }

    fn with(every: Duration, sync: impl FnMut(&File) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (places, inbox) = channel();
        std::thread::Builder::new().name("sync".to_owned()).spawn(move || run(&inbox, every, sync))?;
        Ok(Self { places, known: Arc::default() })
    }

    /// The file system on which this file lies is synced from now on.
    ///
    /// # Errors
    /// Its folder cannot be opened.
    pub(super) fn keep(&self, path: &Path) -> io::Result<Arc<Place>> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let device = std::fs::metadata(folder)?.dev();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.get(&device).and_then(Weak::upgrade) {
            return Ok(place);
        }
        let place = Arc::new(Place(File::open(folder)?));
        known.insert(device, Arc::downgrade(&place));
        // A thread that is gone syncs nothing any more: the server ends.
        let _ = self.places.send(Arc::downgrade(&place));
        Ok(place)
    }
}

fn run(inbox: &Receiver<Weak<Place>>, every: Duration, mut sync: impl FnMut(&File) -> io::Result<()>) {
    let mut places: Vec<Weak<Place>> = Vec::new();
    let (mut due, mut is_failing) = (Instant::now(), false);
    loop {
        let place = match places.is_empty() {
            true => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match place {
            Ok(place) => {
                if places.is_empty() {
                    due = Instant::now() + every;
                }
                places.push(place);
            }
            Err(RecvTimeoutError::Timeout) => {
                places.retain(|place| place.strong_count() > 0);
                let syncs = places.iter().filter_map(Weak::upgrade).map(|place| sync(&place.0));
                let failed: Vec<_> = syncs.filter_map(Result::err).collect();
                if let Some(error) = failed.first().filter(|_| !is_failing) {
                    tracing::warn!(%error, "what was recorded cannot be brought to the disk for now");
                }
                is_failing = !failed.is_empty();
                due = Instant::now() + every;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_file_system_is_synced_again_and_again_while_anything_is_recorded_on_it_and_once_for_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let (turns, told) = channel();
        let sync = move |file: &File| turns.send(file.metadata()?.dev()).map_err(io::Error::other);
        let syncer = Syncer::with(Duration::from_millis(1), sync).unwrap();
        std::fs::create_dir(folder.path().join("sales")).unwrap();
        let first = syncer.keep(&folder.path().join("a.wav")).unwrap();
        let second = syncer.keep(&folder.path().join("sales/b.wav")).unwrap();
        assert!(Arc::ptr_eq(&first, &second), "one place");
        let device = std::fs::metadata(folder.path()).unwrap().dev();
        drop(first);
        for _ in 0..5 {
            assert_eq!(told.recv_timeout(PATIENCE), Ok(device), "the second goes on");
        }
        let ended = Arc::downgrade(&second);
        drop(second);
        // The thread holds a place while it syncs it: only then what comes later is sure to be a new one.
        let deadline = Instant::now() + PATIENCE;
        while ended.strong_count() > 0 {
            assert!(Instant::now() < deadline, "nobody records there any more, and it is kept");
            std::thread::yield_now();
        }
        while told.try_recv().is_ok() {}
        let third = syncer.keep(&folder.path().join("sales/c.wav")).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(device), "what begins later is synced as well");
        drop((third, syncer));
        let deadline = Instant::now() + PATIENCE;
        let end = loop {
            match told.recv_timeout(PATIENCE) {
                Ok(synced) => assert!(synced == device && Instant::now() < deadline, "it goes on with {synced}"),
                Err(end) => break end,
            }
        };
        assert_eq!(end, RecvTimeoutError::Disconnected, "its thread ends, and with it what it tells");
        assert!(Syncer::start().unwrap().keep(Path::new("/nowhere/at/all.wav")).is_err());
    }
}
