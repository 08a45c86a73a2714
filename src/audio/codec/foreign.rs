//! Codecs that are passed on from phone to phone as they came, since media threads decode none of them; some, the recorder does.
//! Above: `Coding`. One line of the table each.

/// A codec that is only passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Foreign {
    /// ITU-T G.722 at 64 kbit/s.
    G722,
    /// ITU-T G.723.1.
    G723,
    /// ITU-T G.729, with or without annex B.
    G729,
    /// GSM 06.10.
    Gsm,
    /// iLBC (RFC 3951).
    Ilbc,
    /// Opus (RFC 6716).
    Opus,
}

/// What stands about one in descriptions.
struct Facts {
    codec: Foreign,
    /// In the settings and in lists.
    word: &'static str,
    /// The encoding name of SDP's `rtpmap`.
    name: &'static str,
    /// Of RTP's time stamps, in Hz.
    clock_hz: u32,
    /// As `rtpmap` tells them; 1 is left out.
    channels: u8,
    /// The payload type it is offered with: the static one (RFC 3551 §6), where there is one.
    payload: u8,
}

const fn facts(codec: Foreign, words: (&'static str, &'static str), payload: u8) -> Facts {
    let (word, name) = words;
    Facts { codec, word, name, clock_hz: 8_000, channels: 1, payload }
}

const TABLE: [Facts; 6] = [
    // The clock is 8 kHz, though it samples at 16 kHz (RFC 3551 §4.5.2).
    facts(Foreign::G722, ("g722", "G722"), 9),
    facts(Foreign::G723, ("g723", "G723"), 4),
    facts(Foreign::G729, ("g729", "G729"), 18),
    facts(Foreign::Gsm, ("gsm", "GSM"), 3),
    facts(Foreign::Ilbc, ("ilbc", "iLBC"), 97),
    // Always named with two channels, whatever is sent (RFC 7587 §4.1, §7).
    Facts { clock_hz: 48_000, channels: 2, ..facts(Foreign::Opus, ("opus", "opus"), 111) },
];

impl Foreign {
    /// Its name in the settings and in lists.
    pub fn word(self) -> &'static str {
        self.facts().word
    }

    /// The codec that a description means by a name (any case), a clock rate in Hz, and a number of channels.
    pub fn described(name: &str, clock_hz: u32, channels: u8) -> Option<Self> {
        let found = TABLE.iter().find(|one| {
            one.name.eq_ignore_ascii_case(name) && (one.clock_hz, one.channels) == (clock_hz, channels.max(1))
        });
        found.map(|one| one.codec)
    }

    /// The codec of a payload type that needs no `rtpmap` (RFC 3551 §6).
    pub fn of_static(payload: u8) -> Option<Self> {
        TABLE.iter().find(|one| one.payload == payload && payload < 96).map(|one| one.codec)
    }

    /// The codec whose place in the table this is.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        TABLE.get(usize::from(number)).map(|one| one.codec)
    }

    /// The encoding of SDP's `rtpmap`: `G729/8000`, `opus/48000/2`.
    pub fn encoding(self) -> String {
        let Facts { name, clock_hz, channels, .. } = self.facts();
        if *channels == 1 { format!("{name}/{clock_hz}") } else { format!("{name}/{clock_hz}/{channels}") }
    }

    /// The payload type it is offered with.
    pub fn payload(self) -> u8 {
        self.facts().payload
    }

    /// The clock of its RTP time stamps, in Hz.
    pub fn clock_hz(self) -> u32 {
        self.facts().clock_hz
    }

    /// How many samples at 8 kHz a payload of so many bytes lasts; of one whose bytes do not tell, 20 ms are taken for granted.
    pub fn samples(self, bytes: usize) -> usize {
        match self {
            Self::G722 => bytes,
            // Frames of 24 bytes at 6.3 kbit/s, of 20 at 5.3 (RFC 3551 §4.5.3).
            Self::G723 => bytes.div_ceil(24) * 240,
            // Ten bytes every 10 ms; what is left is comfort noise (RFC 3551 §4.5.6).
            Self::G729 => bytes.div_ceil(10) * 80,
            Self::Gsm => bytes.div_ceil(33) * 160,
            // 50 bytes every 30 ms, or 38 every 20 (RFC 3952 §3.2).
            Self::Ilbc if bytes.is_multiple_of(50) => bytes / 50 * 240,
            Self::Ilbc => bytes.div_ceil(38) * 160,
            Self::Opus => 160,
        }
    }

    /// Whether the recorder turns it into samples.
    pub fn can_be_recorded(self) -> bool {
        match self {
            Self::G722 | Self::Gsm | Self::Opus => true,
            Self::G723 | Self::G729 | Self::Ilbc => false,
        }
    }

    fn facts(self) -> &'static Facts {
        // The table names every codec once, in the order of the variants: a test sees to it.
        &TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_codec_in_its_place() {
        for (at, one) in TABLE.iter().enumerate() {
            assert_eq!((one.codec as usize, one.codec.word()), (at, one.word));
        }
    }

    #[test]
    fn codecs_are_known_by_name_clock_and_channels_or_by_their_static_number() {
        assert_eq!(Foreign::described("g729", 8_000, 0), Some(Foreign::G729));
        assert_eq!(Foreign::described("OPUS", 48_000, 2), Some(Foreign::Opus));
        assert_eq!(Foreign::described("opus", 48_000, 1), None);
        assert_eq!(Foreign::described("G722", 16_000, 1), None);
        assert_eq!((Foreign::of_static(18), Foreign::of_static(3)), (Some(Foreign::G729), Some(Foreign::Gsm)));
        assert_eq!((Foreign::of_static(97), Foreign::of_static(0)), (None, None));
        assert_eq!((Foreign::G729.encoding(), Foreign::Opus.encoding()), ("G729/8000".into(), "opus/48000/2".into()));
    }

    #[test]
    fn a_payload_lasts_as_long_as_its_frames() {
        let lasts = [
            (Foreign::G729, 20, 160),
            (Foreign::G729, 12, 160),
            (Foreign::G723, 24, 240),
            (Foreign::Gsm, 33, 160),
            (Foreign::Ilbc, 50, 240),
            (Foreign::Ilbc, 38, 160),
            (Foreign::G722, 160, 160),
        ];
        for (codec, bytes, samples) in lasts {
            assert_eq!(codec.samples(bytes), samples, "{codec:?} {bytes}");
        }
    }
}
