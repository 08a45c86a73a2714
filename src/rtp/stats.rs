//! What a receiver knows of a stream: loss (RFC 3550 A.3) and jitter (A.8), over changes of source.
//! Above: `media/port` feeds it, `rtcp` reports it.

use super::packet::Header;
use super::sequence;

/// A jump further ahead than this is a restarted sender, not loss (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3_000;
/// A packet further behind than this is from a restarted sender, not late (RFC 3550 A.1).
const MAX_MISORDER: i16 = 100;

/// Statistics of the packets received on one port.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    source: Option<Source>,
    /// Expected and received packets of sources that have gone.
    past_expected: u64,
    past_received: u64,
    /// Packets that came after one that was sent later.
    misordered: u64,
    /// Greatest jitter since the start, in clock units.
    worst_jitter: u32,
}

#[derive(Clone, Debug)]
struct Source {
    ssrc: u32,
    /// First number counted.
    base: u64,
    /// Highest number so far, with its wraps in the upper bits.
    highest: u64,
    received: u64,
    /// The number that proves a jump to be a restart, when it comes (RFC 3550 A.1).
    restart_at: Option<u16>,
    /// Arrival minus time stamp of the last packet, in clock units.
    transit: Option<u32>,
    /// Sixteen times the jitter (RFC 3550 A.8).
    jitter_x16: u32,
    /// Counts at the last report.
    expected_before: u64,
    received_before: u64,
}

/// One report block's worth (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose packets these are.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the source began.
    pub lost: u32,
    /// Highest sequence number with its wraps in the upper half.
    pub highest: u32,
    /// Jitter in clock units.
    pub jitter: u32,
}

impl Reception {
    /// Counts a packet that arrived at `arrival`, in units of the stream's clock.
    pub fn receive(&mut self, header: &Header, arrival: u32) {
        let same = self.source.as_ref().is_some_and(|source| source.ssrc == header.ssrc);
        let goes_on =
            same && self.source.as_mut().is_some_and(|source| source.count(header.sequence, &mut self.misordered));
        if !goes_on {
            self.retire();
            self.source = Some(Source::new(header));
        }
        if let Some(source) = &mut self.source {
            source.time(arrival.wrapping_sub(header.timestamp));
            self.worst_jitter = self.worst_jitter.max(source.jitter_x16 >> 4);
        }
    }

    /// Counts a packet whose time stamp says nothing about jitter, such as a repeated telephone-event (RFC 4733 §2.3).
    pub fn receive_untimed(&mut self, header: &Header) {
        if let Some(source) = &mut self.source
            && source.ssrc == header.ssrc
        {
            source.count(header.sequence, &mut self.misordered);
        }
    }

    /// Who sends at present.
    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// Packets lost over all sources.
    pub fn lost(&self) -> u64 {
        let (expected, received) = self.source.as_ref().map_or((0, 0), |source| (source.expected(), source.received));
        (self.past_expected + expected).saturating_sub(self.past_received + received)
    }

    /// Packets that came after a later one.
    pub fn misordered(&self) -> u64 {
        self.misordered
    }

    /// Jitter of the present source, in clock units.
    pub fn jitter(&self) -> u32 {
        self.source.as_ref().map_or(0, |source| source.jitter_x16 >> 4)
    }

    /// The next report block; `None` before the first packet. Starts a new interval.
    pub fn report(&mut self) -> Option<Report> {
        let source = self.source.as_mut()?;
        let (expected, received) = (source.expected(), source.received);
        let expected_now = expected - source.expected_before;
        let received_now = received - source.received_before;
        (source.expected_before, source.received_before) = (expected, received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now << 8).checked_div(expected_now).unwrap_or(0);
        Some(Report {
            ssrc: source.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: u32::try_from(expected.saturating_sub(received)).unwrap_or(0x7f_ffff).min(0x7f_ffff),
            highest: source.highest as u32, // wraps and number; higher wraps are not reported
            jitter: source.jitter_x16 >> 4,
        })
    }

    fn retire(&mut self) {
        if let Some(source) = self.source.take() {
            self.past_expected += source.expected();
            self.past_received += source.received;
        }
    }
}

impl Source {
    fn new(header: &Header) -> Self {
        let base = u64::from(header.sequence);
        Self {
            ssrc: header.ssrc,
            base,
            highest: base,
            received: 1,
            restart_at: None,
            transit: None,
            jitter_x16: 0,
            expected_before: 0,
            received_before: 0,
        }
    }

    /// Counts a number; `false` when the sender has started anew.
    fn count(&mut self, number: u16, misordered: &mut u64) -> bool {
        let highest = self.highest as u16; // the low 16 bits, on purpose
        let ahead = sequence::distance(highest, number);
        if ahead > 0 && ahead.unsigned_abs() < MAX_DROPOUT {
            self.highest += u64::from(ahead.unsigned_abs());
        } else if ahead <= 0 && ahead > -MAX_MISORDER {
            *misordered += u64::from(ahead != 0);
        } else if self.restart_at == Some(number) {
            return false;
        } else {
            self.restart_at = Some(number.wrapping_add(1));
            return true;
        }
        self.restart_at = None;
        self.received += 1;
        true
    }

    /// RFC 3550 A.8.
    fn time(&mut self, transit: u32) {
        if let Some(before) = self.transit.replace(transit) {
            // A step of more than a second is a new clock, not jitter.
            let difference = sequence::elapsed(before, transit).unsigned_abs();
            if difference < 8_000 {
                self.jitter_x16 = (self.jitter_x16 + difference).saturating_sub((self.jitter_x16 + 8) >> 4);
            }
        }
    }

    fn expected(&self) -> u64 {
        self.highest - self.base + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16, ssrc: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc }
    }

    fn received(numbers: impl IntoIterator<Item = u16>) -> Reception {
        let mut reception = Reception::default();
        for number in numbers {
            reception.receive(&header(number, 1), u32::from(number) * 160);
        }
        reception
    }

    #[test]
    fn gaps_are_lost_and_late_packets_are_not() {
        let mut reception = received([10, 11, 13, 12, 16]);
        assert_eq!((reception.lost(), reception.misordered()), (2, 1));
        let report = reception.report().expect("a source");
        assert_eq!((report.lost, report.fraction_lost, report.highest), (2, 73, 16)); // 2 of 7
        assert_eq!(reception.report().expect("a source").fraction_lost, 0);
    }

    #[test]
    fn the_highest_number_counts_its_wraps() {
        let mut reception = received([0xfffe, 0xffff, 0, 1]);
        assert_eq!(reception.lost(), 0);
        assert_eq!(reception.report().expect("a source").highest, 0x1_0001);
    }

    #[test]
    fn a_new_source_or_a_restart_is_no_loss() {
        let mut reception = received([1, 2, 4]);
        reception.receive(&header(30_000, 2), 0);
        reception.receive(&header(30_001, 2), 160);
        assert_eq!((reception.lost(), reception.ssrc()), (1, Some(2)));
        reception.receive(&header(100, 2), 0); // a stray
        reception.receive(&header(30_002, 2), 320);
        assert_eq!(reception.lost(), 1);
        reception.receive(&header(100, 2), 0);
        reception.receive(&header(101, 2), 160); // two in a row: a restart
        reception.receive(&header(102, 2), 320);
        assert_eq!(reception.lost(), 1);
        assert_eq!(reception.report().expect("a source").highest, 102);
    }

    #[test]
    fn jitter_follows_the_formula() {
        let mut reception = Reception::default();
        reception.receive(&header(0, 1), 0);
        reception.receive(&header(1, 1), 160 + 160); // 20 ms late
        assert_eq!(reception.jitter(), 10); // 160 / 16
        let mut steady = received(0..1_000);
        assert_eq!(steady.report().expect("a source").jitter, 0);
    }
}
