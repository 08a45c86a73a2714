//! A supervisor's phone: hears through a session, and its keys command it, however they arrive.

use std::time::Duration;

use wirechief::call::supervision::{Ended, Mode, Party, Supervised, Via, Wish, attach};
use wirechief::call::{CallerId, Channel, Originate, Position, QueuedKeys, originate};
use wirechief::config::SpyRight;

use crate::harness::{Call, Tone, Unusual};
use crate::spy::Scene;
use crate::spy::rights::sets;

/// Calls carol's phone, which answers and speaks.
async fn carol(scene: &Scene) -> (Channel, Call) {
    sets(&scene.pbx, |config| config.users.get_mut("carol").expect("carol").may_spy = SpyRight::Barge);
    let mut phone = scene.pbx.phone("carol").await;
    let wanted = Originate {
        endpoint: "SIP/carol".into(),
        caller: CallerId::default(),
        timeout: Duration::from_secs(10),
        variables: Default::default(),
        position: Position::default(),
        origin: None,
    };
    let exchange = scene.pbx.pbx.exchange().clone();
    let originated = tokio::spawn(async move { originate(&exchange, wanted).await });
    let mut call = phone.is_called().await;
    call.answers().await;
    let channel = originated.await.expect("no panic").expect("an answer");
    call.says(Tone::Supervisor).await;
    (channel, call)
}

/// What an application does with a channel: digits as in FreeSWITCH, and the end.
async fn commands(mut channel: Channel, uuid: String) -> Ended {
    let exchange = channel.exchange().clone();
    let _marked = channel.begins_supervising();
    let via = Via::Originate { phone: channel.as_supervisor(), application: "eavesdrop" };
    let (mut session, ears) =
        attach(&exchange, Wish::listen(channel.spy_rights(), via, uuid)).await.expect("a session");
    channel.hears_through(&mut session, ears);
    loop {
        let (mode, to) = match channel.supervise(&mut session, None).await.expect("the phone is there") {
            Supervised::Key('0') => (Mode::Listen, None),
            Supervised::Key('1') => (Mode::Whisper, Some(Party::Peer)),
            Supervised::Key('2') => (Mode::Whisper, Some(Party::Target)),
            Supervised::Key('3') => (Mode::Barge, None),
            Supervised::Key('*') => break Ended::Left,
            Supervised::News(news) if news.ended.is_some() => break news.ended.expect("an end").why,
            Supervised::Key(_) | Supervised::Unheard(_) | Supervised::News(_) | Supervised::Time => continue,
        };
        session.set_mode(mode, to).await.expect("the right to barge");
    }
}

#[tokio::test]
async fn s031_to_s037_keys_of_a_phone_say_who_hears_its_user() {
    for (target, one_other) in [(0, [false, true]), (1, [true, false])] {
        let mut scene = Scene::new(Unusual::default()).await;
        let (channel, mut call) = carol(&scene).await;
        let running = tokio::spawn(commands(channel, scene.uuids[target].clone()));
        call.hears(Tone::A + Tone::B).await;
        let to_target = [one_other[1], one_other[0]];
        for (key, hearers) in
            [('2', to_target), ('1', one_other), ('3', [true, true]), ('9', [true, true]), ('0', [false; 2])]
        {
            call.presses(&key.to_string()).await;
            scene.hears(hearers).await;
            call.hears(Tone::A + Tone::B).await;
        }
        call.informs('2').await;
        scene.hears(to_target).await;
        scene.noticed_nothing().await;
        call.presses("*").await;
        assert_eq!(running.await.expect("no panic"), Ended::Left);
        scene.hears([false, false]).await;
    }
}

#[tokio::test]
async fn s042_queued_keys_command_a_session_in_their_time() {
    let mut scene = Scene::new(Unusual::default()).await;
    let (mut channel, mut call) = carol(&scene).await;
    channel.queue_keys(&QueuedKeys::parse("w2@500").expect("keys"));
    let running = tokio::spawn(commands(channel, scene.uuids[1].clone()));
    scene.hears([false, true]).await;
    scene.agent.hangs_up().await;
    assert_eq!(running.await.expect("no panic"), Ended::Call, "the target's leg is over");
    call.is_hung_up().await;
}

#[tokio::test]
async fn nobody_listens_to_the_phone_of_a_supervisor() {
    use wirechief::call::supervision::{Rights, SpyError};
    let mut scene = Scene::new(Unusual::default()).await;
    let (channel, mut call) = carol(&scene).await;
    let (own, exchange) = (channel.uuid().to_owned(), scene.pbx.pbx.exchange().clone());
    let running = tokio::spawn(commands(channel, scene.uuids[1].clone()));
    call.hears(Tone::A + Tone::B).await;
    let via = Via::Socket { account: None, uid: 0 };
    let refused = attach(&exchange, Wish::listen(Rights::Admin, via, own.clone())).await.err();
    assert_eq!(refused, Some(SpyError::Supervisor(own)));
    scene.customer.hangs_up().await;
    assert_eq!(running.await.expect("no panic"), Ended::Call);
}
