//! What a server of recordings knows before all of an upload is there: what it is by its first bytes, and whether the disk has room for
//! it beside all the others that were announced.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wirechief::receiver::Receiver;

use crate::receiver::stage::{Stage, TOKEN, setup};
use crate::receiver::uploads::{Sender, count, left, offset};

#[tokio::test]
async fn s131_an_upload_that_is_not_what_its_name_says_ends_with_its_first_bytes() {
    let stage = Stage::new().await;
    let liar = Sender::of("a.wav", b"<?php system(1); ?>".repeat(50_000));
    let place = liar.begun(&stage).await;
    assert_eq!(liar.send(&stage, &place, 0, 4_000).await.status, 204, "too little to tell");
    let refused = liar.send(&stage, &place, 4_000, 8_000).await;
    assert_eq!(refused.status, 415, "{}", refused.text());
    assert!(refused.text().contains("not what its name says"), "{}", refused.text());
    assert_eq!((left(&stage).len(), count(&stage)), (0, 0));
    assert_eq!(liar.look(&stage, &place).await.status, 404);
    let line = stage.audit().pop().unwrap();
    assert_eq!((&line["event"], &line["status"]), (&"delivery".into(), &415.into()));
    // one that is, in pieces that tell nothing each
    let honest = Sender::new("b.wav", 1_000);
    let place = honest.begun(&stage).await;
    for at in [0, 10, 4_095, 4_096] {
        let end = if at == 4_096 {
            honest.sound.len()
        } else {
            [10, 4_095, 4_096].into_iter().find(|end| *end > at).unwrap()
        };
        let taken = honest.send(&stage, &place, at, end).await;
        assert_eq!((taken.status, offset(&taken)), (204, Some(end)), "{}", taken.text());
    }
    assert_eq!(count(&stage), 1);
}

/// Bytes that are free where this stage keeps its recordings.
fn free(stage: &Stage) -> u64 {
    let space = rustix::fs::statvfs(stage.outbox.spool().path()).unwrap();
    space.f_bavail * space.f_frsize
}

/// An upload that is announced with so many bytes.
async fn announced(stage: &Stage, name: &str, bytes: u64) -> u16 {
    let sender = Sender::new(name, 10);
    let lines = sender.announcement();
    let (_, rest) = lines.split_once("\r\n").unwrap();
    let lines = format!("Upload-Length: {bytes}\r\n{rest}");
    stage.ask(sender.request("POST", "/api/uploads", &lines, b"")).await.status
}

#[tokio::test]
async fn what_is_announced_fits_the_disk_together_also_after_a_restart() {
    let probe = Stage::new().await;
    // half of what is free may be taken: others who write meanwhile do not matter
    let (free, third) = (free(&probe), free(&probe) / 10 * 3);
    let mut stage = Stage::with(|setup| {
        setup.settings.keep_free = free / 2;
        setup.settings.largest = u64::MAX / 4;
    })
    .await;
    assert_eq!(announced(&stage, "a.wav", free / 10 * 6).await, 507, "too much by itself");
    assert_eq!(announced(&stage, "b.wav", third).await, 201);
    assert_eq!(announced(&stage, "c.wav", third).await, 507, "there is room for one of them");
    assert_eq!((announced(&stage, "d.wav", third / 6).await, left(&stage).len()), (201, 4));
    stage.stop().await;
    let mut again = setup(stage.folder.path());
    again.settings.keep_free = free / 2;
    again.settings.largest = u64::MAX / 4;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    stage.address = listener.local_addr().unwrap();
    let server = tokio::spawn(Receiver::open(again).unwrap().serve(listener, std::future::pending()));
    assert_eq!(announced(&stage, "e.wav", third).await, 507, "it is still to come");
    std::fs::remove_dir_all(stage.spool(".uploads")).unwrap();
    assert_eq!(announced(&stage, "f.wav", third).await, 201, "it no longer is");
    server.abort();
}

#[tokio::test]
async fn what_calls_need_of_the_disk_is_not_delivered_to() {
    let stage = Stage::with(|setup| setup.settings.keep_free = 0).await;
    let sender = Sender::new("a.wav", 300);
    let place = sender.begun(&stage).await;
    let mut narrow = setup(stage.folder.path());
    narrow.settings.keep_free = u64::MAX;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(Receiver::open(narrow).unwrap().serve(listener, std::future::pending()));
    let mut full = stage;
    full.address = address;
    assert_eq!(sender.send(&full, &place, 0, 1_000).await.status, 507);
    let other = Sender::new("b.wav", 100);
    let head = format!(
        "PUT /api/recordings/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nX-Recording-Manifest: {}\r\nContent-Length: {}\r\n\r\n",
        other.manifest.id,
        URL_SAFE_NO_PAD.encode(other.manifest.print()),
        other.sound.len()
    );
    let answer = full.ask([head.as_bytes(), &other.sound].concat()).await;
    assert_eq!((answer.status, count(&full)), (507, 0), "{}", answer.text());
    server.abort();
}
