//! `curl` with the very requests that `rec push` made: the same files, URLs and headers, as many at once.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::PARALLEL;
use crate::child::{self, Cost};
use crate::receiver::{Receiver, header};
use crate::spool::Recordings;

/// A run of `curl`, ready to be repeated.
pub(crate) struct Twin {
    config: PathBuf,
}

impl Twin {
    /// Writes the requests down.
    pub(crate) fn new(recordings: &Recordings, receiver: &Receiver, heads: &[String]) -> anyhow::Result<Self> {
        ensure!(heads.len() as u64 == recordings.len(), "{} requests were seen", heads.len());
        let mut text = format!("no-progress-meter\nparallel\nparallel-immediate\nparallel-max = {PARALLEL}\n");
        for (nth, head) in heads.iter().enumerate() {
            let key = header(head, "idempotency-key").context("a key")?;
            let file = recordings.file(key).context("a file")?;
            if nth > 0 {
                text.push_str("next\n");
            }
            write!(
                text,
                "silent\nshow-error\nfail\nhttp1.1\noutput = /dev/null\nurl = \"{}/{key}\"\n",
                receiver.url()
            )?;
            writeln!(text, "upload-file = {file:?}")?;
            if let Some(authority) = receiver.authority() {
                writeln!(text, "cacert = {authority:?}")?;
            }
            // it would wait for a leave that is never refused
            text.push_str("header = \"expect:\"\n");
            for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
                let name = line.split(':').next().unwrap_or_default();
                if !["host", "content-length"].contains(&name) {
                    writeln!(text, "header = {line:?}")?;
                }
            }
        }
        let config = recordings.beside("curl.conf");
        std::fs::write(&config, text)?;
        Ok(Self { config })
    }

    /// Sends everything once.
    pub(crate) fn run(&self, recordings: &Recordings, receiver: &Receiver) -> anyhow::Result<Cost> {
        let before = receiver.taken();
        let mut command = Command::new("curl");
        // -q: not what the user's own settings say
        command.args(["-q", "--config"]).arg(&self.config).stdin(Stdio::null()).stdout(Stdio::null());
        let cost = child::measure(&mut command).context("curl (from its package)")?;
        ensure!(receiver.taken() - before == recordings.len(), "curl did not send each recording once");
        Ok(cost)
    }
}
