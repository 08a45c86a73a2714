//! One Dial from its beginning to the answer: subroutines, called parties, ringing. `answer` is the rest.
//! Below: `call::dial`.

use tokio::time::Instant;

use super::results::{Times, finish, set_time};
use super::wanted::{Hearing, Shown, Sub, Wanted};
use crate::call::dial::{Callee, Hears, Ring, RingEnd, Rung};
use crate::call::{CallerId, Cause, Channel, DialStatus, Gone, Position};
use crate::dialplan::app::musiconhold::music;
use crate::dialplan::app::{Next, Outcome};
use crate::dialplan::args::Args;
use crate::dialplan::exec;

/// A Dial that runs.
pub(super) struct Run<'r, 'a> {
    pub(super) chan: &'r mut Channel,
    pub(super) args: &'r Args<'a>,
    pub(super) wanted: Wanted,
    pub(super) times: Times,
}

/// All of it.
pub(super) async fn dial(chan: &mut Channel, args: &Args<'_>, wanted: Wanted) -> Outcome {
    if wanted.has('C') {
        chan.begins_record_anew();
    }
    if let Some(sub) = &wanted.first
        && gosub(chan, args, sub).await?.is_none()
    {
        return Ok(Next::End);
    }
    let times = Times { began: Instant::now(), connected: None };
    Run { chan, args, wanted, times }.run().await
}

/// Runs a subroutine on either party; its value, or `None` when it ended the script.
pub(super) async fn gosub(chan: &mut Channel, args: &Args<'_>, sub: &Sub) -> Result<Option<String>, Gone> {
    exec::subroutine(chan, (args.plan(), args.env()), &sub.target, sub.arguments.clone()).await
}

impl Run<'_, '_> {
    async fn run(mut self) -> Outcome {
        let callees = match self.callees().await {
            Ok(callees) => callees,
            Err(cause) => {
                self.finish(DialStatus::from_cause(cause), cause);
                return Ok(Next::Continue);
            }
        };
        let ring = self.ring().await;
        let Rung { end, rang, progressed, peer } = self.chan.ring_all(callees, &ring).await;
        for (name, at) in [("RINGTIME", rang), ("PROGRESSTIME", progressed)] {
            if let Some(at) = at {
                set_time(self.chan, name, at - self.times.began);
            }
        }
        self.chan.set_var("DIALEDPEERNAME", peer.0);
        self.chan.set_var("DIALEDPEERNUMBER", peer.1);
        let (status, cause, next) = match end {
            RingEnd::Answered(callee) => return self.answered(*callee).await,
            RingEnd::Nobody(cause) => (DialStatus::from_cause(cause), cause, Next::Continue),
            RingEnd::Silence => (DialStatus::ChanUnavail, Cause::NO_USER_RESPONDING, Next::Continue),
            RingEnd::Key('*') if self.wanted.has('H') => (DialStatus::Cancel, Cause::NORMAL, Next::Continue),
            RingEnd::Key(digit) => {
                let there = Position { context: self.exit_context(), extension: digit.to_string(), priority: 1 };
                (DialStatus::Cancel, Cause::NORMAL, Next::At(there))
            }
            RingEnd::CallerGone | RingEnd::Unrecordable => {
                let was_refused = matches!(end, RingEnd::Unrecordable);
                self.finish(if was_refused { DialStatus::Congestion } else { DialStatus::Cancel }, self.chan.cause());
                return Err(Gone.into());
            }
        };
        self.finish(status, cause);
        Ok(next)
    }

    pub(super) fn finish(&mut self, status: DialStatus, cause: Cause) {
        finish(self.chan, self.times, status, cause);
    }

    /// All called parties, ready to be called.
    async fn callees(&mut self) -> Result<Vec<Callee>, Cause> {
        let mut all = Vec::new();
        let mut cause = Cause::NO_ROUTE;
        for target in &self.wanted.targets {
            match self.chan.callees(target.clone()).await {
                Ok(callees) => all.extend(callees),
                Err(refused) => cause = refused,
            }
        }
        let mut ready = Vec::with_capacity(all.len());
        for mut callee in all {
            match &self.wanted.shown {
                Shown::Caller => {}
                Shown::Number(number) => {
                    let id = CallerId { number: number.clone(), ..callee.channel().caller().clone() };
                    callee.channel().set_caller(id);
                }
                Shown::Nobody => callee.hides_caller(),
            }
            match &self.wanted.before {
                Some(sub) if !matches!(gosub(callee.channel(), self.args, sub).await, Ok(Some(_))) => {
                    self.chan.drop_callee(callee.into_channel(), Cause::NORMAL);
                }
                _ => ready.push(callee),
            }
        }
        if ready.is_empty() { Err(cause) } else { Ok(ready) }
    }

    /// How the parties are to ring.
    async fn ring(&self) -> Ring {
        let (wanted, began) = (&self.wanted, self.times.began);
        let hears = match &wanted.hears {
            Hearing::FarSide => Hears::FarSide,
            Hearing::RingingFirst => Hears::RingingFirst,
            Hearing::Ringing => Hears::Ringing,
            Hearing::Tone(tone) => Hears::Sound(tone.clone()),
            Hearing::Music(class) => match music(self.chan, self.args, class).await {
                Ok(music) => Hears::Sound(music),
                Err(problem) => {
                    tracing::warn!(uuid = self.chan.uuid(), %problem, "Dial: no music, a ringing tone instead");
                    Hears::Ringing
                }
            },
        };
        Ring {
            until: wanted.timeout.map(|time| began + time),
            progress_until: wanted.silence.map(|time| began + time),
            hears,
            send_progress: wanted.keys.progress.clone(),
            exits: self.exits(),
            cancel_as: wanted.cancel_as(),
            lose_as: wanted.lose_as,
        }
    }

    /// The keys that end the ringing.
    fn exits(&self) -> String {
        let mut exits = String::new();
        if self.wanted.has('d') {
            let context = self.exit_context();
            let leads = |digit: &char| self.args.plan().begins_at(&context, &digit.to_string());
            exits.extend("0123456789*#".chars().filter(leads));
        }
        if self.wanted.has('H') {
            exits.push('*');
        }
        exits
    }

    fn exit_context(&self) -> String {
        let named = self.chan.var("EXITCONTEXT").filter(|context| !context.is_empty());
        named.unwrap_or(&self.chan.position().context).to_owned()
    }
}
