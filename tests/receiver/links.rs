//! S125, S136: signed links, which need no login and hold for one recording and a time.

use jiff::Timestamp;
use wirechief::config::Secret;
use wirechief::outbox::link::link;

use crate::receiver::stage::{Stage, wav};

fn path(link: &str) -> String {
    link.strip_prefix("http://x").expect("a link below its base").to_owned()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

#[tokio::test]
async fn s125_a_signed_link_needs_no_login_until_it_expires() {
    let stage = Stage::new().await;
    let (one, other) =
        (stage.record("a.wav", &wav(100)).id.to_string(), stage.record("b.wav", &wav(100)).id.to_string());
    let key = wirechief::receiver::link_key(&stage.folder.path().join("link.key")).unwrap();
    let good = path(&link("http://x", &key, &one, later(60)));
    let answer = stage.bare(&good).await;
    assert_eq!((answer.status, answer.body), (200, wav(100)));
    assert_eq!(stage.with_headers(&good, "Range: bytes=0-3\r\n").await.body, b"RIFF");
    let (_, query) = good.split_once('?').unwrap();
    for wrong in [
        path(&link("http://x", &key, &one, later(-1))),
        path(&link("http://x", &Secret::new("other".into()), &one, later(60))),
        format!("/r/{other}?{query}"),
        format!("/r/{one}.1?{query}"),
        format!("/r/{one}"),
        format!("/r/{one}?expires=99999999999&sig={}", query.rsplit('=').next().unwrap()),
        format!("{}0", good),
        "/r/..%2f..%2fetc%2fpasswd?expires=1&sig=2".to_owned(),
    ] {
        let answer = stage.bare(&wrong).await;
        assert_eq!(answer.status, 403, "{wrong}");
    }
    let gone = path(&link("http://x", &key, "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", later(60)));
    assert_eq!(stage.bare(&gone).await.status, 404, "a link to what is not there");
    let events: Vec<_> =
        stage.audit().into_iter().map(|line| (line["event"].clone(), line["status"].clone())).collect();
    assert!(events.len() == 11 && events.iter().all(|(event, _)| event == "link"), "{events:?}");
    let text = std::fs::read_to_string(stage.folder.path().join("downloads.jsonl")).unwrap();
    assert!(!text.contains("sig="), "a link is as good as a password: it is on no record");
}

#[tokio::test]
async fn who_guesses_links_is_shut_out_and_who_has_one_is_not() {
    let stage = Stage::with(|setup| setup.limits.bad_logins = 3).await;
    let id = stage.record("a.wav", &wav(100)).id.to_string();
    let key = wirechief::receiver::link_key(&stage.folder.path().join("link.key")).unwrap();
    let good = path(&link("http://x", &key, &id, later(60)));
    let expired = path(&link("http://x", &key, &id, later(-1)));
    for _ in 0..4 {
        assert_eq!(stage.bare(&expired).await.status, 403, "it was given to somebody");
    }
    let guessed = path(&link("http://x", &Secret::new("other".into()), &id, later(60)));
    for status in [403, 403, 403, 429, 429] {
        assert_eq!(stage.bare(&guessed).await.status, status);
    }
    assert_eq!(stage.bare(&good).await.status, 200);
    assert_eq!(stage.audit().len(), 4 + 3 + 1, "of one who is banned enough is known");
}

#[test]
fn s136_the_key_of_links_is_made_by_itself_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link.key");
    let first = wirechief::receiver::link_key(&path).unwrap();
    assert_eq!(wirechief::receiver::link_key(&path).unwrap(), first);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o777, 0o600);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(wirechief::receiver::link_key(&path).is_err(), "one that others can read is refused");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
