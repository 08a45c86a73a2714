//! A media thread: waits for packets, commands and the next slot, and does what each asks for.
//! Above: `engine`. Below: `board` (who hears whom) and `socket`. No lock, allocation, log or await while calls run.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::board::{Board, MAX_DATAGRAM, Settings, WATCH_SLOTS};
use super::clock::{Moment, SLOTS_PER_TICK, Slot};
use super::command::{Command, PortId, TapId};
use super::copies::CopyWriter;
use super::port::Port;
use super::recording::Watcher;
use super::socket::{self, Pair, Sockets, Which};
use super::stats::ShardStats;

/// Events taken from `epoll` in one go; also the greatest number of packets between two looks at the clock.
const BATCH: usize = 256;
/// Datagrams read at once from a socket that was just connected.
const SETTLE: usize = 512;
/// What `epoll` calls the doorbell and the timer; sockets have smaller tokens.
const DOORBELL: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// What a thread is given to do.
pub(super) enum Order {
    /// Do what a command says.
    Obey(Command),
    /// Take a port.
    Adopt(Box<Port>, Box<Pair>),
    /// Hand a port over, to be taken to another thread.
    Release(PortId, SyncSender<Option<(Box<Port>, Box<Pair>)>>),
    /// Take a tap or a recording, on no port.
    AdoptTap(Watcher),
    /// Hand a tap or a recording over, to be taken to another thread.
    ReleaseTap(TapId, SyncSender<Option<Watcher>>),
    /// Put the copies of all recordings into this ring from now on.
    Copy(Box<CopyWriter>),
    /// Close every port and end.
    Stop,
}

/// Everything a media thread owns.
pub(super) struct Shard {
    orders: Receiver<Order>,
    epoll: Arc<OwnedFd>,
    doorbell: Arc<OwnedFd>,
    /// Set by who rings, cleared when the orders are looked at: in between nobody need ring again.
    rung: Arc<AtomicBool>,
    timer: OwnedFd,
    /// What the timer is set to; it is set again only for another slot.
    timer_at: Option<Slot>,
    board: Board,
    sockets: Sockets,
    /// Closed ports, still bound, until when.
    draining: VecDeque<(Moment, Pair)>,
    drain: Duration,
    /// The next slot to be done.
    next: Slot,
    stats: Arc<ShardStats>,
    packets_in: u64,
}

impl Shard {
    /// A thread's belongings, before it runs.
    ///
    /// # Errors
    ///
    /// What the system says when it has no descriptors left.
    pub(super) fn new(orders: Receiver<Order>, settings: Settings, drain: Duration) -> io::Result<Self> {
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let doorbell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // Edge-triggered: each ring and each slot is one event, and nothing has to be read.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &doorbell, epoll::EventData::new_u64(DOORBELL), flags)?;
        epoll::add(&epoll, &timer, epoll::EventData::new_u64(TIMER), flags)?;
        Ok(Self {
            orders,
            doorbell: Arc::new(doorbell),
            rung: Arc::default(),
            timer,
            timer_at: None,
            board: Board::new(settings),
            sockets: Sockets::new(Arc::clone(&epoll)),
            epoll,
            draining: VecDeque::new(),
            drain,
            next: Moment::now().slot().after(1),
            stats: Arc::new(ShardStats::default()),
            packets_in: 0,
        })
    }

    /// What rings when orders are waiting.
    pub(super) fn doorbell(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.doorbell)
    }

    /// Whether it rings already.
    pub(super) fn rung(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.rung)
    }

    /// The thread's numbers.
    pub(super) fn stats(&self) -> Arc<ShardStats> {
        Arc::clone(&self.stats)
    }

    /// Runs until told to stop, or until nobody is left to give orders.
    pub(super) fn run(mut self) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(BATCH);
        let mut buffer = [0u8; MAX_DATAGRAM];
        self.set_timer(Moment::now());
        loop {
            events.clear();
            // Interrupted by a signal: nothing to do, wait again.
            let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), None);
            // Orders come first: what was commanded before a packet was sent holds for that packet. A packet whose port
            // went meanwhile is looked for on its seat's socket, which has nothing or its own.
            let is_rung = events.iter().any(|event| event.data.u64() == DOORBELL);
            if is_rung && self.take_orders() == Goes::Ends {
                return;
            }
            let now = Moment::now();
            for event in &events {
                match event.data.u64() {
                    DOORBELL => {}
                    TIMER => self.timer_at = None,
                    token => self.receive(token, &mut buffer, now),
                }
            }
            let now = Moment::now();
            self.do_slots(now);
            self.set_timer(now);
        }
    }

    fn receive(&mut self, token: u64, buffer: &mut [u8; MAX_DATAGRAM], now: Moment) {
        let (seat, which) = socket::of_token(token);
        for _ in 0..SETTLE {
            let Some((length, from)) = self.sockets.receive(seat, which, buffer) else { return };
            self.packets_in += 1;
            let bytes = &mut buffer[..length];
            match which {
                Which::Rtp => self.board.receive(seat, bytes, from, (now, &mut self.sockets)),
                Which::Rtcp => self.board.receive_report(seat, bytes, from, (now, &mut self.sockets)),
            }
            if which == Which::Rtcp || !self.sockets.is_settling(seat) {
                return;
            }
        }
    }

    fn take_orders(&mut self) -> Goes {
        // Before the queue is emptied, so that an order that comes meanwhile rings again. The bell's count is never read: each
        // ring is an edge of its own.
        self.rung.swap(false, Ordering::AcqRel);
        let had_beat = self.board.has_beat();
        loop {
            match self.orders.try_recv() {
                Ok(Order::Obey(command)) => self.obey(command),
                Ok(Order::Adopt(port, pair)) => {
                    let id = port.id;
                    let seat = self.board.seat(port);
                    self.sockets.put(seat, *pair);
                    self.board.regain_port(id, Moment::now());
                }
                Ok(Order::Release(id, reply)) => {
                    let released = self
                        .board
                        .unseat(id, Moment::now())
                        .and_then(|(seat, port)| self.sockets.take(seat).map(|pair| (port, Box::new(pair))));
                    let _ = reply.try_send(released);
                }
                Ok(Order::AdoptTap(Watcher::Tap(tap))) => {
                    self.board.adopt_tap(tap);
                }
                Ok(Order::AdoptTap(Watcher::Recording(recording))) => {
                    self.board.adopt_recording(recording);
                }
                Ok(Order::ReleaseTap(id, reply)) => {
                    let tap = self.board.release_tap(id).map(Watcher::Tap);
                    let _ = reply.try_send(tap.or_else(|| self.board.release_recording(id).map(Watcher::Recording)));
                }
                Ok(Order::Copy(ring)) => self.board.copying = Some(*ring),
                Ok(Order::Stop) => {
                    self.close_all();
                    return Goes::Ends;
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Goes::Ends,
            }
        }
        if !had_beat && self.board.has_beat() {
            // A beat begins with the next slot; those before had nothing to do and are not late.
            self.next = Moment::now().slot().after(1);
        }
        self.publish();
        Goes::On
    }

    fn obey(&mut self, command: Command) {
        let now = Moment::now();
        let Some(vacated) = self.board.obey(command, now, &mut self.sockets) else { return };
        if !vacated.was_heard {
            // Where nothing came, nothing is late: the numbers are free at once.
            self.sockets.close(vacated.seat);
        } else if let Some(mut pair) = self.sockets.take(vacated.seat) {
            pair.drain();
            self.draining.push_back((now.after(self.drain), pair));
        }
    }

    fn close_all(&mut self) {
        let ports: Vec<PortId> = self.board.by_id.keys().copied().collect();
        for port in ports {
            self.obey(Command::Close { port });
        }
        self.draining.clear();
        self.publish();
    }

    /// Does every slot whose time has come; late ones by one tick at most, what is older is left out.
    fn do_slots(&mut self, now: Moment) {
        let present = now.slot();
        if self.next > present {
            return;
        }
        self.next = self.next.max(Slot(present.0.saturating_sub(SLOTS_PER_TICK)));
        if self.board.has_beat() {
            self.stats.note_late(now.since(self.next.start()));
        }
        while self.next <= present {
            self.board.beat(self.next, &mut self.sockets);
            if self.next.0.is_multiple_of(WATCH_SLOTS) {
                self.end_drains(now);
                self.publish();
            }
            self.next = self.next.after(1);
        }
    }

    /// Sets the timer to the next slot with anything to do.
    fn set_timer(&mut self, now: Moment) {
        let present = now.slot();
        let wanted = if self.board.has_beat() {
            Some(self.next)
        } else if self.board.has_ports() || !self.draining.is_empty() {
            Some(Slot(self.next.0.max(present.0).next_multiple_of(WATCH_SLOTS)))
        } else {
            None
        };
        if !self.board.has_beat() {
            // Slots without a beat are not done, and not late.
            self.next = self.next.max(wanted.unwrap_or(present.after(1)));
        }
        let Some(slot) = wanted.filter(|wanted| self.timer_at != Some(*wanted)) else { return };
        let ns = slot.start().ns();
        let at = Timespec {
            tv_sec: (ns / 1_000_000_000).cast_signed(),
            tv_nsec: (ns % 1_000_000_000) as i64, // below 10⁹
        };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let once = Itimerspec { it_interval: never, it_value: at };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once).is_ok() {
            self.timer_at = Some(slot);
        }
    }

    fn end_drains(&mut self, now: Moment) {
        while self.draining.front().is_some_and(|(until, _)| *until <= now) {
            self.draining.pop_front();
        }
    }

    fn publish(&self) {
        let stats = &self.stats;
        stats.ports_open.store(self.board.port_count() as u64, Ordering::Relaxed);
        stats.ports_draining.store(self.draining.len() as u64, Ordering::Relaxed);
        stats.packets_in.store(self.packets_in, Ordering::Relaxed);
        stats.packets_out.store(self.sockets.sent, Ordering::Relaxed);
        stats.send_failures.store(self.sockets.failed, Ordering::Relaxed);
        stats.tap_frames_dropped.store(self.board.frames_dropped, Ordering::Relaxed);
    }
}

/// Whether a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    On,
    Ends,
}
