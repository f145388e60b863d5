//! Runs that no client waits for on a connection of this process: deliveries, requests that are answered later,
//! `scripts run`, drafts, replays.
//!
//! They pass the gate like requests (deliveries by a narrower way) and always run on the pool. Whatever comes of one
//! goes back to the parent as a [`RunResult`], refusals too, with the record in it and not in the capture as well.

use super::gate::Permit;
use super::owed::{AnswerParts, Owed, Refused, problem_parts};
use super::seen::{EventSeen, Seen};
use super::{Job, Order, Origin, Ran, Runner};
use crate::live::Live;
use crate::path::NormalPath;
use crate::previews::Preview;
use crate::route_table::Found;
use picloud_executor::{EventInput, HttpRequest, RunReport, ScriptResponse, Timeout};
use picloud_model::async_request::NewAsyncRequest;
use picloud_model::hash::ContentHash;
use picloud_model::protocol::{AppSnapshot, RunHttp, RunInput, RunRequest, RunResult, ScriptEntry, Verdict};
use picloud_model::script::ScriptKind;
use picloud_model::{Code, ExecutionId, Problem};
use std::borrow::Cow;
use std::sync::Arc;

impl Runner {
    /// Runs what the parent asked for, in the app as it is in `live`, and has it told what came of it, in any case. Ends
    /// when that is on its way to a thread, so that nobody is woken only to pass the result on.
    pub async fn run_asked(&self, live: &Live, mut run: RunRequest, tell: impl FnOnce(RunResult) + Send + 'static) {
        let at = self.0.parts.clock.now_ms();
        let prepared = self.prepare(live, &mut run).await;
        let app = live.apps.get(&run.app).map_or(String::new(), |app| app.name.clone());
        let node = Arc::clone(&self.0.parts.node);
        let mut owed = Owed::new(run, app, at, node, tell);
        match prepared {
            Err(refused) => owed.refuse(refused),
            Ok(job) => {
                let inner = Arc::clone(&self.0);
                // Where no thread could be had, what was owed has been told by now.
                let _started_or_told = self.start(job, move |job| {
                    owed.has_begun();
                    let result = result_of(inner.execute(job), &inner.parts.node);
                    owed.pay(result);
                });
            }
        }
    }

    /// Answers to `run`, when nothing is run any more.
    pub fn not_run(&self, run: RunRequest, problem: Problem) -> RunResult {
        let at = self.0.parts.clock.now_ms();
        Refused::not_run(problem).result(run, String::new(), at, &self.0.parts.node)
    }

    async fn prepare(&self, live: &Live, run: &mut RunRequest) -> Result<Job, Refused> {
        let app = live.apps.get(&run.app).ok_or_else(|| Refused::not_run(Problem::not_found("app", run.app)))?;
        let entry = endpoint(app, run)?;
        let preview = match run.version {
            Some(version) => Some(self.preview(app, &entry, version).await?),
            None => None,
        };
        let permit = self.enter(&run.input).await?;
        let (principal, limits) = (run.principal.take(), &app.limits);
        let cause = run.cause.clone();
        let (seen, event, asker, timeout) =
            match std::mem::replace(&mut run.input, RunInput::Request(RunHttp::default())) {
                RunInput::Request(request) => {
                    let request = http_request(live, app, &run.script, request, String::new());
                    (Seen::Request(Arc::new(request)), None, None, Timeout::of_request(limits))
                }
                RunInput::Forwarded { request, remote_addr } => {
                    let request = http_request(live, app, &run.script, request, remote_addr);
                    (Seen::Request(Arc::new(request)), None, None, Timeout::of_request(limits))
                }
                RunInput::Event { json, trigger, attempt } => {
                    run.input = RunInput::Event { json: Vec::new(), trigger: trigger.clone(), attempt };
                    let event = EventInput { json };
                    let seen = Seen::Event(EventSeen::of(&event, trigger.unwrap_or_default(), attempt));
                    (seen, Some(event), None, Timeout::of_triggered(limits))
                }
                RunInput::Async { request, attempt } => {
                    let (request, asker) = async_request(*request);
                    (Seen::Later(Arc::new(request), attempt), None, asker, Timeout::of_triggered(limits))
                }
            };
        let RunRequest { execution_id, root_execution_id: root_id, trigger_depth, dry_run: dry, .. } = *run;
        let origin = Origin { execution_id, root_id, trigger_depth, cause, seen, client: None };
        let (source, preview) = (run.source.take(), preview.as_deref());
        let principal = principal.or(asker);
        let order = Order { app, entry: &entry, preview, source, principal, event, timeout, dry, origin };
        Ok(self.0.job(order, permit, false))
    }

    async fn preview(
        &self,
        app: &Arc<AppSnapshot>,
        entry: &ScriptEntry,
        version: i64,
    ) -> Result<Arc<Preview>, Refused> {
        self.0.previews.find(app, entry, version).await.map_err(|problem| {
            let verdict = match problem.code {
                Code::NotFound | Code::Invalid => Verdict::Terminal,
                Code::WorkerLost => Verdict::Failed,
                _could_not_be_looked_up => Verdict::NotRun,
            };
            Refused { problem, verdict }
        })
    }

    /// A person who runs a script waits like a client; what nobody waits for has a narrower way.
    async fn enter(&self, input: &RunInput) -> Result<Permit, Refused> {
        let gate = &self.0.parts.gate;
        let entered = match input {
            RunInput::Request(_) | RunInput::Forwarded { .. } => gate.enter().await,
            RunInput::Event { .. } | RunInput::Async { .. } => gate.enter_delivery().await,
        };
        entered.map_err(Refused::not_run)
    }
}

fn result_of(ran: Ran, node: &str) -> RunResult {
    let Ran { record, report, effects } = ran;
    let execution = record.execution(&report, node);
    let verdict = report.result.as_ref().map_or_else(|error| error.verdict(), |_answer| Verdict::Done);
    let (status, headers, body) = answer_of(report, record.execution_id);
    RunResult { status, headers, body, execution, verdict, effects }
}

/// The request as the script is to see it: with route and parameters, if a route leads from its path to the script.
fn http_request(live: &Live, app: &AppSnapshot, script: &str, run: RunHttp, remote_addr: String) -> HttpRequest {
    let (path, query) = run.path.split_once('?').unwrap_or((&run.path, ""));
    let host = run.headers.iter().find(|(name, _)| name == "host").map(|(_, host)| host.as_str());
    let host = host.or(app.hosts.first().map(String::as_str));
    let normal = NormalPath::parse(path).ok();
    let found = normal.as_ref().map(|path| live.table.find(host, path, &run.method));
    let (route, params) = match found {
        Some(Found::Script(found)) if found.app.id == app.id && found.route.script == script => {
            (found.route.path.clone(), found.params)
        }
        _not_its_route => (path.to_owned(), Vec::new()),
    };
    HttpRequest {
        path: normal.as_ref().map_or(path, NormalPath::as_str).to_owned(),
        route,
        params,
        query: query.to_owned(),
        method: run.method,
        headers: run.headers,
        remote_addr,
        body: run.body,
    }
}

/// A request that was taken to be answered later, as its script would have seen it then, and who asked.
fn async_request(kept: NewAsyncRequest) -> (HttpRequest, Option<picloud_model::principal::Principal>) {
    let NewAsyncRequest { route, params, remote_addr, principal, request, .. } = kept;
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let normal = NormalPath::parse(path).ok();
    let seen = HttpRequest {
        path: normal.as_ref().map_or(path, NormalPath::as_str).to_owned(),
        query: query.to_owned(),
        method: request.method,
        headers: request.headers,
        body: request.body,
        route,
        params,
        remote_addr,
    };
    (seen, principal)
}

/// The endpoint that `run` names; one that is quarantined only at another version or with a source of its own, one
/// that is not saved only with a source.
fn endpoint<'a>(app: &'a AppSnapshot, run: &RunRequest) -> Result<Cow<'a, ScriptEntry>, Refused> {
    let name = &run.script;
    let Some(entry) = app.script(name) else {
        return match run.source {
            Some(_) => Ok(Cow::Owned(unsaved(name))),
            None => Err(Refused::terminal(Problem::not_found("script", name))),
        };
    };
    if entry.elsewhere && is_placed(run) {
        return Err(Refused::not_run(may_not_run_here(name)));
    }
    match (entry.kind, entry.quarantined_after_crashes) {
        (ScriptKind::Module, _) => {
            let problem = Problem::new(Code::Invalid, format!("`{name}` is a module and cannot be run"));
            Err(Refused::terminal(problem.hint("run an endpoint that imports it")))
        }
        (ScriptKind::Endpoint, Some(crashes)) if run.source.is_none() && run.version.is_none() => {
            let version = entry.version;
            let detail = format!(
                "script `{name}` version {version} took its worker down {crashes} times and is not run any more"
            );
            let problem = Problem::new(Code::WorkerLost, detail)
                .hint(format!("save a new version of it, or `picloud --app {} scripts release {name}`", app.name));
            // A version that is saved soon may do better.
            Err(Refused { problem, verdict: Verdict::Failed })
        }
        (ScriptKind::Endpoint, _) => Ok(Cow::Borrowed(entry)),
    }
}

/// Whether where it runs matters: a draft may be tried anywhere, and a dry run does nothing to the world.
fn is_placed(run: &RunRequest) -> bool {
    run.source.is_none() && !run.dry_run
}

/// Why a node does not run a script that another is to run: whoever asked chooses again.
fn may_not_run_here(script: &str) -> Problem {
    Problem::new(Code::NodeAway, format!("script `{script}` may not run on this node: its placement names others"))
        .retry_after_s(1)
}

/// What a draft that has not been saved runs as: only its name is looked at.
fn unsaved(name: &str) -> ScriptEntry {
    ScriptEntry {
        name: name.to_owned(),
        kind: ScriptKind::Endpoint,
        version: 0,
        hash: ContentHash::of(b""),
        quarantined_after_crashes: None,
        placement: picloud_model::placement::Placement::default(),
        elsewhere: false,
    }
}

fn answer_of(report: RunReport, execution_id: ExecutionId) -> AnswerParts {
    match report.result {
        Ok(ScriptResponse { status, headers, body }) => (status, headers, body),
        Err(error) => {
            let mut problem = error.problem();
            problem.execution_id = Some(execution_id);
            problem_parts(&problem)
        }
    }
}
