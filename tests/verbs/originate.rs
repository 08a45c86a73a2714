//! FreeSWITCH's `originate` lines, as the tutorials have them: a supervisor's phone is rung, and hears a call once it answers.

use wirechief::config::SpyRight;
use wirechief::control::client::ClientError;
use wirechief::control::compat;
use wirechief::control::protocol::{FaultCode, Originated, method};

use crate::call::DIAL_BOB;
use crate::harness::{Call, Phone, Tone, Unusual, only};
use crate::spy::Scene;
use crate::spy::rights::sets;

/// A call to spy on, and the phone of carol, who may.
async fn scene() -> (Scene, Phone) {
    let lines = format!("{DIAL_BOB}\nexten => echo,1,Answer()\n same => n,Echo()");
    let scene = Scene::on(&lines, Unusual::default()).await;
    sets(&scene.pbx, |config| config.users.get_mut("carol").expect("carol").may_spy = SpyRight::Barge);
    let phone = scene.pbx.phone("carol").await;
    (scene, phone)
}

/// Carol's phone is called by a line, answers and speaks.
async fn answers(scene: &Scene, phone: &mut Phone, line: &str) -> Call {
    let wanted = compat::read(line).expect("a line");
    let mut client = scene.pbx.client().await;
    let (originated, call) = tokio::join!(client.request::<Originated>(method::ORIGINATE, &wanted), async {
        let mut call = phone.is_called().await;
        call.rings().await.answers().await;
        call.says(Tone::Supervisor).await;
        call
    });
    assert_eq!(originated.expect("an answer").uuid.len(), 36);
    call
}

/// Why nobody is called by a line.
async fn refusal(scene: &Scene, phone: &mut Phone, line: &str) -> String {
    let wanted = compat::read(line).expect("a line");
    let refused = scene.pbx.client().await.request::<Originated>(method::ORIGINATE, &wanted).await;
    assert!(phone.was_not_called(), "{line} sent an INVITE");
    match refused {
        Err(ClientError::Fault(fault)) => {
            assert_eq!(fault.code, FaultCode::Failure, "{fault:?}");
            fault.message
        }
        other => panic!("{line} was not refused: {other:?}"),
    }
}

#[tokio::test]
async fn s053_a_phone_that_is_called_listens_once_it_answers() {
    let (mut scene, mut phone) = scene().await;
    for (endpoint, target) in [("sofia/default/carol", 0), ("user/carol", 1)] {
        let line = format!("originate {endpoint} &eavesdrop({})", scene.uuids[target]);
        let mut call = answers(&scene, &mut phone, &line).await;
        call.hears(Tone::A + Tone::B).await;
        scene.hears([false, false]).await;
        call.presses("2").await;
        scene.hears([target == 0, target == 1]).await;
        call.hangs_up().await;
        scene.hears([false, false]).await;
    }
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn s055_a_line_of_two_applications_begins_with_a_whisper() {
    let (mut scene, mut phone) = scene().await;
    for target in [1, 0] {
        let line = format!("originate user/carol 'queue_dtmf:w2@500,eavesdrop:{}' inline", scene.uuids[target]);
        let mut call = answers(&scene, &mut phone, &line).await;
        scene.hears([target == 0, target == 1]).await;
        call.hears(Tone::A + Tone::B).await;
        call.hangs_up().await;
        scene.hears([false, false]).await;
    }
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn s056_variables_in_braces_and_an_extension_mean_what_they_mean_in_freeswitch() {
    let (mut scene, mut phone) = scene().await;
    let line = format!(
        "originate {{origination_caller_id_number=200,eavesdrop_whisper_aleg=true,eavesdrop_whisper_bleg=true}}user/carol \
         &eavesdrop({})",
        scene.uuids[1]
    );
    let mut call = answers(&scene, &mut phone, &line).await;
    let from = call.invite().header("From").unwrap_or_default().to_owned();
    assert!(from.contains("200"), "{from}");
    scene.hears([true, true]).await;
    call.hangs_up().await;
    let mut call = answers(&scene, &mut phone, "originate user/carol echo XML internal").await;
    call.hears(only(Tone::Supervisor)).await.hangs_up().await;
    scene.hears([false, false]).await;
}

#[tokio::test]
async fn s054_a_demand_that_cannot_be_met_calls_nobody_and_is_told() {
    let (scene, mut phone) = scene().await;
    let uuid = &scene.uuids[1];
    for (variable, told) in [
        ("sip_secure_media=true", "sip_secure_media=true asks for an encrypted call"),
        ("my_srtp=yes", "my_srtp sounds like security"),
        ("eavesdrop_requier_group=sales", "did you mean eavesdrop_require_group"),
    ] {
        let line = format!("originate {{{variable}}}user/carol &eavesdrop({uuid})");
        let said = refusal(&scene, &mut phone, &line).await;
        assert!(said.contains(told), "{said}");
    }
    assert_eq!(scene.pbx.calls().await.len(), 1, "nothing rings anywhere");
}
