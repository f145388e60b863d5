//! Back to an earlier version of a script, with what it was live with: its modules, the routes that led to it and the
//! triggers that started it.
//!
//! Nothing is undone: the old sources are saved again as new versions, in one transaction with the routes and triggers.

use super::check::WithHint;
use super::recorded::{about, no_script};
use super::single::invalid;
use super::{Candidate, STALE_RETRIES_MAX, check, check_revision, diff, triggers};
use crate::admin::from_store;
use crate::appliance::Appliance;
use picloud_model::app::App;
use picloud_model::audit::Act;
use picloud_model::bundle::{Change, ChangeAction};
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::ScriptEntry;
use picloud_model::route::RouteSpec;
use picloud_model::script::{Diagnostic, RollbackInput, Script, ScriptKind};
use picloud_model::trigger::TriggerSpec;
use picloud_model::version::RollbackReport;
use picloud_store::{AppChange, AppState, ScriptWrite, StoreError, TriggerWrite};

/// A source that is to be live again.
struct Source {
    name: String,
    kind: ScriptKind,
    text: String,
}

/// What a rollback comes down to.
struct WayBack {
    /// The script as it is live.
    script: Script,
    /// What is to be saved.
    writes: Vec<ScriptWrite>,
    /// All routes of the app, where they change.
    routes: Option<Vec<RouteSpec>>,
    /// All triggers of the app, where they change.
    triggers: Option<Vec<TriggerWrite>>,
    changes: Vec<Change>,
    warnings: Vec<Diagnostic>,
}

impl Appliance {
    /// Makes an earlier version live again, or tells what that would change.
    ///
    /// `expected` is the live version the caller has seen; `None` takes any.
    pub async fn rollback(
        &self,
        app: &App,
        name: &str,
        input: RollbackInput,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<RollbackReport, Problem> {
        let message = input.message.clone().unwrap_or_else(|| format!("back to version {}", input.version));
        let act = Act { message: Some(message), ..act.clone() };
        let _alone = self.changes.lock().await;
        for _attempt in 0..=STALE_RETRIES_MAX {
            let state = self.store.app_state(app.id).await.map_err(from_store)?;
            let state = state.ok_or_else(|| Problem::not_found("app", &app.name))?;
            let WayBack { script, writes, routes, triggers, changes, warnings } =
                self.way_back(&state, name, &input, expected, act.at).await?;
            if input.plan || changes.is_empty() {
                return Ok(RollbackReport { script, plan: input.plan, changes, warnings });
            }
            let change = AppChange {
                triggers,
                expected: state.app.revision,
                scripts: writes,
                routes,
                action: "script.rollback",
                target: name.to_owned(),
            };
            match self.store.change_app(app.id, change, &act).await {
                Ok(_changed) => {
                    self.registry.publish(app.id).await.map_err(from_store)?;
                    let live = self.store.script(app.id, name).await.map_err(from_store)?;
                    let (script, _version) = live.ok_or_else(|| no_script(app, name))?;
                    return Ok(RollbackReport { script, plan: false, changes, warnings });
                }
                // A crash was counted meanwhile, or another appliance on the same store was faster.
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(from_store(error)),
            }
        }
        Err(Problem::new(Code::Conflict, format!("app `{}` keeps changing meanwhile", app.name)).hint("try again"))
    }

    /// Works out and checks what is to change.
    async fn way_back(
        &self,
        state: &AppState,
        name: &str,
        input: &RollbackInput,
        expected: Option<i64>,
        now_ms: UnixMs,
    ) -> Result<WayBack, Problem> {
        let live = state.scripts.iter().find(|(script, _source)| script.name == name);
        let script = live.map(|(script, _source)| script.clone());
        let script = script.ok_or_else(|| no_script(&state.app, name))?;
        check_revision(expected, script.version)?;
        let (earlier, context) = self.recorded(&script, input.version).await?;
        let source = earlier.source.ok_or_else(|| no_source(name, input.version))?;
        let mut sources = vec![Source { name: name.to_owned(), kind: earlier.kind, text: source }];
        let mut warnings = Vec::new();
        let whole = context.recorded && !input.only_script;
        if whole {
            sources.extend(self.recorded_modules(&context.modules, name, input.version).await?);
        } else if !input.only_script {
            warnings.push(nothing_recorded(earlier.kind, name, input.version));
        }
        let texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
        warnings.extend(self.check_names(state, name, &context, &texts, input).await?);
        let changed = sources.into_iter().filter(|source| !is_live(state, source)).collect();
        let (writes, found) = compile(changed, state, name).await?;
        warnings.extend(found);
        self.check_graph(&state.app, &writes).await?;
        warnings.extend(self.other_importers(&state.app, name, &writes).await?);

        let now: Vec<RouteSpec> = state.routes.iter().map(|route| route.spec.clone()).collect();
        // A version that no route led to says nothing of routes: most likely they were made after it.
        let says_routes = whole && !context.routes.is_empty();
        let routes = if says_routes { routes_with(&now, name, &context.routes) } else { now.clone() };
        refuse_routes_to_modules(&routes, &writes)?;
        self.refuse_ambiguity(candidate(state, &routes, &writes))?;
        let mut changes: Vec<Change> = writes.iter().flat_map(|write| source_changes(state, write)).collect();
        diff::route_changes(&now, &routes, &mut changes);
        let recorded = if whole { context.triggers.as_slice() } else { &[] };
        let (triggers, taken) = triggers_back(state, name, recorded, &writes, &mut changes, now_ms)?;
        warnings.extend(taken.into_iter().map(|trigger| trigger_taken(earlier.kind, name, &trigger)));
        // Routes that only change places are the same routes.
        let routes = changes.iter().any(|change| change.what == "route").then_some(routes);
        Ok(WayBack { script, writes, routes, triggers, changes, warnings })
    }

    async fn recorded_modules(
        &self,
        modules: &[picloud_model::script::ModuleVersion],
        name: &str,
        version: i64,
    ) -> Result<Vec<Source>, Problem> {
        let mut sources = Vec::with_capacity(modules.len());
        for module in modules {
            let text = self.store.source(module.hash).await.map_err(from_store)?;
            let text = text.ok_or_else(|| {
                let detail = format!(
                    "version {version} of `{name}` was saved with module `{}` version {}, which is not stored any more",
                    module.name, module.version
                );
                Problem::new(Code::Conflict, detail)
                    .conflicts(vec![format!("module `{}` version {}", module.name, module.version)])
                    .hint("bring back the source alone: --only-script (in the API: \"only_script\": true)")
            })?;
            sources.push(Source { name: module.name.clone(), kind: ScriptKind::Module, text: text.to_string() });
        }
        Ok(sources)
    }

    /// Tells of everybody else who gets the restored modules, too.
    async fn other_importers(&self, app: &App, name: &str, writes: &[ScriptWrite]) -> Result<Vec<Diagnostic>, Problem> {
        let mut warnings = Vec::new();
        for write in writes.iter().filter(|write| write.name != name) {
            let of_this = |other: &str| other == name || writes.iter().any(|write| write.name == other);
            let others = self.importers_but(app, &write.name, of_this).await?;
            if others.is_empty() {
                continue;
            }
            let others: Vec<String> = others.iter().map(|other| format!("`{other}`")).collect();
            let message = format!("{} runs with this module, too, and goes back with it", others.join(", "));
            warnings.push(
                about(ScriptKind::Module, &write.name, message)
                    .with_hint("look at the plan; or bring back the source alone: --only-script"),
            );
        }
        Ok(warnings)
    }
}

fn no_source(name: &str, version: i64) -> Problem {
    Problem::new(Code::Corrupted, format!("the source of `{name}` version {version} is not stored any more"))
}

fn nothing_recorded(kind: ScriptKind, name: &str, version: i64) -> Diagnostic {
    let message = format!("version {version} was saved by a release that did not write down modules and routes");
    about(kind, name, message).with_hint("only its source is brought back; check the rest")
}

fn is_live(state: &AppState, source: &Source) -> bool {
    let hash = ContentHash::of(source.text.as_bytes());
    state
        .scripts
        .iter()
        .any(|(live, _source)| live.name == source.name && live.kind == source.kind && live.hash == hash)
}

/// Checks the sources as if they were saved today.
async fn compile(
    sources: Vec<Source>,
    state: &AppState,
    name: &str,
) -> Result<(Vec<ScriptWrite>, Vec<Diagnostic>), Problem> {
    let limits = state.app.limits.resolve();
    // Compiling takes its time; the threads that answer must not wait for it.
    let compiled = tokio::task::spawn_blocking(move || {
        let (mut writes, mut warnings, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for Source { name, kind, text } in sources {
            let file = check::file_of(kind, &name);
            let placed = |diagnostic: Diagnostic| Diagnostic { file: Some(file.clone()), ..diagnostic };
            match check::check_source(&name, kind, &text, &limits) {
                Ok(validated) => {
                    warnings.extend(validated.warnings.into_iter().map(placed));
                    writes.push(ScriptWrite { name, kind, source: text, imports: validated.imports });
                }
                Err(found) => errors.extend(found.into_iter().map(placed)),
            }
        }
        if errors.is_empty() { Ok((writes, warnings)) } else { Err(errors) }
    });
    let compiled = compiled.await.map_err(|error| {
        tracing::error!(%error, "checking a rollback panicked");
        Problem::internal()
    })?;
    compiled.map_err(|errors| {
        let detail = format!("`{name}` cannot go back: its sources of then do not hold today; nothing was changed");
        Problem::new(Code::InvalidScript, detail).errors(errors)
    })
}

/// The app's routes with those that lead to `name` replaced by `recorded`; whatever stays keeps its place.
fn routes_with(now: &[RouteSpec], name: &str, recorded: &[RouteSpec]) -> Vec<RouteSpec> {
    let stays = |route: &&RouteSpec| route.script != name || recorded.contains(route);
    let back = recorded.iter().filter(|route| !now.contains(route));
    now.iter().filter(stays).chain(back).cloned().collect()
}

/// All triggers of the app as they are to be, where they change, and the names of those that stay away.
fn triggers_back(
    state: &AppState,
    name: &str,
    recorded: &[TriggerSpec],
    writes: &[ScriptWrite],
    changes: &mut Vec<Change>,
    now_ms: UnixMs,
) -> Result<(Option<Vec<TriggerWrite>>, Vec<String>), Problem> {
    let now: Vec<TriggerSpec> = state.triggers.iter().map(|trigger| trigger.spec.clone()).collect();
    // A version that no trigger started says nothing of triggers: most likely they were made after it.
    let (then, taken) = match recorded {
        [] => (now.clone(), Vec::new()),
        recorded => triggers::triggers_with(&now, name, recorded),
    };
    for module in writes.iter().filter(|write| write.kind == ScriptKind::Module) {
        let starting = then.iter().filter(|trigger| trigger.script == module.name);
        let starting: Vec<String> = starting.map(|trigger| format!("trigger `{}`", trigger.name)).collect();
        if !starting.is_empty() {
            let detail = format!("`{}` would be a module again, and triggers start it", module.name);
            return Err(Problem::new(Code::Conflict, detail).conflicts(starting).hint("remove those triggers first"));
        }
    }
    let before = changes.len();
    triggers::trigger_changes(&now, &then, changes);
    if changes.len() == before {
        return Ok((None, taken));
    }
    let mut errors = Vec::new();
    let checked = triggers::check_triggers(&then, |_script| Some(ScriptKind::Endpoint), now_ms, &mut errors);
    if errors.is_empty() { Ok((Some(checked), taken)) } else { Err(invalid(&state.app.name, errors)) }
}

fn trigger_taken(kind: ScriptKind, name: &str, trigger: &str) -> Diagnostic {
    about(kind, name, format!("trigger `{trigger}` started it then, and starts another script by now: it stays so"))
        .with_hint("rename that trigger to have both")
}

fn refuse_routes_to_modules(routes: &[RouteSpec], writes: &[ScriptWrite]) -> Result<(), Problem> {
    for module in writes.iter().filter(|write| write.kind == ScriptKind::Module) {
        let leading = routes.iter().filter(|route| route.script == module.name);
        let leading: Vec<String> = leading.map(|route| format!("route `{}`", route.title())).collect();
        if !leading.is_empty() {
            let detail = format!("`{}` would be a module again, and routes lead to it", module.name);
            return Err(Problem::new(Code::Conflict, detail).conflicts(leading).hint("remove those routes first"));
        }
    }
    Ok(())
}

fn candidate<'a>(state: &'a AppState, routes: &'a [RouteSpec], writes: &[ScriptWrite]) -> Candidate<'a> {
    let entry = |name: &str, kind, hash| ScriptEntry {
        name: name.to_owned(),
        kind,
        version: 0,
        hash,
        quarantined_after_crashes: None,
        placement: picloud_model::placement::Placement::default(),
        elsewhere: false,
    };
    let stay = state.scripts.iter().map(|(script, _source)| script);
    let stay = stay.filter(|script| writes.iter().all(|write| write.name != script.name));
    let stay = stay.map(|script| entry(&script.name, script.kind, script.hash));
    let come = writes.iter().map(|write| entry(&write.name, write.kind, ContentHash::of(write.source.as_bytes())));
    Candidate {
        id: Some(state.app.id),
        name: &state.app.name,
        hosts: &state.app.hosts,
        limits: Some(&state.app.limits),
        routes,
        scripts: stay.chain(come).collect(),
    }
}

/// What becomes of one script or module. One that changes its kind is one that goes and one that comes.
fn source_changes(state: &AppState, write: &ScriptWrite) -> Vec<Change> {
    let change = |action, kind: ScriptKind, old: &str, new: &str| Change {
        action,
        what: if kind == ScriptKind::Module { "module" } else { "script" }.to_owned(),
        name: write.name.clone(),
        diff: Some(diff::unified((kind, &write.name), old, new)),
    };
    match state.scripts.iter().find(|(script, _source)| script.name == write.name) {
        None => vec![change(ChangeAction::Create, write.kind, "", &write.source)],
        Some((live, source)) if live.kind == write.kind => {
            vec![change(ChangeAction::Update, write.kind, source, &write.source)]
        }
        Some((live, source)) => vec![
            change(ChangeAction::Delete, live.kind, source, ""),
            change(ChangeAction::Create, write.kind, "", &write.source),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::route::RouteAuth;

    #[test]
    fn routes_of_others_and_those_that_stay_keep_their_places() {
        let route = |path: &str, script: &str| RouteSpec {
            methods: Vec::new(),
            path: path.to_owned(),
            script: script.to_owned(),
            auth: RouteAuth::Public,
        };
        let now = [route("/a", "hello"), route("/b", "other"), route("/c", "hello"), route("/d", "other")];
        let back = routes_with(&now, "hello", &[route("/e", "hello"), route("/c", "hello")]);
        assert_eq!(back, [route("/b", "other"), route("/c", "hello"), route("/d", "other"), route("/e", "hello")]);
        assert_eq!(routes_with(&now, "hello", &[route("/c", "hello"), route("/a", "hello")]), now);
        assert_eq!(routes_with(&now, "hello", &[]), [route("/b", "other"), route("/d", "other")]);
    }
}
