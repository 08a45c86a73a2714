//! A recording of another exchange becomes one of the spool: copied or left in place, its head mended, its two sides joined.
//! Above: `import`. Below: the outbox adopts it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::folder::{self, Found, Take};
use super::{below, name};
use crate::audio::source::{self, Source, SourceError};
use crate::audio::wave::{Head, pcm_head};
use crate::cli::rec::place::Desk;
use crate::outbox::manifest::{Audio, Party, Side};
use crate::outbox::name::{clean_name, free_name};
use crate::outbox::{Aside, Manifest, OutboxError, RecordingId, Spool};

/// Where recordings go.
pub(super) enum Mode {
    /// Into the spool.
    Copy,
    /// They are there already, in this folder of it.
    InPlace(PathBuf),
}

/// Why a recording is not imported.
pub(super) enum CopyError {
    /// It is being written to: another time.
    Changed,
    /// It is none, or may not be read: that stays so until it is changed.
    Refused(String),
    /// It could not be read just now.
    Unread(String),
    /// The spool fails: nothing more is tried.
    Outbox(OutboxError),
    /// The same.
    Disk(String),
}

impl From<OutboxError> for CopyError {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

impl From<SourceError> for CopyError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Refused(NO_SOUND.to_owned())
            }
            SourceError::Io(error) => refused(&error),
            SourceError::Unreadable(_) => Self::Refused(NO_SOUND.to_owned()),
            own => Self::Refused(own.to_string()),
        }
    }
}

/// Of a file that is not what its name says, whatever the decoder makes of it.
const NO_SOUND: &str = "it is no sound file, or damaged from its beginning";

/// What the sound is, once it is read.
struct Measured {
    format: String,
    rate_hz: u32,
    channels: u16,
    frames: u64,
}

/// The id of a recording, made of its content: the same sound is the same recording, whatever it is called.
pub(super) fn id_of(take: &Take) -> Result<RecordingId, CopyError> {
    let mut sum = Sha256::new();
    for file in take.files() {
        let (opened, mut content) = (open(file)?, Sha256::new());
        let mut reader = io::BufReader::with_capacity(1 << 17, &opened);
        io::copy(&mut reader, &mut HashWriter(&mut content)).map_err(|error| refused(&error))?;
        if !folder::is_same(file, &opened).map_err(|error| refused(&error))? {
            return Err(CopyError::Changed);
        }
        sum.update(content.finalize());
    }
    let digest = sum.finalize();
    let bytes = digest.iter().take(16).fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
    // Version 8 is for one's own ways of making them (RFC 9562 §5.8).
    let id = bytes & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    uuid::Uuid::from_u128(id).to_string().parse().map_err(|_| CopyError::Refused("it cannot be named".to_owned()))
}

/// Takes it into the spool, and whether it was not there already.
pub(super) fn import(take: &Take, mode: &Mode, desk: &Desk) -> Result<(Manifest, bool), CopyError> {
    let foreign = take.files().map(|file| folder::ending(&file.name)).find(|it| !folder::is_known(&it.to_lowercase()));
    if let Some(ending) = foreign {
        return Err(CopyError::Refused(format!("`.{ending}` is a format that is not read here")));
    }
    let id = id_of(take)?;
    if let Some(manifest) = desk.outbox.get(id)? {
        return Ok((manifest, false));
    }
    let (file, measured) = match (take, mode) {
        (Take::One(one), Mode::InPlace(folder)) => {
            let name = below(folder, &one.name);
            // A recording of ours, or one that was joined from its sides.
            if let Some(id) = desk.outbox.find(&name)?.first()
                && let Some(manifest) = desk.outbox.get(*id)?
            {
                return Ok((manifest, false));
            }
            let measured = measured(open(one)?, &folder::ending(&one.name))?;
            (name, measured)
        }
        (Take::One(one), Mode::Copy) => copied(one, take, desk)?,
        (Take::Pair(left, right), _) => joined([left, right], (take, mode), desk)?,
    };
    let manifest = described(take, (id, file), &measured);
    Ok((desk.outbox.adopt(manifest)?, true))
}

/// What is known of it, from its name and from its sound.
fn described(take: &Take, (id, file): (RecordingId, String), measured: &Measured) -> Manifest {
    let stem = take.stem();
    let told = name::told(stem.rsplit('/').next().unwrap_or(stem));
    let seconds = measured.frames as f64 / f64::from(measured.rate_hz.max(1));
    let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let written = take.files().map(|file| file.modified_ns).max().unwrap_or_default();
    let written = Timestamp::from_nanosecond(written).unwrap_or(Timestamp::UNIX_EPOCH);
    let began = told.started(&TimeZone::system());
    let started = began.or_else(|| written.checked_sub(length).ok()).unwrap_or(written);
    let party = |side, number: &str| Party {
        side,
        uuid: String::new(),
        user: None,
        number: number.to_owned(),
        name: String::new(),
        extra: Default::default(),
    };
    let mut manifest = Manifest::new(&file, started);
    manifest.id = id;
    manifest.parties = vec![party(Side::Left, &told.from), party(Side::Right, &told.to)];
    manifest.parties.retain(|party| !party.number.is_empty());
    manifest.from = told.from;
    manifest.to = told.to;
    manifest.direction = told.direction;
    manifest.agent = told.agent;
    manifest.call = told.uniqueid.clone();
    manifest.uniqueid = told.uniqueid;
    manifest.ended = started.checked_add(length).ok();
    manifest.reason = "import".to_owned();
    manifest.audio = Audio {
        format: measured.format.clone(),
        rate_hz: measured.rate_hz,
        channels: measured.channels,
        frames: measured.frames,
        duration_s: seconds,
        ..Audio::default()
    };
    let from: Vec<String> = take.files().map(|file| file.path.display().to_string()).collect();
    manifest.extra.insert("imported_from".to_owned(), json!(from));
    manifest
}

/// Copies a file, mends the head of the copy, and says what the sound is.
fn copied(one: &Found, take: &Take, desk: &Desk) -> Result<(String, Measured), CopyError> {
    let ending = folder::ending(&one.name);
    let source = open(one)?;
    let spool = desk.outbox.spool();
    let aside = spool.begin_aside()?;
    let mut reader = io::BufReader::with_capacity(1 << 17, &source);
    io::copy(&mut reader, &mut aside.file()).map_err(full(spool))?;
    if !folder::is_same(one, &source).map_err(|error| refused(&error))? {
        return Err(CopyError::Changed);
    }
    mend(aside.file()).map_err(full(spool))?;
    let measured = measured(aside.file().try_clone().map_err(full(spool))?, &ending)?;
    let wished = format!("{}.{}", clean_name(take.stem()), ending.to_ascii_lowercase());
    let file = named(&aside, &wished, desk)?;
    Ok((file, measured))
}

/// Joins two sides to one recording, the shorter filled up with silence.
fn joined(sides: [&Found; 2], (take, mode): (&Take, &Mode), desk: &Desk) -> Result<(String, Measured), CopyError> {
    let open_one = |file: &Found| -> Result<Box<dyn Source>, CopyError> {
        Ok(source::open(open(file)?, &folder::ending(&file.name))?)
    };
    let [left, right] = sides;
    let (left, right) = (open_one(left)?, open_one(right)?);
    if (left.channels(), right.channels()) != (1, 1) || left.rate_hz() != right.rate_hz() {
        return Err(CopyError::Refused(
            "its two sides do not fit together: they have several channels, or other rates".into(),
        ));
    }
    let rate_hz = left.rate_hz();
    let spool = desk.outbox.spool();
    let aside = spool.begin_aside()?;
    let frames = both([left, right], (aside.file(), spool))?;
    for file in sides {
        if !folder::is_same(file, &open(file)?).map_err(|error| refused(&error))? {
            return Err(CopyError::Changed);
        }
    }
    let wished = match mode {
        Mode::Copy => clean_name(take.stem()),
        Mode::InPlace(folder) => below(folder, take.stem()),
    };
    let file = named(&aside, &format!("{wished}.wav"), desk)?;
    Ok((file, Measured { format: "pcm16".to_owned(), rate_hz, channels: 2, frames }))
}

fn both([mut left, mut right]: [Box<dyn Source>; 2], (file, spool): (&File, &Spool)) -> Result<u64, CopyError> {
    let failed = full(spool);
    let mut to = BufWriter::new(file);
    to.write_all(&pcm_head(left.rate_hz(), 2, None)).map_err(&failed)?;
    let mut waiting = [Vec::new(), Vec::new()];
    let mut ended = [false, false];
    let mut frames = 0u64;
    let mut block = Vec::new();
    loop {
        for (at, side) in [&mut left, &mut right].into_iter().enumerate() {
            let (Some(waiting), Some(ended)) = (waiting.get_mut(at), ended.get_mut(at)) else { continue };
            while waiting.is_empty() && !*ended {
                side.next(&mut block)?;
                *ended = block.is_empty();
                waiting.extend_from_slice(&block);
            }
        }
        let [a, b] = &mut waiting;
        let length = match (a.len(), b.len()) {
            (0, 0) => break,
            (0, rest) | (rest, 0) => rest,
            (a, b) => a.min(b),
        };
        let mut bytes = Vec::with_capacity(length * 4);
        for at in 0..length {
            for side in [&*a, &*b] {
                bytes.extend(side.get(at).copied().unwrap_or(0).to_le_bytes());
            }
        }
        to.write_all(&bytes).map_err(&failed)?;
        for side in [a, b] {
            side.drain(..length.min(side.len()));
        }
        frames += length as u64;
    }
    if frames == 0 {
        return Err(CopyError::Refused("there is no sound in it".to_owned()));
    }
    to.seek(SeekFrom::Start(0)).map_err(&failed)?;
    to.write_all(&pcm_head(left.rate_hz(), 2, Some(frames))).map_err(&failed)?;
    to.flush().map_err(&failed)?;
    Ok(frames)
}

/// What the sound of a file is, all of it read where its length is not known before.
fn measured(mut file: File, ending: &str) -> Result<Measured, CopyError> {
    file.rewind().map_err(|error| refused(&error))?;
    let head = Head::read(&mut file).ok();
    file.rewind().map_err(|error| refused(&error))?;
    let is_opus = source::is_opus(&mut file).map_err(|error| refused(&error))?;
    let mut source = source::open(file, ending)?;
    let frames = match source.frames() {
        Some(frames) => frames,
        None => {
            let (mut samples, mut block) = (0, Vec::new());
            loop {
                source.next(&mut block)?;
                if block.is_empty() {
                    break samples / u64::from(source.channels().max(1));
                }
                samples += block.len() as u64;
            }
        }
    };
    if frames == 0 {
        return Err(CopyError::Refused("there is no sound in it".to_owned()));
    }
    let format = match head.map(|head| head.tag) {
        Some(1) => "pcm16".to_owned(),
        Some(6) => "alaw".to_owned(),
        Some(7) => "ulaw".to_owned(),
        Some(0x31) => "gsm".to_owned(),
        None if is_opus => "opus".to_owned(),
        None if ending.eq_ignore_ascii_case("mka") => "g722".to_owned(),
        _ => ending.to_ascii_lowercase(),
    };
    Ok(Measured { format, rate_hz: source.rate_hz(), channels: source.channels(), frames })
}

/// Opens a file of the folder; a link that has taken its place is not followed.
fn open(file: &Found) -> Result<File, CopyError> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let a_link = rustix::io::Errno::LOOP.raw_os_error();
    OpenOptions::new().read(true).custom_flags(flags).open(&file.path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CopyError::Changed,
        // It has taken the file's place.
        _ if error.raw_os_error() == Some(a_link) => CopyError::Changed,
        _ => refused(&error),
    })
}

/// What the system says of a file that cannot be read.
fn refused(error: &io::Error) -> CopyError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => CopyError::Refused("this account may not read it".to_owned()),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => CopyError::Refused(NO_SOUND.to_owned()),
        _ => CopyError::Unread(error.to_string()),
    }
}

/// Lets the head of a WAV file say its length.
fn mend(mut file: &File) -> io::Result<()> {
    let Ok(head) = Head::read(&mut file) else { return Ok(()) };
    if head.is_whole() {
        return Ok(());
    }
    for (at, word) in head.mending() {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&word)?;
    }
    // Half a frame at the end belongs to nothing.
    file.set_len(head.data_at + head.data_bytes())
}

/// Gives it a name that nothing else has, the one wished for if possible.
fn named(aside: &Aside, wished: &str, desk: &Desk) -> Result<String, CopyError> {
    let spool = desk.outbox.spool();
    // A run that was killed has left it behind, whole, before it was a recording.
    if spool.exists(wished)?
        && desk.outbox.find(wished)?.is_empty()
        && is_equal(&spool.open_file(wished)?, aside.file())
    {
        return Ok(wished.to_owned());
    }
    let free = free_name::<OutboxError>(spool, wished, None, |_| Ok(false))?;
    spool.place_aside(aside, &free)?;
    Ok(free)
}

/// Whether two files hold the same.
fn is_equal(a: &File, b: &File) -> bool {
    let sum = |mut file: &File| {
        let mut sum = Sha256::new();
        file.rewind().and_then(|()| io::copy(&mut file, &mut HashWriter(&mut sum))).map(|_| sum.finalize()).ok()
    };
    sum(a).is_some_and(|first| sum(b) == Some(first))
}

fn full(spool: &Spool) -> impl Fn(io::Error) -> CopyError {
    move |error| CopyError::Disk(format!("{}: {error}", spool.path().display()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
