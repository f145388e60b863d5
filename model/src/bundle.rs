//! The bundle: a whole app as one document, the body of `deploy` and the answer of `export`.

use crate::app::HttpPolicy;
use crate::limits::AppLimits;
use crate::route::RouteSpec;
use crate::script::Diagnostic;
use crate::trigger::TriggerSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything of an app folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The app's name; must be the one in the URL.
    #[schema(pattern = "^[a-z][a-z0-9-]{0,62}$")]
    pub name: String,
    /// Its hosts.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Its routes, in the order of `app.toml`.
    #[serde(default)]
    pub routes: Vec<RouteSpec>,
    /// Its triggers, in the order of `app.toml`.
    #[serde(default)]
    pub triggers: Vec<TriggerSpec>,
    /// Its plain values.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its limits.
    #[serde(default)]
    pub limits: AppLimits,
    /// What its scripts may reach beside the public internet.
    #[serde(default, skip_serializing_if = "HttpPolicy::is_empty")]
    pub http: HttpPolicy,
    /// Where its scripts may run, by script.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub placement: std::collections::BTreeMap<String, crate::placement::Placement>,
    /// Name → source of `scripts/{name}.rhai`.
    #[serde(default)]
    pub scripts: BTreeMap<String, String>,
    /// Name → source of `modules/{name}.rhai`.
    #[serde(default)]
    pub modules: BTreeMap<String, String>,
    /// Path below `static/` → content, in base64.
    #[serde(default, rename = "static")]
    pub static_files: BTreeMap<String, String>,
    /// Why it is deployed; kept on every version it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a deploy does, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeployReport {
    /// The app.
    pub app: String,
    /// Whether it was only asked for.
    pub plan: bool,
    /// The app's revision afterwards (before, for a plan).
    pub revision: i64,
    /// Each thing that differs, in a stable order; empty when nothing does.
    pub changes: Vec<Change>,
    /// What does not stop the deploy but should be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Diagnostic>,
    /// The URLs paths the app answers (`/kitchen/rooms/{room}`), with methods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// What happens to it.
    pub action: ChangeAction,
    /// `app`, `script`, `module`, `route`, `static`, `env`, `limit` or `host`.
    pub what: String,
    /// Its name (a route's title, a file's path).
    pub name: String,
    /// What differs: a unified difference for sources, `old → new` for values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// It is made.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
}
