//! Runs scripts: gate, place, run, answer, record.
//!
//! A request that a route led to a script comes in through [`Answer`]; a run the parent asks for through
//! [`Runner::run_asked`]. Both pass the gate. Then [`placement`] says whether the run is inline on the async thread
//! or on the [`pool`]; [`handover`] is what keeps an inline run from stalling others when it turns out long.

pub(crate) mod apps;
mod asked;
pub(crate) mod current;
pub mod gate;
pub mod handover;
mod owed;
pub mod placement;
pub mod pool;
mod record;
mod seen;

use crate::capture::Capture;
use crate::counting::Counting;
use crate::ingress::{Answer, RunInput};
use crate::parking::Client;
use crate::previews::{Preview, Previews, Versions};
use crate::problem_response::problem_response;
use apps::{RunApp, RunApps, RunScript, script_ref};
use bytes::Bytes;
use gate::{Gate, Permit};
use handover::Takeovers;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use picloud_executor::services::{Handover, LogSink};
use picloud_executor::{
    CallContext, EventInput, Executor, HttpRequest, RunReport, Script, ScriptResponse, Timeout, stack_bytes_for,
};
use picloud_model::clock::Clock;
use picloud_model::effect::Effect;
use picloud_model::limits::Limits;
use picloud_model::principal::Principal;
use picloud_model::protocol::{AppSnapshot, ScriptEntry};
use picloud_model::{AppId, Code, ExecutionId, Problem};
use placement::Placement;
use pool::Pool;
use record::RunRecord;
use seen::Seen;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A plain success of a script is kept when none was for this long.
const KEEP_SUCCESS_EVERY: Duration = Duration::from_secs(1);

/// What a runner is made of.
pub struct RunnerParts {
    /// The sandbox.
    pub executor: Executor,
    /// The gate, with the slots that name runs to the parent.
    pub gate: Arc<Gate>,
    /// Who schedules, for inline runs that turn out long.
    pub takeovers: Arc<Takeovers>,
    /// Who has versions that are not live.
    pub versions: Arc<dyn Versions>,
    /// Where records go.
    pub capture: Arc<Capture>,
    /// Where runs are counted.
    pub counting: Arc<Counting>,
    /// Wall time, for records.
    pub clock: Arc<dyn Clock>,
    /// This machine.
    pub node: Arc<str>,
    /// Whether to name inline runs from their start, since a worker died without naming any.
    pub announce_inline: bool,
}

/// Runs scripts. Clones are the same runner.
#[derive(Clone)]
pub struct Runner(Arc<Inner>);

struct Inner {
    parts: RunnerParts,
    pool: Pool,
    /// The memory budget that the pool's stacks are made for.
    pool_memory_bytes: u64,
    placement: Placement,
    apps: RunApps,
    previews: Previews,
    began: Instant,
}

/// One run, ready to be run on whatever thread.
struct Job {
    record: Arc<RunRecord>,
    script: Arc<RunScript>,
    source: Script,
    /// What started it, unless it is a request.
    event: Option<EventInput>,
    call: CallContext,
    /// Do nothing to the world.
    dry: bool,
}

/// What came of a [`Job`].
struct Ran {
    record: Arc<RunRecord>,
    report: RunReport,
    /// Of a dry run.
    effects: Vec<Effect>,
}

/// What is needed to make a [`Job`].
struct Order<'o> {
    app: &'o Arc<AppSnapshot>,
    entry: &'o ScriptEntry,
    /// A version to run in place of the live one.
    preview: Option<&'o Preview>,
    /// A text to run in its place.
    source: Option<String>,
    principal: Option<Principal>,
    event: Option<EventInput>,
    timeout: Timeout,
    dry: bool,
    origin: Origin,
}

/// Where a run comes from.
struct Origin {
    execution_id: ExecutionId,
    root_id: ExecutionId,
    trigger_depth: u32,
    cause: String,
    seen: Seen,
    client: Option<Client>,
}

impl Runner {
    /// A runner with a pool of as many threads as runs go on at once.
    pub fn new(parts: RunnerParts) -> Self {
        let pool_memory_bytes = Limits::default().memory_bytes;
        let pool = Pool::new(parts.gate.under_way_max(), stack_bytes_for(pool_memory_bytes));
        let (placement, apps) = (Placement::default(), RunApps::default());
        let previews = Previews::new(Arc::clone(&parts.versions));
        Self(Arc::new(Inner { parts, pool, pool_memory_bytes, placement, apps, previews, began: Instant::now() }))
    }

    /// Forgets what was prepared for an app that is gone.
    pub fn forget(&self, app: AppId) {
        self.0.apps.forget(app);
    }

    /// Does `work` with `job` on the pool, or on a thread of its own when its stack must be deeper, and waits for it.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        job: Job,
        work: impl FnOnce(Job) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (sender, receiver) = oneshot::channel();
        // A client that went away changes nothing: the run goes on to its end, with its permit.
        self.start(job, move |job| drop(sender.send(work(job))))?;
        receiver.await.map_err(|_panicked| Problem::internal())
    }

    /// The same without waiting for it.
    fn start(&self, job: Job, work: impl FnOnce(Job) + Send + 'static) -> Result<(), Problem> {
        let memory_bytes = job.call.limits.memory_bytes;
        job.record.announce();
        let task = move || work(job);
        let started = if memory_bytes > self.0.pool_memory_bytes {
            pool::spawn(stack_bytes_for(memory_bytes), task)
        } else {
            self.0.pool.submit(task)
        };
        started.map_err(|error| {
            tracing::error!("no thread for a run: {error}");
            Problem::new(Code::Overloaded, "this node has no thread left for the run").retry_after_s(1)
        })
    }
}

impl Answer for Runner {
    async fn answer(&self, run: RunInput<'_>) -> Response<Full<Bytes>> {
        let inner = &self.0;
        inner.parts.takeovers.schedules();
        let permit = match inner.parts.gate.enter().await {
            Ok(permit) => permit,
            Err(problem) => {
                inner.parts.counting.answered(problem.status);
                return problem_response(&problem);
            }
        };
        let cause = [run.method, " ", run.path].concat();
        let request = HttpRequest {
            method: run.method.to_owned(),
            path: run.path.to_owned(),
            route: run.route.path.clone(),
            params: run.params,
            query: run.query.to_owned(),
            headers: header_list(run.headers, run.hide_authorization),
            remote_addr: run.remote_addr.to_owned(),
            body: run.body.into(),
        };
        let (execution_id, seen) = (ExecutionId::new(), Seen::Request(Arc::new(request)));
        let (root_id, trigger_depth) = (execution_id, 0);
        let origin = Origin { execution_id, root_id, trigger_depth, cause, seen, client: run.client };
        let (entry, preview, principal) = (run.script, run.preview, run.principal);
        let timeout = Timeout::of_request(&run.app.limits);
        let (source, event, dry) = (None, None, false);
        let order = Order { app: run.app, entry, preview, source, principal, event, timeout, dry, origin };
        let job = inner.job(order, permit, true);
        if job.record.inline {
            return inner.answer(job);
        }
        let answering = Arc::clone(inner);
        match self.on_a_thread(job, move |job| answering.answer(job)).await {
            Ok(response) => response,
            Err(problem) => problem_response(&problem),
        }
    }
}

impl Inner {
    fn job(&self, order: Order<'_>, permit: Permit, may_be_inline: bool) -> Job {
        let Order { app, entry, preview, source, principal, event, timeout, dry, origin } = order;
        let app = self.apps.of(app);
        let script = match (&source, preview) {
            (Some(_), _) => Arc::new(RunScript::draft(&entry.name)),
            (None, Some(preview)) => Arc::clone(&preview.script),
            (None, None) => app.script(entry, &self.placement),
        };
        let fits = app.limits.memory_bytes <= self.pool_memory_bytes;
        let inline = may_be_inline && fits && script.placement.is_short();
        let record = self.record(&app, &script, origin, permit, inline);
        if inline && self.parts.announce_inline {
            record.announce();
        }
        let source = match source {
            Some(text) => Script::Source(text.into()),
            None => Script::Stored(script_ref(preview.map_or(entry, |preview| &preview.entry))),
        };
        let mut call = self.call(&app, &script, &record, principal, timeout);
        if let Some(preview) = preview {
            call.view = Arc::clone(&preview.view);
        }
        Job { record, script, source, event, call, dry }
    }

    fn record(
        &self,
        app: &Arc<RunApp>,
        script: &Arc<RunScript>,
        origin: Origin,
        permit: Permit,
        inline: bool,
    ) -> Arc<RunRecord> {
        let Origin { execution_id, root_id, trigger_depth, cause, seen, client } = origin;
        Arc::new(RunRecord {
            app: Arc::clone(app),
            script: Arc::clone(script),
            execution_id,
            root_id,
            trigger_depth,
            cause,
            seen,
            started_at: self.parts.clock.now_ms(),
            began: Instant::now(),
            inline,
            permit,
            client,
            takeovers: Arc::clone(&self.parts.takeovers),
            became_long: false.into(),
            lines: std::sync::Mutex::default(),
        })
    }

    fn call(
        &self,
        app: &RunApp,
        script: &RunScript,
        record: &Arc<RunRecord>,
        principal: Option<Principal>,
        timeout: Timeout,
    ) -> CallContext {
        CallContext {
            app_id: app.id(),
            app: Arc::clone(&app.name),
            script: Arc::clone(&script.name),
            version: script.version,
            node: Arc::clone(&self.parts.node),
            execution_id: record.execution_id,
            root_execution_id: record.root_id,
            trigger_depth: record.trigger_depth,
            principal,
            deadline: timeout.from(record.began),
            timeout,
            limits: Arc::clone(&app.limits),
            view: Arc::clone(&app.view),
            log: Arc::clone(record) as Arc<dyn LogSink>,
            handover: record.inline.then(|| Arc::clone(record) as Arc<dyn Handover>),
        }
    }

    /// Runs `job` on this thread and learns from how it went.
    fn execute(&self, job: Job) -> Ran {
        let Job { record, script, source, event, call, dry } = job;
        let began = Instant::now();
        let cpu_before = if record.inline { None } else { cpu_time() };
        let (report, effects) = current::during(&record, || self.run(&record.seen, source, event, call, dry));
        // Before there is an answer to send: from here on the worker may die, but no client is answered twice.
        record.permit.withdraw();
        let ended = Instant::now();
        let wall = ended - began;
        self.parts.gate.took(u64::try_from(wall.as_micros()).unwrap_or(u64::MAX));
        // A dry run is none of the script's, and says nothing of how long those take.
        if !dry {
            if let Some(counter) = &script.counter {
                let took = ended - record.began;
                self.parts.counting.ran(counter, report.result.is_ok(), took, report.usage.memory_bytes);
            }
            let cpu = cpu_before.and_then(|before| cpu_time()?.checked_sub(before));
            script.placement.ran(cpu.unwrap_or(wall), report.made_calls, record.inline);
        }
        Ran { record, report, effects }
    }

    fn run(
        &self,
        seen: &Seen,
        source: Script,
        event: Option<EventInput>,
        call: CallContext,
        dry: bool,
    ) -> (RunReport, Vec<Effect>) {
        let run = |executor: &Executor| match (event, seen) {
            (Some(event), _) => executor.run_event(source, event, call),
            (None, Seen::Request(request) | Seen::Later(request, _)) => {
                executor.run_request(source, Arc::clone(request), call)
            }
            (None, Seen::Event(_)) => unreachable!("an event is given along with what is kept of it"),
        };
        if dry {
            let (executor, overlay) = self.parts.executor.dry();
            let report = run(&executor);
            return (report, overlay.effects());
        }
        (run(&self.parts.executor), Vec::new())
    }

    fn answer(&self, job: Job) -> Response<Full<Bytes>> {
        let Ran { record, report, .. } = self.execute(job);
        if self.is_kept(&record, &report) {
            self.parts.capture.keep(record.execution(&report, &self.parts.node));
        }
        match report.result {
            Ok(response) => http_response(response),
            Err(error) => {
                let mut problem = error.problem();
                problem.execution_id = Some(record.execution_id);
                problem_response(&problem)
            }
        }
    }

    fn is_kept(&self, record: &RunRecord, report: &RunReport) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        if report.result.is_err() || record.has_logs() {
            return true;
        }
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        let kept_ms = record.script.kept_ms.load(Relaxed);
        let due = kept_ms == 0 || Duration::from_millis(now_ms - kept_ms.min(now_ms)) >= KEEP_SUCCESS_EVERY;
        due && record.script.kept_ms.compare_exchange(kept_ms, now_ms, Relaxed, Relaxed).is_ok()
    }
}

/// Processor time of this thread so far.
fn cpu_time() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
    let time = usage.user_time() + usage.system_time();
    Some(Duration::from_micros(u64::try_from(time.num_microseconds()).ok()?))
}

/// As scripts see them.
pub(crate) fn header_list(headers: &HeaderMap, hide_authorization: bool) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let shown = headers.iter().filter(|(name, _value)| !(hide_authorization && *name == AUTHORIZATION));
    shown.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn http_response(answer: ScriptResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    // The executor has checked all three; what it let through and HTTP does not know is a fault of ours.
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(headers.append(name, value)),
            _unknown => tracing::error!("a header of a script's answer is no header"),
        }
    }
    response
}
