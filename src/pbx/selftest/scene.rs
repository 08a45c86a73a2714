//! One row of a self-test's table, played on a live call and compared with what every ear heard.
//! A scene begins and ends in listen mode, so the streams that must stay untouched are compared through both changes of mode.
//! Above: `selftest`. Beside: `table`. Below: `call`, `supervisor`, `script`.

use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::{
    SelfTestError,
    call::TestCall,
    script::{PACKET_BYTES, Payload, Script, TONES_HZ, sound, strength, tones},
    supervisor::Supervisor,
    table::{Hears, Row},
};
use crate::control::supervision::{Hear, Mode, Side};

/// How long an ear may take to hear what it must.
const PATIENCE: Duration = Duration::from_secs(10);
/// Packets that are watched once everybody hears what he must: 200 ms.
const WATCHED: usize = 10;
/// A sample above this is no silence.
const QUIET: u16 = 200;
/// A packet of silence in µ-law.
const SILENCE: Payload = [0xff; PACKET_BYTES];
/// The parties.
const NAMES: [&str; 2] = ["customer", "agent"];

/// What a row showed.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The proof it is a row of: `whisper`, `mix`, `record`.
    pub proof: &'static str,
    /// Whose UUID the supervisor gave.
    pub leg: &'static str,
    /// The mode, and for whom a whisper was.
    pub mode: String,
    /// Whom the supervisor asked to hear.
    pub hear: Hear,
    /// What the customer must hear.
    pub customer: String,
    /// What the agent must hear.
    pub agent: String,
    /// What the supervisor must hear.
    pub supervisor: String,
    /// Packets of untouched streams that were compared bit for bit.
    pub compared: usize,
    /// What was otherwise; nothing when the row holds.
    pub wrong: Vec<String>,
}

/// Plays a row.
pub(super) async fn play(
    call: &TestCall,
    supervisor: &mut Supervisor,
    (row, music): (&Row, &Script),
) -> Result<Finding, SelfTestError> {
    let marks = call.phones.each_ref().map(|phone| phone.line.count());
    if row.hear != Hear::Both {
        supervisor.set_hear(row.hear).await?;
    }
    if row.mode != Mode::Listen {
        supervisor.set_mode(row.mode, row.to).await?;
    }
    let scene = Scene { call, supervisor, row, music };
    let mut wrong = Vec::new();
    if timeout(PATIENCE, scene.is_heard()).await.is_err() {
        wrong.extend(scene.missing());
    }
    let reached = (call.phones.each_ref().map(|phone| phone.line.count()), supervisor.count());
    let line = &call.phones[0].line;
    let _ = timeout(PATIENCE, line.has(reached.0[0] + WATCHED)).await;
    let scene = Scene { call, supervisor, row, music };
    wrong.extend(scene.forbidden(reached));
    if row.mode != Mode::Listen {
        supervisor.set_mode(Mode::Listen, None).await?;
    }
    if row.hear != Hear::Both {
        supervisor.set_hear(Hear::Both).await?;
    }
    let calm = async { tokio::join!(is_calm(call, 0), is_calm(call, 1)) };
    if timeout(PATIENCE, calm).await.is_err() {
        wrong.push("the call is not as it was, after the supervisor listens again".to_owned());
    }
    let scene = Scene { call, supervisor, row, music };
    let (compared, touched) = scene.compare(marks);
    wrong.extend(touched);
    Ok(scene.finding(compared, wrong))
}

/// Waits until the newest packets of a party are its peer's own again.
async fn is_calm(call: &TestCall, party: usize) {
    let (line, script) = (&call.phones[party].line, &call.scripts[1 - party]);
    loop {
        let count = line.count();
        line.has(count + 2).await;
        if line.since(count).iter().all(|payload| script.has(payload)) {
            return;
        }
    }
}

struct Scene<'a> {
    call: &'a TestCall,
    supervisor: &'a Supervisor,
    row: &'a Row,
    music: &'a Script,
}

impl Scene<'_> {
    fn hears(&self, party: usize) -> Hears {
        [self.row.customer, self.row.agent][party]
    }

    /// Waits until every ear hears all that it must.
    async fn is_heard(&self) {
        let line = &self.call.phones[0].line;
        let marks = (self.call.phones.each_ref().map(|phone| phone.line.count()), self.supervisor.count());
        loop {
            line.has(line.count() + 1).await;
            let parties = (0..2).all(|party| self.party_hears(party, marks.0[party]));
            if parties && self.supervisor_hears(marks.1) {
                return;
            }
        }
    }

    fn party_hears(&self, party: usize, mark: usize) -> bool {
        let payloads = self.call.phones[party].line.since(mark);
        let with = |peer: bool, supervisor: bool| {
            let mut wanted = [false; 5];
            (wanted[1 - party], wanted[2]) = (peer, supervisor);
            Some(wanted)
        };
        match self.hears(party) {
            Hears::Peer => tones(&sound(&payloads)) == with(true, false),
            Hears::PeerAndSupervisor => tones(&sound(&payloads)) == with(true, true),
            Hears::Supervisor => tones(&sound(&payloads)) == with(false, true),
            Hears::Music => payloads.len() > 5 && payloads[payloads.len() - 5..].iter().all(|one| self.music.has(one)),
        }
    }

    fn supervisor_hears(&self, mark: usize) -> bool {
        let heard = self.supervisor.since(mark);
        (0..2).all(|party| {
            let mut wanted = [false; 5];
            wanted[party] = self.row.supervisor[party];
            tones(&heard[party]) == Some(wanted)
        })
    }

    /// Who does not hear what he must, in words.
    fn missing(&self) -> Vec<String> {
        let last = |party: usize| self.call.phones[party].line.count().saturating_sub(WATCHED);
        let mut wrong: Vec<String> = (0..2)
            .filter(|party| !self.party_hears(*party, last(*party)))
            .map(|party| format!("the {} hears {}", NAMES[party], heard(&sound(&self.payloads(party, last(party))))))
            .collect();
        let mark = self.supervisor.count().saturating_sub(WATCHED * PACKET_BYTES);
        if !self.supervisor_hears(mark) {
            let [left, right, _] = self.supervisor.since(mark);
            wrong.push(format!("the supervisor hears {} and {}", heard(&left), heard(&right)));
        }
        wrong
    }

    fn payloads(&self, party: usize, mark: usize) -> Vec<Payload> {
        self.call.phones[party].line.since(mark)
    }

    /// What sounded where it must not, since everybody heard what he must.
    fn forbidden(&self, (marks, samples): ([usize; 2], usize)) -> Vec<String> {
        let mut wrong = Vec::new();
        for party in (0..2).filter(|party| self.hears(*party) == Hears::Supervisor) {
            let peer = strength(&sound(&self.payloads(party, marks[party])), TONES_HZ[1 - party]);
            if peer > 0.03 {
                wrong.push(format!("the {} hears the {}", NAMES[party], NAMES[1 - party]));
            }
        }
        let heard = self.supervisor.since(samples);
        let whom = [NAMES[0], NAMES[1], "other supervisors"];
        for (at, whom) in whom.into_iter().enumerate() {
            let may = self.row.supervisor.get(at).is_some_and(|may| *may);
            if !may && heard[at].iter().any(|sample| sample.unsigned_abs() > QUIET) {
                wrong.push(format!("the supervisor hears something of {whom}"));
            }
        }
        wrong
    }

    /// Compares what must be untouched through the whole scene: packets compared, and what was otherwise.
    fn compare(&self, marks: [usize; 2]) -> (usize, Vec<String>) {
        let (mut compared, mut wrong) = (0, Vec::new());
        for (party, mark) in marks.into_iter().enumerate() {
            let (payloads, script) = (self.payloads(party, mark), &self.call.scripts[1 - party]);
            match self.hears(party) {
                Hears::Peer => {
                    compared += payloads.len();
                    if let Err((at, what)) = script.compare(&payloads) {
                        wrong.push(format!("packet {at} of {} to the {} {what}", payloads.len(), NAMES[party]));
                    }
                }
                Hears::Music => {
                    compared += payloads.len();
                    // Between the voice and the music, and back, a packet of silence may go out.
                    let is_known = |one: &Payload| script.has(one) || self.music.has(one) || *one == SILENCE;
                    if let Some(strange) = payloads.iter().find(|one| !is_known(one)) {
                        let (name, heard) = (NAMES[party], heard(&sound(&[*strange])));
                        wrong.push(format!("a packet to the {name} is neither music nor its peer's: {heard}"));
                    }
                }
                Hears::PeerAndSupervisor | Hears::Supervisor => {}
            }
        }
        (compared, wrong)
    }

    fn finding(&self, compared: usize, wrong: Vec<String>) -> Finding {
        let row = self.row;
        let to = row.to.map(|to| format!(" to {}", format!("{to:?}").to_lowercase())).unwrap_or_default();
        let heard: Vec<&str> = (0..2).filter(|party| row.supervisor[*party]).map(|party| NAMES[party]).collect();
        Finding {
            proof: "whisper",
            leg: if row.leg == Side::A { NAMES[0] } else { NAMES[1] },
            mode: format!("{}{to}", row.mode.word()),
            hear: row.hear,
            customer: row.customer.words(NAMES[1]),
            agent: row.agent.words(NAMES[0]),
            supervisor: heard.join(" + "),
            compared,
            wrong,
        }
    }
}

/// What sounds, in words and strengths.
fn heard(samples: &[i16]) -> String {
    let voices = [NAMES[0], NAMES[1], "supervisor"];
    let strengths = voices.into_iter().zip(TONES_HZ).map(|(who, hz)| (who, strength(samples, hz)));
    let audible: Vec<String> = strengths
        .filter(|(_, strength)| *strength > 0.03)
        .map(|(who, strength)| format!("{who} at {strength:.2}"))
        .collect();
    if audible.is_empty() { "nobody".to_owned() } else { audible.join(", ") }
}
