//! One script, one route, one app's fields: the same checks as a deploy, and the same one-after-the-other.

use super::check::{self, WithHint, in_app_toml};
use super::{Candidate, STALE_RETRIES_MAX, check_revision, graph, placements};
use crate::admin::from_store;
use crate::appliance::Appliance;
use picloud_model::app::{App, AppPatch, NewApp};
use picloud_model::audit::Act;
use picloud_model::ids::RouteId;
use picloud_model::placement::Placement;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::AppSnapshot;
use picloud_model::route::{Route, RouteSpec};
use picloud_model::script::{CheckedScript, Diagnostic, SavedScript, ScriptInput, ScriptKind};
use picloud_store::{ScriptWrite, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Refuses what is wrong with where the scripts of `app` may run.
fn refuse_placements(
    app: &str,
    placements: &mut BTreeMap<String, Placement>,
    kind_of: impl Fn(&str) -> Option<ScriptKind>,
) -> Result<(), Problem> {
    let mut errors = Vec::new();
    placements::check_placements(placements, kind_of, &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(invalid(app, errors)) }
}

impl Appliance {
    /// Makes an empty app.
    pub async fn create_app(&self, mut app: NewApp, act: &Act) -> Result<App, Problem> {
        picloud_model::name::check_app_name(&app.name)?;
        check::check_app_fields(&mut app.hosts, &app.env, &app.limits, &app.http)
            .map_err(|errors| invalid(&app.name, errors))?;
        refuse_placements(&app.name, &mut app.placement, |_script| None)?;
        let _alone = self.changes.lock().await;
        let created = self.store.create_app(&app, act).await.map_err(from_store)?;
        self.registry.publish(created.id).await.map_err(from_store)?;
        Ok(created)
    }

    /// Changes what `patch` names.
    pub async fn patch_app(
        &self,
        app: &App,
        mut patch: AppPatch,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<App, Problem> {
        let env = patch.env.clone().unwrap_or_default();
        let mut hosts = patch.hosts.clone().unwrap_or_default();
        let limits = patch.limits.clone().unwrap_or_default();
        let http = patch.http.clone().unwrap_or_default();
        check::check_app_fields(&mut hosts, &env, &limits, &http).map_err(|errors| invalid(&app.name, errors))?;
        patch.hosts = patch.hosts.is_some().then_some(hosts);
        let _alone = self.changes.lock().await;
        if let Some(placement) = &mut patch.placement {
            let live = self.live(app)?;
            refuse_placements(&app.name, placement, |name| live.script(name).map(|script| script.kind))?;
        }
        if let Some(hosts) = &patch.hosts {
            let live = self.live(app)?;
            self.refuse_ambiguity(candidate(&live, hosts, &specs(&live)))?;
        }
        let patched = self.store.patch_app(app.id, &patch, expected, act).await.map_err(from_store)?;
        self.registry.publish(app.id).await.map_err(from_store)?;
        patched.ok_or_else(|| Problem::not_found("app", &app.name))
    }

    /// Sets one plain value, or removes it. Answers the app, and whether the value was there before.
    pub async fn change_env(
        &self,
        app: &App,
        name: &str,
        value: Option<String>,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<(App, bool), Problem> {
        let _alone = self.changes.lock().await;
        let mut tries = 0;
        let (patched, was) = loop {
            let now = self.store.app(&app.name).await.map_err(from_store)?;
            let now = now.ok_or_else(|| Problem::not_found("app", &app.name))?;
            check_revision(expected, now.revision)?;
            let mut env = now.env.clone();
            let was = match &value {
                Some(value) => env.insert(name.to_owned(), value.clone()),
                None => env.remove(name),
            };
            if was == value {
                return Ok((now, was.is_some()));
            }
            check::check_app_fields(&mut [], &env, &now.limits, &now.http)
                .map_err(|errors| invalid(&app.name, errors))?;
            let patch = AppPatch { env: Some(env), ..AppPatch::default() };
            match self.store.patch_app(app.id, &patch, Some(now.revision), act).await {
                // A crash was counted meanwhile, or another appliance on the same store was faster.
                Err(StoreError::Stale { .. }) if expected.is_none() && tries < STALE_RETRIES_MAX => tries += 1,
                patched => break (patched.map_err(from_store)?, was.is_some()),
            }
        };
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok((patched.ok_or_else(|| Problem::not_found("app", &app.name))?, was))
    }

    /// Removes an app with everything in it. Answers whether it was there.
    pub async fn delete_app(&self, app: &App, expected: Option<i64>, act: &Act) -> Result<bool, Problem> {
        let _alone = self.changes.lock().await;
        let deleted = self.store.delete_app(app.id, expected, act).await.map_err(from_store)?;
        self.vault.app_gone(app.id).await;
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok(deleted)
    }

    /// Saves a version of one script or module.
    pub async fn save_script(
        &self,
        app: &App,
        name: &str,
        input: ScriptInput,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<SavedScript, Problem> {
        let file = check::file_of(input.kind, name);
        let act = Act { message: input.message.clone(), ..act.clone() };
        let (write, warnings) = checked_source(app, name, input).await?;
        let _alone = self.changes.lock().await;
        self.check_graph(app, std::slice::from_ref(&write)).await?;
        let script = self.store.save_script(app.id, &write, expected, &act).await.map_err(from_store)?;
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok(SavedScript { script, warnings: in_file(&file, warnings) })
    }

    /// Says what a save would say, and saves nothing.
    pub async fn check_script(&self, app: &App, name: &str, input: ScriptInput) -> Result<CheckedScript, Problem> {
        let file = check::file_of(input.kind, name);
        let (write, warnings) = checked_source(app, name, input).await?;
        // Nobody is kept from changing things meanwhile: a save checks again.
        self.check_graph(app, std::slice::from_ref(&write)).await?;
        Ok(CheckedScript { imports: write.imports, warnings: in_file(&file, warnings) })
    }

    /// Removes a script or module. Answers whether it was there.
    pub async fn delete_script(
        &self,
        app: &App,
        name: &str,
        expected: Option<i64>,
        force: bool,
        act: &Act,
    ) -> Result<bool, Problem> {
        let _alone = self.changes.lock().await;
        let deleted = self.store.delete_script(app.id, name, expected, force, act).await.map_err(|error| {
            let mut problem = from_store(error);
            if problem.code == Code::Conflict {
                problem = problem.hint("remove those first, or delete it with --force (in the API: ?force=true)");
            }
            problem
        })?;
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok(deleted)
    }

    /// Runs a quarantined script again. Answers whether it was quarantined.
    pub async fn release_script(&self, app: &App, name: &str, act: &Act) -> Result<bool, Problem> {
        let _alone = self.changes.lock().await;
        let released = self.store.release_script(app.id, name, act).await.map_err(from_store)?;
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok(released)
    }

    /// Adds a route.
    pub async fn create_route(
        &self,
        app: &App,
        mut route: RouteSpec,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Route, Problem> {
        check::check_route(&mut route).map_err(|errors| invalid(&app.name, errors))?;
        let _alone = self.changes.lock().await;
        let mut tries = 0;
        let created = loop {
            // The revision first: what is checked after it is at least as new.
            let now = self.store.app(&app.name).await.map_err(from_store)?;
            let now = now.ok_or_else(|| Problem::not_found("app", &app.name))?;
            check_revision(expected, now.revision)?;
            self.check_new_route(app, &route)?;
            match self.store.create_route(app.id, &route, now.revision, act).await {
                // A crash was counted meanwhile, or another appliance on the same store was faster.
                Err(StoreError::Stale { .. }) if expected.is_none() && tries < STALE_RETRIES_MAX => tries += 1,
                created => break created.map_err(from_store)?,
            }
        };
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok(created)
    }

    fn check_new_route(&self, app: &App, route: &RouteSpec) -> Result<(), Problem> {
        let live = self.live(app)?;
        let error = match live.script(&route.script) {
            Some(script) if script.kind == ScriptKind::Endpoint => None,
            Some(_module) => {
                Some(in_app_toml(format!("`{}` is a module", route.script)).with_hint("a route leads to an endpoint"))
            }
            None => Some(
                in_app_toml(format!("script `{}` does not exist", route.script)).with_hint("save the script first"),
            ),
        };
        if let Some(error) = error {
            return Err(invalid(&app.name, vec![error]));
        }
        let mut routes = specs(&live);
        routes.push(route.clone());
        self.refuse_ambiguity(candidate(&live, &live.hosts, &routes))
    }

    /// Removes a route. Answers whether it was there.
    pub async fn delete_route(&self, app: &App, id: RouteId, act: &Act) -> Result<bool, Problem> {
        let _alone = self.changes.lock().await;
        let deleted = self.store.delete_route(app.id, id, act).await.map_err(from_store)?;
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok(deleted)
    }

    fn live(&self, app: &App) -> Result<Arc<AppSnapshot>, Problem> {
        self.registry.app(app.id).ok_or_else(|| Problem::not_found("app", &app.name))
    }

    /// Checks the imports of what is to be saved together with everything it reaches and everything that reaches it.
    pub(super) async fn check_graph(&self, app: &App, writes: &[ScriptWrite]) -> Result<(), Problem> {
        let live = self.live(app)?;
        let written = |name: &str| writes.iter().find(|write| write.name == name);
        let untouched = live.scripts.iter().filter(|script| written(&script.name).is_none());
        let modules = untouched.filter(|script| script.kind == ScriptKind::Module).map(|script| &script.name);
        let new_modules = writes.iter().filter(|write| write.kind == ScriptKind::Module).map(|write| &write.name);
        let modules: BTreeSet<String> = modules.chain(new_modules).cloned().collect();
        let mut graph: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut next = Vec::new();
        for write in writes {
            let above = self.importers_but(app, &write.name, |name| written(name).is_some()).await?;
            if write.kind == ScriptKind::Endpoint && !above.is_empty() {
                let detail = format!("module `{}` cannot become an endpoint while others import it", write.name);
                return Err(Problem::new(Code::Conflict, detail).conflicts(above.into_iter().collect()));
            }
            next.extend(write.imports.iter().cloned().chain(above));
            graph.insert(write.name.clone(), write.imports.clone());
        }
        while let Some(name) = next.pop() {
            if graph.contains_key(&name) {
                continue;
            }
            let Some((script, _version)) = self.store.script(app.id, &name).await.map_err(from_store)? else {
                continue;
            };
            let imports = self.store.imports(script.id).await.map_err(from_store)?;
            next.extend(imports.iter().cloned());
            graph.insert(name, imports);
        }
        let source_of = |name: &str| written(name).map(|write| &*write.source);
        let errors: Vec<Diagnostic> = graph::check(&graph, &modules, &app.limits.resolve(), source_of)
            .into_iter()
            .map(|(who, error)| {
                let kind = if modules.contains(&who) { ScriptKind::Module } else { ScriptKind::Endpoint };
                Diagnostic { file: Some(check::file_of(kind, &who)), ..error }
            })
            .collect();
        if errors.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = writes.iter().map(|write| format!("`{}`", write.name)).collect();
        let detail = format!("the imports of {} do not hold together", names.join(", "));
        Err(Problem::new(Code::InvalidScript, detail).errors(errors))
    }

    /// Everything that reaches `name` by imports, but for what `skipped` names: its imports are about to change.
    pub(super) async fn importers_but(
        &self,
        app: &App,
        name: &str,
        skipped: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<String>, Problem> {
        let mut above = BTreeSet::new();
        let stored = self.store.script(app.id, name).await.map_err(from_store)?;
        let mut next: Vec<_> = stored.map(|(script, _version)| script.id).into_iter().collect();
        while let Some(id) = next.pop() {
            for importer in self.store.importers(id).await.map_err(from_store)? {
                if !skipped(&importer.name) && above.insert(importer.name.clone()) {
                    next.push(importer.id);
                }
            }
        }
        Ok(above)
    }
}

fn specs(live: &AppSnapshot) -> Vec<RouteSpec> {
    let spec = |route: &picloud_model::protocol::RouteEntry| RouteSpec {
        methods: route.methods.clone(),
        path: route.path.clone(),
        script: route.script.clone(),
        auth: route.auth,
    };
    live.routes.iter().map(spec).collect()
}

fn candidate<'a>(live: &'a AppSnapshot, hosts: &'a [String], routes: &'a [RouteSpec]) -> Candidate<'a> {
    Candidate { id: Some(live.id), name: &live.name, hosts, limits: None, routes, scripts: live.scripts.clone() }
}

pub(super) fn invalid(app: &str, mut errors: Vec<Diagnostic>) -> Problem {
    // There is no `app.toml` here: what was sent is one thing, and the message names it.
    for error in &mut errors {
        error.file = None;
    }
    match errors.as_mut_slice() {
        [only] => {
            let problem = Problem::new(Code::Invalid, std::mem::take(&mut only.message));
            match only.hint.take() {
                Some(hint) => problem.hint(hint),
                None => problem,
            }
        }
        _ => {
            Problem::new(Code::Invalid, format!("{} things in app `{app}` are not right", errors.len())).errors(errors)
        }
    }
}

/// A source that compiles and validates by itself, and what should be looked at all the same.
async fn checked_source(app: &App, name: &str, input: ScriptInput) -> Result<(ScriptWrite, Vec<Diagnostic>), Problem> {
    let (kind, file) = (input.kind, check::file_of(input.kind, name));
    let checked = {
        let (name, source, limits) = (name.to_owned(), input.source.clone(), app.limits.resolve());
        // Compiling takes its time; the threads that answer must not wait for it.
        tokio::task::spawn_blocking(move || check::check_source(&name, kind, &source, &limits)).await
    };
    let checked = checked.map_err(|error| {
        tracing::error!(%error, "checking a script panicked");
        Problem::internal()
    })?;
    let validated = checked.map_err(|errors| invalid_script(&file, errors))?;
    let write = ScriptWrite { name: name.to_owned(), kind, source: input.source, imports: validated.imports };
    Ok((write, validated.warnings))
}

/// The problem of a source that was to be saved and does not compile or validate.
fn invalid_script(file: &str, errors: Vec<Diagnostic>) -> Problem {
    Problem::new(Code::InvalidScript, format!("{file} cannot be saved; nothing was changed"))
        .errors(in_file(file, errors))
}

/// The problem of a source that was to be tried and does not compile or validate.
pub fn invalid_draft(file: &str, errors: Vec<Diagnostic>) -> Problem {
    Problem::new(Code::InvalidScript, format!("the draft of {file} cannot be run")).errors(in_file(file, errors))
}

fn in_file(file: &str, mut errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for error in &mut errors {
        error.file = Some(file.to_owned());
    }
    errors
}
