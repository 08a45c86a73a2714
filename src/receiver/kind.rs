//! What a file is by its name and by its first bytes: only audio leaves, and only what is what its name says.
//! Above: `download` and `intake`. Pure.

use crate::audio::matroska;

/// How many bytes from the start of a file are looked at.
pub(super) const HEAD_BYTES: usize = 4_096;
/// A GSM 06.10 frame in bytes, as files have them: 20 ms.
const GSM_FRAME_BYTES: usize = 33;

/// What a recording may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// MPEG layer III.
    Mp3,
    /// RIFF WAVE.
    Wav,
    /// GSM 06.10 frames without a header.
    Gsm,
    /// FLAC.
    Flac,
    /// Opus in Ogg, as recordings are kept that stay as they came.
    Opus,
    /// Anything else in Ogg.
    Ogg,
    /// G.722 in Matroska, as recordings are kept that stay as they came.
    Matroska,
    /// A sealed recording: an age file.
    Age,
}

/// Which names are let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// `/download.php`: mp3, wav and gsm, as the page it replaces, and the opus and mka that are recorded here.
    ByName,
    /// By id: also what else is recorded and sealed here.
    ById,
}

impl Kind {
    /// By the extension of `name`, in capitals or not.
    pub(super) fn of(name: &str, door: Door) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let kind = match extension.to_ascii_lowercase().as_str() {
            "mp3" => Self::Mp3,
            "wav" => Self::Wav,
            "gsm" => Self::Gsm,
            "flac" => Self::Flac,
            "opus" => Self::Opus,
            "ogg" => Self::Ogg,
            "mka" => Self::Matroska,
            "age" => Self::Age,
            _ => return None,
        };
        let is_by_name = matches!(kind, Self::Mp3 | Self::Wav | Self::Gsm | Self::Opus | Self::Matroska);
        let is_let_out = door == Door::ById || is_by_name;
        (is_let_out && !stem.is_empty()).then_some(kind)
    }

    /// `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Wav => "audio/x-wav",
            Self::Gsm => "audio/x-gsm",
            Self::Flac => "audio/flac",
            Self::Opus | Self::Ogg => "audio/ogg",
            // RFC 9559 §27.3
            Self::Matroska => "audio/matroska",
            Self::Age => "application/octet-stream",
        }
    }

    /// `Content-Description`.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3 file",
            Self::Wav => "wav file",
            Self::Gsm => "gsm file",
            Self::Flac => "flac file",
            Self::Opus => "opus file",
            Self::Ogg => "ogg file",
            Self::Matroska => "mka file",
            Self::Age => "age file",
        }
    }

    /// Whether browsers can play it; what is in G.722 is decoded for them.
    pub(super) fn is_played(self) -> bool {
        self != Self::Gsm
    }

    /// Whether a file that begins with `head` is of this kind.
    pub(super) fn fits(self, head: &[u8]) -> bool {
        match self {
            Self::Mp3 => is_mp3(head),
            Self::Wav => is_wav(head),
            Self::Gsm => is_gsm(head),
            Self::Flac => head.starts_with(b"fLaC"),
            // The first page holds nothing but the stream's head (RFC 7845 §3).
            Self::Opus => head.starts_with(b"OggS") && head.get(28..36) == Some(b"OpusHead"),
            Self::Ogg => head.starts_with(b"OggS"),
            Self::Matroska => matroska::Head::parse(head).is_some(),
            Self::Age => head.starts_with(b"age-encryption.org/v1\n"),
        }
    }
}

/// RIFF of form WAVE whose format chunk comes soon.
fn is_wav(head: &[u8]) -> bool {
    if !head.starts_with(b"RIFF") || head.get(8..12) != Some(b"WAVE") {
        return false;
    }
    let mut at = 12_usize;
    while let Some(name) = head.get(at..at.saturating_add(4)) {
        if name == b"fmt " {
            return true;
        }
        let size = head.get(at + 4..at + 8).and_then(|size| size.try_into().ok()).map_or(0, u32::from_le_bytes);
        // chunks begin at even offsets
        let size = usize::try_from(size).unwrap_or(usize::MAX).checked_next_multiple_of(2).unwrap_or(usize::MAX);
        at = at.saturating_add(8).saturating_add(size);
    }
    false
}

/// A frame of layer III, at the start or behind a tag (ID3v2 §3.1: a size of four times seven bits).
fn is_mp3(head: &[u8]) -> bool {
    if !head.starts_with(b"ID3") {
        return is_mp3_frame(head);
    }
    let Some(&[major, _, _, a, b, c, d]) = head.get(3..10) else { return false };
    let is_tag = (2..=4).contains(&major) && [a, b, c, d].iter().all(|byte| *byte < 0x80);
    let size = [a, b, c, d].iter().fold(0_usize, |size, byte| (size << 7) | usize::from(*byte));
    // a tag longer than what is looked at may hold a picture: the file is taken by it
    is_tag && head.get(10 + size..).is_none_or(is_mp3_frame)
}

/// Sync, a known version, layer III, a bit rate and a sample rate (ISO 11172-3 §2.4.1.3).
fn is_mp3_frame(bytes: &[u8]) -> bool {
    let Some(&[0xff, second, third]) = bytes.get(..3) else { return false };
    let is_synced = second & 0xe0 == 0xe0;
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    let (bit_rate, sample_rate) = (third >> 4, (third >> 2) & 3);
    is_synced && version != 1 && layer == 1 && (1..=14).contains(&bit_rate) && sample_rate != 3
}

/// Each frame begins with the signature 0xD in its upper half (RFC 3551 §4.5.8.1).
fn is_gsm(head: &[u8]) -> bool {
    head.len() >= GSM_FRAME_BYTES
        && head.chunks_exact(GSM_FRAME_BYTES).all(|frame| frame.first().is_some_and(|byte| byte >> 4 == 0xd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wav() -> Vec<u8> {
        [b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0".as_slice(), &[0; 24]].concat()
    }

    #[test]
    fn s128_s129_s130_the_extension_decides_in_capitals_or_not() {
        let kinds = [
            ("a.mp3", "audio/mpeg"),
            ("a.wav", "audio/x-wav"),
            ("a.Wav", "audio/x-wav"),
            ("a.WAV", "audio/x-wav"),
            ("a.opus", "audio/ogg"),
            ("a.mka", "audio/matroska"),
        ];
        for (name, content_type) in kinds.into_iter().chain([("a.gsm", "audio/x-gsm"), ("a.b.GSM", "audio/x-gsm")]) {
            assert_eq!(Kind::of(name, Door::ByName).map(Kind::content_type), Some(content_type), "{name}");
        }
        for name in ["a", "a.", ".wav", "a.php", "a.wav.php", "a.json", "a.wav ", "a.wav\0", "a.ogg", "a.age", ""] {
            assert_eq!(Kind::of(name, Door::ByName), None, "{name:?}");
        }
        assert_eq!(Kind::of("a.wav.age", Door::ById), Some(Kind::Age));
    }

    #[test]
    fn s131_a_liar_is_found_out() {
        let mp3 = [0xff, 0xfb, 0x90, 0x00];
        let gsm = [0xd2; 66];
        assert!(Kind::Wav.fits(&wav()) && Kind::Mp3.fits(&mp3) && Kind::Gsm.fits(&gsm));
        assert!(Kind::Mp3.fits(&[b"ID3\x04\0\0\0\0\0\x02xx".as_slice(), &mp3].concat()), "behind a tag");
        let listed = [b"RIFF\x24\0\0\0WAVELIST\x03\0\0\0abc\0fmt ".as_slice(), &[0; 24]].concat();
        assert!(Kind::Wav.fits(&listed), "another chunk may come first, and is padded");
        for liar in [
            b"<?php system(1); ?>".as_slice(),
            b"RIFF\0\0\0\0AVI LIST",
            b"RIFF\0\0\0\0WAVE<script>",
            b"",
            b"RIFF",
            &[0; 99],
        ] {
            for kind in [Kind::Wav, Kind::Mp3, Kind::Gsm, Kind::Flac, Kind::Opus, Kind::Ogg, Kind::Matroska, Kind::Age]
            {
                assert!(!kind.fits(liar), "{kind:?} {liar:?}");
            }
        }
        let opus = [b"OggS".as_slice(), &[0; 24], b"OpusHead\x01"].concat();
        assert!(Kind::Opus.fits(&opus) && !Kind::Opus.fits(&opus[..35]) && !Kind::Opus.fits(b"OggS\0\x02"));
        let mka = matroska::Tracks::of(2).head(8_000);
        assert!(Kind::Matroska.fits(&mka) && !Kind::Matroska.fits(&mka[..mka.len() - 1]));
        assert!(!Kind::Mp3.fits(&wav()) && !Kind::Wav.fits(&mp3) && !Kind::Gsm.fits(&wav()));
        assert!(!Kind::Gsm.fits(&[[0xd2; 33], [0x3c; 33]].concat()), "every frame has its signature");
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(head in proptest::collection::vec(any::<u8>(), 0..200), tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            for start in [b"".as_slice(), b"RIFF\0\0\0\0WAVE", b"ID3\x03"] {
                let bytes = [start, &head, &tail].concat();
                for kind in [Kind::Wav, Kind::Mp3, Kind::Gsm] {
                    let _ = kind.fits(&bytes);
                }
            }
        }
    }
}
