//! One simulated world: a clock that jumps from event to event, a network with faults, some nodes and an appliance.

use crate::Broken;
use crate::appliance::{Appliance, id_of};
use crate::check::Ledger;
use crate::network::{Connection, Frame, GIVEN_UP_MS, Path, Way};
use crate::node::Node;
use crate::random::Random;
use crate::store::Store;
use picloud_model::ids::ExecutionId;
use picloud_model::node::NodeId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

/// Faults begin before this …
const FAULTS_MS: u64 = 100_000;
/// … and are all over by then.
const HEALED_MS: u64 = 180_000;
/// After which everything that waits must have had its turn.
const END_MS: u64 = HEALED_MS + 300_000;

/// What happens at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Publishes { node: usize },
    Arrives { connection: usize, way: usize },
    Unacknowledged { connection: usize, way: usize, frame: u64 },
    Connect { node: usize, incarnation: u64 },
    GiveUpWaiting { node: usize, incarnation: u64, call: u64 },
    Forward { node: usize },
    RunEnds { node: usize, incarnation: u64, run: ExecutionId },
    BeatDue { node: usize, timer: u64 },
    BeatUnanswered { node: usize, incarnation: u64, beat: u64 },
    LeasesDue { life: u64 },
    Written { write: u64 },
    Block { node: usize, way: usize },
    Unblock { node: usize, way: usize },
    Reset { node: usize },
    KillNode { node: usize },
    StartNode { node: usize },
    StillDead { node: usize, incarnation: u64 },
    KillAppliance,
    StartAppliance,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) now: u64,
    base: Instant,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: HashMap<u64, Event>,
    last_event: u64,
    pub(crate) random: Random,
    pub(crate) store: Store,
    pub(crate) appliance: Appliance,
    pub(crate) nodes: Vec<Node>,
    pub(crate) ids: Vec<NodeId>,
    pub(crate) connections: Vec<Connection>,
    paths: Vec<Path>,
    pub(crate) ledger: Ledger,
    /// What each run that ever was given is for, and when it was given.
    pub(crate) given: HashMap<ExecutionId, (usize, u64)>,
    pub(crate) broken: Option<Broken>,
}

impl World {
    /// The world of `seed`, one rule of which may be broken.
    pub(crate) fn new(seed: u64, broken: Option<Broken>) -> Self {
        let mut random = Random::new(seed);
        let count = usize::try_from(random.within(1, 3)).expect("it is small");
        let mut world = Self {
            now: 0,
            base: Instant::now(),
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            last_event: 0,
            random,
            store: Store::default(),
            appliance: Appliance::new(0),
            nodes: (0..count).map(|_node| Node::new()).collect(),
            ids: (0..count).map(id_of).collect(),
            connections: Vec::new(),
            paths: vec![Path::default(); count],
            ledger: Ledger::default(),
            given: HashMap::new(),
            broken,
        };
        world.plan();
        world
    }

    /// What scripts do, and what goes wrong.
    fn plan(&mut self) {
        for node in 0..self.nodes.len() {
            self.connect_soon(node);
            for _publish in 0..self.random.within(5, 25) {
                let at = self.random.within(0, HEALED_MS - 10_000);
                // Often some at once: what is under way together is what gets mixed up.
                for _again in 0..self.random.within(1, 3) {
                    let later = self.random.within(0, 40);
                    self.at(at + later, Event::Publishes { node });
                }
            }
        }
        for _fault in 0..self.random.within(1, 8) {
            let node = usize::try_from(self.random.next() % self.nodes.len() as u64).expect("it is small");
            let at = self.random.within(0, FAULTS_MS);
            let until = (at + self.random.within(50, 75_000)).min(HEALED_MS);
            match self.random.within(0, 5) {
                0 => (0..2).for_each(|way| self.blocked(node, way, at, until)),
                1 => self.blocked(node, 0, at, until),
                2 => self.blocked(node, 1, at, until),
                3 => {
                    self.at(at, Event::KillNode { node });
                    self.at(until, Event::StartNode { node });
                }
                4 => {
                    self.at(at, Event::KillAppliance);
                    self.at(until, Event::StartAppliance);
                }
                _reset => self.at(at, Event::Reset { node }),
            }
        }
        for node in 0..self.nodes.len() {
            self.at(HEALED_MS, Event::StartNode { node });
        }
        self.at(HEALED_MS, Event::StartAppliance);
    }

    fn blocked(&mut self, node: usize, way: usize, from: u64, until: u64) {
        self.at(from, Event::Block { node, way });
        self.at(until, Event::Unblock { node, way });
    }

    /// Runs to the end; what was promised and not kept.
    pub(crate) fn run(mut self) -> Vec<String> {
        while let Some(Reverse((at, number))) = self.queue.pop()
            && at <= END_MS
        {
            let event = self.events.remove(&number).expect("each is there once");
            self.now = at;
            self.happens(event);
        }
        for (node, it) in self.nodes.iter().enumerate() {
            if !it.is_quiet() {
                let (spool, results) = (it.spool.len(), it.results.len());
                let wrong = format!("node {node} is left with {spool} in its spool and {results} results");
                self.ledger.wrong.push(wrong);
            }
        }
        if !self.appliance.is_quiet() {
            self.ledger.wrong.push("the appliance is left with work under way".to_owned());
        }
        self.ledger.broken_promises(&self.store)
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Publishes { node } => self.publishes(node),
            Event::Arrives { connection, way } => self.arrives(connection, way),
            Event::Unacknowledged { connection, way, frame } => self.unacknowledged(connection, way, frame),
            Event::Connect { node, incarnation } => self.connect(node, incarnation),
            Event::GiveUpWaiting { node, incarnation, call } => self.give_up_waiting(node, incarnation, call),
            Event::Forward { node } => self.forward(node),
            Event::RunEnds { node, incarnation, run } => self.run_ends(node, incarnation, run),
            Event::BeatDue { node, timer } => self.beat_due(node, timer),
            Event::BeatUnanswered { node, incarnation, beat } => self.beat_unanswered(node, incarnation, beat),
            Event::LeasesDue { life } => self.leases_due(life),
            Event::Written { write } => self.written(write),
            Event::Block { node, way } => self.paths[node].blocked[way] += 1,
            Event::Unblock { node, way } => {
                self.paths[node].blocked[way] -= 1;
                self.retransmit(node, way);
            }
            Event::Reset { node } => {
                if let Some(connection) = self.nodes[node].connection {
                    self.close_appliance_end(connection);
                    self.is_away(node);
                }
            }
            Event::KillNode { node } => self.kill_node(node),
            Event::StartNode { node } => self.start_node(node),
            Event::StillDead { node, incarnation } => self.check_leases_of_the_dead(node, incarnation),
            Event::KillAppliance => self.kill_appliance(),
            Event::StartAppliance => self.start_appliance(),
        }
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.last_event += 1;
        self.events.insert(self.last_event, event);
        self.queue.push(Reverse((at, self.last_event)));
    }

    pub(crate) fn after(&mut self, in_ms: u64, event: Event) {
        self.at(self.now + in_ms, event);
    }

    /// The time as leases take it.
    pub(crate) fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.now)
    }

    /// With jitter, as agents do.
    pub(crate) fn connect_soon(&mut self, node: usize) {
        let (in_ms, incarnation) = (self.random.within(10, 5_000), self.nodes[node].incarnation);
        self.after(in_ms, Event::Connect { node, incarnation });
    }

    fn connect(&mut self, node: usize, incarnation: u64) {
        let it = &self.nodes[node];
        if !it.is_alive || it.incarnation != incarnation || it.connection.is_some() {
            return;
        }
        if !self.appliance.is_alive || !self.paths[node].is_open() {
            return self.connect_soon(node);
        }
        self.connections.push(Connection::new(node));
        self.nodes[node].connection = Some(self.connections.len() - 1);
        self.is_connected(node);
    }

    /// The node says something.
    pub(crate) fn say(&mut self, node: usize, frame: Frame) {
        if let Some(connection) = self.nodes[node].connection {
            self.send(connection, Way::Up, frame);
        }
    }

    pub(crate) fn send(&mut self, connection: usize, way: Way, frame: Frame) {
        let it = &mut self.connections[connection];
        if !it.sender_is_open(way) {
            return;
        }
        let (frame, at) = it.send(way, frame, self.now, &mut self.random);
        self.at(at, Event::Arrives { connection, way: way as usize });
        self.after(GIVEN_UP_MS, Event::Unacknowledged { connection, way: way as usize, frame });
    }

    /// The first of the frames on their way has arrived, unless something is in the way: then it is sent again later.
    fn arrives(&mut self, connection: usize, way: usize) {
        let it = &mut self.connections[connection];
        if self.paths[it.node].blocked[way] > 0 {
            return;
        }
        if it.ways[way].frames.front().is_none_or(|(_number, at, _frame)| *at > self.now) {
            return;
        }
        let Some((_number, _at, frame)) = it.ways[way].frames.pop_front() else { return };
        let direction = if way == 0 { Way::Up } else { Way::Down };
        if !it.receiver_is_open(direction) {
            return;
        }
        let node = it.node;
        match direction {
            Way::Up => self.appliance_hears(connection, frame),
            Way::Down => self.node_hears(node, frame),
        }
    }

    /// The way is free again.
    fn retransmit(&mut self, node: usize, way: usize) {
        let of_node = (0..self.connections.len()).filter(|it| self.connections[*it].node == node);
        for connection in of_node.collect::<Vec<_>>() {
            for _frame in 0..self.connections[connection].ways[way].frames.len() {
                let in_ms = self.random.within(1, 1_000);
                self.after(in_ms, Event::Arrives { connection, way });
            }
        }
    }

    /// Sent long ago, and still on its way: whoever sent it gives the connection up, and the frame never arrives.
    fn unacknowledged(&mut self, connection: usize, way: usize, frame: u64) {
        let it = &self.connections[connection];
        if !it.open[way] || !it.ways[way].frames.iter().any(|(number, ..)| *number == frame) {
            return;
        }
        if way == 0 {
            self.is_away(it.node);
        } else if self.broken != Some(Broken::WhatIsSentArrivesHoweverLate) {
            self.appliance_hears(connection, Frame::End);
        }
    }

    /// The node's end is gone, and what it had sent with it; the other end hears of it when a packet gets through.
    pub(crate) fn close_node_end(&mut self, connection: usize) {
        self.close(connection, Way::Up);
    }

    pub(crate) fn close_appliance_end(&mut self, connection: usize) {
        self.close(connection, Way::Down);
    }

    fn close(&mut self, connection: usize, way: Way) {
        let it = &mut self.connections[connection];
        if !std::mem::replace(&mut it.open[way as usize], false) {
            return;
        }
        it.ways[way as usize].frames.clear();
        let (_frame, at) = it.send(way, Frame::End, self.now, &mut self.random);
        self.at(at, Event::Arrives { connection, way: way as usize });
    }
}
