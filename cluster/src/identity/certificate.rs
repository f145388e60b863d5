//! What a node's certificate says: `picloud://node/ID`, for the key with that id.

use super::IdentityError;
use super::request::p256;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::node::NodeId;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// What the name in a node's certificate begins with; its id follows.
const NAME_PREFIX: &str = "picloud://node/";
/// By how much the clocks of two machines may differ at the moment a certificate is made.
const BACKDATED_MS: i64 = 2 * 24 * 60 * 60 * 1000;

/// Whoever is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub id: NodeId,
    /// Its key's fingerprint.
    pub fingerprint: ContentHash,
    /// When the certificate ends. TLS looks at this once; a connection may outlast it.
    pub not_after: UnixMs,
}

/// The node whose certificate this is. That it was signed by the right CA is TLS's to check.
pub fn peer_of(certificate: &CertificateDer<'_>) -> Result<Peer, IdentityError> {
    let refused = |why: &str| IdentityError::Certificate(why.to_owned());
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_why| refused("it cannot be read"))?;
    let names = parsed.subject_alternative_name().map_err(|_why| refused("its names cannot be read"))?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let [GeneralName::URI(name)] = names else {
        return Err(refused("it has not the one name picloud://node/ID"));
    };
    let id: NodeId = name
        .strip_prefix(NAME_PREFIX)
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| refused("its name is not picloud://node/ID"))?;
    let spki = parsed.public_key().raw;
    let fingerprint = ContentHash::of(spki);
    if p256(spki).is_none() || NodeId::of(&fingerprint) != id {
        return Err(refused("its name is another key's"));
    }
    Ok(Peer { id, fingerprint, not_after: parsed.validity().not_after.timestamp().saturating_mul(1000) })
}

/// A certificate for this node, to be signed for its key; for clocks that are somewhat behind, too.
pub fn node_certificate(id: &NodeId, now: UnixMs, not_after: UnixMs) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("PiCloud node {id}"));
    params.subject_alt_names.push(SanType::URI(Ia5String::try_from(format!("{NAME_PREFIX}{id}"))?));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = time_of(now.saturating_sub(BACKDATED_MS), params.not_before);
    params.not_after = time_of(not_after, params.not_after);
    Ok(params)
}

/// The time in rcgen's type, whose crate is not ours to name.
fn time_of<T: TryFrom<std::time::SystemTime>>(at: UnixMs, otherwise: T) -> T {
    let since_epoch = std::time::Duration::from_secs(u64::try_from(at / 1000).unwrap_or(0));
    T::try_from(std::time::UNIX_EPOCH + since_epoch).unwrap_or(otherwise)
}

/// The certificate of a CA from its PEM.
pub fn ca_of_pem(pem: &str) -> Result<CertificateDer<'static>, IdentityError> {
    let refused = |why: String| IdentityError::Ca(why);
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| refused(error.to_string()))?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|_why| refused("it cannot be read".to_owned()))?;
    if !parsed.is_ca() {
        return Err(refused("it may not sign others".to_owned()));
    }
    drop(parsed);
    Ok(der)
}
