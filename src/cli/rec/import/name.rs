//! What names of recordings say in the folders of Asterisk and FreePBX, VICIdial's included.
//! Above: `import`. Below: nothing; whatever is not understood is left out.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::outbox::manifest::Direction;

/// What a name says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The calling number.
    pub(super) from: String,
    /// The dialled number, queue or group.
    pub(super) to: String,
    /// Where the call came from and went.
    pub(super) direction: Direction,
    /// The extension that talked with somebody outside.
    pub(super) agent: Option<String>,
    /// `UNIQUEID` of its channel.
    pub(super) uniqueid: String,
    /// On the clock of the exchange.
    pub(super) at: Option<DateTime>,
}

/// An extension has at most so many digits; a number outside has more.
const EXTENSION_DIGITS: usize = 6;
/// How far a clock may be from ours: time zones.
const ZONES_S: i64 = 27 * 3_600;

/// Reads a name without folder and ending, `-in` and `-out` of a pair taken off.
pub(super) fn told(name: &str) -> Told {
    let words: Vec<&str> = name.split('-').collect();
    let dated = (0..words.len()).find_map(|at| {
        let (time, rest) = words.get(at + 1)?.split_at_checked(6)?;
        let at_time = clock(words.get(at)?, time)?;
        // VICIdial goes on after it: _NUMBER_CAMPAIGN_AGENT.
        if rest.is_empty() || rest.starts_with('_') { Some((at, at_time, rest)) } else { None }
    });
    let Some((place, at, rest)) = dated else {
        return Told { uniqueid: unique(&words).unwrap_or_default(), ..Told::default() };
    };
    let after = words.get(place + 2..).unwrap_or_default();
    let uniqueid = unique(after).unwrap_or_default();
    let mut told = parties(words.get(..place).unwrap_or_default());
    if let Some(vicidial) = rest.strip_prefix('_') {
        let parts: Vec<&str> = vicidial.split('_').collect();
        told.to = parts.first().copied().unwrap_or_default().to_owned();
        told.agent = parts.get(2).map(|agent| (*agent).to_owned());
        told.direction = Direction::Out;
    }
    Told { uniqueid, at: Some(at), ..told }
}

impl Told {
    /// When it began: by the unique id, which counts seconds since 1970, where it agrees with the name's clock; else by that in the
    /// zone of this machine.
    pub(super) fn started(&self, zone: &TimeZone) -> Option<Timestamp> {
        let here = self.at.and_then(|at| at.to_zoned(zone.clone()).ok()).map(|zoned| zoned.timestamp());
        let unique = self.uniqueid.rsplit('-').next()?.split('.').next();
        let unique = unique.and_then(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
        match (unique, here) {
            (Some(unique), Some(here)) if (unique.as_second() - here.as_second()).abs() <= ZONES_S => Some(unique),
            (Some(unique), None) => Some(unique),
            (_, here) => here,
        }
    }
}

/// `20240102` and `101112`.
fn clock(date: &str, time: &str) -> Option<DateTime> {
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(date, 8) || !digits(time, 6) {
        return None;
    }
    let part = |text: &str, at: usize, length: usize| text.get(at..at + length)?.parse::<i8>().ok();
    let date = Date::new(date.get(..4)?.parse().ok()?, part(date, 4, 2)?, part(date, 6, 2)?).ok()?;
    let time = Time::new(part(time, 0, 2)?, part(time, 2, 2)?, part(time, 4, 2)?, 0).ok()?;
    Some(date.to_datetime(time))
}

/// `1704190272.12`, or with a system's name before it.
fn unique(words: &[&str]) -> Option<String> {
    let is_unique = |word: &&str| {
        let mut halves = word.split('.');
        let number = |half: Option<&str>, least: usize| {
            half.is_some_and(|half| half.len() >= least && half.bytes().all(|byte| byte.is_ascii_digit()))
        };
        number(halves.next(), 9) && number(halves.next(), 1) && halves.next().is_none()
    };
    let at = words.iter().position(is_unique)?;
    Some(words.get(..=at)?.join("-"))
}

/// What stands before the date: `out-4178575309-1001`, `OUT1001`, `q600`.
fn parties(words: &[&str]) -> Told {
    let Some((kind, rest)) = words.split_first() else { return Told::default() };
    let (kind, number) = split_kind(kind);
    let (to, from) = match rest {
        // The old way has one number, the extension's; or the queue's.
        [] if kind == "out" => {
            return Told {
                from: number.to_owned(),
                agent: agent(number),
                direction: Direction::Out,
                ..Told::default()
            };
        }
        [] => (number.to_owned(), String::new()),
        [to] => ((*to).to_owned(), String::new()),
        [to @ .., from] => (to.join("-"), (*from).to_owned()),
    };
    let direction = match kind.as_str() {
        "out" => Direction::Out,
        "in" | "external" | "did" => Direction::In,
        _ if is_outside(&from) && !is_outside(&to) => Direction::In,
        _ => Direction::Internal,
    };
    let agent = match (direction, kind.as_str()) {
        (Direction::Out, _) => agent(&from),
        // These are answered by one of many.
        (Direction::In, "q" | "rg" | "g" | "conf") => None,
        (Direction::In, _) => agent(&to),
        (Direction::Internal, _) => None,
    };
    Told { from, to, direction, agent, ..Told::default() }
}

/// `OUT1001` as its kind and its number.
fn split_kind(word: &str) -> (String, &str) {
    let end = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
    let (kind, number) = word.split_at(end);
    (kind.to_ascii_lowercase(), number)
}

fn is_outside(number: &str) -> bool {
    number.bytes().filter(u8::is_ascii_digit).count() > EXTENSION_DIGITS
}

fn agent(number: &str) -> Option<String> {
    (!number.is_empty() && !is_outside(number)).then(|| number.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Direction, from, to, agent, unique id, when.
    fn row(name: &str) -> (Direction, String, String, String, String, String) {
        let told = told(name);
        let at = told.at.map(|at| at.to_string()).unwrap_or_default();
        (told.direction, told.from, told.to, told.agent.unwrap_or_default(), told.uniqueid, at)
    }

    #[test]
    fn names_of_asterisk_freepbx_and_vicidial_are_understood() {
        use Direction::{In, Internal, Out};
        let when = "2024-01-02T10:11:12";
        let cases = [
            (
                "out-4178575309-1001-20240102-101112-1704190272.12",
                (Out, "1001", "4178575309", "1001", "1704190272.12", when),
            ),
            (
                "external-1001-4178575309-20240102-101112-1704190272.12",
                (In, "4178575309", "1001", "1001", "1704190272.12", when),
            ),
            ("internal-1002-1001-20240102-101112-1704190272.12", (Internal, "1001", "1002", "", "1704190272.12", when)),
            (
                "exten-1002-4178575309-20240102-101112-1704190272.12",
                (In, "4178575309", "1002", "1002", "1704190272.12", when),
            ),
            ("q-600-4178575309-20240102-101112-1704190272.12", (In, "4178575309", "600", "", "1704190272.12", when)),
            (
                "rg-600-1001-20240102-101112-pbx-a-1704190272.12",
                (Internal, "1001", "600", "", "pbx-a-1704190272.12", when),
            ),
            ("out-+41-78-1001-20240102-101112-1704190272.12", (Out, "1001", "+41-78", "1001", "1704190272.12", when)),
            ("OUT1001-20240102-101112-1704190272.12", (Out, "1001", "", "1001", "1704190272.12", when)),
            ("q600-20240102-101112-1704190272.12", (Internal, "", "600", "", "1704190272.12", when)),
            ("20240102-101112-1704190272.12", (Internal, "", "", "", "1704190272.12", when)),
            ("20240102-101112_4178575309_SALES_1001", (Out, "", "4178575309", "1001", "", when)),
            ("1704190272.12", (Internal, "", "", "", "1704190272.12", "")),
            ("meeting with Zoë", (Internal, "", "", "", "", "")),
            ("20241302-101112", (Internal, "", "", "", "", "")),
            ("", (Internal, "", "", "", "", "")),
        ];
        for (name, (direction, from, to, agent, unique, at)) in cases {
            let expected = (direction, from.into(), to.into(), agent.into(), unique.into(), at.into());
            assert_eq!(row(name), expected, "{name}");
        }
    }

    #[test]
    fn the_unique_id_says_when_unless_the_clock_says_something_else() {
        let zone = TimeZone::fixed(jiff::tz::offset(5));
        let started = |name: &str| told(name).started(&zone).map(|at| at.to_string()).unwrap_or_default();
        assert_eq!(started("out-1-2-20240102-101112-1704190272.12"), "2024-01-02T10:11:12Z");
        assert_eq!(started("out-1-2-20240102-101112-1604190272.12"), "2024-01-02T05:11:12Z", "another year");
        assert_eq!(started("out-1-2-20240102-101112"), "2024-01-02T05:11:12Z");
        assert_eq!(started("1704190272.12"), "2024-01-02T10:11:12Z");
        assert_eq!(started("a name"), "");
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(name in "[-_.0-9a-zA-Z+é]{0,60}") {
            let _ = told(&name).started(&TimeZone::UTC);
        }
    }
}
