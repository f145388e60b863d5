//! Dialling: many addresses side by side, TLS that proves who answers, HTTP/2 inside.

use super::Body;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use picloud_cluster::identity::{ClientTls, SeenCa};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Addresses that are dialled at most.
const ADDRESSES_MAX: usize = 32;
/// How long the next address is waited with, for the one before to answer.
const HEAD_START: Duration = Duration::from_millis(150);
/// How long one address may take to answer and to prove itself.
const DIAL_MAX: Duration = Duration::from_secs(8);
/// How long a name may take to be looked up.
const RESOLVE_MAX: Duration = Duration::from_secs(5);
/// After so long without a packet the other end is asked for a sign of life: longer than two beats are apart, so that
/// an idle connection costs its beats and nothing else.
const KEEPALIVE_IDLE_S: u32 = 60;
/// How long after that it is asked again, and how often.
const KEEPALIVE_INTERVAL_S: u32 = 10;
const KEEPALIVE_PROBES: u32 = 3;
/// How long what was sent may go unacknowledged.
const UNACKNOWLEDGED_MS_MAX: u32 = 20_000;
/// What an appliance may send ahead of what is read: on one stream, and on all.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// A connection over which requests can be made.
pub struct Connection {
    pub(super) sender: http2::SendRequest<Body>,
    /// Where it leads.
    pub address: SocketAddr,
    /// The CA that answers there.
    pub seen: Option<SeenCa>,
}

/// Why nobody was reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// There is no address to dial.
    #[error("no address of an appliance is known")]
    NoAddress,
    /// A name has no address.
    #[error("look up `{name}`: {why}")]
    Resolve {
        /// The name.
        name: String,
        /// What the system said.
        why: String,
    },
    /// Nobody answers there.
    #[error("connect to {address}: {why}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// Somebody answers, but not whom this node trusts; or it does not trust this node.
    #[error("{address} is not trusted, or does not trust this node: {why}")]
    Tls {
        /// Where.
        address: SocketAddr,
        /// What TLS says.
        why: String,
        /// The appliance refuses this node's certificate.
        certificate_refused: bool,
    },
}

impl DialError {
    /// Which of several errors tells most.
    fn weight(&self) -> u8 {
        match self {
            Self::NoAddress => 0,
            Self::Resolve { .. } => 1,
            Self::Connect { .. } => 2,
            Self::Tls { certificate_refused: false, .. } => 3,
            Self::Tls { certificate_refused: true, .. } => 4,
        }
    }
}

/// The addresses of `host:port`.
pub async fn resolve(name: &str) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let failed = |why: String| DialError::Resolve { name: name.to_owned(), why };
    match tokio::time::timeout(RESOLVE_MAX, tokio::net::lookup_host(name)).await {
        Ok(Ok(addresses)) => Ok(addresses.take(ADDRESSES_MAX).collect()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_elapsed) => Err(failed(format!("no answer within {} s", RESOLVE_MAX.as_secs()))),
    }
}

/// Dials all of them, those in front with a head start; the first that proves itself is the one.
pub async fn dial(
    addresses: &[SocketAddr],
    tls: impl Fn() -> Result<ClientTls, String>,
) -> Result<Connection, DialError> {
    let mut dialling: FuturesUnordered<_> = addresses
        .iter()
        .take(ADDRESSES_MAX)
        .zip(0..)
        .map(|(address, nth): (&SocketAddr, u32)| {
            let (address, tls) = (*address, tls());
            async move {
                tokio::time::sleep(HEAD_START * nth).await;
                let tls = tls.map_err(|why| DialError::Tls { address, why, certificate_refused: false })?;
                tokio::time::timeout(DIAL_MAX, dial_one(address, tls)).await.unwrap_or_else(|_elapsed| {
                    Err(DialError::Connect { address, why: format!("no answer within {} s", DIAL_MAX.as_secs()) })
                })
            }
        })
        .collect();
    let mut worst = DialError::NoAddress;
    while let Some(dialled) = dialling.next().await {
        match dialled {
            Ok(connection) => return Ok(connection),
            Err(error) if error.weight() >= worst.weight() => worst = error,
            Err(_tells_less) => {}
        }
    }
    Err(worst)
}

async fn dial_one(address: SocketAddr, tls: ClientTls) -> Result<Connection, DialError> {
    let unreachable = |why: String| DialError::Connect { address, why };
    let stream = TcpStream::connect(address).await.map_err(|error| unreachable(error.to_string()))?;
    prepare(&stream).map_err(|error| unreachable(error.to_string()))?;
    let connector = TlsConnector::from(std::sync::Arc::clone(&tls.config));
    let stream = connector.connect(ClientTls::server_name(), stream).await.map_err(|error| {
        // Whoever hangs up has said nothing about trust.
        if error.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>()) {
            return unreachable(super::why_lost(&error));
        }
        let why = picloud_model::problem::with_sources(&error);
        DialError::Tls { address, certificate_refused: is_certificate_refusal(&error), why }
    })?;
    let failed = |error: hyper::Error| {
        let certificate_refused = is_refusal_within(&error);
        DialError::Tls { address, why: picloud_model::problem::with_sources(&error), certificate_refused }
    };
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    tokio::spawn(async move {
        // Whoever uses it sees it end; this is for whoever looks for the reason.
        if let Err(error) = connection.await {
            tracing::debug!(%address, "the connection ended: {}", picloud_model::problem::with_sources(&error));
        }
    });
    Ok(Connection { sender, address, seen: tls.seen() })
}

/// An idle connection whose other end is gone without a word is noticed, and so is one that takes no more bytes.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE_S)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &KEEPALIVE_INTERVAL_S)?;
    setsockopt(stream, sockopt::TcpKeepCount, &KEEPALIVE_PROBES)?;
    setsockopt(stream, sockopt::TcpUserTimeout, &UNACKNOWLEDGED_MS_MAX)?;
    Ok(())
}

fn is_certificate_refusal(error: &std::io::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        inner,
        Some(rustls::Error::AlertReceived(
            Alert::CertificateExpired
                | Alert::BadCertificate
                | Alert::CertificateUnknown
                | Alert::CertificateRevoked
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired
        ))
    )
}

/// In TLS 1.3 a client learns that its certificate is refused only with the first bytes of the answer, by when HTTP/2 has
/// made a text of the alert.
pub(super) fn is_refusal_within(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<std::io::Error>().is_some_and(is_certificate_refusal) {
            return true;
        }
        next = error.source();
    }
    picloud_model::problem::with_sources(error).contains("received fatal alert")
}
