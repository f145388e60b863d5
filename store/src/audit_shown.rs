//! What the audit log shows of each thing, before and after: enough to see what changed, and never a secret, a value
//! or a source.

use crate::audit_chain::cut;
use picloud_model::app::App;
use picloud_model::audit::Act;
use picloud_model::key::ApiKey;
use picloud_model::route::RouteSpec;
use picloud_model::script::Script;
use picloud_model::secret::Secret;
use picloud_model::trigger::Trigger;
use serde_json::{Value, json};

/// Names of one kind in one entry; of more only the number is told.
const NAMES_MAX: usize = 100;

/// Of an app: its env by name only, for a value may have been meant to be a secret.
pub(crate) fn app_shown(app: &App) -> Value {
    let names: Vec<String> = app.env.keys().cloned().collect();
    let mut shown = json!({
        "hosts": names_shown(app.hosts.clone()), "env": names_shown(names), "limits": app.limits, "revision": app.revision,
    });
    if !app.placement.is_empty() {
        shown["placement"] = json!(app.placement);
    }
    if !app.http.is_empty() {
        shown["http"] = json!({ "allow": names_shown(app.http.allow.clone()) });
    }
    shown
}

/// Of an app that was changed: also which env values are others than before.
pub(crate) fn app_change_shown(before: &App, after: &App) -> Value {
    let mut shown = app_shown(after);
    let changed: Vec<String> = after
        .env
        .iter()
        .filter(|(name, value)| before.env.get(*name) != Some(*value))
        .map(|(name, _)| name.clone())
        .collect();
    if !changed.is_empty() {
        shown["env_changed"] = names_shown(changed);
    }
    shown
}

/// Of a script: which content it has, not the content.
pub(crate) fn script_shown(script: &Script) -> Value {
    json!({ "version": script.version, "hash": script.hash, "kind": script.kind, "size_bytes": script.size_bytes })
}

/// The same with why it was done, where somebody said.
pub(crate) fn with_message(mut shown: Value, act: &Act) -> Value {
    if let Some(message) = &act.message {
        shown["message"] = cut(message).into();
    }
    shown
}

/// Of a route: all of it.
pub(crate) fn route_shown(spec: &RouteSpec) -> Value {
    json!(spec)
}

/// Of a trigger: all that it says.
pub(crate) fn trigger_shown(trigger: &Trigger) -> Value {
    let mut shown = json!(trigger.spec);
    shown["version"] = trigger.version.into();
    shown
}

/// Of a key: what it may do.
pub(crate) fn key_shown(key: &ApiKey) -> Value {
    let mut shown = json!({ "id": key.id, "scopes": key.scopes });
    if let Some(expires_at) = key.expires_at {
        shown["expires_at"] = picloud_model::clock::rfc3339(expires_at).into();
    }
    shown
}

/// Of a secret: whom it is granted to.
pub(crate) fn secret_shown(secret: &Secret) -> Value {
    json!({ "version": secret.version, "scripts": names_shown(secret.scripts.clone()) })
}

/// Names, or the first of them and how many there are.
pub(crate) fn names_shown(mut names: Vec<String>) -> Value {
    let count = names.len();
    if count > NAMES_MAX {
        names.truncate(NAMES_MAX);
        names.push(format!("… {} more", count - NAMES_MAX));
    }
    json!(names)
}
