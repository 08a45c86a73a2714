//! Recordings taken in: by form and whole, once for each key, whatever is wrong with what comes; and `rec push`'s own remote against it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use wirechief::config::Secret;
use wirechief::outbox::receipt;
use wirechief::outbox::{Filter, Manifest};

use crate::receiver::stage::{Answer, Stage, TOKEN, private, wav};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The manifest that another machine would send with a file.
fn manifest(name: &str, bytes: &[u8]) -> Manifest {
    let mut manifest = Manifest::new(name, "2026-11-20T21:00:00Z".parse().unwrap());
    manifest.state = wirechief::outbox::State::Finished;
    (manifest.from, manifest.to) = ("1001".to_owned(), "4178575309".to_owned());
    (manifest.audio.bytes, manifest.audio.sha256) = (bytes.len() as u64, sha256(bytes));
    manifest
}

struct Form<'a> {
    key: String,
    json: Vec<u8>,
    name: &'a str,
    bytes: &'a [u8],
    lines: String,
}

impl<'a> Form<'a> {
    fn of(manifest: &Manifest, bytes: &'a [u8]) -> Self {
        let lines = format!("Authorization: Bearer {TOKEN}\r\nX-Recording-Sha256: {}\r\n", sha256(bytes));
        Self { key: manifest.id.to_string(), json: manifest.print(), name: "a.wav", bytes, lines }
    }

    fn request(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(
            b"--b\r\nContent-Disposition: form-data; name=\"manifest\"\r\nContent-Type: application/json\r\n\r\n",
        );
        body.extend_from_slice(&self.json);
        body.extend_from_slice(
            format!(
                "\r\n--b\r\nContent-Disposition: form-data; name=\"recording\"; filename=\"{}\"\r\n\r\n",
                self.name
            )
            .as_bytes(),
        );
        body.extend_from_slice(self.bytes);
        body.extend_from_slice(b"\r\n--b--\r\n");
        let head = format!(
            "POST /api/recordings HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIdempotency-Key: {}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n{}\r\n",
            self.key,
            body.len(),
            self.lines
        );
        [head.into_bytes(), body].concat()
    }

    async fn send(&self, stage: &Stage) -> Answer {
        stage.ask(self.request()).await
    }
}

fn count(stage: &Stage) -> usize {
    stage.outbox.list(&Filter::default()).unwrap().len()
}

#[tokio::test]
async fn s121_what_is_pushed_is_filed_once_and_answered_by_a_receipt_that_counts() {
    let key = Secret::new("whsec_c2VjcmV0".into());
    let stage = Stage::with(|setup| {
        private(&setup.state.join("receipt"), b"whsec_c2VjcmV0\n");
        setup.settings.receipt_key_file = Some(setup.state.join("receipt"));
    })
    .await;
    let sound = wav(300);
    let sent = manifest("2026/call.wav", &sound);
    let form = Form::of(&sent, &sound);
    let first = form.send(&stage).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let receipt = first.json();
    assert_eq!(
        (receipt["sha256"].as_str(), receipt["size"].as_u64()),
        (Some(sha256(&sound).as_str()), Some(sound.len() as u64))
    );
    let said = receipt::Sent { key: &form.key, sha256: &sha256(&sound), size: sound.len() as u64 };
    assert_eq!(receipt["signature"], receipt::sign(&key, &said, receipt["received_at"].as_str().unwrap()));
    let again = form.send(&stage).await;
    assert_eq!((again.status, again.json()), (200, receipt), "the same receipt, and no second recording");
    assert_eq!(count(&stage), 1);
    let filed = stage.outbox.get(sent.id).unwrap().unwrap();
    assert_eq!(
        (filed.file.as_str(), filed.to.as_str(), filed.audio.sha256),
        ("2026/call.wav", "4178575309", sha256(&sound))
    );
    assert_eq!(stage.get("/download.php?call=2026/call.wav").await.body, sound);
    let events: Vec<_> = stage.audit().iter().map(|line| (line["event"].clone(), line["status"].clone())).collect();
    assert_eq!(events[..2], [("delivery".into(), 201.into()), ("delivery".into(), 200.into())]);
}

#[tokio::test]
async fn a_file_that_is_put_whole_is_taken_too() {
    let stage = Stage::new().await;
    let sound = wav(100);
    let sent = manifest("put.wav", &sound);
    let head = format!(
        "PUT /api/recordings/{0} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nIdempotency-Key: {0}\r\nX-Recording-Manifest: {1}\r\nContent-Length: {2}\r\n\r\n",
        sent.id,
        URL_SAFE_NO_PAD.encode(sent.print()),
        sound.len()
    );
    let answer = stage.ask([head.into_bytes(), sound.clone()].concat()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(stage.get(&format!("/recordings/{}", sent.id)).await.body, sound);
}

#[tokio::test]
async fn another_recording_with_the_same_key_is_a_conflict_and_one_with_the_same_name_is_numbered() {
    let stage = Stage::new().await;
    let (sound, other) = (wav(100), wav(200));
    let sent = manifest("call.wav", &sound);
    assert_eq!(Form::of(&sent, &sound).send(&stage).await.status, 201);
    let clash = Manifest { audio: manifest("call.wav", &other).audio, ..sent.clone() };
    assert_eq!(Form::of(&clash, &other).send(&stage).await.status, 409);
    assert_eq!(stage.get(&format!("/recordings/{}", sent.id)).await.body, sound, "what was there stays");
    let second = manifest("call.wav", &other);
    assert_eq!(Form::of(&second, &other).send(&stage).await.status, 201);
    assert_eq!(stage.outbox.get(second.id).unwrap().unwrap().file, "call-2.wav");
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_leaves_nothing() {
    let stage = Stage::with(|setup| setup.settings.largest = 10_000).await;
    let sound = wav(100);
    let sent = manifest("call.wav", &sound);
    let good = || Form::of(&sent, &sound);
    let flipped: Vec<u8> = sound.iter().map(|byte| byte ^ 1).collect();
    let liar = b"<?php system(1); ?> in the clothes of a WAV file, and rather longer than its header".as_slice();
    let (long, named) = (wav(1_000), |name: &str| manifest(name, &sound).print());
    let cases = [
        (Form { lines: String::new(), ..good() }, 401, "no token"),
        (Form { lines: "Authorization: Bearer wrong\r\n".into(), ..good() }, 401, "a wrong token"),
        (Form { bytes: &flipped, ..good() }, 460, "other bytes than its manifest says"),
        (
            Form {
                lines: format!("Authorization: Bearer {TOKEN}\r\nX-Recording-Sha256: {}\r\n", sha256(b"x")),
                ..good()
            },
            460,
            "another hash",
        ),
        (Form { json: b"{\"schema\":\"wirechief.recording/1\"".to_vec(), ..good() }, 460, "half a manifest"),
        (Form { key: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff".into(), ..good() }, 400, "another key"),
        (
            Form {
                json: manifest("call.wav", liar).print(),
                key: String::new(),
                bytes: liar,
                lines: format!("Authorization: Bearer {TOKEN}\r\n"),
                name: "a.wav",
            },
            400,
            "no key",
        ),
        (Form { bytes: &long, ..good() }, 413, "too long"),
        (Form { json: named("call.php"), ..good() }, 400, "a program of another key"),
    ];
    for (form, status, what) in cases {
        let answer = form.send(&stage).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
    }
    for (name, bytes) in [("call.php", sound.as_slice()), ("call.wav", liar), ("call.wav", b"")] {
        let sent = manifest(name, bytes);
        assert_eq!(Form::of(&sent, bytes).send(&stage).await.status, 415, "{name}");
    }
    assert_eq!(count(&stage), 0);
    let left: Vec<_> = stage.outbox.spool().names().unwrap();
    assert!(left.is_empty(), "{left:?}");
    let hidden = std::fs::read_dir(stage.outbox.spool().path())
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "part"));
    assert_eq!(hidden.count(), 0, "nothing half-written either");
}

#[tokio::test]
async fn a_delivery_that_breaks_off_leaves_nothing_and_can_be_repeated() {
    let stage = Stage::new().await;
    let sound = wav(2_000);
    let sent = manifest("call.wav", &sound);
    let request = Form::of(&sent, &sound).request();
    for cut in [600, 1_000, request.len() - 3] {
        let mut stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, &request[..cut]).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "cut at {cut}");
    }
    assert_eq!(count(&stage), 0);
    assert_eq!(Form::of(&sent, &sound).send(&stage).await.status, 201);
}

#[tokio::test]
async fn hostile_names_stay_in_the_spool_and_are_cleaned() {
    let stage = Stage::new().await;
    let sound = wav(50);
    for (name, kept) in [
        ("../../etc/evil.wav", "etc/evil.wav"),
        ("/abs/x.wav", "abs/x.wav"),
        ("a;touch b.wav", "atouch_b.wav"),
        (".hidden.wav", "hidden.wav"),
    ] {
        let sent = manifest(name, &sound);
        let answer = Form::of(&sent, &sound).send(&stage).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        assert_eq!(stage.outbox.get(sent.id).unwrap().unwrap().file, kept, "{name}");
    }
    assert!(!stage.folder.path().join("etc").exists());
}

#[tokio::test]
async fn r7_a_signed_delivery_counts_once_and_for_its_text_alone() {
    let stage = Stage::with(|setup| {
        private(&setup.state.join("sign"), b"signing-key\n");
        setup.settings.signing_key_file = Some(setup.state.join("sign"));
        setup.settings.token_file = None;
        setup.limits.bad_logins = 0;
    })
    .await;
    let sound = wav(50);
    let sent = manifest("call.wav", &sound);
    let signed = |json: &[u8], seconds: i64, key: &str| {
        let time = (Timestamp::now().as_second() + seconds).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(format!("{}.{time}.", sent.id).as_bytes());
        mac.update(json);
        let code = STANDARD.encode(mac.finalize().into_bytes());
        format!("webhook-id: {}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: v1,{code}\r\n", sent.id)
    };
    let json = sent.print();
    let form = |lines: String| Form { lines, ..Form::of(&sent, &sound) };
    for (lines, why) in [
        (String::new(), "not signed"),
        (signed(b"{}", 0, "signing-key"), "another text"),
        (signed(&json, 0, "another-key"), "another key"),
        (signed(&json, -601, "signing-key"), "ten minutes old"),
        (signed(&json, 601, "signing-key"), "from the future"),
    ] {
        assert_eq!(form(lines).send(&stage).await.status, 401, "{why}");
    }
    assert_eq!(count(&stage), 0);
    let once = form(signed(&json, 0, "signing-key"));
    let first = once.send(&stage).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let replayed = once.send(&stage).await;
    assert_eq!((replayed.status, replayed.json()), (409, first.json()), "the very same again");
    let beside = once.lines.trim_end().to_owned() + " v1,AAAA\r\n";
    assert_eq!(form(beside).send(&stage).await.status, 409, "with another code beside it is the very same still");
    assert_eq!(form(signed(&json, 1, "signing-key")).send(&stage).await.status, 200, "signed anew it is a repetition");
    assert_eq!(count(&stage), 1);
}

#[tokio::test]
async fn r7_who_signs_nothing_sends_no_audio_and_is_shut_out_for_it() {
    let stage = Stage::with(|setup| {
        private(&setup.state.join("sign"), b"signing-key\n");
        setup.settings.signing_key_file = Some(setup.state.join("sign"));
        setup.settings.token_file = None;
        setup.limits.bad_logins = 2;
    })
    .await;
    let json = URL_SAFE_NO_PAD.encode(b"{}");
    // The file is announced and never sent: the answer does not wait for it.
    let head = format!(
        "PUT /api/recordings/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Recording-Manifest: {json}\r\nContent-Length: 1000000\r\n\r\n"
    );
    assert_eq!(stage.ask(head.clone()).await.status, 401);
    let sound = wav(50);
    let sent = manifest("a.wav", &sound);
    let form = Form { lines: String::new(), ..Form::of(&sent, &sound) };
    assert_eq!(form.send(&stage).await.status, 401);
    assert_eq!(stage.ask(head).await.status, 429);
    assert_eq!(count(&stage), 0);
}

#[tokio::test]
async fn a_form_with_endless_fields_is_refused() {
    let stage = Stage::new().await;
    let field = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n\r\n";
    let body = field.repeat(2_000) + "--b--\r\n";
    let head = format!(
        "POST /api/recordings HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(stage.ask(head + &body).await.status, 413);
}

#[tokio::test]
async fn a_form_whose_part_has_an_endless_head_is_not_kept_in_memory() {
    let stage = Stage::new().await;
    let head = format!(
        "POST /api/recordings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000000\r\n\r\n--b\r\nX: "
    );
    let mut stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    let (mut from, mut to) = stream.split();
    let sent = async {
        tokio::io::AsyncWriteExt::write_all(&mut to, head.as_bytes()).await?;
        for _ in 0..64 {
            tokio::io::AsyncWriteExt::write_all(&mut to, &[b'a'; 64 * 1024]).await?;
        }
        std::future::pending::<std::io::Result<()>>().await
    };
    // it does not wait for an end that may come: the connection is answered, or closed while we still write
    let mut answer = [0; 1_000];
    let ended = async {
        tokio::select! {
            _ = tokio::io::AsyncReadExt::read(&mut from, &mut answer) => {}
            _ = sent => {}
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, ended).await.expect("refused at once");
}

#[tokio::test]
async fn r7_a_signature_over_a_manifest_without_a_hash_is_none_over_the_file() {
    let stage = Stage::with(|setup| {
        private(&setup.state.join("sign"), b"signing-key\n");
        setup.settings.signing_key_file = Some(setup.state.join("sign"));
    })
    .await;
    let sound = wav(50);
    let mut sent = manifest("call.wav", &sound);
    sent.audio.sha256.clear();
    let (json, time) = (sent.print(), Timestamp::now().as_second());
    let mut mac = Hmac::<Sha256>::new_from_slice(b"signing-key").unwrap();
    mac.update(format!("{}.{time}.", sent.id).as_bytes());
    mac.update(&json);
    let code = STANDARD.encode(mac.finalize().into_bytes());
    let signed = format!("webhook-id: {}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: v1,{code}\r\n", sent.id);
    let form = Form { lines: format!("Authorization: Bearer {TOKEN}\r\n{signed}"), ..Form::of(&sent, &sound) };
    let answer = form.send(&stage).await;
    assert_eq!((answer.status, count(&stage)), (400, 0), "{}", answer.text());
}

#[tokio::test]
async fn strangers_do_not_fill_the_disk_with_lines() {
    let stage = Stage::with(|setup| setup.limits.bad_logins = 2).await;
    let sound = wav(50);
    let sent = manifest("a.wav", &sound);
    let by = |lines: &str| Form { lines: lines.to_owned(), ..Form::of(&sent, &sound) };
    for _ in 0..3 {
        assert_eq!(by("").send(&stage).await.status, 401);
    }
    assert!(stage.audit().is_empty(), "who shows nothing is only asked to");
    let wrong = by("Authorization: Bearer wrong\r\n");
    let statuses = [wrong.send(&stage).await, wrong.send(&stage).await, wrong.send(&stage).await].map(|it| it.status);
    assert_eq!((statuses, stage.audit().len()), ([401, 401, 429], 2), "of one who is banned enough is known");
    assert_eq!(stage.get("/").await.status, 429);
    assert_eq!(stage.audit().len(), 2);
}

#[tokio::test]
async fn without_token_and_signature_nothing_is_taken() {
    let stage = Stage::with(|setup| setup.settings.token_file = None).await;
    let sound = wav(50);
    let answer = Form::of(&manifest("a.wav", &sound), &sound).send(&stage).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("token_file"), "{}", answer.text());
}

#[tokio::test]
async fn a_further_file_of_a_recording_is_a_recording_of_its_own_here() {
    let stage = Stage::new().await;
    let (one, two) = (wav(100), wav(200));
    let mut sent = manifest("call.wav", &one);
    let part = |file: &str, bytes: &[u8]| {
        serde_json::from_value(
            serde_json::json!({ "file": file, "frames": 1, "bytes": bytes.len(), "sha256": sha256(bytes) }),
        )
        .unwrap()
    };
    sent.parts = vec![part("call.wav", &one), part("call-2.wav", &two)];
    assert_eq!(Form::of(&sent, &one).send(&stage).await.status, 201);
    let second = Form { key: format!("{}.2", sent.id), ..Form::of(&sent, &two) };
    let answer = second.send(&stage).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!((second.send(&stage).await.status, count(&stage)), (200, 2));
    assert_eq!(stage.get("/download.php?call=call-2.wav").await.body, two);
}
