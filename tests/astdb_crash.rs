//! The store under kill -9: whatever was acknowledged is there, and nothing is half written.
//!
//! The writer is this test binary again, as a process of its own that runs one of the `child_` tests below; without the folder in
//! its environment such a test has nothing to do. `ASTDB_KILLS=1000` makes the long run.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wirechief::astdb::{Setup, Store};

const FOLDER: &str = "ASTDB_CRASH_FOLDER";
const WRITERS: usize = 4;

fn store(folder: &Path) -> Store {
    Store::new(Setup::new(folder.join("astdb.sqlite3"), folder.join("astdb.key"), "crash"))
}

fn kills() -> u64 {
    std::env::var("ASTDB_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(6)
}

fn folder_of_child() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// This binary again, running one test only.
fn child(folder: &Path, test: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(FOLDER, folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// A number that differs from round to round, and is the same in every run.
fn dice(round: u64) -> u64 {
    round.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

#[test]
fn child_that_puts() {
    let Some(folder) = folder_of_child() else { return };
    let store = store(&folder);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = store.clone();
            scope.spawn(move || {
                let key = format!("w{writer}");
                let begin = store.get("load", &key).unwrap().map_or(0, |old| old.text().parse().unwrap());
                for number in begin + 1..u64::MAX {
                    store.put_blocking("load", &key, number.to_string()).unwrap();
                    // One line in one call: the last one may be cut, and is then not taken as acknowledged.
                    std::io::stdout().write_all(format!("ack {writer} {number}\n").as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn child_that_rotates() {
    let Some(folder) = folder_of_child() else { return };
    let store = store(&folder);
    std::io::stdout().write_all(b"ack begin\n").unwrap();
    loop {
        store.rotate(None).unwrap();
    }
}

#[test]
fn every_acknowledged_put_survives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = [0_u64; WRITERS];
    for round in 0..kills() {
        let mut child = child(folder.path(), "astdb_crash::child_that_puts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = |line: &str| {
            let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
            if let (Some(writer), Some(number)) = (words.next(), words.next()) {
                last[writer.parse::<usize>().unwrap()] = number.parse().unwrap();
            }
        };
        for _ in 0..20 + dice(round) % 200 {
            acknowledged(&lines.next().expect("the writer goes on until it is killed").unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| acknowledged(&line));
        let store = store(folder.path());
        for (writer, number) in last.iter().enumerate() {
            let found = store.get("load", &format!("w{writer}")).unwrap();
            let found: u64 = found.map_or(0, |value| value.text().parse().unwrap());
            assert!(
                found >= *number && found <= number + 1,
                "round {round}: {number} was acknowledged, {found} is there"
            );
        }
        let verified = store.verify().unwrap();
        assert!(verified.problems.is_empty(), "round {round}: {:?}", verified.problems);
    }
}

#[test]
fn a_rotation_killed_anywhere_loses_nothing_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let entries = 700;
    let first = store(folder.path());
    let puts: Vec<String> =
        (0..entries).map(|n| format!("{{\"family\":\"load\",\"key\":\"{n}\",\"value\":\"v{n}\"}}")).collect();
    let dump = format!("{{\"schema\":\"astdb.dump/1\",\"sealed\":false}}\n{}\n", puts.join("\n"));
    first.load(&mut dump.as_bytes(), wirechief::astdb::Load::Merge).unwrap();
    drop(first);
    for round in 0..kills() {
        let mut child = child(folder.path(), "astdb_crash::child_that_rotates");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines.next().expect("the child begins").unwrap().contains("ack begin") {}
        // Somewhere in the rotation: the moment is what is tried here, so it is time that is waited for.
        std::thread::sleep(Duration::from_micros(dice(round) % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = store(folder.path());
        for n in (0..entries).step_by(7) {
            let value = store.get("load", &n.to_string()).unwrap().expect("an entry");
            assert_eq!(value.text(), format!("v{n}"), "round {round}");
        }
        let verified = store.verify().unwrap();
        assert!(verified.problems.is_empty(), "round {round}: {:?}", verified.problems);
    }
    let store = store(folder.path());
    store.rotate(None).unwrap();
    assert_eq!(store.generations().unwrap().len(), 1);
    assert!(store.verify().unwrap().problems.is_empty());
}
