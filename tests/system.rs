//! System and TrySystem as the settings allow them (S113–S116).

use crate::harness::{TestPbx, Tone, Unusual, only};

async fn pbx_with(plan: &str, system: &str) -> TestPbx {
    let settings = format!("[dialplan]\n{system}\n");
    TestPbx::unusual(plan, Unusual { settings, ..Unusual::default() }).await
}

const STATUS: &str = "
 same => n,GotoIf($[\"${SYSTEMSTATUS}\" = \"WANTED\"]?:wrong)
 same => n,Answer()
 same => n,Echo()
 same => n(wrong),Busy()";

async fn leaves(line: &str, system: &str, status: &str) {
    let plan = format!("exten => 1,1,Set(FOLDER=/tmp&x)\n same => n,{line}{}", STATUS.replace("WANTED", status));
    let pbx = pbx_with(&plan, system).await;
    let mut call = pbx.phone("alice").await.invite("1").await;
    call.expects([200]).await.ack().await;
    call.says(Tone::A).await.hears(only(Tone::A)).await.hangs_up().await;
}

const ARGV: &str = "system = \"argv\"\nprograms = [\"/usr/bin/test\", \"/bin/true\", \"/bin/false\", \"/no/such\"]";

#[tokio::test]
async fn s113_a_listed_program_runs_and_its_end_is_told() {
    leaves("System(true)", ARGV, "SUCCESS").await;
    leaves("System(/bin/false now)", ARGV, "APPERROR").await;
    leaves("TrySystem(such)", ARGV, "FAILURE").await;
    leaves("TrySystem(/bin/ls)", ARGV, "FAILURE").await;
}

#[tokio::test]
async fn s114_s116_an_ampersand_reaches_the_program_whole() {
    leaves("System(test https://crm/?a=1&b=${FOLDER} = \"https://crm/?a=1&b=/tmp&x\")", ARGV, "SUCCESS").await;
    leaves("System(test,${EXTEN}~file,=,1~file)", ARGV, "SUCCESS").await;
    // the old behaviour, asked for by name: the line is cut at the `&`
    leaves("System(test 1 = 2 & true)", "system = \"shell\"", "SUCCESS").await;
}

#[tokio::test]
async fn s115_what_only_a_shell_could_do_is_no_argument() {
    leaves("TrySystem(true | false)", ARGV, "FAILURE").await;
    leaves("TrySystem(true `id`)", ARGV, "FAILURE").await;
    leaves("TrySystem(true | false)", "system = \"shell\"", "APPERROR").await;
    leaves("TrySystem(no-such-program)", "system = \"shell\"", "FAILURE").await;
}

#[tokio::test]
async fn where_it_is_off_the_refusal_is_told_and_ends_the_call() {
    let plan = "exten => 1,1,System(true)\n same => n,Answer()\n same => n,Echo()";
    let pbx = pbx_with(plan, "programs = [\"/bin/true\"]").await;
    pbx.phone("alice").await.invite("1").await.is_refused(&[501]).await;
    let (past, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let refused = past.iter().find(|event| event.kind == "dialplan.system_refused");
    assert!(refused.is_some(), "{past:?}");
    leaves("TrySystem(true)", "", "FAILURE").await;
}
