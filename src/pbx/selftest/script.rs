//! What the phones of a self-test say: one second of a tone, cut into packets that are all different, said again and again.
//! Whoever has nothing mixed in hears exactly these packets, one after the other. Above: `line`, `scene`. Below: `audio`.

use std::collections::HashMap;

use crate::audio::{codec::Codec, file, prompts, resample, tone};

/// Bytes of a packet: 20 ms of µ-law.
pub(super) const PACKET_BYTES: usize = 160;
/// Samples of a tenth of a second: each of the tones has a whole number of waves in it, so none is mistaken for another.
pub(super) const WINDOW: usize = 800;
/// Peak of a spoken tone in 16-bit units (−14 dBFS): three at once do not clip.
const PEAK: f32 = 6_400.0;
/// Of the customer, the agent and the supervisors, in Hz.
pub(super) const TONES_HZ: [f32; 5] = [500.0, 900.0, 1_300.0, 1_700.0, 2_100.0];
/// Above this part of its peak a tone is heard; below [`FAINT`] it is not; between the two something is wrong.
const CLEAR: f32 = 0.5;
const FAINT: f32 = 0.03;

/// One packet's sound.
pub(super) type Payload = [u8; PACKET_BYTES];

/// A row of packets.
pub(super) struct Script {
    packets: Vec<Payload>,
    places: HashMap<Payload, usize>,
}

impl Script {
    /// One second of a tone, with a faint noise that makes each packet unlike any other.
    pub(super) fn of_tone(hz: f32) -> Self {
        Self::of(&(0..8_000).map(|at| sample(hz, at)).collect::<Vec<i16>>())
    }

    /// What a party hears whom the server holds; `None` when this program is damaged.
    pub(super) fn of_music() -> Option<Self> {
        let sound = file::decode(prompts::find("moh/default")?).ok()?;
        Some(Self::of(&resample::to_8khz(&sound.samples, sound.rate_hz).ok()?))
    }

    fn of(samples: &[i16]) -> Self {
        let encoded = |samples: &[i16]| {
            let mut payload = [0; PACKET_BYTES];
            Codec::Pcmu.encode(samples, &mut payload);
            payload
        };
        let packets: Vec<Payload> = samples.chunks_exact(PACKET_BYTES).map(encoded).collect();
        let places = packets.iter().copied().zip(0..).collect();
        Self { packets, places }
    }

    /// The packet that is said as the `at`-th.
    pub(super) fn packet(&self, at: usize) -> &Payload {
        &self.packets[at % self.packets.len()]
    }

    /// Whether a packet is one of the script, bit for bit.
    pub(super) fn has(&self, payload: &Payload) -> bool {
        self.places.contains_key(payload)
    }

    /// Compares packets with the script: each must be the next one, bit for bit. Else the first that is not, and why.
    pub(super) fn compare(&self, heard: &[Payload]) -> Result<(), (usize, &'static str)> {
        let mut expected = None;
        for (at, payload) in heard.iter().enumerate() {
            let Some(place) = self.places.get(payload) else { return Err((at, "was changed")) };
            if expected.is_some_and(|expected| expected != *place) {
                return Err((at, "is not the next one"));
            }
            expected = Some((place + 1) % self.packets.len());
        }
        Ok(())
    }
}

/// Sample number `at` of a voice.
pub(super) fn sample(hz: f32, at: u64) -> i16 {
    // Two rounds of a mixer spread neighbouring numbers over the whole range of the noise.
    let mixed = (at ^ u64::from(hz.to_bits()) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let noise = (mixed >> 57) as f32 - 64.0;
    let seconds = (at % 8_000) as f32 / 8_000.0;
    ((std::f32::consts::TAU * hz * seconds).sin() * PEAK + noise) as i16
}

/// Which of the tones sound in the last tenth of a second; `None` where that cannot be told, such as while one begins.
pub(super) fn tones(samples: &[i16]) -> Option<[bool; 5]> {
    let window = &samples[samples.len().checked_sub(WINDOW)?..];
    let strengths = TONES_HZ.map(|hz| tone::amplitude(window, hz) / PEAK);
    let is_clear = strengths.iter().all(|strength| *strength > CLEAR || *strength < FAINT);
    is_clear.then(|| strengths.map(|strength| strength > CLEAR))
}

/// How strong a tone is in the last tenth of a second, 1 being a voice as it is spoken.
pub(super) fn strength(samples: &[i16], hz: f32) -> f32 {
    tone::amplitude(&samples[samples.len().saturating_sub(WINDOW)..], hz) / PEAK
}

/// The sound of packets.
pub(super) fn sound(payloads: &[Payload]) -> Vec<i16> {
    let mut samples = vec![0; payloads.len() * PACKET_BYTES];
    for (payload, out) in payloads.iter().zip(samples.chunks_exact_mut(PACKET_BYTES)) {
        Codec::Pcmu.decode(payload, out);
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_bit_a_lost_packet_and_a_doubled_one_are_found() {
        let script = Script::of_tone(TONES_HZ[0]);
        let said: Vec<Payload> = (40..120).map(|at| *script.packet(at)).collect();
        assert_eq!(script.compare(&said), Ok(()));
        let mut changed = said.clone();
        changed[30][159] ^= 1;
        assert_eq!(script.compare(&changed), Err((30, "was changed")));
        let mut lost = said.clone();
        lost.remove(70);
        assert_eq!(script.compare(&lost), Err((70, "is not the next one")));
        let mut doubled = said;
        doubled.insert(5, doubled[4]);
        assert_eq!(script.compare(&doubled), Err((5, "is not the next one")));
    }

    #[test]
    fn every_packet_of_a_script_is_unlike_any_other() {
        for hz in TONES_HZ {
            let script = Script::of_tone(hz);
            assert_eq!((script.packets.len(), script.places.len()), (50, 50), "{hz} Hz");
        }
    }

    #[test]
    fn an_ear_tells_each_tone_from_the_others() {
        let mixed: Vec<i16> = (0..900).map(|at| sample(TONES_HZ[0], at) + sample(TONES_HZ[2], at + 7)).collect();
        assert_eq!(tones(&mixed), Some([true, false, true, false, false]));
        assert_eq!(tones(&[0; 900]), Some([false; 5]));
        let faint: Vec<i16> = mixed.iter().map(|sample| sample / 8).collect();
        assert_eq!(tones(&faint), None);
        assert_eq!(tones(&mixed[..799]), None, "too short to tell");
    }
}
