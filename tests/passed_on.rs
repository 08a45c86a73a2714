//! Codecs that only the phones understand: passed on bit for bit between two that share one, never listened to, never mixed.

use wirechief::control::client::ClientError;
use wirechief::control::protocol::FaultCode;
use wirechief::control::supervision::{Mode, SpyState};

use crate::call::{DIAL_BOB, both_answer, is_gapless, talk};
use crate::harness::{Call, Ear, Law, Packet, Phone, Profile, TestPbx, Tone, Unusual, calmly, nothing, only};
use crate::spy::request;

/// Packets of a recital.
const PACKETS: u32 = 50;

async fn server(plan: &str, codecs: &'static str) -> TestPbx {
    TestPbx::unusual(plan, Unusual { codecs: Some(codecs), ..Unusual::default() }).await
}

/// A customer's phone and the agent bob's, with these codecs.
async fn phones(pbx: &TestPbx, customer: &[Law], agent: &[Law]) -> (Phone, Phone) {
    let profile = |user: &str, laws: &[Law]| Profile { laws: laws.to_vec(), ..pbx.profile(user) };
    (pbx.plugs_in(profile("guest", customer)).await, pbx.plugs_in(profile("bob", agent)).await)
}

/// What was neither silence nor a key.
fn speech(packets: Vec<Packet>) -> Vec<Vec<u8>> {
    let silence = Law::G729.pack(&[0; 160]);
    let sound = packets.into_iter().filter(|packet| packet.payload_type == Law::G729.payload());
    sound.map(|packet| packet.payload).filter(|payload| *payload != silence).collect()
}

/// Each recites something of its own, which reaches the other as it was said, without a gap.
async fn pass_on(alice: &Call, bob: &Call) {
    for (from, to, tone) in [(alice, bob, Tone::A), (bob, alice, Tone::B)] {
        let (said, heard) = (&from.dialog.media, &to.dialog.media);
        said.falls_silent();
        while !speech(heard.receives("the other", 1).await).is_empty() {}
        let [before, marks] = [speech(said.sent()).len(), speech(heard.received()).len()];
        said.recites(tone, PACKETS);
        while speech(heard.received()).len() < marks + PACKETS as usize {
            heard.receives("the other", 1).await;
        }
        let (said, received) = (speech(said.sent()), heard.received());
        is_gapless(&received[received.len() - PACKETS as usize..]);
        let heard = speech(received);
        assert_eq!(said.len() - before, PACKETS as usize);
        assert!(said[before..] == heard[marks..], "what arrives differs from what was said");
    }
}

async fn codecs(pbx: &TestPbx) -> Vec<Option<String>> {
    pbx.calls().await.iter().flat_map(|call| call.legs.iter().map(|leg| leg.codec.clone())).collect()
}

#[tokio::test]
async fn s059_two_phones_that_share_a_codec_talk_in_it_and_nobody_can_listen() {
    calmly(async || {
        let pbx = server(DIAL_BOB, r#"["g729", "ulaw"]"#).await;
        let (customer, mut agent) = phones(&pbx, &[Law::Ulaw, Law::G729], &[Law::Ulaw, Law::G729]).await;
        let (mut customer, mut agent) = talk(&customer, &mut agent, "bob").await;
        pass_on(&customer, &agent).await;
        assert_eq!(codecs(&pbx).await, [Some("g729".to_owned()), Some("g729".to_owned())]);
        customer.presses("15#").await;
        agent.hears_digits("15#").await;
        for mode in [Mode::Listen, Mode::Whisper, Mode::Barge] {
            let uuid = pbx.calls().await[0].legs[1].uuid.clone();
            match Ear::attach(pbx.client().await, &request(&uuid, mode, None)).await {
                Err(ClientError::Fault(fault)) => {
                    assert_eq!(fault.code, FaultCode::Invalid);
                    assert!(
                        fault.message.contains("the codec g729, which cannot be decoded here"),
                        "{}",
                        fault.message
                    );
                }
                Err(other) => panic!("{other}"),
                Ok(ear) => panic!("it is heard: {:?}", ear.facts),
            }
        }
        pass_on(&customer, &agent).await;
        agent.hangs_up().await;
        customer.is_hung_up().await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn the_settings_order_decides_and_what_can_be_decoded_serves_phones_that_share_nothing_else() {
    calmly(async || {
        for (order, bob, spoken) in [
            (r#"["ulaw", "g729"]"#, vec![Law::G729, Law::Ulaw], "ulaw"),
            (r#"["g729", "ulaw"]"#, vec![Law::Ulaw], "ulaw"),
            (r#"["ulaw", "g729"]"#, vec![Law::G729], "g729"),
            (r#"["ulaw"]"#, vec![Law::G729, Law::Ulaw], "ulaw"),
        ] {
            let pbx = server(DIAL_BOB, order).await;
            let (customer, mut agent) = phones(&pbx, &[Law::G729, Law::Ulaw], &bob).await;
            let (mut customer, _agent) = talk(&customer, &mut agent, "bob").await;
            assert_eq!(codecs(&pbx).await, vec![Some(spoken.to_owned()); 2], "{order}");
            customer.hangs_up().await;
            pbx.is_idle().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_phone_with_nothing_but_such_a_codec_is_refused_where_it_would_have_to_be_decoded() {
    calmly(async || {
        let plan = format!("{DIAL_BOB}\nexten => echo,1,Answer()\n same => n,Echo()");
        let pbx = server(&plan, r#"["g729", "ulaw"]"#).await;
        let (customer, mut agent) = phones(&pbx, &[Law::G729], &[Law::G729, Law::Ulaw]).await;
        customer.invite("echo").await.is_refused(&[488]).await;
        let (mut customer, agent) = talk(&customer, &mut agent, "bob").await;
        pass_on(&customer, &agent).await;
        customer.hangs_up().await;
        pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn who_is_left_alone_is_asked_for_a_codec_that_can_be_decoded() {
    calmly(async || {
        let plan = "exten => bob,1,Dial(SIP/bob,10,g)\n same => n,Echo()";
        let pbx = server(plan, r#"["g729", "ulaw"]"#).await;
        let both = [Law::G729, Law::Ulaw];
        let (customer, mut agent) = phones(&pbx, &both, &both).await;
        let (mut customer, mut agent) = talk(&customer, &mut agent, "bob").await;
        pass_on(&customer, &agent).await;
        agent.hangs_up().await;
        customer.says(Tone::A).await.hears(only(Tone::A)).await;
        assert_eq!(codecs(&pbx).await, [Some("ulaw".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn s059_s060_a_codec_that_changes_under_the_supervisor_silences_him_until_it_changes_back() {
    calmly(async || {
        let pbx = server(DIAL_BOB, r#"["ulaw", "g729"]"#).await;
        let both = [Law::Ulaw, Law::G729];
        let (customer, mut agent) = phones(&pbx, &both, &both).await;
        let (mut customer, mut agent) = talk(&customer, &mut agent, "bob").await;
        customer.says(Tone::A).await.hears(nothing()).await;
        agent.says(Tone::B).await.hears(only(Tone::A)).await;
        let uuid = pbx.calls().await[0].legs[1].uuid.clone();
        let mut ear = Ear::attach(pbx.client().await, &request(&uuid, Mode::Listen, None)).await.expect("a session");
        ear.hears(only(Tone::A), only(Tone::B)).await;
        customer.offers(&[Law::G729]).await;
        ear.is_told("that nobody can be heard", |facts| facts.state == SpyState::Undecodable).await;
        ear.hears(nothing(), nothing()).await;
        agent.dialog.media.receives("the agent", 20).await;
        pass_on(&customer, &agent).await;
        let barge = ear.changes_to(Mode::Barge, None).await;
        assert!(format!("{barge:?}").contains("cannot be decoded"), "{barge:?}");
        customer.says(Tone::A).await;
        agent.says(Tone::B).await;
        customer.offers(&[Law::Ulaw]).await;
        ear.hears(only(Tone::A), only(Tone::B)).await;
        customer.hears(only(Tone::B)).await;
        agent.hears(only(Tone::A)).await;
        assert_eq!(pbx.pbx.status().spies, 1);
    })
    .await;
}

#[tokio::test]
async fn early_media_in_such_a_codec_is_passed_on_before_the_answer() {
    calmly(async || {
        let pbx = server(DIAL_BOB, r#"["g729", "ulaw"]"#).await;
        let both = [Law::G729, Law::Ulaw];
        let (customer, mut agent) = phones(&pbx, &both, &both).await;
        let mut calling = customer.invite("bob").await;
        let mut called = agent.is_called().await;
        called.progresses().await;
        calling.expects([183]).await;
        called.dialog.media.recites(Tone::B, PACKETS);
        calling.dialog.media.receives("the customer", PACKETS as usize).await;
        assert!(!speech(calling.dialog.media.received()).is_empty());
        both_answer(&mut calling, &mut called).await;
        pass_on(&calling, &called).await;
    })
    .await;
}
