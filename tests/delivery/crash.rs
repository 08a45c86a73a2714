//! The process is killed, or the power fails, at every step of a recording's way: begun, finished, pushed, renamed, purged. What was
//! acknowledged is there afterwards, whole, and in the CRM once.
//!
//! A process of its own, this test binary again, does [`child_that_is_killed`] behind the failing disk of `tests/astdb_faults.rs`.
//! A short form runs always; more moments:
//!
//! ```sh
//! CRASHES=1000 cargo test --test integration delivery::crash -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use wirechief::outbox::push::{BackOff, Options, Until, Verdict, run};
use wirechief::outbox::remote::{Configured, DeliveryError, Parcel, Policy, Progress, Receipt, Remote, Remotes};
use wirechief::outbox::verify::{Depth, Scope};
use wirechief::outbox::{Manifest, Outbox, Purge, State, Undelivered};

use crate::astdb_faults::faulty_disk;
use crate::harness::program;

const FOLDER: &str = "CRASH_FOLDER";
const RECORDINGS: usize = 5;
/// Writes and syncs of one run of the child, roughly.
const WRITES: u64 = 330;
const SYNCS: u64 = 110;

/// Keeps what it gets by its key, as a CRM does that knows the key.
struct Shelf(PathBuf);

impl Remote for Shelf {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        _progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(async move {
            let mut audio = Vec::new();
            parcel.open().unwrap().read_to_end(&mut audio).unwrap();
            let place = self.0.join(&parcel.key);
            match fs::read(&place) {
                Ok(before) => assert_eq!(before, audio, "one key, two recordings"),
                Err(_) => fs::write(&place, &audio).unwrap(),
            }
            Ok(Receipt { sha256: Some(sha256(&audio)), size: Some(audio.len() as u64), ..Receipt::default() })
        })
    }

    fn place(&self) -> String {
        self.0.display().to_string()
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn push(outbox: &Outbox, shelf: &Path) -> Verdict {
    let configured = Configured { remote: Arc::new(Shelf(shelf.to_owned())), policy: Policy::default() };
    let back_off = BackOff { first: Duration::from_millis(1), most: Duration::from_millis(5) };
    let options = Options { back_off, until: Until::Done, ..Options::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(outbox, &Remotes::from([("crm".to_owned(), configured)]), &options, &())).unwrap().verdict()
}

const ALL: Purge =
    Purge { keep: Duration::ZERO, undelivered: Undelivered::Kept, doing: wirechief::outbox::Doing::Really };

#[test]
fn child_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let say = |text: String| {
        println!("\n{text}");
        std::io::stdout().flush().unwrap();
    };
    let outbox = Outbox::open(&folder.join("spool")).unwrap();
    outbox.set_remotes(&["crm"]).unwrap();
    let mut done = Vec::new();
    for number in 0..RECORDINGS {
        let begun = outbox.begin(&Manifest::new("day/call.wav", Timestamp::now())).unwrap();
        say(format!("begun {}", begun.id));
        fs::write(outbox.spool().path_of(&begun.file).unwrap(), vec![b'a'; 3000 * (number + 1)]).unwrap();
        let finished = outbox.finish(begun).unwrap();
        say(format!("finished {} {}", finished.id, finished.audio.sha256));
        done.push(finished.id);
    }
    assert_eq!(push(&outbox, &folder.join("crm")), Verdict::Done);
    say("pushed".into());
    outbox.rename(done[1], "night/call").unwrap();
    outbox.forget(done[2], Undelivered::Kept).unwrap();
    assert_eq!(outbox.purge(&ALL).unwrap().len(), RECORDINGS - 1);
    say("purged".into());
}

/// A kill at a moment: whether it came, and what is wrong afterwards.
fn crash(of: &str, at: u64, how: &str) -> bool {
    let home = crate::harness::folder();
    let (spool, shelf, report) = (home.path().join("spool"), home.path().join("crm"), home.path().join("report"));
    fs::create_dir(&shelf).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "delivery::crash::child_that_is_killed", "--nocapture", "--test-threads=1"]);
    child.env(FOLDER, home.path()).env("LD_PRELOAD", faulty_disk()).env("FAULTS_FOLDER", &spool);
    child.env("FAULTS_REPORT", &report).env("FAULTS_OF", of).env("FAULTS_AT", at.to_string()).env("FAULTS_HOW", how);
    let output = program::run(child.stdin(Stdio::null()));
    let (text, came) = (String::from_utf8_lossy(&output.stdout).into_owned(), report.exists());
    let context = format!("{how} at {of} {at}");
    assert!(came || output.status.success(), "{context}: {output:?}");
    let said = |word: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        lines
            .map(|line| line.split_once(' ').unwrap_or((line, "")))
            .map(|(id, rest)| (id.into(), rest.into()))
            .collect()
    };
    let (begun, finished) = (said("begun"), said("finished"));

    // As the server does when it starts.
    let outbox = Outbox::open(&spool).unwrap();
    outbox.set_remotes(&["crm"]).unwrap();
    outbox.mend().unwrap();
    for open in outbox.recover().unwrap() {
        assert!(!finished.contains_key(&open.id.to_string()), "{context}: {} was finished", open.id);
        if outbox.spool().exists(&open.file).unwrap() {
            outbox.finish(Manifest { state: State::Interrupted, ..open }).unwrap();
        } else {
            outbox.abandon(open.id).unwrap();
        }
    }
    assert!(outbox.recover().unwrap().is_empty(), "{context}");
    assert_eq!(push(&outbox, &shelf), Verdict::Done, "{context}");
    for id in begun.keys() {
        let known = outbox.get(id.parse().unwrap()).unwrap();
        let kept = known.as_ref().is_some_and(|known| known.state != State::Open);
        // Nothing had been written of what is not kept.
        assert!(kept || !finished.contains_key(id), "{context}: {known:?}");
    }
    for (id, hash) in &finished {
        let there = fs::read(shelf.join(id)).unwrap_or_else(|error| panic!("{context}: {id}: {error}"));
        assert_eq!(sha256(&there), *hash, "{context}: {id}");
    }
    let arrived = fs::read_dir(&shelf).unwrap().count();
    let closed =
        outbox.list(&wirechief::outbox::Filter { which: wirechief::outbox::Which::WithGone, ..Default::default() });
    assert_eq!(arrived, closed.unwrap().len(), "{context}: each is there once");
    if text.contains("purged") {
        assert_eq!(outbox.count(&Default::default()).unwrap(), 0, "{context}");
    }
    let scope = Scope { since: None, depth: Depth::Deep, calls: None, rule: &|_| None };
    let mut wrong = Vec::new();
    outbox.verify(&scope, &mut |finding| wrong.push(finding)).unwrap();
    // These bytes are no audio, and nobody says that they are.
    wrong.retain(|finding| finding.kind != wirechief::outbox::verify::Kind::Damaged);
    assert!(wrong.is_empty(), "{context}: {wrong:#?}");
    came
}

#[test]
fn r3_a_crash_at_any_step_loses_nothing_and_sends_nothing_twice() {
    let crashes: u64 = std::env::var("CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let half = |start: u64| {
        let mut came = 0;
        for number in (start..crashes).step_by(2) {
            // Moments spread over the run, each time others of the ways.
            let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            came += u64::from(match number % 3 {
                0 => crash("sync", 1 + dice % SYNCS, ["kill", "power", "reorder"][(dice >> 9) as usize % 3]),
                _ => crash(
                    "write",
                    1 + dice % WRITES,
                    ["kill", "tornkill", "power", "reorder"][(dice >> 9) as usize % 4],
                ),
            });
        }
        came
    };
    let came: u64 = std::thread::scope(|scope| {
        let both = [0, 1].map(|start| scope.spawn(move || half(start)));
        both.into_iter().map(|one| one.join().unwrap()).sum()
    });
    println!("{came} of {crashes} crashes came");
    assert!(came * 3 >= crashes * 2, "only {came} of {crashes} came: the run is shorter than it was");
}
