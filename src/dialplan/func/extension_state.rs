//! `EXTENSION_STATE(extension@context)`: the state of the devices that the extension's hint names.

use std::sync::Arc;

use super::device_state::state_of;
use super::{Func, FuncError};
use crate::call::device::DeviceState;
use crate::dialplan::context::Dialplan;
use crate::dialplan::piece::Piece;
use crate::dialplan::search::Query;
use crate::dialplan::vars::Scope;

pub(super) struct ExtensionState;

impl Func for ExtensionState {
    fn name(&self) -> &'static str {
        "EXTENSION_STATE"
    }

    fn syntax(&self) -> &'static str {
        "extension[@context]"
    }

    fn synopsis(&self) -> &'static str {
        "The state of all devices in an extension's hint together, as DEVICE_STATE says it; UNKNOWN where there is no hint."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let written = args.written(scope);
        let piece = written.piece();
        let (extension, context) = match piece.split_once('@') {
            Some((extension, context)) => (extension.value(scope), context.value(scope)),
            None => (piece.value(scope), "default".to_owned()),
        };
        let plan: Arc<Dialplan> = scope.plan().ok_or(FuncError::NoCall)?.clone();
        let Some(hint) = plan.hint(&Query::new(context.trim(), extension.trim())) else {
            return Ok(DeviceState::Unknown.word().to_owned());
        };
        // What follows a comma are presence providers.
        let devices = hint.devices().split(',').into_iter().next().unwrap_or_default();
        let mut states = Vec::new();
        for device in devices.split('&') {
            let device = device.value(scope);
            states.push(state_of(scope, device.trim())?);
        }
        Ok(DeviceState::together(states).word().to_owned())
    }
}
