//! What a packet's bytes become in a track, and how tracks become the bytes of a file. Pure. Above: `session`.

use super::decode::samples_of;
use super::line::Stretch;
use super::order::Form;
use super::rate::Rate;
use crate::audio::codec::{Codec, Foreign, g711, g722};
use crate::audio::matroska::CLUSTER_OCTETS;
use crate::media::Content;

impl Form {
    /// The cell of silence.
    pub(super) fn silence(self) -> i16 {
        match self {
            Self::Pcm16 => 0,
            Self::AsCame(codec) => i16::from(codec.silence()),
            Self::G722 => i16::from(g722::SILENCE),
        }
    }

    /// The rate that what is not a cell already is decoded at, in a file of a rate: G.722 has an octet for two samples.
    pub(super) fn decoded_rate(self, rate: Rate) -> Rate {
        if self == Self::G722 { Rate::Hz16000 } else { rate }
    }

    /// Whether `cells` knows what a content is in a file of a rate; else it is decoded.
    pub(super) fn has_cells_of(self, content: Content, rate: Rate) -> bool {
        match self {
            Self::Pcm16 | Self::AsCame(_) => {
                rate == Rate::Hz8000 && matches!(content, Content::Sound(_) | Content::Samples)
            }
            Self::G722 => content == Content::Foreign(Foreign::G722),
        }
    }

    /// Cells that are written at once: the file has a place for so many only.
    pub(super) fn unit(self) -> i64 {
        match self {
            Self::Pcm16 | Self::AsCame(_) => 1,
            Self::G722 => CLUSTER_OCTETS.cast_signed(),
        }
    }

    /// While a recording lasts, a multiple of so many cells is written.
    pub(super) fn grain(self) -> i64 {
        self.unit().max(self.last_grain())
    }

    /// In the end, a multiple of so many.
    pub(super) fn last_grain(self) -> i64 {
        match self {
            Self::Pcm16 | Self::G722 => 1,
            Self::AsCame(_) => 2, // chunks of a WAV file have an even length
        }
    }

    /// How packets are stretched.
    pub(super) fn stretch(self) -> Stretch {
        match self {
            Self::Pcm16 => Stretch::Lines,
            Self::AsCame(_) | Self::G722 => Stretch::Bytes,
        }
    }

    /// How two cells become one.
    pub(super) fn add(self) -> fn(i16, i16) -> i16 {
        match self {
            Self::Pcm16 => i16::saturating_add,
            Self::AsCame(Codec::Pcmu) => |a, b| law_sum(a, b, Codec::Pcmu),
            Self::AsCame(Codec::Pcma) => |a, b| law_sum(a, b, Codec::Pcma),
            // Codes of two streams have no sum.
            Self::G722 => |a, b| if b == i16::from(g722::SILENCE) { a } else { b },
        }
    }

    /// The cells of a payload that has some, in the place of what is in `cells`; `steps` is the level, for 16 bit only.
    pub(super) fn cells(self, content: Content, payload: &[u8], steps: i8, cells: &mut Vec<i16>) {
        cells.clear();
        match (self, content) {
            (Self::Pcm16, Content::Sound(codec)) => cells.extend(codec.samples(payload)),
            (Self::Pcm16, Content::Samples) => cells.extend(samples_of(payload)),
            (Self::AsCame(law), Content::Sound(codec)) if law == codec => {
                cells.extend(payload.iter().map(|&byte| i16::from(byte)));
            }
            (Self::AsCame(_), Content::Sound(Codec::Pcmu)) => {
                cells.extend(payload.iter().map(|&byte| i16::from(g711::ULAW_TO_ALAW[usize::from(byte)])));
            }
            (Self::AsCame(_), Content::Sound(Codec::Pcma)) => {
                cells.extend(payload.iter().map(|&byte| i16::from(g711::ALAW_TO_ULAW[usize::from(byte)])));
            }
            (Self::AsCame(law), Content::Samples) => {
                cells.extend(samples_of(payload).map(|sample| to_law(sample, law)));
            }
            (Self::G722, Content::Foreign(Foreign::G722)) => {
                cells.extend(payload.iter().map(|&byte| i16::from(byte)));
            }
            (_, Content::Foreign(_) | Content::Digit | Content::Mark(_)) | (Self::G722, _) => {}
        }
        if self == Self::Pcm16 {
            make_louder(cells, steps);
        }
    }

    /// Makes cells of what was decoded for the file.
    pub(super) fn fit(self, steps: i8, cells: &mut [i16]) {
        match self {
            Self::Pcm16 => make_louder(cells, steps),
            Self::AsCame(law) => cells.iter_mut().for_each(|cell| *cell = to_law(*cell, law)),
            // They are encoded where they are decoded.
            Self::G722 => {}
        }
    }

    /// The frames of tracks of the same length, in the place of what is in `bytes`.
    pub(super) fn write(self, tracks: &[&[i16]], bytes: &mut Vec<u8>) {
        let frames = tracks.iter().map(|track| track.len()).min().unwrap_or(0);
        match (self, tracks) {
            (Self::Pcm16, [left, right]) => {
                bytes.resize(4 * frames, 0);
                let (fours, _) = bytes.as_chunks_mut::<4>();
                for (four, (left, right)) in fours.iter_mut().zip(left.iter().zip(*right)) {
                    // two samples at once: the compiler makes vectors of it
                    *four = (u32::from(left.cast_unsigned()) | u32::from(right.cast_unsigned()) << 16).to_le_bytes();
                }
            }
            (Self::Pcm16, _) => {
                bytes.clear();
                for at in 0..frames {
                    bytes.extend(tracks.iter().flat_map(|track| track[at].to_le_bytes()));
                }
            }
            (Self::AsCame(_) | Self::G722, [left, right]) => {
                bytes.resize(2 * frames, 0);
                let (twos, _) = bytes.as_chunks_mut::<2>();
                for (two, (left, right)) in twos.iter_mut().zip(left.iter().zip(*right)) {
                    *two = [*left as u8, *right as u8]; // these cells are bytes
                }
            }
            (Self::AsCame(_) | Self::G722, _) => {
                bytes.clear();
                for at in 0..frames {
                    bytes.extend(tracks.iter().map(|track| track[at] as u8)); // these cells are bytes
                }
            }
        }
    }
}

fn make_louder(cells: &mut [i16], steps: i8) {
    if steps.unsigned_abs() > 1 {
        cells.iter_mut().for_each(|cell| *cell = louder(*cell, steps));
    }
}

/// A sample as loud as Asterisk's MixMonitor makes it: times `steps`, or divided by `-steps`.
fn louder(sample: i16, steps: i8) -> i16 {
    match steps {
        1.. => sample.saturating_mul(steps.into()),
        _ => sample / -i16::from(steps.max(-4)).min(-1),
    }
}

fn law_sum(a: i16, b: i16, law: Codec) -> i16 {
    let mut sample = [0; 2];
    law.decode(&[a as u8, b as u8], &mut sample); // a law's cells are bytes
    to_law(sample[0].saturating_add(sample[1]), law)
}

fn to_law(sample: i16, law: Codec) -> i16 {
    let mut byte = [0];
    law.encode(&[sample], &mut byte);
    i16::from(byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_kept_is_kept_byte_by_byte_and_the_other_is_rewritten() {
        let all: Vec<u8> = (0..=255).collect();
        let (mut cells, mut bytes) = (Vec::new(), Vec::new());
        for (law, other) in [(Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::Pcmu)] {
            let form = Form::AsCame(law);
            form.cells(Content::Sound(law), &all, 0, &mut cells);
            form.write(&[&cells], &mut bytes);
            assert_eq!(bytes, all);
            form.cells(Content::Sound(other), &all, 0, &mut cells);
            form.write(&[&cells], &mut bytes);
            let mut expected = all.clone();
            other.transcode(law, &mut expected);
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn levels_multiply_divide_and_saturate() {
        let payload: Vec<u8> = [100i16, -8_000, 20_000].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut cells = Vec::new();
        for (steps, expected) in [
            (0, [100, -8_000, 20_000]),
            (1, [100, -8_000, 20_000]),
            (4, [400, -32_000, 32_767]),
            (-4, [25, -2_000, 5_000]),
        ] {
            Form::Pcm16.cells(Content::Samples, &payload, steps, &mut cells);
            assert_eq!(cells, expected, "{steps}");
        }
    }
}
