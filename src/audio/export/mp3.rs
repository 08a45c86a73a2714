//! MP3 (ISO/IEC 11172-3 and 13818-3, layer III) at a bit rate that follows the sound, with tags in front (ID3v2.4).

use std::io::Write;

use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig};

use super::opus::at_clock_rate;
use super::{Afterwards, ExportError, Tags};
use crate::audio::source::Source;

/// Rates that the format has, in Hz.
const RATES_HZ: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// Up to this rate, in Hz, speech is that of a telephone.
const NARROW_HZ: u32 = 12_000;
/// What one side of speech may take, in kbit/s: of a telephone's, and of more.
const KBPS_PER_SIDE: [u16; 2] = [32, 48];

pub(super) fn write(source: &mut dyn Source, tags: &Tags, to: &mut dyn Write) -> Result<Afterwards, ExportError> {
    if RATES_HZ.contains(&source.rate_hz()) {
        encode(source, tags, to)
    } else {
        encode(&mut at_clock_rate(source)?, tags, to)
    }
}

fn encode(source: &mut dyn Source, tags: &Tags, to: &mut dyn Write) -> Result<Afterwards, ExportError> {
    let (rate_hz, sides) = (source.rate_hz(), source.channels().max(1));
    // The format has two; a third side is a supervisor's.
    let channels = sides.min(2);
    let failed =
        |error: rusty_mp3::Error| ExportError::Encoder { form: "MP3", channels, rate_hz, why: error.to_string() };
    let [narrow, wide] = KBPS_PER_SIDE;
    let kbps = channels * if rate_hz <= NARROW_HZ { narrow } else { wide };
    let mut encoder =
        Mp3Encoder::new(Mp3EncoderConfig { bitrate_kbps: kbps.into(), vbr_quality: Some(f32::from(kbps)) });
    let head = id3(tags);
    to.write_all(&head).map_err(ExportError::Write)?;
    // Sound or none, the encoder has to know which.
    encoder.push_pcm_s16(&[], channels, rate_hz).map_err(failed)?;
    let (mut block, mut kept) = (Vec::new(), Vec::new());
    loop {
        source.next(&mut block)?;
        if block.is_empty() {
            break;
        }
        let samples = if sides == channels {
            &block
        } else {
            kept.clear();
            kept.extend(block.chunks_exact(sides.into()).flat_map(|samples| samples.iter().take(2)));
            &kept
        };
        encoder.push_pcm_s16(samples, channels, rate_hz).map_err(failed)?;
        packets(&mut encoder, to)?;
    }
    encoder.finish();
    packets(&mut encoder, to)?;
    // The first frame is silent, and says how long the sound is to the sample.
    let bytes = encoder.lame_tag_frame().unwrap_or_default().to_vec();
    Ok(Afterwards { at: head.len() as u64, bytes })
}

fn packets(encoder: &mut Mp3Encoder, to: &mut dyn Write) -> Result<(), ExportError> {
    // It says when it wants more sound as an error, and when it is at its end.
    while let Ok(packet) = encoder.next_packet() {
        to.write_all(&packet).map_err(ExportError::Write)?;
    }
    Ok(())
}

/// The tag in front of the sound; none where nothing is known.
fn id3(tags: &Tags) -> Vec<u8> {
    let mut frames = Vec::new();
    for (name, before, text) in [
        // UTF-8 (ID3v2.4.0 frames §4.2); an identifier has its maker before it (§4.1).
        ("TIT2", "\u{3}", &tags.title),
        ("TDRC", "\u{3}", &tags.date),
        ("UFID", "wirechief\0", &tags.id),
    ] {
        if text.is_empty() {
            continue;
        }
        frames.extend(name.bytes());
        frames.extend(synchsafe(before.len() + text.len()));
        frames.extend([0, 0]);
        frames.extend(before.bytes().chain(text.bytes()));
    }
    if frames.is_empty() {
        return frames;
    }
    let mut tag = b"ID3\x04\x00\x00".to_vec();
    tag.extend(synchsafe(frames.len()));
    tag.extend(frames);
    tag
}

/// A number of 28 bits, 7 to a byte, so that none of them looks like the beginning of a frame (ID3v2.4.0 structure §6.2).
fn synchsafe(number: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| (number >> shift & 0x7f) as u8)
}
