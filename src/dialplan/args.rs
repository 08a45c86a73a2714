//! What an application is given: its arguments as written, and the scope in which their values are computed.
//! Above: `app/*`. Below: `piece`, `call::Channel`.

use super::env::{ChannelScope, Env};
use super::piece::Piece;
use crate::call::Channel;

/// The arguments of one step.
pub struct Args<'a> {
    piece: Piece<'a>,
    env: &'a Env,
}

impl<'a> Args<'a> {
    pub(super) fn new(piece: Piece<'a>, env: &'a Env) -> Self {
        Self { piece, env }
    }

    /// All of them as one piece.
    pub fn piece(&self) -> &Piece<'a> {
        &self.piece
    }

    /// What the script shares with all others.
    pub fn env(&self) -> &'a Env {
        self.env
    }

    /// The value of a piece.
    pub fn value(&self, chan: &mut Channel, piece: &Piece<'_>) -> String {
        piece.value(&mut self.scope(chan))
    }

    /// The value of all of it, commas included.
    pub fn text(&self, chan: &mut Channel) -> String {
        self.value(chan, &self.piece)
    }

    /// The values of the arguments; the last of `most` keeps its commas. Always `most` long, empty where none is given.
    pub fn values<const MOST: usize>(&self, chan: &mut Channel) -> [String; MOST] {
        let pieces = self.piece.arguments(MOST);
        std::array::from_fn(|index| pieces.get(index).map(|piece| self.value(chan, piece)).unwrap_or_default())
    }

    /// The scope for what needs more than values.
    pub fn scope<'c>(&self, chan: &'c mut Channel) -> ChannelScope<'c>
    where
        'a: 'c,
    {
        ChannelScope::new(chan, self.env)
    }
}
