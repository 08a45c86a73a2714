//! The log: one line an event on stderr, text or JSON, with nothing from outside that a terminal would obey.
//! Above: a program starts it once. Below it stand all rooms' `tracing` events.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::common::Common;
use super::output::{shown, shown_in_json};
use crate::config::{LogFormat, LogLevel, LogSettings};

/// Starts the log of a server: its settings, raised by each `-v`, lowered by `-q`.
pub fn start(settings: LogSettings, common: &Common) {
    let level = if common.quiet { LevelFilter::ERROR } else { raised(level_of(settings.level), common.verbose) };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_timer(Clock { silent: under_journal() })
        .with_writer(move || Line(settings.format));
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // What the libraries below us say is of interest only when something is wrong with them.
    // That of the sound server calls the end of each session an error, and that of sound files each file that is none.
    let ours = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target("pulseaudio", LevelFilter::OFF)
        .with_target("symphonia", LevelFilter::OFF)
        .with_default(level.min(LevelFilter::WARN));
    // A second start, in a test, changes nothing.
    let _ = tracing_subscriber::registry().with(lines.with_filter(ours)).try_init();
}

/// Starts the log of a program that asks a server: only what went wrong, more with `-v`.
pub fn start_client(common: &Common) {
    start(LogSettings { level: LogLevel::Warn, format: LogFormat::Text }, common);
}

fn level_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn raised(level: LevelFilter, steps: u8) -> LevelFilter {
    match steps {
        0 => level,
        1 => level.max(LevelFilter::DEBUG),
        _ => LevelFilter::TRACE,
    }
}

/// Time stamps as in the documents: RFC 3339 in UTC with milliseconds.
struct Clock {
    /// The journal stamps lines itself.
    silent: bool,
}

impl FormatTime for Clock {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        if self.silent { Ok(()) } else { write!(to, "{:.3}", jiff::Timestamp::now()) }
    }
}

/// Whether stderr goes to the journal: `$JOURNAL_STREAM` is `device:inode` of the stream it gave us.
fn under_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(stderr) = rustix::io::dup(io::stderr()) else { return false };
    let stream_of = |facts: std::fs::Metadata| format!("{}:{}", facts.dev(), facts.ino());
    std::fs::File::from(stderr).metadata().is_ok_and(|facts| stream_of(facts) == stream)
}

/// Takes one whole event at a time and writes it as one line in one call.
struct Line(LogFormat);

impl Write for Line {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(one_line(event, self.0).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn one_line(event: &[u8], format: LogFormat) -> String {
    let text = String::from_utf8_lossy(event);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    match format {
        LogFormat::Text => format!("{}\n", shown(text)),
        LogFormat::Json => format!("{}\n", shown_in_json(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_that_no_terminal_obeys() {
        assert_eq!(one_line(b"INFO name=\x1b[2J\nroot\n", LogFormat::Text), "INFO name=\\x1b[2J\\x0aroot\n");
        assert_eq!(one_line("{\"a\":\"\u{202e}\"}\n".as_bytes(), LogFormat::Json), "{\"a\":\"\\u202e\"}\n");
    }

    #[test]
    fn each_v_raises_the_level_and_never_lowers_it() {
        assert_eq!(raised(LevelFilter::WARN, 0), LevelFilter::WARN);
        assert_eq!(raised(LevelFilter::TRACE, 1), LevelFilter::TRACE);
        assert_eq!(raised(LevelFilter::INFO, 1), LevelFilter::DEBUG);
        assert_eq!(raised(LevelFilter::INFO, 2), LevelFilter::TRACE);
    }
}
