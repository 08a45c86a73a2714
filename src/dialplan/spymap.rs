//! The families `spymap` and `last_dial`: who is in which call, answered from the live calls and never from the disk (S048 to S052).
//! Above: `DB()` and its like, `astdb` by the server, the console. Below: [`Live`].
//!
//! `spymap/1001` is the UUID of a leg of the user or number 1001, calling or called: the newest that is answered, else the newest; a
//! user's leg before a stranger's who only gives that number. `last_dial/global` is the UUID of the newest call. Neither is stored:
//! what a script inserts there is kept in memory, and given out only where no leg is found and the leg it names is live.
//! `last_dial/1001` is whom 1001 calls now; where he calls nobody, what was stored there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::call::live::{CallFacts, LegFacts, LegState, Live};

/// Families of these names.
const MAP: &str = "spymap";
const LAST: &str = "last_dial";
const GLOBAL: &str = "global";
/// Insertions remembered; beyond, those that name no live leg go, then all.
const NOTED: usize = 4_096;

/// What scripts have inserted, by key.
#[derive(Default)]
pub struct SpyMap {
    noted: Mutex<HashMap<String, String>>,
}

/// Whether the live calls alone answer for this entry, so that the store neither keeps nor gives it.
pub fn is_live(family: &str, key: &str) -> bool {
    family == MAP || (family == LAST && key == GLOBAL)
}

/// Whether the live calls may have something to say of entries of this family.
pub fn has_family(family: &str) -> bool {
    family == MAP || family == LAST
}

/// Whether a family has nothing but live entries.
pub fn is_live_family(family: &str) -> bool {
    family == MAP
}

impl SpyMap {
    /// What the live calls say of an entry. `None`: nothing; then only an entry that is not [`is_live`] may be in the store.
    pub fn get(&self, live: &Live, family: &str, key: &str) -> Option<String> {
        match (family, key) {
            (MAP, number) => leg_of(live, number).map(|leg| leg.uuid.clone()).or_else(|| {
                let noted = self.noted().get(number).cloned()?;
                live.find(&noted).filter(|(_, leg)| is_on(leg)).map(|_| noted)
            }),
            (LAST, GLOBAL) => live.calls().last().map(|call| call.uuid.clone()),
            (LAST, number) => live.calls().iter().rfind(|call| calls(call, number)).map(|call| call.to.clone()),
            _ => None,
        }
    }

    /// Remembers what a script inserts into an entry that is [`is_live`].
    pub fn note(&self, live: &Live, (family, key): (&str, &str), uuid: &str) {
        if family != MAP || uuid.len() > 64 || key.len() > 256 {
            return;
        }
        let mut noted = self.noted();
        if noted.len() >= NOTED {
            noted.retain(|_, uuid| live.find(uuid).is_some());
        }
        if noted.len() >= NOTED {
            noted.clear();
        }
        noted.insert(key.to_owned(), uuid.to_owned());
    }

    /// Forgets what was inserted there.
    pub fn forget(&self, key: &str) {
        self.noted().remove(key);
    }

    /// The numbers and users that `spymap` has now, sorted.
    pub fn keys(&self, live: &Live) -> Vec<String> {
        let legs = live.calls().into_iter().flat_map(|call| call.legs()).filter(|leg| is_on(leg));
        let mut keys: Vec<String> =
            legs.flat_map(|leg| leg.user.clone().into_iter().chain([leg.number.clone()])).collect();
        keys.extend(self.noted().iter().filter(|(_, uuid)| live.find(uuid).is_some()).map(|(key, _)| key.clone()));
        keys.retain(|key| !key.is_empty());
        keys.sort();
        keys.dedup();
        keys
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn leg_of(live: &Live, number: &str) -> Option<Arc<LegFacts>> {
    if number.is_empty() {
        return None;
    }
    let is_his = |leg: &Arc<LegFacts>| is_on(leg) && (leg.user.as_deref() == Some(number) || leg.number == number);
    let legs = live.calls().into_iter().flat_map(|call| call.legs()).filter(is_his);
    legs.max_by_key(|leg| (leg.user.is_some(), is_answered(leg), leg.began))
}

fn is_on(leg: &LegFacts) -> bool {
    leg.now().state != LegState::Ended
}

fn is_answered(leg: &LegFacts) -> bool {
    matches!(leg.now().state, LegState::Up | LegState::Held)
}

/// Whether the one who began the call is this user or number.
fn calls(call: &CallFacts, number: &str) -> bool {
    call.from == number || call.legs().first().is_some_and(|leg| leg.user.as_deref() == Some(number))
}
