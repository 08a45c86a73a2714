//! A real browser (headless Chromium, from apt) opens the page with JavaScript switched off, shows a hostile name as text, and plays.
//!
//! It is driven over two pipes by its own protocol: JSON messages, each ended by a zero byte.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use wirechief::config::Secret;
use wirechief::outbox::Manifest;
use wirechief::receiver::with_user;

use crate::receiver::stage::{Stage, private, wav};

/// How long the browser may take for its next word: it starts slowly on a busy machine.
const LONGEST: Duration = Duration::from_secs(120);

const EVIL: &str = "\"><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

struct Browser {
    child: Child,
    to: File,
    /// Its messages, without the zero byte.
    from: Receiver<Vec<u8>>,
    session: Option<String>,
    number: u64,
    /// Events that came while an answer was waited for.
    events: Vec<String>,
}

impl Browser {
    /// `None`: there is none on this machine.
    fn start(folder: &Path) -> Option<Self> {
        let program = ["chromium", "chromium-browser"].into_iter().find(|name| {
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        })?;
        let (to, from) = (folder.join("to"), folder.join("from"));
        for pipe in [&to, &from] {
            mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        let line = "exec \"$0\" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
                    --disable-background-networking --disable-component-update --disable-sync --mute-audio \
                    --user-data-dir=\"$3\" --remote-debugging-pipe about:blank 3<\"$1\" 4>\"$2\"";
        let child = Command::new("sh")
            .args(["-c", line, program])
            .args([to.as_os_str(), from.as_os_str(), folder.join("profile").as_os_str()])
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // in the order in which the shell opens the other ends
        let to = File::options().write(true).open(to).unwrap();
        let mut pipe = BufReader::new(File::open(from).unwrap());
        let (heard, from) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while pipe.read_until(0, &mut bytes).is_ok() && bytes.pop() == Some(0) {
                if heard.send(std::mem::take(&mut bytes)).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self { child, to, from, session: None, number: 0, events: Vec::new() };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached =
            browser.ask("Target.attachToTarget", &json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.ask("Page.enable", &json!({}));
        Some(browser)
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let heard = self.hear();
            if heard["id"] == self.number {
                assert!(heard.get("error").is_none(), "{method}: {heard}");
                return heard["result"].clone();
            }
            self.events.extend(heard["method"].as_str().map(str::to_owned));
        }
    }

    fn hear(&mut self) -> Value {
        let bytes = self.from.recv_timeout(LONGEST).expect("a word of the browser");
        serde_json::from_slice(&bytes).unwrap()
    }

    fn open(&mut self, url: &str) {
        self.events.clear();
        let opened = self.ask("Page.navigate", &json!({ "url": url }));
        assert!(opened.get("errorText").is_none(), "{opened}");
        while !self.events.iter().any(|event| event == "Page.loadEventFired") {
            let heard = self.hear();
            self.events.extend(heard["method"].as_str().map(str::to_owned));
        }
    }

    /// The value of an expression, waited for where it is a promise.
    fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true });
        let result = self.ask("Runtime.evaluate", &asked);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_in_a_browser_without_javascript_and_its_audio_plays() {
    let stage = Stage::with(|setup| {
        let users = with_user("", "ann", &Secret::new("secret".to_owned()), None).unwrap();
        private(&setup.state.join("users"), users.as_bytes());
        setup.settings.users_file = Some(setup.state.join("users"));
    })
    .await;
    let mut manifest = Manifest::new("call-1.wav", "2026-11-20T21:00:00Z".parse().unwrap());
    (manifest.from_name, manifest.from) = (EVIL.to_owned(), "5551234".to_owned());
    let id = stage.record_as(manifest, &wav(2_000)).id.to_string();
    stage.record("other.wav", &wav(100));
    let folder = tempfile::tempdir().unwrap();
    let (place, path) = (stage.address, folder.path().to_owned());
    let driven = tokio::task::spawn_blocking(move || {
        let Some(mut browser) = Browser::start(&path) else {
            assert!(std::env::var_os("CI").is_none(), "chromium is mandatory here");
            return false;
        };
        browser.ask("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        browser.open(&format!("http://ann:secret@{place}/?q=5551234"));
        let html = browser.value("document.documentElement.outerHTML");
        let html = html.as_str().unwrap();
        assert!(html.contains("&lt;script&gt;document.title='owned'&lt;/script&gt;"), "{html}");
        let seen = browser.value("[document.scripts.length, document.images.length, document.querySelectorAll('audio').length, document.title, document.querySelector('td:nth-child(2)').innerText, getComputedStyle(document.querySelector('th')).backgroundColor]");
        assert_eq!(
            seen,
            json!([0, 0, 1, "Recordings", format!("{EVIL} <5551234>"), "rgb(243, 243, 243)"]),
            "its own style is let in"
        );
        browser.ask("Emulation.setScriptExecutionDisabled", &json!({ "value": false }));
        let played = browser.value(
            "(async () => { const a = document.querySelector('audio'); await a.play();
               await new Promise(heard => { a.ontimeupdate = () => a.currentTime > 0.3 && heard(); });
               return [a.duration, a.error === null, a.currentTime > 0.3]; })()",
        );
        assert_eq!(played, json!([2, true, true]), "two seconds that play");
        true
    });
    if driven.await.unwrap() {
        let audit = stage.audit();
        let of_player =
            |line: &&Value| line["event"] == "download" && line["id"] == id.as_str() && line["who"] == "ann";
        let statuses: Vec<_> = audit.iter().filter(of_player).map(|line| line["status"].as_u64().unwrap()).collect();
        assert!(!statuses.is_empty() && statuses.iter().all(|status| [200, 206].contains(status)), "{audit:?}");
    }
}
