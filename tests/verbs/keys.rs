//! Keys pressed by order: towards a phone, and as if a phone pressed them.

use wirechief::control::protocol::{Dtmf, FaultCode, KeysWay, method};

use super::{ask, leg_of, refusal};
use crate::call::{DIAL_BOB, hear_each_other, talk};
use crate::harness::{TestPbx, Tone, only};

fn keys(uuid: &str, digits: &str, way: KeysWay) -> Dtmf {
    Dtmf { uuid: uuid.to_owned(), digits: digits.to_owned(), way }
}

#[tokio::test]
async fn s041_keys_received_by_order_reach_what_runs_on_the_leg_like_those_of_the_phone() {
    let lines = "exten => 1,1,Answer()\n same => n,Read(KEYS,,4)\n same => n,GotoIf($[\"${KEYS}\" = \"1*23\"]?menu)
 same => n,Hangup(17)\n same => n(menu),WaitExten(10)\nexten => 77,1,Echo()";
    let pbx = TestPbx::with(lines).await;
    let alice = pbx.phone("alice").await;
    let row = "1*2377";
    for way in ["order", "info", "event"] {
        let mut call = alice.invite("1").await;
        call.expects([200]).await.ack().await;
        match way {
            "order" => {
                let leg = leg_of(&pbx, "alice").await.to_ascii_uppercase();
                ask(&pbx, method::DTMF, &keys(&leg, &format!("{row}@60"), KeysWay::Received)).await;
            }
            "info" => {
                for key in row.chars() {
                    call.informs(key).await;
                }
            }
            _ => {
                call.presses(row).await;
            }
        }
        call.says(Tone::A).await.hears(only(Tone::A)).await;
        call.hangs_up().await;
        pbx.is_idle().await;
    }
}

#[tokio::test]
async fn s041_in_a_bridge_they_are_its_feature_keys_and_others_reach_the_other_party() {
    let pbx = TestPbx::with("exten => bob,1,Dial(SIP/bob,10,hg)\n same => n,Echo()").await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    hear_each_other(&mut calling, &mut called).await;
    let (from, to) = (leg_of(&pbx, "alice").await, leg_of(&pbx, "bob").await);
    ask(&pbx, method::DTMF, &keys(&from, "5*@60", KeysWay::Received)).await;
    called.hears_digits("5*").await;
    ask(&pbx, method::DTMF, &keys(&to, "*", KeysWay::Received)).await;
    called.is_hung_up().await;
    calling.hears(only(Tone::A)).await.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn keys_sent_reach_the_phone_of_that_leg_alone_each_group_in_its_time() {
    let pbx = TestPbx::with(DIAL_BOB).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    hear_each_other(&mut calling, &mut called).await;
    let to = leg_of(&pbx, "bob").await;
    ask(&pbx, method::DTMF, &keys(&to, "12@60+w#@200", KeysWay::Sent)).await;
    ask(&pbx, method::DTMF, &keys(&to, "3", KeysWay::Sent)).await;
    called.hears_digits("12#3").await;
    calling.hears_digits("").await;
    calling.hears(only(Tone::B)).await;
    called.hears(only(Tone::A)).await;
}

#[tokio::test]
async fn what_cannot_be_pressed_is_refused() {
    let pbx = TestPbx::with(DIAL_BOB).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(refusal(&pbx, method::DTMF, &keys(nobody, "1", KeysWay::Sent)).await, FaultCode::NotFound);
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    calling.expects([180]).await;
    for number in ["alice", "bob"] {
        let leg = leg_of(&pbx, number).await;
        for way in [KeysWay::Sent, KeysWay::Received] {
            assert_eq!(refusal(&pbx, method::DTMF, &keys(&leg, "1", way)).await, FaultCode::TryAgain);
            assert_eq!(refusal(&pbx, method::DTMF, &keys(&leg, "1x", way)).await, FaultCode::Usage);
        }
    }
    calling.cancels().await;
    called.is_cancelled().await;
    pbx.is_idle().await;
}
