//! TCP connections of the `sip` task: one small task each, which frames what it reads and writes what it is given.
//! The `sip` task owns the table; a connection ends when its entry goes, when a deadline passes, or when the peer closes.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use rsip::Response;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::TcpLimits;
use crate::sip::hop::{Hop, Transport};
use crate::sip::wire::{Framed, Framer};

/// Messages that may wait for one connection to write them.
const OUTBOUND: usize = 256;
/// How often the system asks a silent peer whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What the connections tell the `sip` task.
pub(super) enum FromTcp {
    /// A peer has connected to a listener.
    Accepted { stream: TcpStream, local: SocketAddr, remote: SocketAddr },
    /// A whole message came.
    Message { hop: Hop, bytes: Vec<u8> },
    /// What came cannot be cut into messages; the connection ends once all is answered, with this at last.
    Unframed { hop: Hop, answer: Box<Response> },
    /// The connection is gone, or could not be made.
    Closed { hop: Hop, generation: u64 },
}

struct Connection {
    /// Dropping it ends the connection's task, once all in it is written.
    outbound: Sender<Bytes>,
    generation: u64,
}

/// All connections of the `sip` task.
pub(super) struct Connections {
    open: HashMap<Hop, Connection>,
    sources: HashMap<IpAddr, usize>,
    limits: TcpLimits,
    generation: u64,
    tell: Sender<FromTcp>,
}

/// A message could not be handed to a connection.
#[derive(Debug)]
pub(super) struct Undeliverable;

impl Connections {
    pub(super) fn new(limits: TcpLimits, tell: Sender<FromTcp>) -> Self {
        Self { open: HashMap::new(), sources: HashMap::new(), limits, generation: 0, tell }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Sends on the connection of a hop; opens it, to `reopen_at` if given, when there is none.
    pub(super) fn send(&mut self, hop: Hop, reopen_at: Option<SocketAddr>, bytes: Bytes) -> Result<(), Undeliverable> {
        if !self.open.contains_key(&hop) {
            if !self.has_room(hop.remote.ip()) {
                return Err(Undeliverable);
            }
            let (link, outbound) = self.link(hop);
            tokio::spawn(link.connect(reopen_at.unwrap_or(hop.remote)));
            self.insert(hop, outbound);
        }
        let connection = self.open.get(&hop).ok_or(Undeliverable)?;
        if connection.outbound.try_send(bytes).is_ok() {
            return Ok(());
        }
        self.remove(hop); // it does not take what it is given: the peer reads no more
        Err(Undeliverable)
    }

    /// Takes an accepted connection in, unless there are too many.
    pub(super) fn accept(&mut self, stream: TcpStream, hop: Hop) {
        if self.has_room(hop.remote.ip()) {
            let (link, outbound) = self.link(hop);
            tokio::spawn(link.serve(stream));
            self.remove(hop); // an older one of the same two addresses is dead
            self.insert(hop, outbound);
        }
    }

    /// Forgets a connection that has ended; false if a newer one has taken its place.
    pub(super) fn closed(&mut self, hop: Hop, generation: u64) -> bool {
        let is_this = self.open.get(&hop).is_some_and(|connection| connection.generation == generation);
        if is_this {
            self.remove(hop);
        }
        is_this
    }

    fn has_room(&self, source: IpAddr) -> bool {
        let from_source = self.sources.get(&source).copied().unwrap_or(0);
        self.open.len() < self.limits.connections && from_source < self.limits.connections_per_source
    }

    fn link(&mut self, hop: Hop) -> (Link, Sender<Bytes>) {
        self.generation += 1;
        let (outbound, receiver) = mpsc::channel(OUTBOUND);
        let (generation, limits, tell) = (self.generation, self.limits, self.tell.clone());
        (Link { hop, generation, limits, tell, outbound: receiver, owed: 0 }, outbound)
    }

    fn insert(&mut self, hop: Hop, outbound: Sender<Bytes>) {
        self.open.insert(hop, Connection { outbound, generation: self.generation });
        *self.sources.entry(hop.remote.ip()).or_default() += 1;
    }

    fn remove(&mut self, hop: Hop) {
        if self.open.remove(&hop).is_some()
            && let Some(count) = self.sources.get_mut(&hop.remote.ip())
        {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&hop.remote.ip());
            }
        }
    }
}

/// Opens a listener; its accepted connections are told to the `sip` task.
pub(super) fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?; // connections of an earlier run that still die do not hold the port
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts until the `sip` task ends.
pub(super) async fn accept(listener: TcpListener, address: SocketAddr, tell: Sender<FromTcp>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tell.closed() => return,
        };
        let Ok((stream, remote)) = accepted else {
            sleep(Duration::from_millis(50)).await; // out of descriptors: others must close first
            continue;
        };
        let ip = stream.local_addr().map_or(address.ip(), |local| local.ip());
        let local = SocketAddr::new(ip, address.port());
        if tell.send(FromTcp::Accepted { stream, local, remote }).await.is_err() {
            return;
        }
    }
}

/// What the task of one connection holds.
struct Link {
    hop: Hop,
    generation: u64,
    limits: TcpLimits,
    tell: Sender<FromTcp>,
    outbound: Receiver<Bytes>,
    /// Requests passed on whose final response was not written yet.
    owed: usize,
}

/// What was found in the bytes that came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// No whole message yet.
    Part,
    /// At least one.
    Whole,
    /// Something that nobody can find the end of.
    OutOfStep,
}

/// Why a connection's task ends; nobody asks which.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Link {
    async fn connect(self, address: SocketAddr) {
        match timeout(self.limits.send_deadline, connect(self.hop.local, address)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            _ => self.report().await,
        }
    }

    async fn serve(mut self, stream: TcpStream) {
        // Both only help; a connection without them works.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream)
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
        let Over = match self.run(stream).await {
            Ok(()) => Over,
            Err(over) => over,
        };
        self.report().await;
    }

    async fn report(self) {
        // The `sip` task may have ended first; then nobody wants to know.
        let _ = self.tell.send(FromTcp::Closed { hop: self.hop, generation: self.generation }).await;
    }

    async fn run(&mut self, mut stream: TcpStream) -> Result<(), Over> {
        let mut framer = Framer::new();
        let mut buffer = vec![0; 4096];
        let mut deadline = Instant::now() + self.limits.message_deadline;
        let mut inside = true; // of the first message, which is due as soon as the connection stands
        loop {
            tokio::select! {
                read = stream.read(&mut buffer) => {
                    let read = read?;
                    let bytes = buffer.get(..read).filter(|bytes| !bytes.is_empty()).ok_or(Over)?;
                    framer.push(bytes);
                    let taken = self.take(&mut framer, &mut stream).await?;
                    if taken == Taken::OutOfStep {
                        return self.drain(stream).await;
                    }
                    let still_inside = framer.is_inside_message();
                    // Each message has its own deadline; one more byte of the same does not move it.
                    if !still_inside {
                        deadline = Instant::now() + self.limits.idle_deadline;
                    } else if taken == Taken::Whole || !inside {
                        deadline = Instant::now() + self.limits.message_deadline;
                    }
                    inside = still_inside;
                }
                bytes = self.outbound.recv() => {
                    self.write(&mut stream, &bytes.ok_or(Over)?).await?;
                    if !framer.is_inside_message() {
                        (inside, deadline) = (false, Instant::now() + self.limits.idle_deadline);
                    }
                }
                () = sleep_until(deadline) => return Err(Over),
            }
        }
    }

    /// Passes on every whole message.
    async fn take(&mut self, framer: &mut Framer, stream: &mut TcpStream) -> Result<Taken, Over> {
        let mut taken = Taken::Part;
        loop {
            match framer.next() {
                Ok(Some(Framed::Message(bytes))) => {
                    taken = Taken::Whole;
                    self.owed += usize::from(!bytes.starts_with(b"SIP/") && !bytes.starts_with(b"ACK "));
                    self.pass(FromTcp::Message { hop: self.hop, bytes }).await?;
                }
                Ok(Some(Framed::Ping)) => {
                    taken = Taken::Whole;
                    self.write(stream, b"\r\n").await?;
                }
                Ok(None) => return Ok(taken),
                Err(error) => {
                    if let Some(answer) = error.answer {
                        self.owed += 1;
                        self.pass(FromTcp::Unframed { hop: self.hop, answer }).await?;
                    }
                    return Ok(Taken::OutOfStep);
                }
            }
        }
    }

    async fn pass(&self, told: FromTcp) -> Result<(), Over> {
        self.tell.send(told).await.map_err(|_| Over)
    }

    /// Ends a stream that is out of step: what was asked before is answered first, for as long as a message may take.
    /// What comes meanwhile is thrown away; left unread it would make the system reset the connection under our answers.
    async fn drain(&mut self, mut stream: TcpStream) -> Result<(), Over> {
        let deadline = Instant::now() + self.limits.message_deadline;
        let mut buffer = [0; 4096];
        let mut ended = false;
        loop {
            if self.owed == 0 && !ended {
                stream.shutdown().await?;
                ended = true;
            }
            tokio::select! {
                read = stream.read(&mut buffer) => if read? == 0 { return Ok(()) },
                bytes = self.outbound.recv(), if !ended => self.write(&mut stream, &bytes.ok_or(Over)?).await?,
                () = sleep_until(deadline) => return Err(Over),
            }
        }
    }

    async fn write(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Over> {
        if bytes.strip_prefix(b"SIP/2.0 ").is_some_and(|status| !status.starts_with(b"1")) {
            self.owed = self.owed.saturating_sub(1);
        }
        let deadline = Instant::now() + self.limits.send_deadline;
        timeout_at(deadline, stream.write_all(bytes)).await.map_err(|_| Over)?.map_err(Over::from)
    }
}

/// Connects from the address we listen on, so that the peer sees the one it knows.
async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(local.ip(), 0))?;
    }
    socket.connect(remote).await
}

/// The hop of an accepted connection.
pub(super) fn hop(local: SocketAddr, remote: SocketAddr) -> Hop {
    Hop { transport: Transport::Tcp, local, remote }
}
