//! What a worker answers requests from.

use crate::hash::ContentHash;
use crate::ids::{AppId, KeyId};
use crate::limits::Limits;
use crate::route::{Route, RouteAuth};
use crate::scope::Grant;
use crate::script::ScriptKind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An API key as a worker needs it: enough to know one that is shown to it, too little to make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Its id, for telling when it was used.
    pub id: KeyId,
    /// Its name, for `ctx.principal`.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: ContentHash,
    /// What it may do.
    pub scopes: Vec<Grant>,
    /// From when on it is refused.
    pub expires_at: Option<i64>,
}

/// Everything a worker needs to answer requests, but for the sources themselves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows with every change.
    pub revision: u64,
    /// The apps.
    pub apps: Vec<Arc<AppSnapshot>>,
    /// The API keys that may call routes.
    pub keys: Arc<Vec<KeyEntry>>,
}

/// One app in a [`Snapshot`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppSnapshot {
    /// Its id.
    pub id: AppId,
    /// Its name.
    pub name: String,
    /// Its hosts.
    pub hosts: Vec<String>,
    /// Its plain values.
    pub env: Vec<(String, String)>,
    /// The limits that hold for it.
    pub limits: Limits,
    /// What its scripts may reach beside the public internet; for the parent alone.
    pub http_allow: Vec<String>,
    /// Its routes.
    pub routes: Vec<RouteEntry>,
    /// Its scripts and modules, sorted by name.
    pub scripts: Vec<ScriptEntry>,
    /// Its static files, sorted by path.
    pub static_files: Vec<StaticEntry>,
}

impl AppSnapshot {
    /// The app as a node with these labels is to serve it.
    pub fn placed_on(self: &Arc<Self>, labels: &crate::placement::Labels) -> Arc<Self> {
        let is_right = |entry: &ScriptEntry| entry.elsewhere != entry.placement.allows(labels);
        if self.scripts.iter().all(is_right) {
            return Arc::clone(self);
        }
        let mut placed = Self::clone(self);
        for entry in &mut placed.scripts {
            entry.elsewhere = !entry.placement.allows(labels);
        }
        Arc::new(placed)
    }

    /// The script or module called `name`.
    pub fn script(&self, name: &str) -> Option<&ScriptEntry> {
        self.scripts.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok().map(|index| &self.scripts[index])
    }
}

/// A route between processes, where no field may be skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteEntry {
    /// Its id.
    pub id: i64,
    /// Upper-case; empty means every method.
    pub methods: Vec<String>,
    /// As written.
    pub path: String,
    /// The endpoint.
    pub script: String,
    /// Who may call it.
    pub auth: RouteAuth,
}

impl From<&Route> for RouteEntry {
    fn from(route: &Route) -> Self {
        let spec = &route.spec;
        Self {
            id: route.id.0,
            methods: spec.methods.clone(),
            path: spec.path.clone(),
            script: spec.script.clone(),
            auth: spec.auth,
        }
    }
}

/// A script or module in an [`AppSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptEntry {
    /// Its name.
    pub name: String,
    /// Endpoint or module.
    pub kind: ScriptKind,
    /// The live version.
    pub version: i64,
    /// Its content.
    pub hash: ContentHash,
    /// How often this version took its worker down, once it is not run any more for it.
    pub quarantined_after_crashes: Option<u32>,
    /// Where it may run.
    pub placement: crate::placement::Placement,
    /// Not here: a request for it is forwarded. Set for each node by [`AppSnapshot::placed_on`].
    pub elsewhere: bool,
}

/// A static file in an [`AppSnapshot`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticEntry {
    /// Below `static/`, with `/` between segments.
    pub path: String,
    /// Its content; also its ETag.
    pub hash: ContentHash,
    /// Its size.
    pub size_bytes: u64,
    /// When it was deployed.
    pub updated_at: i64,
}
