//! Frames on the control socket: one byte of kind, four bytes of length (big-endian), the payload.
//! Above: `server` and `client`. Both ends read through [`FrameReader`], which may be dropped in the middle of a wait.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The longest JSON payload, in bytes.
pub const JSON_LIMIT: usize = 1024 * 1024;
/// The longest audio payload, in bytes.
pub const AUDIO_LIMIT: usize = 64 * 1024;

/// The longest key, in bytes.
pub const KEY_LIMIT: usize = 64 * 1024;

const HEADER: usize = 5;
const READ_AT_LEAST: usize = 4096;

/// One frame, its payload still unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A request, a reply or an event as JSON text.
    Json(Bytes),
    /// Audio samples, s16le.
    Audio(Bytes),
}

/// Why bytes are no frame. The connection they came on is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The first byte names no kind.
    #[error("frame kind {0:#04x} is unknown")]
    Kind(u8),
    /// The announced length is over the limit of its kind.
    #[error("frame of {length} bytes, the limit is {limit}")]
    TooLong {
        /// What the header announces, in bytes.
        length: usize,
        /// The limit of that kind, in bytes.
        limit: usize,
    },
    /// Something else where the key was to come, or a key that nobody has asked for.
    #[error("a key out of turn")]
    OutOfTurn,
    /// The other end stopped in the middle of a frame.
    #[error("the connection ended inside a frame")]
    Truncated,
    /// The socket failed.
    #[error("reading: {0}")]
    Io(#[from] std::io::Error),
}

impl Frame {
    fn kind_and_payload(&self) -> (u8, &Bytes) {
        match self {
            Self::Json(payload) => (b'J', payload),
            Self::Audio(payload) => (b'A', payload),
        }
    }

    /// Appends the frame to `out`.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when the payload is over the limit of its kind; `out` is then unchanged.
    pub fn put(&self, out: &mut BytesMut) -> Result<(), FrameError> {
        let (kind, payload) = self.kind_and_payload();
        let length = checked_length(kind, payload.len())?;
        out.reserve(HEADER + payload.len());
        out.put_u8(kind);
        out.put_u32(length);
        out.put_slice(payload);
        Ok(())
    }
}

/// Takes the first whole frame out of `buffer`; `None` when more bytes are needed.
///
/// # Errors
/// As soon as the header is there: an unknown kind, or a length over the limit.
pub fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(&kind) = buffer.first() else { return Ok(None) };
    limit_of(kind)?;
    let Some(&length) = buffer.get(1..HEADER).and_then(|bytes| bytes.first_chunk::<4>()) else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    checked_length(kind, length)?;
    if buffer.len() - HEADER < length {
        return Ok(None);
    }
    buffer.advance(HEADER);
    let payload = buffer.split_to(length).freeze();
    Ok(Some(if kind == b'J' { Frame::Json(payload) } else { Frame::Audio(payload) }))
}

fn limit_of(kind: u8) -> Result<usize, FrameError> {
    match kind {
        b'J' => Ok(JSON_LIMIT),
        b'A' => Ok(AUDIO_LIMIT),
        other => Err(FrameError::Kind(other)),
    }
}

fn checked_length(kind: u8, length: usize) -> Result<u32, FrameError> {
    let limit = limit_of(kind)?;
    match u32::try_from(length) {
        Ok(short) if length <= limit => Ok(short),
        _ => Err(FrameError::TooLong { length, limit }),
    }
}

/// Writes a key as [`FrameReader::key`] reads it, without a copy of it.
///
/// # Errors
/// It is longer than [`KEY_LIMIT`], or the other end is gone.
pub async fn write_key(sink: &mut (impl AsyncWrite + Unpin), key: &[u8]) -> Result<(), FrameError> {
    let length = u32::try_from(key.len()).ok().filter(|_| key.len() <= KEY_LIMIT);
    let length = length.ok_or(FrameError::TooLong { length: key.len(), limit: KEY_LIMIT })?;
    sink.write_u8(b'K').await?;
    sink.write_u32(length).await?;
    sink.write_all(key).await?;
    Ok(sink.flush().await?)
}

/// Reads frames from a stream of bytes.
#[derive(Debug)]
pub struct FrameReader<R> {
    source: R,
    /// What was read and is not yet a whole frame; survives a dropped [`FrameReader::next`].
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `source`.
    pub fn new(source: R) -> Self {
        Self { source, buffer: BytesMut::new() }
    }

    /// Reads a key that was asked for, into memory that is wiped; no part of it comes into the buffer of frames.
    ///
    /// # Errors
    /// Something else has come, or more than [`KEY_LIMIT`].
    pub async fn key(&mut self) -> Result<Zeroizing<Vec<u8>>, FrameError> {
        // Who sends anything before he is asked would have it read into the buffer.
        if !self.buffer.is_empty() {
            return Err(FrameError::OutOfTurn);
        }
        let mut header = [0; HEADER];
        self.source.read_exact(&mut header).await?;
        let [kind, length @ ..] = header;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        match (kind, length) {
            (b'K', ..=KEY_LIMIT) => {}
            (b'K', _) => return Err(FrameError::TooLong { length, limit: KEY_LIMIT }),
            _ => return Err(FrameError::OutOfTurn),
        }
        let mut key = Zeroizing::new(vec![0; length]);
        self.source.read_exact(&mut key).await?;
        Ok(key)
    }

    /// The next frame; `None` when the other end has closed between two frames. Dropping the future loses no byte.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = take(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ_AT_LEAST);
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Truncated) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(frame: &Frame) -> BytesMut {
        let mut out = BytesMut::new();
        frame.put(&mut out).unwrap();
        out
    }

    #[test]
    fn a_frame_is_kind_length_payload() {
        assert_eq!(&bytes_of(&Frame::Json(Bytes::from_static(b"{}")))[..], b"J\0\0\0\x02{}");
        assert_eq!(&bytes_of(&Frame::Audio(Bytes::from_static(b"ab")))[..], b"A\0\0\0\x02ab");
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_before_the_payload_comes() {
        let mut buffer = BytesMut::from(&b"J\x00\x10\x00\x01"[..]);
        assert!(matches!(take(&mut buffer), Err(FrameError::TooLong { length: 1_048_577, limit: JSON_LIMIT })));
        let mut buffer = BytesMut::from(&b"A\x00\x01\x00\x01"[..]);
        assert!(matches!(take(&mut buffer), Err(FrameError::TooLong { limit: AUDIO_LIMIT, .. })));
    }

    #[test]
    fn an_unknown_kind_is_refused_at_its_first_byte() {
        assert!(matches!(take(&mut BytesMut::from(&b"G"[..])), Err(FrameError::Kind(b'G'))));
    }

    #[test]
    fn a_payload_over_the_limit_is_not_written() {
        let mut out = BytesMut::new();
        assert!(Frame::Audio(Bytes::from(vec![0; AUDIO_LIMIT + 1])).put(&mut out).is_err());
        assert!(out.is_empty());
    }

    #[tokio::test]
    async fn a_stream_that_ends_inside_a_frame_is_an_error_and_between_frames_an_end() {
        let mut reader = FrameReader::new(&b"J\0\0\0\x02{}A\0"[..]);
        assert_eq!(reader.next().await.unwrap(), Some(Frame::Json(Bytes::from_static(b"{}"))));
        assert!(matches!(reader.next().await, Err(FrameError::Truncated)));
        assert!(FrameReader::new(&b""[..]).next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_key_is_read_when_it_is_asked_for_and_never_as_a_frame() {
        let mut sent = Vec::new();
        write_key(&mut sent, b"1 abc\n").await.unwrap();
        assert_eq!(FrameReader::new(&sent[..]).key().await.unwrap().as_slice(), b"1 abc\n");
        assert!(matches!(FrameReader::new(&sent[..]).next().await, Err(FrameError::Kind(b'K'))));
        assert!(matches!(FrameReader::new(&b"J\0\0\0\x02{}"[..]).key().await, Err(FrameError::OutOfTurn)));
        assert!(matches!(FrameReader::new(&b"K\x7f\0\0\x02{}"[..]).key().await, Err(FrameError::TooLong { .. })));
        assert!(write_key(&mut Vec::new(), &[0; KEY_LIMIT + 1]).await.is_err());
        let mut early = FrameReader::new(&b"J\0\0\0\x02{}K\0\0\0\x01a"[..]);
        early.next().await.unwrap();
        assert!(matches!(early.key().await, Err(FrameError::OutOfTurn)), "it came before it was asked for");
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_an_error(bytes: Vec<u8>) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take(&mut buffer) {}
        }

        #[test]
        fn what_is_put_is_taken_whatever_the_pieces(payload: Vec<u8>, cut in 0usize..64) {
            let frame = Frame::Json(Bytes::from(payload));
            let whole = bytes_of(&frame);
            let (head, tail) = whole.split_at(cut.min(whole.len()));
            let mut buffer = BytesMut::from(head);
            if head.len() < whole.len() {
                prop_assert_eq!(take(&mut buffer).unwrap(), None);
                buffer.extend_from_slice(tail);
            }
            prop_assert_eq!(take(&mut buffer).unwrap(), Some(frame));
            prop_assert!(buffer.is_empty());
        }
    }
}
