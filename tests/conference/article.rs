//! Two servers with a room each, and the conference dialplan of document [003] on one of them: who comes first has the rooms
//! connected, and the connecting call ends when people leave (S201–S204, S208, S211, S212, S215).

use std::time::Duration;

use wirechief::control::protocol::{CallDetail, Target, method};

use super::{joins, parties};
use crate::harness::{Call, PATIENCE, Phone, TestPbx, Tone, Transport, nothing, only};

/// The other server: 7070 asks for the number of a room, and those inside dial it.
const REMOTE: &str = "
exten => 7070,1,Answer()
 same => n,Read(ROOM)
 same => n,ConfBridge(${ROOM})
 same => n,Hangup()
exten => 12345,1,ConfBridge(12345)
";

/// Where it reads the number of a room.
const ASKS: &str = "500004,3";

/// This server with the dialplan of the document as `examples/conference` has it, and the other one.
async fn servers() -> (TestPbx, TestPbx) {
    let remote = TestPbx::with(REMOTE).await;
    let address = remote.address(Transport::Udp).to_string();
    let here = TestPbx::example("conference", &[("remote-server.tld:5060", &address)]).await;
    (here, remote)
}

/// Calls the number that asks for a room, and keys one in.
async fn asks_for(here: &TestPbx, phone: &Phone, keys: &str) -> Call {
    let mut call = phone.invite("500004").await;
    call.expects([200]).await.ack().await;
    is_asked(here, phone).await;
    call.presses(keys).await;
    call
}

/// Waits until the dialplan reads keys: those pressed before are nobody's.
async fn is_asked(here: &TestPbx, phone: &Phone) {
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..3_000 {
        beat.tick().await;
        if place_of(here, phone).await == ASKS {
            return;
        }
    }
    panic!("nobody asks {} for a room", phone.station.profile.user);
}

/// Where in the dialplan the call of a phone is.
async fn place_of(here: &TestPbx, phone: &Phone) -> String {
    let calls = here.calls().await;
    let call = calls.iter().find(|call| call.from == phone.station.profile.user).expect("the phone's call");
    let target = Target { uuid: call.uuid.clone() };
    let call: CallDetail = here.client().await.request(method::CALL, &target).await.expect("a call");
    let variable = |name: &str| call.legs[0].variables.get(name).cloned().unwrap_or_default();
    format!("{},{}", variable("EXTEN"), variable("PRIORITY"))
}

/// Waits until a server has room 12345 with so many in it, or none.
async fn has(pbx: &TestPbx, count: usize) {
    let wanted = if count == 0 { vec![] } else { vec![("12345".to_owned(), count)] };
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..3_000 {
        beat.tick().await;
        if parties(pbx).await == wanted {
            return;
        }
    }
    panic!("{:?} instead of {wanted:?}", parties(pbx).await);
}

#[tokio::test]
async fn s201_the_first_person_in_one_room_has_both_rooms_connected_until_the_last_leaves() {
    let (here, remote) = servers().await;
    let (alice, bob) = (here.phone("1001").await, here.phone("1002").await);
    let (carol, dave) = (remote.phone("carol").await, remote.phone("dave").await);
    // S203: nobody is here, so nothing is connected, though somebody is there.
    let mut there = joins(&carol, "12345").await;
    there.says(Tone::C).await;
    has(&remote, 1).await;
    assert_eq!(parties(&here).await, []);

    let mut first = asks_for(&here, &alice, "12345#").await;
    first.says(Tone::A).await;
    has(&here, 2).await;
    has(&remote, 2).await;
    first.hears(only(Tone::C)).await;
    there.hears(only(Tone::A)).await;

    // Others come on both sides: the rooms stay connected by one call.
    let mut second = asks_for(&here, &bob, "12345#").await;
    second.says(Tone::B).await;
    let mut other = joins(&dave, "12345").await;
    other.says(Tone::D).await;
    has(&here, 3).await;
    has(&remote, 3).await;
    first.hears(vec![Tone::B, Tone::C, Tone::D]).await;
    second.hears(vec![Tone::A, Tone::C, Tone::D]).await;
    there.hears(vec![Tone::A, Tone::B, Tone::D]).await;
    other.hears(vec![Tone::A, Tone::B, Tone::C]).await;

    // S202, and as the document's `h` asks about room 11111: the rooms part when anybody leaves.
    second.hangs_up().await;
    has(&here, 1).await;
    has(&remote, 2).await;
    first.hears(nothing()).await;
    there.hears(only(Tone::D)).await;
    first.hangs_up().await;
    here.is_idle().await;
    has(&here, 0).await;
    there.hangs_up().await;
    other.hangs_up().await;
    remote.is_idle().await;
    has(&remote, 0).await;
}

#[tokio::test]
async fn s208_a_room_that_is_not_there_is_said_to_be_none_and_asked_for_again() {
    let (here, remote) = servers().await;
    let alice = here.phone("1001").await;
    let mut call = asks_for(&here, &alice, "99#").await;
    let is_elsewhere = async { while place_of(&here, &alice).await == ASKS {} };
    tokio::time::timeout(PATIENCE, is_elsewhere).await.expect("it is said that there is no such room");
    is_asked(&here, &alice).await;
    call.presses("12345#").await.says(Tone::A).await;
    has(&here, 2).await;
    has(&remote, 1).await;
    call.hangs_up().await;
    here.is_idle().await;
    remote.is_idle().await;
}
