//! Telephone-events (RFC 4733): keys pressed, as packets. Decoding tells each press once; encoding times a press.
//! Above: `media/port` (received), `media/digits` (sent).

use crate::audio::dtmf;

/// Bytes of an event's payload.
pub const PAYLOAD_BYTES: usize = 4;
/// How often the packet with the end bit is sent (RFC 4733 §2.5.1.4).
pub const END_PACKETS: u8 = 3;
/// Power given in our events, in −dBm0.
const VOLUME: u8 = 10;

/// The payload of one packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Event code; 0 to 15 are keys.
    pub event: u8,
    /// The event is over.
    pub end: bool,
    /// Length so far, in units of the clock (8 kHz).
    pub duration: u16,
}

impl Payload {
    /// Reads a payload; `None` when it is too short. What follows the first event is ignored.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[event, flags, high, low] = bytes.first_chunk()?;
        Some(Self { event, end: flags & 0x80 != 0, duration: u16::from_be_bytes([high, low]) })
    }

    /// The four bytes of the payload.
    pub fn to_bytes(self) -> [u8; PAYLOAD_BYTES] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, VOLUME | if self.end { 0x80 } else { 0 }, high, low]
    }
}

/// A key that was pressed and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub key: char,
    /// How long it was held, in ms.
    pub ms: u32,
}

/// Makes presses of a stream of event packets, each told once however often its packets are repeated.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    /// The event heard last: its time stamp, and what its packets said so far.
    last: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    timestamp: u32,
    event: u8,
    duration: u16,
    told: bool,
}

impl Receiver {
    /// Takes a packet of the event stream. A press whose end was lost is told when the next event begins.
    pub fn receive(&mut self, timestamp: u32, payload: Payload) -> [Option<Press>; 2] {
        let mut before = None;
        let heard = match &mut self.last {
            Some(heard) if heard.timestamp == timestamp => heard,
            // A late packet of an event before the last: its press has been told.
            Some(heard)
                if super::sequence::elapsed(heard.timestamp, timestamp) < 0
                    && super::sequence::elapsed(heard.timestamp, timestamp) > -8_000 =>
            {
                return [None, None];
            }
            last => {
                before = last.as_mut().and_then(Heard::tell);
                last.insert(Heard { timestamp, event: payload.event, duration: 0, told: false })
            }
        };
        heard.duration = heard.duration.max(payload.duration);
        [before, if payload.end { heard.tell() } else { None }]
    }

    /// Whether a press has begun whose end has not come.
    pub fn is_open(&self) -> bool {
        self.last.is_some_and(|heard| !heard.told)
    }

    /// Ends a press whose end packets were lost.
    pub fn close(&mut self) -> Option<Press> {
        self.last.as_mut().and_then(Heard::tell)
    }
}

impl Heard {
    fn tell(&mut self) -> Option<Press> {
        let key = dtmf::key_of(self.event)?;
        let first = !std::mem::replace(&mut self.told, true);
        first.then(|| Press { key, ms: u32::from(self.duration) / 8 })
    }
}

/// Times the packets of one press to be sent: one each packet time, then the end three times.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    event: u8,
    /// Length of the whole press, in clock units.
    length: u16,
    duration: u16,
    ends_left: u8,
}

impl Sender {
    /// A press of `ms` milliseconds (40 at least, 8 s at most); `None` when `key` is no key.
    pub fn new(key: char, ms: u32) -> Option<Self> {
        let length = u16::try_from(ms.clamp(40, 8_000) * 8).ok()?;
        Some(Self { event: dtmf::event_of(key)?, length, duration: 0, ends_left: END_PACKETS })
    }

    /// The next payload, `step` clock units after the last; `None` when the press has been sent.
    pub fn next(&mut self, step: u16) -> Option<Payload> {
        self.duration = self.duration.saturating_add(step).min(self.length);
        let end = self.duration == self.length;
        if end {
            self.ends_left = self.ends_left.checked_sub(1)?;
        }
        Some(Payload { event: self.event, end, duration: self.duration })
    }

    /// Whether the next payload repeats the end: such packets need not wait for their time (RFC 4733 §2.5.1.4).
    pub fn is_repeating_end(&self) -> bool {
        self.ends_left < END_PACKETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_press_sent_is_a_press_received_once() {
        let mut sender = Sender::new('#', 100).expect("a key");
        let mut receiver = Receiver::default();
        let (mut packets, mut presses) = (0, Vec::new());
        while let Some(payload) = sender.next(160) {
            packets += 1;
            let payload = Payload::parse(&payload.to_bytes()).expect("a payload");
            presses.extend(receiver.receive(5_000, payload).into_iter().flatten());
        }
        assert_eq!((packets, presses), (7, vec![Press { key: '#', ms: 100 }])); // 20, 40, 60, 80, 3 × 100
    }

    #[test]
    fn the_same_key_twice_is_told_twice_and_a_lost_end_is_made_up() {
        let mut receiver = Receiver::default();
        let held = Payload { event: 5, end: false, duration: 480 };
        let ended = Payload { end: true, ..held };
        assert_eq!(receiver.receive(100, ended), [None, Some(Press { key: '5', ms: 60 })]);
        assert_eq!(receiver.receive(100, ended), [None, None]);
        assert_eq!(receiver.receive(2_000, held), [None, None]);
        assert!(receiver.is_open());
        assert_eq!(receiver.receive(100, ended), [None, None], "late, of a press already told");
        let next = receiver.receive(4_000, ended);
        assert_eq!(next, [Some(Press { key: '5', ms: 60 }), Some(Press { key: '5', ms: 60 })]);
        assert_eq!(receiver.close(), None);
    }

    #[test]
    fn events_that_are_no_keys_are_not_told() {
        let flash = Payload { event: 16, end: true, duration: 800 };
        assert_eq!(Receiver::default().receive(1, flash), [None, None]);
        assert!(Sender::new('x', 100).is_none());
        assert_eq!(Payload::parse(&[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn any_packets_tell_at_most_one_press_a_time_stamp(
            packets in prop::collection::vec((0u32..4, any::<[u8; 4]>()), 0..60)
        ) {
            let mut receiver = Receiver::default();
            let told: usize = packets.iter().map(|(time, bytes)| {
                let payload = Payload::parse(bytes).expect("four bytes");
                receiver.receive(time * 1_000, payload).into_iter().flatten().count()
            }).sum();
            prop_assert!(told <= 4);
        }
    }
}
