//! Nodes' certificates: what they are signed as, and which are taken.

use super::TlsError;
use super::authority::Authority;
use picloud_cluster::identity::{AskedKey, node_certificate};
use picloud_model::clock::UnixMs;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::sync::Arc;

/// How long a node's certificate lasts; the agent renews it after a third of that.
const NODE_CERTIFICATE_MS: i64 = 90 * 24 * 60 * 60 * 1000;

impl Authority {
    /// A certificate in PEM for a node's key, and when it ends.
    pub(super) fn sign_node(&self, key: &AskedKey, now: UnixMs) -> Result<(String, UnixMs), TlsError> {
        let not_after = now.saturating_add(NODE_CERTIFICATE_MS);
        let certificate = node_certificate(&key.id(), now, not_after)?.signed_by(&key.public, &self.issuer)?;
        Ok((certificate.pem(), not_after))
    }

    /// Its certificate in PEM.
    pub(super) fn pem(&self) -> String {
        let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &self.cert);
        let lines: Vec<&str> =
            pem.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }
}

/// Takes certificates of this authority, and nobody's, for strangers have none; what a node may do is looked at in each
/// of its requests.
pub(super) fn verifier(
    ca: &CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}
