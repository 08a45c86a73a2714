//! How a program ended: its exit code, what it printed, its one line of error; and programs made for a test.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a program may run that is to end by itself.
const LONGEST: Duration = Duration::from_secs(300);

/// Runs it to its end; what it prints is not shown, and it reads nothing but what its `stdin` is set to.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs"))
}

/// Waits for its end, and reads what it prints meanwhile. One that does not end is killed, and the test fails.
#[track_caller]
pub(crate) fn ended(child: Child) -> Output {
    let (output, was_killed) = at_most(LONGEST, Pid::from_child(&child), || child.wait_with_output());
    let output = output.expect("it has run");
    assert!(!was_killed, "it did not end within {LONGEST:?}: {output:?}");
    output
}

/// Waits for the end of a program, which is killed when that takes longer; whether it was.
pub(crate) fn at_most<T>(longest: Duration, program: Pid, wait: impl FnOnce() -> T) -> (T, bool) {
    let (done, end) = channel::<()>();
    let watch = std::thread::spawn(move || {
        let is_late = end.recv_timeout(longest) == Err(RecvTimeoutError::Timeout);
        if is_late {
            let _ = kill_process(program, Signal::KILL);
        }
        is_late
    });
    let ended = wait();
    drop(done);
    (ended, watch.join().expect("a thread"))
}

/// What it printed; it has ended well.
#[track_caller]
pub(crate) fn ok(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and error text; the error is one line, and at most one `hint: …`.
#[track_caller]
pub(crate) fn failed(output: &Output) -> (Option<i32>, String) {
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<&str> = errors.lines().collect();
    assert!((1..=2).contains(&lines.len()), "{output:?}");
    assert!(lines.get(1).is_none_or(|hint| hint.starts_with("hint: ")), "{output:?}");
    (output.status.code(), errors)
}

/// It ends with this exit code, and its line is `PROGRAM: …` with these words in it.
#[track_caller]
pub(crate) fn fails(program: &str, output: &Output, (code, says): (i32, &str)) {
    let (exit, errors) = failed(output);
    let line = errors.lines().next().unwrap_or_default();
    assert_eq!(exit, Some(code), "{output:?}");
    assert!(line.starts_with(&format!("{program}: ")) && line.contains(says), "{errors}");
}

/// Makes a script. Another program writes it: what this one has had open to write in cannot be run as long as a program that another
/// test is just starting has it open too.
pub(crate) fn script(path: &Path, text: &str) {
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut writer = writer.spawn().expect("a shell");
    writer.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    assert!(writer.wait().expect("it ends").success());
}
