//! Transfers by order: whatever a leg does, it leaves it, goes on elsewhere as itself, and no call is lost or recorded twice.

use tokio::time::Instant;
use wirechief::control::protocol::{FaultCode, Moves, Transfer, method};

use super::{ask, leg_of, refusal};
use crate::call::{hear_each_other, talk};
use crate::harness::{Call, PATIENCE, TestPbx, Tone, nothing, only};

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10)
exten => gbob,1,Dial(SIP/bob,10,gF(600,1))\n same => n,Playtones(dial)\n same => n,Wait(60)
exten => 600,1,Answer()\n same => n,Echo()
exten => room,1,ConfBridge(1)
exten => read,1,Answer()\n same => n,Read(KEYS,beep,3)\n same => n,Hangup(17)
exten => wait,1,Answer()\n same => n,Gosub(sub,1)\n same => n,Hangup(17)
exten => sub,1,Wait(60)\n same => n,Return()
exten => music,1,Answer()\n same => n,MusicOnHold()
exten => ring,1,Answer()\n same => n,Dial(SIP/carol,60)
exten => echo,1,Answer()\n same => n,Echo()
exten => _6X,1,Dial(SIP/bob,10)
exten => h,1,Set(CDR(h)=${CDR(h)}+)";

fn to(uuid: &str, extension: &str, moves: Moves) -> Transfer {
    Transfer { uuid: uuid.to_owned(), extension: extension.to_owned(), context: None, moves }
}

async fn echoes(call: &mut Call, tone: Tone) {
    call.says(tone).await.hears(only(tone)).await;
}

#[tokio::test]
async fn a_leg_leaves_whatever_it_does_and_keeps_its_uuid_and_its_record() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut carol) = (pbx.phone("alice").await, pbx.phone("carol").await);
    for (count, number) in ["read", "wait", "music", "room", "echo", "ring"].into_iter().enumerate() {
        let mut call = alice.invite(number).await;
        call.expects([200]).await.ack().await;
        let rung = if number == "ring" { Some(carol.is_called().await) } else { None };
        let leg = leg_of(&pbx, "alice").await;
        let sent = ask(&pbx, method::TRANSFER, &to(&leg.to_ascii_uppercase(), "600", Moves::This)).await;
        assert_eq!((&sent["legs"][0], &sent["context"]), (&leg.clone().into(), &"internal".into()), "{number}");
        if let Some(mut rung) = rung {
            rung.is_cancelled().await;
        }
        echoes(&mut call, Tone::A).await;
        assert_eq!(leg_of(&pbx, "alice").await, leg, "{number}");
        call.hangs_up().await;
        pbx.is_idle().await;
        let records = pbx.records(count + 1).await;
        assert_eq!(records.len(), count + 1, "{number}");
        assert_eq!((&records[count]["uuid"], &records[count]["to"]), (&leg.into(), &number.into()));
    }
}

#[tokio::test]
async fn a_caller_leaves_and_the_called_party_ends() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    for number in ["bob", "gbob"] {
        let (mut calling, mut called) = talk(&alice, &mut bob, number).await;
        hear_each_other(&mut calling, &mut called).await;
        ask(&pbx, method::TRANSFER, &to(&leg_of(&pbx, "alice").await, "600", Moves::This)).await;
        called.is_hung_up().await;
        echoes(&mut calling, Tone::A).await;
        calling.hangs_up().await;
        pbx.is_idle().await;
    }
    let records = pbx.records(2).await;
    assert_eq!((records.len(), records[0]["legs"].as_array().map(Vec::len)), (2, Some(2)), "{records:?}");
}

#[tokio::test]
async fn a_called_party_leaves_and_the_caller_ends_or_goes_on_as_its_script_says() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    for (count, number) in ["bob", "gbob"].into_iter().enumerate() {
        let (mut calling, mut called) = talk(&alice, &mut bob, number).await;
        hear_each_other(&mut calling, &mut called).await;
        let (caller, leg) = (leg_of(&pbx, "alice").await, leg_of(&pbx, "bob").await);
        let wanted = if count == 0 { to(&leg, "600", Moves::This) } else { to(&caller, "600", Moves::Other) };
        ask(&pbx, method::TRANSFER, &wanted).await;
        echoes(&mut called, Tone::B).await;
        if count == 0 {
            calling.is_hung_up().await;
        } else {
            calling.dialog.media.receives("alice", 20).await;
            calling.hangs_up().await;
        }
        let calls = pbx.calls().await;
        assert_eq!(calls.iter().filter(|call| call.uuid == leg && call.to == "600").count(), 1, "{calls:?}");
        called.hangs_up().await;
        pbx.is_idle().await;
        let records = pbx.records(2 * count + 2).await.split_off(2 * count);
        let of = |uuid: &str| records.iter().find(|record| record["uuid"] == uuid);
        let (Some(first), Some(_), 2) = (of(&caller), of(&leg), records.len()) else {
            panic!("not one record each: {records:?}")
        };
        assert_eq!(first["legs"].as_array().map(Vec::len), Some(2), "the party that left was in the call: {first}");
        assert!(first["legs"][1]["packets_in"].as_u64() > Some(0), "{first}");
    }
}

#[tokio::test]
async fn both_go_to_the_same_place() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    for number in ["alice", "bob"] {
        let (mut calling, mut called) = talk(&alice, &mut bob, "gbob").await;
        hear_each_other(&mut calling, &mut called).await;
        let sent = ask(&pbx, method::TRANSFER, &to(&leg_of(&pbx, number).await, "room", Moves::Both)).await;
        assert_eq!(sent["legs"].as_array().map(Vec::len), Some(2));
        let (mut members, end) = (0, Instant::now() + PATIENCE);
        while members < 2 {
            assert!(Instant::now() < end, "{members} of two are in the room");
            let rooms: Vec<serde_json::Value> = pbx.client().await.list(method::ROOMS, &()).await.expect("a list");
            members = rooms.first().and_then(|room| room["members"].as_array()).map_or(0, Vec::len);
            calling.dialog.media.receives("alice", 1).await;
        }
        hear_each_other(&mut calling, &mut called).await;
        calling.hangs_up().await;
        called.falls_silent().await.hears(nothing()).await.hangs_up().await;
        pbx.is_idle().await;
    }
    assert_eq!(pbx.records(4).await.len(), 4);
}

#[tokio::test]
async fn a_party_that_was_sent_elsewhere_may_be_sent_on_and_calls_from_there() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let mut calling = alice.invite("echo").await;
    calling.expects([200]).await.ack().await;
    let leg = leg_of(&pbx, "alice").await;
    for extension in ["wait", "room", "600"] {
        ask(&pbx, method::TRANSFER, &to(&leg, extension, Moves::This)).await;
    }
    echoes(&mut calling, Tone::A).await;
    ask(&pbx, method::TRANSFER, &to(&leg, "61", Moves::This)).await;
    let mut called = bob.is_called().await;
    called.answers().await;
    hear_each_other(&mut calling, &mut called).await;
    ask(&pbx, method::TRANSFER, &to(&leg_of(&pbx, "bob").await, "echo", Moves::This)).await;
    calling.is_hung_up().await;
    echoes(&mut called, Tone::B).await;
    called.hangs_up().await;
    pbx.is_idle().await;
    drop(carol);
}

#[tokio::test]
async fn what_leads_nowhere_or_rings_is_refused_and_nothing_changes() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    calling.expects([180]).await;
    for number in ["alice", "bob"] {
        let leg = leg_of(&pbx, number).await;
        assert_eq!(refusal(&pbx, method::TRANSFER, &to(&leg, "600", Moves::This)).await, FaultCode::TryAgain);
    }
    crate::call::both_answer(&mut calling, &mut called).await;
    hear_each_other(&mut calling, &mut called).await;
    let leg = leg_of(&pbx, "bob").await;
    for moves in [Moves::This, Moves::Other, Moves::Both] {
        assert_eq!(refusal(&pbx, method::TRANSFER, &to(&leg, "7777", moves)).await, FaultCode::NotFound);
        let elsewhere = Transfer { context: Some("nowhere".to_owned()), ..to(&leg, "600", moves) };
        assert_eq!(refusal(&pbx, method::TRANSFER, &elsewhere).await, FaultCode::NotFound);
    }
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(refusal(&pbx, method::TRANSFER, &to(nobody, "600", Moves::This)).await, FaultCode::NotFound);
    hear_each_other(&mut calling, &mut called).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    let mut alone = alice.invite("echo").await;
    alone.expects([200]).await.ack().await;
    let leg = leg_of(&pbx, "alice").await;
    for moves in [Moves::Other, Moves::Both] {
        assert_eq!(refusal(&pbx, method::TRANSFER, &to(&leg, "600", moves)).await, FaultCode::TryAgain);
    }
    echoes(&mut alone, Tone::A).await;
}
