//! A node as it is specified: numbers, spool and outbox that outlive what they must outlive.

use crate::Broken;
use crate::appliance::ELSEWHERE_AFTER_MS;
use crate::network::Frame;
use crate::store::PublishId;
use crate::world::{Event, World};
use picloud_cluster::outbox::Results;
use picloud_cluster::settled::Settled;
use picloud_model::ids::ExecutionId;
use picloud_model::protocol::node::{BEAT_ANSWER_MS, BEAT_BUSY_MS, BEAT_IDLE_MS};
use std::collections::{BTreeMap, HashMap};

/// Numbers that are reserved on the disk at once.
const NUMBERS_AT_ONCE: u64 = 16;
/// How long a script waits for a publish before the spool takes it.
const ANSWER_MAX_MS: u64 = 8_000;
/// How long a publish of the spool waits that was refused for want of room.
const BACKLOG_PAUSE_MS: u64 = 500;

pub(crate) struct Node {
    pub(crate) is_alive: bool,
    pub(crate) incarnation: u64,
    /// On the disk.
    pub(crate) spool: BTreeMap<u64, PublishId>,
    /// On the disk: numbers below this may have been given.
    reserved: u64,
    settled: Settled,
    /// Its end of its connection.
    pub(crate) connection: Option<usize>,
    /// Calls that scripts wait for, by call.
    direct: BTreeMap<u64, (u64, PublishId)>,
    /// The calls that forward the first of the spool, with their numbers: one, unless that rule is broken.
    forwarding: BTreeMap<u64, u64>,
    pub(crate) under_way: HashMap<ExecutionId, usize>,
    pub(crate) results: Results<usize>,
    calls: u64,
    beats: u64,
    unanswered: Option<u64>,
    beat_timer: u64,
    is_beating_fast: bool,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self {
            is_alive: true,
            incarnation: 1,
            spool: BTreeMap::new(),
            reserved: 1,
            settled: Settled::new(1, []),
            connection: None,
            direct: BTreeMap::new(),
            forwarding: BTreeMap::new(),
            under_way: HashMap::new(),
            results: Results::default(),
            calls: 0,
            beats: 0,
            unanswered: None,
            beat_timer: 0,
            is_beating_fast: false,
        }
    }

    /// Whether nothing waits on it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.spool.is_empty() && self.results.is_empty() && self.under_way.is_empty() && self.direct.is_empty()
    }

    /// What is in memory alone is gone.
    fn killed(&mut self) {
        let (spool, reserved, incarnation) = (std::mem::take(&mut self.spool), self.reserved, self.incarnation);
        let (calls, beat_timer) = (self.calls, self.beat_timer + 1);
        *self = Self { is_alive: false, spool, reserved, incarnation, calls, beat_timer, ..Self::new() };
    }
}

impl World {
    pub(crate) fn kill_node(&mut self, node: usize) {
        if let Some(connection) = self.nodes[node].connection {
            self.close_node_end(connection);
        }
        self.nodes[node].killed();
        let incarnation = self.nodes[node].incarnation;
        self.after(ELSEWHERE_AFTER_MS, Event::StillDead { node, incarnation });
        self.after(2 * ELSEWHERE_AFTER_MS, Event::StillDead { node, incarnation });
    }

    pub(crate) fn start_node(&mut self, node: usize) {
        let next = if self.broken == Some(Broken::NumbersBeginAnew) { 1 } else { self.nodes[node].reserved };
        let it = &mut self.nodes[node];
        if it.is_alive {
            return;
        }
        (it.is_alive, it.incarnation) = (true, it.incarnation + 1);
        it.settled = Settled::new(next, it.spool.keys().copied());
        self.connect_soon(node);
    }

    /// A script publishes.
    pub(crate) fn publishes(&mut self, node: usize) {
        if !self.nodes[node].is_alive {
            return;
        }
        let publish = self.ledger.begin(node, self.now);
        let it = &mut self.nodes[node];
        let number = it.settled.begin();
        if number >= it.reserved {
            it.reserved = number + NUMBERS_AT_ONCE;
        }
        let may_pass = it.spool.is_empty() || self.broken == Some(Broken::PublishesPassTheSpool);
        if it.connection.is_none() || !may_pass {
            return self.spooled(node, number, publish);
        }
        let call = self.say_publish(node, number, publish);
        self.nodes[node].direct.insert(call, (number, publish));
        let incarnation = self.nodes[node].incarnation;
        self.after(ANSWER_MAX_MS, Event::GiveUpWaiting { node, incarnation, call });
    }

    /// The spool has it; the script is told that it is done.
    fn spooled(&mut self, node: usize, number: u64, publish: PublishId) {
        self.nodes[node].spool.insert(number, publish);
        self.ledger.publishes[publish].acknowledged = Some(self.now);
        self.forward(node);
    }

    fn say_publish(&mut self, node: usize, number: u64, publish: PublishId) -> u64 {
        let it = &mut self.nodes[node];
        it.calls += 1;
        let (call, mut settled_below) = (it.calls, it.settled.below());
        if self.broken == Some(Broken::SettledTooEarly) {
            settled_below = it.settled.next();
        }
        self.say(node, Frame::Publish { call, number, settled_below, publish });
        call
    }

    /// No answer came in time: the spool takes it, under its number.
    pub(crate) fn give_up_waiting(&mut self, node: usize, incarnation: u64, call: u64) {
        if self.nodes[node].incarnation != incarnation {
            return;
        }
        if let Some((number, publish)) = self.nodes[node].direct.remove(&call) {
            self.spooled(node, number, publish);
        }
    }

    /// Forwards the first of the spool: one at a time, for what is under way together may be stored in any order.
    pub(crate) fn forward(&mut self, node: usize) {
        let it = &self.nodes[node];
        if !it.is_alive || it.connection.is_none() || !it.forwarding.is_empty() {
            return;
        }
        let at_once = if self.broken == Some(Broken::SpoolForwardedAllAtOnce) { 4 } else { 1 };
        let first: Vec<(u64, PublishId)> = it.spool.iter().take(at_once).map(|(n, publish)| (*n, *publish)).collect();
        for (number, publish) in first {
            let call = self.say_publish(node, number, publish);
            self.nodes[node].forwarding.insert(call, number);
        }
    }

    /// A frame has come from the appliance.
    pub(crate) fn node_hears(&mut self, node: usize, frame: Frame) {
        match frame {
            Frame::Run { run, delivery } => self.begins(node, run, delivery),
            Frame::Taken(run) => drop(self.nodes[node].results.taken(run)),
            Frame::BeatAnswer(number) => {
                let it = &mut self.nodes[node];
                it.unanswered = it.unanswered.filter(|waiting| *waiting > number);
            }
            Frame::Answer { call, is_stored } => self.answered(node, call, is_stored),
            Frame::End => self.is_away(node),
            other => unreachable!("{other:?} is not for nodes"),
        }
    }

    fn answered(&mut self, node: usize, call: u64, is_stored: bool) {
        let it = &mut self.nodes[node];
        if let Some((number, publish)) = it.direct.remove(&call) {
            it.settled.settle(number);
            let told = &mut self.ledger.publishes[publish];
            if is_stored { told.acknowledged = Some(self.now) } else { told.refused = true }
        }
        let Some(number) = it.forwarding.remove(&call) else { return };
        if is_stored {
            it.spool.remove(&number);
            it.settled.settle(number);
            self.forward(node);
        } else {
            self.after(BACKLOG_PAUSE_MS, Event::Forward { node });
        }
    }

    fn begins(&mut self, node: usize, run: ExecutionId, delivery: usize) {
        if let Some(other) = self.appliance.has_lease(delivery).filter(|other| *other != node) {
            let wrong = format!("delivery {delivery} begins on node {node} while node {other} has the lease");
            self.ledger.wrong.push(wrong);
        }
        self.ledger.runs(run, delivery);
        self.nodes[node].under_way.insert(run, delivery);
        let incarnation = self.nodes[node].incarnation;
        let takes =
            if self.random.percent(10) { self.random.within(1_000, 45_000) } else { self.random.within(1, 300) };
        self.after(takes, Event::RunEnds { node, incarnation, run });
        self.beat_soon(node, BEAT_BUSY_MS);
    }

    pub(crate) fn run_ends(&mut self, node: usize, incarnation: u64, run: ExecutionId) {
        let it = &mut self.nodes[node];
        if it.incarnation != incarnation || !it.is_alive {
            return;
        }
        if let Some(delivery) = it.under_way.remove(&run) {
            it.results.keep(run, delivery);
            self.say_results(node);
        }
    }

    fn say_results(&mut self, node: usize) {
        if self.nodes[node].connection.is_none() {
            return;
        }
        while let Some(run) = self.nodes[node].results.next().map(|(run, _delivery)| run) {
            self.say(node, Frame::RunDone(run));
        }
    }

    /// It is connected: it says what it holds, and what was not taken, again.
    pub(crate) fn is_connected(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let mut holding: Vec<ExecutionId> = it.under_way.keys().copied().chain(it.results.runs()).collect();
        holding.sort_unstable();
        if self.broken == Some(Broken::ResultsAreNotHeld) {
            holding.retain(|run| it.under_way.contains_key(run));
        }
        if self.broken != Some(Broken::ResultsAreSaidOnce) {
            it.results.reconnected();
        }
        it.unanswered = None;
        let incarnation = it.incarnation;
        self.say(node, Frame::Hello { incarnation, holding });
        self.say_results(node);
        self.forward(node);
        self.beat_soon(node, BEAT_BUSY_MS);
    }

    /// Its connection is over: what scripts wait for goes to the spool, in order.
    pub(crate) fn is_away(&mut self, node: usize) {
        if let Some(connection) = self.nodes[node].connection.take() {
            self.close_node_end(connection);
        }
        if !self.nodes[node].is_alive {
            return;
        }
        self.nodes[node].forwarding.clear();
        for (_call, (number, publish)) in std::mem::take(&mut self.nodes[node].direct) {
            if self.broken == Some(Broken::SpooledUnderANewNumber) {
                self.nodes[node].settled.settle(number);
                let number = self.nodes[node].settled.begin();
                self.spooled(node, number, publish);
            } else {
                self.spooled(node, number, publish);
            }
        }
        self.connect_soon(node);
    }

    fn beat_soon(&mut self, node: usize, in_ms: u64) {
        let it = &mut self.nodes[node];
        if in_ms == BEAT_BUSY_MS && it.is_beating_fast {
            return;
        }
        it.is_beating_fast = in_ms == BEAT_BUSY_MS;
        it.beat_timer += 1;
        let timer = it.beat_timer;
        self.after(in_ms, Event::BeatDue { node, timer });
    }

    pub(crate) fn beat_due(&mut self, node: usize, timer: u64) {
        let it = &mut self.nodes[node];
        if it.beat_timer != timer || !it.is_alive {
            return;
        }
        it.is_beating_fast = false;
        if it.connection.is_none() {
            return;
        }
        it.beats += 1;
        it.unanswered.get_or_insert(it.beats);
        let (beat, is_busy) = (it.beats, !it.under_way.is_empty() || !it.results.is_empty());
        let incarnation = it.incarnation;
        self.say(node, Frame::Beat(beat));
        self.after(BEAT_ANSWER_MS, Event::BeatUnanswered { node, incarnation, beat });
        self.beat_soon(node, if is_busy { BEAT_BUSY_MS } else { BEAT_IDLE_MS });
    }

    pub(crate) fn beat_unanswered(&mut self, node: usize, incarnation: u64, beat: u64) {
        let it = &self.nodes[node];
        if it.incarnation == incarnation && it.unanswered.is_some_and(|waiting| waiting <= beat) {
            self.is_away(node);
        }
    }
}
