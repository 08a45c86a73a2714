//! Whether a port's peer makes a sound or is silent, told whenever that changes. Above: `port`.

use std::time::Duration;

use super::clock::Moment;

/// Mean size of a sample below which a packet counts as silent (Asterisk's usual silence threshold).
const THRESHOLD: u64 = 256;

/// A peer whose packets stop for this long is silent.
const GONE_AFTER: Duration = Duration::from_millis(100);

/// What was heard last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Loudness {
    /// No sound, or no packet.
    #[default]
    Quiet,
    Loud,
}

impl Loudness {
    /// Takes the samples of a packet; the new loudness when it changed.
    pub(super) fn hear(&mut self, samples: &[i16]) -> Option<Self> {
        let sum: u64 = samples.iter().map(|sample| u64::from(sample.unsigned_abs())).sum();
        let is_loud = sum >= THRESHOLD * samples.len().max(1) as u64;
        self.change(if is_loud { Self::Loud } else { Self::Quiet })
    }

    /// Looks whether packets still come; the new loudness when it changed.
    pub(super) fn watch(&mut self, now: Moment, heard_at: Moment) -> Option<Self> {
        if now.since(heard_at) > GONE_AFTER { self.change(Self::Quiet) } else { None }
    }

    fn change(&mut self, next: Self) -> Option<Self> {
        (std::mem::replace(self, next) != next).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_told() {
        let mut loudness = Loudness::default();
        assert_eq!(loudness.hear(&[10; 160]), None);
        assert_eq!(loudness.hear(&[-400; 160]), Some(Loudness::Loud));
        assert_eq!(loudness.hear(&[i16::MIN; 160]), None);
        assert_eq!(loudness.hear(&[]), Some(Loudness::Quiet));
    }

    #[test]
    fn a_peer_that_sends_nothing_is_silent() {
        let mut loudness = Loudness::Loud;
        let heard_at = Moment::default();
        assert_eq!(loudness.watch(heard_at, heard_at), None);
        let later = Moment::default().after(Duration::from_millis(200));
        assert_eq!(loudness.watch(later, heard_at), Some(Loudness::Quiet));
    }
}
