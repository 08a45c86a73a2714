//! The table of the architecture page: whom a supervisor hears in each mode, and who hears him. Pure; the one place that says it.
//! Above: `tap`, which finds out who stands on which side. Beside: the simulation in `media` plays it against chance.

use crate::{
    call::{
        supervision::{parties::alone, permission::Mode},
        talks::Side,
    },
    media::Sides,
};

/// Who is heard, before the mode has its say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nobody asked for anything else than both.
    Usual,
    /// Those that were asked for by name.
    Named(Sides),
}

/// Whom the supervisor hears, and who hears him. `to` is the side that hears a whisper (`None`: that party is not there),
/// `replaced` the side whose place is taken in a takeover.
pub(crate) fn sides(mode: Mode, heard: Heard, (to, replaced): (Option<Side>, Side)) -> (Sides, Sides) {
    let hears = match heard {
        Heard::Usual => Sides::BOTH,
        Heard::Named(sides) => sides,
    };
    match mode {
        Mode::Listen => (hears, Sides::NONE),
        Mode::Whisper => (hears, to.map_or(Sides::NONE, alone)),
        Mode::Barge => (hears, Sides::BOTH),
        // The agent is on hold: what he says to others in his room is not the supervisor's to hear, unless asked for by name.
        Mode::Takeover => {
            let customer = alone(replaced.other());
            (if heard == Heard::Usual { customer } else { hears }, customer)
        }
    }
}
