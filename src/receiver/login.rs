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

use super::connect::source;
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
    /// The token is right, and for something else: to deliver with, or to read with.
    Other,
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

/// The tokens of programs: who may deliver may not read what others delivered, and the other way round.
#[derive(Default)]
pub(super) struct Tokens {
    /// To deliver with.
    pub(super) deliver: Option<Secret>,
    /// To read pages and recordings with.
    pub(super) read: Option<Secret>,
}

/// Lets in.
pub(super) struct Gate {
    users: Option<Arc<Users>>,
    tokens: Tokens,
    limits: Limits,
    sources: Mutex<HashMap<IpAddr, Source>>,
    hashing: Semaphore,
}

impl Gate {
    pub(super) fn new(users: Option<Users>, tokens: Tokens, limits: Limits) -> Self {
        let hashing = Semaphore::new(AT_ONCE);
        Self { users: users.map(Arc::new), tokens, limits, sources: Mutex::default(), hashing }
    }

    /// Whether anybody can be let in at all.
    pub(super) fn has_logins(&self) -> bool {
        self.has_readers() || self.has_token()
    }

    /// Whether anybody can log in to read.
    pub(super) fn has_readers(&self) -> bool {
        self.users.is_some() || self.tokens.read.is_some()
    }

    /// Whether programs that deliver show a token.
    pub(super) fn has_token(&self) -> bool {
        self.tokens.deliver.is_some()
    }

    /// A person with a password, or a program with the token to read with.
    pub(super) async fn viewer(&self, headers: &HeaderMap, from: IpAddr) -> Result<Viewer, Refusal> {
        if self.shows(headers, from, [&self.tokens.read, &self.tokens.deliver])? {
            return Ok(self.right(from, Viewer { name: PROGRAM.to_owned(), words: Vec::new() }));
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

    /// Whether a program shows the token to deliver with; false: it shows none at all.
    pub(super) fn delivers(&self, headers: &HeaderMap, from: IpAddr) -> Result<bool, Refusal> {
        self.shows(headers, from, [&self.tokens.deliver, &self.tokens.read])
    }

    fn shows(&self, headers: &HeaderMap, from: IpAddr, [wanted, other]: [&Option<Secret>; 2]) -> Result<bool, Refusal> {
        let Some(shown) = bearer(headers) else { return Ok(false) };
        self.is_banned(from, Instant::now())?;
        match shown {
            shown if wanted.as_ref() == Some(&shown) => {
                self.forgive(from);
                Ok(true)
            }
            shown if other.as_ref() == Some(&shown) => Err(Refusal::Other),
            _ => Err(self.wrong(from, Instant::now())),
        }
    }

    fn right(&self, from: IpAddr, viewer: Viewer) -> Viewer {
        self.forgive(from);
        viewer
    }

    fn forgive(&self, from: IpAddr) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).remove(&source(from));
    }

    /// Fails while the source is banned.
    pub(super) fn is_banned(&self, from: IpAddr, now: Instant) -> Result<(), Refusal> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let until = sources.get(&source(from)).and_then(|source| source.until);
        match until.map(|until| until.saturating_duration_since(now)) {
            Some(left) if !left.is_zero() => Err(Refusal::Banned(left)),
            _ => Ok(()),
        }
    }

    /// Counts what was wrong, also for deliveries whose signature is.
    pub(super) fn wrong(&self, from: IpAddr, now: Instant) -> Refusal {
        let from = source(from);
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
        let tokens = Tokens { deliver: Some(Secret::new("right".into())), read: Some(Secret::new("reads".into())) };
        Gate::new(None, tokens, limits)
    }

    fn showing(text: &str) -> HeaderMap {
        [(AUTHORIZATION, text.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_token_is_right_or_wrong_or_not_shown() {
        let (gate, from) = (gate(5), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(gate.delivers(&showing("Bearer right"), from), Ok(true));
        assert_eq!(gate.delivers(&showing("bearer right"), from), Ok(true));
        assert_eq!(gate.delivers(&showing("Bearer wrong"), from), Err(Refusal::Wrong));
        assert_eq!(gate.delivers(&showing("Basic right"), from), Ok(false));
        assert_eq!(gate.delivers(&HeaderMap::new(), from), Ok(false));
        let mut two = showing("Bearer right");
        two.append(AUTHORIZATION, "Bearer right".parse().unwrap());
        assert_eq!(gate.delivers(&two, from), Ok(false), "two of them are none");
    }

    #[tokio::test]
    async fn a_token_to_deliver_with_opens_no_page_and_one_to_read_with_delivers_nothing() {
        let (gate, from) = (gate(1), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(gate.viewer(&showing("Bearer right"), from).await, Err(Refusal::Other));
        assert_eq!(gate.delivers(&showing("Bearer reads"), from), Err(Refusal::Other));
        assert_eq!(gate.viewer(&showing("Bearer reads"), from).await.unwrap().words, [""; 0], "no ban for that");
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
        assert!(matches!(gate.delivers(&showing("Bearer right"), from), Err(Refusal::Banned(_))), "the right one too");
    }

    #[test]
    fn who_guesses_from_another_address_of_the_same_network_is_banned_all_the_same() {
        let (gate, now) = (gate(3), Instant::now());
        for n in 0..3 {
            gate.wrong(format!("2001:db8:0:1::{n}").parse().unwrap(), now);
        }
        assert!(gate.is_banned("2001:db8:0:1:2:3:4:5".parse().unwrap(), now).is_err());
        assert!(gate.is_banned("2001:db8:0:2::1".parse().unwrap(), now).is_ok());
    }

    #[test]
    fn basic_is_a_name_and_a_password() {
        let coded = |text: &str| showing(&format!("Basic {}", STANDARD.encode(text)));
        let (name, password) = basic(&coded("ann:a:b")).unwrap();
        assert_eq!((name.as_str(), password.as_str()), ("ann", "a:b"));
        assert!(basic(&coded("ann")).is_none() && basic(&showing("Basic ???")).is_none());
    }
}
