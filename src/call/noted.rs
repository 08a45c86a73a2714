//! The variables of a channel that are kept with recordings: those of the settings, and what the dialplan says of consent.
//! Above: `recording` reads them when a call is over and its channel gone. Below: the channel's variables tell.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::config::Config;

/// What the dialplan knows of a party's consent: free text, kept wherever it is set.
pub(super) const CONSENT: &str = "RECORDING_CONSENT";

/// The variables that are noted, as they are now.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    names: Arc<[String]>,
    values: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Noted {
    /// Those that these settings ask for.
    pub(super) fn of(settings: &Config) -> Self {
        Self { names: settings.recording.variables.as_slice().into(), values: Arc::default() }
    }

    /// All that are set, by name.
    pub fn all(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    /// A variable was set, or taken away.
    pub(super) fn sees(&self, name: &str, value: Option<&str>) {
        if name != CONSENT && !self.names.iter().any(|wanted| wanted == name) {
            return;
        }
        match value {
            Some(value) => self.lock().insert(name.to_owned(), value.to_owned()),
            None => self.lock().remove(name),
        };
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{talks::SpyGroups, variables::Variables};

    #[test]
    fn only_what_was_asked_for_is_noted_and_as_it_is_now() {
        let mut settings = Config::default();
        settings.recording.variables = vec!["CAMPAIGN".into()];
        let (noted, mut variables) = (Noted::of(&settings), Variables::default());
        variables.set("_CAMPAIGN", "spring".into());
        variables.seen_by(SpyGroups::default().mirror(&noted));
        variables.set("OTHER", "x".into());
        variables.set(CONSENT, "yes".into());
        variables.set("CAMPAIGN", "autumn".into());
        let wanted =
            [("CAMPAIGN", "autumn"), (CONSENT, "yes")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(noted.all(), BTreeMap::from(wanted));
        variables.remove("CAMPAIGN");
        assert_eq!(noted.all().len(), 1);
    }
}
