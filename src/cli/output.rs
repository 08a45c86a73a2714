//! What a command prints: tables, JSON documents, lines and errors, with nothing from outside that a terminal would obey.
//! Above: every command. Results go to stdout, everything else to stderr.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

use super::exit::{Done, Exit, Failure};
use crate::control::protocol::Fault;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    fn on(self, terminal: bool) -> bool {
        let plain = || {
            std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
        };
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => terminal && !plain(),
        }
    }
}

/// Tables and lines, or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How much a command says besides its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Nothing but errors.
    Quiet,
    /// What a person wants to know.
    Normal,
}

/// Where a command prints.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The program's name, in front of its errors.
    pub tool: &'static str,
    /// Text or JSON.
    pub form: Form,
    /// Whether notes are printed.
    pub talk: Talk,
    /// When to colour.
    pub colour: Colour,
}

#[derive(Serialize)]
struct Document<'a, T> {
    schema: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: &'a Fault,
}

impl Output {
    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Whether a person is watching stdout.
    pub fn on_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Prints one document, `schema` its first field; `body` is a struct or a map.
    ///
    /// # Errors
    /// Writing failed.
    pub fn document<T: Serialize>(&self, schema: &str, body: &T) -> Result<(), Failure> {
        self.json_line(&Document { schema, body })
    }

    /// Prints one value as one line of JSON.
    ///
    /// # Errors
    /// Writing failed.
    pub fn json_line<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(io::Error::from)?;
        self.raw(&format!("{}\n", shown_in_json(&text)))
    }

    /// Prints a line; what a terminal would obey is escaped.
    ///
    /// # Errors
    /// Writing failed.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        self.raw(&format!("{}\n", shown(text)))
    }

    /// Prints `text` as it is: ours, or already made safe.
    ///
    /// # Errors
    /// Writing failed.
    pub fn raw(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Prints a table: arranged to the terminal's width, or in plain aligned columns into a pipe.
    ///
    /// # Errors
    /// Writing failed.
    pub fn table(&self, header: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        let terminal = self.on_terminal();
        let width = if terminal { terminal_width() } else { None };
        let text = table_text(header, rows, Style { width, bold: self.colour.on(terminal) });
        self.raw(&text)
    }

    /// Tells a person something on stderr, unless quiet.
    pub fn note(&self, text: &str) {
        if self.talk == Talk::Normal {
            let _ = writeln!(io::stderr(), "{}", shown(text));
        }
    }

    /// Prints what ended a command and returns its exit code.
    pub fn ended(&self, done: Done) -> Exit {
        match done {
            Ok(exit) | Err(Failure::Silent(exit)) => exit,
            Err(Failure::ClosedPipe) => Exit::Ok,
            Err(Failure::Fault(fault)) => {
                self.fault(&fault);
                fault.code.into()
            }
        }
    }

    /// Prints an error: one line and, unless quiet, at most a hint; or one JSON object.
    pub fn fault(&self, fault: &Fault) {
        let text = match self.form {
            Form::Json => serde_json::to_string(&ErrorDocument { error: fault })
                .map(|text| format!("{}\n", shown_in_json(&text)))
                .unwrap_or_default(),
            // Cron sends what is printed by mail: one line says it.
            Form::Text if self.talk == Talk::Quiet => {
                let fault = Fault { hint: None, ..fault.clone() };
                fault_text(self.tool, &fault, self.colour.on(io::stderr().is_terminal()))
            }
            Form::Text => fault_text(self.tool, fault, self.colour.on(io::stderr().is_terminal())),
        };
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

fn fault_text(tool: &str, fault: &Fault, coloured: bool) -> String {
    let (red, plain) = if coloured { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    let mut text = format!("{red}{tool}:{plain} {}\n", shown(&fault.message));
    if let Some(hint) = &fault.hint {
        let _ = writeln!(text, "hint: {}", shown(hint));
    }
    text
}

#[derive(Clone, Copy)]
struct Style {
    /// Columns of the terminal; none: nothing is wrapped.
    width: Option<u16>,
    bold: bool,
}

fn terminal_width() -> Option<u16> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col).filter(|width| *width > 0)
}

fn table_text(header: &[&str], rows: &[Vec<String>], style: Style) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = style.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    if style.bold {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(header.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for row in rows {
        // An empty cell would shift the columns of those who split at blanks.
        table.add_row(row.iter().map(|text| if text.is_empty() { Cow::Borrowed("-") } else { shown(text) }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // The first column names the row, to be copied whole.
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The text with control characters and direction marks made visible: `\x1b`, `\u{202e}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |character, out| {
        let code = u32::from(character);
        let _ = if code < 0x100 { write!(out, "\\x{code:02x}") } else { write!(out, "\\u{{{code:x}}}") };
    })
}

/// The same for text that is JSON: such characters stand only within its strings, where JSON has its own escape.
pub(super) fn shown_in_json(text: &str) -> Cow<'_, str> {
    escaped(text, |character, out| {
        let _ = write!(out, "\\u{:04x}", u32::from(character));
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    // Nearly all text is plain; bytes are looked at much faster than characters.
    if is_plain(text) || !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_obeyed(character) { escape(character, &mut out) } else { out.push(character) }
    }
    Cow::Owned(out)
}

/// Whether a text is of printable ASCII alone: shown as it is, a column for each byte.
pub(super) fn is_plain(text: &str) -> bool {
    // Without an early end many bytes are looked at together.
    text.bytes().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~'))
}

/// Whether a terminal or a reader's eye would be led astray: controls, line separators, and marks of Unicode's bidirectional algorithm (UAX 9).
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::FaultCode;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_made_visible() {
        assert_eq!(shown("a\x1b[31mb\u{7f}\u{9b}\n"), r"a\x1b[31mb\x7f\x9b\x0a");
        assert_eq!(shown("\u{202e}evil\u{2066}"), r"\u{202e}evil\u{2066}");
        assert_eq!(shown("Zoë 日本"), "Zoë 日本");
    }

    #[test]
    fn json_stays_json_and_keeps_its_meaning() {
        let value = serde_json::json!({"name": "\u{202e}\u{9b}\x1b"});
        let text = value.to_string();
        let safe = shown_in_json(&text);
        assert!(!safe.chars().any(is_obeyed));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    #[test]
    fn an_error_is_one_line_and_a_hint_another() {
        let fault = Fault::new(FaultCode::NotFound, "abc\n: no such call").hint("see `pbx calls`");
        assert_eq!(fault_text("pbx", &fault, false), "pbx: abc\\x0a: no such call\nhint: see `pbx calls`\n");
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let rows = [vec!["1".to_owned(), "a\x07".to_owned()], vec!["12345".to_owned(), String::new()]];
        let text = table_text(&["N", "NAME"], &rows, Style { width: None, bold: false });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].find("NAME"), lines[1].find(r"a\x07"));
        assert!(lines.iter().all(|line| *line == line.trim()), "{text:?}");
        assert!(lines[2].ends_with(" -"), "an empty cell keeps its place: {text:?}");
    }

    #[test]
    fn on_a_narrow_terminal_all_columns_but_the_first_are_wrapped() {
        let rows = [vec!["0123456789".to_owned(), "a word and another and one more".to_owned()]];
        let text = table_text(&["N", "WORDS"], &rows, Style { width: Some(30), bold: true });
        assert!(text.contains("\x1b[1m") && text.contains("0123456789") && text.lines().count() > 2, "{text:?}");
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= 30), "{text:?}");
    }

    proptest! {
        #[test]
        fn nothing_shown_can_be_obeyed(text: String) {
            prop_assert!(!shown(&text).chars().any(is_obeyed));
        }
    }
}
