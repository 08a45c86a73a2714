//! `rec seal`, `rec open`, `rec shred`: recordings that only those can read to whom they are sealed.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;

use super::place::{Desk, Place};
use super::several::Several;
use super::whole::{self, is_free, write_new};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::entry::keep_memory_private;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::seal::{self, Recipients, SealError};
use crate::outbox::{Manifest, OutboxError, RecordingId, State};

/// Seal recordings, so that this machine cannot read them any more
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec seal c7709e9c --to age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq
  rec seal c7709e9c --recipients recipients.txt
  cat NAME.age-key NAME.age | age -d -i identity.txt > NAME.wav

The form is that of age (age-encryption.org/v1, X25519): `age-keygen -o identity.txt` makes an identity, and prints the recipient. Each
recording has a key of its own, wrapped to every recipient. NAME.age is the sealed audio and NAME.age-key what `rec shred` destroys; the
two together are an age file. With `[recording] seal_to` every recording is sealed as soon as it is finished.")]
pub(super) struct SealArgs {
    /// Ids or their beginnings, names of files, or UUIDs or UNIQUEIDs of calls
    #[arg(value_name = "ID", required = true, add = complete::recordings())]
    ids: Vec<String>,
    /// To whom; without it: to those of the settings
    #[arg(long, value_name = "RECIPIENT")]
    to: Vec<String>,
    /// To those in this file, one a line; with --to, to those as well
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    recipients: Option<PathBuf>,
}

/// Open a sealed recording with an identity
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec open c7709e9c --identity identity.txt
  rec open c7709e9c --identity identity.txt -o - | sox -t wav - -n stats

Without -o the file lies in the current folder, under the recording's name. Nothing that is there is overwritten. What comes out is
compared with the hash that was taken when the recording was sealed.")]
pub(super) struct OpenArgs {
    /// An id or its beginning, a file's name, or the UUID or UNIQUEID of a call
    #[arg(value_name = "ID", add = complete::recordings())]
    id: String,
    /// The file of identities, as age-keygen writes it
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    identity: PathBuf,
    /// Which of its files, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    part: usize,
    /// Where to; `-`: standard output
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Write sound to a terminal
    #[arg(long)]
    force: bool,
}

/// Forget the keys of sealed recordings: nobody can read them any more
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec shred c7709e9c --yes

The file with the wrapped key is overwritten and removed; from then on no copy of the sealed audio can be read, in whatever back-up it
lies. That holds where the files NAME.age-key are not backed up with the others, and where the disk writes in place. Whoever was sent the
recording has been sent its wrapped key with it, and has to shred that.")]
pub(super) struct ShredArgs {
    /// Ids or their beginnings, names of files, or UUIDs or UNIQUEIDs of calls
    #[arg(value_name = "ID", required = true, add = complete::recordings())]
    ids: Vec<String>,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Changed {
    recordings: Vec<JsonChanged>,
}

#[derive(Serialize)]
struct JsonChanged {
    id: String,
    file: String,
}

pub(super) fn seal(args: &SealArgs, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    let recipients = recipients(args, &desk)?;
    if recipients.is_empty() {
        return Err(Failure::from(SealError::Nobody));
    }
    let mut several = Several::new(context);
    let mut recordings = Vec::new();
    for id in fit(&desk, &args.ids, |manifest| match (manifest.state, &manifest.sealed) {
        (State::Open, _) => Err(SealError::Open(manifest.id.to_string())),
        (_, Some(_)) => Err(SealError::Already(manifest.id.to_string())),
        (_, None) => Ok(()),
    })? {
        several.each(id, &desk, |manifest| {
            let file = if context.common.dry_run {
                context.output.note(&format!("would seal {id}"));
                manifest.file
            } else {
                let sealed = desk.outbox.seal(id, &recipients)?;
                context.output.note(&format!("{id}: sealed as {}", sealed.file));
                sealed.file
            };
            recordings.push(JsonChanged { id: id.to_string(), file });
            Ok(())
        })?;
    }
    told("rec.seal/1", recordings, context)?;
    several.end()
}

/// The recordings meant, all of which are fit for it: nothing is done by halves.
fn fit(
    desk: &Desk,
    words: &[String],
    is_fit: impl Fn(&Manifest) -> Result<(), SealError>,
) -> Result<Vec<RecordingId>, Failure> {
    let ids = desk.all(words)?;
    for id in &ids {
        is_fit(&desk.outbox.get(*id)?.ok_or(OutboxError::Unknown { id: *id })?)?;
    }
    Ok(ids)
}

fn recipients(args: &SealArgs, desk: &Desk) -> Result<Recipients, Failure> {
    let mut named = Recipients::parse(&args.to.join("\n"))?;
    if let Some(file) = &args.recipients {
        named.add(Recipients::read(file)?);
    } else if args.to.is_empty() {
        named = Recipients::parse(&desk.settings.recording.seal_to.join("\n"))?;
    }
    Ok(named)
}

pub(super) fn open(args: &OpenArgs, place: &Place, context: &Context) -> Done {
    keep_memory_private();
    let desk = place.open(context)?;
    let id = desk.one(&args.id)?;
    let manifest = desk.outbox.get(id)?.ok_or(OutboxError::Unknown { id })?;
    let identities = seal::identities(&args.identity)?;
    let files: Vec<&str> = manifest.files().map(|(file, ..)| file).collect();
    let Some(file) = args.part.checked_sub(1).and_then(|at| files.get(at)) else {
        return Err(Fault::new(FaultCode::NotFound, format!("recording {id} has {} files", files.len())).into());
    };
    let wanted = (&manifest, *file);
    let spool = desk.outbox.spool();
    let to = args.output.clone().unwrap_or_else(|| clear_name(&manifest, args.part));
    if context.common.dry_run {
        if to != Path::new("-") {
            is_free(&to)?;
        }
        context.output.note(&format!("would open {file} to {}", to.display()));
        return Ok(Exit::Ok);
    }
    if to == Path::new("-") {
        if io::stdout().is_terminal() && !args.force {
            let fault = Fault::new(FaultCode::Usage, "sound is not written to a terminal");
            return Err(fault.hint("a pipe or a file takes it; --force writes it all the same").into());
        }
        let mut stdout = io::stdout().lock();
        seal::open(spool, wanted, &identities, &mut stdout)?;
        stdout.flush()?;
        return Ok(Exit::Ok);
    }
    write_new(&to, |mut file| Ok(seal::open(spool, wanted, &identities, &mut file)?))?;
    whole::told("rec.open/1", &to, context)
}

/// What a file was called before it was sealed, without its folders.
fn clear_name(manifest: &Manifest, part: usize) -> PathBuf {
    let clear = seal::clear_files(manifest);
    let name = part.checked_sub(1).and_then(|at| clear.get(at)).map_or("recording.wav", String::as_str);
    PathBuf::from(Path::new(name).file_name().unwrap_or_default())
}

pub(super) fn shred(args: &ShredArgs, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    let ids = fit(&desk, &args.ids, |manifest| match manifest.sealed {
        None => Err(SealError::Clear(manifest.id.to_string())),
        Some(_) => Ok(()),
    })?;
    if !args.yes && !context.common.dry_run {
        let fault = Fault::new(FaultCode::Usage, "what is shredded can never be read again");
        return Err(fault.hint("--yes does it all the same").into());
    }
    let mut recordings = Vec::new();
    let mut several = Several::new(context);
    for id in ids {
        several.each(id, &desk, |manifest| {
            if context.common.dry_run {
                context.output.note(&format!("would shred the key of {id}"));
            } else {
                desk.outbox.shred(id)?;
                context.output.note(&format!("{id}: nobody can read it any more"));
            }
            recordings.push(JsonChanged { id: id.to_string(), file: manifest.file });
            Ok(())
        })?;
    }
    told("rec.shred/1", recordings, context)?;
    several.end()
}

fn told(schema: &str, recordings: Vec<JsonChanged>, context: &Context) -> Done {
    if context.output.is_json() {
        context.output.document(schema, &Changed { recordings })?;
    }
    Ok(Exit::Ok)
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        let code = match error {
            SealError::Outbox(error) => return error.into(),
            SealError::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => return Self::ClosedPipe,
            SealError::Io { ref source, .. } if source.kind() == io::ErrorKind::NotFound => FaultCode::NotFound,
            SealError::Io { ref source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FaultCode::Denied,
                // A sealed file that was changed or cut off.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => FaultCode::Invalid,
                _ => FaultCode::Failure,
            },
            SealError::Recipient(_) | SealError::Nobody | SealError::Identity => FaultCode::Usage,
            SealError::Already(_) | SealError::Clear(_) => FaultCode::Usage,
            SealError::Open(_) => FaultCode::TryAgain,
            SealError::Age { source: age::DecryptError::NoMatchingKeys, .. } => FaultCode::Denied,
            SealError::Shredded(_) | SealError::Age { .. } | SealError::Changed(_) => FaultCode::Invalid,
        };
        Fault::new(code, error.to_string()).into()
    }
}
