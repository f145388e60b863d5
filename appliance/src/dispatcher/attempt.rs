//! One attempt of one delivery: the run, its record, and the end that it comes to.

use super::end::{self, Outcome};
use super::running::{At, Place};
use crate::activity::Live;
use crate::host::{Causes, Origin, StoreHost};
use crate::metrics::Metrics;
use crate::nodes::hub::{Hub, NoResult};
use crate::registry::Registry;
use crate::secrets::Vault;
use crate::tasks::history::History;
use picloud_cluster::leases::SILENCE_MAX;
use picloud_model::async_request::NewAsyncRequest;
use picloud_model::clock::{Clock, UnixMs};
use picloud_model::delivery::{Delivery, DeliveryEnd, Ended};
use picloud_model::event::EventKind;
use picloud_model::execution::{Execution, Outcome as RunOutcome, Usage};
use picloud_model::ids::{AppId, DeliveryId, ExecutionId};
use picloud_model::principal::Principal;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{RunInput, RunRequest, RunResult, Verdict};
use picloud_orchestrator::supervisor::Supervisor;
use picloud_store::{Store, StoreError};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

/// An attempt that runs for so long is written down as one that has begun.
const NOTED_AFTER: Duration = Duration::from_secs(1);
/// How much longer than the run itself the worker may take to answer.
const ANSWER_SLACK: Duration = Duration::from_secs(5);
/// First pause before a store that refused is told again; doubles from there.
const TELL_PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause.
const TELL_PAUSE_MAX: Duration = Duration::from_secs(5);

/// What attempts need.
pub struct Parts {
    /// Where deliveries are.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The live apps.
    pub registry: Arc<Registry>,
    /// Who runs scripts.
    pub supervisor: Supervisor,
    /// The nodes, which run them too.
    pub hub: Hub,
    /// Where finished runs go.
    pub history: History,
    /// The apps' secrets, which are taken out of what is kept.
    pub vault: Arc<Vault>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What happened of late.
    pub activity: Live,
    /// Where runs come from, for what they write.
    pub causes: Causes,
    /// This machine's name.
    pub node: String,
}

/// Why there is no result.
enum Failed {
    /// It says itself whether it was an attempt.
    Here(Problem),
    /// It was not run.
    NotRun(Problem),
    /// The node that had it was lost.
    Lost(Problem),
}

impl From<NoResult> for Failed {
    fn from(why: NoResult) -> Self {
        match why {
            // As on this machine: they would be as large, or as dead, anywhere.
            NoResult::NotRun(problem) if matches!(problem.code, Code::TooLarge | Code::Corrupted) => {
                Self::Here(problem)
            }
            NoResult::NotRun(problem) => Self::NotRun(problem),
            NoResult::Lost(problem) if problem.code == Code::NodeAway => Self::Lost(problem),
            NoResult::Lost(problem) => Self::Here(problem),
        }
    }
}

/// Runs `delivery` once, and tells the store what became of it.
pub(super) async fn run(parts: Arc<Parts>, delivery: Delivery, place: Place) {
    let execution_id = ExecutionId::new();
    let (result, under_way) = match Parts::asked(&delivery) {
        Ok(asked) => {
            let request = match &asked.input {
                RunInput::Async { request, .. } => Some(request.id),
                RunInput::Request(_) | RunInput::Forwarded { .. } | RunInput::Event { .. } => None,
            };
            let origin = Origin { chain: delivery.event.chain.clone(), cause: asked.cause.clone(), request };
            let under_way = parts.causes.begin(execution_id, origin);
            (parts.try_run(&delivery, execution_id, asked, &place.at).await, Some(under_way))
        }
        Err(problem) => (Err(Failed::Here(problem)), None),
    };
    // The next run begins while this one is told of.
    let at = place.at.clone();
    drop((under_way, place));
    let outcome = parts.outcome(&delivery, execution_id, result, at.name(&parts.node)).await;
    parts.tell(&delivery, outcome).await;
}

/// Gives `delivery` back to the store, not run.
pub(super) async fn give_back(parts: Arc<Parts>, delivery: Delivery, outcome: Outcome) {
    parts.tell(&delivery, outcome).await;
}

/// What a run is to see, for whom, and why.
struct Asked {
    input: RunInput,
    principal: Option<Principal>,
    /// As it stands on the run's record.
    cause: String,
}

impl Parts {
    /// What `host` has of it, and the worker's parent side.
    pub fn of(host: &StoreHost, supervisor: Supervisor) -> Self {
        Self {
            store: Arc::clone(&host.store),
            clock: Arc::clone(&host.clock),
            registry: Arc::clone(&host.registry),
            supervisor,
            hub: host.hub.clone(),
            history: host.history.clone(),
            vault: Arc::clone(&host.vault),
            metrics: Arc::clone(&host.metrics),
            activity: host.activity.clone(),
            causes: host.causes.clone(),
            node: host.node.clone(),
        }
    }

    fn asked(delivery: &Delivery) -> Result<Asked, Problem> {
        let event = &delivery.event;
        if event.kind == EventKind::Request {
            let request: NewAsyncRequest = serde_json::from_slice(&event.body).map_err(|error| {
                Problem::new(Code::Corrupted, format!("the request that was kept cannot be read: {error}"))
            })?;
            let path = request.request.path.split('?').next().unwrap_or_default();
            let cause = format!("async {} {path}", request.request.method);
            let principal = request.principal.clone();
            let input = RunInput::Async { request: Box::new(request), attempt: delivery.attempt };
            return Ok(Asked { input, principal, cause });
        }
        let trigger = delivery.trigger.as_ref().map(|(_id, name)| name.clone());
        let json = event.to_json(trigger.as_deref(), delivery.attempt);
        let cause = trigger.as_ref().map_or_else(|| event.kind.as_str().to_owned(), |name| format!("trigger {name}"));
        Ok(Asked { input: RunInput::Event { json, trigger, attempt: delivery.attempt }, principal: None, cause })
    }

    async fn try_run(
        &self,
        delivery: &Delivery,
        execution_id: ExecutionId,
        asked: Asked,
        at: &At,
    ) -> Result<RunResult, Failed> {
        let Some(app) = self.registry.app(delivery.app) else {
            // It is gone and its deliveries with it, or it is not published yet.
            return Err(Failed::Here(Problem::new(Code::NodeAway, "the app of this delivery is not there")));
        };
        let Asked { input, principal, cause } = asked;
        let run = RunRequest {
            app: delivery.app,
            script: delivery.script.clone(),
            source: None,
            version: delivery.version,
            input,
            principal,
            execution_id,
            root_execution_id: delivery.event.root_id,
            trigger_depth: delivery.event.depth,
            cause,
            dry_run: false,
        };
        let timeout = Duration::from_millis(app.limits.triggered_timeout_ms) + ANSWER_SLACK;
        match at {
            At::Here => self.noted(delivery.id, pin!(self.supervisor.run(run, timeout))).await.map_err(Failed::Here),
            At::Node(node) => {
                let running = self.hub.run(&node.id, run, timeout + SILENCE_MAX);
                self.noted(delivery.id, pin!(running)).await.map_err(Failed::from)
            }
        }
    }

    /// Waits for a run, and writes down that its attempt has begun where it takes long: a run that takes the whole
    /// machine down must count as an attempt, too.
    async fn noted<T>(&self, id: DeliveryId, mut run: Pin<&mut impl Future<Output = T>>) -> T {
        if let Ok(result) = tokio::time::timeout(NOTED_AFTER, &mut run).await {
            return result;
        }
        if let Err(error) = self.store.note_attempts(&[id]).await {
            tracing::debug!(%error, "an attempt that takes long could not be written down");
        }
        run.await
    }

    /// What the result comes to; keeps the run's record.
    async fn outcome(
        &self,
        delivery: &Delivery,
        id: ExecutionId,
        result: Result<RunResult, Failed>,
        node: &str,
    ) -> Outcome {
        let now = self.clock.now_ms();
        let mut result = match result {
            Ok(result) => result,
            // A lost run's record comes from whoever saw its worker die.
            Err(Failed::Here(problem)) => return end::of_problem(delivery, id, problem, node, now),
            Err(Failed::NotRun(problem)) => {
                tracing::debug!(node, error = %problem.detail, "a node did not run a delivery");
                return end::not_run(now);
            }
            Err(Failed::Lost(problem)) => {
                self.history.push_kept(vec![self.lost(delivery, id, &problem, node, now)]);
                return end::of_lost(delivery, id, problem, node, now);
            }
        };
        if result.verdict == Verdict::NotRun {
            return end::not_run(now);
        }
        if result.verdict != Verdict::Done {
            // What it failed with is kept with the delivery, too.
            self.vault.redact(std::slice::from_mut(&mut result.execution)).await;
        }
        let outcome = end::of_result(delivery, &mut result, now);
        self.history.push_kept(vec![result.execution]);
        outcome
    }

    /// The record of a run whose node was lost: whether it ended there, nobody knows.
    fn lost(&self, delivery: &Delivery, id: ExecutionId, problem: &Problem, node: &str, now: UnixMs) -> Execution {
        let trigger = delivery.trigger.as_ref().map(|(_id, name)| name.clone()).unwrap_or_default();
        Execution {
            id,
            root_id: delivery.event.root_id,
            app_id: delivery.app,
            app: self.app_name(delivery.app),
            script: delivery.script.clone(),
            version: delivery.version.unwrap_or(0),
            node: node.to_owned(),
            cause: if trigger.is_empty() {
                delivery.event.kind.as_str().to_owned()
            } else {
                format!("trigger {trigger}")
            },
            outcome: RunOutcome::WorkerLost,
            status: problem.status,
            started_at: now,
            duration_us: 0,
            usage: Usage::default(),
            error_json: serde_json::to_string(problem).unwrap_or_default(),
            logs: Vec::new(),
            logs_dropped: 0,
            trigger_depth: delivery.event.depth,
            trigger,
            attempt: delivery.attempt,
            result_json: String::new(),
            input_json: String::new(),
        }
    }

    /// Tells the store until it takes it: a claim that is never told of would hold its delivery back.
    async fn tell(&self, delivery: &Delivery, outcome: Outcome) {
        let app = self.app_name(delivery.app);
        let mut pause = TELL_PAUSE_MIN;
        loop {
            let now = self.clock.now_ms();
            match self.store.end_delivery(delivery.id, outcome.end.clone(), now).await {
                Ok(ended) => {
                    self.metrics.delivery_ended(&app, outcome.word);
                    self.activity.delivered(&app, delivery.event.kind, outcome.word, now);
                    return say(&app, delivery, &outcome, &ended);
                }
                Err(error) => {
                    // The store has logged what is wrong with the disk.
                    tracing::debug!(%error, "what became of a delivery could not be written down yet");
                    if pause == TELL_PAUSE_MAX && !matches!(error, StoreError::Full(_) | StoreError::Overloaded) {
                        tracing::warn!(%app, %error, "what became of a delivery cannot be written down; trying again");
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(TELL_PAUSE_MAX);
        }
    }

    pub(super) fn app_name(&self, app: AppId) -> String {
        self.registry.app(app).map_or_else(|| format!("#{app}"), |app| app.name.clone())
    }
}

/// Tells whoever reads the log what they have to do something about.
fn say(app: &str, delivery: &Delivery, outcome: &Outcome, ended: &Ended) {
    let trigger = delivery.trigger.as_ref().map_or(delivery.event.kind.as_str(), |(_id, name)| name.as_str());
    if let (Some(letter), DeliveryEnd::Dead(attempt)) = (ended.dead_letter, &outcome.end) {
        tracing::warn!(
            %app, trigger, script = %delivery.script, attempts = attempt.attempt, error = %attempt.error.detail,
            "a delivery is a dead letter: `picloud --app {app} dead-letters get {letter}`"
        );
    }
    if let Some((trigger, letters)) = &ended.paused {
        tracing::warn!(
            %app, trigger,
            "a trigger is paused after {letters} dead letters in a row: `picloud --app {app} triggers resume {trigger}`"
        );
    }
}
