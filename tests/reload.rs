//! Reload: whole plans are swapped, live calls stay on theirs, a broken file changes nothing.

use crate::harness::{TestPbx, Tone, only};

const FIRST: &str =
    "[internal]\nexten => 100,1,Answer()\n same => n,Read(KEY,,1)\n same => n,Goto(after,1)\nexten => after,1,Echo()\n";
const SECOND: &str = "[internal]\nexten => 100,1,Hangup(17)\nexten => 200,1,Hangup(34)\n";

#[tokio::test]
async fn s144_s145_a_live_call_stays_on_its_plan_and_a_new_one_is_on_the_new() {
    let pbx = TestPbx::from_file(FIRST).await;
    let guest = pbx.phone("guest").await;
    let mut live = guest.invite("100").await;
    live.expects([200]).await.ack().await;
    std::fs::write(pbx.plan_file(), SECOND).expect("the new plan");
    pbx.pbx.reload().await.expect("a reload");
    let mut new = guest.invite("100").await;
    new.is_refused(&[486]).await;
    // the old plan's `after` is nowhere in the new one
    live.presses("5").await;
    live.says(Tone::A).await.hears(only(Tone::A)).await;
    live.presses("#").await;
    live.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s148_a_broken_file_changes_nothing_and_is_named_with_line_and_column() {
    let pbx = TestPbx::from_file(SECOND).await;
    std::fs::write(pbx.plan_file(), SECOND.replace("Hangup(34)", "Hangup(34")).expect("the broken plan");
    let fault = pbx.pbx.reload().await.expect_err("a refusal");
    assert!(fault.message.contains("extensions.conf:3:"), "{fault}");
    let guest = pbx.phone("guest").await;
    guest.invite("200").await.is_refused(&[503]).await;
    pbx.is_idle().await;
}
