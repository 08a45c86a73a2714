//! Who is asking: Basic with the users' file, a bearer token, and how often a source may be wrong.
//! Above: the pages and the intake. Below: `users`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::users::{Users, Viewer};
use crate::config::{Limits, Secret};

/// Sources remembered for wrong logins, at most.
const SOURCES: usize = 10_000;
/// Passwords hashed at once: each takes 19 MiB and a processor.
const AT_ONCE: usize = 2;
/// A ban is doubled so often at most.
const DOUBLED: u32 = 10;
/// The name under which a program with the token is on record.
const PROGRAM: &str = "token";

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing was shown.
    Nothing,
    /// What was shown is wrong.
    Wrong,
    /// Too often wrong from this source; not looked at for so long.
    Banned(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Source {
    wrong: u32,
    bans: u32,
    until: Option<Instant>,
    last: Instant,
}

/// Lets in.
pub(super) struct Gate {
    users: Option<Arc<Users>>,
    token: Option<Secret>,
    limits: Limits,
    sources: Mutex<HashMap<IpAddr, Source>>,
    hashing: Semaphore,
}

impl Gate {
    pub(super) fn new(users: Option<Users>, token: Option<Secret>, limits: Limits) -> Self {
        let hashing = Semaphore::new(AT_ONCE);
        Self { users: users.map(Arc::new), token, limits, sources: Mutex::default(), hashing }
    }

    /// Whether anybody can be let in at all.
    pub(super) fn has_logins(&self) -> bool {
        self.users.is_some() || self.token.is_some()
    }

    /// Whether programs show a token.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// A person with a password, or a program with the token.
    pub(super) async fn viewer(&self, headers: &HeaderMap, from: IpAddr) -> Result<Viewer, Refusal> {
        if let Some(viewer) = self.program(headers, from)? {
            return Ok(viewer);
        }
        let Some((name, password)) = basic(headers) else { return Err(Refusal::Nothing) };
        let Some(users) = &self.users else { return Err(self.wrong(from, Instant::now())) };
        // A closed semaphore does not happen; were it so, nobody would be let in.
        let _permit = self.hashing.acquire().await.map_err(|_| Refusal::Wrong)?;
        self.is_banned(from, Instant::now())?;
        let users = Arc::clone(users);
        let found = tokio::task::spawn_blocking(move || users.viewer(&name, &password)).await.ok().flatten();
        found.map(|viewer| self.right(from, viewer)).ok_or_else(|| self.wrong(from, Instant::now()))
    }

    /// A program with the token; `None`: it shows no token at all.
    pub(super) fn program(&self, headers: &HeaderMap, from: IpAddr) -> Result<Option<Viewer>, Refusal> {
        let Some(shown) = bearer(headers) else { return Ok(None) };
        self.is_banned(from, Instant::now())?;
        match &self.token {
            Some(token) if *token == shown => {
                Ok(Some(self.right(from, Viewer { name: PROGRAM.to_owned(), words: Vec::new() })))
            }
            _ => Err(self.wrong(from, Instant::now())),
        }
    }

    fn right(&self, from: IpAddr, viewer: Viewer) -> Viewer {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).remove(&from);
        viewer
    }

    /// Fails while the source is banned.
    pub(super) fn is_banned(&self, from: IpAddr, now: Instant) -> Result<(), Refusal> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let until = sources.get(&from).and_then(|source| source.until);
        match until.map(|until| until.saturating_duration_since(now)) {
            Some(left) if !left.is_zero() => Err(Refusal::Banned(left)),
            _ => Ok(()),
        }
    }

    /// Counts what was wrong, also for deliveries whose signature is.
    pub(super) fn wrong(&self, from: IpAddr, now: Instant) -> Refusal {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= SOURCES && !sources.contains_key(&from) {
            // the one that has been quiet longest makes room
            let oldest = sources.iter().min_by_key(|(_, source)| source.last).map(|(from, _)| *from);
            oldest.map(|oldest| sources.remove(&oldest));
        }
        let source = sources.entry(from).or_insert(Source { wrong: 0, bans: 0, until: None, last: now });
        source.wrong += 1;
        source.last = now;
        if self.limits.bad_logins == 0 || source.wrong < self.limits.bad_logins {
            return Refusal::Wrong;
        }
        let time = self.limits.ban_time.saturating_mul(1 << source.bans.min(DOUBLED));
        source.wrong = 0;
        source.bans += 1;
        source.until = Some(now + time);
        tracing::warn!(%from, seconds = time.as_secs(), "too many wrong logins: the source is banned");
        Refusal::Wrong
    }
}

/// Name and password of HTTP's Basic scheme (RFC 7617).
fn basic(headers: &HeaderMap) -> Option<(String, Zeroizing<String>)> {
    let coded = credentials(headers, "basic")?;
    let text = Zeroizing::new(String::from_utf8(STANDARD.decode(coded).ok()?).ok()?);
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), Zeroizing::new(password.to_owned())))
}

/// The token of the Bearer scheme (RFC 6750).
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    credentials(headers, "bearer").map(|token| Secret::new(token.to_owned()))
}

/// What stands behind the scheme's name, which may be in capitals (RFC 9110 §11.1).
fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (all.next()?, all.next());
    let (name, rest) = first.to_str().ok()?.split_once(' ')?;
    (second.is_none() && name.eq_ignore_ascii_case(scheme)).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(bad_logins: u32) -> Gate {
        let limits = Limits { bad_logins, ban_time: Duration::from_secs(60), ..Limits::default() };
        Gate::new(None, Some(Secret::new("right".into())), limits)
    }

    fn showing(text: &str) -> HeaderMap {
        [(AUTHORIZATION, text.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_token_is_right_or_wrong_or_not_shown() {
        let (gate, from) = (gate(5), IpAddr::from([127, 0, 0, 1]));
        assert!(gate.program(&showing("Bearer right"), from).unwrap().is_some());
        assert!(gate.program(&showing("bearer right"), from).unwrap().is_some());
        assert_eq!(gate.program(&showing("Bearer wrong"), from), Err(Refusal::Wrong));
        assert_eq!(gate.program(&showing("Basic right"), from), Ok(None));
        assert_eq!(gate.program(&HeaderMap::new(), from), Ok(None));
        let mut two = showing("Bearer right");
        two.append(AUTHORIZATION, "Bearer right".parse().unwrap());
        assert_eq!(gate.program(&two, from), Ok(None), "two of them are none");
    }

    #[test]
    fn a_source_that_is_wrong_too_often_is_banned_each_time_for_twice_as_long() {
        let (gate, now) = (gate(3), Instant::now());
        let (from, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        for _ in 0..3 {
            assert_eq!(gate.is_banned(from, now), Ok(()));
            gate.wrong(from, now);
        }
        let banned = |at: u64| gate.is_banned(from, now + Duration::from_secs(at)).is_err();
        assert!(banned(59) && !banned(60) && gate.is_banned(other, now).is_ok());
        let later = now + Duration::from_secs(60);
        for _ in 0..3 {
            gate.wrong(from, later);
        }
        assert!(banned(179) && !banned(180));
        assert!(matches!(gate.program(&showing("Bearer right"), from), Err(Refusal::Banned(_))), "the right one too");
    }

    #[test]
    fn basic_is_a_name_and_a_password() {
        let coded = |text: &str| showing(&format!("Basic {}", STANDARD.encode(text)));
        let (name, password) = basic(&coded("ann:a:b")).unwrap();
        assert_eq!((name.as_str(), password.as_str()), ("ann", "a:b"));
        assert!(basic(&coded("ann")).is_none() && basic(&showing("Basic ???")).is_none());
    }
}
