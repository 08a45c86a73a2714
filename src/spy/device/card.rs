//! A sound card between two clocks: the call's beat on one side, the card's own thread on the other, a queue for each direction in between.
//! Above: `session`, through [`Device`]. Below: `pulse` calls [`Sides`] from its thread and opens the microphone when asked. Knows no sound server.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::{Device, Microphone};
use crate::control::supervision::VoiceFrame;
use crate::spy::drift::Drift;
use crate::spy::echo::{self, Echo};
use crate::spy::resample::{RateError, Resampler};
use crate::spy::sound::{Heard, RATE_HZ, clamp};
use crate::spy::voice::VoiceQueue;

/// Samples a second at the card; mono, 16 bit.
pub(super) const CARD_HZ: u32 = echo::RATE_HZ;
/// Samples of a millisecond at the card.
const PER_MS: usize = CARD_HZ as usize / 1_000;
/// Queue at the start, measured when a frame is handed over: ms.
const AIM_MS: f64 = 30.0;
/// After so much silence what comes is a new beginning, not a late frame: samples at the card.
const PAUSE: usize = CARD_HZ as usize;
/// The most of the microphone that waits for the session: 400 ms.
const MOST_CAPTURED: usize = 400 * PER_MS;
/// What the card still held when a key was pressed, and was therefore said before it: 40 ms.
const IN_THE_CARD: usize = 40 * PER_MS;
/// Frames without a sign of the card after which it is gone: 3 s.
const PATIENCE_FRAMES: u64 = 150;

/// Whether the loudspeaker is taken out of the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoWish {
    /// It is: for loudspeakers near the microphone.
    Cancel,
    /// It is not: for headsets.
    Keep,
}

/// What the card's thread and the session share.
pub(super) struct Sides {
    speaker: Mutex<Speaker>,
    captured: Mutex<VecDeque<f32>>,
    echo: Option<Mutex<Echo>>,
    microphone_open: AtomicBool,
    /// Times the card has asked for sound.
    asked: AtomicU64,
    /// Times the microphone has brought some.
    brought: AtomicU64,
    /// What is to be told to the user.
    troubles: Mutex<VecDeque<String>>,
}

#[derive(Default)]
struct Speaker {
    samples: VecDeque<i16>,
    /// Samples to gather before sound starts.
    start_at: usize,
    playing: bool,
    /// It has run dry: samples of silence since then, until the session has seen it.
    dry_for: Option<usize>,
}

impl Sides {
    pub(super) fn new(echo: EchoWish) -> Arc<Self> {
        let speaker = Speaker { start_at: AIM_MS as usize * PER_MS, ..Speaker::default() };
        Arc::new(Self {
            speaker: Mutex::new(speaker),
            captured: Mutex::default(),
            echo: (echo == EchoWish::Cancel).then(|| Mutex::new(Echo::default())),
            microphone_open: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            brought: AtomicU64::new(0),
            troubles: Mutex::default(),
        })
    }

    /// The card wants so many bytes of sound; it always gets them, silence where there is none.
    pub(super) fn fill(&self, bytes: &mut [u8]) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (places, _) = bytes.as_chunks_mut::<2>();
        let mut speaker = locked(&self.speaker);
        speaker.playing |= !speaker.samples.is_empty() && speaker.samples.len() >= speaker.start_at;
        let give = if speaker.playing { places.len().min(speaker.samples.len()) } else { 0 };
        let mut given = speaker.samples.drain(..give);
        for place in places.iter_mut() {
            *place = given.next().unwrap_or(0).to_le_bytes();
        }
        drop(given);
        let silent = places.len() - give;
        if silent > 0 && (speaker.playing || speaker.dry_for.is_some()) {
            speaker.playing = false;
            speaker.dry_for = Some(speaker.dry_for.unwrap_or(0) + silent);
        }
        drop(speaker);
        if let Some(echo) = self.echo.as_ref().filter(|_| self.microphone_open.load(Ordering::Relaxed)) {
            locked(echo).far(places.iter().map(|&place| f32::from(i16::from_le_bytes(place)) / 32_768.0));
        }
    }

    /// The card brings what its microphone heard.
    pub(super) fn hear(&self, bytes: &[u8]) {
        if !self.microphone_open.load(Ordering::Relaxed) {
            return;
        }
        self.brought.fetch_add(1, Ordering::Relaxed);
        let (samples, _) = bytes.as_chunks::<2>();
        let samples = samples.iter().map(|&sample| f32::from(i16::from_le_bytes(sample)) / 32_768.0);
        let mut own = Vec::with_capacity(bytes.len() / 2);
        match &self.echo {
            Some(echo) => locked(echo).near(samples, &mut own),
            None => own.extend(samples),
        }
        let mut captured = locked(&self.captured);
        captured.extend(own);
        let too_many = captured.len().saturating_sub(MOST_CAPTURED);
        captured.drain(..too_many);
    }

    /// Something is wrong with the card; the session goes on.
    pub(super) fn tell(&self, trouble: impl Into<String>) {
        locked(&self.troubles).push_back(trouble.into());
    }

    fn forget(&self) {
        locked(&self.captured).clear();
        if let Some(echo) = &self.echo {
            locked(echo).forget();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here is left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session's end of a card.
pub(super) struct Card {
    sides: Arc<Sides>,
    /// Opens and closes the microphone; the card is let go of when this is dropped.
    orders: mpsc::UnboundedSender<Microphone>,
    to_card: Resampler,
    play_drift: Drift,
    from_card: Resampler,
    voice_drift: Drift,
    voice: VoiceQueue,
    /// Samples at the card that are still of before.
    stale: usize,
    made: Vec<f32>,
    speaker_watch: Watch,
    microphone_watch: Watch,
}

/// Notices when something that should go on has stopped.
#[derive(Default)]
struct Watch {
    before: u64,
    idle_frames: u64,
}

impl Watch {
    /// Takes a count that should have grown; true once, when it has not for [`PATIENCE_FRAMES`].
    fn has_stopped(&mut self, count: u64) -> bool {
        self.idle_frames = if count == self.before { self.idle_frames + 1 } else { 0 };
        self.before = count;
        self.idle_frames == PATIENCE_FRAMES
    }
}

impl Card {
    pub(super) fn new(sides: Arc<Sides>, orders: mpsc::UnboundedSender<Microphone>) -> Result<Self, RateError> {
        Ok(Self {
            sides,
            orders,
            to_card: Resampler::steered(RATE_HZ, CARD_HZ)?,
            play_drift: Drift::new(AIM_MS),
            from_card: Resampler::steered(CARD_HZ, RATE_HZ)?,
            voice_drift: Drift::new(AIM_MS),
            voice: VoiceQueue::default(),
            stale: 0,
            made: Vec::new(),
            speaker_watch: Watch::default(),
            microphone_watch: Watch::default(),
        })
    }
}

impl Device for Card {
    fn play(&mut self, heard: &Heard) {
        if self.speaker_watch.has_stopped(self.sides.asked.load(Ordering::Relaxed)) {
            self.sides.tell("the sound card takes no more sound; the session goes on without");
        }
        let mut speaker = locked(&self.sides.speaker);
        if let Some(dry_for) = speaker.dry_for.take() {
            if dry_for < PAUSE {
                self.play_drift.stuttered();
            } else {
                self.play_drift.restart();
            }
            speaker.start_at = self.play_drift.aim_ms() as usize * PER_MS;
        }
        let length_ms = speaker.samples.len() as f64 / PER_MS as f64;
        if length_ms > self.play_drift.too_long_ms() {
            let keep = self.play_drift.aim_ms() as usize * PER_MS;
            let cut = speaker.samples.len() - keep;
            speaker.samples.drain(..cut);
            self.play_drift.restart();
        } else if speaker.playing {
            self.to_card.steer(self.play_drift.factor(length_ms));
        }
        self.made.clear();
        self.to_card.process(heard.mixed(), &mut self.made);
        speaker.samples.extend(self.made.iter().map(|&sample| clamp(sample)));
    }

    fn voice(&mut self) -> Option<VoiceFrame> {
        if self.microphone_watch.has_stopped(self.sides.brought.load(Ordering::Relaxed)) {
            self.sides.tell("nothing comes from the microphone: you are not heard");
        }
        let mut captured = locked(&self.sides.captured);
        let stale = self.stale.min(captured.len());
        captured.drain(..stale);
        self.stale -= stale;
        self.made.clear();
        self.from_card.process(captured.drain(..).map(|sample| sample * 32_768.0), &mut self.made);
        drop(captured);
        let samples: Vec<i16> = self.made.iter().map(|&sample| clamp(sample)).collect();
        self.voice.push(&samples);
        let was_speaking = self.voice.is_speaking();
        let length_ms = self.voice.waiting_ms();
        if length_ms > self.voice_drift.too_long_ms() {
            self.voice.keep_ms(self.voice_drift.aim_ms());
            self.voice_drift.restart();
        } else if was_speaking {
            self.from_card.steer(self.voice_drift.factor(length_ms));
        }
        let frame = self.voice.take();
        if was_speaking && frame.is_none() {
            self.voice_drift.stuttered();
        }
        frame
    }

    fn microphone(&mut self, wanted: Microphone) {
        self.sides.microphone_open.store(wanted == Microphone::Open, Ordering::Relaxed);
        // Without the card's task there is no card, and that is told elsewhere.
        let _ = self.orders.send(wanted);
        self.forget();
        self.stale = 0;
    }

    fn forget(&mut self) {
        self.sides.forget();
        self.voice.clear();
        self.voice_drift.restart();
        self.stale = IN_THE_CARD;
    }

    fn trouble(&mut self) -> Option<String> {
        locked(&self.sides.troubles).pop_front()
    }

    fn finish(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spy::sound::Volume;
    use crate::spy::tone::{level, sine};

    fn card(echo: EchoWish) -> (Arc<Sides>, Card, mpsc::UnboundedReceiver<Microphone>) {
        let sides = Sides::new(echo);
        let (orders, ordered) = mpsc::unbounded_channel();
        (Arc::clone(&sides), Card::new(sides, orders).expect("rates"), ordered)
    }

    fn frame(tone: &[i16], at: usize) -> Heard {
        let mut samples = [0; 480];
        samples[..160].copy_from_slice(&tone[at * 160..][..160]);
        Heard::new(&samples, Volume::default())
    }

    fn played(sides: &Sides, milliseconds: usize) -> Vec<i16> {
        let mut bytes = vec![0xFF; milliseconds * PER_MS * 2];
        sides.fill(&mut bytes);
        bytes.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect()
    }

    fn bytes(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    #[test]
    fn the_card_gets_the_calls_sound_without_a_gap_although_its_clock_differs() {
        let tone = sine(400.0, 8_000, 20 * 8_000);
        let (sides, mut card, _orders) = card(EchoWish::Keep);
        let mut out = Vec::new();
        // The card takes 20 ms every 19.99 ms: half a thousandth too fast.
        let mut taken = 0;
        for beat in 0..1_000 {
            card.play(&frame(&tone, beat));
            while taken as f64 * 19.99 <= (beat * 20 + 10) as f64 {
                out.extend(played(&sides, 20));
                taken += 1;
            }
        }
        let from = out.iter().position(|&sample| sample != 0).expect("sound");
        assert!(from < 100 * PER_MS, "it starts after {} ms", from / PER_MS);
        // A piece of silence, or one lost, would leave a step in a sine: 10000 · 2π · 400 / 48000 is the steepest it goes.
        let steepest = out[from + 480..].windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().expect("sound");
        assert!(steepest < 560, "{steepest}");
        assert!(level(&out[out.len() - 48_000..], 400.0, CARD_HZ) > 9_000.0);
    }

    #[test]
    fn sound_that_piled_up_is_cut_and_does_not_stay_as_delay() {
        let tone = sine(400.0, 8_000, 8_000);
        let (sides, mut card, _orders) = card(EchoWish::Keep);
        for beat in 0..50 {
            card.play(&frame(&tone, beat));
        }
        assert!(locked(&sides.speaker).samples.len() <= 175 * PER_MS);
    }

    #[test]
    fn nothing_to_play_is_silence_of_full_length() {
        let (sides, _card, _orders) = card(EchoWish::Keep);
        assert_eq!(played(&sides, 20), vec![0; 960]);
    }

    /// What is said in a beat each 20 ms while the card brings that tone.
    fn said(sides: &Sides, card: &mut Card, tone: &[i16]) -> Vec<i16> {
        tone.chunks(960)
            .flat_map(|piece| {
                sides.hear(&bytes(piece));
                card.voice().unwrap_or([0; 160])
            })
            .collect()
    }

    #[test]
    fn the_microphone_is_opened_on_demand_and_heard_only_then() {
        let (sides, mut card, mut orders) = card(EchoWish::Keep);
        let tone = sine(600.0, CARD_HZ, 48_000);
        assert!(said(&sides, &mut card, &tone).iter().all(|&sample| sample == 0));
        assert!(orders.try_recv().is_err(), "nobody has asked for it");
        card.microphone(Microphone::Open);
        assert_eq!(orders.try_recv(), Ok(Microphone::Open));
        assert!(level(&said(&sides, &mut card, &tone)[1_600..], 600.0, RATE_HZ) > 9_000.0);
        card.microphone(Microphone::Closed);
        assert_eq!(orders.try_recv(), Ok(Microphone::Closed));
        assert!(said(&sides, &mut card, &tone).iter().all(|&sample| sample == 0));
    }

    #[test]
    fn what_was_said_before_a_key_is_not_said_after_it() {
        let (sides, mut card, _orders) = card(EchoWish::Keep);
        card.microphone(Microphone::Open);
        let old = sine(600.0, CARD_HZ, 9_600);
        said(&sides, &mut card, &old);
        sides.hear(&bytes(&old));
        card.forget();
        // The card itself still held 40 ms.
        sides.hear(&bytes(&old[..IN_THE_CARD]));
        let after = said(&sides, &mut card, &sine(1_500.0, CARD_HZ, 48_000));
        assert!(level(&after[1_600..], 1_500.0, RATE_HZ) > 9_000.0);
        assert!(level(&after, 600.0, RATE_HZ) < 100.0);
    }

    #[test]
    fn a_card_that_stops_is_told_once() {
        let (sides, mut card, _orders) = card(EchoWish::Keep);
        let silence = Heard::new(&[0; 480], Volume::default());
        played(&sides, 20);
        for _ in 0..PATIENCE_FRAMES {
            card.play(&silence);
            assert_eq!(card.trouble(), None);
        }
        card.play(&silence);
        assert!(card.trouble().is_some_and(|text| text.contains("takes no more sound")));
        card.play(&silence);
        assert_eq!(card.trouble(), None);
    }
}
