//! After a crash: recordings whose writer is dead are mended, and finished as interrupted.
//! Above: the composition root, before it serves. Below: `outbox` knows them, `recorder` mends the files.

use jiff::Timestamp;

use crate::{
    call::recording::{spool::Spool, wish::RecordError},
    outbox::{Manifest, Outbox, RecordingId, State, manifest::Part},
    recorder::{self, Repaired},
};

/// What became of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    /// Which.
    pub id: RecordingId,
    /// Its file, below the spool.
    pub file: String,
    /// How long it is, in seconds; `None`: it had no file yet, nothing is left of it.
    pub duration_s: Option<f64>,
}

/// Finishes what another server's end has interrupted; what cannot be finished is left for the next time, and named in the log. Waits
/// for the disk.
///
/// # Errors
/// The spool cannot be opened or read.
pub fn recover(spool: &Spool) -> Result<Vec<Recovered>, RecordError> {
    if !spool.is_there() {
        return Ok(Vec::new());
    }
    let outbox = spool.outbox()?;
    outbox.drop_clear_files()?;
    let mut recovered = Vec::new();
    for manifest in outbox.recover()? {
        let (id, file) = (manifest.id, manifest.file.clone());
        match mend(&outbox, spool, manifest) {
            Ok(duration_s) => recovered.push(Recovered { id, file, duration_s }),
            Err(error) => tracing::error!(recording = %id, file, %error, "an interrupted recording stays as it is"),
        }
    }
    Ok(recovered)
}

fn mend(outbox: &Outbox, spool: &Spool, mut manifest: Manifest) -> Result<Option<f64>, RecordError> {
    let first = spool.folder().join(&manifest.file);
    let mut parts = Vec::new();
    for number in 1.. {
        let path = part_name(&first, number);
        // Another recording that wished for the same name has a manifest of its own.
        if number > 1 && path.with_extension("json").exists() {
            continue;
        }
        match recorder::repair(&path) {
            Ok(repaired) => parts.push((path, repaired)),
            Err(recorder::RepairError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => break,
            // An empty file is what is left of one that was just made; more may come behind it.
            Err(_) if number > 1 => continue,
            Err(error) => {
                let is_empty = std::fs::metadata(&path).is_ok_and(|facts| facts.len() == 0);
                if !is_empty {
                    return Err(RecordError::Writing { file: manifest.file, why: error.to_string() });
                }
                break;
            }
        }
    }
    let frames: u64 = parts.iter().map(|(_, repaired)| repaired.frames).sum();
    // One without a sample yet is kept: that its call was being recorded is a fact.
    let Some((_, whole)) = parts.first() else {
        outbox.abandon(manifest.id)?;
        return Ok(None);
    };
    describe(&mut manifest, whole, frames);
    if parts.len() > 1 {
        let below =
            |path: &std::path::Path| path.strip_prefix(spool.folder()).unwrap_or(path).to_string_lossy().into_owned();
        let part = |(path, repaired): &(std::path::PathBuf, Repaired)| Part {
            file: below(path),
            frames: repaired.frames,
            ..Part::default()
        };
        manifest.parts = parts.iter().map(part).collect();
    }
    let finished = spool.finish(manifest)?;
    Ok(Some(finished.audio.duration_s))
}

fn describe(manifest: &mut Manifest, whole: &Repaired, frames: u64) {
    manifest.state = State::Interrupted;
    manifest.audio.frames = frames;
    manifest.audio.rate_hz = whole.rate_hz;
    manifest.audio.channels = whole.channels;
    let length = std::time::Duration::from_millis(frames.saturating_mul(1_000) / u64::from(whole.rate_hz.max(1)));
    manifest.audio.duration_s = length.as_secs_f64();
    manifest.ended = manifest.started.checked_add(length).ok().or_else(|| Some(Timestamp::now()));
}

/// `NAME.wav`, `NAME-2.wav`, ….
fn part_name(first: &std::path::Path, number: u32) -> std::path::PathBuf {
    if number == 1 {
        return first.to_owned();
    }
    let stem = first.file_stem().unwrap_or_default().to_string_lossy();
    first.with_file_name(format!("{stem}-{number}.wav"))
}
