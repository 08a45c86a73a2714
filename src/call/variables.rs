//! A channel's variables: their values, what is inherited by the channels it makes, and which hold only what was written in
//! the dialplan. Above: `Channel` and the dialplan.

use std::collections::{HashMap, HashSet};

use super::talks::Mirror;

/// Bytes of names and values that the variables of one channel may take; a script that needs more is runaway.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Names that one channel can keep secret.
const MAX_SECRETS: usize = 1_000;

/// What is shown in the place of a secret value.
pub const HIDDEN: &str = "****";

/// What happens to a variable when its channel makes another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inherit {
    /// It stays behind.
    #[default]
    No,
    /// `_NAME`: the new channel has it, channels made by that one do not.
    Once,
    /// `__NAME`: the new channel has it, and all after it.
    Always,
}

/// One variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// Its value.
    pub value: String,
    /// Whether channels made by this one get it.
    pub inherit: Inherit,
    /// The value is text of the dialplan's files and nothing else: it may be split where a value from outside must not.
    pub written: bool,
}

/// All variables of a channel, by name without inheritance marks.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    all: HashMap<String, Variable>,
    bytes: usize,
    /// Names whose values are shown to nobody, whatever they will be.
    secrets: HashSet<String>,
    /// Sees the variables that name supervision groups.
    mirror: Mirror,
}

impl Variables {
    /// A variable's value; the name may carry its marks.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|variable| variable.value.as_str())
    }

    /// A variable; the name may carry its marks.
    pub fn find(&self, name: &str) -> Option<&Variable> {
        self.all.get(plain(name).0)
    }

    /// Sets a value that is not text of the dialplan. A mark in the name is kept from then on; without one the variable
    /// keeps the mark it has.
    pub fn set(&mut self, name: &str, value: String) {
        self.put(name, value, false);
    }

    /// Sets a value that is text of the dialplan.
    pub fn set_written(&mut self, name: &str, value: String) {
        self.put(name, value, true);
    }

    fn put(&mut self, name: &str, value: String, written: bool) {
        let (name, inherit) = plain(name);
        self.mirror.sees(name, Some(&value));
        if let Some(variable) = self.all.get_mut(name) {
            self.bytes = self.bytes + value.len() - variable.value.len();
            let inherit = if inherit == Inherit::No { variable.inherit } else { inherit };
            *variable = Variable { value, inherit, written };
        } else {
            self.bytes += name.len() + value.len();
            self.all.insert(name.to_owned(), Variable { value, inherit, written });
        }
    }

    /// From now on the variable's values appear in no log, trace or event.
    pub fn keep_secret(&mut self, name: &str) {
        if self.secrets.len() < MAX_SECRETS {
            self.secrets.insert(plain(name).0.to_owned());
        }
    }

    /// Whether a variable's values are shown to nobody.
    pub fn is_secret(&self, name: &str) -> bool {
        !self.secrets.is_empty() && self.secrets.contains(plain(name).0)
    }

    /// Whether there are secrets at all.
    pub fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Names and what may be shown of their values, in no order.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(name, variable)| (name, if self.is_secret(name) { HIDDEN } else { variable.value.as_str() }))
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: &str) -> Option<Variable> {
        let (name, _) = plain(name);
        let variable = self.all.remove(name)?;
        self.mirror.sees(name, None);
        self.bytes -= name.len() + variable.value.len();
        Some(variable)
    }

    /// Gives a variable back that was taken away, or takes away what came in its place.
    pub(super) fn restore(&mut self, name: &str, before: Option<Variable>) {
        self.remove(name);
        if let Some(variable) = before {
            self.bytes += name.len() + variable.value.len();
            self.mirror.sees(name, Some(&variable.value));
            self.all.insert(name.to_owned(), variable);
        }
    }

    /// From now on, and with what is set already, `mirror` sees the variables that name supervision groups.
    pub(super) fn seen_by(&mut self, mirror: Mirror) {
        self.mirror = mirror;
        for (name, variable) in &self.all {
            self.mirror.sees(name, Some(&variable.value));
        }
    }

    /// Names and variables, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.all.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// What a channel made by this one starts with.
    pub fn inherited(&self) -> Self {
        let mut heir = Self { secrets: self.secrets.clone(), ..Self::default() };
        for (name, variable) in self.iter().filter(|(_, variable)| variable.inherit != Inherit::No) {
            let inherit = if variable.inherit == Inherit::Always { Inherit::Always } else { Inherit::No };
            heir.bytes += name.len() + variable.value.len();
            heir.all.insert(name.to_owned(), Variable { inherit, ..variable.clone() });
        }
        heir
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A name without its marks, and what they mean.
fn plain(name: &str) -> (&str, Inherit) {
    match (name.strip_prefix("__"), name.strip_prefix('_')) {
        (Some(name), _) if !name.is_empty() => (name, Inherit::Always),
        (_, Some(name)) if !name.is_empty() => (name, Inherit::Once),
        _ => (name, Inherit::No),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_decide_what_a_new_channel_gets() {
        let mut variables = Variables::default();
        variables.set("PLAIN", "1".into());
        variables.set("_ONCE", "2".into());
        variables.set("__EVER", "3".into());
        variables.set("ONCE", "2b".into());
        let child = variables.inherited();
        assert_eq!([child.get("PLAIN"), child.get("ONCE"), child.get("EVER")], [None, Some("2b"), Some("3")]);
        let grandchild = child.inherited();
        assert_eq!([grandchild.get("ONCE"), grandchild.get("EVER")], [None, Some("3")]);
        assert_eq!(variables.get("_ONCE"), Some("2b"), "a name may be read with its mark");
    }

    #[test]
    fn bytes_are_counted_both_ways() {
        let mut variables = Variables::default();
        variables.set("A", "1234".into());
        variables.set("A", "12".into());
        variables.set("BB", String::new());
        assert_eq!(variables.bytes(), 5);
        let taken = variables.remove("A");
        assert_eq!(variables.bytes(), 2);
        variables.restore("A", taken);
        assert_eq!(variables.bytes(), 5);
        variables.restore("A", None);
        variables.remove("BB");
        assert_eq!(variables.bytes(), 0);
    }

    #[test]
    fn a_value_is_written_only_as_long_as_nobody_else_sets_it() {
        let mut variables = Variables::default();
        variables.set_written("A", "SIP/1&SIP/2".into());
        assert!(variables.find("A").is_some_and(|variable| variable.written));
        variables.set("A", "x".into());
        assert!(variables.find("A").is_some_and(|variable| !variable.written));
    }
}
