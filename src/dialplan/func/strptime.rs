//! `STRPTIME(text,zone,format)`: the seconds since 1970 of a moment written as text. As C's strptime reads it.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::{Func, FuncError, scan, slots, zone};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Characters of a format that are looked at.
const MAX_FORMAT_BYTES: usize = 4096;

pub(super) struct Strptime;

impl Func for Strptime {
    fn name(&self) -> &'static str {
        "STRPTIME"
    }

    fn syntax(&self) -> &'static str {
        "text,zone,format"
    }

    fn synopsis(&self) -> &'static str {
        "The seconds since 1970 of a moment written in strptime's format, in a time zone."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["text", "zone", "format"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [text, zone, format] = slots::fixed(&args).map(|piece| piece.value(scope));
        if format.is_empty() {
            return Err(FuncError::Missing("format"));
        }
        let zone = zone::named(&zone, self.name(), scope);
        let mut found = Found::default();
        let end = format.len().min(MAX_FORMAT_BYTES);
        let read = format.get(..end).and_then(|format| found.read(&text, format));
        let moment = read.and_then(|_| found.moment(&zone));
        moment.map(|moment| moment.to_string()).ok_or(FuncError::Argument(text))
    }
}

/// What was read so far; what never is stays at C's zero, which is the last day of 1899.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    century: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    /// The hour is one of twelve.
    half_day: bool,
    afternoon: bool,
    epoch: Option<i64>,
}

impl Found {
    /// Reads `text` as `format` says; what is left of it. `None` when it is something else.
    fn read<'t>(&mut self, mut text: &'t str, format: &str) -> Option<&'t str> {
        let mut format = format.chars();
        while let Some(c) = format.next() {
            if scan::is_space(c) {
                text = text.trim_start_matches(scan::is_space);
            } else if c == '%' {
                let letter = format.find(|c| !"_-0^#EO".contains(*c))?;
                text = self.conversion(text, letter)?;
            } else {
                text = text.strip_prefix(c)?;
            }
        }
        Some(text)
    }

    fn conversion<'t>(&mut self, text: &'t str, letter: char) -> Option<&'t str> {
        let rest = match letter {
            '%' => return text.strip_prefix('%'),
            'n' | 't' => return Some(text.trim_start_matches(scan::is_space)),
            'a' | 'A' => return name(text, &DAYS).map(|(_, rest)| rest),
            'b' | 'B' | 'h' => {
                let (month, rest) = name(text, &MONTHS)?;
                self.month = Some(month + 1);
                return Some(rest);
            }
            'c' => return self.read(text, "%a %b %e %H:%M:%S %Y"),
            'D' | 'x' => return self.read(text, "%m/%d/%y"),
            'F' => return self.read(text, "%Y-%m-%d"),
            'R' => return self.read(text, "%H:%M"),
            'r' => return self.read(text, "%I:%M:%S %p"),
            'T' | 'X' => return self.read(text, "%H:%M:%S"),
            'p' | 'P' => {
                let (half, rest) = name(text, &["AM", "PM"])?;
                self.afternoon = half == 1;
                return Some(rest);
            }
            's' => {
                let (seconds, rest) = scan::whole(text)?;
                self.epoch = Some(seconds);
                return Some(rest);
            }
            // read and not heeded, as C does not either
            'Z' => text.trim_start_matches(scan::is_space).trim_start_matches(|c| !scan::is_space(c)),
            'z' => return offset(text),
            letter => return self.number(text, letter),
        };
        Some(rest)
    }

    fn number<'t>(&mut self, text: &'t str, letter: char) -> Option<&'t str> {
        let (range, digits) = match letter {
            'd' | 'e' => (1..=31, 2),
            'H' | 'k' => (0..=23, 2),
            'I' | 'l' => (1..=12, 2),
            'j' => (1..=366, 3),
            'm' => (1..=12, 2),
            'M' => (0..=59, 2),
            'S' => (0..=61, 2),
            'u' => (1..=7, 1),
            'w' => (0..=6, 1),
            'U' | 'V' | 'W' => (0..=53, 2),
            'y' | 'C' | 'g' => (0..=99, 2),
            'Y' | 'G' => (0..=9999, 4),
            _ => return None,
        };
        let text = text.trim_start_matches(' ');
        let (mut number, mut count) = (0, 0);
        for digit in text.chars().map_while(|c| c.to_digit(10)).take(digits) {
            number = number * 10 + i64::from(digit);
            count += 1;
            // a further digit would make it more than it can be
            if number * 10 > *range.end() {
                break;
            }
        }
        if count == 0 || !range.contains(&number) {
            return None;
        }
        match letter {
            'd' | 'e' => self.day = Some(number),
            'H' | 'k' => (self.hour, self.half_day) = (number, false),
            'I' | 'l' => (self.hour, self.half_day) = (number % 12, true),
            'j' => self.day_of_year = Some(number),
            'm' => self.month = Some(number),
            'M' => self.minute = number,
            'S' => self.second = number,
            'y' => self.year = Some(if number >= 69 { 1900 + number } else { 2000 + number }),
            'C' => self.century = Some(number),
            'Y' => (self.year, self.century) = (Some(number), None),
            _ => {}
        }
        text.get(count..)
    }

    /// Seconds since 1970.
    fn moment(&self, zone: &TimeZone) -> Option<i64> {
        if let Some(epoch) = self.epoch {
            return Timestamp::from_second(epoch).ok().map(Timestamp::as_second);
        }
        let year = match (self.year, self.century) {
            (year, Some(century)) => century * 100 + year.unwrap_or_default() % 100,
            (year, None) => year.unwrap_or(1900),
        };
        let (month, days) = match (self.month, self.day, self.day_of_year) {
            (Some(month), Some(day), _) => (month, day - 1),
            (_, _, Some(day_of_year)) => (1, day_of_year - 1),
            (month, day, None) => (month.unwrap_or(1), day.unwrap_or_default() - 1),
        };
        let first = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
        let hour = self.hour + if self.half_day && self.afternoon { 12 } else { 0 };
        let time = Span::new().try_hours(hour).ok()?.try_minutes(self.minute).ok()?.try_seconds(self.second).ok()?;
        let day = DateTime::from_parts(first, Time::midnight()).checked_add(Span::new().try_days(days).ok()?).ok()?;
        let civil = day.checked_add(time).ok()?;
        Some(zone.to_ambiguous_zoned(civil).compatible().ok()?.timestamp().as_second())
    }
}

/// Which of the names begins the text, whole or its first three letters.
fn name<'t>(text: &'t str, names: &[&str]) -> Option<(i64, &'t str)> {
    let begins = |length: usize, name: &str| {
        let start = text.get(..length)?;
        start.eq_ignore_ascii_case(name.get(..length)?).then(|| text.get(length..))?
    };
    (0..).zip(names).find_map(|(index, name)| {
        let rest = begins(name.len(), name).or_else(|| begins(name.len().min(3), name))?;
        Some((index, rest))
    })
}

/// What follows `Z`, `+hh`, `+hhmm` or `+hh:mm`.
fn offset(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(scan::is_space);
    if let Some(rest) = text.strip_prefix('Z') {
        return Some(rest);
    }
    let text = text.strip_prefix(['+', '-'])?;
    let two = |text: &str| text.bytes().take(2).filter(u8::is_ascii_digit).count() == 2;
    let minutes = text.get(2..).filter(|_| two(text))?;
    let digits = minutes.strip_prefix(':').unwrap_or(minutes);
    if two(digits) { digits.get(2..) } else { Some(minutes) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    #[test]
    fn a_moment_is_read_in_its_zone() {
        for (args, expected) in [
            ("2006-03-01 07:30:35,America/Chicago,%Y-%m-%d %H:%M:%S", "1141219835"),
            ("1970-01-01 00:00:00,UTC,%F %T", "0"),
            ("Wed Mar  1 13:30:35 2006,UTC,%c", "1141219835"),
            ("03/01/06 01:30:35 pm,UTC,%D %r", "1141219835"),
            ("1 march 2006,UTC,%d %b %Y", "1141171200"),
            ("20060301133035,UTC,%Y%m%d%H%M%S", "1141219835"),
            ("2006 060,UTC,%Y %j", "1141171200"),
            ("12:30 AM 01.01.1970,UTC,%I:%M %p %d.%m.%Y", "1800"),
            ("01.01.70 and more,UTC,%d.%m.%y", "0"),
            ("2006-03-01T00:00:00+0500 CET,UTC,%FT%T%z %Z", "1141171200"),
            ("1141219835,Asia/Tokyo,%s", "1141219835"),
            ("2025-03-30 02:30,Europe/Berlin,%F %R", "1743298200"),
            ("2025-10-26 02:30,Europe/Berlin,%F %R", "1761438600"),
            ("20 06-03-01,UTC,%C %y-%m-%d", "1141171200"),
            ("100%,UTC,100%%", "-2209075200"),
        ] {
            assert_eq!(value(&format!("${{STRPTIME({args})}}"), &[]), expected, "{args}");
        }
    }

    #[test]
    fn what_is_no_moment_has_no_value() {
        for args in
            ["x,UTC,%Y", "2006-13-01,UTC,%F", "25:00,UTC,%R", "2006,UTC,%Y-", "1,UTC,%Q", "Foo,UTC,%b", "1,UTC,%"]
        {
            let (text, warnings) = evaluate(&format!("${{STRPTIME({args})}}"), &[]);
            assert_eq!((text.as_str(), warnings.len()), ("", 1), "{args}");
        }
        assert_eq!(refusal("${STRPTIME(2006,UTC)}"), "STRPTIME: format is missing");
    }

    proptest::proptest! {
        #[test]
        fn any_text_and_format_are_survived(text in "[-0-9:a-zA-Z +é]{0,24}", format in "(%[EO]?.|[-: a-z]){0,8}") {
            value("${STRPTIME(${T},UTC,${F})}", &[("T", &text), ("F", &format)]);
        }

        #[test]
        fn what_strftime_prints_strptime_reads(epoch in 0..4_000_000_000_i64) {
            let epoch = epoch.to_string();
            let variables = [("E", epoch.as_str())];
            let text = value("${STRFTIME(${E},Asia/Kolkata,%c)}", &variables);
            let read = value("${STRPTIME(${T},Asia/Kolkata,%c)}", &[("T", text.as_str())]);
            proptest::prop_assert_eq!(read, epoch);
        }
    }
}
