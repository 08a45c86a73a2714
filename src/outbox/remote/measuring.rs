//! A file that is measured while it is sent: its last bytes leave only when all of it is what it was when its recording was finished.
//! Above: the kinds that send files, and `push`, which asks what was found. Below: SHA-256.
//!
//! A stretch of the file may be sent more than once, and a file in several stretches. Each stretch is a pass; a pass that begins behind
//! what is measured already is measured from the last mark on, so that what stands in the file once more is what counts.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::Parcel;
use crate::outbox::spool::{Measure, hex};

/// How far a file has been measured; shared by all requests of an attempt.
#[derive(Debug, Default)]
pub struct Measuring(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Of the bytes before `upto`.
    hash: Sha256,
    upto: u64,
    /// The same where the last pass began: that stretch may have to be sent again.
    mark: (u64, Sha256),
    /// Which pass it is: a request that was given up may still read a piece.
    pass: u64,
    found: Option<io::Result<()>>,
}

/// A stretch of a file on its way.
pub(super) struct Pass {
    number: u64,
    /// The next byte to be read: what lies before the stretch and is not measured yet comes first.
    pub(super) at: u64,
    file: Option<File>,
}

impl Measuring {
    /// What measuring came to: the file is what it was, or has changed ([`io::ErrorKind::InvalidData`]), or cannot be read. `None`: it
    /// was not measured to its end.
    pub(in crate::outbox) fn found(&self) -> Option<io::Result<()>> {
        self.state().found.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half measured that a comparison would not tell.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parcel {
    /// Begins to send the file from this byte on.
    pub(super) fn pass(&self, from: u64) -> Pass {
        let mut state = self.measuring.state();
        if from < state.upto {
            let is_before = state.mark.0 <= from;
            (state.upto, state.hash) = if is_before { state.mark.clone() } else { (0, Sha256::new()) };
        }
        state.mark = (state.upto, state.hash.clone());
        state.pass += 1;
        state.found = None;
        Pass { number: state.pass, at: state.upto, file: None }
    }

    /// Notes that the file cannot be read, or is not what it was; the error to go on with.
    pub(super) fn found_wrong(&self, error: io::Error) -> io::Error {
        let told = io::Error::new(error.kind(), format!("{}: {error}", self.file));
        self.measuring.state().found = Some(Err(error));
        told
    }

    /// Whether it is known that the file is not what it was.
    pub(super) fn has_changed(&self) -> bool {
        let state = self.measuring.state();
        state
            .found
            .as_ref()
            .is_some_and(|found| found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData))
    }

    /// Notes that the file is what it was.
    pub(super) fn found_same(&self) {
        self.measuring.state().found = Some(Ok(()));
    }

    /// Takes a piece of a pass into account, and judges the file with the last.
    fn measure(&self, pass: &Pass, piece: &[u8], file: &File) -> io::Result<()> {
        let mut state = self.measuring.state();
        if state.pass != pass.number {
            return Err(io::Error::other("another request sends the file by now"));
        }
        state.hash.update(piece);
        state.upto = pass.at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if state.upto < self.size {
            return Ok(());
        }
        let measure = Measure { bytes: file.metadata()?.len(), sha256: hex(&state.hash.clone().finalize()) };
        let expected = Measure { bytes: self.size, sha256: self.sha256.clone() };
        if measure != expected {
            return Err(measure.differs_from(&expected));
        }
        state.found = Some(Ok(()));
        Ok(())
    }
}

impl Pass {
    /// Reads the next piece into `piece`, exactly so many bytes, and measures it. An error is noted with the parcel too: a piece that
    /// is not to leave is not given out.
    pub(super) fn read(&mut self, parcel: &Parcel, want: u64, piece: &mut Vec<u8>) -> io::Result<()> {
        let number = self.number;
        self.read_on(parcel, want, piece).map_err(|error| {
            let is_current = parcel.measuring.state().pass == number;
            if is_current { parcel.found_wrong(error) } else { error }
        })
    }

    fn read_on(&mut self, parcel: &Parcel, want: u64, piece: &mut Vec<u8>) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = parcel.spool.open_plain(&parcel.file)?;
                file.seek(SeekFrom::Start(self.at))?;
                file
            }
        };
        let got = (&mut file).take(want).read_to_end(piece)?;
        if u64::try_from(got).ok() != Some(want) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file has become shorter"));
        }
        parcel.measure(self, piece, &file)?;
        self.at = self.at.saturating_add(want);
        self.file = Some(file);
        Ok(())
    }
}
