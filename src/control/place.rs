//! Where the control socket is. Above: `cli` asks with the process's environment. Touches no file but to see whether it exists.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Reads an environment variable; an argument so that tests need not change the process's.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

const NAME: &str = "pbx.sock";
const SYSTEM_FOLDER: &str = "/run/wirechief";

/// The socket a server makes: the one named, else the first whose parent folder is there.
///
/// Order: `given`, `$WIRECHIEF_SOCKET`, `$RUNTIME_DIRECTORY` (set by systemd), `$XDG_RUNTIME_DIR/wirechief`, `/run/user/UID/wirechief`, `run` in
/// the state folder. `None` when not even a home folder is known.
pub fn for_server(given: Option<&Path>, environment: Environment<'_>) -> Option<PathBuf> {
    if let Some(named) = named(given, environment) {
        return Some(named);
    }
    if let Some(folder) = path_in(environment, "RUNTIME_DIRECTORY") {
        return Some(folder.join(NAME));
    }
    session_folder(environment).or_else(|| state_folder(environment)).map(|folder| folder.join(NAME))
}

/// The socket a client opens: the one named, else the first that exists, else the first a server would make.
///
/// Order: as [`for_server`] without systemd's variable, then the system service's.
pub fn for_client(given: Option<&Path>, environment: Environment<'_>) -> PathBuf {
    if let Some(named) = named(given, environment) {
        return named;
    }
    let system = PathBuf::from(SYSTEM_FOLDER).join(NAME);
    let mut places: Vec<PathBuf> = [session_folder(environment), state_folder(environment)]
        .into_iter()
        .flatten()
        .map(|folder| folder.join(NAME))
        .collect();
    places.push(system);
    let found = places.iter().position(|place| place.exists()).unwrap_or(0);
    places.swap_remove(found)
}

fn named(given: Option<&Path>, environment: Environment<'_>) -> Option<PathBuf> {
    given.map(Path::to_path_buf).or_else(|| path_in(environment, "WIRECHIEF_SOCKET"))
}

fn path_in(environment: Environment<'_>, name: &str) -> Option<PathBuf> {
    environment(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn session_folder(environment: Environment<'_>) -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let runtime = path_in(environment, "XDG_RUNTIME_DIR").unwrap_or_else(|| PathBuf::from(format!("/run/user/{uid}")));
    runtime.is_dir().then(|| runtime.join("wirechief"))
}

fn state_folder(environment: Environment<'_>) -> Option<PathBuf> {
    let state = path_in(environment, "XDG_STATE_HOME")
        .or_else(|| path_in(environment, "HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("wirechief/run"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn server_with(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let table: HashMap<_, _> = variables.iter().copied().collect();
        for_server(None, &|name| table.get(name).map(OsString::from))
    }

    #[test]
    fn a_named_socket_comes_first_and_an_empty_variable_names_nothing() {
        assert_eq!(server_with(&[("WIRECHIEF_SOCKET", "/a/b"), ("RUNTIME_DIRECTORY", "/c")]), Some("/a/b".into()));
        assert_eq!(server_with(&[("WIRECHIEF_SOCKET", ""), ("RUNTIME_DIRECTORY", "/c")]), Some("/c/pbx.sock".into()));
        assert_eq!(for_client(Some(Path::new("/x")), &|_| None), PathBuf::from("/x"));
    }

    #[test]
    fn without_a_session_folder_the_state_folder_is_taken() {
        let variables = [("XDG_RUNTIME_DIR", "/absent/folder"), ("XDG_STATE_HOME", "/state")];
        assert_eq!(server_with(&variables), Some("/state/wirechief/run/pbx.sock".into()));
        let variables = [("XDG_RUNTIME_DIR", "/absent/folder"), ("HOME", "/home/a")];
        assert_eq!(server_with(&variables), Some("/home/a/.local/state/wirechief/run/pbx.sock".into()));
    }

    #[test]
    fn a_client_finds_the_socket_that_exists_before_the_one_that_would_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let (runtime, state) = (folder.path().join("runtime"), folder.path().join("state"));
        std::fs::create_dir_all(&runtime).unwrap();
        std::fs::create_dir_all(state.join("wirechief/run")).unwrap();
        std::fs::write(state.join("wirechief/run/pbx.sock"), "").unwrap();
        let environment = |name: &str| match name {
            "XDG_RUNTIME_DIR" => Some(runtime.clone().into_os_string()),
            "XDG_STATE_HOME" => Some(state.clone().into_os_string()),
            _ => None,
        };
        assert_eq!(for_client(None, &environment), state.join("wirechief/run/pbx.sock"));
        assert_eq!(for_server(None, &environment), Some(runtime.join("wirechief/pbx.sock")));
    }
}
