//! `rec push` where a person watches: bars on a terminal, none in a pipe or where they are not wanted.
//!
//! The terminal is util-linux's `script`; where it is missing this test says that it was skipped.

use std::io::Read;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Home, REC, comes, silent};

/// What is shown until a push that hangs is interrupted.
fn shown(home: &Home, remote: &std::net::TcpListener, setting: &str) -> Option<String> {
    let line = format!("stty cols 100; {setting} exec '{REC}' push --now");
    let child = Command::new("script")
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env_clear()
        .envs([("HOME", home.path().to_str()?), ("TERM", "xterm"), ("SHELL", "/bin/sh"), ("PATH", "/usr/bin:/bin")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: no `script` (util-linux) for a terminal");
        return None;
    };
    let upload = comes(remote);
    let mut screen = child.stdout.take()?;
    let mut text = Vec::new();
    if setting.is_empty() {
        // The bars come with the first beat.
        let mut bytes = [0; 256];
        while !String::from_utf8_lossy(&text).contains("1001-2001.wav") {
            let read = screen.read(&mut bytes).unwrap();
            assert!(read > 0, "{:?}", String::from_utf8_lossy(&text));
            text.extend(&bytes[..read]);
        }
    }
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    for push in children.split_whitespace() {
        let _ = kill_process(Pid::from_raw(push.parse().unwrap()).unwrap(), Signal::INT);
    }
    screen.read_to_end(&mut text).unwrap();
    let _ = child.wait();
    drop(upload);
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn bars_are_on_a_terminal_and_not_where_they_are_not_wanted() {
    let (settings, remote) = silent("crm");
    let home = Home::with(&settings);
    home.recording("1001", "2001");
    let Some(bars) = shown(&home, &remote, "") else { return };
    assert!(bars.contains("0/1 delivered") && bars.contains("\x1b["), "{bars:?}");
    for setting in ["NO_COLOR=1", "TERM=dumb"] {
        let plain = shown(&home, &remote, setting).unwrap();
        assert!(!plain.contains("delivered") && !plain.contains('\x1b'), "{setting}: {plain:?}");
    }
}
