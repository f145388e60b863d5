//! Certificate requests: of one, only the key is taken, and that it was signed with that key.

use super::IdentityError;
use picloud_model::hash::ContentHash;
use picloud_model::node::NodeId;
use rcgen::SubjectPublicKeyInfo;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// Largest request that is looked at, in bytes of PEM; one for a P-256 key has about 400.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// The key that a certificate is asked for.
#[derive(Debug)]
pub struct AskedKey {
    /// Its fingerprint.
    pub fingerprint: ContentHash,
    /// The key, to be signed with `CertificateParams::signed_by`.
    pub public: SubjectPublicKeyInfo,
}

impl AskedKey {
    /// The id of the node that has it.
    pub fn id(&self) -> NodeId {
        NodeId::of(&self.fingerprint)
    }
}

/// The key of a certificate request in PEM. Whoever made it has the private half; whatever else it asks for is ignored.
pub fn csr_key(pem: &str) -> Result<AskedKey, IdentityError> {
    let refused = |why: &str| IdentityError::Request(why.to_owned());
    if pem.len() > REQUEST_BYTES_MAX {
        return Err(refused(&format!("it has {} bytes, more than {REQUEST_BYTES_MAX}", pem.len())));
    }
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
        .map_err(|_why| refused("it is not in PEM (-----BEGIN CERTIFICATE REQUEST-----)"))?;
    let (left_over, request) = X509CertificationRequest::from_der(&der).map_err(|_why| refused("it cannot be read"))?;
    if !left_over.is_empty() {
        return Err(refused("something follows it"));
    }
    request.verify_signature().map_err(|_why| refused("it is not signed with the key it names"))?;
    let spki = request.certification_request_info.subject_pki.raw;
    let public = p256(spki).ok_or_else(|| refused("its key is not of the kind ECDSA P-256"))?;
    Ok(AskedKey { fingerprint: ContentHash::of(spki), public })
}

/// The key, where it is of the one kind that nodes have, written in the one way that there is.
pub(super) fn p256(spki: &[u8]) -> Option<SubjectPublicKeyInfo> {
    let key = SubjectPublicKeyInfo::from_der(spki).ok()?;
    // Another form of the same key would be another node.
    let is_canonical = rcgen::PublicKeyData::subject_public_key_info(&key) == spki;
    let is_p256 = rcgen::PublicKeyData::algorithm(&key) == &rcgen::PKCS_ECDSA_P256_SHA256;
    let is_uncompressed = rcgen::PublicKeyData::der_bytes(&key).first() == Some(&4);
    (is_canonical && is_p256 && is_uncompressed).then_some(key)
}
