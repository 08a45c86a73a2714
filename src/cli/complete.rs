//! Completion by the program itself: the shell's script calls it back, and it may ask a running server for live UUIDs.
//! Above: `entry`, before anything else runs. The one module that knows `clap_complete`, whose dynamic part is not yet stable.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;

use super::common::client_socket;
use super::entry::Tool;
use crate::astdb::Store;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{CallInfo, method};

/// Set by the shell's script, to the name of the shell.
const VARIABLE: &str = "WIRECHIEF_COMPLETE";
/// A person waits for it at each press of the key.
const BUDGET: Duration = Duration::from_millis(150);
/// So many recordings are looked through for those that begin so.
const LATEST: u32 = 1_000;

/// Answers a shell's script, if one asks; whether it did. Errors are silent: what they print would land on the command line.
pub(super) fn answer(tool: Tool) -> bool {
    let folder = std::env::current_dir().ok();
    if std::env::var_os(VARIABLE).is_none_or(|shell| shell.is_empty()) {
        return false;
    }
    let completion = CompleteEnv::with_factory(|| tool.command()).var(VARIABLE);
    completion.try_complete(std::env::args_os(), folder.as_deref()).unwrap_or(true)
}

/// The script for a shell. It calls the program back by its name.
pub(super) fn script(tool: Tool, shell: &str) -> Option<String> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell)?;
    let mut text = Vec::new();
    shell.write_registration(VARIABLE, tool.name(), tool.name(), tool.name(), &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// Completes the UUIDs of live calls' legs, where a server runs.
pub(super) fn live_uuids() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let begun = current.to_string_lossy();
        candidates(&live_calls().unwrap_or_default(), &begun)
    })
}

/// Completes the families of the store, where it can be listed.
pub(super) fn families() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let names = store_on_the_line().and_then(|store| store.families().ok()).unwrap_or_default();
        offered(names, &current.to_string_lossy())
    })
}

/// Completes the keys of the family that stands before.
pub(super) fn keys() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let words = words_on_the_line();
        let family = words.iter().rev().nth(1).cloned().unwrap_or_default();
        let names = store_on_the_line().and_then(|store| store.keys(&family).ok()).unwrap_or_default();
        offered(names, &current.to_string_lossy())
    })
}

/// Completes the ids of recordings, the latest, and names of files.
pub(super) fn recordings() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let begun = current.to_string_lossy();
        let listed = super::rec::latest(&words_on_the_line(), LATEST);
        let matching = listed.into_iter().filter(|(id, file, _)| id.starts_with(&*begun) || file.starts_with(&*begun));
        let candidate = |(id, file, help): (String, String, String)| {
            let word = if id.starts_with(&*begun) { id } else { file };
            CompletionCandidate::new(word).help(Some(super::output::shown(&help).into_owned().into()))
        };
        matching.map(candidate).collect()
    })
}

/// Completes the remotes of the settings.
pub(super) fn remotes() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        offered(super::rec::remote_names(&words_on_the_line()), &current.to_string_lossy())
    })
}

fn offered(names: Vec<String>, begun: &str) -> Vec<CompletionCandidate> {
    names.into_iter().filter(|name| name.starts_with(begun)).map(CompletionCandidate::new).collect()
}

fn words_on_the_line() -> Vec<String> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

fn store_on_the_line() -> Option<Store> {
    super::astdb::on_the_line(&words_on_the_line())
}

fn candidates(calls: &[CallInfo], begun: &str) -> Vec<CompletionCandidate> {
    let legs = calls.iter().flat_map(|call| call.legs.iter().map(move |leg| (call, leg)));
    legs.filter(|(_, leg)| leg.uuid.starts_with(begun))
        .map(|(call, leg)| {
            let help = format!("{} of {} to {}, {}", leg.number, call.from, call.to, call.state.word());
            CompletionCandidate::new(leg.uuid.clone()).help(Some(super::output::shown(&help).into_owned().into()))
        })
        .collect()
}

fn live_calls() -> Option<Vec<CallInfo>> {
    let socket = client_socket(socket_on_the_line().as_deref());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(BUDGET, ask(&socket)).await.ok()?.ok() })
}

async fn ask(socket: &Path) -> Result<Vec<CallInfo>, ClientError> {
    Client::connect(socket).await?.list(method::CALLS, &()).await
}

/// `--socket PATH` of the line being completed, read by hand: it is not whole yet.
fn socket_on_the_line() -> Option<PathBuf> {
    let mut words = std::env::args_os().skip_while(|word| word != "--");
    while let Some(word) = words.next() {
        if word == "--socket" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--socket=")) {
            return Some(PathBuf::from(path));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::LegInfo;

    #[test]
    fn every_leg_that_begins_so_is_offered() {
        let leg = |uuid: &str| LegInfo { uuid: uuid.into(), number: "1001".into(), ..LegInfo::default() };
        let call = CallInfo { legs: vec![leg("ab1"), leg("ac2")], ..CallInfo::default() };
        let offered = |begun| {
            candidates(std::slice::from_ref(&call), begun)
                .iter()
                .map(|candidate| candidate.get_value().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(offered("a"), ["ab1", "ac2"]);
        assert_eq!(offered("ac"), ["ac2"]);
        assert!(offered("x").is_empty());
    }

    #[test]
    fn every_shell_named_in_the_manual_has_a_script() {
        for shell in ["bash", "zsh", "fish"] {
            assert!(script(Tool::Pbx, shell).is_some_and(|text| text.contains("WIRECHIEF_COMPLETE")), "{shell}");
        }
        assert_eq!(script(Tool::Pbx, "no shell"), None);
    }
}
