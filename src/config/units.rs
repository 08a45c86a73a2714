//! Values with units as people write them: durations `60s`, `5m`, `500ms` and sizes `64M`.

use std::time::Duration;

/// Reads `500ms`, `60s`, `5m`, `8h`, `7d` or plain `0`; a fraction is allowed (`1.5s`).
///
/// # Errors
/// A sentence that says what is wrong, for a text without unit, with an unknown one, negative, or beyond 100 years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "" if number == "0" => 1.0,
        _ => return Err(format!("`{text}` is no duration (write 500ms, 60s, 5m, 8h or 7d)")),
    };
    let number: f64 =
        number.parse().map_err(|_| format!("`{text}` is no duration (write 500ms, 60s, 5m, 8h or 7d)"))?;
    let century = 100.0 * 366.0 * 86_400.0;
    match Duration::try_from_secs_f64(number * seconds_per_unit) {
        Ok(duration) if duration.as_secs_f64() <= century => Ok(duration),
        _ => Err(format!("`{text}` is longer than anything waits")),
    }
}

/// Writes a duration so that [`parse_duration`] reads it back: the largest unit that divides it, milliseconds at the finest.
pub fn print_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .iter()
        .find(|(size, _)| ms >= *size && ms.is_multiple_of(*size))
    {
        // "60s" is how people write a minute of time-out
        Some((60_000, _)) if ms == 60_000 => "60s".to_owned(),
        Some((size, unit)) => format!("{}{unit}", ms / size),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

/// Reads `512`, `64K`, `64M`, `2G` or `1T` as bytes (powers of 1024).
///
/// # Errors
/// A sentence that says what is wrong, for another unit or a number beyond 64 bits.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size (write 512, 64K, 64M or 2G)");
    let (number, unit) = split_unit(text);
    let shift = match unit {
        "" | "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Writes a size so that [`parse_size`] reads it back: the largest unit that divides it.
pub fn print_size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    let fits = |(shift, _): &&(u32, &str)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift);
    units.iter().find(fits).map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, ms) in [
            ("500ms", 500),
            ("60s", 60_000),
            ("5m", 300_000),
            ("1.5s", 1_500),
            ("2h", 7_200_000),
            ("0", 0),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["60", "s", "-1s", "1 s", "1w", "", "1e9s", "99999999999999d", "1..2s", "٣s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_printed_duration_reads_back() {
        for ms in [0, 1, 500, 1_000, 1_500, 60_000, 300_000, 3_600_000, 90_000, 86_400_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
        }
        assert_eq!(print_duration(Duration::from_secs(60)), "60s");
        assert_eq!(print_duration(Duration::from_secs(300)), "5m");
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("512"), Ok(512));
        for bytes in [0, 512, 1 << 10, 3 << 20, 2 << 30, (2 << 30) + 1] {
            assert_eq!(parse_size(&print_size(bytes)), Ok(bytes));
        }
        for text in ["", "M", "64X", "1.5G", "99999999999T", "-1"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
