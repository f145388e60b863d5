//! The appliance's own authority: a key and a certificate made at the first start and kept, and what it signs.

use super::names;
use super::{Served, Shown, TlsError};
use picloud_cluster::identity::SERVER_NAME;
use picloud_cluster::private_file;
use picloud_model::clock::UnixMs;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long the authority lasts: clients pin it, and would have to be told of another.
const AUTHORITY_YEARS: i16 = 30;
/// How long a server certificate lasts; a year and a month is the most that clients accept.
const SERVER_DAYS: i64 = 90;
/// How old one gets before it is replaced.
const RENEWED_AFTER_DAYS: i64 = 30;
/// By how much a client's clock may be behind ours.
const BACKDATED_DAYS: i64 = 2;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The authority.
pub(super) struct Authority {
    pub(super) cert: CertificateDer<'static>,
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads it from `folder`, or makes it where neither of its files is there.
    pub(super) fn open(folder: &Path, node: &str, now: UnixMs) -> Result<Self, TlsError> {
        let (cert_path, key_path) = (folder.join("ca.crt"), folder.join("ca.key"));
        let mut cert = read(&cert_path)?;
        let key = read(&key_path)?;
        if cert.is_none() && key.is_some() && private_file::unfinished(&cert_path).exists() {
            // The first start was cut off between its two files.
            private_file::put_in_place(&cert_path).map_err(write_error(&cert_path))?;
            cert = read(&cert_path)?;
        }
        match (cert, key) {
            (Some(cert), Some(key)) => Self::of(&cert, &cert_path, &key, &key_path),
            (None, None) => Self::make(&cert_path, &key_path, node, now),
            (Some(_), None) => Err(half(key_path)),
            (None, Some(_)) => Err(half(cert_path)),
        }
    }

    fn of(cert: &[u8], cert_path: &Path, key: &[u8], key_path: &Path) -> Result<Self, TlsError> {
        let cert = CertificateDer::from_pem_slice(cert)
            .map_err(|error| damaged(cert_path, format!("holds no certificate in PEM: {error}")))?;
        let key = std::str::from_utf8(key).ok().and_then(|text| KeyPair::from_pem(text).ok());
        let key = key.ok_or_else(|| damaged(key_path, "holds no private key in PEM".to_owned()))?;
        // TLS itself refuses a key that is not the certificate's.
        Shown::new(vec![cert.clone()], der_of(&key), Served::People)
            .map_err(|error| damaged(key_path, super::no_pair(&error, cert_path)))?;
        let issuer = Issuer::from_ca_cert_der(&cert, key)
            .map_err(|error| damaged(cert_path, format!("is no certificate of an authority: {error}")))?;
        Ok(Self { cert, issuer })
    }

    fn make(cert_path: &Path, key_path: &Path, node: &str, now: UnixMs) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("PiCloud of {node}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let today = day(now);
        // A machine without a battery clock may think it is long ago when it makes this.
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(i32::from(today.year().max(2026) + AUTHORITY_YEARS), 1, 1);
        let cert = params.self_signed(&key)?;
        for (path, text) in [(cert_path, cert.pem()), (key_path, key.serialize_pem())] {
            private_file::prepare(path, text.as_bytes()).map_err(write_error(path))?;
        }
        for path in [key_path, cert_path] {
            private_file::put_in_place(path).map_err(write_error(path))?;
        }
        let cert = cert.der().clone();
        Ok(Self { issuer: Issuer::from_ca_cert_der(&cert, key)?, cert })
    }
}

/// Signs the server's certificates, and knows what the one in use holds.
pub(super) struct Signer {
    authority: Arc<Authority>,
    node: String,
    /// Beyond those of the interfaces: addresses that somebody reached us at.
    reached: BTreeSet<IpAddr>,
    addresses: BTreeSet<IpAddr>,
    signed_at: UnixMs,
}

impl Signer {
    pub(super) fn new(authority: Arc<Authority>, node: &str) -> Self {
        Self {
            authority,
            node: node.to_owned(),
            reached: BTreeSet::new(),
            addresses: BTreeSet::new(),
            signed_at: UnixMs::MIN,
        }
    }

    /// Whether the certificate in use is for this address and of this time.
    pub(super) fn fits(&self, reached: IpAddr, now: UnixMs) -> bool {
        let age = now.saturating_sub(self.signed_at);
        // A clock that was set back makes it one of the future.
        self.addresses.contains(&reached) && (-DAY_MS..RENEWED_AFTER_DAYS * DAY_MS).contains(&age)
    }

    /// The next certificate is for this address, too.
    pub(super) fn add(&mut self, reached: IpAddr) {
        if self.reached.len() >= names::ADDRESSES_MAX {
            self.reached.pop_first();
        }
        self.reached.insert(reached);
    }

    /// A new certificate with a new key, as people and as nodes see it; the key is never written anywhere.
    pub(super) fn sign(&mut self, now: UnixMs) -> Result<Both, TlsError> {
        let mut addresses = names::addresses();
        addresses.extend(&self.reached);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("PiCloud on {}", self.node));
        for name in names::names(&self.node).into_iter().chain([SERVER_NAME.to_owned()]) {
            params.subject_alt_names.push(SanType::DnsName(Ia5String::try_from(name)?));
        }
        params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let date = |at: UnixMs| {
            let date = day(at);
            rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        params.not_before = date(now - BACKDATED_DAYS * DAY_MS);
        params.not_after = date(now + SERVER_DAYS * DAY_MS);
        let cert = params.signed_by(&key, &self.authority.issuer)?;
        let chain = vec![cert.der().clone(), self.authority.cert.clone()];
        let shown = |served| {
            Shown::new(chain.clone(), der_of(&key), served).expect("a certificate is for the key it was made with")
        };
        let both = Both { people: shown(Served::People), nodes: shown(Served::Nodes(&self.authority.cert)) };
        self.addresses = addresses;
        self.signed_at = now;
        Ok(both)
    }
}

/// One certificate, as people and as nodes see it.
pub(super) struct Both {
    pub(super) people: Shown,
    pub(super) nodes: Shown,
}

fn day(at: UnixMs) -> jiff::civil::Date {
    // Outside of what a calendar holds, the day does not matter any more.
    let time = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn der_of(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(key.serialize_der().into())
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, TlsError> {
    private_file::read_secret(path).map_err(|source| TlsError::File {
        verb: "read",
        path: path.to_owned(),
        source,
        hint: "it belongs to the appliance: give it to the user that the appliance runs as",
    })
}

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> TlsError {
    move |source| TlsError::File {
        verb: "write",
        path: path.to_owned(),
        source,
        hint: "the data folder must be writable and have room",
    }
}

fn half(missing: PathBuf) -> TlsError {
    TlsError::Unfit {
        path: missing,
        what: "is missing, but the other half of the appliance's authority is there".to_owned(),
        hint: "restore it from a backup; or remove both, then every client has to be told the new fingerprint",
    }
}

fn damaged(path: &Path, what: String) -> TlsError {
    TlsError::Unfit {
        path: path.to_owned(),
        what,
        hint: "restore ca.crt and ca.key from a backup; or remove both, then every client has to be told the new fingerprint",
    }
}
