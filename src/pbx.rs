//! Composition root: wires transport, media, calls, dialplan and control into a running server.
//!
//! [`Pbx::start`] takes everything it needs as [`Settings`] and reads nothing else, so a test is a `main`.

pub mod backend;
mod changes;
mod conferences;
mod console;
mod delivery;
mod evidence;
mod originate;
mod recordings;
pub mod selftest;
pub mod sources;
pub mod spool;
mod spy_words;
mod spying;
pub(crate) mod store;
pub mod talkers;
mod verbs;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    call::{Cause, Channel, Exchange, detail_record::Records, inbound, live::Order},
    config::{self, Config, SipTransport},
    control::{
        protocol::{Status, Stop},
        server::{self, Bound, Limits, SocketError},
    },
    dialplan::{Dialplan, Env, star_codes},
    evidence::{EvidenceError, Log},
    media::{Engine, MediaConfig, MediaError},
    sip::{Transport, stack::StackConfig, uri::Host},
    transport::{Arrival, Sip, TransportConfig, TransportError},
};

use self::{
    backend::Desk,
    sources::{LoadError, Loaded, Source},
    store::KeyKeeper,
};

/// How long calls may take to say goodbye when the server stops.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long recordings may take to be brought to the disk then.
const CLOSING: Duration = Duration::from_secs(30);
/// How often registrations are looked through.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Everything a server is started with.
pub struct Settings {
    /// Where configuration and dialplan are read again at each reload.
    pub source: Source,
    /// What was read from there.
    pub loaded: Loaded,
    /// Where detail records and generated passwords are kept.
    pub state: PathBuf,
    /// Where the control socket may be, best first.
    pub sockets: Vec<PathBuf>,
}

impl Settings {
    /// Reads `source` for a server with that state folder, and a control socket at the first of `sockets` that can be made.
    ///
    /// # Errors
    /// Configuration or dialplan are wrong.
    pub fn read(source: Source, state: PathBuf, sockets: Vec<PathBuf>) -> Result<Self, LoadError> {
        let loaded = source.read(&state)?;
        Ok(Self { source, loaded, state, sockets })
    }
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The control socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A SIP address.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The media threads.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The detail records.
    #[error("{}: cannot open the detail records: {source}", path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The log of supervision has no thread.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// A running server.
pub struct Pbx {
    house: Arc<House>,
    bound: Arc<Bound>,
    control: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    deliveries: JoinHandle<()>,
    close_control: watch::Sender<bool>,
    stop_wanted: mpsc::Receiver<Stop>,
}

/// What the parts of a running server share.
pub(crate) struct House {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) plan: ArcSwap<Dialplan>,
    pub(crate) env: Arc<Env>,
    pub(crate) keys: KeyKeeper,
    pub(crate) source: Source,
    pub(crate) state: PathBuf,
    pub(crate) files: ArcSwap<Vec<PathBuf>>,
    pub(crate) stop: mpsc::Sender<Stop>,
    /// Ends the run of deliveries that goes on.
    pub(crate) end_deliveries: crate::outbox::push::Stop,
    /// One reload at a time.
    pub(crate) reloading: tokio::sync::Mutex<()>,
}

impl Pbx {
    /// Starts a server; it serves until [`Self::shutdown`].
    ///
    /// # Errors
    /// Whatever is wrong with sockets or files, before anything is served.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let Loaded { config, plan, files, .. } = settings.loaded;
        let bound = Bound::first(&settings.sockets, config.control.group.as_deref())?;
        let records_file = settings.state.join(&config.records.file);
        let records =
            Records::open(&records_file).map_err(|source| StartError::Records { path: records_file, source })?;
        let evidence = Log::at(&settings.state.join(&config.supervision.log))?;
        // The writer says what is wrong; calls go on without supervision.
        let _ = evidence.check();
        let (sip, arrivals) = Sip::start(transport_config(&config)).await?;
        let media = Engine::start(media_config(&config))?;
        let (keys, store) = KeyKeeper::of(&config.astdb, &settings.state);
        let recordings = recordings::opened(&config, &settings.state);
        let surroundings = settings.source.surroundings((bound.path(), recordings.spool().folder()));
        let env = Arc::new(Env::new(&config, &plan).with_store(store).with_surroundings(surroundings));
        recordings::announced_by(&recordings, &env);
        let exchange = Arc::new(Exchange::new(sip, media, Arc::new(config), (records, evidence, recordings)));
        let (stop, stop_wanted) = mpsc::channel(4);
        let house = Arc::new(House {
            exchange,
            plan: ArcSwap::new(plan),
            env,
            keys,
            source: settings.source,
            state: settings.state,
            files: ArcSwap::from_pointee(files),
            stop,
            end_deliveries: crate::outbox::push::Stop::default(),
            reloading: tokio::sync::Mutex::new(()),
        });
        let tasks = house.spawn_tasks(arrivals);
        let deliveries = tokio::spawn(delivery::run(house.clone()));
        let bound = Arc::new(bound);
        let (close_control, closed) = watch::channel(false);
        let control = tokio::spawn(serve_control(bound.clone(), Arc::new(Desk::new(house.clone())), closed));
        Ok(Self { house, bound, control, tasks, deliveries, close_control, stop_wanted })
    }

    /// A real SIP address of this server.
    pub fn sip_addr(&self, transport: Transport) -> Option<SocketAddr> {
        self.house.exchange.sip.listening().iter().find(|(t, _)| *t == transport).map(|(_, address)| *address)
    }

    /// The control socket.
    pub fn control_path(&self) -> &Path {
        self.bound.path()
    }

    /// The same document as `pbx status --json`.
    pub fn status(&self) -> Status {
        self.house.status()
    }

    /// What the calls of this server share.
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.house.exchange
    }

    /// Reads configuration and dialplan again, as `pbx reload` does.
    ///
    /// # Errors
    /// They are wrong; nothing is changed.
    pub async fn reload(&self) -> Result<(), crate::control::protocol::Fault> {
        self.house.reload(Default::default()).await.map(|_| ())
    }

    /// Returns when somebody asked for a stop by the control socket, and has had what was asked for: a graceful one waits for
    /// the calls.
    pub async fn stop_requested(&mut self) {
        let Some(mut how) = self.stop_wanted.recv().await else { return };
        while how.graceful {
            self.house.exchange.close_door();
            let limit = how.timeout.unwrap_or(Duration::MAX);
            let idle = self.house.exchange.live.idle();
            tokio::select! {
                () = idle => return,
                () = tokio::time::sleep(limit) => return,
                // A later word, such as a stop at once, replaces the earlier one.
                next = self.stop_wanted.recv() => match next {
                    Some(next) => how = next,
                    None => return,
                },
            }
        }
    }

    /// Ends the server: live calls are told BYE first, then everything is given back.
    pub async fn shutdown(self) {
        let exchange = &self.house.exchange;
        exchange.close_door();
        for call in exchange.live.calls() {
            if let Some(leg) = call.legs().first() {
                let _ = leg.orders.try_send(Order::Hangup(Cause::NORMAL));
            }
        }
        let _ = tokio::time::timeout(GOODBYE, exchange.live.idle()).await;
        let whole = async {
            exchange.recordings.idle().await;
            exchange.all_recorded().await;
        };
        if tokio::time::timeout(CLOSING, whole).await.is_err() {
            tracing::error!("recordings are not closed: the next start finishes them");
        }
        self.house.end_deliveries.ask();
        let mut deliveries = self.deliveries;
        if tokio::time::timeout(GOODBYE, &mut deliveries).await.is_err() {
            deliveries.abort();
        }
        let _ = self.close_control.send(true);
        let _ = self.control.await;
        for task in &self.tasks {
            task.abort();
        }
        exchange.sip.clone().shutdown().await;
        exchange.media.shutdown();
        exchange.records.flush();
        exchange.evidence.close();
    }
}

impl House {
    fn spawn_tasks(self: &Arc<Self>, arrivals: mpsc::Receiver<Arrival>) -> Vec<JoinHandle<()>> {
        let (channels, incoming) = mpsc::channel(64);
        let exchange = self.exchange.clone();
        exchange.leads_to(channels.clone());
        vec![
            tokio::spawn(inbound::run(exchange.clone(), arrivals, channels)),
            tokio::spawn(self.clone().run_dialplans(incoming)),
            tokio::spawn(async move {
                let mut beat = tokio::time::interval(HOUSEKEEPING);
                loop {
                    beat.tick().await;
                    exchange.expire_registrations();
                }
            }),
        ]
    }

    /// Gives every incoming channel its own task, on the plan that is in force now and stays the channel's to its end.
    async fn run_dialplans(self: Arc<Self>, mut incoming: mpsc::Receiver<Channel>) {
        while let Some(channel) = incoming.recv().await {
            let (plan, env) = (self.plan.load_full(), self.env.clone());
            tokio::spawn(async move {
                star_codes::run(plan, env, channel).await.finish().await;
            });
        }
    }
}

async fn serve_control(bound: Arc<Bound>, desk: Arc<Desk>, mut closed: watch::Receiver<bool>) {
    let stop = async move {
        let _ = closed.wait_for(|closed| *closed).await;
    };
    server::run(&bound, desk, Limits::default(), stop).await;
}

fn transport_config(config: &Config) -> TransportConfig {
    let binds = config.sip.bind.iter().map(|bind| {
        let transport = match bind.transport {
            SipTransport::Udp => Transport::Udp,
            SipTransport::Tcp => Transport::Tcp,
        };
        (transport, bind.address)
    });
    let written = config.limits.requests_per_second_per_source;
    let trunks = config.trunks.values().flat_map(|trunk| trunk.matches.iter().cloned());
    let loopback = if written.is_none() { &["127.0.0.0/8", "::1/128"][..] } else { &[] };
    let this_machine = loopback.iter().filter_map(|text| text.parse().ok());
    TransportConfig {
        binds: binds.collect(),
        stack: StackConfig { advertise: config.sip.advertise.map(host_text), ..StackConfig::default() },
        requests_per_second_per_source: written.unwrap_or(config::Limits::USUAL_REQUESTS),
        unlimited: trunks.chain(this_machine).collect(),
        ..TransportConfig::default()
    }
}

/// An address as it stands in a URI: IPv6 in brackets.
fn host_text(address: std::net::IpAddr) -> String {
    Host::from(address).to_string()
}

fn media_config(config: &Config) -> MediaConfig {
    MediaConfig {
        bind: config.media.bind,
        ports: config.media.ports.clone(),
        rtp_timeout: config.media.rtp_timeout,
        ..MediaConfig::default()
    }
}
