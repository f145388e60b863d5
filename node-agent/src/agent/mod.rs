//! The agent: one loop over everything that happens to a node, in the order in which it happens.

mod beats;
mod ending;

use crate::appliance::Link;
use crate::context::Context;
use crate::discover::Discovery;
use crate::identity::{Belonging, Member};
use crate::outgoing::RunEnd;
use crate::spool::Spool;
use crate::status::{Report, StatusAsk};
use crate::worker::Worker;
use crate::{announce, connect, host};
use beats::Beats;
use picloud_cluster::lan::Lan;
use picloud_model::ids::ExecutionId;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::{BEAT_ANSWER_MS, NodeHello, ToNode};
use picloud_model::protocol::{RunInput, RunRequest, ServiceFailure};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Events that wait for the loop.
const EVENTS_MAX: usize = 256;

/// Everything that happens to a node.
pub(crate) enum Event {
    /// It was let in, or has another certificate.
    Joined(Member),
    /// A connection is to begin: who is this node, and what does it hold?
    HelloAsked(oneshot::Sender<NodeHello>),
    /// An appliance answers.
    Up(Link),
    /// It says something.
    Said(ToNode),
    /// It does not answer any more, or still does not; why.
    Down(String),
    /// This node was removed; who says so.
    Retired(String),
    /// A run that an appliance asked for is over; and whether somebody waits for what came of it.
    RunOver(ExecutionId, Box<RunEnd>, bool),
    /// Somebody at this machine wants to know how it is.
    Asked(StatusAsk),
    /// Whether the loop still turns.
    Alive(oneshot::Sender<()>),
    /// The agent is to end.
    Stop,
}

/// Why the agent ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// The node was removed.
    Retired,
}

/// What the loop works on.
pub(crate) struct Agent {
    pub(crate) context: Arc<Context>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) lan: Option<Arc<Lan>>,
    pub(crate) cache: Arc<crate::cache::Content>,
    pub(crate) snapshot: crate::cache::SnapshotFile,
    pub(crate) events: mpsc::Sender<Event>,
    incarnation: u64,
    link: Option<Link>,
    appliance: String,
    teller: Option<JoinHandle<()>>,
    held: HashSet<ExecutionId>,
    draining: bool,
    beats: Beats,
}

/// What the agent is made of.
pub(crate) struct Parts {
    pub(crate) context: Arc<Context>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) lan: Option<Arc<Lan>>,
    pub(crate) cache: Arc<crate::cache::Content>,
    pub(crate) snapshot: crate::cache::SnapshotFile,
}

/// The queue of everything that happens.
pub(crate) fn events() -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
    mpsc::channel(EVENTS_MAX)
}

impl Agent {
    pub(crate) fn new(parts: Parts, events: mpsc::Sender<Event>) -> Self {
        let Parts { context, worker, spool, lan, cache, snapshot } = parts;
        let incarnation = getrandom::u64().unwrap_or_else(|_none| context.clock.now_ms().unsigned_abs());
        Self {
            context,
            worker,
            spool,
            lan,
            cache,
            snapshot,
            events,
            incarnation,
            link: None,
            appliance: String::new(),
            teller: None,
            held: HashSet::new(),
            draining: false,
            beats: Beats::default(),
        }
    }

    /// Runs until it is told to stop, or the node is removed.
    pub(crate) async fn run(mut self, mut happens: mpsc::Receiver<Event>) -> Ended {
        let context = &self.context;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(Arc::clone(&self.worker).keep());
        let discovery = Discovery::new(self.lan.clone());
        tasks.spawn(connect::keep(Arc::clone(context), discovery, self.events.clone()));
        let (spool, slot, clock) = (Arc::clone(&self.spool), context.slot.clone(), Arc::clone(&context.clock));
        tasks.spawn(host::forward(spool, slot, clock));
        self.announce();
        if context.apps.known() {
            self.boot();
        }
        let doubt = Arc::clone(&self.context.doubt);
        let ended = loop {
            let is_busy = !self.held.is_empty() || !self.context.outgoing.is_empty();
            let (beat_at, answer_by) = (self.beats.next_at(is_busy), self.beats.answer_by());
            let event = tokio::select! {
                event = happens.recv() => event.unwrap_or(Event::Stop),
                () = at(answer_by) => {
                    if let Some(link) = &self.link {
                        link.end(&format!("it gave no sign of life within {} s", BEAT_ANSWER_MS / 1000));
                    }
                    self.beats.give_up();
                    continue;
                }
                () = at(beat_at) => {
                    self.beat();
                    continue;
                }
                () = doubt.notified() => {
                    if self.beats.settles_doubt(Instant::now()) {
                        self.beat();
                    }
                    continue;
                }
            };
            match event {
                Event::Stop => {
                    self.stop(&mut happens).await;
                    break Ended::Stopped;
                }
                Event::Retired(who) => {
                    self.retire(&who).await;
                    break Ended::Retired;
                }
                Event::Said(ToNode::Retired) => {
                    let who = self.appliance.clone();
                    self.retire(&who).await;
                    break Ended::Retired;
                }
                event => self.take(event),
            }
        };
        tasks.shutdown().await;
        if let Some(lan) = &self.lan {
            lan.stop().await;
        }
        ended
    }

    /// Takes what happened.
    fn take(&mut self, event: Event) {
        match event {
            Event::Joined(member) => self.joined(member),
            Event::HelloAsked(asked) => {
                let _gave_up = asked.send(self.hello());
            }
            Event::Up(link) => self.up(link),
            Event::Said(frame) => self.said(frame),
            Event::Down(why) => self.down(why),
            Event::RunOver(run, end, is_awaited) => {
                // First there, then not here: at every moment it is held.
                if is_awaited || self.held.len() <= 1 {
                    self.context.outgoing.result(run, *end);
                } else {
                    self.context.outgoing.result_among_others(run, *end);
                }
                self.held.remove(&run);
            }
            Event::Asked(ask) => ask.answer(self.report()),
            Event::Alive(asked) => drop(asked.send(())),
            Event::Stop | Event::Retired(_) => unreachable!("the loop ends with these"),
        }
    }

    /// Serves what it served last, whoever answers.
    fn boot(&self) {
        let context = &self.context;
        let apps = context.apps.snapshot();
        tracing::info!(apps = apps.apps.len(), "answers from what it was told the last time");
        let changed = crate::apps::Changed::default();
        self.worker.changed(changed, 0);
    }

    fn joined(&mut self, member: Member) {
        let name = member.name.clone();
        if let Err(error) = self.context.belongs(Belonging::Member(member)) {
            tracing::error!("that this node was let in cannot be written down: {error}");
        }
        self.worker.named(&name);
        self.announce();
    }

    fn hello(&self) -> NodeHello {
        let mut holding: HashSet<ExecutionId> = self.context.outgoing.held().into_iter().collect();
        holding.extend(&self.held);
        NodeHello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            facts: self.context.facts.clone(),
            urls: crate::urls::of(self.worker.addr()),
            places: self.context.settings.concurrency,
            holding: holding.into_iter().collect(),
            incarnation: self.incarnation,
        }
    }

    fn up(&mut self, link: Link) {
        self.context.outgoing.reconnected();
        self.context.slot.up(link.clone());
        self.beats = Beats::begin(Instant::now());
        self.teller = Some(tokio::spawn(tell(Arc::clone(&self.context), link.clone())));
        self.link = Some(link);
    }

    fn down(&mut self, why: String) {
        if let Some(teller) = self.teller.take() {
            teller.abort();
        }
        self.link = None;
        self.beats = Beats::default();
        self.context.slot.away(self.context.clock.now_ms(), why);
    }

    fn said(&mut self, frame: ToNode) {
        let context = Arc::clone(&self.context);
        match frame {
            ToNode::Welcome { appliance, version, name, others } => self.welcomed(appliance, &version, name, &others),
            ToNode::Snapshot(snapshot) => {
                let revision = snapshot.revision;
                let changed = context.apps.replace(snapshot);
                self.worker.changed(changed, revision);
            }
            ToNode::AppChanged { revision, app } => {
                let id = app.id;
                context.apps.set_app(revision, app);
                self.worker.app_changed(id, revision);
            }
            ToNode::AppRemoved { revision, app } => {
                context.apps.remove_app(revision, app);
                self.worker.app_changed(app, revision);
            }
            ToNode::Keys { revision, keys } => {
                context.apps.set_keys(revision, keys);
                self.worker.keys_changed(revision);
            }
            ToNode::Secrets { app, secrets } => context.apps.set_secrets(app, secrets),
            ToNode::Run(runs) => runs.into_iter().for_each(|run| self.begin(run)),
            ToNode::Taken(runs) => context.outgoing.taken(&runs),
            ToNode::TakenExecutions { batch } => context.outgoing.taken_executions(batch),
            ToNode::Beat { number } => self.beats.answered(number, Instant::now()),
            ToNode::Drain(draining) => {
                if std::mem::replace(&mut self.draining, draining) != draining {
                    tracing::info!("{}", if draining { "takes no new work" } else { "takes new work again" });
                }
                self.worker.draining(draining);
            }
            ToNode::Retired => unreachable!("the loop ends with this"),
        }
    }

    fn welcomed(&mut self, appliance: String, version: &str, name: String, others: &[String]) {
        let Some(link) = &self.link else { return };
        tracing::info!(appliance, version, address = %link.address(), name, "an appliance answers");
        self.appliance = appliance;
        let Some(mut member) = self.context.member() else { return };
        let moved = member.remember(&link.address().to_string(), others);
        let renamed = member.name != name;
        if moved || renamed {
            member.name = name;
            self.joined(member);
        }
    }

    fn begin(&mut self, run: RunRequest) {
        let id = run.execution_id;
        if self.held.contains(&id) || self.context.outgoing.holds(id) {
            return;
        }
        if self.held.len() >= self.context.settings.concurrency as usize * 2 {
            let message = "this node runs more than it has places for already".to_owned();
            self.context.outgoing.result(id, Err(ServiceFailure { code: Code::Overloaded, message }));
            return;
        }
        self.held.insert(id);
        let is_awaited = matches!(run.input, RunInput::Forwarded { .. });
        let (worker, events) = (Arc::clone(&self.worker), self.events.clone());
        tokio::spawn(async move {
            let ended = worker.run(run).await.map_err(failure);
            let _agent_gone = events.send(Event::RunOver(id, Box::new(ended), is_awaited)).await;
        });
    }

    fn beat(&mut self) {
        let Some(link) = &self.link else { return };
        // Where there is no room for it, what waits before it is not taken either: that counts as no answer.
        link.say_now(&self.beats.send(Instant::now(), self.spool.waiting()));
    }

    fn announce(&self) {
        if let Some(lan) = &self.lan {
            announce::announce(lan, &self.context.key, &self.context.name(), self.worker.addr());
        }
    }

    fn report(&self) -> Report {
        Report::of(self, &self.appliance, self.held.len())
    }
}

/// Says what there is to say, as soon as there is something, until the link is over.
async fn tell(context: Arc<Context>, link: Link) {
    loop {
        while let Some(frame) = context.outgoing.next() {
            if let Err(error) = link.say(&frame).await {
                tracing::error!(%error, "something cannot be said to the appliance");
            }
        }
        tokio::select! {
            () = context.outgoing.something() => {}
            _why = link.over() => return,
        }
    }
}

fn failure(problem: Problem) -> ServiceFailure {
    ServiceFailure { code: problem.code, message: problem.detail }
}

/// Waits until then, for ever where there is no such time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
