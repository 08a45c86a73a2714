//! Two machines: one records and tells or pushes, the other takes it in. Push and pull leave the same record (S118–S121), over TLS
//! whose certificate is checked (S122), from listed places only.

use std::path::Path;

use wirechief::config;
use wirechief::outbox::push::{self, Options, Verdict};
use wirechief::outbox::remote::{self, Remotes};
use wirechief::outbox::{DeliveryState, Manifest, Outbox};

use crate::receiver::stage::{Stage, TOKEN, private, wav};

/// The remotes of these settings.
fn remotes(folder: &Path, text: &str) -> (Remotes, config::Config) {
    let path = folder.join("pbx.toml");
    std::fs::write(&path, text).unwrap();
    let config = config::load(&[path], &|path| std::fs::read_to_string(path)).unwrap();
    (remote::remotes(config.remotes.values()).unwrap(), config)
}

fn recorded() -> Manifest {
    let mut manifest = Manifest::new("2026/out-1001-4178575309.wav", "2026-11-20T21:00:00Z".parse().unwrap());
    (manifest.from, manifest.from_name) = ("1001".to_owned(), "Zoë \"the\" <Agent>".to_owned());
    (manifest.to, manifest.agent) = ("4178575309".to_owned(), Some("1001".to_owned()));
    manifest.variables.insert("CAMPAIGN".to_owned(), "lead ☎".to_owned());
    manifest.reason = "MixMonitor".to_owned();
    manifest
}

/// All of a manifest but where and when it was received.
fn record_of(outbox: &Outbox, sent: &Manifest) -> Manifest {
    let mut manifest = outbox.get(sent.id).unwrap().expect("it is there");
    assert!(manifest.extra.remove("received").is_some());
    manifest
}

/// A machine that tells of its recordings and serves them, and one that is told.
async fn pair() -> (Stage, Stage, Remotes) {
    let pbx = Stage::with(|setup| {
        private(&setup.state.join("link.key"), b"links\n");
        setup.told = [("crm".to_owned(), remote::Policy::default())].into();
    })
    .await;
    let link_base = format!("http://{}", pbx.address);
    let crm = Stage::with(|setup| setup.settings.pull_from = vec![link_base.clone()]).await;
    let text = format!(
        "[remotes.crm]\nkind = \"notice\"\nurl = \"http://{}/api/notices\"\ntoken_file = \"token\"\nnotice = {{ link_base = \"{link_base}\", link_key_file = \"link.key\" }}\n",
        crm.address
    );
    let (remotes, _) = remotes(pbx.folder.path(), &text);
    pbx.outbox.set_remotes(&["crm"]).unwrap();
    (pbx, crm, remotes)
}

#[tokio::test(flavor = "multi_thread")]
async fn s120_a_machine_that_is_told_fetches_the_file_over_its_link() {
    let (pbx, crm, remotes) = pair().await;
    let sound = wav(500);
    let sent = pbx.record_as(recorded(), &sound);
    let summary = push::run(&pbx.outbox, &remotes, &Options::default(), &()).await.unwrap();
    assert_eq!(summary.verdict(), Verdict::Done, "{summary:?}");
    assert_eq!(crm.get(&format!("/recordings/{}", sent.id)).await.body, sound);
    assert_eq!(record_of(&crm.outbox, &sent), sent, "the same record");
    let events: Vec<_> = crm.audit().iter().map(|line| (line["event"].clone(), line["status"].clone())).collect();
    assert_eq!(events.first(), Some(&("notice".into(), 201.into())));
    assert_eq!(pbx.audit().first().map(|line| line["event"].clone()), Some("link".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn s121_push_and_pull_leave_the_same_record() {
    let (pbx, crm, _) = pair().await;
    let text = format!("[remotes.crm]\nurl = \"http://{}/api/recordings\"\ntoken_file = \"token\"\n", crm.address);
    let (remotes, _) = remotes(pbx.folder.path(), &text);
    let sound = wav(500);
    let sent = pbx.record_as(recorded(), &sound);
    let summary = push::run(&pbx.outbox, &remotes, &Options::default(), &()).await.unwrap();
    assert_eq!(summary.verdict(), Verdict::Done, "{summary:?}");
    assert_eq!(record_of(&crm.outbox, &sent), sent);
    let deliveries = pbx.outbox.deliveries(sent.id).unwrap();
    assert!(
        matches!(&deliveries[0].state, DeliveryState::Delivered(receipt) if receipt.size == Some(sound.len() as u64))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s123_nothing_is_fetched_from_a_place_that_is_not_listed() {
    let (pbx, crm, _) = pair().await;
    let sent = pbx.record_as(recorded(), &wav(100));
    for link in [
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://{}@{}/r/x", pbx.address, "127.0.0.1:1"),
        format!("http://x:y@{}/r/x", pbx.address),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        format!("http://localhost:{}/r/x", pbx.address.port()),
    ] {
        let body = serde_json::json!({ "id": sent.id, "file": "a.wav", "link": link }).to_string();
        let answer = notice(&crm, &body).await;
        assert_eq!(answer.status, 403, "{link}: {}", answer.text());
    }
    assert!(pbx.audit().is_empty(), "nobody was asked");
    let listed = format!("http://{}/r/x?sig=secret", pbx.address);
    let answer = notice(&crm, &serde_json::json!({ "id": sent.id, "file": "a.wav", "link": listed }).to_string()).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(!answer.text().contains("secret"));
}

async fn notice(crm: &Stage, body: &str) -> crate::receiver::stage::Answer {
    let head = format!(
        "POST /api/notices HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    crm.ask(head + body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn s134_disabled_tls_check_a_certificate_of_nobody_known_is_refused() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let pbx = Stage::with(|setup| {
        std::fs::write(setup.state.join("cert.pem"), &certificate).unwrap();
        private(&setup.state.join("key.pem"), made.signing_key.serialize_pem().as_bytes());
        setup.settings.tls_certificate = Some(setup.state.join("cert.pem"));
        setup.settings.tls_key = Some(setup.state.join("key.pem"));
    })
    .await;
    let sound = wav(200);
    let sent = pbx.record_as(recorded(), &sound);
    let key = wirechief::receiver::link_key(&pbx.folder.path().join("link.key")).unwrap();
    let end = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_mins(5)).unwrap();
    let place = format!("https://localhost:{}", pbx.address.port());
    let link = wirechief::outbox::link::link(&place, &key, &sent.id.to_string(), end);
    let body = serde_json::json!({ "id": sent.id, "file": sent.file, "link": link }).to_string();
    let trusting = |ca: Option<String>| {
        let place = place.clone();
        async move {
            Stage::with(|setup| {
                setup.settings.pull_from = vec![place];
                if let Some(ca) = ca {
                    std::fs::write(setup.state.join("ca.pem"), ca).unwrap();
                    setup.settings.pull_ca_file = Some(setup.state.join("ca.pem"));
                }
            })
            .await
        }
    };
    let stranger = trusting(None).await;
    let refused = notice(&stranger, &body).await;
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert!(refused.text().contains("certificate"), "{}", refused.text());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    assert_eq!(notice(&trusting(Some(other)).await, &body).await.status, 502);
    assert!(pbx.audit().is_empty(), "no byte of audio has left");
    let friend = trusting(Some(certificate)).await;
    let taken = notice(&friend, &body).await;
    assert_eq!(taken.status, 201, "{}", taken.text());
    assert_eq!(friend.get(&format!("/recordings/{}", sent.id)).await.body, sound);
}

#[tokio::test(flavor = "multi_thread")]
async fn s118_a_page_that_only_fetches_has_it_when_it_has_fetched() {
    let (pbx, _, _) = pair().await;
    let sound = wav(500);
    let sent = pbx.record_as(recorded(), &sound);
    let state = || pbx.outbox.deliveries(sent.id).unwrap().remove(0).state;
    let key = wirechief::receiver::link_key(&pbx.folder.path().join("link.key")).unwrap();
    let end = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_mins(5)).unwrap();
    let anybodys = wirechief::outbox::link::link("", &key, &sent.id.to_string(), end);
    assert_eq!(pbx.bare(&anybodys).await.body, sound);
    assert_eq!(state(), DeliveryState::Pending, "a link that was given to somebody else is no delivery");
    let link = wirechief::outbox::link::link_to("", &key, &sent.id.to_string(), end, "crm");
    assert_eq!(pbx.with_headers(&link, "Range: bytes=0-9\r\n").await.status, 206);
    assert_eq!(pbx.get(&format!("/recordings/{}", sent.id)).await.status, 200);
    assert_eq!(state(), DeliveryState::Pending, "a part of it, or a look of ours, is no delivery");
    assert_eq!(pbx.bare(&link).await.body, sound);
    crate::receiver::stage::until(|| matches!(state(), DeliveryState::Delivered(_))).await;
    let DeliveryState::Delivered(receipt) = state() else { panic!("delivered") };
    assert_eq!((receipt.size, receipt.id.as_str()), (Some(sound.len() as u64), "fetched by 127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_comes_later_counts_where_hash_and_size_are_right() {
    let (pbx, _, _) = pair().await;
    let sent = pbx.record_as(recorded(), &wav(100));
    let say = async |receipt: serde_json::Value| {
        let body = receipt.to_string();
        let head = format!(
            "POST /api/receipts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        pbx.ask(head + &body).await.status
    };
    let (id, size, sha256) = (sent.id, sent.audio.bytes, &sent.audio.sha256);
    assert_eq!(say(serde_json::json!({ "key": id, "size": size + 1, "sha256": sha256 })).await, 422);
    assert_eq!(say(serde_json::json!({ "key": id, "size": size })).await, 422);
    assert_eq!(
        say(serde_json::json!({ "key": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "size": size, "sha256": sha256 })).await,
        404
    );
    assert_eq!(pbx.outbox.deliveries(id).unwrap()[0].state, DeliveryState::Pending);
    assert_eq!(say(serde_json::json!({ "key": id, "id": "crm-7", "size": size, "sha256": sha256 })).await, 200);
    assert!(
        matches!(&pbx.outbox.deliveries(id).unwrap()[0].state, DeliveryState::Delivered(receipt) if receipt.id == "crm-7")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_counts_for_the_remote_that_has_it_and_for_no_other() {
    let policy = remote::Policy::default();
    let told = [("one".to_owned(), policy.clone()), ("two".to_owned(), policy)];
    let pbx = Stage::with(|setup| setup.told = told.into()).await;
    pbx.outbox.set_remotes(&["one", "two"]).unwrap();
    let sent = pbx.record_as(recorded(), &wav(100));
    let said = serde_json::json!({ "key": sent.id, "size": sent.audio.bytes, "sha256": sent.audio.sha256 });
    let say = async |said: &serde_json::Value| {
        let body = said.to_string();
        let head = format!(
            "POST /api/receipts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        pbx.ask(head + &body).await
    };
    let delivered = || {
        let all = pbx.outbox.deliveries(sent.id).unwrap();
        all.into_iter().map(|it| matches!(it.state, DeliveryState::Delivered(_))).collect::<Vec<_>>()
    };
    let refused = say(&said).await;
    assert_eq!((refused.status, delivered()), (400, vec![false, false]), "{}", refused.text());
    let mut named = said.clone();
    named["remote"] = "two".into();
    assert_eq!((say(&named).await.status, delivered()), (200, vec![false, true]));
    // what is asked for is put on record as far as it is of use
    named["key"] = "x".repeat(100_000).into();
    assert_eq!(say(&named).await.status, 404);
    let lines = std::fs::read_to_string(pbx.folder.path().join("downloads.jsonl")).unwrap();
    assert!(lines.lines().all(|line| line.len() < 2_000), "{} bytes", lines.len());
    let body = serde_json::json!({ "id": sent.id, "key": "x".repeat(100_000), "file": "a.wav", "link": "http://x/" });
    assert_eq!(notice(&pbx, &body.to_string()).await.status, 403);
    let lines = std::fs::read_to_string(pbx.folder.path().join("downloads.jsonl")).unwrap();
    assert!(lines.lines().all(|line| line.len() < 2_000), "{} bytes", lines.len());
}
