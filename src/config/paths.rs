//! Where files are: settings, state folder, control socket. The environment and the disk come in as arguments.

use std::path::{Path, PathBuf};

/// What of the process environment decides about paths; the shell fills it in once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$WIRECHIEF_CONFIG`
    pub wirechief_config: Option<PathBuf>,
    /// `$WIRECHIEF_SOCKET`
    pub wirechief_socket: Option<PathBuf>,
    /// `$HOME`
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`
    pub xdg_config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`
    pub xdg_state_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `$STATE_DIRECTORY`, set by the service manager; its presence makes us the system service.
    pub state_directory: Option<PathBuf>,
    /// Our effective user id.
    pub uid: u32,
}

/// The two questions to the disk that discovery asks.
pub trait Disk {
    /// Whether a file or folder is there.
    fn exists(&self, path: &Path) -> bool;
    /// The entries of a folder, in any order; none when it is not there.
    fn entries(&self, folder: &Path) -> Vec<PathBuf>;
}

/// The settings files to read, in order: the main one, then its overlays. Empty: the built-in configuration.
///
/// The order is flag, `$WIRECHIEF_CONFIG`, the user's file, the system's file; the latter two with `conf.d/*.toml` beside them, by
/// name. A file named by flag or environment is taken unseen, so that its absence is an error and not another configuration, and
/// alone, so that what is tried with it is not mixed with what is in use.
pub fn settings_files(flag: Option<&Path>, environment: &Environment, disk: &dyn Disk) -> Vec<PathBuf> {
    if let Some(named) = flag.or(environment.wirechief_config.as_deref()) {
        return vec![named.to_owned()];
    }
    let user = xdg(&environment.xdg_config_home, environment, ".config");
    let folders = user.into_iter().chain([PathBuf::from("/etc/wirechief")]);
    let Some(main) = folders.map(|folder| folder.join("pbx.toml")).find(|file| disk.exists(file)) else {
        return Vec::new();
    };
    let mut overlays = disk.entries(&overlay_folder(&main));
    overlays.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    overlays.sort();
    std::iter::once(main).chain(overlays).collect()
}

/// Where further settings lie beside the main file.
pub fn overlay_folder(main: &Path) -> PathBuf {
    main.with_file_name("conf.d")
}

/// Where detail records, generated passwords and the like are kept.
pub fn state_folder(environment: &Environment) -> PathBuf {
    let service = || PathBuf::from("/var/lib/wirechief");
    match &environment.state_directory {
        Some(folder) => folder.clone(),
        None => xdg(&environment.xdg_state_home, environment, ".local/state").unwrap_or_else(service),
    }
}

/// The places of the control socket, best first: a server takes the first it may create, a client the first that exists.
pub fn sockets(flag: Option<&Path>, environment: &Environment, disk: &dyn Disk) -> Vec<PathBuf> {
    if let Some(named) = flag.or(environment.wirechief_socket.as_deref()) {
        return vec![named.to_owned()];
    }
    let system = PathBuf::from("/run/wirechief/pbx.sock");
    if environment.state_directory.is_some() {
        return vec![system];
    }
    let mut places = Vec::new();
    let usual = PathBuf::from(format!("/run/user/{}", environment.uid));
    if let Some(runtime) = absolute(&environment.xdg_runtime_dir).cloned() {
        places.push(runtime);
    }
    if disk.exists(&usual) && !places.contains(&usual) {
        places.push(usual);
    }
    let mut sockets: Vec<PathBuf> = places.iter().map(|folder| folder.join("wirechief/pbx.sock")).collect();
    sockets.push(state_folder(environment).join("run/pbx.sock"));
    sockets.push(system);
    sockets
}

/// `$XDG_…/wirechief`, or the same below the home folder.
fn xdg(variable: &Option<PathBuf>, environment: &Environment, below_home: &str) -> Option<PathBuf> {
    let folder = match absolute(variable) {
        Some(folder) => folder.clone(),
        None => absolute(&environment.home)?.join(below_home),
    };
    Some(folder.join("wirechief"))
}

/// A relative folder in an XDG variable is to be ignored (XDG Base Directory Specification).
fn absolute(variable: &Option<PathBuf>) -> Option<&PathBuf> {
    variable.as_ref().filter(|folder| folder.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(&'static [&'static str]);

    impl Disk for Files {
        fn exists(&self, path: &Path) -> bool {
            self.0.iter().any(|file| Path::new(file).starts_with(path))
        }

        fn entries(&self, folder: &Path) -> Vec<PathBuf> {
            self.0.iter().map(PathBuf::from).filter(|file| file.parent() == Some(folder)).collect()
        }
    }

    fn home() -> Environment {
        Environment { home: Some("/home/ann".into()), uid: 1000, ..Environment::default() }
    }

    const ALL: Files = Files(&[
        "/home/ann/.config/wirechief/pbx.toml",
        "/etc/wirechief/pbx.toml",
        "/etc/wirechief/conf.d/20-b.toml",
        "/etc/wirechief/conf.d/10-a.toml",
        "/etc/wirechief/conf.d/notes.txt",
    ]);

    #[test]
    fn settings_are_found_by_flag_then_environment_then_user_then_system() {
        let named = Environment { wirechief_config: Some("/env.toml".into()), ..home() };
        assert_eq!(settings_files(Some(Path::new("x.toml")), &named, &ALL), [PathBuf::from("x.toml")]);
        assert_eq!(settings_files(None, &named, &ALL), [PathBuf::from("/env.toml")]);
        assert_eq!(settings_files(None, &home(), &ALL), [PathBuf::from("/home/ann/.config/wirechief/pbx.toml")]);
        let elsewhere = Environment { xdg_config_home: Some("/cfg".into()), ..home() };
        let system = ["/etc/wirechief/pbx.toml", "/etc/wirechief/conf.d/10-a.toml", "/etc/wirechief/conf.d/20-b.toml"];
        assert_eq!(settings_files(None, &elsewhere, &ALL), system.map(PathBuf::from));
        assert_eq!(settings_files(None, &home(), &Files(&[])), Vec::<PathBuf>::new());
        let own = Files(&["/cfg/wirechief/pbx.toml", "/cfg/wirechief/conf.d/a.toml", "/etc/wirechief/conf.d/b.toml"]);
        let beside = ["/cfg/wirechief/pbx.toml", "/cfg/wirechief/conf.d/a.toml"].map(PathBuf::from);
        assert_eq!(settings_files(None, &elsewhere, &own), beside, "each with what lies beside it");
    }

    #[test]
    fn state_is_the_users_unless_we_are_the_system_service() {
        assert_eq!(state_folder(&home()), Path::new("/home/ann/.local/state/wirechief"));
        let xdg = Environment { xdg_state_home: Some("/st".into()), ..home() };
        assert_eq!(state_folder(&xdg), Path::new("/st/wirechief"));
        assert_eq!(state_folder(&Environment::default()), Path::new("/var/lib/wirechief"));
        let relative = Environment { xdg_state_home: Some("st".into()), ..home() };
        assert_eq!(state_folder(&relative), Path::new("/home/ann/.local/state/wirechief"));
    }

    #[test]
    fn a_client_without_session_environment_still_finds_the_servers_socket() {
        let cron = sockets(None, &home(), &Files(&["/run/user/1000/bus"]));
        let session = Environment { xdg_runtime_dir: Some("/run/user/1000".into()), ..home() };
        assert_eq!(cron, sockets(None, &session, &Files(&["/run/user/1000/bus"])));
        assert_eq!(cron.first(), Some(&PathBuf::from("/run/user/1000/wirechief/pbx.sock")));
        let bare = sockets(None, &home(), &Files(&[]));
        assert_eq!(
            bare,
            ["/home/ann/.local/state/wirechief/run/pbx.sock", "/run/wirechief/pbx.sock"].map(PathBuf::from)
        );
    }

    #[test]
    fn a_named_socket_is_the_only_one() {
        let named = Environment { wirechief_socket: Some("/e.sock".into()), ..home() };
        assert_eq!(sockets(None, &named, &ALL), [PathBuf::from("/e.sock")]);
        assert_eq!(sockets(Some(Path::new("f.sock")), &named, &ALL), [PathBuf::from("f.sock")]);
    }
}
