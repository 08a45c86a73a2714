//! Mutated messages into the codec and into live stacks: no panic, no 500 but those the RFC demands, nothing left behind.
//!
//! The short form runs with every `cargo test`. The long form says how far it is, and in the end what came of it all:
//!
//! ```sh
//! WIRECHIEF_MUTATIONS=10000000 cargo test --release --test integration mutated
//! ```
//!
//! Every round follows from its number alone, whichever thread runs it; one that fails names the command that repeats it.

mod change;
mod world;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use world::{Tally, World};

/// Mutated messages of the short form: a few seconds without optimisation.
const SHORT: u64 = 50_000;

/// Mutated messages in one round, that is, in one life of two stacks.
const PER_ROUND: u64 = 250;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.replace('_', "").parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The messages of RFC 4475 and RFC 5118, in order of their names.
fn fixtures() -> Vec<Vec<u8>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let folders = ["rfc4475", "rfc5118"].map(|folder| std::fs::read_dir(data.join(folder)).expect(folder));
    let mut paths: Vec<_> = folders.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a message")).collect()
}

/// What the threads share.
struct Run {
    fixtures: Vec<Vec<u8>>,
    rounds: u64,
    next: AtomicU64,
    done: AtomicU64,
    aloud: bool,
    tally: Mutex<Tally>,
}

impl Run {
    /// Takes one round after the other until none is left, or one has failed.
    fn work(&self) -> Result<(), u64> {
        loop {
            let round = self.next.fetch_add(1, Ordering::Relaxed);
            if round >= self.rounds {
                return Ok(());
            }
            let Ok(tally) = catch_unwind(AssertUnwindSafe(|| World::live(round, PER_ROUND, &self.fixtures))) else {
                self.next.store(self.rounds, Ordering::Relaxed);
                return Err(round);
            };
            self.tally.lock().expect("no panic under the lock").add(tally);
            self.report(self.done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    }

    /// Says how far the long form is, each hundredth part; past the harness, which would hold it back.
    fn report(&self, done: u64) {
        let percent = |done: u64| done * 100 / self.rounds;
        if self.aloud && percent(done) != percent(done - 1) {
            let _ =
                writeln!(std::io::stderr(), "{:3} % of {} mutated messages", percent(done), self.rounds * PER_ROUND);
        }
    }
}

#[test]
fn mutated_messages_bring_no_panic_no_500_and_leave_nothing_behind() {
    if let Some(round) = number("WIRECHIEF_MUTATED_ROUND") {
        World::live(round, PER_ROUND, &fixtures());
        return;
    }
    let wanted = number("WIRECHIEF_MUTATIONS");
    let run = Run {
        fixtures: fixtures(),
        rounds: wanted.unwrap_or(SHORT).div_ceil(PER_ROUND),
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        aloud: wanted.is_some(),
        tally: Mutex::default(),
    };
    let begin = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| run.work())).collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("panics are caught").err()).collect()
    });
    for round in &failed {
        let _ =
            writeln!(std::io::stderr(), "again: WIRECHIEF_MUTATED_ROUND={round} cargo test --test integration mutated");
    }
    assert!(failed.is_empty(), "failed rounds: {failed:?}");
    let tally = run.tally.into_inner().expect("no panic under the lock");
    let summary = format!("{tally}, {threads} threads, {:.1} s\n", begin.elapsed().as_secs_f64());
    if run.aloud {
        let _ = std::io::stderr().write_all(summary.as_bytes());
    } else {
        print!("{summary}");
    }
    tally.is_telling();
}

/// A round of the long form that once failed: it left a re-INVITE open that was answered 100 and no more.
#[test]
fn a_mutated_round_that_once_failed_passes() {
    World::live(11_177, PER_ROUND, &fixtures());
}
