//! One attempt of one delivery: the run, its record, and the end that it comes to.

use super::end::{self, Outcome};
use crate::host::{Causes, Origin, StoreHost};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::secrets::Vault;
use crate::tasks::history::History;
use picloud_model::async_request::NewAsyncRequest;
use picloud_model::clock::Clock;
use picloud_model::delivery::{Delivery, DeliveryEnd, Ended};
use picloud_model::event::EventKind;
use picloud_model::ids::{AppId, DeliveryId, ExecutionId};
use picloud_model::principal::Principal;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{RunInput, RunRequest, RunResult, Verdict};
use picloud_orchestrator::supervisor::Supervisor;
use picloud_store::{Store, StoreError};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

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
    /// Where finished runs go.
    pub history: History,
    /// The apps' secrets, which are taken out of what is kept.
    pub vault: Arc<Vault>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where runs come from, for what they write.
    pub causes: Causes,
    /// This machine's name.
    pub node: String,
}

/// How many deliveries run at this moment.
#[derive(Default)]
pub(super) struct Running {
    count: AtomicUsize,
    /// Told when one is over, which is before the store has been told of it.
    pub(super) freed: Notify,
    stopping: AtomicBool,
}

impl Running {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// From now on, runs end because they must.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// A place, until it is dropped.
    pub(super) fn take(self: &Arc<Self>) -> Place {
        self.count.fetch_add(1, Ordering::AcqRel);
        Place(Arc::clone(self))
    }
}

/// The place of one run.
pub(super) struct Place(Arc<Running>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}

/// Runs `delivery` once, and tells the store what became of it.
pub(super) async fn run(parts: Arc<Parts>, delivery: Delivery, place: Place) {
    let execution_id = ExecutionId::new();
    let (mut result, under_way) = match Parts::asked(&delivery) {
        Ok(asked) => {
            let request = match &asked.input {
                RunInput::Async { request, .. } => Some(request.id),
                RunInput::Request(_) | RunInput::Event { .. } => None,
            };
            let origin = Origin { chain: delivery.event.chain.clone(), cause: asked.cause.clone(), request };
            let under_way = parts.causes.begin(execution_id, origin);
            (parts.try_run(&delivery, execution_id, asked).await, Some(under_way))
        }
        Err(problem) => (Err(problem), None),
    };
    if let Err(problem) = &mut result
        && problem.code == Code::WorkerLost
        && place.0.stopping.load(Ordering::Acquire)
    {
        // It was cut off by the end of the appliance, not by itself.
        problem.code = Code::NodeAway;
    }
    // The next run begins while this one is told of.
    drop((under_way, place));
    let outcome = parts.outcome(&delivery, execution_id, result).await;
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
            history: host.history.clone(),
            vault: Arc::clone(&host.vault),
            metrics: Arc::clone(&host.metrics),
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
    ) -> Result<RunResult, Problem> {
        let Some(app) = self.registry.app(delivery.app) else {
            // It is gone and its deliveries with it, or it is not published yet.
            return Err(Problem::new(Code::NodeAway, "the app of this delivery is not there"));
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
        self.noted(delivery.id, pin!(self.supervisor.run(run, timeout))).await
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
    async fn outcome(&self, delivery: &Delivery, id: ExecutionId, result: Result<RunResult, Problem>) -> Outcome {
        let now = self.clock.now_ms();
        let mut result = match result {
            Ok(result) => result,
            // A lost run's record comes from whoever saw its worker die.
            Err(problem) => return end::of_problem(delivery, id, problem, &self.node, now),
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

    /// Tells the store until it takes it: a claim that is never told of would hold its delivery back.
    async fn tell(&self, delivery: &Delivery, outcome: Outcome) {
        let app = self.app_name(delivery.app);
        let mut pause = TELL_PAUSE_MIN;
        loop {
            let now = self.clock.now_ms();
            match self.store.end_delivery(delivery.id, outcome.end.clone(), now).await {
                Ok(ended) => {
                    self.metrics.delivery_ended(&app, outcome.word);
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

    fn app_name(&self, app: AppId) -> String {
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
