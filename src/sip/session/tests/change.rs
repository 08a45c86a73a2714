//! Changing a session that stands: re-INVITE, UPDATE, glare, INFO, and dialogs that are lost.

use std::time::Duration;

use bytes::Bytes;

use super::{body, end, hangup, talking};
use crate::sip::stack::{Command, SessionId};
use crate::sip::tests::pair::{Link, Pair, Side};

fn reoffer(id: SessionId, text: &'static str) -> Command {
    Command::Reoffer { id, description: Bytes::from_static(text.as_bytes()) }
}

fn accept(id: SessionId, text: &'static str) -> Command {
    Command::AcceptOffer { id, description: Bytes::from_static(text.as_bytes()) }
}

#[test]
fn either_side_may_offer_again() {
    let mut pair = Pair::new(Link::GOOD, 40);
    let (alice, bob) = talking(&mut pair);
    for (from, id, to, other) in [(Side::Alice, alice, Side::Bob, bob), (Side::Bob, bob, Side::Alice, alice)] {
        pair.command(from, reoffer(id, "hold"));
        pair.settle();
        assert_eq!(pair.told(to), ["offer Invite hold"]);
        pair.command(to, accept(other, "held"));
        pair.settle();
        assert_eq!(pair.told(from), ["offer answered held"]);
    }
    assert_eq!((pair.sent("INVITE"), pair.sent("ACK")), (3, 3));
    end(&mut pair, alice);
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let mut pair = Pair::new(Link::GOOD, 41);
    let (alice, bob) = talking(&mut pair);
    pair.command(Side::Alice, reoffer(alice, "video"));
    pair.settle();
    pair.command(Side::Bob, Command::RefuseOffer { id: bob, status: 488 });
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["offer refused 488"]);
    pair.command(Side::Alice, reoffer(alice, "audio"));
    pair.settle();
    assert_eq!(pair.told(Side::Bob), ["offer Invite video", "offer Invite audio"]);
    end(&mut pair, alice);
}

#[test]
fn offers_that_meet_are_both_refused_and_tried_again_by_one_after_the_other() {
    for seed in 0..20 {
        let mut pair = Pair::new(Link::GOOD, 420 + seed);
        let (alice, bob) = talking(&mut pair);
        pair.command(Side::Alice, reoffer(alice, "from alice"));
        pair.command(Side::Bob, reoffer(bob, "from bob"));
        pair.settle();
        assert_eq!(pair.sent("SIP/2.0 491"), 2);
        // The callee comes back first: it waits at most 2 s, the caller at least 2.1 s (§14.1).
        pair.run(Duration::from_millis(2_050));
        assert_eq!(pair.told(Side::Alice), ["offer Invite from bob"]);
        pair.command(Side::Alice, accept(alice, "to bob"));
        pair.run(Duration::from_millis(2_200));
        assert_eq!(pair.told(Side::Bob), ["offer answered to bob", "offer Invite from alice"]);
        pair.command(Side::Bob, accept(bob, "to alice"));
        pair.settle();
        assert_eq!(pair.told(Side::Alice), ["offer answered to alice"]);
        end(&mut pair, alice);
    }
}

#[test]
fn an_offer_made_too_early_waits_for_its_turn() {
    let mut pair = Pair::new(Link::GOOD, 43);
    let (alice, bob) = talking(&mut pair);
    pair.command(Side::Alice, reoffer(alice, "first"));
    pair.command(Side::Alice, reoffer(alice, "second"));
    pair.command(Side::Alice, reoffer(alice, "third"));
    pair.settle();
    pair.command(Side::Bob, accept(bob, "one"));
    pair.settle();
    assert_eq!(pair.told(Side::Bob), ["offer Invite first", "offer Invite third"]);
    pair.command(Side::Bob, accept(bob, "two"));
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["offer answered one", "offer answered two"]);
    end(&mut pair, alice);
}

#[test]
fn the_2xx_to_a_re_invite_is_repeated_until_its_ack_and_then_given_up() {
    let mut pair = Pair::new(Link::GOOD, 44);
    let (alice, bob) = talking(&mut pair);
    pair.drops = vec![("ACK", usize::MAX)];
    pair.command(Side::Alice, reoffer(alice, "hold"));
    pair.settle();
    pair.command(Side::Bob, accept(bob, "held"));
    pair.run_out();
    assert_eq!(pair.told(Side::Bob), ["offer Invite hold", "ended Timeout"]);
    assert_eq!(pair.told(Side::Alice), ["offer answered held", "ended Peer"]);
}

#[test]
fn a_hangup_ends_a_call_whose_offer_is_open() {
    for hanger in [Side::Alice, Side::Bob] {
        let mut pair = Pair::new(Link::GOOD, 45);
        let (alice, bob) = talking(&mut pair);
        pair.command(Side::Alice, reoffer(alice, "hold"));
        pair.settle();
        pair.command(hanger, hangup(if hanger == Side::Alice { alice } else { bob }));
        pair.run_out();
        assert_eq!(pair.told(hanger.other()).last().unwrap(), "ended Peer");
    }
}

#[test]
fn an_info_arrives_and_a_dialog_the_peer_has_lost_ends() {
    let mut pair = Pair::new(Link::GOOD, 46);
    let (alice, _) = talking(&mut pair);
    let info =
        |id| Command::Info { id, content_type: "application/dtmf-relay".to_owned(), body: body("Signal=5").unwrap() };
    pair.command(Side::Alice, info(alice));
    pair.settle();
    assert_eq!(pair.told(Side::Bob), ["info Signal=5"]);
    let now = pair.now;
    pair.bob = crate::sip::stack::Stack::new(crate::sip::stack::StackConfig::default(), 99, now);
    pair.command(Side::Alice, info(alice));
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["ended Timeout"]);
    pair.run_out();
}

#[test]
fn a_request_nobody_answers_any_more_ends_the_call() {
    let mut pair = Pair::new(Link::GOOD, 47);
    let (alice, _) = talking(&mut pair);
    pair.link.loss_percent = 100;
    pair.command(Side::Alice, reoffer(alice, "hold"));
    pair.run(Duration::from_secs(33));
    assert_eq!(pair.told(Side::Alice), ["ended Timeout"]);
    pair.link.loss_percent = 0;
    pair.run_out_one(Side::Alice);
}
