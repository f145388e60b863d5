//! What the admin API shows of itself over the network: a certificate of the appliance's own authority, or its owner's.
//! To nodes it is always the own one, and of them it asks for theirs, which the same authority signed.
//!
//! Nothing here waits for a time to come: whether the certificate still fits is looked at when a connection arrives.

mod authority;
pub(super) mod names;
mod nodes;
mod owner;

use super::HttpsError;
use authority::{Authority, Both};
use owner::OwnerFiles;
use picloud_cluster::identity::{AskedKey, SERVER_NAME};
use picloud_model::clock::{Clock, UnixMs};
use picloud_model::hash::ContentHash;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{verb} `{}`: {source}\nhint: {hint}", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// A file is not what it should be.
    #[error("`{}` {what}\nhint: {hint}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// Only one of the owner's two files is set.
    #[error("`{set}` is set, but `{missing}` is not\nhint: set both, the certificate and its key, or neither")]
    Half {
        /// The setting that is there.
        set: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// A certificate could not be made.
    #[error("make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// A node's certificate could not be made.
    #[error(transparent)]
    Node(#[from] picloud_cluster::identity::IdentityError),
}

/// A chain and its key, as TLS is served with them.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

/// Who is served.
#[derive(Clone, Copy)]
enum Served<'a> {
    /// People and programs, by their API keys.
    People,
    /// Nodes, by certificates of this authority; strangers have none yet.
    Nodes(&'a CertificateDer<'static>),
}

impl Shown {
    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        served: Served<'_>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let mut config = match served {
            Served::People => builder.with_no_client_auth(),
            Served::Nodes(ca) => builder.with_client_cert_verifier(nodes::verifier(ca, provider)?),
        }
        .with_single_cert(chain.clone(), key)?;
        config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
        Ok(Self { chain, config: Arc::new(config) })
    }
}

/// What HTTP/2 is called in a handshake.
pub(super) const H2: &[u8] = b"h2";

/// The own authority of the files in `keys`, made where they are not there: both files as one.
pub(crate) fn make_authority(keys: &Path, node: &str, now: UnixMs) -> Result<Zeroizing<Vec<u8>>, HttpsError> {
    Authority::open(keys, node, now)?;
    let (cert, key) = (authority::read(&keys.join("ca.crt"))?, authority::read(&keys.join("ca.key"))?);
    Ok(crate::nodes::authority::joined(&cert.unwrap_or_default(), &Zeroizing::new(key.unwrap_or_default())))
}

/// The owner's certificate, and its files.
struct Owners {
    files: OwnerFiles,
    shown: Shown,
}

/// What is shown now.
struct Current {
    signer: authority::Signer,
    own: Both,
    owners: Option<Owners>,
}

/// The certificates that are shown, renewed when they no longer fit.
pub struct Tls {
    clock: Arc<dyn Clock>,
    authority: Arc<Authority>,
    current: Mutex<Current>,
    is_own: bool,
}

impl Tls {
    /// Shows people the owner's certificate where both files are set. The appliance's own authority, whose files are in
    /// `keys` and are made at the first start, vouches for everything else.
    pub fn open(
        keys: &Path,
        cert: Option<&Path>,
        key: Option<&Path>,
        node: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let now = clock.now_ms();
        let owners = match (cert, key) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                let mut files = OwnerFiles::new(cert, key);
                let shown = files.read(now)?;
                Some(Owners { files, shown })
            }
            (Some(_), None) => return Err(TlsError::Half { set: "tls_cert", missing: "tls_key" }),
            (None, Some(_)) => return Err(TlsError::Half { set: "tls_key", missing: "tls_cert" }),
        };
        let authority = Arc::new(Authority::open(keys, node, now)?);
        let mut signer = authority::Signer::new(Arc::clone(&authority), node);
        let (own, is_own) = (signer.sign(now)?, owners.is_none());
        Ok(Self { clock, authority, current: Mutex::new(Current { signer, own, owners }), is_own })
    }

    /// What a connection to this address of ours is served with, by the name that the client asks for.
    pub fn config(&self, reached: IpAddr, name: Option<&str>) -> Arc<ServerConfig> {
        let now = self.clock.now_ms();
        let mut current = self.current();
        // The one before serves on: a warning is more use than an appliance that nobody reaches.
        if let Err(error) = current.renew(reached, now) {
            tracing::warn!(%error, "the certificate of the admin API could not be renewed");
        }
        let shown = match (&current.owners, name) {
            (_, Some(SERVER_NAME)) => &current.own.nodes,
            (Some(owners), _) => &owners.shown,
            (None, _) => &current.own.people,
        };
        Arc::clone(&shown.config)
    }

    /// SHA-256 of the certificate that vouches for the one that people are shown: what clients pin.
    pub fn fingerprint(&self) -> ContentHash {
        let current = self.current();
        let shown = current.owners.as_ref().map_or(&current.own.people, |owners| &owners.shown);
        ContentHash::of(shown.chain.last().map_or(&[], |root| root))
    }

    /// SHA-256 of the own authority's certificate: what nodes pin.
    pub fn ca_fingerprint(&self) -> ContentHash {
        ContentHash::of(&self.authority.cert)
    }

    /// The own authority's certificate in PEM.
    pub fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    /// A certificate in PEM for a node's key, and when it ends.
    pub fn sign_node(&self, key: &AskedKey) -> Result<(String, UnixMs), TlsError> {
        self.authority.sign_node(key, self.clock.now_ms())
    }

    /// `own` or `owner`: whose certificate people are shown.
    pub fn kind(&self) -> &'static str {
        if self.is_own { "own" } else { "owner" }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// Replaces what does not fit any more.
    fn renew(&mut self, reached: IpAddr, now: UnixMs) -> Result<(), TlsError> {
        if !self.signer.fits(reached, now) {
            self.signer.add(reached);
            self.own = self.signer.sign(now)?;
        }
        if let Some(owners) = &mut self.owners
            && owners.files.changed(now)
        {
            owners.shown = owners.files.read(now)?;
        }
        Ok(())
    }
}

/// Why a key and a certificate do not go together.
fn no_pair(error: &rustls::Error, cert: &Path) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("is not the key of the first certificate in `{}`", cert.display())
        }
        other => format!("cannot be used with `{}`: {other}", cert.display()),
    }
}

#[cfg(test)]
mod tests;
