//! A long list being printed: the first row at once, the others in chunks as they are read, none kept.
//! Above: `astdb show`, `find` and `log`, `rec ls`. Below: [`Output`].

use std::io;
use std::ops::ControlFlow;

use serde::Serialize;

use super::exit::Failure;
use super::output::{Output, shown_in_json};

/// Printed at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// The list: lines of text, or one JSON document.
pub(super) struct Rows<'a> {
    output: &'a Output,
    text: String,
    /// A row of the document on its way there.
    row: Vec<u8>,
    count: u64,
    failed: Option<Failure>,
}

impl<'a> Rows<'a> {
    /// Begins a list; as JSON, one of this schema, its rows in a field of this name.
    pub(super) fn begin(output: &'a Output, schema: &str, name: &str) -> Self {
        let text = if output.is_json() { format!("{{\"schema\":\"{schema}\",\"{name}\":[") } else { String::new() };
        Self { output, text, row: Vec::new(), count: 0, failed: None }
    }

    /// Adds a line, which is safe for a terminal and ends in a newline.
    pub(super) fn line(&mut self, line: &str) -> ControlFlow<()> {
        self.text.push_str(line);
        self.added()
    }

    /// Adds a row of the JSON document.
    pub(super) fn json(&mut self, row: &impl Serialize) -> ControlFlow<()> {
        if self.count > 0 {
            self.text.push(',');
        }
        self.row.clear();
        let written = serde_json::to_writer(&mut self.row, row).map_err(io::Error::from);
        match written.and_then(|()| std::str::from_utf8(&self.row).map_err(io::Error::other)) {
            Ok(text) => self.text.push_str(&shown_in_json(text)),
            Err(error) => self.failed = Some(error.into()),
        }
        self.added()
    }

    /// Ends the list, as text with this line: how many rows there were.
    pub(super) fn end(mut self, last: impl FnOnce(u64) -> String) -> Result<u64, Failure> {
        if self.output.is_json() {
            self.text.push_str("]}\n");
        } else {
            self.text.push_str(&last(self.count));
        }
        self.flush();
        self.failed.map_or(Ok(self.count), Err)
    }

    fn added(&mut self) -> ControlFlow<()> {
        self.count += 1;
        if self.count == 1 || self.text.len() >= CHUNK {
            self.flush();
        }
        if self.failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn flush(&mut self) {
        if self.failed.is_none()
            && let Err(failure) = self.output.raw(&self.text)
        {
            self.failed = Some(failure);
        }
        self.text.clear();
    }
}
