//! Who holds which run until when. A node that is silent for [`AWAY_AFTER_MS`] with work in hand loses all of it; what
//! it had been given runs elsewhere, as another run with another id.
//!
//! Pure: the time is an argument. Whoever gives work out tells of everything that happens and waits for
//! [`Leases::next_at`].
//!
//! [`AWAY_AFTER_MS`]: picloud_model::node::AWAY_AFTER_MS

use picloud_model::ids::ExecutionId;
use picloud_model::node::{AWAY_AFTER_MS, NodeId};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long a node may be silent before it loses what it holds.
pub const SILENCE_MAX: Duration = Duration::from_millis(AWAY_AFTER_MS.unsigned_abs());

/// Runs that were given to nodes and are not over.
#[derive(Debug, Default)]
pub struct Leases {
    nodes: HashMap<NodeId, Held>,
    by_run: HashMap<ExecutionId, NodeId>,
}

/// What one node holds.
#[derive(Debug)]
struct Held {
    runs: HashSet<ExecutionId>,
    /// When it was heard last; when it got its first run where that came later: an idle node beats seldom.
    heard: Instant,
    /// Of the agent's start that was heard last, once it has said so.
    incarnation: Option<u64>,
}

/// What follows from the first words of a node that is back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Back {
    /// Never began there: the agent is the same that lived when they were given, and does not know them. No attempts.
    pub never_began: Vec<ExecutionId>,
    /// May have run there and have no end: the agent was started anew. Attempts.
    pub lost: Vec<ExecutionId>,
    /// It holds them, and holds them for nobody: they were lost to others, or given by an appliance before this one.
    /// Whatever comes of them is to be taken, so that it says no more of it.
    pub unknown: Vec<ExecutionId>,
}

impl Leases {
    /// `node` is given `run`. Said before anything is sent, so that no answer can come first.
    pub fn give(&mut self, run: ExecutionId, node: &NodeId, now: Instant) {
        let held = self.nodes.entry(node.clone()).or_insert_with(|| Held::new(now));
        if held.runs.is_empty() {
            held.heard = now;
        }
        held.runs.insert(run);
        self.by_run.insert(run, node.clone());
    }

    /// Anything came from `node`.
    pub fn heard(&mut self, node: &NodeId, now: Instant) {
        if let Some(held) = self.nodes.get_mut(node) {
            held.heard = held.heard.max(now);
        }
    }

    /// `node` is connected, for the first time or again, and says what it holds: runs that are under way, and those that
    /// are over and not taken. What it holds and still has a lease for goes on. To be told only once nothing more can
    /// come over an earlier connection, and before anything is sent over this one.
    pub fn reconnected(&mut self, node: &NodeId, incarnation: u64, holding: &[ExecutionId], now: Instant) -> Back {
        let held = self.nodes.entry(node.clone()).or_insert_with(|| Held::new(now));
        held.heard = held.heard.max(now);
        let is_same = held.incarnation.replace(incarnation).is_none_or(|before| before == incarnation);
        let said: HashSet<ExecutionId> = holding.iter().copied().collect();
        let mut missing: Vec<ExecutionId> = held.runs.difference(&said).copied().collect();
        missing.sort_unstable();
        let unknown = holding.iter().filter(|run| !held.runs.contains(run)).copied().collect();
        held.runs.retain(|run| said.contains(run));
        for run in &missing {
            self.by_run.remove(run);
        }
        let (never_began, lost) = if is_same { (missing, Vec::new()) } else { (Vec::new(), missing) };
        Back { never_began, lost, unknown }
    }

    /// `node` says how `run` ended, or it was never sent. Answers whether it was the node's to say, which it is once:
    /// what is said a second time, or after the lease ran out, means nothing and is to be taken all the same.
    pub fn done(&mut self, node: &NodeId, run: ExecutionId) -> bool {
        if self.by_run.get(&run) != Some(node) {
            return false;
        }
        self.by_run.remove(&run);
        self.nodes.get_mut(node).is_some_and(|held| held.runs.remove(&run))
    }

    /// `node` was removed, or has said goodbye: what it held is lost, and answered.
    pub fn gone(&mut self, node: &NodeId) -> Vec<ExecutionId> {
        let Some(held) = self.nodes.remove(node) else { return Vec::new() };
        let mut runs: Vec<ExecutionId> = held.runs.into_iter().collect();
        runs.sort_unstable();
        for run in &runs {
            self.by_run.remove(run);
        }
        runs
    }

    /// What nodes lost by being silent for too long. Their connections are to be cut, too: nothing that was sent may
    /// arrive after this.
    pub fn expire(&mut self, now: Instant) -> Vec<(NodeId, Vec<ExecutionId>)> {
        let is_late = |held: &Held| held.until().is_some_and(|until| until <= now);
        let late = self.nodes.iter().filter(|(_id, held)| is_late(held));
        let mut late: Vec<NodeId> = late.map(|(id, _held)| id.clone()).collect();
        late.sort_unstable();
        late.into_iter()
            .map(|node| {
                let mut runs: Vec<ExecutionId> =
                    self.nodes.get_mut(&node).map(|held| held.runs.drain().collect()).unwrap_or_default();
                runs.sort_unstable();
                for run in &runs {
                    self.by_run.remove(run);
                }
                (node, runs)
            })
            .collect()
    }

    /// When [`Self::expire`] has something to do next, if nothing is heard until then.
    pub fn next_at(&self) -> Option<Instant> {
        self.nodes.values().filter_map(Held::until).min()
    }

    /// How many runs `node` holds.
    pub fn held_by(&self, node: &NodeId) -> usize {
        self.nodes.get(node).map_or(0, |held| held.runs.len())
    }

    /// How many runs all nodes hold.
    pub fn len(&self) -> usize {
        self.by_run.len()
    }

    /// Whether no node holds any run.
    pub fn is_empty(&self) -> bool {
        self.by_run.is_empty()
    }
}

impl Held {
    fn new(now: Instant) -> Self {
        Self { runs: HashSet::new(), heard: now, incarnation: None }
    }

    /// When it loses what it holds, if it holds anything.
    fn until(&self) -> Option<Instant> {
        (!self.runs.is_empty()).then(|| self.heard + SILENCE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::hash::ContentHash;

    fn node(name: &str) -> NodeId {
        NodeId::of(&ContentHash::of(name.as_bytes()))
    }

    fn runs<const N: usize>() -> [ExecutionId; N] {
        std::array::from_fn(|_index| ExecutionId::new())
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_node_that_is_heard_keeps_its_work_and_one_that_is_silent_loses_all_of_it_at_once() {
        let (start, a, b, [one, two, three]) = (Instant::now(), node("a"), node("b"), runs());
        let mut leases = Leases::default();
        leases.give(one, &a, start);
        leases.give(two, &a, start + s(20));
        leases.give(three, &b, start + s(1));
        assert_eq!(leases.next_at(), Some(start + s(30)), "more work does not lengthen the silence");
        leases.heard(&b, start + s(25));
        assert_eq!(leases.expire(start + s(29)), []);
        assert_eq!(leases.expire(start + s(30)), [(a.clone(), vec![one, two])]);
        assert!(!leases.done(&a, one), "too late to say");
        assert_eq!((leases.held_by(&a), leases.len()), (0, 1));
        assert_eq!(leases.next_at(), Some(start + s(55)));
        assert!(leases.done(&b, three) && !leases.done(&b, three), "said once");
        assert!(leases.is_empty() && leases.next_at().is_none());
    }

    #[test]
    fn a_node_that_was_idle_has_the_whole_time_from_its_first_run() {
        let (start, a, [one]) = (Instant::now(), node("a"), runs());
        let mut leases = Leases::default();
        assert_eq!(leases.reconnected(&a, 1, &[], start), Back::default());
        leases.give(one, &a, start + s(39));
        assert_eq!(leases.next_at(), Some(start + s(69)));
    }

    #[test]
    fn nobody_ends_another_nodes_run() {
        let (start, a, b, [one]) = (Instant::now(), node("a"), node("b"), runs());
        let mut leases = Leases::default();
        leases.give(one, &a, start);
        assert!(!leases.done(&b, one));
        assert!(leases.done(&a, one));
    }

    #[test]
    fn a_node_that_is_back_in_time_goes_on_with_what_it_holds() {
        let (start, a, [held, never, taken, strange]) = (Instant::now(), node("a"), runs());
        let mut leases = Leases::default();
        leases.reconnected(&a, 7, &[], start);
        for run in [held, never, taken] {
            leases.give(run, &a, start);
        }
        leases.done(&a, taken);
        let back = leases.reconnected(&a, 7, &[held, taken, strange], start + s(10));
        assert_eq!(back, Back { never_began: vec![never], lost: vec![], unknown: vec![taken, strange] });
        assert_eq!(leases.next_at(), Some(start + s(40)));
        assert!(leases.done(&a, held));
    }

    #[test]
    fn an_agent_that_was_started_anew_has_lost_what_it_does_not_hold() {
        let (start, a, [one, two]) = (Instant::now(), node("a"), runs());
        let mut leases = Leases::default();
        leases.reconnected(&a, 7, &[], start);
        leases.give(one, &a, start);
        leases.give(two, &a, start);
        let back = leases.reconnected(&a, 8, &[], start + s(3));
        assert_eq!(back, Back { lost: vec![one, two], ..Back::default() });
        assert!(leases.is_empty());
    }

    #[test]
    fn what_a_node_held_that_is_gone_is_answered() {
        let (start, a, [one]) = (Instant::now(), node("a"), runs());
        let mut leases = Leases::default();
        leases.give(one, &a, start);
        assert_eq!(leases.gone(&a), [one]);
        assert_eq!(leases.gone(&a), []);
        assert!(leases.is_empty());
    }
}
