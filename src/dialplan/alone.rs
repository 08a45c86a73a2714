//! Values without a call: what `pbx eval` computes with. Above: `cli`. Below: `vars`.

use std::collections::HashMap;

use super::vars::{Scope, ValueWarning};
use crate::config::CallerIdText;

/// Variables, a caller, and what was wrong: all that there is where nobody calls.
#[derive(Debug, Default)]
pub struct Alone {
    variables: HashMap<String, String>,
    caller: CallerIdText,
    warnings: Vec<ValueWarning>,
}

impl Alone {
    /// With these variables.
    pub fn with(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), ..Self::default() }
    }

    /// What was wrong while values were computed, in order.
    pub fn warnings(&self) -> &[ValueWarning] {
        &self.warnings
    }
}

impl Scope for Alone {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name.trim_start_matches('_')).or_else(|| self.variables.get(name)).cloned()
    }

    fn set_variable(&mut self, name: &str, value: String) {
        self.variables.insert(name.trim_start_matches('_').to_owned(), value);
    }

    fn caller(&self) -> CallerIdText {
        self.caller.clone()
    }

    fn set_caller(&mut self, caller: CallerIdText) {
        self.caller = caller;
    }

    fn warn(&mut self, warning: ValueWarning) {
        self.warnings.push(warning);
    }

    /// All of it was typed by the one who asks.
    fn is_written(&self, _name: &str) -> bool {
        true
    }
}
