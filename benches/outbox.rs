//! How fast the outbox is: recordings begun and finished, a list of 100,000, and the commands of `rec` that read so many, from their
//! start to their end.
//!
//! `cargo bench --bench outbox [-- --recordings 100000 --keep FOLDER]`, on the disk that the target folder is on; `--keep` leaves the spool and the settings
//! in a folder that is not there yet. The goal is `rec ls` below 200 ms.

#[path = "common/arguments.rs"]
mod arguments;
#[path = "common/child.rs"]
mod child;

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::Connection;
use wirechief::outbox::{Filter, Manifest, Outbox, Which};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 15;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let passing = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let folder = arguments::text(&arguments, "--keep").map_or(passing.path().to_owned(), PathBuf::from);
    let spool = folder.join("spool");
    let outbox = Outbox::open(&spool).expect("an outbox");
    outbox.set_remotes(&["crm"]).expect("a remote");
    life(&outbox);
    let many: u32 = arguments::number(&arguments, "--recordings").unwrap_or(100_000);
    fill(&spool.join("outbox.sqlite3"), many);
    lists(&outbox);
    drop(outbox);
    commands(&folder, many);
}

/// Recordings with all that makes them safe: two commits, two manifests, the audio synced and hashed.
fn life(outbox: &Outbox) {
    let audio = vec![7; 320_000];
    let mut took = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        let begun = outbox.begin(&Manifest::new("n.wav", Timestamp::now())).expect("a recording");
        let middle = began.elapsed();
        std::fs::write(outbox.spool().path_of(&begun.file).expect("a path"), &audio).expect("room");
        let began = Instant::now();
        outbox.finish(begun).expect("a recording");
        took.push((middle, began.elapsed()));
    }
    let median = |mut all: Vec<Duration>| {
        all.sort_unstable();
        all[all.len() / 2]
    };
    println!("begin   {:>9.2?} (median)", median(took.iter().map(|both| both.0).collect()));
    println!("finish  {:>9.2?} (median, 10 s of stereo)", median(took.iter().map(|both| both.1).collect()));
}

/// Rows as they stand there after some weeks: copies of one, as only their number matters here.
fn fill(queue: &Path, many: u32) {
    let mut conn = Connection::open(queue).expect("the queue");
    let tx = conn.transaction().expect("a transaction");
    tx.execute(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
         INSERT INTO recordings (id, file, stem, state, started_ms, ended_ms, duration_ms, call, leg, uniqueid, from_number, from_name,
           to_number, direction, agent, bytes, sha256)
         SELECT printf('%08x-0000-4000-8000-000000000000', n), 'day/call-' || n || '.wav', 'day/call-' || n, 'finished',
           1780000000000 + n * 1000, 1780000060000 + n * 1000, 60000, 'call-' || n, 'leg-' || n, '1780000000.' || n, '1001', 'Alice',
           '+41785753' || n, 'out', '1001', 1920044, hex(randomblob(32)) FROM n",
        [many],
    )
    .expect("rows");
    let manifest = Manifest { from: "1001".into(), ..Manifest::new("day/call.wav", Timestamp::now()) };
    tx.execute(
        "INSERT INTO manifests (number, json) SELECT number, json_set(?1, '$.id', id, '$.file', file, '$.state', state, '$.to', to_number)
         FROM recordings WHERE id LIKE '%-0000-4000-8000-000000000000'",
        [String::from_utf8_lossy(&manifest.print())],
    )
    .expect("rows");
    tx.execute(
        "INSERT INTO deliveries (number, part, remote, state, attempts, receipt, delivered_ms)
         SELECT number, 1, 'crm', iif(number % 100, 'delivered', 'pending'), number % 100 != 0,
           iif(number % 100, json_object('id', 'r-' || number, 'sha256', sha256, 'size', bytes), NULL), iif(number % 100, ended_ms, NULL)
         FROM recordings WHERE id LIKE '%-0000-4000-8000-000000000000'",
        (),
    )
    .expect("rows");
    tx.commit().expect("room");
}

fn lists(outbox: &Outbox) {
    let cases = [
        ("all", Filter::default()),
        ("unsent", Filter { which: Which::Unsent, ..Filter::default() }),
        ("page of 50", Filter { limit: Some(50), ..Filter::default() }),
        ("search", Filter { text: Some("575399999".into()), ..Filter::default() }),
    ];
    for (name, filter) in cases {
        let (mut best, mut rows) = (Duration::MAX, 0);
        for _ in 0..ROUNDS {
            rows = 0;
            let began = Instant::now();
            let each = &mut |listed| {
                black_box(listed);
                rows += 1;
                ControlFlow::Continue(())
            };
            outbox.each(&filter, each).expect("a list");
            best = best.min(began.elapsed());
        }
        println!("list    {best:>9.2?} (best of {ROUNDS}, {name}: {rows} rows)");
    }
}

/// The release `rec` as a user calls it, what it prints thrown away.
fn commands(folder: &Path, many: u32) {
    let settings = folder.join("pbx.toml");
    std::fs::write(&settings, format!("[recording]\nspool = {:?}\n", folder.join("spool"))).expect("room");
    let one = format!("{:08x}-0000-4000-8000-000000000000", many / 2);
    for words in [
        &["ls"][..],
        &["ls", "--json"],
        &["ls", "--limit", "50"],
        &["ls", "--unsent"],
        &["ls", "--find", "575399999"],
        &["status"],
        &["show", &one],
    ] {
        let cost = |_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_rec"));
            command.arg("--config").arg(&settings).args(words).stdin(Stdio::null()).stdout(Stdio::null());
            child::measure(&mut command).expect("it to succeed")
        };
        let mut costs: Vec<child::Cost> = (0..ROUNDS).map(cost).collect();
        costs.sort_by_key(|cost| cost.wall);
        let peak = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or_default() as f64 / 1e6;
        let (best, median) = (costs[0].wall, costs[ROUNDS / 2].wall);
        let cpu = costs.iter().map(|cost| cost.cpu).sum::<Duration>() / ROUNDS as u32;
        let name = format!("rec {}", words.join(" "));
        println!("command {best:>9.2?} (best of {ROUNDS}, median {median:.2?}, CPU {cpu:.0?}, {peak:.1} MB, {name})");
    }
}
