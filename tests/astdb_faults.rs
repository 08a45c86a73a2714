//! The store on a disk that fails at the n-th write, sync, read or new name, for every n: the old value or the new one is there, the
//! error is told, the next try works, and nothing is damaged. So it is when the process is killed there, or the power fails and
//! what was not synced is lost.
//!
//! The failing disk is `tests/data/astdb/faults.c`, put in front of the C library in a process of its own: this test binary again,
//! which runs [`child_on_a_failing_disk`]. A short form with some moments of each kind runs always. Every moment in every way:
//!
//! ```sh
//! ASTDB_FAULTS=all cargo test --test integration astdb_faults:: -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use wirechief::astdb::{Detail, Load, Select, Setup, Store, read_asterisk};

use crate::harness::program;

const FOLDER: &str = "ASTDB_FAULTS_FOLDER";
const CHANGE: &str = "ASTDB_FAULTS_CHANGE";

/// Entries by `family/key`.
type Entries = BTreeMap<String, String>;

/// What is done while the disk fails.
const CHANGES: [&str; 9] = ["create", "put", "del", "deltree", "rotate", "load", "replace", "import", "backup"];

/// What fails, and how.
const FAULTS: [(&str, &[&str]); 4] = [
    ("write", &["eio", "torn", "power", "tornkill", "enospc", "stay", "kill", "reorder"]),
    ("sync", &["eio", "power", "stay", "kill", "reorder", "enospc"]),
    ("name", &["eio", "kill", "enospc", "stay"]),
    ("read", &["eio", "stay"]),
];

fn store(folder: &Path) -> Store {
    Store::new(Setup::new(folder.join("astdb.sqlite3"), folder.join("astdb.key"), "faults"))
}

/// A folder in memory where there is one: what a sync does is told by the failing disk, not by a real one.
fn home() -> tempfile::TempDir {
    crate::harness::folder()
}

fn large() -> String {
    "n".repeat(9_000)
}

/// What is there before a change, and after it.
fn before_and_after(change: &str) -> (Entries, Entries) {
    let mut old = Entries::from([("pin/100".to_owned(), "old".to_owned()), ("other/x".to_owned(), "y".to_owned())]);
    old.extend((0..10).map(|n| (format!("pin/k{n}"), format!("v{n}"))));
    let mut new = old.clone();
    let loaded = || (0..6).map(|n| (format!("load/{n}"), "n".repeat(500 * (n + 1))));
    match change {
        "create" => (old, new) = (Entries::new(), Entries::from([("pin/100".to_owned(), large())])),
        "put" => drop(new.insert("pin/100".to_owned(), large())),
        "del" => drop(new.remove("pin/100")),
        "deltree" => new.retain(|name, _| !name.starts_with("pin/")),
        "load" | "import" => new.extend(loaded()),
        "replace" => new = loaded().collect(),
        _ => {}
    }
    (old, new)
}

fn entries(store: &Store) -> Result<Entries, String> {
    let mut found = Entries::new();
    let mut damaged = None;
    let listed = store.list(&Select::All, Detail::Values, &mut |entry| {
        match entry.value {
            Some(Ok(value)) => drop(found.insert(format!("{}/{}", entry.family, entry.key), value.text().into_owned())),
            other => damaged = Some(format!("/{}/{}: {other:?}", entry.family, entry.key)),
        }
        std::ops::ControlFlow::Continue(())
    });
    listed.map_err(|error| error.to_string())?;
    damaged.map_or(Ok(found), Err)
}

/// Makes the folder as it is before a change, with what the change reads in a folder beside it.
fn prepare(change: &str, folder: &Path, beside: &Path) {
    let (old, new) = before_and_after(change);
    let store = store(folder);
    for (name, value) in &old {
        let (family, key) = name.split_once('/').unwrap();
        store.put_blocking(family, key, value.as_str()).unwrap();
    }
    let added = || new.iter().filter(|(name, _)| name.starts_with("load/"));
    let mut dump = String::from("{\"schema\":\"astdb.dump/1\",\"sealed\":false}\n");
    for (name, value) in added() {
        let (family, key) = name.split_once('/').unwrap();
        dump.push_str(&format!("{{\"family\":\"{family}\",\"key\":\"{key}\",\"value\":\"{value}\"}}\n"));
    }
    std::fs::write(beside.join("dump"), dump).unwrap();
    if change == "import" {
        let conn = rusqlite::Connection::open(beside.join("asterisk")).unwrap();
        conn.execute_batch("CREATE TABLE astdb(key VARCHAR(256), value VARCHAR(256), PRIMARY KEY(key));").unwrap();
        for (name, value) in added() {
            conn.execute("INSERT INTO astdb VALUES (?1, ?2)", (format!("/{name}"), value)).unwrap();
        }
    }
    if change == "backup" {
        std::fs::write(folder.join("copy"), "what was there").unwrap();
    }
}

fn make(change: &str, store: &Store, folder: &Path) -> Result<(), String> {
    let beside = folder.with_extension("beside");
    let load = |load| {
        let mut dump = std::io::BufReader::new(std::fs::File::open(beside.join("dump")).unwrap());
        store.load(&mut dump, load).map(drop).map_err(|error| error.to_string())
    };
    match change {
        "create" | "put" => store.put_blocking("pin", "100", large()).map_err(|error| error.to_string()),
        "del" => store.del_blocking("pin", "100").map(drop).map_err(|error| error.to_string()),
        "deltree" => store.deltree_blocking("pin", None).map(drop).map_err(|error| error.to_string()),
        "rotate" => store.rotate(None).map(drop).map_err(|error| error.to_string()),
        "load" => load(Load::Merge),
        "replace" => load(Load::Replace),
        "import" => {
            let rows = read_asterisk(&beside.join("asterisk"), std::time::Duration::from_secs(5)).unwrap();
            store.take_over(rows).map(drop).map_err(|error| error.to_string())
        }
        "backup" => store.backup(&folder.join("copy")).map_err(|error| error.to_string()),
        other => panic!("{other}"),
    }
}

/// `old`, `new`, or what else is there.
fn state(change: &str, store: &Store) -> String {
    let (old, new) = before_and_after(change);
    match entries(store) {
        Ok(found) if found == new => "new".to_owned(),
        Ok(found) if found == old => "old".to_owned(),
        Ok(found) => format!("neither: {:?}", found.keys().collect::<Vec<_>>()),
        Err(error) => format!("unreadable: {error}"),
    }
}

#[test]
fn child_on_a_failing_disk() {
    let (Some(folder), Ok(change)) = (std::env::var_os(FOLDER).map(PathBuf::from), std::env::var(CHANGE)) else {
        return;
    };
    let store = store(&folder);
    match make(&change, &store, &folder) {
        Ok(()) => println!("\nfirst ok"),
        Err(error) => {
            println!("\nfirst {error}");
            println!("state {}", state(&change, &store));
            match make(&change, &store, &folder) {
                Ok(()) => println!("again ok"),
                Err(error) => println!("again {error}"),
            }
        }
    }
}

/// The failing disk, compiled once.
pub(crate) fn faulty_disk() -> &'static Path {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/astdb/faults.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        assert!(compiler.status().expect("a C compiler").success());
        (folder, library)
    });
    library
}

/// A moment and a way of failing.
#[derive(Clone, Copy, Debug)]
struct Fault {
    change: &'static str,
    of: &'static str,
    how: &'static str,
    at: u32,
}

impl Fault {
    /// Whether the process outlives it.
    fn is_survived(self) -> bool {
        ["eio", "enospc", "torn", "stay"].contains(&self.how)
    }
}

/// Makes the change with the fault; whether its moment came.
fn meets(fault: Fault, template: &Path) -> bool {
    let home = home();
    let folder = home.path().join("store");
    std::fs::create_dir(&folder).unwrap();
    for file in std::fs::read_dir(template.join("store")).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    std::os::unix::fs::symlink(template.join("store.beside"), home.path().join("store.beside")).unwrap();
    let report = home.path().join("report");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "astdb_faults::child_on_a_failing_disk", "--nocapture", "--test-threads=1"]);
    child.env(FOLDER, &folder).env(CHANGE, fault.change).env("LD_PRELOAD", faulty_disk());
    child.env("FAULTS_FOLDER", &folder).env("FAULTS_REPORT", &report);
    child.env("FAULTS_OF", fault.of).env("FAULTS_AT", fault.at.to_string()).env("FAULTS_HOW", fault.how);
    let output = program::run(child.stdin(Stdio::null()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = |word: &str| text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned));
    let (first, inside, again) = (said("first"), said("state"), said("again"));
    let came = report.exists();
    let context = format!("{fault:?}: {first:?}, {inside:?}, {again:?}");
    assert!(output.status.success() || (came && !fault.is_survived()), "{context}: {output:?}");
    if let Some(inside) = inside {
        let (old, new) = before_and_after(fault.change);
        let may_be_unreadable = fault.how == "stay" && inside.starts_with("unreadable");
        // What was written whole and never synced may be found again by whoever opens the log next.
        let may_be_new = fault.of == "sync" && fault.how == "stay" && inside == "new";
        assert!(may_be_unreadable || may_be_new || inside == "old" || old == new, "{context}");
    }
    if fault.how != "stay" {
        assert!(again.as_deref().is_none_or(|again| again == "ok"), "{context}");
    }
    let store = store(&folder);
    let outside = state(fault.change, &store);
    let is_done = first.as_deref() == Some("ok") || again.as_deref() == Some("ok");
    assert!(outside == "new" || (outside == "old" && !is_done), "{context}: then {outside}");
    afterwards(fault, &store, &folder, &context);
    came
}

/// Nothing is damaged, nothing is left over, and the change can still be made.
fn afterwards(fault: Fault, store: &Store, folder: &Path, context: &str) {
    assert_eq!(store.verify().unwrap().problems.len(), 0, "{context}");
    if fault.is_survived() {
        let left = |name: &str| name.ends_with(".new") || name.contains(".new-") || name.ends_with("-journal");
        let mut names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        // A disk on which nothing works any more does not let go of a file either.
        let odd = names.find(|name| left(name) && fault.how != "stay" && fault.of != "name");
        assert_eq!(odd, None, "{context}: left over");
    }
    if fault.change == "backup" {
        let copy = folder.join("copy");
        let is_old = std::fs::read(&copy).unwrap() == b"what was there";
        let setup = Setup::new(copy, folder.join("astdb.key"), "faults");
        assert!(is_old || entries(&Store::new(setup)) == entries(store), "{context}: the copy is neither");
    }
    make(fault.change, store, folder).unwrap_or_else(|error| panic!("{context}: later {error}"));
    assert_eq!(state(fault.change, store), "new", "{context}");
    assert_eq!(store.generations().unwrap().len(), 1, "{context}");
    assert_eq!(store.verify().unwrap().problems.len(), 0, "{context}");
}

/// Every fault of a change, or some of them; how many were met.
fn try_all(change: &'static str) -> BTreeMap<&'static str, u32> {
    let all = std::env::var_os("ASTDB_FAULTS").is_some();
    let home = home();
    let (folder, beside) = (home.path().join("store"), home.path().join("store.beside"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::create_dir(&beside).unwrap();
    prepare(change, &folder, &beside);
    let (mut met, mut failed) = (BTreeMap::new(), Vec::new());
    for (of, ways) in FAULTS {
        let ways_at = |at: usize| if all { ways } else { &ways[at % ways.len()..][..1] };
        // Some moments in the short form, shifted from change to change.
        let step = if all { 1 } else { 9 };
        let mut at = 1 + u32::try_from(change.len()).unwrap() % step;
        loop {
            let mut came = 0;
            for how in ways_at(at as usize) {
                // All that fail are told, not the first alone.
                let fault = Fault { change, of, how, at };
                match std::panic::catch_unwind(|| meets(fault, home.path())) {
                    Ok(has_come) => came += u32::from(has_come),
                    Err(_) => failed.push(fault),
                }
            }
            if came == 0 {
                break;
            }
            *met.entry(of).or_default() += came;
            at += step;
        }
    }
    println!("{change}: {met:?}, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:?}");
    met
}

#[test]
fn a_disk_that_fails_at_any_moment_leaves_the_old_value_or_the_new_one() {
    let halves: Vec<&[&str]> = CHANGES.chunks(CHANGES.len().div_ceil(2)).collect();
    std::thread::scope(|scope| {
        let started: Vec<_> = halves
            .into_iter()
            .map(|half| scope.spawn(move || half.iter().map(|change| (*change, try_all(change))).collect::<Vec<_>>()))
            .collect();
        for (change, met) in started.into_iter().flat_map(|half| half.join().unwrap()) {
            assert!(met.get("write").is_some_and(|count| *count > 0), "{change}: {met:?}");
        }
    });
}
