//! Repair of an Ogg Opus file that a crash or a power failure left: half a page at its end is cut off, and the last whole one marked as
//! such. Above: `repair`. Below: `disk`, `audio::ogg`. Idempotent.

use std::io;

use crate::audio::ogg::{self, CLOCK_HZ, Head, LARGEST_PAGE, Page};
use crate::recorder::disk::Medium;
use crate::recorder::repair::Repaired;

/// What is known of the pages so far.
#[derive(Default)]
struct Seen {
    head: Option<Head>,
    serial: u32,
    number: u32,
    position: u64,
    /// The newest page: where it lies and how long it is, and whether it is marked as the last.
    newest: (u64, usize),
    is_ended: bool,
}

/// Mends a file of so many bytes; `None` where it has no head of Ogg Opus.
pub(in crate::recorder) fn mend(medium: &mut dyn Medium, length: u64) -> io::Result<Option<Repaired>> {
    let (seen, end) = walk(medium, length)?;
    let Some(head) = seen.head else { return Ok(None) };
    let frames = seen.position.saturating_sub(head.pre_skip.into());
    let mut repaired = Repaired {
        format: "opus",
        rate_hz: CLOCK_HZ,
        channels: head.channels.into(),
        frames,
        bytes: end,
        changed: false,
    };
    if end < length {
        medium.set_length(end)?;
        repaired.changed = true;
    }
    if !seen.is_ended {
        let (at, length) = seen.newest;
        let mut page = medium.read_at(at, length)?;
        ogg::end_at(&mut page, seen.position);
        medium.write_at(&page, at)?;
        repaired.changed = true;
    }
    Ok(Some(repaired))
}

/// Looks at every page; what they are, and where the last one ends. One that is damaged, with whole ones behind it, is passed over: what
/// was said later is not given up for it.
fn walk(medium: &dyn Medium, length: u64) -> io::Result<(Seen, u64)> {
    let (mut seen, mut at, mut end) = (Seen::default(), 0, 0);
    while at < length {
        let window = medium.read_at(at, 2 * LARGEST_PAGE)?;
        let mut done = 0;
        while let Ok((page, taken)) = Page::parse(&window[done..]) {
            if !seen.take(&page) {
                break;
            }
            seen.newest = (at + done as u64, taken);
            done += taken;
            end = at + done as u64;
        }
        if seen.head.is_none() {
            break;
        }
        if done == 0 {
            // The next place where a page may begin.
            let next = memchr::memmem::find(window.get(1..).unwrap_or_default(), b"OggS");
            done = next.map_or(window.len().saturating_sub(3), |next| next + 1).max(1);
        }
        at += done as u64;
    }
    Ok((seen, end))
}

impl Seen {
    /// Whether a page goes on with what was seen.
    fn take(&mut self, page: &Page<'_>) -> bool {
        match &self.head {
            None => {
                self.head = page.packets().next().filter(|_| page.is_first).and_then(|(packet, _)| Head::parse(packet));
                (self.serial, self.number) = (page.serial, page.number);
                self.head.is_some()
            }
            Some(_) => {
                if page.serial != self.serial || page.is_first {
                    return false;
                }
                // −1: no packet ends there.
                let position = if page.position == u64::MAX { self.position } else { page.position };
                // A write that failed may have left some that were written again.
                if page.number <= self.number || position < self.position {
                    return false;
                }
                (self.number, self.position) = (page.number, position);
                self.is_ended = page.is_last;
                true
            }
        }
    }
}
