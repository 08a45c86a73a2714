//! Setting up and tearing down: answers, refusals, CANCEL, BYE, and what happens when messages are lost.

use std::time::Duration;

use bytes::Bytes;

use super::{answer, body, hangup, progress, set_up};
use crate::sip::header::Reason;
use crate::sip::stack::{Command, SessionId};
use crate::sip::tests::pair::{Link, Pair, Side};

#[test]
fn a_call_rings_is_answered_and_hung_up_by_the_caller() {
    for link in [Link::GOOD, Link::STREAM] {
        let mut pair = Pair::new(link, 1);
        let alice = pair.call(1, Some("offer"));
        pair.settle();
        let bob = pair.incoming();
        pair.command(Side::Bob, progress(bob, 180, None));
        pair.settle();
        pair.command(Side::Bob, answer(bob));
        pair.settle();
        pair.command(Side::Alice, hangup(alice));
        pair.settle();
        assert_eq!(pair.told(Side::Alice), ["progress 180", "answered answer", "ended Us"]);
        assert_eq!(pair.told(Side::Bob), ["incoming offer", "acked", "ended Peer"]);
        let lines: Vec<_> = pair.trace.iter().map(|line| line.split("sip:").next().unwrap().trim()).collect();
        assert_eq!(
            lines,
            ["INVITE", "SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK", "ACK", "BYE", "SIP/2.0 200 OK"]
        );
        pair.run_out();
    }
}

#[test]
fn the_offer_may_come_in_the_2xx_and_the_answer_in_the_ack() {
    let mut pair = Pair::new(Link::GOOD, 2);
    let alice = pair.call(1, None);
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, Command::Answer { id: bob, description: body("their offer"), headers: Vec::new() });
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["answered their offer"]);
    assert_eq!(pair.sent("ACK"), 0);
    pair.command(Side::Alice, Command::Ack { id: alice, description: Bytes::from_static(b"our answer") });
    pair.settle();
    assert_eq!(pair.told(Side::Bob), ["incoming", "acked our answer"]);
    pair.command(Side::Bob, hangup(bob));
    pair.run_out();
    assert_eq!(pair.told(Side::Alice), ["ended Peer"]);
}

#[test]
fn a_refusal_reaches_the_caller_and_is_acknowledged() {
    let mut pair = Pair::new(Link::GOOD, 3);
    pair.call(1, Some("offer"));
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, Command::Reject { id: bob, status: 486, headers: Vec::new() });
    pair.run_out();
    assert_eq!(pair.told(Side::Alice), ["refused 486"]);
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "ended Us"]);
    assert_eq!((pair.sent("SIP/2.0 486"), pair.sent("ACK")), (1, 1));
}

#[test]
fn a_cancel_ends_the_ringing_and_carries_its_reason() {
    let mut pair = Pair::new(Link::GOOD, 4);
    let alice = pair.call(1, Some("offer"));
    pair.settle();
    pair.command(
        Side::Alice,
        Command::Hangup { id: alice, reason: Some(Reason::sip(200, "Call completed elsewhere")) },
    );
    pair.run_out();
    assert_eq!(pair.told(Side::Alice), ["ended Us"]);
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "cancelled SIP;cause=200;text=\"Call completed elsewhere\""]);
    assert_eq!((pair.sent("CANCEL"), pair.sent("SIP/2.0 487"), pair.sent("ACK")), (1, 1, 1));
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut pair = Pair::new(Link::GOOD, 5);
    let alice = pair.call(1, Some("offer"));
    pair.command(Side::Alice, hangup(alice));
    assert_eq!(pair.sent("CANCEL"), 0);
    pair.run_out();
    assert_eq!(pair.sent("CANCEL"), 1);
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "cancelled"]);
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut pair = Pair::new(Link::GOOD, 6);
    let alice = pair.call(1, Some("offer"));
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, answer(bob));
    pair.command(Side::Alice, hangup(alice));
    pair.run_out();
    assert_eq!(pair.told(Side::Alice), ["ended Us"]);
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "acked", "ended Peer"]);
    assert_eq!((pair.sent("ACK"), pair.sent("BYE")), (1, 1));
}

#[test]
fn both_may_hang_up_at_once() {
    let mut pair = Pair::new(Link::GOOD, 7);
    let (alice, bob) = set_up(&mut pair);
    pair.command(Side::Alice, hangup(alice));
    pair.command(Side::Bob, hangup(bob));
    pair.run_out();
    assert_eq!(pair.told(Side::Alice).last().unwrap(), "ended Us");
    assert_eq!(pair.told(Side::Bob).last().unwrap(), "ended Us");
    assert_eq!((pair.sent("BYE"), pair.sent("SIP/2.0 481")), (2, 0));
}

#[test]
fn an_invite_without_any_response_is_given_up_after_64_t1() {
    let mut pair = Pair::new(Link { loss_percent: 100, ..Link::GOOD }, 8);
    pair.call(1, Some("offer"));
    pair.run_out();
    assert_eq!(pair.told(Side::Alice), ["refused 408"]);
    assert_eq!((pair.sent("INVITE"), pair.elapsed()), (7, Duration::from_secs(32)));
}

#[test]
fn a_2xx_is_repeated_until_its_ack_and_the_ack_for_each_repeat() {
    let mut pair = Pair::new(Link::GOOD, 9);
    pair.drops = vec![("ACK", 2)];
    let (alice, _) = set_up(&mut pair);
    pair.run(Duration::from_secs(3));
    assert_eq!((pair.sent("SIP/2.0 200"), pair.sent("ACK")), (3, 3));
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "acked"]);
    assert_eq!(pair.told(Side::Alice), ["answered answer"]);
    pair.command(Side::Alice, hangup(alice));
    pair.run_out();
}

#[test]
fn a_call_whose_ack_never_comes_is_ended_with_a_bye_after_64_t1() {
    let mut pair = Pair::new(Link::GOOD, 10);
    pair.drops = vec![("ACK", usize::MAX)];
    let (_, _) = set_up(&mut pair);
    pair.run_out();
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "ended Timeout"]);
    assert_eq!(pair.told(Side::Alice), ["answered answer", "ended Peer"]);
    assert_eq!((pair.sent("BYE"), pair.sent("SIP/2.0 200 OK")), (1, 11 + 1));
}

#[test]
fn a_callee_that_hangs_up_before_the_ack_waits_for_it() {
    let mut pair = Pair::new(Link::GOOD, 11);
    pair.call(1, Some("offer"));
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, answer(bob));
    pair.command(Side::Bob, hangup(bob));
    assert_eq!(pair.sent("BYE"), 0);
    pair.run_out();
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "ended Us"]);
    assert_eq!(pair.told(Side::Alice), ["answered answer", "ended Peer"]);
}

#[test]
fn a_call_without_hops_left_is_refused_here() {
    let mut pair = Pair::new(Link::GOOD, 12);
    let (alice, _) = set_up(&mut pair);
    pair.command(Side::Alice, hangup(alice));
    pair.run_out();
    pair.told(Side::Alice);
    let id = SessionId(2);
    let invite = crate::sip::stack::Invite { max_forwards: Some(0), ..pair.invite_to_bob(None) };
    pair.command(Side::Alice, Command::Invite { id, invite: Box::new(invite) });
    assert_eq!(pair.told(Side::Alice), ["refused 483"]);
    pair.run_out();
}

#[test]
fn calls_survive_a_third_of_all_messages_lost() {
    for seed in 0..40 {
        let mut pair = Pair::new(Link::BAD, 1000 + seed);
        let alice = pair.call(1, Some("offer"));
        pair.run(Duration::from_secs(20));
        let bob = pair.incoming();
        pair.command(Side::Bob, progress(bob, 180, None));
        pair.command(Side::Bob, answer(bob));
        pair.run(Duration::from_secs(25));
        assert!(pair.told(Side::Alice).contains(&"answered answer".to_owned()), "seed {seed}");
        assert_eq!(pair.told(Side::Bob), ["incoming offer", "acked"], "seed {seed}");
        pair.command(Side::Alice, hangup(alice));
        pair.run_out();
        assert_eq!(pair.told(Side::Bob), ["ended Peer"], "seed {seed}");
    }
}
