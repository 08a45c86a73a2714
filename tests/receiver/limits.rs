//! What a server holds against: wrong logins, heads that are too long or never end, a stop in the middle of an answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::PATIENCE;
use crate::receiver::stage::{READER, Stage, wav};

#[tokio::test]
async fn wrong_logins_are_limited_by_source() {
    let stage = Stage::with(|setup| {
        setup.limits.bad_logins = 3;
        setup.limits.ban_time = Duration::from_secs(60);
    })
    .await;
    let wrong = "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nConnection: close\r\n\r\n";
    for _ in 0..3 {
        assert_eq!(stage.ask(wrong).await.status, 401);
    }
    let banned = stage.get("/").await;
    assert_eq!(banned.status, 429, "the right token too");
    assert!(banned.header("retry-after").unwrap().parse::<u64>().unwrap() <= 61);
}

#[tokio::test]
async fn heads_are_bounded() {
    let stage = Stage::new().await;
    let many = "X: y\r\n".repeat(200);
    assert_eq!(stage.with_headers("/", &many).await.status, 431);
    let long = format!("X: {}\r\n", "y".repeat(33 * 1024));
    assert_eq!(stage.with_headers("/", &long).await.status, 431);
    assert_eq!(stage.get("/").await.status, 200);
}

#[tokio::test]
async fn methods_that_are_not_meant_are_refused() {
    let stage = Stage::new().await;
    stage.record("a.wav", &wav(50));
    for method in ["POST", "DELETE", "PUT", "PATCH", "OPTIONS"] {
        let request = format!(
            "{method} /download.php?call=a.wav HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READER}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(stage.ask(request).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn one_address_has_no_more_than_its_share_of_connections() {
    let stage = Stage::new().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        open.push(stream);
    }
    let mut further = TcpStream::connect(stage.address).await.unwrap();
    let mut byte = [0];
    let ended = timeout(PATIENCE, further.read(&mut byte)).await.expect("closed at once");
    assert!(matches!(ended, Ok(0) | Err(_)));
    drop(open);
}

#[tokio::test]
async fn an_answer_under_way_is_ended_before_the_server_is() {
    let mut stage = Stage::new().await;
    let sound = wav(30_000);
    stage.record("long.wav", &sound);
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let request =
        format!("GET /download.php?call=long.wav HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READER}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = vec![0; 100];
    stream.read_exact(&mut bytes).await.unwrap();
    let reading = tokio::spawn(async move {
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    });
    stage.stop().await;
    let bytes = timeout(PATIENCE, reading).await.unwrap().unwrap();
    assert!(bytes.ends_with(&sound), "all of it");
    // And nobody is served any more; a program that another test is just starting may have the socket open for a moment.
    timeout(PATIENCE, async { while TcpStream::connect(stage.address).await.is_ok() {} }).await.expect("an end");
}
