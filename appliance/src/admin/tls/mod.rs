//! What the admin API shows of itself over the network: a certificate of the appliance's own authority, or its owner's.
//!
//! Nothing here waits for a time to come: whether the certificate still fits is looked at when a connection arrives.

mod authority;
pub(super) mod names;
mod owner;

use authority::Authority;
use owner::OwnerFiles;
use picloud_model::clock::{Clock, UnixMs};
use picloud_model::hash::ContentHash;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
}

/// A chain and its key, as TLS is served with them.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

impl Shown {
    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { chain, config: Arc::new(config) })
    }
}

/// Where certificates come from.
enum Source {
    Own(Box<authority::Signer>),
    Owner(OwnerFiles),
}

/// The certificate that is shown, renewed when it no longer fits.
pub struct Tls {
    clock: Arc<dyn Clock>,
    current: Mutex<(Source, Shown)>,
    is_own: bool,
}

impl Tls {
    /// Uses the owner's certificate where both files are set, else the appliance's own authority, whose files are in
    /// `keys` and are made at the first start.
    pub fn open(
        keys: &Path,
        cert: Option<&Path>,
        key: Option<&Path>,
        node: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let now = clock.now_ms();
        let (source, shown) = match (cert, key) {
            (None, None) => {
                let mut signer = authority::Signer::new(Authority::open(keys, node, now)?, node);
                let shown = signer.sign(now)?;
                (Source::Own(Box::new(signer)), shown)
            }
            (Some(cert), Some(key)) => {
                let mut files = OwnerFiles::new(cert, key);
                let shown = files.read(now)?;
                (Source::Owner(files), shown)
            }
            (Some(_), None) => return Err(TlsError::Half { set: "tls_cert", missing: "tls_key" }),
            (None, Some(_)) => return Err(TlsError::Half { set: "tls_key", missing: "tls_cert" }),
        };
        let is_own = matches!(source, Source::Own(_));
        Ok(Self { clock, current: Mutex::new((source, shown)), is_own })
    }

    /// What a connection to this address of ours is served with.
    pub fn config(&self, reached: IpAddr) -> Arc<ServerConfig> {
        let now = self.clock.now_ms();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (source, shown) = &mut *current;
        match source.renewed(reached, now) {
            Ok(None) => {}
            Ok(Some(renewed)) => *shown = renewed,
            // The one before serves on: a warning is more use than an appliance that nobody reaches.
            Err(error) => tracing::warn!(%error, "the certificate of the admin API could not be renewed"),
        }
        Arc::clone(&shown.config)
    }

    /// SHA-256 of the certificate that vouches for the others: what clients pin.
    pub fn fingerprint(&self) -> ContentHash {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        ContentHash::of(current.1.chain.last().map_or(&[], |root| root))
    }

    /// `own` or `owner`: whose certificate it is.
    pub fn kind(&self) -> &'static str {
        if self.is_own { "own" } else { "owner" }
    }
}

impl Source {
    /// Another certificate, where the one that is shown does not fit any more.
    fn renewed(&mut self, reached: IpAddr, now: UnixMs) -> Result<Option<Shown>, TlsError> {
        match self {
            Self::Own(signer) => {
                if signer.fits(reached, now) {
                    return Ok(None);
                }
                signer.add(reached);
                signer.sign(now).map(Some)
            }
            Self::Owner(files) => {
                if files.changed(now) {
                    files.read(now).map(Some)
                } else {
                    Ok(None)
                }
            }
        }
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
