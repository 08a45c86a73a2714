//! Who refuses to be recorded: where calls end with that he goes, wherever he is, and nothing is kept of a room that nobody agreed in.

use serde_json::json;
use wirechief::config::WithoutConsent;
use wirechief::outbox::Manifest;

use super::consent::{answers, telling, telling_users};
use super::{finished, has_begun, only_one, talks, with};
use crate::call::talk;
use crate::harness::{PATIENCE, TestPbx, Tone, calmly, nothing, only};

const ROOM: &str = "exten => 8000,1,ConfBridge(8000)";
/// A room that asks.
const ASKED: &str = "rooms = [\"8000\"]\nconsent = \"key\"";

#[tokio::test]
async fn who_refuses_leaves_the_room_where_calls_end_and_the_others_stay_recorded() {
    calmly(async || {
        for ends in ["without_consent = \"end\"", "required = true"] {
            leaves_the_room(ends).await;
        }
    })
    .await;
}

async fn leaves_the_room(ends: &str) {
    let settings = format!("rooms = [\"8000\"]\nconsent = \"key\"\n{ends}");
    let (pbx, _sounds) = telling("exten => 8000,1,ConfBridge(8000)", 1, &settings).await;
    let (alice, bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut first = alice.invite("8000").await;
    first.expects([200]).await.ack().await.presses("1").await;
    has_begun(&pbx).await;
    let mut second = bob.invite("8000").await;
    second.expects([200]).await.ack().await.says(Tone::B).await;
    first.says(Tone::A).await.hears(only(Tone::B)).await;
    second.presses("0").await.is_hung_up().await;
    first.hears(nothing()).await;
    talks(&first, 8).await;
    first.hangs_up().await;
    pbx.is_idle().await;
    pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
    let (manifest, tape) = only_one(&pbx);
    assert_eq!(answers(&manifest)[1], (None, json!("refused"), json!("0")));
    assert!(tape.has(0, &only(Tone::A)) >= 5, "alice agreed");
    assert_eq!(tape.has(0, &only(Tone::B)) + tape.has(0, &(Tone::A + Tone::B)), 0, "bob did not");
}

#[tokio::test]
async fn who_leaves_a_room_while_he_is_asked_keeps_nobody_else_from_being_recorded() {
    calmly(async || {
        let (pbx, _sounds) = telling(ROOM, 1, ASKED).await;
        let (alice, bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut first = alice.invite("8000").await;
        first.expects([200]).await.ack().await.presses("1").await;
        has_begun(&pbx).await;
        first.says(Tone::A).await;
        let mut second = bob.invite("8000").await;
        second.expects([200]).await.ack().await.says(Tone::B).await;
        first.hears(only(Tone::B)).await;
        second.hears(only(Tone::A)).await.hangs_up().await;
        first.hears(nothing()).await.says(Tone::C).await;
        talks(&first, 10).await;
        first.hangs_up().await;
        pbx.is_idle().await;
        pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
        let (_, tape) = only_one(&pbx);
        assert!(tape.has(0, &only(Tone::C)) >= 5, "it went on");
        assert_eq!(tape.has(0, &(Tone::A + Tone::B)), 0, "bob was not asked to the end");
    })
    .await;
}

#[tokio::test]
async fn of_a_room_in_which_nobody_has_agreed_no_file_is_left() {
    calmly(async || {
        for (key, refused) in [(None, 0), (Some("0"), 1)] {
            let (pbx, _sounds) = telling(ROOM, 1, &format!("{ASKED}\nwithout_consent = \"end\"")).await;
            let mut call = pbx.phone("alice").await.invite("8000").await;
            call.expects([200]).await.ack().await.hears(only(Tone::D)).await;
            match key {
                Some(key) => drop(call.presses(key).await.is_hung_up().await),
                None => drop(call.hangs_up().await),
            }
            pbx.is_idle().await;
            pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
            assert!(finished(&pbx).is_empty(), "{key:?}");
            let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
            let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
            let kinds = ["recording.refused", "recording.started", "recording.finished", "recording.failed"];
            assert_eq!(kinds.map(count), [refused, 0, 0, 0], "{key:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_caller_who_refuses_the_recording_of_whom_he_calls_does_not_go_on_alone() {
    calmly(async || {
        let plan = "exten => bob,1,Dial(SIP/bob,10,g)\n same => n,Echo()";
        let settings = ("consent = \"key\"\nwithout_consent = \"end\"", &[("bob", "record = \"always\"")][..]);
        let (pbx, _sounds) = telling_users(plan, 1, settings).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        called.presses("1").await;
        calling.presses("2").await.is_hung_up().await;
        called.is_hung_up().await;
        pbx.is_idle().await;
        assert!(finished(&pbx).is_empty());
    })
    .await;
}

#[tokio::test]
async fn whom_a_recorded_leg_hears_in_a_room_is_asked_before_he_is_recorded() {
    calmly(async || {
        let plan = format!("exten => 1,1,Answer()\n same => n,MixMonitor(a.wav)\n same => n,ConfBridge(8000)\n{ROOM}");
        let (pbx, _sounds) = telling(&plan, 1, "consent = \"key\"").await;
        let (alice, bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut first = alice.invite("1").await;
        first.expects([200]).await.ack().await.presses("1").await;
        has_begun(&pbx).await;
        first.says(Tone::A).await;
        let mut second = bob.invite("8000").await;
        second.expects([200]).await.ack().await.says(Tone::B).await;
        first.hears(only(Tone::B)).await;
        talks(&first, 5).await;
        second.says(Tone::C).await;
        first.hears(only(Tone::C)).await;
        second.presses("1").await;
        talks(&first, 10).await;
        second.hangs_up().await;
        first.hangs_up().await;
        pbx.is_idle().await;
        pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
        let (manifest, tape) = only_one(&pbx);
        assert_eq!(
            answers(&manifest).iter().map(|one| &one.1).collect::<Vec<_>>(),
            [&json!("agreed"), &json!("agreed")]
        );
        assert_eq!(tape.has(1, &only(Tone::B)), 0, "before he agreed");
        assert!(tape.has(1, &only(Tone::C)) >= 5 && tape.has(0, &only(Tone::A)) >= 5, "since then");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_kept_as_it_came_is_told_and_a_level_of_one_changes_nothing() {
    calmly(async || {
    let plan = "exten => 1,1,MixMonitor(a.wav,v(3))\n same => n,MixMonitor(b.wav,v(1))\n same => n,Answer()\n same => n,Echo()";
    let pbx = TestPbx::unusual(plan, with("form = \"as-came\"")).await;
    let mut call = pbx.phone("alice").await.invite("1").await;
    call.expects([200]).await.ack().await.says(Tone::A).await.hears(only(Tone::A)).await;
    talks(&call, 3).await;
    call.hangs_up().await;
    pbx.is_idle().await;
    pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
    let text = std::fs::read(pbx.spool().join("b.json")).expect("a manifest");
    let manifest = Manifest::parse(&text).expect("a manifest");
    assert_eq!((manifest.file.as_str(), manifest.audio.format.as_str()), ("b.wav", "ulaw"));
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let failed: Vec<_> = events.iter().filter(|event| event.kind == "recording.failed").collect();
    assert_eq!((failed.len(), &failed[0].fields["file"]), (1, &json!("a.wav")));
    assert!(failed[0].fields["error"].as_str().is_some_and(|error| error.contains("as-came")), "{failed:?}");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_counts_whatever_becomes_of_the_file_that_was_begun() {
    calmly(async || {
    let plan = "exten => 1,1,Answer()\n same => n,MixMonitor(a.wav)\n same => n,Echo()\n same => n,Dial(SIP/bob,10,g)\n same => n,Echo()";
    let (pbx, _sounds) = telling(plan, 1, "consent = \"key\"\nwithout_consent = \"end\"").await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("1").await;
    calling.expects([200]).await.ack().await.presses("1").await;
    has_begun(&pbx).await;
    calling.says(Tone::A).await.hears(only(Tone::A)).await.presses("#").await;
    let mut called = bob.is_called().await;
    called.answers().await.hears(Tone::A + Tone::D).await;
    std::fs::rename(pbx.spool().join("a.wav"), pbx.spool().join("a.away")).expect("it is there");
    called.presses("3").await.is_hung_up().await;
    calling.is_hung_up().await;
    pbx.is_idle().await;
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    assert!(events.iter().any(|event| event.kind == "recording.failed"), "it could not be finished");
    })
    .await;
}

#[tokio::test]
async fn who_has_refused_before_is_not_asked_anew_and_hung_up_where_nobody_goes_on_without() {
    calmly(async || {
        let plan = "exten => 1,1,Answer()\n same => n,Echo()\n same => n,Dial(SIP/bob,10,g)\n same => n,Echo()";
        let (pbx, _sounds) = telling(plan, 3, "record = \"always\"\nconsent = \"key\"").await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut calling = alice.invite("1").await;
        calling.expects([200]).await.ack().await.hears(only(Tone::D)).await.presses("2").await;
        pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
        let refused = || {
            let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
            let refused = events.into_iter().filter(|event| event.kind == "recording.refused");
            refused.map(|event| event.fields.get("again").is_some_and(|again| *again == true)).collect::<Vec<_>>()
        };
        calling.says(Tone::A).await.hears(only(Tone::A)).await;
        assert_eq!(refused(), [false]);
        let exchange = pbx.pbx.exchange();
        let mut settings = (*exchange.settings.load_full()).clone();
        settings.recording.without_consent = WithoutConsent::End;
        exchange.settings.store(settings.into());
        calling.presses("#").await;
        let mut called = bob.is_called().await;
        called.answers().await;
        calling.is_hung_up().await;
        called.is_hung_up().await;
        pbx.is_idle().await;
        assert_eq!(refused(), [false, true]);
        assert!(finished(&pbx).is_empty());
    })
    .await;
}
