//! `rec serve`, `link`, `index`, `seal`, `open` and `shred` as programs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use wirechief::outbox::{Manifest, Outbox};

use crate::harness::program;
use crate::receiver::stage::{ask, private, wav};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn outbox(&self) -> Outbox {
        Outbox::open(&self.0.path().join("spool")).unwrap()
    }

    fn recording(&self, name: &str) -> Manifest {
        let outbox = self.outbox();
        private(&outbox.spool().path().join(name), &wav(500));
        outbox.adopt(Manifest::new(name, "2026-11-20T21:00:00Z".parse().unwrap())).unwrap()
    }

    fn rec(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rec"));
        command.env_clear().env("HOME", self.0.path()).env("REC_SPOOL", self.0.path().join("spool"));
        command.env("XDG_STATE_HOME", self.0.path().join("state")).args(words).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String, String) {
        told(&program::run(&mut self.rec(words)))
    }

    fn add_user(&self, name: &str, password: &str) -> (Option<i32>, String, String) {
        let mut child = self.rec(&["serve", "--add-user", name]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        told(&program::ended(child))
    }
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_page_asks_for_the_password_that_was_set_and_a_link_does_not() {
    let home = Home::new();
    let id = home.recording("call-1.wav").id.to_string();
    let (code, _, said) = home.add_user("ann", "open sesame\n");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(home.add_user("a:b", "x").0, Some(2));
    assert_eq!(home.add_user("ann", "").0, Some(2));
    let mut server = home.rec(&["serve", "--bind", "127.0.0.1:0"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let base = line.trim().strip_prefix("serving ").unwrap().trim_end_matches('/').to_owned();
    let address = base.strip_prefix("http://").unwrap().parse().unwrap();
    let get = async |path: &str, login: &str| {
        let login = STANDARD.encode(login);
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {login}\r\n\r\n");
        ask(address, request.as_bytes()).await
    };
    let page = get("/call_index.htm", "ann:open sesame").await;
    assert!(page.status == 200 && page.text().contains("call-1.wav"));
    assert_eq!(get("/", "ann:sesame").await.status, 401);
    let (code, link, said) = home.run(&["link", &id, "--expires", "1h", "--base", &base]);
    assert_eq!(code, Some(0), "{said}");
    let path = link.trim().strip_prefix(&base).unwrap();
    let fetched = ask(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    assert_eq!((fetched.status, fetched.body), (200, wav(500)));
    rustix::process::kill_process(rustix::process::Pid::from_child(&server), rustix::process::Signal::TERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || server.wait().unwrap()).await.unwrap();
    assert_eq!(ended.code(), Some(0), "a stop is a good end");
}

#[test]
fn an_address_that_others_reach_is_refused_without_tls() {
    let home = Home::new();
    home.recording("a.wav");
    let (code, out, said) = home.run(&["serve", "--bind", "0.0.0.0:0"]);
    assert_eq!((code, out.as_str()), (Some(4), ""));
    assert!(said.contains("tls_certificate") && said.lines().count() == 1, "{said}");
}

#[test]
fn s124_an_index_is_one_page_of_signed_links_written_whole() {
    let home = Home::new();
    let id = home.recording("call-1.wav").id.to_string();
    let (code, html, said) = home.run(&["index", "-o", "-", "--base", "https://pbx.example"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        html.contains(&format!("<a href=\"https://pbx.example/r/{id}?expires=")) && html.contains(">call-1.wav</a>"),
        "{html}"
    );
    assert!(html.contains("http-equiv=\"Content-Security-Policy\"") && !html.contains("<script"));
    assert_eq!(home.run(&["index", "-o", "call_index.htm"]).0, Some(0));
    let names = std::fs::read_dir(home.0.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("call_index"));
    assert_eq!(names.count(), 1);
    assert_eq!(home.run(&["link", &id, "--base", "pbx.example"]).0, Some(2));
    assert_eq!(home.run(&["link", "nothing"]).0, Some(3));
}

#[test]
fn a_recording_is_sealed_opened_and_shredded_by_the_program() {
    let home = Home::new();
    let id = home.recording("call-1.wav").id.to_string();
    let (one, other) = (Identity::generate(), Identity::generate());
    for (name, identity) in [("one.txt", &one), ("other.txt", &other)] {
        private(&home.0.path().join(name), identity.to_string().expose_secret().as_bytes());
    }
    assert_eq!(home.run(&["seal", &id]).0, Some(2), "nobody to seal to");
    assert_eq!(home.run(&["seal", &id, "--to", "age1nonsense"]).0, Some(2));
    let (code, out, said) = home.run(&["seal", &id, "--to", &one.to_public().to_string(), "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (json["schema"].as_str(), json["recordings"][0]["file"].as_str()),
        (Some("rec.seal/1"), Some("call-1.age"))
    );
    for words in [
        &["seal", &id, "--to", &one.to_public().to_string()][..],
        &["seal", "--dry-run", &id, "--recipients", "one.pub"],
    ] {
        std::fs::write(home.0.path().join("one.pub"), one.to_public().to_string()).unwrap();
        let (code, _, said) = home.run(words);
        assert!(code == Some(2) && said.contains("sealed already"), "{said}");
    }
    let clear = home.recording("clear.wav").id.to_string();
    let (code, _, said) = home.run(&["shred", &clear, &id, "--yes"]);
    assert!(code == Some(2) && said.contains("is not sealed"), "{said}");
    let (code, _, said) = home.run(&["open", &id, "--identity", "one.txt"]);
    assert_eq!(code, Some(0), "nothing was shredded by halves: {said}");
    assert_eq!(std::fs::read(home.0.path().join("call-1.wav")).unwrap(), wav(500));
    assert_eq!(home.run(&["open", &id, "--identity", "one.txt"]).0, Some(1), "nothing is overwritten");
    assert_eq!(home.run(&["open", &id, "--identity", "other.txt", "-o", "x.wav"]).0, Some(4));
    assert!(!home.0.path().join("x.wav").exists());
    let piped = program::run(&mut home.rec(&["open", &id, "--identity", "one.txt", "-o", "-"]));
    assert_eq!(piped.stdout, wav(500));
    assert_eq!(home.run(&["shred", &id]).0, Some(2), "not without --yes");
    assert_eq!(home.run(&["shred", &id, "--yes"]).0, Some(0));
    let (code, _, said) = home.run(&["open", &id, "--identity", "one.txt", "-o", "y.wav"]);
    assert!(code == Some(5) && said.contains("shredded"), "{said}");
}
