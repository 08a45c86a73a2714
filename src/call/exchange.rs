//! What every call shares: the handles to SIP, media, settings, registrations, live calls, journal and records.
//! Above: `pbx` makes one. Below: `inbound`, `dial`, `supervision` work on it.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};

use crate::{
    call::{
        cause::Cause,
        channel::Channel,
        detail_record::Records,
        device::DeviceState,
        groups::Groups,
        journal::Journal,
        live::{CallFacts, Live, Order},
        login::Doorkeeper,
        recording::Recordings,
        room::Rooms,
        supervision::Spies,
        trace::Traces,
    },
    config::Config,
    evidence::Log,
    media::Engine,
    sip::{
        Hop,
        registrar::{self, Registrar},
    },
    transport::Sip,
};

/// The handles that all calls share.
pub struct Exchange {
    /// The SIP task.
    pub sip: Sip,
    /// The media threads.
    pub media: Engine,
    /// The settings in force; a call keeps reading the newest.
    pub settings: ArcSwap<Config>,
    /// Who is registered where.
    pub registrar: Mutex<Registrar>,
    /// Who may come in.
    pub doorkeeper: Mutex<Doorkeeper>,
    /// The live calls.
    pub live: Live,
    /// The conference rooms.
    pub rooms: Rooms,
    /// What happened.
    pub journal: Journal,
    /// Detail records.
    pub records: Records,
    /// The recordings.
    pub recordings: Recordings,
    /// Calls whose records wait for their numbers and recordings.
    pub(super) unrecorded: watch::Sender<usize>,
    /// The log of supervision: [`Log::append`] before anything is heard.
    pub evidence: Log,
    /// Who wants to follow calls that are yet to come.
    pub traces: Traces,
    /// Who supervises.
    pub spies: Spies,
    /// Counts reloads; supervision rights are asked again at each.
    pub reloads: watch::Sender<u64>,
    /// Which channels belong together.
    pub groups: Groups,
    /// States of custom devices, by name in lower case.
    custom_devices: Mutex<HashMap<String, DeviceState>>,
    /// Channels that begin here go to the dialplan by the way that those from outside go.
    incoming: OnceLock<mpsc::Sender<Channel>>,
    /// When this server started.
    pub began: Instant,
    closing: AtomicBool,
}

/// Whom a soft hang-up is for.
#[derive(Clone, Copy, Debug)]
pub enum SoftHangup<'a> {
    /// The channel of that name, any case.
    Channel(&'a str),
    /// All channels of a device: `SIP/1001`, `SIP/host`, `Local/700@internal`.
    Device(&'a str),
}

impl Exchange {
    /// Puts the handles together; `files` are the detail records, the log of supervision and the recordings.
    pub fn new(sip: Sip, media: Engine, settings: Arc<Config>, files: (Records, Log, Recordings)) -> Self {
        let (records, evidence, recordings) = files;
        let realm = settings.sip.realm.clone();
        Self {
            sip,
            media,
            settings: ArcSwap::new(settings),
            registrar: Mutex::new(Registrar::new(registrar::Limits::default())),
            doorkeeper: Mutex::new(Doorkeeper::new(&realm)),
            live: Live::default(),
            rooms: Rooms::default(),
            journal: Journal::default(),
            records,
            recordings,
            unrecorded: watch::Sender::new(0),
            evidence,
            traces: Traces::default(),
            spies: Spies::default(),
            reloads: watch::Sender::new(0),
            groups: Groups::default(),
            custom_devices: Mutex::default(),
            incoming: OnceLock::new(),
            began: Instant::now(),
            closing: AtomicBool::new(false),
        }
    }

    /// Where channels go to run their dialplan; told once.
    pub fn leads_to(&self, incoming: mpsc::Sender<Channel>) {
        let _ = self.incoming.set(incoming);
    }

    /// A call is over, and no record will ask for its recordings any more.
    pub(super) fn forgets(&self, call: &CallFacts) {
        self.live.end(call);
        drop(self.recordings.take_call(&call.uuid));
    }

    /// Gives a channel to the dialplan; where there is none, it ends.
    pub(super) fn hand_over(&self, channel: Channel) {
        let Some(incoming) = self.incoming.get().cloned() else { return };
        if let Err(mpsc::error::TrySendError::Full(channel)) = incoming.try_send(channel) {
            tokio::spawn(async move { incoming.send(channel).await });
        }
    }

    /// From now on new calls are refused with 503.
    pub fn close_door(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Returns when the records of all calls that ended are on their way to the disk.
    pub async fn all_recorded(&self) {
        // The sender lives as long as this does.
        let _ = self.unrecorded.subscribe().wait_for(|waiting| *waiting == 0).await;
    }

    /// No new calls are taken.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(super) fn custom_devices(&self) -> MutexGuard<'_, HashMap<String, DeviceState>> {
        self.custom_devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a channel by its name, or all channels of a device, to end: how many were asked (S212).
    pub fn soft_hangup(&self, whom: &SoftHangup<'_>) -> usize {
        let legs = match *whom {
            SoftHangup::Channel(name) => self.live.named(name).into_iter().collect(),
            SoftHangup::Device(device) => self.live.legs_of_device(device),
        };
        legs.iter().filter(|leg| leg.orders.try_send(Order::Hangup(Cause::NORMAL)).is_ok()).count()
    }

    /// The registrations, whatever a panicked holder left.
    pub fn registrar(&self) -> MutexGuard<'_, Registrar> {
        self.registrar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The doorkeeper, whatever a panicked holder left.
    pub fn doorkeeper(&self) -> MutexGuard<'_, Doorkeeper> {
        self.doorkeeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address that peers on `hop` should send media to: the advertised one, else where the port is bound, else (bound to
    /// every address) where the peer's SIP reaches us.
    pub fn media_address(&self, bound: SocketAddr, hop: &Hop) -> IpAddr {
        let advertised = self.settings.load().sip.advertise.filter(|ip| ip.is_ipv4() == hop.remote.is_ipv4());
        match advertised {
            Some(ip) if !hop.remote.ip().is_loopback() => ip,
            _ if bound.ip().is_unspecified() => hop.local.ip(),
            _ => bound.ip(),
        }
    }

    /// The address and port that peers on `hop` reach our SIP at.
    pub fn contact_address(&self, hop: &Hop) -> SocketAddr {
        let advertised = self.settings.load().sip.advertise.filter(|ip| ip.is_ipv4() == hop.remote.is_ipv4());
        let listening = self.sip.listening().iter().find(|(transport, address)| {
            *transport == hop.transport && (address.ip() == hop.local.ip() || address.ip().is_unspecified())
        });
        let port = listening.map_or(hop.local.port(), |(_, address)| address.port());
        match advertised {
            Some(ip) if !hop.remote.ip().is_loopback() => SocketAddr::new(ip, port),
            _ => SocketAddr::new(hop.local.ip(), port),
        }
    }
}
