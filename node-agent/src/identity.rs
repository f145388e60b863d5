//! Who this node is, on the disk: its key, and whom it belongs to.
//!
//! The key is made once and is the node. Certificate, CA and name are one file, so that a power cut leaves those of
//! before or those of after, never some of each.

use picloud_cluster::identity::{IdentityError, NodeKey, ca_of_pem, peer_of};
use picloud_cluster::private_file;
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::join_token::TokenParts;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Largest of these files.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Addresses of appliances that are remembered.
pub const REMEMBERED_MAX: usize = 16;

/// A node that is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its certificate in PEM.
    pub certificate: String,
    /// The CA in PEM: the one that it trusts from now on.
    pub ca: String,
    /// What it is called.
    pub name: String,
    /// Where appliances of that CA answered, `host:port`, the best first.
    pub appliances: Vec<String>,
}

impl Member {
    /// The CA's certificate.
    pub fn ca_der(&self) -> Result<CertificateDer<'static>, IdentityError> {
        ca_of_pem(&self.ca)
    }

    /// SHA-256 of the CA's certificate.
    pub fn ca_fingerprint(&self) -> Option<ContentHash> {
        self.ca_der().ok().map(|ca| ContentHash::of(&ca))
    }

    /// When its certificate ends; `None` where it cannot be read.
    pub fn expires_at(&self) -> Option<UnixMs> {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).ok()?;
        peer_of(&der).ok().map(|peer| peer.not_after)
    }

    /// With `address` as the first of the remembered ones. Answers whether that changed anything.
    pub fn remember(&mut self, first: &str, others: &[String]) -> bool {
        let before = self.appliances.clone();
        let mut all = vec![first.to_owned()];
        for address in others.iter().chain(&before) {
            if !all.contains(address) && all.len() < REMEMBERED_MAX {
                all.push(address.clone());
            }
        }
        self.appliances = all;
        self.appliances != before
    }
}

/// Whom a node belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Belonging {
    /// To nobody.
    Nobody,
    /// To an appliance, or several with one CA.
    Member(Member),
    /// It was removed, and is not let in again with this key.
    Retired {
        /// The appliance that said so.
        appliance: String,
        /// When.
        at: UnixMs,
    },
}

/// What `picloud-node join` was told, until the node is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Told {
    /// Where to ask, `host:port`.
    pub appliance: Vec<String>,
    /// With which token.
    pub token: Option<String>,
}

/// Why the node does not know who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
    /// The key.
    #[error(transparent)]
    Key(#[from] IdentityError),
    /// A file cannot be read or written.
    #[error("{verb} `{}`: {source}\nhint: the folder must belong to the user that runs picloud-node", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("`{}` cannot be understood: {source}\nhint: `picloud-node reset` forgets it; the node then asks to join anew", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: serde_json::Error,
    },
    /// A file holds no join token.
    #[error("`{}`: {source}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: picloud_model::join_token::BadToken,
    },
}

/// The files.
#[derive(Clone, Debug)]
pub struct IdentityFiles {
    folder: PathBuf,
}

impl IdentityFiles {
    /// Those of this data folder.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("identity") }
    }

    /// The node's key; made where there is none.
    pub fn key(&self) -> Result<NodeKey, IdentityFileError> {
        Ok(NodeKey::open(&self.folder.join("node.key"))?)
    }

    /// The node's key, where there is one. For everybody but the agent, which alone makes it.
    pub fn key_if_made(&self) -> Result<Option<NodeKey>, IdentityFileError> {
        Ok(NodeKey::read(&self.folder.join("node.key"))?)
    }

    /// Whom it belongs to.
    pub fn belonging(&self) -> Result<Belonging, IdentityFileError> {
        Ok(self.read("member.json")?.unwrap_or(Belonging::Nobody))
    }

    /// Writes down whom it belongs to.
    pub fn set_belonging(&self, belonging: &Belonging) -> Result<(), IdentityFileError> {
        self.write("member.json", belonging)?;
        if matches!(belonging, Belonging::Member(_)) { self.set_told(None) } else { Ok(()) }
    }

    /// What `picloud-node join` was told.
    pub fn told(&self) -> Result<Option<Told>, IdentityFileError> {
        self.read("join.json")
    }

    /// Writes that down, or forgets it.
    pub fn set_told(&self, told: Option<&Told>) -> Result<(), IdentityFileError> {
        match told {
            Some(told) => self.write("join.json", told),
            None => {
                let path = self.folder.join("join.json");
                private_file::remove(&path).map_err(|source| IdentityFileError::File { verb: "remove", path, source })
            }
        }
    }

    /// Where that is written down, and how: for whoever prepares a machine that does not run yet.
    pub fn told_file(&self, told: &Told) -> (PathBuf, Vec<u8>) {
        (self.folder.join("join.json"), bytes_of(told))
    }

    /// Forgets everything, the key as well.
    pub fn forget(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, IdentityFileError> {
        let path = self.folder.join(name);
        let read = private_file::read(&path, FILE_BYTES_MAX);
        let bytes = read.map_err(|source| IdentityFileError::File { verb: "read", path: path.clone(), source })?;
        let Some(bytes) = bytes else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| IdentityFileError::Content { path, source })
    }

    fn write(&self, name: &str, what: &impl Serialize) -> Result<(), IdentityFileError> {
        let path = self.folder.join(name);
        private_file::write(&path, &bytes_of(what)).map_err(|source| IdentityFileError::File {
            verb: "write",
            path,
            source,
        })
    }
}

fn bytes_of(what: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(what).expect("texts and numbers are always JSON")
}

/// The join token that a file holds.
pub fn token_in(path: &Path) -> Result<TokenParts, IdentityFileError> {
    let failed = |source| IdentityFileError::File { verb: "read", path: path.to_owned(), source };
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let bytes = private_file::read(path, FILE_BYTES_MAX).map_err(failed)?.ok_or_else(missing).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    text.parse().map_err(|source| IdentityFileError::Token { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_remembers_who_it_is_and_a_broken_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let files = IdentityFiles::of(dir.path());
        let key = files.key().unwrap().fingerprint();
        assert_eq!(files.key().unwrap().fingerprint(), key, "the key is made once");
        assert_eq!(files.belonging().unwrap(), Belonging::Nobody);
        files.set_told(Some(&Told { appliance: vec!["pi:8443".to_owned()], token: None })).unwrap();
        let member =
            Member { certificate: "c".to_owned(), ca: "a".to_owned(), name: "pi2".to_owned(), appliances: Vec::new() };
        files.set_belonging(&Belonging::Member(member.clone())).unwrap();
        assert_eq!(files.belonging().unwrap(), Belonging::Member(member));
        assert_eq!(files.told().unwrap(), None, "who is let in needs not be told where to ask");
        std::fs::write(dir.path().join("identity/member.json"), "{").unwrap();
        assert!(files.belonging().unwrap_err().to_string().contains("picloud-node reset"));
        files.forget().unwrap();
        files.forget().unwrap();
        assert_ne!(files.key().unwrap().fingerprint(), key, "a node that was reset is another");
    }

    #[test]
    fn the_address_that_answered_last_is_the_first_to_be_dialled() {
        let mut member =
            Member { certificate: String::new(), ca: String::new(), name: String::new(), appliances: Vec::new() };
        assert!(member.remember("a:1", &["b:1".to_owned()]));
        assert!(!member.remember("a:1", &[]));
        assert!(member.remember("c:1", &["b:1".to_owned()]));
        assert_eq!(member.appliances, ["c:1", "b:1", "a:1"]);
    }
}
