//! The pages of examples/remotes under a real PHP (from apt), served by its own web server: what `rec push` delivers is there once
//! and receipted, and is shown and sent as document [002]'s pages did, without their flaws.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use wirechief::outbox::Outbox;
use wirechief::outbox::push::{BackOff, Options, Until, Verdict, run};
use wirechief::outbox::remote::Remotes;

use super::*;
use crate::harness::{Chaos, Weather, free_address};
use crate::receiver::stage::{Answer, ask, wav};

const EVIL: &str = "\"><script>alert(1)</script>.wav";

/// PHP's own web server in front of the examples; gone when dropped.
struct Php {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Drop for Php {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Php {
    /// `None`: there is no PHP on this machine.
    fn start(desk: &Desk) -> Option<Self> {
        let found = Command::new("php").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        assert!(found || std::env::var("CI").as_deref() != Ok("true"), "php is not installed");
        let folder = desk.path("received");
        std::fs::create_dir(&folder).unwrap();
        std::fs::create_dir(desk.path("secrets")).unwrap();
        for (name, text) in [("token", "t"), ("sign", "s")] {
            desk.secret(&format!("secrets/php-{name}"), text).secret(&format!("received/.{name}"), text);
        }
        found.then(|| Self::serve(&folder).expect("php serves"))
    }

    fn serve(folder: &Path) -> Option<Self> {
        let address = free_address();
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/remotes");
        let mut command = Command::new("php");
        command.args(["-d", "upload_max_filesize=64M", "-d", "post_max_size=64M", "-S"]).arg(address.to_string());
        command.arg("-t").arg(pages).env("RECORDINGS", folder).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while said.read_line(&mut line).unwrap() > 0 {
            if line.contains("started") {
                // Read on, so that it never waits for a reader.
                std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
                return Some(Self { child, address, folder: folder.to_owned() });
            }
        }
        let _ = child.wait();
        None
    }

    /// Of examples/remotes/php.toml, with this place instead of its own.
    fn remote(&self, desk: &Desk, place: SocketAddr) -> Configured {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/remotes/php.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let own = "https://www.example.com/recordings/";
        assert!(text.contains(own));
        let main = desk.path("php.toml");
        let quick = text.replace(own, &format!("http://{place}/")) + "\nconnect_timeout = '9s'\nidle_timeout = '60s'\n";
        std::fs::write(&main, quick).unwrap();
        let config = config::load(&[main], &|path: &Path| std::fs::read_to_string(path)).unwrap();
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
        from_settings(&config.remotes["php"], &lookup).unwrap()
    }

    fn kept(&self) -> Vec<String> {
        let entries =
            std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    async fn get(&self, path: &str, login: &str) -> Answer {
        let login = BASE64_STANDARD.encode(login);
        let lines = format!("Host: x\r\nConnection: close\r\nAuthorization: Basic {login}\r\n\r\n");
        ask(self.address, format!("GET {path} HTTP/1.1\r\n{lines}").as_bytes()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_php_gets_each_recording_once_over_a_bad_line() {
    let desk = Desk::new();
    let Some(php) = Php::start(&desk) else { return };
    let weather = Weather { resets: 30, damages: 5, stalls: 0, refusals: 10, within: 8_000 };
    let chaos = Chaos::start(php.address, weather, 5).await;
    let remotes = Remotes::from([("php".to_owned(), php.remote(&desk, chaos.address))]);
    let outbox = Outbox::open(&desk.path("spool")).unwrap();
    outbox.set_remotes(&["php"]).unwrap();
    let mut all = Vec::new();
    for number in 0..20_u32 {
        let begun = outbox.begin(&Manifest::new("day/call.wav", jiff::Timestamp::now())).unwrap();
        std::fs::write(outbox.spool().path_of(&begun.file).unwrap(), wav(100 + number)).unwrap();
        all.push(outbox.finish(begun).unwrap());
    }
    let back_off = BackOff { first: Duration::from_millis(5), most: Duration::from_millis(100) };
    let options =
        Options { back_off, until: Until::Done, max_time: Some(Duration::from_secs(600)), ..Options::default() };
    // receipts are signed, and are checked before they count
    let summary = run(&outbox, &remotes, &options, &()).await.unwrap();
    assert_eq!(summary.verdict(), Verdict::Done, "{:?}", summary.items.last());
    let mut names: Vec<_> =
        all.iter().flat_map(|one| [format!("{}.audio", one.id), format!("{}.json", one.id)]).collect();
    names.sort();
    assert_eq!(php.kept(), names);
    for one in &all {
        let there = std::fs::read(php.folder.join(format!("{}.audio", one.id))).unwrap();
        assert_eq!(sha256(&there), one.audio.sha256);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_php_takes_nothing_that_is_wrong_and_no_other_recording_under_a_key() {
    let desk = Desk::new();
    let Some(php) = Php::start(&desk) else { return };
    let remote = php.remote(&desk, php.address);
    let parcel = desk.parcel("2026/a.wav", &wav(300), |_| {});
    let (first, again) = (deliver(&remote, &parcel).await.unwrap(), deliver(&remote, &parcel).await.unwrap());
    let sent = wirechief::outbox::receipt::Sent { key: &parcel.key, sha256: &parcel.sha256, size: parcel.size };
    assert_eq!(wirechief::outbox::receipt::check(&first, &sent, &remote.policy), Ok(()));
    assert_eq!(first, again, "the same receipt");
    let other = Parcel { key: parcel.key.clone(), ..desk.parcel("b.wav", &wav(200), |_| {}) };
    let error = deliver(&remote, &other).await.unwrap_err();
    assert!(error.retry == Retry::Never && error.what.contains("409"), "{error}");
    for name in ["token", "sign"] {
        desk.secret(&format!("secrets/php-{name}"), "another");
        let error =
            deliver(&php.remote(&desk, php.address), &desk.parcel("c.wav", &wav(100), |_| {})).await.unwrap_err();
        assert!(is_later(&error) && error.what.contains("401"), "{error}");
        desk.secret(&format!("secrets/php-{name}"), &name[..1]);
    }
    assert_eq!(php.kept().len(), 2, "{:?}", php.kept());
}

#[tokio::test(flavor = "multi_thread")]
async fn s126_s133_the_page_of_a_real_php_shows_and_sends_as_it_should() {
    let desk = Desk::new();
    let Some(php) = Php::start(&desk) else { return };
    let made =
        Command::new("php").args(["-r", "echo 'ann:', password_hash('sesame', PASSWORD_DEFAULT);"]).output().unwrap();
    desk.secret("received/.users", std::str::from_utf8(&made.stdout).unwrap());
    let remote = php.remote(&desk, php.address);
    let sound = wav(300);
    let gsm = [0xd2; 330];
    let ogg = [b"OggS".as_slice(), &[0; 24], b"OpusHead", &[0; 300]].concat();
    for (file, called, bytes) in [
        ("2026/a.wav", "2026/a.wav", sound.as_slice()),
        ("B.WAV", "B.WAV", &sound),
        ("c.gsm", "c.gsm", &gsm),
        ("i.wav", "i.opus", &ogg),
        ("j.wav", "j.opus", &sound),
        ("d.wav", "d.wav", b"<?php system(1); ?> is no sound, and long enough to be one, if it were"),
        ("e.wav", "e.ogg", &sound),
        ("f.wav", EVIL, &sound),
        ("g.wav", "g.wav", &sound),
        ("h.wav", "h.wav", &sound),
    ] {
        let parcel = desk.parcel(file, bytes, |manifest| {
            manifest.file = called.into();
            manifest.from_name = "<b onclick=\"x\">Eve</b>".into();
        });
        deliver(&remote, &parcel).await.unwrap();
        let stored = php.folder.join(format!("{}.audio", parcel.key));
        match called {
            "g.wav" => std::fs::write(stored, b"").unwrap(),
            "h.wav" => {
                std::fs::remove_file(&stored).unwrap();
                std::os::unix::fs::symlink("/etc/passwd", stored).unwrap();
            }
            _ => {}
        }
    }
    for login in ["ann:wrong", ":", "bob:sesame"] {
        assert_eq!(php.get("/recordings.php", login).await.status, 401, "{login}");
    }
    let page = php.get("/recordings.php", "ann:sesame").await;
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("<script") && !page.text().contains("<b "), "{}", page.text());
    assert!(page.text().contains("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;.wav</a>"), "{}", page.text());
    assert!(page.text().contains("href=\"?call=2026%2Fa.wav\""), "{}", page.text());
    let call = async |name: &str| php.get(&format!("/recordings.php?call={name}"), "ann:sesame").await;
    for (name, kind, bytes) in [
        ("2026%2Fa.wav", "audio/x-wav", sound.as_slice()),
        ("a.wav", "audio/x-wav", &sound),
        ("B.WAV", "audio/x-wav", &sound),
        ("c.gsm", "audio/x-gsm", &gsm),
        ("i.opus", "audio/ogg", &ogg),
    ] {
        let answer = call(name).await;
        assert_eq!(
            (answer.status, answer.header("content-type"), answer.body.as_slice()),
            (200, Some(kind), bytes),
            "{name}"
        );
        assert_eq!(answer.header("content-length"), Some(bytes.len().to_string().as_str()));
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        let last = name.rsplit("%2F").next().unwrap();
        assert_eq!(answer.header("content-disposition"), Some(format!("attachment; filename=\"{last}\"").as_str()));
        assert!(answer.header("content-description").is_some());
    }
    let missing = [
        "nothing.wav",
        "..%2F..%2Fetc%2Fpasswd",
        "%2Fetc%2Fpasswd",
        "e.ogg",
        "g.wav",
        "h.wav",
        ".sign",
        "receiver.php",
        "",
    ];
    for name in missing {
        let answer = call(name).await;
        assert_eq!((answer.status, answer.text().trim()), (404, "404 File not found!"), "{name}");
    }
    for liar in ["d.wav", "j.opus"] {
        assert_eq!(call(liar).await.status, 422, "{liar}");
    }
    assert_eq!(php.get("/recordings.php?call[]=a.wav", "ann:sesame").await.status, 404);
}
