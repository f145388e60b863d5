//! What workers are told of apps, put together out of the rows of all of them.

use picloud_model::app::App;
use picloud_model::placement::Placement;
use picloud_model::protocol::{AppSnapshot, RouteEntry, ScriptEntry, StaticEntry};
use std::collections::{BTreeMap, HashMap};

/// Routes, scripts and static files by their app's id.
pub(crate) struct Parts {
    pub(crate) routes: HashMap<i64, Vec<RouteEntry>>,
    pub(crate) scripts: HashMap<i64, Vec<ScriptEntry>>,
    pub(crate) static_files: HashMap<i64, Vec<StaticEntry>>,
}

impl Parts {
    /// The snapshot of each app.
    pub(crate) fn of(mut self, apps: Vec<App>) -> Vec<AppSnapshot> {
        let snapshots = apps.into_iter().map(|mut app| AppSnapshot {
            id: app.id,
            routes: self.routes.remove(&app.id.0).unwrap_or_default(),
            scripts: placed(self.scripts.remove(&app.id.0).unwrap_or_default(), &mut app.placement),
            static_files: self.static_files.remove(&app.id.0).unwrap_or_default(),
            limits: app.limits.resolve(),
            http_allow: app.http.allow,
            name: app.name,
            hosts: app.hosts,
            env: app.env.into_iter().collect(),
        });
        snapshots.collect()
    }
}

/// The scripts, each with where it may run.
fn placed(mut scripts: Vec<ScriptEntry>, placement: &mut BTreeMap<String, Placement>) -> Vec<ScriptEntry> {
    if !placement.is_empty() {
        for script in &mut scripts {
            script.placement = placement.remove(&script.name).unwrap_or_default();
        }
    }
    scripts
}
