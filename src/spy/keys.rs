//! The keys of a session, and where they come from: the terminal, or a pipe when `--keys` says so.
//! Above: `session`. The terminal is in raw mode while `screen` lives.

use std::io::Read;
use std::thread;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

/// What a key asks for. Keys that are none of these change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `0`: heard by nobody.
    Listen,
    /// `2`: heard by the party whose UUID was given.
    This,
    /// `1`: heard by the other party.
    Other,
    /// `3`: heard by both.
    Both,
    /// `+`: the listener's volume, one step up.
    Louder,
    /// `-`: one step down.
    Softer,
    /// `*`: the next call, or the end where there is only one, as on a telephone.
    Next,
    /// `q`: the end.
    Quit,
    /// Ctrl-C, which raw mode makes a key.
    Interrupt,
}

impl Key {
    /// The meaning of a character.
    pub fn of(c: char) -> Option<Self> {
        Some(match c {
            '0' => Self::Listen,
            '1' => Self::Other,
            '2' => Self::This,
            '3' => Self::Both,
            '+' | '=' => Self::Louder,
            '-' => Self::Softer,
            '*' => Self::Next,
            'q' | 'Q' => Self::Quit,
            '\u{3}' => Self::Interrupt,
            _ => return None,
        })
    }
}

/// Where keys come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Nowhere.
    Off,
    /// The controlling terminal, also when standard input is a pipe.
    Terminal,
    /// The bytes of standard input.
    Pipe,
}

/// Starts to read keys. The thread ends with the program: a read of a terminal cannot be called off.
pub fn start(source: KeySource) -> mpsc::UnboundedReceiver<Key> {
    let (pressed, keys) = mpsc::unbounded_channel();
    let read: Option<fn(&mpsc::UnboundedSender<Key>)> = match source {
        KeySource::Off => None,
        KeySource::Terminal => Some(read_terminal),
        KeySource::Pipe => Some(read_pipe),
    };
    if let Some(read) = read {
        // Without a thread there are no keys; the session itself needs none.
        let _ = thread::Builder::new().name("keys".into()).spawn(move || read(&pressed));
    }
    keys
}

fn read_terminal(pressed: &mpsc::UnboundedSender<Key>) {
    while let Ok(event) = event::read() {
        let Event::Key(key) = event else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let meaning = match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
            KeyCode::Char(c) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => Key::of(c),
            _ => None,
        };
        if meaning.is_some_and(|key| pressed.send(key).is_err()) {
            return;
        }
    }
}

fn read_pipe(pressed: &mpsc::UnboundedSender<Key>) {
    let mut byte = [0];
    let mut input = std::io::stdin().lock();
    while let Ok(1) = input.read(&mut byte) {
        if Key::of(char::from(byte[0])).is_some_and(|key| pressed.send(key).is_err()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_mean_what_they_mean_on_a_telephone() {
        assert_eq!(
            "0123".chars().filter_map(Key::of).collect::<Vec<_>>(),
            [Key::Listen, Key::Other, Key::This, Key::Both]
        );
    }

    #[test]
    fn keys_that_are_not_in_the_table_change_nothing() {
        let meant: String = (0..=127u8).map(char::from).filter(|&c| Key::of(c).is_some()).collect();
        assert_eq!(meant, "\u{3}*+-0123=Qq");
    }
}
