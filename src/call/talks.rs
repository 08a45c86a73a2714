//! What supervision sees of a leg that its own task knows best: whom it talks with, and the groups that its variables name.
//! Above: `supervision` watches both. Below: the bridge, rooms and variables tell.

use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::call::{live::LegFacts, noted::Noted};

/// A side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The party that called: left.
    A,
    /// The party that answered: right.
    B,
}

impl Side {
    /// The other half.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Whom a leg talks with.
#[derive(Clone, Debug, Default)]
pub enum Talks {
    /// With nobody: it rings, is in the dialplan, or waits.
    #[default]
    Nobody,
    /// With another leg.
    With {
        /// That leg.
        peer: Weak<LegFacts>,
        /// Which side this leg is.
        side: Side,
    },
    /// With everybody in a conference room.
    Room(String),
    /// It is over.
    Ended,
}

impl Talks {
    /// The other leg, if there is just one.
    pub(super) fn peer(&self) -> Option<Arc<LegFacts>> {
        match self {
            Self::With { peer, .. } => peer.upgrade(),
            Self::Nobody | Self::Room(_) | Self::Ended => None,
        }
    }
}

/// The supervision groups that a channel's variables name: `eavesdrop_group` (FreeSWITCH) and `SPYGROUP` (Asterisk).
#[derive(Clone, Debug, Default)]
pub struct SpyGroups(Arc<watch::Sender<[Vec<String>; 2]>>);

/// The variables, in the order of their places in [`SpyGroups`].
const VARIABLES: [&str; 2] = ["eavesdrop_group", "SPYGROUP"];

impl SpyGroups {
    /// All of them, in the order written.
    pub fn all(&self) -> Vec<String> {
        self.0.borrow().concat()
    }

    /// Sees every change.
    pub fn watch(&self) -> watch::Receiver<[Vec<String>; 2]> {
        self.0.subscribe()
    }

    /// What keeps it, and what is noted for recordings, up to date.
    pub(super) fn mirror(&self, noted: &Noted) -> Mirror {
        Mirror(Some((self.clone(), noted.clone())))
    }
}

/// Group names in one text: FreeSWITCH separates them by commas, Asterisk by colons, either is taken here (S013).
pub fn group_names(text: &str) -> Vec<String> {
    let names = text.split([',', ':']).map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Lets [`SpyGroups`] and [`Noted`] follow the variables of the one channel it was made for: a copy of those variables is another channel's.
#[derive(Debug, Default)]
pub(super) struct Mirror(Option<(SpyGroups, Noted)>);

impl Clone for Mirror {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl Mirror {
    /// A variable was set, or taken away.
    pub(super) fn sees(&self, name: &str, value: Option<&str>) {
        let Some((groups, noted)) = &self.0 else { return };
        noted.sees(name, value);
        let Some(at) = VARIABLES.iter().position(|variable| *variable == name) else { return };
        let names = value.map(group_names).unwrap_or_default();
        groups.0.send_if_modified(|all| {
            let Some(place) = all.get_mut(at) else { return false };
            let is_new = *place != names;
            *place = names;
            is_new
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::variables::Variables;

    #[test]
    fn s012_s013_a_legs_groups_follow_its_variables_with_either_separator_and_no_limit() {
        let (groups, mut variables) = (SpyGroups::default(), Variables::default());
        variables.set("eavesdrop_group", "early".into());
        variables.seen_by(groups.mirror(&Noted::default()));
        assert_eq!(groups.all(), ["early"], "what was set before is seen as well");
        let many: Vec<_> = (0..20).map(|number| format!("g{number}")).collect();
        variables.set("eavesdrop_group", many.join(","));
        variables.set("SPYGROUP", "Sales: support,night".into());
        assert_eq!(groups.all(), [many, vec!["Sales".into(), "support".into(), "night".into()]].concat());
        variables.remove("eavesdrop_group");
        assert_eq!(groups.all(), ["Sales", "support", "night"]);
    }

    #[test]
    fn a_copy_of_the_variables_says_nothing_about_the_leg() {
        let (groups, mut variables) = (SpyGroups::default(), Variables::default());
        variables.seen_by(groups.mirror(&Noted::default()));
        let mut copy = variables.clone();
        copy.set("SPYGROUP", "another".into());
        assert!(groups.all().is_empty());
    }
}
