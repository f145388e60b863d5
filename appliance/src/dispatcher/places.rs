//! Where a delivery may run: this machine's own worker and every node that is connected, and which of them is best.

use super::running::{At, Running};
use crate::nodes::hub::{Hub, LiveNode};
use picloud_model::placement::{Labels, Placement};
use picloud_orchestrator::supervisor::Supervisor;
use std::cmp::Reverse;
use std::sync::Arc;

/// One of so many places of a node is left to requests that are forwarded to it.
const LEFT_FREE_OF: usize = 8;

/// One machine.
pub(crate) struct Candidate {
    pub(crate) at: At,
    labels: Arc<Labels>,
    places: usize,
    running: usize,
    draining: bool,
    slow: bool,
    in_step: bool,
}

/// Where something may run, at one moment.
pub(crate) struct Places(Vec<Candidate>);

/// What there is for a placement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// There, whose place is taken by now.
    At(At),
    /// Whatever may run it has no place free.
    Full,
    /// Nothing that is connected and not draining may run it.
    Nowhere,
}

impl Candidate {
    /// This machine's own worker.
    pub(crate) fn here(labels: &Arc<Labels>, places: usize, running: usize, supervisor: &Supervisor) -> Self {
        let draining = supervisor.is_draining();
        Self { at: At::Here, labels: Arc::clone(labels), places, running, draining, slow: false, in_step: true }
    }

    /// A node that is connected, of whose places so many are taken.
    fn node(node: Arc<LiveNode>, places: usize, running: usize) -> Self {
        let LiveNode { draining, slow, in_step, .. } = *node;
        Self { labels: Arc::clone(&node.labels), at: At::Node(node), places, running, draining, slow, in_step }
    }

    fn is_free(&self) -> bool {
        !self.draining && self.running < self.places
    }

    /// The smaller, the better: more preferences, then the newest of what was deployed, then the least of its places
    /// taken, then here.
    fn rank(&self, placement: &Placement) -> (Reverse<usize>, bool, u64, bool) {
        let load = (self.running as u64).saturating_mul(1 << 20) / self.places.max(1) as u64;
        (Reverse(placement.preference(&self.labels)), !self.in_step, load, self.at != At::Here)
    }
}

impl Places {
    /// For deliveries, which leave some places of each node to others.
    pub(super) fn for_deliveries(here: Candidate, hub: &Hub, running: &Running) -> Self {
        let nodes = hub.live().into_iter().map(|node| {
            let places = node.places as usize;
            // What was begun and has not reached the hub yet is known to us alone.
            let taken = running.at_node(&node.id).max(node.running as usize);
            Candidate::node(node, places - places / LEFT_FREE_OF, taken)
        });
        Self(std::iter::once(here).chain(nodes).collect())
    }

    /// For requests.
    pub(crate) fn for_requests(here: Option<Candidate>, hub: &Hub) -> Self {
        let nodes = hub.live().into_iter().map(|node| {
            let (places, taken) = (node.places as usize, node.running as usize);
            Candidate::node(node, places, taken)
        });
        Self(here.into_iter().chain(nodes).collect())
    }

    /// Whether anything could begin anywhere.
    pub(super) fn any_free(&self) -> bool {
        self.0.iter().any(Candidate::is_free)
    }

    /// All places, taken or not, of those that take any.
    pub(super) fn all(&self) -> usize {
        self.0.iter().filter(|it| !it.draining).map(|it| it.places).sum()
    }

    /// Takes a place for what is placed so.
    pub(super) fn take(&mut self, placement: &Placement) -> Choice {
        match self.best(placement) {
            Ok(best) => {
                best.running += 1;
                Choice::At(best.at.clone())
            }
            Err(choice) => choice,
        }
    }

    /// A place that was taken is not needed.
    pub(super) fn leave(&mut self, at: &At) {
        if let Some(candidate) = self.0.iter_mut().find(|it| it.at == *at) {
            candidate.running = candidate.running.saturating_sub(1);
        }
    }

    /// Where a request with such a script is best sent; none where nothing that is connected may run it.
    pub(crate) fn for_request(mut self, placement: &Placement) -> Option<At> {
        if let Ok(best) = self.best(placement) {
            return Some(best.at.clone());
        }
        // Whoever is full says so itself, with the time after which to come back.
        self.0.into_iter().find(|it| !it.draining && placement.allows(&it.labels)).map(|it| it.at)
    }

    fn best(&mut self, placement: &Placement) -> Result<&mut Candidate, Choice> {
        let may = |it: &Candidate| !it.draining && placement.allows(&it.labels);
        let Some(slow) = self.0.iter().filter(|it| may(it)).map(|it| it.slow).min() else {
            return Err(Choice::Nowhere);
        };
        // A slow one only where there is no other: what it is given may have to be given again.
        let free = self.0.iter_mut().filter(|it| may(it) && it.slow == slow && it.is_free());
        free.min_by_key(|it| it.rank(placement)).ok_or(Choice::Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::hash::ContentHash;
    use picloud_model::node::NodeId;

    fn labels(text: &str) -> Arc<Labels> {
        Arc::new(text.split_whitespace().map(|label| (label.to_owned(), String::new())).collect())
    }

    /// `here` is this machine; the rest are nodes of that name.
    fn candidate(name: &str, has: &str, taken: (usize, usize)) -> Candidate {
        let labels = labels(has);
        let node = LiveNode {
            id: NodeId::of(&ContentHash::of(name.as_bytes())),
            name: name.to_owned(),
            labels: Arc::clone(&labels),
            places: 0,
            running: 0,
            draining: false,
            slow: false,
            in_step: true,
            urls: Vec::new(),
        };
        let at = if name == "here" { At::Here } else { At::Node(Arc::new(node)) };
        Candidate { at, labels, places: taken.1, running: taken.0, draining: false, slow: false, in_step: true }
    }

    fn placement(needs: &str, avoid: &str, prefers: &str) -> Placement {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Placement { needs: list(needs), avoid: list(avoid), prefers: list(prefers) }
    }

    fn name(choice: Choice) -> String {
        match choice {
            Choice::At(at) => at.name("here").to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_may_run_it_and_is_free_is_chosen_by_preference_then_step_then_load_then_home() {
        let places = || {
            let mut behind = candidate("behind", "fast", (0, 4));
            behind.in_step = false;
            Places(vec![
                candidate("here", "appliance", (2, 4)),
                candidate("cam", "camera arm", (0, 2)),
                candidate("busy", "arm", (3, 4)),
                candidate("full", "arm disk", (4, 4)),
                behind,
            ])
        };
        for (needs, avoid, prefers, expected) in [
            ("", "", "", "cam"),
            ("", "camera", "", "here"),
            ("appliance", "", "", "here"),
            ("arm", "camera", "", "busy"),
            ("disk", "", "", "Full"),
            ("", "", "disk", "cam"),
            ("gpu", "", "", "Nowhere"),
            ("arm", "arm", "", "Nowhere"),
            ("", "", "appliance", "here"),
            ("fast", "", "", "behind"),
            ("", "", "fast", "behind"),
            ("", "camera appliance arm", "", "behind"),
        ] {
            let chosen = name(places().take(&placement(needs, avoid, prefers)));
            assert_eq!(chosen, expected, "needs {needs:?} avoid {avoid:?} prefers {prefers:?}");
        }
    }

    #[test]
    fn what_is_alike_is_shared_out_by_load_and_a_full_house_begins_nothing() {
        let mut places = Places(vec![candidate("here", "", (0, 2)), candidate("a", "", (0, 4))]);
        let chosen: Vec<String> = (0..7).map(|_| name(places.take(&Placement::default()))).collect();
        assert_eq!(chosen, ["here", "a", "a", "here", "a", "a", "Full"]);
        assert!(!places.any_free());
        assert_eq!(places.all(), 6);
    }

    #[test]
    fn a_slow_node_gets_what_no_other_may_run_and_a_draining_one_nothing() {
        let mut slow = candidate("slow", "camera arm", (0, 4));
        slow.slow = true;
        let mut draining = candidate("draining", "camera disk", (0, 4));
        draining.draining = true;
        let mut places = Places(vec![candidate("here", "arm", (1, 1)), slow, draining]);
        for (needs, expected) in [("arm", "Full"), ("camera", "slow"), ("disk", "Nowhere")] {
            assert_eq!(name(places.take(&placement(needs, "", ""))), expected, "{needs}");
        }
    }
}
