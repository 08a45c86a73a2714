//! One request a recording: what it carries, each login, each receipt.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wirechief::config::Secret;
use wirechief::outbox::remote::Retry;

use super::*;
use crate::harness::{Fault, Reply, StubCrm};

#[tokio::test]
async fn s119_a_recording_arrives_whole_with_its_manifest() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.expect_signature("sign-key");
    crm.expect_login("Bearer the-token");
    desk.secret("sign", "sign-key").secret("token", "the-token");
    let url = crm.url("/api/recordings");
    let remote = desk.remote(&format!("url = '{url}'\nsigning_key_file = 'sign'\ntoken_file = 'token'"));
    let parcel = desk.parcel("2026/a.wav", &noise(700_000), |_| {});
    let log = Log::default();
    let receipt = remote.remote.deliver(&parcel, &log).await.unwrap();
    assert_eq!(receipt.sha256.as_deref(), Some(parcel.sha256.as_str()));
    assert_eq!((receipt.size, log.sent.load(Ordering::SeqCst)), (Some(700_000), 700_000));
    let stored = &crm.stored()[&parcel.key];
    assert_eq!(stored.sha256, parcel.sha256);
    assert_eq!(stored.manifest["to"], "4178575309");
    assert_eq!(stored.manifest["audio"]["sha256"], parcel.sha256);
    let asked = &crm.asked()[0];
    assert_eq!(asked.header("idempotency-key"), Some(parcel.key.as_str()));
}

#[tokio::test]
async fn put_sends_the_audio_alone_and_the_manifest_on_one_line() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.expect_signature("sign-key");
    desk.secret("sign", "sign-key");
    let url = crm.url("/api/recordings/{{ name }}");
    let remote = desk.remote(&format!("url = '{url}'\nmethod = 'PUT'\nsigning_key_file = 'sign'"));
    let parcel = desk.parcel("a b.wav", &noise(1000), |manifest| {
        manifest.from_name = "\r\nX-Admin: yes\u{85}é".into();
        // far more than a header takes
        manifest.reason = "always".into();
        manifest.variables = (0..500).map(|n| (format!("V{n}"), "x".repeat(20))).collect();
    });
    deliver(&remote, &parcel).await.unwrap();
    let asked = &crm.asked()[0];
    assert_eq!(asked.path(), "/api/recordings/a%20b.wav");
    assert_eq!(asked.header("x-admin"), None);
    assert_eq!(asked.header("content-type"), Some("audio/x-wav"));
    let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(noise(1000))));
    assert_eq!(asked.header("content-digest"), Some(digest.as_str()));
    let manifest = BASE64_URL_SAFE_NO_PAD.decode(asked.header("x-recording-manifest").unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["from_name"], "\r\nX-Admin: yes\u{85}é");
    assert_eq!(manifest["abridged"], true);
    assert!(asked.headers.iter().all(|(_, value)| value.len() < 8 * 1024));
}

#[tokio::test]
async fn a_hostile_caller_id_adds_no_header_no_part_and_no_field() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.page("/form", |_| Reply::json(200, &json!({ "id": "7" })));
    let lines = format!(
        "url = '{}'\nreceipt = 'status'\nheaders = {{ X-Caller = '{{{{ from_name }}}}' }}\n\
         fields = {{ who = 'by {{{{ from }}}}' }}\nbody = '{{\"name\": {{{{ from_name }}}}, \"file\": {{{{ name }}}}}}'",
        crm.url("/form?a={{ to }}")
    );
    let remote = desk.remote(&lines);
    for bad in ["x\r\nX-Admin: 1", "x\nX-Admin: 1", "\0", "x\u{7f}"] {
        let parcel = desk.parcel("a.wav", b"audio", |manifest| manifest.from_name = bad.into());
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert_eq!(error.retry, Retry::Never, "{bad:?}: {error}");
        assert!(!error.what.contains(char::is_control), "{error}");
    }
    assert_eq!(crm.connections(), 0);
    let parcel = desk.parcel("a.wav", b"audio", |manifest| {
        manifest.from_name = "\"; filename=\"x\"</é>".into();
        manifest.from = "--wirechief-".into();
        manifest.to = "1&admin=1#x".into();
    });
    assert_eq!(deliver(&remote, &parcel).await.unwrap().id, "7");
    let asked = crm.asked();
    assert_eq!(asked[0].target, "/form?a=1%26admin%3D1%23x");
    assert_eq!(asked[0].header("x-caller"), Some("\"; filename=\"x\"</é>"));
}

#[tokio::test]
async fn the_parts_of_a_form_are_named_as_the_other_side_wants_them() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.page("/form", |asked| {
        let audio = asked.part("VersionData").expect("the audio");
        assert_eq!((audio.file_name.as_deref(), audio.kind.as_deref()), (Some("a.wav"), Some("audio/x-wav")));
        assert_eq!(audio.bytes, b"audio");
        let json: Value = serde_json::from_slice(&asked.part("entity_content").expect("the JSON").bytes).unwrap();
        assert_eq!(asked.part("who").expect("the field").text(), "by 1001");
        Reply::json(201, &json!({ "result": { "id": json["title"] } }))
    });
    let remote = desk.remote(&format!(
        "url = '{}'\nreceipt = 'status'\nreceipt_id = '/result/id'\nrecording_part = 'VersionData'\n\
         manifest_part = 'entity_content'\nfields = {{ who = 'by {{{{ from }}}}' }}\nbody = '{{\"title\": {{{{ name }}}}}}'",
        crm.url("/form")
    ));
    let parcel = desk.parcel("deep/a.wav", b"audio", |_| {});
    assert_eq!(deliver(&remote, &parcel).await.unwrap().id, "a.wav");
}

#[tokio::test]
async fn a_user_and_password_open_the_door() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.expect_login(&format!("Basic {}", BASE64_STANDARD.encode("pbx:open sesame")));
    desk.secret("good", "open sesame").secret("bad", "close sesame");
    let with = |password: &str| {
        let url = crm.url("/api/recordings");
        desk.remote(&format!("url = '{url}'\nbasic_user = 'pbx'\npassword_file = '{password}'"))
    };
    let parcel = desk.parcel("a.wav", b"audio", |_| {});
    let error = deliver(&with("bad"), &parcel).await.unwrap_err();
    assert!(is_later(&error) && error.what.contains("401"), "{error}");
    assert!(!error.what.contains("sesame"), "{error}");
    assert!(deliver(&with("good"), &parcel).await.is_ok());
}

#[tokio::test]
async fn an_oauth_token_is_fetched_once_and_again_when_it_is_refused() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    desk.secret("oauth", "oauth-secret");
    let (url, token) = (crm.url("/api/recordings"), crm.url("/token"));
    let lines = format!(
        "url = '{url}'\noauth2 = {{ token_url = '{token}', client_id = 'rec', client_secret_file = 'oauth', scope = 'x' }}"
    );
    let remote = desk.remote(&lines);
    let parcel = |name: &str| desk.parcel(name, b"audio", |_| {});
    deliver(&remote, &parcel("a.wav")).await.unwrap();
    deliver(&remote, &parcel("b.wav")).await.unwrap();
    assert_eq!(crm.lock().tokens, 1);
    crm.expect_login("Bearer somebody took it back");
    // the stub gives a new one out and takes only that
    deliver(&remote, &parcel("c.wav")).await.unwrap();
    assert_eq!(crm.lock().tokens, 2);
    assert_eq!(crm.stored().len(), 3);
    let wrong = desk.secret("oauth", "another").remote(&lines);
    let error = deliver(&wrong, &parcel("d.wav")).await.unwrap_err();
    assert!(is_later(&error) && error.what.contains("no token") && error.what.contains("/token: 400"), "{error}");
}

#[tokio::test]
async fn a_remote_without_idempotency_is_asked_before_an_attempt_is_repeated() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let posts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&posts);
    crm.page("/find", |asked| match asked.target.as_str() {
        "/find?name=there.wav" => Reply::json(200, &json!({ "records": [{ "Id": 9 }] })),
        _ => Reply::json(200, &json!({ "records": [] })),
    });
    crm.page("/add", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply::json(201, &json!({ "id": "new" }))
    });
    let remote = desk.remote(&format!(
        "url = '{}'\nreceipt = 'status'\nexists_url = '{}'\nexists_id = '/records/0/Id'",
        crm.url("/add"),
        crm.url("/find?name={{ name }}")
    ));
    let again = |name: &str, attempt| Parcel { attempt, ..desk.parcel(name, b"audio", |_| {}) };
    assert_eq!(deliver(&remote, &again("there.wav", 2)).await.unwrap().id, "9");
    assert_eq!(posts.load(Ordering::SeqCst), 0);
    assert_eq!(deliver(&remote, &again("not.wav", 2)).await.unwrap().id, "new");
    assert_eq!(deliver(&remote, &again("there.wav", 1)).await.unwrap().id, "new", "the first attempt does not ask");
}

#[test]
fn a_secret_that_others_can_read_is_refused_by_name() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.secret("token", "t");
    let settings = desk.settings("url = 'https://crm.example/'\ntoken_file = 'token'");
    std::fs::set_permissions(desk.path("token"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
    let told = from_settings(&settings, &lookup).err().expect("refused").to_string();
    assert!(told.contains("token: others can read this secret (mode 640)"), "{told}");
    assert!(!format!("{settings:?}").contains(Secret::new("\"t\"".into()).expose()));
}

#[tokio::test]
async fn r5_what_is_refused_before_it_is_sent_is_not_sent() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let parcel = desk.parcel("a.wav", &noise(64 * 1024 * 1024), |_| {});
    for (line, status) in [("", 503), ("method = 'PUT'", 401), ("", 413)] {
        let remote = desk.remote(&format!("url = '{}'\n{line}", crm.url("/api/recordings")));
        let before = crm.body_bytes();
        crm.fail([Fault::Early(status)]);
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert!(error.what.contains(&format!(": {status} ")) && error.what.ends_with(": not now"), "{error}");
        let sent = crm.body_bytes() - before;
        // what was on its way when the answer came: the buffers of two sockets
        assert!(sent < 24 * 1024 * 1024, "{sent} bytes of a recording that was refused at once");
    }
    deliver(&desk.remote(&format!("url = '{}'", crm.url("/api/recordings"))), &parcel).await.unwrap();
}
