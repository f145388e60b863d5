//! What a machine says of itself on the local network.

use super::{Kind, LanError};
use crate::first_boot::{SETUP_BYTES_MAX, cut};
use mdns_sd::ServiceInfo;
use picloud_model::hash::ContentHash;

/// The form of the text record.
const VERSION: &str = "1";
/// Digits of a CA's hash that are announced: as many as a join token has.
pub(super) const CA_DIGITS: usize = picloud_model::join_token::CA_DIGITS;
/// Longest name that is announced, in bytes; one entry of a text record has room for 255.
pub(super) const NAME_BYTES_MAX: usize = 63;

/// What is announced. All of it can be read by everybody near, and said by anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Appliance or node.
    pub kind: Kind,
    /// What no other on this network has: 1 to 20 of a-z and 0-9.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where it is spoken to: of an appliance the port of the node API, of a node that of its ingress.
    pub port: u16,
    /// The port where it answers requests.
    pub ingress: u16,
    /// Of an appliance its CA's certificate's hash, of a node its key's.
    pub fingerprint: ContentHash,
    /// What came of its first boot: `ok`, or what is wrong; nothing where it had none.
    pub setup: Option<String>,
}

impl Announcement {
    /// Its form on the network.
    pub(super) fn service(&self) -> Result<ServiceInfo, LanError> {
        let name = cut(&self.name, NAME_BYTES_MAX);
        let ingress = self.ingress.to_string();
        let fingerprint = self.fingerprint.to_string();
        let proof = match self.kind {
            Kind::Appliance => ("ca", &fingerprint[..CA_DIGITS]),
            Kind::Node => ("fp", fingerprint.as_str()),
        };
        let mut text =
            vec![("v", VERSION), ("id", self.id.as_str()), ("name", name), ("ingress", ingress.as_str()), proof];
        text.extend(self.setup.as_deref().map(|said| ("setup", cut(said, SETUP_BYTES_MAX))));
        // Not the machine's own host name: a responder that runs on it would give that up for another.
        let host = format!("picloud-{}.local.", self.id);
        let service = ServiceInfo::new(self.kind.service(), &self.id, &host, "", self.port, &text[..])?;
        Ok(service.enable_addr_auto())
    }
}
