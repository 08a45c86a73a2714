//! The log of supervision from outside: its vectors, a second implementation, and kill -9.

mod crash;
mod vectors;

use std::path::{Path, PathBuf};

use wirechief::evidence::{Finding, Record, Wanted, read};

fn log_in(folder: &Path) -> PathBuf {
    folder.join("spy.log")
}

fn records(log: &Path) -> Vec<Record> {
    let mut all = Vec::new();
    read(log, &Wanted::default(), |record| {
        all.push(record);
        true
    })
    .expect("a log");
    all
}

/// A finding as the vectors have it: class, first entry, last entry.
fn told(finding: &Finding) -> String {
    let numbers = [finding.seq, finding.through].into_iter().flatten().map(|seq| format!(" {seq}"));
    [finding.class.word().to_owned()].into_iter().chain(numbers).collect()
}
