//! Looks at a whole log: every entry that was changed, removed, moved, put in or cut off is named.
//! Above: `spy log verify`. One pass, in memory that grows with what is wrong, not with the log.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::entry::{Place, Record, claimed, genuine};
use super::error::EvidenceError;
use super::files::Paths;
use super::head::Head;
use super::lines::Lines;
use super::seal::{Hash, Key};
use super::{read, tail};

/// Findings listed at most; the others are counted.
const LISTED: usize = 1_000;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// An entry is no longer what was written.
    Changed,
    /// Entries are missing.
    Removed,
    /// An entry is in another place than it was written.
    Reordered,
    /// A line that does not belong there: forged, a copy, or from another history of the log.
    Inserted,
    /// Entries at the end are missing.
    CutOff,
    /// The sealed head is missing or not genuine: entries cut off at the end could not be told.
    Head,
    /// An entry says that damage was found when the log was opened.
    Noted,
    /// An entry that was noted elsewhere is not there: older files were put back, or a new log was made.
    History,
    /// Half a line at the end that nobody was told is on record: being written now, or left by a crash. Not an alarm.
    Torn,
}

impl Class {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Reordered => "reordered",
            Self::Inserted => "inserted",
            Self::CutOff => "cut-off",
            Self::Head => "head",
            Self::Noted => "noted",
            Self::History => "history",
            Self::Torn => "torn",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub class: Class,
    /// The first entry concerned; absent for a line that is no entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last entry concerned, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<u64>,
    /// The line of the file, from 1, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// In words.
    pub what: String,
}

/// What a log was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Genuine entries, each counted once.
    pub entries: u64,
    /// The number of the last one.
    pub last: u64,
    /// Its hash: kept elsewhere, it proves later that the log up to here is still the same.
    pub hash: String,
    /// What was found, in the order of the log.
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub more: u64,
}

impl Report {
    /// Nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.first_wrong().is_none()
    }

    /// The first thing that is wrong.
    pub fn first_wrong(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.class != Class::Torn)
    }
}

/// An entry by its number and hash, noted elsewhere: a log that does not hold it is not the log it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Anchor {
    seq: u64,
    hash: Hash,
}

impl std::str::FromStr for Anchor {
    type Err = &'static str;

    /// Reads `SEQ:HASH`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (seq, hash) = text.split_once(':').ok_or("write NUMBER:HASH, as `spy log verify` prints it")?;
        let seq = seq.parse().map_err(|_| "the number of an entry stands before the colon")?;
        let hash = Hash::read(hash.as_bytes()).ok_or("a hash of 64 hexadecimal digits stands behind the colon")?;
        Ok(Self { seq, hash })
    }
}

impl TryFrom<String> for Anchor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Anchor> for String {
    fn from(anchor: Anchor) -> Self {
        format!("{}:{}", anchor.seq, anchor.hash)
    }
}

/// Verifies the log at `path` with the key and the head beside it. It may be written meanwhile.
///
/// # Errors
/// There is no log, or it or its key cannot be read.
pub fn verify(path: &Path) -> Result<Report, EvidenceError> {
    verify_for(path, None)
}

/// As [`verify`], and the log must hold that entry.
///
/// # Errors
/// As [`verify`].
pub fn verify_for(path: &Path, anchor: Option<&Anchor>) -> Result<Report, EvidenceError> {
    let paths = Paths::of(path);
    let Some(key) = Key::load(&paths.key)? else {
        let log_is_there = read::open(path)?;
        drop(log_is_there);
        return Err(EvidenceError::KeyMissing { path: paths.key });
    };
    // The head first: what is written meanwhile is then behind it, not missing.
    let head = tail::read_head(&paths, &key)?;
    let mut check = Check::new(&key);
    check.anchor = anchor.cloned();
    let head = match head {
        Ok(head) => {
            check.head = Some(head);
            Some(head)
        }
        Err(why) => {
            let what = format!("the head of the log {why}: entries cut off at the end cannot be told");
            check.add(Class::Head, (None, None), what);
            None
        }
    };
    match read::open(path) {
        Ok(file) => check.file(&file).map_err(EvidenceError::io("reading", path))?,
        // With a key there has been a log.
        Err(EvidenceError::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(check.finish(head))
}

struct Check<'a> {
    key: &'a Key,
    head: Option<Head>,
    /// An entry that must be there; taken when it is found.
    anchor: Option<Anchor>,
    /// The number that the next entry should have.
    next: u64,
    /// The hash of the one before it.
    tip: Hash,
    entries: u64,
    line: u64,
    /// Numbers below `next` that have not been seen.
    gaps: Vec<Range<u64>>,
    /// Lines since the last entry in order that are not genuine: where, and what they claim to be.
    strange: Vec<(u64, Option<u64>)>,
    /// The line that is not whole, and what it claims to be.
    torn: Option<(u64, Option<u64>)>,
    findings: Vec<Finding>,
    more: u64,
}

impl<'a> Check<'a> {
    fn new(key: &'a Key) -> Self {
        Self {
            key,
            head: None,
            anchor: None,
            next: 1,
            tip: Hash::ZERO,
            entries: 0,
            line: 0,
            gaps: Vec::new(),
            strange: Vec::new(),
            torn: None,
            findings: Vec::new(),
            more: 0,
        }
    }

    fn file(&mut self, file: &std::fs::File) -> std::io::Result<()> {
        let mut lines = Lines::from(file, 0)?;
        while let Some(raw) = lines.next()? {
            self.line += 1;
            match genuine(self.key, &raw.bytes) {
                _ if !raw.whole => self.torn = Some((self.line, claimed(&raw.bytes))),
                Some(place) => self.entry(place, &raw.bytes),
                None => self.strange.push((self.line, claimed(&raw.bytes))),
            }
        }
        Ok(())
    }

    /// A genuine entry: the only question is its place.
    fn entry(&mut self, place: Place, bytes: &[u8]) {
        let Place { seq, prev, hash, .. } = place;
        if seq < self.next {
            return self.late(seq);
        }
        if seq == self.next && prev != self.tip {
            let what = format!(
                "entry {seq} does not follow the one before it: one of them is from another history of the log"
            );
            self.add(Class::Inserted, (Some(seq), Some(self.line)), what);
        }
        for missing in self.settle(self.next..seq) {
            self.gaps.push(missing);
        }
        if self.head.is_some_and(|head| head.seq == seq && head.hash != hash) {
            let what = format!("entry {seq} is not the one that the head was sealed for");
            self.add(Class::Inserted, (Some(seq), Some(self.line)), what);
        }
        self.anchor.take_if(|anchor| anchor.seq == seq && anchor.hash == hash);
        self.entries += 1;
        (self.next, self.tip) = (seq + 1, hash);
        if place.tells_of_damage {
            let why = serde_json::from_slice::<Record>(bytes).map(|record| record.entry.why).unwrap_or_default();
            self.add(Class::Noted, (Some(seq), Some(self.line)), format!("entry {seq}: {why}"));
        }
    }

    /// An entry whose turn is over: moved here, or a copy.
    fn late(&mut self, seq: u64) {
        let Some(at) = self.gaps.iter().position(|gap| gap.contains(&seq)) else {
            let what = format!("line {} is a copy of entry {seq}", self.line);
            return self.add(Class::Inserted, (Some(seq), Some(self.line)), what);
        };
        let gap = self.gaps.swap_remove(at);
        self.gaps.extend([gap.start..seq, seq + 1..gap.end].into_iter().filter(|part| !part.is_empty()));
        self.entries += 1;
        let what = format!("entry {seq} was moved behind entry {}", self.next - 1);
        self.add(Class::Reordered, (Some(seq), Some(self.line)), what);
    }

    /// Tells changed entries from inserted lines among the strange ones, given which entries are missing where they stand. Returns
    /// those that are missing altogether.
    fn settle(&mut self, missing: Range<u64>) -> Vec<Range<u64>> {
        let strange = std::mem::take(&mut self.strange);
        let mut changed = BTreeSet::new();
        let mut others = Vec::new();
        for (line, claim) in strange {
            match claim.filter(|seq| missing.contains(seq) && changed.insert(*seq)) {
                Some(seq) => self.add(Class::Changed, (Some(seq), Some(line)), format!("entry {seq} was changed")),
                None => others.push(line),
            }
        }
        let mut free = missing.start;
        for line in others {
            while changed.contains(&free) {
                free += 1;
            }
            if missing.contains(&free) {
                changed.insert(free);
                self.add(Class::Changed, (Some(free), Some(line)), format!("entry {free} was changed"));
            } else {
                self.add(Class::Inserted, (None, Some(line)), format!("line {line} is no entry of this log"));
            }
        }
        let mut parts = Vec::new();
        let mut from = missing.start;
        for seq in changed.into_iter().chain([missing.end]) {
            if from < seq {
                parts.push(from..seq);
            }
            from = seq + 1;
        }
        parts
    }

    fn finish(mut self, head: Option<Head>) -> Report {
        // Without a head the lines themselves are all that tells how far the log went.
        let claims = self.strange.iter().filter_map(|(_, claim)| *claim);
        let end = match head {
            Some(head) => head.seq + 1,
            None => claims.filter(|seq| *seq < self.next + LISTED as u64).max().map_or(0, |seq| seq + 1),
        };
        let cut = self.settle(self.next..end.max(self.next));
        let mut is_cut_in_the_middle = false;
        for part in cut {
            let mut what = words(&part, "cut off at the end");
            if let Some((line, claim)) = self.torn.filter(|(_, claim)| claim.is_none_or(|seq| part.contains(&seq))) {
                is_cut_in_the_middle = true;
                what.push_str(&format!("; line {line} is what is left of entry {}", claim.unwrap_or(part.start)));
            }
            self.add_range(Class::CutOff, &part, what);
        }
        for gap in std::mem::take(&mut self.gaps) {
            let what = words(&gap, "removed");
            self.add_range(Class::Removed, &gap, what);
        }
        if let Some((line, _)) = self.torn.filter(|_| !is_cut_in_the_middle) {
            let what = format!(
                "line {line} is not whole: being written now, or left by a crash; nothing acknowledged is missing"
            );
            self.add(Class::Torn, (None, Some(line)), what);
        }
        if let Some(Anchor { seq, .. }) = self.anchor.take() {
            let what = format!("entry {seq} is not the one that was noted: this is another history of the log");
            self.add(Class::History, (Some(seq), None), what);
        }
        self.findings.sort_by_key(|finding| (finding.seq.or(finding.line), finding.class));
        let last = self.next - 1;
        Report { entries: self.entries, last, hash: self.tip.to_string(), findings: self.findings, more: self.more }
    }

    fn add_range(&mut self, class: Class, range: &Range<u64>, what: String) {
        self.add(class, (Some(range.start), None), what);
        if let Some(finding) =
            self.findings.last_mut().filter(|finding| finding.class == class && range.end - range.start > 1)
        {
            finding.through = Some(range.end - 1);
        }
    }

    fn add(&mut self, class: Class, at: (Option<u64>, Option<u64>), what: String) {
        if self.findings.len() < LISTED {
            self.findings.push(Finding { class, seq: at.0, through: None, line: at.1, what });
        } else {
            self.more += 1;
        }
    }
}

fn words(range: &Range<u64>, what: &str) -> String {
    match range.end - range.start {
        1 => format!("entry {} was {what}", range.start),
        _ => format!("entries {} to {} were {what}", range.start, range.end - 1),
    }
}
