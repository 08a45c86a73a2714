//! The client's end of the control socket, local or through another program's standard streams.
//! Above: `cli` and the listening post. Every method is one request; [`Client::stream`] and [`Client::spy`] take the connection over.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::frame::{Frame, FrameError, FrameReader, write_key};
use super::protocol::{Body, Fault, FaultCode, Reply, Request, SpyFacts, SpyRequest, StoreKey, Unlock, method};
use super::supervision::{
    Hear, HearChange, HeardFrame, Mode, ModeChange, Party, SpyEnd, SpyWord, VoiceFrame, heard_frame, voice_bytes,
};

type Source = Box<dyn AsyncRead + Send + Unpin>;
type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// Frames that may wait for a slow server before voice is left out.
const OUTGOING: usize = 32;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No server listens there.
    #[error("{}: {}", .path.display(), why_unreachable(.source))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The server refused.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It did not answer in time.
    #[error("the server has not answered for {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It closed the connection.
    #[error("the server has closed the connection")]
    Closed,
    /// It speaks something else.
    #[error("the server's answer is not understood: {0}")]
    Garbled(String),
    /// The socket failed.
    #[error("control socket: {0}")]
    Io(#[from] io::Error),
}

fn why_unreachable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no server runs (there is no such socket)".into(),
        io::ErrorKind::ConnectionRefused => "no server runs (the one that made this socket is gone)".into(),
        io::ErrorKind::PermissionDenied => "this account may not open the control socket".into(),
        _ => format!("no server answers: {error}"),
    }
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => Self::Io(error),
            FrameError::Truncated => Self::Closed,
            other => Self::Garbled(other.to_string()),
        }
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Fault(fault) => fault,
            ClientError::Unreachable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Self::new(FaultCode::Denied, message)
                    .hint("ask for membership of the group `control.group` names in pbx.toml")
            }
            ClientError::Unreachable { .. } => Self::new(FaultCode::Unreachable, message)
                .hint("start one with `pbx run` or `pbx demo`, or name its socket with --socket"),
            ClientError::TimedOut(_) | ClientError::Closed | ClientError::Io(_) => {
                Self::new(FaultCode::Unreachable, message)
            }
            ClientError::Garbled(_) => Self::new(FaultCode::Failure, message).hint("is it of the same version?"),
        }
    }
}

/// A connection to a server.
pub struct Client {
    reader: FrameReader<Source>,
    sink: Sink,
    last_id: u64,
}

impl Client {
    /// Connects to a local server.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`].
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|source| ClientError::Unreachable { path: path.to_path_buf(), source })?;
        let (reader, writer) = stream.into_split();
        Ok(Self::over(reader, writer))
    }

    /// Speaks over any pair of streams: the standard streams of `ssh box pbx stdio`.
    pub fn over(
        source: impl AsyncRead + Send + Unpin + 'static,
        sink: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self { reader: FrameReader::new(Box::new(source)), sink: Box::new(sink), last_id: 0 }
    }

    /// One question, one answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn request<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<T, ClientError> {
        let id = self.send(method, params).await?;
        match self.reply(id).await? {
            Body::Result(result) => typed(result),
            other => Err(unexpected(&other)),
        }
    }

    /// One question, a list.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Vec<T>, ClientError> {
        let id = self.send(method, params).await?;
        let mut items = Vec::new();
        loop {
            match self.reply(id).await? {
                Body::Event(item) => items.push(typed(item)?),
                Body::End(_) => return Ok(items),
                other @ Body::Result(_) => return Err(unexpected(&other)),
                Body::Error(fault) => return Err(fault.into()),
            }
        }
    }

    /// One question, events as they come.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stream(mut self, method: &str, params: &impl Serialize) -> Result<Stream, ClientError> {
        let id = self.send(method, params).await?;
        Ok(Stream { client: self, id })
    }

    /// Gives the server the key of its store, for a while.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn unlock(&mut self, how: &Unlock, key: &[u8]) -> Result<StoreKey, ClientError> {
        let id = self.send(method::STORE_UNLOCK, how).await?;
        match self.reply(id).await? {
            Body::Event(_) => write_key(&mut self.sink, key).await?,
            other => return Err(unexpected(&other)),
        }
        match self.reply(id).await? {
            Body::Result(state) => typed(state),
            other => Err(unexpected(&other)),
        }
    }

    /// One question, and `each` item of its list as it comes; `each` may end it, and with it the connection's use.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn each<T: DeserializeOwned>(
        &mut self,
        (method, params): (&str, &impl Serialize),
        each: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let id = self.send(method, params).await?;
        loop {
            match self.reply(id).await? {
                Body::Event(item) => {
                    if each(typed(item)?).is_break() {
                        return Ok(());
                    }
                }
                Body::End(_) => return Ok(()),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Attaches to a call.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn spy(mut self, request: &SpyRequest) -> Result<SpyLink, ClientError> {
        let facts = self.request(method::SPY, request).await?;
        let (outgoing, waiting) = mpsc::channel(OUTGOING);
        tokio::spawn(write_all(self.sink, waiting));
        Ok(SpyLink {
            facts,
            incoming: SpyIncoming { reader: self.reader, id: self.last_id },
            outgoing: SpyOutgoing { frames: outgoing, last_id: self.last_id },
        })
    }

    /// Waits for the server to close the connection: after a stop, until it is gone.
    pub async fn closed(&mut self) {
        while let Ok(Some(_)) = self.reader.next().await {}
    }

    async fn send(&mut self, method: &str, params: &impl Serialize) -> Result<u64, ClientError> {
        self.last_id += 1;
        let frame = request_frame(self.last_id, method, params)?;
        let mut out = BytesMut::new();
        frame.put(&mut out)?;
        match self.write(&out).await {
            Ok(()) => Ok(self.last_id),
            // A server that is full says so and closes before it is asked.
            Err(error) => match self.reply(0).await {
                Err(refused @ ClientError::Fault(_)) => Err(refused),
                _ => Err(error.into()),
            },
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.write_all(bytes).await?;
        self.sink.flush().await
    }

    /// The next word about request `id`; errors of the server become ours.
    async fn reply(&mut self, id: u64) -> Result<Body, ClientError> {
        loop {
            match self.reader.next().await? {
                None => return Err(ClientError::Closed),
                Some(Frame::Audio(_)) => {}
                Some(Frame::Json(payload)) => match parse(&payload)? {
                    Reply { id: of, body: Body::Error(fault) } if of == id || of == 0 => return Err(fault.into()),
                    Reply { id: of, body } if of == id => return Ok(body),
                    _ => {}
                },
            }
        }
    }
}

/// Events of a stream.
pub struct Stream {
    client: Client,
    id: u64,
}

impl Stream {
    /// The next event; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        match self.client.reply(self.id).await? {
            Body::Event(event) => typed(event).map(Some),
            Body::End(_) => Ok(None),
            other => Err(unexpected(&other)),
        }
    }
}

/// A running spy session: what comes and what goes may live in different tasks. Dropping both ends the session.
pub struct SpyLink {
    /// The session as it began.
    pub facts: SpyFacts,
    /// What the server sends.
    pub incoming: SpyIncoming,
    /// What the supervisor says and wants.
    pub outgoing: SpyOutgoing,
}

/// What the server sends in a spy session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpyEvent {
    /// 20 ms of both parties and the other supervisors; these come at the call's pace, so they are a clock too.
    Heard(Box<HeardFrame>),
    /// The session after a change that was asked for.
    Changed(Box<SpyFacts>),
    /// Other parties, another state or mode, without anybody's asking.
    Facts(Box<SpyFacts>),
    /// A change that was refused; the session goes on as before.
    Refused(Fault),
    /// The session is over.
    Ended(SpyEnd),
}

/// The receiving end of a spy session.
pub struct SpyIncoming {
    reader: FrameReader<Source>,
    /// The request that began the session.
    id: u64,
}

impl SpyIncoming {
    /// The next event. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the server is gone.
    pub async fn next(&mut self) -> Result<SpyEvent, ClientError> {
        loop {
            let payload = match self.reader.next().await? {
                None => return Err(ClientError::Closed),
                Some(Frame::Json(payload)) => payload,
                Some(Frame::Audio(bytes)) => {
                    let frame = heard_frame(&bytes)
                        .ok_or_else(|| ClientError::Garbled(format!("{} bytes of audio", bytes.len())))?;
                    return Ok(SpyEvent::Heard(Box::new(frame)));
                }
            };
            match parse(&payload)? {
                Reply { body: Body::Event(word), id } if id == self.id => {
                    return Ok(match typed(word)? {
                        SpyWord::Facts(facts) => SpyEvent::Facts(facts),
                        SpyWord::Ended(end) => SpyEvent::Ended(end),
                    });
                }
                Reply { body: Body::Result(facts), .. } => return Ok(SpyEvent::Changed(Box::new(typed(facts)?))),
                Reply { body: Body::Error(fault), .. } => return Ok(SpyEvent::Refused(fault)),
                Reply { .. } => {}
            }
        }
    }
}

/// The sending end of a spy session. Nothing here waits: a server that does not read loses voice, not the caller's time.
pub struct SpyOutgoing {
    frames: mpsc::Sender<Frame>,
    last_id: u64,
}

impl SpyOutgoing {
    /// Says 20 ms; whether there was room for it.
    pub fn say(&self, frame: &VoiceFrame) -> bool {
        self.frames.try_send(Frame::Audio(Bytes::from(voice_bytes(frame)))).is_ok()
    }

    /// Asks for another mode; the answer is a [`SpyEvent`].
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the server does not read.
    pub fn set_mode(&mut self, mode: Mode, to: Option<Party>) -> Result<(), ClientError> {
        self.ask(method::SPY_MODE, &ModeChange { mode, to })
    }

    /// Asks for other sides; the answer is a [`SpyEvent`].
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the server does not read.
    pub fn set_hear(&mut self, hear: Hear) -> Result<(), ClientError> {
        self.ask(method::SPY_HEAR, &HearChange { hear })
    }

    /// Goes on to the next call; the answer is a [`SpyEvent`].
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the server does not read.
    pub fn next_call(&mut self) -> Result<(), ClientError> {
        self.ask(method::SPY_NEXT, &Value::Object(Default::default()))
    }

    fn ask(&mut self, method: &str, params: &impl Serialize) -> Result<(), ClientError> {
        self.last_id += 1;
        let frame = request_frame(self.last_id, method, params)?;
        self.frames.try_send(frame).map_err(|_| ClientError::Closed)
    }
}

async fn write_all(mut sink: Sink, mut waiting: mpsc::Receiver<Frame>) {
    let mut out = BytesMut::new();
    while let Some(frame) = waiting.recv().await {
        out.clear();
        if frame.put(&mut out).is_err() || sink.write_all(&out).await.is_err() || sink.flush().await.is_err() {
            return;
        }
    }
    let _ = sink.shutdown().await;
}

fn request_frame(id: u64, method: &str, params: &impl Serialize) -> Result<Frame, ClientError> {
    let garbled = |error: serde_json::Error| ClientError::Garbled(error.to_string());
    let params = serde_json::to_value(params).map_err(garbled)?;
    let request = Request { id, method: method.to_owned(), params };
    Ok(Frame::Json(Bytes::from(serde_json::to_vec(&request).map_err(garbled)?)))
}

fn parse(payload: &[u8]) -> Result<Reply, ClientError> {
    serde_json::from_slice(payload).map_err(|error| ClientError::Garbled(error.to_string()))
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ClientError> {
    serde_json::from_value(value).map_err(|error| ClientError::Garbled(error.to_string()))
}

fn unexpected(body: &Body) -> ClientError {
    let form = match body {
        Body::Result(_) => "a single result",
        Body::Error(_) => "an error",
        Body::Event(_) => "an event",
        Body::End(_) => "an end",
    };
    ClientError::Garbled(format!("{form} where none belongs"))
}
