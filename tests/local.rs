//! Local channels as phones meet them: a call that goes on in the dialplan as if it came in anew (S207, S209–S212).

use wirechief::control::protocol::{Originate, Originated, method};

use crate::call::{both_answer, hear_each_other, talk};
use crate::harness::{PATIENCE, TestPbx, Tone, only};

const LOCAL: &str = "exten => bob,1,Dial(Local/inner@internal/n,10)
exten => far,1,Dial(Local/bob@internal&Local/none@internal,10)
exten => inner,1,Dial(SIP/bob,10)
exten => echo,1,Dial(Local/repeats@internal,10)
exten => repeats,1,Answer()
 same => n,Echo()
exten => gone,1,Dial(Local/none@internal)
exten => nowhere,1,Dial(Local/none@there)
exten => silent,1,Dial(Local/noop@internal)
exten => noop,1,NoOp()
exten => loop,1,Dial(Local/loop@internal)
exten => storm,1,Dial(Local/storm@internal&Local/storm@internal)
";

#[tokio::test]
async fn s211_a_local_channel_carries_sound_keys_and_hangup_both_ways() {
    let pbx = TestPbx::with(LOCAL).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    for number in ["bob", "far"] {
        let (mut calling, mut called) = talk(&alice, &mut bob, number).await;
        hear_each_other(&mut calling, &mut called).await;
        calling.presses("12#").await;
        called.hears_digits("12#").await.presses("9*").await;
        calling.hears_digits("9*").await.hangs_up().await;
        called.is_hung_up().await;
        pbx.is_idle().await;
        let (mut calling, mut called) = talk(&alice, &mut bob, number).await;
        called.hangs_up().await;
        calling.is_hung_up().await;
        pbx.is_idle().await;
    }
}

#[tokio::test]
async fn early_sound_and_a_caller_who_gives_up_pass_through_a_local_channel() {
    let pbx = TestPbx::with(LOCAL).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.progresses().await.says(Tone::B).await;
    calling.expects([183]).await.hears(only(Tone::B)).await;
    both_answer(&mut calling, &mut called).await;
    hear_each_other(&mut calling, &mut called).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    calling.expects([180]).await.cancels().await;
    called.is_cancelled().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn what_the_dialplan_behind_a_local_channel_does_is_what_the_caller_hears_of() {
    let pbx = TestPbx::with(LOCAL).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut call = alice.invite("echo").await;
    call.expects([200]).await.ack().await;
    call.says(Tone::A).await.hears(only(Tone::A)).await.presses("#").await;
    call.is_hung_up().await;
    let mut calling = alice.invite("bob").await;
    bob.is_called().await.refuses(486).await;
    calling.is_refused(&[486]).await;
    for (number, status) in [("gone", 404), ("nowhere", 404), ("silent", 480)] {
        alice.invite(number).await.is_refused(&[status]).await;
    }
    pbx.is_idle().await;
}

#[tokio::test]
async fn a_local_channel_that_calls_itself_ends_as_a_routing_error() {
    let pbx = TestPbx::with(LOCAL).await;
    let alice = pbx.phone("alice").await;
    for number in ["loop", "storm"] {
        alice.invite(number).await.is_refused(&[483]).await;
        pbx.is_idle().await;
    }
}

#[tokio::test]
async fn marked_variables_and_the_caller_go_along_one_generation_or_all() {
    let plan = "exten => go,1,Set(_ONE=1)
 same => n,Set(__ALL=2)
 same => n,Set(OWN=3)
 same => n,Set(CALLERID(all)=\"A. L.\" <77>)
 same => n,Dial(Local/next@internal)
exten => next,1,GotoIf($[\"${ONE}.${ALL}.${OWN}.${CALLERID(num)}\" = \"1.2..77\"]?:wrong)
 same => n,Dial(Local/last@internal)
 same => n(wrong),Busy()
exten => last,1,GotoIf($[\"${ONE}.${ALL}.${OWN}\" = \".2.\"]?:wrong)
 same => n,Dial(SIP/bob)
 same => n(wrong),Congestion()";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("go").await;
    let mut called = bob.is_called().await;
    assert!(called.invite().all("From").iter().any(|from| from.contains("A. L.") && from.contains("77@")));
    both_answer(&mut calling, &mut called).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s211_originate_calls_through_a_local_channel_and_runs_an_application_or_an_extension() {
    let plan = "exten => app,1,Originate(Local/inner@internal,app,Echo,,,9,v(__SAID=yes^OWN=1)c(77)n(Call \"R\"))
 same => n,GotoIf($[\"${ORIGINATE_STATUS}\" = \"SUCCESS\"]?:wrong)
 same => n,Answer()
 same => n,Wait(30)
 same => n(wrong),Congestion()
exten => exten,1,Originate(Local/inner@internal/n,exten,internal,room,1)
 same => n,GotoIf($[\"${ORIGINATE_STATUS}\" = \"SUCCESS\"]?:wrong)
 same => n,Busy()
 same => n(wrong),Congestion()
exten => inner,1,GotoIf($[\"${SAID}${OWN}\" = \"yes1\" | \"${SAID}\" = \"\"]?:wrong)
 same => n,Dial(SIP/bob)
 same => n(wrong),Busy()
exten => room,1,Answer()
 same => n,Echo()";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("app").await;
    let mut called = bob.is_called().await;
    assert!(called.invite().all("From").iter().any(|from| from.contains("77@")));
    called.answers().await.says(Tone::B).await.hears(only(Tone::B)).await;
    calling.expects([200]).await.ack().await.hangs_up().await;
    called.hears(only(Tone::B)).await.presses("#").await;
    called.is_hung_up().await;
    pbx.is_idle().await;
    let mut calling = alice.invite("exten").await;
    let mut called = bob.is_called().await;
    called.answers().await;
    calling.is_refused(&[486]).await;
    called.says(Tone::B).await.hears(only(Tone::B)).await.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn originate_tells_why_nobody_came_and_a_loop_of_it_ends() {
    let plan = "exten => bob,1,Originate(SIP/bob,app,Echo,,,9)
 same => n,GotoIf($[\"${ORIGINATE_STATUS}\" = \"BUSY\"]?:wrong)
 same => n,Originate(Local/none@internal,app,Echo)
 same => n,GotoIf($[\"${ORIGINATE_STATUS}\" = \"FAILED\"]?:wrong)
 same => n,Originate(SIP/bob,app,Echo,,,3)
 same => n,GotoIf($[\"${ORIGINATE_STATUS}\" = \"RINGING\"]?:wrong)
 same => n,Busy()
 same => n(wrong),Congestion()
exten => loop,1,Answer()
 same => n,Originate(Local/loop@internal,app,NoOp,,,5,a)
 same => n,Hangup()";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("bob").await;
    bob.is_called().await.refuses(486).await;
    let mut called = bob.is_called().await;
    called.rings().await;
    called.is_cancelled().await;
    calling.is_refused(&[486]).await;
    let mut calling = alice.invite("loop").await;
    calling.expects([200]).await.ack().await;
    calling.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s211_the_control_socket_originates_a_local_channel_into_an_application() {
    let pbx = TestPbx::with(LOCAL).await;
    let mut bob = pbx.phone("bob").await;
    let wanted = Originate {
        endpoint: "Local/inner@internal".into(),
        app: "Echo".into(),
        args: String::new(),
        vars: Vec::new(),
        timeout_s: None,
        ..Originate::default()
    };
    let mut client = pbx.client().await;
    let originated = async move {
        let _: Originated = client.request(method::ORIGINATE, &wanted).await.expect("an answer");
    };
    let called = async {
        let mut called = bob.is_called().await;
        called.answers().await;
        called
    };
    let ((), mut called) = tokio::join!(originated, called);
    called.says(Tone::B).await.hears(only(Tone::B)).await.hangs_up().await;
    pbx.is_idle().await;
}

const ROOM: &str = "exten => room,1,Answer()
 same => n,GotoIf(${GROUP_FIRST(12345@conference)}?first:in)
 same => n(first),Originate(Local/bridge@internal,app,ConfBridge,12345,,10,a)
 same => n(in),ConfBridge(12345)
exten => bridge,1,Dial(SIP/bob)
exten => h,1,GotoIf($[${CONFBRIDGE_INFO(parties,12345)} = 1]?last)
 same => n,Hangup()
 same => n(last),SoftHangup(SIP/bob,a)";

#[tokio::test]
async fn s202_s210_two_who_enter_at_the_same_time_make_one_bridge_call_and_the_last_to_leave_ends_it() {
    let pbx = TestPbx::with(ROOM).await;
    let (alice, mut bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let (mut one, mut two) = tokio::join!(alice.invite("room"), carol.invite("room"));
    one.expects([200]).await.ack().await;
    two.expects([200]).await.ack().await;
    let mut called = bob.is_called().await;
    called.answers().await.says(Tone::B).await;
    one.says(Tone::A).await.hears(only(Tone::B)).await;
    two.hears(vec![Tone::A, Tone::B]).await;
    called.hears(only(Tone::A)).await;
    pbx.shows("one call to bob", PATIENCE, |now| now.legs == 5).await;
    one.hangs_up().await;
    two.hears(only(Tone::B)).await.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
}
