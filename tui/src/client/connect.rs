//! The way to an appliance: its socket, TCP, or TLS over TCP.

use super::pin::Pin;
use super::tls;
use crate::failure::Failure;
use crate::output::Output;
use crate::place::{Place, Url};
use crate::settings::Settings;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// How long a connection may take, and then the handshake over it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence after which the system asks whether the other end is there.
const KEEP_ALIVE_IDLE_S: u32 = 30;
/// Seconds between its questions.
const KEEP_ALIVE_INTERVAL_S: u32 = 10;
/// Unanswered questions after which the connection counts as lost.
const KEEP_ALIVE_PROBES: u32 = 3;

/// How long what was sent may stay unacknowledged: without it, a connection whose other end was unplugged in the middle of
/// a question would be asked again for a quarter of an hour.
const UNACKNOWLEDGED_MAX_MS: u32 = 60_000;

/// A way there, whatever it is.
pub(super) trait Way: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Way for T {}

/// Opens a connection; answers it with what to write into `Host`.
pub(super) async fn connect(settings: &Settings, output: &Output) -> Result<(Box<dyn Way>, String), Failure> {
    match &settings.place {
        Place::Socket(path) => {
            let shown = format!("the socket {}", path.display());
            let stream = within(CONNECT_TIMEOUT, UnixStream::connect(path)).await;
            Ok((Box::new(stream.map_err(|error| cannot_connect(&shown, &error))?), "localhost".to_owned()))
        }
        Place::Url(url) => {
            let pin =
                url.tls.then(|| Pin::of(url.authority(), &settings.config_dir, settings.fingerprint)).transpose()?;
            let stream = within(CONNECT_TIMEOUT, TcpStream::connect((url.host.as_str(), url.port))).await;
            let stream = stream.map_err(|error| cannot_connect(&url.authority(), &error))?;
            keep_alive(&stream);
            let way: Box<dyn Way> = match pin {
                Some(pin) => Box::new(secure(stream, url, &pin, output).await?),
                None => Box::new(stream),
            };
            Ok((way, url.authority()))
        }
    }
}

async fn secure(stream: TcpStream, url: &Url, pin: &Pin, output: &Output) -> Result<impl Way + use<>, Failure> {
    let secured = tokio::time::timeout(CONNECT_TIMEOUT, tls::secure(stream, url, pin, output)).await;
    secured.unwrap_or_else(|_elapsed| {
        let error = io::Error::new(io::ErrorKind::TimedOut, "it does not shake hands");
        Err(cannot_connect(&url.authority(), &error))
    })
}

/// Has the system ask now and then whether the other end is there: a stream says nothing while nothing happens, and
/// would wait for ever for an appliance whose plug was pulled.
fn keep_alive(stream: &TcpStream) {
    let asked = setsockopt(stream, sockopt::KeepAlive, &true)
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepIdle, &KEEP_ALIVE_IDLE_S))
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepInterval, &KEEP_ALIVE_INTERVAL_S))
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepCount, &KEEP_ALIVE_PROBES))
        .and_then(|()| setsockopt(stream, sockopt::TcpUserTimeout, &UNACKNOWLEDGED_MAX_MS));
    // A system without it only notices later.
    let _unsupported = asked;
}

/// The same limit for others.
pub(super) async fn within_connect_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    within(CONNECT_TIMEOUT, work).await
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs())))
        }
    }
}

fn cannot_connect(place: &str, error: &io::Error) -> Failure {
    let start = "start one with `picloud-appliance dev DIR`, or name another with --socket or --url";
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::Refused {
            message: format!("you may not open {place}"),
            hint: "the admin socket is for root, the service's user and the group `picloud`: \
                   sudo adduser $USER picloud, then log in again; from elsewhere, picloud login --url https://HOST:8443"
                .to_owned(),
        },
        io::ErrorKind::NotFound => Failure::Unreachable {
            message: format!("no appliance is running: {place} does not exist"),
            hint: start.to_owned(),
        },
        _ => Failure::Unreachable {
            message: format!("no appliance answers at {place}: {error}"),
            hint: start.to_owned(),
        },
    }
}
