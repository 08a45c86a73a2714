//! `rec push` and what goes with it: exactly once, silent in cron, one line when something is wrong, 75 when another run goes on.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::{Home, REC, absent, comes, fails, folder, ok, silent};
use crate::harness::program;

#[test]
fn s119_what_waits_is_delivered_once_and_a_push_in_cron_is_silent() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    home.recording("1002", "2002");
    for _ in 0..2 {
        let output = home.run(&["push", "-q", "--max-time", "4m"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(home.arrived().len(), 2, "{:?}", home.arrived());
    }
    let json = home.json(&["show", "call-of-1001"]);
    assert_eq!(json["schema"], "rec.recording/1");
    let delivery = &json["deliveries"][0];
    assert_eq!((&delivery["remote"], &delivery["state"]), (&"crm".into(), &"delivered".into()));
    assert_eq!(delivery["receipt"]["sha256"], json["manifest"]["audio"]["sha256"]);
    assert!(ok(home.run(&["show", "call-of-1001"])).contains("crm: delivered"));
    assert!(home.spool().join("1001-2001.wav").exists(), "nothing is deleted by a push");
}

#[test]
fn a_push_before_anything_was_recorded_has_nothing_to_do_and_makes_nothing() {
    let home = Home::with_folder();
    let output = home.run(&["push", "-q"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    assert!(!home.spool().exists());
    fails(&home.run(&["push", "abcd1234"]), 3, "no such recording");
    fails(&home.run(&["push", "--spool", "nowhere"]), 3, "no such spool");
}

#[test]
fn what_fails_is_one_line_that_names_recording_remote_and_attempt_and_is_tried_again() {
    let home = Home::with(&absent("crm"));
    let id = home.recording("1001", "2001").to_string();
    let output = home.run(&["push", "-q"]);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in ["rec: ", id.as_str(), "call-of-1001", "1001-2001.wav", "crm", "http://127.0.0.1:", "attempt 1"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(output.stdout.is_empty());
    home.recording("1002", "2002");
    let json = home.run(&["push", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["schema"], &json["waiting"]), (&"rec.push/1".into(), &2.into()));
    let left: Vec<&str> =
        json["items"].as_array().unwrap().iter().map(|item| item["state"].as_str().unwrap()).collect();
    assert_eq!(left, ["waiting", "waiting"], "what is not due is told of too");
    let status = home.json(&["status"]);
    assert_eq!(status["waiting"], 2);
    assert!(status["remotes"][0]["error"].as_str().is_some_and(|error| error.contains("127.0.0.1")), "{status}");
}

#[test]
fn two_pushes_at_once_are_one_and_the_other_ends_with_75() {
    let (settings, remote) = silent("crm");
    let home = Home::with(&settings);
    home.recording("1001", "2001");
    let first = home.command(&["push"]).spawn().unwrap();
    // It has connected, so it holds the lock.
    let _upload = comes(&remote);
    let second = home.run(&["push"]);
    fails(&second, 75, "another run");
    let line = String::from_utf8(home.run(&["push", "-q"]).stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    fails(&home.run(&["push", "--wait-lock", "100ms"]), 75, "another run");
    kill_process(Pid::from_child(&first), Signal::INT).unwrap();
    let first = program::ended(first);
    assert_eq!(first.status.code(), Some(130), "Ctrl-C once ends it");
    assert_eq!(String::from_utf8(first.stderr).unwrap(), "", "and it says nothing of that");
    assert_eq!(home.json(&["ls"])["recordings"][0]["delivery"], "waiting");
}

#[test]
fn a_remote_may_be_named_that_never_wanted_a_recording() {
    let home = Home::with(&(folder("crm") + &absent("other")));
    let id = home.recording("1001", "2001").to_string();
    fails(&home.run(&["push", "--to", "cmr"]), 3, "no such remote");
    let dry = ok(home.run(&["push", "--dry-run", "--to", "crm"]));
    assert!(dry.contains(&id) && home.arrived().is_empty(), "{dry}");
    ok(home.run(&["push", "--to", "crm", "call-of-1001"]));
    assert_eq!(home.arrived().len(), 1);
    assert_eq!(home.run(&["push"]).status.code(), Some(75), "the other one has not got it");
    let plus = std::fs::read_to_string(home.path().join(".config/wirechief/pbx.toml")).unwrap() + &folder("late");
    let plus = plus.replace("HOME", home.path().to_str().unwrap());
    std::fs::write(home.path().join(".config/wirechief/pbx.toml"), plus).unwrap();
    std::fs::create_dir(home.path().join("late")).unwrap();
    ok(home.run(&["push", "--to", "late", &id[..13]]));
    assert!(home.path().join("late").read_dir().unwrap().count() > 0);
}

#[test]
fn a_file_that_was_changed_is_parked_and_stays_so_until_it_is_retried() {
    let home = Home::with_folder();
    let id = home.recording("1001", "2001").to_string();
    let file = home.spool().join("1001-2001.wav");
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 1;
    std::fs::write(&file, &bad).unwrap();
    fails(&home.run(&["push"]), 6, "when it was finished");
    assert_eq!(home.json(&["ls", "--failed"])["recordings"][0]["id"], id.as_str());
    let check = home.run(&["status", "--check"]);
    assert_eq!(check.status.code(), Some(2));
    assert!(String::from_utf8(check.stdout).unwrap().starts_with("REC CRITICAL - "));
    std::fs::write(&file, &good).unwrap();
    fails(&home.run(&["push"]), 6, "1 parked");
    assert!(home.arrived().is_empty());
    ok(home.run(&["retry", &id[..8]]));
    ok(home.run(&["push"]));
    assert_eq!(home.arrived().len(), 1);
    assert!(ok(home.run(&["status", "--check"])).starts_with("REC OK - "));
}

#[test]
fn a_remote_is_tested_with_a_real_recording_that_is_not_kept() {
    let home = Home::with(&(folder("crm") + &absent("gone")));
    let tested = home.json(&["test", "crm"]);
    assert_eq!((&tested["schema"], &tested["remote"]), (&"rec.test/1".into(), &"crm".into()));
    assert_eq!(tested["receipt"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(home.arrived().len(), 1);
    assert!(!home.spool().exists(), "the spool has nothing to do with it");
    fails(&home.run(&["test", "gone"]), 7, "http://127.0.0.1:");
    fails(&home.run(&["remotes", "test", "cm"]), 3, "no such remote");
    assert!(ok(home.run(&["remotes", "ls"])).lines().nth(1).is_some_and(|line| line.starts_with("crm ")));
}

#[test]
fn a_watch_delivers_what_is_finished_meanwhile_and_ends_well_at_sigterm() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    let mut watch = home.command(&["watch", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["state"], "delivered");
    let id = home.recording("1002", "2002").to_string();
    let item = next();
    assert_eq!((&item["id"], &item["state"]), (&id.into(), &"delivered".into()));
    kill_process(Pid::from_child(&watch), Signal::TERM).unwrap();
    assert_eq!(program::ended(watch).status.code(), Some(0));
    assert_eq!(home.arrived().len(), 2);
}

/// What is known of the only delivery of the only recording: how far it is, and its attempts.
fn delivery(home: &Home) -> (String, u64) {
    let json = home.json(&["show", "call-of-1001"]);
    let delivery = &json["deliveries"][0];
    (delivery["state"].as_str().unwrap().to_owned(), delivery["attempts"].as_u64().unwrap())
}

#[test]
fn each_signal_that_ends_a_push_or_a_watch_leaves_its_uploads_to_the_next_run_as_if_they_had_not_begun() {
    let (settings, remote) = silent("crm");
    let home = Home::with(&settings);
    home.recording("1001", "2001");
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 143)] {
        for (verb, code) in [("push", code), ("watch", 0)] {
            let run = home.command(&[verb, "-q"]).spawn().unwrap();
            let upload = comes(&remote);
            assert_eq!(delivery(&home), ("uploading".to_owned(), 1), "{verb} {signal:?}");
            kill_process(Pid::from_child(&run), signal).unwrap();
            let ended = program::ended(run);
            let told = String::from_utf8(ended.stderr).unwrap();
            assert_eq!((ended.status.code(), told.as_str()), (Some(code), ""), "{verb} {signal:?}");
            assert_eq!(delivery(&home), ("pending".to_owned(), 0), "{verb} {signal:?}");
            drop(upload);
        }
    }
}

#[test]
fn a_push_that_is_to_outlive_its_terminal_does() {
    let (settings, remote) = silent("crm");
    let home = Home::with(&settings);
    home.recording("1001", "2001");
    let mut shell = std::process::Command::new("/bin/sh");
    shell.env_clear().env("HOME", home.path()).args(["-c", "trap '' HUP; exec \"$0\" push -q", REC]);
    let run = shell.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let upload = comes(&remote);
    kill_process(Pid::from_child(&run), Signal::HUP).unwrap();
    drop((upload, remote));
    assert_eq!(program::ended(run).status.code(), Some(75), "it has gone on, and failed");
    assert_eq!(delivery(&home), ("pending".to_owned(), 1));
}

#[test]
fn only_what_is_delivered_is_purged_and_its_receipt_is_kept() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    ok(home.run(&["push"]));
    let id = home.recording("1002", "2002").to_string();
    ok(home.run(&["purge", "--keep", "0s", "--dry-run"]));
    assert_eq!(home.json(&["ls"])["recordings"].as_array().unwrap().len(), 2);
    let purged = home.json(&["purge", "--keep", "0s", "--only-delivered"]);
    assert_eq!(purged["recordings"][0]["file"], "1001-2001.wav");
    assert!(!home.spool().join("1001-2001.wav").exists());
    let left = home.json(&["ls"]);
    assert_eq!((left["recordings"].as_array().unwrap().len(), &left["recordings"][0]["id"]), (1, &id.clone().into()));
    assert_eq!(home.json(&["ls", "--gone"])["recordings"].as_array().unwrap().len(), 2);
    assert_eq!(home.json(&["show", "call-of-1001"])["deliveries"][0]["state"], "delivered");
    fails(&home.run(&["forget", &id]), 2, "nothing would bring the sound back");
    ok(home.run(&["forget", &id, "--yes"]));
    assert!(!home.spool().join("1002-2002.wav").exists());
}

#[test]
fn a_changed_byte_a_missing_file_and_a_missing_receipt_are_found() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    let found = |words: &[&str]| {
        let output = home.run(&[words, &["--json"]].concat());
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["schema"], "rec.findings/1");
        let kinds = json["findings"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_owned());
        (output.status.code(), kinds.collect::<Vec<String>>())
    };
    assert_eq!(found(&["verify"]), (Some(6), vec!["waiting".into()]));
    ok(home.run(&["push"]));
    assert_eq!(found(&["verify", "--deep"]), (Some(0), vec![]));
    let file = home.spool().join("1001-2001.wav");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(found(&["verify"]), (Some(0), vec![]), "its size and its head are as they were");
    assert_eq!(found(&["verify", "--deep"]), (Some(5), vec!["changed".into()]));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(found(&["verify"]), (Some(5), vec!["vanished".into()]));
    let text = home.run(&["verify", "-q"]);
    assert!(text.stderr.is_empty() && text.stdout.starts_with(b"vanished"), "{text:?}");
}

#[test]
fn a_broken_queue_is_made_anew_from_the_manifests() {
    let home = Home::with_folder();
    let id = home.recording("1001", "2001").to_string();
    std::fs::write(home.spool().join("outbox.sqlite3"), "no database at all, but long enough to be read as one")
        .unwrap();
    fails(&home.run(&["ls"]), 5, "outbox.sqlite3");
    ok(home.run(&["verify", "--rebuild"]));
    assert_eq!(home.json(&["ls"])["recordings"][0]["id"], id.as_str());
    ok(home.run(&["push"]));
    assert_eq!(home.arrived().len(), 1);
}

#[test]
fn who_looks_from_elsewhere_does_not_take_the_remotes_away() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    let spool = home.spool();
    let elsewhere = |words: &[&str]| {
        let mut command = home.command(&[&["--spool", spool.to_str().unwrap()], words].concat());
        command.env("HOME", home.path().join("crm")).output().unwrap()
    };
    ok(elsewhere(&["ls"]));
    fails(&elsewhere(&["push"]), 5, "no settings file says where to");
    home.recording("1002", "2002");
    assert_eq!(home.json(&["status"])["remotes"][0]["waiting"], 2);
    ok(home.run(&["push"]));
}
