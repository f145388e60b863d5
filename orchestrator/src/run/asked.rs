//! Runs that no request asked for: `scripts run`, drafts, later deliveries.
//!
//! They pass the gate like requests and always run on the pool. Whatever comes of one goes back to the parent as a
//! [`RunResult`], refusals too, with the record in it and not in the capture as well.

use super::record::json;
use super::{Order, Runner};
use crate::live::Live;
use crate::path::NormalPath;
use crate::problem_response::PROBLEM_JSON;
use crate::route_table::Found;
use picloud_executor::{HttpRequest, RunReport, ScriptResponse};
use picloud_model::clock::UnixMs;
use picloud_model::execution::{Execution, Outcome, Usage};
use picloud_model::hash::ContentHash;
use picloud_model::protocol::{AppSnapshot, RunHttp, RunRequest, RunResult, ScriptEntry};
use picloud_model::script::ScriptKind;
use picloud_model::{AppId, Code, ExecutionId, Problem};
use std::borrow::Cow;
use std::sync::Arc;

impl Runner {
    /// Runs what the parent asked for, in the app as it is in `live`.
    pub async fn run_asked(&self, live: &Live, run: RunRequest) -> RunResult {
        let path = run.request.path.split('?').next().unwrap_or_default();
        let asked = Asked {
            app: run.app,
            name: live.apps.get(&run.app).map_or(String::new(), |app| app.name.clone()),
            script: run.script.clone(),
            cause: format!("run {} {path}", run.request.method),
            at: self.0.parts.clock.now_ms(),
        };
        match self.try_asked(live, run, &asked.cause).await {
            Ok(result) => result,
            Err(problem) => asked.refused(&problem, &self.0.parts.node),
        }
    }

    async fn try_asked(&self, live: &Live, run: RunRequest, cause: &str) -> Result<RunResult, Problem> {
        let app = live.apps.get(&run.app).ok_or_else(|| Problem::not_found("app", run.app))?;
        let entry = endpoint(app, &run.script, run.source.is_some())?;
        let permit = self.0.parts.gate.enter().await?;
        let request = http_request(live, app, &run.script, run.request);
        let RunRequest { source, principal, .. } = run;
        let cause = cause.to_owned();
        let order = Order { app, entry: &entry, preview: None, source, request, principal, cause, client: None };
        let job = self.0.job(order, permit, false);
        let inner = Arc::clone(&self.0);
        self.on_a_thread(job, move |job| {
            let (record, report) = inner.execute(job);
            let execution = record.execution(&report, &inner.parts.node);
            let (status, headers, body) = answer_of(report, record.execution_id);
            RunResult { status, headers, body, execution }
        })
        .await
    }
}

/// The request as the script is to see it: with route and parameters, if a route leads from its path to the script.
fn http_request(live: &Live, app: &AppSnapshot, script: &str, run: RunHttp) -> HttpRequest {
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
        path: path.to_owned(),
        route,
        params,
        query: query.to_owned(),
        method: run.method,
        headers: run.headers,
        remote_addr: String::new(),
        body: run.body,
    }
}

/// The endpoint called `name` that may be run; one that is quarantined or not saved only with a source of its own.
fn endpoint<'a>(app: &'a AppSnapshot, name: &str, other_source: bool) -> Result<Cow<'a, ScriptEntry>, Problem> {
    let Some(entry) = app.script(name) else {
        return if other_source { Ok(Cow::Owned(unsaved(name))) } else { Err(Problem::not_found("script", name)) };
    };
    match (entry.kind, entry.quarantined_after_crashes) {
        (ScriptKind::Module, _) => Err(Problem::new(Code::Invalid, format!("`{name}` is a module and cannot be run"))
            .hint("run an endpoint that imports it")),
        (ScriptKind::Endpoint, Some(crashes)) if !other_source => {
            let version = entry.version;
            let detail = format!(
                "script `{name}` version {version} took its worker down {crashes} times and is not run any more"
            );
            Err(Problem::new(Code::WorkerLost, detail)
                .hint(format!("save a new version of it, or `picloud --app {} scripts release {name}`", app.name)))
        }
        (ScriptKind::Endpoint, _) => Ok(Cow::Borrowed(entry)),
    }
}

/// What a draft that has not been saved runs as: only its name is looked at.
fn unsaved(name: &str) -> ScriptEntry {
    ScriptEntry {
        name: name.to_owned(),
        kind: ScriptKind::Endpoint,
        version: 0,
        hash: ContentHash::of(b""),
        quarantined_after_crashes: None,
    }
}

/// What the parent asked for, for the answers that no run gave.
struct Asked {
    app: AppId,
    name: String,
    script: String,
    cause: String,
    at: UnixMs,
}

impl Asked {
    fn refused(self, problem: &Problem, node: &str) -> RunResult {
        let id = ExecutionId::new();
        let execution = Execution {
            id,
            root_id: id,
            app_id: self.app,
            app: self.name,
            script: self.script,
            version: 0,
            node: node.to_owned(),
            cause: self.cause,
            outcome: Outcome::Failed,
            status: problem.status,
            started_at: self.at,
            duration_us: 0,
            usage: Usage::default(),
            error_json: json(problem),
            logs: Vec::new(),
            logs_dropped: 0,
        };
        let (status, headers, body) = problem_parts(problem);
        RunResult { status, headers, body, execution }
    }
}

/// Status, headers and body.
type AnswerParts = (u16, Vec<(String, String)>, Vec<u8>);

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

fn problem_parts(problem: &Problem) -> AnswerParts {
    (problem.status, vec![("content-type".to_owned(), PROBLEM_JSON.to_owned())], json(problem).into_bytes())
}
