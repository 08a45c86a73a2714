//! A password or key that does not print and wipes itself. Below every room that compares or answers with one.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text: no `Display`, a `Debug` that hides it, wiped from memory when dropped, compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over `text`; copies of it made before are the caller's to wipe.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    /// Takes the time of the longer text, wherever the first difference is.
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), other.0.as_bytes());
        let mut difference = ours.len() ^ theirs.len();
        for index in 0..ours.len().max(theirs.len()) {
            let a = ours.get(index).copied().unwrap_or_default();
            let b = theirs.get(index).copied().unwrap_or_default();
            difference |= usize::from(std::hint::black_box(a ^ b));
        }
        std::hint::black_box(difference) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn debug_never_shows_the_text() {
        assert_eq!(format!("{:?}", secret("hunter2")), "Secret(…)");
    }

    #[test]
    fn equality_is_of_the_whole_text() {
        assert_eq!(secret("abc"), secret("abc"));
        for other in ["", "ab", "abd", "abcd", "abc\0"] {
            assert_ne!(secret("abc"), secret(other), "{other:?}");
        }
    }
}
