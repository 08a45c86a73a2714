//! `MIXMONITOR(id,key)`: what is known of a running recording. `RECORDING_INFO(property)`: of the last one of Record.
//! `AUDIOHOOK_INHERIT(source)`: recordings follow their calls whether or not it is set.

use super::{Func, FuncError, channel, known};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct AudiohookInherit;
pub(super) struct MixMonitor;
pub(super) struct RecordingInfo;

impl Func for AudiohookInherit {
    fn name(&self) -> &'static str {
        "AUDIOHOOK_INHERIT"
    }

    fn syntax(&self) -> &'static str {
        "source"
    }

    fn synopsis(&self) -> &'static str {
        "Accepted and without effect: recordings and supervisors always follow a call that is transferred."
    }

    fn read(&self, _scope: &mut dyn Scope, _args: Piece<'_>) -> Result<String, FuncError> {
        Ok("yes".to_owned())
    }

    fn write(&self, _scope: &mut dyn Scope, _args: Piece<'_>, _value: String) -> Result<(), FuncError> {
        Ok(())
    }
}

impl Func for MixMonitor {
    fn name(&self) -> &'static str {
        "MIXMONITOR"
    }

    fn syntax(&self) -> &'static str {
        "id,filename"
    }

    fn synopsis(&self) -> &'static str {
        "The path of the running recording with the id that MixMonitor's option i gave."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        match args.arguments(2).get(1) {
            Some(key) => known(&key.clone().trim(), "key of a recording", ["filename"]),
            None => Err(CheckError::Missing("the key, filename,")),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let args = args.arguments(2);
        let mut value = |index: usize| args.get(index).map(|piece| piece.value(scope)).unwrap_or_default();
        let (id, key) = (value(0), value(1));
        if !key.trim().eq_ignore_ascii_case("filename") {
            return Err(FuncError::Argument(key));
        }
        let recording = channel(scope)?.exchange().recordings.find(id.trim());
        Ok(recording.map(|recording| recording.path().to_string_lossy().into_owned()).unwrap_or_default())
    }
}

impl Func for RecordingInfo {
    fn name(&self) -> &'static str {
        "RECORDING_INFO"
    }

    fn syntax(&self) -> &'static str {
        "duration"
    }

    fn synopsis(&self) -> &'static str {
        "The length of what Record recorded last, in ms."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        known(&args.clone().trim(), "property of a recording", ["duration"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let property = args.value(scope);
        if !property.trim().eq_ignore_ascii_case("duration") {
            return Err(FuncError::Argument(property));
        }
        scope.variable("RECORD_TIME").ok_or(FuncError::Wrong("Record has recorded nothing yet".to_owned()))
    }
}
