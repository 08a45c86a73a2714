//! The next bytes of an upload, written as they come. Above: the handler of PATCH. Below: the upload's file.
//!
//! Bytes whose request breaks off stay: the recording's own hash is judged at its end. But where signatures are demanded they are
//! forgotten, as nobody has signed them until all of them have been compared with the checksum. Bytes whose request is whole and whose
//! checksum is wrong are always forgotten.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, StreamExt};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use super::super::answer::header_text;
use super::super::desk::Desk;
use super::super::intake::{PACE, PIECE_TIME, Untaken, full};
use super::super::kind::HEAD_BYTES;
use super::super::space;
use super::begun::Standing;
use super::blocking;
use super::turns::Turn;

/// What checksums may be made with.
pub(super) const ALGORITHMS: &str = "sha1,sha256";

/// What the headers say of the next bytes.
pub(super) struct Piece {
    offset: u64,
    length: Option<u64>,
    checksum: Option<(Algorithm, Vec<u8>)>,
    /// Bytes that have not been compared with it do not stay.
    must_be_bound: bool,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Sha1,
    Sha256,
}

enum Hasher {
    None,
    Sha1(Sha1),
    Sha256(Sha256),
}

/// Why no more bytes come.
enum End {
    Whole,
    Broken(Untaken),
}

impl Piece {
    /// Reads the headers; `must_be_bound`: requests are signed, so these bytes have to be named by a checksum.
    pub(super) fn read(headers: &HeaderMap, must_be_bound: bool) -> Result<Self, Untaken> {
        let bad = |why: &str| Untaken::new(StatusCode::BAD_REQUEST, why);
        if header_text(headers, header::CONTENT_TYPE) != Some("application/offset+octet-stream") {
            let why = "Content-Type is application/offset+octet-stream here";
            return Err(Untaken::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let number = |name: &str| header_text(headers, name).and_then(|text| text.parse::<u64>().ok());
        let offset = number("upload-offset").ok_or_else(|| bad("Upload-Offset is missing"))?;
        let checksum = match header_text(headers, "upload-checksum") {
            None if must_be_bound => return Err(bad("Upload-Checksum is needed, as requests are signed")),
            None => None,
            Some(text) => Some(checksum(text).ok_or_else(|| bad("Upload-Checksum is sha1 or sha256, and Base64"))?),
        };
        Ok(Self { offset, length: number("content-length"), checksum, must_be_bound })
    }
}

fn checksum(text: &str) -> Option<(Algorithm, Vec<u8>)> {
    let (word, coded) = text.split_once(' ')?;
    let algorithm = match word {
        "sha1" => Algorithm::Sha1,
        "sha256" => Algorithm::Sha256,
        _ => return None,
    };
    Some((algorithm, STANDARD.decode(coded.trim()).ok()?))
}

impl Hasher {
    fn update(&mut self, piece: &[u8]) {
        match self {
            Self::None => {}
            Self::Sha1(hash) => hash.update(piece),
            Self::Sha256(hash) => hash.update(piece),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Sha1(hash) => hash.finalize().to_vec(),
            Self::Sha256(hash) => hash.finalize().to_vec(),
        }
    }
}

/// Takes the bytes of one request, as far as they come.
///
/// # Errors
/// They do not belong here, broke off, or are not what their checksum says.
pub(super) async fn take<E: std::fmt::Display>(
    desk: &Arc<Desk>,
    (mut standing, piece): (Standing, &Piece),
    mut bytes: impl Stream<Item = Result<Bytes, E>> + Unpin,
    turn: &mut Turn,
) -> Result<Standing, Untaken> {
    let (start, room) = (standing.offset, standing.begun.length - standing.offset);
    if piece.offset != start {
        return Err(Untaken::new(StatusCode::CONFLICT, format!("the upload stands at {start}")));
    }
    if piece.length.is_some_and(|length| length > room) {
        return Err(Untaken::new(StatusCode::PAYLOAD_TOO_LARGE, "more than the upload's length"));
    }
    let mut hash = match &piece.checksum {
        None => Hasher::None,
        Some((Algorithm::Sha1, _)) => Hasher::Sha1(Sha1::new()),
        Some((Algorithm::Sha256, _)) => Hasher::Sha256(Sha256::new()),
    };
    let end;
    (standing, end) = write((desk, standing), &mut bytes, &mut hash, turn).await?;
    let is_wrong = matches!(end, End::Whole)
        && piece
            .checksum
            .as_ref()
            .is_some_and(|(_, checksum)| *checksum != std::mem::replace(&mut hash, Hasher::None).finish());
    let is_unbound = piece.must_be_bound && matches!(end, End::Broken(_));
    standing = blocking(move || {
        if is_wrong || is_unbound {
            standing.partial.cut(start).map_err(|error| full(&error))?;
        }
        // On the disk before it is acknowledged: after a power failure the upload goes on from what was answered.
        standing.partial.sync().map_err(|error| full(&error))?;
        Ok(standing)
    })
    .await?;
    match end {
        End::Whole if is_wrong => Err(Untaken::not_as_sent("the checksum is another")),
        End::Whole => Ok(standing),
        End::Broken(untaken) => Err(untaken),
    }
}

/// Writes what comes until it ends, breaks off, stands still, or a newer request wants to go on.
async fn write<E: std::fmt::Display>(
    (desk, mut standing): (&Arc<Desk>, Standing),
    bytes: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    hash: &mut Hasher,
    turn: &mut Turn,
) -> Result<(Standing, End), Untaken> {
    let start = Instant::now() + PIECE_TIME;
    let mut taken = 0_u64;
    loop {
        let slowest = start + Duration::from_secs(taken / PACE);
        let next = timeout_at(slowest.min(Instant::now() + PIECE_TIME), bytes.next());
        let next = tokio::select! {
            biased;
            () = turn.is_asked_for() => {
                let overtaken = Untaken::new(StatusCode::LOCKED, "a newer request goes on with this upload");
                return Ok((standing, End::Broken(overtaken)));
            }
            next = next => next,
        };
        let piece = match next {
            Ok(Some(Ok(piece))) => piece,
            Ok(None) => return Ok((standing, End::Whole)),
            Ok(Some(Err(error))) => {
                let broken = Untaken::new(StatusCode::BAD_REQUEST, format!("it broke off: {error}"));
                return Ok((standing, End::Broken(broken)));
            }
            Err(_) => {
                let late = Untaken::new(StatusCode::REQUEST_TIMEOUT, "it does not go on");
                return Ok((standing, End::Broken(late)));
            }
        };
        if piece.len() as u64 > standing.begun.length - standing.offset {
            let long = Untaken::new(StatusCode::PAYLOAD_TOO_LARGE, "more than the upload's length");
            return Ok((standing, End::Broken(long)));
        }
        hash.update(&piece);
        taken += piece.len() as u64;
        let own = Arc::clone(desk);
        let written;
        (standing, written) = blocking(move || {
            let written = add(&own, &mut standing, &piece);
            Ok((standing, written))
        })
        .await?;
        if let Err(untaken) = written {
            return Ok((standing, End::Broken(untaken)));
        }
    }
}

/// Writes a piece behind what is there; once enough is there, what it is has to be what was announced. Blocks for the disk.
fn add(desk: &Desk, standing: &mut Standing, piece: &[u8]) -> Result<(), Untaken> {
    space::has(desk, piece.len() as u64)?;
    standing.partial.write_at(piece, standing.offset).map_err(|error| full(&error))?;
    let (before, telling) = (standing.offset, standing.begun.telling());
    standing.offset += piece.len() as u64;
    if before < telling && standing.offset >= telling {
        let head = standing.partial.head(HEAD_BYTES).map_err(|error| full(&error))?;
        standing.begun.judge(&head)?;
    }
    Ok(())
}
