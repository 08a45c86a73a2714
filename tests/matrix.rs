//! The matrix from outside: ways in, keys however they arrive, either leg, each ear by its tones, and what the others hear
//! compared with what was said, packet by packet. All modes by the control socket are `pbx selftest`'s (`selftest`).

mod stalled;

use wirechief::control::protocol::{Originate, method};

use crate::call::is_gapless;
use crate::harness::{Call, Packet, Phone, Tone, Unusual, calmly};
use crate::spy::Scene;
use crate::verbs::ask;

/// `spyUUID` hears that leg's call.
pub(crate) const SPY: &str = "exten => bob,1,Dial(SIP/bob,10)\nexten => _spy.,1,eavesdrop(${EXTEN:3})";

/// Asterisk's ways in, with keys for the modes.
const CHANSPY: &str =
    "exten => bob,1,Dial(SIP/bob,10)\nexten => chan,1,ChanSpy(SIP/bob,qd)\nexten => exten,1,ExtenSpy(bob,qd)";

/// How a key is pressed.
#[derive(Clone, Copy, Debug)]
enum Press {
    /// RFC 4733.
    Event,
    /// SIP INFO.
    Info,
    /// As sound.
    Sound,
}

/// Carol may do everything.
pub(crate) fn may_barge() -> Unusual {
    Unusual { user_keys: vec![("carol", "may_spy = \"barge\"")], ..Unusual::default() }
}

/// Carol's phone dials `number`, and speaks.
pub(crate) async fn dials(scene: &Scene, number: &str) -> (Phone, Call) {
    let phone = scene.pbx.phone("carol").await;
    let mut call = phone.invite(number).await;
    call.expects([200]).await.ack().await.says(Tone::Supervisor).await;
    (phone, call)
}

/// Carol's phone is called and put on a leg.
async fn is_put_on(scene: &Scene, uuid: &str) -> (Phone, Call) {
    let mut phone = scene.pbx.phone("carol").await;
    let (app, args) = ("eavesdrop".to_owned(), uuid.to_owned());
    let wanted = Originate { endpoint: "SIP/carol".to_owned(), app, args, ..Originate::default() };
    let answered = async {
        let mut call = phone.is_called().await;
        call.answers().await.says(Tone::Supervisor).await;
        call
    };
    let (_, call) = tokio::join!(ask(&scene.pbx, method::ORIGINATE, &wanted), answered);
    (phone, call)
}

async fn presses(call: &mut Call, key: char, how: Press) {
    match how {
        Press::Event => drop(call.presses(&key.to_string()).await),
        Press::Info => drop(call.informs(key).await),
        Press::Sound => call.dialog.media.sounds_and_goes_on(key),
    }
}

/// Presses a key and another that ends what it began: who hears the supervisor meanwhile, and that the others heard what was said
/// to them and nothing else, through both changes.
async fn key_and_back(scene: &mut Scene, call: &mut Call, ([key, back], how): ([char; 2], Press), hearers: [bool; 2]) {
    let marks = marks(scene);
    presses(call, key, how).await;
    scene.hears(hearers).await;
    call.hears(Tone::A + Tone::B).await;
    presses(call, back, how).await;
    scene.hears([false, false]).await;
    assert_others_untouched(scene, marks, hearers);
}

/// How much either party has received.
fn marks(scene: &Scene) -> [usize; 2] {
    [&scene.customer, &scene.agent].map(|party| party.dialog.media.received().len())
}

/// Whoever does not hear the supervisor has received, from the marks on, what the other party sent.
fn assert_others_untouched(scene: &Scene, marks: [usize; 2], hearers: [bool; 2]) {
    let parties = [(&scene.customer, &scene.agent), (&scene.agent, &scene.customer)];
    for (((party, peer), mark), hears_it) in parties.into_iter().zip(marks).zip(hearers) {
        if !hears_it {
            assert_untouched(&peer.dialog.media.sent(), &party.dialog.media.received()[mark..]);
        }
    }
}

/// What was received is a stretch of what was sent, packet by packet and bit for bit. Some packets of a tone are alike, so every
/// place is tried.
fn assert_untouched(sent: &[Packet], received: &[Packet]) {
    is_gapless(received);
    let is_stretch = |part: &[Packet]| part.iter().zip(received).all(|(sent, heard)| sent.payload == heard.payload);
    assert!(
        received.len() > 20 && sent.windows(received.len()).any(is_stretch),
        "{} packets were not as sent",
        received.len()
    );
}

/// Whom the table lets hear a supervisor after a key: the target's own party, the other, both.
fn hearers(key: char, [own, other]: [[bool; 2]; 2]) -> [bool; 2] {
    match key {
        '2' => own,
        '1' => other,
        '3' => [true, true],
        _ => [false, false],
    }
}

#[tokio::test]
async fn s031_to_s040_no_packet_of_the_others_is_touched_by_any_key_however_it_comes_on_either_leg() {
    calmly(async || {
        use Press::{Event, Info, Sound};
        let mut scene = Scene::on(SPY, may_barge()).await;
        let uuids = scene.uuids.clone();
        let (_phone, mut carol) = dials(&scene, &format!("spy{}", uuids[0])).await;
        carol.hears(Tone::A + Tone::B).await;
        let own_and_other = [[true, false], [false, true]];
        // A phone that has pressed a key by an event is taken at its word: tones are no keys then. So sound comes first.
        for (key, how) in [('2', Sound), ('1', Sound), ('3', Sound), ('1', Info)] {
            key_and_back(&mut scene, &mut carol, ([key, '0'], how), hearers(key, own_and_other)).await;
        }
        carol.hangs_up().await;
        let (_phone, mut carol) = is_put_on(&scene, &uuids[1]).await;
        carol.hears(Tone::A + Tone::B).await;
        let own_and_other = [[false, true], [true, false]];
        for (key, how) in [('2', Event), ('1', Event), ('3', Info), ('2', Info)] {
            key_and_back(&mut scene, &mut carol, ([key, '0'], how), hearers(key, own_and_other)).await;
        }
        carol.hangs_up().await;
        scene.noticed_nothing().await;
        for party in [&scene.customer, &scene.agent] {
            let digits = party.dialog.media.received().iter().filter(|packet| packet.payload_type == 101).count();
            assert_eq!(digits, 0, "s039: no key of the supervisor reaches a party");
        }
    })
    .await;
}

#[tokio::test]
async fn s081_s082_s084_no_packet_of_the_others_is_touched_by_chanspy_extenspy_or_a_code() {
    calmly(async || {
        let mut scene = Scene::on(CHANSPY, may_barge()).await;
        for (number, how) in [("chan", Press::Sound), ("exten", Press::Info), ("chan", Press::Event)] {
            let (_phone, mut carol) = dials(&scene, number).await;
            carol.hears(Tone::A + Tone::B).await;
            for (key, hearers) in [('5', [false, true]), ('6', [true, true])] {
                key_and_back(&mut scene, &mut carol, ([key, '4'], how), hearers).await;
            }
            carol.hangs_up().await;
        }
        for (code, hearers) in [("*91bob", [false, false]), ("*92bob", [false, true]), ("*93bob", [true, true])] {
            let marks = marks(&scene);
            let (_phone, mut carol) = dials(&scene, code).await;
            carol.hears(Tone::A + Tone::B).await;
            scene.hears(hearers).await;
            carol.hangs_up().await;
            scene.hears([false, false]).await;
            assert_others_untouched(&scene, marks, hearers);
        }
        scene.noticed_nothing().await;
    })
    .await;
}
