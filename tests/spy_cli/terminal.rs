//! `spy` on a terminal: the status line, the keys, the list of calls, and the terminal as it was afterwards.
//!
//! The terminal is util-linux's `script`; where it is missing these tests say that they were skipped.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::desk::{CALL, Desk};

/// A shell on a terminal of 80 columns that runs `spy` and then shows its exit code and the terminal's settings.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    /// None: there is no `script` here.
    fn open(desk: &Desk, words: &str) -> Option<Self> {
        Self::under(desk, "", words)
    }

    /// The same with another program that starts it.
    fn under(desk: &Desk, starter: &str, words: &str) -> Option<Self> {
        let spy = env!("CARGO_BIN_EXE_spy");
        let line = format!("stty cols 80; {starter} '{spy}' {words}; echo code=$?; stty -a");
        let child = Command::new("script")
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .env("WIRECHIEF_SOCKET", desk.socket())
            .env("TERM", "xterm")
            .env("SPY_DEVICE", "none")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("skipped: no `script` (util-linux) for a terminal");
            return None;
        };
        let (sender, output) = channel();
        let mut screen = child.stdout.take()?;
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(got @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..got].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = child.stdin.take()?;
        Some(Self { child, keys, output, shown: String::new() })
    }

    /// Waits until the text appears; what was shown before it is then forgotten, but returned.
    fn shows(&mut self, wanted: &str) -> String {
        let since = Instant::now();
        loop {
            if let Some(at) = self.shown.find(wanted) {
                let rest = self.shown.split_off(at + wanted.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let patience = crate::harness::PATIENCE.saturating_sub(since.elapsed());
            match self.output.recv_timeout(patience) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("{wanted:?} is not shown ({error}), but … {:?}", tail(&self.shown)),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("a terminal");
    }

    /// The end: `spy` has left with that code, and the terminal echoes and edits lines again.
    fn ends_with(mut self, code: i32) {
        self.shows(&format!("code={code}\r\n"));
        self.shows(" icanon");
        self.shows(" echo ");
        drop(self.keys);
        let _ = self.child.wait();
    }
}

/// Enough to show, above the terminal's settings, what `spy` has said at its end.
fn tail(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(2_000);
    text.chars().skip(skipped).collect()
}

#[test]
fn the_status_line_says_the_mode_in_words_and_keys_change_it() {
    let desk = Desk::open(None);
    let Some(mut terminal) = Terminal::open(&desk, CALL) else { return };
    terminal.shows("add --stdout or --device");
    terminal.shows("\u{1b}[1GLISTEN - nobody hears you | c7709e9c 00:0");
    terminal.shows("#");
    terminal.press("2");
    terminal.shows("\u{1b}[1GWHISPER to agent 1001 - customer cannot hear you | 00:");
    terminal.press("1");
    terminal.shows("\u{1b}[1GWHISPER to customer 0791112233 - agent cannot hear you");
    terminal.press("3");
    terminal.shows("\u{1b}[1GBARGE - agent 1001 and customer 0791112233 hear you");
    terminal.press("7");
    terminal.press("+");
    terminal.shows("volume +1");
    terminal.press("0");
    terminal.shows("\u{1b}[1GLISTEN - nobody hears you");
    terminal.press("q");
    terminal.ends_with(0);
}

#[test]
fn the_status_line_never_reaches_the_last_column() {
    let desk = Desk::open(None);
    let Some(mut terminal) = Terminal::open(&desk, CALL) else { return };
    for _ in 0..3 {
        terminal.shows("\u{1b}[1GLISTEN");
        let drawn = terminal.shows("\u{1b}[K");
        let line = format!("LISTEN{}", drawn.trim_end_matches("\u{1b}[K"));
        assert!(line.chars().count() < 80 && line.contains("A ") && line.contains("B "), "{line:?}");
    }
    terminal.press("\u{3}");
    terminal.ends_with(130);
}

#[test]
fn without_a_uuid_a_call_is_chosen_from_a_list() {
    let desk = Desk::open(None);
    let Some(mut terminal) = Terminal::open(&desk, "") else { return };
    terminal.shows("1 live call");
    terminal.shows(">  1  1001           0791112233");
    terminal.press("/079");
    terminal.shows("1 live call, 1 with: 079_");
    terminal.press("x");
    terminal.shows("no call matches the filter");
    terminal.press("\u{7f}\r");
    terminal.shows("\u{1b}[1GLISTEN - nobody hears you | c7709e9c");
    terminal.press("*");
    terminal.ends_with(0);
}

#[test]
fn a_list_that_is_left_leaves_the_terminal_as_it_was() {
    let desk = Desk::open(None);
    let Some(mut terminal) = Terminal::open(&desk, "") else { return };
    terminal.shows("1 live call");
    terminal.press("q");
    terminal.shows("\u{1b}[?1049l");
    terminal.ends_with(0);
}

#[test]
fn a_killed_spy_leaves_the_terminal_as_it_was() {
    let desk = Desk::open(None);
    for (words, shown) in [("", "1 live call"), (CALL, "LISTEN - nobody hears you")] {
        // It says who it is, and becomes the program.
        let starter = "sh -c 'echo pid=$$.; exec \"$0\" \"$@\"'";
        let Some(mut terminal) = Terminal::under(&desk, starter, words) else { return };
        terminal.shows("pid=");
        let pid = terminal.shows(".").trim_end_matches('.').parse().ok().and_then(Pid::from_raw);
        terminal.shows(shown);
        kill_process(pid.expect("a number"), Signal::TERM).expect("it runs");
        terminal.ends_with(143);
    }
}

#[test]
fn sound_is_not_written_to_a_terminal() {
    let desk = Desk::open(None);
    let Some(mut terminal) = Terminal::open(&desk, &format!("--stdout {CALL}")) else { return };
    terminal.shows("--stdout: this is a terminal");
    terminal.shows("hint: ");
    terminal.ends_with(2);
}
