//! Numbers that wrap: sequence numbers of 16 bits and time stamps of 32 (RFC 3550 §5.1, RFC 1982).

/// How far `to` lies after `from`; negative when it lies before.
pub fn distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}

/// Whether `sequence` comes after `other`, across the wrap.
pub fn is_after(sequence: u16, other: u16) -> bool {
    distance(other, sequence) > 0
}

/// How many units of the clock `to` lies after `from`; negative when it lies before.
pub fn elapsed(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// The 64-bit count whose low bits are `timestamp` and which is nearest to `reference`.
pub fn unwrap_timestamp(reference: i64, timestamp: u32) -> i64 {
    let low = reference as u32; // the low 32 bits, on purpose
    reference + i64::from(elapsed(low, timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_across_the_wrap() {
        assert_eq!(distance(0xfffe, 1), 3);
        assert_eq!(distance(1, 0xfffe), -3);
        assert!(is_after(0, 0xffff) && !is_after(5, 5) && !is_after(4, 5));
        assert_eq!(elapsed(u32::MAX - 79, 80), 160);
    }

    #[test]
    fn a_time_stamp_unwraps_to_the_nearest_count() {
        let turn = 1i64 << 32;
        assert_eq!(unwrap_timestamp(turn - 10, 5), turn + 5);
        assert_eq!(unwrap_timestamp(turn + 10, u32::MAX - 4), turn - 5);
        assert_eq!(unwrap_timestamp(7 * turn + 100, 40), 7 * turn + 40);
        assert_eq!(unwrap_timestamp(0, u32::MAX), -1);
    }
}
