//! `rec remotes add`: one more remote in a file of its own, right before it is written, and no secret where others could see it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use super::{Home, fails, ok};
use crate::harness::program;

const FILE: &str = ".config/wirechief/conf.d/remote-crm.toml";
const SECRET: &str = ".config/wirechief/secrets/remote-crm";

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn names(home: &Home) -> Vec<String> {
    let json = home.json(&["remotes", "ls"]);
    json["remotes"].as_array().unwrap().iter().map(|remote| remote["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_remote_is_added_tried_and_delivered_to() {
    let home = Home::with("");
    let words = ["remotes", "add", "archive", "--path", "crm"];
    assert!(ok(home.run(&[&words[..], &["--dry-run"]].concat())).contains("[remotes.archive.folder]"));
    assert_eq!(names(&home), [""; 0], "a dry run writes nothing");
    let added = home.run(&words);
    assert!(String::from_utf8_lossy(&added.stderr).contains("rec test archive"), "{added:?}");
    ok(added);
    assert_eq!(names(&home), ["archive"]);
    assert_eq!(mode(&home.path().join(".config/wirechief/conf.d/remote-archive.toml")), 0o600);
    ok(home.run(&["test", "archive"]));
    fails(&home.run(&words), 2, "a remote `archive` already");
}

#[test]
fn a_secret_comes_by_standard_input_and_lies_where_nobody_else_may_look() {
    let home = Home::with("");
    let words = ["remotes", "add", "crm", "--url", "https://crm.example/r", "--token-file", "-"];
    let mut child = home.command(&words).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"open sesame\n").unwrap();
    ok(program::ended(child));
    let text = std::fs::read_to_string(home.path().join(FILE)).unwrap();
    assert!(text.contains("token_file = \"secrets/remote-crm\"") && !text.contains("sesame"), "{text}");
    assert_eq!(std::fs::read_to_string(home.path().join(SECRET)).unwrap(), "open sesame");
    assert_eq!((mode(&home.path().join(FILE)), mode(&home.path().join(SECRET))), (0o600, 0o600));
    assert_eq!(names(&home), ["crm"]);
}

#[test]
fn what_would_not_work_is_not_written() {
    let home = Home::with("");
    let open = home.path().join("open");
    std::fs::write(&open, "token").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    for (words, code, says) in [
        (&["crm", "--url", "http://crm.example/r"][..], 5, "plain HTTP goes to this machine only"),
        (&["crm", "--url", "https://crm.example/r", "--token-file", "open"], 5, "others can read this secret"),
        (&["crm", "--url", "https://crm.example/r", "--token-file", "nowhere"], 5, "nowhere"),
        (&["crm", "--url", "https://crm.example/r", "--when", "never"], 5, "never"),
        (&["crm"], 2, "--kind is missing"),
        (&["crm", "--kind", "tus"], 2, "--url is missing"),
        (&["crm", "--bucket", "calls", "--access-key-id", "A"], 2, "--secret-file is missing"),
        (&["../crm", "--url", "https://crm.example/r"], 2, "../crm"),
        (&["crm", "--kind", "ftp"], 2, "ftp"),
        (&["crm", "--path", "crm", "--config", ".config/wirechief/pbx.toml"], 2, "read alone"),
    ] {
        fails(&home.run(&[&["remotes", "add"], words].concat()), code, says);
    }
    assert!(!home.path().join(FILE).exists() && !home.path().join(SECRET).exists());
    std::fs::remove_file(home.path().join(".config/wirechief/pbx.toml")).unwrap();
    fails(&home.run(&["remotes", "add", "crm", "--path", "crm"]), 3, "no settings file");
}

#[test]
fn a_secret_that_is_there_already_stays() {
    let home = Home::with("");
    std::fs::create_dir_all(home.path().join(SECRET).parent().unwrap()).unwrap();
    std::fs::write(home.path().join(SECRET), "of somebody else").unwrap();
    let words = ["remotes", "add", "crm", "--url", "https://crm.example/r", "--token-file", "-"];
    let mut child = home.command(&words).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"open sesame\n").unwrap();
    fails(&program::ended(child), 2, "it is there already");
    assert_eq!(std::fs::read_to_string(home.path().join(SECRET)).unwrap(), "of somebody else");
    assert!(!home.path().join(FILE).exists());
}

#[test]
fn the_key_of_links_is_made_with_the_remote_and_not_by_a_dry_run() {
    let home = Home::with("");
    let key = home.path().join(".local/state/wirechief/link.key");
    let words = ["remotes", "add", "crm", "--kind", "notice", "--url", "https://crm.example/n", "--link-base"];
    let words = [&words[..], &["https://pbx.example"]].concat();
    assert!(ok(home.run(&[&words[..], &["--dry-run"]].concat())).contains("link.key"));
    assert!(!key.exists());
    ok(home.run(&words));
    assert_eq!((mode(&key), names(&home)), (0o600, vec!["crm".to_owned()]));
}
