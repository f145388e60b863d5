//! A node's key: made once, kept in a file that only its owner reads, never sent anywhere.

use super::IdentityError;
use picloud_model::hash::ContentHash;
use picloud_model::node::NodeId;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::PrivateKeyDer;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Of the file.
const FILE_MODE: u32 = 0o600;
/// Of its folder, where it is made.
const FOLDER_MODE: u32 = 0o700;
/// What others than the owner may do, in a mode.
const OTHERS: u32 = 0o077;
/// Largest file that is read as a key, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A node's key (ECDSA P-256).
pub struct NodeKey {
    pair: KeyPair,
    fingerprint: ContentHash,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeKey").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl NodeKey {
    /// A new one, in memory only.
    pub fn make() -> Result<Self, IdentityError> {
        Ok(Self::of(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    fn of(pair: KeyPair) -> Self {
        let fingerprint = ContentHash::of(&pair.subject_public_key_info());
        Self { pair, fingerprint }
    }

    /// The one in this file, which is made where it is not there. One that others could read is closed to them.
    pub fn open(path: &Path) -> Result<Self, IdentityError> {
        if let Some(key) = Self::read(path)? {
            return Ok(key);
        }
        let key = Self::make()?;
        match key.write(path) {
            Ok(()) => Ok(key),
            // Somebody else was making one at the same time: there is one node here, and that is it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Self::read(path)?.ok_or_else(|| IdentityError::NoKey { path: path.to_owned() })
            }
            Err(source) => Err(IdentityError::File { verb: "write", path: path.to_owned(), source }),
        }
    }

    /// The one in this file, `None` where there is no file.
    pub fn read(path: &Path) -> Result<Option<Self>, IdentityError> {
        let failed = |source| IdentityError::File { verb: "read", path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & OTHERS != 0 {
            tracing::warn!(
                file = %path.display(), mode = format!("{:o}", mode & 0o777),
                "others could read this node's key; now only its owner can"
            );
            file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(failed)?;
        }
        let mut text = Zeroizing::new(String::new());
        let no_key = || IdentityError::NoKey { path: path.to_owned() };
        file.take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| if error.kind() == ErrorKind::InvalidData { no_key() } else { failed(error) })?;
        let pair = KeyPair::from_pem(&text).ok().filter(|pair| pair.is_compatible(&PKCS_ECDSA_P256_SHA256));
        Ok(Some(Self::of(pair.ok_or_else(no_key)?)))
    }

    /// Writes it beside its place and then puts it there, where nothing is yet: half a key is never seen, and of two
    /// that are made at once one stays.
    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        // Another process writes another file; one that was cut off left half of one.
        name.push(format!(".{}.new", std::process::id()));
        let unfinished = path.with_file_name(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&unfinished)?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.write_all(Zeroizing::new(self.pair.serialize_pem()).as_bytes())?;
        file.sync_all()?;
        let placed = std::fs::hard_link(&unfinished, path);
        std::fs::remove_file(&unfinished)?;
        placed?;
        File::open(folder)?.sync_all()
    }

    /// SHA-256 of the public key (SubjectPublicKeyInfo, DER).
    pub fn fingerprint(&self) -> ContentHash {
        self.fingerprint
    }

    /// The id of the node that has it.
    pub fn id(&self) -> NodeId {
        NodeId::of(&self.fingerprint)
    }

    /// A certificate request in PEM. It says nothing but the key, and that whoever asks has it.
    pub fn csr_pem(&self) -> Result<String, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        Ok(params.serialize_request(&self.pair)?.pem()?)
    }

    /// The private half, for TLS.
    pub(super) fn private_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.pair.serialize_der().into())
    }
}
