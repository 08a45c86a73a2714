//! Every way in which a CRM or the way to it fails: what is tried again, what is not, and that nothing arrives twice.

use std::time::Duration;

use wirechief::outbox::receipt;
use wirechief::outbox::remote::Retry;

use super::*;
use crate::harness::{Chaos, Fault, StubCrm, Weather};

async fn plain(desk: &Desk) -> (StubCrm, Configured) {
    let crm = StubCrm::start().await;
    let remote = desk.remote(&format!("url = '{}'", crm.url("/api/recordings")));
    (crm, remote)
}

#[tokio::test]
async fn each_status_is_later_or_never() {
    let desk = Desk::new();
    let (crm, remote) = plain(&desk).await;
    let parcel = desk.parcel("a.wav", &noise(10_000), |_| {});
    let seconds = |seconds| Retry::Later { after: Some(Duration::from_secs(seconds)) };
    let soon = Retry::Later { after: None };
    for (status, after, expected) in [
        (500, None, soon),
        (503, Some("120"), seconds(120)),
        (429, Some("7"), seconds(7)),
        (401, None, soon),
        (403, None, soon),
        (404, None, soon),
        (400, None, soon),
        (409, None, Retry::Never),
        (413, None, Retry::Never),
        (415, None, Retry::Never),
        (422, None, Retry::Never),
    ] {
        crm.fail([Fault::Status(status, after)]);
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert_eq!(error.retry, expected, "{error}");
        let told = format!("POST {}: {status} ", crm.url("/api/recordings"));
        assert!(error.what.starts_with(&told) && error.what.ends_with(": a fault of the stub"), "{error}");
    }
    assert!(crm.stored().is_empty());
}

#[tokio::test]
async fn r6_a_redirect_is_named_and_not_followed() {
    let desk = Desk::new();
    let (crm, remote) = plain(&desk).await;
    let elsewhere = StubCrm::start().await;
    let parcel = desk.parcel("a.wav", b"audio", |_| {});
    for target in [elsewhere.url("/api/recordings"), "http://169.254.169.254/".to_owned(), "/other".to_owned()] {
        crm.fail([Fault::Redirect(target.clone())]);
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert!(error.what.contains(&format!("302 Found to {target}: not followed")), "{error}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn r4_a_crm_that_commits_and_drops_the_connection_holds_one_copy() {
    let desk = Desk::new();
    let (crm, remote) = plain(&desk).await;
    for number in 0..50 {
        let parcel = desk.parcel(&format!("{number}.wav"), format!("audio {number}").as_bytes(), |_| {});
        crm.fail([Fault::CommitThenDrop]);
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert!(is_later(&error), "{error}");
        let receipt = deliver(&remote, &Parcel { attempt: 2, ..parcel.clone() }).await.unwrap();
        assert_eq!(receipt.sha256.as_deref(), Some(parcel.sha256.as_str()));
        assert_eq!(crm.stored()[&parcel.key].sent, 2);
    }
    assert_eq!(crm.stored().len(), 50);
}

#[tokio::test]
async fn a_reset_half_way_and_a_stall_are_told_and_tried_again() {
    let desk = Desk::new();
    let (crm, remote) = plain(&desk).await;
    let parcel = desk.parcel("a.wav", &noise(3_000_000), |_| {});
    crm.fail([Fault::ResetHalfWay]);
    let error = deliver(&remote, &parcel).await.unwrap_err();
    assert!(is_later(&error), "{error}");
    crm.fail([Fault::Stall]);
    let hasty = desk.remote(&format!("url = '{}'\nidle_timeout = '2s'", crm.url("/api/recordings")));
    let error = deliver(&hasty, &parcel).await.unwrap_err();
    assert!(is_later(&error) && error.what.ends_with("nothing moved for 2 s"), "{error}");
    assert!(deliver(&remote, &parcel).await.is_ok());
}

#[tokio::test]
async fn a_delivery_ends_in_time_and_a_silent_machine_is_given_up() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.fail([Fault::Stall]);
    let remote = desk.remote(&format!("url = '{}'\ntimeout = '2s'", crm.url("/api/recordings")));
    let parcel = desk.parcel("a.wav", b"audio", |_| {});
    let error = deliver(&remote, &parcel).await.unwrap_err();
    assert!(is_later(&error) && error.what.ends_with("not done within 2 s"), "{error}");
    let gone = crm.url("/api/recordings");
    crm.goes().await;
    // A program that another test is just starting may have its socket open for a moment still.
    let remote = desk.remote(&format!("url = '{gone}'"));
    for tries in 0.. {
        let error = deliver(&remote, &parcel).await.unwrap_err();
        if is_later(&error) && error.what.contains("cannot connect: ") {
            break;
        }
        assert!(tries < 100, "{error}");
    }
}

#[tokio::test]
async fn no_more_deliveries_go_on_at_once_than_the_settings_say() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.fail([Fault::Stall]);
    let remote = desk.remote(&format!("url = '{}'\nparallel = 1", crm.url("/api/recordings")));
    let (a, b) = (desk.parcel("a.wav", b"audio", |_| {}), desk.parcel("b.wav", b"other", |_| {}));
    let (first, taken) = (remote.clone(), a.size);
    let first = tokio::spawn(async move { deliver(&first, &a).await });
    crate::receiver::stage::until(|| crm.body_bytes() >= taken).await;
    let second = tokio::time::timeout(Duration::from_millis(300), deliver(&remote, &b)).await;
    assert!(second.is_err() && crm.connections() == 1, "{second:?}");
    first.abort();
    assert!(deliver(&remote, &b).await.is_ok());
}

#[tokio::test]
async fn a_wrong_receipt_does_not_count() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.sign_receipts("receipt-key");
    desk.secret("receipt", "receipt-key");
    let remote = desk.remote(&format!("url = '{}'\nreceipt_key_file = 'receipt'", crm.url("/api/recordings")));
    let parcel = desk.parcel("a.wav", &noise(5_000), |_| {});
    let sent = receipt::Sent { key: &parcel.key, sha256: &parcel.sha256, size: parcel.size };
    for fault in [Fault::WrongHash, Fault::WrongSize, Fault::WrongSignature] {
        crm.fail([fault.clone()]);
        let given = deliver(&remote, &parcel).await.unwrap();
        assert!(receipt::check(&given, &sent, &remote.policy).is_err(), "{fault:?}");
    }
    crm.fail([Fault::NoReceipt]);
    let error = deliver(&remote, &parcel).await.unwrap_err();
    assert!(is_later(&error) && error.what.contains("there is no receipt in it: {\"status\":\"ok\"}"), "{error}");
    let given = deliver(&remote, &parcel).await.unwrap();
    assert_eq!(receipt::check(&given, &sent, &remote.policy), Ok(()));
}

#[tokio::test]
async fn a_file_that_has_changed_or_vanished_is_not_delivered() {
    let desk = Desk::new();
    let (crm, remote) = plain(&desk).await;
    let parcel = desk.parcel("a.wav", &noise(500_000), |_| {});
    std::fs::write(desk.spool.path_of("a.wav").unwrap(), b"short").unwrap();
    let error = deliver(&remote, &parcel).await.unwrap_err();
    assert!(is_later(&error) && error.what.contains("the file has become shorter"), "{error}");
    std::fs::remove_file(desk.spool.path_of("a.wav").unwrap()).unwrap();
    let error = deliver(&remote, &parcel).await.unwrap_err();
    assert!(error.what.contains("a.wav"), "{error}");
    assert!(crm.stored().is_empty());
}

#[tokio::test]
async fn r5_through_a_bad_network_every_recording_arrives_once() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    let weather = Weather { resets: 30, damages: 5, stalls: 2, refusals: 0, within: 8_000 };
    let chaos = Chaos::start(crm.address, weather, 7).await;
    let remote = desk.remote(&format!("url = '{}'\nidle_timeout = '300ms'", chaos.url("/api/recordings")));
    let parcels: Vec<Parcel> = (0..60).map(|n| desk.parcel(&format!("{n}.wav"), &noise(5_000 + n), |_| {})).collect();
    let mut failures = 0;
    for parcel in &parcels {
        for attempt in 1..40 {
            match deliver(&remote, &Parcel { attempt, ..parcel.clone() }).await {
                Ok(receipt) => {
                    assert_eq!(receipt.sha256.as_deref(), Some(parcel.sha256.as_str()));
                    break;
                }
                Err(error) => assert!(is_later(&error), "{error}"),
            }
            failures += 1;
        }
    }
    assert!(failures > 5, "the weather was bad: {failures}");
    let stored = crm.stored();
    assert_eq!(stored.len(), parcels.len());
    assert!(parcels.iter().all(|parcel| stored[&parcel.key].sha256 == parcel.sha256));
}
