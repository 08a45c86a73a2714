//! What all scripts share: global variables and sounds; and the scope in which one channel's values are looked up.
//! Above: `exec`, `args`. Below: `vars`, `sounds`.

use std::cell::Cell;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::context::Dialplan;
use super::exec::run_away;
use super::func::FuncError;
use super::pin_guard::PinGuard;
use super::settle::{Secrecy, Settled, Ticket};
use super::sounds::Sounds;
use super::spymap::SpyMap;
use super::vars::{Scope, ValueWarning};
use crate::astdb::Store;
use crate::call::variables::{HIDDEN, Variables};
use crate::call::{CallerId, Cause, Channel};
use crate::config::{CallerIdText, Config, DialplanSettings};

/// Bytes of names and values that all global variables may take.
const MAX_GLOBAL_BYTES: usize = 64 * 1024 * 1024;

/// What all scripts of a server share.
pub struct Env {
    globals: RwLock<Variables>,
    sounds: Sounds,
    store: Option<Store>,
    /// Who entered wrong PINs for a dial tone.
    pins: Mutex<PinGuard>,
    spymap: SpyMap,
    settings: ArcSwap<DialplanSettings>,
    /// Variables of the environment of programs that are started, so that ours find this server and its recordings.
    surroundings: Vec<(&'static str, OsString)>,
}

impl Env {
    /// For these settings, with the plan's `[globals]` set in their order.
    pub fn new(config: &Config, plan: &Dialplan) -> Self {
        let settings = config.dialplan.clone();
        let sounds = Sounds::new(settings.sounds.clone());
        let env = Self {
            globals: RwLock::default(),
            sounds,
            store: None,
            pins: Mutex::default(),
            spymap: SpyMap::default(),
            settings: ArcSwap::from_pointee(settings),
            surroundings: Vec::new(),
        };
        env.set_globals(plan);
        env
    }

    /// With the store that `DB()` and its like read and write.
    #[must_use]
    pub fn with_store(self, store: Store) -> Self {
        Self { store: Some(store), ..self }
    }

    /// With variables for the environment of programs that are started.
    #[must_use]
    pub fn with_surroundings(self, surroundings: Vec<(&'static str, OsString)>) -> Self {
        Self { surroundings, ..self }
    }

    /// Variables for the environment of programs that are started.
    pub(super) fn surroundings(&self) -> &[(&'static str, OsString)] {
        &self.surroundings
    }

    /// The store; `None`: `DB()` has nothing to read.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Takes new settings into force, as a reload does.
    pub fn configure(&self, config: &Config) {
        self.sounds.set_folder(config.dialplan.sounds.clone());
        self.settings.store(Arc::new(config.dialplan.clone()));
    }

    /// `[dialplan]` of the settings in force.
    pub fn settings(&self) -> Arc<DialplanSettings> {
        self.settings.load_full()
    }

    /// Sets the plan's `[globals]` again, as a reload does; others keep their values.
    pub fn set_globals(&self, plan: &Dialplan) {
        for (name, template) in &plan.globals {
            let piece = template.piece();
            let written = piece.is_written(&GlobalScope(self));
            let value = piece.value(&mut GlobalScope(self));
            self.set_global(name, value, written);
        }
    }

    /// Sets a global variable; `written` when the value is text of the dialplan only. False when there is no room for more.
    pub fn set_global(&self, name: &str, value: String, written: bool) -> bool {
        let mut globals = self.globals.write().unwrap_or_else(PoisonError::into_inner);
        if globals.bytes() + name.len() + value.len() > MAX_GLOBAL_BYTES {
            return false;
        }
        if written {
            globals.set_written(name, value);
        } else {
            globals.set(name, value);
        }
        true
    }

    /// The value of a global variable that is text of the dialplan only.
    pub fn written_global(&self, name: &str) -> Option<String> {
        self.read().find(name).filter(|variable| variable.written).map(|variable| variable.value.clone())
    }

    /// A global variable, or one of the built-in ones.
    pub fn global(&self, name: &str) -> Option<String> {
        match name {
            "EPOCH" => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Some(since.as_secs().to_string())
            }
            _ => self.read().get(name).map(str::to_owned),
        }
    }

    /// A variable of the environment in which the server was started.
    ///
    /// # Errors
    /// Scripts may not read it, or it is not set.
    pub fn environment(&self, name: &str) -> Result<String, FuncError> {
        if !self.settings().env.iter().any(|listed| listed == name) {
            return Err(FuncError::NotListed(name.to_owned()));
        }
        let value = std::env::var_os(name).ok_or_else(|| FuncError::Unset(name.to_owned()))?;
        Ok(value.to_string_lossy().into_owned())
    }

    /// Who entered wrong PINs for a dial tone, over all calls.
    pub(super) fn pins(&self) -> MutexGuard<'_, PinGuard> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is in which call, as `DB(spymap/…)` tells it.
    pub fn spymap(&self) -> &SpyMap {
        &self.spymap
    }

    /// Where `Playback` finds its sounds.
    pub fn sounds(&self) -> &Sounds {
        &self.sounds
    }

    fn read(&self) -> RwLockReadGuard<'_, Variables> {
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
        self.0.set_global(name, value, false);
    }

    fn is_written(&self, name: &str) -> bool {
        self.0.written_global(name).is_some()
    }

    fn environment(&self, name: &str) -> Result<String, FuncError> {
        self.0.environment(name)
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
    plan: &'a Arc<Dialplan>,
    env: &'a Arc<Env>,
    /// A secret was read: whatever is computed from now on may be made of it.
    secret_read: Cell<bool>,
    /// What was read before the step.
    settled: Option<Arc<Settled>>,
}

/// Names that mean something of the channel itself.
const BUILTINS: [&str; 6] = ["EXTEN", "CONTEXT", "PRIORITY", "CHANNEL", "UNIQUEID", "HANGUPCAUSE"];

impl<'a> ChannelScope<'a> {
    pub(super) fn new(chan: &'a mut Channel, plan: &'a Arc<Dialplan>, env: &'a Arc<Env>) -> Self {
        Self { chan, plan, env, secret_read: Cell::new(false), settled: None }
    }

    /// With what was read before the step.
    pub(super) fn with_settled(self, settled: Option<Arc<Settled>>) -> Self {
        Self { settled, ..self }
    }

    /// Whether a secret was read since the scope was made.
    pub(super) fn has_read_a_secret(&self) -> bool {
        self.secret_read.get()
    }

    /// A variable's value as it may be shown.
    pub(super) fn shown_variable(&self, name: &str) -> Option<String> {
        if self.chan.variables().is_secret(name) { Some(HIDDEN.to_owned()) } else { self.variable(name) }
    }

    fn builtin(&self, name: &str) -> Option<String> {
        if !BUILTINS.contains(&name) {
            return None;
        }
        let position = self.chan.position();
        match name {
            "EXTEN" => Some(position.extension.clone()),
            "CONTEXT" => Some(position.context.clone()),
            "PRIORITY" => Some(position.priority.to_string()),
            "CHANNEL" => Some(self.chan.name().to_owned()),
            "UNIQUEID" => Some(self.chan.uuid().to_owned()),
            _ => {
                let own = Some(self.chan.cause()).filter(|cause| *cause != Cause::UNKNOWN);
                // while the channel lives: what the last Dial left
                let text = own.map(|cause| cause.number().to_string());
                text.or_else(|| self.chan.var(name).map(str::to_owned)).or_else(|| Some("0".to_owned()))
            }
        }
    }
}

impl Scope for ChannelScope<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        if self.chan.variables().is_secret(name) {
            self.secret_read.set(true);
        }
        let own = || self.chan.var(name).map(str::to_owned);
        self.builtin(name).or_else(own).or_else(|| self.env.global(name))
    }

    fn set_variable(&mut self, name: &str, value: String) {
        let variables = self.chan.variables_mut();
        if self.secret_read.get() {
            variables.keep_secret(name);
        }
        variables.set(name, value);
    }

    fn is_written(&self, name: &str) -> bool {
        if BUILTINS.contains(&name) {
            return false;
        }
        match self.chan.variables().find(name) {
            Some(variable) => variable.written,
            None => self.env.written_global(name).is_some(),
        }
    }

    fn caller(&self) -> CallerIdText {
        let CallerId { name, number } = self.chan.caller().clone();
        CallerIdText { name, number }
    }

    fn set_caller(&mut self, caller: CallerIdText) {
        self.chan.set_caller(CallerId { name: caller.name, number: caller.number });
    }

    fn warn(&mut self, warning: ValueWarning) {
        if warning == ValueWarning::Cut {
            run_away(self.chan, "a value longer than 64 KiB");
            return;
        }
        if let ValueWarning::Func { func, error: FuncError::StoreLocked } = &warning {
            let note = serde_json::json!({"uuid": self.chan.uuid(), "func": func});
            self.chan.exchange().journal.note("astdb.refused", note);
        }
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

    fn settled(&self, ticket: Ticket) -> Option<String> {
        let (value, secrecy) = self.settled.as_ref()?.find(ticket)?;
        if secrecy == Secrecy::Secret {
            self.note_secret();
        }
        Some(value.to_owned())
    }

    fn note_secret(&self) {
        self.secret_read.set(true);
    }

    fn env(&self) -> Option<&Arc<Env>> {
        Some(self.env)
    }

    fn plan(&self) -> Option<&Arc<Dialplan>> {
        Some(self.plan)
    }

    fn channel(&mut self) -> Option<&mut Channel> {
        Some(self.chan)
    }
}
