//! The store under kill -9: whatever was acknowledged is there, and nothing is half written, however often the processes that put
//! and the one that changes the key are killed, and wherever.
//!
//! They are this test binary again, as processes of their own that run one of the `child_` tests below; without the folder in its
//! environment such a test has nothing to do. The short form kills a few times. A thousand times under load, and a thousand times
//! in a rotation under load (minutes):
//!
//! ```sh
//! ASTDB_KILLS=1000 cargo test --test integration astdb_crash:: -- --nocapture
//! ```

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use wirechief::astdb::{Setup, Store};

const FOLDER: &str = "ASTDB_CRASH_FOLDER";
const WRITERS: usize = 4;
/// Kills of one store, before the next begins anew: its making is among what is killed.
const KILLS_PER_STORE: u64 = 10;
/// Entries that nobody changes, for the rotation to have something to do.
const RESTING: u64 = 400;

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
    loop {
        std::io::stdout().write_all(b"ack begin\n").unwrap();
        store.rotate(None).unwrap();
        std::io::stdout().write_all(b"ack end\n").unwrap();
    }
}

/// What has been acknowledged, writer by writer.
#[derive(Default)]
struct Acknowledged([u64; WRITERS]);

impl Acknowledged {
    fn note(&mut self, line: &str) {
        let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
        if let (Some(writer), Some(number)) = (words.next(), words.next()) {
            self.0[writer.parse::<usize>().unwrap()] = number.parse().unwrap();
        }
    }

    /// Takes note of so many lines.
    fn wait(&mut self, lines: &mut std::io::Lines<BufReader<ChildStdout>>, count: u64) {
        for _ in 0..count {
            self.note(&lines.next().expect("the writer goes on until it is killed").unwrap());
        }
    }

    /// Every acknowledged put is there, at most one more of each writer is, with which it goes on, and all is whole.
    fn hold(&mut self, folder: &Path, round: u64) {
        let store = store(folder);
        for (writer, number) in self.0.iter_mut().enumerate() {
            let found = store.get("load", &format!("w{writer}")).unwrap();
            let found: u64 = found.map_or(0, |value| value.text().parse().unwrap());
            let fits = found >= *number && found <= *number + 1;
            assert!(fits, "round {round}: {number} was acknowledged, {found} is there");
            *number = found;
        }
        let verified = store.verify().unwrap();
        assert!(verified.problems.is_empty(), "round {round}: {:?}", verified.problems);
    }
}

fn lines_of(child: &mut Child) -> std::io::Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Somewhere within so many microseconds: the moment is what is tried here, so it is time that is waited for.
fn somewhere(round: u64, micros: u64) {
    std::thread::sleep(Duration::from_micros(dice(round ^ 0x55) % micros));
}

#[test]
fn every_acknowledged_put_survives_kill_nine() {
    let mut home = crate::harness::folder();
    let mut acknowledged = Acknowledged::default();
    let mut puts = 0;
    for round in 0..kills() {
        if round % KILLS_PER_STORE == 0 {
            puts += acknowledged.0.iter().sum::<u64>();
            (home, acknowledged) = (crate::harness::folder(), Acknowledged::default());
        }
        let mut child = child(home.path(), "astdb_crash::child_that_puts");
        let mut lines = lines_of(&mut child);
        if round % KILLS_PER_STORE == 0 {
            // Perhaps before there is a store, or while it is made.
            somewhere(round, 50_000);
        } else {
            acknowledged.wait(&mut lines, 10 + dice(round) % 100);
            somewhere(round, 3_000);
        }
        kill(child);
        lines.map_while(Result::ok).for_each(|line| acknowledged.note(&line));
        acknowledged.hold(home.path(), round);
    }
    puts += acknowledged.0.iter().sum::<u64>();
    println!("{} kills, {puts} puts acknowledged, none lost", kills());
}

#[test]
fn a_rotation_under_load_killed_anywhere_loses_nothing_and_goes_on() {
    let mut home = crate::harness::folder();
    let mut acknowledged = Acknowledged::default();
    let (mut puts, mut broken_off) = (0, 0);
    for round in 0..kills() {
        if round % KILLS_PER_STORE == 0 {
            puts += acknowledged.0.iter().sum::<u64>();
            (home, acknowledged) = (crate::harness::folder(), Acknowledged::default());
            fill(home.path());
        }
        let mut writer = child(home.path(), "astdb_crash::child_that_puts");
        let mut rotator = child(home.path(), "astdb_crash::child_that_rotates");
        let (mut lines, mut rotations) = (lines_of(&mut writer), lines_of(&mut rotator));
        acknowledged.wait(&mut lines, 4);
        while !rotations.next().expect("the rotation begins").unwrap().contains("ack begin") {}
        somewhere(round, 60_000);
        kill(rotator);
        let is_broken_off = store(home.path()).generations().unwrap().len() > 1;
        broken_off += u64::from(is_broken_off);
        // Others write on under a rotation that is broken off; every other time they are killed together.
        if round % 2 == 0 {
            acknowledged.wait(&mut lines, 4);
        }
        kill(writer);
        lines.map_while(Result::ok).for_each(|line| acknowledged.note(&line));
        acknowledged.hold(home.path(), round);
        let store = store(home.path());
        for n in (round % 7..RESTING).step_by(7) {
            let value = store.get("rest", &n.to_string()).unwrap().expect("an entry");
            assert_eq!(value.text(), format!("v{n}"), "round {round}");
        }
        if round % KILLS_PER_STORE == KILLS_PER_STORE - 1 || round + 1 == kills() {
            store.rotate(None).unwrap();
            assert_eq!(store.generations().unwrap().len(), 1, "round {round}: one goes on, and ends");
            acknowledged.hold(home.path(), round);
        }
    }
    puts += acknowledged.0.iter().sum::<u64>();
    println!("{} kills, {broken_off} of them in a rotation, {puts} puts acknowledged, none lost", kills());
}

/// Entries in one commit, as [`RESTING`] has them.
fn fill(folder: &Path) {
    let puts: Vec<String> =
        (0..RESTING).map(|n| format!("{{\"family\":\"rest\",\"key\":\"{n}\",\"value\":\"v{n}\"}}")).collect();
    let dump = format!("{{\"schema\":\"astdb.dump/1\",\"sealed\":false}}\n{}\n", puts.join("\n"));
    store(folder).load(&mut dump.as_bytes(), wirechief::astdb::Load::Merge).unwrap();
}
