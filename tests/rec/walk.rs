//! `rec` walked flag by flag: what was found to be ignored, half done or told badly.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use super::{Home, absent, fails, folder, ok, wav};

const RECIPIENT: &str = "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq";

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Names of what is in a folder.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn of_several_each_is_done_on_its_own_and_those_that_fail_are_told() {
    let home = Home::with_folder();
    let ids = ["1001", "1002", "1003"].map(|from| home.recording(from, "2001").to_string());
    for command in [&["retry"][..], &["forget", "--yes"]] {
        let both = home.run(&[command, &["nobody", &ids[0], "noone"]].concat());
        assert_eq!(both.status.code(), Some(6), "{both:?}");
        let told = stderr(&both);
        assert!(told.contains("`nobody`: no such") && told.contains("`noone`: no such"), "{told}");
        assert!(told.contains(&ids[0]), "the one between is done: {told}");
        assert_eq!(home.run(&[command, &["nobody", "noone"]].concat()).status.code(), Some(3));
    }
    assert!(!home.spool().join("1001-2001.wav").exists());
    let template = ["rename", "--template", "again/{callerid}", &ids[0], &ids[1], "nobody"];
    let renamed = home.run(&template);
    assert_eq!(renamed.status.code(), Some(6), "{renamed:?}");
    assert!(stderr(&renamed).contains("it is gone, so it cannot be renamed"), "{renamed:?}");
    assert!(home.spool().join("again/1002.wav").exists());
    // The disk refuses one of two: the other is sealed.
    let taken = home.spool().join("1003-2001.age");
    std::fs::create_dir_all(taken.join("in the way")).unwrap();
    let sealed = home.run(&["seal", &ids[2], &ids[1], "--to", RECIPIENT]);
    assert_eq!(sealed.status.code(), Some(6), "{sealed:?}");
    assert!(home.spool().join("again/1002.age").exists() && home.spool().join("1003-2001.wav").exists());
}

#[test]
fn a_dry_run_is_told_in_json_and_changes_nothing() {
    let home = Home::with_folder();
    let id = home.recording("1001", "2001").to_string();
    for words in [&["retry", &id][..], &["forget", &id], &["seal", &id, "--to", RECIPIENT]] {
        let told = home.json(&[words, &["--dry-run"]].concat());
        assert_eq!(told["recordings"][0]["id"], id.as_str(), "{words:?}");
    }
    let monitor = home.path().join("monitor");
    std::fs::create_dir(&monitor).unwrap();
    std::fs::write(monitor.join("a.wav"), wav(1, &[1; 800])).unwrap();
    let told = home.json(&["import", "monitor", "--quiet-for", "0s", "--dry-run"]);
    assert_eq!(told["would"][0][0], "monitor/a.wav");
    for words in [&["test", "crm"][..], &["watch"], &["serve"], &["index", "-o", "page.htm"], &["link", &id]] {
        let output = home.run(&[words, &["--dry-run"]].concat());
        assert!(matches!(output.status.code(), Some(0 | 3)), "{words:?}: {output:?}");
    }
    assert!(home.arrived().is_empty(), "nothing was sent");
    let made = home.path().join(".local/state/wirechief/link.key");
    assert!(!made.exists() && !home.path().join("page.htm").exists());
    ok(home.run(&["export", &id]));
    fails(&home.run(&["export", &id, "--dry-run"]), 1, "it is there already");
}

#[test]
fn what_is_written_is_told_in_json_and_nothing_is_lost() {
    let home = Home::with_folder();
    let id = home.recording("1001", "2001").to_string();
    assert_eq!(home.json(&["export", &id, "-o", "a.flac"])["file"], "a.flac");
    assert_eq!(home.json(&["index", "-o", "page.htm"])["recordings"], 1);
    let page = home.path().join("page.htm");
    std::fs::set_permissions(&page, std::fs::Permissions::from_mode(0o600)).unwrap();
    ok(home.run(&["index", "-o", "page.htm"]));
    assert_eq!(page.metadata().unwrap().permissions().mode() & 0o777, 0o600, "who could not read it still cannot");
    fails(&home.run(&["index", "-o", "nowhere/page.htm"]), 3, "nowhere/page.htm");
    let mut child = home.command(&["serve", "--add-user", "ann", "--json"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a long enough password").unwrap();
    assert!(ok(child.wait_with_output().unwrap()).contains("\"schema\":\"rec.user/1\",\"name\":\"ann\""));
    ok(home.run(&["forget", &id, "--yes"]));
    fails(&home.run(&["export", &id]), 3, "is gone: there is nothing to export");
    assert!(stderr(&home.run(&["forget", &id, "--yes"])).contains("was gone already"));
}

#[test]
fn a_sealed_recording_is_opened_beside_its_name_and_takes_it_when_it_is_whole() {
    let home = Home::with_folder();
    let key = age::x25519::Identity::generate();
    let secret = age::secrecy::ExposeSecret::expose_secret(&key.to_string()).to_owned();
    std::fs::write(home.path().join("id.txt"), secret).unwrap();
    std::fs::write(home.path().join("to.txt"), key.to_public().to_string()).unwrap();
    let id = home.recording("1001", "2001").to_string();
    let original = std::fs::read(home.spool().join("1001-2001.wav")).unwrap();
    // Both are meant: the one of the flag and the one of the file.
    ok(home.run(&["seal", &id, "--to", RECIPIENT, "--recipients", "to.txt"]));
    assert_eq!(home.json(&["show", &id])["manifest"]["sealed"]["recipients"].as_array().unwrap().len(), 2);
    let open = ["open", &id, "--identity", "id.txt", "-o", "out.wav"];
    ok(home.run(&[&open[..], &["--dry-run"]].concat()));
    assert!(!home.path().join("out.wav").exists(), "a dry run");
    let sealed = home.spool().join("1001-2001.age");
    let whole = std::fs::read(&sealed).unwrap();
    std::fs::write(&sealed, &whole[..whole.len() - 1]).unwrap();
    let before = names_in(home.path()).len();
    assert_eq!(home.run(&open).status.code(), Some(5));
    assert_eq!(names_in(home.path()).len(), before, "half of it is no recording");
    std::fs::write(&sealed, &whole).unwrap();
    std::fs::write(home.path().join("out.wav"), "of somebody").unwrap();
    fails(&home.run(&open), 1, "it is there already");
    assert_eq!(std::fs::read(home.path().join("out.wav")).unwrap(), b"of somebody");
    std::fs::remove_file(home.path().join("out.wav")).unwrap();
    assert_eq!(home.json(&open)["file"], "out.wav");
    assert_eq!(std::fs::read(home.path().join("out.wav")).unwrap(), original);
}

#[test]
fn what_says_nothing_here_is_refused_and_not_passed_over() {
    let home = Home::with(&[folder("crm"), absent("far")].concat());
    let id = home.recording("1001", "2001").to_string();
    for words in [&["ls"][..], &["push"], &["status", "--check"], &["remotes", "ls"], &["export", &id]] {
        fails(&home.run(&[words, &["--host", "box"]].concat()), 2, "the spool of this machine only");
    }
    for words in [&["start", "a-call"][..], &["mask", "a-call"], &["remotes", "ls"], &["test", "crm"]] {
        fails(&home.run(&[words, &["--spool", "other"]].concat()), 2, "--spool: this looks at no recordings");
    }
    let everywhere = home.command(&["remotes", "ls"]).env("REC_SPOOL", home.spool()).output().unwrap();
    assert!(everywhere.status.success(), "in the environment it is for all commands alike: {everywhere:?}");
    for base in ["https://", "https://a b", "pbx.example", "https://x/?a=b"] {
        fails(&home.run(&["link", &id, "--base", base]), 2, "this is no URL");
    }
    fails(&home.run(&["link", &id, "--expires", "4000d"]), 2, "at most ten years");
    fails(&home.run(&["import", ".config/wirechief/pbx.toml"]), 2, "this is no folder");
    let add = |more: &[&str]| home.run(&[&["remotes", "add", "x"], more].concat());
    fails(&add(&["--path", "crm", "--url", "https://a.example"]), 2, "--url: a remote of kind folder");
    fails(&add(&["--path", "crm", "--token-file", "t"]), 2, "--token-file: a remote of kind folder");
    fails(
        &add(&["--url", "https://a.example", "--kind", "http", "--bucket", "b"]),
        2,
        "--bucket: a remote of kind http",
    );
    let limit = home.run(&["ls", "--limit", "x"]);
    fails(&limit, 2, "--limit");
    assert!(stderr(&limit).contains("`rec ls --help`"), "{limit:?}");
    // --timeout bounds a run as --max-time does.
    let pushed = home.run(&["push", "--timeout", "0s", "--json"]);
    assert_eq!((pushed.status.code(), home.arrived().len()), (Some(75), 0), "{pushed:?}");
    let checked = home.run(&["status", "--check", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((checked.status.code(), &status["check"]), (Some(0), &"OK".into()), "{status}");
}
