//! S124–S133: what document [002]'s pages do, done right.

use wirechief::audio::codec::g722;
use wirechief::audio::matroska::Tracks;

use crate::receiver::stage::{Stage, wav};

#[tokio::test]
async fn s126_a_file_is_found_by_its_name_within_the_spool() {
    let stage = Stage::new().await;
    let sound = wav(200);
    stage.record("2026/11/OUT000-1.wav", &sound);
    for path in [
        "/download.php?call=2026/11/OUT000-1.wav",
        "/download.php?call=2026%2F11%2FOUT000-1.wav",
        "/download.php?call=OUT000-1.wav",
    ] {
        let answer = stage.get(path).await;
        assert_eq!((answer.status, answer.body == sound), (200, true), "{path}");
    }
    for path in [
        "/download.php",
        "/download.php?call=",
        "/download.php?call=OUT000-1",
        "/download.php?call=11/OUT000-1.wav",
        "/download.php?call=OUT000-1.json",
    ] {
        assert_eq!(stage.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn s126_two_recordings_with_one_last_name_are_told_apart_by_their_folders() {
    let stage = Stage::new().await;
    stage.record("a/x.wav", &wav(100));
    stage.record("b/x.wav", &wav(200));
    assert_eq!(stage.get("/download.php?call=x.wav").await.status, 404);
    assert_eq!(stage.get("/download.php?call=b/x.wav").await.body, wav(200));
}

#[tokio::test]
async fn s127_a_missing_file_is_404() {
    let stage = Stage::new().await;
    let answer = stage.get("/download.php?call=gone.wav").await;
    assert_eq!((answer.status, answer.text()), (404, "404 File not found!"));
    let manifest = stage.record("gone.wav", &wav(100));
    std::fs::remove_file(stage.spool("gone.wav")).unwrap();
    for path in ["/download.php?call=gone.wav".to_owned(), format!("/recordings/{}", manifest.id)] {
        let answer = stage.get(&path).await;
        assert_eq!((answer.status, answer.text()), (404, "404 File not found!"), "{path}");
    }
    assert_eq!(stage.get("/nothing").await.status, 404);
}

#[tokio::test]
async fn s128_s130_content_types_go_by_the_extension_in_capitals_or_not() {
    let stage = Stage::new().await;
    let mp3 = [0xff, 0xfb, 0x90, 0x00].repeat(100);
    let gsm = [[0xd2_u8; 33], [0xd7; 33]].concat();
    let mka = Tracks::of(2).head(0);
    let files = [
        ("a.wav", wav(100), "audio/x-wav"),
        ("b.Wav", wav(100), "audio/x-wav"),
        ("c.WAV", wav(100), "audio/x-wav"),
        ("d.mp3", mp3.clone(), "audio/mpeg"),
        ("e.MP3", mp3, "audio/mpeg"),
        ("f.gsm", gsm.clone(), "audio/x-gsm"),
        ("g.GSM", gsm, "audio/x-gsm"),
        ("h.mka", mka, "audio/matroska"),
    ];
    for (name, bytes, content_type) in files {
        stage.record(name, &bytes);
        let answer = stage.get(&format!("/download.php?call={name}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{name}");
        assert_eq!(answer.body, bytes, "{name}");
    }
}

#[tokio::test]
async fn s124_what_no_browser_plays_is_decoded_for_its_player_or_has_none() {
    let stage = Stage::new().await;
    stage.record("old.gsm", &[0xd2; 66]);
    let html = stage.get("/").await.text().to_owned();
    assert!(html.contains("<td>no browser plays it</td>") && !html.contains("<audio"), "{html}");
    let octets = include_bytes!("../data/sounds/high.g722");
    let mut bytes = Tracks::of(1).head(8_000);
    Tracks::of(1).write_clusters(0, octets, &mut bytes);
    let id = stage.record("wide.mka", &bytes).id;
    let html = stage.get("/").await.text().to_owned();
    assert!(html.contains(&format!("src=\"/recordings/{id}?play=1\"")), "{html}");
    assert!(html.contains("href=\"/download.php?call=wide.mka\""), "{html}");
    assert_eq!(stage.get(&format!("/recordings/{id}")).await.body, bytes, "without it, as it is");
    let played = stage.get(&format!("/recordings/{id}?play=1")).await;
    assert_eq!((played.status, played.header("content-type")), (200, Some("audio/x-wav")));
    let samples: Vec<u8> = g722::decode(octets).iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!((&played.body[..4], &played.body[44..]), (&b"RIFF"[..], &samples[..]));
    let part = stage.with_headers(&format!("/recordings/{id}?play=1"), "Range: bytes=20044-\r\n").await;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 20044-32043/32044")));
    assert_eq!(part.body, samples[20_000..]);
}

#[tokio::test]
async fn s129_any_other_extension_is_not_downloadable() {
    let stage = Stage::new().await;
    for name in ["a.ogg", "b.php", "c.txt", "d.htm", "noextension"] {
        stage.record(name, &wav(100));
        let answer = stage.get(&format!("/download.php?call={name}")).await;
        assert_eq!((answer.status, answer.text()), (404, "404 File not found!"), "{name}");
    }
}

#[tokio::test]
async fn s131_a_mislabelled_file_or_a_liar_is_refused_and_reported() {
    let stage = Stage::new().await;
    let liars: [(&str, &[u8]); 4] = [
        ("a.wav", b"<?php system($_GET['c']); ?> and so on, longer than a header of forty-four bytes"),
        ("b.mp3", b"<html><script>alert(1)</script></html>"),
        ("c.gsm", &[0x3c; 99]),
        ("d.wav", b"RIFF\x24\0\0\0AVI LIST and then something"),
    ];
    for (name, bytes) in liars {
        let id = stage.record(name, bytes).id.to_string();
        let answer = stage.get(&format!("/download.php?call={name}")).await;
        assert_eq!(answer.status, 422, "{name}");
        assert!(
            !answer.body.windows(8).any(|eight| bytes.windows(8).any(|of| of == eight)),
            "{name}: nothing of it leaves"
        );
        let line = stage.audit().pop().unwrap();
        assert_eq!((&line["id"], &line["status"]), (&id.into(), &422.into()));
        assert!(line["why"].as_str().unwrap().contains("mislabelled"), "{line}");
    }
}

#[tokio::test]
async fn s132_an_empty_file_is_not_served_as_audio() {
    let stage = Stage::new().await;
    let id = stage.record("empty.wav", b"").id;
    for path in ["/download.php?call=empty.wav".to_owned(), format!("/recordings/{id}")] {
        let answer = stage.get(&path).await;
        assert_eq!(answer.status, 404);
        assert_ne!(answer.header("content-type"), Some("audio/x-wav"));
    }
    assert_eq!(stage.audit().pop().unwrap()["why"], "it is empty");
}

#[tokio::test]
async fn s133_the_headers_are_those_of_the_document_and_nothing_is_cached() {
    let stage = Stage::new().await;
    let sound = wav(300);
    let id = stage.record("day/call-1.wav", &sound).id;
    for path in ["/download.php?call=call-1.wav".to_owned(), format!("/recordings/{id}")] {
        let answer = stage.get(&path).await;
        let header = |name| answer.header(name).unwrap_or_default();
        assert_eq!(header("content-type"), "audio/x-wav");
        assert_eq!(header("content-length"), sound.len().to_string());
        assert_eq!(header("content-disposition"), "attachment; filename=\"call-1.wav\"; filename*=UTF-8''call-1.wav");
        assert_eq!(header("content-description"), "wav file");
        assert_eq!(header("cache-control"), "private, no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("pragma"), "");
    }
}

#[tokio::test]
async fn s133_head_says_the_same_without_the_sound() {
    let stage = Stage::new().await;
    stage.record("a.wav", &wav(100));
    let whole = stage.get("/download.php?call=a.wav").await;
    let head = format!(
        "HEAD /download.php?call=a.wav HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        super::stage::READER
    );
    let head = stage.ask(head).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["content-length", "content-type", "content-disposition", "etag"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
}

#[tokio::test]
async fn s124_the_index_lists_searches_and_pages() {
    let stage = Stage::new().await;
    for n in 0..60_u32 {
        let mut manifest =
            wirechief::outbox::Manifest::new(&format!("call-{n:03}.wav"), "2026-11-20T21:00:00Z".parse().unwrap());
        manifest.from = format!("555{n:04}");
        manifest.from_name = "Zoë".to_owned();
        manifest.to = "4178575309".to_owned();
        manifest.agent = Some("1001".to_owned());
        manifest.audio.duration_s = 187.0;
        stage.record_as(manifest, &wav(20));
    }
    let page = stage.get("/call_index.htm").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let html = page.text();
    assert_eq!(html.matches("<tr><td>").count(), 50);
    assert!(
        html.contains("Zoë &lt;5550059&gt;") && html.contains("<td>4178575309</td><td>1001</td><td>3:07</td>"),
        "{html}"
    );
    assert!(html.contains("<audio controls preload=\"none\" src=\"/recordings/") && html.contains("rel=\"next\""));
    assert!(html.contains("href=\"/download.php?call=call-059.wav\""));
    let second = stage.get("/?q=&page=2").await;
    assert_eq!(second.text().matches("<tr><td>").count(), 10);
    assert!(second.text().contains("rel=\"prev\"") && !second.text().contains("rel=\"next\""));
    let found = stage.get("/?q=5550007").await;
    assert_eq!(found.text().matches("<tr><td>").count(), 1);
    assert!(found.text().contains("value=\"5550007\""));
    assert!(stage.get("/?q=nobody").await.text().contains("There are no recordings here."));
    assert_eq!(stage.get(&format!("/?q={}", "x".repeat(201))).await.status, 400);
}

#[tokio::test]
async fn a_recording_that_is_being_written_is_not_there_yet() {
    let stage = Stage::new().await;
    let open = stage
        .outbox
        .begin(&wirechief::outbox::Manifest::new("now.wav", "2026-11-20T21:00:00Z".parse().unwrap()))
        .unwrap();
    crate::receiver::stage::private(&stage.spool("now.wav"), &wav(100));
    assert_eq!(stage.get("/download.php?call=now.wav").await.status, 404);
    assert_eq!(stage.get(&format!("/recordings/{}", open.id)).await.status, 404);
    assert!(!stage.get("/").await.text().contains("now.wav"));
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_recorded_is_not_served() {
    let stage = Stage::new().await;
    stage.record("a.wav", &wav(100));
    super::stage::private(&stage.spool("a.wav"), &wav(200));
    assert_eq!(stage.get("/download.php?call=a.wav").await.status, 409);
}
