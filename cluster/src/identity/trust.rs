//! Whom a node trusts when it dials: an appliance is its CA, and anything else at that address is nobody.
//!
//! The name in the server's certificate is always [`SERVER_NAME`], whatever the address: addresses come from mDNS or
//! change with the wind, and prove nothing. A node's certificate, which the same CA signed, has another kind of name,
//! so that a stolen one cannot stand in for the appliance.

use super::{IdentityError, NodeKey};
use picloud_model::hash::ContentHash;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// What nodes ask for (SNI), and the name that an appliance's certificate for them has. No node's certificate has it.
pub const SERVER_NAME: &str = "picloud-node";
/// What is spoken inside.
const ALPN: &[u8] = b"h2";

/// Whom to trust.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Whoever answers; who it was is in [`ClientTls::seen`]. Only for asking to be let in.
    FirstSeen,
    /// An appliance whose CA's hash begins with these digits: a join token's.
    ByToken(String),
    /// The appliances of this CA.
    Pinned(CertificateDer<'static>),
}

/// The CA of an appliance that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCa {
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// SHA-256 of it: what people compare and tokens begin with.
    pub fingerprint: ContentHash,
}

/// What one connection is made with.
pub struct ClientTls {
    /// For the connector; the name to connect to is [`ClientTls::server_name`].
    pub config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
}

impl ClientTls {
    /// TLS 1.3 that trusts nobody else; with the node's certificate (PEM), once it has one.
    pub fn new(trust: Trust, identity: Option<(&str, &NodeKey)>) -> Result<Self, IdentityError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Verifier { provider: Arc::clone(&provider), trust, seen: Mutex::new(None) });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((pem, key)) => builder.with_client_auth_cert(chain(pem)?, key.private_der())?,
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Each connection proves anew who is there.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), verifier })
    }

    /// The name to connect to.
    pub fn server_name() -> ServerName<'static> {
        ServerName::try_from(SERVER_NAME).expect("it is a host name")
    }

    /// Who answered last, also where it was not trusted.
    pub fn seen(&self) -> Option<SeenCa> {
        self.verifier.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityError::Certificate(format!("it is not in PEM: {error}")))
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
    seen: Mutex<Option<SeenCa>>,
}

impl Verifier {
    /// The CA of this chain that is to be trusted.
    fn root<'a>(&'a self, others: &'a [CertificateDer<'a>]) -> Result<&'a CertificateDer<'a>, Error> {
        let stranger = || Error::from(CertificateError::UnknownIssuer);
        let last = others.last().ok_or_else(stranger)?;
        self.note(last);
        match &self.trust {
            Trust::FirstSeen => Ok(last),
            Trust::ByToken(digits) => {
                let fits = |ca: &&CertificateDer<'_>| ContentHash::of(ca).to_string().starts_with(digits.as_str());
                others.iter().rev().find(fits).filter(|_| !digits.is_empty()).ok_or_else(stranger)
            }
            Trust::Pinned(ca) => Ok(ca),
        }
    }

    fn note(&self, ca: &CertificateDer<'_>) {
        let seen = SeenCa { fingerprint: ContentHash::of(ca), certificate: ca.clone().into_owned() };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}

/// Now, or the beginning of the certificate where that is later: a machine without a battery wakes up in the past, and
/// would never reach whoever could tell it the time.
fn not_before_it_began(leaf: &CertificateDer<'_>, now: UnixTime) -> UnixTime {
    let began = X509Certificate::from_der(leaf).ok().map(|(_, parsed)| parsed.validity().not_before.timestamp());
    let began = began.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
    UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs().max(began)))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let root = self.root(others)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone())?;
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let now = not_before_it_began(leaf, now);
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, others, now, algorithms)?;
        verify_server_name(&parsed, &ClientTls::server_name())?;
        self.note(root);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("nodes speak TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
