//! A recording on its way out: found in the outbox, opened below the spool, checked against its name, sent whole or in part.
//! Above: `pages`. Below: `outbox::Spool`, which follows no link.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::spawn_blocking;

use super::answer::{header_text, missing, text};
use super::desk::Desk;
use super::disposition::attachment;
use super::kind::{Door, HEAD_BYTES, Kind};
use super::notice;
use super::playable::Playable;
use super::range::{self, Wanted};
use super::users::Viewer;
use crate::outbox::manifest::stem;
use crate::outbox::{Manifest, OutboxError, RecordingId, State, seal};

/// Bytes read from the disk at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A file by its name within the spool, or by the last part of that.
    Name(String),
    /// A recording, and which of its files, from 1.
    Id(RecordingId, usize),
}

/// A file that may leave.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: RecordingId,
    name: String,
    kind: Kind,
    /// What comes before the file: the header of a sealed one.
    head: Vec<u8>,
    content: Content,
    /// Bytes of it.
    size: u64,
    sha256: String,
    part: usize,
    /// As it goes along where it is asked for: with the wrapped keys of a sealed recording, whose file is sent without them then.
    manifest: Vec<u8>,
}

/// What leaves of a file.
#[derive(Debug)]
enum Content {
    /// Its bytes.
    File(File),
    /// Its sound, as WAV.
    Sound(Box<Playable>),
}

/// Why a file does not leave.
#[derive(Debug, thiserror::Error)]
pub(super) enum Kept {
    /// It is not there, or not for this viewer: both look alike.
    #[error("there is no such recording")]
    Missing,
    /// It is not what its name says.
    #[error("it is mislabelled: it is not what its name says")]
    Liar(RecordingId),
    /// It has no byte.
    #[error("it is empty")]
    Empty(RecordingId),
    /// It has another length than when it was recorded.
    #[error("it has changed since it was recorded")]
    Changed(RecordingId),
    /// Its key was shredded.
    #[error("its key has been shredded")]
    Shredded(RecordingId),
    /// The outbox or the disk.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The disk.
    #[error("reading: {0}")]
    Io(#[from] std::io::Error),
}

impl Kept {
    /// The recording, when it is known.
    pub(super) fn id(&self) -> Option<RecordingId> {
        match self {
            Self::Liar(id) | Self::Empty(id) | Self::Changed(id) | Self::Shredded(id) => Some(*id),
            Self::Missing | Self::Outbox(_) | Self::Io(_) => None,
        }
    }

    /// The answer.
    pub(super) fn answer(&self) -> Response {
        match self {
            Self::Missing | Self::Empty(_) => missing(),
            Self::Liar(_) => text(StatusCode::UNPROCESSABLE_ENTITY, "422 This file is not what its name says"),
            Self::Changed(_) => text(StatusCode::CONFLICT, "409 This file has changed since it was recorded"),
            Self::Shredded(_) => text(StatusCode::GONE, "410 The key of this recording has been shredded"),
            Self::Outbox(OutboxError::Io { .. }) => missing(),
            Self::Outbox(_) | Self::Io(_) => text(StatusCode::SERVICE_UNAVAILABLE, "503 The recordings cannot be read"),
        }
    }
}

/// Finds what was asked for; blocks for the disk.
pub(super) fn find(desk: &Desk, asked: &Asked, viewer: Option<&Viewer>) -> Result<Found, Kept> {
    let (manifest, at, door) = match asked {
        Asked::Id(id, part) => (desk.outbox.get(*id)?.ok_or(Kept::Missing)?, part.saturating_sub(1), Door::ById),
        Asked::Name(name) => {
            // before anything is looked up: what no page ever named
            Kind::of(name, Door::ByName).ok_or(Kept::Missing)?;
            let (manifest, at) = by_name(desk, name, viewer)?;
            (manifest, at, Door::ByName)
        }
    };
    if !is_there(desk, &manifest, viewer) {
        return Err(Kept::Missing);
    }
    let file = manifest.files().nth(at).map(|(file, bytes, sha256)| (file.to_owned(), bytes, sha256.to_owned()));
    let (name, bytes, sha256) = file.ok_or(Kept::Missing)?;
    let kind = Kind::of(&name, door).ok_or(Kept::Missing)?;
    let mut file = desk.outbox.spool().open_file(&name)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Err(Kept::Empty(manifest.id));
    }
    let head = match &manifest.sealed {
        Some(_) => seal::header(desk.outbox.spool(), &name).map_err(|_| Kept::Shredded(manifest.id))?,
        None => Vec::new(),
    };
    let mut start = head.clone();
    (&file).take(HEAD_BYTES as u64).read_to_end(&mut start)?;
    if !kind.fits(&start) {
        return Err(Kept::Liar(manifest.id));
    }
    if length != bytes {
        return Err(Kept::Changed(manifest.id));
    }
    file.seek(SeekFrom::Start(0))?;
    let sent = seal::with_keys(desk.outbox.spool(), &manifest).map_err(|_| Kept::Shredded(manifest.id))?;
    let (id, content, manifest) = (manifest.id, Content::File(file), sent.print());
    Ok(Found { id, name, kind, head, content, size: length, sha256, part: at + 1, manifest })
}

/// Whether a recording is there for this viewer.
fn is_there(desk: &Desk, manifest: &Manifest, viewer: Option<&Viewer>) -> bool {
    let is_closed = matches!(manifest.state, State::Finished | State::Interrupted);
    is_closed && viewer.is_none_or(|viewer| desk.may_see(viewer, manifest))
}

/// The recording that has a file of exactly this name, or, where there is but one, of this last part of a name. What is not for this
/// viewer makes no name ambiguous.
fn by_name(desk: &Desk, name: &str, viewer: Option<&Viewer>) -> Result<(Manifest, usize), Kept> {
    let mut found = None;
    let mut is_one = true;
    let is_bare = !name.contains('/');
    for id in desk.find_files(name)? {
        let Some(manifest) = desk.outbox.get(id)?.filter(|manifest| is_there(desk, manifest, viewer)) else { continue };
        let exact = manifest.files().position(|(file, ..)| file == name);
        if let Some(at) = exact {
            return Ok((manifest, at));
        }
        let alike = manifest.files().position(|(file, ..)| is_bare && file.rsplit('/').next() == Some(name));
        if let Some(at) = alike {
            is_one = found.is_none();
            found = Some((manifest, at));
        }
    }
    found.filter(|_| is_one).ok_or(Kept::Missing)
}

impl Found {
    /// The same for a browser to play: as WAV, where it has no decoder for what it is.
    pub(super) fn playable(mut self) -> Result<Self, Kept> {
        if let (Kind::Matroska, Content::File(file)) = (self.kind, &self.content)
            && let Some(sound) = Playable::open(file.try_clone()?)?
        {
            self.size = sound.size();
            (self.kind, self.content) = (Kind::Wav, Content::Sound(Box::new(sound)));
            self.name = format!("{}.wav", stem(&self.name));
        }
        Ok(self)
    }

    /// The answer with the whole file, with the part that is asked for, or with the news that there is none.
    ///
    /// `fetched` is told when a body with all of it has been taken to its last byte.
    pub(super) fn answer(mut self, asked: &HeaderMap, fetched: Option<Hook>) -> Response {
        let wants_manifest = asked.contains_key(notice::WANT_MANIFEST);
        if wants_manifest {
            self.head.clear();
        }
        self.size += self.head.len() as u64;
        let tag = match self.content {
            Content::File(_) => format!("\"{}-{}\"", self.sha256, self.head.len()),
            Content::Sound(_) => format!("\"{}-wav\"", self.sha256),
        };
        if header_text(asked, header::IF_NONE_MATCH).is_some_and(|known| names_tag(known, &tag)) {
            return with_headers(StatusCode::NOT_MODIFIED, Body::empty(), &[(header::ETAG, tag)]);
        }
        // RFC 9110 §13.1.5: a part only of what the asker has the rest of
        let is_same = header_text(asked, header::IF_RANGE).is_none_or(|known| known.trim() == tag);
        let range = header_text(asked, header::RANGE).filter(|_| is_same);
        let wanted = range.map_or(Wanted::Whole, |range| range::wanted(range, self.size));
        let mut headers = vec![
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::ETAG, tag),
            (header::CONTENT_TYPE, self.kind.content_type().to_owned()),
            (header::CONTENT_DISPOSITION, attachment(&self.name)),
            (header::HeaderName::from_static("content-description"), self.kind.description().to_owned()),
        ];
        if wants_manifest {
            let name = header::HeaderName::from_static(notice::MANIFEST);
            headers.push((name, URL_SAFE_NO_PAD.encode(&self.manifest)));
        }
        let (status, first, length) = match wanted {
            Wanted::Whole => (StatusCode::OK, 0, self.size),
            Wanted::Part { first, last } => {
                headers.push((header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", self.size)));
                (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
            }
            Wanted::Unsatisfiable => {
                let range = [(header::CONTENT_RANGE, format!("bytes */{}", self.size))];
                return with_headers(StatusCode::RANGE_NOT_SATISFIABLE, Body::empty(), &range);
            }
        };
        headers.push((header::CONTENT_LENGTH, length.to_string()));
        let fetched = fetched.filter(|_| status == StatusCode::OK);
        with_headers(status, self.body((first, length), fetched), &headers)
    }

    /// What a hook is told.
    pub(super) fn facts(&self) -> (RecordingId, usize, String, u64) {
        (self.id, self.part, self.sha256.clone(), self.size)
    }

    /// `length` bytes from `first` on, read as they are taken.
    fn body(self, (first, length): (u64, u64), fetched: Option<Hook>) -> Body {
        let head_bytes = self.head.len() as u64;
        let of_head = usize::try_from(first.min(head_bytes)).unwrap_or_default();
        let head = std::io::Cursor::new(self.head.get(of_head..).unwrap_or_default().to_vec());
        let source = match self.content {
            Content::Sound(sound) => Leaf::Sound(Some(sound), first),
            Content::File(mut file) => {
                if let Err(error) = file.seek(SeekFrom::Start(first.saturating_sub(head_bytes))) {
                    return Body::from_stream(stream::once(async move { Err::<Bytes, _>(error) }));
                }
                Leaf::Bytes(Box::pin(AsyncReadExt::chain(head, tokio::fs::File::from_std(file)).take(length)))
            }
        };
        let leaving = Leaving { source, left: length, fetched };
        Body::from_stream(stream::try_unfold(leaving, |mut leaving| async move {
            let mut block = leaving.source.read().await?;
            block.truncate(usize::try_from(leaving.left).unwrap_or(usize::MAX));
            match block.len() {
                // The connection is cut, so that nobody takes half of it for all.
                0 if leaving.left > 0 => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
                0 => Ok(None),
                read => {
                    leaving.left = leaving.left.saturating_sub(read as u64);
                    Ok(Some((Bytes::from(block), leaving)))
                }
            }
        }))
    }
}

/// What is done when a file has left; blocks for the disk.
pub(super) type Hook = Box<dyn FnOnce() + Send>;

/// Where bytes come from.
enum Leaf {
    Bytes(Pin<Box<dyn AsyncRead + Send>>),
    /// From a place on; none while it is read.
    Sound(Option<Box<Playable>>, u64),
}

impl Leaf {
    /// The next bytes; none at the end.
    async fn read(&mut self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => {
                let mut block = vec![0; BLOCK_BYTES];
                let read = bytes.read(&mut block).await?;
                block.truncate(read);
                Ok(block)
            }
            Self::Sound(there, at) => {
                let Some(mut sound) = there.take() else { return Ok(Vec::new()) };
                let from = *at;
                let (sound, read) = spawn_blocking(move || {
                    let read = sound.read(from);
                    (sound, read)
                })
                .await?;
                let block = read?;
                *at += block.len() as u64;
                *there = Some(sound);
                Ok(block)
            }
        }
    }
}

/// A file on its way.
struct Leaving {
    source: Leaf,
    /// Bytes that were not taken yet.
    left: u64,
    fetched: Option<Hook>,
}

impl Drop for Leaving {
    /// The server drops a body when all of it is written, without asking for its end.
    fn drop(&mut self) {
        let Some(fetched) = self.fetched.take().filter(|_| self.left == 0) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(fetched);
        }
    }
}

/// Whether a list of tags has this one, or any (RFC 9110 §13.1.2: compared weakly).
fn names_tag(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn with_headers(status: StatusCode, body: Body, headers: &[(header::HeaderName, String)]) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        // All of them are made of ASCII here: names, numbers, hashes, quoted names.
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name.clone(), value);
        }
    }
    response
}
