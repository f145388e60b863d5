//! The admin socket: its file, its connections and their bounds, and the end of both.

use super::{peer, refusal::Refusal, router};
use crate::appliance::Appliance;
use axum::Router;
use axum::response::{IntoResponse, Response};
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use picloud_model::principal::Principal;
use picloud_model::problem::Problem;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

/// Open connections at once; the next one waits to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// How long a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after a failed accept (out of descriptors) before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
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
    if let (false, Some(group)) = (dev, peer::admin_group())
        && let Err(error) = nix::unistd::chown(path, None, Some(group))
    {
        tracing::warn!(%error, "the admin socket could not be given to its group");
    }
    Ok(listener)
}

/// The listening side, once it serves.
pub struct Listening {
    /// Says that the end has come.
    end: watch::Sender<bool>,
    /// One permit an open connection.
    connections: Arc<Semaphore>,
}

impl Default for Listening {
    fn default() -> Self {
        Self { end: watch::Sender::new(false), connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listening {
    /// Serves from now on.
    pub fn serve(&self, listener: UnixListener, appliance: Arc<Appliance>) {
        let (connections, mut end) = (Arc::clone(&self.connections), self.end.subscribe());
        let router = router::router(appliance);
        tokio::spawn(async move {
            loop {
                let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = ended(&mut end) => return,
                };
                match accepted {
                    Ok((stream, _address)) => {
                        let (router, end) = (router.clone(), end.clone());
                        tokio::spawn(async move {
                            connection(stream, router, end).await;
                            drop(permit);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the admin socket could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
    }

    /// Takes no more connections and waits for the requests under way.
    pub async fn stop(&self) {
        self.end.send_replace(true);
        let all = u32::try_from(CONNECTIONS_MAX).expect("it is a small number");
        // All permits back means that no connection is open.
        drop(self.connections.acquire_many(all).await);
    }
}

async fn ended(end: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone: that is an end, too.
    drop(end.wait_for(|ended| *ended).await);
}

async fn connection(stream: UnixStream, router: Router, mut end: watch::Receiver<bool>) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let (uid, gid) = (credentials.uid(), credentials.gid());
    let Ok(admitted) = tokio::task::spawn_blocking(move || peer::admit(uid, gid)).await else { return };
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| answer(request, admitted.clone(), router.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ended(&mut end) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the admin socket ended early");
    }
}

async fn answer(
    mut request: Request<Incoming>,
    admitted: Result<Principal, Box<Problem>>,
    router: TowerToHyperService<Router>,
) -> Result<Response, Infallible> {
    match admitted {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            router.call(request).await
        }
        Err(problem) => Ok(Refusal(*problem).into_response()),
    }
}
