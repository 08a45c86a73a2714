//! A description as received: sdp-types keeps every line and its order, this checks what we rely on and gives it types.
//! Above: `negotiate`.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{AddrType, Connection, Media, NetType, Session};

use crate::audio::codec::Coding;

/// Bytes of a description we read at most.
const MAX_LEN: usize = 64 * 1024;
/// Media lines we read at most; each must be answered (RFC 3264 §6).
const MAX_MEDIA: usize = 32;

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It breaks the grammar of RFC 8866 or of an attribute we rely on.
    #[error("malformed session description: {what}")]
    Malformed {
        /// The line or field that is wrong.
        what: String,
    },
    /// It is well-formed, but there is nothing in it that we can do.
    #[error("session description not acceptable: {why}")]
    NotAcceptable {
        /// What is missing or not supported.
        why: &'static str,
    },
}

impl SdpError {
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }

    /// The status of the refusal: 400 for what breaks the grammar, 488 for what we cannot do (RFC 3261 §21.4.26).
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed { .. } => 400,
            Self::NotAcceptable { .. } => 488,
        }
    }
}

/// A whole description; what we do not know survives in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    session: Session,
}

/// What an audio line offers, in its sender's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Where its sender wants to receive RTP; an unspecified address means hold (RFC 3264 §8.4).
    pub address: SocketAddr,
    /// Formats in the sender's order of preference.
    pub formats: Vec<Format>,
    /// Which way sound may flow, in the sender's view.
    pub direction: Direction,
    /// Packet time the sender wishes for, in milliseconds.
    pub ptime_ms: Option<u32>,
    /// Longest packet the sender takes, in milliseconds.
    pub maxptime_ms: Option<u32>,
    /// Where RTCP goes, when said (RFC 3605).
    pub rtcp: Option<SocketAddr>,
    /// Whether RTP and RTCP may share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// Payload type of telephone-event at 8 kHz (RFC 4733).
    pub telephone_event: Option<u8>,
}

/// One payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Payload type, 0 to 127.
    pub payload: u8,
    /// What it carries.
    pub codec: CodecName,
    /// RTP clock rate in Hz.
    pub clock_hz: u32,
    /// Its `fmtp` text.
    pub fmtp: Option<String>,
}

/// What a payload type carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecName {
    /// A codec that can be decoded or passed on.
    Known(Coding),
    /// Named events (RFC 4733).
    TelephoneEvent,
    /// Anything else, by its encoding name; empty when a dynamic type was not explained.
    Other {
        /// As written in `rtpmap`.
        name: String,
    },
}

/// Which way sound may flow, in the view of whose description it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// Only from the describing side.
    SendOnly,
    /// Only to the describing side.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Whether the describing side sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the describing side receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// As an attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive].into_iter().find(|known| known.name() == name)
    }
}

impl CodecName {
    /// The codec, when it is one we can decode or pass on.
    pub fn codec(&self) -> Option<Coding> {
        match self {
            Self::Known(codec) => Some(*codec),
            Self::TelephoneEvent | Self::Other { .. } => None,
        }
    }

    /// Codecs are told by name, rate and channels.
    fn of(name: &str, clock_hz: u32, channels: &str) -> Self {
        let channels = if channels.is_empty() { Some(1) } else { channels.parse().ok() };
        match channels.and_then(|channels| Coding::described(name, clock_hz, channels)) {
            Some(codec) => Self::Known(codec),
            None if name.eq_ignore_ascii_case("telephone-event") => Self::TelephoneEvent,
            None => Self::Other { name: name.to_owned() },
        }
    }
}

/// Reads and checks a body. Text that is no UTF-8 (a Latin-1 session name) is borne.
pub fn parse(body: &[u8]) -> Result<Description, SdpError> {
    if body.len() > MAX_LEN {
        return Err(SdpError::malformed("longer than 64 KiB"));
    }
    let text = String::from_utf8_lossy(body);
    // sdp-types bears their absence, RFC 8866 §5 does not
    let session_part = || text.lines().take_while(|line| !line.starts_with("m="));
    for required in ["o=", "s=", "t="] {
        if !session_part().any(|line| line.starts_with(required)) {
            return Err(SdpError::malformed(format!("no {required} line")));
        }
    }
    let session = Session::parse(text.as_bytes()).map_err(|error| SdpError::malformed(error.to_string()))?;
    if session.medias.len() > MAX_MEDIA {
        return Err(SdpError::NotAcceptable { why: "too many media lines" });
    }
    let description = Description { session };
    for media in description.medias().filter(|media| media.port != 0 && is_audio(media)) {
        // a line that is sound but not for us is refused alone
        if let Err(error @ SdpError::Malformed { .. }) = description.read_audio(media) {
            return Err(error);
        }
    }
    Ok(description)
}

impl Description {
    /// The first audio line that is switched on and carries plain RTP, with its place among the media lines.
    pub fn audio(&self) -> Result<(usize, Audio), SdpError> {
        let plain = |media: &Media| media.port != 0 && is_audio(media);
        match self.medias().enumerate().find(|(_, media)| plain(media)) {
            Some((at, media)) => Ok((at, self.read_audio(media)?)),
            None if self.medias().any(|media| media.media == "audio" && media.port != 0) => {
                Err(SdpError::NotAcceptable { why: "no audio over plain RTP" })
            }
            None => Err(SdpError::NotAcceptable { why: "no audio" }),
        }
    }

    /// Every line as it was, in sdp-types' canonical order.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // writing to a Vec cannot fail
        let _ = self.session.write(&mut bytes);
        bytes
    }

    pub(crate) fn medias(&self) -> impl Iterator<Item = &Media> {
        self.session.medias.iter()
    }

    fn read_audio(&self, media: &Media) -> Result<Audio, SdpError> {
        let connection = media.connections.first().or(self.session.connection.as_ref());
        let address = SocketAddr::new(ip(connection.ok_or_else(|| SdpError::malformed("no c= line"))?)?, media.port);
        let formats = read_formats(media)?;
        let telephone_event = formats.iter().find(|f| f.codec == CodecName::TelephoneEvent && f.clock_hz == 8000);
        let rtcp = attribute(media, "rtcp").map(|value| read_rtcp(value, address.ip())).transpose()?;
        Ok(Audio {
            address,
            telephone_event: telephone_event.map(|format| format.payload),
            direction: self.direction(media),
            ptime_ms: attribute(media, "ptime").map(|value| milliseconds("ptime", value)).transpose()?,
            maxptime_ms: attribute(media, "maxptime").map(|value| milliseconds("maxptime", value)).transpose()?,
            rtcp,
            rtcp_mux: media.attributes.iter().any(|a| a.attribute == "rtcp-mux"),
            formats,
        })
    }

    /// The line's own word, else the session's, else both ways (RFC 8866 §6.7).
    fn direction(&self, media: &Media) -> Direction {
        let own = media.attributes.iter().find_map(|a| Direction::from_name(&a.attribute));
        let session = || self.session.attributes.iter().find_map(|a| Direction::from_name(&a.attribute));
        own.or_else(session).unwrap_or(Direction::SendRecv)
    }
}

/// Plain RTP with or without feedback profile; `SAVP` asks for SRTP and must not be answered in the clear.
fn is_audio(media: &Media) -> bool {
    media.media == "audio" && matches!(media.proto.as_str(), "RTP/AVP" | "RTP/AVPF")
}

fn ip(connection: &Connection) -> Result<IpAddr, SdpError> {
    let text = &connection.connection_address;
    if connection.nettype != NetType::In {
        return Err(SdpError::NotAcceptable { why: "not an Internet address" });
    }
    let address = connection.try_address().map(|address| address.ip);
    match (address, &connection.addrtype) {
        (Ok(ip), _) if ip.is_multicast() => Err(SdpError::NotAcceptable { why: "multicast address" }),
        (Ok(ip @ IpAddr::V4(_)), AddrType::Ip4) | (Ok(ip @ IpAddr::V6(_)), AddrType::Ip6) => Ok(ip),
        (Err(_), AddrType::Ip4 | AddrType::Ip6) if is_name(text) => {
            Err(SdpError::NotAcceptable { why: "a host name for an address" })
        }
        _ => Err(SdpError::malformed(format!("address `{text}`"))),
    }
}

/// A name ends in letters; `999.1.1.1` is a broken address.
fn is_name(text: &str) -> bool {
    let top = text.rsplit('.').next().unwrap_or_default();
    top.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

fn read_formats(media: &Media) -> Result<Vec<Format>, SdpError> {
    let maps = media.attributes.iter().filter(|a| a.attribute == "rtpmap");
    let maps: Vec<_> = maps.map(|a| read_rtpmap(a.value.as_deref().unwrap_or_default())).collect::<Result<_, _>>()?;
    let fmtps = media.attributes.iter().filter(|a| a.attribute == "fmtp").filter_map(|a| a.value.as_deref());
    let fmtps: Vec<_> = fmtps.filter_map(|value| value.split_once(' ')).collect();
    let mut formats = Vec::new();
    for text in media.fmt.split_ascii_whitespace() {
        let payload = payload_type(text)?;
        let mapped = maps.iter().find(|(mapped, ..)| *mapped == payload).map(|(_, codec, hz)| (codec.clone(), *hz));
        let (codec, clock_hz) = mapped.unwrap_or_else(|| static_format(payload));
        let fmtp = fmtps.iter().find(|(mapped, _)| *mapped == text).map(|(_, value)| (*value).to_owned());
        formats.push(Format { payload, codec, clock_hz, fmtp });
    }
    if formats.is_empty() { Err(SdpError::malformed("media line without formats")) } else { Ok(formats) }
}

/// Payload types that need no `rtpmap` (RFC 3551 §6), as far as we know them.
fn static_format(payload: u8) -> (CodecName, u32) {
    match Coding::of_static(payload) {
        Some(codec) => (CodecName::Known(codec), codec.clock_hz()),
        None => (CodecName::Other { name: String::new() }, 8000),
    }
}

fn read_rtpmap(value: &str) -> Result<(u8, CodecName, u32), SdpError> {
    let read = || {
        let (payload, encoding) = value.trim().split_once(' ')?;
        let mut parts = encoding.trim().split('/');
        let (name, clock, channels) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
        let clock_hz: u32 = clock.parse().ok().filter(|hz| *hz > 0)?;
        let sound = !name.is_empty() && parts.next().is_none();
        sound.then(|| Some((payload_type(payload).ok()?, CodecName::of(name, clock_hz, channels), clock_hz)))?
    };
    read().ok_or_else(|| SdpError::malformed(format!("rtpmap `{value}`")))
}

fn payload_type(text: &str) -> Result<u8, SdpError> {
    let number = text.parse().ok().filter(|payload| *payload < 128 && !text.starts_with('+'));
    number.ok_or_else(|| SdpError::malformed(format!("payload type `{text}`")))
}

/// `port` or `port IN IP4 address` (RFC 3605 §2.1).
fn read_rtcp(value: &str, rtp: IpAddr) -> Result<SocketAddr, SdpError> {
    let read = || {
        let mut parts = value.split_ascii_whitespace();
        let port = parts.next()?.parse().ok()?;
        let address = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (None, ..) => rtp,
            (Some("IN"), Some("IP4" | "IP6"), Some(address), None) => address.parse().ok()?,
            _ => return None,
        };
        Some(SocketAddr::new(address, port))
    };
    read().ok_or_else(|| SdpError::malformed(format!("rtcp `{value}`")))
}

fn milliseconds(name: &str, value: &str) -> Result<u32, SdpError> {
    // some phones write a fraction; its whole part is meant
    let whole = value.trim().split('.').next().unwrap_or_default();
    let time = whole.parse().ok().filter(|time| *time > 0);
    time.ok_or_else(|| SdpError::malformed(format!("{name} `{value}`")))
}

fn attribute<'a>(media: &'a Media, name: &str) -> Option<&'a str> {
    media.attributes.iter().find(|a| a.attribute == name).map(|a| a.value.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::codec::Foreign;
    use proptest::prelude::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn audio(rest: &str) -> Result<Audio, SdpError> {
        parse(format!("{HEAD}{rest}").as_bytes())?.audio().map(|(_, audio)| audio)
    }

    #[test]
    fn a_phones_offer_is_read() {
        let audio = audio(
            "m=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 8 0 9 101\r\na=rtpmap:101 telephone-event/8000\r\n\
            a=fmtp:101 0-16\r\na=ptime:30\r\na=rtcp:4009 IN IP6 ::1\r\na=rtcp-mux\r\na=sendonly\r\na=unknown:x\r\n",
        )
        .unwrap();
        assert_eq!(audio.address, "192.0.2.1:4000".parse().unwrap());
        let payloads: Vec<_> = audio.formats.iter().map(|format| (format.payload, format.codec.codec())).collect();
        let g722 = Some(Coding::Foreign(Foreign::G722));
        assert_eq!(payloads, [(8, Some(Coding::PCMA)), (0, Some(Coding::PCMU)), (9, g722), (101, None)]);
        assert_eq!(
            (audio.telephone_event, audio.ptime_ms, audio.direction),
            (Some(101), Some(30), Direction::SendOnly)
        );
        assert_eq!((audio.rtcp, audio.rtcp_mux), (Some("[::1]:4009".parse().unwrap()), true));
        assert_eq!(audio.formats.last().unwrap().fmtp.as_deref(), Some("0-16"));
    }

    #[test]
    fn what_breaks_the_grammar_is_malformed() {
        for bad in [
            "m=audio 99999 RTP/AVP 0\r\n",
            "m=audio -1 RTP/AVP 0\r\n",
            "m=audio 4000 RTP/AVP\r\n",
            "m=audio 4000 RTP/AVP x\r\n",
            "m=audio 4000 RTP/AVP 200\r\n",
            "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 999.1.1.1\r\n",
            "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 ::1\r\n",
            "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0\r\n",
            "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/x\r\n",
            "m=audio 4000 RTP/AVP 0\r\na=ptime:none\r\n",
            "m=audio 4000 RTP/AVP 0\r\na=rtcp:x\r\n",
            "m=audio\r\n",
            "nonsense\r\n",
        ] {
            assert!(matches!(audio(bad), Err(SdpError::Malformed { .. })), "{bad}: {:?}", audio(bad));
        }
        for bad in ["", "v=1\r\n", "v=0\r\nm=audio 1 RTP/AVP 0\r\n", "v=0\r\no=x\r\ns=-\r\nt=0 0\r\n"] {
            assert!(matches!(parse(bad.as_bytes()), Err(SdpError::Malformed { .. })), "{bad}");
        }
    }

    #[test]
    fn what_we_cannot_do_is_not_acceptable() {
        for refused in [
            "",
            "m=video 5000 RTP/AVP 96\r\n",
            "m=audio 0 RTP/AVP 0\r\n",
            "m=audio 4000 RTP/SAVP 0\r\n",
            "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n",
            "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127\r\n",
            "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 media.example.com\r\n",
        ] {
            assert!(matches!(audio(refused), Err(SdpError::NotAcceptable { .. })), "{refused}");
        }
    }

    #[test]
    fn unknown_lines_survive() {
        let body = format!("{HEAD}a=x-session:1\r\nm=audio 4000 RTP/AVP 0\r\nb=TIAS:64000\r\na=x-media:2 3\r\n");
        assert_eq!(String::from_utf8(parse(body.as_bytes()).unwrap().to_bytes()).unwrap(), body);
    }

    proptest! {
        #[test]
        fn nothing_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let mut body = format!("{HEAD}m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n").into_bytes();
            let _ = parse(&noise);
            let at = cut.min(body.len());
            body.splice(at..at, noise);
            if let Ok(description) = parse(&body) {
                let _ = description.audio();
                prop_assert!(parse(&description.to_bytes()).is_ok() || description.audio().is_err());
            }
        }
    }
}
