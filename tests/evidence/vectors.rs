//! `tests/data/evidence`: logs written by another hand, and a verifier that knows only the page about the form.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;
use wirechief::evidence::{Anchor, Class, Entry, Event, Log, verify, verify_for};

use super::{log_in, records, told};

#[derive(Deserialize)]
struct Vectors {
    key: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    log: String,
    head: Option<String>,
    findings: BTreeSet<String>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evidence").join(name)
}

/// All of them, each in a folder as a server would have it.
fn laid_out() -> Vec<(Vector, TempDir)> {
    let Vectors { key, vectors } = serde_json::from_slice(&fs::read(data("vectors.json")).unwrap()).unwrap();
    let lay = |vector: Vector| {
        let folder = tempfile::tempdir().unwrap();
        let put = |from: &str, to: &str| assert!(fs::copy(data(from), folder.path().join(to)).unwrap() > 0);
        put(&vector.log, "spy.log");
        put(&key, "spy.log.key");
        fs::set_permissions(folder.path().join("spy.log.key"), Permissions::from_mode(0o600)).unwrap();
        if let Some(head) = &vector.head {
            put(head, "spy.log.head");
        }
        (vector, folder)
    };
    vectors.into_iter().map(lay).collect()
}

fn laid_out_as(name: &str) -> TempDir {
    laid_out().into_iter().find(|(vector, _)| vector.name == name).expect("a vector").1
}

/// What the script finds; `None`: there is no Python here.
fn by_script(log: &Path) -> Option<(BTreeSet<String>, Option<i32>)> {
    let output = match Command::new("python3").arg("-B").arg(data("verify.py")).arg(log).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: python3: {error}");
            return None;
        }
    };
    assert!(output.stderr.is_empty(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    Some((lines.lines().map(str::to_owned).collect(), output.status.code()))
}

fn found(log: &Path) -> BTreeSet<String> {
    verify(log).unwrap().findings.iter().map(told).collect()
}

fn append(log: &Path, entries: usize) {
    let log = Log::open(log).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for number in 0..entries {
        let entry = Entry {
            session: number.to_string(),
            who: "Zoë \"x\" \u{202e}\u{7}".into(),
            hears: vec!["1001".into()],
            ..Entry::new(Event::Started)
        };
        runtime.block_on(log.append(entry)).unwrap();
    }
    log.close();
}

#[test]
fn each_vector_is_found_to_be_what_it_is() {
    let all = laid_out();
    assert!(all.len() >= 15, "{}", all.len());
    for (vector, folder) in all {
        let report = verify(&log_in(folder.path())).unwrap();
        let found: BTreeSet<String> = report.findings.iter().map(told).collect();
        assert_eq!(found, vector.findings, "{}: {report:?}", vector.name);
        let is_harmless = vector.findings.iter().all(|finding| finding == "torn");
        assert_eq!(report.is_whole(), is_harmless, "{}", vector.name);
    }
}

#[test]
fn a_second_implementation_finds_the_same() {
    for (vector, folder) in laid_out() {
        let Some((found, code)) = by_script(&log_in(folder.path())) else { return };
        assert_eq!(found, vector.findings, "{}", vector.name);
        let is_harmless = vector.findings.iter().all(|finding| finding == "torn");
        assert_eq!(code, Some(if is_harmless { 0 } else { 5 }), "{}", vector.name);
    }
}

#[test]
fn a_log_begun_by_another_hand_is_read_and_goes_on_and_both_agree_about_it() {
    let folder = laid_out_as("whole");
    let log = log_in(folder.path());
    append(&log, 5);
    assert_eq!(found(&log), BTreeSet::new());
    let all = records(&log);
    assert_eq!(all.len(), 8 + 7);
    assert_eq!(all[1].entry.reason, "Zoë's first week: \"coaching\" ☂");
    assert!(all[4].entry.reason.contains("turned \u{202e}round\u{202c}, bell\u{7} and \u{85}"), "{:?}", all[4]);
    assert_eq!(all[4].entry.target.as_ref().map(|person| person.user.clone()), Some(None));
    let Some(whole) = by_script(&log) else { return };
    assert_eq!(whole, (BTreeSet::new(), Some(0)));
    let good = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let without: String = lines.iter().enumerate().filter(|(line, _)| *line != at).map(|(_, line)| *line).collect();
        let mut swapped = lines.clone();
        swapped.swap(at, (at + 1) % lines.len());
        let other = lines[at].replacen("2026", "2027", 1);
        let altered: String = good.replace(lines[at], &other);
        for bad in [without, swapped.concat(), altered] {
            fs::write(&log, bad).unwrap();
            assert_ne!(found(&log), BTreeSet::new(), "line {at}");
            assert_eq!(by_script(&log), Some((found(&log), Some(5))), "line {at}");
        }
    }
}

#[test]
fn an_entry_noted_elsewhere_tells_a_log_from_an_older_one_that_was_put_back() {
    let folder = laid_out_as("whole");
    let log = log_in(folder.path());
    let older = ["spy.log", "spy.log.head"].map(|name| fs::read(folder.path().join(name)).unwrap());
    append(&log, 2);
    let report = verify(&log).unwrap();
    let noted: Anchor = format!("{}:{}", report.last, report.hash).parse().unwrap();
    assert!(verify_for(&log, Some(&noted)).unwrap().is_whole());
    for (name, bytes) in ["spy.log", "spy.log.head"].iter().zip(older) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    assert!(verify(&log).unwrap().is_whole(), "log and head fit each other");
    let classes =
        |noted| verify_for(&log, Some(noted)).unwrap().findings.iter().map(|one| one.class).collect::<Vec<_>>();
    assert_eq!(classes(&noted), [Class::History]);
    append(&log, 2);
    assert_eq!(classes(&noted), [Class::History], "the same number, another entry");
}
