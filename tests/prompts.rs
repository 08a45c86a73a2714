//! Applications that speak with a caller, as a phone's keys meet them: menus, PINs, time limits.

use wirechief::call::trace::What;

use crate::harness::{PATIENCE, TestPbx, Tone, Unusual};

/// A phone that is answered, its keys read into P (the plan's own lines before), and the call ended with 17 when P is right.
async fn entered(read: &str, keys: &str, value: &str) {
    let plan = format!(
        "exten => 100,1,Answer()\n same => n,{read}\n same => n,UserEvent(read,p: ${{P}},status: ${{READSTATUS}})\n \
         same => n,GotoIf($[\"${{P}}\" = \"{value}\"]?right)\n same => n,Hangup(21)\n same => n(right),Hangup(17)"
    );
    let pbx = TestPbx::with(&plan).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.presses(keys).await;
    alice.is_hung_up().await;
    let record = &pbx.records(1).await[0];
    assert_eq!(record["cause"], 17, "{read} with {keys} should give {value}");
}

#[tokio::test]
async fn s169_three_digits_end_by_themselves_and_without_a_maximum_hash_ends_them() {
    entered("Read(P,beep,3)", "123", "123").await;
    entered("Read(P,beep)", "98765#", "98765").await;
    entered("Read(P,,0)", "*1#", "*1").await;
    entered("Read(P,,,t(*))", "1#2*", "1#2").await;
    entered("Read(P,,,e)", "#", "#").await;
    entered("Read(P,,,,2)", "#7#", "7").await;
}

#[tokio::test]
async fn s170_prompts_joined_by_ampersands_play_one_after_another_and_the_first_key_ends_them() {
    let prompts = vec!["demo-congrats"; 40].join("&");
    entered(&format!("Read(P,{prompts},2)"), "42", "42").await;
}

#[tokio::test]
async fn a_caller_who_presses_nothing_is_not_waited_for_longer_than_the_timeout() {
    entered("Read(P,,,,,0.2)", "", "").await;
    entered("Read(P,,5,,,3)", "12", "12").await;
    entered("Read(P,dial,2,i)", "34", "34").await;
    entered("Read(P,silence/1,4,,1,0.2)", "", "").await;
}

#[tokio::test]
async fn keys_pressed_while_a_prompt_is_played_to_its_end_are_not_taken_for_later_ones() {
    let plan = "exten => 100,1,Answer()\n same => n,Read(A,,3)\n same => n,Playback(silence/1)\n same => n,Read(B,,2)\n \
                same => n,GotoIf($[\"${A}-${B}\" = \"123-45\"]?right)\n same => n,Hangup(21)\n same => n(right),Hangup(17)";
    let pbx = TestPbx::with(plan).await;
    let (to, mut lines) = tokio::sync::mpsc::channel(1_000);
    pbx.pbx.exchange().traces.wait_for("100".to_owned(), to);
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.presses("123#").await;
    // the prompt is over when the next keys are read
    let is_read = async {
        while let Some(line) = lines.recv().await {
            if matches!(&line.what, What::Step { step, .. } if step.starts_with("Read(B,")) {
                return;
            }
        }
        panic!("the call is over");
    };
    tokio::time::timeout(PATIENCE, is_read).await.expect("the second keys are read");
    alice.presses("45").await;
    alice.is_hung_up().await;
    assert_eq!(pbx.records(1).await[0]["cause"], 17);
}

/// A menu: 1 by itself, 123 beside it, 2XX, and what is wrong.
const MENU: &str = "exten => 100,1,Answer()\n same => n,Set(TIMEOUT(digit)=2)\n same => n,MENU\n \
    same => n,WaitExten(5)\nexten => 1,1,Hangup(1)\nexten => 123,1,Hangup(17)\nexten => _2XX,1,Hangup(34)\n\
    exten => i,1,Hangup(28)\nexten => t,1,Hangup(19)\n";

async fn menu(app: &str, keys: &str) -> i64 {
    let pbx = TestPbx::with(&MENU.replace("MENU", app)).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.presses(keys).await;
    alice.is_hung_up().await;
    pbx.records(1).await[0]["cause"].as_i64().expect("a cause")
}

#[tokio::test]
async fn s172_a_menu_goes_to_what_is_dialled_to_i_or_to_t() {
    let long = ["demo-congrats"; 20].join("&");
    let background = format!("BackGround({long})");
    assert_eq!(menu(&background, "123").await, 17, "a longer number");
    assert_eq!(menu(&background, "1").await, 1, "a number that is complete when no further key comes");
    assert_eq!(menu("BackGround(beep)", "255").await, 34, "typed after the prompt");
    assert_eq!(menu("NoOp()", "9").await, 28, "a number that is none");
    assert_eq!(menu("NoOp()", "24").await, 28, "half a number");
    assert_eq!(menu("WaitExten(5,m(default))", "1").await, 1, "with music until the key");
    assert_eq!(menu("WaitExten(0.3)", "123").await, 17, "the next priority is waited at, too");
}

#[tokio::test]
async fn s172_a_caller_who_dials_nothing_ends_at_t() {
    let plan = "exten => 100,1,Answer()\n same => n,Set(TIMEOUT(response)=0.3)\n same => n,WaitExten()\nexten => t,1,Hangup(19)";
    let pbx = TestPbx::with(plan).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await.is_hung_up().await;
    assert_eq!(pbx.records(1).await[0]["cause"], 19);
}

#[tokio::test]
async fn a_call_that_lasts_too_long_goes_on_at_t_capital_even_out_of_a_bridge() {
    let plan = "exten => 100,1,Answer()\n same => n,Set(TIMEOUT(absolute)=0.4)\n same => n,Wait(30)\nexten => T,1,Hangup(31)\n\
                exten => bob,1,Set(TIMEOUT(absolute)=4)\n same => n,Dial(SIP/bob,10)";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut call = alice.invite("100").await;
    call.expects([200]).await.ack().await.is_hung_up().await;
    assert_eq!(pbx.records(1).await[0]["cause"], 31);
    let (mut calling, mut called) = crate::call::talk(&alice, &mut bob, "bob").await;
    called.is_hung_up().await;
    calling.is_hung_up().await;
    assert_eq!(pbx.records(2).await[1]["cause"], 31);
    pbx.is_idle().await;
}

#[tokio::test]
async fn digits_letters_and_numbers_are_said() {
    let plan = "exten => 100,1,Answer()\n same => n,SayDigits(7)\n same => n,SayNumber(42)\n same => n,SayAlpha(a@b)\n \
                same => n,SayPhonetic(z)\n same => n,Hangup(17)";
    let pbx = TestPbx::with(plan).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await.is_hung_up().await;
    assert!(alice.dialog.media.loudest() > 1_000, "something was said");
    assert_eq!(pbx.records(1).await[0]["cause"], 17);
}

#[tokio::test]
async fn said_digits_are_ended_by_a_key_where_the_plan_wants_it() {
    let plan = "exten => 100,1,Answer()\n same => n,Set(SAY_DTMF_INTERRUPT=true)\n same => n,SayDigits(01234567890123456789)\n \
                same => n,Hangup(21)\nexten => 5,1,Hangup(17)";
    let pbx = TestPbx::with(plan).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.presses("5").await.is_hung_up().await;
    assert_eq!(pbx.records(1).await[0]["cause"], 17);
}

#[tokio::test]
async fn readexten_says_whether_what_was_dialled_is_there() {
    let plan = "exten => 100,1,Answer()\n same => n,Set(TIMEOUT(digit)=2)\n same => n,ReadExten(E,beep,other,,1)\n \
                same => n,GotoIf($[\"${READEXTENSTATUS}${E}\" = \"WANTED\"]?right)\n same => n,Hangup(21)\n \
                same => n(right),Hangup(17)\n[other]\nexten => _2X,1,NoOp()\n";
    for (keys, wanted) in [("21", "OK21"), ("3", "INVALIDi"), ("", "TIMEOUTt"), ("2", "INVALIDi")] {
        let pbx = TestPbx::with(&plan.replace("WANTED", wanted)).await;
        let mut alice = pbx.phone("alice").await.invite("100").await;
        alice.expects([200]).await.ack().await;
        alice.presses(keys).await.is_hung_up().await;
        assert_eq!(pbx.records(1).await[0]["cause"], 17, "{keys} should give {wanted}");
    }
}

#[tokio::test]
async fn s198_authenticate_lets_on_who_knows_the_password_and_ends_the_call_after_three_wrong_ones() {
    let plan = "exten => 100,1,Answer()\n same => n,Authenticate(1234)\n same => n,Hangup(17)\n\
                exten => 200,1,Authenticate(${NOTHING},,4)\n same => n,Hangup(17)";
    let pbx = TestPbx::with(plan).await;
    let alice = pbx.phone("alice").await;
    let cases = [("100", "99#1234#", 17), ("100", "1#2#3#", 16), ("200", "###", 16)];
    for (count, (number, keys, cause)) in (1..).zip(cases) {
        let mut call = alice.invite(number).await;
        call.expects([200]).await.ack().await;
        call.presses(keys).await;
        call.is_hung_up().await;
        let records = pbx.records(count).await;
        assert_eq!(records[count - 1]["cause"], cause, "{number} with {keys}");
    }
}

#[tokio::test]
async fn the_sounds_folder_follows_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("own.sln"), [0, 40].repeat(4_000)).expect("a sound");
    let unusual =
        Unusual { settings: format!("[dialplan]\nsounds = \"{}\"\n", folder.path().display()), ..Unusual::default() };
    let pbx = TestPbx::unusual("exten => 100,1,Answer()\n same => n,Playback(own)\n same => n,Hangup()", unusual).await;
    pbx.pbx.reload().await.expect("a reload");
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await.is_hung_up().await;
    assert!(alice.dialog.media.loudest() > 5_000);
    pbx.shows("no calls", PATIENCE, |now| now.calls == 0).await;
}

/// A way in from outside and a way out.
const DISA: &str = "exten => 700,1,DISA(4321,out)\nexten => 701,1,DISA(no-password,out,\"Office\" <100>,,nu)\n[out]\n\
                    exten => _2XX,1,Set(CALLERID(name)=${CALLERID(num)})\n same => n,Dial(SIP/bob,10)\nexten => 5,1,Hangup(17)";

#[tokio::test]
async fn s095_who_knows_the_pin_gets_a_dial_tone_and_dials_out() {
    let pbx = TestPbx::with(DISA).await;
    let (guest, mut bob) = (pbx.phone("guest").await, pbx.phone("bob").await);
    let mut guest = guest.invite("700").await;
    guest.expects([200]).await.ack().await;
    guest.presses("4321#").await;
    guest.presses("234").await;
    let mut bob = bob.is_called().await;
    bob.answers().await;
    crate::call::hear_each_other(&mut guest, &mut bob).await;
    guest.hangs_up().await;
    bob.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s096_five_wrong_pins_over_all_calls_block_the_caller_even_with_the_right_one() {
    let pbx = TestPbx::unusual(DISA, Unusual { bad_logins: 5, ..Unusual::default() }).await;
    let (guest, alice) = (pbx.phone("guest").await, pbx.phone("alice").await);
    for pin in ["1#", "4320#", "#", "43210#", "9999#"] {
        let mut call = guest.invite("700").await;
        call.expects([200]).await.ack().await;
        call.presses(pin).await.is_hung_up().await;
    }
    guest.invite("700").await.is_refused(&[403, 486, 603]).await;
    let mut call = alice.invite("700").await;
    call.expects([200]).await.ack().await;
    call.presses("4321#").await;
    call.presses("5").await.is_hung_up().await;
    let records = pbx.records(7).await;
    assert_eq!(records[6]["cause"], 17, "another caller is not blocked");
}

#[tokio::test]
async fn s096_no_password_gives_the_tone_at_once_only_where_the_plan_says_unprotected() {
    let pbx = TestPbx::with(DISA).await;
    let mut guest = pbx.phone("guest").await.invite("701").await;
    guest.expects([183]).await;
    guest.cancels().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn a_plan_waits_for_silence_and_for_a_sound() {
    let plan = "exten => 100,1,Answer()\n same => n,WaitForNoise(200)\n same => n,Set(A=${WAITSTATUS})\n \
                same => n,Playback(beep)\n same => n,WaitForSilence(300,2,8)\n same => n,Set(B=${WAITSTATUS})\n \
                same => n,WaitForNoise(100,,0.3)\n \
                same => n,GotoIf($[\"${A}-${B}-${WAITSTATUS}\" = \"NOISE-SILENCE-TIMEOUT\"]?right)\n same => n,Hangup(21)\n \
                same => n(right),Hangup(17)";
    let pbx = TestPbx::with(plan).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    alice.says(Tone::A).await;
    // the beep says that she was heard
    while alice.dialog.media.loudest() < 1_000 {
        alice.dialog.media.receives("alice", 5).await;
    }
    alice.dialog.media.falls_silent();
    alice.is_hung_up().await;
    assert_eq!(pbx.records(1).await[0]["cause"], 17);
}
