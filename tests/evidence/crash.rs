//! The log under kill -9: every acknowledged entry is there under its number, and the chain is whole, however often a process that
//! appends is killed, and wherever.
//!
//! It is this test binary again, as a process of its own that runs the `child_` test below; without the folder in its environment
//! that has nothing to do. The short form kills a few times. A thousand times (minutes):
//!
//! ```sh
//! EVIDENCE_KILLS=1000 cargo test --test integration evidence::crash:: -- --nocapture
//! ```

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use wirechief::evidence::{Class, Entry, Event, EvidenceError, Log, verify};

use super::{log_in, records, told};

const FOLDER: &str = "EVIDENCE_CRASH_FOLDER";
const ROUND: &str = "EVIDENCE_CRASH_ROUND";
const WRITERS: usize = 4;
/// Kills of one log, before the next begins anew: its making is among what is killed.
const KILLS_PER_LOG: u64 = 10;

fn kills() -> u64 {
    std::env::var("EVIDENCE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(6)
}

/// A number that differs from round to round, and is the same in every run.
fn dice(round: u64) -> u64 {
    round.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

#[test]
fn child_that_appends() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let round = std::env::var(ROUND).unwrap();
    let log = Log::open(&log_in(folder.as_ref())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let (log, round) = (log.clone(), round.clone());
            writers.spawn(async move {
                for number in 0_usize.. {
                    let session = format!("{round}-{writer}-{number}");
                    let entry = |event, reason| Entry { session: session.clone(), reason, ..Entry::new(event) };
                    // Some are longer than a page.
                    let reason = "why ".repeat(number % 7 * 150);
                    let target = Some(wirechief::evidence::Person { uuid: "☂".repeat(900), ..Default::default() });
                    let target = target.filter(|_| number % 3 == 0);
                    let seq = log.append(Entry { target, ..entry(Event::Started, reason) }).await.unwrap();
                    // One line in one call: the last one may be cut, and is then not taken as acknowledged.
                    std::io::stdout().write_all(format!("ack {seq} {session} .\n").as_bytes()).unwrap();
                    log.note(entry(Event::Ended, String::new()));
                }
            });
        }
        writers.join_all().await;
    });
}

/// This binary again, running the child only.
fn child(folder: &Path, round: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "evidence::crash::child_that_appends", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(ROUND, round.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// What has been acknowledged: sessions by number.
#[derive(Default)]
struct Acknowledged(BTreeMap<u64, String>);

impl Acknowledged {
    fn note(&mut self, line: &str) {
        let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
        if let (Some(seq), Some(session), Some(".")) = (words.next(), words.next(), words.next()) {
            let before = self.0.insert(seq.parse().unwrap(), session.to_owned());
            assert_eq!(before, None, "{line}: a number is given twice");
        }
    }

    /// Takes note of so many lines.
    fn wait(&mut self, lines: &mut std::io::Lines<BufReader<ChildStdout>>, count: u64) {
        for _ in 0..count {
            self.note(&lines.next().expect("the child goes on until it is killed").unwrap());
        }
    }

    /// Every acknowledged entry is there, none twice, and the log is whole. Returns whether half a line was left.
    fn hold(&self, folder: &Path, round: u64) -> bool {
        let log = log_in(folder);
        let report = match verify(&log) {
            Err(EvidenceError::Missing { .. } | EvidenceError::KeyMissing { .. }) if self.0.is_empty() => return false,
            report => report.unwrap(),
        };
        assert!(report.is_whole(), "round {round}: {:?}", report.findings.iter().map(told).collect::<Vec<_>>());
        let all = records(&log);
        let mut seen = HashSet::new();
        for record in all.iter().filter(|record| !record.entry.session.is_empty()) {
            let is_new = seen.insert((record.entry.event, &record.entry.session));
            assert!(is_new, "round {round}: entry {} is there twice", record.seq);
        }
        let there: BTreeMap<u64, &String> = all.iter().map(|record| (record.seq, &record.entry.session)).collect();
        for (seq, session) in &self.0 {
            assert_eq!(there.get(seq), Some(&session), "round {round}: entry {seq} was acknowledged");
        }
        report.findings.iter().any(|finding| finding.class == Class::Torn)
    }
}

/// Somewhere within so many microseconds: the moment is what is tried here, so it is time that is waited for.
fn somewhere(round: u64, micros: u64) {
    std::thread::sleep(Duration::from_micros(dice(round ^ 0x55) % micros));
}

#[test]
fn every_acknowledged_entry_survives_kill_nine_and_the_chain_is_whole() {
    let mut home = crate::harness::folder();
    let mut acknowledged = Acknowledged::default();
    let (mut entries, mut torn) = (0, 0);
    for round in 0..kills() {
        if round % KILLS_PER_LOG == 0 {
            entries += acknowledged.0.len();
            (home, acknowledged) = (crate::harness::folder(), Acknowledged::default());
        }
        let mut child = child(home.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if round % KILLS_PER_LOG == 0 {
            // Perhaps before there is a log, or while it is made.
            somewhere(round, 50_000);
        } else {
            acknowledged.wait(&mut lines, 10 + dice(round) % 100);
            somewhere(round, 3_000);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| acknowledged.note(&line));
        torn += usize::from(acknowledged.hold(home.path(), round));
    }
    entries += acknowledged.0.len();
    println!("{} kills, {entries} entries acknowledged, none lost; half a line was left {torn} times", kills());
    assert!(entries > 0);
}
