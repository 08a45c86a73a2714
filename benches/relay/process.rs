//! A measured process: its CPU time and memory as the kernel counts them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;

/// A child that ends with its owner.
pub(crate) struct Process {
    pub(crate) child: Child,
}

impl Process {
    /// The release `pbx`, its configuration and state in `folder`.
    pub(crate) fn pbx(folder: &Path) -> anyhow::Result<Self> {
        let child = Command::new(env!("CARGO_BIN_EXE_pbx"))
            .arg("--config")
            .arg(folder.join("pbx.toml"))
            .arg("--socket")
            .arg(folder.join("pbx.sock"))
            .arg("run")
            .env("XDG_STATE_HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start the release pbx")?;
        Ok(Self { child })
    }

    fn read(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("read {path}"))
    }

    /// CPU time of all threads so far, to the nanosecond.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut total = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanoseconds = text.split(' ').next().unwrap_or("0").parse()?;
            total += Duration::from_nanos(nanoseconds);
        }
        Ok(total)
    }

    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1_024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
