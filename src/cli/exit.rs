//! Exit codes, and how a program ends. The one place where a fault becomes a number.

use std::io;
use std::process::ExitCode;

use crate::control::client::ClientError;
use crate::control::protocol::{Fault, FaultCode};

/// The exit codes of all programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Something else went wrong.
    Failure,
    /// Bad flag or argument.
    Usage,
    /// No such call, key, recording, node.
    NotFound,
    /// Permission level, group, exempt party, wrong key.
    Denied,
    /// Configuration, dialplan, database or file is damaged or wrong.
    Invalid,
    /// Some items done, some not; the list is printed.
    Partial,
    /// The server or the remote does not answer.
    Unreachable,
    /// The call ended before `spy` was attached, or with `--expect-live` while attached.
    Ended,
    /// Locked by another run, or a temporary network failure; cron may retry.
    TryAgain,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    /// All of them, for the manual.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::NotFound,
        Self::Denied,
        Self::Invalid,
        Self::Partial,
        Self::Unreachable,
        Self::Ended,
        Self::TryAgain,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Denied => 4,
            Self::Invalid => 5,
            Self::Partial => 6,
            Self::Unreachable => 7,
            Self::Ended => 8,
            Self::TryAgain => 75,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// One line for the manual.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failure => "something else went wrong",
            Self::Usage => "bad flag or argument",
            Self::NotFound => "no such call, user, registration or file",
            Self::Denied => "not allowed",
            Self::Invalid => "a configuration, a dialplan or a file is damaged or wrong",
            Self::Partial => "some items done, some not; the list is printed",
            Self::Unreachable => "the server or the remote does not answer",
            Self::Ended => "the call ended before a supervisor was attached",
            Self::TryAgain => "another run holds the lock, or a temporary failure; may be tried again",
            Self::Interrupted => "interrupted by Ctrl-C",
            Self::Terminated => "ended by SIGTERM",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<FaultCode> for Exit {
    fn from(code: FaultCode) -> Self {
        match code {
            FaultCode::Failure => Self::Failure,
            FaultCode::Usage => Self::Usage,
            FaultCode::NotFound => Self::NotFound,
            FaultCode::Denied => Self::Denied,
            FaultCode::Invalid => Self::Invalid,
            FaultCode::Partial => Self::Partial,
            FaultCode::Unreachable => Self::Unreachable,
            FaultCode::Ended => Self::Ended,
            FaultCode::TryAgain => Self::TryAgain,
        }
    }
}

/// Why a command ends early.
#[derive(Debug)]
pub enum Failure {
    /// To be printed: one line, and a hint.
    Fault(Fault),
    /// Whoever read the output has closed it: a quiet, good end.
    ClosedPipe,
    /// Already said all there is to say.
    Silent(Exit),
}

/// What a command returns.
pub type Done = Result<Exit, Failure>;

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Fault(error.into())
    }
}

/// Errors of our own output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::Fault(Fault::new(FaultCode::Failure, format!("writing: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_scripts_know() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 7, 8, 75, 130, 143]);
    }

    #[test]
    fn a_closed_pipe_is_no_fault() {
        assert!(matches!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)), Failure::ClosedPipe));
        assert!(matches!(Failure::from(io::Error::other("full")), Failure::Fault(_)));
    }
}
