//! Document [002] from end to end, as `examples/recording-transport` has it: dialled, recorded, complete behind Dial, sent by
//! priority 5, and on the page of the CRM, where it can be heard.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{holds, is_recorded, manifest, names, spool};
use crate::call::hear_each_other;
use crate::harness::{PATIENCE, Profile, TestPbx, Tone, example_folder, only};

const REC: &str = env!("CARGO_BIN_EXE_rec");
const PASSWORD: &str = "ann's long password";

/// The CRM: `rec serve` with the example's `crm.toml`, a token and Ann. Ended when it is dropped.
struct Crm {
    _serve: tokio::process::Child,
    address: String,
}

impl Crm {
    async fn opens(folder: &Path) -> Self {
        std::fs::copy(example_folder("recording-transport").join("crm.toml"), folder.join("crm.toml")).expect("a copy");
        let mut token = std::fs::OpenOptions::new();
        let token = token.write(true).create_new(true).mode(0o600).open(folder.join("crm-token"));
        token.expect("a file").write_all(b"0123456789abcdef0123456789abcdef\n").expect("a token");
        std::fs::create_dir_all(folder.join(".local/state/wirechief")).expect("a state folder");
        let rec = |words: &[&str]| {
            let mut rec = Command::new(REC);
            rec.env_clear().env("HOME", folder).current_dir(folder).args(["--config", "crm.toml", "serve"]).args(words);
            rec
        };
        let mut adds = rec(&["--add-user", "ann"]).stdin(Stdio::piped()).spawn().expect("rec");
        adds.stdin.take().expect("an input").write_all(PASSWORD.as_bytes()).expect("a password");
        assert!(adds.wait().expect("its end").success());
        let serve = rec(&["--spool", "crm", "--bind", "127.0.0.1:0"]);
        let mut serve = tokio::process::Command::from(serve);
        let mut serve = serve.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("rec serve");
        let mut lines = BufReader::new(serve.stdout.take().expect("an output")).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("text").expect("a line");
        let address = line.trim_start_matches("serving http://").trim_end_matches('/').to_owned();
        Self { _serve: serve, address }
    }

    /// What a browser gets in which Ann is logged in: the header, and the body.
    async fn shows(&self, path: &str) -> (String, Vec<u8>) {
        let login = base64::engine::general_purpose::STANDARD.encode(format!("ann:{PASSWORD}"));
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Basic {login}\r\n\r\n", self.address);
        let mut stream = TcpStream::connect(&self.address).await.expect("the CRM");
        stream.write_all(request.as_bytes()).await.expect("asked");
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time").expect("an answer");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a header");
        let body = answer.split_off(end + 4);
        (String::from_utf8_lossy(&answer).into_owned(), body)
    }
}

#[tokio::test]
async fn s094_s117_s118_s119_s121_a_third_partys_call_is_in_the_crm_when_it_is_over_and_can_be_heard_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let crm = Crm::opens(folder.path()).await;
    let nowhere = "127.0.0.1:9".parse().expect("an address");
    let mut trunk = Profile::new("icall", nowhere).plug_in().await;
    let address = trunk.local().to_string();
    let token = folder.path().join("crm-token").display().to_string();
    let changes = [
        ("sip.icall.example:5060", address.as_str()),
        ("127.0.0.1:8080", &crm.address),
        ("/usr/local/bin/rec", REC),
        ("# token_file = \"crm-token\"", &format!("token_file = \"{token}\"")),
    ];
    let pbx = TestPbx::example_on_disk("recording-transport", &changes).await;
    let mut calling = pbx.phone("1001").await.invite("*1234178575309").await;
    calling.expects([200]).await.ack().await;
    let mut called = trunk.is_called().await;
    called.answers().await;
    hear_each_other(&mut calling, &mut called).await;
    let name = names(&spool(&pbx)).remove(0);
    let path = spool(&pbx).join(&name);
    is_recorded(&path).await;
    called.hangs_up().await;
    // Priority 5 sends it, then the plan hangs up.
    calling.is_hung_up().await;
    pbx.is_idle().await;

    let manifest = manifest(&path);
    assert!(holds(&path, &[only(Tone::A), only(Tone::B)]), "agent left, third party right");
    assert_eq!((&manifest["to"], &manifest["direction"]), (&"*1234178575309".into(), &"out".into()), "as dialled");
    assert!(manifest["parties"].to_string().contains("\"4178575309\""), "S117: the number that was called: {manifest}");
    let (head, page) = crm.shows("/").await;
    let page = String::from_utf8(page).expect("a page");
    assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(page.contains("4178575309") && page.contains(&name), "{page}");
    let (head, sound) = crm.shows(&format!("/download.php?call={name}")).await;
    assert!(head.to_ascii_lowercase().contains("content-type: audio/x-wav"), "{head}");
    assert_eq!(sound, std::fs::read(&path).expect("the recording"), "byte for byte");
    let id = manifest["id"].as_str().expect("an id");
    assert!(page.contains(&format!("/recordings/{id}")), "the player's source");
}
