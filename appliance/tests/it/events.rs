//! A client of event streams: reads events as they come, from the socket or over TLS.

use crate::support::{Appliance, PATIENCE};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// `change`, `log`, …
    pub(crate) kind: String,
    /// Its id, as the stream gave it.
    pub(crate) id: Option<i64>,
    /// What it says.
    pub(crate) data: Value,
}

/// An open stream.
pub(crate) struct Events {
    /// Of the answer's first line.
    pub(crate) status: u16,
    lines: Receiver<String>,
}

impl Events {
    /// Opens one below `/api/v1`, over the socket.
    pub(crate) fn of(appliance: &Appliance, path: &str) -> Self {
        Self::with(appliance, path, "")
    }

    /// The same with further header lines.
    pub(crate) fn with(appliance: &Appliance, path: &str, headers: &str) -> Self {
        Self::read(UnixStream::connect(&appliance.socket).unwrap(), path, headers)
    }

    /// The same over the network with a key; `data` is what the appliance serves.
    pub(crate) fn remote(addr: SocketAddr, data: &Path, key: &str, path: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(data.join("data/keys/ca.crt")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = std::net::TcpStream::connect(addr).unwrap();
        let tls = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
        Self::read(tls, path, &format!("authorization: Bearer {key}\r\n"))
    }

    /// HTTP/1.0, so that the body is what follows the head until the connection ends.
    fn read(mut stream: impl Read + Write + Send + 'static, path: &str, headers: &str) -> Self {
        write!(stream, "GET /api/v1{path} HTTP/1.0\r\nhost: localhost\r\n{headers}\r\n").unwrap();
        stream.flush().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut events = Self { status: 0, lines };
        let head = events.block();
        events.status = head[0].split_whitespace().nth(1).unwrap().parse().unwrap();
        if events.status == 200 {
            assert!(head.iter().any(|line| line.to_lowercase() == "content-type: text/event-stream"), "{head:?}");
            // From here on, everything that happens is told.
            assert!(events.block().contains(&": following".to_owned()));
        }
        events
    }

    /// Lines up to an empty one; none at the end of the stream.
    fn block(&self) -> Vec<String> {
        let mut block = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.is_empty() => return block,
                Ok(line) => block.push(line),
                Err(RecvTimeoutError::Disconnected) => return Vec::new(),
                Err(RecvTimeoutError::Timeout) => panic!("no event came; the last was half of {block:?}"),
            }
        }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) fn next(&self) -> Option<Event> {
        let block = self.block();
        let field = |name: &str| block.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Some(Event {
            kind: field("event:")?.to_owned(),
            id: field("id:").map(|id| id.parse().unwrap()),
            data: serde_json::from_str(field("data:").unwrap()).unwrap(),
        })
    }

    /// The next events, so many.
    pub(crate) fn take(&self, count: usize) -> Vec<Event> {
        (0..count).map(|_n| self.next().expect("the stream goes on")).collect()
    }
}
