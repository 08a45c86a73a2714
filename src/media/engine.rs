//! The handle to the media threads: opens ports, sends commands, reads their numbers.
//! Above: `call`, `pbx.rs`. Below: `shard`, one for each thread. A command never waits for a tick.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use super::board::Settings;
use super::clock::Moment;
use super::command::{Command, Event, PortId, RoomId, Source, TapId};
use super::copies::{Copies, Provided};
use super::numbers::Numbers;
use super::port::{Port, Seed};
use super::recording::Watcher;
use super::report::Epoch;
use super::setup::{MediaConfig, MediaError, OpenPort};
use super::shard::{Order, Shard};
use super::socket::Pair;
use super::stats::{self, EngineStats, PortStats, ShardStats};
use crate::audio::frame::RATE_HZ;
use crate::audio::resample;

/// Orders waiting for a thread at most; then senders wait for it.
const QUEUE: usize = 4_096;
/// How long a thread may take to hand a port over.
const HANDOVER: Duration = Duration::from_secs(1);
/// Seconds from 1900, where report clocks begin, to 1970 (RFC 868).
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// The media threads. Clones are handles to the same ones; they end with the last handle, or with `shutdown`.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: MediaConfig,
    numbers: Arc<Numbers>,
    shards: Vec<Handle>,
    /// Never taken by a media thread.
    homes: Mutex<Homes>,
    next_id: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// On which thread each port and tap is.
#[derive(Debug, Default)]
struct Homes {
    ports: HashMap<PortId, usize>,
    taps: HashMap<TapId, usize>,
    /// The ring for the copies of recordings that each thread has.
    rings: HashMap<usize, Option<Provided>>,
}

#[derive(Debug)]
struct Handle {
    orders: SyncSender<Order>,
    doorbell: Arc<OwnedFd>,
    /// The doorbell was rung, and the thread has not yet come to look.
    rung: Arc<AtomicBool>,
    stats: Arc<ShardStats>,
}

impl Engine {
    /// Starts the threads `media-0`, `media-1`, ….
    ///
    /// # Errors
    ///
    /// [`MediaError::NoRange`] when no pair of ports fits, [`MediaError::Start`] when the system refuses a thread.
    pub fn start(config: MediaConfig) -> Result<Self, MediaError> {
        let (first, last) = (*config.ports.start(), *config.ports.end());
        let numbers = Numbers::new(&config.ports).ok_or(MediaError::NoRange { first, last })?;
        let (mut shards, mut threads) = (Vec::new(), Vec::new());
        for number in 0..config.threads.max(1) {
            let settings = Settings {
                rtp_timeout: config.rtp_timeout,
                rtcp_interval: config.rtcp_interval,
                epoch: epoch(),
                dice: random_u64()? | 1,
            };
            let (orders, inbox) = sync_channel(QUEUE);
            let shard = Shard::new(inbox, settings, config.drain).map_err(MediaError::Start)?;
            shards.push(Handle { orders, doorbell: shard.doorbell(), rung: shard.rung(), stats: shard.stats() });
            let thread = std::thread::Builder::new().name(format!("media-{number}"));
            threads.push(thread.spawn(move || shard.run()).map_err(MediaError::Start)?);
        }
        let inner = Inner {
            config,
            numbers: Arc::new(numbers),
            shards,
            homes: Mutex::default(),
            next_id: AtomicU64::new(1),
            threads: Mutex::new(threads),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Binds an even RTP port and the RTCP port above it; taken ones are skipped. `near` puts it on that port's thread.
    ///
    /// # Errors
    ///
    /// [`MediaError`] when no port is left, the address cannot be bound, or the engine has ended.
    pub fn open(&self, near: Option<PortId>, events: mpsc::Sender<Event>) -> Result<OpenPort, MediaError> {
        let inner = &self.inner;
        let mut random = [0; 30];
        getrandom::fill(&mut random).map_err(MediaError::Random)?;
        let [p0, p1, p2, p3, p4, p5, p6, p7, seed @ ..] = random;
        let pair = inner.bind(u64::from_ne_bytes([p0, p1, p2, p3, p4, p5, p6, p7]))?;
        let id = PortId(inner.next_id.fetch_add(1, Ordering::Relaxed));
        let rtp = SocketAddr::new(inner.config.bind, pair.number());
        let port = Box::new(Port::new(id, events, Seed(seed)));
        let mut homes = inner.homes();
        let home = near.and_then(|near| homes.ports.get(&near).copied()).unwrap_or(id.0 as usize % inner.shards.len());
        homes.ports.insert(id, home);
        drop(homes);
        if !inner.order_later(home, Order::Adopt(port, Box::new(pair))) {
            return Err(MediaError::Ended);
        }
        Ok(OpenPort { id, rtp })
    }

    /// Gives a command to the thread it concerns. A command about what is gone does nothing.
    pub fn send(&self, command: Command) {
        let inner = &self.inner;
        let command = at_8khz(command);
        let mut homes = inner.homes();
        let is_ready = match &command {
            Command::Join { a, b } => inner.bring_together(&mut homes, *a, *b),
            Command::EnterRoom { room, port, .. } => inner.bring(&mut homes, *port, inner.home_of(*room)),
            Command::MoveTap { tap, left, right } => inner.bring_tap(&mut homes, *tap, [*left, *right]),
            _ => true,
        };
        if !is_ready {
            return;
        }
        let home = match (&command, port_of(&command)) {
            (Command::PlayToRoom { room, .. }, _) => Some(inner.home_of(*room)),
            (Command::Attach { tap, left, right, .. } | Command::Record { tap, left, right, .. }, _) => {
                Some(inner.house(&mut homes, *tap, [*left, *right]))
            }
            (Command::MoveTap { tap, .. } | Command::SetTap { tap, .. }, _) => homes.taps.get(tap).copied(),
            (Command::Detach { tap }, _) => homes.taps.remove(tap),
            (Command::Close { port }, _) => homes.ports.remove(port),
            (_, port) => port.and_then(|port| homes.ports.get(&port).copied()),
        };
        if let (Some(home), Command::Record { copies, .. }) = (home, &command) {
            inner.provide(&mut homes, home, copies);
        }
        drop(homes);
        if let Some(home) = home {
            inner.order(home, Order::Obey(command));
        }
    }

    /// What a port has seen so far; `None` when it is gone.
    pub async fn port_stats(&self, port: PortId) -> Option<PortStats> {
        let (reply, stats) = oneshot::channel();
        self.send(Command::Measure { port, reply });
        stats.await.ok()
    }

    /// How the threads fare. Counts are up to 25 ms old.
    pub fn stats(&self) -> EngineStats {
        let shards: Vec<&ShardStats> = self.inner.shards.iter().map(|shard| &*shard.stats).collect();
        stats::total(&shards)
    }

    /// Closes all ports and waits for the threads to end.
    pub fn shutdown(&self) {
        self.inner.stop();
    }
}

impl Handle {
    fn ring(&self) {
        // One ring is enough for all orders that the thread has not seen yet.
        if !self.rung.swap(true, Ordering::AcqRel) {
            // A full counter means the bell is ringing already.
            let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
        }
    }
}

impl Inner {
    fn homes(&self) -> MutexGuard<'_, Homes> {
        // The maps are whole between any two statements, so a panic elsewhere does not spoil them.
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds a free pair of ports, begun at a random one.
    fn bind(&self, random: u64) -> Result<Pair, MediaError> {
        let bind = self.config.bind;
        for number in self.numbers.take_from(random) {
            match Pair::bind(bind, number, &self.numbers) {
                Ok(pair) => return Ok(pair),
                Err(source) => {
                    self.numbers.give_back(number);
                    if source.kind() != std::io::ErrorKind::AddrInUse {
                        return Err(MediaError::Bind { address: SocketAddr::new(bind, number), source });
                    }
                }
            }
        }
        let (first, last) = (*self.config.ports.start(), *self.config.ports.end());
        Err(MediaError::NoPortLeft { bind, first, last })
    }

    /// Moves port `b` to the thread of `a`; `false` when either is gone.
    fn bring_together(&self, homes: &mut Homes, a: PortId, b: PortId) -> bool {
        let Some(&to) = homes.ports.get(&a) else { return false };
        self.bring(homes, b, to)
    }

    /// Moves a port to a thread; `false` when it is gone.
    fn bring(&self, homes: &mut Homes, port: PortId, to: usize) -> bool {
        let Some(&from) = homes.ports.get(&port) else { return false };
        if to == from {
            return true;
        }
        let (reply, released) = sync_channel(1);
        if !self.order(from, Order::Release(port, reply)) {
            return false;
        }
        let Ok(Some((belongings, pair))) = released.recv_timeout(HANDOVER) else { return false };
        homes.ports.insert(port, to);
        self.order(to, Order::Adopt(belongings, pair))
    }

    /// Moves a tap to the thread of its ports, if they are on any; `false` when it is gone.
    fn bring_tap(&self, homes: &mut Homes, tap: TapId, ports: [Option<PortId>; 2]) -> bool {
        let Some(&from) = homes.taps.get(&tap) else { return false };
        let to = homes.of_ports(ports).unwrap_or(from);
        if to == from {
            return true;
        }
        let (reply, released) = sync_channel(1);
        if !self.order(from, Order::ReleaseTap(tap, reply)) {
            return false;
        }
        let Ok(Some(released)) = released.recv_timeout(HANDOVER) else { return false };
        homes.taps.insert(tap, to);
        if let Watcher::Recording(recording) = &released {
            self.provide(homes, to, &recording.copies);
        }
        self.order(to, Order::AdoptTap(released))
    }

    /// Sees to it that a thread that gets a recording has a ring for its copies.
    fn provide(&self, homes: &mut Homes, home: usize, copies: &Copies) {
        if let Some(ring) = copies.provide(homes.rings.entry(home).or_default()) {
            self.order_later(home, Order::Copy(Box::new(ring)));
        }
    }

    /// The thread of a new tap: that of its ports, else any. One of the same id elsewhere ends.
    fn house(&self, homes: &mut Homes, tap: TapId, ports: [Option<PortId>; 2]) -> usize {
        let home = homes.of_ports(ports).unwrap_or((tap.0 % self.shards.len() as u64) as usize); // fewer shards than usize
        if let Some(old) = homes.taps.insert(tap, home).filter(|&old| old != home) {
            self.order(old, Order::Obey(Command::Detach { tap }));
        }
        home
    }

    /// The thread of a room: its number alone says which.
    fn home_of(&self, room: RoomId) -> usize {
        (room.0 % self.shards.len() as u64) as usize // fewer shards than usize
    }

    /// Queues an order and rings; `false` when the thread has ended.
    fn order(&self, home: usize, order: Order) -> bool {
        let Some(shard) = self.shards.get(home) else { return false };
        let is_queued = match shard.orders.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(order)) => {
                shard.ring();
                shard.orders.send(order).is_ok()
            }
            Err(TrySendError::Disconnected(_)) => false,
        };
        shard.ring();
        is_queued
    }

    /// Queues an order that has no effect before the next one does: nobody is woken for it alone.
    fn order_later(&self, home: usize, order: Order) -> bool {
        let Some(shard) = self.shards.get(home) else { return false };
        match shard.orders.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(order)) => self.order(home, order),
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    fn stop(&self) {
        for home in 0..self.shards.len() {
            self.order(home, Order::Stop);
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Homes {
    /// The thread of the first of two ports that is anywhere.
    fn of_ports(&self, ports: [Option<PortId>; 2]) -> Option<usize> {
        ports.into_iter().flatten().find_map(|port| self.ports.get(&port).copied())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The port whose thread a command goes to; `None` for those about rooms and taps.
fn port_of(command: &Command) -> Option<PortId> {
    match *command {
        Command::Configure { port, .. }
        | Command::Join { a: port, .. }
        | Command::Part { port }
        | Command::EnterRoom { port, .. }
        | Command::MuteInRoom { port, .. }
        | Command::LeaveRoom { port }
        | Command::Play { port, .. }
        | Command::StopPlay { port }
        | Command::Echo { port, .. }
        | Command::TellSound { port, .. }
        | Command::SendDigits { port, .. }
        | Command::Supervise { port, .. }
        | Command::StopSupervising { port }
        | Command::SetVolume { port, .. }
        | Command::PlayOver { port, .. }
        | Command::StopPlayOver { port }
        | Command::Hold { port, .. }
        | Command::Unhold { port }
        | Command::Measure { port, .. }
        | Command::Close { port } => Some(port),
        Command::PlayToRoom { .. }
        | Command::Attach { .. }
        | Command::Record { .. }
        | Command::MoveTap { .. }
        | Command::SetTap { .. }
        | Command::Detach { .. } => None,
    }
}

/// Resamples what is to be played, here and not in a media thread.
fn at_8khz(mut command: Command) -> Command {
    if let Command::Play { source, .. }
    | Command::PlayToRoom { source, .. }
    | Command::PlayOver { source, .. }
    | Command::Hold { music: source, .. } = &mut command
        && let Source::Samples { rate_hz, samples, .. } = source
        && *rate_hz != RATE_HZ
    {
        // A rate that cannot be played is a sound without length: it is over at once.
        *samples = resample::to_8khz(samples, *rate_hz).unwrap_or_default().into();
        *rate_hz = RATE_HZ;
    }
    command
}

fn random_u64() -> Result<u64, MediaError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(MediaError::Random)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The report clock at the start of the media clock.
fn epoch() -> Epoch {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    let wall_ntp = ((wall.as_secs() + NTP_TO_UNIX_S) << 32) + fraction;
    Epoch(wall_ntp.wrapping_sub(Epoch::default().ntp(Moment::now())))
}
