//! Unguessable branches, tags and Call-IDs (RFC 3261 §19.3): SHA-256 of a key and a counter.

use sha2::{Digest, Sha256};

/// A stream of random numbers that depends on nothing but its key.
pub(crate) struct Random {
    key: [u8; 32],
    counter: u64,
    ready: Vec<u64>,
}

impl Random {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key, counter: 0, ready: Vec::with_capacity(4) }
    }

    pub(crate) fn next(&mut self) -> u64 {
        if let Some(number) = self.ready.pop() {
            return number;
        }
        self.counter += 1;
        let block = Sha256::new().chain_update(self.key).chain_update(self.counter.to_be_bytes()).finalize();
        for bytes in block.chunks_exact(8) {
            self.ready.push(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        }
        self.ready.pop().unwrap_or_default()
    }

    /// A number below `end`; `end` is far below 2⁶⁴, so that the skew does not matter.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// 64 random bits as a tag.
    pub(crate) fn tag(&mut self) -> String {
        format!("{:016x}", self.next())
    }

    /// 128 random bits as a Call-ID.
    pub(crate) fn call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_stream_and_another_key_another() {
        let stream = |key| {
            let mut random = Random::new([key; 32]);
            (0..9).map(|_| random.next()).collect::<Vec<_>>()
        };
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
        let mut numbers = stream(1);
        numbers.dedup();
        assert_eq!(numbers.len(), 9);
    }
}
