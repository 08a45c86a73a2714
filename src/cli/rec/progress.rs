//! Bars for uploads, where a person is watching: one for all, one for each upload under way.
//! Above: `rec push`. Below: the run tells what it does.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::{Output, Talk, shown};
use crate::outbox::Outbox;
use crate::outbox::RecordingId;
use crate::outbox::push::{Event, Item, Outcome, Watcher};

/// How often the sign of life turns.
const BEAT: Duration = Duration::from_millis(120);

type Key = (RecordingId, u32, String);

/// The bars; none of them is drawn where nobody watches.
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    each: Mutex<HashMap<Key, ProgressBar>>,
}

impl Bars {
    /// Bars for what waits in the outbox.
    pub(super) fn new(output: &Output, outbox: &Outbox) -> Self {
        let target = if watched(output) { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let all = MultiProgress::with_draw_target(target);
        // Only a picture: a queue that cannot be counted is told of by the run itself, and one that nobody looks at is not counted.
        let remotes = if all.is_hidden() { Vec::new() } else { outbox.remotes().unwrap_or_default() };
        let waiting = remotes.iter().map(|remote| remote.waiting).sum();
        let total = all
            .add(ProgressBar::new(waiting).with_style(style("{spinner} {pos}/{len} delivered {wide_bar} {elapsed}")));
        if !all.is_hidden() {
            total.enable_steady_tick(BEAT);
        }
        Self { all, total, each: Mutex::default() }
    }

    /// Takes them away.
    pub(super) fn end(&self) {
        self.total.finish_and_clear();
        // The picture only: it fails where the terminal is gone.
        let _ = self.all.clear();
    }

    fn with(&self, item: &Item, act: impl FnOnce(&mut HashMap<Key, ProgressBar>, Key)) {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut each, (item.id, item.part, item.remote.clone()));
    }
}

impl Watcher for Bars {
    fn event(&self, event: &Event<'_>) {
        if self.all.is_hidden() {
            return;
        }
        match event {
            Event::Started(item) => self.with(item, |each, key| {
                let bar = ProgressBar::new(item.size)
                    .with_style(style("  {bytes:>10}/{total_bytes:<10} {bytes_per_sec:>12} {wide_bar} {msg}"))
                    .with_message(format!("{} → {}", shown(&item.file), shown(&item.remote)));
                each.insert(key, self.all.add(bar));
            }),
            Event::Sent(item, bytes) => self.with(item, |each, key| {
                if let Some(bar) = each.get(&key) {
                    bar.inc(*bytes);
                }
            }),
            Event::Ended(item, outcome) => self.with(item, |each, key| {
                if let Some(bar) = each.remove(&key) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
                if matches!(outcome, Outcome::Delivered) {
                    self.total.inc(1);
                }
            }),
        }
    }
}

/// Whether a person sees stderr, and wants it to move.
fn watched(output: &Output) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let plain = set("NO_COLOR").is_some() || set("TERM").is_none_or(|term| term == "dumb");
    output.talk == Talk::Normal && !output.is_json() && io::stderr().is_terminal() && !plain
}

fn style(template: &str) -> ProgressStyle {
    // Ours are right; the usual one stands in for one that is not.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
