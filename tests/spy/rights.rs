//! Who may supervise whom, asked where it is decided: every permission, every mode, every group, with and without protection.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::interval;
use wirechief::call::supervision::{Ears, Ended, Mode, Refusal, Rights, Session, SpyError, Via, Wish, attach};
use wirechief::config::{Config, SpyRight};

use super::Scene;
use crate::harness::{TestPbx, Tone, Unusual};

const MODES: [Mode; 3] = [Mode::Listen, Mode::Whisper, Mode::Barge];

/// What each permission reaches.
const REACH: [(SpyRight, Option<Mode>); 4] = [
    (SpyRight::None, None),
    (SpyRight::Listen, Some(Mode::Listen)),
    (SpyRight::Whisper, Some(Mode::Whisper)),
    (SpyRight::Barge, Some(Mode::Barge)),
];

/// The supervisor's groups, the agent's, and whether the one reaches the other.
const GROUPS: [(Option<&str>, Option<&str>, bool); 6] = [
    (Some("sales"), Some("sales"), true),
    (Some("sales"), Some("support"), false),
    (Some("sales"), Some("Sales"), false),
    (Some("sales"), None, false),
    (None, Some("support"), true),
    (None, None, true),
];

/// Changes the settings in force, as a reload does.
pub(crate) fn sets(pbx: &TestPbx, change: impl FnOnce(&mut Config)) {
    let exchange = pbx.pbx.exchange();
    let mut config = (*exchange.settings.load_full()).clone();
    change(&mut config);
    exchange.settings.store(config.into());
    exchange.reloads.send_modify(|count| *count += 1);
}

/// Carol supervises with these rights.
fn grants(pbx: &TestPbx, right: SpyRight) {
    sets(pbx, |config| config.users.get_mut("carol").expect("carol").may_spy = right);
}

pub(crate) fn of(rights: Rights, uuid: &str, mode: Mode) -> Wish {
    let via = Via::Socket { account: Some("carol".to_owned()), uid: 1_003 };
    Wish { mode, ..Wish::listen(rights, via, uuid) }
}

async fn carol(scene: &Scene, mode: Mode) -> Result<(Session, Ears), SpyError> {
    attach(scene.pbx.pbx.exchange(), of(Rights::User("carol".to_owned()), &scene.uuids[1], mode)).await
}

/// The supervisor talks without end.
async fn speaks(ears: &mut Ears) -> Infallible {
    let mut beat = interval(Duration::from_millis(20));
    for at in 0_u64.. {
        beat.tick().await;
        let _ = ears.voice.push(std::array::from_fn(|sample| Tone::Supervisor.sample(at * 160 + sample as u64)));
    }
    unreachable!("the supervisor talks without end")
}

/// Who hears the supervisor talk.
async fn is_heard(scene: &mut Scene, ears: &mut Ears, hearers: [bool; 2]) {
    tokio::select! {
        never = speaks(ears) => match never {},
        () = scene.hears(hearers) => {}
    }
}

#[tokio::test]
async fn s063_s064_s091_each_permission_reaches_its_modes_in_its_groups_and_nobody_who_is_protected() {
    let scene = Scene::new(Unusual::default()).await;
    let mut cases = 0;
    for (right, reach) in REACH {
        for (reachable, group, reached) in GROUPS {
            for protected in [false, true] {
                sets(&scene.pbx, |config| {
                    let carol = config.users.get_mut("carol").expect("carol");
                    carol.may_spy = right;
                    carol.spy_groups = reachable.map(|group| vec![group.to_owned()]);
                    let bob = config.users.get_mut("bob").expect("bob");
                    bob.groups = group.map(str::to_owned).into_iter().collect();
                    bob.may_be_spied = !protected;
                });
                for mode in MODES {
                    cases += 1;
                    let case = format!("{right:?}, groups {reachable:?} {group:?}, protected {protected}, {mode:?}");
                    let may = !protected && reached && reach >= Some(mode);
                    match carol(&scene, mode).await {
                        Ok((session, _)) => {
                            assert!(may, "{case}: it may");
                            let facts = session.facts();
                            assert_eq!((facts.mode, Some(facts.allowed)), (mode, reach), "{case}");
                        }
                        Err(SpyError::Refused(refusal)) => {
                            assert!(!may, "{case}: {refusal}");
                            assert_eq!(matches!(refusal, Refusal::Exempt(_)), protected, "{case}: {refusal}");
                        }
                        Err(other) => panic!("{case}: {other}"),
                    }
                }
            }
        }
    }
    assert_eq!(cases, 4 * 6 * 2 * 3);
    assert_eq!(scene.pbx.pbx.status().spies, 0);
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn a_user_who_supervises_nobody_and_a_stranger_have_no_way_in() {
    let scene = Scene::new(Unusual::default()).await;
    let exchange = scene.pbx.pbx.exchange();
    for rights in [Rights::Nobody, Rights::User("alice".to_owned()), Rights::User("zoe".to_owned())] {
        for mode in MODES {
            let refused = attach(exchange, of(rights.clone(), &scene.uuids[0], mode)).await.err();
            assert!(matches!(refused, Some(SpyError::Refused(_))), "{rights:?} {mode:?}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_mode_beyond_the_permission_is_not_reached_by_a_change() {
    let mut scene = Scene::new(Unusual::default()).await;
    grants(&scene.pbx, SpyRight::Listen);
    let (session, mut ears) = carol(&scene, Mode::Listen).await.expect("a session");
    for mode in [Mode::Whisper, Mode::Barge] {
        let refused = session.set_mode(mode, None).await.expect_err("a refusal");
        let wanted = Refusal::Level { wanted: mode, granted: Some(Mode::Listen) };
        assert_eq!(refused, SpyError::Refused(wanted));
        assert_eq!(session.facts().mode, Mode::Listen);
    }
    is_heard(&mut scene, &mut ears, [false, false]).await;
    grants(&scene.pbx, SpyRight::Whisper);
    session.set_mode(Mode::Whisper, None).await.expect("the new right");
    assert!(session.set_mode(Mode::Barge, None).await.is_err());
    is_heard(&mut scene, &mut ears, [false, true]).await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_lowers_the_mode_or_ends_the_session() {
    let mut scene = Scene::new(Unusual::default()).await;
    grants(&scene.pbx, SpyRight::Barge);
    let (mut session, mut ears) = carol(&scene, Mode::Barge).await.expect("a session");
    is_heard(&mut scene, &mut ears, [true, true]).await;
    grants(&scene.pbx, SpyRight::Listen);
    assert_eq!(session.changed().await.facts.mode, Mode::Listen);
    is_heard(&mut scene, &mut ears, [false, false]).await;
    grants(&scene.pbx, SpyRight::None);
    let ended = loop {
        if let Some(end) = session.changed().await.ended {
            break end;
        }
    };
    assert!(matches!(ended.why, Ended::Refused(SpyError::Refused(Refusal::Level { .. }))), "{ended:?}");
    assert_eq!(session.set_mode(Mode::Listen, None).await.err(), Some(SpyError::Ended));
}
