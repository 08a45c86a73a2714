//! Offer and answer (RFC 3264): one audio stream with telephone events, everything else refused with port 0.
//! Above: `call`. Below: `description`.

use super::description::{Audio, Description, Direction, Format, SdpError};
use crate::audio::codec::Coding;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Payload type we offer telephone-event with; the one nearly every phone uses.
const TELEPHONE_EVENT: u8 = 101;
/// Packet times we send, in milliseconds.
const PTIME_MS: std::ops::RangeInclusive<u32> = 10..=60;

/// Characters of a codec's parameters that we hand on at most.
const MAX_FMTP: usize = 200;

/// A codec as one side describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Which.
    pub codec: Coding,
    /// Its parameters, as that side wrote them: handed on to whoever it is passed on to, never understood here.
    pub fmtp: Option<String>,
}

impl From<Coding> for Spoken {
    fn from(codec: Coding) -> Self {
        Self { codec, fmtp: None }
    }
}

/// Our side of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// Where we receive.
    pub address: IpAddr,
    /// Our RTP port; RTCP is one above, unless multiplexed.
    pub port: u16,
    /// What we speak, best first.
    pub codecs: Vec<Spoken>,
    /// Which way we want sound to flow.
    pub direction: Direction,
    /// Packet time we wish for, in milliseconds.
    pub ptime_ms: u32,
    /// The `o=` line's session id, the same for all descriptions of a session.
    pub session_id: u64,
    /// The `o=` line's version, one more with each changed description.
    pub version: u64,
    /// Whether RTP and RTCP may share our port.
    pub rtcp_mux: bool,
}

/// What both sides agreed on, in our view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where to send RTP; an unspecified address while the peer holds in the old way.
    pub remote: SocketAddr,
    /// Where to send RTCP.
    pub rtcp: SocketAddr,
    /// What is spoken both ways, as the peer describes it.
    pub spoken: Spoken,
    /// Payload type of the codec.
    pub payload: u8,
    /// Packet time to send with, in milliseconds, 10 to 60.
    pub ptime_ms: u32,
    /// Whether we may send.
    pub send: bool,
    /// Whether the peer may send.
    pub receive: bool,
    /// Payload type of telephone-event towards the peer.
    pub telephone_event: Option<u8>,
    /// Whether the peer has put us on hold: it wants no sound from us (RFC 3264 §8.4).
    pub held: bool,
    /// Whether RTP and RTCP share one port.
    pub rtcp_mux: bool,
}

/// An offer of all we speak.
pub fn offer(local: &LocalMedia) -> Vec<u8> {
    let formats: Vec<_> = local.codecs.iter().map(|spoken| (spoken.codec.payload(), spoken)).collect();
    let mut text = session_lines(local);
    audio_lines(
        &mut text,
        local,
        &Line { formats: &formats, telephone_event: Some(TELEPHONE_EVENT), ..Line::new(local) },
    );
    text.into_bytes()
}

/// The answer to an offer, and what was agreed by it. Media lines we do not take are refused with port 0 (RFC 3264 §6).
pub fn answer(offer: &Description, local: &LocalMedia) -> Result<(Vec<u8>, Negotiated), SdpError> {
    let (ours, audio) = offer.audio()?;
    // our order decides (§6.1); one codec only, so that no side changes it in mid-stream
    let found = local.codecs.iter().find_map(|wanted| {
        let format = audio.formats.iter().find(|format| format.codec.codec() == Some(wanted.codec))?;
        Some((format, wanted))
    });
    let (format, wanted) = found.ok_or(SdpError::NotAcceptable { why: "no common codec" })?;
    let negotiated = agree(&audio, local, (format.payload, spoken(format, wanted.codec)));
    let answered = Spoken { codec: wanted.codec, fmtp: answered_fmtp(&negotiated.spoken, wanted) };
    let mut text = session_lines(local);
    for (at, media) in offer.medias().enumerate() {
        if at == ours {
            let line = Line {
                proto: &media.proto,
                formats: &[(negotiated.payload, &answered)],
                telephone_event: negotiated.telephone_event,
                direction: direction(negotiated.send, negotiated.receive),
                ptime_ms: negotiated.ptime_ms,
                rtcp_mux: negotiated.rtcp_mux,
            };
            audio_lines(&mut text, local, &line);
        } else {
            // writing to a String cannot fail
            let _ = write!(text, "m={} 0 {} {}\r\n", media.media, media.proto, media.fmt);
        }
    }
    Ok((text.into_bytes(), negotiated))
}

/// What was agreed by the peer's answer to our [`offer`].
pub fn accept_answer(answer: &Description, local: &LocalMedia) -> Result<Negotiated, SdpError> {
    let (at, audio) = answer.audio()?;
    if at != 0 {
        return Err(SdpError::NotAcceptable { why: "our stream was refused" });
    }
    // the first that we offered is what they will send (RFC 3264 §7)
    let found = audio.formats.iter().find_map(|format| {
        let codec = format.codec.codec()?;
        local.codecs.iter().any(|offered| offered.codec == codec).then(|| (format.payload, spoken(format, codec)))
    });
    Ok(agree(&audio, local, found.ok_or(SdpError::NotAcceptable { why: "no common codec" })?))
}

/// Every codec of a description's audio that we can decode or pass on, in its order.
pub fn known_codecs(description: &Description) -> Vec<Spoken> {
    let Ok((_, audio)) = description.audio() else { return Vec::new() };
    audio.formats.iter().filter_map(|format| Some(spoken(format, format.codec.codec()?))).collect()
}

/// A codec as the peer describes it. The parameters of one that we decode say nothing to us.
fn spoken(format: &Format, codec: Coding) -> Spoken {
    let is_sound =
        |fmtp: &&String| fmtp.len() <= MAX_FMTP && fmtp.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let fmtp = format.fmtp.as_ref().filter(|_| !codec.can_be_decoded()).filter(is_sound).cloned();
    Spoken { codec, fmtp }
}

/// The parameters we answer with: those of whoever it is passed on to. Comfort noise is agreed on only when both sides want it
/// (RFC 7261 §3).
fn answered_fmtp(offered: &Spoken, other: &Spoken) -> Option<String> {
    let no_noise = |fmtp: Option<&str>| {
        let fmtp = fmtp.unwrap_or_default().to_ascii_lowercase();
        fmtp.split(';').any(|one| matches!(one.trim(), "annexb=no" | "annexa=no"))
    };
    let is_refused = !other.codec.can_be_decoded() && no_noise(offered.fmtp.as_deref());
    if is_refused && !no_noise(other.fmtp.as_deref()) { offered.fmtp.clone() } else { other.fmtp.clone() }
}

fn agree(theirs: &Audio, local: &LocalMedia, (payload, spoken): (u8, Spoken)) -> Negotiated {
    let held = !theirs.direction.receives() || theirs.address.ip().is_unspecified();
    let rtcp_mux = theirs.rtcp_mux && local.rtcp_mux;
    let beside = SocketAddr::new(theirs.address.ip(), theirs.address.port().saturating_add(1));
    Negotiated {
        remote: theirs.address,
        rtcp: if rtcp_mux { theirs.address } else { theirs.rtcp.unwrap_or(beside) },
        spoken,
        payload,
        ptime_ms: packet_time(theirs, local),
        send: local.direction.sends() && !held,
        receive: local.direction.receives() && theirs.direction.sends(),
        telephone_event: theirs.telephone_event,
        held,
        rtcp_mux,
    }
}

/// Their wish, else ours, never above their limit; whole tens, because a tick's parts are.
fn packet_time(theirs: &Audio, local: &LocalMedia) -> u32 {
    let wished = theirs.ptime_ms.unwrap_or(local.ptime_ms);
    let limited = wished.min(theirs.maxptime_ms.unwrap_or(u32::MAX));
    (limited / 10 * 10).clamp(*PTIME_MS.start(), *PTIME_MS.end())
}

fn direction(send: bool, receive: bool) -> Direction {
    match (send, receive) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

/// What stands on our media line and below it.
struct Line<'a> {
    proto: &'a str,
    formats: &'a [(u8, &'a Spoken)],
    telephone_event: Option<u8>,
    direction: Direction,
    ptime_ms: u32,
    rtcp_mux: bool,
}

impl Line<'static> {
    fn new(local: &LocalMedia) -> Self {
        Self {
            proto: "RTP/AVP",
            formats: &[],
            telephone_event: None,
            direction: local.direction,
            ptime_ms: local.ptime_ms,
            rtcp_mux: local.rtcp_mux,
        }
    }
}

fn session_lines(local: &LocalMedia) -> String {
    let (kind, address) = (if local.address.is_ipv4() { "IP4" } else { "IP6" }, local.address);
    let (id, version) = (local.session_id, local.version);
    format!("v=0\r\no=- {id} {version} IN {kind} {address}\r\ns=-\r\nc=IN {kind} {address}\r\nt=0 0\r\n")
}

fn audio_lines(text: &mut String, local: &LocalMedia, line: &Line<'_>) {
    let mut payloads = String::new();
    let mut maps = String::new();
    // writing to a String cannot fail
    for (payload, Spoken { codec, fmtp }) in line.formats {
        let _ = write!(payloads, " {payload}");
        let _ = write!(maps, "a=rtpmap:{payload} {}\r\n", codec.encoding());
        if let Some(fmtp) = fmtp {
            let _ = write!(maps, "a=fmtp:{payload} {fmtp}\r\n");
        }
    }
    if let Some(payload) = line.telephone_event {
        let _ = write!(payloads, " {payload}");
        let _ = write!(maps, "a=rtpmap:{payload} telephone-event/8000\r\na=fmtp:{payload} 0-15\r\n");
    }
    let _ = write!(text, "m=audio {} {}{payloads}\r\n{maps}a=ptime:{}\r\n", local.port, line.proto, line.ptime_ms);
    if line.rtcp_mux {
        text.push_str("a=rtcp-mux\r\n");
    }
    let _ = write!(text, "a={}\r\n", line.direction.name());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::codec::Foreign;
    use crate::sdp::{CodecName, parse};

    fn local(codecs: &[Coding]) -> LocalMedia {
        LocalMedia {
            address: "192.0.2.9".parse().unwrap(),
            port: 10_000,
            codecs: codecs.iter().copied().map(Spoken::from).collect(),
            direction: Direction::SendRecv,
            ptime_ms: 20,
            session_id: 7,
            version: 1,
            rtcp_mux: false,
        }
    }

    fn described(connection: &str, media: &str) -> Description {
        parse(format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN {connection}\r\nt=0 0\r\n{media}").as_bytes())
            .unwrap()
    }

    const BOTH: [Coding; 2] = [Coding::PCMU, Coding::PCMA];

    #[test]
    fn both_sides_of_our_own_offer_agree() {
        let (alice, mut bob) = (local(&BOTH), local(&[Coding::PCMA, Coding::PCMU]));
        bob.address = "2001:db8::1".parse().unwrap();
        let offered = parse(&offer(&alice)).unwrap();
        let (bytes, bobs) = answer(&offered, &bob).unwrap();
        let alices = accept_answer(&parse(&bytes).unwrap(), &alice).unwrap();
        assert_eq!((alices.spoken.codec, bobs.spoken.codec), (Coding::PCMA, Coding::PCMA));
        assert_eq!(alices.remote, "[2001:db8::1]:10000".parse().unwrap());
        assert_eq!(bobs.rtcp, "192.0.2.9:10001".parse().unwrap());
        assert_eq!((alices.telephone_event, bobs.telephone_event), (Some(101), Some(101)));
        assert!(alices.send && alices.receive && bobs.send && bobs.receive && !alices.held);
    }

    #[test]
    fn the_answer_keeps_payload_types_and_refuses_other_lines_in_place() {
        let offer = described(
            "IP4 192.0.2.1",
            "m=video 5000 RTP/AVP 96 97\r\nm=audio 4000 RTP/AVP 18 98 0 96\r\na=rtpmap:98 pcma/8000/1\r\n\
            a=rtpmap:96 telephone-event/8000\r\nm=audio 4002 RTP/AVP 0\r\nm=image 4004 udptl t38\r\n",
        );
        let (bytes, negotiated) = answer(&offer, &local(&[Coding::PCMA, Coding::PCMU])).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let media: Vec<_> = text.lines().filter(|line| line.starts_with("m=")).collect();
        let refused = ["m=video 0 RTP/AVP 96 97", "m=audio 0 RTP/AVP 0", "m=image 0 udptl t38"];
        assert_eq!(media, [refused[0], "m=audio 10000 RTP/AVP 98 96", refused[1], refused[2]]);
        assert_eq!((negotiated.payload, negotiated.telephone_event), (98, Some(96)));
    }

    #[test]
    fn hold_in_every_form_is_answered_with_the_other_direction() {
        for (connection, attribute, answered, receive, held) in [
            ("IP4 192.0.2.1", "sendonly", "recvonly", true, true),
            ("IP4 192.0.2.1", "inactive", "inactive", false, true),
            ("IP4 192.0.2.1", "recvonly", "sendonly", false, false),
            ("IP4 0.0.0.0", "sendrecv", "recvonly", true, true),
            ("IP6 ::", "sendrecv", "recvonly", true, true),
            ("IP4 192.0.2.1", "sendrecv", "sendrecv", true, false),
        ] {
            let offer = described(connection, &format!("m=audio 4000 RTP/AVP 0\r\na={attribute}\r\n"));
            let (bytes, negotiated) = answer(&offer, &local(&BOTH)).unwrap();
            assert!(String::from_utf8(bytes).unwrap().ends_with(&format!("a={answered}\r\n")), "{attribute}");
            assert_eq!((negotiated.send, negotiated.receive, negotiated.held), (!held, receive, held), "{attribute}");
        }
    }

    #[test]
    fn packet_times_are_whole_tens_from_10_to_60_within_the_peers_limit() {
        let time = |lines: &str| {
            let offer = described("IP4 192.0.2.1", &format!("m=audio 4000 RTP/AVP 0\r\n{lines}"));
            answer(&offer, &local(&BOTH)).unwrap().1.ptime_ms
        };
        assert_eq!(time(""), 20);
        assert_eq!(time("a=ptime:60\r\n"), 60);
        assert_eq!(time("a=ptime:200\r\n"), 60);
        assert_eq!(time("a=ptime:5\r\n"), 10);
        assert_eq!(time("a=ptime:25\r\n"), 20);
        assert_eq!(time("a=ptime:40\r\na=maxptime:30\r\n"), 30);
    }

    #[test]
    fn rtcp_goes_where_the_peer_says() {
        let mut ours = local(&BOTH);
        let rtcp = |local: &LocalMedia, lines: &str| {
            let offer = described("IP4 192.0.2.1", &format!("m=audio 4000 RTP/AVP 0\r\n{lines}"));
            answer(&offer, local).unwrap().1.rtcp.port()
        };
        assert_eq!(
            (rtcp(&ours, ""), rtcp(&ours, "a=rtcp:4444\r\n"), rtcp(&ours, "a=rtcp-mux\r\n")),
            (4001, 4444, 4001)
        );
        ours.rtcp_mux = true;
        assert_eq!((rtcp(&ours, ""), rtcp(&ours, "a=rtcp-mux\r\n")), (4001, 4000));
    }

    #[test]
    fn no_common_codec_and_a_refused_stream_are_not_acceptable() {
        let foreign =
            described("IP4 192.0.2.1", "m=audio 4000 RTP/AVP 18 101\r\na=rtpmap:101 telephone-event/8000\r\n");
        assert_eq!(answer(&foreign, &local(&BOTH)).unwrap_err().status(), 488);
        assert_eq!(accept_answer(&foreign, &local(&BOTH)).unwrap_err().status(), 488);
        let refused = described("IP4 192.0.2.1", "m=audio 0 RTP/AVP 0\r\n");
        assert_eq!(accept_answer(&refused, &local(&BOTH)).unwrap_err().status(), 488);
        let alaw = described("IP4 192.0.2.1", "m=audio 4000 RTP/AVP 8\r\n");
        assert!(accept_answer(&alaw, &local(&[Coding::PCMU])).is_err());
    }

    #[test]
    fn codec_names_compare_without_case_and_wideband_pcmu_is_not_g711() {
        let offer = described(
            "IP4 192.0.2.1",
            "m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 PCMU/16000\r\na=rtpmap:97 pcmu/8000\r\n",
        );
        assert_eq!(answer(&offer, &local(&BOTH)).unwrap().1.payload, 97);
        assert_eq!(offer.audio().unwrap().1.formats[0].codec, CodecName::Other { name: "PCMU".into() });
    }

    #[test]
    fn a_codec_that_is_passed_on_carries_the_other_sides_parameters() {
        let g729 = |fmtp: &str| Spoken { codec: Coding::Foreign(Foreign::G729), fmtp: Some(fmtp.into()) };
        let mut ours = local(&BOTH);
        ours.codecs.insert(0, g729("annexb=no"));
        let text = String::from_utf8(offer(&ours)).unwrap();
        assert!(text.contains(" RTP/AVP 18 0 8 101\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n"), "{text}");
        let theirs =
            described("IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0 99\r\na=rtpmap:99 g729/8000\r\na=fmtp:99 x=1\r\n");
        let (bytes, negotiated) = answer(&theirs, &ours).unwrap();
        assert!(
            String::from_utf8(bytes)
                .unwrap()
                .contains("RTP/AVP 99\r\na=rtpmap:99 G729/8000\r\na=fmtp:99 annexb=no\r\n")
        );
        assert_eq!((negotiated.payload, negotiated.spoken), (99, g729("x=1")));
        assert_eq!(known_codecs(&theirs), [Coding::PCMU.into(), g729("x=1")]);
        assert_eq!(accept_answer(&theirs, &ours).unwrap().spoken, Coding::PCMU.into());
        assert!(accept_answer(&described("IP4 192.0.2.1", "m=audio 4000 RTP/AVP 18\r\n"), &local(&BOTH)).is_err());
    }

    #[test]
    fn comfort_noise_that_one_side_does_not_want_is_not_agreed_on() {
        let g729 = |fmtp: Option<&str>| Spoken { codec: Coding::Foreign(Foreign::G729), fmtp: fmtp.map(str::to_owned) };
        for (offered, other, answered) in [
            ("a=fmtp:18 annexb=no\r\n", None, Some("annexb=no")),
            ("a=fmtp:18 annexb=no\r\n", Some("annexb=yes"), Some("annexb=no")),
            ("", Some("annexb=no"), Some("annexb=no")),
            ("a=fmtp:18 annexb=yes\r\n", None, None),
        ] {
            let offer = described("IP4 192.0.2.1", &format!("m=audio 4000 RTP/AVP 18\r\n{offered}"));
            let mut ours = local(&[]);
            ours.codecs.push(g729(other));
            let text = String::from_utf8(answer(&offer, &ours).unwrap().0).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("a=fmtp:18 "));
            assert_eq!(line, answered, "{offered}");
        }
    }

    #[test]
    fn parameters_with_what_no_parameter_holds_are_not_handed_on() {
        let long = "x".repeat(300);
        for bad in ["caf\u{e9}=1", "a\u{7f}", &long] {
            let offer = described("IP4 192.0.2.1", &format!("m=audio 4000 RTP/AVP 18\r\na=fmtp:18 {bad}\r\n"));
            assert_eq!(known_codecs(&offer), [Coding::Foreign(Foreign::G729).into()]);
        }
    }
}
