//! The yardstick: one thread, epoll, one receive and one send for each packet, nothing else.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};

use anyhow::Context;
use rustix::event::epoll;

use crate::process::Process;
use crate::stream::Stream;

/// Starts this program as the forwarder between the ends of those streams; their audio goes to it from now on.
pub(crate) fn start(mut streams: Vec<Stream>) -> anyhow::Result<(Process, Vec<Stream>)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--forward", &streams.len().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start the forwarder")?;
    let mut told = child.stdin.take().context("its input")?;
    for stream in &streams {
        writeln!(told, "{} {}", stream.sockets[0].local_addr()?, stream.sockets[1].local_addr()?)?;
    }
    let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
    for stream in &mut streams {
        let line = lines.next().context("the forwarder's ports")??;
        let (first, second) = line.split_once(' ').context("two ports")?;
        stream.towards = [first.parse()?, second.parse()?];
    }
    Ok((Process { child }, streams))
}

/// Forwards between pairs of sockets until it is killed.
pub(crate) fn run(count: usize) -> anyhow::Result<()> {
    let mut sockets = Vec::new();
    for line in std::io::stdin().lock().lines().take(count) {
        let line = line?;
        let (first, second) = line.split_once(' ').context("two addresses")?;
        for peer in [first, second] {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(peer.parse::<SocketAddr>()?)?;
            socket.set_nonblocking(true)?;
            sockets.push(socket);
        }
    }
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (at, socket) in sockets.iter().enumerate() {
        epoll::add(&poll, socket, epoll::EventData::new_u64(at as u64), epoll::EventFlags::IN)?;
    }
    let mut out = std::io::stdout().lock();
    for pair in sockets.chunks(2) {
        writeln!(out, "{} {}", pair[0].local_addr()?, pair[1].local_addr()?)?;
    }
    out.flush()?;
    let mut buffer = [0; 2_048];
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let at = usize::try_from(event.data.u64())?;
            if let Ok(length) = sockets[at].recv(&mut buffer) {
                let _ = sockets[at ^ 1].send(&buffer[..length]);
            }
        }
    }
}
