//! File names of recordings: a template filled with what is known of the call, of which only harmless characters survive.
//! Above: whoever begins or renames a recording. Below: `queue` and `spool`, which are asked what is taken.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::error::OutboxError;
use super::manifest::{Manifest, manifest_name, stem};
use super::seal::key_name;
use super::spool::Spool;

/// Bytes of one value in a name.
const VALUE_LIMIT: usize = 64;
/// Bytes of one part of a name, its extension and `-2` not included.
const PART_LIMIT: usize = 180;
/// Parts of a name (folders and the file).
const PARTS: usize = 8;
/// How many recordings may wish for one name: `-2` to this.
const TRIES: u32 = 1_000_000;

/// A setting like `{start}-{direction}-{caller}-{callee}-{uuid}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Start,
    Date,
    Time,
    Direction,
    Caller,
    Callee,
    CallerId,
    Exten,
    UniqueId,
    Uuid,
    Agent,
    Room,
    Trunk,
}

/// The fields, in the order of the manual.
const FIELDS: [(&str, Field); 13] = [
    ("start", Field::Start),
    ("date", Field::Date),
    ("time", Field::Time),
    ("direction", Field::Direction),
    ("caller", Field::Caller),
    ("callee", Field::Callee),
    ("callerid", Field::CallerId),
    ("exten", Field::Exten),
    ("uniqueid", Field::UniqueId),
    ("uuid", Field::Uuid),
    ("agent", Field::Agent),
    ("room", Field::Room),
    ("trunk", Field::Trunk),
];

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No such field.
    #[error("unknown field `{{{0}}}`, known are {known}", known = known_fields())]
    Unknown(String),
    /// A `{` without its `}`.
    #[error("`{{` without `}}`")]
    Open,
    /// Nothing in it, or it leaves the spool.
    #[error("{0}")]
    Text(&'static str),
}

impl Template {
    /// Reads a template; its own text keeps `/` for folders, everything else is cleaned like a value.
    ///
    /// # Errors
    /// An unknown field, or a text that is no relative name.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() || text.starts_with('/') || text.ends_with('/') {
            return Err(TemplateError::Text("a name is relative, and ends in a file's name"));
        }
        if text.split('/').any(|part| part.is_empty() || part.starts_with('.')) || text.split('/').count() > PARTS {
            return Err(TemplateError::Text("no folder is empty, hidden, `.` or `..`, and there are at most 7"));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (name, behind) = after.split_once('}').ok_or(TemplateError::Open)?;
            let field = FIELDS.iter().find(|(known, _)| *known == name);
            let (_, field) = field.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            pieces.push(Piece::Field(*field));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The name for a recording, without extension: relative, of `[0-9A-Za-z+._-]` and the template's own `/`, bounded. Times are
    /// local ones of `zone`.
    #[must_use]
    pub fn fill(&self, manifest: &Manifest, zone: &TimeZone) -> String {
        let mut name = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => name.push_str(&text.split('/').map(cleaned).collect::<Vec<_>>().join("/")),
                Piece::Field(field) => name.push_str(&value(*field, manifest, zone)),
            }
        }
        clean_name(&name)
    }
}

/// A name that somebody wishes for (`MixMonitor(NAME.wav)`, without the extension), made harmless: each part cleaned and bounded, no
/// part hidden or empty, nothing above the spool. Never empty.
#[must_use]
pub fn clean_name(wished: &str) -> String {
    let parts = wished.split('/').map(|part| {
        let clean = cleaned(part);
        let clean = clean.trim_start_matches(['.', '-']);
        clean.get(..PART_LIMIT).unwrap_or(clean).to_owned()
    });
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    let kept = parts.len().saturating_sub(PARTS);
    let parts = parts.get(kept..).unwrap_or_default();
    if parts.is_empty() { "recording".to_owned() } else { parts.join("/") }
}

/// The name itself where it is free, else with `-2`, `-3`, … before its extension. `taken` is asked for the part before the extension,
/// as a manifest has that name too; `own` is the one that is free because it is the recording's own. Sure only while nobody else takes names: [`super::Outbox::begin`] asks within its transaction.
///
/// # Errors
/// Those of `taken`, or the name leaves the spool.
pub fn free_name<E: From<OutboxError>>(
    spool: &Spool,
    wished: &str,
    own: Option<&str>,
    mut taken: impl FnMut(&str) -> Result<bool, E>,
) -> Result<String, E> {
    first_free(wished, own, |name| is_free(spool, name, &mut taken))
}

/// The first of the name itself, `-2`, `-3`, … that is free, or the recording's own if it is one of these.
pub(super) fn first_free<E: From<OutboxError>>(
    wished: &str,
    own: Option<&str>,
    mut is_free: impl FnMut(&str) -> Result<bool, E>,
) -> Result<String, E> {
    super::spool::check_name(wished)?;
    let start = stem(wished);
    let end = wished.get(start.len()..).unwrap_or_default();
    let is_numbered = |own: &str| own.strip_prefix(start)?.strip_prefix('-')?.parse::<u32>().ok();
    if own == Some(start) {
        return Ok(wished.to_owned());
    }
    let mut free = 1;
    if !is_free(wished)? {
        if let Some(own) = own.filter(|own| is_numbered(own).is_some()) {
            return Ok(format!("{own}{end}"));
        }
        // A name that thousands wish for is not asked for thousands of times: twice as far each time, then between.
        let mut taken = free;
        while !is_free(&numbered(wished, free))? {
            if free >= TRIES {
                let what = "a million recordings have this name";
                return Err(OutboxError::Name { name: wished.to_owned(), what }.into());
            }
            (taken, free) = (free, free * 2);
        }
        while free - taken > 1 {
            let middle = taken + (free - taken) / 2;
            if is_free(&numbered(wished, middle))? { free = middle } else { taken = middle }
        }
    }
    let name = numbered(wished, free);
    super::spool::check_name(&name)?;
    Ok(name)
}

/// A name with its number before its extension; the first has none.
pub(super) fn numbered(name: &str, number: u32) -> String {
    let start = stem(name);
    let end = name.get(start.len()..).unwrap_or_default();
    if number == 1 { name.to_owned() } else { format!("{start}-{number}{end}") }
}

/// Whether no file of a recording, clear or sealed, has this name, and `taken` has none either.
pub(super) fn is_free<E: From<OutboxError>>(
    spool: &Spool,
    name: &str,
    taken: impl FnOnce(&str) -> Result<bool, E>,
) -> Result<bool, E> {
    let sealed = format!("{}.age", stem(name));
    let files = [name, &manifest_name(name), &sealed, &key_name(&sealed)];
    let is_there = files.into_iter().try_fold(false, |found, file| Ok::<_, E>(found || spool.exists(file)?))?;
    Ok(!is_there && !taken(stem(name))?)
}

fn value(field: Field, manifest: &Manifest, zone: &TimeZone) -> String {
    let at = |form: &str| time(manifest.started, zone, form);
    let text = |text: &str| {
        let clean = cleaned(text);
        clean.get(..VALUE_LIMIT).unwrap_or(&clean).to_owned()
    };
    let some = |value: &Option<String>| text(value.as_deref().unwrap_or("none"));
    match field {
        Field::Start => at("%Y%m%d-%H%M%S"),
        Field::Date => at("%Y-%m-%d"),
        Field::Time => at("%H%M%S"),
        Field::Direction => manifest.direction.word().to_owned(),
        Field::Caller => text(&manifest.from),
        Field::Callee | Field::Exten => text(&manifest.to),
        Field::CallerId if manifest.from_name.is_empty() => text(&manifest.from),
        Field::CallerId => text(&format!("{}_{}", manifest.from_name, manifest.from)),
        Field::UniqueId if manifest.uniqueid.is_empty() => text(&manifest.call),
        Field::UniqueId => text(&manifest.uniqueid),
        Field::Uuid if manifest.call.is_empty() => manifest.id.to_string(),
        Field::Uuid => text(&manifest.call),
        Field::Agent => some(&manifest.agent),
        Field::Room => some(&manifest.room),
        Field::Trunk => some(&manifest.trunk),
    }
}

/// What survives of a text in a name.
fn cleaned(text: &str) -> String {
    let keep = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '_' | '-');
    text.chars().map(|c| if c == ' ' { '_' } else { c }).filter(keep).collect()
}

fn time(at: Timestamp, zone: &TimeZone, form: &str) -> String {
    let zoned = at.to_zoned(zone.clone());
    jiff::fmt::strtime::format(form, &zoned).unwrap_or_else(|_| at.as_second().to_string())
}

fn known_fields() -> String {
    FIELDS.map(|(name, _)| format!("{{{name}}}")).join(" ")
}
