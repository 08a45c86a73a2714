//! The `astdb` program as a process: what it prints, its exit codes, and what is found on the disk.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::program;
pub(crate) use crate::harness::program::ok;

pub(crate) const ASTDB: &str = env!("CARGO_BIN_EXE_astdb");

/// `astdb` in cron's empty environment, with a home of its own.
pub(crate) fn command(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(ASTDB);
    command.env_clear().env("HOME", home).args(words).current_dir(home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(home: &Path, words: &[&str]) -> Output {
    program::run(&mut command(home, words))
}

/// With something on standard input.
pub(crate) fn fed(home: &Path, words: &[&str], input: &[u8]) -> Output {
    let mut child = command(home, words).stdin(Stdio::piped()).spawn().unwrap();
    // A program that refuses its words does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    program::ended(child)
}

#[track_caller]
pub(crate) fn fails(output: &Output, code: i32, says: &str) {
    program::fails("astdb", output, (code, says));
}

pub(crate) fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) const STATE: &str = ".local/state/wirechief";

/// A home with `/pin/100` = 1234.
pub(crate) fn with_pin() -> tempfile::TempDir {
    let home = home();
    ok(fed(home.path(), &["put", "pin", "100", "-"], b"1234"));
    home
}

#[test]
fn s185_the_listing_is_asterisks_with_reveal_and_masked_without() {
    let home = with_pin();
    let expected = "/pin/100                                          : 1234                     \n1 results found.\n";
    assert_eq!(ok(run(home.path(), &["show", "pin", "--reveal"])), expected);
    assert_eq!(ok(run(home.path(), &["database", "show", "pin", "--reveal"])), expected);
    let masked = ok(run(home.path(), &["show", "pin"]));
    assert_eq!(masked.split_whitespace().collect::<Vec<_>>()[..5], ["/pin/100", ":", "(sealed,", "16", "bytes)"]);
    assert_eq!(ok(run(home.path(), &["show", "none"])), "0 results found.\n");
    let json: Value = serde_json::from_str(&ok(run(home.path(), &["show", "--json", "--reveal"]))).unwrap();
    assert_eq!(json["schema"], "astdb.entries/1");
    assert_eq!(json["entries"][0]["value"], "1234");
}

#[test]
fn s187_asterisks_words_have_asterisks_answers_and_honest_exit_codes() {
    let home = home();
    let home = home.path();
    let answers: [(&[&str], i32, &str); 12] = [
        (&["put", "pin", "100", "1234"], 0, "Updated database successfully\n"),
        (&["put", "pin", "sub/7", "x"], 0, "Updated database successfully\n"),
        (&["get", "pin", "100"], 0, "Value: 1234\n"),
        (&["get", "pin", "9"], 3, "Database entry not found.\n"),
        (&["del", "pin", "9"], 3, "Database entry could not be removed.\n"),
        (&["deltree", "none"], 3, "Database entries do not exist.\n"),
        (&["deltree", "pin", "sub"], 0, "1 database entries removed.\n"),
        (&["del", "pin", "100"], 0, "Database entry removed.\n"),
        (&["show"], 0, "0 results found.\n"),
        (&["put", "a", "100", "1"], 0, "Updated database successfully\n"),
        (&["put", "b", "x/100", "1"], 0, "Updated database successfully\n"),
        (&["put", "b", "1001", "1"], 0, "Updated database successfully\n"),
    ];
    for (words, code, says) in answers {
        let output = run(home, &[&["database"], words].concat());
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), says, "{words:?}");
    }
    let shown = ok(run(home, &["database", "showkey", "100"]));
    let names: Vec<&str> = shown.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["/a/100", "/b/x/100", "2"]);
}

#[test]
fn s194_neither_value_nor_key_is_in_the_files_and_the_key_is_its_owners_alone() {
    let home = home();
    ok(fed(home.path(), &["put", "pin", "100", "-"], b"correct-horse-battery"));
    let state = home.path().join(STATE);
    let key = std::fs::read_to_string(state.join("astdb.key")).unwrap();
    let digits = key.lines().last().unwrap().split(' ').nth(1).unwrap();
    let raw: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
    for file in std::fs::read_dir(&state).unwrap().map(|file| file.unwrap().path()) {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        if file.ends_with("astdb.key") {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        for secret in [&b"correct-horse-battery"[..], digits.as_bytes(), &raw] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{file:?}");
        }
    }
    for words in [&["key", "info"][..], &["show"], &["log"], &["dump"], &["key", "info", "--json"]] {
        let output = run(home.path(), words);
        let all = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&all).contains(digits), "{words:?}");
        assert!(!String::from_utf8_lossy(&all).contains("horse"), "{words:?}");
    }
}

#[test]
fn s199_check_compares_with_standard_input_from_crons_empty_environment() {
    let home = with_pin();
    let check = |key: &str, pin: &[u8]| fed(home.path(), &["check", "pin", key, "-"], pin);
    assert_eq!(check("100", b"1234").status.code(), Some(0));
    for wrong in [&b""[..], b"123", b"12345", b"1234\n", b"9999"] {
        let output = check("100", wrong);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    }
    fails(&check("7", b""), 3, "/pin/7: no such key");
    assert_eq!(
        run(home.path(), &["check", "pin", "100", "1234"]).status.code(),
        Some(2),
        "never from the command line"
    );
}

#[test]
fn a_value_is_kept_byte_for_byte_whatever_it_is() {
    let home = home();
    let all: Vec<u8> = (0..=255).collect();
    let large = vec![b'x'; 1 << 20];
    for value in [&b""[..], b"\n", &all, &large] {
        ok(fed(home.path(), &["put", "bin", "k", "-"], value));
        assert_eq!(run(home.path(), &["get", "bin", "k"]).stdout, value);
    }
    fails(&fed(home.path(), &["put", "bin", "k", "-"], &[&large[..], b"x"].concat()), 2, "more than 1048576");
    let key = "k".repeat(4_096);
    ok(run(home.path(), &["put", "long", &key, "v"]));
    assert_eq!(ok(run(home.path(), &["get", "long", &key])), "v");
    fails(&run(home.path(), &["put", "long", &"k".repeat(4_097), "v"]), 2, "more than 4096 bytes");
    ok(run(home.path(), &["put", "pin", "", "v"]));
    assert_eq!(ok(run(home.path(), &["get", "pin", ""])), "v");
    fails(&run(home.path(), &["put", "", "k", "v"]), 2, "no name");
    fails(&run(home.path(), &["put", "pin", "100"]), 2, "no value");
}

#[test]
fn each_thing_that_is_wrong_has_its_own_words_and_exit_code() {
    let home = with_pin();
    let (home, state) = (home.path(), home.path().join(STATE));
    let (file, key) = (state.join("astdb.sqlite3"), state.join("astdb.key"));
    fails(&run(home, &["get", "pin", "7"]), 3, "no such key");
    fails(&run(home, &["del", "pin", "7", "--must-exist"]), 3, "no such key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    fails(&run(home, &["get", "pin", "100"]), 4, "others can read this key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    fails(&run(home, &["--key-file", "nowhere", "get", "pin", "100"]), 4, "the key is not here");
    fails(&run(home, &["--key-file", "nowhere", "put", "pin", "100", "x"]), 4, "the key is not here");
    assert!(!home.join("nowhere").exists(), "no second key is made for a store that has one");
    ok(run(home, &["--key-file", "other", "key", "new"]));
    fails(&run(home, &["--key-file", "other", "get", "pin", "100"]), 4, "does not open this store");
    std::fs::write(&key, "nonsense\n").unwrap();
    fails(&run(home, &["get", "pin", "100"]), 5, "not a key file");
    std::fs::write(home.join("text"), "x".repeat(5_000)).unwrap();
    fails(&run(home, &["--file", "text", "show"]), 5, "no SQLite file");
    let sql = |path: &Path, sql: &str| rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    sql(&home.join("asterisk"), "CREATE TABLE astdb(key TEXT, value TEXT, PRIMARY KEY(key));");
    fails(&run(home, &["--file", "asterisk", "show"]), 5, "a database of Asterisk");
    sql(&file, "PRAGMA user_version = 99");
    fails(&run(home, &["show"]), 5, "newer");
}

#[test]
fn a_damaged_value_is_named_and_no_other_suffers() {
    let home = with_pin();
    ok(run(home.path(), &["put", "pin", "101", "5678"]));
    let file = home.path().join(STATE).join("astdb.sqlite3");
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.execute_batch("CREATE TEMP TABLE o AS SELECT * FROM entries; UPDATE entries SET value = (SELECT value FROM o WHERE o.key = '101') WHERE key = '100'").unwrap();
    drop(conn);
    fails(&run(home.path(), &["get", "pin", "100"]), 5, "/pin/100: the value is damaged");
    assert_eq!(ok(run(home.path(), &["get", "pin", "101"])), "5678");
    let shown = run(home.path(), &["show", "--reveal"]);
    assert_eq!(shown.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("(damaged)"));
    let verified = run(home.path(), &["verify"]);
    assert_eq!(verified.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&verified.stdout).contains("/pin/100"));
}

#[test]
fn another_writer_is_waited_for_and_then_named() {
    let home = with_pin();
    let conn = rusqlite::Connection::open(home.path().join(STATE).join("astdb.sqlite3")).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    fails(&run(home.path(), &["--timeout", "50ms", "put", "pin", "100", "x"]), 75, "another program is writing");
    assert_eq!(ok(run(home.path(), &["get", "pin", "100"])), "1234", "readers are not in the way");
}

/// Runs a put on a disk where files cannot grow beyond so many KiB: SQLite meets a write that fails.
fn put_with_room(home: &Path, kib: u32, value: &str) -> Output {
    let script = format!("ulimit -f {kib}; trap '' XFSZ; exec {ASTDB} put pin 100 -");
    let mut child = Command::new("/bin/bash");
    child.args(["-c", &script]).env_clear().env("HOME", home).stdin(Stdio::piped());
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(value.as_bytes());
    program::ended(child)
}

#[test]
fn a_full_disk_leaves_the_old_value_or_the_new_one_at_every_write() {
    let home = with_pin();
    let large = "x".repeat(100_000);
    let mut old = "1234".to_owned();
    let mut refused = 0;
    for kib in (4..180).step_by(8) {
        let new = format!("{kib}{large}");
        let output = put_with_room(home.path(), kib, &new);
        let found = ok(run(home.path(), &["get", "pin", "100"]));
        match output.status.code() {
            Some(0) => assert!(found == new, "{kib} KiB: it was acknowledged"),
            Some(1) => {
                assert!(found == old, "{kib} KiB: it was refused");
                refused += 1;
            }
            _ => panic!("{kib} KiB: {output:?}"),
        }
        assert_eq!(run(home.path(), &["verify"]).status.code(), Some(0), "{kib} KiB");
        old = found;
    }
    assert!(refused > 5, "the limit was met");
}

#[test]
fn dumps_load_again_and_sealed_ones_only_with_the_key() {
    let home = with_pin();
    let at = home.path();
    ok(run(at, &["dump", "-o", "sealed.json"]));
    ok(run(at, &["dump", "--reveal", "-o", "clear.json"]));
    let text = std::fs::read_to_string(at.join("sealed.json")).unwrap();
    assert!(!text.contains("1234\"") && text.contains("\"sealed\":true"), "{text}");
    for (dump, key) in [("sealed.json", Some(format!("{STATE}/astdb.key"))), ("clear.json", None)] {
        let mut place = vec!["--file", "new.sqlite3", "--key-file"];
        let key = key.unwrap_or_else(|| "new.key".to_owned());
        place.push(&key);
        ok(run(at, &[&place[..], &["load", dump, "--dry-run"]].concat()));
        assert!(!at.join("new.sqlite3").exists());
        ok(run(at, &[&place[..], &["load", dump]].concat()));
        assert_eq!(ok(run(at, &[&place[..], &["get", "pin", "100"]].concat())), "1234");
        for file in ["new.sqlite3", "new.sqlite3-wal", "new.sqlite3-shm"] {
            let _ = std::fs::remove_file(at.join(file));
        }
    }
    ok(run(at, &["--key-file", "alien.key", "key", "new"]));
    fails(&run(at, &["--file", "x", "--key-file", "alien.key", "load", "sealed.json"]), 4, "does not open");
    ok(run(at, &["put", "pin", "200", "x"]));
    ok(run(at, &["load", "clear.json", "--replace"]));
    fails(&run(at, &["get", "pin", "200"]), 3, "no such key");
    std::fs::write(at.join("bad.json"), "{\"schema\":\"astdb.dump/1\",\"sealed\":false}\n{}\n").unwrap();
    fails(&run(at, &["load", "bad.json", "--replace"]), 5, "line 2");
    assert_eq!(ok(run(at, &["get", "pin", "100"])), "1234", "a broken dump replaces nothing");
    ok(run(at, &["backup", "copy.sqlite3"]));
    let key = format!("{STATE}/astdb.key");
    assert_eq!(ok(run(at, &["--file", "copy.sqlite3", "--key-file", &key, "get", "pin", "100"])), "1234");
}

#[test]
fn asterisks_own_database_is_taken_over_with_its_damage_named() {
    let home = home();
    let at = home.path();
    let conn = rusqlite::Connection::open(at.join("astdb.sqlite3")).unwrap();
    conn.execute_batch(
        "CREATE TABLE astdb(key TEXT, value TEXT, PRIMARY KEY(key));
         INSERT INTO astdb VALUES ('/pbx/UUID', '8a0c'), ('/pin/100', 'Je2G/qyHuGVKgvvXDwXjHA=='), ('/pin/101', 'Je2G/g=='),
           ('/name/1/2', 'Alice'), ('/pin/', '');",
    )
    .unwrap();
    std::fs::write(at.join("aes"), "1234qwerasdfzxcv\n").unwrap();
    let words = ["import", "astdb.sqlite3", "--family", "pin", "--aes-key-file", "aes", "--json"];
    let report = run(at, &[&words[..], &["--report"]].concat());
    assert_eq!(report.status.code(), Some(6));
    let json: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!((&json["imported"], &json["opened"]), (&3.into(), &1.into()));
    assert_eq!(json["damaged"][1]["name"], "/pin/101");
    assert!(!at.join(STATE).join("astdb.sqlite3").exists(), "a report writes nothing");
    assert_eq!(run(at, &words).status.code(), Some(6));
    assert_eq!(ok(run(at, &["get", "pin", "100"])), "1234");
    assert_eq!(ok(run(at, &["get", "name", "1/2"])), "Alice");
    std::fs::write(at.join("aes"), "short").unwrap();
    fails(&run(at, &words[..6]), 5, "exactly 16 characters, not 5");
    fails(&run(at, &["import", "nowhere"]), 5, "it is not there");
}

#[test]
fn families_and_keys_are_offered_by_completion() {
    let home = with_pin();
    let complete = |words: &[&str]| {
        let mut command = command(home.path(), &[&["--"], words].concat());
        command.env("WIRECHIEF_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "false");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(complete(&["astdb", "get", "p"]).lines().any(|word| word.trim() == "pin"));
    assert!(complete(&["astdb", "get", "pin", "1"]).lines().any(|word| word.trim() == "100"));
}

#[test]
fn s195_without_the_key_the_store_is_listed_and_copied_but_not_read() {
    let home = with_pin();
    let at = home.path();
    std::fs::rename(at.join(STATE).join("astdb.key"), at.join("elsewhere")).unwrap();
    assert!(ok(run(at, &["show", "pin"])).starts_with("/pin/100 "));
    ok(run(at, &["backup", "copy.sqlite3"]));
    ok(run(at, &["dump", "-o", "sealed.json"]));
    fails(&run(at, &["show", "pin", "--reveal"]), 4, "the key is not here");
    fails(&run(at, &["get", "pin", "100"]), 4, "the key is not here");
    assert_eq!(ok(run(at, &["--file", "copy.sqlite3", "--key-file", "elsewhere", "get", "pin", "100"])), "1234");
}

/// Bytes of a long key, and how many entries have one: lists of 8 MB, or just of more than a pipe takes.
const LONG_KEY: usize = 4_000;
const MANY: usize = 2_000;
const FEW: usize = 150;

fn with_long_keys(entries: usize) -> tempfile::TempDir {
    let home = home();
    let mut dump = "{\"schema\":\"astdb.dump/1\",\"sealed\":false}\n".to_owned();
    for number in 0..entries {
        dump.push_str(&format!("{{\"family\":\"f\",\"key\":\"{number:0LONG_KEY$}\",\"value\":\"v\"}}\n"));
    }
    ok(fed(home.path(), &["load", "-"], dump.as_bytes()));
    home
}

const LISTS: [&[&str]; 6] =
    [&["show"], &["show", "--reveal"], &["show", "--json"], &["log"], &["log", "--json"], &["dump"]];

/// All that a list prints, in bytes, and the most memory it had meanwhile.
fn printed_and_peak(home: &Path, words: &[&str]) -> (usize, usize) {
    let mut child = command(home, words).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut output, mut bytes) = (child.stdout.take().unwrap(), vec![0; 64 * 1024]);
    let (mut printed, mut peak) = (0, 0);
    loop {
        // Before the last read it waits for us to make room in the pipe.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = kib.map_or(peak, |kib: usize| kib * 1_024);
        match output.read(&mut bytes).unwrap() {
            0 => break,
            more => printed += more,
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    (printed, peak)
}

#[test]
fn long_lists_are_printed_as_they_are_read_and_never_held_whole() {
    let (few, many) = (with_long_keys(FEW), with_long_keys(MANY));
    for words in LISTS {
        let (_, usual) = printed_and_peak(few.path(), words);
        let (printed, peak) = printed_and_peak(many.path(), words);
        assert!(usual > 0 && printed > MANY * LONG_KEY, "{words:?}: {printed} bytes");
        assert!(peak < usual + printed / 2, "{words:?}: {peak} bytes of memory, {usual} with few rows");
    }
    let json: Value = serde_json::from_str(&ok(run(many.path(), &["log", "--json"]))).unwrap();
    assert_eq!(json["schema"], "astdb.log/1");
    assert_eq!(json["changes"].as_array().unwrap().len(), MANY);
    assert_eq!(json["changes"][MANY - 1]["sequence"], MANY);
}

#[test]
fn who_reads_ten_lines_and_leaves_ends_a_list_well() {
    let many = with_long_keys(MANY);
    for words in LISTS {
        let mut child = command(many.path(), words).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        if words.contains(&"--json") {
            output.read_exact(&mut [0; 10 * LONG_KEY]).unwrap();
        } else {
            assert_eq!(output.by_ref().lines().take(10).map_while(Result::ok).count(), 10);
        }
        drop(output);
        let ended = program::ended(child);
        assert_eq!(ended.status.code(), Some(0), "{words:?}: {ended:?}");
        assert!(ended.stderr.is_empty(), "{words:?}: {ended:?}");
    }
}

#[test]
fn an_empty_log_is_a_whole_document() {
    let home = home();
    let json: Value = serde_json::from_str(&ok(run(home.path(), &["log", "--json"]))).unwrap();
    assert_eq!((&json["schema"], json["changes"].as_array().unwrap().len()), (&"astdb.log/1".into(), 0));
    assert_eq!(ok(run(home.path(), &["log"])), "");
}
