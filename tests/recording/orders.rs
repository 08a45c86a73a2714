//! `rec start|stop|pause|resume|mask` on the control socket, and what becomes of calls that cannot be recorded.

use std::time::Instant;

use serde_json::Value;
use wirechief::control::protocol::{FaultCode, RecordTarget, Recorded, method};

use super::{SAID, finished, only_one, talks, with};
use crate::harness::{TestPbx, Tone, Unusual, calmly, nothing, only};
use crate::spy::Scene;
use crate::verbs::{ask, refusal};

fn target(uuid: &str) -> RecordTarget {
    RecordTarget { uuid: uuid.to_owned(), file: None }
}

/// Gives an order about a leg or a recording.
pub(super) async fn order(pbx: &TestPbx, method: &str, uuid: &str) -> Recorded {
    serde_json::from_value(ask(pbx, method, &target(uuid)).await).expect("recordings")
}

#[tokio::test]
async fn a_recording_is_started_paused_masked_and_whole_when_its_stop_returns() {
    calmly(async || {
        let scene = Scene::new(Unusual::default()).await;
        let uuid = scene.uuids[0].clone();
        for verb in [method::RECORD_STOP, method::RECORD_PAUSE, method::RECORD_MASK] {
            assert_eq!(refusal(&scene.pbx, verb, &target(&uuid)).await, FaultCode::NotFound, "nothing is recorded");
        }
        let (began, mut changed) = (Instant::now(), Vec::new());
        let wished = RecordTarget { file: Some("../desk/call one.wav".into()), ..target(&uuid) };
        let begun: Recorded =
            serde_json::from_value(ask(&scene.pbx, method::RECORD_START, &wished).await).expect("one");
        assert_eq!(begun.recordings[0].file, "desk/call_one.wav", "below the spool, and harmless");
        scene.pbx.calls().await.iter().for_each(|call| assert!(call.recorded));
        let mut states = Vec::new();
        for verb in [method::RECORD_PAUSE, method::RECORD_RESUME, method::RECORD_MASK, method::RECORD_UNMASK] {
            talks(&scene.agent, 10).await;
            let asked = began.elapsed().as_millis();
            states.push(order(&scene.pbx, verb, &scene.uuids[1]).await.recordings.remove(0).state);
            changed.push((asked, began.elapsed().as_millis()));
        }
        assert_eq!(states, ["paused", "recording", "masked", "recording"]);
        talks(&scene.agent, 10).await;
        let stopped = order(&scene.pbx, method::RECORD_STOP, &begun.recordings[0].id).await;
        let all_ms = began.elapsed().as_millis();
        assert_eq!((stopped.recordings[0].state.as_str(), scene.pbx.pbx.status().recordings), ("finished", 0));
        let (manifest, tape) = only_one(&scene.pbx);
        assert_eq!((manifest.pauses.len(), manifest.masks.len()), (1, 1));
        assert!(manifest.reason.starts_with("rec start by "), "{}", manifest.reason);
        // From when a pause was asked for at the latest until it was over at the earliest, and the other way round; to a packet or two.
        let (least_ms, most_ms) = (changed[1].0 - changed[0].1, changed[1].1 - changed[0].0);
        let paused_ms = u128::from(manifest.pauses[0].ms);
        assert!((least_ms..=most_ms + 100).contains(&(paused_ms + 50)), "{:?}: {changed:?}", manifest.pauses);
        assert!(tape.has(0, &nothing()) >= SAID as usize, "silence in the place of what was masked");
        let heard = tape.has(0, &only(Tone::A));
        assert!(heard >= 3 * SAID as usize, "{heard} tenths in {} ms", tape.ms());
        assert!(
            tape.ms() as u128 + least_ms <= all_ms + 100,
            "{} ms of {all_ms}: what was paused is cut out",
            tape.ms()
        );
    })
    .await;
}

#[tokio::test]
async fn calls_go_on_where_the_disk_is_too_full() {
    calmly(async || {
        let full = "record = \"always\"\nfree_space_floor = \"1000T\"";
        let mut scene = Scene::on(crate::call::DIAL_BOB, with(full)).await;
        scene.hears([false, false]).await;
        assert_eq!(refusal(&scene.pbx, method::RECORD_START, &target(&scene.uuids[0])).await, FaultCode::TryAgain);
        scene.customer.hangs_up().await;
        let record = scene.pbx.records(1).await.remove(0);
        assert_eq!((record.get("recorded"), finished(&scene.pbx).len()), (None, 0));
        let (events, _) = scene.pbx.pbx.exchange().journal.subscribe(Some(0));
        let failed = events.iter().find(|event| event.kind == "recording.failed").expect("an event");
        assert!(failed.fields["error"].as_str().is_some_and(|error| error.contains("free_space_floor")), "{failed:?}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_told_to_end_closes_its_recordings_first() {
    calmly(async || {
        let scene = Scene::on(crate::call::DIAL_BOB, with("record = \"always\"")).await;
        talks(&scene.agent, 10).await;
        let spool = scene.pbx.spool();
        let records = spool.with_file_name("calls.jsonl");
        let Scene { pbx, .. } = scene;
        let folder = pbx.shuts_down().await;
        let (manifest, tape) = super::only_one_in(&spool);
        assert!(tape.has(0, &only(Tone::A)) >= SAID as usize && tape.has(1, &only(Tone::B)) >= SAID as usize);
        let line = std::fs::read_to_string(records).expect("the detail records");
        let record: Value = serde_json::from_str(line.lines().last().expect("a record")).expect("JSON");
        assert_eq!(record["recorded"][0], manifest.id.to_string());
        drop(folder);
    })
    .await;
}
