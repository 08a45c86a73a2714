//! No nonce twice: drawn by eight processes, half of them on a copy of the store, all for the same value at the same places.
//! The short form draws 40,000. All ten million (minutes, and 240 MB in the folder for temporary files):
//!
//! ```sh
//! ASTDB_NONCES=10000000 cargo test --lib astdb::tests::nonces -- --nocapture
//! ```

use std::collections::HashSet;
use std::io::Write;
use std::process::Command;

use rusqlite::Connection;

use super::super::key::random;
use super::super::seal::{NONCE, Place};
use super::super::{schema, unlock};
use super::*;

const FOLDER: &str = "ASTDB_NONCES_FOLDER";
const DRAWN: &str = "ASTDB_NONCES_DRAWN";
const COUNT: &str = "ASTDB_NONCES_COUNT";
const PROCESSES: usize = 8;

/// Form and generation in front of the nonce, in bytes.
const HEADER: usize = 5;

fn env(name: &str) -> Option<std::path::PathBuf> {
    std::env::var_os(name).map(Into::into)
}

#[test]
fn child_that_draws() {
    let (Some(folder), Some(drawn), Ok(count)) = (env(FOLDER), env(DRAWN), std::env::var(COUNT)) else { return };
    let setup = setup(&folder);
    let conn = schema::open_reading(&setup.path, setup.patience).unwrap().unwrap();
    let keyed = unlock::unlock(&conn, &setup.path, &setup.keys).unwrap();
    let vault = keyed.vault().unwrap();
    let mut drawn = std::io::BufWriter::new(std::fs::File::create(drawn).unwrap());
    for version in 0..count.parse().unwrap() {
        let sealed = vault.seal(Place::value("pin", "100", version), b"1234", &random().unwrap());
        drawn.write_all(&sealed[HEADER..HEADER + NONCE]).unwrap();
    }
    drawn.flush().unwrap();
}

/// Copies the files of a store as they lie there, its log too.
fn restore(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn eight_processes_on_a_store_and_its_copy_draw_no_nonce_twice() {
    let total: usize = std::env::var("ASTDB_NONCES").ok().and_then(|count| count.parse().ok()).unwrap_or(40_000);
    let each = total.div_ceil(PROCESSES);
    let home = tempfile::tempdir().unwrap();
    let (ours, theirs) = (home.path().join("ours"), home.path().join("theirs"));
    store(&ours).put_blocking("pin", "100", "1234").unwrap();
    restore(&ours, &theirs);
    let file = |n: usize| home.path().join(format!("drawn-{n}"));
    let start = |n: usize| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "astdb::tests::nonces::child_that_draws", "--test-threads=1"]);
        child
            .env(FOLDER, if n.is_multiple_of(2) { &ours } else { &theirs })
            .env(DRAWN, file(n))
            .env(COUNT, each.to_string());
        child.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (0..PROCESSES).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let mut nonces: Vec<[u8; NONCE]> = Vec::with_capacity(each * PROCESSES);
    for n in 0..PROCESSES {
        let bytes = std::fs::read(file(n)).unwrap();
        nonces.extend(bytes.chunks_exact(NONCE).map(|nonce| <[u8; NONCE]>::try_from(nonce).unwrap()));
    }
    assert_eq!(nonces.len(), each * PROCESSES);
    nonces.sort_unstable();
    assert!(nonces.windows(2).all(|pair| pair[0] != pair[1]), "a nonce was drawn twice");
    println!("{} nonces of {PROCESSES} processes, none twice", nonces.len());
}

#[test]
fn a_store_and_its_copy_that_both_go_on_with_the_same_changes_share_no_nonce() {
    let home = tempfile::tempdir().unwrap();
    let (ours, theirs) = (home.path().join("ours"), home.path().join("theirs"));
    store(&ours).put_blocking("pin", "0", "1234").unwrap();
    restore(&ours, &theirs);
    let lines: String =
        (0..500).map(|n| format!("{{\"family\":\"pin\",\"key\":\"{}\",\"value\":\"1234\"}}\n", n % 50)).collect();
    let dump = format!("{{\"schema\":\"astdb.dump/1\",\"sealed\":false}}\n{lines}");
    let mut seen = HashSet::new();
    for folder in [&ours, &theirs] {
        store(folder).load(&mut dump.as_bytes(), Load::Merge).unwrap();
        let conn = Connection::open(folder.join("astdb.sqlite3")).unwrap();
        let sql = "SELECT substr(value, 6, 24) FROM entries UNION ALL
                   SELECT substr(old_value, 6, 24) FROM history WHERE old_value IS NOT NULL AND old_version > 1";
        let mut rows = conn.prepare(sql).unwrap();
        for nonce in rows.query_map((), |row| row.get::<_, Vec<u8>>(0)).unwrap() {
            assert!(seen.insert(nonce.unwrap()), "a nonce is there twice");
        }
    }
    assert_eq!(seen.len(), 2 * 500);
}

#[test]
fn random_numbers_that_repeat_give_a_nonce_again_only_for_the_same_value_at_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.put_blocking("pin", "100", "1234").unwrap();
    let keyed = store.reader().keyed().unwrap().unwrap();
    let vault = keyed.vault().unwrap();
    let chance = random().unwrap();
    let nonce = |place, value: &[u8]| vault.seal(place, value, &chance)[HEADER..HEADER + NONCE].to_vec();
    let usual = Place::value("pin", "100", 7);
    assert_eq!(nonce(usual, b"1234"), nonce(usual, b"1234"));
    for (place, value) in [
        (usual, &b"1235"[..]),
        (usual, b""),
        (Place::value("pin", "100", 8), b"1234"),
        (Place::value("pin", "101", 7), b"1234"),
        (Place::value("pim", "100", 7), b"1234"),
    ] {
        assert_ne!(nonce(usual, b"1234"), nonce(place, value), "{place:?}");
    }
}
