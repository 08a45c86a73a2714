//! The sixteen keys: their events (RFC 4733 §3.2) and their pairs of tones (ITU-T Q.23).

/// Keys in the order of their event codes.
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// Low tone of each row of the keypad, in Hz.
pub(super) const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// High tone of each column of the keypad, in Hz.
pub(super) const COLUMNS_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keypad, row by row.
pub(super) const PAD: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The event code of a key; letters in either case.
pub fn event_of(key: char) -> Option<u8> {
    let key = key.to_ascii_uppercase();
    KEYS.iter().position(|&known| known == key).and_then(|at| u8::try_from(at).ok())
}

/// The key of an event code; codes above 15 are no keys.
pub fn key_of(event: u8) -> Option<char> {
    KEYS.get(usize::from(event)).copied()
}

/// The two tones of a key, in Hz: low, high.
pub fn tones_of(key: char) -> Option<[f32; 2]> {
    let key = key.to_ascii_uppercase();
    for (row, keys) in PAD.iter().enumerate() {
        if let Some(column) = keys.iter().position(|&known| known == key) {
            return Some([ROWS_HZ[row], COLUMNS_HZ[column]]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_event_and_its_pair() {
        for event in 0..16 {
            let key = key_of(event).expect("a key");
            assert_eq!(event_of(key), Some(event));
            assert!(tones_of(key).is_some(), "{key}");
        }
        assert_eq!((key_of(11), event_of('d'), key_of(16), event_of('x')), (Some('#'), Some(15), None, None));
        assert_eq!((tones_of('1'), tones_of('#')), (Some([697.0, 1209.0]), Some([941.0, 1477.0])));
    }
}
