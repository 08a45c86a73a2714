//! 100rel (RFC 3262): 18x until PRACK, answers in 18x, and what waits for a PRACK.

use std::time::Duration;

use super::{answer, body, end, hangup, progress};
use crate::sip::stack::{Command, SessionId};
use crate::sip::tests::pair::{Link, Pair, Side};

fn ringing(pair: &mut Pair) -> (SessionId, SessionId) {
    let alice = pair.call(1, Some("offer"));
    pair.settle();
    (alice, pair.incoming())
}

#[test]
fn an_answer_in_a_183_is_reliable_and_not_repeated_in_the_2xx() {
    let mut pair = Pair::new(Link::GOOD, 20);
    let (alice, bob) = ringing(&mut pair);
    pair.command(Side::Bob, progress(bob, 183, body("early")));
    pair.settle();
    assert_eq!((pair.sent("PRACK"), pair.sent("SIP/2.0 200")), (1, 1));
    pair.command(Side::Bob, answer(bob));
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["progress 183 early", "answered"]);
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "acked"]);
    end(&mut pair, alice);
}

#[test]
fn a_180_without_description_is_plain_for_a_peer_that_only_supports_100rel() {
    let mut pair = Pair::new(Link::GOOD, 21);
    let (alice, bob) = ringing(&mut pair);
    pair.command(Side::Bob, progress(bob, 180, None));
    pair.settle();
    assert_eq!(pair.sent("PRACK"), 0);
    pair.command(Side::Bob, answer(bob));
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["progress 180", "answered answer"]);
    end(&mut pair, alice);
}

#[test]
fn a_peer_that_requires_100rel_gets_every_18x_reliably_and_in_order() {
    let mut pair = Pair::new(Link::GOOD, 22);
    let mut invite = pair.invite_to_bob(Some("offer"));
    invite.headers = vec![("Require".to_owned(), "100rel".to_owned())];
    let alice = SessionId(1);
    pair.command(Side::Alice, Command::Invite { id: alice, invite: Box::new(invite) });
    pair.settle();
    let bob = pair.incoming();
    for (status, description) in [(180, None), (182, None), (183, body("early"))] {
        pair.command(Side::Bob, progress(bob, status, description));
    }
    assert_eq!(pair.sent("SIP/2.0 18"), 1);
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["progress 180", "progress 182", "progress 183 early"]);
    assert_eq!(pair.sent("PRACK"), 3);
    pair.command(Side::Bob, answer(bob));
    pair.settle();
    end(&mut pair, alice);
}

#[test]
fn the_2xx_waits_for_the_prack_of_the_answer() {
    let mut pair = Pair::new(Link::GOOD, 23);
    pair.drops = vec![("PRACK", 2)];
    let (alice, bob) = ringing(&mut pair);
    pair.command(Side::Bob, progress(bob, 183, body("early")));
    pair.command(Side::Bob, answer(bob));
    assert_eq!(pair.sent("SIP/2.0 200"), 0);
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.told(Side::Alice), ["progress 183 early", "answered"]);
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "acked"]);
    end(&mut pair, alice);
}

#[test]
fn a_reliable_18x_without_prack_ends_the_call_with_504_after_64_t1() {
    let mut pair = Pair::new(Link::GOOD, 24);
    pair.drops = vec![("PRACK", usize::MAX)];
    let (_, bob) = ringing(&mut pair);
    pair.command(Side::Bob, progress(bob, 183, body("early")));
    pair.run_out();
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "ended Timeout"]);
    assert_eq!(pair.told(Side::Alice), ["progress 183 early", "refused 504"]);
    assert_eq!(pair.sent("SIP/2.0 183"), 7); // T1 doubled without end: at 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s
}

#[test]
fn our_offer_in_a_plain_18x_is_held_back_until_the_2xx() {
    let mut pair = Pair::new(Link::GOOD, 25);
    let alice = pair.call(1, None); // without an offer 100rel is not supported
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, progress(bob, 183, body("too early")));
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["progress 183"]);
    end(&mut pair, alice);
}

#[test]
fn a_preview_in_a_plain_18x_is_repeated_in_the_2xx() {
    let mut pair = Pair::new(Link::GOOD, 26);
    let mut invite = pair.invite_to_bob(Some("offer"));
    invite.headers = Vec::new();
    let alice = SessionId(1);
    pair.command(Side::Alice, Command::Invite { id: alice, invite: Box::new(invite) });
    // The INVITE on its way loses its Supported header: a peer without 100rel.
    pair.rewrite_next("Supported: 100rel\r\n", "");
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, progress(bob, 183, body("preview")));
    pair.command(Side::Bob, Command::Answer { id: bob, description: None, headers: Vec::new() });
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["progress 183 preview", "answered preview"]);
    assert_eq!(pair.sent("PRACK"), 0);
    end(&mut pair, alice);
}

#[test]
fn an_early_update_follows_a_reliable_answer() {
    let mut pair = Pair::new(Link::GOOD, 27);
    let (alice, bob) = ringing(&mut pair);
    pair.command(Side::Bob, progress(bob, 183, body("early")));
    pair.settle();
    pair.command(Side::Alice, Command::Reoffer { id: alice, description: body("update").unwrap() });
    pair.settle();
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "offer Update update"]);
    // The 2xx to the INVITE waits until the UPDATE is answered.
    pair.command(Side::Bob, answer(bob));
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["progress 183 early"]);
    pair.command(Side::Bob, Command::AcceptOffer { id: bob, description: body("updated").unwrap() });
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["offer answered updated", "answered"]);
    end(&mut pair, alice);
}

#[test]
fn the_callee_may_update_early_too() {
    let mut pair = Pair::new(Link::GOOD, 28);
    let (alice, bob) = ringing(&mut pair);
    pair.command(Side::Bob, progress(bob, 183, body("early")));
    pair.settle();
    pair.command(Side::Bob, Command::Reoffer { id: bob, description: body("update").unwrap() });
    pair.settle();
    assert_eq!(pair.told(Side::Alice), ["progress 183 early", "offer Update update"]);
    pair.command(Side::Alice, Command::AcceptOffer { id: alice, description: body("updated").unwrap() });
    pair.settle();
    assert_eq!(pair.told(Side::Bob), ["incoming offer", "offer answered updated"]);
    pair.command(Side::Alice, hangup(alice));
    pair.run_out();
    assert_eq!(pair.told(Side::Bob), ["cancelled"]);
}

#[test]
fn ringing_is_repeated_each_minute_for_the_proxies_on_the_way() {
    let mut pair = Pair::new(Link::GOOD, 29);
    let (alice, bob) = ringing(&mut pair);
    pair.command(Side::Bob, progress(bob, 180, None));
    pair.run(Duration::from_secs(150));
    assert_eq!(pair.sent("SIP/2.0 180"), 3);
    end(&mut pair, alice);
}
