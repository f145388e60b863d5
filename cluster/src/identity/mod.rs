//! Who is at the other end: a node's key, what certificates say, and whom TLS trusts.
//!
//! A node *is* its key ([`NodeKey`]): its id and its fingerprint are hashes of the public half. An appliance is its CA,
//! whose hash is what people compare and tokens carry. Certificates only tie a connection to one of the two.

mod certificate;
mod key;
mod request;
mod trust;

pub use certificate::{Peer, ca_of_pem, node_certificate, peer_of};
pub use key::NodeKey;
pub use request::{AskedKey, csr_key};
pub use trust::{ClientTls, SERVER_NAME, SeenCa, Trust};

use picloud_model::hash::ContentHash;
use std::path::PathBuf;

/// How many groups of a fingerprint people compare: 128 bits.
pub const GROUPS_FOR_PEOPLE: usize = 8;
/// Digits of a group.
const GROUP_DIGITS: usize = 4;

/// Why something is no proof of anybody.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("{verb} `{}`: {source}\nhint: it must belong to the user that runs this program", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no key of a node.
    #[error("`{}` holds no P-256 private key in PEM\nhint: restore it from a backup, or remove it: the node is then another, and joins as a stranger", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A certificate request that proves nothing.
    #[error("this is no certificate request of a node: {0}")]
    Request(String),
    /// A certificate that is no node's.
    #[error("this is no certificate of a node: {0}")]
    Certificate(String),
    /// No CA's certificate in PEM.
    #[error("this is no certificate of a CA in PEM: {0}")]
    Ca(String),
    /// A key or certificate could not be made.
    #[error("make a key or a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// TLS refuses what it was given.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// The beginning of a fingerprint as people compare it: `2cf2 4dba …`, [`GROUPS_FOR_PEOPLE`] groups.
pub fn fingerprint_groups(fingerprint: &ContentHash) -> String {
    groups(&fingerprint.to_string()[..GROUPS_FOR_PEOPLE * GROUP_DIGITS])
}

/// All of a fingerprint in groups, for whoever wants to be sure.
pub fn whole_fingerprint_groups(fingerprint: &ContentHash) -> String {
    groups(&fingerprint.to_string())
}

fn groups(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / GROUP_DIGITS);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && at % GROUP_DIGITS == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Whether `said`, with or without spaces and colons, in whatever case, is the beginning of the fingerprint that people
/// compare, or more of it.
pub fn is_fingerprint(fingerprint: &ContentHash, said: &str) -> bool {
    let said: String =
        said.chars().filter(|c| !c.is_whitespace() && *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    said.len() >= GROUPS_FOR_PEOPLE * GROUP_DIGITS && fingerprint.to_string().starts_with(&said)
}

#[cfg(test)]
mod tests;
