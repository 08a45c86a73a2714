//! One Dial from the answer to its end: what comes before the bridge, the bridge, and where both parties go from there.
//! Above: `run`. Beside: `talk`.

use tokio::time::Instant;

use super::run::{Run, gosub};
use super::wanted::Orphan;
use crate::call::{Cause, Channel, DialStatus, Gone, Position};
use crate::dialplan::app::{Jump, Next, Outcome};
use crate::dialplan::exec;

/// How a call that was answered ended.
pub(super) enum Ended {
    CallerGone,
    CalleeGone(Cause),
    /// Both phones are silent.
    Lost,
    /// By its limit or by a key.
    Over,
    /// The caller sent the called party elsewhere.
    Left,
    /// The called party is hung up, the caller goes on.
    Goes(Next),
}

impl From<Gone> for Ended {
    /// Only the caller's end is told by an error.
    fn from(_gone: Gone) -> Self {
        Self::CallerGone
    }
}

impl Run<'_, '_> {
    pub(super) async fn answered(mut self, mut callee: Channel) -> Outcome {
        self.chan.set_var("BRIDGEPEER", callee.name());
        callee.set_var("BRIDGEPEER", self.chan.name());
        let ended = match self.before_talk(&mut callee).await {
            Ok(()) if self.wanted.part_at.is_some() => return self.part_ways(callee),
            Ok(()) => {
                self.times.connected = Some(Instant::now());
                self.chan.begins_talk(&callee);
                match self.talk(callee).await {
                    Some((left, ended)) => {
                        callee = left;
                        ended
                    }
                    None => return self.leave(Ended::Left).await,
                }
            }
            Err(ended) => ended,
        };
        self.close(callee, ended).await
    }

    /// What the parties get before they hear each other.
    async fn before_talk(&mut self, callee: &mut Channel) -> Result<(), Ended> {
        self.chan.part();
        if self.wanted.has('a') {
            self.chan.answer_with(callee)?;
        }
        let [called, calling] = self.wanted.announce.clone();
        if !calling.is_empty() {
            self.chan.answer_with(callee)?;
        }
        self.announce(callee, (&called, &calling)).await?;
        if let Some(sub) = self.wanted.screen.take() {
            let runs = self.chan.beside(gosub(callee, self.args, &sub)).await?;
            match runs {
                Ok(Some(_)) => self.verdict(callee)?,
                Ok(None) | Err(Gone) => return Err(Ended::CalleeGone(callee.cause())),
            }
        }
        let keys = self.wanted.keys.called.clone();
        if !keys.is_empty() && self.chan.beside(callee.press(&keys)).await?.is_err() {
            return Err(Ended::CalleeGone(callee.cause()));
        }
        self.chan.answer_with(callee)?;
        self.chan.stop_playing();
        if !self.wanted.keys.calling.is_empty() {
            self.chan.start_pressing(&self.wanted.keys.calling);
        }
        Ok(())
    }

    /// Plays a sound to each party at the same time.
    async fn announce(&mut self, callee: &mut Channel, (called, calling): (&str, &str)) -> Result<(), Ended> {
        let (called, calling) = (self.sound(called).await, self.sound(calling).await);
        let to_callee = async {
            match called {
                Some(sound) => callee.play(sound).await,
                None => Ok(()),
            }
        };
        let heard = match calling {
            Some(sound) => {
                let (to_caller, heard) = tokio::join!(self.chan.play(sound), to_callee);
                to_caller?;
                heard
            }
            None => self.chan.beside(to_callee).await?,
        };
        heard.map_err(|Gone| Ended::CalleeGone(callee.cause()))
    }

    /// A sound by its name; one that cannot be played is told in the log.
    pub(super) async fn sound(&self, name: &str) -> Option<crate::media::Source> {
        if name.is_empty() {
            return None;
        }
        let sound = self.args.env().sounds().load(name).await;
        sound.inspect_err(|problem| tracing::warn!(uuid = self.chan.uuid(), %problem, "Dial")).ok()
    }

    /// What the subroutine of `U` decided, in `GOSUB_RESULT`.
    fn verdict(&mut self, callee: &Channel) -> Result<(), Ended> {
        let Some(result) = callee.variables().find("GOSUB_RESULT") else { return Ok(()) };
        let status = match result.value.as_str() {
            "ABORT" => return Err(Ended::Over),
            "BUSY" => DialStatus::Busy,
            "CONGESTION" => DialStatus::Congestion,
            "CONTINUE" => DialStatus::Answer,
            value => match value.strip_prefix("GOTO:") {
                // Where it goes must be text of the dialplan: no caller chooses a context.
                Some(place) if result.written => {
                    let mut parts = place.splitn(3, '^').collect::<Vec<_>>().into_iter().rev().map(str::to_owned);
                    let priority = parts.next().unwrap_or_default();
                    let (extension, context) = (parts.next(), parts.next());
                    self.finish(DialStatus::Answer, Cause::NORMAL);
                    return Err(Ended::Goes(Next::Jump(Jump { context, extension, priority })));
                }
                Some(_) => {
                    tracing::warn!(uuid = self.chan.uuid(), "GOSUB_RESULT: GOTO: takes no computed place");
                    return Err(Ended::Over);
                }
                None => return Ok(()),
            },
        };
        self.finish(status, Cause::NORMAL);
        Err(Ended::Goes(Next::Continue))
    }

    /// `G`: the caller goes to a priority and the called party to the one after.
    fn part_ways(mut self, callee: Channel) -> Outcome {
        let place = self.wanted.part_at.take().unwrap_or_default();
        self.finish(DialStatus::Answer, Cause::NORMAL);
        let Ok(there) = self.args.plan().reach((self.chan.position(), &self.chan.caller().number), &place) else {
            tracing::warn!(uuid = self.chan.uuid(), ?place, "Dial: option G leads nowhere");
            self.chan.drop_callee(callee, Cause::NORMAL);
            return Ok(Next::Continue);
        };
        callee.goes_on_at(Position { priority: there.priority.saturating_add(1), ..there.clone() });
        Ok(Next::At(there))
    }

    /// Ends the called party's side, sets the variables, and says where the caller goes on.
    async fn close(mut self, mut callee: Channel, ended: Ended) -> Outcome {
        let was_connected = self.times.connected.is_some();
        match &ended {
            Ended::CallerGone if !was_connected => self.finish(DialStatus::Cancel, self.chan.cause()),
            Ended::CallerGone => self.finish(DialStatus::Answer, self.chan.cause()),
            Ended::CalleeGone(cause) => self.finish(DialStatus::Answer, *cause),
            Ended::Lost => self.finish(DialStatus::Answer, Cause::NETWORK_FAILURE),
            Ended::Over | Ended::Left => self.finish(DialStatus::Answer, Cause::NORMAL),
            Ended::Goes(_) => {}
        }
        if let (Ended::CallerGone, Some(orphan), true) = (&ended, &self.wanted.orphan, was_connected)
            && !callee.is_gone()
            && !self.chan.is_leaving()
            && let Some(there) = self.orphanage(orphan)
        {
            callee.goes_on_at(there);
            return self.leave(ended).await;
        }
        let cause = match &ended {
            // A caller whose time is up has not hung up: there is no cause yet.
            Ended::CallerGone if self.chan.cause() == Cause::UNKNOWN => Cause::NORMAL,
            Ended::CallerGone => self.chan.cause(),
            Ended::CalleeGone(cause) => *cause,
            Ended::Lost => Cause::NETWORK_FAILURE,
            Ended::Over | Ended::Left | Ended::Goes(_) => Cause::NORMAL,
        };
        if self.wanted.has('e') && !callee.is_leaving() {
            callee.ends_line(cause);
            exec::hung_up((self.args.plan(), self.args.env()), &mut callee, self.chan.position()).await;
        }
        self.chan.drop_callee(callee, cause);
        self.leave(ended).await
    }

    /// Where a called party goes whose caller hung up.
    fn orphanage(&self, orphan: &Orphan) -> Option<Position> {
        let here = self.chan.position();
        let jump = match orphan {
            Orphan::NextPriority => Jump { priority: "+1".to_owned(), ..Jump::default() },
            Orphan::At(jump) => jump.clone(),
        };
        let there = self.args.plan().reach((here, &self.chan.caller().number), &jump);
        there.inspect_err(|_| tracing::warn!(uuid = self.chan.uuid(), ?jump, "Dial: option F leads nowhere")).ok()
    }

    /// Where the caller goes on; what was to be recorded until now is complete by then.
    async fn leave(self, ended: Ended) -> Outcome {
        if self.times.connected.is_some() {
            self.chan.ends_recorded_talk().await;
        }
        let go_on = self.wanted.has('g');
        let cause = match ended {
            Ended::CallerGone => return Err(Gone.into()),
            Ended::Goes(next) => return Ok(next),
            Ended::CalleeGone(_) | Ended::Over if go_on => return Ok(Next::Continue),
            Ended::CalleeGone(cause) => cause,
            Ended::Lost => Cause::NETWORK_FAILURE,
            Ended::Over | Ended::Left => Cause::NORMAL,
        };
        self.chan.hangup(cause);
        Ok(Next::End)
    }
}
