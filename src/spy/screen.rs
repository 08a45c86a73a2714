//! What a session tells its user: a status line on a terminal, plain lines in a log, JSON lines for programs, or nothing.
//! Above: `session`. Below: `words`. Whatever it did to the terminal is undone when it is dropped.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crossterm::cursor::{MoveToColumn, MoveUp};
use crossterm::queue;
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType};
use serde_json::{Value, json};

use super::keys::KeySource;
use super::words::{self, View};

/// How long a passing message stays in the status line.
const NOTICE: Duration = Duration::from_secs(3);
/// A terminal that does not tell its width.
const COLUMNS: usize = 80;

/// How a session speaks to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A status line on stderr, which is a terminal.
    Live,
    /// One line an event on stderr.
    Lines,
    /// One JSON object an event, on stdout.
    JsonOut,
    /// One JSON object an event, on stderr, because stdout carries sound.
    JsonErr,
    /// Nothing.
    Quiet,
}

/// Something worth telling.
#[derive(Clone, Debug)]
pub struct Told {
    /// For people, without control characters.
    pub text: String,
    /// For programs: an object with `event`.
    pub json: Value,
}

/// The user's side of a session.
pub struct Screen {
    style: Style,
    /// Raw mode is on and has to go off.
    raw: bool,
    notice: Option<(String, Instant)>,
    /// How wide the status line was drawn, and on how many columns.
    drawn: (usize, usize),
}

impl Screen {
    /// Begins to show; keys from the terminal need raw mode, which holds until the drop.
    ///
    /// # Errors
    ///
    /// When the terminal does not take raw mode.
    pub fn open(style: Style, keys: KeySource) -> io::Result<Self> {
        let raw = keys == KeySource::Terminal;
        if raw {
            terminal::enable_raw_mode()?;
        }
        Ok(Self { style, raw, notice: None, drawn: (0, COLUMNS) })
    }

    /// Tells an event.
    ///
    /// # Errors
    ///
    /// When stdout or stderr is gone.
    pub fn tell(&mut self, told: &Told) -> io::Result<()> {
        match self.style {
            Style::Quiet => Ok(()),
            Style::JsonOut => writeln!(io::stdout(), "{}", words::clean_json(&told.json.to_string())),
            Style::JsonErr => self.line(&words::clean_json(&told.json.to_string())),
            Style::Live | Style::Lines => self.line(&format!("spy: {}", told.text)),
        }
    }

    /// Tells what passes: on a terminal for some seconds in the status line, else as a line.
    ///
    /// # Errors
    ///
    /// When stdout or stderr is gone.
    pub fn notice(&mut self, text: &str, now: Instant) -> io::Result<()> {
        if self.style == Style::Live {
            self.notice = Some((words::clean(text), now));
            return Ok(());
        }
        self.tell(&Told { text: words::clean(text), json: json!({"event": "notice", "message": text}) })
    }

    /// Draws the status line, where there is one.
    ///
    /// # Errors
    ///
    /// When stderr is gone.
    pub fn draw(&mut self, view: &View<'_>, now: Instant) -> io::Result<()> {
        if self.style != Style::Live {
            return Ok(());
        }
        if self.notice.as_ref().is_some_and(|(_, since)| now.duration_since(*since) > NOTICE) {
            self.notice = None;
        }
        // The last column stays free: a character there may wrap the line.
        let all_columns = terminal::size().map_or(COLUMNS, |(columns, _)| usize::from(columns)).max(2);
        let columns = all_columns - 1;
        let view = View { notice: self.notice.as_ref().map(|(text, _)| text.as_str()), ..*view };
        let mut stderr = io::stderr().lock();
        let (width, columns_before) = self.drawn;
        if all_columns < columns_before {
            // A line that no longer fits was folded by the terminal: its upper parts would stay.
            let folds = width.saturating_sub(1) / all_columns;
            queue!(stderr, MoveToColumn(0))?;
            if folds > 0 {
                queue!(stderr, MoveUp(u16::try_from(folds).unwrap_or(u16::MAX)))?;
            }
            queue!(stderr, Clear(ClearType::FromCursorDown))?;
        }
        let line = words::status_line(&view, columns);
        self.drawn = (words::width(&line), all_columns);
        queue!(stderr, MoveToColumn(0), Print(line), Clear(ClearType::UntilNewLine))?;
        stderr.flush()
    }

    /// A line of its own; the status line is drawn again below it.
    fn line(&self, text: &str) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        if self.style == Style::Live {
            queue!(stderr, MoveToColumn(0), Clear(ClearType::CurrentLine))?;
        }
        // In raw mode a line feed alone does not return to the first column.
        let end = if self.raw { "\r\n" } else { "\n" };
        write!(stderr, "{text}{end}")?;
        stderr.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.style == Style::Live {
            let _ = queue!(io::stderr(), MoveToColumn(0), Clear(ClearType::CurrentLine));
            let _ = io::stderr().flush();
        }
        if self.raw {
            let _ = terminal::disable_raw_mode();
        }
    }
}

/// Whether this process may use its terminal: a background job that touches it is stopped by the kernel.
pub fn is_in_foreground() -> bool {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(&terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Whether a status line can be drawn on stderr.
pub fn can_draw() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && is_in_foreground()
}
