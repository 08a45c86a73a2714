//! A port's RTCP: when a report is due, what it says, what the peer's reports tell (RFC 3550 §6).
//! Above: `port`. Below: `rtp/rtcp`.

use std::time::Duration;

use super::clock::Moment;
use super::outgoing::Outgoing;
use crate::rtp::rtcp::{self, Leaving, MAX_BYTES, ReceiverInfo, SenderInfo};
use crate::rtp::stats::Reception;

/// Compensates that reconsidered timers run short (RFC 3550 §6.3.1): e − 3/2.
const COMPENSATION: f64 = 1.218_28;
/// Hexadecimal digits of a canonical name: 96 random bits (RFC 7022 §4.2).
const CNAME_BYTES: usize = 24;

/// What a port remembers between reports.
#[derive(Debug)]
pub(super) struct Reports {
    cname: [u8; CNAME_BYTES],
    /// When the next is due.
    due: Moment,
    /// Packets sent when the last two reports were made: a sender report needs a packet since the older (§6.4).
    sent_before: [u64; 2],
    /// The peer's last sender report: middle bits of its clock, and when it came.
    heard: Option<(u32, Moment)>,
    /// What the peer says of our stream.
    pub(super) remote: Remote,
}

/// What the peer says of our stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Remote {
    pub(super) lost: u32,
    /// In clock units.
    pub(super) jitter: u32,
    pub(super) round_trip: Option<Duration>,
}

/// The clock of sender reports: seconds since 1900 in 32.32 fixed point, at the media clock's start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Epoch(pub(super) u64);

impl Epoch {
    /// The reports' clock at `now`.
    pub(super) fn ntp(self, now: Moment) -> u64 {
        let (seconds, rest) = (now.ns() / 1_000_000_000, now.ns() % 1_000_000_000);
        self.0.wrapping_add((seconds << 32) + (rest << 32) / 1_000_000_000)
    }
}

/// The 32 bits in the middle of a report's clock (§6.4.1).
fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32 // the low half of what is left, on purpose
}

impl Reports {
    /// Nothing sent, nothing heard; `random` makes the name.
    pub(super) fn new(random: [u8; CNAME_BYTES / 2]) -> Self {
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 0x0f)];
        let cname = std::array::from_fn(|at| digit(random[at / 2] >> (4 * (at % 2))));
        Self { cname, due: Moment::default(), sent_before: [0; 2], heard: None, remote: Remote::default() }
    }

    /// Sets the first report (§6.2: half the interval).
    pub(super) fn begin(&mut self, now: Moment, interval: Duration, dice: f64) {
        self.due = now.after(spread(interval / 2, dice));
    }

    /// Whether a report is due; sets the one after it. `dice` is between 0 and 1.
    pub(super) fn is_due(&mut self, now: Moment, interval: Duration, dice: f64) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now.after(spread(interval, dice));
        }
        is_due
    }

    /// Writes a report about `reception` and of `out` and returns its length.
    pub(super) fn write(
        &mut self,
        streams: (&mut Reception, &Outgoing),
        leaving: Leaving,
        now: (Moment, Epoch),
        bytes: &mut [u8; MAX_BYTES],
    ) -> usize {
        let ((reception, out), (moment, epoch)) = (streams, now);
        let sends = out.packets() > self.sent_before[0];
        self.sent_before = [self.sent_before[1], out.packets()];
        let sender = sends.then(|| SenderInfo {
            ntp: epoch.ntp(moment),
            timestamp: out.timestamp_at(moment),
            packets: out.packets() as u32, // both counts wrap (§6.4.1)
            bytes: out.bytes() as u32,
        });
        let (last_report, delay) = self.heard.map_or((0, 0), |(clock, at)| {
            let delay = moment.since(at).as_nanos() * 65_536 / 1_000_000_000;
            (clock, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        let receiver = reception.report().map(|report| ReceiverInfo { report, last_report, delay });
        let cname = std::str::from_utf8(&self.cname).unwrap_or_default();
        rtcp::Outgoing { ssrc: out.ssrc(), sender, receiver, cname, leaving }.write(bytes)
    }

    /// Takes what the peer reports.
    pub(super) fn hear(&mut self, incoming: &rtcp::Incoming, now: Moment, epoch: Epoch) {
        if let Some((_, ntp)) = incoming.sender {
            self.heard = Some((middle(ntp), now));
        }
        if let Some(about) = &incoming.about_us {
            // Negative loss (duplicates) is 24 bits with the top one set.
            self.remote.lost = if about.lost > 0x7f_ffff { 0 } else { about.lost };
            self.remote.jitter = about.jitter;
            if about.last_report != 0 {
                let there_and_back = middle(epoch.ntp(now)).wrapping_sub(about.last_report).wrapping_sub(about.delay);
                // A peer with a wrong clock can make it negative: that is no measurement.
                if there_and_back < 60 << 16 {
                    let ns = u64::from(there_and_back) * 1_000_000_000 / 65_536;
                    self.remote.round_trip = Some(Duration::from_nanos(ns));
                }
            }
        }
    }
}

/// Between half and one and a half of the interval, so that reports of many ports do not meet (§6.3.1).
fn spread(interval: Duration, dice: f64) -> Duration {
    interval.mul_f64((0.5 + dice.clamp(0.0, 1.0)) / COMPENSATION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::packet::Header;

    fn at(ms: u64) -> Moment {
        Moment::default().after(Duration::from_millis(ms))
    }

    #[test]
    fn two_ports_that_report_to_each_other_measure_the_way() {
        let epoch = Epoch(0xe000_0000 << 32);
        let (mut ours, mut theirs) = (Reports::new([1; 12]), Reports::new([2; 12]));
        let (mut out, mut reception) = (Outgoing::new(7, 0, 0), Reception::default());
        for n in 0..10u64 {
            let header = out.own(0, 160, at(n * 20));
            out.count(160);
            if n != 4 {
                reception.receive(&header, at(n * 20).rtp_clock());
            }
        }
        let mut bytes = [0; MAX_BYTES];
        let length = ours.write((&mut Reception::default(), &out), Leaving::No, (at(1_000), epoch), &mut bytes);
        let heard = rtcp::parse(&bytes[..length], 9).expect("a report");
        theirs.hear(&heard, at(1_030), epoch);
        let back = Outgoing::new(9, 0, 0);
        let length = theirs.write((&mut reception, &back), Leaving::Yes, (at(1_500), epoch), &mut bytes);
        let heard = rtcp::parse(&bytes[..length], 7).expect("a report");
        assert!(heard.leaving && heard.sender.is_none(), "nothing sent: a receiver report");
        ours.hear(&heard, at(1_530), epoch);
        assert_eq!(ours.remote.lost, 1);
        let way = ours.remote.round_trip.expect("measured").as_millis();
        assert!((59..=61).contains(&way), "{way} ms");
        let header = Header { marker: false, payload_type: 0, sequence: 0, timestamp: 0, ssrc: 1 };
        reception.receive(&header, 0);
    }

    #[test]
    fn reports_are_spread_over_their_interval() {
        let mut reports = Reports::new([0; 12]);
        let interval = Duration::from_secs(5);
        reports.begin(at(0), interval, 0.5);
        assert!(!reports.is_due(at(2_000), interval, 0.0));
        assert!(reports.is_due(at(2_100), interval, 0.0));
        assert!(!reports.is_due(at(2_100 + 2_000), interval, 1.0));
        assert!(reports.is_due(at(2_100 + 2_100), interval, 1.0));
        assert!(!reports.is_due(at(4_200 + 6_000), interval, 1.0));
        assert!(reports.is_due(at(4_200 + 6_200), interval, 1.0));
    }
}
