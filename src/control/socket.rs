//! The socket's folder, lock and file: made so that no stranger gets in and a killed server leaves nothing in the way.
//! Above: `server`. The kernel's lock on the pid file decides who serves; the files themselves prove nothing.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::protocol::{Fault, FaultCode};

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;

/// Where the socket is and who may open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// The socket; its folder is made when absent.
    pub path: PathBuf,
    /// The group that may open it besides the server's own account; none: nobody else.
    pub group: Option<String>,
}

/// Why no socket could be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another server holds the lock or answers on the socket.
    #[error("{}: a server is already running{}", .path.display(), of_pid(*.pid))]
    Running {
        /// The socket.
        path: PathBuf,
        /// Its process, where known.
        pid: Option<u32>,
    },
    /// Others could replace the socket there.
    #[error("{}: the folder {why}", .folder.display())]
    Unsafe {
        /// The socket's folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something that is no socket has its name.
    #[error("{}: exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The path has no folder.
    #[error("{}: not the path of a socket", .0.display())]
    NoFolder(PathBuf),
    /// The configured group does not exist.
    #[error("control.group: no group is named `{0}`")]
    NoSuchGroup(String),
    /// The system refused.
    #[error("{}: {doing}: {source}", .path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's word.
        source: io::Error,
    },
}

fn of_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

impl SocketError {
    fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), doing, source }
    }
}

impl From<SocketError> for Fault {
    fn from(error: SocketError) -> Self {
        let message = error.to_string();
        match error {
            SocketError::Running { .. } => Self::new(FaultCode::TryAgain, message)
                .hint("`pbx stop` ends it; `--socket PATH` runs another beside it"),
            SocketError::Unsafe { folder, .. } => {
                let hint = format!("chmod 0700 {}, or name another place with --socket", folder.display());
                Self::new(FaultCode::Denied, message).hint(hint)
            }
            SocketError::NotASocket(_) => {
                Self::new(FaultCode::Invalid, message).hint("move it away, or name another place with --socket")
            }
            SocketError::NoFolder(_) => Self::new(FaultCode::Usage, message),
            SocketError::NoSuchGroup(_) => Self::new(FaultCode::Invalid, message),
            SocketError::Io { .. } => Self::new(FaultCode::Failure, message),
        }
    }
}

/// A listening socket, its lock held. Dropping it removes socket and pid file.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    group: Option<u32>,
    listener: UnixListener,
    /// Dropped after the socket is removed, so that the next server finds the way free.
    _lock: PidFile,
}

impl Bound {
    /// Locks, looks at the folder, clears a dead server's socket away and listens.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn new(config: &SocketConfig) -> Result<Self, SocketError> {
        let path = config.path.clone();
        let folder = match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) if path.file_name().is_some() => folder,
            _ => return Err(SocketError::NoFolder(path)),
        };
        let group = config.group.as_deref().map(group_id).transpose()?;
        make_folder(folder, group)?;
        check_folder(folder, group)?;
        let lock = PidFile::take(&path)?;
        clear_away(&path)?;
        let listener = UnixListener::bind(&path).map_err(SocketError::io(&path, "listening"))?;
        // Until here the umask decides, but only the folder's owner (and group) can reach it.
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        give_to_group(&path, group)?;
        std::fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(SocketError::io(&path, "setting permissions"))?;
        Ok(Self { path, group, listener, _lock: lock })
    }

    /// At the first of `places` that can be made; a place that another server holds, or that is unsafe, is an error, not a reason to go on.
    ///
    /// # Errors
    /// See [`SocketError`]; that of the last place when none can be made.
    pub fn first(places: &[PathBuf], group: Option<&str>) -> Result<Self, SocketError> {
        let mut last = SocketError::NoFolder(PathBuf::new());
        for path in places {
            match Self::new(&SocketConfig { path: path.clone(), group: group.map(str::to_owned) }) {
                Err(error @ SocketError::Io { .. }) => last = error,
                settled => return settled,
            }
        }
        Err(last)
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next client.
    ///
    /// # Errors
    /// Mostly: too many open files.
    pub async fn accept(&self) -> io::Result<tokio::net::UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Whether a client of group `gid` belongs to the control group. When the socket still keeps others out, the kernel has checked it,
    /// supplementary groups and all.
    pub fn admits_group(&self, gid: u32) -> bool {
        let Some(group) = self.group else { return false };
        let closed_to_others = || std::fs::metadata(&self.path).is_ok_and(|socket| socket.mode() & 0o007 == 0);
        gid == group || closed_to_others()
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if is_socket(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn make_folder(folder: &Path, group: Option<u32>) -> Result<(), SocketError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(above)
            .map_err(SocketError::io(above, "making the folder"))?;
    }
    DirBuilder::new().mode(0o700).create(folder).map_err(SocketError::io(folder, "making the folder"))?;
    if group.is_some() {
        give_to_group(folder, group)?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o750))
            .map_err(SocketError::io(folder, "setting permissions"))?;
    }
    Ok(())
}

fn check_folder(folder: &Path, group: Option<u32>) -> Result<(), SocketError> {
    let facts = std::fs::metadata(folder).map_err(SocketError::io(folder, "looking at the folder"))?;
    let refuse = |why: String| Err(SocketError::Unsafe { folder: folder.to_path_buf(), why });
    let own = rustix::process::geteuid().as_raw();
    if !facts.is_dir() {
        return refuse("is not a folder".into());
    }
    if facts.uid() != own && facts.uid() != 0 {
        return refuse(format!("belongs to another account (uid {})", facts.uid()));
    }
    if facts.mode() & OTHERS_WRITE != 0 {
        return refuse(format!("is writable by everyone (mode {:04o})", facts.mode() & 0o7777));
    }
    // A private group of the own account, as many distributions make it, is the account itself.
    let own_group = rustix::process::getegid().as_raw();
    if facts.mode() & GROUP_WRITE != 0 && facts.gid() != own_group && Some(facts.gid()) != group {
        return refuse(format!("is writable by its group (gid {}, mode {:04o})", facts.gid(), facts.mode() & 0o7777));
    }
    Ok(())
}

fn give_to_group(path: &Path, group: Option<u32>) -> Result<(), SocketError> {
    let Some(group) = group else { return Ok(()) };
    std::os::unix::fs::chown(path, None, Some(group)).map_err(SocketError::io(path, "giving it to the control group"))
}

/// Removes what a dead server left. The lock is ours, so a socket that answers belongs to a server that does not know of it.
fn clear_away(path: &Path) -> Result<(), SocketError> {
    match std::fs::symlink_metadata(path) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SocketError::io(path, "looking at the socket")(error)),
        Ok(facts) if !facts.file_type().is_socket() => return Err(SocketError::NotASocket(path.to_path_buf())),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Running { path: path.to_path_buf(), pid: None }),
        Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(SocketError::io(path, "removing a stale socket"))
        }
        Err(error) => Err(SocketError::io(path, "asking whether a server answers")(error)),
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|facts| facts.file_type().is_socket())
}

/// The pid file beside the socket: `pbx.sock` → `pbx.pid`. Its lock ends with the process, however that ends.
#[derive(Debug)]
struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    fn take(socket: &Path) -> Result<Self, SocketError> {
        let path = pid_path(socket);
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path)
                .map_err(SocketError::io(&path, "opening the pid file"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let pid = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
                    return Err(SocketError::Running { path: socket.to_path_buf(), pid });
                }
                Err(TryLockError::Error(error)) => return Err(SocketError::io(&path, "locking the pid file")(error)),
            }
            // The one before us may have removed the file between our opening and locking it: then this lock is of no file.
            if !same_file(&file, &path) {
                continue;
            }
            let mut lock = Self { path, file };
            lock.write_pid().map_err(SocketError::io(&lock.path, "writing the pid file"))?;
            return Ok(lock);
        }
    }

    fn write_pid(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{}", std::process::id())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn pid_path(socket: &Path) -> PathBuf {
    let beside = socket.with_extension("pid");
    if beside == socket { socket.with_extension("pid.lock") } else { beside }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn group_id(name: &str) -> Result<u32, SocketError> {
    let missing = || SocketError::NoSuchGroup(name.to_owned());
    let text = std::fs::read_to_string("/etc/group").map_err(SocketError::io(Path::new("/etc/group"), "reading"))?;
    field_of(&text, |fields| fields.first() == Some(&name), 2).and_then(|gid| gid.parse().ok()).ok_or_else(missing)
}

/// The account name of a user id, from the account file.
pub fn account_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let wanted = uid.to_string();
    field_of(&text, |fields| fields.get(2) == Some(&wanted.as_str()), 0).map(str::to_owned)
}

fn field_of<'a>(table: &'a str, wanted: impl Fn(&[&'a str]) -> bool, at: usize) -> Option<&'a str> {
    table.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| wanted(fields))?.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_lies_beside_the_socket_under_another_name() {
        assert_eq!(pid_path(Path::new("/a/pbx.sock")), Path::new("/a/pbx.pid"));
        assert_eq!(pid_path(Path::new("/a/pbx")), Path::new("/a/pbx.pid"));
        assert_ne!(pid_path(Path::new("/a/pbx.pid")), Path::new("/a/pbx.pid"));
    }

    #[test]
    fn root_has_a_name_and_an_unknown_group_is_refused() {
        assert_eq!(account_name(0).as_deref(), Some("root"));
        assert_eq!(group_id("root").unwrap(), 0);
        assert!(matches!(group_id("no such group"), Err(SocketError::NoSuchGroup(_))));
    }
}
