//! The programs as an administrator meets them: a server as a process, phones on it, commands and signals from outside.

mod demo;
mod evidence;
pub(crate) mod house;
mod unlock;
mod unwritten;

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::interval;

use crate::call::{both_answer, hear_each_other, talk};
use crate::harness::{PATIENCE, Tone, only};
use house::{House, PLAN, Running, done, failed, settings};

const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

/// Waits until the server has that many calls.
async fn has_calls(house: &House, count: usize) {
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
    loop {
        beat.tick().await;
        let calls = house.asks_json(&["calls"]).await;
        if calls["calls"].as_array().is_some_and(|calls| calls.len() == count) {
            return;
        }
        assert!(Instant::now() < end, "{count} calls, but {calls}");
    }
}

#[tokio::test]
async fn the_pid_is_a_number_alone_and_a_killed_server_is_in_nobody_s_way() {
    let house = House::new();
    let mut first = house.opens().await;
    assert_eq!(house.asks(&["status", "--pid"]).await, format!("{}\n", first.pid()));
    let (code, errors) = failed(&house.pbx(&["run"]).await);
    assert_eq!(code, Some(75), "{errors}");
    assert!(errors.contains(&first.pid().to_string()) && errors.contains("\nhint: "), "{errors}");
    first.child.kill().await.expect("it runs");
    assert_eq!(house.pbx(&["status"]).await.status.code(), Some(7));
    let asked = Instant::now();
    let second = house.opens().await;
    println!("up again after kill -9: {} ms", asked.elapsed().as_millis());
    assert_eq!(house.asks(&["status", "--pid"]).await, format!("{}\n", second.pid()));
}

#[tokio::test]
async fn a_broken_file_is_named_by_line_and_the_old_plan_stays() {
    let house = House::new();
    let server = house.opens().await;
    house.writes("extensions.conf", &PLAN.replace("Echo()", "Eccho()"));
    let checked = house.pbx(&["check"]).await;
    assert_eq!(checked.status.code(), Some(5));
    let place = "extensions.conf:4:";
    assert!(String::from_utf8_lossy(&checked.stdout).contains(place), "{checked:?}");
    for what in ["all", "dialplan"] {
        let (code, errors) = failed(&house.pbx(&["reload", what]).await);
        assert_eq!(code, Some(5), "{errors}");
        assert!(errors.contains(place), "{errors}");
    }
    server.gets(Signal::HUP);
    let line = server.says("reload refused").await;
    assert!(line.contains(place) && line.contains("stays in force"), "{line}");
    let alice = house.phone("alice").await;
    let mut calling = alice.invite("echo").await;
    calling.expects([200]).await.ack().await;
    calling.says(Tone::A).await.hears(only(Tone::A)).await.hangs_up().await;

    house.writes("extensions.conf", &PLAN.replace("echo", "mirror"));
    server.gets(Signal::HUP);
    server.says("read again").await;
    alice.invite("echo").await.is_refused(&[404]).await;
    let mut calling = alice.invite("mirror").await;
    calling.expects([200]).await.ack().await;
    calling.hangs_up().await;
}

#[tokio::test]
async fn a_broken_settings_file_stops_a_start_and_no_running_server() {
    let house = House::new();
    let server = house.opens().await;
    house.writes("pbx.toml", &settings("127.0.0.1:0", "may_spi = \"none\"\n"));
    for words in [&["reload"][..], &["run"]] {
        let (code, errors) = failed(&house.pbx(words).await);
        assert_eq!(code, Some(5), "{words:?}: {errors}");
        assert!(errors.contains("pbx.toml:") && errors.contains("may_spy"), "{words:?}: {errors}");
    }
    assert_eq!(house.pbx(&["check"]).await.status.code(), Some(5));
    server.gets(Signal::HUP);
    server.says("pbx.toml:").await;
    assert_eq!(house.asks(&["status", "--pid"]).await, format!("{}\n", server.pid()));
}

#[tokio::test]
async fn a_busy_port_is_one_line() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("its address").to_string();
    let house = House::at(&address);
    let output = house.pbx(&["run"]).await;
    let (code, errors) = failed(&output);
    assert_eq!((code, output.stdout.is_empty()), (Some(1), true), "{output:?}");
    assert!(errors.starts_with("pbx: ") && errors.contains(&address), "{errors}");
    assert!(!house.socket().exists(), "nothing is left of it");
    let checked = house.pbx(&["check"]).await;
    assert_eq!(checked.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&checked.stdout).contains(&address), "{checked:?}");
}

#[tokio::test]
async fn a_graceful_stop_waits_for_the_call_and_takes_no_other() {
    let house = House::new();
    let mut server = house.opens().await;
    let (alice, mut bob) = (house.phone("alice").await, house.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    let mut stopping = Running::of(house.program(env!("CARGO_BIN_EXE_pbx"), &["stop", "--graceful"])).await;
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
    while house.asks_json(&["status"]).await["stopping"] != true {
        beat.tick().await;
        assert!(Instant::now() < end, "it does not know that it stops");
    }
    alice.invite("echo").await.is_refused(&[503]).await;
    hear_each_other(&mut calling, &mut called).await;
    assert_eq!(stopping.child.try_wait().expect("a status"), None, "it waits");
    called.hangs_up().await;
    calling.is_hung_up().await;
    assert_eq!((stopping.ends().await, server.ends().await), (Some(0), Some(0)));
    assert!(!house.socket().exists());
}

#[tokio::test]
async fn a_terminated_server_tells_the_phones() {
    let house = House::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut server = house.opens().await;
        let (alice, mut bob) = (house.phone("alice").await, house.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        server.gets(signal);
        calling.is_hung_up().await;
        called.is_hung_up().await;
        assert_eq!(server.ends().await, Some(code));
        assert!(!house.socket().exists(), "nothing is left behind");
        let records = std::fs::read_to_string(house.path("wirechief/calls.jsonl")).expect("the records");
        assert!(records.lines().last().is_some_and(|line| line.contains("ANSWERED")), "{records}");
    }
}

#[tokio::test]
async fn a_call_is_seen_in_events_and_records() {
    let house = House::new();
    let _server = house.opens().await;
    let (alice, mut bob) = (house.phone("alice").await, house.phone("bob").await);
    let words = ["events", "--types", "call", "--since", "0"];
    let events = Running::of(house.program(env!("CARGO_BIN_EXE_pbx"), &words)).await;
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    events.says("call.bridged").await;
    let live = house.asks_json(&["calls"]).await;
    let uuid = live["calls"][0]["uuid"].as_str().expect("a UUID").to_owned();
    let shown = house.asks_json(&["calls", "show", &uuid]).await;
    assert_eq!((&shown["from"], &shown["to"], &shown["state"]), (&"alice".into(), &"bob".into(), &"up".into()));
    calling.hangs_up().await;
    called.is_hung_up().await;
    events.says("call.ended").await;
    let told: Vec<serde_json::Value> =
        events.lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<&str> = told.iter().map(|event| event["kind"].as_str().expect("a kind")).collect();
    let wanted = ["call.started", "call.answered", "call.bridged", "call.ended"];
    assert_eq!(
        kinds.iter().filter(|kind| wanted.contains(kind)).collect::<Vec<_>>(),
        wanted.iter().collect::<Vec<_>>()
    );
    assert!(told.iter().all(|event| event["uuid"] == uuid.as_str()), "{told:?}");
    let records = house.asks_json(&["records"]).await;
    let record = &records["records"][0];
    assert_eq!((&record["uuid"], &record["disposition"]), (&uuid.as_str().into(), &"ANSWERED".into()));
    assert_eq!((&record["from"], &record["to"], &record["cause"]), (&"alice".into(), &"bob".into(), &16.into()));
}

#[tokio::test]
async fn a_call_is_made_and_ended_from_the_command_line() {
    let house = House::new();
    let _server = house.opens().await;
    let mut bob = house.phone("bob").await;
    let (printed, mut called) = tokio::join!(house.pbx(&["originate", "SIP/bob", "Echo()"]), async {
        let mut called = bob.is_called().await;
        called.rings().await.answers().await;
        called
    });
    assert!(printed.status.success(), "{printed:?}");
    let printed = String::from_utf8(printed.stdout).expect("text");
    let uuid = printed.trim_end();
    called.says(Tone::B).await.hears(only(Tone::B)).await;
    assert_eq!(house.asks_json(&["calls"]).await["calls"][0]["uuid"], uuid);
    assert!(house.pbx(&["hangup", uuid]).await.status.success());
    called.is_hung_up().await;
    has_calls(&house, 0).await;
    for words in [&["hangup", uuid][..], &["calls", "show", uuid]] {
        assert_eq!(failed(&house.pbx(words).await).0, Some(3), "{words:?}");
    }
    for unknown in [uuid, NOWHERE] {
        let (code, errors) = failed(&house.spy(&[unknown]).await);
        assert_eq!(code, Some(3), "{errors}");
        assert!(errors.starts_with("spy: ") && errors.contains(unknown), "{errors}");
    }
    let refused = house.pbx(&["originate", "SIP/alice", "Echo()"]).await;
    assert!(failed(&refused).0.is_some_and(|code| code != 0), "alice has no phone");
}

#[tokio::test]
async fn an_account_supervises_as_the_user_it_is_mapped_to_until_a_reload_ends_it() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another account");
        return;
    }
    let house = House::new();
    let rights = |right: &str| settings("127.0.0.1:0", &format!("may_spy = \"{right}\"\n"));
    house.writes("pbx.toml", &rights("whisper"));
    let _server = house.opens().await;
    let (alice, mut bob) = (house.phone("alice").await, house.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    hear_each_other(&mut calling, &mut called).await;
    let uuid = house.asks_json(&["calls"]).await["calls"][0]["uuid"].as_str().expect("a UUID").to_owned();
    // somebody opens what the server had closed: the account decides still
    for (path, mode) in [(house.path(""), 0o755), (house.path("run"), 0o755), (house.socket(), 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let copy = house.path("spy");
    done(house.program("/bin/cp", &[env!("CARGO_BIN_EXE_spy"), copy.to_str().expect("a path")])).await;
    let as_nobody = |words: &[&str]| {
        let mut spy = house.program(&copy, words);
        spy.uid(65_534).gid(65_534);
        spy
    };
    let (code, errors) = failed(&done(as_nobody(&["--mode", "barge", &uuid])).await);
    assert_eq!(code, Some(4), "{errors}");
    let mut listening = Running::of(as_nobody(&["--json", "--device", "none", "--mode", "whisper", &uuid])).await;
    listening.says("started").await;
    house.writes("pbx.toml", &rights("none"));
    assert!(house.pbx(&["reload"]).await.status.success());
    assert_eq!(listening.ends().await, Some(4), "{:?}", listening.lines());
    assert_eq!(failed(&done(as_nobody(&[&uuid])).await).0, Some(4));
    hear_each_other(&mut calling, &mut called).await;
}

#[tokio::test]
async fn hundreds_of_calls_leave_no_memory_behind() {
    let house = House::new();
    let server = house.opens().await;
    let (alice, mut bob) = (house.phone("alice").await, house.phone("bob").await);
    let mut kilobytes = Vec::new();
    for _ in 0..3 {
        for _ in 0..100 {
            let (mut calling, mut called) = (alice.invite("bob").await, bob.is_called().await);
            both_answer(&mut calling, &mut called).await;
            tokio::join!(calling.hangs_up(), called.hangs_up());
        }
        has_calls(&house, 0).await;
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("its status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        kilobytes.push(resident.and_then(|number| number.parse::<u64>().ok()).expect("its memory"));
    }
    println!("resident after 100, 200, 300 calls: {kilobytes:?} kB");
    assert!(kilobytes[2] < kilobytes[0] + 8_000, "{kilobytes:?} kB");
}
