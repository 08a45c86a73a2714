//! The flags that all commands share, and what follows from them: where the server is, how to ask it, how to print.
//! Above: every command gets a [`Context`]. Below: `config::paths` knows the places, `control::client` the words.

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exit::Failure;
use super::output::{Colour, Form, Output, Talk};
use crate::config::paths::{self, Disk, Environment};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Fault, FaultCode};

/// How long a server may take to answer a question when `--timeout` does not say.
const ANSWER: Duration = Duration::from_secs(10);

/// The flags of all programs and commands.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Settings file, instead of the first one found
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Control socket, instead of the first one found
    #[arg(long, global = true, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
    /// Ask the server on another machine, over ssh
    #[arg(long, global = true, value_name = "USER@BOX", value_hint = clap::ValueHint::Hostname)]
    pub host: Option<String>,
    /// Print JSON
    #[arg(long, global = true, env = "WIRECHIEF_JSON", hide_env_values = true, action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Print nothing but results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to colour
    #[arg(long, global = true, value_name = "auto|always|never", default_value = "auto")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: Colour,
    /// Give up after that time: 500ms, 30s, 5m
    #[arg(long, global = true, value_name = "DUR", value_parser = crate::config::parse_duration)]
    pub timeout: Option<Duration>,
    /// Only say what would be done
    #[arg(long, global = true)]
    pub dry_run: bool,
}

/// What a command works with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The shared flags.
    pub common: Common,
    /// Where it prints.
    pub output: Output,
}

impl Context {
    /// From the flags, for the program `tool`.
    pub fn new(tool: &'static str, common: Common) -> Self {
        let form = if common.json { Form::Json } else { Form::Text };
        let talk = if common.quiet { Talk::Quiet } else { Talk::Normal };
        let output = Output { tool, form, talk, colour: common.color };
        Self { common, output }
    }

    /// Connects to the server the flags name.
    ///
    /// # Errors
    /// Unreachable (exit 7), or denied (exit 4).
    pub async fn connect(&self) -> Result<Client, Failure> {
        match &self.common.host {
            Some(host) => over_ssh(host, self.common.socket.as_deref()),
            None => {
                let socket = self.socket();
                tracing::debug!(socket = %socket.display(), "asking the server");
                Ok(self.in_time(Client::connect(&socket)).await?)
            }
        }
    }

    /// Asks one question and waits for its one answer.
    ///
    /// # Errors
    /// As [`Context::connect`], or what the server answers.
    pub async fn ask<T: DeserializeOwned>(&self, method: &str, params: &(impl Serialize + Sync)) -> Result<T, Failure> {
        let mut client = self.connect().await?;
        Ok(self.in_time(client.request(method, params)).await?)
    }

    /// Asks one question and waits for the whole list.
    ///
    /// # Errors
    /// As [`Context::ask`].
    pub async fn list<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Serialize + Sync),
    ) -> Result<Vec<T>, Failure> {
        let mut client = self.connect().await?;
        Ok(self.in_time(client.list(method, params)).await?)
    }

    /// Bounds an answer by `--timeout`, or by ten seconds.
    ///
    /// # Errors
    /// What `answer` says, or [`ClientError::TimedOut`].
    pub async fn in_time<T>(&self, answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let time = self.common.timeout.unwrap_or(ANSWER);
        tokio::time::timeout(time, answer).await.unwrap_or(Err(ClientError::TimedOut(time)))
    }

    /// The socket a client opens: the first place where one exists.
    pub fn socket(&self) -> PathBuf {
        client_socket(self.common.socket.as_deref())
    }

    /// The sockets a server may make, best first.
    pub fn server_sockets(&self) -> Vec<PathBuf> {
        paths::sockets(self.common.socket.as_deref(), &environment(), &Files)
    }

    /// The settings files that `--config` and discovery name; empty: the built-in configuration.
    pub fn settings_files(&self) -> Vec<PathBuf> {
        paths::settings_files(self.common.config.as_deref(), &environment(), &Files)
    }

    /// Where records and generated passwords are kept.
    pub fn state_folder(&self) -> PathBuf {
        paths::state_folder(&environment())
    }
}

/// The socket a client opens: the first place where one exists, else the best place, so that errors name it.
pub(super) fn client_socket(named: Option<&Path>) -> PathBuf {
    let mut places = paths::sockets(named, &environment(), &Files);
    let at = places.iter().position(|place| place.exists()).unwrap_or(0);
    places.swap_remove(at)
}

/// The home of the account, for cron jobs and the like that are not told of it. A machine whose service has its own folders has
/// them meant.
fn home_of_the_account() -> Option<PathBuf> {
    let is_service = ["/etc/wirechief", "/var/lib/wirechief"].iter().any(|folder| Path::new(folder).exists());
    if is_service { None } else { std::env::home_dir().filter(|home| home.is_absolute()) }
}

/// What of this process's environment decides about places.
pub fn environment() -> Environment {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Environment {
        wirechief_config: path("WIRECHIEF_CONFIG"),
        wirechief_socket: path("WIRECHIEF_SOCKET"),
        home: path("HOME").or_else(home_of_the_account),
        xdg_config_home: path("XDG_CONFIG_HOME"),
        xdg_state_home: path("XDG_STATE_HOME"),
        xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
        state_directory: path("STATE_DIRECTORY"),
        uid: rustix::process::geteuid().as_raw(),
    }
}

/// This machine's disk.
#[derive(Clone, Copy, Debug)]
pub struct Files;

impl Disk for Files {
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn entries(&self, folder: &Path) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        entries.flatten().map(|entry| entry.path()).collect()
    }
}

/// Speaks with the server of another machine through `ssh HOST pbx stdio`; ssh brings its own rights and its own errors.
fn over_ssh(host: &str, socket: Option<&Path>) -> Result<Client, Failure> {
    if host.is_empty() || host.starts_with('-') {
        return Err(Fault::new(FaultCode::Usage, format!("--host {host}: not the name of a machine")).into());
    }
    let mut ssh = tokio::process::Command::new("ssh");
    ssh.args(["-T", "--", host, "pbx", "stdio"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(socket) = socket {
        ssh.arg("--socket").arg(for_remote_shell(socket));
    }
    let failed = |why: &str| {
        let fault = Fault::new(FaultCode::Unreachable, format!("--host {host}: {why}"));
        Failure::from(fault.hint(format!("does `ssh {host} pbx status` work?")))
    };
    let mut child = ssh.spawn().map_err(|error| failed(&format!("ssh: {error}")))?;
    match (child.stdout.take(), child.stdin.take()) {
        (Some(answers), Some(questions)) => Ok(Client::over(answers, questions)),
        _ => Err(failed("ssh has no streams")),
    }
}

/// ssh joins its words and gives them to the other machine's shell: one quoted word there.
fn for_remote_shell(path: &Path) -> OsString {
    let mut quoted = OsString::from("'");
    quoted.push(path.to_string_lossy().replace('\'', r"'\''"));
    quoted.push("'");
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_be_an_option_of_ssh() {
        let Err(Failure::Fault(fault)) = over_ssh("-oProxyCommand=touch x", None) else { panic!("accepted") };
        assert_eq!(fault.code, FaultCode::Usage);
    }

    #[test]
    fn a_path_is_one_word_for_the_remote_shell() {
        assert_eq!(for_remote_shell(Path::new("/a b/$x'y")), OsString::from(r"'/a b/$x'\''y'"));
    }
}
