//! Conference rooms with real phones: everybody hears everybody else and nobody himself, whoever comes and goes.

mod article;

use wirechief::control::protocol::{EventRecord, EventsSince, RoomChanged, RoomInfo, RoomMute, RoomTarget, method};
use wirechief::control::supervision::Mode;

use crate::harness::{Call, Ear, Law, Phone, TestPbx, Tone, Unusual, calmly, nothing, only, strength};

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
    calmly(async || {
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
    })
    .await;
}

#[tokio::test]
async fn one_alone_hears_silence_and_two_rooms_are_apart() {
    calmly(async || {
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
    })
    .await;
}

#[tokio::test]
async fn twenty_are_in_one_room_and_four_of_them_speak() {
    calmly(async || {
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
    })
    .await;
}

/// What is left when somebody leaves shows in a global variable that `h` sets and a later call compares.
const LEFT: &str = "
exten => 12345,1,Set(RESULT=none)
 same => n,ConfBridge(12345)
 same => n,Playtones(440)
 same => n,Wait(60)
exten => h,1,Set(GLOBAL(LEFT)=${CONFBRIDGE_INFO(parties,12345)}/${CONFBRIDGE_INFO(muted,12345)}/${CONFBRIDGE_RESULT})
exten => _left.,1,GotoIf($[\"${EXTEN:4}\" = \"${LEFT}\"]?:wrong)
 same => n,Busy()
 same => n(wrong),Congestion()
exten => typo,1,GotoIf($[0${CONFBRIDGE_INFO(paries,12345)} + ${CONFBRIDGE_INFO(parties,11111)} = 0]?:wrong)
 same => n,Busy()
 same => n(wrong),Congestion()";

/// 486 where the variable is as `text` says.
async fn left_is(phone: &Phone, text: &str) {
    phone.invite(&format!("left{text}")).await.is_refused(&[486]).await;
}

#[tokio::test]
async fn s216_the_h_extension_sees_how_many_are_left() {
    calmly(async || {
        let pbx = TestPbx::with(LEFT).await;
        let (alice, bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
        carol.invite("typo").await.is_refused(&[486]).await;
        let (mut first, mut second) = (joins(&alice, "12345").await, joins(&bob, "12345").await);
        carol.invite("typo").await.is_refused(&[486]).await;
        mutes(&pbx, Some(&members(&pbx).await[0]), true).await;
        second.hangs_up().await;
        pbx.records(3).await;
        left_is(&carol, "1/1/HANGUP").await;
        first.hangs_up().await;
        pbx.records(5).await;
        left_is(&carol, "0/0/HANGUP").await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn a_member_is_muted_and_heard_again_and_sent_out() {
    calmly(async || {
        let pbx = TestPbx::with(LEFT).await;
        let (alice, bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
        let (mut first, mut second) = (joins(&alice, "12345").await, joins(&bob, "12345").await);
        first.says(Tone::B).await;
        second.says(Tone::C).await.hears(only(Tone::B)).await;
        let uuids = members(&pbx).await;
        mutes(&pbx, Some(&uuids[0]), true).await;
        second.hears(nothing()).await;
        first.hears(only(Tone::C)).await;
        mutes(&pbx, None, false).await;
        second.hears(only(Tone::B)).await;
        let target = RoomTarget { room: "12345".into(), member: Some(uuids[1].to_ascii_uppercase()) };
        let sent: RoomChanged = pbx.client().await.request(method::ROOM_KICK, &target).await.expect("sent out");
        assert_eq!(sent.members, uuids[1..]);
        // The call goes on in the dialplan, here with a tone.
        second.hears(only(Tone::A)).await;
        first.hears(nothing()).await;
        assert_eq!(members(&pbx).await, uuids[..1]);
        second.hangs_up().await;
        pbx.records(1).await;
        left_is(&carol, "1/0/KICKED").await;
        let gone = pbx.client().await.request::<RoomChanged>(method::ROOM_KICK, &target).await;
        assert!(gone.is_err_and(|error| error.to_string().contains("nobody of that name is in room 12345")));
        first.hangs_up().await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn rooms_are_told_in_the_journal() {
    calmly(async || {
        let pbx = TestPbx::with(ROOM).await;
        let alice = pbx.phone("alice").await;
        joins(&alice, "12345").await.hangs_up().await;
        pbx.is_idle().await;
        let wanted = EventsSince { since: Some(0), types: vec!["room".into()] };
        let mut events = pbx.client().await.stream(method::EVENTS, &wanted).await.expect("events");
        for kind in ["room.entered", "room.left"] {
            let event: EventRecord = events.next().await.expect("an event").expect("an event");
            assert_eq!((event.kind.as_str(), &event.fields["room"]), (kind, &"12345".into()));
            assert_eq!(event.fields["parties"], i32::from(kind == "room.entered"));
        }
    })
    .await;
}

#[tokio::test]
async fn who_only_listens_may_send_nothing_but_not_when_nobody_else_sends() {
    calmly(async || {
        let unusual = Unusual { rtp_timeout: Some("3s"), ..Unusual::default() };
        let pbx = TestPbx::unusual(ROOM, unusual).await;
        let (alice, bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut first, mut second) = (joins(&alice, "12345").await, joins(&bob, "12345").await);
        first.says(Tone::A).await;
        second.dialog.media.goes_quiet();
        // 250 packets of 20 ms: longer than the limit.
        second.dialog.media.receives("bob", 250).await;
        second.hears(only(Tone::A)).await;
        first.hangs_up().await;
        second.is_hung_up().await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn a_member_cannot_be_spied_on_and_the_reason_is_said() {
    calmly(async || {
        let pbx = TestPbx::with(ROOM).await;
        let alice = pbx.phone("alice").await;
        let _call = joins(&alice, "12345").await;
        let uuid = members(&pbx).await.remove(0);
        let request = crate::spy::request(&uuid, Mode::Listen, None);
        let refusal = Ear::attach(pbx.client().await, &request).await.err().expect("a refusal").to_string();
        assert!(refusal.contains("is in conference room 12345"), "{refusal}");
    })
    .await;
}

async fn mutes(pbx: &TestPbx, member: Option<&str>, muted: bool) {
    let target = RoomTarget { room: "12345".into(), member: member.map(str::to_owned) };
    let changed = pbx.client().await.request::<RoomChanged>(method::ROOM_MUTE, &RoomMute { target, muted }).await;
    assert!(!changed.expect("muted").members.is_empty());
}

/// The UUIDs of who is in room 12345, in the order they came.
async fn members(pbx: &TestPbx) -> Vec<String> {
    let rooms: Vec<RoomInfo> = pbx.client().await.list(method::ROOMS, &()).await.expect("a list");
    let room = rooms.into_iter().find(|room| room.room == "12345").expect("the room");
    room.members.into_iter().map(|member| member.uuid).collect()
}

/// The rooms and how many are in each.
async fn parties(pbx: &TestPbx) -> Vec<(String, usize)> {
    let rooms: Vec<RoomInfo> = pbx.client().await.list(method::ROOMS, &()).await.expect("a list");
    rooms.into_iter().map(|room| (room.room, room.members.len())).collect()
}
