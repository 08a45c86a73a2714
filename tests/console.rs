//! `pbx -rx`: the real program against a real server, its texts as scripts parse them, its exit codes.

use std::process::Output;

use crate::harness::{PATIENCE, Tape, TestPbx, Tone, only};

const PLAN: &str = "exten => 100,1,Answer()\n same => n,Set(GROUP(sales)=blue)\n same => n,Echo()\n\
                    exten => *60,1,Busy()\n[other]\nexten => _2XX,1,Hangup()\n";

async fn rx(pbx: &TestPbx, line: &str) -> Output {
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_pbx"));
    program.env_clear().env("WIRECHIEF_SOCKET", pbx.pbx.control_path()).args(["-rx", line]).kill_on_drop(true);
    tokio::time::timeout(PATIENCE, program.output()).await.expect("an answer").expect("a run")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[tokio::test]
async fn channels_and_groups_are_listed_a_line_each_as_scripts_parse_them() {
    let pbx = TestPbx::with(PLAN).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await;
    let concise = text(&rx(&pbx, "core show channels concise").await);
    let fields: Vec<&str> = concise.trim_end().split('!').collect();
    assert_eq!((concise.lines().count(), fields.len()), (1, 14), "{concise}");
    assert_eq!(fields[1..6], ["internal", "100", "3", "Up", "Echo"], "{concise}");
    assert!(
        text(&rx(&pbx, "core show channels").await).ends_with("1 active channel\n1 active call\n1 call processed\n")
    );
    let groups = text(&rx(&pbx, "group show channels").await);
    assert!(groups.lines().any(|line| line.split_whitespace().skip(1).eq(["blue", "sales"])), "{groups}");
    let name = fields[0];
    let hangup = rx(&pbx, &format!("channel request hangup {name}")).await;
    assert_eq!(text(&hangup), format!("Requested Hangup on channel '{name}'\n"));
    alice.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn the_dialplan_is_shown_and_what_is_not_there_has_an_exit_code() {
    let pbx = TestPbx::with(PLAN).await;
    let shown = text(&rx(&pbx, "dialplan show").await);
    assert!(shown.contains("[ Context 'other' created by 'pbx_config' ]"), "{shown}");
    assert!(shown.contains("-= 3 extensions (5 priorities) in 2 contexts. =-"), "{shown}");
    for (line, code) in [
        ("dialplan show nowhere", 3),
        ("dialplan show other", 0),
        ("dialplan reload", 0),
        ("core show application Dial", 0),
        ("core show application Nope", 3),
        ("channel request hangup SIP/nobody-1", 3),
        ("channel originate Local/100@nowhere application Echo", 3),
        ("database get pin 100", 3),
        ("make coffee", 2),
    ] {
        assert_eq!(rx(&pbx, line).await.status.code(), Some(code), "{line}");
    }
    assert_eq!(text(&rx(&pbx, "dialplan reload").await), "Dialplan reloaded.\n");
}

#[tokio::test]
async fn a_channel_is_recorded_by_asterisks_and_freeswitchs_words() {
    let pbx = TestPbx::with(PLAN).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.expects([200]).await.ack().await.says(Tone::A).await.hears(only(Tone::A)).await;
    let channel = text(&rx(&pbx, "core show channels concise").await).split('!').next().expect("a name").to_owned();
    let runs = async |line: String| text(&rx(&pbx, &line).await);
    let list = format!("mixmonitor list {channel}");
    let none = "MixMonitor ID                         File\n";
    assert_eq!(runs(list.clone()).await, none);
    assert_eq!(runs(format!("mixmonitor start {channel} desk/one.wav")).await, "");
    assert_eq!(runs(format!("mixmonitor start {channel} desk/one.wav")).await, "");
    let listed = runs(list.clone()).await;
    let rows: Vec<(&str, &str)> = listed.lines().skip(1).filter_map(|line| line.split_once("  ")).collect();
    let files: Vec<&str> = rows.iter().map(|(_, file)| *file).collect();
    assert_eq!(files, ["desk/one.wav", "desk/one-2.wav"], "{listed}");
    alice.dialog.media.receives("alice", 25).await;
    assert_eq!(runs(format!("mixmonitor stop {channel}")).await, "");
    assert_eq!(runs(list.clone()).await, none);
    let first = Tape::read(&pbx.spool().join("desk/one.wav"));
    let long = first.tracks[0].len();
    assert!(first.tracks.len() == 1 && first.has(0, &only(Tone::A)) >= 3, "mixed, and whole when it has answered");
    let outbox = pbx.pbx.exchange().recordings.spool().outbox().expect("an outbox");
    let kept = outbox.get(rows[0].0.parse().expect("an id")).expect("the queue").expect("a recording");
    assert_eq!((kept.reason.as_str(), kept.file.as_str()), ("rec start by console", "desk/one.wav"));
    // FreeSWITCH's word knows a channel by its UUID.
    let uuid = pbx.calls().await[0].uuid.clone();
    for verb in ["start desk/two.wav", "mask", "unmask", "stop"] {
        assert_eq!(runs(format!("uuid_record {uuid} {verb}")).await, "+OK Success\n", "{verb}");
    }
    assert_eq!(Tape::read(&pbx.spool().join("desk/two.wav")).tracks.len(), 2, "the two sides apart");
    assert_eq!(runs(format!("mixmonitor start {channel} desk/one.wav,a")).await, "");
    alice.dialog.media.receives("alice", 15).await;
    runs(format!("mixmonitor stop {channel}")).await;
    assert!(Tape::read(&pbx.spool().join("desk/one.wav")).tracks[0].len() > long, "option a goes on");
    for (line, code) in [
        (format!("mixmonitor start {channel} x.wav,z"), 2),
        (format!("mixmonitor stop {channel}"), 3),
        ("mixmonitor list SIP/nobody-1".to_owned(), 3),
        ("mixmonitor start SIP/nobody-1 x.wav".to_owned(), 3),
        (format!("uuid_record {uuid} erase"), 2),
        (format!("uuid_record {uuid} stop"), 3),
    ] {
        assert_eq!(rx(&pbx, &line).await.status.code(), Some(code), "{line}");
    }
    alice.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn the_store_answers_in_asterisks_words() {
    let pbx = TestPbx::with(PLAN).await;
    assert_eq!(text(&rx(&pbx, "database put pin 100 12 34").await), "Updated database successfully\n");
    assert_eq!(text(&rx(&pbx, "database get pin 100").await), "Value: 12 34\n");
    let shown = text(&rx(&pbx, "database show pin").await);
    assert!(
        shown.starts_with("/pin/100 ") && shown.ends_with("1 results found.\n") && !shown.contains("34"),
        "{shown}"
    );
    assert_eq!(text(&rx(&pbx, "database del pin 100").await), "Database entry removed.\n");
    assert_eq!(rx(&pbx, "database del pin 100").await.status.code(), Some(3));
}
