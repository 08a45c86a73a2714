//! Times and durations as people write and read them.
//! Above: the commands. JSON never goes through here.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

use crate::config::parse_duration;

/// Seconds in words that align and sort at a glance: `12s`, `5m03s`, `1h02m`, `3d04h`.
pub(super) fn duration(seconds: f64) -> String {
    let mut text = String::new();
    // Saturates; a negative or absent time is none.
    duration_to(seconds.max(0.0) as u64, &mut text);
    text
}

/// The same after what stands in `text`.
pub(super) fn duration_to(seconds: u64, text: &mut String) {
    let (much, unit, rest, small) = match seconds {
        0..60 => (seconds, "s", 0, ""),
        60..3_600 => (seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => (seconds / 3_600, "h", seconds / 60 % 60, "m"),
        _ => (seconds / 86_400, "d", seconds / 3_600 % 24, "h"),
    };
    match u8::try_from(much) {
        Ok(digit @ 0..10) => text.push(char::from(b'0' + digit)),
        Ok(pair @ 10..100) => push_pair(pair, text),
        // A String takes everything.
        _ => {
            let _ = write!(text, "{much}");
        }
    }
    text.push_str(unit);
    if !small.is_empty() {
        push_pair(u8::try_from(rest).unwrap_or_default(), text);
        text.push_str(small);
    }
}

/// A number below 100 as two digits.
fn push_pair(pair: u8, text: &mut String) {
    text.push(char::from(b'0' + pair / 10));
    text.push(char::from(b'0' + pair % 10));
}

/// A point in time on the local clock: `2026-11-20 21:00:00`.
pub(super) fn local(time: Timestamp) -> String {
    LocalClock::new().print(time)
}

/// The local clock, looked up once for many times.
pub(super) struct LocalClock(TimeZone);

impl LocalClock {
    pub(super) fn new() -> Self {
        Self(TimeZone::system())
    }

    /// `2026-11-20 21:00:00`
    pub(super) fn print(&self, time: Timestamp) -> String {
        let mut text = String::with_capacity(19);
        self.print_to(time, &mut text);
        text
    }

    /// The same after what stands in `text`.
    pub(super) fn print_to(&self, time: Timestamp, text: &mut String) {
        let time = self.0.to_datetime(time);
        let (Ok(year @ 0..), [month, day, hour, minute, second]) = (
            u16::try_from(time.year()),
            [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(i8::unsigned_abs),
        ) else {
            let _ = write!(text, "{}", time.strftime("%Y-%m-%d %H:%M:%S"));
            return;
        };
        let [century, year] = [year / 100, year % 100].map(|pair| u8::try_from(pair).unwrap_or_default());
        for (pair, after) in
            [(century, ""), (year, "-"), (month, "-"), (day, " "), (hour, ":"), (minute, ":"), (second, "")]
        {
            push_pair(pair, text);
            text.push_str(after);
        }
    }
}

/// Reads `1d`, `2h ago` (so long ago), `2026-11-20T21:00:00Z`, or a local date or time, as a point in time.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = parse_duration(text.strip_suffix(" ago").unwrap_or(text)) {
        let ago = SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
        return Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local: civil::DateTime =
        text.parse().map_err(|_| format!("`{text}` is no time (write 2h, 1d, 2026-11-20 or 2026-11-20T21:00:00Z)"))?;
    local.to_zoned(TimeZone::system()).map(|zoned| zoned.timestamp()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let cases =
            [(0.0, "0s"), (12.9, "12s"), (303.0, "5m03s"), (3_725.0, "1h02m"), (273_600.0, "3d04h"), (-1.0, "0s")];
        for (seconds, words) in cases {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn a_time_is_printed_as_its_format_says() {
        for zone in ["UTC", "Europe/Zurich", "America/St_Johns", "Asia/Kathmandu"] {
            let clock = LocalClock(TimeZone::get(zone).unwrap());
            for second in [0, 951_782_400, 1_795_208_400, -62_135_596_800, 253_370_764_800, -80_000_000_000] {
                let time = Timestamp::from_second(second).unwrap();
                let format = time.to_zoned(clock.0.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
                assert_eq!(clock.print(time), format, "{zone}");
            }
        }
    }

    #[test]
    fn a_time_is_a_point_or_so_long_ago() {
        assert_eq!(since("2026-11-20T21:00:00Z").unwrap().as_second(), 1_795_208_400);
        let before = Timestamp::now();
        let hour_ago = since("1h").unwrap();
        let seconds = [before, Timestamp::now()].map(|now| now.duration_since(hour_ago).as_secs_f64());
        assert!(seconds[0] <= 3_600.0 && seconds[1] >= 3_600.0, "{seconds:?}");
        assert!(since("2h ago").unwrap() < since("1h ago").unwrap());
        assert!(since("2026-11-20").is_ok() && since("2026-11-20T21:00").is_ok());
        assert!(since("yesterday").is_err());
    }
}
