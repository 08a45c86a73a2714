//! A program that the dialplan starts: with a path and the places of this server for its environment, for a limited time, its
//! output in the log.
//! Above: `app/system`.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The longest a program may run.
const LONGEST: Duration = Duration::from_secs(60);
/// How long after its end what it wrote is waited for: children of its own may hold its output open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Bytes of each of its outputs that are kept for the log.
const MAX_OUTPUT: usize = 16 * 1024;
/// Where programs look for others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a program ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was killed: its time was over.
    TimeOver,
}

/// Runs a program to its end.
///
/// # Errors
/// It could not be started.
pub(super) async fn run(
    arguments: &[String],
    uuid: &str,
    surroundings: &[(&'static str, OsString)],
) -> io::Result<Ended> {
    let (program, arguments) = arguments.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .envs(surroundings.iter().cloned())
        .current_dir("/")
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let outputs = [kept(child.stdout.take()), kept(child.stderr.take())];
    let ended = match timeout(LONGEST, child.wait()).await {
        Ok(status) => Ended::Exited(status?),
        Err(_) => {
            kill(&mut child);
            Ended::TimeOver
        }
    };
    for mut output in outputs {
        let text = timeout(LAST_WORDS, &mut output).await;
        output.abort();
        if let Ok(Ok(text)) = text {
            for line in text.lines() {
                tracing::info!(uuid, program, output = %line.escape_debug(), "System");
            }
        }
    }
    Ok(ended)
}

/// Ends a program and all that it started.
fn kill(child: &mut Child) {
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.start_kill();
}

/// Reads an output to its end, and keeps its beginning.
fn kept(output: Option<impl AsyncRead + Unpin + Send + 'static>) -> tokio::task::JoinHandle<String> {
    tokio::spawn(async move {
        let Some(mut output) = output else { return String::new() };
        let (mut kept, mut chunk) = (Vec::new(), [0; 4_096]);
        while let Ok(count @ 1..) = output.read(&mut chunk).await {
            let room = MAX_OUTPUT - kept.len();
            kept.extend(chunk.iter().take(count.min(room)));
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn code(line: &str) -> Option<i32> {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match run(&arguments, "", &[]).await.ok()? {
            Ended::Exited(status) => status.code(),
            Ended::TimeOver => None,
        }
    }

    #[tokio::test]
    async fn a_program_gives_its_status_and_none_is_none() {
        assert_eq!(code("/bin/true").await, Some(0));
        assert_eq!(code("/bin/false").await, Some(1));
        assert_eq!(code("/no/such/program").await, None);
    }

    #[tokio::test]
    async fn a_program_has_no_more_environment_than_a_path_and_where_this_server_is() {
        let script = "test -z \"$HOME$CARGO_MANIFEST_DIR$USER\" && test -n \"$PATH\" && test \"$REC_SPOOL\" = /calls";
        let arguments = ["/bin/sh", "-c", script].map(str::to_owned);
        let surroundings = [("REC_SPOOL", OsString::from("/calls"))];
        assert!(matches!(run(&arguments, "", &surroundings).await, Ok(Ended::Exited(status)) if status.success()));
    }

    #[tokio::test]
    async fn much_output_neither_stops_a_program_nor_is_it_kept() {
        assert_eq!(code("/usr/bin/head -c 3000000 /dev/zero").await, Some(0));
    }
}
