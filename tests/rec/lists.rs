//! `rec ls`, `rename`, completion: tables that align, a hundred lines or a thousand, and what a closed pipe does.

use std::io::{BufRead, BufReader};

use wirechief::outbox::Outbox;

use super::{Home, fails, ok};
use crate::harness::program;

/// More rows than are looked at before the first is printed.
const MANY: usize = 1_300;

/// The rows of the queue again and again, under other ids.
fn many(home: &Home, rows: usize) {
    drop(Outbox::open(&home.spool()).unwrap());
    let queue = rusqlite::Connection::open(home.spool().join("outbox.sqlite3")).unwrap();
    let copied = queue
        .execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             INSERT INTO recordings (id, file, stem, state, started_ms, duration_ms, call, leg, uniqueid, from_number, from_name,
               to_number, direction)
             SELECT printf('%08x-0000-4000-8000-%012x', n, n), printf('many/%d.wav', n), printf('many/%d', n), 'finished',
               started_ms - n * 1000, duration_ms, call, leg, uniqueid, printf('%d', 1000 + n % 9000), from_name, to_number, direction
             FROM recordings, n WHERE file = '1001-2001.wav'",
            [i64::try_from(rows).unwrap()],
        )
        .unwrap();
    assert_eq!(copied, rows);
}

#[test]
fn a_list_is_aligned_however_long_it_is() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    let short = ok(home.run(&["ls"]));
    many(&home, MANY);
    let long = ok(home.run(&["ls"]));
    for (text, rows) in [(&short, 1), (&long, MANY + 1)] {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), rows + 1);
        assert!(lines.iter().all(|line| line.trim_end() == *line));
        let at = lines[0].find("FILE").unwrap();
        assert!(lines[1..].iter().all(|line| line[..at].ends_with("  ") && !line[at..].starts_with(' ')), "{text}");
        assert!(lines[1].contains("1001-2001.wav"), "the latest first: {}", lines[1]);
    }
    let json = home.json(&["ls", "--limit", "1200", "--oldest"]);
    assert_eq!((&json["schema"], json["recordings"].as_array().unwrap().len()), (&"rec.recordings/1".into(), 1_200));
    assert_eq!(json["recordings"][0]["file"], format!("many/{MANY}.wav"));
}

#[test]
fn who_reads_three_lines_and_leaves_ends_a_list_well() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    many(&home, 20_000);
    for words in [&["ls"][..], &["ls", "--json"]] {
        let mut child = home.command(words).spawn().unwrap();
        let mut output = BufReader::with_capacity(64, child.stdout.take().unwrap());
        output.fill_buf().unwrap();
        drop(output);
        let ended = program::ended(child);
        assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0), "{words:?}: {ended:?}");
    }
}

#[test]
fn recordings_are_found_by_what_is_at_hand() {
    let home = Home::with_folder();
    let id = home.recording("1001", "2001").to_string();
    home.recording("1002", "2002");
    for word in [&id[..], &id[..8], "1001-2001", "1001-2001.wav", "call-of-1001"] {
        assert_eq!(home.json(&["show", word])["manifest"]["id"], id.as_str(), "{word}");
    }
    fails(&home.run(&["show", "call-of-9"]), 3, "no such recording");
    assert_eq!(home.json(&["ls", "--find", "2002"])["recordings"][0]["from"], "1002");
    let files = |words: &[&str]| home.json(words)["recordings"].as_array().unwrap().len();
    assert_eq!(
        (files(&["ls", "--since", "1h"]), files(&["ls", "--until", "1h"]), files(&["ls", "--unsent"])),
        (2, 0, 2)
    );
}

#[test]
fn s137_names_are_made_anew_from_a_template_and_never_collide() {
    let home = Home::with_folder();
    home.recording("../../etc; rm -rf $HOME", "1");
    home.recording("1002", "2");
    let dry = ok(home.run(&["rename", "--template", "{direction}/x", "--dry-run"]));
    assert_eq!(dry.lines().count(), 2);
    assert!(dry.contains("→ out/x.wav") && dry.contains("→ out/x-2.wav"), "{dry}");
    ok(home.run(&["rename", "--template", "{direction}/{caller}"]));
    ok(home.run(&["rename", "--template", "same"]));
    let json = home.json(&["ls"]);
    let mut files: Vec<&str> =
        json["recordings"].as_array().unwrap().iter().map(|row| row["file"].as_str().unwrap()).collect();
    files.sort_unstable();
    assert_eq!(files, ["same-2.wav", "same.wav"]);
    assert!(files.iter().all(|file| home.spool().join(file).exists()));
    fails(&home.run(&["rename", "--template", "{colour}"]), 2, "unknown field `{colour}`");
    fails(&home.run(&["rename", "--template", "../x"]), 2, "../x");
}

#[test]
fn ids_files_and_remotes_are_offered_by_completion() {
    let home = Home::with_folder();
    let id = home.recording("1001", "2001").to_string();
    let complete = |words: &[&str]| {
        let mut command = home.command(&[&["--"], words].concat());
        command.env("WIRECHIEF_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "false");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(complete(&["rec", "show", &id[..5]]).lines().any(|word| word.trim() == id));
    assert!(complete(&["rec", "export", "1001-"]).lines().any(|word| word.trim() == "1001-2001.wav"));
    assert!(complete(&["rec", "test", "c"]).lines().any(|word| word.trim() == "crm"));
}

#[test]
fn a_spool_that_others_may_look_into_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with_folder();
    home.recording("1001", "2001");
    std::fs::set_permissions(home.spool(), std::fs::Permissions::from_mode(0o755)).unwrap();
    fails(&home.run(&["ls"]), 4, "others may look into the spool");
    let check = home.run(&["status", "--check"]);
    assert_eq!((check.status.code(), check.stderr.len()), (Some(2), 0), "{check:?}");
}
