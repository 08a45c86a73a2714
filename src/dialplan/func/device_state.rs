//! `DEVICE_STATE(device)`: whether a user's phones, a trunk or a custom device are free, ringing or in use.

use super::{Func, FuncError, channel};
use crate::call::device::DeviceState as State;
use crate::call::target::{self, Target};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct DeviceState;

impl Func for DeviceState {
    fn name(&self) -> &'static str {
        "DEVICE_STATE"
    }

    fn syntax(&self) -> &'static str {
        "device"
    }

    fn synopsis(&self) -> &'static str {
        "UNKNOWN, NOT_INUSE, INUSE, BUSY, INVALID, UNAVAILABLE, RINGING, RINGINUSE or ONHOLD, of SIP/1001 or Custom:name; the \
         state of a custom device can be set."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let device = args.value(scope);
        Ok(state_of(scope, device.trim())?.word().to_owned())
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let device = args.value(scope).trim().to_owned();
        let state = State::from_word(&value).ok_or(FuncError::Argument(value))?;
        let refused = || FuncError::Wrong(format!("the state of `{device}` cannot be set; that of Custom:name can"));
        channel(scope)?.exchange().set_device_state(&device, state).then_some(()).ok_or_else(refused)
    }
}

/// How a device is; one of this server's own extensions, `Local/700@internal`, is there when the plan has it.
pub(super) fn state_of(scope: &mut dyn Scope, device: &str) -> Result<State, FuncError> {
    let state = channel(scope)?.exchange().device_state(device);
    let Ok(Target::Local { extension, context }) = target::parse(device) else { return Ok(state) };
    let exists = scope.plan().is_some_and(|plan| plan.find(&context, &extension).is_some());
    Ok(match state {
        State::Unknown if exists => State::NotInUse,
        State::Unknown => State::Invalid,
        state => state,
    })
}
