//! `rec export`: a recording in another form, to a file or a pipe. All its parts become one.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};

use super::place::{Desk, Place};
use super::whole::{is_free, told, unwritten, write_new};
use crate::audio::export::{self, Afterwards, ExportError, Form, Tags};
use crate::audio::source::{self, Mixed, Parts, Source};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit, Failure};
use crate::control::protocol::{Fault, FaultCode};
use crate::outbox::manifest::stem;
use crate::outbox::{Manifest, OutboxError, State};

/// Write a recording as WAV, FLAC, Opus or MP3
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec export c7709e9c --format flac
  rec export c7709e9c --format opus --channels mix -o call.opus
  rec export c7709e9c -o call.mp3
  rec export c7709e9c -o - | sox -t wav - -n stats

Without -o the file lies in the current folder, under the recording's name. Nothing that is there is overwritten. With `split` the caller is
left and the callee right; what supervisors said is on a third side where it was recorded, which `mix`, Opus and MP3 leave out.")]
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
    /// For whatever plays sound, in a third of the room
    Mp3,
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
            Self::Mp3 => "mp3",
        }
    }

    fn form(self) -> Form {
        match self {
            Self::Wav => Form::Wav,
            Self::Flac => Form::Flac,
            Self::Opus => Form::Opus,
            Self::Mp3 => Form::Mp3,
        }
    }

    /// What a name ends in.
    fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "ogg" => Some(Self::Opus),
            ending => Self::value_variants().iter().copied().find(|format| format.ending() == ending),
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
                Err(Fault::new(FaultCode::Usage, message).hint("--format wav, flac, opus or mp3"))
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
    if manifest.state == State::Gone {
        let message = format!("recording {id} is gone: there is nothing to export");
        return Err(Fault::new(FaultCode::NotFound, message).into());
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
    let is_pipe = to == Path::new("-");
    if context.common.dry_run {
        if !is_pipe {
            is_free(&to)?;
        }
        context.output.note(&format!("would write {} to {}", manifest.file, to.display()));
        return Ok(Exit::Ok);
    }
    let tags = tags(&manifest);
    if is_pipe {
        return to_stdout(&mut *source, (format.form(), &tags), args.force);
    }
    write_new(&to, |file| whole(&mut *source, (format.form(), &tags), file).map_err(|error| failed(&to, error)))?;
    told("rec.export/1", &to, context)
}

/// What the file says of itself.
fn tags(manifest: &Manifest) -> Tags {
    let who =
        |number: &str| if number.is_empty() { "unknown".to_owned() } else { number.replace(char::is_control, "") };
    let title = match (manifest.from.as_str(), manifest.to.as_str()) {
        ("", "") => stem(&manifest.file).to_owned(),
        (from, to) => format!("{} to {}", who(from), who(to)),
    };
    Tags { title, date: manifest.started.strftime("%Y-%m-%dT%H:%M:%S").to_string(), id: manifest.id.to_string() }
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

fn to_stdout(source: &mut dyn Source, what: (Form, &Tags), force: bool) -> Done {
    if io::stdout().is_terminal() && !force {
        let fault = Fault::new(FaultCode::Usage, "sound is not written to a terminal");
        return Err(fault.hint("a pipe or a file takes it; --force writes it all the same").into());
    }
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = export::write_tagged(source, what, &mut stdout);
    written.map_err(|error| failed(Path::new("standard output"), error))?;
    stdout.flush()?;
    Ok(Exit::Ok)
}

fn whole(source: &mut dyn Source, what: (Form, &Tags), file: &File) -> Result<(), ExportError> {
    let mut to = BufWriter::new(file);
    let Afterwards { at, bytes } = export::write_tagged(source, what, &mut to)?;
    let end = to.seek(SeekFrom::Start(at)).and_then(|_| to.write_all(&bytes)).and_then(|()| to.flush());
    end.map_err(ExportError::Write)
}

fn failed(to: &Path, error: ExportError) -> Failure {
    match error {
        ExportError::Write(error) => unwritten(to, &error),
        other => Fault::new(FaultCode::Invalid, other.to_string()).into(),
    }
}
