//! The appliance: the hub's use of leases, and a dispatcher that has every delivery run by some node.

use crate::Broken;
use crate::network::{Frame, Way};
use crate::world::{Event, World};
use picloud_cluster::leases::Leases;
use picloud_model::hash::ContentHash;
use picloud_model::ids::ExecutionId;
use picloud_model::node::NodeId;
use std::collections::HashMap;
use std::time::Duration;

/// How long after it was given to a dead node work is to be somebody else's.
pub(crate) const ELSEWHERE_AFTER_MS: u64 = 35_000;
/// How long a node may be silent.
const SILENCE_MS: u64 = 30_000;
/// Deliveries that a node takes at once.
const PLACES: usize = 4;

pub(crate) struct Appliance {
    pub(crate) is_alive: bool,
    /// Which of its lives it is.
    pub(crate) life: u64,
    leases: Leases,
    /// The connection of each node.
    links: HashMap<usize, usize>,
    /// What the runs are for that wait for their end, and where they are.
    runs: HashMap<ExecutionId, (usize, usize)>,
    /// On its way to the disk.
    pub(crate) writes: HashMap<u64, Write>,
    /// When each node was heard last, by its connection or its first run.
    heard: HashMap<usize, u64>,
    /// When it looks at the leases next.
    look_at: Option<u64>,
    last: u64,
}

/// One change of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write {
    Publish { node: usize, connection: usize, call: u64, number: u64, settled_below: u64, publish: usize },
    Tell { delivery: usize, is_over: bool },
}

impl Appliance {
    pub(crate) fn new(life: u64) -> Self {
        Self {
            is_alive: true,
            life,
            leases: Leases::default(),
            links: HashMap::new(),
            runs: HashMap::new(),
            writes: HashMap::new(),
            heard: HashMap::new(),
            look_at: None,
            last: life << 40,
        }
    }

    /// Who has the lease of a delivery.
    pub(crate) fn has_lease(&self, delivery: usize) -> Option<usize> {
        self.runs.values().find(|(of, _node)| *of == delivery).map(|(_delivery, node)| *node)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.runs.is_empty() && self.writes.is_empty() && self.leases.is_empty()
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// The id of a node.
pub(crate) fn id_of(node: usize) -> NodeId {
    NodeId::of(&ContentHash::of(&node.to_le_bytes()))
}

impl World {
    pub(crate) fn kill_appliance(&mut self) {
        if !self.appliance.is_alive {
            return;
        }
        for connection in 0..self.connections.len() {
            self.close_appliance_end(connection);
        }
        let mut writes: Vec<(u64, Write)> = self.appliance.writes.drain().collect();
        writes.sort_unstable_by_key(|(write, _what)| *write);
        for (_write, what) in writes {
            // On the disk, or not: nobody was told.
            if self.random.percent(50) {
                self.commit(what);
            }
        }
        self.appliance = Appliance { is_alive: false, ..Appliance::new(self.appliance.life + 1) };
    }

    pub(crate) fn start_appliance(&mut self) {
        if !self.appliance.is_alive {
            self.store.restarted();
            self.appliance.is_alive = true;
        }
    }

    /// A frame has come from a node, over this connection.
    pub(crate) fn appliance_hears(&mut self, connection: usize, frame: Frame) {
        let node = self.connections[connection].node;
        if let Frame::Hello { incarnation, holding } = frame {
            return self.attach(node, connection, incarnation, &holding);
        }
        if matches!(frame, Frame::End) {
            self.close_appliance_end(connection);
            if self.appliance.links.get(&node) == Some(&connection) {
                self.appliance.links.remove(&node);
            }
            return;
        }
        if self.appliance.links.get(&node) != Some(&connection) {
            return;
        }
        let now = self.instant();
        self.appliance.leases.heard(&self.ids[node], now);
        self.appliance.heard.insert(node, self.now);
        match frame {
            Frame::Beat(number) => self.tell(connection, Frame::BeatAnswer(number)),
            Frame::RunDone(run) => {
                self.tell(connection, Frame::Taken(run));
                let is_first = self.appliance.leases.done(&self.ids[node], run);
                if is_first {
                    let is_over = !self.random.percent(5);
                    self.run_over(run, is_over);
                } else if self.broken == Some(Broken::LateResultsCount) {
                    self.run_over_late(run);
                }
            }
            Frame::Publish { call, number, settled_below, publish } => {
                if self.random.percent(3) {
                    return self.tell(connection, Frame::Answer { call, is_stored: false });
                }
                self.write(Write::Publish { node, connection, call, number, settled_below, publish });
            }
            other => unreachable!("{other:?} is not for appliances"),
        }
        self.dispatch();
    }

    fn attach(&mut self, node: usize, connection: usize, incarnation: u64, holding: &[ExecutionId]) {
        if let Some(before) = self.appliance.links.insert(node, connection) {
            self.close_appliance_end(before);
        }
        let now = self.instant();
        self.appliance.heard.insert(node, self.now);
        let back = self.appliance.leases.reconnected(&self.ids[node], incarnation, holding, now);
        for run in back.unknown {
            self.tell(connection, Frame::Taken(run));
        }
        for run in &back.never_began {
            if self.ledger.runs_begun.contains(run) {
                self.ledger.wrong.push(format!("node {node} began a run, and that is no attempt"));
            }
        }
        for run in back.never_began.into_iter().chain(back.lost) {
            self.run_over(run, false);
        }
        self.dispatch();
    }

    /// A run is over for the dispatcher: its delivery is done, or tried again.
    fn run_over(&mut self, run: ExecutionId, is_over: bool) {
        if let Some((delivery, _node)) = self.appliance.runs.remove(&run) {
            self.write(Write::Tell { delivery, is_over });
        }
    }

    /// What a hub would do that takes every result for news.
    fn run_over_late(&mut self, run: ExecutionId) {
        if let Some(delivery) = self.given.get(&run).map(|(delivery, _at)| *delivery) {
            self.write(Write::Tell { delivery, is_over: true });
        }
    }

    /// Gives what waits to nodes that have room, whichever.
    fn dispatch(&mut self) {
        let mut nodes: Vec<usize> = self.appliance.links.keys().copied().collect();
        nodes.sort_unstable();
        nodes.retain(|node| self.appliance.leases.held_by(&self.ids[*node]) < PLACES);
        while !nodes.is_empty()
            && let Some(delivery) = self.store.claim()
        {
            let chosen = self.random.next() as usize % nodes.len();
            let node = nodes[chosen];
            let run = format!("00000000-0000-0000-0000-{:012x}", self.appliance.number());
            let run: ExecutionId = run.parse().expect("it is written as one is");
            let now = self.instant();
            self.appliance.leases.give(run, &self.ids[node], now);
            self.appliance.runs.insert(run, (delivery, node));
            self.given.insert(run, (delivery, self.now));
            self.tell(self.appliance.links[&node], Frame::Run { run, delivery });
            if self.appliance.leases.held_by(&self.ids[node]) >= PLACES {
                nodes.remove(chosen);
            }
        }
        if let Some(at) = self.appliance.leases.next_at() {
            let in_ms = u64::try_from(at.saturating_duration_since(self.instant()).as_millis()).expect("it is soon");
            let (at, life) = (self.now + in_ms + 1, self.appliance.life);
            if self.appliance.look_at.is_none_or(|look_at| at < look_at) {
                self.appliance.look_at = Some(at);
                self.at(at, Event::LeasesDue { life });
            }
        }
    }

    /// A node has been dead for long: what it was given long ago is not its own any more.
    pub(crate) fn check_leases_of_the_dead(&mut self, node: usize, incarnation: u64) {
        if self.nodes[node].is_alive || self.nodes[node].incarnation != incarnation {
            return;
        }
        let is_old = |run: &ExecutionId| self.given[run].1 + ELSEWHERE_AFTER_MS < self.now;
        let held = self.appliance.runs.iter().filter(|(run, (_delivery, at))| *at == node && is_old(run)).count();
        if held > 0 {
            let wrong = format!("node {node} is dead and {held} runs are still its own at {}", self.now);
            self.ledger.wrong.push(wrong);
        }
    }

    pub(crate) fn leases_due(&mut self, life: u64) {
        if !self.appliance.is_alive || self.appliance.life != life || self.broken == Some(Broken::LeasesNeverEnd) {
            return;
        }
        self.appliance.look_at = None;
        let mut now = self.instant();
        if self.broken == Some(Broken::LeasesEndTooEarly) {
            now += Duration::from_secs(15);
        }
        for (id, runs) in self.appliance.leases.expire(now) {
            let node = self.ids.iter().position(|it| *it == id).expect("it is one of them");
            if self.broken != Some(Broken::WhatIsSentArrivesHoweverLate)
                && let Some(connection) = self.appliance.links.remove(&node)
            {
                self.close_appliance_end(connection);
            }
            if self.appliance.heard.get(&node).is_some_and(|heard| heard + SILENCE_MS > self.now) {
                self.ledger
                    .wrong
                    .push(format!("node {node} lost its work at {} and was not silent for long", self.now));
            }
            for run in runs {
                self.run_over(run, false);
            }
        }
        self.dispatch();
    }

    fn write(&mut self, what: Write) {
        let write = self.appliance.number();
        self.appliance.writes.insert(write, what);
        let takes = if self.random.percent(2) { self.random.within(500, 60_000) } else { self.random.within(1, 20) };
        self.after(takes, Event::Written { write });
    }

    pub(crate) fn written(&mut self, write: u64) {
        // Of an appliance that was killed meanwhile it is decided already.
        let Some(what) = self.appliance.writes.remove(&write) else { return };
        self.commit(what);
        if let Write::Publish { connection, call, .. } = what {
            self.tell(connection, Frame::Answer { call, is_stored: true });
        }
        self.dispatch();
    }

    fn commit(&mut self, what: Write) {
        match what {
            Write::Publish { node, number, settled_below, publish, .. } => {
                self.store.publish_once(node, number, settled_below, publish, self.broken);
            }
            Write::Tell { delivery, is_over } => self.store.tell(delivery, is_over),
        }
    }

    fn tell(&mut self, connection: usize, frame: Frame) {
        self.send(connection, Way::Down, frame);
    }
}
