//! The proofs of `pbx selftest`: a private server on loopback, synthetic phones with tones for voices, supervisors at every mode,
//! and every ear compared with a table. Above: the command. Below: the whole server, as it is installed.

mod call;
mod line;
mod mix;
mod phone;
mod record;
mod scene;
mod script;
mod supervisor;
mod table;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use self::{
    call::TestCall,
    script::{Script, TONES_HZ},
    supervisor::Supervisor,
};
use super::{
    Pbx, Settings, StartError,
    sources::{LoadError, Source},
};
use crate::{
    config,
    control::{client::ClientError, supervision::Side},
};

pub use scene::Finding;
pub use table::{Hears, Row, TABLE};

/// Why a proof could not be made; says nothing about what it would have shown.
#[derive(Debug, Error)]
pub enum SelfTestError {
    /// The private server's settings.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The private server.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A socket of the phones.
    #[error("a socket of the test's phones: {0}")]
    Socket(#[from] io::Error),
    /// The control socket.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server refused a phone.
    #[error("the server refused {method}: {answer}")]
    Refused {
        /// What was asked for.
        method: &'static str,
        /// The first line of its answer.
        answer: String,
    },
    /// The server refused another mode.
    #[error("the server refused a change: {0}")]
    Session(String),
    /// Nothing came in time.
    #[error("{0} does not answer")]
    Silent(String),
    /// No address or no user.
    #[error("the private server has no SIP address or no agent")]
    NoAddress,
    /// The call is not listed.
    #[error("the test's call is not up")]
    NoCall,
    /// An embedded sound is damaged.
    #[error("the built-in music is damaged")]
    NoMusic,
}

impl SelfTestError {
    fn refused(method: &'static str, answer: &str) -> Self {
        Self::Refused { method, answer: answer.to_owned() }
    }
}

/// What a proof showed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every row holds.
    pub ok: bool,
    /// The rows, in the table's order.
    pub rows: Vec<Finding>,
}

impl Report {
    /// The report of these rows.
    pub fn of(rows: Vec<Finding>) -> Self {
        Self { ok: rows.iter().all(|row| row.wrong.is_empty()), rows }
    }
}

/// Whispers stay where they belong: plays every row of `table` on a private server that keeps its files in `folder`.
///
/// # Errors
/// The proof could not be made.
pub async fn whisper(folder: &Path, table: &[Row]) -> Result<Report, SelfTestError> {
    let pbx = Pbx::start(settings(folder)?).await?;
    // A call for either leg, at the same time.
    let played = tokio::try_join!(rows_on(&pbx, Side::A, table), rows_on(&pbx, Side::B, table));
    pbx.shutdown().await;
    let (mut rows, second) = played?;
    rows.extend(second);
    Ok(Report::of(rows))
}

/// Supervisors hear each other: three of them at one call, each once and never himself.
///
/// # Errors
/// The proof could not be made.
pub async fn mix(folder: &Path) -> Result<Report, SelfTestError> {
    let pbx = Pbx::start(settings(folder)?).await?;
    let played = async {
        let call = TestCall::connect(&pbx, AGENTS[0]).await?;
        let findings = mix::play(&call, pbx.control_path()).await?;
        call.hang_up().await?;
        Ok(findings)
    };
    let played: Result<Vec<Finding>, SelfTestError> = played.await;
    pbx.shutdown().await;
    Ok(Report::of(played?))
}

/// A call is recorded with each party on its own side: once on a private server that keeps its files in `folder`.
///
/// # Errors
/// The proof could not be made.
pub async fn record(folder: &Path) -> Result<Report, SelfTestError> {
    let pbx = Pbx::start(settings(folder)?).await?;
    let played = async {
        let call = TestCall::connect(&pbx, AGENTS[0]).await?;
        let spool = pbx.exchange().recordings.spool().folder().to_owned();
        let findings = record::play(&call, (pbx.control_path(), &spool)).await?;
        call.hang_up().await?;
        Ok(findings)
    };
    let played: Result<Vec<Finding>, SelfTestError> = played.await;
    pbx.shutdown().await;
    Ok(Report::of(played?))
}

async fn rows_on(pbx: &Pbx, leg: Side, table: &[Row]) -> Result<Vec<Finding>, SelfTestError> {
    let (agent, at) = if leg == Side::A { (AGENTS[0], 0) } else { (AGENTS[1], 1) };
    let music = Script::of_music().ok_or(SelfTestError::NoMusic)?;
    let call = TestCall::connect(pbx, agent).await?;
    let mut supervisor = Supervisor::attach(pbx.control_path(), &call.uuids[at], TONES_HZ[2]).await?;
    let mut findings = Vec::new();
    for row in table.iter().filter(|row| row.leg == leg) {
        findings.push(scene::play(&call, &mut supervisor, (row, &music)).await?);
    }
    drop(supervisor);
    call.hang_up().await?;
    Ok(findings)
}

/// The users who answer.
const AGENTS: [&str; 2] = ["agent-1", "agent-2"];

/// A server for nobody but the test: loopback, ports of its own, passwords of this moment.
fn settings(folder: &Path) -> Result<Settings, LoadError> {
    let mut text = String::from(
        "[sip]\nbind = [\"udp://127.0.0.1:0\"]\n[media]\nbind = \"127.0.0.1\"\nports = \"20000-29999\"\n\
         [guests]\ncontext = \"outside\"\nfrom = [\"127.0.0.0/8\"]\n\
         [recording]\nfree_space_floor = \"0\"\n",
    );
    for agent in AGENTS {
        let password = uuid::Uuid::new_v4().simple();
        text.push_str(&format!("[users.{agent}]\npassword = \"{password}\"\ncontext = \"outside\"\n"));
    }
    let plan = AGENTS.map(|agent| format!("exten => {agent},1,Dial(SIP/{agent},10)\n")).concat();
    let config = config::load(&[PathBuf::from("selftest.toml")], &|_: &Path| Ok(text.clone()))?;
    let plan = (PathBuf::from("selftest.conf"), format!("[outside]\n{plan}"));
    let source = Source::Given(Box::new(config), vec![plan]);
    Settings::read(source, folder.to_owned(), vec![folder.join("pbx.sock")])
}
