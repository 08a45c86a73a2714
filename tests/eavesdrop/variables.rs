//! The channel variables of `eavesdrop`: who is heard, who hears from the start, and whether keys count.

use super::{AGENT, CUSTOMER, EVERYBODY, NOBODY, dials, may_barge, supervises};
use crate::harness::{Tone, only};
use crate::spy::Scene;

/// What is set true, and what comes of it: who is heard, and who hears when the UUID is the customer's (A), and the agent's (B).
type Row = (&'static [&'static str], [fn() -> Vec<Tone>; 2], [[bool; 2]; 2]);

const A: fn() -> Vec<Tone> = || only(Tone::A);
const B: fn() -> Vec<Tone> = || only(Tone::B);
const BOTH: fn() -> Vec<Tone> = || Tone::A + Tone::B;

/// Legs are people: A called, B answered, whichever UUID is given.
const BY_PERSON: [Row; 10] = [
    (&[], [BOTH; 2], [NOBODY; 2]),
    (&["bridge_aleg"], [A; 2], [NOBODY; 2]),
    (&["bridge_bleg"], [B; 2], [NOBODY; 2]),
    (&["bridge_aleg", "bridge_bleg"], [BOTH; 2], [NOBODY; 2]),
    (&["whisper_aleg"], [BOTH; 2], [CUSTOMER; 2]),
    (&["whisper_bleg"], [BOTH; 2], [AGENT; 2]),
    (&["whisper_aleg", "whisper_bleg"], [BOTH; 2], [EVERYBODY; 2]),
    (&["bridge_aleg", "whisper_aleg"], [A; 2], [CUSTOMER; 2]),
    // the two that do nothing in FreeSWITCH
    (&["bridge_aleg", "whisper_bleg"], [A; 2], [AGENT; 2]),
    (&["bridge_bleg", "whisper_aleg"], [B; 2], [CUSTOMER; 2]),
];

/// As FreeSWITCH has it: heard are the UUID's own party and the other half, whispered to are the other half and the own party.
const LITERALLY: [Row; 6] = [
    (&["bridge_aleg"], [A, B], [NOBODY; 2]),
    (&["bridge_bleg"], [B, A], [NOBODY; 2]),
    (&["whisper_aleg"], [BOTH; 2], [AGENT, CUSTOMER]),
    (&["whisper_bleg"], [BOTH; 2], [CUSTOMER, AGENT]),
    (&["whisper_aleg", "whisper_bleg"], [BOTH; 2], [EVERYBODY; 2]),
    (&["bridge_aleg", "whisper_bleg"], [A, B], [CUSTOMER, AGENT]),
];

/// An extension for each row: `0spyUUID`.
fn plan(rows: &[Row], first: &str) -> String {
    let mut plan = "exten => bob,1,Dial(SIP/bob,10)\n".to_owned();
    for (at, (set, _, _)) in rows.iter().enumerate() {
        plan.push_str(&format!("exten => _{at}spy.,1,{first}\n"));
        for name in *set {
            plan.push_str(&format!(" same => n,set(eavesdrop_{name}=true)\n"));
        }
        plan.push_str(" same => n,eavesdrop(${EXTEN:4})\n");
    }
    plan
}

async fn each(rows: &[Row], first: &str) {
    let mut scene = Scene::on(&plan(rows, first), may_barge()).await;
    let phone = scene.pbx.phone("carol").await;
    for (at, (set, heard, hearers)) in rows.iter().enumerate() {
        for target in 0..2 {
            println!("{set:?} of {target}");
            let mut carol = supervises(&phone, &format!("{at}spy{}", scene.uuids[target])).await;
            scene.hears(hearers[target]).await;
            carol.hears(heard[target]()).await.hangs_up().await;
            scene.hears(NOBODY).await;
        }
    }
    scene.noticed_nothing().await;
}

#[tokio::test]
async fn s024_to_s030_each_leg_is_heard_and_spoken_to_by_person_and_no_combination_does_nothing() {
    each(&BY_PERSON, "answer()").await;
}

#[tokio::test]
async fn s028_freeswitchs_own_meaning_is_had_by_one_variable() {
    each(&LITERALLY, "set(eavesdrop_sides=freeswitch)").await;
}

#[tokio::test]
async fn s022_keys_do_nothing_where_they_are_switched_off_and_s009_a_ceiling_holds() {
    let plan = "exten => bob,1,Dial(SIP/bob,10)
exten => _1spy.,1,set(eavesdrop_enable_dtmf=false)
 same => n,eavesdrop(${EXTEN:4})
exten => _2spy.,1,set(eavesdrop_max_mode=whisper)
 same => n,eavesdrop(${EXTEN:4})";
    let mut scene = Scene::on(plan, may_barge()).await;
    let (_phone, mut carol) = dials(&scene.pbx, &format!("1spy{}", scene.uuids[1])).await;
    carol.hears(Tone::A + Tone::B).await.presses("123*").await;
    carol.informs('2').await.informs('*').await;
    scene.agent.dialog.media.receives("the agent", 60).await;
    scene.hears(NOBODY).await;
    carol.hears(Tone::A + Tone::B).await.hangs_up().await;
    let (_phone, mut carol) = dials(&scene.pbx, &format!("2spy{}", scene.uuids[1])).await;
    carol.presses("2").await;
    scene.hears(AGENT).await;
    for refused in ["3", "1"] {
        carol.presses(refused).await;
        scene.agent.dialog.media.receives("the agent", 40).await;
        scene.hears(AGENT).await;
    }
    scene.noticed_nothing().await;
}
