//! The certificates that a server shows, to be looked at only: nothing is said over such a connection, and nothing
//! that it shows is trusted.

use super::connect::within_connect_time;
use crate::failure::Failure;
use crate::place::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Most certificates of a chain that are looked at.
const SHOWN_MAX: usize = 8;

/// What the server at `url` shows, in its order.
pub(crate) async fn shown_certificates(url: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let url = Url::parse(url)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let looker = Arc::new(Looker { schemes, seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::other(format!("TLS cannot be set up: {error}"), None))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&looker) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(url.host.clone())
        .map_err(|_no_name| Failure::usage(format!("`{}` is no host name", url.host), "write https://HOST:PORT"))?;
    let there = within_connect_time(TcpStream::connect((url.host.as_str(), url.port))).await;
    let stream = there.map_err(|error| Failure::other(format!("{}: {error}", url.authority()), None))?;
    // It always fails: the looker has seen enough before anything is agreed upon.
    let _refused = within_connect_time(TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    let seen = std::mem::take(&mut *looker.seen.lock().unwrap_or_else(PoisonError::into_inner));
    if seen.is_empty() {
        return Err(Failure::other(format!("{} shows no certificate", url.authority()), None));
    }
    Ok(seen)
}

/// Looks at certificates and agrees to none.
#[derive(Debug)]
struct Looker {
    schemes: Vec<SignatureScheme>,
    seen: Mutex<Vec<Vec<u8>>>,
}

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = [leaf].into_iter().chain(others).take(SHOWN_MAX).map(|shown| shown.as_ref().to_vec());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = shown.collect();
        Err(Error::General("only looked at".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only looked at".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only looked at".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
