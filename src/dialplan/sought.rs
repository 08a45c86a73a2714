//! The extension that a script is in, so that a jump within it needs no search. Above: `exec`. Below: `search`.

use super::app::Jump;
use super::search::Found;
use crate::call::{Channel, Position};

impl Jump {
    /// The priority it names, seen from another one.
    pub(super) fn priority_from(&self, here: u32, labelled: impl FnOnce(&str) -> Option<u32>) -> Option<u32> {
        let relative = |by: &str| by.parse::<u32>().ok();
        match (self.priority.strip_prefix('+'), self.priority.strip_prefix('-')) {
            (Some(by), _) => relative(by).and_then(|by| here.checked_add(by)),
            (_, Some(by)) => relative(by).and_then(|by| here.checked_sub(by)),
            _ => self.priority.parse().ok().or_else(|| labelled(&self.priority)),
        }
    }
}

/// An extension, and what it was found for: as long as that holds, a search would find it again.
pub(super) struct Sought<'a> {
    pub(super) found: Found<'a>,
    position: Position,
    caller: String,
}

impl<'a> Sought<'a> {
    pub(super) fn new(found: Found<'a>, channel: &Channel) -> Self {
        Self { found, position: channel.position().clone(), caller: channel.caller().number.clone() }
    }

    /// The priority in the same extension to which a jump leads, where no search could find another extension.
    pub(super) fn priority_within(&self, channel: &Channel, jump: &Jump) -> Option<u32> {
        let (Position { context, extension, priority }, found) = (channel.position(), &self.found);
        let is_here = (context, extension) == (&self.position.context, &self.position.extension);
        let is_same_caller = channel.caller().number == self.caller;
        let stays = jump.context.as_ref().is_none_or(|name| name == context)
            && jump.extension.as_ref().is_none_or(|name| name == extension);
        if !(found.first && found.own && is_here && is_same_caller && stays) {
            return None;
        }
        let target = jump.priority_from(*priority, |label| found.extension.labelled(label))?;
        found.extension.step(target).map(|_| target)
    }
}
