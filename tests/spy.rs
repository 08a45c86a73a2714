//! Supervision through the control socket: who hears whom, what the parties notice, how it ends.

pub(crate) mod rights;

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::interval;

use wirechief::control::client::{ClientError, SpyEvent};
use wirechief::control::protocol::{CallInfo, FaultCode, SpyRequest, SpyTarget};
use wirechief::control::supervision::{EndedBecause, Hear, Mode, Party, Side};

use crate::call::{DIAL_BOB, hear_each_other, is_gapless, is_relayed, talk};
use crate::harness::{Call, Ear, Law, PATIENCE, Packet, Profile, TestPbx, Tone, Unusual, calmly, nothing, only};

pub(crate) fn request(uuid: &str, mode: Mode, to: Option<Party>) -> SpyRequest {
    SpyRequest { mode, to, ..SpyRequest::new(SpyTarget::Uuid(uuid.to_owned())) }
}

/// A customer (a guest: party A) talks with the agent bob (a user: party B), both speaking.
pub(crate) struct Scene {
    pub(crate) pbx: TestPbx,
    pub(crate) customer: Call,
    pub(crate) agent: Call,
    pub(crate) uuids: [String; 2],
    _phones: [crate::harness::Phone; 2],
}

impl Scene {
    pub(crate) async fn new(unusual: Unusual) -> Self {
        Self::on(DIAL_BOB, unusual).await
    }

    /// On a dialplan of its own, where `bob` leads to the agent.
    pub(crate) async fn on(dialplan: &str, unusual: Unusual) -> Self {
        let pbx = TestPbx::unusual(dialplan, unusual).await;
        let one_law = |user: &str| Profile { laws: vec![Law::Ulaw], ..pbx.profile(user) };
        let (customer, mut agent) = (pbx.plugs_in(one_law("guest")).await, pbx.plugs_in(one_law("bob")).await);
        let (mut calling, mut called) = talk(&customer, &mut agent, "bob").await;
        hear_each_other(&mut calling, &mut called).await;
        let calls: Vec<CallInfo> = pbx.calls().await;
        assert_eq!(calls.len(), 1);
        let uuids = [calls[0].legs[0].uuid.clone(), calls[0].legs[1].uuid.clone()];
        assert_eq!(calls[0].uuid, uuids[0], "a call is known by its calling leg");
        Self { pbx, customer: calling, agent: called, uuids, _phones: [customer, agent] }
    }

    pub(crate) async fn spies(&self, request: &SpyRequest) -> Result<Ear, ClientError> {
        Ear::attach(self.pbx.client().await, request).await
    }

    /// What each party hears besides the other: the supervisor or not.
    pub(crate) async fn hears(&mut self, [customer_hears_it, agent_hears_it]: [bool; 2]) {
        let with = |peer: Tone, it: bool| if it { peer + Tone::Supervisor } else { only(peer) };
        // those who hear the supervisor first: only then is its absence at the other's ear a finding
        if agent_hears_it {
            self.agent.hears(with(Tone::A, true)).await;
        }
        self.customer.hears(with(Tone::B, customer_hears_it)).await;
        self.agent.hears(with(Tone::A, agent_hears_it)).await;
    }

    /// Neither party missed a packet, nor got one too many, since the call began; as far as those who sent them did not stutter themselves.
    pub(crate) async fn noticed_nothing(&self) {
        for (heard, peer) in [(&self.customer, &self.agent), (&self.agent, &self.customer)] {
            let (end, mut beat) = (tokio::time::Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
            loop {
                let (sent, received) = (peer.dialog.media.sent(), heard.dialog.media.received());
                if peer.dialog.media.has_stuttered() {
                    break;
                }
                is_gapless(&received);
                // Of those that are sent some are still on their way.
                if received.len().abs_diff(sent.len()) <= 5 {
                    break;
                }
                assert!(tokio::time::Instant::now() < end, "{} packets for {}", received.len(), sent.len());
                beat.tick().await;
            }
        }
    }
}

/// Each row of the table: mode, to whom, and which of [customer A, agent B] hears the supervisor when the target is A, and B.
const WHO_HEARS: [(Mode, &str, [[bool; 2]; 2]); 4] = [
    (Mode::Listen, "nobody", [[false, false], [false, false]]),
    (Mode::Whisper, "target", [[true, false], [false, true]]),
    (Mode::Whisper, "peer", [[false, true], [true, false]]),
    (Mode::Barge, "both", [[true, true], [true, true]]),
];

fn party(to: &str, target: usize) -> Option<Party> {
    match (to, target) {
        ("target", 0) | ("peer", 1) => Some(Party::A),
        ("target", 1) | ("peer", 0) => Some(Party::B),
        _ => None,
    }
}

#[tokio::test]
async fn s061_s067_s068_s069_each_hears_exactly_whom_the_table_says_in_every_mode_and_for_either_uuid() {
    calmly(async || {
        let mut scene = Scene::new(Unusual::default()).await;
        for (mode, to, hearers) in WHO_HEARS {
            for (target, hearers) in hearers.into_iter().enumerate() {
                let request = request(&scene.uuids[target], mode, party(to, target));
                let ear = scene.spies(&request).await.expect("a session");
                let side = if target == 0 { Side::A } else { Side::B };
                assert_eq!((ear.facts.target.side, ear.facts.mode), (side, mode));
                ear.hears(only(Tone::A), only(Tone::B)).await;
                scene.hears(hearers).await;
                ear.leaves();
                scene.hears([false, false]).await;
            }
        }
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn a_mode_may_be_changed_in_the_call_and_the_parties_miss_nothing() {
    calmly(async || {
        let mut scene = Scene::new(Unusual::default()).await;
        for target in [0, 1] {
            let mut ear = scene.spies(&request(&scene.uuids[target], Mode::Listen, None)).await.expect("a session");
            for round in 0..3 {
                for (mode, to, hearers) in WHO_HEARS.into_iter().cycle().skip(round).take(4) {
                    let changed = ear.changes_to(mode, party(to, target)).await;
                    assert!(matches!(changed, SpyEvent::Changed(_)), "{changed:?}");
                    scene.hears(hearers[target]).await;
                    ear.hears(only(Tone::A), only(Tone::B)).await;
                }
            }
        }
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn what_the_customer_hears_while_the_agent_is_whispered_to_is_what_the_agent_said() {
    calmly(async || {
        let mut scene = Scene::new(Unusual::default()).await;
        let ear = scene.spies(&request(&scene.uuids[1], Mode::Whisper, Some(Party::Agent))).await.expect("a session");
        scene.hears([false, true]).await;
        scene.customer.dialog.media.receives("the customer", 50).await;
        ear.leaves();
        scene.hears([false, false]).await;
        is_relayed(&scene.agent.dialog.media.sent(), &scene.customer.dialog.media.received());
        scene.noticed_nothing().await;
        let (said, heard) = (scene.customer.dialog.media.sent(), scene.agent.dialog.media.received());
        let untouched = |packet: &&Packet| said.iter().any(|sent| sent.payload == packet.payload);
        let mixed = heard.len() - heard.iter().filter(untouched).count();
        assert!(mixed > 25, "the agent's packets were mixed while the supervisor spoke, {mixed}");
        assert!(heard.last().is_some_and(|packet| untouched(&packet)), "and are relayed again");
    })
    .await;
}

/// The speech that the customer's phone gets from the agent's, as bytes on the wire, and what the agent's gets meanwhile.
async fn recital(whispering: bool) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    const PACKETS: u32 = 150;
    let mut scene = Scene::new(Unusual::default()).await;
    scene.customer.falls_silent().await;
    scene.agent.falls_silent().await.hears(nothing()).await;
    scene.customer.hears(nothing()).await;
    let (customer, agent) = (&scene.customer.dialog.media, &scene.agent.dialog.media);
    let marks = [customer.received().len(), agent.received().len()];
    agent.recites(Tone::B, PACKETS);
    customer.recites(Tone::A, PACKETS);
    customer.receives("the customer", 30).await;
    if whispering {
        let ear = scene.spies(&request(&scene.uuids[1], Mode::Whisper, None)).await.expect("a session");
        customer.receives("the customer", 60).await;
        ear.leaves();
    }
    customer.receives("the customer", PACKETS as usize).await;
    let payloads = |packets: Vec<Packet>, mark: usize| packets.into_iter().skip(mark).map(|packet| packet.payload);
    let silence = vec![Law::Ulaw.encode(0); 160];
    let speech = |packets, mark| payloads(packets, mark).filter(|payload| *payload != silence).collect();
    (speech(customer.received(), marks[0]), speech(agent.received(), marks[1]))
}

#[tokio::test]
async fn the_customer_gets_the_same_bytes_whether_the_agent_is_whispered_to_or_not() {
    calmly(async || {
        let (alone, agent_alone) = recital(false).await;
        let (whispered, agent_whispered) = recital(true).await;
        assert_eq!(alone.len(), 150);
        assert!(alone == whispered, "what the customer hears differs");
        assert!(agent_alone != agent_whispered, "the agent hears the whisper");
    })
    .await;
}

#[tokio::test]
async fn a_supervisor_may_hear_one_side_only() {
    calmly(async || {
        let scene = Scene::new(Unusual::default()).await;
        for (hear, left, right) in [
            (Hear::A, only(Tone::A), nothing()),
            (Hear::B, nothing(), only(Tone::B)),
            (Hear::Both, only(Tone::A), only(Tone::B)),
        ] {
            let request = SpyRequest { hear, ..request(&scene.uuids[0], Mode::Listen, None) };
            let ear = scene.spies(&request).await.expect("a session");
            ear.hears(left, right).await;
        }
    })
    .await;
}

#[tokio::test]
async fn two_supervisors_hear_the_same_call() {
    calmly(async || {
        let mut scene = Scene::new(Unusual::default()).await;
        let listening = scene.spies(&request(&scene.uuids[0], Mode::Listen, None)).await.expect("a session");
        let whispering = scene.spies(&request(&scene.uuids[1], Mode::Whisper, None)).await.expect("a session");
        scene.hears([false, true]).await;
        listening.hears(only(Tone::A), only(Tone::B)).await;
        whispering.hears(only(Tone::A), only(Tone::B)).await;
        scene.pbx.shows("two spies", PATIENCE, |now| now.spies == 2).await;
        assert_eq!(scene.pbx.calls().await[0].spied, 2);
        whispering.leaves();
        scene.hears([false, false]).await;
        listening.hears(only(Tone::A), only(Tone::B)).await;
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn sound_comes_at_once() {
    calmly(async || {
    let scene = Scene::new(Unusual::default()).await;
    for mode in [Mode::Listen, Mode::Whisper, Mode::Barge] {
        // The machine may be busy with something else at any moment, but not at each of so many.
        let mut took = Vec::new();
        while took.last().is_none_or(|took| *took >= Duration::from_millis(500)) {
            assert!(took.len() < 50, "{mode:?}: {took:?}");
            let asked = Instant::now();
            let mut link =
                scene.pbx.client().await.spy(&request(&scene.uuids[0], mode, None)).await.expect("a session");
            let loud = |frame: &[i16]| frame.iter().any(|sample| sample.unsigned_abs() > 1_000);
            while !matches!(link.incoming.next().await.expect("an event"), SpyEvent::Heard(frame) if loud(&frame[..])) {
            }
            took.push(asked.elapsed());
        }
        println!("attached to first audio in {mode:?}: {took:?}");
    }
    })
    .await;
}

#[tokio::test]
async fn the_session_ends_with_the_call() {
    calmly(async || {
        let mut scene = Scene::new(Unusual::default()).await;
        let ear = scene.spies(&request(&scene.uuids[1], Mode::Barge, None)).await.expect("a session");
        scene.hears([true, true]).await;
        scene.agent.hangs_up().await;
        scene.customer.is_hung_up().await;
        assert_eq!(ear.is_ended().await.why, EndedBecause::CallEnded);
        scene.pbx.shows("no spies", PATIENCE, |now| now.spies == 0 && now.ports == now.calls).await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_breaks_off_leaves_the_call_as_it_was() {
    calmly(async || {
        let mut scene = Scene::new(Unusual::default()).await;
        for mode in [Mode::Listen, Mode::Whisper, Mode::Barge] {
            let ear = scene.spies(&request(&scene.uuids[1], mode, None)).await.expect("a session");
            ear.hears(only(Tone::A), only(Tone::B)).await;
            drop(ear);
            scene.hears([false, false]).await;
        }
        scene.pbx.shows("no spies", PATIENCE, |now| now.spies == 0).await;
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_spy_leaves_the_call_as_it_was() {
    calmly(async || {
        let mut scene = Scene::new(Unusual::default()).await;
        for (mode, hearers) in [("listen", [false, false]), ("whisper", [false, true]), ("barge", [true, true])] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_spy"))
                .args(["--mode", mode, "--stdin", "--stdout", "--quiet", &scene.uuids[1]])
                .env_clear()
                .env("WIRECHIEF_SOCKET", scene.pbx.pbx.control_path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .expect("spy runs");
            let (mut voice, mut sound) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
            let speaking = async move {
                let mut frame = [0; 320];
                for at in 0.. {
                    if sound.read_exact(&mut frame).await.is_err() {
                        return std::future::pending().await; // it is being killed
                    }
                    let said: Vec<u8> =
                        (0..160).flat_map(|sample| Tone::Supervisor.sample(at * 160 + sample).to_le_bytes()).collect();
                    if voice.write_all(&said).await.is_err() {
                        return std::future::pending().await;
                    }
                }
            };
            // Its pipes stay open until it is killed.
            let killing = async {
                scene.pbx.shows("a spy", PATIENCE, |now| now.spies == 1).await;
                scene.hears(hearers).await;
                child.kill().await.expect("it runs");
            };
            tokio::select! {
                () = speaking => {}
                () = killing => {}
            }
            scene.pbx.shows("no spies", PATIENCE, |now| now.spies == 0).await;
            scene.hears([false, false]).await;
        }
        scene.noticed_nothing().await;
    })
    .await;
}

#[tokio::test]
async fn a_whisper_asked_for_without_a_name_goes_to_the_target() {
    calmly(async || {
        let mut scene = Scene::new(Unusual::default()).await;
        let whisper = request(&scene.uuids[1], Mode::Whisper, Some(Party::A));
        let mut ear = scene.spies(&whisper).await.expect("a session");
        scene.hears([true, false]).await;
        let changed = ear.changes_to(Mode::Whisper, None).await;
        assert!(matches!(&changed, SpyEvent::Changed(facts) if facts.to == Side::B), "{changed:?}");
        scene.hears([false, true]).await;
    })
    .await;
}

pub(crate) fn fault(result: Result<Ear, ClientError>) -> FaultCode {
    match result {
        Err(ClientError::Fault(fault)) => fault.code,
        Err(other) => panic!("{other}"),
        Ok(ear) => panic!("it may: {:?}", ear.facts),
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_words() {
    calmly(async || {
        let scene = Scene::new(Unusual::default()).await;
        let nowhere = "00000000-0000-4000-8000-000000000000";
        assert_eq!(fault(scene.spies(&request(nowhere, Mode::Listen, None)).await), FaultCode::NotFound);
        assert_eq!(fault(scene.spies(&request("bob", Mode::Listen, None)).await), FaultCode::NotFound);
        let capped = SpyRequest { max_mode: Some(Mode::Listen), ..request(&scene.uuids[0], Mode::Listen, None) };
        let mut ear = scene.spies(&capped).await.expect("a session");
        assert_eq!(ear.facts.allowed, Mode::Listen);
        let refused = ear.changes_to(Mode::Barge, None).await;
        assert!(matches!(&refused, SpyEvent::Refused(fault) if fault.code == FaultCode::Denied), "{refused:?}");
        ear.hears(only(Tone::A), only(Tone::B)).await;
    })
    .await;
}

#[tokio::test]
async fn between_two_users_nobody_is_the_agent() {
    calmly(async || {
        let pbx = TestPbx::with(DIAL_BOB).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut alice, mut bob) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut alice, &mut bob).await;
        let uuid = pbx.calls().await[0].uuid.clone();
        for to in [Party::Agent, Party::Customer] {
            let refused = Ear::attach(pbx.client().await, &request(&uuid, Mode::Whisper, Some(to))).await;
            assert!([FaultCode::Usage, FaultCode::Invalid].contains(&fault(refused)));
        }
        let ear =
            Ear::attach(pbx.client().await, &request(&uuid, Mode::Whisper, Some(Party::B))).await.expect("a session");
        bob.hears(Tone::A + Tone::Supervisor).await;
        alice.hears(only(Tone::B)).await;
        drop(ear);
    })
    .await;
}

#[tokio::test]
async fn a_user_who_is_exempt_is_heard_by_nobody() {
    calmly(async || {
        let exempt = Unusual { user_keys: vec![("bob", "may_be_spied = false")], ..Unusual::default() };
        let scene = Scene::new(exempt).await;
        for uuid in &scene.uuids {
            assert_eq!(fault(scene.spies(&request(uuid, Mode::Listen, None)).await), FaultCode::Denied);
        }
    })
    .await;
}
