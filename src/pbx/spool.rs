//! Whether calls could be recorded as the settings say: the name's fields, the spool's owner and place, its free space.
//! Above: `pbx check`. Below: what the disk says; nothing is made.

use std::{os::unix::fs::MetadataExt, path::Path};

use crate::{config::RecordingSettings, outbox::name::Template};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Nothing could be recorded.
    pub errors: Vec<String>,
    /// It could, but for now.
    pub warnings: Vec<String>,
}

/// Looks at the spool of these settings in that state folder.
pub fn check(settings: &RecordingSettings, state: &Path) -> Found {
    let mut found = Found::default();
    if let Err(error) = Template::parse(&settings.name) {
        found.errors.push(format!("[recording] name: {error}"));
    }
    let spool = state.join(&settings.spool);
    // Made with the first recording, within the nearest folder that is there.
    let Some(there) = spool.ancestors().find(|folder| folder.exists()) else { return found };
    let shown = spool.display();
    if rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err() {
        found.errors.push(format!("[recording] spool: {shown}: this account may not write to {}", there.display()));
    }
    let facts = std::fs::symlink_metadata(&spool).ok();
    if let Some(facts) = &facts {
        let mode = facts.mode() & 0o777;
        if !facts.is_dir() {
            found.errors.push(format!("[recording] spool: {shown} is no folder"));
        } else if mode & 0o077 != 0 {
            found.errors.push(format!("[recording] spool: {shown}: others may look into it (mode {mode:03o})"));
        }
    }
    match rustix::fs::statvfs(there) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            if free < settings.free_space_floor {
                let floor = settings.free_space_floor;
                let what = format!(
                    "[recording] spool: {shown}: {free} bytes are free, fewer than the {floor} of free_space_floor"
                );
                found.warnings.push(what + ": nothing would be recorded");
            }
        }
        Err(error) => found.warnings.push(format!("[recording] spool: {shown}: {error}")),
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_spool_that_cannot_be_one_is_found_and_none_is_made() {
        let state = tempfile::tempdir().unwrap();
        let mut settings = RecordingSettings { free_space_floor: 0, ..RecordingSettings::default() };
        let found = check(&settings, state.path());
        assert!(found.errors.is_empty() && found.warnings.is_empty(), "{found:?}");
        assert!(!state.path().join("recordings").exists());
        let spool = state.path().join("recordings");
        std::fs::create_dir(&spool).unwrap();
        std::fs::set_permissions(&spool, std::fs::Permissions::from_mode(0o755)).unwrap();
        settings.name = "{caller}-{calle}".into();
        settings.free_space_floor = u64::MAX;
        let found = check(&settings, state.path());
        assert!(found.errors.iter().any(|error| error.contains("calle")), "{found:?}");
        assert!(found.errors.iter().any(|error| error.contains("755")), "{found:?}");
        assert!(found.warnings[0].contains("free_space_floor"), "{found:?}");
    }
}
