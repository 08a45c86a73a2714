//! How fast the store is: durable puts beside bare SQLite, reads of the dialplan, the `astdb` program, a million keys, long lists.
//!
//! `cargo bench --bench astdb [-- puts reads program million lists]`, on the disk that the target folder is on.
//!
//! The yardstick of puts is SQLite as a program would use it by itself: one table of family, key and value, nothing sealed, no
//! history, one connection in the caller's own thread with its statement kept, WAL, `synchronous = FULL`. For N callers it is told
//! twice: with a commit for each row, and with N rows in each commit, as if all callers had agreed beforehand. Short rounds of both
//! take turns, so that whatever else the machine does hits both: told are the best round of each, and the median of the ratios of
//! rounds beside each other.

use std::fs::File;
use std::hint::black_box;
use std::io::{Cursor, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use wirechief::astdb::{Load, Setup, Store};
use wirechief::config::{self, CallerIdText};
use wirechief::dialplan::{Dialplan, Env, Scope, Template, ValueWarning};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ASTDB: &str = env!("CARGO_BIN_EXE_astdb");
const ROUNDS: usize = 9;
const ROUNDS_OF_PUTS: usize = 41;
/// Rounds before those that count.
const WARMING: usize = 10;
/// How long a round of puts lasts.
const ROUND: Duration = Duration::from_millis(60);
/// Names that puts go round in.
const NAMES: u64 = 1_000;

/// A part of the benchmark: its name, and what it does in a folder of its own.
type Part = (&'static str, fn(&Path));

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let parts: [Part; 5] =
        [("puts", puts), ("reads", reads), ("program", program), ("million", million), ("lists", lists)];
    for (name, part) in parts {
        if asked.is_empty() || asked.iter().any(|word| word == name) {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
            part(folder.path());
        }
    }
}

fn store(folder: &Path) -> Store {
    Store::new(Setup::new(folder.join("astdb.sqlite3"), folder.join("astdb.key"), "bench"))
}

/// Lines of a dump with so many entries in a family.
fn dump(family: &str, entries: u64) -> String {
    let mut text = String::from("{\"schema\":\"astdb.dump/1\",\"sealed\":false}\n");
    for number in 0..entries {
        text.push_str(&format!("{{\"family\":\"{family}\",\"key\":\"{number:07}\",\"value\":\"1234\"}}\n"));
    }
    text
}

fn filled(folder: &Path, family: &str, entries: u64) {
    store(folder).load(&mut Cursor::new(dump(family, entries)), Load::Merge).expect("a store");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A figure and what it should be.
fn told(name: &str, figure: &str, goal: &str) {
    println!("{name:52} {figure:>24}   goal {goal}");
}

// Puts

fn puts(folder: &Path) {
    println!(
        "durable puts a second, callers      store   bare, a commit each (ratio)   bare, N in a commit (ratio)   goal 0.8"
    );
    let (bare, store) = (bare(folder), store(folder));
    let one_core = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // A log beside the file grows until it is folded in for the first time, and is then written over, which costs the disk far
    // less; all are measured in that long run, in which a server is.
    (0..WARMING).for_each(|_| {
        black_box(bare_puts(&bare, 64));
        black_box(thread_puts(&store, 64));
    });
    for callers in [1, 8, 64] {
        let mut rounds: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS_OF_PUTS {
            rounds[0].push(bare_puts(&bare, 1));
            rounds[1].push(one_core.block_on(task_puts(&store, callers)));
            rounds[2].push(bare_puts(&bare, callers));
            rounds[3].push(thread_puts(&store, callers));
        }
        let best = |rounds: &[f64]| rounds.iter().copied().fold(0.0, f64::max);
        let ratio =
            |ours: &[f64], bare: &[f64]| median(ours.iter().zip(bare).map(|(ours, bare)| ours / bare).collect());
        let [single, tasks, grouped, threads] = &rounds;
        for (kind, ours) in [("tasks, as calls are", tasks), ("threads, as scripts are", threads)] {
            println!(
                "{:32} {:8.0}   {:18.0} ({:5.2})   {:20.0} ({:5.2})",
                format!("{callers} {kind}"),
                best(ours),
                best(single),
                ratio(ours, single),
                best(grouped),
                ratio(ours, grouped)
            );
        }
    }
}

fn bare(folder: &Path) -> Connection {
    let conn = Connection::open(folder.join("bare.sqlite3")).expect("a file");
    conn.pragma_update(None, "journal_mode", "WAL").expect("WAL");
    conn.pragma_update(None, "synchronous", "FULL").expect("synced");
    conn.execute_batch(
        "CREATE TABLE entries (family TEXT, key TEXT, value BLOB, PRIMARY KEY (family, key)) WITHOUT ROWID",
    )
    .expect("a table");
    conn
}

fn bare_puts(conn: &Connection, together: u64) -> f64 {
    // Goes on from round to round: SQLite writes nothing, and syncs nothing, where a value is what it was.
    static VALUE: AtomicU64 = AtomicU64::new(0);
    let mut insert = conn
        .prepare("INSERT INTO entries VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = ?3")
        .expect("a statement");
    let mut begin = conn.prepare("BEGIN IMMEDIATE").expect("a statement");
    let mut commit = conn.prepare("COMMIT").expect("a statement");
    let (began, mut count) = (Instant::now(), 0_u64);
    while began.elapsed() < ROUND {
        if together > 1 {
            begin.execute(()).expect("begun");
        }
        for _ in 0..together {
            let value = VALUE.fetch_add(1, Ordering::Relaxed);
            insert.execute(("pin", (count % NAMES).to_string(), value.to_string())).expect("a row");
            count += 1;
        }
        if together > 1 {
            commit.execute(()).expect("committed");
        }
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Callers that are tasks of one thread, as all calls of a server are.
async fn task_puts(store: &Store, callers: u64) -> f64 {
    let (began, count) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, count) = (store.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                while began.elapsed() < ROUND {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    store.put("pin", &(number % NAMES).to_string(), number.to_string()).await.expect("a put");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn thread_puts(store: &Store, callers: u64) -> f64 {
    let (began, count) = (Instant::now(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                while began.elapsed() < ROUND {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    store.put_blocking("pin", &(number % NAMES).to_string(), number.to_string()).expect("a put");
                }
            });
        }
    });
    count.into_inner() as f64 / began.elapsed().as_secs_f64()
}

// Reads

/// A channel's variables, beside the store of the server.
struct Call {
    env: Arc<Env>,
    result: String,
}

impl Scope for Call {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn set_variable(&mut self, _name: &str, value: String) {
        self.result = value;
    }

    fn caller(&self) -> CallerIdText {
        CallerIdText::default()
    }

    fn set_caller(&mut self, _caller: CallerIdText) {}

    fn warn(&mut self, warning: ValueWarning) {
        panic!("{warning}");
    }

    fn env(&self) -> Option<&Arc<Env>> {
        Some(&self.env)
    }
}

fn reads(folder: &Path) {
    filled(folder, "pin", 10_000);
    let config = config::load(&[], &|_: &Path| Ok(String::new())).expect("settings");
    let plan = Dialplan::parse(&[]).unwrap_or_default();
    let mut call = Call { env: Arc::new(Env::new(&config, &plan).with_store(store(folder))), result: String::new() };
    let same = Template::compile("${DB(pin/0000100)}").expect("a template");
    let others: Vec<Template> = (0..10_000)
        .map(|number| Template::compile(&format!("${{DB(pin/{number:07})}}")).expect("a template"))
        .collect();
    let mut rates = [vec![], vec![], vec![]];
    for round in 0..ROUNDS {
        let mut rate = |templates: &[Template], times: usize| {
            let began = Instant::now();
            for template in templates.iter().cycle().take(times) {
                assert_eq!(black_box(template.piece().value(&mut call)), "1234");
            }
            times as f64 / began.elapsed().as_secs_f64()
        };
        if round == 0 {
            rates[2].push(rate(&others, others.len()));
        }
        rates[0].push(rate(std::slice::from_ref(&same), 200_000));
        rates[1].push(rate(&others, 200_000));
    }
    let [same, others, first] = rates.map(median);
    told("${DB(pin/100)}, one core: reads a second", &format!("{same:.0}"), "> 200,000");
    told("10,000 keys in turn", &format!("{others:.0}"), "> 200,000");
    told("each for the first time, from the file", &format!("{first:.0}"), "-");
}

// The program

fn astdb(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(ASTDB);
    command.env_clear().env("HOME", folder).stdin(Stdio::null()).stdout(Stdio::piped());
    command.args(["--file", "astdb.sqlite3", "--key-file", "astdb.key"]).args(words).current_dir(folder);
    command
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Milliseconds that a whole process takes, in the median.
fn process(mut command: Command, times: usize) -> f64 {
    let once = |_| {
        let began = Instant::now();
        assert!(command.output().expect("a process").status.success());
        milliseconds(began)
    };
    median((0..times).map(once).collect())
}

fn program(folder: &Path) {
    filled(folder, "pin", 10_000);
    let get = process(astdb(folder, &["get", "pin", "0000100"]), 300);
    told("`astdb get`, the whole process", &format!("{get:.2} ms"), "< 5 ms");
    let mut by_settings = Command::new(ASTDB);
    let home = folder.join(".local/state/wirechief");
    std::fs::create_dir_all(&home).expect("a folder");
    for name in ["astdb.sqlite3", "astdb.key"] {
        std::fs::copy(folder.join(name), home.join(name)).expect("a copy");
    }
    by_settings.env_clear().env("HOME", folder).stdin(Stdio::null()).args(["get", "pin", "0000100"]);
    told("  by its settings, in cron's environment", &format!("{:.2} ms", process(by_settings, 300)), "< 5 ms");
    let version = process(astdb(folder, &["--version"]), 300);
    println!("{:52} {:>24}", "  of which `astdb --version`", format!("{version:.2} ms"));
}

// A million keys

/// Opens the store and reads a value: milliseconds.
fn first_read(folder: &Path) -> f64 {
    let began = Instant::now();
    let store = store(folder);
    assert!(store.get("pin", "0500000").expect("a value").is_some());
    milliseconds(began)
}

/// Makes the system forget what it remembers of a file.
fn forget(path: &Path) {
    let file = File::open(path).expect("the file");
    file.sync_all().expect("synced");
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("forgotten");
}

fn million(folder: &Path) {
    let began = Instant::now();
    filled(folder, "pin", 1_000_000);
    let took = began.elapsed().as_secs_f64();
    let size = std::fs::metadata(folder.join("astdb.sqlite3")).expect("a file").len() / 1_000_000;
    println!("{:52} {:>24}", "a million keys, loaded", format!("{took:.1} s, {size} MB"));
    let warm = median((0..ROUNDS).map(|_| first_read(folder)).collect());
    let cold = |_| {
        forget(&folder.join("astdb.sqlite3"));
        first_read(folder)
    };
    let cold = median((0..ROUNDS).map(cold).collect());
    told("open it and read one", &format!("{warm:.2} ms"), "< 50 ms");
    told("  nothing of it in the system's memory", &format!("{cold:.2} ms"), "< 50 ms");
    let write = |round| {
        let began = Instant::now();
        store(folder).put_blocking("pin", "0500000", format!("{round}")).expect("a put");
        milliseconds(began)
    };
    told("open it and write one", &format!("{:.2} ms", median((0..ROUNDS).map(write).collect())), "< 50 ms");
    let get = process(astdb(folder, &["get", "pin", "0500000"]), 50);
    told("`astdb get` of it, the whole process", &format!("{get:.2} ms"), "< 5 ms");
}

// Lists

fn lists(folder: &Path) {
    let (few, many) = (folder.join("few"), folder.join("many"));
    for (folder, entries) in [(&few, 10_000), (&many, 100_000)] {
        std::fs::create_dir(folder).expect("a folder");
        filled(folder, "pin", entries);
    }
    println!("100,000 rows: first row, last row, and memory at most (that of 10,000 rows)");
    let kinds: [&[&str]; 6] =
        [&["show"], &["show", "--reveal"], &["show", "--json"], &["log"], &["log", "--json"], &["dump"]];
    for words in kinds {
        let (_, _, with_few) = listed(&few, words);
        let (first, last, with_many) = listed(&many, words);
        let figure = format!("{first:.1} ms, {last:.0} ms, {with_many} ({with_few}) KiB");
        told(&format!("astdb {}", words.join(" ")), &figure, "streams");
    }
}

/// Runs a list: milliseconds until its first bytes, and until its end; and the memory it took at most, in KiB.
fn listed(folder: &Path, words: &[&str]) -> (f64, f64, u64) {
    let began = Instant::now();
    let mut child = astdb(folder, words).stderr(Stdio::null()).spawn().expect("a process");
    let mut rows = child.stdout.take().expect("its output");
    let mut bytes = vec![0; 4_096];
    let mut total = rows.read(&mut bytes).expect("a row");
    let (first, mut peak) = (milliseconds(began), 0);
    loop {
        // It lives as long as the pipe has not taken all.
        peak = memory(child.id()).unwrap_or(peak);
        match rows.read(&mut bytes).expect("rows") {
            0 => break,
            more => total += more,
        }
    }
    black_box(total);
    assert!(child.wait().expect("an end").success());
    (first, milliseconds(began), peak)
}

/// The most memory a process has had resident, in KiB.
fn memory(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
