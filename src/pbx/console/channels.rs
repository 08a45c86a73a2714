//! The console's words about what is live: channels, calls, groups.

use crate::{
    call::{groups, listing},
    control::protocol::Fault,
    pbx::House,
};

/// The forms of `core show channels`.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Plain,
    Concise,
    Verbose,
    Count,
}

impl House {
    pub(super) async fn console_channels(&self, form: Form) -> Result<String, Fault> {
        let lines = self.exchange.channel_lines().await;
        let totals = self.exchange.totals();
        Ok(match form {
            Form::Plain => listing::plain(&lines, totals),
            Form::Concise => listing::concise(&lines),
            Form::Verbose => listing::verbose(&lines, totals),
            Form::Count => listing::totals_text(totals),
        })
    }

    pub(super) fn console_groups(&self) -> String {
        groups::table(&self.exchange.groups.members())
    }
}
