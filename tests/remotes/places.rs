//! Places that take files: a bucket, a folder; and a page that is only told.

use std::os::unix::fs::PermissionsExt;

use wirechief::outbox::remote::Retry;

use super::*;
use crate::harness::{Fault, Reply, StubCrm};

fn bucket(desk: &Desk, crm: &StubCrm) -> Configured {
    desk.secret("s3", "s3-secret");
    bucket_with(desk, crm, "")
}

fn bucket_with(desk: &Desk, crm: &StubCrm, line: &str) -> Configured {
    desk.remote(&format!(
        "kind = 's3'\n[remotes.crm.s3]\nbucket = 'bucket'\nregion = 'eu-test-1'\nendpoint = '{}'\n\
         access_key_id = 'AK'\nsecret_file = 's3'\nprefix = 'calls/'\npath_style = true\n{line}",
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
    assert!(is_later(&error) && error.what.ends_with("400 AuthorizationHeaderMalformed: no"), "{error}");
    desk.secret("s3", "another secret");
    let error = deliver(&bucket_with(&desk, &crm, ""), &desk.parcel("a.wav", b"audio", |_| {})).await.unwrap_err();
    assert!(is_later(&error) && error.what.ends_with("403 SignatureDoesNotMatch"), "{error}");
}

/// Two parts and a bit.
const LARGE: usize = 11 * 1024 * 1024;

#[tokio::test]
async fn a_large_recording_goes_in_parts_and_goes_on_after_the_last_that_arrived() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    desk.secret("s3", "s3-secret");
    let remote = bucket_with(&desk, &crm, "part_size = '5M'");
    let parcel = desk.parcel("2026/a b.wav", &noise(LARGE), |_| {});
    // looked for, listed, begun, the first part, the second
    crm.fail([Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::ResetHalfWay]);
    let log = Log::default();
    let error = remote.remote.deliver(&parcel, &log).await.unwrap_err();
    assert!(is_later(&error) && error.what.starts_with("PUT "), "{error}");
    let resume = log.resume.lock().unwrap().clone();
    assert_eq!(resume.as_ref().map(|resume| resume.offset), Some(5 * 1024 * 1024));
    // another process, in which something else is set
    let remote = bucket_with(&desk, &crm, "part_size = '6M'");
    let before = crm.body_bytes();
    let receipt = deliver(&remote, &Parcel { resume, attempt: 2, ..parcel.clone() }).await.unwrap();
    assert_eq!(receipt.sha256.as_deref(), Some(parcel.sha256.as_str()));
    let sent = crm.body_bytes() - before;
    assert!(sent < (LARGE - 5 * 1024 * 1024 + 16 * 1024) as u64, "{sent} bytes: the first part went twice");
    let object = crm.lock().objects["/bucket/calls/2026/a%20b.wav"].clone();
    assert_eq!((sha256(&object.bytes), object.puts), (parcel.sha256.clone(), 1));
    assert!(object.headers.iter().any(|(name, value)| name == "x-amz-checksum-sha256" && value.ends_with("-3")));
    assert!(crm.lock().parts.is_empty());
    // seen by its own hash, though the store's is one of parts
    deliver(&remote, &parcel).await.unwrap();
    assert_eq!(crm.lock().objects["/bucket/calls/2026/a%20b.wav"].puts, 1);
}

#[tokio::test]
async fn parts_whose_last_answer_was_lost_are_one_object_and_no_upload_is_left() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    desk.secret("s3", "s3-secret");
    let remote = bucket_with(&desk, &crm, "part_size = '5M'");
    let parcel = desk.parcel("a.wav", &noise(LARGE), |_| {});
    crm.fail([Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::CommitThenDrop]);
    let log = Log::default();
    let error = remote.remote.deliver(&parcel, &log).await.unwrap_err();
    assert!(is_later(&error) && error.what.starts_with("POST "), "{error}");
    let resume = log.resume.lock().unwrap().clone();
    let before = crm.body_bytes();
    deliver(&remote, &Parcel { resume, attempt: 2, ..parcel.clone() }).await.unwrap();
    assert!(crm.body_bytes() - before < 16 * 1024, "only the manifest");
    assert_eq!(crm.lock().objects["/bucket/calls/a.wav"].puts, 1);
}

#[tokio::test]
async fn parts_that_the_store_does_not_take_or_nobody_goes_on_with_are_aborted() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    desk.secret("s3", "s3-secret");
    let remote = bucket_with(&desk, &crm, "part_size = '5M'");
    let parcel = desk.parcel("a.wav", &noise(LARGE), |_| {});
    crm.fail([Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::ResetHalfWay]);
    let log = Log::default();
    assert!(remote.remote.deliver(&parcel, &log).await.is_err());
    let id = crm.lock().parts.keys().next().unwrap().clone();
    // its token was lost; a day later it is nobody's, and one of today may still be somebody's
    for (at, initiated) in [(&id, "2020-01-01T00:00:00.000Z"), (&"today".to_owned(), "9999-01-01T00:00:00.000Z")] {
        let mut shared = crm.lock();
        let mut parts = shared.parts[&id].clone();
        parts.initiated = initiated.to_owned();
        shared.parts.insert(at.clone(), parts);
    }
    deliver(&remote, &parcel).await.unwrap();
    assert_eq!(crm.lock().parts.keys().collect::<Vec<_>>(), ["today"]);
    // what is there under the name already: the parts of an earlier attempt are of no use
    let resume = Some(Resume { token: "multipart:5242880:today".into(), offset: 5 });
    let other = desk.parcel("a.wav", &noise(LARGE - 1), |_| {});
    let error = deliver(&remote, &Parcel { resume, ..other }).await.unwrap_err();
    assert!(error.retry == Retry::Never && error.what.contains("another object has this name"), "{error}");
    assert!(crm.lock().parts.is_empty());
}

#[tokio::test]
async fn parts_that_are_not_what_was_sent_are_sent_again() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    desk.secret("s3", "s3-secret");
    let remote = bucket_with(&desk, &crm, "part_size = '5M'");
    let parcel = desk.parcel("a.wav", &noise(LARGE), |_| {});
    crm.fail([Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::ResetHalfWay]);
    let log = Log::default();
    assert!(remote.remote.deliver(&parcel, &log).await.is_err());
    let id = crm.lock().parts.keys().next().unwrap().clone();
    crm.lock().parts.get_mut(&id).unwrap().parts.get_mut(&2).unwrap()[7] ^= 1;
    let resume = log.resume.lock().unwrap().clone();
    deliver(&remote, &Parcel { resume, attempt: 2, ..parcel.clone() }).await.unwrap();
    assert_eq!(sha256(&crm.lock().objects["/bucket/calls/a.wav"].bytes), parcel.sha256);
}

#[tokio::test]
async fn parts_of_a_file_that_was_changed_between_them_never_become_an_object() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    desk.secret("s3", "s3-secret");
    let remote = bucket_with(&desk, &crm, "part_size = '5M'");
    let sound = noise(LARGE);
    let parcel = desk.parcel("a.wav", &sound, |_| {});
    // the first part arrives, the second breaks
    crm.fail([Fault::Good, Fault::Good, Fault::Good, Fault::Good, Fault::ResetHalfWay]);
    let log = Log::default();
    assert!(remote.remote.deliver(&parcel, &log).await.is_err());
    let resume = log.resume.lock().unwrap().clone();
    let mut changed = sound;
    changed[LARGE - 7] ^= 1;
    std::fs::write(desk.spool.path_of("a.wav").unwrap(), changed).unwrap();
    let error = deliver(&remote, &Parcel { resume, attempt: 2, ..parcel }).await.unwrap_err();
    assert!(error.retry == Retry::Changed && error.what.contains("not what it was"), "{error}");
    assert!(crm.lock().objects.is_empty() && crm.lock().parts.is_empty(), "aborted");
}

#[tokio::test]
async fn a_store_that_lists_parts_without_end_is_not_listened_to_without_end() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    crm.page("/bucket/", move |request| {
        if request.method != "GET" {
            return Reply::status(404);
        }
        let at = count.fetch_add(1, Ordering::SeqCst) + 1;
        if at > 50 {
            return Reply::status(503);
        }
        let part = format!("<Part><PartNumber>{at}</PartNumber><ETag>x</ETag><Size>1</Size></Part>");
        Reply::status(200).body(format!("<R><IsTruncated>true</IsTruncated>{part}</R>").as_bytes())
    });
    desk.secret("s3", "s3-secret");
    let remote = bucket_with(&desk, &crm, "part_size = '5M'");
    let parcel = desk.parcel("a.wav", &noise(LARGE), |_| {});
    let resume = Some(Resume { token: "multipart:5242880:x".into(), offset: 5 });
    assert!(deliver(&remote, &Parcel { resume, ..parcel }).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 4, "as many as the file has, and one that brought nothing");
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
    assert!(error.retry == Retry::Changed && error.what.contains("has changed while it was copied"), "{error}");
    let left: Vec<_> =
        std::fs::read_dir(desk.path("copies")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_copy_is_not_waited_for() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("copies")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(desk.path("copies/a.wav")).status().unwrap();
    assert!(made.success());
    let remote = desk.remote("kind = 'folder'\nfolder = { path = 'copies' }");
    let error = deliver(&remote, &desk.parcel("a.wav", b"audio", |_| {})).await.unwrap_err();
    assert!(is_later(&error) && error.what.contains("no file has this name"), "{error}");
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
