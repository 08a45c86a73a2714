//! The programs as processes: exit codes, one-line errors, JSON, silence, signals, completion.

mod verbs;

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::control::fake::{CALLEE, CALLER, Fake, REFUSING, ROOM, Server, event};
use wirechief::control::server::Limits;

const PBX: &str = env!("CARGO_BIN_EXE_pbx");
/// Far beyond what anything here takes; only a failing test waits so long.
const DEADLINE: Duration = Duration::from_secs(60);

/// `pbx` with nothing of this machine's environment.
fn pbx(socket: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(PBX);
    let home = socket.parent().unwrap();
    command.env_clear().env("HOME", home).env("XDG_RUNTIME_DIR", home).env("WIRECHIEF_SOCKET", socket);
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(mut command: Command) -> Output {
    tokio::time::timeout(DEADLINE, command.output()).await.expect("still running").unwrap()
}

async fn run_pbx(server: &Server, words: &[&str]) -> Output {
    run(pbx(&server.socket, words)).await
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The error is `pbx: …`, then at most one `hint: …`; nothing is on stdout.
fn assert_failed(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(stdout(output), "");
    let lines: Vec<&str> = stderr(output).lines().collect();
    assert!((1..=2).contains(&lines.len()) && lines[0].starts_with("pbx: "), "{output:?}");
    assert!(lines.get(1).is_none_or(|hint| hint.starts_with("hint: ")), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_are_a_usage_error() {
    let server = Server::start();
    let wrong: [&[&str]; 9] = [
        &[],
        &["cals"],
        &["users"],
        &["calls", "--jsn"],
        &["hangup"],
        &["dtmf", CALLER, "1x"],
        &["--timeout", "5 parsecs", "status"],
        &["originate", "SIP/1001", "Echo("],
        &["--host", "-oProxyCommand=x", "status"],
    ];
    for words in wrong {
        assert_failed(&run_pbx(&server, words).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_every_question_exits_seven() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("pbx.sock");
    let questions: [&[&str]; 8] = [
        &["status"],
        &["status", "--pid"],
        &["calls"],
        &["hangup", CALLER],
        &["stop"],
        &["events"],
        &["stdio"],
        &["records", "--since", "1d"],
    ];
    for words in questions {
        assert_failed(&run(pbx(&socket, words)).await, 7);
    }
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert_failed(&run(pbx(&socket, &["status"])).await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_class_of_fault_has_its_exit_code() {
    let server = Server::start();
    let codes = [("failure", 1), ("usage", 2), ("not-found", 3), ("denied", 4), ("invalid", 5), ("partial", 6)];
    for (code, exit) in codes.into_iter().chain([("unreachable", 7), ("ended", 8), ("try-again", 75)]) {
        let app = format!("{REFUSING}({code})");
        assert_failed(&run_pbx(&server, &["originate", "SIP/1001", &app]).await, exit);
    }
    assert_failed(&run_pbx(&server, &["calls", "show", "x"]).await, 3);
    assert_failed(&run_pbx(&server, &["hangup", "x"]).await, 3);
    assert_failed(&run_pbx(&server, &["dtmf", "x", "1"]).await, 3);
    assert_failed(&run_pbx(&server, &["users", "show", "x"]).await, 3);
    assert_failed(&run_pbx(&server, &["regs", "show", "x"]).await, 3);
    assert_failed(&run_pbx(&server, &["conf", "show", "x"]).await, 3);
    assert_failed(&run_pbx(&server, &["conf", "kick", "x", "--all"]).await, 3);
    assert_failed(&run_pbx(&server, &["conf", "kick", ROOM]).await, 2);
    assert_failed(&run_pbx(&server, &["man", "x"]).await, 3);
    assert_failed(&run_pbx(&server, &["reload", "dialplan"]).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_json_when_json_is_asked_for() {
    let server = Server::start();
    for words in [&["hangup", "x", "--json"][..], &["cals", "--json"]] {
        let output = run_pbx(&server, words).await;
        let error: Value = serde_json::from_str(stderr(&output)).unwrap();
        assert!(error["error"]["code"].is_string() && error["error"]["message"].is_string(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_names_its_schema_and_quiet_is_quiet() {
    let server = Server::start();
    let documents: [(&[&str], &str, &str); 17] = [
        (&["status"], "pbx.status/1", "pid"),
        (&["calls"], "pbx.calls/1", "calls"),
        (&["calls", "show", CALLEE], "pbx.call/1", "legs"),
        (&["records", "--limit", "1"], "pbx.records/1", "records"),
        (&["users", "ls"], "pbx.users/1", "users"),
        (&["users", "show", "1001"], "pbx.user/1", "phones"),
        (&["regs", "ls"], "pbx.regs/1", "registrations"),
        (&["codes"], "pbx.codes/1", "codes"),
        (&["conf", "ls"], "pbx.rooms/1", "rooms"),
        (&["conf", "show", ROOM], "pbx.room/1", "members"),
        (&["conf", "mute", ROOM, CALLER], "pbx.room-change/1", "members"),
        (&["conf", "kick", ROOM, "--all"], "pbx.room-change/1", "members"),
        (&["config", "show"], "pbx.config/1", "settings"),
        (&["reload"], "pbx.reload/1", "changes"),
        (&["hangup", CALLER], "pbx.hangup/1", "legs"),
        (&["dtmf", CALLEE, "w1@500", "--recv"], "pbx.dtmf/1", "way"),
        (&["originate", "SIP/1001", "Echo"], "pbx.originate/1", "uuid"),
    ];
    for (words, schema, field) in documents {
        let mut command = pbx(&server.socket, words);
        command.args(["-q"]).env("WIRECHIEF_JSON", "1");
        let output = run(command).await;
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let document: Value = serde_json::from_str(stdout(&output)).unwrap();
        assert_eq!(document["schema"], schema);
        assert!(!document[field].is_null(), "{document}");
        let text = run_pbx(&server, &[words, &["-q"]].concat()).await;
        assert!(text.status.success() && text.stderr.is_empty(), "{text:?}");
        assert!(serde_json::from_str::<Value>(stdout(&text)).is_err(), "text was asked for: {text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_document_is_the_one_scripts_know() {
    let server = Server::start();
    let output = run_pbx(&server, &["calls", "--json"]).await;
    let document: Value = serde_json::from_str(stdout(&output)).unwrap();
    let call = &document["calls"][0];
    for field in ["uuid", "from", "to", "state", "started", "duration_s", "recorded", "spied"] {
        assert!(!call[field].is_null(), "{field}: {call}");
    }
    for field in ["uuid", "user", "number", "direction", "state", "codec", "address"] {
        assert!(!call["legs"][1][field].is_null(), "{field}: {call}");
    }
    assert_eq!(call["started"], "1970-01-01T00:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pid_comes_alone() {
    let server = Server::start();
    let output = run_pbx(&server, &["status", "--pid"]).await;
    assert_eq!(stdout(&output), format!("{}\n", std::process::id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_a_pipe_is_plain_aligned_and_obeyed_by_no_terminal() {
    let fake = Fake { caller_name: "\x1b[2Jevil\u{202e}\n".into(), ..Fake::default() };
    let server = Server::with(fake, Limits::default());
    let output = run_pbx(&server, &["calls"]).await;
    let lines: Vec<&str> = stdout(&output).lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains(r"\x1b[2Jevil\u{202e}\x0a"));
    assert_eq!(lines[0].find("DURATION"), lines[1].find("12s"));
    let json = run_pbx(&server, &["calls", "--json"]).await;
    assert!(!stdout(&json).trim_end().chars().any(|character| character.is_control() || character == '\u{202e}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing() {
    let server = Server::start();
    for words in [&["stop"][..], &["originate", "SIP/1001", "Echo"], &["hangup", CALLER], &["dtmf", CALLER, "1"]] {
        let output = run_pbx(&server, &[words, &["--dry-run"]].concat()).await;
        assert!(output.status.success() && stderr(&output).starts_with("would "), "{output:?}");
    }
    assert!(server.fake.stopped.borrow().is_none());
    assert!(server.fake.originated.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn originate_hands_over_endpoint_application_and_variables() {
    let server = Server::start();
    let words = ["originate", "SIP/1001", "Dial(SIP/1002,20,g)", "--var", "A=b=c", "--var", "D=", "--timeout", "30s"];
    let output = run_pbx(&server, &words).await;
    assert_eq!(stdout(&output), format!("{CALLEE}\n"));
    let asked = server.fake.originated.lock().unwrap().pop().unwrap();
    assert_eq!(
        (asked.endpoint.as_str(), asked.app.as_str(), asked.args.as_str()),
        ("SIP/1001", "Dial", "SIP/1002,20,g")
    );
    assert_eq!(asked.vars, [("A".into(), "b=c".into()), ("D".into(), String::new())]);
    assert_eq!(asked.timeout_s, Some(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_waits_until_the_process_is_gone() {
    let mut child = Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
    let fake = Fake { pid: child.id().unwrap(), ..Fake::default() };
    let server = Server::with(fake, Limits::default());
    let mut stopped = server.fake.stopped.subscribe();
    let mut stopping = pbx(&server.socket, &["stop", "--graceful", "--timeout", "90s", "-q"]).spawn().unwrap();
    let how = *tokio::time::timeout(DEADLINE, stopped.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_eq!(how.map(|how| (how.graceful, how.timeout)), Some((true, Some(Duration::from_secs(90)))));
    assert!(stopping.try_wait().unwrap().is_none(), "did not wait");
    child.kill().await.unwrap();
    assert!(tokio::time::timeout(DEADLINE, stopping.wait()).await.unwrap().unwrap().success());
}

/// Starts a command, waits for its first line and returns that, the process and the pipe.
async fn first_line(mut command: Command) -> (String, Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap().unwrap();
    (line, child, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_end_a_stream_with_their_codes() {
    let server = Server::start();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (line, mut child, _pipe) = first_line(pbx(&server.socket, &["events", "--since", "0"])).await;
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&event["seq"], &event["kind"], &event["uuid"]),
            (&1.into(), &"call.started".into(), &CALLER.into())
        );
        kill_process(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(), signal).unwrap();
        let status = tokio::time::timeout(DEADLINE, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_a_quiet_good_end() {
    let server = Server::start();
    let mut command = pbx(&server.socket, &["events", "--since", "0"]);
    command.stderr(Stdio::piped());
    let (_, child, pipe) = first_line(command).await;
    drop(pipe);
    let sending = async {
        for seq in 3.. {
            let _ = server.fake.events.send(event(seq, "call.started"));
            tokio::task::yield_now().await;
        }
    };
    let output = tokio::select! {
        output = tokio::time::timeout(DEADLINE, child.wait_with_output()) => output.unwrap().unwrap(),
        () = sending => unreachable!(),
    };
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_repeats_one_document_a_line() {
    let server = Server::start();
    let (line, mut child, _pipe) = first_line(pbx(&server.socket, &["calls", "--watch", "--json"])).await;
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["schema"], "pbx.calls/1");
    child.kill().await.unwrap();
}

/// Makes a program in a process of its own: were it this one, a child begun meanwhile by another test could still hold it open for
/// writing, and then it cannot be run (ETXTBSY).
async fn program(script: &str, words: &[&OsStr]) {
    let made = Command::new("sh").arg("-c").arg(script).args(words).status().await.unwrap();
    assert!(made.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_asked_through_ssh() {
    let server = Server::start();
    let box_ = server.folder.path();
    let ssh = box_.join("ssh");
    // ssh -T -- HOST pbx stdio …: what the other machine's shell would run.
    let script = format!("#!/bin/sh\n[ \"$3\" = joe@box ] || exit 255\nshift 4\nexec '{PBX}' \"$@\"\n");
    program(r#"printf %s "$0" > "$1"; chmod 700 "$1""#, &[script.as_ref(), ssh.as_os_str()]).await;
    let path = format!("{}:/usr/bin:/bin", box_.display());
    let mut asked = pbx(&server.socket, &["calls", "--json", "--host", "joe@box"]);
    let output = run({
        asked.env("PATH", &path);
        asked
    })
    .await;
    assert!(stdout(&output).contains(CALLER), "{output:?}");
    let mut refused = pbx(&server.socket, &["calls", "--host", "nobody@box"]);
    assert_failed(
        &run({
            refused.env("PATH", &path);
            refused
        })
        .await,
        7,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_named_like_another_tool_acts_as_that_tool() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("spy");
    std::os::unix::fs::symlink(PBX, &link).unwrap();
    let output = run({
        let mut spy = Command::new(&link);
        spy.arg("-V");
        spy
    })
    .await;
    assert_eq!(stdout(&output), "spy 1.0.0\n");
    let output = run(pbx(&folder.path().join("x"), &["-V"])).await;
    assert_eq!(stdout(&output), "pbx 1.0.0\n");
}

#[tokio::test]
async fn spy_prints_its_own_manual_and_completion() {
    let spy = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spy"));
        command.args(words);
        command
    };
    let page = run(spy(&["man"])).await;
    assert!(page.status.success() && stdout(&page).contains(".TH SPY 1"), "{page:?}");
    let script = run(spy(&["completion", "bash"])).await;
    assert!(script.status.success() && stdout(&script).contains("spy"), "{script:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_one_line_an_event_of_our_own_and_silent_without_v() {
    let server = Server::start();
    let output = run_pbx(&server, &["status", "-vv"]).await;
    let lines: Vec<&str> = stderr(&output).lines().collect();
    assert_eq!(lines.len(), 1, "{output:?}");
    assert!(lines[0].contains("DEBUG") && lines[0].contains(server.socket.to_str().unwrap()), "{output:?}");
    assert_eq!(stderr(&run_pbx(&server, &["status"]).await), "");
}

fn completing(socket: &Path, words: &[&str]) -> Command {
    let mut command = pbx(socket, &[]);
    command.env("WIRECHIEF_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string()).arg("--").args(words);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_offers_live_uuids_and_commands() {
    let server = Server::start();
    let output = run(completing(&server.socket, &["pbx", "hangup", ""])).await;
    assert!(stdout(&output).contains(CALLER) && stdout(&output).contains(CALLEE), "{output:?}");
    let output = run(completing(&server.socket, &["pbx", "calls", "show", "2"])).await;
    assert!(!stdout(&output).contains(CALLER) && stdout(&output).contains(CALLEE), "{output:?}");
    let output = run(completing(&server.socket, &["pbx", "sta"])).await;
    assert_eq!(stdout(&output), "status");
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_without_a_server_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(completing(&folder.path().join("pbx.sock"), &["pbx", "hangup", ""])).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // A server that accepts and never answers is given up on too.
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join("pbx.sock")).unwrap();
    let output = run(completing(&folder.path().join("pbx.sock"), &["pbx", "hangup", ""])).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    drop(listener);
}

#[tokio::test]
async fn init_writes_private_secrets_once_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("new");
    let words = ["init", to.to_str().unwrap(), "-q"];
    let socket = folder.path().join("pbx.sock");
    let output = run(pbx(&socket, &words)).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let mode = |path: &str| std::fs::metadata(to.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("secrets"), mode("secrets/1001")), (0o700, 0o600));
    let settings = to.join("pbx.toml");
    let shown = run(pbx(&socket, &["config", "show", "--config", settings.to_str().unwrap()])).await;
    assert!(stdout(&shown).contains(r#"users.1001.password = "***""#), "{shown:?}");
    let before = std::fs::read(to.join("secrets/1001")).unwrap();
    assert_failed(&run(pbx(&socket, &words)).await, 1);
    assert_eq!(std::fs::read(to.join("secrets/1001")).unwrap(), before);
}

#[tokio::test]
async fn a_wrong_settings_file_is_named_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pbx.toml");
    std::fs::write(&file, "[sip]\nrelm = \"x\"\n").unwrap();
    let output = run(pbx(&folder.path().join("s"), &["config", "show", "--config", file.to_str().unwrap()])).await;
    assert_failed(&output, 5);
    assert!(stderr(&output).contains("pbx.toml:2:1") && stderr(&output).contains("realm"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_that_reaches_the_socket_may_ask_little() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another account");
        return;
    }
    let server = Server::start();
    let folder = server.folder.path();
    let copy = folder.join("pbx");
    program(r#"cp "$0" "$1""#, &[PBX.as_ref(), copy.as_os_str()]).await;
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new(&copy);
        command.env_clear().env("WIRECHIEF_SOCKET", &server.socket).args(words).uid(65_534).gid(65_534);
        command
    };
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_failed(&run(as_nobody(&["status"])).await, 4);
    // Somebody opens what we had closed: the peer's account still counts.
    std::fs::set_permissions(server.socket.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&server.socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(run(as_nobody(&["status"])).await.status.success());
    assert!(run(as_nobody(&["calls"])).await.status.success());
    let who = server.fake.asked_by.lock().unwrap().pop().unwrap();
    assert_eq!((who.uid, who.admin, who.operator), (65_534, false, false));
    let refused: [&[&str]; 10] = [
        &["stop"],
        &["reload"],
        &["dtmf", CALLER, "1"],
        &["hangup", CALLER],
        &["originate", "SIP/1001", "Echo"],
        &["calls", "show", CALLER],
        &["records"],
        &["users", "ls"],
        &["config", "show"],
        &["events"],
    ];
    for words in refused {
        assert_failed(&run(as_nobody(words)).await, 4);
    }
    assert!(server.fake.stopped.borrow().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn s092_codes_are_those_in_force_and_without_a_server_those_that_are_written() {
    let server = Server::start();
    let in_force = run_pbx(&server, &["codes"]).await;
    assert!(stdout(&in_force).contains("*77") && in_force.status.success(), "{in_force:?}");

    let folder = tempfile::tempdir().unwrap();
    let (socket, toml) = (folder.path().join("pbx.sock"), folder.path().join("pbx.toml"));
    let plan = "[internal]\nexten => 600,1,Echo()\nexten => _*88X.,1,NoOp()\n same => n,Playback(vm-goodbye)\n";
    std::fs::write(&toml, "[dialplan]\nfiles = [\"extensions.conf\"]\n").unwrap();
    std::fs::write(folder.path().join("extensions.conf"), plan).unwrap();
    let mut command = pbx(&socket, &["codes", "--json"]);
    command.env("WIRECHIEF_CONFIG", &toml);
    let written = run(command).await;
    assert!(written.status.success() && written.stderr.is_empty(), "{written:?}");
    let document: Value = serde_json::from_str(stdout(&written)).unwrap();
    let [code, codes @ ..] = document["codes"].as_array().unwrap().as_slice() else { panic!("{document}") };
    let told = ["code", "context", "application"].map(|field| code[field].as_str().unwrap());
    assert_eq!(told, ["_*88X.", "internal", "Playback(vm-goodbye)"]);
    assert_eq!((code["line"].as_u64(), codes.len()), (Some(3), 5), "five are those of supervision");
    assert!(code["file"].as_str().unwrap().ends_with("extensions.conf"), "{code}");

    // a server that was named must answer; a file that was named is the one that is meant
    let named = socket.to_str().unwrap();
    assert_failed(&run(pbx(&socket, &["codes", "--socket", named])).await, 7);
    std::fs::write(folder.path().join("extensions.conf"), "[internal]\nexten => 600,1,Echo()\n").unwrap();
    let none = run_pbx(&server, &["codes", "--config", toml.to_str().unwrap(), "--json"]).await;
    assert!(none.status.success(), "{none:?}");
    let document: Value = serde_json::from_str(stdout(&none)).unwrap();
    assert_eq!(document["codes"].as_array().map(Vec::len), Some(5), "those of supervision");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manual_of_the_dialplan_is_printed() {
    let server = Server::start();
    let page = run_pbx(&server, &["man", "dialplan"]).await;
    assert!(stdout(&page).contains(".TH WIRECHIEF\\-DIALPLAN 7") && stdout(&page).contains("Dial(target"), "{page:?}");
}
