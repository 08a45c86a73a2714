//! What is on record, and its line in the file. Pure: bytes in, bytes out.
//! Above: the writer makes lines, `verify` and `read` take them apart. The form is written down in [`super`].

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::seal::{Hash, Key, Purpose};

/// Characters of a text at most; a longer one is cut, with an ellipsis in its place.
const TEXT_LIMIT: usize = 1_000;
/// Texts in a list at most.
const LIST_LIMIT: usize = 100;
const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const AFTER_HASH: &[u8] = b"\"}";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A session is about to begin: this entry is on the disk before anything is heard.
    Started,
    /// A session, or a change of one, was refused.
    Refused,
    /// Mode, sides heard or sides spoken to have changed.
    Mode,
    /// A session is over.
    Ended,
    /// The log's own: a server has opened it; sessions without an end before this one ended with their server.
    Opened,
    /// The log's own: a server has closed it in good order.
    Closed,
    /// The log's own: what a killed server left half written was set aside.
    Repaired,
    /// The log's own: it was found changed or cut off.
    Damaged,
}

impl Event {
    /// As written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Refused => "refused",
            Self::Mode => "mode",
            Self::Ended => "ended",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Repaired => "repaired",
            Self::Damaged => "damaged",
        }
    }
}

/// A party of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The UUID of the party's leg.
    pub uuid: String,
    /// The configured user whose phone it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub number: String,
}

/// One thing to put on record. What does not apply is left empty, and is then not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// The UUID of the session; one also for a refused attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session: String,
    /// The supervisor: a user's name, or the local account whose rights were used.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
    /// The way in: `socket`, `dialplan`, `code`, `originate`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub via: String,
    /// From where: account and user id, or channel and address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The call's UUID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub call: String,
    /// The party whose UUID was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Person>,
    /// Whom the target talks with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Person>,
    /// The mode asked for or in force.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Who is heard, by user name or number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hears: Vec<String>,
    /// Who hears the supervisor, by user name or number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub talks: Vec<String>,
    /// Why, in the supervisor's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, in ours: why it was refused, why it ended, what was found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Entry {
    /// An entry about `event` with nothing else in it.
    pub fn new(event: Event) -> Self {
        let empty = String::new;
        Self {
            event,
            session: empty(),
            who: empty(),
            via: empty(),
            from: empty(),
            call: empty(),
            target: None,
            peer: None,
            mode: empty(),
            hears: Vec::new(),
            talks: Vec::new(),
            reason: empty(),
            why: empty(),
        }
    }

    /// One of the log's own.
    pub(super) fn own(event: Event, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::new(event) }
    }

    /// With every text short enough for a line.
    fn clipped(mut self) -> Self {
        let texts = [
            &mut self.session,
            &mut self.who,
            &mut self.via,
            &mut self.from,
            &mut self.call,
            &mut self.mode,
            &mut self.reason,
            &mut self.why,
        ];
        let lists = [&mut self.hears, &mut self.talks].into_iter().flat_map(|list| {
            list.truncate(LIST_LIMIT);
            list.iter_mut()
        });
        let people = [&mut self.target, &mut self.peer].into_iter().flatten();
        let of_people =
            people.flat_map(|person| [Some(&mut person.uuid), Some(&mut person.number), person.user.as_mut()]);
        for text in texts.into_iter().chain(lists).chain(of_people.flatten()) {
            if let Some((end, _)) = text.char_indices().nth(TEXT_LIMIT) {
                text.truncate(end);
                text.push('…');
            }
        }
        self
    }
}

/// An entry as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts from 1.
    pub seq: u64,
    /// When it happened, to the millisecond.
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
    /// The hash of the entry before, 64 hexadecimal digits; zeros for the first.
    pub prev: String,
    /// Its own.
    pub hash: String,
}

/// A line with its newline, and its hash.
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) hash: Hash,
}

/// Writes the line of an entry.
pub(super) fn line(key: &Key, place: (u64, &Hash), at: Timestamp, entry: Entry) -> Line {
    let (seq, prev) = place;
    // A struct of texts always has a JSON form.
    let fields = serde_json::to_string(&entry.clipped()).unwrap_or_default();
    let fields = obeyed_escaped(fields.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default());
    let mut bytes = format!("{{\"seq\":{seq},\"time\":\"{at:.3}\",{fields},\"prev\":\"{prev}\"").into_bytes();
    let hash = key.hash(Purpose::Entry, &bytes);
    bytes.extend_from_slice(BEFORE_HASH);
    bytes.extend_from_slice(hash.to_string().as_bytes());
    bytes.extend_from_slice(AFTER_HASH);
    bytes.push(b'\n');
    Line { bytes, hash }
}

/// JSON with nothing in it that a terminal or a reader's eye would obey: controls beyond those that JSON itself escapes, and marks
/// of Unicode's bidirectional algorithm (UAX 9). They stand only within strings, where JSON has an escape for them.
fn obeyed_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let marks =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || marks {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// What a genuine line says of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) prev: Hash,
    pub(super) hash: Hash,
    /// Whether it is about damage that was found.
    pub(super) tells_of_damage: bool,
}

#[derive(Deserialize)]
struct Said {
    seq: u64,
    #[serde(default)]
    event: String,
    prev: String,
}

/// The place of a line without its newline, if it was written with this key and not changed since.
pub(super) fn genuine(key: &Key, line: &[u8]) -> Option<Place> {
    let rest = line.strip_suffix(AFTER_HASH)?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(Hash::DIGITS)?)?;
    let hash = Hash::read(digits)?;
    let body = rest.strip_suffix(BEFORE_HASH)?;
    if !key.verifies(Purpose::Entry, body, &hash) {
        return None;
    }
    let mut whole = body.to_vec();
    whole.push(b'}');
    let said: Said = serde_json::from_slice(&whole).ok()?;
    let tells_of_damage = said.event == Event::Damaged.word();
    Some(Place { seq: said.seq, prev: Hash::read(said.prev.as_bytes())?, hash, tells_of_damage })
}

/// The number that a line claims for itself, true or not.
pub(super) fn claimed(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"seq\":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(entry: Entry) -> Line {
        line(&Key::of_test(), (7, &Hash::ZERO), "2026-11-20T21:00:00.123456Z".parse().unwrap(), entry)
    }

    #[test]
    fn a_line_is_read_back_and_is_genuine_for_its_key_only() {
        let entry = Entry { who: "Zoë \"x\"\n".into(), hears: vec!["1001".into()], ..Entry::new(Event::Started) };
        let line = written(entry.clone());
        let record: Record = serde_json::from_slice(&line.bytes).unwrap();
        assert_eq!((record.seq, record.entry, record.hash), (7, entry, line.hash.to_string()));
        assert_eq!(record.time.to_string(), "2026-11-20T21:00:00.123Z");
        let bare = line.bytes.strip_suffix(b"\n").unwrap();
        assert_eq!(genuine(&Key::of_test(), bare).unwrap().seq, 7);
        assert_eq!(genuine(&Key::random().unwrap(), bare), None);
        assert_eq!(claimed(bare), Some(7));
    }

    #[test]
    fn a_changed_byte_makes_a_line_no_longer_genuine() {
        let line = written(Entry::new(Event::Ended));
        let bare = line.bytes.strip_suffix(b"\n").unwrap();
        for at in 0..bare.len() {
            for bit in 0..8 {
                let mut changed = bare.to_vec();
                changed[at] ^= 1 << bit;
                assert_eq!(genuine(&Key::of_test(), &changed), None, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn an_entry_is_one_line_that_no_terminal_obeys_and_of_bounded_length() {
        let nasty = "\n\r\x1b[2J\u{7f}\u{9b}\u{202e}\u{2028}".repeat(400);
        let entry = Entry {
            reason: nasty.clone(),
            hears: vec![nasty.clone(); 500],
            target: Some(Person { uuid: nasty.clone(), user: Some(nasty.clone()), number: nasty }),
            ..Entry::new(Event::Refused)
        };
        let text = String::from_utf8(written(entry).bytes).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.trim_end_matches('\n').chars().any(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)));
        assert!(text.len() < 1_000_000, "{}", text.len());
        let record: Record = serde_json::from_str(&text).unwrap();
        assert!(
            record.entry.reason.starts_with("\n\r\x1b[2J\u{7f}\u{9b}\u{202e}\u{2028}\n")
                && record.entry.reason.ends_with('…')
        );
    }
}
