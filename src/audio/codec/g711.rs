//! G.711: both laws as tables that the compiler fills in from the recommendation's segments.
//! A sign, three bits of segment, four bits of step; µ-law is sent inverted, A-law with every other bit inverted.

/// Added to a magnitude before its µ-law segment is looked for (16-bit scale).
const ULAW_BIAS: u16 = 132;
/// Greatest magnitude of µ-law (16-bit scale).
const ULAW_CLIP: u16 = 32_635;
/// A-law sends its even bits inverted.
const ALAW_TOGGLE: u8 = 0x55;

/// Sample of each µ-law byte, 16 bit.
pub static ULAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = ulaw_to_linear(byte);
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// Sample of each A-law byte, 16 bit.
pub static ALAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = alaw_to_linear(byte);
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// A-law byte of each µ-law byte.
pub static ULAW_TO_ALAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = alaw_of(ulaw_to_linear(byte));
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// µ-law byte of each A-law byte.
pub static ALAW_TO_ULAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = ulaw_of(alaw_to_linear(byte));
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// µ-law byte of each positive sample, without its two lowest bits: they never decide.
static ULAW_OF_MAGNITUDE: [u8; 8_192] = {
    let mut table = [0; 8_192];
    let mut at = 0u16;
    while at < 8_192 {
        table[at as usize] = ulaw_of((at << 2).cast_signed());
        at += 1;
    }
    table
};

/// A-law byte of each positive sample, without its four lowest bits: they never decide.
static ALAW_OF_MAGNITUDE: [u8; 2_048] = {
    let mut table = [0; 2_048];
    let mut at = 0u16;
    while at < 2_048 {
        table[at as usize] = alaw_of((at << 4).cast_signed());
        at += 1;
    }
    table
};

/// The µ-law byte of a sample.
pub fn to_ulaw(sample: i16) -> u8 {
    let magnitude = sample.unsigned_abs().min(ULAW_CLIP);
    let positive = ULAW_OF_MAGNITUDE[usize::from(magnitude >> 2)];
    if sample < 0 { positive ^ 0x80 } else { positive }
}

/// The A-law byte of a sample.
pub fn to_alaw(sample: i16) -> u8 {
    // A negative sample counts from −1, so that both signs have the same steps.
    let magnitude = if sample < 0 { !sample } else { sample }.cast_unsigned();
    let positive = ALAW_OF_MAGNITUDE[usize::from(magnitude >> 4)];
    if sample < 0 { positive ^ 0x80 } else { positive }
}

const fn ulaw_to_linear(byte: u8) -> i16 {
    let bits = !byte;
    let segment = (bits >> 4) & 7;
    let biased = (((bits & 0x0f) as i16) << 3) + ULAW_BIAS.cast_signed();
    let magnitude = (((biased as i32) << segment) - ULAW_BIAS as i32) as i16;
    if bits & 0x80 != 0 { -magnitude } else { magnitude }
}

const fn alaw_to_linear(byte: u8) -> i16 {
    let bits = byte ^ ALAW_TOGGLE;
    let segment = (bits >> 4) & 7;
    let step = ((bits & 0x0f) as i16) << 4;
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if bits & 0x80 != 0 { magnitude } else { -magnitude }
}

const fn ulaw_of(sample: i16) -> u8 {
    let magnitude = sample.unsigned_abs();
    let biased = if magnitude > ULAW_CLIP { ULAW_CLIP } else { magnitude } + ULAW_BIAS;
    let segment = biased.ilog2() as u8 - 7;
    let step = (biased >> (segment + 3)) as u8 & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | segment << 4 | step)
}

const fn alaw_of(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample } else { sample }.cast_unsigned();
    let (segment, step) = if magnitude < 256 {
        (0, (magnitude >> 4) as u8)
    } else {
        let segment = magnitude.ilog2() as u8 - 7;
        (segment, (magnitude >> (segment + 3)) as u8 & 0x0f)
    };
    let sign = if sample < 0 { 0 } else { 0x80 };
    (sign | segment << 4 | step) ^ ALAW_TOGGLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_of_both_laws() {
        assert_eq!((to_ulaw(0), to_ulaw(i16::MAX), to_ulaw(i16::MIN)), (0xff, 0x80, 0x00));
        assert_eq!((to_alaw(0), to_alaw(i16::MAX), to_alaw(i16::MIN)), (0xd5, 0xaa, 0x2a));
        assert_eq!((ULAW_TO_LINEAR[0x80], ULAW_TO_LINEAR[0x00]), (32_124, -32_124));
        assert_eq!((ALAW_TO_LINEAR[0xaa], ALAW_TO_LINEAR[0x2a]), (32_256, -32_256));
    }

    #[test]
    fn every_byte_survives_the_round_trip() {
        for byte in 0..=u8::MAX {
            assert_eq!(to_alaw(ALAW_TO_LINEAR[usize::from(byte)]), byte);
            // µ-law has two zeros; the negative one comes back positive.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(to_ulaw(ULAW_TO_LINEAR[usize::from(byte)]), expected);
        }
    }

    #[test]
    fn every_sample_comes_back_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            let ulaw = i32::from(ULAW_TO_LINEAR[usize::from(to_ulaw(sample))]);
            let alaw = i32::from(ALAW_TO_LINEAR[usize::from(to_alaw(sample))]);
            let allowed = magnitude / 32 + 16;
            let clipped = if magnitude > 32_000 { 700 } else { allowed };
            assert!((ulaw - i32::from(sample)).abs() <= clipped.max(allowed), "µ-law {sample} gives {ulaw}");
            assert!((alaw - i32::from(sample)).abs() <= allowed, "A-law {sample} gives {alaw}");
        }
    }
}
