//! From the end of a call to the page that wanted its recording, by the server itself: what it tells, a reload in between, many calls
//! at once.

use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Duration, Instant, interval};
use wirechief::control::protocol::method;

use super::{only_one, talks};
use crate::call::{DIAL_BOB, hear_each_other, talk};
use crate::harness::{Fault, PATIENCE, StubCrm, TestPbx, Tone, Unusual, calmly, program};
use crate::process::house::Running;
use crate::verbs::ask;

/// A remote of that name at that page.
fn remote(name: &str, crm: &StubCrm) -> String {
    format!("[remotes.{name}]\nurl = \"{}\"\n", crm.url("/api/recordings"))
}

/// Waits until so many recordings are at the page.
async fn arrive(pbx: &TestPbx, crm: &StubCrm, count: usize) {
    let (end, mut beat) = (Instant::now() + 6 * PATIENCE, interval(Duration::from_millis(20)));
    while crm.stored().len() < count {
        beat.tick().await;
        let outbox = || pbx.pbx.exchange().recordings.spool().outbox().expect("an outbox").remotes();
        assert!(Instant::now() < end, "{} of {count} recordings have arrived: {:?}", crm.stored().len(), outbox());
    }
}

#[tokio::test]
async fn every_event_of_a_recording_is_told_by_pbx_events() {
    calmly(async || {
        let (good, bad) = (StubCrm::start().await, StubCrm::start().await);
        bad.fail([Fault::Status(422, None)]);
        let settings = format!("[recording]\nrecord = \"always\"\n{}{}", remote("good", &good), remote("bad", &bad));
        let pbx = TestPbx::unusual(DIAL_BOB, Unusual { settings, ..Unusual::default() }).await;
        let mut events = Command::new(env!("CARGO_BIN_EXE_pbx"));
        events.env_clear().env("WIRECHIEF_SOCKET", pbx.pbx.control_path());
        events.args(["events", "--since", "0", "--types", "recording"]);
        events.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
        let events = Running::of(events).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut calling, &mut called).await;
        calling.hangs_up().await;
        called.is_hung_up().await;
        for kind in ["recording.delivered", "recording.parked"] {
            events.says(kind).await;
        }
        let (manifest, _) = only_one(&pbx);
        let told: Vec<Value> = events.lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let kinds: Vec<_> = told.iter().filter_map(|event| event["kind"].as_str()).collect();
        assert_eq!(kinds[..2], ["recording.started", "recording.finished"]);
        assert_eq!(kinds.len(), 4, "{told:?}");
        let event = |kind: &str| told.iter().find(|event| event["kind"] == kind).expect("an event");
        for event in &told {
            assert_eq!(
                (&event["uuid"], &event["recording"], &event["file"]),
                (&manifest.call.clone().into(), &manifest.id.to_string().into(), &manifest.file.clone().into()),
                "{event}"
            );
        }
        assert_eq!(event("recording.started")["reason"], "always");
        let finished = event("recording.finished");
        assert_eq!(
            (&finished["sha256"], &finished["duration_s"]),
            (&manifest.audio.sha256.clone().into(), &manifest.audio.duration_s.into())
        );
        let delivered = event("recording.delivered");
        assert_eq!((&delivered["remote"], &delivered["attempt"]), (&"good".into(), &1.into()));
        let parked = event("recording.parked");
        assert_eq!((&parked["remote"], &parked["reason"]), (&"bad".into(), &"refused".into()));
        assert!(parked["error"].as_str().is_some_and(|error| error.contains("422") && error.contains("attempt 1")));
    })
    .await;
}

/// A call that is recorded: its recording's id.
async fn records_a_call(pbx: &TestPbx, count: usize) -> String {
    let mut call = pbx.phone("guest").await.invite("100").await;
    call.expects([200]).await.ack().await.says(Tone::A).await;
    talks(&call, 3).await;
    call.hangs_up().await;
    let record = pbx.records(count).await.remove(count - 1);
    record["recorded"][0].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn remotes_come_move_and_go_by_a_reload() {
    let pbx = TestPbx::from_file("[internal]\nexten => 100,1,Answer()\n same => n,Echo()\n").await;
    let file = pbx.plan_file().with_file_name("pbx.toml");
    let usual = std::fs::read_to_string(&file).expect("settings") + "[recording]\nrecord = \"always\"\n";
    let reloads = async |remotes: &str| {
        std::fs::write(&file, format!("{usual}{remotes}")).expect("settings");
        ask(&pbx, method::RELOAD, &serde_json::json!({})).await
    };
    let (old, new) = (StubCrm::start().await, StubCrm::start().await);
    reloads("").await;
    let before = records_a_call(&pbx, 1).await;
    let report = reloads(&remote("crm", &old)).await;
    assert_eq!(report["warnings"], serde_json::json!([]), "it needs no restart");
    assert!(report["changes"].to_string().contains("remotes.crm"), "{report}");
    let first = records_a_call(&pbx, 2).await;
    arrive(&pbx, &old, 1).await;
    // The page moves while a recording waits for it.
    old.fail(vec![Fault::Status(503, None); 100]);
    let asked = old.asked().len();
    let waiting = records_a_call(&pbx, 3).await;
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
    while old.asked().len() == asked {
        beat.tick().await;
        assert!(Instant::now() < end, "the old page is not asked");
    }
    reloads(&remote("crm", &new)).await;
    arrive(&pbx, &new, 1).await;
    reloads("").await;
    let after = records_a_call(&pbx, 4).await;
    let outbox = pbx.pbx.exchange().recordings.spool().outbox().expect("an outbox");
    let wanted = [&before, &first, &waiting, &after]
        .map(|id| outbox.deliveries(id.parse().expect("an id")).expect("a list").len());
    assert_eq!(wanted, [0, 1, 1, 0], "by those that were configured when it was finished");
    assert_eq!(old.stored().keys().collect::<Vec<_>>(), [&first]);
    assert_eq!(new.stored().keys().collect::<Vec<_>>(), [&waiting]);
}

/// Calls at once.
const CALLS: usize = 60;

#[tokio::test]
async fn s147_sixty_calls_at_once_are_recorded_delivered_purged_and_watched_over() {
    let crm = StubCrm::start().await;
    let settings = format!("[recording]\nrecord = \"always\"\nfree_space_floor = \"0\"\n{}", remote("crm", &crm));
    let unusual = Unusual { settings: settings.clone(), ..Unusual::default() };
    let pbx = TestPbx::unusual("exten => 1,1,Answer()\n same => n,Echo()", unusual).await;
    let home = tempfile::tempdir().expect("a home");
    std::fs::write(home.path().join("pbx.toml"), settings).expect("settings");
    let rec = async |words: &[&str]| {
        let mut rec = Command::new(crate::rec::REC);
        rec.env_clear().env("HOME", home.path()).env("WIRECHIEF_CONFIG", home.path().join("pbx.toml"));
        rec.env("REC_SPOOL", pbx.spool()).args(words);
        rec.output().await.expect("rec runs")
    };
    let mut calls = Vec::new();
    for at in 0..CALLS {
        let phone = pbx.phone(&format!("guest{at}")).await;
        let mut call = phone.invite("1").await;
        call.expects([200]).await.ack().await.says(Tone::ALL[at % 4]).await;
        calls.push((call, phone));
    }
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(50)));
    while pbx.calls().await.iter().filter(|call| call.recorded).count() < CALLS {
        beat.tick().await;
        assert!(Instant::now() < end, "not all are recorded");
    }
    // They end in an order of its own, and while they do what is delivered is purged.
    for at in 0..CALLS {
        let mut over = calls.swap_remove((at * 37 + 11) % calls.len());
        over.0.hangs_up().await;
        if at % 12 == 11 {
            program::ok(rec(&["purge", "--keep", "0s", "--only-delivered", "-q"]).await);
            let told = program::ok(rec(&["status", "--check"]).await);
            assert!(told.starts_with("REC OK - "), "{told}");
        }
    }
    pbx.records(CALLS).await;
    arrive(&pbx, &crm, CALLS).await;
    assert!(crm.stored().values().all(|stored| stored.sent == 1), "each once");
    let json = async |words: &[&str]| -> Value {
        serde_json::from_str(&program::ok(rec(&[words, &["--json"]].concat()).await)).expect("JSON")
    };
    let (end, mut beat) = (Instant::now() + 6 * PATIENCE, interval(Duration::from_millis(50)));
    while json(&["status"]).await["waiting"] != 0 {
        beat.tick().await;
        assert!(Instant::now() < end, "a receipt is missing");
    }
    assert_eq!(json(&["verify"]).await["findings"], serde_json::json!([]));
    program::ok(rec(&["purge", "--keep", "0s", "--only-delivered"]).await);
    assert_eq!(json(&["ls"]).await["recordings"], serde_json::json!([]), "nothing is kept longer than it is to be");
    let gone = json(&["ls", "--gone", "--limit", "100"]).await;
    let gone = gone["recordings"].as_array().expect("a list");
    assert_eq!(gone.len(), CALLS);
    let audio = wav_files(&pbx.spool());
    assert_eq!(audio, 0, "of {CALLS} recordings");
    for one in gone {
        assert!(crm.stored().contains_key(one["id"].as_str().expect("an id")), "{one}");
    }
}

fn wav_files(spool: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(spool).expect("the spool").flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "wav")).count()
}
