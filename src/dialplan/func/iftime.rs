//! `IFTIME(times?value:value)`: one of two values by the clock.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::times::TimeRange;
use crate::dialplan::vars::Scope;

pub(super) struct IfTime;

impl Func for IfTime {
    fn name(&self) -> &'static str {
        "IFTIME"
    }

    fn syntax(&self) -> &'static str {
        "times,weekdays,days,months[,timezone]?value_if_now[:value_if_not]"
    }

    fn synopsis(&self) -> &'static str {
        "One of two values by the clock; only the one chosen is evaluated."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let (times, _) = args.split_once('?').ok_or(FuncError::Missing("`?`"))?;
        TimeRange::parse(&times.value(scope)).map_err(|error| FuncError::Wrong(error.to_string()))?;
        Ok(self.chosen(scope, &args).unwrap_or_default().value(scope))
    }

    fn chooses(&self) -> bool {
        true
    }

    fn chosen<'p>(&self, scope: &mut dyn Scope, args: &Piece<'p>) -> Option<Piece<'p>> {
        let (times, values) = args.split_once('?')?;
        let now = TimeRange::parse(&times.value(scope)).ok()?.contains_moment(jiff::Timestamp::now());
        let (yes, no) = values.split_outside(':').unwrap_or_else(|| (values, Piece::default()));
        Some(if now { yes.trim() } else { no.trim() })
    }
}
