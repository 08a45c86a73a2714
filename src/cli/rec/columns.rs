//! A table of any length: a short one is arranged as all tables are, a long one goes on in columns as wide as its beginning.
//! Above: `rec ls`. Below: [`Output`].

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use crate::cli::exit::Failure;
use crate::cli::output::{Output, is_plain, shown};

/// So many rows are looked at before the first is printed.
const BEGINNING: usize = 1_000;
/// Printed at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// Blanks between two columns.
const SPACE: usize = 2;
/// To fill columns with.
const BLANKS: &str = "                                                                ";

/// The table.
pub(super) struct Columns<'a> {
    output: &'a Output,
    header: &'a [&'a str],
    beginning: Vec<Vec<String>>,
    /// Of each column, once the beginning is over.
    widths: Vec<usize>,
    text: String,
}

impl<'a> Columns<'a> {
    /// Begins a table with these titles.
    pub(super) fn begin(output: &'a Output, header: &'a [&'a str]) -> Self {
        Self { output, header, beginning: Vec::new(), widths: Vec::new(), text: String::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, row: &[&str]) -> Result<(), Failure> {
        if !self.widths.is_empty() {
            self.line(row);
            return if self.text.len() < CHUNK { Ok(()) } else { self.flush() };
        }
        self.beginning.push(row.iter().map(|cell| (*cell).to_owned()).collect());
        if self.beginning.len() <= BEGINNING {
            return Ok(());
        }
        let beginning = std::mem::take(&mut self.beginning);
        let titles: Vec<String> = self.header.iter().map(|title| (*title).to_owned()).collect();
        self.widths = (0..titles.len()).map(|at| widest(std::iter::once(&titles).chain(&beginning), at)).collect();
        self.line(&titles);
        beginning.iter().for_each(|row| self.line(row));
        self.flush()
    }

    /// Prints what is left.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        if self.widths.is_empty() { self.output.table(self.header, &self.beginning) } else { self.flush() }
    }

    fn line(&mut self, row: &[impl AsRef<str>]) {
        let begin = self.text.len();
        self.cells(row.iter().map(|cell| cell.as_ref().into()), str::len);
        // Nearly all lines are plain: looked at once, and not cell by cell.
        if !is_plain(self.text.get(begin..).unwrap_or_default()) {
            self.text.truncate(begin);
            self.cells(row.iter().map(|cell| shown(cell.as_ref())), width);
        }
        self.text.push('\n');
    }

    fn cells<'t>(&mut self, cells: impl Iterator<Item = Cow<'t, str>>, width: impl Fn(&str) -> usize) {
        let mut owed = 0;
        for (cell, broad) in cells.zip(&self.widths) {
            // An empty cell would shift the columns of those who split at blanks.
            let cell = if cell.is_empty() { "-" } else { &*cell };
            let end = self.text.len() + owed;
            while self.text.len() < end {
                self.text.push_str(BLANKS.get(..end - self.text.len()).unwrap_or(BLANKS));
            }
            self.text.push_str(cell);
            owed = broad.saturating_sub(width(cell)) + SPACE;
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let printed = self.output.raw(&self.text);
        self.text.clear();
        printed
    }
}

/// Columns of a terminal that a text takes which is fit to be shown.
fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

fn widest<'a>(rows: impl Iterator<Item = &'a Vec<String>>, at: usize) -> usize {
    rows.filter_map(|row| row.get(at)).map(|cell| width(&shown(cell))).max().unwrap_or(0)
}
