//! What can be wrong around the `astdb` program: each thing has its own words and exit code, and nothing is lost or half written.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;

use crate::astdb_cli::{ASTDB, STATE, command, fails, fed, home, ok, run, with_pin};
use crate::astdb_faults::faulty_disk;
use crate::harness::program;

#[test]
fn processes_that_make_the_store_and_write_at_once_all_succeed() {
    let home = home();
    let start =
        |n: usize| command(home.path(), &["--timeout", "250s", "put", "pin", &n.to_string(), "x"]).spawn().unwrap();
    let children: Vec<_> = (0..12).map(start).collect();
    for child in children {
        ok(program::ended(child));
    }
    assert!(ok(run(home.path(), &["show"])).ends_with("12 results found.\n"));
    ok(run(home.path(), &["verify"]));
    let info = ok(run(home.path(), &["key", "info"]));
    assert_eq!(info.lines().count(), 3, "one key: {info}");
}

/// With the failing disk in front.
fn on_a_faulty_disk(home: &Path, (of, how, at): (&str, &str, u32), words: &[&str]) -> (Output, bool) {
    let report = home.join("report");
    let _ = std::fs::remove_file(&report);
    let mut command = command(home, words);
    command.env("LD_PRELOAD", faulty_disk()).env("FAULTS_FOLDER", home.join(STATE)).env("FAULTS_REPORT", &report);
    command.env("FAULTS_OF", of).env("FAULTS_HOW", how).env("FAULTS_AT", at.to_string());
    let output = program::run(&mut command);
    (output, report.exists())
}

#[test]
fn a_disk_that_is_full_or_fails_is_told_as_such_and_still_read() {
    let home = with_pin();
    for (of, how, says) in [("write", "full", "the disk is full"), ("write", "eio", ""), ("sync", "eio", "")] {
        let mut refused = 0;
        for at in 1.. {
            let old = ok(run(home.path(), &["get", "pin", "100"]));
            let new = format!("{of}{how}{at}");
            let (output, came) = on_a_faulty_disk(home.path(), (of, how, at), &["put", "pin", "100", &new]);
            if !came {
                break;
            }
            let is_done = output.status.code() == Some(0);
            if !is_done {
                fails(&output, 1, says);
                refused += 1;
            }
            assert_eq!(
                ok(run(home.path(), &["get", "pin", "100"])),
                if is_done { new } else { old },
                "{of} {how} {at}"
            );
        }
        assert!(refused > 0, "{of} {how}");
    }
    let old = ok(run(home.path(), &["get", "pin", "100"]));
    let (output, came) = on_a_faulty_disk(home.path(), ("write", "full", 1), &["get", "pin", "100"]);
    assert!(came);
    assert_eq!(ok(output), old);
    ok(run(home.path(), &["verify"]));
}

/// `astdb` as an account without rights of its own: who runs the test, or where that is root, nobody.
fn unprivileged(home: &Path, words: &[&str]) -> Output {
    let is_root = rustix::process::getuid().is_root();
    let program = home.join("program");
    if is_root && !program.exists() {
        // Nobody may not come near the one that was built. Copied by a program: a child of another test that is just being forked
        // would keep open what we write, and what is open for writing cannot be run.
        assert!(Command::new("cp").arg(ASTDB).arg(&program).status().unwrap().success());
    }
    let mut command = Command::new(if is_root { &program } else { Path::new(ASTDB) });
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    command.env_clear().env("HOME", home).args(words).current_dir(home);
    program::run(command.stdin(Stdio::null()))
}

#[test]
fn a_folder_or_file_that_cannot_be_written_is_read_and_refused_to_writers() {
    let home = with_pin();
    let at = home.path();
    let state = at.join(STATE);
    let mut places: Vec<_> = std::fs::read_dir(&state).unwrap().map(|file| file.unwrap().path()).collect();
    places.extend(state.ancestors().take_while(|place| place.starts_with(at)).map(Path::to_path_buf));
    if rustix::process::getuid().is_root() {
        for place in &places {
            chown(place, Some(65_534), Some(65_534)).unwrap();
        }
    }
    let mode = |place: &Path, mode| std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
    for (folder, file) in [(0o500, 0o600), (0o500, 0o400), (0o700, 0o400)] {
        mode(&state.join("astdb.sqlite3"), file);
        mode(&state, folder);
        let context = format!("{folder:o} {file:o}");
        assert_eq!(ok(unprivileged(at, &["get", "pin", "100"])), "1234", "{context}");
        ok(unprivileged(at, &["verify"]));
        assert!(ok(unprivileged(at, &["show"])).contains("/pin/100"));
        for words in [&["put", "pin", "100", "x"][..], &["del", "pin", "100"], &["deltree", "pin"], &["key", "rotate"]]
        {
            fails(&unprivileged(at, words), 4, "cannot be written");
        }
        mode(&state, 0o700);
        mode(&state.join("astdb.sqlite3"), 0o600);
        assert_eq!(ok(unprivileged(at, &["get", "pin", "100"])), "1234", "{context}");
    }
    mode(&state, 0o500);
    fails(&unprivileged(at, &["--file", &format!("{STATE}/new"), "put", "pin", "100", "x"]), 4, "denied");
    fails(&unprivileged(at, &["dump", "-o", &format!("{STATE}/new")]), 4, "denied");
    mode(&state, 0o700);
}

#[test]
fn a_form_of_the_future_is_not_touched() {
    let home = with_pin();
    let file = home.path().join(STATE).join("astdb.sqlite3");
    Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let before = std::fs::read(&file).unwrap();
    let commands: [&[&str]; 9] = [
        &["get", "pin", "100"],
        &["put", "pin", "100", "x"],
        &["del", "pin", "100"],
        &["show"],
        &["verify"],
        &["log"],
        &["key", "rotate"],
        &["dump"],
        &["backup", "copy"],
    ];
    for words in commands {
        fails(&run(home.path(), words), 5, "newer");
    }
    assert!(std::fs::read(&file).unwrap() == before, "nothing was written");
    assert!(!home.path().join("copy").exists());
}

#[test]
fn names_with_control_characters_neither_break_a_listing_nor_reach_the_terminal() {
    let home = with_pin();
    let at = home.path();
    let names = ["x\x1b[2J\n/pin/999 : 6", "\u{9b}31m", "\u{202e}evil", "bell\x07", "del\x7f", "\r/pin/100 : 0"];
    for name in names {
        ok(run(at, &["put", "pin", name, "v\x1b[31m"]));
        ok(run(at, &["put", name, "k", "v"]));
        fails(&run(at, &["get", "pin", &format!("{name}?")]), 3, "no such key");
    }
    let is_plain = |bytes: &[u8]| !String::from_utf8_lossy(bytes).chars().any(|c| c != '\n' && c.is_control());
    let shown = run(at, &["show", "--reveal"]);
    assert_eq!(shown.stdout.iter().filter(|byte| **byte == b'\n').count(), 2 * names.len() + 2);
    let commands: [&[&str]; 8] = [
        &["show"],
        &["show", "--reveal", "--json"],
        &["log"],
        &["log", "--json"],
        &["find", "--prefix", "/"],
        &["dump"],
        &["dump", "--reveal"],
        &["database", "showkey", names[0]],
    ];
    for words in commands {
        let output = run(at, words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(is_plain(&output.stdout) && is_plain(&output.stderr), "{words:?}: {output:?}");
    }
    let dump = run(at, &["dump", "--reveal"]).stdout;
    ok(fed(at, &["--file", "again", "--key-file", "again.key", "load", "-"], &dump));
    for name in names {
        let again = run(at, &["--file", "again", "--key-file", "again.key", "get", "pin", name]);
        assert_eq!(ok(again), "v\x1b[31m", "{name:?}");
    }
}

#[test]
fn a_family_with_a_slash_is_told_from_a_key_with_one_and_asterisks_words_join_them() {
    let home = home();
    let at = home.path();
    ok(run(at, &["put", "a", "b/c", "key"]));
    ok(run(at, &["put", "a/b", "c", "family"]));
    assert_eq!(ok(run(at, &["get", "a", "b/c"])), "key");
    assert_eq!(ok(run(at, &["get", "a/b", "c"])), "family");
    let shown = ok(run(at, &["show"]));
    assert_eq!(shown.lines().filter(|line| line.starts_with("/a/b/c ")).count(), 1, "{shown}");
    ok(run(at, &["database", "put", "x/y", "z", "1"]));
    assert_eq!(ok(run(at, &["get", "x", "y/z"])), "1", "where DB(x/y/z) looks");
    assert_eq!(ok(run(at, &["database", "get", "x/y", "z"])), "Value: 1\n");
    assert!(ok(run(at, &["database", "show", "x/y", "z"])).starts_with("/x/y/z "));
    ok(run(at, &["database", "deltree", "x/y"]));
    assert_eq!(run(at, &["database", "get", "x", "y/z"]).status.code(), Some(3));
}

#[test]
fn a_dump_or_copy_that_fails_leaves_the_one_before() {
    let home = with_pin();
    let at = home.path();
    ok(run(at, &["dump", "--reveal", "-o", "dump"]));
    let before = std::fs::read(at.join("dump")).unwrap();
    std::fs::set_permissions(at.join("dump"), std::fs::Permissions::from_mode(0o644)).unwrap();
    ok(run(at, &["dump", "--reveal", "-o", "dump"]));
    assert_eq!(std::fs::metadata(at.join("dump")).unwrap().permissions().mode() & 0o777, 0o600, "values in clear");
    let file = at.join(STATE).join("astdb.sqlite3");
    fails(&run(at, &["backup", file.to_str().unwrap()]), 2, "the store itself");
    ok(run(at, &["backup", "copy"]));
    // The copy has been used, and its log still lies beside it.
    let key = format!("{STATE}/astdb.key");
    let held = Connection::open(at.join("copy")).unwrap();
    held.query_row("SELECT count(*) FROM entries", (), |row| row.get::<_, i64>(0)).unwrap();
    ok(run(at, &["--file", "copy", "--key-file", &key, "put", "pin", "100", "other"]));
    ok(run(at, &["backup", "copy"]));
    assert_eq!(ok(run(at, &["--file", "copy", "--key-file", &key, "get", "pin", "100"])), "1234");
    ok(run(at, &["--file", "copy", "--key-file", &key, "verify"]));
    drop(held);
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("UPDATE entries SET value = zeroblob(61)").unwrap();
    fails(&run(at, &["dump", "--reveal", "-o", "dump"]), 5, "damaged");
    assert_eq!(std::fs::read(at.join("dump")).unwrap(), before);
    let left = |name: &str| {
        std::fs::read_dir(at).unwrap().any(|file| file.unwrap().file_name().to_string_lossy().contains(name))
    };
    assert!(!left(".new"), "nothing is left beside it");
}

#[test]
fn hidden_names_and_values_are_in_no_file_of_the_store_whatever_was_done() {
    let home = home();
    let at = home.path();
    std::fs::create_dir_all(at.join(".config/wirechief")).unwrap();
    std::fs::write(at.join(".config/wirechief/pbx.toml"), "[astdb]\nhide_names = true\n").unwrap();
    ok(fed(at, &["put", "secretfamily", "secretkey", "-"], b"secretvalue"));
    // Somebody who reads keeps the log from being folded in.
    let held = Connection::open(at.join(STATE).join("astdb.sqlite3")).unwrap();
    held.query_row("SELECT count(*) FROM entries", (), |row| row.get::<_, i64>(0)).unwrap();
    let see = |when: &str| {
        let mut seen = Vec::new();
        for file in std::fs::read_dir(at.join(STATE)).unwrap().chain(std::fs::read_dir(at).unwrap()) {
            let path = file.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                for word in [&b"secretfamily"[..], b"secretkey", b"secretvalue", b"othervalue"] {
                    assert!(!bytes.windows(word.len()).any(|part| part == word), "{when}: {}", path.display());
                }
                seen.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
        seen
    };
    let seen = see("put");
    assert!(
        ["astdb.sqlite3", "astdb.sqlite3-wal", "astdb.sqlite3-shm"].iter().all(|name| seen.iter().any(|n| n == name))
    );
    let steps: [&[&str]; 8] = [
        &["put", "secretfamily", "secretkey", "othervalue"],
        &["show", "--reveal"],
        &["find", "--prefix", "/secretfamily", "--reveal"],
        &["backup", "copy"],
        &["key", "rotate"],
        &["del", "secretfamily", "secretkey"],
        &["verify"],
        &["backup", "copy"],
    ];
    for words in steps {
        ok(run(at, words));
        see(&words.join(" "));
    }
    drop(held);
    ok(run(at, &["put", "secretfamily", "secretkey", "othervalue"]));
    see("the log is folded in");
}

#[test]
fn without_a_home_the_store_is_where_the_environment_says_or_the_error_tells_what_to_set() {
    let home = home();
    let bare = |variables: &[(&str, &str)], words: &[&str]| {
        let mut command = Command::new(ASTDB);
        command.env_clear().envs(variables.iter().copied()).args(words).current_dir("/").stdin(Stdio::null());
        command.output().unwrap()
    };
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (state, file, key) = (path("state"), path("file"), path("key"));
    let service = [("STATE_DIRECTORY", state.as_str())];
    ok(bare(&service, &["put", "pin", "100", "1234"]));
    assert_eq!(ok(bare(&service, &["get", "pin", "100"])), "1234");
    let named = [("ASTDB_FILE", file.as_str()), ("ASTDB_KEY_FILE", key.as_str())];
    ok(bare(&named, &["put", "pin", "100", "5678"]));
    assert_eq!(ok(bare(&named, &["get", "pin", "100"])), "5678");
    assert_eq!(ok(bare(&[], &["--file", &file, "--key-file", &key, "get", "pin", "100"])), "5678");
    let nothing = bare(&[("HOME", &path("none"))], &["get", "pin", "100"]);
    fails(&nothing, 3, "no such key");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("ASTDB_FILE or HOME say where"), "{nothing:?}");
}
