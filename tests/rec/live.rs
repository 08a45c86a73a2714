//! `rec start`, `pause`, `resume`, `mask`, `unmask` and `stop` on a live call.

use crate::call::{DIAL_BOB, talk};
use crate::harness::TestPbx;

use super::{REC, fails, ok};

async fn rec(pbx: &TestPbx, words: &[&str]) -> std::process::Output {
    let mut command = tokio::process::Command::new(REC);
    command.env_clear().env("WIRECHIEF_SOCKET", pbx.pbx.control_path()).env("REC_SPOOL", pbx.spool()).args(words);
    command.output().await.unwrap()
}

#[tokio::test]
async fn a_call_is_recorded_by_order_paused_masked_and_ended() {
    let pbx = TestPbx::with(DIAL_BOB).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    let uuid = pbx.calls().await[0].uuid.clone();
    let begun = ok(rec(&pbx, &["start", &uuid, "--file", "sales/offer", "--json"]).await);
    let begun: serde_json::Value = serde_json::from_str(&begun).unwrap();
    assert_eq!((&begun["schema"], &begun["recordings"][0]["uuid"]), (&"rec.record/1".into(), &uuid.clone().into()));
    let id = begun["recordings"][0]["id"].as_str().unwrap().to_owned();
    calling.dialog.media.receives("some of the call", 10).await;
    let state =
        |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap()["recordings"][0]["state"].clone();
    for (verb, expected) in [("pause", "paused"), ("resume", "recording"), ("mask", "masked"), ("unmask", "recording")]
    {
        assert_eq!(state(ok(rec(&pbx, &[verb, &uuid, "--json"]).await)), expected, "{verb}");
    }
    for named in [&uuid, &id] {
        assert_eq!(state(ok(rec(&pbx, &["stop", named, "--dry-run", "--json"]).await)), "recording", "a dry run");
    }
    fails(&rec(&pbx, &["stop", "nobody"]).await, 3, "nobody");
    ok(rec(&pbx, &["stop", &id]).await);
    let shown = ok(rec(&pbx, &["show", &id, "--json"]).await);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["manifest"]["state"], &shown["manifest"]["file"]),
        (&"finished".into(), &"sales/offer.wav".into())
    );
    assert_eq!(shown["manifest"]["masks"].as_array().unwrap().len(), 1, "{shown}");
    for verb in ["pause", "resume", "mask", "unmask", "stop"] {
        fails(&rec(&pbx, &[verb, &uuid]).await, 3, "is not being recorded");
        fails(&rec(&pbx, &[verb, &uuid, "--dry-run"]).await, 3, "is not being recorded");
    }
    calling.hangs_up().await;
    called.is_hung_up().await;
}
