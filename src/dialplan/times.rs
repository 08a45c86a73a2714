//! Times of day, weekdays, days and months, as timed includes and `GotoIfTime` write them: `9:00-17:00,mon-fri,*,*`.
//! Above: `context`, `app`, `func`. Asterisk's `main/pbx_timing.c` gives the meaning.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const MINUTES_PER_DAY: usize = 24 * 60;
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// When something holds: `times,weekdays,days of the month,months[,timezone]`.
///
/// Each field is `*` or nothing for always, a value, a range `a-b` or several joined by `&`. Ranges run over midnight, the
/// weekend and the year's end, and hold their last minute, day or month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// One bit for each minute of the day; `None` for all of them.
    minutes: Option<Box<[u64; MINUTES_PER_DAY.div_ceil(64)]>>,
    /// Bit 0 is Sunday.
    weekdays: u32,
    /// Bit 0 is the 1st.
    days: u32,
    /// Bit 0 is January.
    months: u32,
    /// `None` for the machine's own.
    zone: Option<TimeZone>,
}

/// Why a text is no [`TimeRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeRangeError {
    /// Not an hour and a minute.
    #[error("`{0}` is no time of day (write 9:00-17:00)")]
    Time(String),
    /// Not a day of the week.
    #[error("`{0}` is no weekday (write mon-fri)")]
    Weekday(String),
    /// Not a day of the month.
    #[error("`{0}` is no day of a month (write 1-31)")]
    Day(String),
    /// Not a month.
    #[error("`{0}` is no month (write jan-dec)")]
    Month(String),
    /// A timezone that the database does not have.
    #[error("unknown timezone `{0}` (write Europe/Berlin)")]
    Zone(String),
    /// A sixth field.
    #[error("more than five fields (times,weekdays,days,months,timezone)")]
    TooMany,
}

impl TimeRange {
    /// Reads `times[,weekdays[,days[,months[,timezone]]]]`; `|` separates as `,` does.
    ///
    /// # Errors
    /// The first field that is none. Asterisk goes on without it.
    pub fn parse(text: &str) -> Result<Self, TimeRangeError> {
        let fields: Vec<&str> = text.split([',', '|']).map(str::trim).collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or_default();
        if fields.len() > 5 {
            return Err(TimeRangeError::TooMany);
        }
        Ok(Self {
            minutes: minutes(field(0))?,
            weekdays: mask(field(1), &WEEKDAYS, WEEKDAYS.len()).map_err(TimeRangeError::Weekday)?,
            days: mask(field(2), &[], 31).map_err(TimeRangeError::Day)?,
            months: mask(field(3), &MONTHS, MONTHS.len()).map_err(TimeRangeError::Month)?,
            zone: zone(field(4))?,
        })
    }

    /// Whether it holds at this reading of the clock and the calendar, in whatever timezone they are.
    pub fn contains(&self, at: DateTime) -> bool {
        let minute = usize::from(at.hour().unsigned_abs()) * 60 + usize::from(at.minute().unsigned_abs());
        let minute_holds = self
            .minutes
            .as_ref()
            .is_none_or(|bits| bits.get(minute / 64).is_some_and(|word| word >> (minute % 64) & 1 == 1));
        minute_holds
            && bit(self.weekdays, at.weekday().to_sunday_zero_offset())
            && bit(self.days, at.day() - 1)
            && bit(self.months, at.month() - 1)
    }

    /// Whether it holds at this moment, in its own timezone or else in the machine's.
    pub fn contains_moment(&self, now: Timestamp) -> bool {
        self.contains(self.zone.clone().unwrap_or_else(TimeZone::system).to_datetime(now))
    }
}

impl FromStr for TimeRange {
    type Err = TimeRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn bit(mask: u32, index: i8) -> bool {
    mask.checked_shr(u32::from(index.unsigned_abs())).is_some_and(|rest| rest & 1 == 1)
}

fn minutes(field: &str) -> Result<Option<Box<[u64; MINUTES_PER_DAY.div_ceil(64)]>>, TimeRangeError> {
    if matches!(field, "" | "*") {
        return Ok(None);
    }
    let mut bits = Box::new([0; MINUTES_PER_DAY.div_ceil(64)]);
    for part in field.split('&') {
        let minute = |text: &str| minute_of_day(text).ok_or_else(|| TimeRangeError::Time(part.trim().to_owned()));
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (minute(first)?, minute(last)?),
            None => (minute(part)?, minute(part)?),
        };
        let mut at = first;
        loop {
            if let Some(word) = bits.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
            if at == last {
                break;
            }
            at = (at + 1) % MINUTES_PER_DAY;
        }
    }
    Ok(Some(bits))
}

/// `9:00` or `17:30`.
fn minute_of_day(text: &str) -> Option<usize> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str, limit: usize| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<usize>().ok().filter(|number| digits && *number < limit)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

/// Bits of the values named, by name or by number from 1; the error is the part that names none.
fn mask(field: &str, names: &[&str], count: usize) -> Result<u32, String> {
    let all = (1 << count) - 1;
    if matches!(field, "" | "*") {
        return Ok(all);
    }
    let mut mask = 0;
    for part in field.split('&') {
        let index = |text: &str| {
            let text = text.trim();
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
            let numbered =
                || text.parse::<usize>().ok().filter(|number| (1..=count).contains(number)).map(|number| number - 1);
            named.or_else(numbered).ok_or_else(|| part.trim().to_owned())
        };
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (index(first)?, index(last)?),
            None => (index(part)?, index(part)?),
        };
        let mut at = first;
        loop {
            mask |= 1 << at;
            if at == last {
                break;
            }
            at = (at + 1) % count;
        }
    }
    Ok(mask)
}

fn zone(field: &str) -> Result<Option<TimeZone>, TimeRangeError> {
    if matches!(field, "" | "*") {
        return Ok(None);
    }
    TimeZone::get(field).map(Some).map_err(|_| TimeRangeError::Zone(field.to_owned()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-21 is a Saturday.
    fn holds(text: &str, day: i8, time: (i8, i8)) -> bool {
        TimeRange::parse(text).unwrap().contains(date(2026, 11, day).at(time.0, time.1, 30, 0))
    }

    #[test]
    fn office_hours_hold_their_last_minute_and_no_weekend() {
        let office = "9:00-17:00,mon-fri,*,*";
        assert!(holds(office, 20, (9, 0)) && holds(office, 20, (17, 0)));
        assert!(!holds(office, 20, (8, 59)) && !holds(office, 20, (17, 1)) && !holds(office, 21, (12, 0)));
    }

    #[test]
    fn ranges_run_over_midnight_the_weekend_and_the_year() {
        assert!(
            holds("22:00-06:00", 20, (23, 0)) && holds("22:00-6:00", 20, (5, 59)) && !holds("22:00-6:00", 20, (7, 0))
        );
        assert!(holds("*,fri-mon", 21, (0, 0)) && !holds("*,fri-mon", 24, (0, 0)));
        assert!(holds("*,*,*,oct-feb", 1, (0, 0)) && !holds("*|*|*|dec-feb", 1, (0, 0)));
        assert!(holds("*,*,25-22", 21, (0, 0)) && !holds("*,*,25-20", 21, (0, 0)));
    }

    #[test]
    fn several_are_joined_and_numbers_count_from_one() {
        assert!(holds("8:00-9:00&12:15", 20, (12, 15)) && !holds("8:00-9:00&12:15", 20, (12, 16)));
        assert!(holds("*,MON&sat", 21, (0, 0)) && holds("*,7,21,11", 21, (0, 0)) && !holds("*,1", 21, (0, 0)));
        assert!(holds("", 21, (3, 3)) && holds(" * , * , , ", 21, (3, 3)));
    }

    #[test]
    fn a_timezone_of_its_own_moves_the_clock() {
        let range = TimeRange::parse("9:00-17:00,*,*,*,Asia/Tokyo").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(
            range.contains_moment(at("2026-11-21T00:00:00Z")) && !range.contains_moment(at("2026-11-21T09:00:00Z"))
        );
    }

    #[test]
    fn a_wrong_field_is_named() {
        let error = |text: &str| TimeRange::parse(text).unwrap_err();
        assert_eq!(error("9-17"), TimeRangeError::Time("9-17".into()));
        assert_eq!(error("24:00-9:00"), TimeRangeError::Time("24:00-9:00".into()));
        assert_eq!(error("*,mo-fr"), TimeRangeError::Weekday("mo-fr".into()));
        assert_eq!(error("*,*,0"), TimeRangeError::Day("0".into()));
        assert_eq!(error("*,*,*,13"), TimeRangeError::Month("13".into()));
        assert_eq!(error("*,*,*,*,Mars/Base"), TimeRangeError::Zone("Mars/Base".into()));
        assert_eq!(error("*,*,*,*,*,*"), TimeRangeError::TooMany);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_run_for_ever(text in "[0-9a-z:*&,| -]{0,30}", hour in 0..24_i8, minute in 0..60_i8) {
            if let Ok(range) = TimeRange::parse(&text) {
                range.contains(date(2026, 2, 28).at(hour, minute, 0, 0));
            }
        }
    }
}
