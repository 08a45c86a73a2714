//! What all scripts share: global variables and sounds; and the scope in which one channel's values are looked up.
//! Above: `exec`, `args`. Below: `vars`, `sounds`.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use super::context::Dialplan;
use super::sounds::Sounds;
use super::vars::{Scope, ValueWarning};
use crate::call::{CallerId, Cause, Channel};
use crate::config::{CallerIdText, Config};

/// What all scripts of a server share.
pub struct Env {
    globals: RwLock<HashMap<String, String>>,
    sounds: Sounds,
}

impl Env {
    /// For these settings, with the plan's `[globals]` set in their order.
    pub fn new(config: &Config, plan: &Dialplan) -> Self {
        let env = Self { globals: RwLock::default(), sounds: Sounds::new(config.dialplan.sounds.clone()) };
        env.set_globals(plan);
        env
    }

    /// Sets the plan's `[globals]` again, as a reload does; others keep their values.
    pub fn set_globals(&self, plan: &Dialplan) {
        for (name, template) in &plan.globals {
            let value = template.piece().value(&mut GlobalScope(self));
            self.set_global(name, value);
        }
    }

    /// Sets a global variable.
    pub fn set_global(&self, name: &str, value: String) {
        self.globals.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
    }

    /// A global variable, or one of the built-in ones.
    pub fn global(&self, name: &str) -> Option<String> {
        match name {
            "EPOCH" => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Some(since.as_secs().to_string())
            }
            _ => self.read().get(name).cloned(),
        }
    }

    /// Where `Playback` finds its sounds.
    pub fn sounds(&self) -> &Sounds {
        &self.sounds
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, String>> {
        self.globals.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scope of `[globals]`: there is no channel yet.
struct GlobalScope<'a>(&'a Env);

impl Scope for GlobalScope<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.global(name)
    }

    fn set_variable(&mut self, name: &str, value: String) {
        self.0.set_global(name, value);
    }

    fn caller(&self) -> CallerIdText {
        CallerIdText::default()
    }

    fn set_caller(&mut self, _caller: CallerIdText) {}

    fn warn(&mut self, warning: ValueWarning) {
        tracing::warn!(%warning, "while setting [globals]");
    }
}

/// The scope of a channel: its built-ins, its variables, then globals.
pub struct ChannelScope<'a> {
    chan: &'a mut Channel,
    env: &'a Env,
}

impl<'a> ChannelScope<'a> {
    pub(super) fn new(chan: &'a mut Channel, env: &'a Env) -> Self {
        Self { chan, env }
    }

    fn builtin(&self, name: &str) -> Option<String> {
        let position = self.chan.position();
        match name {
            "EXTEN" => Some(position.extension.clone()),
            "CONTEXT" => Some(position.context.clone()),
            "PRIORITY" => Some(position.priority.to_string()),
            "CHANNEL" => Some(self.chan.name().to_owned()),
            "UNIQUEID" => Some(self.chan.uuid().to_owned()),
            "HANGUPCAUSE" => {
                let own = Some(self.chan.cause()).filter(|cause| *cause != Cause::UNKNOWN);
                // while the channel lives: what the last Dial left
                let text = own.map(|cause| cause.number().to_string());
                text.or_else(|| self.chan.var(name).map(str::to_owned)).or_else(|| Some("0".to_owned()))
            }
            _ => None,
        }
    }
}

impl Scope for ChannelScope<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let own = || spellings(name).iter().find_map(|name| self.chan.var(name).map(str::to_owned));
        self.builtin(name).or_else(own).or_else(|| self.env.global(name))
    }

    /// `_NAME` and `__NAME` are the same variable as `NAME`, marked for channels it calls; a mark once given stays.
    fn set_variable(&mut self, name: &str, value: String) {
        let plain = name.trim_start_matches('_');
        for spelling in spellings(plain) {
            if spelling != name && self.chan.var(&spelling).is_some() {
                self.chan.set_var(&spelling, value.as_str());
            }
        }
        self.chan.set_var(name, value);
    }

    fn caller(&self) -> CallerIdText {
        let CallerId { name, number } = self.chan.caller().clone();
        CallerIdText { name, number }
    }

    fn set_caller(&mut self, caller: CallerIdText) {
        self.chan.set_caller(CallerId { name: caller.name, number: caller.number });
    }

    fn warn(&mut self, warning: ValueWarning) {
        let position = self.chan.position();
        tracing::warn!(
            uuid = self.chan.uuid(),
            context = position.context,
            extension = position.extension,
            priority = position.priority,
            %warning,
            "dialplan value"
        );
    }
}

/// A name and its two marked forms.
fn spellings(name: &str) -> [String; 3] {
    [name.to_owned(), format!("_{name}"), format!("__{name}")]
}
