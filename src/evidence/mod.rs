//! The log of supervision: who listened to whom, how, when, why and from where, refused attempts too. Append-only and hash-chained.
//!
//! Above: `call::supervision` puts an entry on record with [`Log::append`] and waits for it before anything is heard; `spy log` reads
//! with [`read`] and [`verify`]. Below: files beside each other, written by one thread.
//!
//! ```no_run
//! # async fn f() -> Result<(), wirechief::evidence::EvidenceError> {
//! use wirechief::evidence::{Entry, Event, Log};
//! let log = Log::open("spy.log".as_ref())?;
//! let entry = Entry { who: "1001".into(), mode: "listen".into(), ..Entry::new(Event::Started) };
//! let seq = log.append(entry).await?; // on the disk: now the supervisor may hear
//! log.note(Entry::new(Event::Ended)); // from a destructor: nobody waits
//! # Ok(()) }
//! ```
//!
//! # The form
//!
//! Four files; with `spy.log` as the log:
//!
//! | file | what |
//! |---|---|
//! | `spy.log` | one line of JSON per entry, each ended by LF |
//! | `spy.log.key` | the key: 64 hexadecimal digits (32 bytes) and LF; mode 0600, made once, never replaced |
//! | `spy.log.head` | the end of the log, sealed: one line of JSON |
//! | `spy.log.aside` | bytes that had to be taken out of the log, each time followed by LF; seldom there |
//!
//! A line begins with `{"seq":N,"time":"…",` and ends with `,"prev":"HEX","hash":"HEX"}`. `seq` counts from 1 without gaps. `prev` is
//! the `hash` of the line before, 64 zeros in the first. `hash` is HMAC-SHA-256, under the key, of the text `wirechief evidence entry
//! 1` and LF, followed by the bytes of the line from its `{` up to, and without, the last `,"hash":`. Hexadecimal letters are small.
//! The fields between are those of [`Entry`]; what is empty is left out. `time` is UTC (RFC 3339) to the millisecond and not part of
//! the order: clocks are set back. Controls and direction marks are written as escapes of JSON.
//!
//! The head is `{"seq":N,"size":BYTES,"hash":"HEX","seal":"HEX"}` and LF: number and hash of the last entry, and how many bytes the log
//! has with it; `seal` is HMAC-SHA-256 of `wirechief evidence head 1`, LF, and the bytes before `,"seal":`.
//!
//! Vectors for another implementation are in `tests/data/evidence`.
//!
//! # What it holds against
//!
//! Whoever can write the log but not read the key cannot change, remove, insert, copy or reorder an entry, nor cut off the end,
//! without [`verify`] naming it. Whoever has the key can write anything; keep it from those whom the log is about. Whoever can put
//! back older copies of log and head together makes a log that is whole, only older: against that, keep the number and hash that
//! `spy log verify` prints somewhere else, and ask later whether that entry is still there: an [`Anchor`].
//!
//! # Crashes, full disks, tampering
//!
//! An entry is acknowledged once the log is synced and the head replaced and synced. After kill -9 or a power failure there may be
//! whole entries behind the head, which are taken as they are, and half a line, which is moved to `spy.log.aside` and noted by a
//! `repaired` entry. A head that is ahead of the log never comes from a crash: entries were cut off. That, and everything else
//! found when the log is opened, is noted by a `damaged` entry, and the chain goes on from the head, so that the gap stays in sight
//! forever and supervision goes on. A running server trusts its own memory more than the head file, and looks at each batch whether
//! the file is still the one it wrote. When the disk is full or read-only nothing is written, the callers are told, and the next
//! entry tries again.
//!
//! The log is one file that grows, by about 500 bytes an entry; opening it reads its end only, verifying streams. To begin a new one,
//! stop the server and move all four files away together.

mod entry;
mod error;
mod files;
mod head;
mod lines;
mod log;
mod read;
mod seal;
mod tail;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use entry::{Entry, Event, Person, Record};
pub use error::EvidenceError;
pub use log::Log;
pub use read::{Wanted, read};
pub use verify::{Anchor, Class, Finding, Report, verify, verify_for};
