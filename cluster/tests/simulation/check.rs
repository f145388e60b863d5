//! What was promised to scripts, and whether it was kept.

use crate::store::{Delivery, PublishId, Store};
use picloud_model::ids::ExecutionId;
use std::collections::HashSet;

/// What scripts did and were told, as somebody outside of it all sees it.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) publishes: Vec<Told>,
    /// How often each delivery began to run.
    pub(crate) began: Vec<u32>,
    pub(crate) runs_begun: HashSet<ExecutionId>,
    /// What was seen to go wrong on the way.
    pub(crate) wrong: Vec<String>,
}

/// One publish.
pub(crate) struct Told {
    pub(crate) node: usize,
    pub(crate) began: u64,
    /// When the script was told that it is done.
    pub(crate) acknowledged: Option<u64>,
    /// The script was told that it is not.
    pub(crate) refused: bool,
}

impl Ledger {
    pub(crate) fn begin(&mut self, node: usize, now: u64) -> PublishId {
        self.publishes.push(Told { node, began: now, acknowledged: None, refused: false });
        self.publishes.len() - 1
    }

    pub(crate) fn runs(&mut self, run: ExecutionId, delivery: usize) {
        self.runs_begun.insert(run);
        if self.began.len() <= delivery {
            self.began.resize(delivery + 1, 0);
        }
        self.began[delivery] += 1;
    }

    /// Everything that is not as it was promised.
    pub(crate) fn broken_promises(&self, store: &Store) -> Vec<String> {
        let mut broken = self.wrong.clone();
        let mut stored = vec![Vec::new(); self.publishes.len()];
        for (place, publish) in store.publishes.iter().enumerate() {
            stored[*publish].push(place);
        }
        for (id, (told, places)) in self.publishes.iter().zip(&stored).enumerate() {
            let is_right = match (told.acknowledged, told.refused) {
                (Some(_), _) => places.len() == 1,
                (None, true) => places.is_empty(),
                // Its node was killed while it was under way: nobody was told anything.
                (None, false) => places.len() <= 1,
            };
            if !is_right {
                let (at, times) = (told.acknowledged, places.len());
                broken.push(format!(
                    "publish {id} of node {}, acknowledged at {at:?}, is stored {times} times",
                    told.node
                ));
            }
        }
        self.check_order(&stored, &mut broken);
        for (id, delivery) in store.deliveries.iter().enumerate() {
            let runs = self.began.get(id).copied().unwrap_or(0);
            if *delivery != Delivery::Ended || runs == 0 {
                broken.push(format!("delivery {id} is {delivery:?} in the end, having begun {runs} times"));
            }
        }
        broken
    }

    /// What was acknowledged before something else of its node began comes before it.
    fn check_order(&self, stored: &[Vec<usize>], broken: &mut Vec<String>) {
        for (id, told) in self.publishes.iter().enumerate() {
            let (Some(acknowledged), Some(place)) = (told.acknowledged, stored[id].first()) else { continue };
            // What began later is behind it in this list.
            for (later, other) in self.publishes.iter().enumerate().skip(id + 1) {
                let is_after = other.node == told.node && other.began > acknowledged;
                if is_after && stored[later].first().is_some_and(|other_place| other_place < place) {
                    broken.push(format!("publish {later} of node {} is stored before publish {id}", told.node));
                    break;
                }
            }
        }
    }
}
