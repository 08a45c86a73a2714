//! What is said on the control socket about the log of supervision; its entries and reports are those of `crate::evidence`.

use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::protocol::{Fault, FaultCode};
use crate::evidence::{Anchor, EvidenceError};

/// Asks for a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogVerify {
    /// An entry that must still be there.
    #[serde(default)]
    pub holds: Option<Anchor>,
}

impl From<&EvidenceError> for Fault {
    fn from(error: &EvidenceError) -> Self {
        let code = match error {
            EvidenceError::Missing { .. } => FaultCode::NotFound,
            EvidenceError::KeyMissing { .. } | EvidenceError::KeyFile { .. } => FaultCode::Invalid,
            EvidenceError::KeyIsOpen { .. } => FaultCode::Denied,
            EvidenceError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => FaultCode::Denied,
            EvidenceError::Locked { .. } => FaultCode::TryAgain,
            EvidenceError::Io { .. } | EvidenceError::NoChance | EvidenceError::Closed => FaultCode::Failure,
        };
        let fault = Self::new(code, error.to_string());
        match error {
            EvidenceError::KeyIsOpen { path, .. } => fault.hint(format!("chmod 600 {}", path.display())),
            EvidenceError::KeyMissing { .. } => fault.hint("without it nothing in the log can be verified or added"),
            _ => fault,
        }
    }
}
