//! Random calls over a bad link, and random bytes into live calls: nothing panics, every session ends once, all is freed.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rsip::Method;

use crate::sip::header::Reason;
use crate::sip::stack::{Command, Event, SessionEvent, SessionId};
use crate::sip::tests::pair::{Link, Pair, Side};

/// A bad link with bad users: whatever comes to their minds, in any state.
fn live_randomly(seed: u64, link: Link) {
    let mut pair = Pair::new(link, seed);
    let mut ids = [Vec::new(), Vec::new()];
    let mut ends = Vec::new();
    for number in 0..40 {
        match pair.random() % 4 {
            0 if number < 24 => {
                let offer = (!pair.random().is_multiple_of(4)).then_some("offer");
                ids[0].push(pair.call(number + 1, offer));
            }
            _ => {
                let side = if pair.random().is_multiple_of(2) { Side::Alice } else { Side::Bob };
                let known = &ids[side as usize];
                if !known.is_empty() {
                    let id = known[usize::try_from(pair.random()).unwrap() % known.len()];
                    let command = any_command(&mut pair, id);
                    pair.command(side, command);
                }
            }
        }
        let pause_ms = pair.random() % 900;
        pair.run(Duration::from_millis(pause_ms));
        note(&mut pair, &mut ids, &mut ends);
    }
    for (side, ids) in [Side::Alice, Side::Bob].into_iter().zip(&ids) {
        for id in ids {
            pair.command(side, Command::Hangup { id: *id, reason: None });
        }
    }
    for _ in 0..4 {
        pair.run(Duration::from_secs(40));
        note(&mut pair, &mut ids, &mut ends);
        for id in ids[1].clone() {
            pair.command(Side::Bob, Command::Hangup { id, reason: None });
        }
    }
    pair.run_out();
    note(&mut pair, &mut ids, &mut ends);
    for (side, ids) in [Side::Alice, Side::Bob].into_iter().zip(&ids) {
        for id in ids {
            let count = ends.iter().filter(|end| **end == (side, *id)).count();
            assert_eq!(count, 1, "last events of {id:?} at {side:?}, seed {seed}");
        }
    }
}

/// Remembers sessions that came and sessions that ended.
fn note(pair: &mut Pair, ids: &mut [Vec<SessionId>; 2], ends: &mut Vec<(Side, SessionId)>) {
    for side in [Side::Alice, Side::Bob] {
        for event in pair.events(side) {
            let Event::Session { id, event } = event else { continue };
            assert!(!ends.contains(&(side, id)), "{event:?} after the last event");
            match event {
                SessionEvent::Incoming { .. } => ids[side as usize].push(id),
                SessionEvent::Refused { .. } | SessionEvent::Cancelled { .. } | SessionEvent::Ended { .. } => {
                    ends.push((side, id));
                }
                _ => {}
            }
        }
    }
}

fn any_command(pair: &mut Pair, id: SessionId) -> Command {
    let description = Bytes::from_static(b"description");
    let some = pair.random().is_multiple_of(2).then(|| description.clone());
    match pair.random() % 12 {
        0 | 1 => {
            Command::Progress { id, status: 180 + (pair.random() % 4) as u16, description: some, headers: Vec::new() }
        }
        2..5 => Command::Answer { id, description: some, headers: Vec::new() },
        5 => Command::Reject { id, status: 486, headers: Vec::new() },
        6 => Command::Hangup { id, reason: Some(Reason::q850(16)) },
        7 => Command::Ack { id, description },
        8 => Command::Reoffer { id, description },
        9 => Command::AcceptOffer { id, description },
        10 => Command::RefuseOffer { id, status: 488 },
        _ => Command::Info { id, content_type: "text/plain".to_owned(), body: description },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_session_ends_once_and_leaves_nothing_behind(seed in any::<u64>(), loss_percent in 0_u64..40) {
        live_randomly(seed, Link { loss_percent, ..Link::BAD });
    }

    #[test]
    fn so_it_is_over_a_stream(seed in any::<u64>()) {
        live_randomly(seed, Link::STREAM);
    }

    #[test]
    fn mutated_messages_neither_panic_nor_leave_anything_behind(
        seed in any::<u64>(),
        changes in proptest::collection::vec((any::<u16>(), any::<u16>(), any::<u8>(), 0_u8..6), 1..60),
    ) {
        let mut pair = Pair::new(Link::GOOD, seed);
        let alice = pair.call(1, Some("offer"));
        pair.settle();
        let bob = pair.incoming();
        pair.command(Side::Bob, Command::Progress { id: bob, status: 183, description: Some("x".into()), headers: Vec::new() });
        pair.settle();
        pair.command(Side::Bob, Command::Answer { id: bob, description: None, headers: Vec::new() });
        pair.settle();
        pair.command(Side::Alice, Command::Reoffer { id: alice, description: "y".into() });
        pair.settle();
        let corpus = pair.bytes.clone();
        for (which, place, byte, kind) in changes {
            let mut bytes = corpus[usize::from(which) % corpus.len()].to_vec();
            mutate(&mut bytes, usize::from(place), (byte, kind));
            pair.inject(if kind % 2 == 0 { Side::Alice } else { Side::Bob }, &bytes);
            pair.settle();
        }
        hang_up_everything(&mut pair);
    }

    #[test]
    fn requests_of_every_kind_out_of_the_blue_leave_nothing_behind(
        seed in any::<u64>(),
        kinds in proptest::collection::vec((0_usize..14, any::<u8>(), any::<bool>()), 1..30),
    ) {
        let mut pair = Pair::new(Link::GOOD, seed);
        pair.call(1, Some("offer"));
        pair.settle();
        let bob = pair.incoming();
        pair.command(Side::Bob, Command::Answer { id: bob, description: Some("x".into()), headers: Vec::new() });
        let accepted = pair.last_bytes("SIP/2.0 200");
        pair.settle();
        let tag = pair.to_tag(&accepted);
        let text = String::from_utf8_lossy(&accepted).into_owned();
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        for (number, (kind, cseq, within)) in kinds.into_iter().enumerate() {
            let method = crate::sip::message::method_name(Method::all()[kind]);
            let to = if within { line("To:") } else { line("To:").replace(&format!(";tag={tag}"), "") };
            let request = format!(
                "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKblue{number}\r\n\
                 Max-Forwards: 70\r\n{}\r\n{to}\r\n{}\r\nCSeq: {cseq} {method}\r\nRAck: 1 1 INVITE\r\n\
                 Contact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n",
                line("From:"), line("Call-ID:"),
            );
            pair.inject(Side::Bob, request.as_bytes());
            pair.settle();
        }
        hang_up_everything(&mut pair);
    }
}

/// Changes, cuts, doubles or swaps parts of a message.
fn mutate(bytes: &mut Vec<u8>, place: usize, (byte, kind): (u8, u8)) {
    let place = place % bytes.len();
    match kind {
        0 => bytes[place] = byte,
        1 => bytes.insert(place, byte),
        2 => bytes.truncate(place),
        3 => {
            let end = (place + usize::from(byte)).min(bytes.len());
            bytes.drain(place..end);
        }
        4 => {
            let end = (place + usize::from(byte)).min(bytes.len());
            let copy = bytes[place..end].to_vec();
            bytes.splice(place..place, copy);
        }
        _ => {
            // A new branch: the same message as a new request.
            let text = String::from_utf8_lossy(bytes).replace("branch=z9hG4bK", &format!("branch=z9hG4bKm{byte}"));
            *bytes = text.into_bytes();
        }
    }
}

/// Ends all sessions and requests that came into being, however they did, until nothing is left.
fn hang_up_everything(pair: &mut Pair) {
    for _ in 0..4 {
        for side in [Side::Alice, Side::Bob] {
            for id in pair.stack(side).session_ids() {
                pair.command(side, Command::Hangup { id, reason: None });
            }
        }
        pair.run(Duration::from_secs(70));
    }
    pair.run_out();
}
