//! A whole app at once: checked, compared with what is there, committed, published; or nothing of it.

pub mod check;
pub mod diff;
pub mod export;
pub(crate) mod folder;
mod graph;
mod placements;
mod recorded;
mod rollback;
pub mod single;
mod triggers;

pub(crate) use export::export_of;

use crate::admin::from_store;
use crate::appliance::Appliance;
use check::Wanted;
use picloud_model::audit::Act;
use picloud_model::bundle::{Bundle, DeployReport};
use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use picloud_model::limits::AppLimits;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{AppSnapshot, RouteEntry, ScriptEntry};
use picloud_model::route::RouteSpec;
use picloud_orchestrator::route_table::RouteTable;
use picloud_store::{AppState, DeployWrite, StoreError};
use std::sync::Arc;

/// How often a deploy is worked out again because the app changed meanwhile (another appliance, on a shared store).
const STALE_RETRIES_MAX: u32 = 5;

impl Appliance {
    /// Makes the app exactly what `bundle` says, or tells what that would change.
    ///
    /// `expected` is the revision the caller has seen; `None` takes any.
    pub async fn deploy(
        &self,
        bundle: Bundle,
        plan: bool,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<DeployReport, Problem> {
        let message = bundle.message.clone();
        // Compiling takes its time; the threads that answer must not wait for it.
        let now = act.at;
        let wanted = tokio::task::spawn_blocking(move || check::check(bundle, now)).await.map_err(|error| {
            tracing::error!(%error, "checking a deploy panicked");
            Problem::internal()
        })??;
        let _alone = self.changes.lock().await;
        for _attempt in 0..=STALE_RETRIES_MAX {
            let state = self.state_of(&wanted.app.name).await?;
            check_revision(expected, state.as_ref().map_or(0, |state| state.app.revision))?;
            self.check_routes(&wanted, state.as_ref())?;
            let changes = diff::diff(state.as_ref(), &wanted, plan);
            let revision = state.as_ref().map_or(0, |state| state.app.revision);
            let mut report = DeployReport {
                app: wanted.app.name.clone(),
                plan,
                revision,
                changes,
                warnings: wanted.warnings.clone(),
                answers: answers(&wanted),
            };
            if plan || (report.changes.is_empty() && state.is_some()) {
                return Ok(report);
            }
            let write = write_of(&wanted, state.map(|state| state.app.revision));
            let act = Act { message: message.clone(), ..act.clone() };
            match self.store.deploy(write, &act).await {
                Ok(app) => {
                    self.registry.publish(app.id).await.map_err(from_store)?;
                    report.revision = app.revision;
                    return Ok(report);
                }
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(from_store(error)),
            }
        }
        Err(Problem::new(Code::Conflict, format!("app `{}` keeps changing while it is deployed", wanted.app.name))
            .hint("deploy again"))
    }

    async fn state_of(&self, name: &str) -> Result<Option<AppState>, Problem> {
        match self.store.app(name).await.map_err(from_store)? {
            Some(app) => self.store.app_state(app.id).await.map_err(from_store),
            None => Ok(None),
        }
    }

    fn check_routes(&self, wanted: &Wanted, state: Option<&AppState>) -> Result<(), Problem> {
        let scripts = wanted.scripts.iter().map(|script| ScriptEntry {
            name: script.name.clone(),
            kind: script.kind,
            version: 0,
            hash: ContentHash::of(script.source.as_bytes()),
            quarantined_after_crashes: None,
            placement: picloud_model::placement::Placement::default(),
            elsewhere: false,
        });
        let candidate = Candidate {
            id: state.map(|state| state.app.id),
            name: &wanted.app.name,
            hosts: &wanted.app.hosts,
            limits: Some(&wanted.app.limits),
            routes: &wanted.routes,
            scripts: scripts.collect(),
        };
        self.refuse_ambiguity(candidate)
    }

    /// Refuses an app whose routes could not be told from those of another, or from one another.
    pub(crate) fn refuse_ambiguity(&self, candidate: Candidate<'_>) -> Result<(), Problem> {
        let candidate = candidate.snapshot();
        let mut apps = self.registry.all();
        apps.retain(|app| app.name != candidate.name);
        apps.push(Arc::new(candidate));
        match RouteTable::build(&apps) {
            Ok(_table) => Ok(()),
            Err(conflict) => Err(Problem::new(Code::Conflict, conflict.to_string())
                .hint("change the path, the methods or the host of one of the two")
                .conflicts(vec![format!("{}: {}", conflict.other_app, conflict.other_title)])),
        }
    }
}

/// An app as it would be, for the check against all others.
pub(crate) struct Candidate<'a> {
    /// Its id, if it has one.
    pub(crate) id: Option<AppId>,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its hosts.
    pub(crate) hosts: &'a [String],
    /// Its limits; routing does not depend on them.
    pub(crate) limits: Option<&'a AppLimits>,
    /// Its routes.
    pub(crate) routes: &'a [RouteSpec],
    /// Its scripts.
    pub(crate) scripts: Vec<ScriptEntry>,
}

impl Candidate<'_> {
    fn snapshot(self) -> AppSnapshot {
        let mut scripts = self.scripts;
        scripts.sort_by(|a, b| a.name.cmp(&b.name));
        AppSnapshot {
            http_allow: Vec::new(),
            // An app that has no id yet gets one that no stored app has.
            id: self.id.unwrap_or(AppId(i64::MAX)),
            name: self.name.to_owned(),
            hosts: self.hosts.to_vec(),
            env: Vec::new(),
            limits: self.limits.map(AppLimits::resolve).unwrap_or_default(),
            routes: self.routes.iter().zip(0..).map(|(route, id)| entry(route, id)).collect(),
            scripts,
            static_files: Vec::new(),
        }
    }
}

fn entry(route: &RouteSpec, id: i64) -> RouteEntry {
    RouteEntry {
        id,
        methods: route.methods.clone(),
        path: route.path.clone(),
        script: route.script.clone(),
        auth: route.auth,
    }
}

/// Refuses a revision or version that is not the one the caller has seen.
pub(crate) fn check_revision(expected: Option<i64>, actual: i64) -> Result<(), Problem> {
    match expected {
        Some(expected) if expected != actual => Err(from_store(StoreError::Stale { expected, actual })),
        _ => Ok(()),
    }
}

fn write_of(wanted: &Wanted, expected: Option<i64>) -> DeployWrite {
    DeployWrite {
        triggers: wanted.triggers.clone(),
        app: wanted.app.clone(),
        expected,
        scripts: wanted.scripts.clone(),
        routes: wanted.routes.clone(),
        static_files: wanted.static_files.clone(),
    }
}

/// `GET /kitchen/rooms/{room}` for every route, and what `static/` answers.
fn answers(wanted: &Wanted) -> Vec<String> {
    let prefix = |host: &str| match (host, wanted.app.name.as_str()) {
        ("", picloud_model::app::DEFAULT_APP) => String::new(),
        ("", name) => format!("/{name}"),
        (host, _) => host.to_owned(),
    };
    let prefixes: Vec<String> = match wanted.app.hosts.as_slice() {
        [] => vec![prefix("")],
        hosts => hosts.iter().map(|host| prefix(host)).collect(),
    };
    let has_root = wanted.routes.iter().any(|route| route.path == "/");
    let mut answers = Vec::new();
    for prefix in &prefixes {
        for route in &wanted.routes {
            let methods = if route.methods.is_empty() { "*".to_owned() } else { route.methods.join(",") };
            answers.push(format!("{methods} {prefix}{}", route.path));
        }
        let paths = || wanted.static_files.iter().map(|file| file.path.as_str());
        if !has_root && paths().any(|path| path == "index.html") {
            answers.push(format!("GET {prefix}/"));
        }
        if paths().any(|path| path != "index.html") {
            answers.push(format!("GET {prefix}/static/{{*file}}"));
        }
    }
    answers
}
