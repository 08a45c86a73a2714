//! What a party says, from packets of any codec to samples at the rate of the file: a decoder for as long as a stream lasts, and a change
//! of rate where the codec has another; in a file of G.722, its octets. Pure. Above: `session`. Below: `audio::codec`. What has the cells
//! of its file already has no need of it.

use super::order::Form;
use super::rate::{Clock, Rate};
use crate::audio::codec::{Codec, Foreign, g722, gsm, opus};
use crate::audio::ogg::Packet;
use crate::audio::polyphase::Polyphase;
use crate::media::{Content, Copied};
use crate::rtp::sequence;

/// Streams of one track whose decoders are kept: supervisors who share it, or a sender who changes his mind.
const MOST_STREAMS: usize = 4;
/// A track is decoded for so much, in µs, and for twice the time that passes: one caller must not keep the thread that writes all
/// recordings. What is not needed adds up to so much: the network may have stood still.
const AT_FIRST_US: u64 = 1_000_000;
const MOST_SAVED_US: u64 = 10_000_000;
const TIMES: u64 = 2;
/// A decoder that has to be made counts for so much, in µs, and so does a packet that does not say how long it is.
const NEW_STREAM_US: u64 = 200_000;
const UNKNOWN_US: u64 = 20_000;
/// So far from its place a packet of the server's own may begin and still go on with the one before, in units of 8 kHz.
const NEAR: i32 = 80;

/// The decoders of a track.
#[derive(Debug)]
pub(super) struct Decoding {
    /// What is decoded for, and the rate of that.
    form: Form,
    rate: Rate,
    /// The one in use last is the last.
    streams: Vec<Stream>,
    /// What a packet means, at the rate of its codec.
    samples: Vec<i16>,
    /// The same at the rate of what is encoded again.
    changed: Vec<i16>,
    octets: Vec<u8>,
    /// How much may still be decoded, in µs, as of a time.
    left_us: u64,
    at_us: Option<u64>,
}

#[derive(Debug)]
struct Stream {
    content: Content,
    ssrc: u32,
    decoder: Decoder,
    /// Where the codec's rate is not that of the file.
    change: Option<Polyphase>,
    /// Where octets are wanted.
    encoder: Option<Box<g722::Encoder>>,
    /// Number and time stamp of the packet that follows the last.
    next: Option<(u16, u32)>,
}

#[derive(Debug)]
enum Decoder {
    /// Samples of the server's own.
    Samples,
    Law(Codec),
    G722(Box<g722::Decoder>),
    Gsm(Box<gsm::Decoder>),
    Opus(Box<opus::Decoder>),
}

impl Decoding {
    /// Of a track of a recording of that form and rate.
    pub(super) fn new(form: Form, rate: Rate) -> Self {
        let (rate, left_us, at_us) = (form.decoded_rate(rate), AT_FIRST_US, None);
        let (streams, samples, changed, octets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { form, rate, streams, samples, changed, octets, left_us, at_us }
    }

    /// The samples of a packet of the network, or its octets, in the place of what is in `cells`. So many of them, the first, are the end
    /// of the packet before once more, now that it is known what follows. `None`: it cannot be decoded, or there is more of it than
    /// anybody says.
    pub(super) fn packet(&mut self, copied: &Copied, payload: &[u8], cells: &mut Vec<i16>) -> Option<usize> {
        cells.clear();
        self.samples.clear();
        self.pay(copied, payload)?;
        if self.form == Form::G722 {
            self.encode(copied, payload, cells)?;
            return Some(0);
        }
        let clock = Clock::of(copied.content, self.rate);
        let (stream, samples) = (stream(&mut self.streams, copied, self.rate)?, &mut self.samples);
        let follows = stream.next == Some((copied.sequence, copied.timestamp));
        let before = match &mut stream.change {
            None => {
                stream.decoder.decode(payload, cells)?;
                0
            }
            Some(change) => {
                stream.decoder.decode(payload, samples)?;
                if !follows {
                    change.reset();
                }
                change.packet(samples, cells)
            }
        };
        let units = clock.units(cells.len() - before);
        stream.next = Some((copied.sequence.wrapping_add(1), copied.timestamp.wrapping_add(units)));
        Some(before)
    }

    /// Adds the octets of a packet to `cells`. They are a moment late where the rate is changed, since no octet can be made anew once the
    /// next is.
    fn encode(&mut self, copied: &Copied, payload: &[u8], cells: &mut Vec<i16>) -> Option<()> {
        self.changed.clear();
        self.octets.clear();
        let clock = Clock::of(copied.content, self.rate);
        let stream = stream(&mut self.streams, copied, self.rate)?;
        let is_near = |(_, stamp)| sequence::elapsed(stamp, copied.timestamp).abs() <= NEAR;
        let follows = stream.next.is_some_and(is_near);
        match &mut stream.change {
            None => stream.decoder.decode(payload, &mut self.changed)?,
            Some(change) => {
                stream.decoder.decode(payload, &mut self.samples)?;
                if !follows {
                    change.reset();
                }
                change.late_packet(&self.samples, &mut self.changed);
            }
        }
        let is_silent = self.changed.iter().all(|sample| *sample == 0);
        stream.encoder.get_or_insert_default().encode(&self.changed, &mut self.octets);
        if is_silent {
            self.octets.fill(g722::SILENCE);
        }
        cells.extend(self.octets.iter().map(|octet| i16::from(*octet)));
        stream.next = Some((0, copied.timestamp.wrapping_add(clock.units(self.changed.len()))));
        Some(())
    }

    /// Counts a packet; `None` where that is too much.
    fn pay(&mut self, copied: &Copied, payload: &[u8]) -> Option<()> {
        let passed_us = copied.at_us.saturating_sub(self.at_us.unwrap_or(copied.at_us));
        self.at_us = self.at_us.max(Some(copied.at_us));
        self.left_us = self.left_us.saturating_add(passed_us.saturating_mul(TIMES)).min(MOST_SAVED_US);
        let is_new = !self.streams.iter().any(|stream| stream.is_of(copied));
        let length_us = length_us(copied.content, payload) + if is_new { NEW_STREAM_US } else { 0 };
        self.left_us = self.left_us.checked_sub(length_us)?;
        Some(())
    }

    /// The same of samples of the server's own: a moment late where their rate is changed, since where several share a track nothing
    /// can be laid twice.
    pub(super) fn made(&mut self, copied: &Copied, payload: &[u8], cells: &mut Vec<i16>) {
        cells.clear();
        self.samples.clear();
        if self.form == Form::G722 {
            // What is no sound has no octets.
            let _ = self.encode(copied, payload, cells);
            return;
        }
        let Some(stream) = stream(&mut self.streams, copied, self.rate) else { return };
        let samples = &mut self.samples;
        let Some(change) = &mut stream.change else {
            return cells.extend(samples_of(payload));
        };
        samples.extend(samples_of(payload));
        let is_near = |(_, stamp)| sequence::elapsed(stamp, copied.timestamp).abs() <= NEAR;
        if !stream.next.is_some_and(is_near) {
            change.reset();
        }
        change.late_packet(samples, cells);
        stream.next = Some((0, copied.timestamp.wrapping_add(samples.len() as u32))); // 480 at most
    }
}

/// How long a packet is, before it is decoded.
fn length_us(content: Content, payload: &[u8]) -> u64 {
    let bytes = payload.len() as u64;
    match content {
        Content::Foreign(Foreign::Opus) => {
            Packet::parse(payload).map_or(UNKNOWN_US, |packet| u64::from(packet.ticks()) * 1_000 / 48)
        }
        Content::Foreign(Foreign::Gsm) => bytes.div_ceil(gsm::FRAME_OCTETS as u64) * 20_000,
        // 64 kbit/s.
        _ => bytes * 125,
    }
}

/// The stream that a packet is of.
fn stream<'a>(streams: &'a mut Vec<Stream>, copied: &Copied, rate: Rate) -> Option<&'a mut Stream> {
    let is_it = |stream: &Stream| stream.is_of(copied);
    if !streams.last().is_some_and(is_it) {
        let stream = match streams.iter().position(is_it) {
            Some(at) => streams.remove(at),
            None => Stream::new(copied, rate)?,
        };
        if streams.len() >= MOST_STREAMS {
            streams.remove(0);
        }
        streams.push(stream);
    }
    streams.last_mut()
}

impl Stream {
    fn is_of(&self, copied: &Copied) -> bool {
        (self.content, self.ssrc) == (copied.content, copied.ssrc)
    }

    /// The beginning of a stream; `None` for what is no sound, or cannot be decoded.
    fn new(copied: &Copied, rate: Rate) -> Option<Self> {
        let (decoder, rate_hz) = match copied.content {
            Content::Samples => (Decoder::Samples, 8_000),
            Content::Sound(codec) => (Decoder::Law(codec), 8_000),
            Content::Foreign(Foreign::G722) => (Decoder::G722(Box::default()), g722::RATE_HZ),
            Content::Foreign(Foreign::Gsm) => (Decoder::Gsm(Box::default()), gsm::RATE_HZ),
            // Its decoder has the rates of all files; but at 8 kHz what such a file cannot carry comes back as its mirror image.
            Content::Foreign(Foreign::Opus) => {
                let rate_hz = rate.max(Rate::Hz16000).hz();
                (Decoder::Opus(Box::new(opus::Decoder::new(rate_hz).ok()?)), rate_hz)
            }
            Content::Foreign(Foreign::G723 | Foreign::G729 | Foreign::Ilbc) | Content::Digit | Content::Mark(_) => {
                return None;
            }
        };
        let change = Polyphase::new(rate_hz, rate.hz());
        Some(Self { content: copied.content, ssrc: copied.ssrc, decoder, change, encoder: None, next: None })
    }
}

impl Decoder {
    /// Adds what a packet means to `samples`; `None` when that is nothing.
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Option<()> {
        match self {
            Self::Samples => samples.extend(samples_of(payload)),
            Self::Law(codec) => samples.extend(codec.samples(payload)),
            Self::G722(decoder) => decoder.decode(payload, samples),
            Self::Gsm(decoder) => decoder.decode(payload, samples),
            Self::Opus(decoder) => decoder.decode(payload, samples).ok()?,
        }
        (!samples.is_empty()).then_some(())
    }
}

/// Samples of 16 bit, low byte first.
pub(super) fn samples_of(payload: &[u8]) -> impl Iterator<Item = i16> + '_ {
    payload.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair))
}
