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
    if let Err(error) = outbox.spool().sweep(crate::outbox::Spool::LEFT_OVER) {
        tracing::error!(%error, "what killed writers left behind stays");
    }
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
    let mut parts = Vec::new();
    let names = [vec![manifest.file.clone()], outbox.further_files(&manifest.file)?].concat();
    for name in names {
        match recorder::repair(&spool.folder().join(&name)) {
            Ok(repaired) => parts.push((name, repaired)),
            Err(recorder::RepairError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => break,
            // An empty file is what is left of one that was just made; more may come behind it.
            Err(_) if name != manifest.file => {}
            Err(error) => {
                let is_empty = std::fs::metadata(spool.folder().join(&name)).is_ok_and(|facts| facts.len() == 0);
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
        let part = |(name, repaired): &(String, Repaired)| Part {
            file: name.clone(),
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
    manifest.audio.format = whole.format.to_owned();
    manifest.audio.frames = frames;
    manifest.audio.rate_hz = whole.rate_hz;
    manifest.audio.channels = whole.channels;
    let length = std::time::Duration::from_millis(frames.saturating_mul(1_000) / u64::from(whole.rate_hz.max(1)));
    manifest.audio.duration_s = length.as_secs_f64();
    manifest.ended = manifest.started.checked_add(length).ok().or_else(|| Some(Timestamp::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of so many frames, as a killed writer leaves it: its header knows of fewer.
    fn wav(frames: u64) -> Vec<u8> {
        let mut bytes = crate::audio::wave::pcm_head(8_000, 2, Some(frames / 2)).to_vec();
        bytes.resize(bytes.len() + 4 * usize::try_from(frames).expect("few"), 1);
        bytes
    }

    #[test]
    fn a_recording_in_several_files_is_mended_with_all_of_them_and_nothing_of_its_namesakes() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::at(folder.path().join("spool"));
        let writes = |name: &str, bytes: &[u8]| std::fs::write(spool.folder().join(name), bytes).expect("written");
        let dying = Outbox::open(spool.folder()).expect("an outbox");
        let begun = |name: &str| dying.begin(&Manifest::new(name, Timestamp::now())).expect("begun");
        let long = begun("x.wav");
        writes("x.wav", &wav(8_000));
        assert_eq!(begun("x.wav").file, "x-2.wav");
        writes("x-2.wav", &wav(800));
        // The second was just made when the disk was full; the third came after.
        for frames in [0, 4_000] {
            let name = dying.take_further("x.wav", 2).expect("a name");
            writes(&name, &if frames == 0 { Vec::new() } else { wav(frames) });
        }
        drop(dying);
        let mut recovered = recover(&spool).expect("recovered");
        recovered.sort_by(|one, other| one.file.cmp(&other.file));
        let found: Vec<_> = recovered.iter().map(|one| (one.file.as_str(), one.duration_s)).collect();
        assert_eq!(found, [("x-2.wav", Some(0.1)), ("x.wav", Some(1.5))]);
        let outbox = spool.outbox().expect("an outbox");
        let whole = outbox.get(long.id).expect("the queue").expect("a recording");
        let parts: Vec<_> = whole.parts.iter().map(|part| (part.file.as_str(), part.frames)).collect();
        assert_eq!(parts, [("x.wav", 8_000), ("x-4.wav", 4_000)]);
        assert_eq!((whole.state, whole.audio.frames), (State::Interrupted, 12_000));
        assert!(whole.parts.iter().all(|part| part.sha256.len() == 64));
        assert_eq!(recover(&spool).expect("again"), []);
    }

    #[test]
    fn of_a_recording_without_a_first_file_nothing_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::at(folder.path().join("spool"));
        let dying = Outbox::open(spool.folder()).expect("an outbox");
        let [none, empty] =
            ["none.wav", "empty.wav"].map(|name| dying.begin(&Manifest::new(name, Timestamp::now())).expect("begun"));
        std::fs::write(spool.folder().join(&empty.file), "").expect("written");
        drop(dying);
        let recovered = recover(&spool).expect("recovered");
        assert_eq!(recovered.iter().map(|one| one.duration_s).collect::<Vec<_>>(), [None, None]);
        let outbox = spool.outbox().expect("an outbox");
        assert!([none.id, empty.id].iter().all(|id| outbox.get(*id).expect("the queue").is_none()));
        assert_eq!(
            outbox
                .spool()
                .names()
                .expect("names")
                .iter()
                .filter(|name| !name.starts_with('.') && !name.starts_with("outbox"))
                .count(),
            0
        );
    }
}
