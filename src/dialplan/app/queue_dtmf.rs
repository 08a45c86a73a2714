//! `queue_dtmf(keys[@duration])`: keys that the channel itself will be seen to have pressed, by whatever runs next.

use super::{App, CheckError, Doing, Next};
use crate::call::{Channel, QueuedKeys};
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct QueueDtmf;

impl App for QueueDtmf {
    fn name(&self) -> &'static str {
        "queue_dtmf"
    }

    fn syntax(&self) -> &'static str {
        "keys[@duration]"
    }

    fn synopsis(&self) -> &'static str {
        "Queues keys as if the caller pressed them, for what runs next; w is half a second of pause, W one, @500 the length of \
         each key in ms."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() {
            return Err(CheckError::Missing("the keys"));
        }
        args.literal().map_or(Ok(()), |text| read(&text).map(|_| ()))
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let text = args.text(chan);
        let queued = read(&text).map(|keys| {
            chan.queue_keys(&keys);
            Next::Continue
        });
        queued.map_err(Into::into).into()
    }
}

fn read(text: &str) -> Result<QueuedKeys, CheckError> {
    QueuedKeys::parse(text.trim())
        .ok_or_else(|| CheckError::Malformed { what: "row of keys (such as w1@500)", found: text.to_owned() })
}
