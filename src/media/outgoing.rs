//! One outgoing RTP stream: its own source, numbers and time stamps, continuous over all that feeds it (RFC 3550 §5.1).
//! Above: `bridge` (what a peer sent), `generator` (what we say). What feeds the stream can change at any packet.

use super::clock::Moment;
use crate::rtp::packet::Header;
use crate::rtp::sequence;

/// A number this far behind, or so far ahead, is a restarted sender (RFC 3550 A.1).
const BEHIND: i16 = 100;
const AHEAD: i16 = 3_000;
/// Own packets this much later than the last one's end begin a new talkspurt: 20 ms.
const PAUSE_SAMPLES: u32 = 160;

/// What feeds the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed {
    /// A peer's packets, by the peer's place and source.
    Peer {
        /// Number of the place on the board.
        seat: u32,
        /// The source's id.
        ssrc: u32,
    },
    /// Sound of our own.
    Own,
    /// A key that we press, by the time stamp it began at.
    OwnEvent,
}

/// How a peer's numbers become ours.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    feed: Feed,
    sequence: u16,
    timestamp: u32,
    /// Highest number received, and the lowest that may still come: older ones belong to the feed before.
    highest: u16,
    floor: Option<u16>,
}

/// The stream's state: what was sent last.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    ssrc: u32,
    mapping: Option<Mapping>,
    has_sent: bool,
    sequence: u16,
    timestamp: u32,
    /// When the last new time stamp was sent, and how many samples it covered.
    at: Moment,
    samples: u32,
    /// When a peer's packet was last sent on.
    peer_at: Moment,
    packets: u64,
    bytes: u64,
    /// How often its time stamps count while 8 kHz, in which all lengths here are, counts once.
    clock: u32,
}

impl Outgoing {
    /// A stream that begins at random numbers.
    pub(super) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            mapping: None,
            has_sent: false,
            sequence,
            timestamp,
            at: Moment::default(),
            samples: 0,
            peer_at: Moment::default(),
            packets: 0,
            bytes: 0,
            clock: 1,
        }
    }

    /// From now on time stamps count so often while 8 kHz counts once.
    pub(super) fn set_clock(&mut self, clock: u32) {
        if clock != self.clock {
            self.clock = clock;
            self.interrupt();
        }
    }

    /// The header under which a peer's packet is sent on; `None` when it belongs before what another feed sent meanwhile.
    /// `samples` is the length of its sound, 0 for a telephone-event.
    pub(super) fn relay(&mut self, feed: Feed, header: &Header, samples: u32, now: Moment) -> Option<Header> {
        let (mapping, is_new) = match &mut self.mapping {
            Some(mapping) if mapping.feed == feed && !mapping.is_restart(header.sequence) => (mapping, false),
            _ => (self.begin(feed, header, now), true),
        };
        if mapping.floor.is_some_and(|floor| sequence::distance(floor, header.sequence) < 0) {
            return None;
        }
        mapping.advance(header.sequence);
        let sent = Header {
            marker: header.marker || is_new,
            payload_type: header.payload_type,
            sequence: header.sequence.wrapping_add(mapping.sequence),
            timestamp: header.timestamp.wrapping_add(mapping.timestamp),
            ssrc: self.ssrc,
        };
        self.peer_at = now;
        self.note(&sent, samples, now);
        Some(sent)
    }

    /// Leaves out a peer's packet without a hole in our numbers.
    pub(super) fn skip(&mut self, feed: Feed, header: &Header) {
        if let Some(mapping) = &mut self.mapping
            && mapping.feed == feed
            && sequence::is_after(header.sequence, mapping.highest)
        {
            mapping.highest = header.sequence;
            mapping.sequence = mapping.sequence.wrapping_sub(1);
        }
    }

    /// The header of the next packet of our own sound, `samples` long.
    pub(super) fn own(&mut self, payload_type: u8, samples: u32, now: Moment) -> Header {
        let goes_on = self.mapping.is_some_and(|mapping| mapping.feed == Feed::Own)
            && now.samples_since(self.at) <= self.samples + PAUSE_SAMPLES;
        let (sequence, mut timestamp) = self.next_place(now);
        if goes_on {
            timestamp = self.timestamp.wrapping_add(self.samples.wrapping_mul(self.clock));
        } else {
            self.mapping = Some(Mapping::of(Feed::Own));
        }
        let sent = Header { marker: !goes_on, payload_type, sequence, timestamp, ssrc: self.ssrc };
        self.note(&sent, samples, now);
        sent
    }

    /// The header of the next packet of a key we press; the first has the marker, all have its time stamp (RFC 4733 §2.2).
    pub(super) fn own_event(&mut self, payload_type: u8, part: EventPart, now: Moment) -> Header {
        let (sequence, next) = self.next_place(now);
        let is_first = part == EventPart::First;
        self.mapping = Some(Mapping::of(Feed::OwnEvent));
        let timestamp = if is_first { next } else { self.timestamp };
        let sent = Header { marker: is_first, payload_type, sequence, timestamp, ssrc: self.ssrc };
        self.note(&sent, 0, now);
        sent
    }

    /// Makes whatever comes next a new talkspurt.
    pub(super) fn interrupt(&mut self) {
        self.mapping = None;
    }

    /// Counts the payload of a packet that was sent.
    pub(super) fn count(&mut self, payload_bytes: usize) {
        self.packets += 1;
        self.bytes += payload_bytes as u64;
    }

    /// Our source id.
    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets sent.
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Payload bytes sent.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Our time stamp at `now`, for a sender report.
    pub(super) fn timestamp_at(&self, now: Moment) -> u32 {
        self.timestamp.wrapping_add(now.samples_since(self.at).wrapping_mul(self.clock))
    }

    /// Whether the peer has sent nothing for longer than its last packet and 60 ms.
    pub(super) fn peer_is_silent(&self, now: Moment) -> bool {
        now.samples_since(self.peer_at) > self.samples.max(PAUSE_SAMPLES) + 480
    }

    fn begin(&mut self, feed: Feed, header: &Header, now: Moment) -> &mut Mapping {
        let (sequence, timestamp) = self.next_place(now);
        self.mapping.insert(Mapping {
            feed,
            sequence: sequence.wrapping_sub(header.sequence),
            timestamp: timestamp.wrapping_sub(header.timestamp),
            highest: header.sequence,
            floor: self.has_sent.then_some(header.sequence),
        })
    }

    /// Where a new feed goes on: the next number, and the time stamp of now or of the end of what was sent.
    fn next_place(&self, now: Moment) -> (u16, u32) {
        if !self.has_sent {
            return (self.sequence, self.timestamp);
        }
        let passed = self.samples.max(now.samples_since(self.at));
        (self.sequence.wrapping_add(1), self.timestamp.wrapping_add(passed.wrapping_mul(self.clock)))
    }

    fn note(&mut self, sent: &Header, samples: u32, now: Moment) {
        if self.has_sent && !sequence::is_after(sent.sequence, self.sequence) {
            return;
        }
        self.sequence = sent.sequence;
        if !self.has_sent || sent.timestamp != self.timestamp {
            (self.timestamp, self.at) = (sent.timestamp, now);
        }
        self.samples = samples;
        self.has_sent = true;
    }
}

/// Which packet of a pressed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventPart {
    /// The first.
    First,
    /// Any other.
    Later,
}

impl Mapping {
    fn of(feed: Feed) -> Self {
        Self { feed, sequence: 0, timestamp: 0, highest: 0, floor: None }
    }

    fn is_restart(&self, number: u16) -> bool {
        let ahead = sequence::distance(self.highest, number);
        ahead <= -BEHIND || ahead >= AHEAD
    }

    fn advance(&mut self, number: u16) {
        if sequence::is_after(number, self.highest) {
            self.highest = number;
        }
        // Once the floor is out of reach of late packets it has done its work.
        if self.floor.is_some_and(|floor| sequence::distance(floor, self.highest) > BEHIND) {
            self.floor = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const A: Feed = Feed::Peer { seat: 1, ssrc: 11 };
    const B: Feed = Feed::Peer { seat: 1, ssrc: 12 };

    fn stream() -> Outgoing {
        Outgoing::new(99, 0xfffe, 1_000)
    }

    fn at(ms: u64) -> Moment {
        Moment::default().after(Duration::from_millis(1_000 + ms))
    }

    fn header(sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 11 }
    }

    fn place(sent: Option<Header>) -> Option<(u16, u32, bool)> {
        sent.map(|sent| (sent.sequence, sent.timestamp, sent.marker))
    }

    #[test]
    fn order_loss_and_time_stamps_of_a_peer_are_kept() {
        let mut out = stream();
        assert_eq!(place(out.relay(A, &header(500, 9_000), 160, at(0))), Some((0xfffe, 1_000, true)));
        assert_eq!(place(out.relay(A, &header(503, 9_480), 160, at(60))), Some((1, 1_480, false)));
        assert_eq!(place(out.relay(A, &header(501, 9_160), 160, at(61))), Some((0xffff, 1_160, false)));
        assert_eq!(
            place(out.relay(A, &header(499, 8_840), 160, at(62))),
            Some((0xfffd, 840, false)),
            "nothing else was sent before"
        );
    }

    #[test]
    fn a_change_of_feed_goes_on_without_a_gap_and_sets_the_marker() {
        let mut out = stream();
        out.relay(A, &header(500, 9_000), 160, at(0));
        assert_eq!(place(out.relay(B, &header(7, 70), 160, at(20))), Some((0xffff, 1_160, true)));
        assert_eq!(place(out.relay(B, &header(6, 10), 160, at(21))), None, "older than the change");
        let own = out.own(0, 160, at(40));
        assert_eq!((own.sequence, own.timestamp, own.marker, own.ssrc), (0, 1_320, true, 99));
        let own = out.own(0, 160, at(59)); // a little early: still steady
        assert_eq!((own.sequence, own.timestamp, own.marker), (1, 1_480, false));
        assert_eq!(place(out.relay(B, &header(30, 5_000), 160, at(100))), Some((2, 1_480 + 328, true)), "41 ms later");
    }

    #[test]
    fn skipped_packets_leave_no_hole() {
        let mut out = stream();
        out.relay(A, &header(500, 0), 160, at(0));
        out.skip(A, &header(501, 160));
        out.skip(A, &header(501, 160));
        out.skip(A, &header(502, 160));
        assert_eq!(place(out.relay(A, &header(503, 480), 160, at(60))), Some((0xffff, 1_480, false)));
    }

    #[test]
    fn a_restarted_sender_goes_on_without_a_gap() {
        let mut out = stream();
        out.relay(A, &header(40_000, 0), 160, at(0));
        assert_eq!(place(out.relay(A, &header(3, 77), 160, at(20))), Some((0xffff, 1_160, true)));
        assert_eq!(place(out.relay(A, &header(4, 237), 160, at(40))), Some((0, 1_320, false)));
    }

    #[test]
    fn the_packets_of_a_key_share_a_time_stamp() {
        let mut out = stream();
        out.own(0, 160, at(0));
        let first = out.own_event(101, EventPart::First, at(20));
        let second = out.own_event(101, EventPart::Later, at(40));
        assert_eq!((first.timestamp, first.marker, first.sequence), (1_160, true, 0xffff));
        assert_eq!((second.timestamp, second.marker, second.sequence), (1_160, false, 0));
        let sound = out.own(0, 160, at(60));
        assert_eq!((sound.timestamp, sound.marker), (1_160 + 320, true));
    }
}
