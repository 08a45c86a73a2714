//! A log of supervision that ends in good order, or cannot be written: then nobody listens, and calls go on.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::time::{Duration, Instant, interval};

use super::NOWHERE;
use super::evidence::{Talk, entries, here, json_lines, listens, log_of, session_and_refusal};
use super::house::{House, Running, failed};
use crate::harness::PATIENCE;

const PBX: &str = env!("CARGO_BIN_EXE_pbx");

#[tokio::test]
async fn a_stop_with_a_live_session_puts_its_end_on_record() {
    let house = House::new();
    for (round, stop) in [(1_usize, "signal"), (2, "command")] {
        let mut server = house.opens().await;
        let talk = Talk::new(&house).await;
        let mut listening = listens(&house, &["--mode", "barge", &talk.uuids[0]]).await;
        match stop {
            "signal" => server.gets(Signal::TERM),
            _ => assert!(house.pbx(&["stop"]).await.status.success()),
        }
        server.ends().await;
        listening.ends().await;
        let all = json_lines(&here(&house, &["log", "--json"]).await);
        let events: Vec<&str> = all.iter().map(|entry| entry["event"].as_str().expect("an event")).collect();
        assert_eq!(events, ["opened", "started", "ended", "closed"].repeat(round), "{stop}");
        assert!(here(&house, &["log", "verify"]).await.status.success());
    }
}

/// No session starts, and the reason is said; whoever has no call is refused as ever; the call goes on.
async fn nobody_listens(house: &House, talk: &mut Talk) {
    for mode in ["listen", "barge"] {
        let refused = house.spy(&["--device", "none", "--mode", mode, &talk.uuids[0]]).await;
        let (code, errors) = failed(&refused);
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("spy.log"), "{errors}");
        println!("{errors}");
    }
    assert_eq!(failed(&house.spy(&[NOWHERE]).await).0, Some(3));
    assert_eq!(house.asks_json(&["status"]).await["spies"], 0);
    talk.goes_on().await;
}

#[tokio::test]
async fn without_a_log_that_can_be_written_nobody_listens_until_it_is_mended() {
    let house = House::new();
    fs::create_dir_all(log_of(&house)).expect("a folder in its place");
    let server = house.opens().await;
    server.says("supervision cannot be put on record").await;
    let mut talk = Talk::new(&house).await;
    nobody_listens(&house, &mut talk).await;
    fs::remove_dir(log_of(&house)).expect("it is empty");
    session_and_refusal(&house, &talk).await;
    server.says("supervision is on record again").await;
    assert!(here(&house, &["log", "verify"]).await.status.success());

    // A folder in place of the next head: the log itself could be written.
    let in_the_way = house.path("wirechief/spy.log.head.new");
    fs::create_dir(&in_the_way).expect("a folder");
    nobody_listens(&house, &mut talk).await;
    fs::remove_dir(&in_the_way).expect("it is empty");
    let mut listening = listens(&house, &[&talk.uuids[0]]).await;
    listening.gets(Signal::INT);
    listening.ends().await;
    assert_eq!(entries(&house, 5).await.len(), 5, "three from before, and the session");
    assert!(here(&house, &["log", "verify"]).await.status.success());
}

#[tokio::test]
async fn on_a_full_disk_nobody_listens_and_the_end_of_who_listens_is_kept_for_later() {
    const BLOCKS_OF_512: &str = "16";
    let house = House::new();
    // A limit on the length of files, and its signal ignored: writing behind it fails, as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -S -f {BLOCKS_OF_512}; exec \"$0\" run");
    let server = Running::of(house.program("/bin/sh", &["-c", &script, PBX])).await;
    server.says(" serves ").await;
    let mut talk = Talk::new(&house).await;
    let mut listening = listens(&house, &["--reason", "before", &talk.uuids[0]]).await;
    let long = "why ".repeat(200);
    let size = |path: &Path| fs::metadata(path).expect("a log").len();
    for _ in 0..12 {
        // On record or not, an attempt is refused.
        assert_eq!(failed(&house.spy(&["--reason", &long, NOWHERE]).await).0, Some(3));
    }
    server.says("supervision cannot be put on record").await;
    assert!((6_000..=8_192).contains(&size(&log_of(&house))), "{}", size(&log_of(&house)));
    assert!(here(&house, &["log", "verify"]).await.status.success(), "what is there is whole");
    let too_long = ["--device", "none", "--reason", &long, &talk.uuids[0]];
    assert_eq!(failed(&house.spy(&too_long).await).0, Some(1));
    talk.goes_on().await;
    listening.gets(Signal::INT);
    listening.ends().await;

    let pid = Pid::from_raw(server.pid().cast_signed());
    let unlimited = Rlimit { current: None, maximum: None };
    rustix::process::prlimit(pid, Resource::Fsize, unlimited).expect("it may have more");
    let mut later = listens(&house, &["--reason", "after", &talk.uuids[0]]).await;
    later.gets(Signal::INT);
    later.ends().await;
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
    loop {
        beat.tick().await;
        let mut all = entries(&house, 3).await;
        all.retain(|entry| entry["event"] != "refused");
        let told: Vec<_> =
            all.iter().map(|entry| (entry["event"].as_str().unwrap(), entry["reason"].as_str().unwrap())).collect();
        if told.len() == 4 {
            let mut sorted = told.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [("ended", "after"), ("ended", "before"), ("started", "after"), ("started", "before")]);
            break;
        }
        assert!(Instant::now() < end, "{told:?}");
    }
    assert!(here(&house, &["log", "verify"]).await.status.success());
}
