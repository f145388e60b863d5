//! The same admin API over HTTPS, with a CA of its own as an appliance has one.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use super::{Answer, Seen, read_request};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { issuer: Issuer::new(params, key), der, pem }
    }

    /// The same authority, which pretends that its certificate is another one's.
    pub(crate) fn shown_with_another(self) -> Self {
        Self { issuer: self.issuer, ..Self::new() }
    }

    /// The SHA-256 of its certificate.
    pub(crate) fn fingerprint(&self) -> String {
        picloud_model::ContentHash::of(&self.der).to_string()
    }

    /// Its certificate, as a machine that trusts it has it.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's settings with a certificate for these names.
    fn server(&self, names: &[&str]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![leaf.der().clone(), self.der.clone().into()];
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }
}

/// An appliance at a port.
pub(crate) struct FakeHttps {
    /// Where it is.
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeHttps {
    /// Gives every request the same answer.
    pub(crate) fn answering(authority: &Authority, names: &[&str], answer: Answer) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap(), authority, names, answer)
    }

    /// The same at a port that is bound already.
    pub(crate) fn at(listener: TcpListener, authority: &Authority, names: &[&str], answer: Answer) -> Self {
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(authority.server(names));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                // A connection without a byte ends the thread.
                if stream.peek(&mut [0]).unwrap_or_default() == 0 {
                    return;
                }
                let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
                // Who refuses the certificate hangs up.
                let Some(request) = read_request(&mut stream) else { continue };
                record.lock().unwrap().push(request);
                let (status, headers, body) = &answer;
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}").unwrap();
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
        });
        Self { port, seen, thread: Some(thread) }
    }

    /// `https://{host}:{port}`
    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.port)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for FakeHttps {
    fn drop(&mut self) {
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the fake appliance failed");
    }
}
