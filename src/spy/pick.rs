//! Which call, when none was named: the live calls in a numbered list. Above: `cli`. Pure but for the question itself.

use std::fmt::Write as _;
use std::io::{BufRead, Write};

use super::words::clean;
use crate::control::protocol::CallInfo;

/// What the user chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The UUID of a leg.
    Call(String),
    /// None of them.
    Leave,
}

/// Shows the calls and asks until a number in the list, `q` or the end of the input.
///
/// # Errors
///
/// When the terminal is gone.
pub fn ask(calls: &[CallInfo], mut answers: impl BufRead, mut screen: impl Write) -> std::io::Result<Choice> {
    screen.write_all(list(calls).as_bytes())?;
    loop {
        write!(screen, "Which call? 1 to {}, Enter for 1, q to leave: ", calls.len())?;
        screen.flush()?;
        let mut answer = String::new();
        if answers.read_line(&mut answer)? == 0 {
            writeln!(screen)?;
            return Ok(Choice::Leave);
        }
        match answer.trim() {
            "q" | "Q" => return Ok(Choice::Leave),
            answer => {
                let number = if answer.is_empty() { Some(1) } else { answer.parse::<usize>().ok() };
                let call = number.and_then(|number| number.checked_sub(1)).and_then(|at| calls.get(at));
                if let Some(call) = call {
                    return Ok(Choice::Call(target(call).to_owned()));
                }
            }
        }
    }
}

/// The party to attach to: the one configured user among the two, else the party that called.
pub(super) fn target(call: &CallInfo) -> &str {
    let mut users = call.legs.iter().filter(|leg| leg.user.is_some());
    match (users.next(), users.next()) {
        (Some(agent), None) => &agent.uuid,
        _ => &call.uuid,
    }
}

fn list(calls: &[CallInfo]) -> String {
    let mut text = String::new();
    for (at, call) in calls.iter().enumerate() {
        let seconds = call.duration_s.max(0.0) as u64;
        let _ = writeln!(
            text,
            "{:3}  {} with {}  {}  {:02}:{:02}  {}",
            at + 1,
            clean(&call.from),
            clean(&call.to),
            call.state.word(),
            seconds / 60,
            seconds % 60,
            clean(&call.uuid)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{CallState, LegInfo};

    fn calls() -> Vec<CallInfo> {
        let leg = |uuid: &str, user: Option<&str>| LegInfo {
            uuid: uuid.into(),
            user: user.map(Into::into),
            ..LegInfo::default()
        };
        let call = |from: &str, to: &str, legs: Vec<LegInfo>| CallInfo {
            uuid: legs[0].uuid.clone(),
            from: from.into(),
            to: to.into(),
            state: CallState::Up,
            duration_s: 125.9,
            legs,
            ..CallInfo::default()
        };
        vec![
            call("0791112233", "1001", vec![leg("a1", None), leg("b1", Some("1001"))]),
            call("1002", "\u{1b}[2J", vec![leg("a2", Some("1002")), leg("b2", Some("1003"))]),
        ]
    }

    fn answer(text: &str) -> (Choice, String) {
        let mut screen = Vec::new();
        let choice = ask(&calls(), text.as_bytes(), &mut screen).expect("asked");
        (choice, String::from_utf8(screen).expect("text"))
    }

    #[test]
    fn the_list_is_numbered_and_safe_to_show() {
        let (_, screen) = answer("q\n");
        assert!(screen.starts_with("  1  0791112233 with 1001  up  02:05  a1\n  2  1002 with ?[2J  up  02:05  a2\n"));
    }

    #[test]
    fn a_number_chooses_the_agent_of_that_call_or_its_caller() {
        assert_eq!(answer("1\n").0, Choice::Call("b1".into()));
        assert_eq!(answer("2\n").0, Choice::Call("a2".into()));
        assert_eq!(answer("\n").0, Choice::Call("b1".into()));
    }

    #[test]
    fn other_answers_are_asked_again_until_the_end() {
        let (choice, screen) = answer("0\n3\nx\n2\n");
        assert_eq!(choice, Choice::Call("a2".into()));
        assert_eq!(screen.matches("Which call?").count(), 4);
        assert_eq!(answer("").0, Choice::Leave);
    }
}
