//! Finding a call to listen to: by extension, by user, all of them one after the other, now or later; and who is never found.

use wirechief::call::supervision::walk::{Choice, Order, Walk, Whose};
use wirechief::call::supervision::{Phone as OwnPhone, Rights, SpyError, Via, Wish, attach};
use wirechief::config::SpyRight;
use wirechief::control::protocol::{FaultCode, SpyInfo, SpyState, method};
use wirechief::control::supervision::{EndedBecause, Mode, SpyRequest, SpyTarget};

use crate::call::{hear_each_other, talk};
use crate::harness::{Call, Ear, TestPbx, Tone, only};
use crate::spy::fault;
use crate::spy::rights::sets;

const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10)
exten => carol,1,Set(SPYGROUP=night)\n same => n,Dial(SIP/carol,10)
exten => slow,1,Wait(0.3)\n same => n,Dial(SIP/bob,10)";

async fn spies(pbx: &TestPbx, request: &SpyRequest) -> Ear {
    Ear::attach(pbx.client().await, request).await.expect("a session")
}

async fn call(pbx: &TestPbx, from: &str, to: &str) -> (Call, Call) {
    let (caller, mut called) = (pbx.phone(from).await, pbx.phone(to).await);
    let (mut calling, mut called) = talk(&caller, &mut called, to).await;
    hear_each_other(&mut calling, &mut called).await;
    (calling, called)
}

#[tokio::test]
async fn s052_an_extension_is_found_whether_it_calls_or_is_called() {
    let pbx = TestPbx::with(PLAN).await;
    let exten = |number: &str| SpyRequest::new(SpyTarget::Exten(number.into()));
    let nobody = Ear::attach(pbx.client().await, &exten("bob")).await;
    assert_eq!(fault(nobody), FaultCode::NotFound);
    let (mut calling, _called) = call(&pbx, "alice", "bob").await;
    for number in ["alice", "bob"] {
        let ear = spies(&pbx, &exten(number)).await;
        assert_eq!(ear.facts.target.number, number);
        ear.hears(only(Tone::A), only(Tone::B)).await;
    }
    let ear = spies(&pbx, &exten("bob")).await;
    calling.hangs_up().await;
    assert_eq!(ear.is_ended().await.why, EndedBecause::CallEnded);
}

#[tokio::test]
async fn s004_a_user_is_followed_from_call_to_call_and_nothing_ends_between_them() {
    let pbx = TestPbx::with(PLAN).await;
    let target = SpyTarget::User { user: "bob@example.net".into(), follow: true };
    let ear = spies(&pbx, &SpyRequest::new(target)).await;
    assert_eq!(ear.facts.state, SpyState::Waiting);
    for _ in 0..2 {
        let (mut calling, mut called) = call(&pbx, "alice", "bob").await;
        ear.hears(only(Tone::A), only(Tone::B)).await;
        called.hangs_up().await;
        calling.is_hung_up().await;
        ear.hears(vec![], vec![]).await;
    }
    // a second call while one is heard is taken when that is over
    let (mut first, _answered) = call(&pbx, "alice", "bob").await;
    ear.hears(only(Tone::A), only(Tone::B)).await;
    let (mut second, mut answered) = call(&pbx, "carol", "bob").await;
    second.says(Tone::C).await;
    answered.says(Tone::D).await;
    first.hangs_up().await;
    ear.hears(only(Tone::C), only(Tone::D)).await;
}

#[tokio::test]
async fn a_call_that_is_not_answered_yet_is_waited_for_only_where_that_is_asked() {
    let pbx = TestPbx::with(PLAN).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    calling.expects([180]).await;
    let uuid = pbx.calls().await[0].uuid.clone();
    let request = SpyRequest::new(SpyTarget::Uuid(uuid));
    assert_eq!(fault(Ear::attach(pbx.client().await, &request).await), FaultCode::TryAgain);
    let ear = spies(&pbx, &SpyRequest { wait: true, ..request }).await;
    assert_eq!(ear.facts.state, SpyState::Waiting);
    called.answers().await;
    calling.expects([200]).await.ack().await;
    hear_each_other(&mut calling, &mut called).await;
    ear.hears(only(Tone::A), only(Tone::B)).await;
}

#[tokio::test]
async fn all_calls_are_gone_through_one_entry_each_and_only_those_of_the_group() {
    let pbx = TestPbx::with(PLAN).await;
    let (_a, _b) = call(&pbx, "alice", "bob").await;
    let (mut dave, mut carol) = call(&pbx, "dave", "carol").await;
    dave.says(Tone::C).await;
    carol.says(Tone::D).await;
    let all = SpyRequest::new(SpyTarget::All { order: Order::Oldest });
    let mut ear = spies(&pbx, &all).await;
    for _ in 0..2 {
        ear.hears(only(Tone::A), only(Tone::B)).await;
        ear.goes_on().await;
        ear.hears(only(Tone::C), only(Tone::D)).await;
        ear.goes_on().await;
    }
    let grouped = SpyRequest { groups: vec!["night".into()], ..all };
    let mut ear = spies(&pbx, &grouped).await;
    ear.hears(only(Tone::C), only(Tone::D)).await;
    ear.goes_on().await;
    ear.hears(only(Tone::C), only(Tone::D)).await;
    assert!(!ear.ever_heard(Tone::A) && !ear.ever_heard(Tone::B), "S058: not one frame of another group");
}

#[tokio::test]
async fn a_walk_leaves_out_who_may_not_be_heard_oneself_and_other_supervisors() {
    let pbx = TestPbx::with(PLAN).await;
    let (_a, _b) = call(&pbx, "alice", "bob").await;
    let (_d, _c) = call(&pbx, "dave", "carol").await;
    let exchange = pbx.pbx.exchange();
    sets(&pbx, |config| config.users.get_mut("dave").expect("dave").may_spy = SpyRight::Listen);
    let calls = pbx.calls().await;
    let daves =
        calls.iter().flat_map(|call| &call.legs).find(|leg| leg.number == "dave").expect("dave's leg").uuid.clone();
    let phone = OwnPhone { leg: daves.clone(), channel: "SIP/dave-1".into() };
    let wish =
        Wish::listen(Rights::User("dave".into()), Via::Dialplan { phone, application: "ChanSpy" }, String::new());
    let choice = |whose| Choice { whose, bridged_only: true, order: Order::Newest };
    let mut walk = Walk::new(exchange, wish.clone(), choice(Whose::Everybody));
    for _ in 0..3 {
        let found = walk.next().expect("the other call");
        assert_eq!(found.call.from, "alice", "one entry a call, never one's own");
    }
    let mut legs =
        Walk::new(exchange, wish.clone(), choice(Whose::Prefixes(vec!["sip/ALICE".into(), "SIP/bob".into()])));
    let names: Vec<_> = std::iter::from_fn(|| legs.fresh()).map(|found| found.leg.device().to_owned()).collect();
    assert_eq!(names, ["SIP/alice", "SIP/bob"]);
    let own = attach(exchange, Wish { uuid: daves.to_uppercase(), ..wish }).await.err();
    assert_eq!(own, Some(SpyError::OwnLeg(daves)), "S008, S006");
    sets(&pbx, |config| config.users.get_mut("bob").expect("bob").may_be_spied = false);
    assert!(walk.next().is_none() && walk.is_empty());
}

#[tokio::test]
async fn sessions_are_listed_with_what_they_do_now() {
    let pbx = TestPbx::with(PLAN).await;
    let (_a, _b) = call(&pbx, "alice", "bob").await;
    let uuid = pbx.calls().await[0].uuid.clone();
    let request = SpyRequest { reason: Some("training".into()), ..SpyRequest::new(SpyTarget::Uuid(uuid.clone())) };
    let mut ear = spies(&pbx, &request).await;
    ear.changes_to(Mode::Barge, None).await;
    let spies: Vec<SpyInfo> = pbx.client().await.list(method::SPIES, &()).await.expect("a list");
    assert_eq!(spies.len(), 1);
    let spy = &spies[0];
    assert_eq!((spy.who.as_str(), spy.via.as_str(), spy.reason.as_deref()), ("admin", "socket", Some("training")));
    assert_eq!((&spy.facts.call, spy.facts.mode, spy.facts.peer.number.as_str()), (&uuid, Mode::Barge, "bob"));
    assert_eq!(spy.facts.session, ear.facts.session);
}
