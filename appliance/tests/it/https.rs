//! The admin API over the network: a TLS client that trusts the appliance's own authority and nobody else.

use crate::support::{Appliance, PATIENCE, Reply};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client with one connection at a time.
pub(crate) struct Https {
    pub(crate) addr: SocketAddr,
    connector: TlsConnector,
    runtime: Runtime,
    sender: Option<SendRequest<Full<bytes::Bytes>>>,
}

impl Https {
    /// A client of `appliance`, which serves `data`.
    pub(crate) fn of(appliance: &Appliance, data: &Path) -> Self {
        let (_, line) = appliance.output.wait_for(0, "admin API on https://");
        let rest = line.split_once("admin API on https://").unwrap().1;
        let addr = rest.split_once(' ').unwrap().0.parse().unwrap();
        Self::trusting(addr, &std::fs::read(data.join("data/keys/ca.crt")).unwrap())
    }

    /// A client of what listens at `addr` that trusts the authority `root`.
    pub(crate) fn trusting(addr: SocketAddr, root: &[u8]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { addr, connector: TlsConnector::from(Arc::new(config)), runtime, sender: None }
    }

    /// The certificates that are shown to whoever asks for `name`, or why they are not trusted.
    pub(crate) fn certificates(&self, name: &str) -> Result<Vec<Vec<u8>>, String> {
        let stream = self.runtime.block_on(connect(self.addr, &self.connector, name))?;
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        Ok(chain.iter().map(|certificate| certificate.to_vec()).collect())
    }

    /// A request below `/api/v1`, with a key.
    pub(crate) fn send(&mut self, key: &str, method: &str, path: &str, body: &str) -> Reply {
        self.send_with(&[("authorization", &format!("Bearer {key}"))], method, path, body)
    }

    /// The same with other headers.
    pub(crate) fn send_with(&mut self, headers: &[(&str, &str)], method: &str, path: &str, body: &str) -> Reply {
        let mut request = http::Request::builder().method(method).uri(format!("/api/v1{path}"));
        request = request.header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(bytes::Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let sender = self.sender.take();
        let (addr, connector) = (self.addr, self.connector.clone());
        let talk = async move {
            let mut open = None;
            if let Some(mut sender) = sender
                && sender.ready().await.is_ok()
            {
                open = Some(sender);
            }
            let mut sender = match open {
                Some(sender) => sender,
                None => {
                    let stream = connect(addr, &connector, "localhost").await.unwrap();
                    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
                    tokio::spawn(connection);
                    sender
                }
            };
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let (head, body) = response.into_parts();
            // A stream never ends: its head is all there is to wait for.
            let streams = head.headers.get("content-type").is_some_and(|kind| {
                kind.as_bytes().starts_with(b"text/event-stream") || kind.as_bytes().starts_with(b"application/x-tar")
            });
            let reply = |body| Reply { status: head.status.as_u16(), headers: head.headers, body };
            if streams {
                return Ok((reply(Vec::new()), None));
            }
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes().to_vec();
            Ok::<_, String>((reply(body), Some(sender)))
        };
        let talked = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, talk).await });
        let (reply, sender) =
            talked.expect("an answer comes").unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        self.sender = sender;
        reply
    }

    /// Follows a stream while `meanwhile` is done, and then until it ends; answers how long that took.
    pub(crate) fn follow(&self, key: &str, path: &str, meanwhile: impl FnOnce()) -> Duration {
        let request = http::Request::get(format!("/api/v1{path}"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {key}"))
            .body(Full::new(bytes::Bytes::new()))
            .unwrap();
        let response = self.runtime.block_on(async {
            let stream = connect(self.addr, &self.connector, "localhost").await.unwrap();
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        });
        assert_eq!(response.status(), 200);
        meanwhile();
        let began = Instant::now();
        let ended =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, response.into_body().collect()).await });
        assert!(ended.is_ok(), "{path} did not end");
        began.elapsed()
    }
}

async fn connect(addr: SocketAddr, connector: &TlsConnector, name: &str) -> Result<TlsStream<TcpStream>, String> {
    let stream = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let handshake = tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await;
    handshake.map_err(|elapsed| elapsed.to_string())?.map_err(|error| error.to_string())
}

/// Makes a key by the socket; answers its id and the key.
pub(crate) fn make_key(appliance: &Appliance, name: &str, scopes: &[&str]) -> (i64, String) {
    let body = serde_json::json!({ "name": name, "scopes": scopes });
    let reply = appliance.admin("POST", "/keys", &body.to_string());
    assert_eq!(reply.status, 201, "{}", reply.text());
    let made = reply.json();
    (made["id"].as_i64().unwrap(), made["key"].as_str().unwrap().to_owned())
}
