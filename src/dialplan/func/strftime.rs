//! `STRFTIME(epoch,zone,format)`: a moment as text.

use jiff::Timestamp;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};

use super::{Func, FuncError, scan, slots, zone};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::{self, Scope};

/// The letters that C's strftime knows.
const LETTERS: &str = "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%";
/// Widest field, in characters.
const MOST_WIDE: usize = 255;

pub(super) struct Strftime;

impl Func for Strftime {
    fn name(&self) -> &'static str {
        "STRFTIME"
    }

    fn syntax(&self) -> &'static str {
        "[epoch][,zone[,format]]"
    }

    fn synopsis(&self) -> &'static str {
        "A moment, now if none is given, in a time zone and in strftime's format; %3q is its milliseconds."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let [epoch, ..] = slots::fixed::<3>(args);
        match epoch.literal() {
            Some(found) if !found.is_empty() && scan::real(&found).is_none() => {
                Err(CheckError::Malformed { what: "number of seconds since 1970", found })
            }
            _ => Ok(()),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let count = slots::slots(&args, 3).len();
        let [epoch, zone, format] = slots::fixed(&args).map(|piece| piece.value(scope));
        let zone = zone::named(&zone, self.name(), scope);
        let moment = moment(&epoch).ok_or_else(|| FuncError::Argument(epoch.clone()))?;
        let format = if count < 3 { "%c" } else { &format };
        let time = BrokenDownTime::from(&moment.to_zoned(zone));
        let config = Config::new().lenient(true).custom(PosixCustom::new());
        let text = time.to_string_with_config(&config, translated(format, moment.subsec_microsecond().unsigned_abs()));
        Ok(vars::limit(text.map_err(|_| FuncError::Argument(format.to_owned()))?, scope))
    }
}

/// Seconds since 1970 with a fraction; now when that is no number.
fn moment(epoch: &str) -> Option<Timestamp> {
    let Some(seconds) = scan::real(epoch) else { return Some(Timestamp::now()) };
    let micros = match scan::whole(epoch) {
        // exactly, as long as it is written in digits
        Some((whole, rest)) if !rest.starts_with(['e', 'E', 'x', 'X']) => {
            let digits = rest.strip_prefix('.').unwrap_or_default().chars().map_while(|c| c.to_digit(10));
            let fraction = digits.chain(std::iter::repeat(0)).take(6).fold(0, |sum, digit| sum * 10 + i64::from(digit));
            let fraction = if epoch.trim_start().starts_with('-') { -fraction } else { fraction };
            whole.checked_mul(1_000_000)?.checked_add(fraction)?
        }
        _ => (seconds * 1_000_000.0) as i64,
    };
    Timestamp::from_microsecond(micros).ok()
}

/// Asterisk's `%q` filled in, modifiers that mean nothing here taken out, and letters that C does not know made text.
fn translated(format: &str, micros: u32) -> String {
    let mut out = String::with_capacity(format.len());
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('%') {
        out.push_str(text);
        let flags = after.bytes().take_while(|byte| b"_-0^#".contains(byte)).count();
        let digits = after.bytes().skip(flags).take_while(u8::is_ascii_digit).count();
        let modifier = after.bytes().skip(flags + digits).take_while(|byte| b"EO".contains(byte)).take(1).count();
        let (flags, width) = after
            .split_at_checked(flags + digits)
            .map_or(("", ""), |(both, _)| both.split_at_checked(flags).unwrap_or_default());
        let letters = after.get(flags.len() + digits + modifier..).unwrap_or_default();
        let letter = letters.chars().next();
        rest = letters.get(letter.map_or(0, char::len_utf8)..).unwrap_or_default();
        let all = after.get(..after.len() - rest.len()).unwrap_or_default();
        match letter {
            Some('q') if all.len() == 1 + width.len() && ["", "1", "2", "3", "4", "5", "6"].contains(&width) => {
                let decimals = width.parse().unwrap_or(3);
                out.extend(format!("{micros:06}").chars().take(decimals));
            }
            Some(letter) if LETTERS.contains(letter) => {
                out.push('%');
                out.push_str(flags);
                out.extend((!width.is_empty()).then(|| width.parse().unwrap_or(MOST_WIDE).min(MOST_WIDE).to_string()));
                out.push(letter);
            }
            _ => {
                out.push_str("%%");
                out.push_str(all);
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    #[test]
    fn a_moment_is_printed_in_its_zone() {
        for (args, expected) in [
            ("0,UTC,%Y-%m-%d %H:%M:%S", "1970-01-01 00:00:00"),
            ("1141219835,America/Chicago,%Y-%m-%d %H:%M:%S", "2006-03-01 07:30:35"),
            ("1141219835,America/Chicago,%Z %z", "CST -0600"),
            ("1752580800,Europe/Berlin,%H:%M %Z", "14:00 CEST"),
            ("1141219835,UTC", "Wed Mar  1 13:30:35 2006"),
            (
                "1141219835,UTC,%c|%x|%X|%r|%D|%T|%R|%F",
                "Wed Mar  1 13:30:35 2006|03/01/06|13:30:35|01:30:35 PM|03/01/06|13:30:35|13:30|2006-03-01",
            ),
            ("1141219835,UTC,%a %A %b %B %h %p %P", "Wed Wednesday Mar March Mar PM pm"),
            ("1141219835,UTC,%e|%d|%I|%l|%k|%j|%C|%y", " 1|01|01| 1|13|060|20|06"),
            ("1141219835,UTC,%u %w %U %W %V %G %g %s", "3 3 09 09 09 2006 06 1141219835"),
            ("1141219835,UTC,%n%t%%", "\n\t%"),
            ("1141219835,UTC,%-d %_m %03d %^a %EY %Od", "1  3 001 WED 2006 01"),
            ("1.25,UTC,%S.%3q|%q|%1q|%6q", "01.250|250|2|250000"),
            ("1700000000.123456,UTC,%6q", "123456"),
            ("1,UTC,%7q|%i|%N|%f|%", "%7q|%i|%N|%f|%"),
            ("1,EST5EDT4\\,M3.2.0\\,M11.1.0,%H %Z", "19 EST"),
            ("1e3,UTC,%s", "1000"),
            ("-1,UTC,%F", "1969-12-31"),
            ("1,UTC,%H,%M", "00,00"),
        ] {
            assert_eq!(value(&format!("${{STRFTIME({args})}}"), &[]), expected, "{args}");
        }
    }

    #[test]
    fn no_moment_is_now_and_no_zone_is_utc() {
        let years = value("${STRFTIME(,UTC,%Y)} ${STRFTIME(${NOTHING},UTC,%Y)}", &[]);
        assert!(years.as_str() >= "2025 2025", "{years}");
        assert!(!value("${STRFTIME()}", &[]).is_empty());
        let (text, warnings) = evaluate("${STRFTIME(0,Atlantis/Sunken,%H)}", &[]);
        assert_eq!(
            (text.as_str(), warnings),
            ("00", vec!["STRFTIME: there is no time zone `Atlantis/Sunken`".to_owned()])
        );
        assert_eq!(refusal("${STRFTIME(soon,,)}"), "STRFTIME: `soon` is no number of seconds since 1970");
        assert_eq!(evaluate("${STRFTIME(${E},UTC,%s)}", &[("E", "1e30")]).1, ["STRFTIME: `1e30` is no argument of it"]);
    }

    proptest::proptest! {
        #[test]
        fn any_format_is_survived(format in "(%[-_0^#]?[0-9]{0,4}[EO]?.|[a-z %é]){0,8}", epoch in "[-0-9.e]{0,14}") {
            value("${STRFTIME(${E},UTC,${F})}", &[("E", &epoch), ("F", &format)]);
        }
    }
}
