//! Who is found, as he comes, changes and goes. However many say to be there, only so many are remembered.

use super::{Found, Kind, Lan, LanError};
use mdns_sd::{Receiver, ServiceEvent};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Most that are remembered at a time.
const FOUND_MAX: usize = 200;
/// After so many more than that, all are forgotten and looked for anew: they fill the memory of the responder, too.
const FLOOD_MAX: usize = 2_000;
/// How long somebody has to answer when it is doubted that he is there.
const VERIFY_WITHIN: Duration = Duration::from_secs(2);

/// What happens on the local network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LanEvent {
    /// Somebody is there, or is there in another way than before.
    Found(Found),
    /// Whoever had this id has said goodbye, or has not been heard of.
    Gone {
        /// Of [`Found::id`].
        id: String,
    },
}

/// All of a kind, as they come and go.
pub struct Browse {
    lan: Arc<Lan>,
    kind: Kind,
    events: Receiver<ServiceEvent>,
    /// By the full name of what was announced.
    known: HashMap<String, Found>,
    /// How many there was no room for.
    left_out: usize,
}

impl Browse {
    pub(super) fn begin(lan: Arc<Lan>, kind: Kind) -> Result<Self, LanError> {
        let events = lan.daemon.browse(kind.service())?;
        Ok(Self { lan, kind, events, known: HashMap::new(), left_out: 0 })
    }

    /// The next that happens; `None` once the [`Lan`] was stopped. May be dropped and called again.
    pub async fn next(&mut self) -> Option<LanEvent> {
        loop {
            match self.events.recv_async().await {
                Ok(event) => {
                    if let Some(event) = self.take(event) {
                        return Some(event);
                    }
                }
                // The responder gives up on whoever reads too slowly; then it is asked again.
                Err(_closed) => self.events = self.lan.daemon.browse(self.kind.service()).ok()?,
            }
        }
    }

    /// All that are known right now.
    pub fn known(&self) -> impl Iterator<Item = &Found> {
        self.known.values()
    }

    /// Doubts that somebody is there: where he does not answer, he is gone.
    pub fn verify(&self, id: &str) {
        for (name, _) in self.known.iter().filter(|(_, found)| found.id == id) {
            // An error is that the responder is busy or stopped: he goes when his time is over.
            let _asked = self.lan.daemon.verify(name.clone(), VERIFY_WITHIN);
        }
    }

    fn take(&mut self, event: ServiceEvent) -> Option<LanEvent> {
        match event {
            ServiceEvent::ServiceResolved(said) => {
                let found = Found::of(self.kind, &said, self.lan.loopback)?;
                let name = said.get_fullname();
                if self.known.get(name) == Some(&found) {
                    return None;
                }
                if !self.known.contains_key(name) && self.known.len() >= FOUND_MAX {
                    self.leave_out();
                    return None;
                }
                self.known.insert(name.to_owned(), found.clone());
                Some(LanEvent::Found(found))
            }
            ServiceEvent::ServiceRemoved(_service, name) => {
                let gone = self.known.remove(&name)?;
                let is_there_by_another_name = self.known.values().any(|found| found.id == gone.id);
                (!is_there_by_another_name).then_some(LanEvent::Gone { id: gone.id })
            }
            _other => None,
        }
    }

    fn leave_out(&mut self) {
        self.left_out += 1;
        if self.left_out == 1 {
            tracing::warn!(
                service = self.kind.service(),
                "more than {FOUND_MAX} announce themselves on the local network; the others are not looked at"
            );
        }
        if self.left_out.is_multiple_of(FLOOD_MAX) {
            self.known.clear();
            // An error is that it has stopped, which the next event tells.
            let _stopped = self.lan.daemon.stop_browse(self.kind.service());
            if let Ok(events) = self.lan.daemon.browse(self.kind.service()) {
                self.events = events;
            }
        }
    }
}

impl Drop for Browse {
    fn drop(&mut self) {
        // Nobody is asked any more; an error is that it has stopped.
        let _stopped = self.lan.daemon.stop_browse(self.kind.service());
    }
}
