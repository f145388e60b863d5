//! HTTPS: connections from the network, their handshakes and bounds.

use super::connection::{self, Door, Peer};
use super::handshakes::Handshakes;
use super::per_address::{PerAddress, Place};
use super::{ACCEPT_PAUSE, ended};
use crate::admin::tls::{H2, Tls, TlsError, names};
use crate::nodes::node_api::Remote;
use nix::sys::socket::{setsockopt, sockopt};
use picloud_model::hash::ContentHash;
use picloud_model::problem::{Code, Problem};
use rustls::server::Acceptor;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of everything that TLS is opened with.
const TLS_HANDSHAKE: u8 = 0x16;
/// Read and thrown away of a request that came without TLS, so that its sender gets to see the answer.
const PLAIN_BYTES_MAX: usize = 16 * 1024;
/// A silent connection is asked after so many seconds whether it is still there …
const KEEPALIVE_IDLE_S: u32 = 60;
/// … again after so many …
const KEEPALIVE_PAUSE_S: u32 = 15;
/// … and is over after so many questions without an answer.
const KEEPALIVE_TRIES: u32 = 4;
/// How long what was sent may stay unacknowledged, in milliseconds. Less than a node may be silent before its work is
/// another's: a run that got through after that would run beside its successor.
const UNACKNOWLEDGED_MS_MAX: u32 = 20_000;

/// Why the network cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// The address.
    #[error("listen for the admin API on {addr}: {source}\nhint: {hint}")]
    Address {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
        /// What to do about it.
        hint: String,
    },
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl HttpsError {
    /// Whether another program has the address.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Address { source, .. } if source.kind() == ErrorKind::AddrInUse)
    }
}

/// The bound address and what is shown there.
pub struct Https {
    listener: TcpListener,
    addr: SocketAddr,
    tls: Tls,
}

impl Https {
    /// Takes the address.
    pub async fn bind(addr: SocketAddr, tls: Tls) -> Result<Self, HttpsError> {
        let refuse = |source: std::io::Error| {
            let hint = match source.kind() {
                ErrorKind::AddrInUse => {
                    let other = SocketAddr::new(addr.ip(), addr.port().checked_add(1).unwrap_or(0));
                    format!("another program listens there; end it, or choose another: --admin-addr {other}")
                }
                ErrorKind::PermissionDenied => {
                    "ports below 1024 need CAP_NET_BIND_SERVICE; choose another: --admin-addr 0.0.0.0:8443".to_owned()
                }
                _ => "choose an address of this machine: --admin-addr 0.0.0.0:8443".to_owned(),
            };
            HttpsError::Address { addr, source, hint }
        };
        let listener = TcpListener::bind(addr).await.map_err(refuse)?;
        let addr = listener.local_addr().map_err(refuse)?;
        Ok(Self { listener, addr, tls })
    }

    /// Where it listens; the port is the real one, also where 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A URL that others can use: an address of this machine, where it listens on all of them.
    pub fn url(&self) -> String {
        format!("https://{}", self.reached_at())
    }

    /// The same, without what is in front.
    pub fn reached_at(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified()
            && let Some(ip) = names::main_address()
        {
            addr.set_ip(ip);
        }
        addr.to_string()
    }

    /// What clients pin.
    pub fn fingerprint(&self) -> ContentHash {
        self.tls.fingerprint()
    }

    /// `own` or `owner`: whose certificate it is.
    pub fn tls_kind(&self) -> &'static str {
        self.tls.kind()
    }

    /// The certificates.
    pub(crate) fn tls(&self) -> &Tls {
        &self.tls
    }
}

/// A permit for each open connection.
pub(super) struct Places {
    pub(super) people: Arc<Semaphore>,
    pub(super) nodes: Arc<Semaphore>,
}

/// Accepts until the end; what a connection needs is done in a task of its own.
pub(super) async fn serve(https: Arc<Https>, door: Door, places: Places, mut end: watch::Receiver<bool>) {
    let (handshakes, addresses) = (Handshakes::default(), PerAddress::default());
    loop {
        let accepted = tokio::select! {
            accepted = https.listener.accept() => accepted,
            () = ended(&mut end) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin API could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = peer.ip().to_canonical();
        let Some(place) = addresses.take(address) else {
            tracing::debug!(%address, "the address has too many connections to the admin API");
            continue;
        };
        // Here, in the order of their coming: tasks do not begin in the order they are spawned.
        let handshake = handshakes.begin();
        let (https, door, mut end) = (Arc::clone(&https), door.clone(), end.clone());
        let (people, nodes) = (Arc::clone(&places.people), Arc::clone(&places.nodes));
        tokio::spawn(async move {
            let _place: Place = place;
            let stream = tokio::select! {
                stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, open(stream, &https)) => stream.ok().flatten(),
                () = handshake.must_give_way() => None,
                () = ended(&mut end) => None,
            };
            drop(handshake);
            let Some(stream) = stream else { return };
            let remote = remote(&stream, address);
            let connections = if remote.node.is_some() { nodes } else { people };
            let Ok(_permit) = connections.try_acquire_owned() else {
                tracing::debug!(%address, "the admin API has too many connections");
                return;
            };
            let cut = Arc::clone(&remote.cut);
            tokio::select! {
                () = connection::serve(stream, door, Peer::Remote(remote), end) => {}
                () = cut.notified() => {}
            }
        });
    }
}

/// Who connected, as far as TLS tells.
fn remote(stream: &TlsStream<TcpStream>, address: IpAddr) -> Remote {
    let (_tcp, tls) = stream.get_ref();
    let shown = tls.peer_certificates().and_then(|chain| chain.first());
    let node = shown.and_then(|certificate| match picloud_cluster::identity::peer_of(certificate) {
        Ok(node) => Some(node),
        Err(error) => {
            tracing::debug!(%address, %error, "the authority signed a certificate that is no node's");
            None
        }
    });
    Remote { address, node, is_http2: tls.alpn_protocol() == Some(H2), cut: Arc::default() }
}

/// Makes a connection a TLS connection.
async fn open(mut stream: TcpStream, https: &Https) -> Option<TlsStream<TcpStream>> {
    watch_over(&stream);
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first[0] != TLS_HANDSHAKE {
        say_https(&mut stream).await;
        return None;
    }
    let reached = stream.local_addr().map_or(https.addr.ip(), |addr| addr.ip()).to_canonical();
    let opened = async {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let config = https.tls.config(reached, begun.client_hello().server_name());
        begun.into_stream(config).await
    };
    match opened.await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
    }
}

/// Has the kernel find out when the other side is gone: nothing of ours beats to a clock.
fn watch_over(stream: &TcpStream) {
    let set = setsockopt(stream, sockopt::KeepAlive, &true)
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE_S))
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepInterval, &KEEPALIVE_PAUSE_S))
        .and_then(|()| setsockopt(stream, sockopt::TcpKeepCount, &KEEPALIVE_TRIES))
        .and_then(|()| setsockopt(stream, sockopt::TcpUserTimeout, &UNACKNOWLEDGED_MS_MAX));
    if let Err(error) = set {
        tracing::debug!(%error, "keepalive could not be set");
    }
    // Answers are written whole: waiting for more only delays them.
    let _as_it_is = stream.set_nodelay(true);
}

/// Answers whoever speaks HTTP where HTTPS is spoken.
async fn say_https(stream: &mut TcpStream) {
    let problem = Problem::new(Code::Malformed, "this port speaks HTTPS, and the request came without TLS")
        .hint("begin the URL with https://");
    let body = serde_json::to_string(&problem).expect("a problem has only plain fields");
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // Unread bytes would turn the close into a reset, and the answer would be lost.
    let _discarded = stream.try_read(&mut [0; PLAIN_BYTES_MAX]);
    let _gone = stream.write_all(answer.as_bytes()).await;
    let _gone = stream.shutdown().await;
}
