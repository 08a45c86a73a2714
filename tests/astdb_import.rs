//! `astdb import` of Asterisk's own database: while it is written to, with the damage Asterisk did, and where it is not what it should be.

use std::path::Path;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use rusqlite::Connection;
use serde_json::Value;

use crate::astdb_cli::{fails, home, ok, run};

const KEY: &[u8] = b"1234qwerasdfzxcv";
const BLOCK: usize = 16;

/// The table as Asterisk makes it.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS astdb(key VARCHAR(256), value VARCHAR(256), PRIMARY KEY(key))";

fn asterisks(path: &Path) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(TABLE).unwrap();
    conn
}

fn insert(conn: &Connection, name: &str, value: &str) {
    conn.execute("INSERT OR REPLACE INTO astdb VALUES (?1, ?2)", (name, value)).unwrap();
}

fn encoded(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut all = [0; 3];
        all[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, all[0], all[1], all[2]]);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// What Asterisk before 2016 stored for a PIN, and whether it was cut at a zero byte.
fn stored(pin: &str) -> (String, bool) {
    let mut block = [0; BLOCK];
    block[..pin.len()].copy_from_slice(pin.as_bytes());
    Aes128::new_from_slice(KEY).unwrap().encrypt_block((&mut block).into());
    let end = block.iter().position(|byte| *byte == 0).unwrap_or(BLOCK);
    (encoded(&block[..end]), end < BLOCK)
}

#[test]
fn the_659_damaged_pins_are_named_while_asterisk_writes_and_no_other() {
    let home = home();
    let at = home.path();
    let conn = asterisks(&at.join("astdb.sqlite3"));
    conn.execute_batch("PRAGMA journal_mode = WAL; BEGIN").unwrap();
    let mut cut = Vec::new();
    for pin in (0..10_000).map(|pin| format!("{pin:04}")) {
        let (value, was_cut) = stored(&pin);
        insert(&conn, &format!("/pin/{pin}"), &value);
        if was_cut {
            cut.push(format!("/pin/{pin}"));
        }
    }
    insert(&conn, "/registrar/contact/sip:100@[::1]:5060", "{\"uri\":\"sip:100\"}");
    // The last change of Asterisk is not committed yet: it is not there for others, and they are not in its way.
    conn.execute_batch("COMMIT; BEGIN IMMEDIATE").unwrap();
    insert(&conn, "/pin/late", "x");
    std::fs::write(at.join("aes"), KEY).unwrap();
    let words = ["import", "astdb.sqlite3", "--family", "pin", "--aes-key-file", "aes", "--json"];
    let imported = run(at, &words);
    insert(&conn, "/pin/later", "y");
    conn.execute_batch("COMMIT").unwrap();
    assert_eq!(imported.status.code(), Some(6), "{imported:?}");
    let report: Value = serde_json::from_slice(&imported.stdout).unwrap();
    let damaged: Vec<&str> =
        report["damaged"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(damaged.len(), 659);
    assert_eq!(damaged, cut);
    assert_eq!((&report["imported"], &report["opened"]), (&(10_000 - 659 + 1).into(), &(10_000 - 659).into()));
    assert_eq!(report["other_key"].as_array().unwrap().len(), 0);
    assert_eq!(ok(run(at, &["get", "pin", "1234"])), "1234");
    assert_eq!(ok(run(at, &["get", "registrar", "contact/sip:100@[::1]:5060"])), "{\"uri\":\"sip:100\"}");
    fails(&run(at, &["get", "pin", "late"]), 3, "no such key");
    fails(&run(at, &["get", "pin", &cut[0]["/pin/".len()..]]), 3, "no such key");
    ok(run(at, &["verify"]));
}

#[test]
fn what_is_no_database_of_asterisk_is_refused_and_nothing_is_written() {
    let home = home();
    let at = home.path();
    let path = |name: &str| at.join(name);
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("text"), "x".repeat(5_000)).unwrap();
    Connection::open(path("other")).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    let conn = asterisks(&path("odd"));
    insert(&conn, "no slash", "x");
    let conn = asterisks(&path("damaged"));
    conn.execute_batch("BEGIN").unwrap();
    (0..2_000).for_each(|n| insert(&conn, &format!("/pin/{n}"), &"v".repeat(40)));
    conn.execute_batch("COMMIT").unwrap();
    drop(conn);
    let mut bytes = std::fs::read(path("damaged")).unwrap();
    bytes[8_192..60_000].fill(0xa5);
    std::fs::write(path("damaged"), bytes).unwrap();
    let wrong = [
        ("empty", 5, "no table `astdb`"),
        ("text", 5, "no SQLite file"),
        ("other", 5, "no table `astdb`"),
        ("odd", 5, "not /family/key"),
        ("damaged", 5, "damaged"),
        ("nowhere", 5, "it is not there"),
    ];
    for (name, code, says) in wrong {
        fails(&run(at, &["import", name]), code, says);
    }
    let conn = asterisks(&path("locked"));
    insert(&conn, "/pin/100", "1234");
    conn.execute_batch("BEGIN EXCLUSIVE").unwrap();
    fails(&run(at, &["--timeout", "50ms", "import", "locked"]), 75, "another program is writing");
    conn.execute_batch("COMMIT").unwrap();
    assert!(!path(crate::astdb_cli::STATE).join("astdb.sqlite3").exists(), "nothing was written");
    ok(run(at, &["import", "locked"]));
    assert_eq!(ok(run(at, &["get", "pin", "100"])), "1234");
}
