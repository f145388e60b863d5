//! Appliances on the local network, while the node has none that answers. What is found here is only ever dialled:
//! who it is, TLS proves.

use picloud_cluster::lan::{Browse, Found, Kind, Lan, LanEvent};
use std::sync::Arc;

/// Who says to be an appliance. Costs nothing while it rests.
pub struct Discovery {
    lan: Option<Arc<Lan>>,
    browse: Option<Browse>,
}

impl Discovery {
    /// One that rests.
    pub fn new(lan: Option<Arc<Lan>>) -> Self {
        Self { lan, browse: None }
    }

    /// Looks for appliances from now on.
    pub fn look(&mut self) {
        let Some(lan) = self.lan.as_ref().filter(|_| self.browse.is_none()) else { return };
        match lan.browse(Kind::Appliance) {
            Ok(browse) => self.browse = Some(browse),
            Err(error) => tracing::warn!(%error, "appliances on the local network are not found"),
        }
    }

    /// Looks for none any more, for one answers.
    pub fn rest(&mut self) {
        self.browse = None;
    }

    /// All that are known right now: those whose CA begins with these digits, where some are given.
    pub fn appliances(&self, ca: Option<&str>) -> Vec<Found> {
        let fits = |found: &&Found| match (ca, &found.fingerprint) {
            (Some(ours), Some(theirs)) => ours.starts_with(theirs.as_str()) || theirs.starts_with(ours),
            _any => true,
        };
        let known = self.browse.iter().flat_map(Browse::known);
        let mut fitting: Vec<Found> = known.filter(fits).cloned().collect();
        fitting.sort_by(|a, b| a.id.cmp(&b.id));
        fitting
    }

    /// The next that is there, or is there in another way than before; waits for ever while it rests. May be dropped
    /// and called again.
    pub async fn next(&mut self) -> Found {
        while let Some(browse) = &mut self.browse {
            match browse.next().await {
                Some(LanEvent::Found(found)) => return found,
                Some(LanEvent::Gone { .. }) => {}
                None => self.browse = None,
            }
        }
        std::future::pending().await
    }
}
