//! Resumable uploads: what has arrived once is not sent again, whatever breaks in between.

use super::*;
use crate::harness::{Fault, Reply, StubCrm};

/// More than one PATCH.
const LARGE: usize = 20 * 1024 * 1024;

#[tokio::test]
async fn a_large_recording_goes_in_pieces_with_their_checksums() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    let parcel = desk.parcel("a.wav", &noise(LARGE), |_| {});
    let log = Log::default();
    let receipt = remote.remote.deliver(&parcel, &log).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((receipt.sha256.as_deref(), receipt.size), (Some(parcel.sha256.as_str()), Some(LARGE as u64)));
    assert_eq!(crm.stored()[&parcel.key].manifest["to"], "4178575309");
    let asked = crm.asked();
    let patches: Vec<_> = asked.iter().filter(|asked| asked.method == "PATCH").collect();
    assert_eq!(patches.len(), 3);
    assert!(patches.iter().all(|patch| patch.header("upload-checksum").is_some_and(|sum| sum.starts_with("sha256 "))));
    let resume = log.resume.lock().unwrap().clone().unwrap();
    assert_eq!(resume, Resume { token: crm.url("/tus/0"), offset: LARGE as u64 });
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    let parcel = desk.parcel("a.wav", &noise(LARGE), |_| {});
    // POST, OPTIONS, the first piece; the second breaks
    crm.fail([Fault::Good, Fault::Good, Fault::Good, Fault::ResetHalfWay]);
    let log = Log::default();
    let error = remote.remote.deliver(&parcel, &log).await.unwrap_err();
    assert!(is_later(&error) && error.what.starts_with("PATCH "), "{error}");
    let resume = log.resume.lock().unwrap().clone();
    assert_eq!(resume.as_ref().map(|resume| resume.offset), Some(8 * 1024 * 1024), "{error}");
    let before = crm.body_bytes();
    let again = Parcel { resume, attempt: 2, ..parcel.clone() };
    // another process: nothing but the token is known
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    deliver(&remote, &again).await.unwrap();
    assert_eq!(crm.body_bytes() - before, (LARGE - 8 * 1024 * 1024) as u64);
    assert_eq!(crm.stored()[&parcel.key].sha256, parcel.sha256);
    assert_eq!(crm.lock().uploads.len(), 1);
}

#[tokio::test]
async fn an_upload_whose_last_answer_was_lost_is_not_sent_again() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    let parcel = desk.parcel("a.wav", &noise(1000), |_| {});
    crm.fail([Fault::Good, Fault::Good, Fault::CommitThenDrop]);
    let log = Log::default();
    assert!(remote.remote.deliver(&parcel, &log).await.is_err());
    let before = crm.body_bytes();
    let again = Parcel { resume: log.resume.lock().unwrap().clone(), attempt: 2, ..parcel.clone() };
    assert_eq!(deliver(&remote, &again).await.unwrap().size, Some(1000));
    assert_eq!(crm.body_bytes(), before);
    assert_eq!(crm.stored().len(), 1);
}

#[tokio::test]
async fn an_upload_that_the_server_has_forgotten_starts_anew() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    let parcel = desk.parcel("a.wav", &noise(1000), |_| {});
    let foreign = Some(Resume { token: "http://127.0.0.1:9/tus/0".into(), offset: 5 });
    deliver(&remote, &Parcel { resume: foreign, ..parcel.clone() }).await.unwrap();
    crm.lock().uploads[0].expired = true;
    let old = Some(Resume { token: crm.url("/tus/0"), offset: 1000 });
    deliver(&remote, &Parcel { resume: old, ..parcel.clone() }).await.unwrap();
    assert_eq!(crm.lock().uploads.len(), 2);
    assert_eq!(crm.stored().len(), 1, "the key keeps it one recording");
}

#[tokio::test]
async fn an_upload_that_was_damaged_on_its_way_is_made_again() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    let parcel = desk.parcel("a.wav", &noise(1000), |_| {});
    crm.fail([Fault::Good, Fault::Good, Fault::ResetHalfWay]);
    let log = Log::default();
    assert!(remote.remote.deliver(&parcel, &log).await.is_err());
    crm.lock().uploads[0].bytes = b"not what was sent".to_vec();
    crm.lock().uploads[0].key = "damaged".into();
    let again = Parcel { resume: log.resume.lock().unwrap().clone(), attempt: 2, ..parcel.clone() };
    assert_eq!(deliver(&remote, &again).await.unwrap().sha256, Some(parcel.sha256.clone()));
    assert_eq!(crm.lock().uploads.len(), 2);
}

#[tokio::test]
async fn an_upload_is_never_sent_to_another_host() {
    let (desk, crm, other) = (Desk::new(), StubCrm::start().await, StubCrm::start().await);
    let target = other.url("/tus/0");
    crm.page("/tus", move |_| Reply::status(201).with("location", &target));
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    let error = deliver(&remote, &desk.parcel("a.wav", b"audio", |_| {})).await.unwrap_err();
    assert!(error.what.contains("the upload would go to another host"), "{error}");
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_server_that_keeps_a_byte_of_each_piece_is_given_up() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let patches = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&patches);
    crm.page("/tus", move |asked| match asked.method.as_str() {
        "POST" => Reply::status(201).with("location", "/tus/1"),
        "PATCH" if count.fetch_add(1, Ordering::SeqCst) < 50 => {
            let offset: u64 = asked.header("upload-offset").unwrap().parse().unwrap();
            Reply::status(204).with("upload-offset", &(offset + 1).to_string())
        }
        "PATCH" => Reply::status(503),
        _ => Reply::status(204),
    });
    let remote = desk.remote(&format!("kind = 'tus'\nurl = '{}'", crm.url("/tus")));
    let error = deliver(&remote, &desk.parcel("a.wav", &noise(1_000_000), |_| {})).await.unwrap_err();
    assert!(is_later(&error) && error.what.contains("Upload-Offset"), "{error}");
    assert_eq!(patches.load(Ordering::SeqCst), 4);
}
