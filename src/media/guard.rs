//! Keeps the tones of keys out of what a supervisor says: found as packets come, made silence before they are played.
//! Above: `phone`. Below: `ear` (whose jitter buffer is the look-ahead), `audio/keytone`.

use super::board::MAX_DATAGRAM;
use super::clock::Moment;
use super::ear::Ear;
use crate::audio::keytone::{Detector, FOUND_WITHIN, Pressed};
use crate::rtp::packet::Header;
use crate::rtp::sequence;
use crate::rtp::telephone_event::Press;

/// How much later than it could be a phone's voice is played, in samples: so a tone is found before its first one is. 18 ms.
pub(super) const LOOK_AHEAD: i64 = 144;
const _: () = assert!(LOOK_AHEAD as usize >= FOUND_WITHIN);
/// Samples that are silenced before the place where a tone was found, and after it: 20 ms.
const AROUND: i64 = 160;
/// Samples in which the voice falls before the silence and rises after it: 4 ms.
const FADE: i64 = 32;
/// A key whose packets stop for this long was let go, in ms.
const GONE_MS: u128 = 60;

/// What it knows of a phone's stream. Times are unwrapped time stamps.
#[derive(Debug, Default)]
pub(super) struct Guard {
    detector: Detector,
    ssrc: Option<u32>,
    /// The time stamp after the newest packet.
    end: i64,
    /// What is silence: from, until.
    hushed: Option<(i64, i64)>,
    heard_at: Moment,
    /// The peer presses its keys by telephone-events: its tones, if it sends any, are no second press.
    has_events: bool,
}

impl Guard {
    /// Takes the samples of a packet into `ear`, without keys. Gives back a key that was let go.
    pub(super) fn take(&mut self, ear: &mut Ear, header: &Header, samples: &[i16], now: Moment) -> Option<Press> {
        let start = self.find_place(header);
        let samples = &samples[..samples.len().min(MAX_DATAGRAM)];
        let pressed = if start < self.end { None } else { self.look(ear, start, samples) };
        self.heard_at = now;
        let mut quiet = [0; MAX_DATAGRAM];
        let quiet = &mut quiet[..samples.len()];
        for ((at, out), &sample) in (start..).zip(quiet.iter_mut()).zip(samples) {
            *out = self.faded(at, sample);
        }
        ear.take(header, quiet, now);
        self.tell(pressed)
    }

    /// Looks whether a key was let go with the last packet.
    pub(super) fn watch(&mut self, now: Moment) -> Option<Press> {
        if !self.detector.is_down() || now.since(self.heard_at).as_millis() <= GONE_MS {
            return None;
        }
        let pressed = self.detector.end();
        self.tell(pressed)
    }

    /// The peer pressed a key by a telephone-event.
    pub(super) fn note_event(&mut self) {
        self.has_events = true;
    }

    /// How much later its voice is played, in samples.
    pub(super) fn look_ahead(&self) -> i64 {
        if self.has_events { 0 } else { LOOK_AHEAD }
    }

    /// The unwrapped time stamp of a packet; another source, or a jump of more than a second, begins anew.
    fn find_place(&mut self, header: &Header) -> i64 {
        let start = sequence::unwrap_timestamp(self.end, header.timestamp);
        if self.ssrc == Some(header.ssrc) && (start - self.end).abs() < 8_000 {
            return start;
        }
        self.ssrc = Some(header.ssrc);
        self.hushed = None;
        self.detector.interrupt();
        self.end = i64::from(header.timestamp);
        self.end
    }

    /// Looks for keys in the samples at `start`, and silences what is buffered of them.
    fn look(&mut self, ear: &mut Ear, start: i64, samples: &[i16]) -> Option<Pressed> {
        if start > self.end {
            self.detector.interrupt();
        }
        self.end = start + samples.len() as i64;
        let (mut hushed, mut changed_from) = (self.hushed, None);
        let pressed = self.detector.take(samples, |at| {
            let found = start + at as i64;
            let (from, until) = (found - AROUND, found + AROUND);
            hushed = match hushed {
                // What rose after the end that was known is silence as well.
                Some((begun, known)) if from <= known || start < known => {
                    changed_from.get_or_insert(known);
                    Some((begun, until))
                }
                _ => {
                    changed_from = Some(from);
                    Some((from, until))
                }
            };
        });
        self.hushed = hushed;
        if let (Some(from), Some((_, until))) = (changed_from, hushed) {
            ear.edit(from - FADE, until.min(start), |at, sample| self.faded(at, sample));
        }
        pressed
    }

    /// A sample as loud as it may be at its place.
    fn faded(&self, at: i64, sample: i16) -> i16 {
        let Some((from, until)) = self.hushed else { return sample };
        let distance = (from - at).max(at - until + 1).max(0);
        if distance >= FADE {
            return sample;
        }
        (i64::from(sample) * distance / FADE) as i16 // smaller than before
    }

    fn tell(&self, pressed: Option<Pressed>) -> Option<Press> {
        pressed.filter(|_| !self.has_events).map(|Pressed { key, ms }| Press { key, ms })
    }
}
