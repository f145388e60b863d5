//! What was written down with a version: looked at, compared, and held against what the app has today.

use super::triggers::trigger_changes;
use super::{check, diff};
use crate::admin::from_store;
use crate::appliance::Appliance;
use picloud_model::app::App;
use picloud_model::bundle::{Change, ChangeAction};
use picloud_model::page::PageRequest;
use picloud_model::problem::{Code, Problem};
use picloud_model::script::{
    Diagnostic, ModuleVersion, RollbackInput, Script, ScriptKind, ScriptVersion, VersionContext,
};
use picloud_model::version::VersionDiff;
use picloud_store::AppState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a version had and the app has no more.
struct Gone {
    /// `env value` or `secret`.
    what: &'static str,
    name: String,
}

impl Appliance {
    /// One version with its source, and what it was live with.
    pub async fn recorded(&self, script: &Script, version: i64) -> Result<(ScriptVersion, VersionContext), Problem> {
        let absent = || Problem::not_found("version", format_args!("{version}` of script `{}", script.name));
        let found = self.store.version(script.id, version).await.map_err(from_store)?.ok_or_else(absent)?;
        let context = self.store.version_context(script.id, version).await.map_err(from_store)?;
        Ok((found, context.ok_or_else(absent)?))
    }

    /// What differs between two versions.
    pub async fn version_diff(&self, script: &Script, from: i64, to: i64) -> Result<VersionDiff, Problem> {
        let (old, old_context) = self.recorded(script, from).await?;
        let (new, new_context) = self.recorded(script, to).await?;
        let (old_source, new_source) = (old.source.unwrap_or_default(), new.source.unwrap_or_default());
        // Two different sources only: the header alone would look like a difference.
        let diff = if old_source == new_source {
            String::new()
        } else {
            diff::unified((new.kind, &script.name), &old_source, &new_source)
        };
        let mut routes = Vec::new();
        diff::route_changes(&old_context.routes, &new_context.routes, &mut routes);
        let mut triggers = Vec::new();
        trigger_changes(&old_context.triggers, &new_context.triggers, &mut triggers);
        Ok(VersionDiff {
            from,
            to,
            diff,
            modules: self.module_changes(&old_context.modules, &new_context.modules).await?,
            routes,
            triggers,
            env: changes("env", names(&old_context.env), names(&new_context.env)),
            secrets: changes("secret", names(&old_context.secrets), names(&new_context.secrets)),
        })
    }

    /// What differs between the modules of two versions; the same content under another number is no difference.
    async fn module_changes(&self, old: &[ModuleVersion], new: &[ModuleVersion]) -> Result<Vec<Change>, Problem> {
        let but = |modules: &[ModuleVersion], others: &[ModuleVersion]| {
            let same =
                |module: &ModuleVersion| others.iter().any(|it| it.name == module.name && it.hash == module.hash);
            modules.iter().filter(|module| !same(module)).cloned().collect::<Vec<_>>()
        };
        let (old, new) = (but(old, new), but(new, old));
        let mut changes = changes("module", modules(&old), modules(&new));
        for change in changes.iter_mut().filter(|change| change.action == ChangeAction::Update) {
            let (before, after) = (self.text_of(&old, &change.name).await?, self.text_of(&new, &change.name).await?);
            if let (Some(before), Some(after)) = (before, after) {
                change.diff = Some(diff::unified((ScriptKind::Module, &change.name), &before, &after));
            }
        }
        Ok(changes)
    }

    async fn text_of(&self, modules: &[ModuleVersion], name: &str) -> Result<Option<Arc<str>>, Problem> {
        let Some(module) = modules.iter().find(|module| module.name == name) else { return Ok(None) };
        self.store.source(module.hash).await.map_err(from_store)
    }

    /// Refuses to go back to sources that speak of env values or secrets which the script had and has no more;
    /// answers what is only worth a warning.
    pub(super) async fn check_names(
        &self,
        state: &AppState,
        name: &str,
        context: &VersionContext,
        sources: &[&str],
        input: &RollbackInput,
    ) -> Result<Vec<Diagnostic>, Problem> {
        let granted = self.granted(&state.app, name).await?;
        let env = context.env.iter().filter(|name| !state.app.env.contains_key(*name));
        let env = env.map(|name| Gone { what: "env value", name: name.clone() });
        let secrets = context.secrets.iter().filter(|name| !granted.contains(*name));
        let secrets = secrets.map(|name| Gone { what: "secret", name: name.clone() });
        let gone: Vec<Gone> =
            env.chain(secrets).filter(|gone| sources.iter().any(|text| names_it(text, gone))).collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let titles: Vec<String> = gone.iter().map(|gone| format!("{} `{}`", gone.what, gone.name)).collect();
        if !input.force {
            let version = input.version;
            let detail = format!("version {version} of `{name}` uses what `{name}` has no more: {}", titles.join(", "));
            return Err(Problem::new(Code::Conflict, detail).conflicts(titles).hint(
                "set (or grant) those first: picloud env set, picloud secrets set; \
                 or go back all the same: --force (in the API: \"force\": true)",
            ));
        }
        let warning = |title| about(ScriptKind::Endpoint, name, format!("it uses {title}, which it has no more"));
        Ok(titles.into_iter().map(warning).collect())
    }

    /// Names of the secrets that the script may read.
    async fn granted(&self, app: &App, script: &str) -> Result<BTreeSet<String>, Problem> {
        let mut granted = BTreeSet::new();
        let mut cursor = None;
        loop {
            let page = PageRequest { limit: None, cursor };
            let page = self.store.secrets(app.id, &page).await.map_err(from_store)?;
            granted.extend(page.items.into_iter().filter(|secret| secret.is_granted_to(script)).map(|it| it.name));
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(granted);
            }
        }
    }
}

/// The script is not there (any more).
pub(super) fn no_script(app: &App, name: &str) -> Problem {
    Problem::not_found("script", format_args!("{name}` of app `{}", app.name))
}

/// Something about a script or module as a whole.
pub(super) fn about(kind: ScriptKind, name: &str, message: String) -> Diagnostic {
    Diagnostic { file: Some(check::file_of(kind, name)), line: 0, column: 0, message, hint: None }
}

/// Whether the text has the name in quotes, as `env::get("city")` has. A name that is put together at run time is not
/// found; the run says so then.
fn names_it(text: &str, gone: &Gone) -> bool {
    let name = &gone.name;
    text.contains(&format!("\"{name}\"")) || text.contains(&format!("`{name}`"))
}

fn changes(what: &str, old: BTreeMap<String, String>, new: BTreeMap<String, String>) -> Vec<Change> {
    let mut changes = Vec::new();
    diff::values(what, &old, &new, &mut changes);
    changes
}

fn modules(modules: &[ModuleVersion]) -> BTreeMap<String, String> {
    let shown = |module: &ModuleVersion| format!("version {}, sha256 {}", module.version, module.hash.short());
    modules.iter().map(|module| (module.name.clone(), shown(module))).collect()
}

fn names(names: &[String]) -> BTreeMap<String, String> {
    names.iter().map(|name| (name.clone(), String::new())).collect()
}
