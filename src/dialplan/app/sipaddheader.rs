//! `SIPAddHeader(Name: value)`: a header for the INVITEs to come.

use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct SipAddHeader;

impl App for SipAddHeader {
    fn name(&self) -> &'static str {
        "SIPAddHeader"
    }

    fn syntax(&self) -> &'static str {
        "Name: value"
    }

    fn synopsis(&self) -> &'static str {
        "Adds a header to the INVITEs that later Dials of this channel send, as PJSIP_HEADER(add,Name) does."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        match args.split_once(':') {
            Some((name, _)) if !name.is_empty() => Ok(()),
            _ => Err(CheckError::Missing("`Name:`")),
        }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        add(chan, &args).map(|()| Next::Continue).map_err(Into::into).into()
    }
}

/// The colon is a written one: no value can name the header.
fn add(chan: &mut Channel, args: &Args<'_>) -> Result<(), CheckError> {
    let (name, value) = args.piece().split_once(':').ok_or(CheckError::Missing("`Name:`"))?;
    let (name, value) = (args.value(chan, &name), args.value(chan, &value));
    let refused = |error: crate::call::headers::HeaderRefusal| CheckError::Malformed {
        what: "header to be sent",
        found: error.to_string(),
    };
    chan.about_mut().headers.add(name.trim(), value.trim()).map_err(refused)
}
