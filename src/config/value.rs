//! Typed access to one TOML file whose errors know their place. Above: `read`. Below: the `toml` crate's spanned values.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, Problem};
use super::nearest;

/// One settings file: its name and text, to turn byte offsets into places.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Document<'_> {
    /// The error `problem` at byte `offset`.
    pub(super) fn wrong(&self, offset: usize, problem: Problem) -> ConfigError {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        let clamp = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let place = Place { file: self.path.to_owned(), line: clamp(line), column: clamp(column) };
        ConfigError::Wrong { place, problem: Box::new(problem) }
    }
}

/// One table. Each key asked for becomes a known one; [`Section::finish`] refuses the others.
pub(super) struct Section<'a> {
    document: Document<'a>,
    name: String,
    table: &'a DeTable<'a>,
    offset: usize,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub(super) fn root(document: Document<'a>, table: &'a DeTable<'a>) -> Self {
        Self { document, name: String::new(), table, offset: 0, known: RefCell::default() }
    }

    /// The dotted name, as in `[users.1001]`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The value of `key`, if it is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        self.known.borrow_mut().push(key);
        let value = self.table.get(key)?;
        Some(Value { document: self.document, key: key.to_owned(), value })
    }

    /// Replaces `target` by what `read` makes of `key`'s value, if it is there.
    pub(super) fn set<T>(
        &self,
        key: &'static str,
        target: &mut T,
        read: impl FnOnce(&Value<'a>) -> Result<T, ConfigError>,
    ) -> Result<(), ConfigError> {
        if let Some(value) = self.get(key) {
            *target = read(&value)?;
        }
        Ok(())
    }

    /// The table under `key`, if it is there.
    pub(super) fn section(&self, key: &'static str) -> Result<Option<Self>, ConfigError> {
        self.get(key).map(|value| value.section(&self.name)).transpose()
    }

    /// Every key with its value, for tables whose keys are names people choose.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let document = self.document;
        self.table.iter().map(move |(key, value)| {
            let key: &'a str = key.get_ref();
            (key, Value { document, key: key.to_owned(), value })
        })
    }

    /// The error `problem` about this table.
    pub(super) fn wrong(&self, problem: Problem) -> ConfigError {
        self.document.wrong(self.offset, problem)
    }

    /// The error that `key` is missing here.
    pub(super) fn missing(&self, key: &'static str) -> ConfigError {
        self.wrong(Problem::Missing { section: self.name.clone(), key })
    }

    /// Refuses the first key that was not asked for.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let known = self.known.into_inner();
        let unknown = self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let hint = nearest(key.get_ref(), known).map(str::to_owned);
        let problem = Problem::UnknownKey { key: key.get_ref().to_string(), section: self.name, hint };
        Err(self.document.wrong(key.span().start, problem))
    }
}

/// One value with its key and place.
pub(super) struct Value<'a> {
    document: Document<'a>,
    key: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    pub(super) fn section(&self, parent: &str) -> Result<Section<'a>, ConfigError> {
        let DeValue::Table(table) = self.value.get_ref() else { return Err(self.wrong_type("a table")) };
        let name = if parent.is_empty() { self.key.clone() } else { format!("{parent}.{}", self.key) };
        Ok(Section { document: self.document, name, table, offset: self.span().start, known: RefCell::default() })
    }

    pub(super) fn text(&self) -> Result<String, ConfigError> {
        self.str().map(str::to_owned)
    }

    pub(super) fn str(&self) -> Result<&'a str, ConfigError> {
        let DeValue::String(text) = self.value.get_ref() else { return Err(self.wrong_type("a string")) };
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(self.bad("control characters are not allowed"));
        }
        Ok(text)
    }

    /// A text of several lines.
    pub(super) fn block(&self) -> Result<String, ConfigError> {
        let DeValue::String(text) = self.value.get_ref() else { return Err(self.wrong_type("a string")) };
        if text.chars().any(|c| c.is_control() && !"\t\r\n".contains(c)) {
            return Err(self.bad("control characters are not allowed"));
        }
        Ok(text.to_string())
    }

    pub(super) fn bool(&self) -> Result<bool, ConfigError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    pub(super) fn integer(&self, allowed: RangeInclusive<u32>) -> Result<u32, ConfigError> {
        let DeValue::Integer(integer) = self.value.get_ref() else { return Err(self.wrong_type("a whole number")) };
        match i64::from_str_radix(integer.as_str(), integer.radix()).ok().and_then(|number| u32::try_from(number).ok())
        {
            Some(number) if allowed.contains(&number) => Ok(number),
            _ => Err(self.bad(format!("{} is not from {} to {}", integer.as_str(), allowed.start(), allowed.end()))),
        }
    }

    /// A string that `read` turns into a `T`, or says why not.
    pub(super) fn parse<T, E: ToString>(&self, read: impl FnOnce(&str) -> Result<T, E>) -> Result<T, ConfigError> {
        read(self.str()?).map_err(|why| self.bad(why.to_string()))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Result<T, ConfigError> {
        let found = self.str()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == found) {
            return Ok(*meaning);
        }
        let names = || words.iter().map(|(word, _)| *word);
        let hint = nearest(found, names()).map(str::to_owned);
        let allowed = names().collect::<Vec<_>>().join(", ");
        Err(self.wrong(Problem::UnknownWord { key: self.key.clone(), found: found.to_owned(), allowed, hint }))
    }

    pub(super) fn list<T>(&self, read: impl Fn(&Self) -> Result<T, ConfigError>) -> Result<Vec<T>, ConfigError> {
        let DeValue::Array(array) = self.value.get_ref() else { return Err(self.wrong_type("a list")) };
        let item = |value| Value { document: self.document, key: self.key.clone(), value };
        array.iter().map(|value| read(&item(value))).collect()
    }

    /// A list, or the one item of it without its brackets.
    pub(super) fn one_or_list<T>(&self, read: impl Fn(&Self) -> Result<T, ConfigError>) -> Result<Vec<T>, ConfigError> {
        if matches!(self.value.get_ref(), DeValue::Array(_)) { self.list(read) } else { Ok(vec![read(self)?]) }
    }

    pub(super) fn bad(&self, why: impl Into<String>) -> ConfigError {
        self.wrong(Problem::BadValue { key: self.key.clone(), why: why.into() })
    }

    pub(super) fn wrong(&self, problem: Problem) -> ConfigError {
        self.document.wrong(self.span().start, problem)
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    fn wrong_type(&self, expected: &'static str) -> ConfigError {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(Problem::WrongType { key: self.key.clone(), expected, found })
    }

    fn span(&self) -> Range<usize> {
        self.value.span()
    }
}
