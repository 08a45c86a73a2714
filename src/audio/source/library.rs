//! Formats of the decoding library: MP3, FLAC, Ogg Vorbis, ADPCM, AIFF, CAF.

use std::fs::File;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::{Source, SourceError};

/// So many packets in a row that cannot be decoded are the end.
const BAD_PACKETS: usize = 1_000;

struct Library {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate_hz: u32,
    channels: u16,
    /// Decoded before it was asked for.
    first: Vec<i16>,
}

pub(super) fn open(file: File) -> Result<Box<dyn Source>, SourceError> {
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(SourceError::Unreadable)?;
    let track = format.default_track(TrackType::Audio).ok_or(SourceError::NoSound)?;
    let params = track.codec_params.as_ref().and_then(|params| params.audio()).ok_or(SourceError::NoSound)?;
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default())
        .map_err(SourceError::Unreadable)?;
    let track = track.id;
    let mut library = Library { format, decoder, track, rate_hz: 0, channels: 0, first: Vec::new() };
    // Only the first packet says for certain what there is.
    let mut block = Vec::new();
    library.decode(&mut block)?;
    if block.is_empty() || library.rate_hz == 0 || library.channels == 0 {
        return Err(SourceError::NoSound);
    }
    library.first = block;
    Ok(Box::new(library))
}

impl Library {
    fn decode(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        block.clear();
        for _ in 0..BAD_PACKETS {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Err(SymphoniaError::IoError(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                    return Err(error.into());
                }
                // The end, also of a file that was cut short.
                Ok(None) | Err(_) => return Ok(()),
            };
            if packet.track_id != self.track {
                continue;
            }
            let Ok(decoded) = self.decoder.decode(&packet) else { continue };
            let (rate_hz, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
            let channels = u16::try_from(channels).unwrap_or(0);
            if self.rate_hz == 0 {
                (self.rate_hz, self.channels) = (rate_hz, channels);
            } else if (self.rate_hz, self.channels) != (rate_hz, channels) {
                return Err(SourceError::Mixed);
            }
            decoded.copy_to_vec_interleaved(block);
            if !block.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Source for Library {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn frames(&self) -> Option<u64> {
        None
    }

    fn next(&mut self, block: &mut Vec<i16>) -> Result<(), SourceError> {
        if self.first.is_empty() {
            return self.decode(block);
        }
        *block = std::mem::take(&mut self.first);
        Ok(())
    }
}
