//! Parts of a file: what a player asks for when somebody jumps within a recording (RFC 9110 §14).

use crate::receiver::stage::{Stage, wav};

#[tokio::test]
async fn ranges_are_answered_as_rfc_9110_says() {
    let stage = Stage::new().await;
    let sound = wav(500);
    let id = stage.record("a.wav", &sound).id;
    let (size, path) = (sound.len(), format!("/recordings/{id}"));
    let whole = stage.get(&path).await;
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, Some("bytes")));
    let tag = whole.header("etag").unwrap().to_owned();
    let parts = [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, size - 1),
        ("bytes=-50", size - 50, size - 1),
        ("bytes=10-9999999", 10, size - 1),
        ("bytes=-9999999", 0, size - 1),
    ];
    for (range, first, last) in parts {
        let answer = stage.with_headers(&path, &format!("Range: {range}\r\n")).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header("content-range").unwrap(), format!("bytes {first}-{last}/{size}"), "{range}");
        assert_eq!(answer.header("content-length").unwrap(), (last - first + 1).to_string(), "{range}");
        assert_eq!(answer.body, sound[first..=last], "{range}");
    }
    for range in [format!("bytes={size}-"), "bytes=99999999999999999999-".to_owned(), "bytes=-0".to_owned()] {
        let answer = stage.with_headers(&path, &format!("Range: {range}\r\n")).await;
        assert_eq!((answer.status, answer.body.len()), (416, 0), "{range}");
        assert_eq!(answer.header("content-range").unwrap(), format!("bytes */{size}"), "{range}");
    }
    for range in ["bytes=0-1,5-6", "bytes=5-2", "lines=1-2", "bytes=x-y"] {
        let answer = stage.with_headers(&path, &format!("Range: {range}\r\n")).await;
        assert_eq!((answer.status, answer.body.len()), (200, size), "{range}: the whole file");
    }
    let with = |condition: &str| format!("Range: bytes=0-9\r\nIf-Range: {condition}\r\n");
    assert_eq!(stage.with_headers(&path, &with(&tag)).await.status, 206);
    assert_eq!(stage.with_headers(&path, &with("\"other\"")).await.body.len(), size);
    assert_eq!(stage.with_headers(&path, &with("Sun, 06 Nov 1994 08:49:37 GMT")).await.status, 200);
    assert_eq!(stage.with_headers(&path, &format!("If-None-Match: {tag}\r\n")).await.status, 304);
    assert_eq!(stage.with_headers(&path, "If-None-Match: \"other\"\r\n").await.status, 200);
}

#[tokio::test]
async fn a_long_file_is_streamed_whole_and_in_parts() {
    let stage = Stage::new().await;
    let sound = wav(60_000);
    let id = stage.record("long.wav", &sound).id;
    assert!(stage.get(&format!("/recordings/{id}")).await.body == sound);
    let answer = stage.with_headers(&format!("/recordings/{id}"), "Range: bytes=65530-200000\r\n").await;
    assert!(answer.status == 206 && answer.body == sound[65_530..=200_000]);
}
