//! The triggers of each app as this appliance knows them: kept until the app's revision is another one, which every write
//! that may make events looks up.

use super::columns::json_at;
use super::error::JobResult;
use crate::matching::{AppTriggers, KnownTrigger};
use picloud_model::ids::{AppId, ScriptId, TriggerId};
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Apps whose triggers are kept in memory; with more, all are read anew as they are needed.
const APPS_KNOWN_MAX: usize = 4_096;

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct KnownTriggers {
    apps: Mutex<HashMap<AppId, (i64, Arc<AppTriggers>)>>,
}

impl KnownTriggers {
    /// The app's triggers as they are now; none where there is no such app, which the foreign keys tell.
    pub(super) async fn of(&self, conn: &mut PgConnection, app: AppId) -> JobResult<Arc<AppTriggers>> {
        let revision: Option<i64> = sqlx::query_scalar("SELECT revision FROM apps WHERE id = $1")
            .bind(app.0)
            .fetch_optional(&mut *conn)
            .await?;
        let Some(revision) = revision else { return Ok(Arc::default()) };
        if let Some(known) = self.at_revision(app, revision) {
            return Ok(known);
        }
        let (revision, known) = load(conn, app).await?;
        let known = Arc::new(known);
        let mut apps = self.apps.lock().expect("no holder of this lock panics");
        if apps.len() >= APPS_KNOWN_MAX {
            apps.clear();
        }
        apps.insert(app, (revision, known.clone()));
        Ok(known)
    }

    /// The revision of the app at which, as far as is remembered, no trigger listened to keys of the collection.
    pub(super) fn unheard_at(&self, app: AppId, collection: &str) -> Option<i64> {
        let apps = self.apps.lock().expect("no holder of this lock panics");
        let (revision, triggers) = apps.get(&app)?;
        (!triggers.listen_to_keys_of(collection)).then_some(*revision)
    }

    fn at_revision(&self, app: AppId, revision: i64) -> Option<Arc<AppTriggers>> {
        let apps = self.apps.lock().expect("no holder of this lock panics");
        apps.get(&app).filter(|(known, _triggers)| *known == revision).map(|(_revision, triggers)| triggers.clone())
    }
}

/// The triggers and the revision they are of, at one moment.
async fn load(conn: &mut PgConnection, app: AppId) -> JobResult<(i64, AppTriggers)> {
    let rows = sqlx::query(
        "SELECT a.revision, t.id, t.script_id, t.spec FROM apps a
         LEFT JOIN triggers t ON t.app_id = a.id AND t.kind <> 'cron' WHERE a.id = $1 ORDER BY t.position, t.id",
    )
    .bind(app.0)
    .fetch_all(conn)
    .await?;
    let mut known = AppTriggers::default();
    let mut revision = 0;
    for row in rows {
        revision = row.try_get(0)?;
        let Some(id) = row.try_get::<Option<i64>, _>(1)? else { continue };
        known.add(Arc::new(KnownTrigger {
            id: TriggerId(id),
            script: ScriptId(row.try_get(2)?),
            spec: json_at(&row, 3)?,
        }));
    }
    Ok((revision, known))
}
