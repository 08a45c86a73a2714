//! The sound of a self-test's phone: says its script, a packet each 20 ms, and keeps every packet that comes.
//! Above: `phone`. Below: a UDP socket.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    sync::{Notify, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::script::{PACKET_BYTES, Payload, Script};

/// Bytes of an RTP header without extras (RFC 3550 §5.1).
const HEADER_BYTES: usize = 12;

/// A phone's RTP.
pub(super) struct Line {
    /// Where it listens.
    pub(super) local: SocketAddr,
    remote: watch::Sender<Option<SocketAddr>>,
    heard: Arc<Heard>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Default)]
struct Heard {
    payloads: Mutex<Vec<Payload>>,
    arrived: Notify,
}

impl Line {
    /// A line that says nothing until it is connected.
    pub(super) async fn open(script: Arc<Script>) -> std::io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let local = socket.local_addr()?;
        let (remote, wanted) = watch::channel(None);
        let heard = Arc::new(Heard::default());
        let tasks = [tokio::spawn(receive(socket.clone(), heard.clone())), tokio::spawn(send(socket, wanted, script))];
        Ok(Self { local, remote, heard, tasks })
    }

    /// Begins to speak.
    pub(super) fn connect(&self, remote: SocketAddr) {
        self.remote.send_replace(Some(remote));
    }

    /// Packets heard so far.
    pub(super) fn count(&self) -> usize {
        self.heard.payloads.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The packets heard from that one on.
    pub(super) fn since(&self, mark: usize) -> Vec<Payload> {
        let payloads = self.heard.payloads.lock().unwrap_or_else(PoisonError::into_inner);
        payloads.get(mark..).unwrap_or_default().to_vec()
    }

    /// Waits until that many packets were heard.
    pub(super) async fn has(&self, count: usize) {
        loop {
            let arrived = self.heard.arrived.notified();
            if self.count() >= count {
                return;
            }
            arrived.await;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn receive(socket: Arc<UdpSocket>, heard: Arc<Heard>) {
    let mut packet = [0; 2_048];
    loop {
        let Ok((length, _)) = socket.recv_from(&mut packet).await else { continue };
        let Some(payload) = packet[..length].get(HEADER_BYTES..).and_then(|bytes| bytes.try_into().ok()) else {
            continue;
        };
        heard.payloads.lock().unwrap_or_else(PoisonError::into_inner).push(payload);
        heard.arrived.notify_waiters();
    }
}

async fn send(socket: Arc<UdpSocket>, mut wanted: watch::Receiver<Option<SocketAddr>>, script: Arc<Script>) {
    let Ok(remote) = wanted.wait_for(Option::is_some).await.map(|remote| *remote) else { return };
    let Some(remote) = remote else { return };
    let ssrc = u32::from(remote.port()) | 0x5e1f_0000;
    let mut beat = interval(Duration::from_millis(20));
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for at in 0_usize.. {
        beat.tick().await;
        // Version 2, µ-law, sequence and timestamp from 0 on; both wrap by themselves.
        let mut packet = [0; HEADER_BYTES + PACKET_BYTES];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&(at as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(at as u32).wrapping_mul(160).to_be_bytes());
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        packet[HEADER_BYTES..].copy_from_slice(script.packet(at));
        let _ = socket.send_to(&packet, remote).await;
    }
}
