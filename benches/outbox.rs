//! How fast the outbox is: a list of 100,000 recordings, recordings begun and finished, what is due.
//!
//! `cargo bench --bench outbox`, on the disk that the target folder is on.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::Connection;
use wirechief::outbox::{Filter, Manifest, Outbox, Which};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MANY: i64 = 100_000;
const ROUNDS: usize = 15;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let spool = folder.path().join("spool");
    let outbox = Outbox::open(&spool).expect("an outbox");
    outbox.set_remotes(&["crm"]).expect("a remote");
    life(&outbox);
    fill(&spool.join("outbox.sqlite3"));
    lists(&outbox);
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
fn fill(queue: &std::path::Path) {
    let mut conn = Connection::open(queue).expect("the queue");
    let tx = conn.transaction().expect("a transaction");
    tx.execute(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
         INSERT INTO recordings (id, file, stem, state, started_ms, ended_ms, duration_ms, call, leg, uniqueid, from_number, from_name,
           to_number, direction, agent, bytes, sha256)
         SELECT printf('%08x-0000-4000-8000-000000000000', n), 'day/call-' || n || '.wav', 'day/call-' || n, 'finished',
           1780000000000 + n * 1000, 1780000060000 + n * 1000, 60000, 'call-' || n, 'leg-' || n, '1780000000.' || n, '1001', 'Alice',
           '+41785753' || n, 'out', '1001', 1920044, hex(randomblob(32)) FROM n",
        [MANY],
    )
    .expect("rows");
    tx.execute(
        "INSERT INTO deliveries (number, part, remote, state) SELECT number, 1, 'crm', iif(number % 100, 'delivered', 'pending')
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
        println!("list    {best:>9.2?} (best of {ROUNDS}, {name}: {rows} of {MANY} rows)");
    }
}
