//! Sessions between two stacks on virtual time: each test reads as a ladder.

mod basic;
mod change;
mod forks;
mod random;
mod reliable;

use bytes::Bytes;

use crate::sip::stack::{Command, SessionId};
use crate::sip::tests::pair::{Pair, Side};

fn body(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

fn progress(id: SessionId, status: u16, description: Option<Bytes>) -> Command {
    Command::Progress { id, status, description, headers: Vec::new() }
}

fn answer(id: SessionId) -> Command {
    Command::Answer { id, description: body("answer"), headers: Vec::new() }
}

fn hangup(id: SessionId) -> Command {
    Command::Hangup { id, reason: None }
}

/// Alice calls, Bob answers at once.
fn set_up(pair: &mut Pair) -> (SessionId, SessionId) {
    let alice = pair.call(1, Some("offer"));
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, answer(bob));
    pair.settle();
    (alice, bob)
}

/// As [`set_up`], and what was told so far is forgotten.
fn talking(pair: &mut Pair) -> (SessionId, SessionId) {
    let ids = set_up(pair);
    pair.told(Side::Alice);
    pair.told(Side::Bob);
    ids
}

/// Hangs up, and nothing is left.
fn end(pair: &mut Pair, alice: SessionId) {
    pair.command(Side::Alice, hangup(alice));
    pair.run_out();
}
