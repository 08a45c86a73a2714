//! Two live legs connected by order: they hear each other and nobody else, and those they left go on as they should.

use wirechief::control::protocol::{Bridge, FaultCode, Transfer, method};

use super::{ask, leg_of, refusal};
use crate::call::{hear_each_other, talk};
use crate::harness::{Call, Phone, TestPbx, Tone, only};

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10)\nexten => dave,1,Dial(SIP/dave,10,g)\n same => n,Echo()
exten => wait,1,Answer()\n same => n,Wait(60)\nexten => echo,1,Answer()\n same => n,Echo()\nexten => room,1,ConfBridge(1)";

fn bridge(one: &str, other: &str) -> Bridge {
    Bridge { legs: [one.to_owned(), other.to_owned()] }
}

async fn waits(phone: &Phone, number: &str) -> Call {
    let mut call = phone.invite(number).await;
    call.expects([200]).await.ack().await;
    call
}

#[tokio::test]
async fn two_waiting_callers_are_connected_in_the_call_of_the_first() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, carol) = (pbx.phone("alice").await, pbx.phone("carol").await);
    for (count, hangs_up) in ["first", "second"].into_iter().enumerate() {
        let (mut first, mut second) = (waits(&alice, "wait").await, waits(&carol, "room").await);
        let (one, other) = (leg_of(&pbx, "alice").await, leg_of(&pbx, "carol").await);
        ask(&pbx, method::BRIDGE, &bridge(&one, &other.to_ascii_uppercase())).await;
        hear_each_other(&mut first, &mut second).await;
        let calls = pbx.calls().await;
        let legs: Vec<_> = calls.iter().flat_map(|call| call.legs.iter().map(|leg| leg.uuid.clone())).collect();
        assert_eq!((calls.len(), legs), (1, vec![one.clone(), other.clone()]), "{calls:?}");
        if hangs_up == "first" {
            first.hangs_up().await;
            second.is_hung_up().await;
        } else {
            second.hangs_up().await;
            first.is_hung_up().await;
        }
        pbx.is_idle().await;
        let records = pbx.records(2 * (count + 1)).await;
        let uuids: Vec<_> = records.iter().skip(2 * count).map(|record| record["uuid"].clone()).collect();
        assert_eq!(uuids, [other, one], "one record each, that of the fetched one when it was fetched");
    }
}

#[tokio::test]
async fn parties_of_two_calls_are_connected_and_those_they_leave_end_or_go_on() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (carol, mut dave) = (pbx.phone("carol").await, pbx.phone("dave").await);
    let parties = [("alice", "carol"), ("alice", "dave"), ("bob", "carol"), ("bob", "dave")];
    for (count, (one, other)) in parties.into_iter().enumerate() {
        let (mut a, mut b) = talk(&alice, &mut bob, "bob").await;
        let (mut c, mut d) = talk(&carol, &mut dave, "dave").await;
        hear_each_other(&mut a, &mut b).await;
        hear_each_other(&mut c, &mut d).await;
        ask(&pbx, method::BRIDGE, &bridge(&leg_of(&pbx, one).await, &leg_of(&pbx, other).await)).await;
        let (mut first, mut left) = if one == "alice" { (a, b) } else { (b, a) };
        let (mut second, mut over) = if other == "carol" { (c, d) } else { (d, c) };
        left.is_hung_up().await;
        if other == "carol" {
            over.is_hung_up().await;
        } else {
            over.says(Tone::C).await.hears(only(Tone::C)).await.hangs_up().await;
        }
        hear_each_other(&mut first, &mut second).await;
        first.hangs_up().await;
        second.is_hung_up().await;
        pbx.is_idle().await;
        // A called party that is the first gets a call, and so a record, of its own.
        let before: usize = parties[..count].iter().map(|(one, _)| if *one == "bob" { 3 } else { 2 }).sum();
        let wanted = before + if one == "bob" { 3 } else { 2 };
        assert_eq!(pbx.records(wanted).await.len(), wanted, "{one} and {other}");
    }
}

#[tokio::test]
async fn parties_brought_together_may_be_sent_on_and_brought_together_anew() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, carol, dave) = (pbx.phone("alice").await, pbx.phone("carol").await, pbx.phone("dave").await);
    let (mut a, mut c) = (waits(&alice, "wait").await, waits(&carol, "wait").await);
    let mut d = waits(&dave, "echo").await;
    let legs = [leg_of(&pbx, "alice").await, leg_of(&pbx, "carol").await, leg_of(&pbx, "dave").await];
    ask(&pbx, method::BRIDGE, &bridge(&legs[0], &legs[1])).await;
    hear_each_other(&mut a, &mut c).await;
    ask(&pbx, method::BRIDGE, &bridge(&legs[2], &legs[1])).await;
    a.is_hung_up().await;
    hear_each_other(&mut d, &mut c).await;
    let there = Transfer { uuid: legs[1].clone(), extension: "echo".to_owned(), ..Transfer::default() };
    ask(&pbx, method::TRANSFER, &there).await;
    d.is_hung_up().await;
    c.says(Tone::C).await.hears(only(Tone::C)).await.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn who_cannot_be_connected_is_told_so_and_stays_where_it_is() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let (mut a, mut b) = talk(&alice, &mut bob, "bob").await;
    let mut ringing = carol.invite("bob").await;
    let mut rung = bob.is_called().await;
    rung.rings().await;
    ringing.expects([180]).await;
    let legs = [leg_of(&pbx, "alice").await, leg_of(&pbx, "carol").await];
    let partner = pbx.calls().await[0].legs[1].uuid.clone();
    let nobody = "00000000-0000-4000-8000-000000000000";
    let refused = async |one: &str, other: &str| refusal(&pbx, method::BRIDGE, &bridge(one, other)).await;
    assert_eq!(refused(&legs[0], &legs[0]).await, FaultCode::Usage);
    assert_eq!(refused(&legs[0], &partner).await, FaultCode::TryAgain);
    assert_eq!(refused(&legs[0], &legs[1]).await, FaultCode::TryAgain);
    assert_eq!(refused(nobody, &legs[0]).await, FaultCode::NotFound);
    assert_eq!(refused(&legs[0], nobody).await, FaultCode::NotFound);
    hear_each_other(&mut a, &mut b).await;
    ringing.cancels().await;
    rung.is_cancelled().await;
    a.hangs_up().await;
    b.is_hung_up().await;
    pbx.is_idle().await;
}
