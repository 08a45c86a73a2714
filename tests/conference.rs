//! Conference rooms with real phones: everybody hears everybody else and nobody himself, whoever comes and goes.

use wirechief::control::protocol::{RoomInfo, method};

use crate::harness::{Call, Law, Phone, TestPbx, Tone, nothing, only, strength};

const ROOM: &str = "
exten => 12345,1,ConfBridge(12345)
 same => n,Hangup()
exten => 777,1,ConfBridge(777,default_bridge,default_user,default_menu)
 same => n,Hangup()";

/// A phone in a room.
async fn joins(phone: &Phone, number: &str) -> Call {
    let mut call = phone.invite(number).await;
    call.expects([200]).await.ack().await;
    call
}

#[tokio::test]
async fn each_of_three_hears_the_others_and_the_room_goes_with_the_last() {
    let pbx = TestPbx::with(ROOM).await;
    let mut calls = Vec::new();
    for user in ["alice", "bob", "carol"] {
        let phone = pbx.phone(user).await;
        calls.push((joins(&phone, "12345").await, phone));
    }
    let [(alice, _a), (bob, _b), (carol, _c)] = &mut calls[..] else { panic!("three phones") };
    alice.says(Tone::A).await;
    bob.says(Tone::B).await;
    carol.says(Tone::C).await;
    alice.hears(Tone::B + Tone::C).await;
    bob.hears(Tone::A + Tone::C).await;
    carol.hears(Tone::A + Tone::B).await;
    assert_eq!(parties(&pbx).await, [("12345".to_owned(), 3)]);

    let mark = bob.dialog.media.received().len();
    carol.hangs_up().await;
    bob.hears(only(Tone::A)).await;
    alice.hears(only(Tone::B)).await;
    let heard = bob.dialog.media.received().split_off(mark);
    crate::call::is_gapless(&heard);
    let heard: Vec<i16> =
        heard.iter().flat_map(|packet| packet.payload.iter().map(|byte| Law::Ulaw.decode(*byte))).collect();
    for (at, window) in heard.chunks_exact(800).enumerate() {
        let strength = strength(Tone::A, window);
        assert!(strength > 0.9, "alice is heard at {strength:.3} in tenth {at} after carol left");
    }
    assert_eq!(parties(&pbx).await, [("12345".to_owned(), 2)]);

    alice.hangs_up().await;
    bob.hears(nothing()).await;
    bob.hangs_up().await;
    pbx.is_idle().await;
    assert_eq!(parties(&pbx).await, []);
    let records = pbx.records(3).await;
    assert!(records.iter().all(|record| record["disposition"] == "ANSWERED"), "{records:?}");
}

#[tokio::test]
async fn one_alone_hears_silence_and_two_rooms_are_apart() {
    let pbx = TestPbx::with(ROOM).await;
    let (alice, bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let mut first = joins(&alice, "12345").await;
    first.says(Tone::A).await.hears(nothing()).await;
    let (mut second, mut third) = (joins(&bob, "777").await, joins(&carol, "777").await);
    second.says(Tone::B).await;
    third.says(Tone::C).await.hears(only(Tone::B)).await;
    second.hears(only(Tone::C)).await;
    first.hears(nothing()).await;
    assert_eq!(parties(&pbx).await, [("12345".to_owned(), 1), ("777".to_owned(), 2)]);
}

#[tokio::test]
async fn twenty_are_in_one_room_and_four_of_them_speak() {
    const TONES: [Tone; 4] = [Tone::A, Tone::B, Tone::C, Tone::D];
    let pbx = TestPbx::with(ROOM).await;
    let mut calls = Vec::new();
    for number in 0..20 {
        let phone = pbx.phone(&format!("guest{number}")).await;
        calls.push((joins(&phone, "12345").await, phone));
    }
    assert_eq!(parties(&pbx).await, [("12345".to_owned(), 20)]);
    for ((call, _), tone) in calls.iter_mut().zip(TONES) {
        call.says(tone).await;
    }
    for (at, (call, _)) in calls.iter_mut().enumerate() {
        let others = TONES.into_iter().enumerate().filter(|(speaker, _)| *speaker != at).map(|(_, tone)| tone);
        call.hears(others.collect()).await;
    }
    while let Some((mut call, _phone)) = calls.pop() {
        call.hangs_up().await;
    }
    pbx.is_idle().await;
    assert_eq!(parties(&pbx).await, []);
}

/// The rooms and how many are in each.
async fn parties(pbx: &TestPbx) -> Vec<(String, usize)> {
    let rooms: Vec<RoomInfo> = pbx.client().await.list(method::ROOMS, &()).await.expect("a list");
    rooms.into_iter().map(|room| (room.room, room.members.len())).collect()
}
