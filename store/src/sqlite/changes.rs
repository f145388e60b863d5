//! Several things of one app that change together, though not all of it.

use super::DataTx;
use super::app_parts::{put_routes, put_scripts};
use super::apps::{app_by_id, touch_app};
use super::audit_rows::{Noted, note};
use super::audit_shown::with_message;
use super::error::{JobResult, conflict};
use super::script_rows::scripts_of;
use super::trigger_parts::put_triggers;
use crate::parts::{Named, PartsChanged};
use crate::{AppChange, StoreError};
use picloud_model::app::App;
use picloud_model::audit::Act;
use picloud_model::ids::AppId;
use rusqlite::Connection;
use serde_json::{Value, json};

/// Puts scripts, routes and triggers in place; what they leave of the app must still hold together.
pub(super) fn change(tx: &DataTx<'_>, app: AppId, change: &AppChange, act: &Act) -> JobResult<App> {
    let before = app_by_id(tx.conn, app)?;
    let actual = before.as_ref().map_or(0, |app| app.revision);
    let stale = StoreError::Stale { expected: change.expected, actual };
    let Some(before) = before.filter(|app| app.revision == change.expected) else { return Err(stale.into()) };
    let live = scripts_of(tx.conn, app)?;
    let mut named: Named<'_> = live.iter().map(|script| (script.name.as_str(), (script.id, script.kind))).collect();
    let mut changed = PartsChanged::default();
    put_scripts(tx, app, &live, &change.scripts, act, &mut named, &mut changed)?;
    if let Some(routes) = &change.routes {
        put_routes(tx, app, routes, &named, &mut changed)?;
    }
    if let Some(triggers) = &change.triggers {
        put_triggers(tx, app, triggers, &named, act.at, &mut changed)?;
    }
    if !changed.any() {
        return Ok(before);
    }
    refuse_dangling(tx.conn, app)?;
    touch_app(tx, app, act.at)?;
    let after = app_by_id(tx.conn, app)?.expect("it was written in this transaction");
    let mut shown = changed.shown();
    shown.insert("revision".to_owned(), after.revision.into());
    let noted = Noted {
        action: change.action,
        app: Some(&before.name),
        target: &change.target,
        before: Some(json!({ "revision": before.revision })),
        after: Some(with_message(Value::Object(shown), act)),
    };
    note(tx, act, noted)?;
    Ok(after)
}

/// Refuses where a route or a trigger leads to a module, or an import to an endpoint: a script took on another kind.
fn refuse_dangling(conn: &Connection, app: AppId) -> JobResult<()> {
    let mut select = conn.prepare_cached(
        "SELECT 'route ' || CASE r.methods WHEN '' THEN '*' ELSE r.methods END || ' ' || r.path
         FROM routes r JOIN scripts s ON s.id = r.script_id WHERE r.app_id = ?1 AND s.kind <> 'endpoint'
         UNION ALL
         SELECT 'trigger `' || t.name || '`'
         FROM triggers t JOIN scripts s ON s.id = t.script_id WHERE t.app_id = ?1 AND s.kind <> 'endpoint'
         UNION ALL
         SELECT s.kind || ' `' || s.name || '`'
         FROM script_imports i JOIN scripts s ON s.id = i.script_id JOIN scripts m ON m.id = i.module_id
         WHERE i.app_id = ?1 AND m.kind <> 'module'",
    )?;
    let dangling: Vec<String> = select.query_map([app.0], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if dangling.is_empty() {
        return Ok(());
    }
    let message = format!("scripts change their kind, but are in use: {}", dangling.join(", "));
    Err(conflict(message, dangling).into())
}
