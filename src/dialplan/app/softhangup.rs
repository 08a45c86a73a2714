//! `SoftHangup(channel[,a])`: ends another call.

use super::{App, CheckError, Doing, Next, Opt, at_most};
use crate::call::{Channel, SoftHangup as Whom};
use crate::dialplan::args::Args;
use crate::dialplan::options::choose;
use crate::dialplan::piece::Piece;

pub(super) struct SoftHangup;

const OPTIONS: &[Opt] =
    &[Opt { name: "a", help: "ends all channels of a device: SIP/1001, SIP/host, Local/700@internal" }];

impl App for SoftHangup {
    fn name(&self) -> &'static str {
        "SoftHangup"
    }

    fn syntax(&self) -> &'static str {
        "channel|device[,a]"
    }

    fn synopsis(&self) -> &'static str {
        "Ends the channel of that whole name (SIP/1001-0000002a), or with a all channels of a device."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 2)?;
        let args = args.arguments(2);
        args.first().filter(|whom| !whom.is_empty()).ok_or(CheckError::Missing("the channel or device"))?;
        args.get(1).map_or(Ok(()), |options| choose(options, OPTIONS, &[]).map(|_| ()))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        end(chan, &args).map(|()| Next::Continue).map_err(Into::into).into()
    }
}

fn end(chan: &mut Channel, args: &Args<'_>) -> Result<(), CheckError> {
    let pieces = args.piece().arguments(2);
    let whom = pieces.first().map(|piece| args.value(chan, piece)).unwrap_or_default();
    let whom = whom.trim();
    let options = pieces.get(1).map(|options| choose(options, OPTIONS, &[])).transpose()?.unwrap_or_default();
    let whom = if options.is_empty() { Whom::Channel(whom) } else { Whom::Device(whom) };
    let ended = chan.exchange().soft_hangup(&whom);
    tracing::debug!(uuid = chan.uuid(), ?whom, ended, "soft hang-up");
    Ok(())
}
