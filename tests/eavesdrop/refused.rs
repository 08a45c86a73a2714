//! Who may not hear is told why, by ear, by `EAVESDROP_RESULT` and in the log; the call that was meant notices nothing.

use wirechief::config::SpyRight;
use wirechief::evidence::{Event, Wanted, read};

use super::{NOBODY, SPY, results};
use crate::harness::{TestPbx, Tone, Unusual};
use crate::spy::Scene;
use crate::spy::rights::sets;

const MORE: &str = "
exten => own,1,eavesdrop(${UNIQUEID})
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})
exten => empty,1,eavesdrop(${db(select/spymap/nobody)})
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})
exten => _gspy.,1,set(eavesdrop_require_group=sales)
 same => n,eavesdrop(${EXTEN:4})
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})
exten => _mspy.,1,set(evesdrop_require_group=sales)
 same => n,eavesdrop(${EXTEN:4})
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})
exten => _bspy.,1,set(eavesdrop_whisper_aleg=true)
 same => n,set(eavesdrop_whisper_bleg=true)
 same => n,eavesdrop(${EXTEN:4})
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})
exten => all,1,NoOp()
 same => n,eavesdrop(all)
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})
exten => stay,1,userspy(bob@test)
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})
exten => stranger,1,userspy(nobody@test)
 same => n,UserEvent(over,result:${EAVESDROP_RESULT})";

fn rights() -> Unusual {
    let user_keys = vec![("carol", "may_spy = \"whisper\""), ("dave", "may_spy = \"barge\"\nspy_groups = [\"sales\"]")];
    Unusual { user_keys, ..Unusual::default() }
}

/// The refusals in the log: whose, and why.
fn on_record(pbx: &TestPbx) -> Vec<(String, String)> {
    let mut refused = Vec::new();
    let path = pbx.pbx.exchange().evidence.path().to_owned();
    read(&path, &Wanted::default(), |record| {
        if record.entry.event == Event::Refused {
            let why = record.entry.why.split(':').next().unwrap_or_default().to_owned();
            refused.push((record.entry.who, why));
        }
        true
    })
    .expect("the log");
    refused
}

#[tokio::test]
async fn s007_s008_s011_s065_each_refusal_has_its_reason_its_sound_and_its_entry() {
    let mut scene = Scene::on(&format!("{SPY}{MORE}"), rights()).await;
    let uuid = scene.uuids[1].clone();
    let attempts = [
        ("carol", "spy00000000-0000-4000-8000-000000000000".to_owned(), "no-such-call"),
        ("carol", "spy1001".to_owned(), "no-such-call"),
        ("carol", "empty".to_owned(), "nobody-there"),
        ("carol", "own".to_owned(), "own-leg"),
        ("carol", format!("gspy{uuid}"), "group"),
        ("carol", format!("mspy{uuid}"), "setting"),
        ("carol", format!("bspy{uuid}"), "level"),
        ("carol", "stranger".to_owned(), "nobody-there"),
        ("dave", format!("spy{uuid}"), "group"),
        ("alice", format!("spy{uuid}"), "level"),
        ("alice", "all".to_owned(), "level"),
        ("alice", "stay".to_owned(), "level"),
        ("guest", format!("spy{uuid}"), "unknown"),
        ("guest", "all".to_owned(), "unknown"),
    ];
    for (at, (user, number, code)) in attempts.iter().enumerate() {
        let phone = scene.pbx.phone(user).await;
        let mut call = phone.invite(number).await;
        call.expects([200]).await.ack().await.says(Tone::Supervisor).await;
        call.is_hung_up().await;
        assert_eq!(results(&scene.pbx, at + 1).await.last().map(String::as_str), Some(*code), "{user} {number}");
        assert!(call.dialog.media.samples(0).iter().any(|sample| sample.unsigned_abs() > 2_000), "{user} {number}");
        let who = if *user == "guest" { "nobody" } else { *user };
        assert_eq!(on_record(&scene.pbx).get(at), Some(&(who.to_owned(), (*code).to_owned())), "{number}");
    }
    scene.hears(NOBODY).await;
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn s074_whoever_is_exempt_is_not_heard_by_any_way() {
    let user_keys = vec![("carol", "may_spy = \"barge\""), ("bob", "may_be_spied = false")];
    let exempt = Unusual { user_keys, ..Unusual::default() };
    let mut scene = Scene::on(&format!("{SPY}{MORE}"), exempt).await;
    for (at, target) in
        ["stay".to_owned(), format!("spy{}", scene.uuids[0]), format!("spy{}", scene.uuids[1])].into_iter().enumerate()
    {
        let (_phone, mut carol) = super::dials(&scene.pbx, &target).await;
        carol.is_hung_up().await;
        assert_eq!(results(&scene.pbx, at + 1).await[at], "exempt");
    }
    let (_phone, mut carol) = super::dials(&scene.pbx, "all").await;
    carol.hears(Vec::new()).await.hangs_up().await;
    scene.hears(NOBODY).await;
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn s090_whoever_loses_the_right_does_not_go_on_waiting_or_hearing() {
    let plan = format!("{SPY}{MORE}")
        .replace("eavesdrop(all)", "set(eavesdrop_require_group=sales)\n same => n,eavesdrop(all)");
    let mut scene = Scene::on(&plan, rights()).await;
    let phone = scene.pbx.phone("carol").await;
    for (at, number) in ["all".to_owned(), format!("spy{}", scene.uuids[1])].into_iter().enumerate() {
        sets(&scene.pbx, |config| config.users.get_mut("carol").expect("carol").may_spy = SpyRight::Whisper);
        let mut carol = super::supervises(&phone, &number).await;
        carol.hears(if at == 0 { Vec::new() } else { Tone::A + Tone::B }).await;
        sets(&scene.pbx, |config| config.users.get_mut("carol").expect("carol").may_spy = SpyRight::None);
        carol.is_hung_up().await;
        assert_eq!(results(&scene.pbx, at + 1).await[at], "level");
    }
    scene.hears(NOBODY).await;
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn a_call_that_only_rings_is_refused() {
    let pbx = TestPbx::unusual(&format!("{SPY}{MORE}"), rights()).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let mut calling = alice.invite("bob").await;
    let mut called = bob.is_called().await;
    called.rings().await;
    calling.expects([180]).await;
    let (_phone, mut carol) = super::dials(&pbx, &format!("spy{}", crate::verbs::leg_of(&pbx, "bob").await)).await;
    carol.is_hung_up().await;
    assert_eq!(results(&pbx, 1).await, ["no-media"]);
    calling.cancels().await;
    called.is_cancelled().await;
    pbx.is_idle().await;
}
