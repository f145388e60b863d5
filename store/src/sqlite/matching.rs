//! The triggers of each app as the writer knows them: read once, kept until one changes, looked up at every write.

use super::error::JobResult;
use crate::matching::{AppTriggers, KnownTrigger};
use picloud_model::ids::{AppId, ScriptId, TriggerId};
use picloud_model::trigger::TriggerSpec;
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

/// Apps whose triggers are kept in memory; with more, all are read anew as they are needed.
const APPS_KNOWN_MAX: usize = 4_096;

fn load(conn: &Connection, app: AppId) -> JobResult<AppTriggers> {
    let mut select = conn.prepare_cached(
        "SELECT id, script_id, spec FROM triggers WHERE app_id = ?1 AND kind <> 'cron' ORDER BY position",
    )?;
    let mut rows = select.query([app.0])?;
    let mut known = AppTriggers::default();
    while let Some(row) = rows.next()? {
        let spec: TriggerSpec = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
        let trigger = KnownTrigger { id: TriggerId(row.get(0)?), script: ScriptId(row.get(1)?), spec };
        known.add(Arc::new(trigger));
    }
    Ok(known)
}

/// The writer's memory of triggers.
#[derive(Debug, Default)]
pub(super) struct KnownTriggers {
    apps: RefCell<HashMap<AppId, Arc<AppTriggers>>>,
    /// Whether the running transaction changed any.
    changed: Cell<bool>,
}

impl KnownTriggers {
    /// The app's triggers.
    pub(super) fn of(&self, conn: &Connection, app: AppId) -> JobResult<Arc<AppTriggers>> {
        if let Some(known) = self.apps.borrow().get(&app) {
            return Ok(known.clone());
        }
        let known = Arc::new(load(conn, app)?);
        let mut apps = self.apps.borrow_mut();
        if apps.len() >= APPS_KNOWN_MAX {
            apps.clear();
        }
        apps.insert(app, known.clone());
        Ok(known)
    }

    /// Triggers of the app, or the app itself, changed in the running transaction.
    pub(super) fn forget(&self, app: AppId) {
        self.changed.set(true);
        self.apps.borrow_mut().remove(&app);
    }

    /// A transaction begins.
    pub(super) fn begin(&self) {
        self.changed.set(false);
    }

    /// A job or the transaction was taken back: what was read of changes in it never was.
    pub(super) fn taken_back(&self) {
        if self.changed.get() {
            self.apps.borrow_mut().clear();
        }
    }
}
