//! One Dial while both parties talk: limits and warnings, keys that hang up, transfers.
//! Above: `answer`. Below: `call::dial` joins the two.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::Ended;
use super::run::Run;
use super::transfer::Moved;
use super::wanted::Limit;
use crate::call::Channel;
use crate::call::dial::{BridgeEnd, Side, Watch};

/// The sound of a warning where `LIMIT_WARNING_FILE` names none.
const WARNING: &str = "beep";

impl Run<'_, '_> {
    /// Until the call ends; `None` when the called party was sent elsewhere.
    pub(super) async fn talk(&mut self, mut callee: Channel) -> Option<(Channel, Ended)> {
        let mut timer = self.wanted.limit.map(|limit| Timer::new(limit, Instant::now()));
        if timer.is_some() {
            self.tell(&mut callee, "LIMIT_CONNECT_FILE", "").await;
        }
        let mut watch = Watch {
            caller_keys: self.keys([('H', '*'), ('T', '#')]),
            callee_keys: self.keys([('h', '*'), ('t', '#')]),
            until: None,
        };
        loop {
            watch.until = timer.as_ref().map(Timer::next);
            let ended = match self.chan.talk_with(&mut callee, &watch).await {
                BridgeEnd::CallerGone => Ended::CallerGone,
                BridgeEnd::CalleeGone(cause) => Ended::CalleeGone(cause),
                BridgeEnd::BothSilent => Ended::Lost,
                BridgeEnd::Key(side, '#') => match self.transfer(&mut callee, side).await {
                    Moved::Nobody => continue,
                    Moved::Caller(there) => Ended::Goes(there),
                    Moved::Callee(there) => {
                        self.chan.ends_hold();
                        callee.ends_hold();
                        callee.goes_on_at(there);
                        return None;
                    }
                },
                BridgeEnd::Key(..) => Ended::Over,
                BridgeEnd::TimeOver => {
                    if timer.as_mut().is_some_and(Timer::rings) {
                        self.tell(&mut callee, "LIMIT_WARNING_FILE", WARNING).await;
                        continue;
                    }
                    self.tell(&mut callee, "LIMIT_TIMEOUT_FILE", "").await;
                    Ended::Over
                }
            };
            self.chan.ends_hold();
            callee.ends_hold();
            return Some((callee, ended));
        }
    }

    /// The keys that the options given make special.
    fn keys(&self, pairs: [(char, char); 2]) -> String {
        pairs.into_iter().filter(|(option, _)| self.wanted.has(*option)).map(|(_, key)| key).collect()
    }

    /// Plays the sound that a `LIMIT_…` variable names to those who are to hear it, one after the other.
    async fn tell(&mut self, callee: &mut Channel, variable: &str, otherwise: &str) {
        let name = self.chan.var(variable).filter(|name| !name.is_empty()).unwrap_or(otherwise).to_owned();
        let Some(sound) = self.sound(&name).await else { return };
        let wants = |chan: &Channel, side: Side| {
            let (variable, usual) = match side {
                Side::Caller => ("LIMIT_PLAYAUDIO_CALLER", true),
                Side::Callee => ("LIMIT_PLAYAUDIO_CALLEE", false),
            };
            match chan.var(variable).map(str::to_ascii_lowercase).as_deref() {
                Some("yes" | "true" | "on" | "1") => true,
                Some("no" | "false" | "off" | "0") => false,
                _ => usual,
            }
        };
        // Whoever hangs up meanwhile is found gone when the talk goes on.
        if wants(self.chan, Side::Caller) {
            let _ = callee.beside(self.chan.play(sound.clone())).await;
        }
        if wants(self.chan, Side::Callee) {
            let _ = self.chan.beside(callee.play(sound)).await;
        }
    }
}

/// When a call with a limit warns, and when it ends.
struct Timer {
    end: Instant,
    warning: Option<Instant>,
    repeat: Option<Duration>,
}

impl Timer {
    fn new(limit: Limit, now: Instant) -> Self {
        let end = now + limit.total;
        let warning = limit.warning.and_then(|left| end.checked_sub(left));
        Self { end, warning, repeat: limit.repeat }
    }

    /// When something is to happen.
    fn next(&self) -> Instant {
        self.warning.map_or(self.end, |warning| warning.min(self.end))
    }

    /// The time has come: whether for a warning; then the next one is set.
    fn rings(&mut self) -> bool {
        let Some(now) = self.warning.filter(|warning| *warning < self.end) else { return false };
        self.warning = self.repeat.map(|repeat| now + repeat);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_warns_when_so_much_is_left_again_and_again_and_ends() {
        let ms = Duration::from_millis;
        let now = Instant::now();
        let limit = Limit { total: ms(60_000), warning: Some(ms(25_000)), repeat: Some(ms(10_000)) };
        let mut timer = Timer::new(limit, now);
        let mut at = Vec::new();
        loop {
            at.push((timer.next() - now).as_secs());
            if !timer.rings() {
                break;
            }
        }
        assert_eq!(at, [35, 45, 55, 60]);
        let mut only = Timer::new(Limit { total: ms(500), warning: None, repeat: None }, now);
        assert_eq!(only.next() - now, ms(500));
        assert!(!only.rings());
    }
}
