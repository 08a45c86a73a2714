//! Audio through whatever forwards it: two packets of G.711 every 20 ms a call, counted at the far ends.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::process::Process;

const BEAT: Duration = Duration::from_millis(20);
/// The calls of a beat are spread over it, as in life.
const SLICES: usize = 20;

/// A call's two ends, and where each sends.
pub(crate) struct Stream {
    pub(crate) sockets: [UdpSocket; 2],
    pub(crate) towards: [SocketAddr; 2],
}

/// What was sent, what arrived, and what it cost the one in the middle.
pub(crate) struct Cost {
    sent: u64,
    arrived: u64,
    cpu: Duration,
}

impl Cost {
    pub(crate) fn cpu_per_packet(&self) -> Duration {
        self.cpu.div_f64(self.arrived as f64)
    }

    pub(crate) fn packets_per_cpu_second(&self) -> f64 {
        self.arrived as f64 / self.cpu.as_secs_f64()
    }

    /// Share of one core.
    pub(crate) fn percent(&self, time: Duration) -> f64 {
        100.0 * self.cpu.as_secs_f64() / time.as_secs_f64()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.arrived)
    }
}

/// Speaks on all streams for `time`, after a second for sources to be learnt.
pub(crate) fn measure(streams: &[Stream], time: Duration, middle: &Process) -> anyhow::Result<Cost> {
    let mut speaker = Speaker { streams, sequence: 0, sent: 0, arrived: 0 };
    speaker.speaks(Duration::from_secs(1))?;
    (speaker.sent, speaker.arrived) = (0, 0);
    let before = middle.cpu()?;
    speaker.speaks(time)?;
    let cpu = middle.cpu()? - before;
    Ok(Cost { sent: speaker.sent, arrived: speaker.arrived, cpu })
}

struct Speaker<'a> {
    streams: &'a [Stream],
    sequence: u16,
    sent: u64,
    arrived: u64,
}

impl Speaker<'_> {
    fn speaks(&mut self, time: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        let beats = u32::try_from(time.as_millis() / BEAT.as_millis())?;
        for beat in 0..beats {
            self.sequence = self.sequence.wrapping_add(1);
            for slice in 0..SLICES {
                let due = start + BEAT * beat + BEAT * u32::try_from(slice)? / u32::try_from(SLICES)?;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                self.speaks_slice(slice)?;
            }
        }
        Ok(())
    }

    fn speaks_slice(&mut self, slice: usize) -> anyhow::Result<()> {
        let mut packet = [0x55; 172];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        let mut buffer = [0; 2_048];
        for (at, stream) in self.streams.iter().enumerate().skip(slice).step_by(SLICES) {
            for (side, (socket, to)) in stream.sockets.iter().zip(stream.towards).enumerate() {
                packet[8..12].copy_from_slice(&u32::try_from(2 * at + side)?.to_be_bytes());
                while socket.recv(&mut buffer).is_ok_and(|length| length == packet.len()) {
                    self.arrived += 1;
                }
                // refused only when the far end is gone, which the count of arrivals shows
                if socket.send_to(&packet, to).is_ok() {
                    self.sent += 1;
                }
            }
        }
        Ok(())
    }
}
