//! The doorkeeper: digest challenges, and a budget of failed logins for each source (threat S1).
//! Above: `inbound` asks before anything of a user's is touched. Below: `sip::digest` computes.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::{
    config::{Limits, Secret},
    sip::digest::{Authenticator, Verdict},
};

/// Sources remembered at once; the oldest ban goes first.
const REMEMBERED: usize = 16_384;

/// Phones that are known to give up when any challenge names an algorithm they do not know, though RFC 7616 §3.7 lets them
/// pass over it: how their User-Agent begins.
const ONLY_MD5: &[&str] = &["baresip v0.", "baresip v1."];

/// Challenges, and remembers who failed.
pub struct Doorkeeper {
    authenticator: Authenticator,
    began: Instant,
    sources: HashMap<IpAddr, Source>,
    /// Who was challenged with every algorithm and has not answered: he may know only MD5, so the next challenge is that alone.
    unanswered: HashSet<SocketAddr>,
}

#[derive(Clone, Copy)]
struct Source {
    failures: u32,
    bans: u32,
    banned_until: Option<Instant>,
    last: Instant,
}

/// What a request from outside offers as proof.
pub struct Proof<'a> {
    /// The SIP method.
    pub method: &'a str,
    /// The value of its Authorization header.
    pub authorization: Option<&'a str>,
    /// Its body, for `auth-int`.
    pub body: &'a [u8],
    /// Who it claims to be.
    pub user: &'a str,
    /// That user's password; `None` for somebody unknown, which takes the same way and time.
    pub password: Option<&'a Secret>,
    /// Where it came from.
    pub source: SocketAddr,
    /// What the phone calls itself.
    pub user_agent: Option<&'a str>,
}

/// The doorkeeper's word.
#[derive(Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is the user it claims to be.
    Admit,
    /// Prove it: values for WWW-Authenticate.
    Challenge(Vec<String>),
    /// The source failed too often; nothing is computed for it.
    Banned,
}

impl Doorkeeper {
    /// A doorkeeper whose challenges name `realm`.
    pub fn new(realm: &str) -> Self {
        let mut secret = [0u8; 32];
        if getrandom::fill(&mut secret).is_err() {
            // Without the system's randomness a UUID of the standard library's hasher still differs at each start.
            secret[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        }
        Self {
            authenticator: Authenticator::new(realm, secret),
            began: Instant::now(),
            sources: HashMap::new(),
            unanswered: HashSet::new(),
        }
    }

    /// Judges a request at `now`.
    pub fn judge(&mut self, now: Instant, limits: &Limits, proof: &Proof<'_>) -> Ruling {
        let ip = proof.source.ip();
        if self.sources.get(&ip).and_then(|s| s.banned_until).is_some_and(|until| now < until) {
            return Ruling::Banned;
        }
        let clock = now.saturating_duration_since(self.began);
        let Some(authorization) = proof.authorization else {
            return Ruling::Challenge(self.first_challenges(clock, proof));
        };
        self.unanswered.remove(&proof.source);
        // A right password under another's name is a wrong one (config.md: the digest username must equal the From user).
        let claimed = crate::sip::digest::username(authorization);
        let password = proof.password.filter(|_| claimed.as_deref() == Some(proof.user));
        match self.authenticator.verify(clock, proof.method, authorization, proof.body, password) {
            Verdict::Accepted { .. } => {
                self.sources.remove(&ip);
                Ruling::Admit
            }
            Verdict::Stale => Ruling::Challenge(self.authenticator.challenges(clock, true)),
            Verdict::Challenge => Ruling::Challenge(self.authenticator.challenges(clock, false)),
            Verdict::Wrong { .. } => {
                self.failed(now, limits, proof);
                Ruling::Challenge(self.authenticator.challenges(clock, false))
            }
        }
    }

    /// Every algorithm, best first; MD5 alone for a phone that cannot pass over the others.
    fn first_challenges(&mut self, clock: Duration, proof: &Proof<'_>) -> Vec<String> {
        let mut challenges = self.authenticator.challenges(clock, false);
        let told = proof.user_agent.is_some_and(|agent| ONLY_MD5.iter().any(|begin| agent.starts_with(begin)));
        if self.unanswered.len() >= REMEMBERED {
            self.unanswered.clear();
        }
        if told || !self.unanswered.insert(proof.source) {
            challenges.retain(|challenge| challenge.contains("algorithm=MD5,"));
        }
        challenges
    }

    /// Counts a failure; the line is what intrusion filters read, its form is fixed.
    fn failed(&mut self, now: Instant, limits: &Limits, proof: &Proof<'_>) {
        let ip = proof.source.ip();
        tracing::warn!(
            target: "login",
            "login failed: source={} user={:?} method={}",
            proof.source, proof.user, proof.method
        );
        if limits.bad_logins == 0 {
            return;
        }
        self.forget_old(now, limits.ban_time);
        let source = self.sources.entry(ip).or_insert(Source { failures: 0, bans: 0, banned_until: None, last: now });
        source.failures += 1;
        source.last = now;
        if source.failures >= limits.bad_logins {
            let time = limits.ban_time.saturating_mul(1 << source.bans.min(10));
            source.bans += 1;
            source.failures = 0;
            source.banned_until = Some(now + time);
            tracing::warn!(target: "login", "source banned: source={ip} seconds={}", time.as_secs());
        }
    }

    fn forget_old(&mut self, now: Instant, ban_time: Duration) {
        if self.sources.len() < REMEMBERED {
            return;
        }
        let keep = ban_time.max(Duration::from_secs(3600));
        self.sources.retain(|_, s| s.banned_until.is_some_and(|until| now < until) || now - s.last < keep);
        if self.sources.len() >= REMEMBERED
            && let Some(oldest) = self.sources.iter().min_by_key(|(_, s)| s.last).map(|(ip, _)| *ip)
        {
            self.sources.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof<'a>(authorization: Option<&'a str>, password: Option<&'a Secret>, source: &str) -> Proof<'a> {
        let source = source.parse().unwrap();
        Proof { method: "REGISTER", authorization, body: b"", user: "1001", password, source, user_agent: None }
    }

    fn answer(challenges: &[String], user: &str, password: &str) -> String {
        crate::sip::digest::answer(
            &challenges[0],
            "REGISTER",
            "sip:wirechief",
            user,
            &Secret::new(password.into()),
            1,
            "c0ffee",
        )
        .unwrap()
    }

    fn challenged(door: &mut Doorkeeper, now: Instant, source: &str) -> Vec<String> {
        match door.judge(now, &Limits::default(), &proof(None, None, source)) {
            Ruling::Challenge(values) => values,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn s1_a_source_that_fails_too_often_is_banned_and_others_are_not() {
        let limits = Limits::default();
        let secret = Secret::new("right-password".into());
        let mut door = Doorkeeper::new("wirechief");
        let now = Instant::now();
        for _ in 0..limits.bad_logins {
            let wrong = answer(&challenged(&mut door, now, "192.0.2.1:5060"), "1001", "wrong");
            let ruling = door.judge(now, &limits, &proof(Some(&wrong), Some(&secret), "192.0.2.1:5060"));
            assert!(matches!(ruling, Ruling::Challenge(_)));
        }
        assert_eq!(door.judge(now, &limits, &proof(None, Some(&secret), "192.0.2.1:7")), Ruling::Banned);
        let right = answer(&challenged(&mut door, now, "192.0.2.2:5060"), "1001", "right-password");
        assert_eq!(door.judge(now, &limits, &proof(Some(&right), Some(&secret), "192.0.2.2:5060")), Ruling::Admit);
        let later = now + limits.ban_time;
        assert!(matches!(
            door.judge(later, &limits, &proof(None, Some(&secret), "192.0.2.1:5060")),
            Ruling::Challenge(_)
        ));
    }

    #[test]
    fn a_phone_that_knows_only_md5_gets_in() {
        let mut door = Doorkeeper::new("wirechief");
        let now = Instant::now();
        assert_eq!(challenged(&mut door, now, "192.0.2.1:5060").len(), 2);
        let second = challenged(&mut door, now, "192.0.2.1:5060");
        assert_eq!(second.len(), 1, "it did not answer the first, so it may know MD5 only");
        assert!(second[0].contains("algorithm=MD5,"));
        assert_eq!(challenged(&mut door, now, "192.0.2.2:5060").len(), 2, "another phone is asked for the best");
        let known = Proof { user_agent: Some("baresip v1.0.0 (x86_64/linux)"), ..proof(None, None, "192.0.2.3:5060") };
        let Ruling::Challenge(values) = door.judge(now, &Limits::default(), &known) else { panic!("no challenge") };
        assert_eq!(values.len(), 1, "this one gives up at the first algorithm it does not know");
        let answered = answer(&second, "1001", "right-password");
        let secret = Secret::new("right-password".into());
        let ruling = door.judge(now, &Limits::default(), &proof(Some(&answered), Some(&secret), "192.0.2.1:5060"));
        assert_eq!(ruling, Ruling::Admit);
        assert_eq!(challenged(&mut door, now, "192.0.2.1:5060").len(), 2);
    }

    #[test]
    fn another_users_password_does_not_open_this_users_door() {
        let secret = Secret::new("right-password".into());
        let mut door = Doorkeeper::new("wirechief");
        let now = Instant::now();
        let foreign = answer(&challenged(&mut door, now, "192.0.2.1:5060"), "1002", "right-password");
        let ruling = door.judge(now, &Limits::default(), &proof(Some(&foreign), Some(&secret), "192.0.2.1:5060"));
        assert!(matches!(ruling, Ruling::Challenge(_)));
    }
}
