//! Sockets of a phone: datagrams or streams in, whole messages out of them, and the way back for answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Text;

/// What carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// Where a message goes: an address from our datagram socket, or a stream.
#[derive(Clone, Debug)]
pub(crate) enum Out {
    Udp(Arc<StdUdpSocket>, SocketAddr),
    Tcp(mpsc::UnboundedSender<Vec<u8>>),
}

impl Out {
    pub(crate) fn send(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Udp(socket, to) => {
                // a full send buffer on loopback is the only refusal, and then the peer repeats
                let _ = socket.send_to(bytes, *to);
            }
            Self::Tcp(writer) => {
                let _ = writer.send(bytes.to_vec());
            }
        }
    }
}

/// Tasks that end with their owner.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Vec<AbortHandle>>);

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().unwrap().push(tokio::spawn(task).abort_handle());
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in self.0.lock().unwrap().iter() {
            task.abort();
        }
    }
}

/// A phone's end of the network: what it reads goes to `arrived`.
pub(crate) struct Wire {
    pub(crate) transport: Transport,
    /// Where others reach this phone.
    pub(crate) local: SocketAddr,
    udp: Option<Arc<StdUdpSocket>>,
    arrived: mpsc::UnboundedSender<(Out, Text)>,
    tasks: Arc<Tasks>,
}

impl Wire {
    pub(crate) async fn bind(transport: Transport, ip: IpAddr, arrived: mpsc::UnboundedSender<(Out, Text)>) -> Self {
        let tasks = Arc::new(Tasks::default());
        let mut wire = Self { transport, local: SocketAddr::new(ip, 0), udp: None, arrived, tasks };
        match transport {
            Transport::Udp => {
                let (reader, writer) = datagram_socket(wire.local);
                wire.local = writer.local_addr().expect("its address");
                wire.tasks.spawn(read_datagrams(reader, Arc::clone(&writer), wire.arrived.clone()));
                wire.udp = Some(writer);
            }
            Transport::Tcp => {
                let listener = TcpListener::bind(wire.local).await.expect("a TCP listener");
                wire.local = listener.local_addr().expect("its address");
                let (arrived, tasks) = (wire.arrived.clone(), Arc::downgrade(&wire.tasks));
                wire.tasks.spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        let Some(tasks) = tasks.upgrade() else { return };
                        serve_stream(stream, arrived.clone(), &tasks);
                    }
                });
            }
        }
        wire
    }

    /// The way to `to`: for a stream, a new connection.
    pub(crate) async fn towards(&self, to: SocketAddr) -> Out {
        match &self.udp {
            Some(socket) => Out::Udp(Arc::clone(socket), to),
            None => {
                let stream = TcpStream::connect(to).await.expect("a connection to the server");
                serve_stream(stream, self.arrived.clone(), &self.tasks)
            }
        }
    }
}

/// A place on 127.0.0.1 for somebody who opens it later, in UDP and TCP, and the next port is free too. It is below the ports that
/// systems hand out, and given to nobody else in this process: nobody takes it meanwhile.
pub(crate) fn free_address() -> SocketAddr {
    const PORTS: [u16; 2] = [20_000, 29_998];
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let pairs = (PORTS[1] - PORTS[0]) / 2;
    let first = std::process::id() % u32::from(pairs);
    loop {
        let at = first + u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS[0] + 2 * u16::try_from(at % u32::from(pairs)).expect("below the last");
        let [address, next] = [port, port + 1].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let is_free = |address: SocketAddr| StdTcpListener::bind(address).is_ok();
        if StdUdpSocket::bind(address).is_ok() && is_free(address) && is_free(next) {
            return address;
        }
    }
}

/// A socket to await on, and the same socket to write to without waiting.
pub(crate) fn datagram_socket(local: SocketAddr) -> (UdpSocket, Arc<StdUdpSocket>) {
    let writer = StdUdpSocket::bind(local).expect("a UDP socket");
    writer.set_nonblocking(true).expect("a socket that does not block");
    let reader = UdpSocket::from_std(writer.try_clone().expect("a second handle")).expect("a socket of the runtime");
    (reader, Arc::new(writer))
}

async fn read_datagrams(reader: UdpSocket, socket: Arc<StdUdpSocket>, arrived: mpsc::UnboundedSender<(Out, Text)>) {
    let mut buffer = vec![0; 65_536];
    loop {
        // an ICMP refusal of what was sent before shows up here as an error
        let Ok((count, from)) = reader.recv_from(&mut buffer).await else { continue };
        if let Some(text) = Text::parse(&buffer[..count]) {
            let _ = arrived.send((Out::Udp(Arc::clone(&socket), from), text));
        }
    }
}

fn serve_stream(stream: TcpStream, arrived: mpsc::UnboundedSender<(Out, Text)>, tasks: &Arc<Tasks>) -> Out {
    let (mut reader, mut writer) = stream.into_split();
    let (sender, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
    tasks.spawn(async move {
        while let Some(bytes) = outgoing.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let out = Out::Tcp(sender);
    let back = out.clone();
    tasks.spawn(async move {
        let mut held = Vec::new();
        let mut buffer = [0; 16_384];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            held.extend_from_slice(&buffer[..count]);
            while let Some(text) = take_message(&mut held) {
                let _ = arrived.send((back.clone(), text));
            }
        }
    });
    out
}

/// The first whole message of a stream, taken out of what was read.
pub(crate) fn take_message(held: &mut Vec<u8>) -> Option<Text> {
    let blank = held.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    held.drain(..blank);
    let head = held.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = Text::parse(&held[..head])?;
    let length: usize = text.header("Content-Length").and_then(|value| value.parse().ok()).unwrap_or(0);
    if held.len() < head + length {
        return None;
    }
    Text::parse(&held.drain(..head + length).collect::<Vec<u8>>())
}
