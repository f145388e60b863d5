//! What workers ask, answered from the store; and what becomes of runs whose worker died.

mod causes;
mod files;
mod forward;
mod http;
mod open;
mod publish;
mod signed;

pub use causes::{Causes, Origin, UnderWay};
pub(crate) use publish::{check as check_publish, check_value as check_event_value};

use crate::activity::Live;
use crate::keys::KeyRing;
use crate::kv;
use crate::metrics::Metrics;
use crate::nodes::hub::Hub;
use crate::registry::Registry;
use crate::secrets::Vault;
use crate::tasks::history::History;
use crate::tasks::kv_expiry::ExpirySignal;
use crate::tasks::refusals::{Refusals, STRANGER};
use crate::topics::Topics;
use async_trait::async_trait;
use picloud_model::audit::{Act, RefusedAct};
use picloud_model::clock::{Clock, UnixMs};
use picloud_model::execution::{Execution, Outcome, Usage};
use picloud_model::ids::AppId;
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{
    AppSnapshot, Caller, Counts, Refusal, STATIC_CHUNK_BYTES_MAX, ScriptEntry, ServiceFailure, ServiceReply,
    ServiceRequest, Snapshot, VersionEntry,
};
use picloud_model::scope::Scope;
use picloud_model::script::{ModuleVersion, ScriptKind};
use picloud_orchestrator::outbound::Outbound;
use picloud_orchestrator::supervisor::{Host, HostError, LostRun};
use picloud_store::blobs::Blobs;
use picloud_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Times that a version may take its worker down before it is not run any more.
pub const QUARANTINE_AFTER_CRASHES: u32 = 3;

/// Answers workers from the store.
pub struct StoreHost {
    /// Where everything durable is.
    pub store: Arc<dyn Store>,
    /// The bytes of files.
    pub blobs: Blobs,
    /// What signed URLs of files need.
    pub signed: Arc<crate::files::Signed>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The live apps.
    pub registry: Arc<Registry>,
    /// Where finished runs go.
    pub history: History,
    /// The apps' secrets.
    pub vault: Arc<Vault>,
    /// What happened of late.
    pub activity: Live,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Woken when an entry gets a time to live.
    pub expiry: ExpirySignal,
    /// The API keys.
    pub keys: Arc<KeyRing>,
    /// What was refused, for the audit log.
    pub refusals: Refusals,
    /// Requests to somebody else's servers.
    pub outbound: Arc<Outbound>,
    /// Whoever listens to topics right now.
    pub topics: Topics,
    /// Where runs come from that this appliance started.
    pub causes: Causes,
    /// The nodes that are connected.
    pub hub: Hub,
    /// This machine's name.
    pub node: String,
}

#[async_trait]
impl Host for StoreHost {
    async fn call(
        &self,
        caller: Caller,
        deadline: Duration,
        request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure> {
        match request {
            ServiceRequest::AsyncState(id) => Box::pin(self.async_state(id)).await,
            ServiceRequest::Signed(request) => Box::pin(self.signed(request)).await,
            request => self.answer(caller, deadline, request).await,
        }
    }

    async fn snapshot(&self) -> Result<Snapshot, HostError> {
        if !self.registry.loaded().await {
            return Err(HostError("the apps could not be read from the store".to_owned()));
        }
        self.metrics.worker_started();
        let apps = self.registry.all().iter().map(|app| self.registry.placed_here(app)).collect();
        Ok(Snapshot { revision: 0, apps, keys: self.keys.for_workers() })
    }

    fn executions(&self, executions: Vec<Execution>) {
        self.history.push(executions);
    }

    fn counts(&self, counts: Counts) {
        let now = self.clock.now_ms();
        self.keys.were_used(&counts.keys_used, now);
        for refusal in &counts.refusals {
            self.refusals.push_times(refused_act(refusal, now), refusal.times);
        }
        for refusal in &counts.other_refusals {
            self.refusals.push_others(refused_act(refusal, now), refusal.times);
        }
        self.metrics.add(&counts, |app| self.app_name(app));
        self.activity.counted(&counts, now, |app| self.app_name(app));
    }

    async fn worker_lost(&self, runs: Vec<LostRun>) {
        self.worker_lost_on(&self.node, runs).await;
    }
}

impl StoreHost {
    /// The worker of this node died with these.
    pub(crate) async fn worker_lost_on(&self, node: &str, runs: Vec<LostRun>) {
        if let Some(suspect) = suspect(&runs) {
            self.count_crash(suspect).await;
        }
        for run in &runs {
            self.metrics.run_lost(&self.app_name(run.app), &run.script);
        }
        let now = self.clock.now_ms();
        let lost = runs.into_iter().map(|run| self.lost_execution(run, node, now)).collect();
        self.history.push(lost);
    }

    async fn answer(
        &self,
        caller: Caller,
        deadline: Duration,
        request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure> {
        let Some(app) = self.registry.app(caller.app) else {
            return Err(failure(Code::NotFound, "the app of this run does not exist any more"));
        };
        // What is not asked for all the time is boxed: all calls would be as large as the largest of them otherwise.
        match request {
            ServiceRequest::Kv(request) => {
                kv::check(&request, &app.limits).map_err(from_problem)?;
                let now = self.clock.now_ms();
                let expires_at = kv::expires_at(&request, now);
                let bytes = kv::bytes_to_write(&request);
                let reply = self.store.kv_for(caller.app, request, &self.cause(&app, &caller)).await;
                let reply = reply.map_err(|error| from_problem(crate::admin::from_store(error)))?;
                if bytes > 0 && kv::has_written(&reply) {
                    self.metrics.kv_written(&app.name, bytes);
                    self.metrics.written(&app.name, &caller.script, bytes);
                }
                if let Some(at) = expires_at {
                    self.expiry.expires(at);
                }
                Ok(ServiceReply::Kv(reply))
            }
            ServiceRequest::Source(hash) => {
                let source = self.store.source(hash).await;
                let source = source.map_err(|error| from_problem(crate::admin::from_store(error)))?;
                Ok(ServiceReply::Source(source.map(|text| text.to_string())))
            }
            ServiceRequest::Static { hash, offset, len } => {
                let len = len.min(STATIC_CHUNK_BYTES_MAX);
                let bytes = self.store.static_bytes(hash, offset, len).await;
                match bytes.map_err(|error| from_problem(crate::admin::from_store(error)))? {
                    Some(bytes) => Ok(ServiceReply::Bytes(bytes)),
                    None => Err(failure(Code::NotFound, "the file is not stored any more")),
                }
            }
            ServiceRequest::Version { script, version } => {
                let found = Box::pin(self.version(&app, &script, version)).await;
                found.map(ServiceReply::Version).map_err(|error| from_problem(crate::admin::from_store(error)))
            }
            ServiceRequest::Secret { script, name } => {
                let read = Box::pin(self.vault.read(caller.app, &app.name, &script, &name)).await;
                read.map(ServiceReply::Secret).map_err(from_problem)
            }
            ServiceRequest::Publish(publish) => Box::pin(self.publish(&app, &caller, publish)).await,
            ServiceRequest::PublishEphemeral { topic, value } => self.publish_ephemeral(&app, topic, value),
            ServiceRequest::Timer(request) => Box::pin(self.timer(&app, &caller, request)).await,
            ServiceRequest::Accept(request) => Box::pin(self.accept(&app, &caller, *request)).await,
            ServiceRequest::Files(request) => Box::pin(self.files(&app, &caller, request)).await,
            ServiceRequest::Http(call) => Box::pin(self.http(&app, call, deadline)).await,
            ServiceRequest::Forward(request) => {
                let forwarded = Box::pin(self.forward(&app, deadline, *request)).await;
                self.metrics.forwarded(if forwarded.is_ok() { "ok" } else { "failed" });
                forwarded
            }
            // These need no app: what they show names it.
            ServiceRequest::AsyncState(_) | ServiceRequest::Signed(_) => unreachable!("answered above"),
        }
    }

    /// A version that may not be live, with the modules it was saved with.
    async fn version(&self, app: &AppSnapshot, script: &str, version: i64) -> Result<Option<VersionEntry>, StoreError> {
        let Some((script, _live)) = self.store.script(app.id, script).await? else { return Ok(None) };
        let Some(found) = self.store.version(script.id, version).await? else { return Ok(None) };
        let Some(context) = self.store.version_context(script.id, version).await? else { return Ok(None) };
        let modules = if context.recorded {
            context.modules
        } else {
            // Saved before modules were written down with it: those of today are the best there is.
            let modules = app.scripts.iter().filter(|script| script.kind == ScriptKind::Module);
            let module = |it: &ScriptEntry| ModuleVersion { name: it.name.clone(), version: it.version, hash: it.hash };
            modules.map(module).collect()
        };
        let quarantined_after_crashes = self.store.quarantined_after_crashes(script.id, version).await?;
        Ok(Some(VersionEntry { kind: found.kind, hash: found.hash, modules, quarantined_after_crashes }))
    }

    /// Counts a crash against a version and, when it is one too many, stops running it.
    async fn count_crash(&self, run: &LostRun) {
        let now = self.clock.now_ms();
        let app = self.app_name(run.app);
        let crashes = self
            .store
            .record_crash(run.app, &run.script, run.version, run.execution_id, QUARANTINE_AFTER_CRASHES, &Act::of_appliance(&self.node, now))
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%app, script = %run.script, %error, "a run that took its worker down could not be counted");
                0
            });
        tracing::warn!(
            %app, script = %run.script, version = run.version, execution.id = %run.execution_id, crashes,
            "a run took its worker down"
        );
        if crashes < QUARANTINE_AFTER_CRASHES {
            return;
        }
        tracing::warn!(
            %app, script = %run.script, version = run.version, crashes,
            "the script is in quarantine: save a new version, or `picloud --app {app} scripts release {}`", run.script
        );
        if let Err(error) = self.registry.publish(run.app).await {
            tracing::error!(%app, %error, "the quarantine could not be handed to the worker");
        }
    }

    fn app_name(&self, app: AppId) -> String {
        self.registry.app(app).map_or_else(|| format!("#{app}"), |app| app.name.clone())
    }

    fn lost_execution(&self, run: LostRun, node: &str, now: UnixMs) -> Execution {
        let detail = format!("the worker process died while script `{}` version {} ran", run.script, run.version);
        let hint = "its next runs go on; a version that does it three times is quarantined";
        let mut problem = Problem::new(Code::WorkerLost, detail).hint(hint);
        problem.execution_id = Some(run.execution_id);
        Execution {
            id: run.execution_id,
            root_id: run.root_execution_id,
            app_id: run.app,
            app: self.app_name(run.app),
            script: run.script,
            version: run.version,
            node: node.to_owned(),
            cause: run.cause,
            outcome: Outcome::WorkerLost,
            status: problem.status,
            started_at: run.started_at,
            duration_us: u64::try_from(now - run.started_at).unwrap_or(0) * 1000,
            usage: Usage::default(),
            error_json: serde_json::to_string(&problem).unwrap_or_default(),
            logs: Vec::new(),
            logs_dropped: 0,
            trigger_depth: run.trigger_depth,
            trigger: run.trigger,
            attempt: run.attempt,
            result_json: String::new(),
            input_json: String::new(),
        }
    }
}

/// Whom a crash is counted against when several runs were under way: the one that had run for the longest.
///
/// What exhausts a stack or the memory takes its time, and most others are over within microseconds. Counting
/// it against all of them would quarantine every busy script together with the one at fault.
fn suspect(runs: &[LostRun]) -> Option<&LostRun> {
    runs.iter().min_by_key(|run| run.started_at)
}

/// As the audit log has it.
fn refused_act(refusal: &Refusal, now: UnixMs) -> RefusedAct {
    let name = refusal.key.clone().unwrap_or_else(|| STRANGER.to_owned());
    let who = Principal { kind: PrincipalKind::Key, name };
    RefusedAct {
        act: Act { who, from: refusal.from.clone(), at: now, message: None },
        action: Scope::Invoke.to_string(),
        app: Some(refusal.app.clone()),
        target: refusal.route.clone(),
        reason: serde_json::json!({ "code": refusal.code, "detail": refusal.detail }),
    }
}

fn failure(code: Code, message: &str) -> ServiceFailure {
    ServiceFailure { code, message: message.to_owned() }
}

fn from_problem(problem: Problem) -> ServiceFailure {
    ServiceFailure { code: problem.code, message: problem.detail }
}
