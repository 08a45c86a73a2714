//! Time zones by name, for STRFTIME and STRPTIME. The system's own table comes first, then the one built in.

use jiff::tz::TimeZone;

use super::FuncError;
use crate::dialplan::vars::{Scope, ValueWarning};

/// The zone of this name, as `Europe/Berlin` or POSIX's `EST5EDT,M3.2.0,M11.1.0`; the machine's own when there is no name,
/// UTC with a warning when it is unknown.
pub(super) fn named(name: &str, func: &'static str, scope: &mut dyn Scope) -> TimeZone {
    if name.is_empty() {
        return TimeZone::system();
    }
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).unwrap_or_else(|_| {
        scope.warn(ValueWarning::Func { func, error: FuncError::NoZone(name.to_owned()) });
        TimeZone::UTC
    })
}
