//! The owner's own certificate: read at the start, and again when its files change.

use super::{Served, Shown, TlsError};
use picloud_model::clock::UnixMs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How often the files are looked at while connections arrive, in milliseconds.
const LOOK_EVERY_MS: i64 = 10_000;
/// Largest certificate or key file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// What everybody on the machine may do, in a mode.
const EVERYBODY: u32 = 0o007;
/// What to do where the files are not right.
const CERT_HINT: &str = "tls_cert is a PEM file with the server's certificate first, then those that vouch for it";
const KEY_HINT: &str = "tls_key is a PEM file with the private key of the first certificate in tls_cert";

/// What tells whether a file is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    inode: u64,
    bytes: u64,
    changed_s: i64,
    changed_ns: i64,
}

/// The two files.
pub(super) struct OwnerFiles {
    cert: PathBuf,
    key: PathBuf,
    marks: Option<[Mark; 2]>,
    looked_at: UnixMs,
}

impl OwnerFiles {
    pub(super) fn new(cert: &Path, key: &Path) -> Self {
        Self { cert: cert.to_owned(), key: key.to_owned(), marks: None, looked_at: UnixMs::MIN }
    }

    /// Whether the files are others than those that were read last.
    pub(super) fn changed(&mut self, now: UnixMs) -> bool {
        if (0..LOOK_EVERY_MS).contains(&now.saturating_sub(self.looked_at)) {
            return false;
        }
        self.looked_at = now;
        let marks = self.marks();
        // Where one is missing, somebody is replacing it.
        marks.is_some() && marks != self.marks
    }

    /// Reads and checks them.
    pub(super) fn read(&mut self, now: UnixMs) -> Result<Shown, TlsError> {
        self.looked_at = now;
        // Before reading: what changes meanwhile is read again.
        let marks = self.marks();
        let cert = read(&self.cert)?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert)
            .collect::<Result<_, _>>()
            .map_err(|error| unfit(&self.cert, format!("cannot be read as PEM: {error}"), CERT_HINT))?;
        if chain.is_empty() {
            return Err(unfit(&self.cert, "holds no certificate".to_owned(), CERT_HINT));
        }
        let mode = std::fs::metadata(&self.key).map(|file| file.permissions().mode()).unwrap_or_default();
        if mode & EVERYBODY != 0 {
            let what = "is a private key that everybody on this machine can read".to_owned();
            return Err(unfit(&self.key, what, "chmod o= FILE"));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| unfit(&self.key, format!("holds no private key in PEM: {error}"), KEY_HINT))?;
        let shown = Shown::new(chain, key, Served::People)
            .map_err(|error| unfit(&self.key, super::no_pair(&error, &self.cert), KEY_HINT))?;
        self.marks = marks;
        Ok(shown)
    }

    fn marks(&self) -> Option<[Mark; 2]> {
        let mark = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some(Mark { inode: file.ino(), bytes: file.len(), changed_s: file.mtime(), changed_ns: file.mtime_nsec() })
        };
        Some([mark(&self.cert)?, mark(&self.key)?])
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::File {
        verb: "read",
        path: path.to_owned(),
        source,
        hint: "it must be readable by the user that the appliance runs as",
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(unfit(path, format!("has {length} bytes, which is no certificate or key"), CERT_HINT));
    }
    std::fs::read(path).map_err(failed)
}

fn unfit(path: &Path, what: String, hint: &'static str) -> TlsError {
    TlsError::Unfit { path: path.to_owned(), what, hint }
}
