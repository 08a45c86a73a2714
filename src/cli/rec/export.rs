//! `rec export`: a recording in another form, to a file or a pipe. All its parts become one.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};

use super::place::{Desk, Place};
use crate::audio::export::{self, Afterwards, ExportError, Form};
use crate::audio::source::{self, Mixed, Parts, Source};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::{Manifest, OutboxError};

/// Write a recording as WAV, FLAC or Opus
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec export c7709e9c --format flac
  rec export c7709e9c --format opus --channels mix -o call.opus
  rec export c7709e9c -o - | sox -t wav - -n stats

Without -o the file lies in the current folder, under the recording's name. Nothing that is there is overwritten. With `split` the caller is
left and the callee right; what supervisors said is on a third side where it was recorded, which `mix` and Opus leave out.")]
pub(super) struct Args {
    /// An id or its beginning, a file's name, or the UUID or UNIQUEID of a call
    #[arg(value_name = "ID", add = complete::recordings())]
    id: String,
    /// What is written; without it: what the output's name ends in, else WAV
    #[arg(long)]
    format: Option<Format>,
    /// Both in one, or each on its side; without it: as it was recorded
    #[arg(long)]
    channels: Option<Channels>,
    /// Where to; `-`: standard output
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Write sound to a terminal
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// 16-bit PCM
    Wav,
    /// The same samples in half the room
    Flac,
    /// For listening, in a tenth of the room
    Opus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Channels {
    /// Both parties in one
    Mix,
    /// The caller left, the callee right
    Split,
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Opus => "opus",
        }
    }

    fn form(self) -> Form {
        match self {
            Self::Wav => Form::Wav,
            Self::Flac => Form::Flac,
            Self::Opus => Form::Opus,
        }
    }

    /// What a name ends in.
    fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "ogg" => Some(Self::Opus),
            ending => [Self::Wav, Self::Flac, Self::Opus].into_iter().find(|format| format.ending() == ending),
        }
    }
}

impl Args {
    /// The format that was asked for, by word or by what the file's name ends in.
    fn wanted(&self) -> Result<Format, Fault> {
        let named = self.output.as_deref().filter(|to| *to != Path::new("-"));
        match (self.format, named.and_then(Format::of), named.and_then(Path::extension)) {
            (Some(format), ..) | (None, Some(format), _) => Ok(format),
            (None, None, Some(ending)) => {
                let message = format!("`.{}`: no format that can be written", ending.to_string_lossy());
                Err(Fault::new(FaultCode::Usage, message).hint("--format wav, flac or opus"))
            }
            (None, None, None) => Ok(Format::Wav),
        }
    }
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    let id = desk.one(&args.id)?;
    let manifest = desk.outbox.get(id)?.ok_or(OutboxError::Unknown { id })?;
    if manifest.sealed.is_some() {
        let fault = Fault::new(FaultCode::Denied, format!("recording {id} is sealed"));
        return Err(fault.hint(format!("`rec open {id} --identity FILE` opens it")).into());
    }
    let format = args.wanted()?;
    let mut source = opened(&desk, &manifest)?;
    if args.channels == Some(Channels::Split) && source.channels() == 1 {
        let message = format!("recording {id} has one side: its parties were mixed when it was made");
        return Err(Fault::new(FaultCode::Invalid, message).into());
    }
    if args.channels == Some(Channels::Mix) && source.channels() > 1 {
        source = Box::new(Mixed(source));
    }
    let usual = || {
        let name = Path::new(&manifest.file).with_extension(format.ending());
        PathBuf::from(name.file_name().unwrap_or_default())
    };
    let to = args.output.clone().unwrap_or_else(usual);
    if context.common.dry_run {
        context.output.note(&format!("would write {} to {}", manifest.file, to.display()));
        return Ok(Exit::Ok);
    }
    if to == Path::new("-") {
        return to_stdout(&mut *source, format, args.force);
    }
    to_file(&mut *source, format, &to)?;
    context.output.note(&format!("wrote {}", to.display()));
    Ok(Exit::Ok)
}

/// All parts of it as one sound.
fn opened(desk: &Desk, manifest: &Manifest) -> Result<Box<dyn Source>, Failure> {
    let mut parts = Vec::new();
    for (name, ..) in manifest.files() {
        let file = desk.outbox.spool().open_file(name)?;
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        parts.push(source::open(file, ending).map_err(|error| unreadable(name, &error))?);
    }
    Ok(Box::new(Parts::new(parts).map_err(|error| unreadable(&manifest.file, &error))?))
}

fn unreadable(name: &str, error: &source::SourceError) -> Failure {
    Fault::new(FaultCode::Invalid, format!("{name}: {error}")).into()
}

fn to_stdout(source: &mut dyn Source, format: Format, force: bool) -> Done {
    if io::stdout().is_terminal() && !force {
        let fault = Fault::new(FaultCode::Usage, "sound is not written to a terminal");
        return Err(fault.hint("a pipe or a file takes it; --force writes it all the same").into());
    }
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = export::write(source, format.form(), &mut stdout);
    written.map_err(|error| failed(Path::new("standard output"), error))?;
    stdout.flush()?;
    Ok(Exit::Ok)
}

/// Writes beside the file and gives it its name when it is whole; a name that is taken is left alone.
fn to_file(source: &mut dyn Source, format: Format, to: &Path) -> Result<(), Failure> {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let beside = to.with_file_name(name);
    if to.symlink_metadata().is_ok() {
        return Err(taken(to));
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let written = opened.map_err(|error| failed(to, ExportError::Write(error))).and_then(|file| {
        whole(source, format, &file).map_err(|error| failed(to, error))?;
        // Takes the name only if nobody else has it.
        std::fs::hard_link(&beside, to).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(taken(to)),
            // A disk without such links.
            _ => std::fs::rename(&beside, to).map_err(|error| failed(to, ExportError::Write(error))),
        })
    });
    // Gone already, where it was renamed.
    let _ = std::fs::remove_file(&beside);
    written
}

fn whole(source: &mut dyn Source, format: Format, file: &File) -> Result<(), ExportError> {
    let mut to = BufWriter::new(file);
    let Afterwards { at, bytes } = export::write(source, format.form(), &mut to)?;
    let end = to.seek(SeekFrom::Start(at)).and_then(|_| to.write_all(&bytes)).and_then(|()| to.flush());
    end.and_then(|()| file.sync_all()).map_err(ExportError::Write)
}

fn taken(to: &Path) -> Failure {
    let fault = Fault::new(FaultCode::Failure, format!("{}: it is there already", to.display()));
    fault.hint("-o names another file").into()
}

fn failed(to: &Path, error: ExportError) -> Failure {
    match error {
        ExportError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
        ExportError::Write(error) => {
            let code = match error.kind() {
                io::ErrorKind::NotFound => FaultCode::NotFound,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FaultCode::Denied,
                _ => FaultCode::Failure,
            };
            Fault::new(code, format!("{}: {error}", to.display())).into()
        }
        other => Fault::new(FaultCode::Invalid, other.to_string()).into(),
    }
}
