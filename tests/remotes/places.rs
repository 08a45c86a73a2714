//! Places that take files: a bucket, a folder; and a page that is only told.

use std::os::unix::fs::PermissionsExt;

use wirechief::outbox::remote::Retry;

use super::*;
use crate::harness::{Fault, StubCrm};

fn bucket(desk: &Desk, crm: &StubCrm) -> Configured {
    desk.secret("s3", "s3-secret");
    desk.remote(&format!(
        "kind = 's3'\n[remotes.crm.s3]\nbucket = 'bucket'\nregion = 'eu-test-1'\nendpoint = '{}'\n\
         access_key_id = 'AK'\nsecret_file = 's3'\nprefix = 'calls/'\npath_style = true",
        crm.url("")
    ))
}

#[tokio::test]
async fn a_recording_and_its_manifest_are_two_objects_made_once() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let remote = bucket(&desk, &crm);
    let parcel = desk.parcel("2026/a+b.wav", &noise(300_000), |_| {});
    for _ in 0..2 {
        let receipt = deliver(&remote, &parcel).await.unwrap();
        assert_eq!(receipt.id, "s3://bucket/calls/2026/a+b.wav");
        assert_eq!(receipt.sha256.as_deref(), Some(parcel.sha256.as_str()));
    }
    let objects = crm.lock().objects.clone();
    let audio = &objects["/bucket/calls/2026/a%2Bb.wav"];
    assert_eq!((audio.bytes.len(), audio.puts), (300_000, 1));
    assert_eq!(objects["/bucket/calls/2026/a%2Bb.json"].bytes, *parcel.manifest_json);
    let other = desk.parcel("2026/a+b.wav", b"another recording", |_| {});
    let error = deliver(&remote, &other).await.unwrap_err();
    assert!(error.retry == Retry::Never && error.what.contains("another object has this name"), "{error}");
}

#[tokio::test]
async fn a_store_that_drops_the_connection_after_it_has_stored_holds_one_copy() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let remote = bucket(&desk, &crm);
    let parcel = desk.parcel("a.wav", &noise(1000), |_| {});
    crm.fail([Fault::Good, Fault::CommitThenDrop]);
    assert!(is_later(&deliver(&remote, &parcel).await.unwrap_err()));
    deliver(&remote, &Parcel { attempt: 2, ..parcel }).await.unwrap();
    assert_eq!(crm.lock().objects["/bucket/calls/a.wav"].puts, 1);
}

#[tokio::test]
async fn a_store_says_in_its_own_words_what_is_wrong() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    desk.secret("s3", "s3-secret");
    let remote = desk.remote(&format!(
        "kind = 's3'\ns3 = {{ bucket = 'bucket', region = 'other', endpoint = '{}', access_key_id = 'AK', \
         secret_file = 's3', path_style = true }}",
        crm.url("")
    ));
    let error = deliver(&remote, &desk.parcel("a.wav", b"audio", |_| {})).await.unwrap_err();
    assert!(is_later(&error) && error.what.ends_with("403 SignatureDoesNotMatch: no"), "{error}");
}

#[tokio::test]
async fn a_folder_gets_whole_files_once_and_never_one_over_another() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("copies")).unwrap();
    let remote = desk.remote("kind = 'folder'\nfolder = { path = 'copies' }");
    let parcel = desk.parcel("2026/a.wav", &noise(3_000_000), |_| {});
    let copy = desk.path("copies/2026/a.wav");
    for _ in 0..2 {
        let receipt = deliver(&remote, &parcel).await.unwrap();
        assert_eq!((receipt.sha256.as_deref(), receipt.size), (Some(parcel.sha256.as_str()), Some(3_000_000)));
        assert_eq!(sha256(&std::fs::read(&copy).unwrap()), parcel.sha256);
    }
    assert_eq!(std::fs::read(desk.path("copies/2026/a.json")).unwrap(), *parcel.manifest_json);
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(desk.path("copies/2026")).unwrap().count(), 2, "nothing else is left");
    let other = desk.parcel("2026/a.wav", b"another", |_| {});
    let error = deliver(&remote, &other).await.unwrap_err();
    assert!(error.retry == Retry::Never && error.what.contains("another file has this name"), "{error}");
    assert_eq!(sha256(&std::fs::read(&copy).unwrap()), parcel.sha256);
}

#[tokio::test]
async fn a_folder_that_is_not_mounted_is_not_made() {
    let desk = Desk::new();
    let remote = desk.remote("kind = 'folder'\nfolder = { path = 'share' }");
    let error = deliver(&remote, &desk.parcel("a.wav", b"audio", |_| {})).await.unwrap_err();
    assert!(is_later(&error) && error.what.contains("there is no folder"), "{error}");
    assert!(!desk.path("share").exists());
}

#[tokio::test]
async fn what_a_killed_copy_left_is_replaced_and_a_changed_recording_gets_no_name() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("copies")).unwrap();
    let remote = desk.remote("kind = 'folder'\nfolder = { path = 'copies' }");
    let parcel = desk.parcel("a.wav", &noise(1000), |_| {});
    std::fs::write(desk.path(&format!("copies/.{}.part", parcel.key)), b"half").unwrap();
    deliver(&remote, &parcel).await.unwrap();
    let changed = desk.parcel("b.wav", &noise(1000), |_| {});
    std::fs::write(desk.spool.path_of("b.wav").unwrap(), b"changed").unwrap();
    let error = deliver(&remote, &changed).await.unwrap_err();
    assert!(error.what.contains("has changed while it was copied"), "{error}");
    let left: Vec<_> =
        std::fs::read_dir(desk.path("copies")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn s118_s120_a_page_is_told_number_file_and_a_link_that_holds() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.expect_signature("sign-key");
    desk.secret("link", "link-key").secret("sign", "sign-key");
    let lines = |receipt: &str| {
        format!(
            "kind = 'notice'\nurl = '{}'\nreceipt = '{receipt}'\nsigning_key_file = 'sign'\n\
             notice = {{ link_base = 'https://pbx.example', link_key_file = 'link', link_expires = '1h' }}",
            crm.url("/notice")
        )
    };
    let parcel = desk.parcel("2026/a.wav", b"audio", |_| {});
    deliver(&desk.remote(&lines("status")), &parcel).await.unwrap();
    let told = crm.lock().notices[0].clone();
    assert_eq!((&told["number"], &told["file"]), (&"4178575309".into(), &"2026/a.wav".into()));
    let (base, query) = told["link"].as_str().unwrap().split_once('?').unwrap();
    assert_eq!(base, format!("https://pbx.example/r/{}", parcel.key));
    let fields: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let key = config::Secret::new("link-key".into());
    let given = (fields["expires"].as_str(), fields["sig"].as_str());
    let now = jiff::Timestamp::now();
    let whose = (parcel.key.as_str(), Some(fields["to"].as_str()));
    assert_eq!(wirechief::outbox::link::check(&key, whose, given, now), Ok(()));
    let later = now + jiff::SignedDuration::from_secs(3_601);
    assert!(wirechief::outbox::link::check(&key, whose, given, later).is_err());
    // told is not fetched: without `status` the recording waits for its receipt
    let error = deliver(&desk.remote(&lines("json")), &parcel).await.unwrap_err();
    assert!(error.what.ends_with("told, not fetched yet"), "{error}");
    assert!(matches!(error.retry, Retry::Told { .. }));
}
