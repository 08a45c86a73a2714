//! Every option of Dial, as both parties meet it.

use wirechief::dialplan::Dialplan;

use crate::call::{both_answer, hear_each_other, talk};
use crate::harness::{Call, TestPbx, Tone, nothing, only};

/// Alice calls `number`, Bob is called; whoever runs this goes on from there.
async fn alice_calls(pbx: &TestPbx, number: &str) -> (Call, Call) {
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let calling = alice.invite(number).await;
    let called = bob.is_called().await;
    (calling, called)
}

/// The caller hears what a plan gives as its result, as a status: 200 is right.
const RIGHT: &str = "\nexten => right,1,Answer()\n same => n,Echo()\n";

async fn goes_right(call: &mut Call) {
    call.expects([200]).await.ack().await;
    call.says(Tone::A).await.hears(only(Tone::A)).await.hangs_up().await;
}

fn plan(lines: &str) -> String {
    format!("{lines}{RIGHT}")
}

#[tokio::test]
async fn s178_every_written_target_rings_and_a_value_is_one() {
    let lines = "exten => both,1,Set(RING=SIP/bob&SIP/carol)\n same => n,Gosub(sub,1(${RING}))\nexten => sub,1,Dial(${ARG1},5)\n same => n,Hangup()\nexten => one,1,Set(RING=SIP/bob&SIP/${EXTEN})\n same => n,Dial(${RING},5)\n same => n,GotoIf($[\"${DIALSTATUS}\" = \"CHANUNAVAIL\"]?right,1)";
    let pbx = TestPbx::with(&plan(lines)).await;
    let (alice, mut bob, mut carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let mut calling = alice.invite("both").await;
    let (mut first, mut second) = (bob.is_called().await, carol.is_called().await);
    first.rings().await;
    calling.expects([180]).await;
    both_answer(&mut calling, &mut second).await;
    let cancel = first.is_cancelled().await;
    assert_eq!(Call::cause(&cancel, "SIP"), Some(200), "answered elsewhere");
    calling.hangs_up().await;
    second.is_hung_up().await;
    goes_right(&mut alice.invite("one").await).await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn the_times_and_names_of_a_call_are_left_behind() {
    let lines = "exten => bob,1,Dial(SIP/bob,10,g)
 same => n,GotoIf($[\"${DIALSTATUS}.${DIALEDPEERNUMBER}.${HANGUPCAUSE}\" = \"ANSWER.bob.16\"]?:wrong)
 same => n,GotoIf($[${RINGTIME_MS} <= ${DIALEDTIME_MS} & ${ANSWEREDTIME_MS} <= ${DIALEDTIME_MS} & ${ANSWEREDTIME} = 0]?:wrong)
 same => n,GotoIf($[\"${PROGRESSTIME}${FORWARDERNAME}\" = \"\" & \"${DIALEDPEERNAME:0:8}\" = \"SIP/bob-\"]?right,1)
 same => n(wrong),Hangup()
exten => none,1,Dial(SIP/carol,10)
 same => n,GotoIf($[\"${DIALSTATUS}.${ANSWEREDTIME}.${DIALEDTIME}\" = \"CHANUNAVAIL..0\"]?right,1)";
    let pbx = TestPbx::with(&plan(lines)).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    called.hangs_up().await;
    calling.says(Tone::A).await.hears(only(Tone::A)).await.hangs_up().await;
    goes_right(&mut alice.invite("none").await).await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn a_phone_that_says_nothing_is_given_up_after_the_second_time() {
    let lines =
        "exten => bob,1,Dial(SIP/bob,30^0.3)\n same => n,GotoIf($[\"${DIALSTATUS}\" = \"CHANUNAVAIL\"]?right,1)";
    let pbx = TestPbx::with(&plan(lines)).await;
    let (mut calling, mut called) = alice_calls(&pbx, "bob").await;
    called.is_cancelled().await;
    goes_right(&mut calling).await;
}

#[tokio::test]
async fn b_runs_on_each_called_party_before_its_invite() {
    let lines = "exten => bob,1,Set(_SEEN=x y)
 same => n,Dial(SIP/bob,5,b(pre^1(${EXTEN}^a)))
exten => pre,1,Set(CALLERID(num)=${ARG1}-${ARG2}-${CALLERID(num)})
 same => n,Set(CALLERID(name)=${SEEN})
 same => n,Return()
exten => never,1,Dial(SIP/bob,5,b(gone^1))
 same => n,GotoIf($[\"${DIALSTATUS}\" = \"CHANUNAVAIL\"]?right,1)
exten => gone,1,Hangup()";
    let pbx = TestPbx::with(&plan(lines)).await;
    let alice = pbx.phone("alice").await;
    let mut bob = pbx.phone("bob").await;
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    let invite = called.invite();
    let from = invite.header("From").unwrap_or("").to_owned();
    assert!(from.contains("bob-a-alice@") && from.contains("x y"), "{from}");
    both_answer(&mut calling, &mut called).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    goes_right(&mut alice.invite("never").await).await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn u_asks_the_called_party_before_the_caller_is_connected() {
    let lines = "exten => bob,1,Set(__WANT=CONTINUE)\n same => n,Dial(SIP/bob,5,U(asks^BUSY))
 same => n,GotoIf($[\"${DIALSTATUS}\" = \"BUSY\"]?right,1)
 same => n,Hangup()
exten => go,1,Dial(SIP/bob,5,U(goes))
exten => talk,1,Dial(SIP/bob,5,U(talks))
[asks]
exten => s,1,Wait(0.05)
 same => n,Set(GOSUB_RESULT=${ARG1})
 same => n,Return()
[goes]
exten => s,1,Set(GOSUB_RESULT=GOTO:internal^right^1)
 same => n,Return()
[talks]
exten => s,1,Playback(beep)
 same => n,Return()
[internal]
";
    let pbx = TestPbx::with(&plan(lines)).await;
    for number in ["bob", "go"] {
        let (mut calling, mut called) = alice_calls(&pbx, number).await;
        called.answers().await;
        called.is_hung_up().await;
        goes_right(&mut calling).await;
    }
    let (mut calling, mut called) = alice_calls(&pbx, "talk").await;
    both_answer(&mut calling, &mut called).await;
    assert!(called.dialog.media.loudest() > 1_000, "the beep was heard");
    hear_each_other(&mut calling, &mut called).await;
}

#[tokio::test]
async fn a_caller_who_leaves_while_the_called_party_is_asked_ends_that_too() {
    let lines = "exten => bob,1,Dial(SIP/bob,5,U(asks))\n[asks]\nexten => s,1,Wait(60)\n same => n,Return()";
    let pbx = TestPbx::with(lines).await;
    let (mut calling, mut called) = alice_calls(&pbx, "bob").await;
    called.answers().await;
    calling.cancels().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn announcements_are_heard_by_whom_they_are_for() {
    let lines = "exten => bob,1,Dial(SIP/bob,5,A(beep))\nexten => both,1,Dial(SIP/bob,5,A(:beep))";
    let pbx = TestPbx::with(lines).await;
    for (number, beep) in [("bob", [false, true]), ("both", [true, false])] {
        let (mut calling, mut called) = alice_calls(&pbx, number).await;
        both_answer(&mut calling, &mut called).await;
        // silence both ways once they are connected
        calling.hears(nothing()).await;
        called.hears(nothing()).await;
        let heard = [&calling, &called].map(|call| call.dialog.media.loudest() > 1_000);
        assert_eq!(heard, beep, "{number}");
        calling.hangs_up().await;
        called.is_hung_up().await;
    }
}

#[tokio::test]
async fn s_and_l_end_a_call_and_l_warns_before() {
    let lines = "exten => bob,1,Dial(SIP/bob,5,S(0.3)g)\n same => n,Goto(right,1)
exten => warn,1,Set(LIMIT_PLAYAUDIO_CALLEE=yes)\n same => n,Set(LIMIT_PLAYAUDIO_CALLER=no)\n same => n,Dial(SIP/bob,5,L(900:500))";
    let pbx = TestPbx::with(&plan(lines)).await;
    let (mut calling, mut called) = alice_calls(&pbx, "bob").await;
    both_answer(&mut calling, &mut called).await;
    called.is_hung_up().await;
    calling.says(Tone::A).await.hears(only(Tone::A)).await.hangs_up().await;
    let (mut calling, mut called) = alice_calls(&pbx, "warn").await;
    both_answer(&mut calling, &mut called).await;
    called.is_hung_up().await;
    calling.is_hung_up().await;
    let heard = [&calling, &called].map(|call| call.dialog.media.loudest() > 1_000);
    assert_eq!(heard, [false, true]);
}

#[tokio::test]
async fn either_party_may_end_the_call_by_a_star_if_it_may() {
    let lines = "exten => bob,1,Dial(SIP/bob,5,hg)\n same => n,Goto(right,1)\nexten => mine,1,Dial(SIP/bob,5,H)";
    let pbx = TestPbx::with(&plan(lines)).await;
    let (mut calling, mut called) = alice_calls(&pbx, "bob").await;
    both_answer(&mut calling, &mut called).await;
    hear_each_other(&mut calling, &mut called).await;
    called.presses("1*").await.is_hung_up().await;
    calling.hears(only(Tone::A)).await.hangs_up().await;
    let (mut calling, mut called) = alice_calls(&pbx, "mine").await;
    both_answer(&mut calling, &mut called).await;
    called.presses("*").await;
    hear_each_other(&mut calling, &mut called).await;
    calling.presses("*").await.is_hung_up().await;
    called.is_hung_up().await;
}

#[tokio::test]
async fn the_called_party_goes_on_elsewhere_when_the_caller_left() {
    let lines =
        "exten => bob,1,Dial(SIP/bob,5,F(right^1))\nexten => next,1,Dial(SIP/bob,5,F)\n same => n,Goto(right,1)";
    let pbx = TestPbx::with(&plan(lines)).await;
    for number in ["bob", "next"] {
        let (mut calling, mut called) = alice_calls(&pbx, number).await;
        both_answer(&mut calling, &mut called).await;
        hear_each_other(&mut calling, &mut called).await;
        calling.hangs_up().await;
        called.hears(only(Tone::B)).await.hangs_up().await;
        pbx.is_idle().await;
    }
}

#[tokio::test]
async fn g_capital_sends_both_parties_on_their_ways() {
    let lines = "exten => bob,1,Dial(SIP/bob,5,G(two^1))\nexten => two,1,Goto(right,1)\n same => n,Playtones(650)\n same => n,Wait(30)";
    let pbx = TestPbx::with(&plan(lines)).await;
    let (mut calling, mut called) = alice_calls(&pbx, "bob").await;
    both_answer(&mut calling, &mut called).await;
    calling.says(Tone::A).await.hears(only(Tone::A)).await;
    called.dialog.media.receives("bob", 25).await;
    assert!(called.dialog.media.loudest() > 1_000, "the tone of the second priority");
    calling.hangs_up().await;
    called.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn music_or_ringing_is_heard_until_the_answer() {
    let lines =
        "exten => bob,1,Dial(SIP/bob,5,m)\nexten => tone,1,Dial(SIP/bob,5,r(650))\nexten => ring,1,Dial(SIP/bob,5,R)";
    let pbx = TestPbx::with(lines).await;
    for number in ["bob", "tone"] {
        let (mut calling, mut called) = alice_calls(&pbx, number).await;
        calling.expects([183]).await;
        calling.dialog.media.receives("alice", 50).await;
        assert!(calling.dialog.media.loudest() > 500, "{number}");
        both_answer(&mut calling, &mut called).await;
        calling.hears(nothing()).await;
        hear_each_other(&mut calling, &mut called).await;
        calling.hangs_up().await;
        called.is_hung_up().await;
    }
    let (mut calling, mut called) = alice_calls(&pbx, "ring").await;
    calling.expects([180]).await;
    called.progresses().await.says(Tone::B).await;
    calling.expects([183]).await.hears(only(Tone::B)).await.cancels().await;
    called.is_cancelled().await;
}

#[tokio::test]
async fn a_key_while_it_rings_leads_elsewhere() {
    let lines = "exten => bob,1,Answer()\n same => n,Dial(SIP/bob,5,dc)\nexten => 7,1,Goto(right,1)\nexten => star,1,Answer()\n same => n,Dial(SIP/bob,5,H)\n same => n,GotoIf($[\"${DIALSTATUS}\" = \"CANCEL\"]?right,1)";
    let pbx = TestPbx::with(&plan(lines)).await;
    for (number, keys, cause) in [("bob", "57", 200), ("star", "1*", 16)] {
        let (mut calling, mut called) = alice_calls(&pbx, number).await;
        calling.expects([200]).await.ack().await.presses(keys).await;
        let cancel = called.is_cancelled().await;
        let protocol = if cause == 200 { "SIP" } else { "Q.850" };
        assert_eq!(Call::cause(&cancel, protocol), Some(cause), "{number}");
        calling.says(Tone::A).await.hears(only(Tone::A)).await.hangs_up().await;
    }
}

#[tokio::test]
async fn the_caller_is_shown_as_the_options_say() {
    let lines = "exten => other,1,Dial(SIP/bob,5,o(5551234))\nexten => nobody,1,Dial(SIP/bob,5,u(prohib))\nexten => open,1,Dial(SIP/bob,5,u(allowed)oiIj)";
    let pbx = TestPbx::with(lines).await;
    for (number, shown, privacy) in
        [("other", "sip:5551234@", None), ("nobody", "sip:anonymous@", Some("id")), ("open", "sip:alice@", None)]
    {
        let (mut calling, mut called) = alice_calls(&pbx, number).await;
        let invite = called.invite();
        assert!(invite.header("From").is_some_and(|from| from.contains(shown)), "{number}");
        assert_eq!(invite.header("Privacy"), privacy, "{number}");
        called.refuses(486).await;
        calling.is_refused(&[486]).await;
    }
}

#[tokio::test]
async fn those_who_lose_are_told_the_cause_that_is_written() {
    let lines = "exten => two,1,Dial(SIP/bob&SIP/carol,5,Q(NORMAL_CLEARING))";
    let pbx = TestPbx::with(lines).await;
    let (alice, mut bob, mut carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let mut calling = alice.invite("two").await;
    let (mut first, mut second) = (bob.is_called().await, carol.is_called().await);
    first.rings().await;
    calling.expects([180]).await;
    both_answer(&mut calling, &mut second).await;
    assert_eq!(Call::cause(&first.is_cancelled().await, "Q.850"), Some(16));
}

#[tokio::test]
async fn h_runs_for_the_called_party_too_and_a_gosub_before_all() {
    let lines = "exten => bob,1,Dial(SIP/bob,5,eB(pre^1))
exten => pre,1,Set(CALLERID(name)=before)\n same => n,Return()
exten => h,1,Set(GLOBAL(SEEN)=${SEEN}${CHANNEL:4:3})
exten => what,1,GotoIf($[\"${SEEN}\" = \"bobali\"]?right,1)";
    let pbx = TestPbx::with(&plan(lines)).await;
    let (mut calling, mut called) = alice_calls(&pbx, "bob").await;
    assert!(called.invite().header("From").is_some_and(|from| from.contains("before")));
    both_answer(&mut calling, &mut called).await;
    called.hangs_up().await;
    calling.is_hung_up().await;
    pbx.is_idle().await;
    goes_right(&mut pbx.phone("alice").await.invite("what").await).await;
}

#[tokio::test]
async fn a_party_that_may_sends_the_other_elsewhere_with_its_own_rights() {
    let lines = "exten => bob,1,Dial(SIP/bob,5,tT)
exten => 55,1,Goto(right,1)
exten => out,1,Set(__TRANSFER_CONTEXT=elsewhere)\n same => n,Dial(SIP/bob,5,t)";
    let pbx = TestPbx::with(&plan(lines)).await;
    // the caller sends the called party
    let (mut calling, mut called) = alice_calls(&pbx, "bob").await;
    both_answer(&mut calling, &mut called).await;
    hear_each_other(&mut calling, &mut called).await;
    calling.presses("#55#").await.is_hung_up().await;
    called.hears(only(Tone::B)).await.hangs_up().await;
    pbx.is_idle().await;
    // the called party sends the caller
    let (mut calling, mut called) = alice_calls(&pbx, "bob").await;
    both_answer(&mut calling, &mut called).await;
    hear_each_other(&mut calling, &mut called).await;
    called.presses("#55#").await.is_hung_up().await;
    calling.hears(only(Tone::A)).await.hangs_up().await;
    pbx.is_idle().await;
    // a number outside its context is nowhere, and the talk goes on
    let (mut calling, mut called) = alice_calls(&pbx, "out").await;
    both_answer(&mut calling, &mut called).await;
    called.presses("#55#").await;
    hear_each_other(&mut calling, &mut called).await;
}

#[tokio::test]
async fn options_that_mean_nothing_here_are_refused_by_name() {
    for letter in ["E", "K", "M(x)", "N", "O", "P", "W", "X", "f", "k", "n", "p", "s", "w", "x", "z"] {
        let plan = format!("[internal]\nexten => 1,1,Dial(SIP/bob,5,{letter})\n");
        let errors = Dialplan::parse(&[("extensions.conf".into(), plan)]).expect_err(letter);
        let error = errors.first().map(ToString::to_string).unwrap_or_default();
        assert!(error.contains("is not supported: "), "{letter}: {error}");
    }
}

#[tokio::test]
async fn s044_queued_keys_are_those_of_the_channel_itself_for_what_runs_next() {
    let lines = "exten => 1,1,Answer()\n same => n,queue_dtmf(w1W2@60)\n same => n,Read(KEYS,,2)\n same => n,GotoIf($[\"${KEYS}\" = \"12\"]?right,1)";
    let pbx = TestPbx::with(&plan(lines)).await;
    goes_right(&mut pbx.phone("alice").await.invite("1").await).await;
}

#[tokio::test]
async fn senddtmf_presses_keys_towards_its_own_phone_or_another() {
    let lines = "exten => bob,1,Answer()\n same => n,Set(GLOBAL(THERE)=${CHANNEL})\n same => n,Wait(30)
exten => 1,1,Answer()\n same => n,SendDTMF(1w2#,40,60)\n same => n,SendDTMF(34,,,${THERE})\n same => n,Wait(30)";
    let pbx = TestPbx::with(lines).await;
    let (alice, carol) = (pbx.phone("alice").await, pbx.phone("carol").await);
    let mut there = carol.invite("bob").await;
    there.expects([200]).await.ack().await;
    let mut here = alice.invite("1").await;
    here.expects([200]).await.ack().await.hears_digits("12#").await;
    there.hears_digits("34").await;
}

#[tokio::test]
async fn music_on_hold_is_played_for_its_time() {
    let lines = "exten => 1,1,Answer()\n same => n,MusicOnHold(,0.4)\n same => n,StartMusicOnHold()\n same => n,Wait(0.1)\n same => n,StopMusicOnHold()\n same => n,Hangup()";
    let pbx = TestPbx::with(lines).await;
    let mut call = pbx.phone("alice").await.invite("1").await;
    call.expects([200]).await.ack().await;
    call.is_hung_up().await;
    assert!(call.dialog.media.loudest() > 500);
}
