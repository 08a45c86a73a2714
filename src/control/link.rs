//! The server's end of one client: frames in, replies out, each wait bounded.
//! Above: `server` (one request after another) and its spy sessions. A client that reads nothing for a while is dropped here.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::frame::{Frame, FrameError, FrameReader};
use super::protocol::{Body, Fault, FaultCode, Reply, Request};

/// Replies are gathered up to so many bytes before they are written.
const GATHER: usize = 64 * 1024;
/// What the kernel may hold for a spy: over a second of audio, so that a stalled terminal is not heard minutes later.
const SPY_SEND_BUFFER: usize = 64 * 1024;

/// Why a client is let go of.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The other end is gone.
    #[error("the client has left")]
    Gone,
    /// It did not read what it asked for.
    #[error("the client does not read")]
    Stalled,
    /// It speaks something else.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It asked for more than one thing can hold.
    #[error("the client sent what does not belong here: {0}")]
    Misuse(&'static str),
}

pub(super) struct Link {
    pub(super) reader: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    out: BytesMut,
    stall: Duration,
}

impl Link {
    pub(super) fn new(stream: UnixStream, stall: Duration) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: FrameReader::new(reader), writer, out: BytesMut::new(), stall }
    }

    /// Adds a reply; it goes out with [`Link::flush`].
    pub(super) async fn put(&mut self, id: u64, body: Body) -> Result<(), LinkError> {
        let frame = json_frame(&Reply { id, body });
        if frame.put(&mut self.out).is_err() {
            let fault = Fault::new(FaultCode::Failure, "the answer is too long for the control socket");
            json_frame(&Reply { id, body: Body::Error(fault) }).put(&mut self.out)?;
        }
        if self.out.len() >= GATHER { self.flush().await } else { Ok(()) }
    }

    /// Adds a frame of audio.
    pub(super) fn put_audio(&mut self, bytes: Vec<u8>) -> Result<(), LinkError> {
        Ok(Frame::Audio(Bytes::from(bytes)).put(&mut self.out)?)
    }

    /// Writes what was gathered.
    pub(super) async fn flush(&mut self) -> Result<(), LinkError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = tokio::time::timeout(self.stall, self.writer.write_all(&self.out)).await;
        self.out.clear();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(LinkError::Gone),
            Err(_) => Err(LinkError::Stalled),
        }
    }

    pub(super) async fn answer(&mut self, id: u64, answer: Result<Value, Fault>) -> Result<(), LinkError> {
        self.put(id, answer.map_or_else(Body::Error, Body::Result)).await?;
        self.flush().await
    }

    pub(super) async fn list<T: Serialize>(&mut self, id: u64, items: Vec<T>) -> Result<(), LinkError> {
        for item in items {
            self.put(id, Body::Event(to_value(&item))).await?;
        }
        self.put(id, Body::End(true)).await?;
        self.flush().await
    }

    /// Keeps the kernel from hoarding audio for a client that does not play it.
    pub(super) fn keep_short(&self) {
        let stream: &UnixStream = self.writer.as_ref();
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(stream, SPY_SEND_BUFFER);
    }
}

fn json_frame(reply: &Reply) -> Frame {
    Frame::Json(Bytes::from(serde_json::to_vec(reply).unwrap_or_default()))
}

/// Our own types always have a JSON form; a foreign one that has none is `null`.
pub(super) fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

pub(super) fn request_of(payload: &[u8]) -> Result<Request, Fault> {
    serde_json::from_slice(payload).map_err(|error| Fault::new(FaultCode::Usage, format!("not a request: {error}")))
}

pub(super) fn params_of<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let params = if request.params.is_null() { Value::Object(serde_json::Map::new()) } else { request.params };
    serde_json::from_value(params)
        .map_err(|error| Fault::new(FaultCode::Usage, format!("parameters of `{}`: {error}", request.method)))
}
