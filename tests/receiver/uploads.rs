//! Resumable uploads by the tus protocol, header by header: begun, gone on with, broken, damaged, expired, signed.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use wirechief::outbox::{Filter, Manifest};

use crate::receiver::stage::{Answer, Stage, TOKEN, private, until, wav};

/// A recording as its sender has it, and who sends it.
pub(crate) struct Sender {
    pub(crate) manifest: Manifest,
    pub(crate) sound: Vec<u8>,
    /// Header lines that say who: a token, or what makes signatures.
    login: String,
    signing_key: Option<&'static str>,
}

impl Sender {
    pub(crate) fn new(name: &str, ms: u32) -> Self {
        let sound = wav(ms);
        let mut manifest = Manifest::new(name, "2026-11-20T21:00:00Z".parse().unwrap());
        manifest.state = wirechief::outbox::State::Finished;
        let sha256 = Sha256::digest(&sound).iter().map(|byte| format!("{byte:02x}")).collect();
        (manifest.audio.bytes, manifest.audio.sha256) = (sound.len() as u64, sha256);
        Self { manifest, sound, login: format!("Authorization: Bearer {TOKEN}\r\n"), signing_key: None }
    }

    fn signature(&self, text: &[u8]) -> String {
        let Some(key) = self.signing_key else { return String::new() };
        let (id, time) = (uuid::Uuid::new_v4(), jiff::Timestamp::now().as_second());
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(text);
        let code = STANDARD.encode(mac.finalize().into_bytes());
        format!("webhook-id: {id}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: v1,{code}\r\n")
    }

    pub(crate) fn request(&self, method: &str, path: &str, lines: &str, body: &[u8]) -> Vec<u8> {
        let login = &self.login;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\n{login}{lines}Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// One whose file is this.
    pub(crate) fn of(name: &str, sound: Vec<u8>) -> Self {
        let mut sender = Self::new(name, 0);
        sender.manifest.audio.bytes = sound.len() as u64;
        sender.manifest.audio.sha256 = Sha256::digest(&sound).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { sound, ..sender }
    }

    pub(crate) fn announcement(&self) -> String {
        let coded = |text: &[u8]| STANDARD.encode(text);
        let metadata = format!(
            "filename {},id {},sha256 {},manifest {}",
            coded(self.manifest.file.as_bytes()),
            coded(self.manifest.id.to_string().as_bytes()),
            coded(self.manifest.audio.sha256.as_bytes()),
            coded(&self.manifest.print()),
        );
        let signature = self.signature(&self.manifest.print());
        format!("Upload-Length: {}\r\nUpload-Metadata: {metadata}\r\n{signature}", self.sound.len())
    }

    pub(crate) async fn begin(&self, stage: &Stage) -> Answer {
        stage.ask(self.request("POST", "/api/uploads", &self.announcement(), b"")).await
    }

    pub(crate) async fn begun(&self, stage: &Stage) -> String {
        let answer = self.begin(stage).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.header("location").unwrap().to_owned()
    }

    fn signed_on(&self, method: &str, place: &str, offset: &str, checksum: &str) -> String {
        let id = place.rsplit('/').next().unwrap();
        self.signature(format!("{method} {id} {offset} {checksum}").as_bytes())
    }

    pub(crate) async fn look(&self, stage: &Stage, place: &str) -> Answer {
        stage.ask(self.request("HEAD", place, &self.signed_on("HEAD", place, "", ""), b"")).await
    }

    fn patch(&self, place: &str, from: usize, to: usize) -> Vec<u8> {
        let bytes = &self.sound[from..to];
        let checksum = format!("sha256 {}", STANDARD.encode(Sha256::digest(bytes)));
        let signature = self.signed_on("PATCH", place, &from.to_string(), &checksum);
        let lines = format!(
            "Content-Type: application/offset+octet-stream\r\nUpload-Offset: {from}\r\nUpload-Checksum: {checksum}\r\n{signature}"
        );
        self.request("PATCH", place, &lines, bytes)
    }

    pub(crate) async fn send(&self, stage: &Stage, place: &str, from: usize, to: usize) -> Answer {
        stage.ask(self.patch(place, from, to)).await
    }
}

pub(crate) fn offset(answer: &Answer) -> Option<usize> {
    answer.header("upload-offset").and_then(|text| text.parse().ok())
}

fn receipt(answer: &Answer) -> Option<serde_json::Value> {
    let coded = answer.header("x-recording-receipt")?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(coded).unwrap()).ok()
}

pub(crate) fn count(stage: &Stage) -> usize {
    stage.outbox.list(&Filter::default()).unwrap().len()
}

/// What lies in the folder of uploads.
pub(crate) fn left(stage: &Stage) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(stage.spool(".uploads")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_recording_arrives_in_pieces_and_is_filed_once_with_its_receipt() {
    let stage = Stage::new().await;
    let offered = stage.ask("OPTIONS /api/uploads HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!((offered.status, offered.header("tus-version")), (204, Some("1.0.0")));
    assert_eq!(offered.header("tus-extension"), Some("creation,expiration,checksum"));
    assert_eq!(offered.header("tus-checksum-algorithm"), Some("sha1,sha256"));
    let sender = Sender::new("2026/a.wav", 300);
    let size = sender.sound.len();
    let place = sender.begun(&stage).await;
    let first = sender.send(&stage, &place, 0, 1_000).await;
    assert_eq!((first.status, offset(&first)), (204, Some(1_000)), "{}", first.text());
    let expires = httpdate::parse_http_date(first.header("upload-expires").unwrap()).unwrap();
    assert!(expires > SystemTime::now() + Duration::from_secs(23 * 3_600));
    let stands = sender.look(&stage, &place).await;
    assert_eq!((stands.status, offset(&stands), stands.header("cache-control")), (200, Some(1_000), Some("no-store")));
    assert_eq!(stands.header("upload-length"), Some(size.to_string().as_str()));
    assert_eq!(count(&stage), 0, "half a recording is none");
    let again = sender.begin(&stage).await;
    assert_eq!((again.status, offset(&again)), (200, Some(1_000)), "begun again it is found where it stands");
    assert_eq!(again.header("location"), Some(place.as_str()));
    let last = sender.send(&stage, &place, 1_000, size).await;
    assert_eq!(last.status, 204, "{}", last.text());
    let told = receipt(&last).unwrap();
    assert_eq!((&told["sha256"], &told["size"]), (&sender.manifest.audio.sha256.clone().into(), &size.into()));
    assert_eq!(stage.get("/download.php?call=2026/a.wav").await.body, sender.sound);
    assert!(left(&stage).is_empty(), "{:?}", left(&stage));
    assert_eq!(sender.look(&stage, &place).await.status, 404);
    let known = sender.begin(&stage).await;
    assert_eq!((known.status, offset(&known), receipt(&known)), (200, Some(size), Some(told.clone())));
    let look_up = async |id: &str| {
        let head = format!("GET /api/recordings/{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        stage.ask(format!("{head}{}\r\n", sender.login)).await
    };
    let looked_up = look_up(&sender.manifest.id.to_string()).await;
    assert_eq!((looked_up.status, looked_up.json()), (200, told));
    assert_eq!(look_up("6f9619ff-8b86-4d01-b42d-00cf4fc964ff").await.status, 404);
    assert_eq!(count(&stage), 1);
}

#[tokio::test]
async fn what_does_not_belong_to_an_upload_is_refused() {
    let stage = Stage::with(|setup| setup.settings.largest = 10_000).await;
    let sender = Sender::new("a.wav", 300);
    let place = sender.begun(&stage).await;
    let size = sender.sound.len();
    let wrong_offset = sender.send(&stage, &place, 10, 20).await;
    assert_eq!(wrong_offset.status, 409, "{}", wrong_offset.text());
    let text = |request: Vec<u8>| String::from_utf8_lossy(&request).into_owned();
    let patch = text(sender.request("PATCH", &place, "Upload-Offset: 0\r\n", b"x"));
    let typed = "Content-Type: application/offset+octet-stream\r\n";
    let endless = [sender.sound.as_slice(), b"more"].concat();
    for (request, status, what) in [
        (patch.clone(), 415, "no content type"),
        (text(sender.request("PATCH", &place, typed, b"x")), 400, "no offset"),
        (text(sender.patch(&place, 0, 10)).replace("1.0.0", "0.2.2"), 412, "another version"),
        (text(sender.patch("/api/uploads/0123456789abcdef", 0, 10)), 404, "no such upload"),
        (text(sender.patch(&place, 0, 10)).replace("sha256 ", "md5 "), 400, "no such checksum"),
        (text(sender.request("DELETE", &place, "", b"")), 405, "no such method"),
        (text(sender.patch(&place, 0, 10)).replace(TOKEN, "wrong"), 401, "a wrong token"),
        (text(sender.request("POST", "/api/uploads", "Upload-Length: 9\r\n", b"")), 400, "no metadata"),
        (text(sender.request("POST", "/api/uploads", "", b"")), 400, "no length"),
        (text(sender.request("POST", "/api/uploads", "Upload-Length: 99999\r\n", b"")), 413, "too long"),
    ] {
        let answer = stage.ask(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(answer.header("tus-resumable"), Some("1.0.0"), "{what}");
    }
    let lines = format!("{typed}Upload-Offset: 0\r\n");
    assert_eq!(stage.ask(sender.request("PATCH", &place, &lines, &endless)).await.status, 413);
    for (name, status) in [("a.php", 415), ("../a.sh", 415)] {
        assert_eq!(Sender::new(name, 50).begin(&stage).await.status, status, "{name}");
    }
    let clash = Sender {
        manifest: Manifest { id: sender.manifest.id, ..Sender::new("a.wav", 200).manifest },
        ..Sender::new("a.wav", 200)
    };
    assert_eq!(offset(&sender.look(&stage, &place).await), Some(0), "nothing has come of all this");
    // by those who cannot say PATCH
    let patch = sender.patch(&place, 0, 10);
    let by_post = [b"POST", &patch["PATCH".len()..]].concat();
    let end = by_post.windows(5).position(|five| five == b"Host:").unwrap();
    let by_post = [&by_post[..end], b"X-HTTP-Method-Override: PATCH\r\n", &by_post[end..]].concat();
    assert_eq!(stage.ask(by_post).await.status, 204);
    assert_eq!(sender.send(&stage, &place, 10, size).await.status, 204);
    assert_eq!(clash.begin(&stage).await.status, 409, "another recording has this key");
    assert_eq!(count(&stage), 1);
}

#[tokio::test]
async fn bytes_that_were_damaged_are_forgotten_and_those_whose_request_broke_off_are_kept() {
    let stage = Stage::new().await;
    let sender = Sender::new("a.wav", 300);
    let size = sender.sound.len();
    let place = sender.begun(&stage).await;
    let mut damaged = sender.patch(&place, 0, 2_000);
    *damaged.last_mut().unwrap() ^= 1;
    let answer = stage.ask(damaged).await;
    assert_eq!(answer.status, 460, "{}", answer.text());
    assert_eq!(offset(&sender.look(&stage, &place).await), Some(0));
    let whole = sender.patch(&place, 0, 3_000);
    let mut stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &whole[..whole.len() - 500]).await.unwrap();
    drop(stream);
    until(|| std::fs::metadata(stage.spool(&part(&place))).unwrap().len() == 2_500).await;
    assert_eq!(offset(&sender.look(&stage, &place).await), Some(2_500));
    assert_eq!(sender.send(&stage, &place, 2_500, size).await.status, 204);
    assert_eq!(stage.get("/download.php?call=a.wav").await.body, sender.sound);
}

fn part(place: &str) -> String {
    format!(".uploads/{}.part", place.rsplit('/').next().unwrap())
}

#[tokio::test]
async fn a_connection_that_is_dead_without_knowing_it_does_not_hold_up_the_next() {
    let stage = Stage::new().await;
    let sender = Sender::new("a.wav", 300);
    let place = sender.begun(&stage).await;
    let whole = sender.patch(&place, 0, 3_000);
    let mut dead = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut dead, &whole[..whole.len() - 500]).await.unwrap();
    until(|| std::fs::metadata(stage.spool(&part(&place))).unwrap().len() == 2_500).await;
    assert_eq!(offset(&sender.look(&stage, &place).await), Some(2_500));
    assert_eq!(sender.send(&stage, &place, 2_500, sender.sound.len()).await.status, 204);
    assert_eq!(count(&stage), 1);
    drop(dead);
}

#[tokio::test]
async fn an_upload_that_is_not_what_was_announced_is_removed_and_begun_anew() {
    let stage = Stage::new().await;
    let sender = Sender::new("a.wav", 300);
    let size = sender.sound.len();
    let place = sender.begun(&stage).await;
    assert_eq!(sender.send(&stage, &place, 0, 1_000).await.status, 204);
    // as after a power failure, or a disk that lies
    let path = stage.spool(&part(&place));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let last = sender.send(&stage, &place, 1_000, size).await;
    assert_eq!(last.status, 410, "{}", last.text());
    assert!(last.text().contains("SHA-256") && left(&stage).is_empty());
    assert_eq!(count(&stage), 0);
    let place = sender.begun(&stage).await;
    assert_eq!(sender.send(&stage, &place, 0, size).await.status, 204);
    assert_eq!(count(&stage), 1);
}

#[tokio::test]
async fn what_is_refused_when_it_is_whole_does_not_stay() {
    let stage = Stage::new().await;
    let liar = Sender::of("a.wav", b"<?php system(1); ?>".repeat(50));
    let place = liar.begun(&stage).await;
    let refused = liar.send(&stage, &place, 0, liar.sound.len()).await;
    assert_eq!(refused.status, 415, "{}", refused.text());
    assert_eq!((left(&stage).len(), count(&stage)), (0, 0));
}

#[tokio::test]
async fn what_was_whole_when_the_server_was_killed_is_filed_when_it_is_asked_for() {
    let stage = Stage::new().await;
    let sender = Sender::new("a.wav", 300);
    let place = sender.begun(&stage).await;
    // all of it is there, but nobody has filed it
    std::fs::write(stage.spool(&part(&place)), &sender.sound).unwrap();
    let stands = sender.look(&stage, &place).await;
    assert_eq!((stands.status, offset(&stands)), (200, Some(sender.sound.len())));
    assert!(receipt(&stands).is_some());
    assert_eq!((count(&stage), left(&stage).len()), (1, 0));
}

#[tokio::test]
async fn an_unfinished_upload_expires_and_is_removed() {
    let stage = Stage::with(|setup| setup.settings.upload_expires = Duration::from_secs(3_600)).await;
    let (sender, other) = (Sender::new("a.wav", 300), Sender::new("b.wav", 400));
    let (place, forgotten) = (sender.begun(&stage).await, other.begun(&stage).await);
    assert_eq!(sender.send(&stage, &place, 0, 1_000).await.status, 204);
    let age = |place: &str, hours: u64| {
        for name in [part(place), part(place).replace(".part", ".json")] {
            let file = std::fs::File::options().write(true).open(stage.spool(&name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3_600)).unwrap();
        }
    };
    age(&forgotten, 2);
    assert_eq!(left(&stage).len(), 4);
    let third = Sender::new("c.wav", 50).begun(&stage).await;
    assert_eq!(left(&stage).len(), 4, "the forgotten one made room, and the others stay");
    assert_eq!(other.look(&stage, &forgotten).await.status, 404);
    age(&place, 2);
    let gone = sender.send(&stage, &place, 1_000, 2_000).await;
    assert_eq!(gone.status, 410, "{}", gone.text());
    assert_eq!(left(&stage).len(), 2);
    // and with nobody asking, when a server is started
    age(&third, 2);
    let mut setup = crate::receiver::stage::setup(stage.folder.path());
    setup.settings.upload_expires = Duration::from_secs(3_600);
    let receiver = wirechief::receiver::Receiver::open(setup).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = tokio::spawn(receiver.serve(listener, std::future::pending()));
    until(|| left(&stage).is_empty()).await;
    server.abort();
}

#[tokio::test]
async fn r7_nothing_unsigned_reaches_the_disk() {
    let stage = Stage::with(|setup| {
        private(&setup.state.join("sign"), b"signing-key\n");
        setup.settings.signing_key_file = Some(setup.state.join("sign"));
        setup.settings.token_file = None;
    })
    .await;
    let unsigned = Sender { login: String::new(), ..Sender::new("a.wav", 300) };
    assert_eq!(unsigned.begin(&stage).await.status, 401);
    assert!(left(&stage).is_empty());
    let sender = Sender {
        signing_key: Some("signing-key"),
        manifest: unsigned.manifest.clone(),
        login: String::new(),
        sound: unsigned.sound.clone(),
    };
    let forger = Sender {
        signing_key: Some("another"),
        manifest: unsigned.manifest.clone(),
        login: String::new(),
        sound: unsigned.sound.clone(),
    };
    let announced = sender.request("POST", "/api/uploads", &sender.announcement(), b"");
    let begun = stage.ask(&announced).await;
    assert_eq!(begun.status, 201, "{}", begun.text());
    let place = begun.header("location").unwrap().to_owned();
    assert_eq!(stage.ask(&announced).await.status, 409, "the very same again");
    for other in [&unsigned, &forger] {
        assert_eq!(other.send(&stage, &place, 0, 1_000).await.status, 401);
        assert_eq!(other.look(&stage, &place).await.status, 401);
    }
    // signed, but not these bytes
    let text = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n";
    let lines = format!("{text}{}", sender.signed_on("PATCH", &place, "0", ""));
    assert_eq!(stage.ask(sender.request("PATCH", &place, &lines, b"some bytes")).await.status, 400);
    assert_eq!(std::fs::metadata(stage.spool(&part(&place))).unwrap().len(), 0);
    // signed, but it breaks off before it is known whether it is these bytes
    let broken = sender.patch(&place, 0, 1_000);
    let mut stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &broken[..broken.len() - 500]).await.unwrap();
    until(|| std::fs::metadata(stage.spool(&part(&place))).unwrap().len() == 500).await;
    drop(stream);
    until(|| std::fs::metadata(stage.spool(&part(&place))).unwrap().len() == 0).await;
    let first = sender.patch(&place, 0, 1_000);
    assert_eq!(stage.ask(&first).await.status, 204);
    assert_eq!(stage.ask(&first).await.status, 409, "the very same again");
    assert_eq!(sender.send(&stage, &place, 1_000, sender.sound.len()).await.status, 204);
    assert_eq!(count(&stage), 1);
}
