//! Document \[000\]'s extensions as they stand in `examples/eavesdrop`, and its ways to call a supervisor, with real phones.

use wirechief::control::protocol::{Originate, Originated, method};

use super::{AGENT, CUSTOMER, EVERYBODY, NOBODY, may_barge, supervises};
use crate::call::{hear_each_other, talk};
use crate::harness::{Call, Phone, TestPbx, Tone, nothing, only};
use crate::spy::Scene;

/// 1001 talks with 1002, whom it called by that number.
async fn talking(pbx: &TestPbx, number: &str) -> ([Phone; 2], [Call; 2]) {
    let (ann, mut ben) = (pbx.phone("1001").await, pbx.phone("1002").await);
    let (mut calling, mut called) = talk(&ann, &mut ben, number).await;
    hear_each_other(&mut calling, &mut called).await;
    ([ann, ben], [calling, called])
}

/// A supervisor's phone dials, speaks, and hears both.
async fn spies(phone: &Phone, number: &str) -> Call {
    let mut call = supervises(phone, number).await;
    call.hears(Tone::A + Tone::B).await;
    call
}

/// Which of the caller and the called hears the supervisor.
async fn hear([calling, called]: &mut [Call; 2], [caller_does, called_does]: [bool; 2]) {
    let with = |peer: Tone, it: bool| if it { peer + Tone::Supervisor } else { only(peer) };
    calling.hears(with(Tone::B, caller_does)).await;
    called.hears(with(Tone::A, called_does)).await;
    calling.hears(with(Tone::B, caller_does)).await;
}

#[tokio::test]
async fn s047_to_s052_88_and_star_0_hear_an_extension_calling_or_called_and_its_keys_speak() {
    let pbx = TestPbx::example("eavesdrop", &[]).await;
    let (_phones, mut calls) = talking(&pbx, "1002").await;
    let cleo = pbx.phone("1003").await;
    for number in ["881001", "*01001"] {
        let mut spying = spies(&cleo, number).await;
        hear(&mut calls, NOBODY).await;
        for (key, hearers) in [("2", CUSTOMER), ("1", AGENT), ("3", EVERYBODY), ("0", NOBODY)] {
            spying.presses(key).await;
            hear(&mut calls, hearers).await;
        }
        spying.presses("*").await.is_hung_up().await;
    }
    let mut spying = spies(&cleo, "881002").await;
    spying.presses("2").await;
    hear(&mut calls, AGENT).await;
    spying.hangs_up().await;
    let mut idle = cleo.invite("881004").await;
    idle.expects([200]).await.ack().await.is_hung_up().await;
    hear(&mut calls, NOBODY).await;
}

#[tokio::test]
async fn s044_s045_the_two_examples_with_keys_speak_to_the_callee_and_to_the_caller_at_once() {
    let pbx = TestPbx::example("eavesdrop", &[]).await;
    let (_phones, mut calls) = talking(&pbx, "1002").await;
    for (user, hearers) in [("1004", AGENT), ("1005", CUSTOMER)] {
        let phone = pbx.phone(user).await;
        for number in ["881001", "*01001"] {
            let mut spying = spies(&phone, number).await;
            hear(&mut calls, hearers).await;
            spying.hangs_up().await;
            hear(&mut calls, NOBODY).await;
        }
    }
}

#[tokio::test]
async fn s057_779_hears_the_calls_of_sales_and_no_other() {
    let pbx = TestPbx::example("eavesdrop", &[]).await;
    let (phones, mut calls) = talking(&pbx, "1002").await;
    let cleo = pbx.phone("1003").await;
    let mut spying = cleo.invite("779").await;
    spying.expects([200]).await.ack().await.says(Tone::Supervisor).await.hears(nothing()).await;
    hear(&mut calls, NOBODY).await;
    calls[0].hangs_up().await;
    calls[1].is_hung_up().await;
    drop(phones);
    let (_phones, mut calls) = talking(&pbx, "2000").await;
    spying.hears(Tone::A + Tone::B).await;
    hear(&mut calls, NOBODY).await;
    calls[0].hangs_up().await;
    calls[1].is_hung_up().await;
    spying.hears(nothing()).await.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s053_a_supervisor_is_called_and_hears_with_his_own_rights_alone() {
    let mut scene = Scene::new(may_barge()).await;
    let wanted = |user: &str| Originate {
        endpoint: format!("user/{user}"),
        app: "eavesdrop".to_owned(),
        args: scene.uuids[1].clone(),
        vars: vec![("eavesdrop_whisper_bleg".to_owned(), "true".to_owned())],
        timeout_s: None,
        ..Originate::default()
    };
    let (carols, alices) = (wanted("carol"), wanted("alice"));
    for (user, wanted, hearers) in [("carol", carols, AGENT), ("alice", alices, NOBODY)] {
        let (mut phone, mut client) = (scene.pbx.phone(user).await, scene.pbx.client().await);
        let asked = tokio::spawn(async move { client.request::<Originated>(method::ORIGINATE, &wanted).await });
        let mut call = phone.is_called().await;
        call.answers().await.says(Tone::Supervisor).await;
        asked.await.expect("no panic").expect("an answered call");
        scene.hears(hearers).await;
        if hearers == NOBODY {
            call.is_hung_up().await;
        } else {
            call.hears(Tone::A + Tone::B).await.hangs_up().await;
        }
    }
}
