//! Decoded sounds that were played lately, so that each is decoded once. Above: `sounds`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes of samples kept at most: over an hour of sound.
const MOST_BYTES: usize = 64 << 20;

/// Where a sound comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    File(PathBuf),
    BuiltIn(String),
}

/// What tells that a file was changed: when and how long.
pub(super) type Stamp = Option<(SystemTime, u64)>;

/// A decoded sound at 8 kHz.
pub(super) type Samples = Arc<[i16]>;

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Origin, Entry>,
    bytes: usize,
    /// Counts uses; the entry with the smallest count was used longest ago.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    stamp: Stamp,
    samples: Samples,
    used: u64,
}

impl Cache {
    /// The sound, when it is kept and its file is still the same.
    pub(super) fn get(&mut self, origin: &Origin, stamp: Stamp) -> Option<Samples> {
        self.clock += 1;
        let entry = self.entries.get_mut(origin).filter(|entry| entry.stamp == stamp)?;
        entry.used = self.clock;
        Some(entry.samples.clone())
    }

    /// Keeps a sound; those used longest ago give way. One that would take more than a quarter of the room is not kept.
    pub(super) fn put(&mut self, origin: Origin, stamp: Stamp, samples: &Samples) {
        self.forget(&origin);
        let bytes = size_of_val(&**samples);
        if bytes > MOST_BYTES / 4 {
            return;
        }
        while self.bytes + bytes > MOST_BYTES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(origin, _)| origin.clone());
            let Some(oldest) = oldest else { break };
            self.forget(&oldest);
        }
        self.clock += 1;
        self.bytes += bytes;
        self.entries.insert(origin, Entry { stamp, samples: samples.clone(), used: self.clock });
    }

    fn forget(&mut self, origin: &Origin) {
        if let Some(entry) = self.entries.remove(origin) {
            self.bytes -= size_of_val(&*entry.samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(number: usize) -> Origin {
        Origin::BuiltIn(number.to_string())
    }

    #[test]
    fn the_sound_used_longest_ago_gives_way() {
        let mut cache = Cache::default();
        let fifth: Samples = vec![0; MOST_BYTES / 10].into();
        for number in 0..5 {
            cache.put(origin(number), None, &fifth);
        }
        assert!(cache.get(&origin(0), None).is_some());
        cache.put(origin(5), None, &fifth);
        assert!(cache.get(&origin(1), None).is_none() && cache.get(&origin(0), None).is_some());
        assert!(cache.bytes <= MOST_BYTES);
    }

    #[test]
    fn a_sound_that_would_fill_it_is_not_kept() {
        let mut cache = Cache::default();
        cache.put(origin(1), None, &vec![1].into());
        cache.put(origin(1), None, &vec![0; MOST_BYTES / 4].into());
        assert!(cache.get(&origin(1), None).is_none());
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn a_changed_file_is_not_what_was_kept() {
        let mut cache = Cache::default();
        let stamp = |length| Some((SystemTime::UNIX_EPOCH, length));
        cache.put(origin(1), stamp(7), &vec![1].into());
        assert!(cache.get(&origin(1), stamp(8)).is_none() && cache.get(&origin(1), stamp(7)).is_some());
    }
}
