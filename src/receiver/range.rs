//! Which bytes of a recording were asked for (RFC 9110 §14). Above: `download`. Pure.

/// The bytes to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them: 200.
    Whole,
    /// From `first` to `last`, both included: 206.
    Part {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// None of those that there are: 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes. What is not understood, another unit and several ranges at once mean
/// the whole file, as RFC 9110 §14.2 allows: so no request makes many answers of one file.
pub(super) fn wanted(range: &str, size: u64) -> Wanted {
    let range = range.trim();
    let unit = range.get(..6).filter(|unit| unit.eq_ignore_ascii_case("bytes="));
    let Some((first, last)) = unit.and_then(|_| range.get(6..)).and_then(|spec| spec.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    let end = size.saturating_sub(1);
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Wanted::Whole,
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => Wanted::Unsatisfiable,
        (Some(first), Some(last)) => Wanted::Part { first, last: last.min(end) },
        (Some(first), None) if last.is_empty() => Wanted::Part { first, last: end },
        (None, Some(0)) if first.is_empty() => Wanted::Unsatisfiable,
        (None, Some(_)) if first.is_empty() && size == 0 => Wanted::Unsatisfiable,
        (None, Some(count)) if first.is_empty() => Wanted::Part { first: size.saturating_sub(count), last: end },
        _ => Wanted::Whole,
    }
}

/// Digits only; a number beyond 64 bits is the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_mean_what_rfc_9110_says() {
        let part = |first, last| Wanted::Part { first, last };
        for (header, meant) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-499", part(0, 499)),
            ("bytes=500-", part(500, 999)),
            ("bytes=-1", part(999, 999)),
            ("bytes=-5000", part(0, 999)),
            ("bytes=990-5000", part(990, 999)),
            ("Bytes=0-1", part(0, 1)),
            ("bytes= 0-1", part(0, 1)),
            ("bytes=999-999", part(999, 999)),
            ("bytes=1000-", Wanted::Unsatisfiable),
            ("bytes=1000-2000", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(wanted(header, 1000), meant, "{header:?}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Unsatisfiable);
        assert_eq!(wanted("bytes=-1", 0), Wanted::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(header in "(bytes=)?[-0-9, a]{0,40}|\\PC{0,20}", size: u64) {
            if let Wanted::Part { first, last } = wanted(&header, size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }
}
