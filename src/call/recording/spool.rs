//! Where recordings lie: the outbox of the spool, opened with the first recording, and the one recorder of this server.
//! Above: `files`, and the composition root, which repairs and delivers. Below: `outbox` and `recorder`.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    call::recording::wish::RecordError,
    outbox::{Manifest, Outbox, seal::Recipients},
    recorder::Recorder,
};

/// The spool of a server.
pub struct Spool {
    folder: PathBuf,
    recipients: Recipients,
    /// Who wants every recording that is finished.
    remotes: Mutex<Vec<String>>,
    tools: Mutex<Option<Tools>>,
}

/// What a recording is made with.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) outbox: Outbox,
    pub(super) recorder: Recorder,
}

impl Spool {
    /// The spool in `folder`, which is made with the first recording.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, recipients: Recipients::default(), remotes: Mutex::default(), tools: Mutex::default() }
    }

    /// The same, where finished recordings are sealed to `recipients`.
    pub fn sealed_to(self, recipients: Recipients) -> Self {
        Self { recipients, ..self }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it was ever made.
    pub fn is_there(&self) -> bool {
        self.folder.is_dir()
    }

    /// Its outbox. Waits for the disk.
    ///
    /// # Errors
    /// The folder cannot be a spool, or its queue cannot be opened.
    pub fn outbox(&self) -> Result<Outbox, RecordError> {
        self.tools().map(|tools| tools.outbox)
    }

    /// Finishes a recording in the outbox, sealed where it is to be. Waits for the disk.
    ///
    /// # Errors
    /// It stays open, and is recovered when the server starts again.
    pub(super) fn finish(&self, manifest: Manifest) -> Result<Manifest, RecordError> {
        Ok(self.outbox()?.finish_sealed(manifest, &self.recipients)?)
    }

    /// These remotes want every recording that is finished from now on. Waits for the disk.
    ///
    /// # Errors
    /// The outbox is open, and cannot be told.
    pub fn wanted_by(&self, remotes: Vec<String>) -> Result<(), RecordError> {
        *self.remotes.lock().unwrap_or_else(PoisonError::into_inner) = remotes;
        let outbox =
            self.tools.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|tools| tools.outbox.clone());
        outbox.map_or(Ok(()), |outbox| self.tells(&outbox))
    }

    fn tells(&self, outbox: &Outbox) -> Result<(), RecordError> {
        let remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<_> = remotes.iter().map(String::as_str).collect();
        Ok(outbox.set_remotes(&names)?)
    }

    /// The same with the recorder.
    pub(super) fn tools(&self) -> Result<Tools, RecordError> {
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tools) = &*tools {
            return Ok(tools.clone());
        }
        let made = Tools { outbox: Outbox::open(&self.folder)?, recorder: Recorder::start()? };
        self.tells(&made.outbox)?;
        *tools = Some(made.clone());
        Ok(made)
    }
}
