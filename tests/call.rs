//! Calls through the server: who hears whom, how they end, and that nothing is left of them.

use std::net::{SocketAddr, UdpSocket};

use crate::harness::{Call, Law, Packet, Phone, Profile, TestPbx, Tone, Transport, Unusual, calmly, nothing, only};

pub(crate) const DIAL_BOB: &str = "exten => bob,1,Dial(SIP/bob,10)";

/// Two phones in a call that both have answered.
pub(crate) async fn talk(caller: &Phone, callee: &mut Phone, number: &str) -> (Call, Call) {
    let mut calling = caller.invite(number).await;
    let mut called = callee.is_called().await;
    called.rings().await;
    calling.expects([180]).await;
    both_answer(&mut calling, &mut called).await;
    (calling, called)
}

pub(crate) async fn both_answer(calling: &mut Call, called: &mut Call) {
    let caller = async {
        calling.expects([200]).await.ack().await;
    };
    let callee = async {
        called.answers().await;
    };
    tokio::join!(caller, callee);
}

/// Both speak and hear each other and nothing else.
pub(crate) async fn hear_each_other(alice: &mut Call, bob: &mut Call) {
    alice.says(Tone::A).await;
    bob.says(Tone::B).await;
    alice.hears(only(Tone::B)).await;
    bob.hears(only(Tone::A)).await;
}

async fn one_call(pbx: &TestPbx, alice: Profile, bob: Profile) {
    let alice = pbx.plugs_in(alice).await;
    let mut bob = pbx.plugs_in(bob).await;
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    hear_each_other(&mut calling, &mut called).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn two_users_hear_each_other_over_either_transport() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        for (alice, bob) in [
            (Transport::Udp, Transport::Udp),
            (Transport::Tcp, Transport::Tcp),
            (Transport::Udp, Transport::Tcp),
            (Transport::Tcp, Transport::Udp),
        ] {
            one_call(&pbx, pbx.profile_over("alice", alice), pbx.profile_over("bob", bob)).await;
            let mut phone = pbx.profile_over("bob", bob).plug_in().await;
            phone.tries_to_register(0).await;
        }
    })
    .await;
}

#[tokio::test]
async fn two_users_hear_each_other_over_ipv6() {
    calmly(async || {
        let pbx = TestPbx::unusual(DIAL_BOB, Unusual { ipv6: true, ..Unusual::default() }).await;
        one_call(&pbx, pbx.profile("alice"), pbx.profile_over("bob", Transport::Tcp)).await;
    })
    .await;
}

#[tokio::test]
async fn the_callee_may_hang_up_too_and_both_may_at_once() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        called.hangs_up().await;
        let bye = calling.is_hung_up().await;
        assert_eq!(Call::cause(&bye, "Q.850"), Some(16), "normal clearing: {:?}", bye.all("Reason"));
        for _ in 0..10 {
            let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
            tokio::join!(calling.hangs_up(), called.hangs_up());
        }
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn one_law_is_translated_into_the_other_and_packet_times_may_differ() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        for (alice, bob) in [(Law::Ulaw, Law::Alaw), (Law::Alaw, Law::Ulaw), (Law::Alaw, Law::Alaw)] {
            let alice = Profile { laws: vec![alice], ..pbx.profile("alice") };
            let bob = Profile { laws: vec![bob], contact_params: instance(), ..pbx.profile("bob") };
            one_call(&pbx, alice, bob).await;
        }
        for (alice, bob) in [(10, 10), (10, 20), (30, 20), (60, 10), (20, 60)] {
            let alice = Profile { ptime_ms: alice, ..pbx.profile("alice") };
            let bob = Profile { ptime_ms: bob, contact_params: instance(), ..pbx.profile("bob") };
            one_call(&pbx, alice, bob).await;
        }
    })
    .await;
}

/// So that bob's next phone takes the place of the one before.
fn instance() -> String {
    ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-0000000000b0>\"".to_owned()
}

#[tokio::test]
async fn a_relayed_direction_is_the_same_bytes_in_the_same_order() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let profile = |user: &str| Profile { laws: vec![Law::Ulaw], ..pbx.profile(user) };
        let (alice, mut bob) = (pbx.plugs_in(profile("alice")).await, pbx.plugs_in(profile("bob")).await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut calling, &mut called).await;
        called.dialog.media.receives("bob", 100).await;
        is_relayed(&calling.dialog.media.sent(), &called.dialog.media.received());
        is_relayed(&called.dialog.media.sent(), &calling.dialog.media.received());
    })
    .await;
}

/// Every packet from the first received on is one sent, none missing, none twice, and the clock goes on evenly.
pub(crate) fn is_relayed(sent: &[Packet], received: &[Packet]) {
    is_gapless(received);
    let received = connected(received);
    let first = sent.iter().position(|packet| packet.payload == received[0].payload);
    let sent = &sent[first.expect("the first packet was sent by the other side")..];
    for (at, (sent, received)) in sent.iter().zip(received).enumerate() {
        assert!(sent.payload == received.payload, "packet {at} differs");
    }
    assert!(received.len() <= sent.len());
}

/// Without what the server says itself before it connects two parties: what they say begins with a marker.
fn connected(received: &[Packet]) -> &[Packet] {
    let begin = received.iter().take(10).rposition(|packet| packet.marker);
    &received[begin.unwrap_or(0)..]
}

/// Sequence numbers and timestamps go up by one packet each.
pub(crate) fn is_gapless(received: &[Packet]) {
    let received = connected(received);
    for (at, pair) in received.windows(2).enumerate() {
        let samples_per_byte = if pair[0].payload_type == Law::G729.payload() { 8 } else { 1 };
        let samples = u32::try_from(pair[0].payload.len()).unwrap_or(0) * samples_per_byte;
        let next = (pair[0].sequence.wrapping_add(1), pair[0].timestamp.wrapping_add(samples), pair[0].ssrc);
        assert_eq!(
            (pair[1].sequence, pair[1].timestamp, pair[1].ssrc),
            next,
            "after packet {at} of {}",
            received.len()
        );
    }
}

#[tokio::test]
async fn a_caller_who_gives_up_stops_the_ringing() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut calling = alice.invite("bob").await;
        let mut called = bob.is_called().await;
        called.rings().await;
        calling.expects([180]).await.cancels().await;
        let cancel = called.is_cancelled().await;
        assert_eq!(Call::cause(&cancel, "SIP"), None, "nobody else answered: {:?}", cancel.all("Reason"));
        pbx.is_idle().await;
        let record = &pbx.records(1).await[0];
        assert_eq!(record["disposition"], "NO ANSWER");
    })
    .await;
}

#[tokio::test]
async fn refusals_reach_the_caller_as_what_they_are() {
    calmly(async || {
    let plan = "exten => bob,1,Dial(SIP/bob,10)\nexten => test,1,Dial(SIP/bob,10)\n same => n,GotoIf($[\"${DIALSTATUS}\" = \"BUSY\"]?busy)\n same => n,Congestion()\n same => n(busy),Answer()\n same => n,Echo()\n";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    for (refusal, seen) in
        [(486, vec![486]), (603, vec![603, 403]), (480, vec![480]), (404, vec![404]), (488, vec![488, 480])]
    {
        let mut calling = alice.invite("bob").await;
        bob.is_called().await.refuses(refusal).await;
        calling.is_refused(&seen).await;
    }
    let mut calling = alice.invite("test").await;
    bob.is_called().await.refuses(486).await;
    calling.expects([200]).await.ack().await;
    calling.says(Tone::A).await.hears(only(Tone::A)).await.hangs_up().await;
    pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_end_the_call_in_time() {
    calmly(async || {
    // Nobody but its peer reaches a connected socket, and while it is there the port is nobody else's.
    let closed = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    closed.connect("127.0.0.1:9").expect("a peer");
    let far = closed.local_addr().expect("an address");
    let plan = format!(
        "exten => bob,1,Dial(SIP/bob,1)\nexten => carol,1,Dial(SIP/carol)\nexten => far,1,Dial(SIP/x@{far},2)\nexten => none,1,Dial(SIP/zoe)"
    );
    let pbx = TestPbx::with(&plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    called.is_cancelled().await;
    calling.is_refused(&[480, 408]).await;
    for number in ["carol", "far", "none"] {
        alice.invite(number).await.is_refused(&[480, 404, 408, 503]).await;
    }
    alice.invite("666").await.is_refused(&[404]).await;
    pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn all_phones_of_a_user_ring_and_the_first_to_answer_wins() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let alice = pbx.phone("alice").await;
        let (mut desk, mut mobile) =
            (pbx.phone("bob").await, pbx.plugs_in(pbx.profile_over("bob", Transport::Tcp)).await);
        let mut calling = alice.invite("bob").await;
        let (mut at_desk, mut on_mobile) = (desk.is_called().await, mobile.is_called().await);
        at_desk.rings().await;
        on_mobile.rings().await;
        calling.expects([180]).await;
        both_answer(&mut calling, &mut on_mobile).await;
        let cancel = at_desk.is_cancelled().await;
        assert_eq!(Call::cause(&cancel, "SIP"), Some(200), "answered elsewhere: {:?}", cancel.all("Reason"));
        hear_each_other(&mut calling, &mut on_mobile).await;
        on_mobile.hangs_up().await;
        calling.is_hung_up().await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn either_side_may_hold_and_resume() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut alice, mut bob) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut alice, &mut bob).await;
        alice.holds().await.hears(nothing()).await;
        bob.hears(nothing()).await;
        alice.resumes().await;
        hear_each_other(&mut alice, &mut bob).await;
        bob.holds().await.hears(nothing()).await;
        alice.hears(nothing()).await;
        bob.resumes().await;
        hear_each_other(&mut alice, &mut bob).await;
        alice.hangs_up().await;
        bob.is_hung_up().await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn an_offer_may_come_with_the_answer() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let alice = Profile { delayed_offer: true, ..pbx.profile("alice") };
        one_call(&pbx, alice, pbx.profile("bob")).await;
    })
    .await;
}

#[tokio::test]
async fn early_media_is_heard_before_the_answer() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut calling = alice.invite("bob").await;
        let mut called = bob.is_called().await;
        called.progresses().await.says(Tone::B).await;
        calling.expects([183]).await.hears(only(Tone::B)).await;
        both_answer(&mut calling, &mut called).await;
        hear_each_other(&mut calling, &mut called).await;
        calling.hangs_up().await;
        called.is_hung_up().await;
    })
    .await;
}

#[tokio::test]
async fn a_caller_who_demands_reliable_ringing_gets_it() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let profile = Profile { required: vec!["100rel".to_owned()], ..pbx.profile("alice") };
        let (alice, mut bob) = (pbx.plugs_in(profile).await, pbx.phone("bob").await);
        let mut calling = alice.invite("bob").await;
        let mut called = bob.is_called().await;
        called.rings().await;
        calling.expects([180]).await;
        assert!(calling.newest().lists("Require", "100rel") && calling.newest().header("RSeq").is_some());
        both_answer(&mut calling, &mut called).await;
        hear_each_other(&mut calling, &mut called).await;
        calling.hangs_up().await;
        called.is_hung_up().await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn a_callee_who_rings_reliably_is_acknowledged() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let mut calling = alice.invite("bob").await;
        let mut called = bob.is_called().await;
        assert!(called.invite().lists("Supported", "100rel"));
        called.rings_reliably(7_001).await;
        calling.expects([180]).await;
        called.rings_reliably(7_002).await;
        both_answer(&mut calling, &mut called).await;
        hear_each_other(&mut calling, &mut called).await;
        called.hangs_up().await;
        calling.is_hung_up().await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn a_call_without_hops_left_is_refused_and_each_call_uses_one() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let uri = alice.station.address("bob");
        alice.invite_uri(&uri, &[("Max-Forwards", "0")]).await.is_refused(&[483]).await;
        for (came, goes) in [("12", "11"), ("1", "0")] {
            let mut calling = alice.invite_uri(&uri, &[("Max-Forwards", came)]).await;
            let mut called = bob.is_called().await;
            assert_eq!(called.invite().header("Max-Forwards"), Some(goes), "one hop is used");
            called.refuses(486).await;
            calling.is_refused(&[486]).await;
        }
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn a_call_that_demands_the_unknown_is_told_so() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let profile = Profile { required: vec!["teleportation".to_owned()], ..pbx.profile("alice") };
        let mut calling = pbx.plugs_in(profile).await.invite("bob").await;
        calling.expects([420]).await;
        assert!(calling.newest().lists("Unsupported", "teleportation"));
    })
    .await;
}

#[tokio::test]
async fn keys_are_relayed_as_events_and_from_info() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut alice, mut bob) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut alice, &mut bob).await;
        alice.presses("159#").await;
        bob.hears_digits("159#").await;
        bob.presses("*0").await;
        alice.hears_digits("*0").await;
        alice.informs('7').await;
        bob.hears_digits("159#7").await.hears(only(Tone::A)).await;
    })
    .await;
}

#[tokio::test]
async fn a_stranger_s_audio_is_not_heard_and_draws_none() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut alice, mut bob) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut alice, &mut bob).await;
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        stranger.set_nonblocking(true).expect("a socket that does not block");
        let towards: Vec<SocketAddr> = [&alice, &bob].iter().filter_map(|call| call.dialog.media.remote()).collect();
        assert_eq!(towards.len(), 2);
        let like = alice.dialog.media.sent().last().cloned().expect("a packet");
        for burst in 0..20 {
            for at in 0..10 {
                let number = burst * 10 + at;
                let payload =
                    (0..160).map(|sample| Law::Ulaw.encode(Tone::C.sample(u64::from(number) * 160 + sample))).collect();
                let sequence = like.sequence.wrapping_add(number + 1);
                let packet =
                    Packet { payload, sequence, timestamp: like.timestamp + 160 * u32::from(number), ..like.clone() };
                for to in &towards {
                    stranger.send_to(&packet.print(), to).expect("a packet sent");
                }
            }
            alice.hears(only(Tone::B)).await;
            bob.hears(only(Tone::A)).await;
        }
        assert!(stranger.recv(&mut [0; 512]).is_err(), "not one packet to the stranger");
        is_relayed(&alice.dialog.media.sent(), &bob.dialog.media.received());
    })
    .await;
}

#[tokio::test]
async fn a_call_in_which_both_are_silent_for_long_is_ended() {
    calmly(async || {
        let unusual = Unusual { rtp_timeout: Some("3s"), ..Unusual::default() };
        let pbx = TestPbx::unusual(DIAL_BOB, unusual).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut alice, mut bob) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut alice, &mut bob).await;
        alice.dialog.media.goes_quiet();
        bob.says(Tone::B).await;
        alice.dialog.media.receives("alice", 200).await;
        alice.saw_everything();
        bob.dialog.media.goes_quiet();
        alice.is_hung_up().await;
        bob.is_hung_up().await;
        pbx.is_idle().await;
    })
    .await;
}
