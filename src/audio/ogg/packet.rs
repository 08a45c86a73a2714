//! The frames in an Opus packet: taken apart and put together without being decoded (RFC 6716 §3 and appendix B).

/// The longest frame, in bytes (RFC 6716 §3.2, R2).
pub const LARGEST_FRAME: usize = 1_275;
/// The longest packet, in samples of 48 kHz: 120 ms (R5).
const LONGEST: u32 = 5_760;

/// What the first byte of a packet says of its frames, without how many there are (RFC 6716 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toc(u8);

/// 20 ms of silence: one frame of CELT over the full band, mono, which decodes to zeros.
pub const SILENCE: (Toc, &[u8]) = (Toc(0xf8), &[0xff, 0xfe]);

impl Toc {
    fn of(byte: u8) -> Self {
        Self(byte & !3)
    }

    /// How long a frame is, in samples of 48 kHz (table 2).
    pub fn frame_ticks(self) -> u32 {
        let config = self.0 >> 3;
        match config {
            // SILK, hybrid, CELT.
            0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
            12..=15 => [480, 960][usize::from(config & 1)],
            _ => [120, 240, 480, 960][usize::from(config & 3)],
        }
    }

    /// Whether a frame has what was said in the frame before once more, in case that is lost (§2.1.7). Its flags are the first bits
    /// (§4.2.3): of each channel one for every 20 ms, and then this.
    pub fn repeats(self, frame: &[u8]) -> bool {
        let Some(flags) = frame.first().filter(|_| self.0 >> 3 < 16) else { return false };
        let parts = self.frame_ticks().div_ceil(960); // 3 at most
        let is_stereo = self.0 & 4 != 0;
        let is_set = |bit: u32| flags << bit & 0x80 != 0;
        is_set(parts) || is_stereo && is_set(2 * parts + 1)
    }

    /// A packet of one frame.
    pub fn packet(self, frame: &[u8]) -> Vec<u8> {
        [&[self.0], frame].concat()
    }

    /// The same mode and bandwidth with frames of 20 ms.
    pub fn of_20_ms(self) -> Self {
        match self.0 >> 3 {
            0..=11 => Self(self.0 & !0x18 | 0x08),
            12..=15 => Self(self.0 | 0x08),
            _ => Self(self.0 | 0x18),
        }
    }
}

/// How a packet says how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// It is as long as what carries it.
    Plain,
    /// By itself, so that another can follow (appendix B).
    SelfDelimited,
}

/// A packet taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What all of its frames are.
    pub toc: Toc,
    /// Its frames; an empty one was lost or is not sent (§3.2.1).
    pub frames: Vec<&'a [u8]>,
}

impl<'a> Packet<'a> {
    /// Takes a packet apart; `None` where it breaks a rule of RFC 6716 §3.4.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        Self::take(bytes, Framing::Plain).map(|(packet, _)| packet)
    }

    /// How long it is, in samples of 48 kHz.
    pub fn ticks(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(0).saturating_mul(self.toc.frame_ticks())
    }

    /// The packet at the beginning of `bytes`, and what follows it.
    fn take(bytes: &'a [u8], framing: Framing) -> Option<(Self, &'a [u8])> {
        let (&first, rest) = bytes.split_first()?;
        let toc = Toc::of(first);
        let (frames, rest) = match first & 3 {
            0 => Self::run(rest, (1, 0), framing)?,
            1 => Self::run(rest, (2, 0), framing)?,
            2 => {
                let (length, rest) = take_length(rest)?;
                Self::lengths(rest, (vec![length], 0), framing)?
            }
            _ => Self::any_number(toc, rest, framing)?,
        };
        let fits = frames.iter().all(|frame| frame.len() <= LARGEST_FRAME);
        fits.then_some((Self { toc, frames }, rest))
    }

    /// Code 3 (§3.2.5): a count, padding, and lengths where the frames differ.
    fn any_number(toc: Toc, bytes: &'a [u8], framing: Framing) -> Option<(Vec<&'a [u8]>, &'a [u8])> {
        let (&head, mut rest) = bytes.split_first()?;
        let count = head & 0x3f;
        if count == 0 || u32::from(count) * toc.frame_ticks() > LONGEST {
            return None;
        }
        let mut padding = 0usize;
        let mut has_more = head & 0x40 != 0;
        while has_more {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            padding += usize::from(byte.min(254));
            has_more = byte == 255;
        }
        if head & 0x80 == 0 {
            return Self::run(rest, (count.into(), padding), framing);
        }
        let mut lengths = Vec::new();
        for _ in 1..count {
            let (length, after) = take_length(rest)?;
            lengths.push(length);
            rest = after;
        }
        Self::lengths(rest, (lengths, padding), framing)
    }

    /// So many frames of one length, and padding.
    fn run(bytes: &'a [u8], (count, padding): (usize, usize), framing: Framing) -> Option<(Vec<&'a [u8]>, &'a [u8])> {
        let (length, bytes) = match framing {
            Framing::SelfDelimited => take_length(bytes)?,
            Framing::Plain => {
                let all = bytes.len().checked_sub(padding)?;
                (all.is_multiple_of(count).then_some(all / count)?, bytes)
            }
        };
        cut(bytes, &vec![length; count], padding)
    }

    /// Frames whose lengths are known but for that of the last one, and padding.
    fn lengths(
        bytes: &'a [u8],
        (mut lengths, padding): (Vec<usize>, usize),
        framing: Framing,
    ) -> Option<(Vec<&'a [u8]>, &'a [u8])> {
        let (last, bytes) = match framing {
            Framing::SelfDelimited => take_length(bytes)?,
            Framing::Plain => {
                let known = lengths.iter().sum::<usize>() + padding;
                (bytes.len().checked_sub(known)?, bytes)
            }
        };
        lengths.push(last);
        cut(bytes, &lengths, padding)
    }
}

/// Frames of these lengths, and what follows them and the padding.
fn cut<'a>(mut bytes: &'a [u8], lengths: &[usize], padding: usize) -> Option<(Vec<&'a [u8]>, &'a [u8])> {
    let mut frames = Vec::with_capacity(lengths.len());
    for &length in lengths {
        let (frame, rest) = bytes.split_at_checked(length)?;
        frames.push(frame);
        bytes = rest;
    }
    Some((frames, bytes.get(padding..)?))
}

/// A length in one byte or two (§3.2.1).
fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 252 {
        return Some((first.into(), rest));
    }
    let (&second, rest) = rest.split_first()?;
    Some((4 * usize::from(second) + usize::from(first), rest))
}

/// The packets of so many streams that share one packet of an Ogg stream: all but the last say how long they are (RFC 7845 §5.1.1).
pub fn streams(mut bytes: &[u8], count: usize) -> Option<Vec<Packet<'_>>> {
    let mut packets = Vec::with_capacity(count);
    for _ in 1..count {
        let (packet, rest) = Packet::take(bytes, Framing::SelfDelimited)?;
        packets.push(packet);
        bytes = rest;
    }
    packets.push(Packet::parse(bytes)?);
    let ticks = packets.first()?.ticks();
    packets.iter().all(|packet| packet.ticks() == ticks).then_some(packets)
}

impl Packet<'_> {
    /// Appends the packet; it has 1 to 48 frames of [`LARGEST_FRAME`] bytes at most.
    pub fn write(&self, framing: Framing, out: &mut Vec<u8>) {
        let lengths: Vec<usize> = self.frames.iter().map(|frame| frame.len()).collect();
        let is_even = lengths.windows(2).all(|pair| pair[0] == pair[1]);
        let toc = self.toc.0;
        match (lengths.len(), is_even) {
            (0 | 1, _) => out.push(toc),
            (2, true) => out.push(toc | 1),
            (2, false) => out.push(toc | 2),
            // 48 at most (R5): they fit into the low six bits.
            (count, true) => out.extend([toc | 3, count as u8]),
            (count, false) => out.extend([toc | 3, count as u8 | 0x80]),
        }
        let told = if is_even { 0 } else { lengths.len() - 1 };
        lengths.iter().take(told).for_each(|length| put_length(*length, out));
        if framing == Framing::SelfDelimited {
            put_length(lengths.last().copied().unwrap_or(0), out);
        }
        self.frames.iter().for_each(|frame| out.extend(*frame));
    }
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    if length < 252 {
        out.push(length as u8);
        return;
    }
    // 252 to 255, so that the rest is a multiple of four.
    let first = 252 + (length & 3);
    out.extend([first as u8, ((length - first) / 4) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(toc: u8, frames: &[&[u8]], framing: Framing) -> Vec<u8> {
        let mut out = Vec::new();
        Packet { toc: Toc::of(toc), frames: frames.to_vec() }.write(framing, &mut out);
        out
    }

    #[test]
    fn packets_of_every_code_are_taken_apart() {
        let frames = |bytes| Packet::parse(bytes).map(|packet| packet.frames);
        assert_eq!(frames(&[0xf8, 1, 2]), Some(vec![&[1u8, 2][..]]));
        assert_eq!(frames(&[0xf9, 1, 2]), Some(vec![&[1u8][..], &[2]]));
        assert_eq!(frames(&[0xfa, 1, 7, 8, 9]), Some(vec![&[7u8][..], &[8, 9]]));
        assert_eq!(frames(&[0xfb, 3, 1, 2, 3]), Some(vec![&[1u8][..], &[2], &[3]]));
        assert_eq!(frames(&[0xfb, 0x82, 0, 5, 6]), Some(vec![&[][..], &[5u8, 6]]));
        assert_eq!(frames(&[0xfb, 0x41, 2, 5, 0, 0]), Some(vec![&[5u8][..]]), "padding is left out");
        for (wrong, why) in [
            (&[][..], "no byte"),
            (&[0xf9, 1, 2, 3], "halves of three bytes"),
            (&[0xfa, 9, 1], "a frame longer than the packet"),
            (&[0xfb, 0], "no frame"),
            (&[0xfb, 7], "140 ms"),
            (&[0xfb, 0x42, 200, 1], "more padding than packet"),
        ] {
            assert_eq!(frames(wrong), None, "{why}");
        }
        assert_eq!(frames(&[&[0xf8][..], &[0; 1_276]].concat()), None, "R2");
    }

    #[test]
    fn frames_last_as_the_table_says_and_keep_their_mode_at_20_ms() {
        for (toc, ms10) in [(0x00, 100), (0x18, 600), (0x58, 600), (0x60, 100), (0x78, 200), (0x80, 25), (0xf8, 200)] {
            assert_eq!(Toc::of(toc).frame_ticks() * 10 / 48, ms10, "{toc:x}");
        }
        for byte in (0..=255).step_by(4) {
            let (toc, same) = (Toc::of(byte), Toc::of(byte).of_20_ms());
            assert_eq!(same.frame_ticks(), 960);
            let mode = |toc: Toc| match toc.0 >> 3 {
                config @ 0..=11 => config >> 2,
                config @ 12..=15 => 4 + (config >> 1),
                config => 16 + (config >> 2),
            };
            assert_eq!((mode(same), same.0 & 4), (mode(toc), toc.0 & 4));
        }
    }

    #[test]
    fn a_frame_tells_whether_it_repeats_the_one_before() {
        // 10, 20, 40 and 60 ms of SILK, 20 ms hybrid; then of two channels.
        for (toc, bit) in [(0x40, 1), (0x48, 1), (0x50, 2), (0x58, 3), (0x78, 1), (0x4c, 1), (0x4c, 3), (0x5c, 7)] {
            let flags = 0x80u8 >> bit;
            assert!(Toc::of(toc).repeats(&[flags, 1]) && !Toc::of(toc).repeats(&[0, 255]), "{toc:x}");
            assert!(!Toc::of(toc).repeats(&[]) && !Toc::of(toc | 0x80).repeats(&[255]), "nothing, and CELT");
        }
        assert!(!Toc::of(0x48).repeats(&[0x80]), "that is speech");
        assert!(!Toc::of(0x48).repeats(&[0x10]), "one channel");
    }

    #[test]
    fn two_streams_share_a_packet_only_when_they_last_alike() {
        let mut both = written(0xf8, &[&[1; 300]], Framing::SelfDelimited);
        both.extend(written(0x08, &[&[2, 3]], Framing::Plain));
        let packets = streams(&both, 2).expect("two packets");
        assert_eq!((packets[0].frames[0].len(), packets[1].frames[0]), (300, &[2u8, 3][..]));
        let mut both = written(0xf8, &[&[1]], Framing::SelfDelimited);
        both.extend(written(0x00, &[&[2]], Framing::Plain));
        assert_eq!(streams(&both, 2), None, "20 and 10 ms");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            config in 0u8..32, lengths in proptest::collection::vec(0usize..=1_275, 1..=6), same in any::<bool>(),
            rest in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let toc = Toc::of(config << 3);
            let most = (LONGEST / toc.frame_ticks()) as usize;
            let bytes = vec![7u8; 1_275];
            let frames: Vec<&[u8]> =
                lengths.iter().map(|length| &bytes[..if same { lengths[0] } else { *length }]).take(most).collect();
            let packet = Packet { toc, frames };
            let mut out = Vec::new();
            packet.write(Framing::Plain, &mut out);
            let parsed = Packet::parse(&out);
            prop_assert_eq!(parsed.as_ref(), Some(&packet));
            out.clear();
            packet.write(Framing::SelfDelimited, &mut out);
            out.extend(&rest);
            let taken = Packet::take(&out, Framing::SelfDelimited);
            prop_assert_eq!(taken, Some((packet, &rest[..])));
        }

        #[test]
        fn any_bytes_have_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..400), count in 1usize..4) {
            if let Some(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.ticks() <= LONGEST && !packet.frames.is_empty());
            }
            let _ = streams(&bytes, count);
        }
    }
}
