//! The two talkers of `pbx demo`: a phone system of their own that registers, calls and answers like real phones, over
//! loopback SIP and RTP. Above: the demo command. Below: the same SIP, media and call rooms as the server's.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    audio::{file, prompts, resample},
    call::{
        CallerId, Cause, Channel, Exchange, Originate, Position,
        detail_record::Records,
        inbound, originate,
        recording::{Recordings, Spool},
    },
    config::{Config, Guests, Secret},
    evidence::{EvidenceError, Log},
    media::{Engine, MediaConfig, MediaError, Source},
    sip::{
        Hop, Transport, digest,
        header::{HeadersExt, NameAddr},
        message,
        uri::Uri,
    },
    transport::{Sip, TransportConfig, TransportError},
};

/// The number that the customer calls from.
pub const CUSTOMER: &str = "4178575309";
/// How long a registration is asked for, seconds; it is renewed at half of that.
const EXPIRES_S: u64 = 3600;

/// Why the talkers cannot talk.
#[derive(Debug, Error)]
pub enum TalkersError {
    /// Their log of supervision.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// No socket for their SIP.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// No media.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// No place for their records.
    #[error("{0}")]
    Folder(#[from] std::io::Error),
    /// An embedded sound is damaged.
    #[error("the built-in sound {0} cannot be played")]
    Sound(&'static str),
    /// The server did not let the agent in.
    #[error("the agent's phone could not register: status {0}")]
    Register(u16),
}

/// A running pair of talkers; dropping it hangs them up.
pub struct Talkers {
    exchange: Arc<Exchange>,
    tasks: Vec<JoinHandle<()>>,
    customer: Source,
}

impl Drop for Talkers {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Talkers {
    /// Starts both phones on a port of their own; nobody has called yet.
    ///
    /// # Errors
    /// No sockets, no folder, or a damaged program.
    pub async fn start(folder: &Path) -> Result<Self, TalkersError> {
        let transport = TransportConfig {
            binds: vec![(Transport::Udp, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))],
            ..TransportConfig::default()
        };
        let (sip, arrivals) = Sip::start(transport).await?;
        let media = Engine::start(MediaConfig {
            bind: Ipv4Addr::LOCALHOST.into(),
            ports: 30_000..=39_999,
            ..MediaConfig::default()
        })?;
        let mut config = Config::default();
        // Whoever reaches this port on this machine is the demo's own server.
        let everyone = "127.0.0.0/8".parse().map_err(|_| TalkersError::Sound("guests"))?;
        config.guests = Some(Guests { context: "agent".into(), from: vec![everyone] });
        let records = Records::open(&folder.join("talkers.jsonl"))?;
        let recordings = Recordings::new(Spool::at(folder.join("talkers-recordings")));
        let files = (records, Log::at(&folder.join("talkers-spy.log"))?, recordings);
        let exchange = Arc::new(Exchange::new(sip, media, Arc::new(config), files));
        let (channels, incoming) = mpsc::channel(4);
        let tasks = vec![
            tokio::spawn(inbound::run(exchange.clone(), arrivals, channels)),
            tokio::spawn(answer_calls(incoming, voice("demo/agent")?)),
        ];
        Ok(Self { exchange, tasks, customer: voice("demo/customer")? })
    }

    /// Where their SIP is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.exchange.sip.listening().first().map(|(_, address)| *address)
    }

    /// Registers the agent's phone as `user` at `server`, and keeps it registered.
    ///
    /// # Errors
    /// The server refused.
    pub async fn register(&mut self, server: SocketAddr, user: &str, password: Secret) -> Result<(), TalkersError> {
        let phone = Phone { exchange: self.exchange.clone(), server, user: user.into(), password };
        phone.register().await?;
        self.tasks.push(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(EXPIRES_S / 2)).await;
                if let Err(error) = phone.register().await {
                    tracing::warn!(%error, "demo");
                }
            }
        }));
        Ok(())
    }

    /// The customer calls `user` at `server` and talks until the call ends.
    ///
    /// # Errors
    /// Nobody answered: the cause.
    pub async fn call(&self, server: SocketAddr, user: &str) -> Result<JoinHandle<()>, Cause> {
        let wanted = Originate {
            endpoint: format!("SIP/{user}@{server}"),
            caller: CallerId { name: "Customer".into(), number: CUSTOMER.into() },
            timeout: Duration::from_secs(10),
            variables: Default::default(),
            origin: None,
            position: Position::default(),
        };
        let channel = originate(&self.exchange, wanted).await?;
        Ok(tokio::spawn(talk(channel, self.customer.clone())))
    }
}

/// The agent answers whoever calls.
async fn answer_calls(mut incoming: mpsc::Receiver<Channel>, voice: Source) {
    while let Some(mut channel) = incoming.recv().await {
        let voice = voice.clone();
        tokio::spawn(async move {
            if channel.answer().await.is_ok() {
                talk(channel, voice).await;
            }
        });
    }
}

async fn talk(mut channel: Channel, voice: Source) {
    // The voice repeats, so this ends when the phone at the other end hangs up.
    let _ = channel.play(voice).await;
    channel.finish().await;
}

fn voice(name: &'static str) -> Result<Source, TalkersError> {
    let bytes = prompts::find(name).ok_or(TalkersError::Sound(name))?;
    let sound = file::decode(bytes).map_err(|_| TalkersError::Sound(name))?;
    let samples = resample::to_8khz(&sound.samples, sound.rate_hz).map_err(|_| TalkersError::Sound(name))?;
    Ok(Source::Samples { rate_hz: 8000, samples: samples.into(), repeat: true })
}

/// The agent's phone, as far as registration goes.
struct Phone {
    exchange: Arc<Exchange>,
    server: SocketAddr,
    user: String,
    password: Secret,
}

impl Phone {
    /// One REGISTER, and a second one that answers the challenge (RFC 3261 §10.2, §22.2).
    async fn register(&self) -> Result<(), TalkersError> {
        let sip = &self.exchange.sip;
        let hop = sip.local_for(Transport::Udp, self.server).ok_or(TalkersError::Register(503))?;
        let first = sip.request(hop, self.request(&hop, None)).await;
        let status = first.status_code.code();
        if status != 401 {
            return if status == 200 { Ok(()) } else { Err(TalkersError::Register(status)) };
        }
        let uri = self.registrar().to_string();
        let challenge = first.headers.lines("WWW-Authenticate").next().unwrap_or_default().to_owned();
        let cnonce = uuid::Uuid::new_v4().simple().to_string();
        let answer = digest::answer(&challenge, "REGISTER", &uri, &self.user, &self.password, 1, &cnonce)
            .ok_or(TalkersError::Register(401))?;
        let second = sip.request(hop, self.request(&hop, Some(answer))).await;
        match second.status_code.code() {
            200 => Ok(()),
            status => Err(TalkersError::Register(status)),
        }
    }

    fn registrar(&self) -> Uri {
        Uri::sip(None, self.server.ip().into(), Some(self.server.port()))
    }

    fn request(&self, hop: &Hop, authorization: Option<String>) -> rsip::Request {
        static CSEQ: AtomicU64 = AtomicU64::new(1);
        let me = NameAddr::new(Uri::sip(Some(&self.user), self.server.ip().into(), Some(self.server.port())));
        let contact = Uri::sip(Some(&self.user), hop.local.ip().into(), Some(hop.local.port()));
        let mut headers = vec![
            ("To", me.to_string()),
            ("From", me.with_tag(&uuid::Uuid::new_v4().simple().to_string()).to_string()),
            ("Call-ID", format!("demo-{}", std::process::id())),
            ("CSeq", format!("{} REGISTER", CSEQ.fetch_add(1, Ordering::Relaxed))),
            ("Max-Forwards", "70".into()),
            ("Contact", format!("<{contact}>;expires={EXPIRES_S}")),
        ];
        if let Some(authorization) = authorization {
            headers.push(("Authorization", authorization));
        }
        message::request(rsip::Method::Register, &self.registrar(), &headers)
    }
}
