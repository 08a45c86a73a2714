//! SDP of a phone: one audio line out, one audio line in.

use std::net::{IpAddr, SocketAddr};

/// A codec of the phones: a law of G.711, or one that only phones understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Law {
    Ulaw,
    Alaw,
    /// Its bytes are made up: what counts is that they arrive as they were sent.
    G729,
    /// What it says was said by another encoder: see `wide`.
    G722,
    /// The same.
    Opus,
}

impl Law {
    pub(crate) fn payload(self) -> u8 {
        match self {
            Self::Ulaw => 0,
            Self::Alaw => 8,
            Self::G729 => 18,
            Self::G722 => 9,
            Self::Opus => 111,
        }
    }

    /// Whether its sound was made beforehand.
    pub(super) fn is_wide(self) -> bool {
        matches!(self, Self::G722 | Self::Opus)
    }

    /// How often its time stamps count while 8 kHz counts once; G.722 has that clock (RFC 3551 §4.5.2), Opus 48 kHz (RFC 7587 §4.1).
    pub(super) fn clock(self) -> u32 {
        if self == Self::Opus { 6 } else { 1 }
    }

    pub(crate) fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Ulaw => ulaw(sample),
            Self::Alaw => alaw(sample),
            Self::G729 => (sample >> 8) as u8 ^ sample as u8,
            Self::G722 | Self::Opus => panic!("nobody here encodes it"),
        }
    }

    /// A packet of these samples.
    pub(crate) fn pack(self, samples: &[i16]) -> Vec<u8> {
        // ten bytes every 10 ms (RFC 3551 §4.5.6)
        let step = if self == Self::G729 { 8 } else { 1 };
        samples.iter().step_by(step).map(|sample| self.encode(*sample)).collect()
    }

    /// The sample a byte stands for, found by search so that there is one table only, the encoder's.
    pub(crate) fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Ulaw => {
                let byte = !byte;
                let magnitude = ((i32::from(byte & 0x0f) << 3) + 0x84) << ((byte >> 4) & 7);
                let value = magnitude - 0x84;
                (if byte & 0x80 != 0 { -value } else { value }) as i16
            }
            Self::Alaw => {
                let byte = byte ^ 0x55;
                let exponent = (byte >> 4) & 7;
                let mantissa = (i32::from(byte & 0x0f) << 4) + 8;
                let value = if exponent == 0 { mantissa } else { (mantissa + 0x100) << (exponent - 1) };
                (if byte & 0x80 != 0 { value } else { -value }) as i16
            }
            Self::G729 | Self::G722 | Self::Opus => panic!("nobody here can decode it"),
        }
    }
}

fn ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + 0x84;
    let exponent = (0..8).rev().find(|bit| magnitude & (0x80 << bit) != 0).unwrap_or(0);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

fn alaw(sample: i16) -> u8 {
    let sign = if sample >= 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(if sample < 0 { !sample } else { sample })).min(32_767);
    let exponent = (1..8).rev().find(|bit| magnitude & (0x80 << bit) != 0).unwrap_or(0);
    let mantissa = (magnitude >> if exponent == 0 { 4 } else { exponent + 3 }) & 0x0f;
    (sign | (exponent << 4) as u8 | mantissa as u8) ^ 0x55
}

/// Which way audio may flow, as the one who writes it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Flow {
    const ALL: [(Self, &'static str); 4] = [
        (Self::SendRecv, "sendrecv"),
        (Self::SendOnly, "sendonly"),
        (Self::RecvOnly, "recvonly"),
        (Self::Inactive, "inactive"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(flow, _)| *flow == self).map_or("", |(_, word)| word)
    }

    /// What the other side answers (RFC 3264 §6.1).
    pub(crate) fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            same => same,
        }
    }
}

/// The audio of a description.
#[derive(Clone, Debug)]
pub(crate) struct Audio {
    pub(crate) address: SocketAddr,
    pub(crate) laws: Vec<Law>,
    pub(crate) flow: Flow,
    pub(crate) ptime_ms: u32,
    pub(crate) events: Option<u8>,
}

impl Audio {
    pub(crate) fn print(&self, version: u32) -> Vec<u8> {
        let family = if self.address.is_ipv6() { "IP6" } else { "IP4" };
        let (ip, port) = (self.address.ip(), self.address.port());
        let mut formats: Vec<String> = self.laws.iter().map(|law| law.payload().to_string()).collect();
        formats.extend(self.events.map(|payload| payload.to_string()));
        let mut out = format!("v=0\r\no=- 4711 {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n");
        out.push_str(&format!("m=audio {port} RTP/AVP {}\r\n", formats.join(" ")));
        if self.laws.contains(&Law::Opus) {
            out.push_str(&format!("a=rtpmap:{} opus/48000/2\r\n", Law::Opus.payload()));
        }
        if let Some(payload) = self.events {
            out.push_str(&format!("a=rtpmap:{payload} telephone-event/8000\r\na=fmtp:{payload} 0-16\r\n"));
        }
        out.push_str(&format!("a=ptime:{}\r\na={}\r\n", self.ptime_ms, self.flow.word()));
        out.into_bytes()
    }

    /// Reads what a server wrote.
    ///
    /// # Panics
    /// When it is no description with one audio line.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let read =
            |word: &str| word.trim().parse::<u16>().unwrap_or_else(|_| panic!("no number in the description:\n{text}"));
        let mut ip: Option<IpAddr> = None;
        let (mut port, mut formats) = (0u16, Vec::new());
        let (mut flow, mut ptime_ms, mut events) = (Flow::SendRecv, 20, None);
        for line in text.lines() {
            if let Some(value) = line.strip_prefix("c=") {
                ip = value.split_whitespace().nth(2).and_then(|ip| ip.parse().ok());
            } else if let Some(value) = line.strip_prefix("m=audio ") {
                let words: Vec<&str> = value.split_whitespace().collect();
                port = read(words[0]);
                formats = words[2..].iter().filter_map(|word| word.parse::<u8>().ok()).collect();
            } else if let Some(value) = line.strip_prefix("a=ptime:") {
                ptime_ms = read(value).into();
            } else if let Some((payload, _)) =
                line.strip_prefix("a=rtpmap:").and_then(|map| map.split_once(" telephone-event/8000"))
            {
                events = payload.parse().ok();
            } else if let Some((found, _)) =
                line.strip_prefix("a=").and_then(|word| Flow::ALL.iter().find(|(_, name)| *name == word.trim()))
            {
                flow = *found;
            }
        }
        let laws = [Law::Ulaw, Law::Alaw, Law::G729, Law::G722, Law::Opus];
        let laws =
            formats.iter().filter_map(|payload| laws.into_iter().find(|law| law.payload() == *payload)).collect();
        Self {
            address: SocketAddr::new(ip.unwrap_or_else(|| panic!("no audio in the description:\n{text}")), port),
            laws,
            flow,
            ptime_ms,
            events,
        }
    }
}

#[test]
fn both_laws_give_back_what_they_were_given() {
    for law in [Law::Ulaw, Law::Alaw] {
        for byte in 0..=255 {
            let again = law.encode(law.decode(byte));
            assert!(again == byte || law.decode(again) == law.decode(byte), "{law:?} {byte}");
        }
        for sample in (-32_000..32_000).step_by(37) {
            let error = i32::from(law.decode(law.encode(sample))) - i32::from(sample);
            assert!(error.abs() <= 16.max(i32::from(sample.unsigned_abs()) / 24), "{law:?} {sample}: {error}");
        }
    }
}
