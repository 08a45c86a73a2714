//! What a reload changes: the settings that differ, and those that wait for the next start.
//! Above: `backend`, which tells it.

use serde_json::Value;

/// One line for each setting that differs, by its dotted key.
pub(super) fn differences(old: &Value, new: &Value, at: &str) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return vec![format!("{at}: {old} -> {new}")];
    };
    let dotted = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    let mut lines = Vec::new();
    for (key, value) in before {
        match after.get(key) {
            Some(now) => lines.extend(differences(value, now, &dotted(key))),
            None => lines.push(format!("{}: removed", dotted(key))),
        }
    }
    lines.extend(after.keys().filter(|key| !before.contains_key(*key)).map(|key| format!("{}: added", dotted(key))));
    lines
}

/// Settings that are read once, at start.
pub(super) fn needs_restart(changes: &[String]) -> Vec<String> {
    const AT_START: &[&str] = &[
        "astdb.",
        "control.",
        "log.",
        "media.bind",
        "media.ports",
        "media.rtp_timeout",
        "recording.seal_to",
        "recording.spool",
        "records.",
        "sip.bind",
        "sip.realm",
        "supervision.log",
        "limits.requests_per_second_per_source",
    ];
    let cold = changes.iter().filter(|line| AT_START.iter().any(|key| line.starts_with(key)));
    cold.map(|line| format!("{} takes effect at the next start", line.split(':').next().unwrap_or(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reload_tells_each_setting_that_changes_and_no_other() {
        let old = json!({"sip": {"realm": "a", "bind": ["x"]}, "users": {"1001": {"context": "i"}}});
        let new = json!({"sip": {"realm": "b", "bind": ["x"]}, "users": {"1002": {"context": "i"}}});
        let lines = differences(&old, &new, "");
        assert_eq!(lines, ["sip.realm: \"a\" -> \"b\"", "users.1001: removed", "users.1002: added"]);
        assert_eq!(needs_restart(&lines), ["sip.realm takes effect at the next start"]);
        assert!(differences(&new, &new, "").is_empty());
    }
}
