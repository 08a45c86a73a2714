//! The socket's folder, lock and file: what is refused, what is cleared away, what is left behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Instant;

use wirechief::control::protocol::{Fault, FaultCode};
use wirechief::control::server::{Bound, SocketConfig, SocketError};

use super::fake::socket_at;
use crate::harness::PATIENCE;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The place where we have listened a moment ago; a program that another test is just starting may have that open still.
fn left(path: &Path) -> Bound {
    let since = Instant::now();
    loop {
        match Bound::new(&socket_at(path)) {
            Err(SocketError::Running { .. }) if since.elapsed() < PATIENCE => {}
            done => return done.unwrap(),
        }
    }
}

#[tokio::test]
async fn folder_and_socket_are_for_the_own_account_only() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("a/b/pbx.sock");
    let bound = Bound::new(&socket_at(&path)).unwrap();
    assert_eq!((mode(&above.path().join("a/b")), mode(&path)), (0o700, 0o600));
    assert_eq!(fs::read_to_string(path.with_extension("pid")).unwrap(), format!("{}\n", std::process::id()));
    assert_eq!(bound.path(), path);
    drop(bound);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_control_group_may_pass_the_folder_and_open_the_socket() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("run/pbx.sock");
    let own = rustix::process::getegid().as_raw().to_string();
    let groups = fs::read_to_string("/etc/group").unwrap();
    let name = groups.lines().find(|line| line.split(':').nth(2) == Some(&own)).unwrap().split(':').next().unwrap();
    let bound = Bound::new(&SocketConfig { path: path.clone(), group: Some(name.into()) }).unwrap();
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o750, 0o660));
    // A stranger whom a changed mode has let in is no member.
    assert!(bound.admits_group(12_345));
    set_mode(&path, 0o666);
    assert!(!bound.admits_group(12_345));
    let unknown = SocketConfig { path, group: Some("no such group".into()) };
    assert!(matches!(Bound::new(&unknown), Err(SocketError::NoSuchGroup(_))));
}

#[tokio::test]
async fn a_folder_that_others_can_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pbx.sock");
    set_mode(folder.path(), 0o777);
    let error = Bound::new(&socket_at(&path)).unwrap_err();
    assert!(matches!(error, SocketError::Unsafe { .. }), "{error}");
    let fault = Fault::from(error);
    assert_eq!(fault.code, FaultCode::Denied);
    assert!(fault.message.contains("writable by everyone") && fault.hint.unwrap().contains("chmod 0700"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made in an unsafe folder");
    set_mode(folder.path(), 0o755);
    assert!(Bound::new(&socket_at(&path)).is_ok());
}

#[tokio::test]
async fn a_folder_of_another_account_or_writable_by_a_foreign_group_is_refused() {
    if !is_root() {
        println!("skipped: only root can give folders away");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pbx.sock");
    chown(folder.path(), Some(65_534), None).unwrap();
    assert!(matches!(Bound::new(&socket_at(&path)), Err(SocketError::Unsafe { .. })));
    chown(folder.path(), Some(0), Some(65_534)).unwrap();
    set_mode(folder.path(), 0o770);
    assert!(matches!(Bound::new(&socket_at(&path)), Err(SocketError::Unsafe { .. })));
}

#[tokio::test]
async fn what_a_killed_server_leaves_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pbx.sock");
    drop(UnixListener::bind(&path).unwrap());
    fs::write(path.with_extension("pid"), "4194304\n").unwrap();
    assert!(path.exists());
    let bound = left(&path);
    assert!(std::os::unix::net::UnixStream::connect(bound.path()).is_ok());
    assert_eq!(fs::read_to_string(path.with_extension("pid")).unwrap(), format!("{}\n", std::process::id()));
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pbx.sock");
    fs::write(&path, "a letter").unwrap();
    assert!(matches!(Bound::new(&socket_at(&path)), Err(SocketError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a letter");
}

#[tokio::test]
async fn a_pid_file_that_is_a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("precious");
    fs::write(&target, "a letter").unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join("pbx.pid")).unwrap();
    assert!(Bound::new(&socket_at(&folder.path().join("pbx.sock"))).is_err());
    assert_eq!(fs::read_to_string(&target).unwrap(), "a letter");
}

#[tokio::test]
async fn a_second_server_is_told_of_the_first_and_to_try_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pbx.sock");
    let first = Bound::new(&socket_at(&path)).unwrap();
    let error = Bound::new(&socket_at(&path)).unwrap_err();
    assert!(matches!(error, SocketError::Running { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    assert_eq!(Fault::from(error).code, FaultCode::TryAgain);
    // Its place is not given up for another one either.
    let places = [path.clone(), folder.path().join("other.sock")];
    assert!(matches!(Bound::first(&places, None), Err(SocketError::Running { .. })));
    drop(first);
    assert!(Bound::new(&socket_at(&path)).is_ok());
}

#[tokio::test]
async fn a_socket_that_answers_without_a_lock_is_not_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pbx.sock");
    let other = UnixListener::bind(&path).unwrap();
    assert!(matches!(Bound::new(&socket_at(&path)), Err(SocketError::Running { pid: None, .. })));
    drop(other);
    drop(left(&path));
}

#[tokio::test]
async fn the_first_place_that_can_be_made_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let places = [folder.path().join("file/run/pbx.sock"), folder.path().join("run/pbx.sock")];
    assert_eq!(Bound::first(&places, None).unwrap().path(), places[1]);
    assert!(Bound::first(&places[..1], None).is_err());
}
