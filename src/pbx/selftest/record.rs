//! A recorded call: the file is whole once the order to stop is done, each party is on its own side and on no other, and both sides
//! have one length. Above: `selftest`. Below: `call`, `script`.

use std::{
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

use tokio::time::timeout;

use super::{
    SelfTestError,
    call::TestCall,
    scene::Finding,
    script::{TONES_HZ, WINDOW, tones},
};
use crate::{
    audio::wave::Head,
    control::{
        client::Client,
        protocol::{RecordTarget, Recorded, method},
        supervision::Hear,
    },
};

/// Packets that are said meanwhile: 2 s.
const SAID: usize = 100;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tenths of a second in which a party is heard, of the twenty that are said: the first is cut by the beginning, the last by the end.
const HEARD: usize = 16;

/// Records a call through the control socket, and looks at what is in `spool` then.
pub(super) async fn play(call: &TestCall, (socket, spool): (&Path, &Path)) -> Result<Vec<Finding>, SelfTestError> {
    let target = RecordTarget { uuid: call.uuids[0].clone(), file: Some("selftest.wav".into()) };
    let mut client = Client::connect(socket).await?;
    let begun: Recorded = client.request(method::RECORD_START, &target).await?;
    let line = &call.phones[0].line;
    let said = timeout(PATIENCE, line.has(line.count() + SAID)).await;
    let _: Recorded = client.request(method::RECORD_STOP, &target).await?;
    let mut wrong = Vec::new();
    if said.is_err() {
        wrong.push("the parties do not hear each other".to_owned());
    }
    let file = begun.recordings.first().map(|one| spool.join(&one.file)).unwrap_or_default();
    let sides = match sides(&file) {
        Ok(sides) => sides,
        Err(error) => {
            wrong.push(format!("{}: {error}", file.display()));
            [Vec::new(), Vec::new()]
        }
    };
    if sides[0].len() != sides[1].len() {
        wrong.push(format!("{} samples left, {} right", sides[0].len(), sides[1].len()));
    }
    for (side, (name, party)) in sides.iter().zip([("left", 0), ("right", 1)]) {
        let (own, others) = heard(side, party);
        if own < HEARD || others > 0 {
            wrong.push(format!("{name}: its party is heard in {own} tenths of a second, somebody else in {others}"));
        }
    }
    Ok(vec![Finding {
        proof: "record",
        leg: "both",
        mode: "recorded".to_owned(),
        hear: Hear::Both,
        customer: "alone on the left".to_owned(),
        agent: "alone on the right".to_owned(),
        supervisor: "-".to_owned(),
        compared: 0,
        wrong,
    }])
}

/// In how many tenths of a second a party is heard alone, and somebody else.
fn heard(samples: &[i16], party: usize) -> (usize, usize) {
    let mut wanted = [false; TONES_HZ.len()];
    wanted[party] = true;
    let all: Vec<_> = samples.chunks_exact(WINDOW).filter_map(tones).collect();
    let own = all.iter().filter(|tones| **tones == wanted).count();
    let others = all.iter().filter(|tones| tones.iter().zip(&wanted).any(|(there, wanted)| *there && !wanted)).count();
    (own, others)
}

/// The samples of both sides, of a file of 16 bits.
fn sides(path: &Path) -> std::io::Result<[Vec<i16>; 2]> {
    let mut file = std::fs::File::open(path)?;
    let head = Head::read(&mut file)?;
    if (head.tag, head.channels, head.bits) != (1, 2, 16) {
        return Err(std::io::Error::other(format!("code {}, {} sides, {} bits", head.tag, head.channels, head.bits)));
    }
    file.seek(SeekFrom::Start(head.data_at))?;
    let mut bytes = Vec::new();
    file.take(head.data_bytes()).read_to_end(&mut bytes)?;
    let mut sides = [Vec::new(), Vec::new()];
    for frame in bytes.as_chunks::<4>().0 {
        let [a, b, c, d] = *frame;
        sides[0].push(i16::from_le_bytes([a, b]));
        sides[1].push(i16::from_le_bytes([c, d]));
    }
    Ok(sides)
}
