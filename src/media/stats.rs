//! Numbers for people: what a port saw, and how the media threads fare.
//! Below: `shard` writes them without waiting for a reader.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a port saw from its opening to its close.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PortStats {
    /// RTP packets taken.
    pub packets_in: u64,
    /// Their payload bytes.
    pub bytes_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Their payload bytes.
    pub bytes_out: u64,
    /// Packets the peer sent that never came.
    pub lost: u64,
    /// Packets that came after one sent later.
    pub late: u64,
    /// Jitter at the end (RFC 3550 A.8), in ms.
    pub jitter_ms: f32,
    /// Datagrams that were no RTP or RTCP.
    pub malformed: u64,
    /// Datagrams from elsewhere than the peer. Those that the kernel drops are not counted.
    pub strangers: u64,
    /// Packets of another payload type than negotiated.
    pub unexpected: u64,
    /// Packets of ours that the peer says it lost (RTCP).
    pub remote_lost: u32,
    /// Jitter the peer sees (RTCP), in ms.
    pub remote_jitter_ms: f32,
    /// Time to the peer and back (RTCP), when it was measured.
    pub round_trip: Option<Duration>,
}

/// How the media threads fare, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Ports in use.
    pub ports_open: u64,
    /// Closed ports that are still bound.
    pub ports_draining: u64,
    /// RTP packets received, whoever sent them.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets the system did not take.
    pub send_failures: u64,
    /// Supervisors' frames dropped because they did not keep up.
    pub tap_frames_dropped: u64,
    /// 99 of 100 beats began at most this late, in µs (rounded up to a power of two).
    pub tick_late_p99_us: u64,
}

/// Buckets of lateness: bucket n holds what is below 2ⁿ µs.
const BUCKETS: usize = 32;

/// One thread's numbers: written by it, read by anyone.
#[derive(Debug, Default)]
pub(super) struct ShardStats {
    pub(super) ports_open: AtomicU64,
    pub(super) ports_draining: AtomicU64,
    pub(super) packets_in: AtomicU64,
    pub(super) packets_out: AtomicU64,
    pub(super) send_failures: AtomicU64,
    pub(super) tap_frames_dropped: AtomicU64,
    late_us: [AtomicU64; BUCKETS],
}

impl ShardStats {
    /// Counts a beat that began this late.
    pub(super) fn note_late(&self, late: Duration) {
        let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        self.late_us[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }
}

/// The sum over all threads.
pub(super) fn total(shards: &[&ShardStats]) -> EngineStats {
    let sum = |field: fn(&ShardStats) -> &AtomicU64| -> u64 {
        shards.iter().map(|shard| field(shard).load(Ordering::Relaxed)).sum()
    };
    let late: [u64; BUCKETS] =
        std::array::from_fn(|bucket| shards.iter().map(|shard| shard.late_us[bucket].load(Ordering::Relaxed)).sum());
    EngineStats {
        ports_open: sum(|shard| &shard.ports_open),
        ports_draining: sum(|shard| &shard.ports_draining),
        packets_in: sum(|shard| &shard.packets_in),
        packets_out: sum(|shard| &shard.packets_out),
        send_failures: sum(|shard| &shard.send_failures),
        tap_frames_dropped: sum(|shard| &shard.tap_frames_dropped),
        tick_late_p99_us: percentile_99(&late),
    }
}

fn percentile_99(late: &[u64; BUCKETS]) -> u64 {
    let all: u64 = late.iter().sum();
    let mut seen = 0;
    for (bucket, count) in late.iter().enumerate() {
        seen += count;
        if all > 0 && seen * 100 >= all * 99 {
            return 1 << bucket;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_leaves_one_in_a_hundred_above() {
        let stats = ShardStats::default();
        assert_eq!(total(&[&stats]).tick_late_p99_us, 0);
        for _ in 0..99 {
            stats.note_late(Duration::from_micros(60));
        }
        stats.note_late(Duration::from_millis(50));
        assert_eq!(total(&[&stats]).tick_late_p99_us, 64);
        stats.note_late(Duration::from_millis(50));
        assert_eq!(total(&[&stats]).tick_late_p99_us, 65_536);
    }
}
