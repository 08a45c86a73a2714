//! Supervision codes: before the dialplan, for users only, with their letters, and a reason in words where there is nothing to hear.

use wirechief::evidence::Event;

use super::{AGENT, EVERYBODY, MAY_BARGE, NOBODY, carol_may, dials, on_record, reasons};
use crate::harness::{TestPbx, Tone, Unusual, calmly, nothing, only};
use crate::spy::Scene;
use crate::spy::rights::sets;

/// What the codes would be if the dialplan were asked first.
const PLAN: &str = "exten => bob,1,Dial(SIP/bob,10)
exten => _*9.,1,Answer()
 same => n,Echo()";

#[tokio::test]
async fn s084_s078_each_code_hears_the_extension_in_its_mode_and_leaves_with_the_call() {
    calmly(async || {
        let mut scene = Scene::on(PLAN, carol_may(MAY_BARGE)).await;
        for (code, hearers) in [("*91bob", NOBODY), ("*92bob", AGENT)] {
            let (_phone, mut carol) = dials(&scene.pbx, code).await;
            carol.hears(Tone::A + Tone::B).await;
            scene.hears(hearers).await;
            carol.hangs_up().await;
            scene.hears(NOBODY).await;
        }
        let (_phone, mut carol) = dials(&scene.pbx, "*93bob").await;
        carol.hears(Tone::A + Tone::B).await;
        scene.hears(EVERYBODY).await;
        scene.noticed_nothing().await;
        scene.agent.hangs_up().await;
        // S088: the call ends with its agent, and E leaves with the call
        scene.customer.is_hung_up().await;
        carol.is_hung_up().await;
        let started = on_record(&scene.pbx, Event::Started, 3).await;
        let told: Vec<_> =
            started.iter().map(|entry| (entry.who.as_str(), entry.via.as_str(), entry.mode.as_str())).collect();
        assert_eq!(told, [("carol", "code", "listen"), ("carol", "code", "whisper"), ("carol", "code", "barge")]);
        assert!(started.iter().zip(["*91bob", "*92bob", "*93bob"]).all(|(entry, code)| entry.from.ends_with(code)));
    })
    .await;
}

#[tokio::test]
async fn s084_eavesdrop_codes_let_keys_choose() {
    calmly(async || {
        let mut scene = Scene::on(PLAN, carol_may(MAY_BARGE)).await;
        for code in ["88bob", "*0bob"] {
            let (_phone, mut carol) = dials(&scene.pbx, code).await;
            carol.hears(Tone::A + Tone::B).await;
            scene.hears(NOBODY).await;
            for (key, hearers) in [("2", AGENT), ("3", EVERYBODY), ("0", NOBODY)] {
                carol.presses(key).await;
                scene.hears(hearers).await;
            }
            carol.presses("*").await.is_hung_up().await;
        }
        let started = on_record(&scene.pbx, Event::Started, 2).await;
        assert!(started.iter().all(|entry| entry.via == "code"), "{started:?}");
    })
    .await;
}

#[tokio::test]
async fn s075_s083_the_letters_of_a_users_codes_are_the_administrators_to_change() {
    calmly(async || {
        for (letters, leaves) in [("ESsb", true), ("sb", false)] {
            let mut scene = Scene::on(PLAN, carol_may(MAY_BARGE)).await;
            sets(&scene.pbx, |config| config.users.get_mut("carol").expect("carol").spy_params = letters.to_owned());
            let (_phone, mut carol) = dials(&scene.pbx, "*91bob").await;
            carol.hears(Tone::A + Tone::B).await;
            scene.agent.hangs_up().await;
            scene.customer.is_hung_up().await;
            if leaves {
                carol.is_hung_up().await;
            } else {
                carol.dialog.media.receives("carol", 50).await;
                carol.hears(nothing()).await.hangs_up().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn s085_a_code_may_be_another_or_off_and_is_nothing_to_a_guest() {
    calmly(async || {
        let codes = "[supervision]\ncodes = { listen = \"\", whisper = \"77\", eavesdrop = [] }\n";
        let unusual = Unusual { settings: codes.to_owned(), ..carol_may(MAY_BARGE) };
        let mut scene = Scene::on(PLAN, unusual).await;
        let (_phone, mut carol) = dials(&scene.pbx, "*91bob").await;
        carol.hears(only(Tone::Supervisor)).await.hangs_up().await;
        let (_phone, mut carol) = dials(&scene.pbx, "77bob").await;
        carol.hears(Tone::A + Tone::B).await;
        scene.hears(AGENT).await;
        let guest = scene.pbx.phone("guest").await;
        guest.invite("77bob").await.is_refused(&[404]).await;
        let mut asked = guest.invite("*93bob").await;
        asked.expects([200]).await.ack().await.says(Tone::C).await.hears(only(Tone::C)).await;
        let phone = scene.pbx.phone("dave").await;
        phone.invite("88bob").await.is_refused(&[404]).await;
    })
    .await;
}

#[tokio::test]
async fn s065_s087_who_may_not_or_cannot_is_told_why_and_it_is_on_record() {
    calmly(async || {
        let grouped = "may_spy = \"barge\"\nspy_groups = [\"sales\"]";
        for (right, bobs, code, reason) in [
            ("may_spy = \"none\"", "", "*91bob", "level"),
            ("may_spy = \"none\"", "", "*91dave", "level"),
            ("may_spy = \"listen\"", "", "*92bob", "level"),
            (MAY_BARGE, "", "*91dave", "nobody-there"),
            (MAY_BARGE, "", "*911234567", "nobody-there"),
            (MAY_BARGE, "", "88dave", "nobody-there"),
            (MAY_BARGE, "", "*91carol", "own-leg"),
            (MAY_BARGE, "may_be_spied = false", "*93bob", "exempt"),
            (grouped, "groups = [\"support\"]", "*91bob", "group"),
        ] {
            let unusual = Unusual { user_keys: vec![("carol", right), ("bob", bobs)], ..Unusual::default() };
            let mut scene = Scene::on(PLAN, unusual).await;
            let (_phone, mut carol) = dials(&scene.pbx, code).await;
            carol.is_hung_up().await;
            assert!(carol.dialog.media.loudest() > 1_000, "{code} is refused in words");
            let refused = on_record(&scene.pbx, Event::Refused, 1).await;
            assert_eq!(reasons(&refused), [reason], "{code} of {right}: {refused:#?}");
            assert_eq!((refused[0].who.as_str(), refused[0].via.as_str()), ("carol", "code"));
            scene.hears(NOBODY).await;
            scene.noticed_nothing().await;
        }
    })
    .await;
}

#[tokio::test]
async fn s093_a_refusal_is_spoken_in_the_language_of_the_channel() {
    calmly(async || {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("xx/spy")).expect("a folder");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let path = folder.path().join("xx/spy/level.wav");
        let mut wav = hound::WavWriter::create(path, spec).expect("a sound");
        (0..16_000).for_each(|at| wav.write_sample(Tone::C.sample(at)).expect("a sample"));
        wav.finalize().expect("a sound");
        let settings = format!("[dialplan]\nsounds = \"{}\"\n", folder.path().display());
        let plan = "exten => spy,1,Set(CHANNEL(language)=xx)\n same => n,ExtenSpy(bob,q)";
        let pbx = TestPbx::unusual(plan, Unusual { settings, ..Unusual::default() }).await;
        let (_phone, mut carol) = dials(&pbx, "spy").await;
        carol.hears(only(Tone::C)).await.is_hung_up().await;
    })
    .await;
}
