//! How a program ended: its exit code, what it printed, its one line of error; and programs made for a test.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
