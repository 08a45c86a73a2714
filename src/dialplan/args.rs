//! What an application is given: its arguments as written, and the scope in which their values are computed.
//! Above: `app/*`. Below: `piece`, `call::Channel`.

use std::ops::Range;
use std::sync::Arc;

use super::context::Dialplan;
use super::env::{ChannelScope, Env};
use super::piece::{Bit, Piece};
use super::settle::{Settled, settle};
use super::template::Template;
use super::vars::{Scope, ValueWarning};
use crate::call::Channel;
use crate::call::trace::What;
use crate::call::variables::HIDDEN;
use crate::config::CallerIdText;

/// The arguments of one step.
pub struct Args<'a> {
    piece: Piece<'a>,
    plan: &'a Arc<Dialplan>,
    env: &'a Arc<Env>,
    /// What was read before the step.
    settled: Option<Arc<Settled>>,
}

impl<'a> Args<'a> {
    pub(super) fn new(piece: Piece<'a>, (plan, env): (&'a Arc<Dialplan>, &'a Arc<Env>)) -> Self {
        Self { piece, plan, env, settled: None }
    }

    /// Reads what in `piece` takes its time, so that its values are there when they are asked for.
    pub(super) async fn settle(self, chan: &mut Channel, piece: &Piece<'_>) -> Self {
        if !piece.waits() {
            return self;
        }
        let settled = settle(chan, (self.plan, self.env), (piece, self.settled.as_deref())).await;
        Self { settled: Some(settled), ..self }
    }

    /// The same script with other arguments, for applications that run another one.
    pub(super) fn with(&self, piece: Piece<'a>) -> Self {
        Self { piece, plan: self.plan, env: self.env, settled: self.settled.clone() }
    }

    /// The plan the script runs on.
    pub fn plan(&self) -> &'a Arc<Dialplan> {
        self.plan
    }

    /// All of them as one piece.
    pub fn piece(&self) -> &Piece<'a> {
        &self.piece
    }

    /// What the script shares with all others.
    pub fn env(&self) -> &'a Arc<Env> {
        self.env
    }

    /// The value of a piece.
    pub fn value(&self, chan: &mut Channel, piece: &Piece<'_>) -> String {
        self.read(chan, piece).0
    }

    /// The value of a piece, and whether a secret was read for it.
    pub(super) fn read(&self, chan: &mut Channel, piece: &Piece<'_>) -> (String, bool) {
        let mut scope = self.scope(chan);
        let value = piece.value(&mut scope);
        let secret = scope.has_read_a_secret();
        if chan.is_traced() && !piece.is_text() {
            chan.trace(What::Value { value: if secret { HIDDEN.to_owned() } else { value.clone() } });
        }
        (value, secret)
    }

    /// The value of a piece that is to be shown to nobody.
    pub(super) fn hidden(&self, chan: &mut Channel, piece: &Piece<'_>) -> String {
        if chan.is_traced() && !piece.is_text() {
            chan.trace(What::Value { value: HIDDEN.to_owned() });
        }
        piece.value(&mut self.scope(chan))
    }

    /// The value of a piece as it may be shown: every substitution that read a secret is hidden.
    pub fn shown(&self, chan: &mut Channel, piece: &Piece<'_>) -> String {
        if !chan.variables().has_secrets() && self.env.settings().secrets.is_empty() {
            return self.value(chan, piece);
        }
        piece
            .parts()
            .map(|part| self.read(chan, &part))
            .fold(String::new(), |shown, (value, secret)| shown + if secret { HIDDEN } else { &value })
    }

    /// The value of a piece, and which bytes of it a substitution put in.
    pub fn spelled(&self, chan: &mut Channel, piece: &Piece<'_>) -> (String, Vec<Range<usize>>) {
        let (mut text, mut values) = (String::new(), Vec::new());
        for bit in piece.bits() {
            let start = text.len();
            text.push_str(&self.value(chan, &Piece::new(vec![*bit])));
            if matches!(bit, Bit::Code(_)) {
                values.push(start..text.len());
            }
        }
        (text, values)
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

    /// A piece with everything resolved that an administrator wrote: variables set from written text alone, `[globals]` of the
    /// file, the branch that `IF` chooses. What was written there is then split like the rest of the line
    /// (`Dial(${RINGALL})`), while a value from outside stays one operand.
    pub fn written(&self, chan: &mut Channel, piece: &Piece<'_>) -> Template {
        piece.written(&mut self.scope(chan))
    }

    /// A piece with every value computed now, for a script of another channel: what an administrator wrote can still be
    /// split, a value from outside stays one operand.
    pub fn settled(&self, chan: &mut Channel, piece: &Piece<'_>) -> Template {
        piece.settled(&mut self.scope(chan))
    }

    /// Whether a piece is text of the dialplan and nothing else.
    pub fn is_written(&self, chan: &mut Channel, piece: &Piece<'_>) -> bool {
        piece.is_written(&self.scope(chan))
    }

    /// All of it as it looks to somebody who lists what channels do: nothing is changed by looking.
    pub(super) fn looked_at(&self, chan: &mut Channel) -> String {
        self.piece.value(&mut Looking(&mut self.scope(chan)))
    }

    /// The scope for what needs more than values.
    pub fn scope<'c>(&self, chan: &'c mut Channel) -> ChannelScope<'c>
    where
        'a: 'c,
    {
        ChannelScope::new(chan, self.plan, self.env).with_settled(self.settled.clone())
    }
}

/// A scope that shows what there is and lets nothing be changed: functions that work on the channel or the server find none.
struct Looking<'s, 'c>(&'s mut ChannelScope<'c>);

impl Scope for Looking<'_, '_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.shown_variable(name)
    }

    fn set_variable(&mut self, _name: &str, _value: String) {}

    fn caller(&self) -> CallerIdText {
        self.0.caller()
    }

    fn set_caller(&mut self, _caller: CallerIdText) {}

    fn warn(&mut self, _warning: ValueWarning) {}
}
