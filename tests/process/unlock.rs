//! A server that is given its store's key while it runs: locked at first, unlocked for a while, locked again.

use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::house::{House, Running, done, failed, settings};
use crate::harness::PATIENCE;

const ASTDB: &str = env!("CARGO_BIN_EXE_astdb");
const PBX: &str = env!("CARGO_BIN_EXE_pbx");
const PLAN: &str = "[internal]
exten => pin,1,UserEvent(read,value:<${DB(open/100)}>,exists:<${DB_EXISTS(open/100)}>)
 same => n,UserEvent(check,right:<${PIN_CHECK(pin/100,1234)}>,status:<${PIN_STATUS}>)
 same => n,Set(DB(open/written)=1)
 same => n,Hangup(17)
";

impl House {
    /// With `[astdb] key = "held"`.
    fn held() -> Self {
        let house = Self::new();
        house.writes("pbx.toml", &(settings("127.0.0.1:0", "") + "[astdb]\nkey = \"held\"\n"));
        house.writes("extensions.conf", PLAN);
        house
    }

    async fn astdb(&self, words: &[&str]) -> Output {
        done(self.program(ASTDB, words)).await
    }

    async fn astdb_fed(&self, words: &[&str], input: &[u8]) -> Output {
        let mut child = self.program(ASTDB, words).stdin(Stdio::piped()).spawn().expect("it runs");
        // A program that refuses its words does not read.
        let _ = child.stdin.take().expect("a pipe").write_all(input).await;
        timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").expect("it runs")
    }

    async fn unlocks(&self, ttl: &str) {
        let output = self.astdb_fed(&["unlock", "--ttl", ttl, "--passphrase-file", "-"], b"correct horse\n").await;
        assert!(output.status.success(), "{output:?}");
    }

    async fn events(&self) -> Running {
        Running::of(self.program(PBX, &["events", "--since", "0"])).await
    }
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The last event that is said with these words in it.
fn last(events: &Running, part: &str) -> Value {
    let line = events.lines().into_iter().rfind(|line| line.contains(part)).expect("such an event");
    serde_json::from_str(&line).expect("JSON")
}

#[tokio::test]
async fn a_store_is_read_and_written_by_the_server_that_was_given_its_key() {
    let house = House::held();
    let server = house.opens().await;
    let (code, errors) = failed(&house.astdb(&["get", "pin", "100"]).await);
    assert!(code == Some(4) && errors.contains("locked") && errors.contains("astdb unlock"), "{code:?} {errors}");
    assert_eq!(failed(&house.astdb(&["put", "pin", "100", "1234"]).await).0, Some(4));
    assert!(!house.path("wirechief/astdb.sqlite3").exists(), "a locked server makes no store");

    house.unlocks("8h").await;
    assert!(house.astdb_fed(&["put", "pin", "100", "-"], b"1234").await.status.success());
    assert!(!house.path("wirechief/astdb.key").exists(), "the key is in no file");
    assert_eq!(text(house.astdb(&["get", "pin", "100"]).await), "1234");
    let listing = "/pin/100                                          : 1234                     \n1 results found.\n";
    assert_eq!(text(house.astdb(&["show", "pin", "--reveal"]).await), listing);
    assert!(text(house.astdb(&["show", "pin"]).await).contains("(sealed, 16 bytes)"));
    assert!(house.astdb_fed(&["check", "pin", "100", "-"], b"1234").await.status.success());
    assert_eq!(house.astdb_fed(&["check", "pin", "100", "-"], b"1235").await.status.code(), Some(1));
    assert_eq!(house.astdb_fed(&["check", "pin", "101", "-"], b"1235").await.status.code(), Some(3));
    assert!(house.astdb_fed(&["put", "bin", "1", "-"], &[0, 255, 10]).await.status.success());
    assert_eq!(house.astdb(&["get", "bin", "1"]).await.stdout, [0, 255, 10]);
    assert!(text(house.astdb(&["find", "--prefix", "/bin"]).await).contains("/bin/1"));
    assert!(house.astdb(&["deltree", "bin"]).await.status.success());
    assert_eq!(house.astdb(&["del", "bin", "1", "--must-exist"]).await.status.code(), Some(3));
    assert!(house.astdb(&["verify"]).await.status.success());
    let who = format!("astdb uid {} by the server", rustix::process::getuid().as_raw());
    assert!(text(house.astdb(&["log", "pin", "100", "--reveal"]).await).contains(&who));

    let state: Value = serde_json::from_str(&text(house.astdb(&["key", "info", "--json"]).await)).unwrap();
    assert_eq!(
        (&state["generations"][0]["here"], &state["generations"][0]["from"]),
        (&true.into(), &"passphrase".into())
    );
    assert!(state["until"].is_string());
    assert_eq!(house.asks_json(&["status"]).await["store_locked"], false);

    assert!(house.astdb(&["lock"]).await.status.success());
    assert_eq!(failed(&house.astdb(&["lock"]).await).0, Some(3));
    assert_eq!(failed(&house.astdb(&["get", "pin", "100"]).await).0, Some(4));
    assert!(text(house.astdb(&["show", "pin"]).await).contains("(sealed, 16 bytes)"), "names need no key");
    assert_eq!(house.asks_json(&["status"]).await["store_locked"], true);
    drop(server);
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_the_right_one_stays() {
    let house = House::held();
    let _server = house.opens().await;
    house.unlocks("1h").await;
    assert!(house.astdb_fed(&["put", "pin", "100", "-"], b"1234").await.status.success());
    let wrong = house.astdb_fed(&["unlock", "--passphrase-file", "-"], b"incorrect\n").await;
    assert_eq!(failed(&wrong).0, Some(4), "{wrong:?}");
    let line = format!("1 {}\n", "ab".repeat(32));
    let other = house.astdb_fed(&["unlock", "--key-file", "-"], line.as_bytes()).await;
    assert_eq!(failed(&other).0, Some(4), "{other:?}");
    assert_eq!(failed(&house.astdb_fed(&["unlock", "--key-file", "-"], b"no key\n").await).0, Some(5));
    assert_eq!(failed(&house.astdb(&["unlock"]).await).0, Some(2), "nobody is asked where there is no terminal");
    let forever = house.astdb_fed(&["unlock", "--ttl", "999d", "--passphrase-file", "-"], b"correct horse\n").await;
    assert_eq!(failed(&forever).0, Some(2));
    assert_eq!(text(house.astdb(&["get", "pin", "100"]).await), "1234");
}

#[tokio::test]
async fn the_key_is_forgotten_when_its_time_is_over() {
    let house = House::held();
    let _server = house.opens().await;
    let events = house.events().await;
    let line = format!("1 {}\n", "ab".repeat(32));
    let unlocked = house.astdb_fed(&["unlock", "--ttl", "2s", "--key-file", "-"], line.as_bytes()).await;
    assert!(unlocked.status.success(), "{unlocked:?}");
    events.says("astdb.unlocked").await;
    events.says("astdb.locked").await;
    assert_eq!(last(&events, "astdb.locked")["why"], "its time is over");
    assert_eq!(failed(&house.astdb(&["get", "pin", "100"]).await).0, Some(4));
}

#[tokio::test]
async fn a_dialplan_gets_nothing_from_a_locked_store_and_works_after_it_is_unlocked() {
    let house = House::held();
    let _server = house.opens().await;
    let (events, alice) = (house.events().await, house.phone("alice").await);
    house.unlocks("1h").await;
    for (family, value) in [("pin", "1234"), ("open", "yes")] {
        assert!(house.astdb(&["put", family, "100", value]).await.status.success());
    }
    assert!(house.astdb(&["lock"]).await.status.success());
    for (value, exists, right, status) in [("<>", "<>", "<>", "<FAILED>"), ("<yes>", "<1>", "<1>", "<RIGHT>")] {
        alice.invite("pin").await.is_refused(&[486]).await;
        events.says(&format!("\"status\":\"{status}\"")).await;
        let (read, check) = (last(&events, "\"read\""), last(&events, "\"check\""));
        assert_eq!((&read["fields"]["value"], &read["fields"]["exists"]), (&value.into(), &exists.into()));
        assert_eq!(check["fields"]["right"], right);
        house.unlocks("1h").await;
    }
    events.says("astdb.refused").await;
    assert_eq!(text(house.astdb(&["get", "open", "written"]).await), "1");
}

#[tokio::test]
async fn a_server_with_a_key_file_takes_no_other_key() {
    let house = House::new();
    let _server = house.opens().await;
    let refused = house.astdb_fed(&["unlock", "--passphrase-file", "-"], b"correct horse\n").await;
    let (code, errors) = failed(&refused);
    assert!(code == Some(2) && errors.contains("astdb.key"), "{code:?} {errors}");
    assert!(house.astdb(&["put", "a", "b", "c"]).await.status.success());
    assert_eq!(text(house.astdb(&["get", "a", "b"]).await), "c");
    // The store is here, its key is not: the server that has it is asked.
    let key = house.path("wirechief/astdb.key");
    std::fs::rename(&key, house.path("elsewhere")).expect("a key file");
    let (code, _) = failed(&house.astdb(&["get", "a", "b"]).await);
    assert_eq!(code, Some(4), "the server reads the file when it first needs it, and it is gone");
    std::fs::rename(house.path("elsewhere"), &key).expect("a key file");
    assert_eq!(text(house.astdb(&["--socket", house.socket().to_str().unwrap(), "get", "a", "b"]).await), "c");
    std::fs::rename(&key, house.path("elsewhere")).expect("a key file");
    assert_eq!(text(house.astdb(&["get", "a", "b"]).await), "c", "now the server has it");
}

#[tokio::test]
async fn without_the_server_a_held_store_shows_names_and_nothing_else() {
    let house = House::held();
    let mut server = house.opens().await;
    house.unlocks("1h").await;
    assert!(house.astdb(&["put", "pin", "100", "1234"]).await.status.success());
    server.gets(rustix::process::Signal::TERM);
    server.ends().await;
    assert!(text(house.astdb(&["show"]).await).contains("/pin/100"));
    assert_eq!(failed(&house.astdb(&["get", "pin", "100"]).await).0, Some(4));
    assert_eq!(failed(&house.astdb(&["unlock"]).await).0, Some(7));
    let words = ["get", "pin", "100", "--passphrase-file", "-"];
    assert_eq!(text(house.astdb_fed(&words, b"correct horse\n").await), "1234", "the passphrase opens it here too");
}

#[tokio::test]
async fn another_account_neither_unlocks_nor_reads() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another account");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let house = House::held();
    let _server = house.opens().await;
    house.unlocks("1h").await;
    assert!(house.astdb(&["put", "pin", "100", "1234"]).await.status.success());
    for (path, mode) in [(house.path(""), 0o755), (house.path("run"), 0o755), (house.socket(), 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let copy = house.path("astdb");
    done(house.program("/bin/cp", &[ASTDB, copy.to_str().expect("a path")])).await;
    for words in
        [&["get", "pin", "100"][..], &["show", "--reveal"], &["put", "a", "b", "c"], &["lock"], &["key", "info"]]
    {
        let mut astdb = house.program(&copy, words);
        astdb.uid(65_534).gid(65_534);
        let (code, errors) = failed(&done(astdb).await);
        assert_eq!(code, Some(4), "{words:?}: {errors}");
    }
}

#[tokio::test]
async fn a6_no_core_file_of_the_server_is_written_and_its_memory_is_its_own() {
    let house = House::held();
    let server = house.opens().await;
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", server.pid()));
    let limits = of("limits").expect("its limits");
    let core: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max core")).expect("a limit").split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
    // The kernel gives the files of a process that may not be dumped to root.
    if !rustix::process::geteuid().is_root() {
        assert!(of("environ").is_err(), "others of this account read its memory");
    }
}
