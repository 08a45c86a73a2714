//! The harness against itself: two scripted phones call each other without a server.

use crate::harness::{Call, Phone, Profile, Tone, Transport, nothing, only};

async fn call_between(transport: Transport) -> (Phone, Phone, Call, Call) {
    let nowhere = "127.0.0.1:9".parse().expect("an address");
    let mut bob = Profile { transport, ..Profile::new("bob", nowhere) }.plug_in().await;
    let alice = Profile { transport, ..Profile::new("alice", bob.local()) }.plug_in().await;
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    calling.expects([180]).await;
    let (caller, callee) = (
        async {
            calling.expects([200]).await.ack().await;
        },
        async {
            called.answers().await;
        },
    );
    tokio::join!(caller, callee);
    (alice, bob, calling, called)
}

#[tokio::test]
async fn two_phones_hear_each_other_and_nothing_else() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (_alice, _bob, mut alice, mut bob) = call_between(transport).await;
        alice.says(Tone::A).await;
        bob.says(Tone::B).await;
        alice.hears(only(Tone::B)).await;
        bob.hears(only(Tone::A)).await;
        bob.falls_silent().await;
        alice.hears(nothing()).await;
        alice.presses("15#").await;
        bob.hears_digits("15#").await.hears(only(Tone::A)).await;
        alice.holds().await.hears(nothing()).await;
        bob.hears(nothing()).await;
        alice.resumes().await;
        bob.hears(only(Tone::A)).await;
        alice.informs('7').await.hangs_up().await;
        alice.saw_everything();
    }
}

#[tokio::test]
async fn a_phone_refuses_and_another_gives_up() {
    let nowhere = "127.0.0.1:9".parse().expect("an address");
    let mut bob = Profile::new("bob", nowhere).plug_in().await;
    let alice = Profile::new("alice", bob.local()).plug_in().await;
    let mut calling = alice.invite("bob").await;
    bob.is_called().await.refuses(486).await;
    calling.expects([100, 486]).await.saw_everything();
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    calling.expects([180]).await.cancels().await;
    called.is_cancelled().await;
}

#[tokio::test]
async fn what_a_phone_sends_arrives_byte_for_byte() {
    let (_alice, _bob, mut alice, bob) = call_between(Transport::Udp).await;
    alice.says(Tone::A).await;
    let got = bob.dialog.media.receives("bob", 50).await;
    let sent = alice.dialog.media.sent();
    let start = sent.iter().position(|packet| packet.sequence == got[0].sequence).expect("the first packet");
    for (got, sent) in got.iter().zip(&sent[start..]) {
        assert_eq!((got.sequence, &got.payload), (sent.sequence, &sent.payload));
    }
}
