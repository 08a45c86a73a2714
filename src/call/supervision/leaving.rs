//! When the agent leaves a call that a supervisor barges into: by the setting, the supervisor goes on with the other party (S089).
//! Above: the bridge asks before it ends. Below: `registry` and `state`.

use std::sync::Arc;

use crate::{
    call::{
        exchange::Exchange,
        live::LegFacts,
        supervision::{permission::Mode, state::Core},
    },
    config::OnAgentLeave,
};

impl Exchange {
    /// `leaver` has left the one that `stayer` talks with: whether a supervisor goes on with the latter. If so he follows it from
    /// now on, whomever he followed before.
    pub(in crate::call) fn goes_on_with_supervisor(&self, leaver: &Arc<LegFacts>, stayer: &Arc<LegFacts>) -> bool {
        if self.settings.load().supervision.on_agent_leave == OnAgentLeave::Hangup {
            return false;
        }
        let mut goes_on = false;
        for core in self.spies.concerned(&[leaver, stayer]) {
            let mut state = core.lock();
            let speaks = matches!(state.mode, Mode::Barge | Mode::Takeover) && !state.is_over;
            let Some(pair) = state.on().filter(|_| speaks) else { continue };
            // Where the agent is not clear, whoever was not the supervisor's target may take him for granted.
            let agent = pair.on(pair.replaced());
            if !agent.is_some_and(|agent| Arc::ptr_eq(agent, leaver)) {
                continue;
            }
            state.target = stayer.clone();
            if state.mode == Mode::Takeover {
                state.mode = Mode::Barge;
            }
            state.unrecorded.push("the agent left, the supervisor goes on");
            goes_on = true;
        }
        goes_on
    }

    /// A supervisor still talks with a leg that is alone.
    pub(in crate::call) fn is_kept_by_supervisor(&self, leg: &Arc<LegFacts>) -> bool {
        self.spies.concerned(&[leg]).iter().any(|core| keeps(core, leg))
    }
}

fn keeps(core: &Core, leg: &Arc<LegFacts>) -> bool {
    let state = core.lock();
    let is_on = state.on().is_some_and(|pair| pair.legs().any(|on| Arc::ptr_eq(on, leg)));
    !state.is_over && state.mode == Mode::Barge && is_on
}
