//! HTTPS: who is at the other end. An appliance has a CA of its own, which is pinned; one with a certificate of its
//! owner may also be vouched for by the authorities that this machine trusts.

use super::pin::Pin;
use crate::failure::Failure;
use crate::output::Output;
use crate::place::Url;
use picloud_model::ContentHash;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Speaks TLS over a connection, with the appliance that `pin` means or with nobody.
pub(super) async fn secure(
    stream: TcpStream,
    url: &Url,
    pin: &Pin,
    output: &Output,
) -> Result<TlsStream<TcpStream>, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        Arc::new(Verifier { provider: Arc::clone(&provider), expected: pin.expected(), seen: Mutex::new(None) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::other(format!("TLS cannot be set up: {error}"), None))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(url.host.clone())
        .map_err(|_no_name| Failure::usage(format!("`{}` is no host name", url.host), "write https://HOST:PORT"))?;
    let outcome = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let seen = verifier.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (outcome, seen) {
        (Ok(_), Some(Seen::Another(ca))) | (Err(_), Some(Seen::Another(ca))) => Err(pin.differs(ca)),
        (Ok(stream), Some(Seen::Ca(ca))) => {
            // Before anything is said, the key above all.
            if let Some(news) = pin.met(ca)? {
                output.aside(&news);
            }
            Ok(stream)
        }
        (Ok(stream), Some(Seen::Vouched) | None) => Ok(stream),
        (Err(error), _) => Err(explain(&error, url)),
    }
}

/// What the other end turned out to be.
enum Seen {
    /// The CA to trust, or one met for the first time.
    Ca(ContentHash),
    /// Another than the one to trust.
    Another(ContentHash),
    /// Vouched for by an authority that this machine trusts.
    Vouched,
}

struct Verifier {
    provider: Arc<CryptoProvider>,
    expected: Option<ContentHash>,
    seen: Mutex<Option<Seen>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// What a server showed, and what it must be good for.
struct Shown<'a> {
    leaf: &'a CertificateDer<'a>,
    others: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
    now: UnixTime,
}

impl Verifier {
    fn judge(&self, shown: &Shown<'_>) -> Result<Seen, Error> {
        let root = match self.expected {
            Some(expected) => {
                let mut chain = shown.others.iter().rev().chain([shown.leaf]);
                match chain.find(|certificate| hash(certificate) == expected) {
                    Some(root) => root,
                    None => return Ok(Seen::Another(hash(shown.others.last().unwrap_or(shown.leaf)))),
                }
            }
            None if self.is_signed_by(&authorities(), shown).is_ok() => {
                verify_server_name(&ParsedCertificate::try_from(shown.leaf)?, shown.name)?;
                return Ok(Seen::Vouched);
            }
            None => shown.others.last().unwrap_or(shown.leaf),
        };
        // A certificate that stands for itself has no chain to look at.
        if root != shown.leaf {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone())?;
            self.is_signed_by(&roots, shown)?;
        }
        verify_server_name(&ParsedCertificate::try_from(shown.leaf)?, shown.name)?;
        Ok(Seen::Ca(hash(root)))
    }

    fn is_signed_by(&self, roots: &RootCertStore, shown: &Shown<'_>) -> Result<(), Error> {
        let leaf = ParsedCertificate::try_from(shown.leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, roots, shown.others, shown.now, algorithms)
    }
}

/// The authorities this machine trusts; those that cannot be read vouch for nobody.
fn authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn hash(certificate: &CertificateDer<'_>) -> ContentHash {
    ContentHash::of(certificate.as_ref())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = self.judge(&Shown { leaf, others, name, now })?;
        let is_another = matches!(seen, Seen::Another(_));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        if is_another {
            return Err(CertificateError::UnknownIssuer.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
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

/// Why there is no TLS, by what to do about it.
fn explain(error: &io::Error, url: &Url) -> Failure {
    let place = url.authority();
    let refused = |message: String, hint: &str| Failure::Refused { message, hint: hint.to_owned() };
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) => refused(
            format!("the certificate of {place} is not for `{}` but for {}", url.host, names(presented)),
            "use one of these in --url",
        ),
        Some(Error::InvalidCertificate(CertificateError::NotValidForName)) => refused(
            format!("the certificate of {place} is not for `{}`", url.host),
            "use the name or address it was made for in --url",
        ),
        Some(Error::InvalidCertificate(
            why @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }),
        )) => refused(
            format!("the certificate of {place} does not hold now: {why}"),
            "compare the clocks of both machines; an appliance renews its own certificate by itself",
        ),
        Some(Error::InvalidCertificate(why)) => refused(
            format!("the certificate of {place} proves nothing: {why}"),
            "somebody may be reading along, or something that is no appliance answers there",
        ),
        Some(Error::InvalidMessage(_)) => Failure::Unreachable {
            message: format!("what answers at {place} does not speak HTTPS"),
            hint: "the admin API of an appliance is at the port of its setting admin-addr, 8443 by default".to_owned(),
        },
        _ => Failure::Unreachable {
            message: format!("no encrypted connection to {place}: {error}"),
            hint: "is it a PiCloud appliance? its admin API is at port 8443 by default".to_owned(),
        },
    }
}

/// The names of a certificate, which come as `DnsName("pi.local")` or `IpAddress(127.0.0.1)`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_kind, rest)| rest.strip_suffix(')')).unwrap_or(name);
        format!("`{}`", inner.trim_matches('"'))
    };
    if presented.is_empty() {
        "no name at all".to_owned()
    } else {
        presented.iter().map(bare).collect::<Vec<_>>().join(", ")
    }
}
