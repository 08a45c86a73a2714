//! Rules: user, trunk, room, always, never; and calls that nobody answers.

use serde_json::json;
use wirechief::outbox::manifest::{Direction, Side};

use super::{finished, has_begun, only_one, talks, with};
use crate::call::{DIAL_BOB, hear_each_other, talk};
use crate::harness::{PATIENCE, Profile, TestPbx, Tone, Unusual, calmly, only};

#[tokio::test]
async fn every_answered_call_is_recorded_with_the_caller_left_and_its_record_names_what_is_in_the_outbox() {
    calmly(async || {
        let pbx = TestPbx::unusual(DIAL_BOB, with("record = \"always\"\nvariables = [\"CAMPAIGN\"]")).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut calling, &mut called).await;
        talks(&calling, 10).await;
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
    })
    .await;
}

#[tokio::test]
async fn s137_s138_s139_the_callers_id_is_in_the_name_by_a_setting_and_leads_nowhere() {
    calmly(async || {
        let pbx = TestPbx::unusual(DIAL_BOB, with("record = \"always\"\nname = \"calls/{callerid}/{uniqueid}\"")).await;
        let (guest, mut bob) = (pbx.phone("guest").await, pbx.phone("bob").await);
        let from = "\"../../etc/x <b>;rm -rf\" <sip:5551234@127.0.0.1>;tag=hostile";
        let mut calling = guest.invite_uri(&guest.station.address("bob"), &[("From", from)]).await;
        let mut called = bob.is_called().await;
        crate::call::both_answer(&mut calling, &mut called).await;
        talks(&calling, 3).await;
        called.hangs_up().await;
        pbx.records(1).await;
        let (manifest, _) = only_one(&pbx);
        assert!(!manifest.uniqueid.is_empty(), "S138: both are in the metadata");
        assert_eq!((manifest.from.as_str(), manifest.from_name.as_str()), ("5551234", "../../etc/x <b>;rm -rf"));
        let [calls, caller, file] = manifest.file.split('/').collect::<Vec<_>>()[..] else {
            panic!("{}", manifest.file)
        };
        assert_eq!((calls, file), ("calls", &*format!("{}.wav", manifest.uniqueid)));
        assert!(caller.ends_with("5551234") && caller.contains("etcx_brm"), "{caller}");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_nobody_answers_leaves_nothing() {
    calmly(async || {
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
    })
    .await;
}

/// A setting for all, the words of users, and by whose word alice's call to bob is recorded; none: it is not.
type Word = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);

const TALKS: [Word; 6] = [
    ("", &[("bob", "record = \"always\"")], Some("user bob")),
    ("", &[("alice", "record = \"always\"")], Some("user alice")),
    ("", &[("carol", "record = \"always\"")], None),
    ("record = \"always\"", &[("bob", "record = \"never\"")], None),
    ("record = \"in\"", &[], None),
    ("", &[("alice", "record = \"out\"")], None),
];

#[tokio::test]
async fn the_word_of_a_user_counts_for_his_calls_and_never_is_the_strongest() {
    calmly(async || {
        for (settings, keys, reason) in TALKS {
            let pbx = TestPbx::unusual(DIAL_BOB, Unusual { user_keys: keys.to_vec(), ..with(settings) }).await;
            let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
            let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
            hear_each_other(&mut calling, &mut called).await;
            talks(&calling, 10).await;
            calling.hangs_up().await;
            called.is_hung_up().await;
            pbx.records(1).await;
            let found = finished(&pbx);
            assert_eq!(found.first().map(|(manifest, _)| manifest.reason.as_str()), reason, "{settings} {keys:?}");
            for (_, tape) in found {
                assert!(tape.has(0, &only(Tone::A)) >= 8 && tape.has(1, &only(Tone::B)) >= 8, "{keys:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn s094_a_third_party_over_a_trunk_is_recorded_whole() {
    calmly(async || {
        let mut far = Profile::new("4178575309", "127.0.0.1:9".parse().expect("an address")).plug_in().await;
        let trunk = format!("[trunks.icall]\nhost = \"{}\"\nrecord = \"out\"\n", far.local());
        let plan = "exten => _*123.,1,Answer()\n same => n,Dial(SIP/icall/${EXTEN:4},,g)";
        let pbx = TestPbx::unusual(plan, Unusual { settings: trunk, ..Unusual::default() }).await;
        let alice = pbx.phone("alice").await;
        let mut calling = alice.invite("*1234178575309").await;
        calling.expects([200]).await.ack().await;
        let mut called = far.is_called().await;
        called.answers().await;
        hear_each_other(&mut calling, &mut called).await;
        talks(&calling, 10).await;
        called.hangs_up().await;
        calling.is_hung_up().await;
        pbx.records(1).await;
        let (manifest, tape) = only_one(&pbx);
        assert_eq!((manifest.direction, manifest.reason.as_str()), (Direction::Out, "trunk icall"));
        assert_eq!((manifest.trunk.as_deref(), manifest.agent.as_deref()), (Some("icall"), Some("alice")));
        let right = manifest.parties.iter().find(|party| party.side == Side::Right).expect("the third party");
        assert_eq!((right.number.as_str(), &right.user), ("4178575309", &None));
        assert!(tape.has(0, &only(Tone::A)) >= 8 && tape.has(1, &only(Tone::B)) >= 8, "agent and third party");
    })
    .await;
}

#[tokio::test]
async fn a_room_is_one_recording_of_all_who_are_in_it_whoever_leaves_first() {
    calmly(async || {
        let plan = "exten => 8000,1,ConfBridge(8000)";
        let pbx = TestPbx::unusual(plan, with("rooms = [\"8000\"]")).await;
        let mut calls = Vec::new();
        for (user, tone) in [("alice", Tone::A), ("bob", Tone::B), ("carol", Tone::C)] {
            let phone = pbx.phone(user).await;
            let mut call = phone.invite("8000").await;
            call.expects([200]).await.ack().await;
            call.says(tone).await;
            calls.push((call, phone));
        }
        let [(alice, _a), (bob, _b), (carol, _c)] = &mut calls[..] else { panic!("three phones") };
        carol.hears(Tone::A + Tone::B).await;
        talks(carol, 10).await;
        alice.hangs_up().await;
        carol.hears(only(Tone::B)).await;
        talks(carol, 10).await;
        bob.hangs_up().await;
        carol.hangs_up().await;
        pbx.records(3).await;
        pbx.shows("no recording", PATIENCE, |status| status.recordings == 0).await;
        let (manifest, tape) = only_one(&pbx);
        assert_eq!((manifest.room.as_deref(), manifest.reason.as_str()), (Some("8000"), "room 8000"));
        assert_eq!((tape.tracks.len(), manifest.parties.len()), (1, 3));
        assert!(tape.has(0, &vec![Tone::A, Tone::B, Tone::C]) >= 8, "all three");
        assert!(tape.has(0, &(Tone::B + Tone::C)) >= 8, "those who stayed");
    })
    .await;
}

#[tokio::test]
async fn parties_are_told_first_and_that_they_were_is_a_fact() {
    calmly(async || {
        let settings = "record = \"always\"\nannounce = \"beep\"\nannounce_to = \"both\"";
        let plan = "exten => bob,1,Set(RECORDING_CONSENT=yes)\n same => n,Dial(SIP/bob,10)";
        let pbx = TestPbx::unusual(plan, with(settings)).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        has_begun(&pbx).await;
        hear_each_other(&mut calling, &mut called).await;
        talks(&calling, 10).await;
        calling.hangs_up().await;
        called.is_hung_up().await;
        pbx.records(1).await;
        let (manifest, _) = only_one(&pbx);
        let told: Vec<_> = manifest.consent.iter().map(|one| (one.to, &one.extra["to_its_end"])).collect();
        assert_eq!(told, [(Some(Side::Left), &json!(true)), (Some(Side::Right), &json!(true))]);
        assert!(manifest.consent.iter().all(|one| one.announcement == "beep" && one.at <= manifest.started));
        assert_eq!(manifest.variables["RECORDING_CONSENT"], "yes");
    })
    .await;
}
