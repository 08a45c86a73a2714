//! The `sip` task: one owner of the stack and its sockets, which turns readiness, commands and deadlines into its inputs.
//! It waits only for the next of these; whatever it sends or tells goes without waiting.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::PoisonError;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rsip::Response;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use super::dispatch::{Delivery, Outlets, outlet};
use super::handle::{Shared, Sip, ToDriver, Traffic};
use super::limit::Buckets;
use super::tcp::{self, Connections, FromTcp};
use super::udp::Udp;
use super::{Arrival, TransportConfig, TransportError};
use crate::sip::hop::{Hop, Transport};
use crate::sip::stack::{Command, Event, Reply, RequestId, SessionEvent, SessionId, Stack, Transmit};

/// The largest datagram there is, in bytes.
const DATAGRAM: usize = 65_535;
/// Inputs of one kind taken in one turn, so that none starves the others.
const BURST: usize = 128;
/// Events that may wait for the leg of an incoming call.
const CALL_EVENTS: usize = 32;
/// How far ahead to sleep when no timer runs.
const IDLE: Duration = Duration::from_secs(3_600);

/// The `sip` task, ready to run.
pub struct Driver {
    stack: Stack,
    udp: Vec<Udp>,
    /// Addresses of the TCP listeners.
    tcp: Vec<SocketAddr>,
    connections: Connections,
    from_tcp: Receiver<FromTcp>,
    /// Kept until the task runs, which spawns the accept loops.
    listeners: Vec<(tokio::net::TcpListener, SocketAddr, Sender<FromTcp>)>,
    commands: UnboundedReceiver<ToDriver>,
    arrivals: Sender<Arrival>,
    outlets: Outlets,
    expected: HashMap<RequestId, oneshot::Sender<Response>>,
    buckets: Buckets,
    traffic: Traffic,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    grace: Duration,
    /// Set by a shutdown: when to end at the latest.
    end_at: Option<Instant>,
    /// Dropped at the end, which tells the waiting handle.
    ended: Vec<oneshot::Sender<()>>,
}

pub(super) fn bind(config: TransportConfig) -> Result<(Sip, Receiver<Arrival>, Driver), TransportError> {
    let mut udp = Vec::new();
    let mut tcp = Vec::new();
    let mut listeners = Vec::new();
    let mut listening = Vec::new();
    let (tell, from_tcp) = mpsc::channel(4_096);
    for (transport, address) in config.binds {
        let failed = |cause| TransportError::bind(transport, address, cause);
        match transport {
            Transport::Udp => {
                let socket = Udp::bind(address).map_err(failed)?;
                listening.push((transport, socket.address));
                udp.push(socket);
            }
            Transport::Tcp => {
                let (listener, address) = tcp::listen(address).map_err(failed)?;
                listening.push((transport, address));
                tcp.push(address);
                listeners.push((listener, address, tell.clone()));
            }
        }
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(TransportError::Random)?;
    let (commands_in, commands) = mpsc::unbounded_channel();
    let (arrivals_in, arrivals) = mpsc::channel(config.arrivals.max(1));
    let shared = Arc::new(Shared::new(listening));
    let driver = Driver {
        stack: Stack::with_key(config.stack, key, now()),
        udp,
        tcp,
        connections: Connections::new(config.tcp, tell),
        from_tcp,
        listeners,
        commands,
        arrivals: arrivals_in,
        outlets: Outlets::default(),
        expected: HashMap::new(),
        buckets: Buckets::new(config.requests_per_second_per_source, config.unlimited),
        traffic: Traffic::default(),
        shared: Arc::clone(&shared),
        buffer: vec![0; DATAGRAM],
        grace: config.grace,
        end_at: None,
        ended: Vec::new(),
    };
    Ok((Sip { commands: commands_in, shared }, arrivals, driver))
}

/// One thing to be handled at the start of a turn; the rest is taken as far as it is there.
enum Wake {
    Command(ToDriver),
    /// All handles are gone.
    NoHandles,
    Tcp(FromTcp),
    /// A socket is ready or a timer is due.
    Ready,
}

impl Driver {
    /// Runs until [`Sip::shutdown`], or until the last handle is dropped.
    pub async fn run(mut self) {
        for (listener, address, tell) in self.listeners.drain(..) {
            tokio::spawn(tcp::accept(listener, address, tell));
        }
        let mut sleep = Box::pin(tokio::time::sleep(IDLE));
        loop {
            let deadline = [self.stack.poll_timeout(), self.end_at].into_iter().flatten().min();
            let deadline = tokio::time::Instant::from_std(deadline.unwrap_or_else(|| now() + IDLE));
            // A sleep that ends too early costs a turn; re-arming it for every message costs more.
            if deadline < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(deadline);
            }
            let wake = poll_fn(|context| self.poll(context, sleep.as_mut())).await;
            self.turn(wake);
            if self.end_at.is_some_and(|end| now() >= end || self.stack.counts().sessions == 0) {
                return;
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, sleep: Pin<&mut Sleep>) -> Poll<Wake> {
        if let Poll::Ready(command) = self.commands.poll_recv(context)
            && (command.is_some() || self.end_at.is_none())
        {
            return Poll::Ready(command.map_or(Wake::NoHandles, Wake::Command));
        }
        if let Poll::Ready(Some(told)) = self.from_tcp.poll_recv(context) {
            return Poll::Ready(Wake::Tcp(told));
        }
        let mut ready = sleep.poll(context).is_ready();
        for socket in &self.udp {
            ready |= socket.poll_ready(context).is_ready(); // each must be asked, to be woken by each
        }
        if ready { Poll::Ready(Wake::Ready) } else { Poll::Pending }
    }

    /// Takes what is there, a bounded lot of each kind, and puts out what follows from it.
    fn turn(&mut self, wake: Wake) {
        let now = now();
        match wake {
            Wake::Command(command) => self.take(now, command),
            Wake::NoHandles => self.shut_down(now),
            Wake::Tcp(told) => self.take_tcp(now, told),
            Wake::Ready => {}
        }
        for _ in 0..BURST {
            let Ok(command) = self.commands.try_recv() else { break };
            self.take(now, command);
        }
        self.put_out(now);
        for index in 0..self.udp.len() {
            self.take_datagrams(now, index);
        }
        for _ in 0..BURST {
            let Ok(told) = self.from_tcp.try_recv() else { break };
            self.take_tcp(now, told);
        }
        self.stack.handle_timeout(now);
        self.put_out(now);
        self.traffic.connections = self.connections.len();
        let mut figures = self.shared.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.counts = self.stack.counts();
        figures.traffic = self.traffic;
    }

    fn take(&mut self, now: Instant, command: ToDriver) {
        match command {
            // A leg that was opened and never called.
            ToDriver::Command(Command::Hangup { id, .. }) if !self.stack.has_session(id) => self.outlets.remove(id),
            ToDriver::Command(command) => self.stack.command(now, command),
            ToDriver::Open(id, outlet) => self.outlets.insert(id, outlet),
            ToDriver::Expect(id, reply) => drop(self.expected.insert(id, reply)),
            ToDriver::Shutdown(ended) => {
                self.ended.push(ended);
                self.shut_down(now);
            }
        }
    }

    fn shut_down(&mut self, now: Instant) {
        self.end_at = Some(now + self.grace);
        for id in self.outlets.ids() {
            self.stack.command(now, Command::Hangup { id, reason: None });
        }
    }

    fn take_datagrams(&mut self, now: Instant, index: usize) {
        let Some(socket) = self.udp.get_mut(index) else { return };
        socket.flush();
        for _ in 0..BURST {
            let Some(socket) = self.udp.get_mut(index) else { return };
            let received = socket.receive(&mut self.buffer);
            while let Some(remote) = socket.take_unreachable() {
                let hop = Hop { transport: Transport::Udp, local: socket.local_for(remote.ip()), remote };
                self.stack.transport_failed(now, hop);
            }
            let Some((length, remote)) = received else { return };
            let hop = Hop { transport: Transport::Udp, local: socket.local_for(remote.ip()), remote };
            let Some(bytes) = self.buffer.get(..length) else { continue };
            self.traffic.received += 1;
            if self.buckets.admit(now, remote, bytes) {
                self.stack.receive(now, hop, bytes);
            } else {
                self.traffic.limited += 1;
            }
            self.put_out(now);
        }
    }

    fn take_tcp(&mut self, now: Instant, told: FromTcp) {
        match told {
            FromTcp::Accepted { stream, local, remote } => self.connections.accept(stream, tcp::hop(local, remote)),
            FromTcp::Message { hop, bytes } => {
                self.traffic.received += 1;
                if self.buckets.admit(now, hop.remote, &bytes) {
                    self.stack.receive(now, hop, &bytes);
                } else {
                    self.traffic.limited += 1;
                }
                self.put_out(now);
            }
            FromTcp::Unframed { hop, answer } => {
                self.traffic.received += 1;
                self.stack.answer_unframed(now, hop, *answer);
                self.put_out(now);
            }
            FromTcp::Closed { hop, generation } => {
                if self.connections.closed(hop, generation) {
                    self.stack.transport_failed(now, hop);
                }
            }
        }
    }

    /// Empties the stack's outputs; what cannot be sent is an input again.
    fn put_out(&mut self, now: Instant) {
        loop {
            if let Some(transmit) = self.stack.poll_transmit() {
                self.transmit(now, transmit);
            } else if let Some(event) = self.stack.poll_event() {
                self.dispatch(now, event);
            } else {
                return;
            }
        }
    }

    fn transmit(&mut self, now: Instant, Transmit { hop, bytes, reopen_at }: Transmit) {
        let sent = match hop.transport {
            Transport::Udp => match find(&mut self.udp, hop.local) {
                Some(socket) => socket.send(hop.remote, bytes).is_ok(),
                None => false,
            },
            Transport::Tcp => {
                let known = self.tcp.iter().any(|address| address.port() == hop.local.port());
                known && self.connections.send(hop, reopen_at, bytes).is_ok()
            }
        };
        if sent {
            self.traffic.sent += 1;
        } else {
            self.traffic.undeliverable += 1;
            self.stack.transport_failed(now, hop);
        }
    }

    fn dispatch(&mut self, now: Instant, event: Event) {
        match event {
            Event::Session { id, event: SessionEvent::Incoming { request, hop, offer } } => {
                let (outlet, events) = outlet(CALL_EVENTS);
                let arrival = Arrival::Call { id, request, hop, offer, events };
                if let (Some(outlet), Ok(())) = (outlet, self.arrivals.try_send(arrival)) {
                    self.outlets.insert(id, outlet);
                } else {
                    self.traffic.arrivals_refused += 1;
                    self.stack.command(now, Command::Reject { id, status: 503, headers: retry_later() });
                }
            }
            Event::Session { id, event } => self.deliver(now, id, event),
            Event::Request { id, request, hop } => {
                if self.arrivals.try_send(Arrival::Request { id, request: Box::new(request), hop }).is_err() {
                    self.traffic.arrivals_refused += 1;
                    let response = Reply { status: 503, headers: retry_later(), ..Reply::default() };
                    self.stack.command(now, Command::Respond { id, response });
                }
            }
            Event::Response { id, response } => {
                if let Some(reply) = self.expected.remove(&id) {
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(response);
                }
            }
        }
    }

    fn deliver(&mut self, now: Instant, id: SessionId, event: SessionEvent) {
        match self.outlets.deliver(id, event) {
            Delivery::Done => {}
            Delivery::Dropped => self.traffic.events_dropped += 1,
            Delivery::Lost => self.stack.command(now, Command::Hangup { id, reason: None }),
        }
    }
}

/// The socket with this address of ours, or the one bound to all addresses on that port.
fn find(sockets: &mut [Udp], local: SocketAddr) -> Option<&mut Udp> {
    let index = sockets.iter().position(|socket| socket.address == local).or_else(|| {
        sockets.iter().position(|socket| {
            socket.address.port() == local.port()
                && socket.address.is_ipv4() == local.is_ipv4()
                && socket.address.ip().is_unspecified()
        })
    })?;
    sockets.get_mut(index)
}

fn retry_later() -> Vec<(String, String)> {
    vec![("Retry-After".to_owned(), "5".to_owned())]
}

/// The clock of the runtime, which tests may stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
