//! What is asked for on the terminal, which does not show secrets. Above: commands that take passwords and values.

use std::io::{self, BufRead, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::exit::{Exit, Failure};
use crate::control::protocol::{Fault, FaultCode};

/// Bytes of a line at most.
const LINE_LIMIT: usize = 4_096;

/// One line that may be seen, without its end; `usual` where nothing is typed.
pub(super) fn shown_line(prompt: &str, usual: &str) -> Result<String, Failure> {
    let prompt = if usual.is_empty() { format!("{prompt}: ") } else { format!("{prompt} [{usual}]: ") };
    let _ = write!(io::stderr(), "{prompt}").and_then(|()| io::stderr().flush());
    let mut line = String::new();
    let read = io::stdin().lock().take(LINE_LIMIT as u64).read_line(&mut line);
    match read.map_err(|error| Fault::new(FaultCode::Usage, format!("the terminal: {error}")))? {
        // Ctrl-D: whoever was asked has left.
        0 => Err(Failure::Silent(Exit::Interrupted)),
        _ if line.trim().is_empty() => Ok(usual.to_owned()),
        _ => Ok(line.trim().to_owned()),
    }
}

/// One line, without its end. Ctrl-C is a key here and not a signal, so that the terminal is always left as it was found.
pub(super) fn hidden_line(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let fault = |error: io::Error| Failure::from(Fault::new(FaultCode::Failure, format!("the terminal: {error}")));
    let stdin = io::stdin();
    let usual = tcgetattr(&stdin).map_err(|error| fault(error.into()))?;
    let mut silent = usual.clone();
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    silent.special_codes[SpecialCodeIndex::VMIN] = 1;
    silent.special_codes[SpecialCodeIndex::VTIME] = 0;
    let _ = write!(io::stderr(), "{prompt}").and_then(|()| io::stderr().flush());
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(|error| fault(error.into()))?;
    let line = typed(stdin.lock());
    let _ = tcsetattr(&stdin, OptionalActions::Now, &usual);
    let _ = writeln!(io::stderr());
    let bytes = line.map_err(fault)?.ok_or(Failure::Silent(Exit::Interrupted))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Fault::new(FaultCode::Usage, "this is no text in UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The keys up to the line's end, as a line editor has them; `None`: interrupted.
fn typed(keys: impl BufRead) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_LIMIT));
    for key in keys.bytes() {
        match key? {
            b'\n' | b'\r' | 0x04 => break,
            0x03 => return Ok(None),
            0x08 | 0x7f => {
                // A character goes whole.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            0x15 => line.clear(),
            byte if line.len() < LINE_LIMIT => line.push(byte),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "this line is too long")),
        }
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(keys: &str) -> Option<String> {
        typed(keys.as_bytes()).unwrap().map(|line| String::from_utf8(line.to_vec()).unwrap())
    }

    #[test]
    fn keys_make_a_line() {
        assert_eq!(line("1234\nrest").as_deref(), Some("1234"));
        assert_eq!(line("12x\u{7f}34\r").as_deref(), Some("1234"));
        assert_eq!(line("zü\u{7f}\u{8}\u{8}a\n").as_deref(), Some("a"), "a letter of two bytes goes at once");
        assert_eq!(line("wrong\u{15}right\n").as_deref(), Some("right"));
        assert_eq!(line("12\u{4}").as_deref(), Some("12"));
        assert_eq!(line("12\u{3}34\n"), None, "Ctrl-C");
        assert!(typed("x".repeat(LINE_LIMIT + 1).as_bytes()).is_err());
    }
}
