//! `PJSIP_HEADER(read|add|update|remove,name[,number])`, `SIP_HEADER(name[,number])`: headers of INVITEs.

use super::{Func, FuncError, channel, known};
use crate::call::headers::HeaderRefusal;
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct PjsipHeader;

/// The older name of reading.
pub(super) struct SipHeader;

impl Func for PjsipHeader {
    fn name(&self) -> &'static str {
        "PJSIP_HEADER"
    }

    fn syntax(&self) -> &'static str {
        "read|add|update|remove,name[,number]"
    }

    fn synopsis(&self) -> &'static str {
        "Reads a header of the INVITE that made the channel; set, adds one to the INVITEs that its later Dials send, changes \
         or removes an added one (name* removes all that begin so). Headers that the stack needs itself are refused."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let action = args.arguments(3).into_iter().next().unwrap_or_default();
        known(&action, "action", ["add", "read", "remove", "update"])
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let Wanted { action, name, number } = wanted(scope, &args)?;
        if action != "read" {
            return Err(FuncError::Argument(action));
        }
        header(scope, &name, number)
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let Wanted { action, name, number } = wanted(scope, &args)?;
        let headers = &mut channel(scope)?.about_mut().headers;
        match action.as_str() {
            "add" => headers.add(&name, &value).map_err(|refusal| refused(&refusal)),
            "update" => headers.update(&name, number, &value).map_err(|refusal| refused(&refusal)),
            "remove" => {
                headers.remove(&name);
                Ok(())
            }
            _ => Err(FuncError::Argument(action)),
        }
    }
}

impl Func for SipHeader {
    fn name(&self) -> &'static str {
        "SIP_HEADER"
    }

    fn syntax(&self) -> &'static str {
        "name[,number]"
    }

    fn synopsis(&self) -> &'static str {
        "A header of the INVITE that made the channel, the first of that name or the one of that number."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let mut values = args.arguments(2).into_iter().map(|piece| piece.value(scope).trim().to_owned());
        let name = values.next().ok_or(FuncError::Missing("the name"))?;
        let number = nth(values.next())?;
        header(scope, &name, number)
    }
}

struct Wanted {
    action: String,
    name: String,
    number: usize,
}

fn wanted(scope: &mut dyn Scope, args: &Piece<'_>) -> Result<Wanted, FuncError> {
    let mut values = args.arguments(3).into_iter().map(|piece| piece.value(scope).trim().to_owned());
    let action = values.next().ok_or(FuncError::Missing("the action"))?.to_ascii_lowercase();
    let name = values.next().filter(|name| !name.is_empty()).ok_or(FuncError::Missing("the name"))?;
    Ok(Wanted { action, name, number: nth(values.next())? })
}

/// Which of several of the same name, from 1.
fn nth(text: Option<String>) -> Result<usize, FuncError> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(1),
        Some(text) => text.parse().map_err(|_| FuncError::NotANumber(text)),
    }
}

fn header(scope: &mut dyn Scope, name: &str, number: usize) -> Result<String, FuncError> {
    let chan = channel(scope)?;
    Ok(chan.about().headers.read(name, number).unwrap_or_default().to_owned())
}

fn refused(refusal: &HeaderRefusal) -> FuncError {
    FuncError::Wrong(refusal.to_string())
}
