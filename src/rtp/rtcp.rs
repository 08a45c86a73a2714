//! RTCP (RFC 3550 §6): compound reports and goodbyes written into a given buffer, received ones read with `rtcp-types`.
//! Above: `media/report`. Nothing here allocates, so the builders and the description parser of `rtcp-types` are the tests' oracle only.

use rtcp_types::{ReceiverReport, ReportBlock, RtcpPacketParser, SenderReport};

use super::stats::Report;

/// Greatest length of a compound packet written here: sender report, one block, name, goodbye.
pub const MAX_BYTES: usize = 28 + 24 + 8 + 2 + MAX_NAME_BYTES + 4 + 8;
/// Longest canonical name written.
const MAX_NAME_BYTES: usize = 40;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const CNAME: u8 = 1;

/// What a sender says of its own stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock, seconds since 1900 in 32.32 fixed point.
    pub ntp: u64,
    /// The same instant in the stream's clock.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub bytes: u32,
}

/// What a receiver says of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverInfo {
    /// Loss and jitter.
    pub report: Report,
    /// Middle 32 bits of the last sender report's clock; 0 for none.
    pub last_report: u32,
    /// Time since then, in 1/65536 s.
    pub delay: u32,
}

/// A compound packet to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// Present when packets were sent since the last report but one (RFC 3550 §6.4).
    pub sender: Option<SenderInfo>,
    /// Present when packets were received.
    pub receiver: Option<ReceiverInfo>,
    /// Canonical name (RFC 7022), 40 bytes at most.
    pub cname: &'a str,
    /// Whether this is the last packet of this source.
    pub leaving: Leaving,
}

/// Whether a source says goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It stays.
    No,
    /// It goes: a BYE follows the report.
    Yes,
}

impl Outgoing<'_> {
    /// Writes the compound packet and returns its length.
    pub fn write(&self, out: &mut [u8; MAX_BYTES]) -> usize {
        let mut writer = Writer { out, length: 0 };
        let blocks = u8::from(self.receiver.is_some());
        let kind = if self.sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
        let start = writer.open(blocks, kind);
        writer.put(&self.ssrc.to_be_bytes());
        if let Some(sender) = &self.sender {
            writer.put(&sender.ntp.to_be_bytes());
            writer.put(&sender.timestamp.to_be_bytes());
            writer.put(&sender.packets.to_be_bytes());
            writer.put(&sender.bytes.to_be_bytes());
        }
        if let Some(receiver) = &self.receiver {
            writer.block(receiver);
        }
        writer.close(start);
        let start = writer.open(1, DESCRIPTION);
        writer.put(&self.ssrc.to_be_bytes());
        let name = &self.cname.as_bytes()[..self.cname.len().min(MAX_NAME_BYTES)];
        writer.put(&[CNAME, name.len() as u8]); // at most MAX_NAME_BYTES
        writer.put(name);
        // §6.5: the items end with at least one zero and fill a word.
        let zeros = 4 - writer.length % 4;
        writer.put(&[0; 4][..zeros]);
        writer.close(start);
        if self.leaving == Leaving::Yes {
            let start = writer.open(1, GOODBYE);
            writer.put(&self.ssrc.to_be_bytes());
            writer.close(start);
        }
        writer.length
    }
}

struct Writer<'a> {
    out: &'a mut [u8; MAX_BYTES],
    length: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn open(&mut self, count: u8, kind: u8) -> usize {
        let start = self.length;
        self.put(&[0x80 | count, kind, 0, 0]);
        start
    }

    /// Fills in the length: 32-bit words less one (§6.4.1).
    fn close(&mut self, start: usize) {
        let words = ((self.length - start) / 4 - 1) as u16; // MAX_BYTES is far below 2¹⁶
        self.out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }

    fn block(&mut self, receiver: &ReceiverInfo) {
        let report = &receiver.report;
        self.put(&report.ssrc.to_be_bytes());
        self.put(&(u32::from(report.fraction_lost) << 24 | report.lost & 0xff_ffff).to_be_bytes());
        self.put(&report.highest.to_be_bytes());
        self.put(&report.jitter.to_be_bytes());
        self.put(&receiver.last_report.to_be_bytes());
        self.put(&receiver.delay.to_be_bytes());
    }
}

/// What a received compound packet says that concerns us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// Clock of a sender report, 32.32 fixed point, with its sender.
    pub sender: Option<(u32, u64)>,
    /// The block about our own stream.
    pub about_us: Option<AboutUs>,
    /// The peer said goodbye.
    pub leaving: bool,
}

/// A report block about our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AboutUs {
    /// Share lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost in all.
    pub lost: u32,
    /// Jitter in clock units.
    pub jitter: u32,
    /// Our own report that the peer saw last; 0 for none.
    pub last_report: u32,
    /// How long the peer waited since then, in 1/65536 s.
    pub delay: u32,
}

/// Reads a compound packet; `None` when it is none (RFC 3550 A.2). `our_ssrc` picks the block about us.
pub fn parse(bytes: &[u8], our_ssrc: u32) -> Option<Incoming> {
    // A.2: the first packet of a compound is a report.
    if !matches!(bytes, [_, SENDER_REPORT | RECEIVER_REPORT, ..]) {
        return None;
    }
    let mut incoming = Incoming::default();
    let mut about = |block: ReportBlock<'_>| {
        if block.ssrc() == our_ssrc {
            incoming.about_us = Some(AboutUs {
                fraction_lost: block.fraction_lost(),
                lost: block.cumulative_lost(),
                jitter: block.interarrival_jitter(),
                last_report: block.last_sender_report_timestamp(),
                delay: block.delay_since_last_sender_report_timestamp(),
            });
        }
    };
    let (mut sender, mut leaving, mut rest) = (None, false, bytes);
    while !rest.is_empty() {
        let &[_, kind, high, low] = rest.first_chunk()?;
        let (packet, next) = rest.split_at_checked((usize::from(u16::from_be_bytes([high, low])) + 1) * 4)?;
        match kind {
            SENDER_REPORT => {
                let report = SenderReport::parse(packet).ok()?;
                sender = Some((report.ssrc(), report.ntp_timestamp()));
                report.report_blocks().for_each(&mut about);
            }
            RECEIVER_REPORT => ReceiverReport::parse(packet).ok()?.report_blocks().for_each(&mut about),
            GOODBYE => leaving = true,
            _ => {}
        }
        rest = next;
    }
    Some(Incoming { sender, leaving, ..incoming })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rtcp_types::{Compound, Packet as RtcpPacket};

    const REPORT: Report = Report { ssrc: 7, fraction_lost: 12, lost: 345, highest: 0x1_0002, jitter: 99 };
    const RECEIVER: ReceiverInfo = ReceiverInfo { report: REPORT, last_report: 0xabcd_0123, delay: 65_536 };
    const SENDER: SenderInfo = SenderInfo { ntp: 0x1122_3344_5566_7788, timestamp: 4_711, packets: 50, bytes: 8_000 };

    fn written(outgoing: Outgoing<'_>) -> Vec<u8> {
        let mut out = [0xee; MAX_BYTES];
        let length = outgoing.write(&mut out);
        out[..length].to_vec()
    }

    #[test]
    fn a_report_reads_back_whole_in_another_implementation() {
        for name in ["", "a", "ab", "abc", "abcd", "0123456789012345678901234567890123456789"] {
            let bytes = written(Outgoing {
                ssrc: 3,
                sender: Some(SENDER),
                receiver: Some(RECEIVER),
                cname: name,
                leaving: Leaving::Yes,
            });
            let packets: Vec<_> =
                Compound::parse(&bytes).expect("compound").collect::<Result<_, _>>().expect("packets");
            let [RtcpPacket::Sr(report), RtcpPacket::Sdes(names), RtcpPacket::Bye(bye)] = packets.as_slice() else {
                panic!("{packets:?}");
            };
            assert_eq!((report.ssrc(), report.ntp_timestamp(), report.rtp_timestamp()), (3, SENDER.ntp, 4_711));
            assert_eq!((report.packet_count(), report.octet_count()), (50, 8_000));
            let block = report.report_blocks().next().expect("a block");
            assert_eq!((block.ssrc(), block.fraction_lost(), block.cumulative_lost()), (7, 12, 345));
            assert_eq!((block.extended_sequence_number(), block.interarrival_jitter()), (0x1_0002, 99));
            let chunk = names.chunks().next().expect("a chunk");
            let item = chunk.items().next().expect("an item");
            assert_eq!((chunk.ssrc(), item.type_(), item.value()), (3, CNAME, name.as_bytes()));
            assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [3]);
        }
    }

    #[test]
    fn the_block_about_us_is_found() {
        let bytes = written(Outgoing {
            ssrc: 3,
            sender: Some(SENDER),
            receiver: Some(RECEIVER),
            cname: "x",
            leaving: Leaving::No,
        });
        let ours = parse(&bytes, 7).expect("a report");
        let expected = AboutUs { fraction_lost: 12, lost: 345, jitter: 99, last_report: 0xabcd_0123, delay: 65_536 };
        assert_eq!(ours, Incoming { sender: Some((3, SENDER.ntp)), about_us: Some(expected), leaving: false });
        assert_eq!(parse(&bytes, 8).expect("a report").about_us, None);
    }

    #[test]
    fn a_receiver_report_says_goodbye() {
        let bytes = written(Outgoing { ssrc: 3, sender: None, receiver: None, cname: "x", leaving: Leaving::Yes });
        assert_eq!(parse(&bytes, 7), Some(Incoming { sender: None, about_us: None, leaving: true }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&bytes, 1);
            if let [first, second, ..] = bytes.as_mut_slice() {
                (*first, *second) = (0x81, 200 + *second % 6);
            }
            let _ = parse(&bytes, 1);
        }
    }
}
