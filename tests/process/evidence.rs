//! Who listened to whom, as an administrator and a works council see it: `spy log`, `spy log verify`, `spy perms` and `spy ls` on a
//! real server, whose log is whole or tampered with.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Output;

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Duration, Instant, interval};

use super::NOWHERE;
use super::house::{House, Running, done, failed, settings};
use crate::call::{hear_each_other, talk};
use crate::harness::{Call, PATIENCE, Phone};

const SPY: &str = env!("CARGO_BIN_EXE_spy");
/// The account that is neither the server's nor root.
const NOBODY: u32 = 65_534;

/// Alice talks with bob.
pub(super) struct Talk {
    parties: [Call; 2],
    pub(super) uuids: [String; 2],
    _phones: [Phone; 2],
}

impl Talk {
    pub(super) async fn new(house: &House) -> Self {
        let (alice, mut bob) = (house.phone("alice").await, house.phone("bob").await);
        let (calling, called) = talk(&alice, &mut bob, "bob").await;
        let calls = house.asks_json(&["calls"]).await;
        let uuid = |leg: usize| calls["calls"][0]["legs"][leg]["uuid"].as_str().expect("a UUID").to_owned();
        Self { parties: [calling, called], uuids: [uuid(0), uuid(1)], _phones: [alice, bob] }
    }

    /// The parties notice nothing of what goes on around them.
    pub(super) async fn goes_on(&mut self) {
        let [calling, called] = &mut self.parties;
        hear_each_other(calling, called).await;
    }
}

pub(super) fn log_of(house: &House) -> PathBuf {
    house.path("wirechief/spy.log")
}

/// `spy` without a server named: it reads the log here, where it can.
pub(super) async fn here(house: &House, words: &[&str]) -> Output {
    let mut spy = house.program(SPY, words);
    spy.env_remove("WIRECHIEF_SOCKET");
    done(spy).await
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(super) fn json_lines(output: &Output) -> Vec<Value> {
    text(output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The entries about sessions, once there are so many.
pub(super) async fn entries(house: &House, count: usize) -> Vec<Value> {
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
    loop {
        beat.tick().await;
        let mut all = json_lines(&house.spy(&["log", "--json"]).await);
        all.retain(|entry| entry["session"].is_string());
        if all.len() >= count {
            return all;
        }
        assert!(Instant::now() < end, "{count} entries, but {all:#?}");
    }
}

pub(super) async fn listens(house: &House, words: &[&str]) -> Running {
    let listening = Running::of(house.program(SPY, &[&["--json", "--device", "none"], words].concat())).await;
    listening.says("\"started\"").await;
    listening
}

/// A session that was, and an attempt that was refused; the server goes on.
pub(super) async fn session_and_refusal(house: &House, talk: &Talk) {
    assert_eq!(failed(&house.spy(&["--reason", "curious", NOWHERE]).await).0, Some(3));
    let uuid = &talk.uuids[1];
    let mut listening = listens(house, &["--mode", "whisper", "--reason", "training", uuid]).await;
    listening.gets(Signal::INT);
    listening.ends().await;
    entries(house, 3).await;
}

#[tokio::test]
async fn a_session_is_in_the_log_with_who_whom_how_and_why_and_so_is_a_refused_attempt() {
    let house = House::new();
    let _server = house.opens().await;
    let mut talk = Talk::new(&house).await;
    session_and_refusal(&house, &talk).await;
    talk.goes_on().await;
    let all = entries(&house, 3).await;
    let events: Vec<&str> = all.iter().map(|entry| entry["event"].as_str().expect("an event")).collect();
    assert_eq!(events, ["refused", "started", "ended"]);
    let uid = rustix::process::geteuid().as_raw();
    for entry in &all {
        assert_eq!((&entry["who"], &entry["via"]), (&"admin".into(), &"socket".into()), "{entry}");
        assert!(entry["from"].as_str().is_some_and(|from| from.contains(&format!("uid {uid}"))), "{entry}");
    }
    let [refused, started, ended] = &all[..] else { panic!("{all:#?}") };
    assert_eq!((&refused["target"]["uuid"], &refused["reason"]), (&NOWHERE.into(), &"curious".into()));
    assert!(refused["why"].as_str().is_some_and(|why| why.starts_with("no-such-call: ")), "{refused}");
    for entry in [started, ended] {
        assert_eq!(entry["session"], started["session"]);
        assert_eq!(entry["call"], talk.uuids[0].as_str());
        assert_eq!(
            (&entry["target"]["uuid"], &entry["target"]["user"]),
            (&talk.uuids[1].as_str().into(), &"bob".into())
        );
        assert_eq!((&entry["mode"], &entry["reason"]), (&"whisper".into(), &"training".into()));
    }
    assert_eq!((&started["peer"]["user"], &started["talks"]), (&"alice".into(), &serde_json::json!(["bob"])));
    assert_eq!(ended["why"], "the supervisor left");
}

#[tokio::test]
async fn the_log_is_a_table_that_aligns_and_can_be_narrowed() {
    let house = House::new();
    let _server = house.opens().await;
    let talk = Talk::new(&house).await;
    session_and_refusal(&house, &talk).await;
    for shown in [house.spy(&["log"]).await, here(&house, &["log"]).await] {
        let table = text(&shown);
        println!("{table}");
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5, "a header, the opening, and three entries:\n{table}");
        for (title, words) in [
            ("EVENT", ["opened", "refused", "started", "ended"]),
            ("WHO", ["-", "admin", "admin", "admin"]),
            ("MODE", ["-", "listen", "whisper", "whisper"]),
        ] {
            let at = lines[0].find(title).expect(title);
            for (line, word) in lines[1..].iter().zip(words) {
                assert!(line[at..].starts_with(&format!("{word} ")), "{title} at {at}:\n{table}");
            }
        }
        assert!(lines[2].contains("no-such-call: ") && lines[3].contains("training"), "{table}");
        let time = lines[1].split_whitespace().skip(1).take(2).collect::<Vec<_>>().join(" ");
        assert!(time.parse::<jiff::civil::DateTime>().is_ok() && time.len() == 19, "{time}");
    }
    let session = entries(&house, 3).await[1]["session"].as_str().expect("an id").to_owned();
    for (words, count) in [
        (&["--since", "1h"][..], 4),
        (&["--since", "2h ago"], 4),
        (&["--since", "2099-01-01"], 0),
        (&["--who", "admin"], 3),
        (&["--who", "carol"], 0),
        (&["--session", &session], 2),
        (&["--session", &session, "--since", "1d"], 2),
    ] {
        for shown in [
            house.spy(&[&["log", "--json"], words].concat()).await,
            here(&house, &[&["log", "--json"], words].concat()).await,
        ] {
            assert_eq!(json_lines(&shown).len(), count, "{words:?}");
        }
    }
    assert_eq!(failed(&house.spy(&["log", "--since", "yesteryear"]).await).0, Some(2));
}

/// Whether a verification finds that, in its findings and in its error, and exits with 5.
fn finds(output: &Output, what: &str) {
    let (code, errors) = failed(output);
    assert_eq!(code, Some(5), "{what}: {output:?}");
    assert!(errors.starts_with("spy: ") && errors.contains(what), "{what}: {errors}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(what), "{what}: {output:?}");
}

#[tokio::test]
async fn a_verification_names_the_entry_that_was_changed_removed_moved_or_cut_off() {
    let house = House::new();
    let mut server = house.opens().await;
    let talk = Talk::new(&house).await;
    session_and_refusal(&house, &talk).await;
    let verified = text(&house.spy(&["log", "verify"]).await);
    let noted = verified.trim_end().rsplit(' ').next().expect("number and hash").to_owned();
    assert!(verified.starts_with("4 entries, the last is 4:"), "{verified}");
    assert!(house.spy(&["log", "verify", "--holds", &noted]).await.status.success());
    let never = format!("4:{}", "0".repeat(64));
    finds(&house.spy(&["log", "verify", "--holds", &never]).await, "entry 4 is not the one that was noted");
    assert_eq!(failed(&house.spy(&["log", "verify", "--holds", "4"]).await).0, Some(2));
    assert_eq!(failed(&house.spy(&["log", "--who", "x", "verify"]).await).0, Some(2));

    server.gets(Signal::TERM);
    server.ends().await;
    let log = log_of(&house);
    let good = fs::read_to_string(&log).expect("a log");
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 5, "closed in good order: {good}");
    let only = |order: &[usize]| order.iter().map(|at| lines[*at]).collect::<String>();
    for (bad, what) in [
        (good.replace("training", "straining"), "entry 3 was changed"),
        (only(&[0, 1, 3, 4]), "entry 3 was removed"),
        (only(&[0, 1, 3, 2, 4]), "entry 3 was moved"),
        (only(&[0, 1, 2, 1, 3, 4]), "copy of entry 2"),
        (only(&[0, 1, 2]), "entries 4 to 5 were cut off"),
        (good[..good.len() - 9].to_owned(), "entry 5 was cut off"),
    ] {
        fs::write(&log, bad).expect("it is ours");
        finds(&here(&house, &["log", "verify"]).await, what);
        let path = log.to_str().expect("a path");
        finds(&house.spy(&["log", "--file", path, "verify"]).await, what);
    }
    fs::write(&log, good.replace("training", "straining")).expect("it is ours");
    let report: Value =
        serde_json::from_slice(&here(&house, &["log", "verify", "--json"]).await.stdout).expect("a document");
    let finding = &report["findings"][0];
    assert_eq!((&report["ok"], &finding["class"], &finding["seq"]), (&false.into(), &"changed".into(), &3.into()));
    assert!(here(&house, &["log", "verify", "--from", "5"]).await.status.success(), "what is known is left aside");

    // A server goes on behind the damage, and it stays in sight.
    fs::write(&log, only(&[0, 1, 2])).expect("it is ours");
    let _server = house.opens().await;
    let found = house.spy(&["log", "verify"]).await;
    finds(&found, "entries 4 to 5 were removed");
    assert!(String::from_utf8_lossy(&found.stdout).contains("entry 6: the log was cut off"), "{found:?}");
    let table = text(&house.spy(&["log"]).await);
    assert!(table.contains("damaged"), "{table}");
}

#[tokio::test]
async fn without_a_log_or_its_key_there_is_nothing_to_show_or_verify() {
    let house = House::new();
    for words in [&["log"][..], &["log", "verify"]] {
        assert_eq!(failed(&house.spy(words).await).0, Some(7), "no server: {words:?}");
        let (code, errors) = failed(&here(&house, words).await);
        assert!(code == Some(3) && errors.contains("no log of supervision"), "{code:?} {errors}");
        assert!(errors.contains("no server runs"), "{errors}");
    }
    let mut server = house.opens().await;
    server.gets(Signal::TERM);
    server.ends().await;
    let key = house.path("wirechief/spy.log.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let (code, errors) = failed(&here(&house, &["log", "verify"]).await);
    assert!(code == Some(4) && errors.contains("hint: chmod 600 "), "{code:?} {errors}");
    fs::remove_file(&key).expect("it is ours");
    let (code, errors) = failed(&here(&house, &["log", "verify"]).await);
    assert!(code == Some(5) && errors.contains("key of the log is missing"), "{code:?} {errors}");
    assert!(here(&house, &["log"]).await.status.success(), "a list needs no key");
}

/// Opens the folders and the socket to everybody, as somebody careless might.
fn opens_doors(house: &House) {
    for (path, mode) in [(house.path(""), 0o755), (house.path("run"), 0o755), (house.socket(), 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
}

#[tokio::test]
async fn another_account_sees_no_log_no_rights_and_no_sessions() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another account");
        return;
    }
    let house = House::new();
    let _server = house.opens().await;
    opens_doors(&house);
    let copy = house.path("spy");
    done(house.program("/bin/cp", &[SPY, copy.to_str().expect("a path")])).await;
    let as_nobody = async |words: &[&str], is_told_of_server: bool| {
        let mut spy = house.program(&copy, words);
        spy.uid(NOBODY).gid(NOBODY);
        if !is_told_of_server {
            spy.env_remove("WIRECHIEF_SOCKET");
        }
        done(spy).await
    };
    for words in [&["log"][..], &["log", "verify"], &["perms"], &["ls"]] {
        let (code, errors) = failed(&as_nobody(words, true).await);
        assert!(code == Some(4) && errors.contains("control group"), "{words:?}: {code:?} {errors}");
    }
    for words in [&["log"][..], &["log", "verify"]] {
        // The file is not theirs to read, and no server is where they look for one.
        let (code, errors) = failed(&as_nobody(words, false).await);
        assert!(code == Some(4) && errors.contains("spy.log"), "{words:?}: {code:?} {errors}");
    }
    // Of the control group, they are answered by the server, though they may not read the file.
    let usual = house.path("wirechief/pbx.sock");
    symlink(house.socket(), usual).expect("a link");
    fs::set_permissions(house.path("wirechief"), fs::Permissions::from_mode(0o711)).expect("it is ours");
    let (code, errors) = failed(&as_nobody(&["log"], false).await);
    assert!(code == Some(4) && errors.contains("control group"), "{code:?} {errors}");
}

#[tokio::test]
async fn the_control_group_is_shown_the_log_by_the_server() {
    let group = fs::read_to_string("/etc/group").unwrap_or_default();
    let is_nobodys = |line: &&str| line.split(':').nth(2) == Some("65534");
    let name = group.lines().find(is_nobodys).and_then(|line| line.split(':').next()).map(str::to_owned);
    let (true, Some(name)) = (rustix::process::geteuid().is_root(), name) else {
        println!("skipped: only root can become another account, and that has to have a group");
        return;
    };
    let house = House::new();
    house.writes("pbx.toml", &(settings("127.0.0.1:0", "") + &format!("[control]\ngroup = \"{name}\"\n")));
    let _server = house.opens().await;
    fs::set_permissions(house.path(""), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let copy = house.path("spy");
    done(house.program("/bin/cp", &[SPY, copy.to_str().expect("a path")])).await;
    symlink(house.socket(), house.path("wirechief/pbx.sock")).expect("a link");
    fs::set_permissions(house.path("wirechief"), fs::Permissions::from_mode(0o711)).expect("it is ours");
    for words in [&["log"][..], &["log", "verify"], &["perms"], &["ls"]] {
        let mut spy = house.program(&copy, words);
        spy.uid(NOBODY).gid(NOBODY).env_remove("WIRECHIEF_SOCKET");
        let output = done(spy).await;
        assert!(output.status.success() && !output.stdout.is_empty(), "{words:?}: {output:?}");
    }
}

#[tokio::test]
async fn rights_are_shown_as_the_server_has_them_and_without_one_as_the_settings_say() {
    let house = House::new();
    let keys = "may_spy = \"whisper\"\nspy_groups = [\"sales\", \"support\"]\nmay_be_spied = false\n";
    house.writes("pbx.toml", &settings("127.0.0.1:0", keys));
    let alone = house.spy(&["perms", "--json"]).await;
    let document: Value = serde_json::from_str(&text(&alone)).expect("a document");
    assert_eq!((&document["schema"], &document["source"]), (&"spy.perms/1".into(), &"configuration".into()));
    let carol = &document["perms"][2];
    assert_eq!(
        (&carol["user"], &carol["may_spy"], &carol["ceiling"]),
        (&"carol".into(), &"whisper".into(), &"whisper".into())
    );
    assert_eq!((&carol["may_be_spied"], &carol["shell_accounts"]), (&false.into(), &serde_json::json!(["nobody"])));
    let shown = house.spy(&["perms", "carol"]).await;
    println!("{}{}", text(&house.spy(&["perms"]).await), String::from_utf8_lossy(&shown.stderr));
    assert!(text(&shown).contains("sales support") && text(&shown).lines().count() == 2, "{shown:?}");
    assert!(String::from_utf8_lossy(&shown.stderr).contains("no server runs"), "{shown:?}");

    let _server = house.opens().await;
    house.writes("pbx.toml", &settings("127.0.0.1:0", "may_spy = \"barge\"\n"));
    let right = async |words: &[&str]| {
        let document: Value = serde_json::from_str(&text(&house.spy(words).await)).expect("a document");
        (document["source"].clone(), document["perms"][0]["may_spy"].clone())
    };
    let words = ["perms", "carol", "--json"];
    assert_eq!(right(&words).await, ("server".into(), "whisper".into()), "not read again yet");
    let file = house.path("pbx.toml");
    let named = ["perms", "carol", "--json", "--config", file.to_str().expect("a path")];
    assert_eq!(right(&named).await, ("configuration".into(), "barge".into()));
    assert!(house.pbx(&["reload"]).await.status.success());
    assert_eq!(right(&words).await, ("server".into(), "barge".into()));
    assert_eq!(failed(&house.spy(&["perms", "zoe"]).await).0, Some(3));
}

#[tokio::test]
async fn running_sessions_are_listed_once_and_again_and_again() {
    let house = House::new();
    let _server = house.opens().await;
    let talk = Talk::new(&house).await;
    let spies = async || {
        let document: Value = serde_json::from_str(&text(&house.spy(&["ls", "--json"]).await)).expect("a document");
        assert_eq!(document["schema"], "spy.ls/1");
        document["spies"].as_array().expect("an array").clone()
    };
    assert!(spies().await.is_empty());
    let mut listening = listens(&house, &["--mode", "whisper", "--reason", "training", &talk.uuids[1]]).await;
    let running = spies().await;
    assert_eq!(running.len(), 1);
    let one = &running[0];
    assert_eq!((&one["who"], &one["via"], &one["mode"]), (&"admin".into(), &"socket".into(), &"whisper".into()));
    assert_eq!((&one["target"]["number"], &one["peer"]["number"]), (&"bob".into(), &"alice".into()), "{one}");
    assert_eq!(one["reason"], "training");
    assert_eq!(one["session"], entries(&house, 1).await[0]["session"]);
    let table = text(&house.spy(&["ls"]).await);
    println!("{table}");
    let (header, row) = table.split_once('\n').expect("two lines");
    let at = |title: &str| header.find(title).expect("a column");
    assert!(row[at("MODE")..].starts_with("whisper ") && row[at("TARGET")..].starts_with("bob "), "{table}");
    let watching = Running::of(house.program(SPY, &["ls", "--watch"])).await;
    watching.says("training").await;
    listening.gets(Signal::INT);
    listening.ends().await;
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
    while !spies().await.is_empty() {
        beat.tick().await;
        assert!(Instant::now() < end, "it is over, but listed");
    }
    while watching.lines().last().is_none_or(|line| !line.starts_with("SESSION")) {
        beat.tick().await;
        assert!(Instant::now() < end, "the list goes on: {:?}", watching.lines());
    }
}
