//! Where configuration and dialplan come from: files, the built-in ones, or given by a test; read whole before anything is swapped.

use std::{
    ffi::OsString,
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use crate::{
    config::{self, BUILTIN_EXTENSIONS, BUILTIN_USERS, Config, ConfigError, Secret},
    dialplan::{Dialplan, Disk, Given, Loader, PlanError, Sounds},
};

/// Where configuration and dialplan come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Settings files, the later overlaying the earlier; the dialplan files are named in them.
    Files(Vec<PathBuf>),
    /// What holds without any file; its passwords are made once and kept in the state folder.
    Builtin,
    /// Given as values: configuration, and dialplan files by name and text.
    Given(Box<Config>, Vec<(PathBuf, String)>),
}

/// What was read.
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What calls do.
    pub plan: Arc<Dialplan>,
    /// The files that were read, included ones too, in order.
    pub files: Vec<PathBuf>,
    /// What is allowed but unwise, one sentence each.
    pub warnings: Vec<String>,
}

/// Why nothing was read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The dialplan is wrong; all its mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Plan(Vec<PlanError>),
    /// A dialplan file cannot be read.
    #[error("{}: cannot read the dialplan: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The generated passwords cannot be kept.
    #[error("{}: cannot keep the generated passwords: {source}", path.display())]
    Passwords {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Source {
    /// Reads everything; `state` is the state folder.
    ///
    /// # Errors
    /// Something is wrong; nothing is half read.
    pub fn read(&self, state: &Path) -> Result<Loaded, LoadError> {
        let (config, texts, mut files) = match self {
            Self::Files(paths) => {
                let config = config::load(paths, &|path| fs::read_to_string(path))?;
                let texts = read_plans(&config.dialplan.files)?;
                (config, texts, paths.clone())
            }
            Self::Builtin => {
                let config = config::builtin(&passwords(state)?)?;
                (config, vec![(PathBuf::from("extensions.conf"), BUILTIN_EXTENSIONS.to_owned())], Vec::new())
            }
            Self::Given(config, texts) => ((**config).clone(), texts.clone(), Vec::new()),
        };
        let given = Given(&texts);
        let loader: &dyn Loader = if matches!(self, Self::Files(_)) { &Disk } else { &given };
        let plan = Dialplan::load(&texts, loader).map_err(LoadError::Plan)?;
        if matches!(self, Self::Files(_)) {
            files.extend_from_slice(plan.files());
        }
        let mut warnings = config.warnings();
        let missing = plan.missing_sounds(&Sounds::new(config.dialplan.sounds.clone()));
        warnings.extend(plan.warnings().iter().chain(&missing).map(ToString::to_string));
        Ok(Loaded { config, plan: Arc::new(plan), files, warnings })
    }
}

impl Source {
    /// What programs that a dialplan starts are told, so that ours find this server: its settings where one file holds them,
    /// its socket, its recordings.
    pub(super) fn surroundings(&self, (socket, spool): (&Path, &Path)) -> Vec<(&'static str, OsString)> {
        let mut all = vec![("WIRECHIEF_SOCKET", socket), ("REC_SPOOL", spool)];
        if let Self::Files(files) = self
            && let [only] = files.as_slice()
        {
            all.push(("WIRECHIEF_CONFIG", only));
        }
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        all.into_iter().map(|(name, path)| (name, whole(path).into_os_string())).collect()
    }
}

/// The dialplan files in order; the last of several may be absent.
fn read_plans(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, LoadError> {
    let mut texts = Vec::new();
    for (at, path) in paths.iter().enumerate() {
        match fs::read_to_string(path) {
            Ok(text) => texts.push((path.clone(), text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && at > 0 && at + 1 == paths.len() => {}
            Err(source) => return Err(LoadError::Unreadable { path: path.clone(), source }),
        }
    }
    Ok(texts)
}

/// The passwords of the built-in users: read, or made now and kept (0600 in a 0700 folder).
///
/// # Errors
/// They can be neither read nor kept.
pub fn passwords(state: &Path) -> Result<[Secret; 3], LoadError> {
    let folder = state.join("secrets");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LoadError::Passwords { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed(&folder))?;
    let mut all = Vec::new();
    for user in BUILTIN_USERS {
        let path = folder.join(user);
        all.push(password(&path).map_err(failed(&path))?);
    }
    all.try_into()
        .map_err(|_| LoadError::Passwords { path: folder, source: io::Error::other("not as many passwords as users") })
}

fn password(path: &Path) -> io::Result<Secret> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim().to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let made = make_password()?;
    // Lands whole: a killed start leaves no empty password behind.
    let part = path.with_extension("part");
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
    writeln!(file, "{}", made.expose())?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    Ok(made)
}

/// A new password: 20 characters that are not easily mistaken for each other, 100 bits.
///
/// # Errors
/// The system has no randomness.
pub fn make_password() -> io::Result<Secret> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0u8; 20];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let text = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Ok(Secret::new(text.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn passwords_are_made_once_and_only_their_owner_reads_them() {
        let state = tempfile::tempdir().unwrap();
        let first = passwords(state.path()).unwrap();
        let again = passwords(state.path()).unwrap();
        assert_eq!(first, again);
        assert_eq!(first[0].expose().len(), 20);
        assert_ne!(first[0], first[1]);
        let mode = fs::metadata(state.path().join("secrets/1001")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_builtin_configuration_loads_with_its_plan() {
        let state = tempfile::tempdir().unwrap();
        let loaded = Source::Builtin.read(state.path()).unwrap();
        assert_eq!(loaded.config.users.len(), 3);
        assert!(loaded.files.is_empty());
    }
}
