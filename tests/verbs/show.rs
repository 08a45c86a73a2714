//! What `pbx calls show` tells of the variables of each leg.

use wirechief::control::protocol::{CallDetail, Target, method};

use super::leg_of;
use crate::call::{both_answer, hear_each_other};
use crate::harness::TestPbx;

/// What the server tells of the call of the leg of that number.
async fn shown(pbx: &TestPbx, number: &str) -> CallDetail {
    let uuid = leg_of(pbx, number).await;
    pbx.client().await.request(method::CALL, &Target { uuid }).await.expect("a live call")
}

#[tokio::test]
async fn s062_each_leg_has_its_own_variables_while_it_rings_and_while_it_talks() {
    let plan = "exten => bob,1,Set(OWN=1)\n same => n,Set(__HANDED=2)\n same => n,Dial(SIP/bob,10)";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    for number in ["alice", "bob"] {
        tells_both(&shown(&pbx, number).await);
    }
    both_answer(&mut calling, &mut called).await;
    hear_each_other(&mut calling, &mut called).await;
    for number in ["alice", "bob"] {
        tells_both(&shown(&pbx, number).await);
    }
}

fn tells_both(call: &CallDetail) {
    let [caller, callee] = &call.legs[..] else { panic!("{call:?}") };
    for leg in [caller, callee] {
        assert_eq!(leg.variables.get("CHANNEL"), Some(&leg.channel), "{leg:?}");
        assert_eq!(
            leg.variables.get("HANDED").map(String::as_str).or(leg.variables.get("__HANDED").map(String::as_str)),
            Some("2"),
            "{leg:?}"
        );
    }
    assert_eq!(caller.variables.get("OWN").map(String::as_str), Some("1"));
    assert_eq!(callee.variables.get("OWN"), None, "what is not handed down is the caller's alone");
}
