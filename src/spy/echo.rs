//! Takes what the loudspeaker plays out of what the microphone hears, so that a party does not hear itself come back: WebRTC's canceller, ported.
//! It learns the room from the first two seconds in which the loudspeaker plays, and until then rather mutes than lets an echo pass.
//! Above: `device::card`. Pure: both streams are on the sound card's clock, and blocks of 10 ms are all the time there is.

use sonora::config::{EchoCanceller, HighPassFilter, TransparentModeType};
use sonora::{AudioProcessing, Config, StreamConfig};

/// Samples a second of both streams.
pub const RATE_HZ: u32 = 48_000;
/// Samples of a block: 10 ms.
const BLOCK: usize = RATE_HZ as usize / 100;

/// One loudspeaker and one microphone.
pub struct Echo {
    canceller: AudioProcessing,
    far: Vec<f32>,
    near: Vec<f32>,
    /// Where the canceller puts a block.
    block: Vec<f32>,
}

impl Default for Echo {
    fn default() -> Self {
        let config = Config {
            // Of its two ways to notice that there is no echo, as with a headset, the quicker one.
            echo_canceller: Some(EchoCanceller { transparent_mode: TransparentModeType::Hmm, ..Default::default() }),
            high_pass_filter: Some(HighPassFilter::default()),
            ..Config::default()
        };
        let stream = StreamConfig::new(RATE_HZ, 1);
        let canceller = AudioProcessing::builder().config(config).capture_config(stream).render_config(stream).build();
        Self { canceller, far: Vec::new(), near: Vec::new(), block: vec![0.0; BLOCK] }
    }
}

impl Echo {
    /// What the loudspeaker is about to play, −1 to 1.
    pub fn far(&mut self, samples: impl IntoIterator<Item = f32>) {
        self.far.extend(samples);
        let (blocks, _) = self.far.as_chunks::<BLOCK>();
        for block in blocks {
            // Only a block of another length is refused, and this one has the right one.
            let _ = self.canceller.process_render_f32(&[block], &mut [&mut self.block]);
        }
        let used = blocks.len() * BLOCK;
        self.far.drain(..used);
    }

    /// What the microphone heard, −1 to 1; appends to `out` what of it is the supervisor's own.
    pub fn near(&mut self, samples: impl IntoIterator<Item = f32>, out: &mut Vec<f32>) {
        self.near.extend(samples);
        let (blocks, _) = self.near.as_chunks::<BLOCK>();
        for block in blocks {
            match self.canceller.process_capture_f32(&[block], &mut [&mut self.block]) {
                Ok(()) => out.extend(&self.block),
                // Rather silence than an echo.
                Err(_) => out.extend(std::iter::repeat_n(0.0, BLOCK)),
            }
        }
        let used = blocks.len() * BLOCK;
        self.near.drain(..used);
    }

    /// The microphone was closed: pieces of blocks from before are not said later.
    pub fn forget(&mut self) {
        self.near.clear();
        self.far.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something like speech: noise below 3 kHz that comes and goes in syllables, never louder than `loudest`.
    fn speech(seed: u32, seconds: usize, loudest: f32) -> Vec<f32> {
        let mut state = seed;
        let mut low = [0.0f32; 2];
        (0..seconds * RATE_HZ as usize)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f32::from((state >> 16) as u16 as i16) / 32_768.0;
                low[0] += 0.3 * (noise - low[0]);
                low[1] += 0.3 * (low[0] - low[1]);
                let syllable = (at as f32 / 9_000.0 + seed as f32).sin().max(0.0) * (at as f32 / 31_000.0).cos().abs();
                2.0 * loudest * low[1] * syllable
            })
            .collect()
    }

    fn level_db(samples: &[f32]) -> f32 {
        let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32;
        10.0 * power.max(1e-12).log10()
    }

    /// The loudspeaker's sound in the microphone: later by 70 ms, with a second way through the room, half as loud.
    fn echo_of(far: &[f32]) -> Vec<f32> {
        let at = |at: usize, later: usize| at.checked_sub(later).and_then(|at| far.get(at)).copied().unwrap_or(0.0);
        (0..far.len()).map(|now| 0.5 * at(now, 3_360) + 0.2 * at(now, 4_100)).collect()
    }

    /// What is left of the microphone's sound; pieces are 20 ms, as a sound card brings them.
    fn cleaned(far: &[f32], microphone: &[f32]) -> Vec<f32> {
        let mut echo = Echo::default();
        let mut out = Vec::new();
        for (far, near) in far.chunks(960).zip(microphone.chunks(960)) {
            echo.far(far.iter().copied());
            echo.near(near.iter().copied(), &mut out);
        }
        out
    }

    const SECOND: usize = RATE_HZ as usize;

    #[test]
    fn an_echo_is_at_least_twenty_decibels_weaker() {
        let far = speech(1, 10, 0.4);
        let microphone = echo_of(&far);
        let out = cleaned(&far, &microphone);
        let weaker_db = level_db(&microphone[4 * SECOND..]) - level_db(&out[4 * SECOND..]);
        assert!(weaker_db >= 20.0, "only {weaker_db} dB");
    }

    #[test]
    fn the_supervisors_own_voice_passes_beside_and_without_an_echo() {
        let (far, own) = (speech(1, 10, 0.4), speech(77, 10, 0.4));
        let alone = cleaned(&vec![0.0; far.len()], &own);
        let lost_db = level_db(&own[4 * SECOND..]) - level_db(&alone[4 * SECOND..]);
        assert!(lost_db.abs() < 3.0, "{lost_db} dB are lost when nobody else speaks");
        let both: Vec<f32> = echo_of(&far).iter().zip(&own).map(|(echo, own)| echo + own).collect();
        let beside = cleaned(&far, &both);
        let lost_db = level_db(&own[4 * SECOND..]) - level_db(&beside[4 * SECOND..]);
        assert!(lost_db < 6.0, "{lost_db} dB are lost when both speak");
        let headset = cleaned(&far, &own);
        let lost_db = level_db(&own[5 * SECOND..]) - level_db(&headset[5 * SECOND..]);
        assert!(lost_db < 3.0, "{lost_db} dB are lost when both speak and no echo is there");
    }

    #[test]
    fn pieces_of_any_size_come_out_in_blocks_and_none_is_lost() {
        let mut echo = Echo::default();
        let mut out = Vec::new();
        for piece in [1, 479, 480, 1_000, 7] {
            echo.near(vec![0.0; piece], &mut out);
        }
        assert_eq!(out.len(), 1_920);
        echo.forget();
        echo.near(vec![0.0; 479], &mut out);
        assert_eq!(out.len(), 1_920, "the piece from before is forgotten");
    }
}
