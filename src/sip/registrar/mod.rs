//! Who is where: bindings from an address-of-record to contacts (RFC 3261 §10.3, instances of RFC 5626).
//! Above: `call` authenticates first and sends the answer. Every REGISTER is done whole or not at all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rsip::Request;

use crate::sip::header::{Contact, HeaderError, HeadersExt};
use crate::sip::hop::Hop;
use crate::sip::uri::{Scheme, Uri};

/// Bounds of what a registrar grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shortest time granted; a shorter wish is refused (423).
    pub min_expires: Duration,
    /// Longest time granted; a longer wish is cut.
    pub max_expires: Duration,
    /// Time granted when none is wished.
    pub default_expires: Duration,
    /// Contacts of one address-of-record.
    pub contacts: usize,
    /// Contacts of all together.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_expires: Duration::from_secs(30),
            max_expires: Duration::from_secs(3600),
            default_expires: Duration::from_secs(3600),
            contacts: 10,
            total: 100_000,
        }
    }
}

/// One contact of an address-of-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Where to call, its URI parameters and headers kept.
    pub contact: Uri,
    /// The way the REGISTER came; calls go back on it, whatever a NAT did to the contact.
    pub source: Hop,
    /// When it ends.
    pub expires_at: Instant,
    /// The device's lasting name (`+sip.instance`).
    pub instance: Option<String>,
    /// Preference in thousandths, 1000 when not said.
    pub q: u16,
    /// Call-ID of the REGISTER that made it.
    pub call_id: String,
    /// CSeq number of that REGISTER.
    pub cseq: u32,
    /// The phone's User-Agent.
    pub user_agent: Option<String>,
    /// When that REGISTER came.
    pub received_at: Instant,
}

/// Why a REGISTER is refused; nothing was changed by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// A contact cannot be read.
    #[error("malformed contact: {0}")]
    Contact(#[from] HeaderError),
    /// Call-ID or CSeq cannot be read.
    #[error("no usable Call-ID and CSeq")]
    Sequence,
    /// An address that no call can be sent to.
    #[error("neither a sip nor a sips URI")]
    Scheme,
    /// `*` without `Expires: 0`.
    #[error("`*` without Expires 0")]
    Star,
    /// Older than, or the same as, what was done already (§10.3).
    #[error("CSeq {cseq} is not higher than {known}")]
    OutOfOrder {
        /// The request's number.
        cseq: u32,
        /// The number of the binding's last REGISTER.
        known: u32,
    },
    /// The wished time is too short.
    #[error("shorter than {min_s} s")]
    TooBrief {
        /// The shortest granted, in seconds.
        min_s: u64,
    },
    /// The address-of-record has as many contacts as allowed.
    #[error("more than {limit} contacts")]
    TooManyContacts {
        /// How many are allowed.
        limit: usize,
    },
    /// The whole table is full.
    #[error("more than {limit} contacts in all")]
    Full {
        /// How many are allowed.
        limit: usize,
    },
}

impl RegisterError {
    /// The status of the refusal.
    pub fn status(&self) -> u16 {
        match self {
            Self::Contact(_) | Self::Sequence | Self::Scheme | Self::Star | Self::OutOfOrder { .. } => 400,
            Self::TooBrief { .. } => 423,
            Self::TooManyContacts { .. } => 403,
            Self::Full { .. } => 503,
        }
    }

    /// Headers the refusal carries (§10.3 step 7: Min-Expires).
    pub fn headers(&self) -> Vec<(String, String)> {
        match self {
            Self::TooBrief { min_s } => vec![("Min-Expires".to_owned(), min_s.to_string())],
            Self::Full { .. } => vec![("Retry-After".to_owned(), "60".to_owned())],
            _ => Vec::new(),
        }
    }
}

impl Binding {
    /// Its element in the Contact header of an answer.
    pub fn contact_value(&self, now: Instant) -> String {
        let left = self.expires_at.saturating_duration_since(now);
        // rounded up, so that a fresh binding shows what was granted
        let left_s = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let instance = self.instance.as_deref().map(|id| format!(";+sip.instance=\"<{id}>\"")).unwrap_or_default();
        let q = if self.q < 1000 { format!(";q=0.{:03}", self.q) } else { String::new() };
        format!("<{}>;expires={left_s}{q}{instance}", self.contact)
    }

    fn is_same_device(&self, contact: &Uri, instance: Option<&str>) -> bool {
        self.contact.matches(contact) || (instance.is_some() && self.instance.as_deref() == instance)
    }
}

/// The address-of-record a REGISTER is for: the To's URI without parameters, escapes in one form (§10.3 step 5).
pub fn address_of_record(request: &Request) -> Result<String, RegisterError> {
    let to = request.headers.to_addr().ok_or(RegisterError::Scheme)?;
    let from = request.headers.from_addr().ok_or(RegisterError::Scheme)?;
    let known = |uri: &Uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips);
    if known(&to.uri) && known(&from.uri) { Ok(to.uri.address_of_record()) } else { Err(RegisterError::Scheme) }
}

/// The table of bindings. Times are given, never taken.
#[derive(Debug)]
pub struct Registrar {
    limits: Limits,
    bindings: HashMap<Arc<str>, Vec<Binding>>,
    /// One entry for each binding's end.
    ends: BTreeSet<(Instant, Arc<str>)>,
    total: usize,
}

impl Registrar {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, bindings: HashMap::new(), ends: BTreeSet::new(), total: 0 }
    }

    /// Does what a REGISTER asks for and returns all bindings after it; one without contacts only asks. What has ended is
    /// neither answered nor taken out: that is [`Registrar::expire`]'s, whose caller wants to know.
    pub fn register(
        &mut self,
        now: Instant,
        aor: &str,
        request: &Request,
        source: &Hop,
    ) -> Result<Vec<Binding>, RegisterError> {
        let contacts = request.headers.contacts()?;
        let old = self.bindings.get(aor).map(Vec::as_slice).unwrap_or_default();
        if contacts.is_empty() {
            return Ok(in_force(old, now));
        }
        let update = Update { now, request, source, limits: &self.limits, sequence: sequence(request)? };
        let new = match contacts.as_slice() {
            [Contact::Star] => update.remove_all(old)?,
            _ => contacts.iter().try_fold(old.to_vec(), |bindings, contact| update.apply(bindings, contact))?,
        };
        if new.len() > self.limits.contacts && new.len() > old.len() {
            return Err(RegisterError::TooManyContacts { limit: self.limits.contacts });
        }
        if new.len() > old.len() && self.total - old.len() + new.len() > self.limits.total {
            return Err(RegisterError::Full { limit: self.limits.total });
        }
        let answer = in_force(&new, now);
        self.store(aor, new);
        Ok(answer)
    }

    /// The bindings of an address-of-record in force, best first: higher `q`, then the latest registered.
    pub fn bindings(&self, now: Instant, aor: &str) -> Vec<Binding> {
        self.bindings.get(aor).map(|all| in_force(all, now)).unwrap_or_default()
    }

    /// Takes out what has ended.
    pub fn expire(&mut self, now: Instant) -> Vec<(String, Binding)> {
        let mut ended = Vec::new();
        while let Some((_, aor)) = self.ends.first().filter(|(at, _)| *at <= now).cloned() {
            let all = self.bindings.get(&aor).cloned().unwrap_or_default();
            let (gone, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|binding| binding.expires_at <= now);
            ended.extend(gone.into_iter().map(|binding| (aor.to_string(), binding)));
            self.store(&aor, kept);
        }
        ended
    }

    /// When the next binding ends.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// Every address-of-record with its bindings.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[Binding])> {
        self.bindings.iter().map(|(aor, bindings)| (&**aor, bindings.as_slice()))
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn store(&mut self, aor: &str, new: Vec<Binding>) {
        let key = self.bindings.get_key_value(aor).map_or_else(|| Arc::from(aor), |(key, _)| key.clone());
        let old = self.bindings.remove(&key).unwrap_or_default();
        for binding in &old {
            self.ends.remove(&(binding.expires_at, key.clone()));
        }
        self.total = self.total - old.len() + new.len();
        self.ends.extend(new.iter().map(|binding| (binding.expires_at, key.clone())));
        if !new.is_empty() {
            self.bindings.insert(key, new);
        }
    }
}

impl Default for Registrar {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// One REGISTER at work on one address-of-record.
struct Update<'a> {
    now: Instant,
    request: &'a Request,
    source: &'a Hop,
    limits: &'a Limits,
    sequence: (&'a str, u32),
}

impl Update<'_> {
    /// `*`: all go, if the request is newer than each (§10.3 step 6).
    fn remove_all(&self, old: &[Binding]) -> Result<Vec<Binding>, RegisterError> {
        if self.request.headers.expires() != Some(0) {
            return Err(RegisterError::Star);
        }
        old.iter().try_for_each(|binding| self.in_order(binding)).map(|()| Vec::new())
    }

    /// Adds, refreshes, replaces or removes one contact (§10.3 step 7).
    fn apply(&self, mut bindings: Vec<Binding>, contact: &Contact) -> Result<Vec<Binding>, RegisterError> {
        let Some(address) = contact.address() else { return Err(RegisterError::Star) };
        if !matches!(address.uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Err(RegisterError::Scheme);
        }
        let granted = self.granted(contact)?;
        let instance = contact.instance();
        let same = |binding: &Binding| binding.is_same_device(&address.uri, instance);
        for binding in bindings.iter().filter(|binding| same(binding) && !self.made(binding)) {
            self.in_order(binding)?;
        }
        bindings.retain(|binding| !same(binding));
        if let Some(granted) = granted {
            bindings.push(Binding {
                contact: address.uri.clone(),
                source: *self.source,
                expires_at: self.now + granted,
                instance: instance.map(str::to_owned),
                q: contact.q().unwrap_or(1000),
                call_id: self.sequence.0.to_owned(),
                cseq: self.sequence.1,
                user_agent: self.request.headers.value("User-Agent").map(str::to_owned),
                received_at: self.now,
            });
        }
        Ok(bindings)
    }

    /// The time granted; `None` removes the binding.
    fn granted(&self, contact: &Contact) -> Result<Option<Duration>, RegisterError> {
        let wished = contact.expires().or_else(|| self.request.headers.expires());
        match wished.map(|seconds| Duration::from_secs(seconds.into())) {
            None => Ok(Some(self.limits.default_expires)),
            Some(Duration::ZERO) => Ok(None),
            Some(wished) if wished < self.limits.min_expires => {
                Err(RegisterError::TooBrief { min_s: self.limits.min_expires.as_secs() })
            }
            Some(wished) => Ok(Some(wished.min(self.limits.max_expires))),
        }
    }

    /// Another Call-ID is a phone that restarted; the same one must count on.
    fn in_order(&self, binding: &Binding) -> Result<(), RegisterError> {
        let (call_id, cseq) = self.sequence;
        if binding.call_id == call_id && cseq <= binding.cseq {
            return Err(RegisterError::OutOfOrder { cseq, known: binding.cseq });
        }
        Ok(())
    }

    /// Whether this very request made the binding: a contact may stand in it twice.
    fn made(&self, binding: &Binding) -> bool {
        binding.received_at == self.now && (binding.call_id.as_str(), binding.cseq) == self.sequence
    }
}

fn sequence(request: &Request) -> Result<(&str, u32), RegisterError> {
    let (call_id, cseq) = (request.headers.call_id(), request.headers.cseq());
    call_id.zip(cseq).map(|(call_id, cseq)| (call_id, cseq.number)).ok_or(RegisterError::Sequence)
}

fn in_force(bindings: &[Binding], now: Instant) -> Vec<Binding> {
    let mut found: Vec<_> = bindings.iter().filter(|binding| binding.expires_at > now).cloned().collect();
    found.sort_by_key(|binding| std::cmp::Reverse((binding.q, binding.received_at)));
    found
}

#[cfg(test)]
mod tests;
