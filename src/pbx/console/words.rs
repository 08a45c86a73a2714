//! Texts of the console that need nothing but the program itself.

use std::time::Duration;

use crate::{
    control::protocol::{Fault, FaultCode},
    dialplan::{app, func},
};

/// What an application does.
pub(super) fn application(name: &str) -> Result<String, Fault> {
    let app = app::find(name).ok_or_else(|| {
        Fault::new(FaultCode::NotFound, format!("Your application(s) is (are) not registered: {name}"))
    })?;
    let options: String =
        app.options().iter().map(|option| format!("    {:<10} {}\n", option.name, option.help)).collect();
    let options = if options.is_empty() { options } else { format!("  Options:\n{options}") };
    Ok(format!("  {}({})\n  {}\n{options}", app.name(), app.syntax(), app.synopsis()))
}

/// All applications, one a line.
pub(super) fn applications() -> String {
    let line = |app: &&dyn app::App| format!("{:>20}: {}\n", app.name(), app.synopsis());
    app::TABLE.iter().map(line).chain([format!("    -= {} Applications Registered =-\n", app::TABLE.len())]).collect()
}

/// What a function does.
pub(super) fn function(name: &str) -> Result<String, Fault> {
    let func = func::find(name)
        .ok_or_else(|| Fault::new(FaultCode::NotFound, format!("No function by that name registered: {name}")))?;
    Ok(format!("  {}({})\n  {}\n", func.name(), func.syntax(), func.synopsis()))
}

/// All functions, one a line.
pub(super) fn functions() -> String {
    let line = |func: &&dyn func::Func| format!("{:<20}  {:<35}  {}\n", func.name(), func.syntax(), func.synopsis());
    let total = format!("{} custom functions installed.\n", func::TABLE.len());
    func::TABLE.iter().map(line).chain([total]).collect()
}

/// The lines that are understood.
pub(super) fn help(all: &[(&str, &str)]) -> String {
    all.iter().map(|(line, what)| format!("{line:<55} {what}\n")).collect()
}

/// How long the server runs, in words.
pub(super) fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [("day", 86_400, u64::MAX), ("hour", 3_600, 24), ("minute", 60, 60), ("second", 1, 60)];
    let parts: Vec<String> = units
        .iter()
        .map(|(name, size, wrap)| (name, seconds / size % wrap))
        .filter(|(name, count)| *count > 0 || (**name == "second" && seconds == 0))
        .map(|(name, count)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
        .collect();
    format!("System uptime: {}\n", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        assert_eq!(uptime(Duration::ZERO), "System uptime: 0 seconds\n");
        assert_eq!(uptime(Duration::from_secs(93_784)), "System uptime: 1 day, 2 hours, 3 minutes, 4 seconds\n");
        assert_eq!(uptime(Duration::from_secs(60)), "System uptime: 1 minute\n");
    }

    #[test]
    fn a_name_nobody_knows_is_not_found() {
        assert!(application("echo").is_ok_and(|text| text.contains("Echo(")));
        assert_eq!(application("Nope").map_err(|fault| fault.code), Err(FaultCode::NotFound));
        assert!(function("LEN").is_ok());
    }
}
