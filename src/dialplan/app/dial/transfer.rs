//! A transfer by `#`: who presses it hears a dial tone and dials a number, where the other party goes on.
//!
//! The rights are those of the party who sends the other (threat D1): its `TRANSFER_CONTEXT`, else the context it calls in.
//! A called party that is no user of this server has none.

use std::time::Duration;

use super::run::Run;
use crate::call::dial::Side;
use crate::call::{Channel, Gone, Position};
use crate::dialplan::app::Next;
use crate::dialplan::app::musiconhold::music;
use crate::dialplan::app::playtones;
use crate::dialplan::context::Dialplan;

/// How long the first key is waited for, and each after it.
const FIRST_KEY: Duration = Duration::from_secs(10);
const NEXT_KEY: Duration = Duration::from_secs(3);
/// The longest number.
const LONGEST: usize = 80;
/// What is heard where the number leads nowhere.
const INVALID: &str = "pbx-invalid";

/// Who goes where.
pub(super) enum Moved {
    Nobody,
    Caller(Next),
    Callee(Position),
}

impl Run<'_, '_> {
    pub(super) async fn transfer(&mut self, callee: &mut Channel, side: Side) -> Moved {
        let (music, invalid) = (music(self.chan, self.args, "").await.ok(), self.sound(INVALID).await);
        let plan = self.args.plan();
        let (sender, other) = match side {
            Side::Caller => (&mut *self.chan, &mut *callee),
            Side::Callee => (&mut *callee, &mut *self.chan),
        };
        if let Some(music) = music {
            other.start_playing(music);
        }
        let there = match sender.transfer_context() {
            Some(context) => other.beside(number(sender, plan, &context)).await.unwrap_or(Err(Gone)),
            None => Ok(None),
        };
        other.stop_playing();
        match there {
            Ok(Some(there)) => {
                other.set_var("BLINDTRANSFER", sender.name());
                tracing::info!(uuid = other.uuid(), by = sender.uuid(), ?there, "transfer");
                match side {
                    Side::Caller => Moved::Callee(there),
                    Side::Callee => Moved::Caller(Next::At(there)),
                }
            }
            Ok(None) => {
                if let Some(sound) = invalid {
                    // Who hangs up meanwhile is found gone when the talk goes on.
                    let _ = other.beside(sender.play(sound)).await;
                }
                Moved::Nobody
            }
            Err(Gone) => Moved::Nobody,
        }
    }
}

/// Collects a number until nothing more can be meant; where it leads in that context.
async fn number(sender: &mut Channel, plan: &Dialplan, context: &str) -> Result<Option<Position>, Gone> {
    sender.forget_digits();
    if let Ok(tone) = playtones::source("dial") {
        sender.start_playing(tone);
    }
    let (mut number, mut patience) = (String::new(), FIRST_KEY);
    while number.len() < LONGEST {
        match sender.digit(patience).await? {
            Some('#') | None => break,
            Some(digit) => number.push(digit),
        }
        sender.stop_playing();
        patience = NEXT_KEY;
        if plan.begins_at(context, &number) && !plan.may_grow(context, &number) {
            break;
        }
    }
    sender.stop_playing();
    let leads = !number.is_empty() && plan.begins_at(context, &number);
    Ok(leads.then(|| Position { context: context.to_owned(), extension: number, priority: 1 }))
}
