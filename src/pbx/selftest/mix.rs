//! Three supervisors at one call: each hears the other two once, as loud as they speak, and never himself; each party hears those
//! who speak to it and nobody else. Above: `selftest`. Below: `call`, `supervisor`, `script`.

use std::{path::Path, time::Duration};

use tokio::time::timeout;

use super::{
    SelfTestError,
    call::TestCall,
    scene::Finding,
    script::{TONES_HZ, WINDOW, sound, strength},
    supervisor::Supervisor,
};
use crate::control::supervision::{Hear, Mode, Party};

/// How long the ears may take to hear what they must.
const PATIENCE: Duration = Duration::from_secs(10);
/// A voice is heard as loud as it is spoken, or not at all.
const LOUD: std::ops::Range<f32> = 0.85..1.15;
const SILENT: f32 = 0.03;

/// What each of three supervisors does.
type Ways = [(Mode, Option<Party>); 3];

const STEPS: [Ways; 4] = [
    [(Mode::Barge, None), (Mode::Barge, None), (Mode::Barge, None)],
    [(Mode::Whisper, Some(Party::Agent)), (Mode::Whisper, Some(Party::Customer)), (Mode::Listen, None)],
    [(Mode::Listen, None), (Mode::Barge, None), (Mode::Whisper, Some(Party::Agent))],
    [(Mode::Listen, None), (Mode::Listen, None), (Mode::Listen, None)],
];

/// Plays every step on a call of its own; the second supervisor is on the other leg.
pub(super) async fn play(call: &TestCall, socket: &Path) -> Result<Vec<Finding>, SelfTestError> {
    let mut supervisors = Vec::new();
    for (at, hz) in TONES_HZ[2..].iter().enumerate() {
        supervisors.push(Supervisor::attach(socket, &call.uuids[at % 2], *hz).await?);
    }
    let mut findings = Vec::new();
    for ways in STEPS {
        for (supervisor, (mode, to)) in supervisors.iter_mut().zip(ways) {
            supervisor.set_mode(mode, to).await?;
        }
        let missing = || wrong(call, &supervisors, ways);
        let line = &call.phones[0].line;
        let settled = async {
            line.has(line.count() + 10).await;
            while !missing().is_empty() {
                line.has(line.count() + 1).await;
            }
        };
        let wrong = if timeout(PATIENCE, settled).await.is_err() { missing() } else { Vec::new() };
        findings.push(finding(ways, wrong));
    }
    Ok(findings)
}

/// Whether a supervisor is heard by a party: the customer, the agent.
fn reaches((mode, to): (Mode, Option<Party>), party: usize) -> bool {
    match (mode, to) {
        (Mode::Barge, _) => true,
        (Mode::Whisper, Some(Party::Customer)) => party == 0,
        (Mode::Whisper, _) => party == 1,
        (Mode::Listen | Mode::Takeover, _) => false,
    }
}

/// Whose voice is not as it must be at whose ear, now.
fn wrong(call: &TestCall, supervisors: &[Supervisor], ways: Ways) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |who: String, samples: &[i16], wanted: [bool; 5]| {
        for (voice, wanted) in wanted.into_iter().enumerate() {
            let strength = if samples.len() < WINDOW { f32::NAN } else { strength(samples, TONES_HZ[voice]) };
            if !(if wanted { LOUD.contains(&strength) } else { strength < SILENT }) {
                wrong.push(format!("{who} hears voice {} at {strength:.2}", voice + 1));
            }
        }
    };
    for party in 0..2 {
        let line = &call.phones[party].line;
        let heard = sound(&line.since(line.count().saturating_sub(6)));
        let mut wanted = [false; 5];
        wanted[1 - party] = true;
        (0..3).for_each(|at| wanted[2 + at] = reaches(ways[at], party));
        check(["the customer", "the agent"][party].to_owned(), &heard, wanted);
    }
    for (me, supervisor) in supervisors.iter().enumerate() {
        let [left, right, others] = supervisor.since(supervisor.count().saturating_sub(WINDOW));
        let mut wanted = [false; 5];
        (0..3).filter(|at| *at != me).for_each(|at| wanted[2 + at] = ways[at].0 != Mode::Listen);
        check(format!("supervisor {} of others", me + 1), &others, wanted);
        check(format!("supervisor {} of the customer", me + 1), &left, [true, false, false, false, false]);
        check(format!("supervisor {} of the agent", me + 1), &right, [false, true, false, false, false]);
    }
    wrong
}

fn finding(ways: Ways, wrong: Vec<String>) -> Finding {
    let heard = |party: usize, peer: &str| {
        let who: Vec<String> = (0..3).filter(|at| reaches(ways[*at], party)).map(|at| (at + 1).to_string()).collect();
        if who.is_empty() { peer.to_owned() } else { format!("{peer} + supervisor {}", who.join(", ")) }
    };
    let mode: Vec<&str> = ways.iter().map(|(mode, _)| mode.word()).collect();
    Finding {
        proof: "mix",
        leg: "both",
        mode: mode.join(", "),
        hear: Hear::Both,
        customer: heard(0, "agent"),
        agent: heard(1, "customer"),
        supervisor: "both + the other two, once".to_owned(),
        compared: 0,
        wrong,
    }
}
