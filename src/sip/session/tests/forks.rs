//! One INVITE, several answers (RFC 3261 §13.2.2.4): the second Bob is made by rewriting the first one's tag.

use super::{answer, end, hangup, progress};
use crate::sip::tests::pair::{Link, Pair, Side};

#[test]
fn a_second_2xx_is_acknowledged_and_its_dialog_ended() {
    let mut pair = Pair::new(Link::GOOD, 60);
    let alice = pair.call(1, Some("offer"));
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, answer(bob));
    let accepted = pair.last_bytes("SIP/2.0 200");
    pair.settle();
    let tag = pair.to_tag(&accepted);
    let forked = String::from_utf8(accepted.to_vec()).unwrap().replace(&tag, "fork");
    pair.inject(Side::Alice, forked.as_bytes());
    assert_eq!((pair.sent("ACK"), pair.sent("BYE")), (2, 1));
    // A repeat of the fork's 2xx gets the ACK again, and no second BYE.
    pair.inject(Side::Alice, forked.as_bytes());
    assert_eq!((pair.sent("ACK"), pair.sent("BYE")), (3, 1));
    assert_eq!(pair.told(Side::Alice), ["answered answer"]);
    end(&mut pair, alice);
}

#[test]
fn each_fork_that_rings_has_a_dialog_and_the_one_that_answers_stays() {
    let mut pair = Pair::new(Link::GOOD, 61);
    let alice = pair.call(1, Some("offer"));
    pair.settle();
    let bob = pair.incoming();
    pair.command(Side::Bob, progress(bob, 180, None));
    let ringing = pair.last_bytes("SIP/2.0 180");
    pair.settle();
    let tag = pair.to_tag(&ringing);
    for number in 0..40 {
        let fork = String::from_utf8(ringing.to_vec()).unwrap().replace(&tag, &format!("fork{number}"));
        pair.inject(Side::Alice, fork.as_bytes());
    }
    assert_eq!(pair.alice.counts().dialogs, 16);
    pair.command(Side::Bob, answer(bob));
    pair.settle();
    assert_eq!(pair.alice.counts().dialogs, 1);
    pair.command(Side::Alice, hangup(alice));
    pair.run_out();
    assert_eq!(pair.told(Side::Bob).last().unwrap(), "ended Peer");
}
