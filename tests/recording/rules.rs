//! Rules: user, trunk, room, always, never; and calls that nobody answers.

use serde_json::json;
use wirechief::outbox::manifest::{Direction, Side};

use super::{finished, only_one};
use crate::call::{DIAL_BOB, hear_each_other, talk};
use crate::harness::{TestPbx, Tone, Unusual, only};

fn with(settings: &str) -> Unusual {
    Unusual { settings: format!("[recording]\n{settings}\n"), ..Unusual::default() }
}

#[tokio::test]
async fn every_answered_call_is_recorded_with_the_caller_left_and_its_record_names_what_is_in_the_outbox() {
    let pbx = TestPbx::unusual(DIAL_BOB, with("record = \"always\"\nvariables = [\"CAMPAIGN\"]")).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    hear_each_other(&mut calling, &mut called).await;
    calling.dialog.media.receives("the caller", 50).await;
    assert_eq!((pbx.calls().await[0].recorded, pbx.pbx.status().recordings), (true, 1));
    let uuid = pbx.calls().await[0].uuid.clone();
    calling.hangs_up().await;
    called.is_hung_up().await;
    let record = pbx.records(1).await.remove(0);
    let (manifest, tape) = only_one(&pbx);
    assert_eq!(record["recorded"], json!([manifest.id.to_string()]));
    assert_eq!((manifest.call.as_str(), manifest.from.as_str(), manifest.to.as_str()), (&*uuid, "alice", "bob"));
    assert_eq!((manifest.direction, manifest.reason.as_str()), (Direction::Internal, "always"));
    let sides: Vec<_> = manifest.parties.iter().map(|party| (party.side, party.user.as_deref())).collect();
    assert_eq!(sides, [(Side::Left, Some("alice")), (Side::Right, Some("bob"))]);
    assert_eq!(manifest.audio.sha256.len(), 64);
    assert!(manifest.file.ends_with(&format!("-internal-alice-bob-{uuid}.wav")), "{}", manifest.file);
    assert_eq!(tape.tracks.len(), 2);
    assert!(tape.has(0, &only(Tone::A)) >= 8 && tape.has(1, &only(Tone::B)) >= 8, "both are heard");
    assert!(tape.has(0, &only(Tone::B)) == 0 && tape.has(1, &only(Tone::A)) == 0, "each on its own side");
    assert_eq!(pbx.pbx.status().recordings, 0);
}

#[tokio::test]
async fn a_call_that_nobody_answers_leaves_nothing() {
    let pbx = TestPbx::unusual(DIAL_BOB, with("record = \"always\"")).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    calling.expects([180]).await.cancels().await;
    called.is_cancelled().await;
    let record = pbx.records(1).await.remove(0);
    assert!(record.get("recorded").is_none(), "{record}");
    assert!(finished(&pbx).is_empty());
}
