//! `SendDTMF(keys[,gap[,duration[,channel]]])`: presses keys towards a phone.

use super::{App, CheckError, Doing, Line, Next, at_most};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;

pub(super) struct SendDtmf;

/// Time between two keys where none is written, ms.
const GAP_MS: u32 = 250;
/// How long a key is pressed where it is not written, ms.
const TONE_MS: u32 = 100;

impl App for SendDtmf {
    fn name(&self) -> &'static str {
        "SendDTMF"
    }

    fn syntax(&self) -> &'static str {
        "keys[,gap[,duration[,channel]]]"
    }

    fn synopsis(&self) -> &'static str {
        "Presses keys towards the phone, or that of another channel by its name; w waits half a second, W one; times are in ms."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 4)?;
        let pieces = args.arguments(4);
        match pieces.first().filter(|keys| !keys.is_empty()).map(Piece::literal) {
            None => Err(CheckError::Missing("the keys")),
            Some(Some(text)) => keys(text).map(|_| ()),
            Some(None) => Ok(()),
        }?;
        let times = pieces.get(1..).unwrap_or_default().iter().take(2).filter_map(Piece::literal);
        times.map(|text| milliseconds(&text)).collect::<Result<Vec<_>, _>>().map(|_| ())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let [row, gap, tone, name] = args.values(chan);
            let row = keys(row)?;
            let (gap_ms, tone_ms) = (milliseconds(&gap)?.unwrap_or(GAP_MS), milliseconds(&tone)?.unwrap_or(TONE_MS));
            if name.is_empty() || name == chan.name() {
                chan.press_for(&row, tone_ms, gap_ms).await?;
            } else if !chan.press_elsewhere(&name, &row, (tone_ms, gap_ms)) {
                tracing::warn!(uuid = chan.uuid(), channel = name, "SendDTMF: there is no such channel");
            }
            Ok(Next::Continue)
        })
    }
}

/// Keys to be sent: digits, `*`, `#`, A to D, `w` for half a second and `W` for a second of pause.
pub(super) fn keys(text: String) -> Result<String, CheckError> {
    let known = |c: char| c.is_ascii_digit() || "*#ABCDabcdwW".contains(c);
    if text.chars().all(known) { Ok(text) } else { Err(CheckError::Malformed { what: "row of keys", found: text }) }
}

/// A time in milliseconds; nothing and zero are none.
fn milliseconds(text: &str) -> Result<Option<u32>, CheckError> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(ms) => Ok(Some(ms).filter(|ms| *ms > 0)),
            Err(_) => Err(CheckError::Malformed { what: "number of milliseconds", found: text.to_owned() }),
        },
    }
}
