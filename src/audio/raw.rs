//! Sound files without a header, told apart by their ending only: what prompt packs for Asterisk consist of.
//! Above: `dialplan/sounds`. Below: `codec`.

use super::codec::{Codec, g722, gsm};
use super::file::Sound;

/// The endings, best sound first, and what is behind them.
const ENDINGS: &[(&str, Form)] = &[
    ("sln192", Form::Linear(192_000)),
    ("sln96", Form::Linear(96_000)),
    ("sln48", Form::Linear(48_000)),
    ("sln44", Form::Linear(44_100)),
    ("sln32", Form::Linear(32_000)),
    ("sln24", Form::Linear(24_000)),
    ("sln16", Form::Linear(16_000)),
    ("sln12", Form::Linear(12_000)),
    ("g722", Form::G722),
    ("sln", Form::Linear(8_000)),
    ("raw", Form::Linear(8_000)),
    ("ulaw", Form::G711(Codec::Pcmu)),
    ("ul", Form::G711(Codec::Pcmu)),
    ("ulw", Form::G711(Codec::Pcmu)),
    ("mu", Form::G711(Codec::Pcmu)),
    ("pcm", Form::G711(Codec::Pcmu)),
    ("alaw", Form::G711(Codec::Pcma)),
    ("al", Form::G711(Codec::Pcma)),
    ("alw", Form::G711(Codec::Pcma)),
    ("gsm", Form::Gsm),
];

#[derive(Clone, Copy)]
enum Form {
    /// 16 bits a sample, low byte first, at a rate in Hz.
    Linear(u32),
    G711(Codec),
    G722,
    Gsm,
}

/// The endings without the dot, best sound first.
pub fn endings() -> impl Iterator<Item = &'static str> {
    ENDINGS.iter().map(|(ending, _)| *ending)
}

/// Decodes a file of that ending; `None` for an ending that is not in the table.
pub fn decode(ending: &str, bytes: &[u8]) -> Option<Sound> {
    let (_, form) = ENDINGS.iter().find(|(known, _)| *known == ending)?;
    let (rate_hz, samples) = match *form {
        Form::Linear(rate_hz) => {
            let pairs = bytes.chunks_exact(2);
            (rate_hz, pairs.filter_map(|pair| Some(i16::from_le_bytes(pair.try_into().ok()?))).collect())
        }
        Form::G711(codec) => {
            let mut samples = vec![0; bytes.len()];
            codec.decode(bytes, &mut samples);
            (8_000, samples)
        }
        Form::G722 => (g722::RATE_HZ, g722::decode(bytes)),
        Form::Gsm => (gsm::RATE_HZ, gsm::decode(bytes)),
    };
    Some(Sound { rate_hz, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(ending: &str, bytes: &[u8]) -> Option<(u32, Vec<i16>)> {
        decode(ending, bytes).map(|sound| (sound.rate_hz, sound.samples))
    }

    #[test]
    fn the_ending_says_rate_and_code() {
        assert_eq!(decoded("sln", &[1, 0, 255, 255, 9]), Some((8_000, vec![1, -1])));
        assert_eq!(decoded("sln44", &[1, 0]), Some((44_100, vec![1])));
        assert_eq!(decoded("ulaw", &[0xff, 0x00]), Some((8_000, vec![0, -32_124])));
        assert_eq!(decoded("al", &[0xd5]), Some((8_000, vec![8])));
        // Asterisk's other names for the same.
        for (name, usual) in [("pcm", "ulaw"), ("mu", "ulaw"), ("ulw", "ulaw"), ("alw", "alaw")] {
            assert_eq!(decoded(name, &[3, 0xd5]), decoded(usual, &[3, 0xd5]), "{name}");
        }
        assert_eq!(decoded("g722", &[0; 80]).map(|(rate_hz, samples)| (rate_hz, samples.len())), Some((16_000, 160)));
        assert_eq!(decoded("gsm", &[0xd0; 33]).map(|(rate_hz, samples)| (rate_hz, samples.len())), Some((8_000, 160)));
        assert_eq!(decoded("g729", &[0; 10]), None);
    }
}
