//! A supervisor's tap in the media threads, and the table of who hears whom. Dropping it detaches.
//! Above: `state` says where it is. Below: media commands.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::{
    call::{
        supervision::{
            parties::Pair,
            permission::Mode,
            table::{self, Heard},
            wish::Hear,
        },
        talks::Side,
    },
    media::{Command, EarFrame, Engine, Event, PortId, Sides, TapAudio, TapId},
};

/// 20 ms frames that may wait for a slow listener before they are dropped: 2 s.
const FRAMES: usize = 100;
/// Frames of the supervisor's voice that may wait: 200 ms.
const VOICE: usize = 10;
/// Words of the media thread about a tap that may wait.
const EVENTS: usize = 16;

/// What the supervisor holds: frames heard, frames said.
pub(super) type Ends = (rtrb::Consumer<EarFrame>, rtrb::Producer<[i16; 160]>);

/// A tap, on no port at first.
pub(super) struct Tap {
    media: Engine,
    id: TapId,
}

impl Tap {
    /// A new tap that hears nobody; the ends for its supervisor, and what the media thread tells of it.
    pub(super) fn open(media: &Engine) -> (Self, Ends, mpsc::Receiver<Event>) {
        let tap = next_tap_id();
        let (out, frames) = rtrb::RingBuffer::new(FRAMES);
        let (voice, from_voice) = rtrb::RingBuffer::new(VOICE);
        let (events, told) = mpsc::channel(EVENTS);
        media.send(Command::Attach {
            tap,
            left: None,
            right: None,
            hears: Sides::NONE,
            heard_by: Sides::NONE,
            audio: TapAudio { out, voice: from_voice, events },
        });
        (Self { media: media.clone(), id: tap }, (frames, voice), told)
    }

    /// Puts it on these ports.
    pub(super) fn go(&self, [left, right]: [Option<PortId>; 2]) {
        self.media.send(Command::MoveTap { tap: self.id, left, right });
    }

    /// Says who hears whom.
    pub(super) fn set(&self, (hears, heard_by): (Sides, Sides)) {
        self.media.send(Command::SetTap { tap: self.id, hears, heard_by });
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.media.send(Command::Detach { tap: self.id });
    }
}

/// Numbers taps, and recordings, which share their numbers.
pub(in crate::call) fn next_tap_id() -> TapId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    TapId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whom the supervisor of a pair hears, and who hears him. `to` is the side that hears a whisper; `None`: that party is not there.
pub(super) fn sides(pair: &Pair, mode: Mode, to: Option<Side>, hear: Hear) -> (Sides, Sides) {
    let heard = if hear == Hear::Both { Heard::Usual } else { Heard::Named(pair.heard(hear)) };
    table::sides(mode, heard, (to, pair.replaced()))
}
