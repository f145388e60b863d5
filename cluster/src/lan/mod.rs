//! Announcing and finding each other on the local network, over mDNS.
//!
//! Discovery only proposes: whatever comes from here may be a lie, is never trusted, and says nothing about who is
//! alive. An announcement's name is a unique id, and its host name its own, so that neither two machines of one name
//! nor a machine's own responder are disturbed. Nothing here looks at anything from time to time: the kernel tells
//! when a link or an address changes.

mod announcement;
mod browse;
mod found;
mod links;

pub use announcement::Announcement;
pub use browse::{Browse, LanEvent};
pub use found::Found;

use links::Links;
use mdns_sd::{IfKind, IfPredicate, ServiceDaemon};
use std::sync::{Arc, Mutex, PoisonError};

/// The port of mDNS.
pub const PORT: u16 = 5353;

/// Why nothing can be announced or found.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// The responder refuses.
    #[error("mDNS: {0}")]
    Mdns(#[from] mdns_sd::Error),
    /// Changes of links and addresses cannot be heard of.
    #[error("listen for changes of the network's links: {0}")]
    Links(#[from] std::io::Error),
}

/// Who announces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An appliance.
    Appliance,
    /// A node.
    Node,
}

impl Kind {
    /// The service's type.
    pub fn service(self) -> &'static str {
        match self {
            Self::Appliance => "_picloud._tcp.local.",
            Self::Node => "_picloud-node._tcp.local.",
        }
    }
}

/// Where to speak.
#[derive(Clone, Copy, Debug)]
pub struct LanOptions {
    /// The port, [`PORT`] but for tests that are to hear only themselves.
    pub port: u16,
    /// Whether on the loopback interface, too.
    pub loopback: bool,
}

impl Default for LanOptions {
    fn default() -> Self {
        Self { port: PORT, loopback: false }
    }
}

/// This process on the local network.
pub struct Lan {
    daemon: ServiceDaemon,
    /// What is announced, with its full name.
    announced: Mutex<Option<(String, Announcement)>>,
    loopback: bool,
    /// Ends with this.
    _links: Links,
}

impl Lan {
    /// Begins to listen; nothing is said yet.
    pub fn open(options: LanOptions) -> Result<Arc<Self>, LanError> {
        let daemon = ServiceDaemon::new_with_port(options.port)?;
        daemon.disable_interface(IfKind::Predicate(IfPredicate::new(|interface| is_virtual(&interface.name))))?;
        if !options.loopback {
            daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        }
        let links = Links::watch(daemon.clone())?;
        Ok(Arc::new(Self { daemon, announced: Mutex::default(), loopback: options.loopback, _links: links }))
    }

    /// Announces this, instead of whatever was announced before.
    pub fn announce(&self, announcement: &Announcement) -> Result<(), LanError> {
        let service = announcement.service()?;
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        let before = announced.take().map(|(name, _said)| name);
        if let Some(before) = before.filter(|before| before != service.get_fullname()) {
            // Its goodbye is said in the background.
            drop(self.daemon.unregister(&before)?);
        }
        let name = service.get_fullname().to_owned();
        self.daemon.register(service)?;
        *announced = Some((name, announcement.clone()));
        Ok(())
    }

    /// Announces the same, but for what is said of the first boot.
    pub fn announce_setup(&self, setup: &str) -> Result<(), LanError> {
        let before = self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((_name, before)) = before else { return Ok(()) };
        self.announce(&Announcement { setup: Some(setup.to_owned()), ..before })
    }

    /// Finds all of a kind until it is dropped. One at a time for each kind: a second takes the place of the first.
    pub fn browse(self: &Arc<Self>, kind: Kind) -> Result<Browse, LanError> {
        Browse::begin(Arc::clone(self), kind)
    }

    /// Says goodbye, and waits until that is sent.
    pub async fn stop(&self) {
        if let Ok(stopped) = self.daemon.shutdown() {
            // An error is that it has stopped already.
            let _stopped = stopped.recv_async().await;
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // Where nobody waited for the goodbye, it is sent all the same; an error is that it was.
        let _stopped = self.daemon.shutdown();
    }
}

/// Whether an interface leads only to containers or virtual machines of this one machine, by the name that whoever
/// made it gives all of its kind.
fn is_virtual(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "docker", "podman", "virbr", "vnet", "lxcbr", "lxdbr", "incusbr", "cni", "flannel", "cali", "vmnet", "vboxnet",
    ];
    // Networks of Docker are `br-` and twelve digits, their ends `veth` and seven.
    let is_numbered = |prefix: &str, digits: usize| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == digits && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || is_numbered("br-", 12) || is_numbered("veth", 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_of_containers_are_left_out_and_those_that_people_plug_in_are_not() {
        for (name, left_out) in [
            ("docker0", true),
            ("br-0a1b2c3d4e5f", true),
            ("veth12ab34c", true),
            ("virbr0", true),
            ("eth0", false),
            ("wlan0", false),
            ("enp3s0", false),
            ("br-lan", false),
            ("br0", false),
            ("wg0", false),
            ("lo", false),
        ] {
            assert_eq!(is_virtual(name), left_out, "{name}");
        }
    }
}
