//! The admin socket: its file, and who connects to it.

use crate::admin::peer;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Longest path of a socket that the system takes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Why the admin socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody listens there.
    #[error("another appliance listens on the admin socket `{}`\nhint: stop that one first, or choose another file: --admin-socket FILE", .0.display())]
    Taken(PathBuf),
    /// Something else than a socket is in its place.
    #[error("`{}` is in the place of the admin socket, and is no socket\nhint: move it away, or choose another file: --admin-socket FILE", .0.display())]
    NotASocket(PathBuf),
    /// The path is too long.
    #[error("the path of the admin socket `{}` has more than {SOCKET_PATH_BYTES_MAX} bytes\nhint: choose a shorter one: --admin-socket /tmp/picloud.sock", .0.display())]
    PathTooLong(PathBuf),
    /// Everything else.
    #[error("listen on the admin socket `{}`: {source}\nhint: choose a file in a folder that this user may write: --admin-socket FILE", path.display())]
    Io {
        /// The socket's file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Makes the socket. A file that nobody listens on any more is replaced.
pub fn bind(path: &Path, dev: bool) -> Result<UnixListener, ListenError> {
    let io = |source: std::io::Error| ListenError::Io { path: path.to_owned(), source };
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(ListenError::PathTooLong(path.to_owned()));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket(path.to_owned())),
        Ok(_socket) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_somebody) => return Err(ListenError::Taken(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(io)?,
            Err(error) => return Err(io(error)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let listener = UnixListener::bind(path).map_err(io)?;
    // Callers are checked one by one as well; this keeps the others from connecting at all.
    let mode = if dev { 0o600 } else { 0o660 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(io)?;
    // A service has that group from the beginning, and may not give files away.
    if let (false, Some(group)) = (dev, peer::admin_group())
        && std::fs::metadata(path).map_err(io)?.gid() != group.as_raw()
        && let Err(error) = nix::unistd::chown(path, None, Some(group))
    {
        tracing::warn!(%error, "the admin socket could not be given to its group");
    }
    Ok(listener)
}

/// Who connected, or why they may not; `None` where the kernel does not say.
pub(super) async fn admit(stream: &UnixStream) -> Option<peer::Admitted> {
    let credentials = stream.peer_cred().ok()?;
    let (uid, gid) = (credentials.uid(), credentials.gid());
    tokio::task::spawn_blocking(move || peer::admit(uid, gid)).await.ok()
}
