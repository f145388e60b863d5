//! How many deliveries run, and where.

use crate::nodes::hub::LiveNode;
use picloud_model::node::NodeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Where something runs.
#[derive(Clone, Debug)]
pub(crate) enum At {
    /// In this machine's own worker.
    Here,
    /// On a node.
    Node(Arc<LiveNode>),
}

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here, Self::Here) => true,
            (Self::Node(a), Self::Node(b)) => a.id == b.id,
            _one_is_here => false,
        }
    }
}

impl Eq for At {}

impl At {
    /// The machine's name, where this one is called `here`.
    pub(crate) fn name<'a>(&'a self, here: &'a str) -> &'a str {
        match self {
            Self::Here => here,
            Self::Node(node) => &node.name,
        }
    }
}

/// How many deliveries run at this moment.
#[derive(Default)]
pub(super) struct Running {
    count: AtomicUsize,
    here: AtomicUsize,
    nodes: Mutex<HashMap<NodeId, usize>>,
    /// Told when one is over, which is before the store has been told of it.
    pub(super) freed: Notify,
}

impl Running {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn here(&self) -> usize {
        self.here.load(Ordering::Acquire)
    }

    pub(super) fn at_node(&self, node: &NodeId) -> usize {
        self.nodes().get(node).copied().unwrap_or(0)
    }

    /// A place there, until it is dropped.
    pub(super) fn take(self: &Arc<Self>, at: At) -> Place {
        self.count.fetch_add(1, Ordering::AcqRel);
        match &at {
            At::Here => drop(self.here.fetch_add(1, Ordering::AcqRel)),
            At::Node(node) => *self.nodes().entry(node.id.clone()).or_default() += 1,
        }
        Place { running: Arc::clone(self), at }
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, usize>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one run.
pub(super) struct Place {
    running: Arc<Running>,
    /// Where.
    pub(super) at: At,
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.at {
            At::Here => drop(self.running.here.fetch_sub(1, Ordering::AcqRel)),
            At::Node(node) => {
                let mut nodes = self.running.nodes();
                if let Some(count) = nodes.get_mut(&node.id) {
                    *count -= 1;
                    if *count == 0 {
                        nodes.remove(&node.id);
                    }
                }
            }
        }
        self.running.count.fetch_sub(1, Ordering::AcqRel);
        self.running.freed.notify_one();
    }
}
