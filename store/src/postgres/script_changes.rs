//! A script saved or deleted by itself.

use super::apps::{lock_app, touch_app};
use super::audit_rows::{Noted, note};
use super::enqueue::forget_script;
use super::error::{JobResult, conflict, expect_version};
use super::script_rows::{importers_of, put_imports, put_script, routes_to, script_by_name};
use super::transaction::Tx;
use super::trigger_rows::{remove_trigger, triggers_of, triggers_to};
use super::version_contexts;
use crate::ScriptWrite;
use crate::audit_shown::{names_shown, script_shown, with_message};
use crate::refusals::missing_modules;
use picloud_model::audit::Act;
use picloud_model::ids::{AppId, ScriptId};
use picloud_model::script::{Script, ScriptKind};
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Makes a version, none where source and kind are live already.
pub(super) async fn save(
    tx: &mut Tx<'_>,
    app: AppId,
    script: &ScriptWrite,
    expected: Option<i64>,
    act: &Act,
) -> JobResult<Script> {
    let (app_name, _revision) = lock_app(tx, app).await?;
    let before = script_by_name(tx.conn(), app, &script.name).await?;
    expect_version(expected, before.as_ref().map_or(0, |script| script.version))?;
    if let Some(before) = before.as_ref().filter(|before| before.kind != script.kind) {
        refuse_if_used(tx.conn(), app, before).await?;
    }
    let put = put_script(tx, app, before.as_ref(), script, act).await?;
    let modules = modules_named(tx.conn(), app, script).await?;
    let relinked = put_imports(tx, app, put.id, &modules).await?;
    if put.made {
        version_contexts::record(tx, put.id).await?;
    }
    let saved = script_by_name(tx.conn(), app, &script.name).await?.expect("it was written in this transaction");
    if put.made || relinked {
        touch_app(tx, app, act.at).await?;
        let before = before.as_ref().map(script_shown);
        let after = Some(with_message(script_shown(&saved), act));
        note(tx, act, Noted { action: "script.save", app: Some(&app_name), target: &saved.name, before, after });
    }
    Ok(saved)
}

/// Removes it; with `force` also what leads to it.
pub(super) async fn delete(
    tx: &mut Tx<'_>,
    (app, app_name): (AppId, &str),
    script: &Script,
    force: bool,
    act: &Act,
) -> JobResult<()> {
    if !force {
        refuse_if_used(tx.conn(), app, script).await?;
    }
    let mut before = script_shown(script);
    let users = users_of(tx.conn(), app, script).await?;
    if !users.is_empty() {
        before["in_use_by"] = names_shown(users);
    }
    let routes = sqlx::query("DELETE FROM routes WHERE app_id = $1 AND script_id = $2");
    routes.bind(app.0).bind(script.id.0).execute(tx.conn()).await?;
    let mut triggers = Vec::new();
    for row in triggers_of(tx.conn(), app).await?.into_iter().filter(|row| row.script == script.id) {
        let queued = remove_trigger(tx, app, row.trigger.id).await?;
        triggers.push(format!("{} with {queued} queued", row.trigger.spec.name));
    }
    let timers = forget_script(tx.conn(), app, script.id).await?;
    if timers > 0 {
        before["timers_deleted"] = timers.into();
    }
    if !triggers.is_empty() {
        before["triggers_deleted"] = names_shown(triggers);
    }
    sqlx::query("DELETE FROM scripts WHERE id = $1").bind(script.id.0).execute(tx.conn()).await?;
    touch_app(tx, app, act.at).await?;
    let noted =
        Noted { action: "script.delete", app: Some(app_name), target: &script.name, before: Some(before), after: None };
    note(tx, act, noted);
    Ok(())
}

/// The modules a script imports; refuses those the app does not have.
async fn modules_named(conn: &mut PgConnection, app: AppId, script: &ScriptWrite) -> JobResult<BTreeSet<ScriptId>> {
    let mut ids = BTreeSet::new();
    let mut missing = Vec::new();
    for name in &script.imports {
        match script_by_name(conn, app, name).await?.filter(|module| module.kind == ScriptKind::Module) {
            Some(module) => {
                ids.insert(module.id);
            }
            None => missing.push(format!("module `{name}`")),
        }
    }
    if missing.is_empty() { Ok(ids) } else { Err(missing_modules(&script.name, missing).into()) }
}

/// Refuses where routes or triggers lead to the script, or others import it.
async fn refuse_if_used(conn: &mut PgConnection, app: AppId, script: &Script) -> JobResult<()> {
    let users = users_of(conn, app, script).await?;
    if users.is_empty() {
        return Ok(());
    }
    let message = format!("{} `{}` is in use", script.kind.as_str(), script.name);
    Err(conflict(message, users).into())
}

/// Routes and triggers that lead to the script, and who imports it.
async fn users_of(conn: &mut PgConnection, app: AppId, script: &Script) -> JobResult<Vec<String>> {
    let mut users = routes_to(conn, app, script.id).await?;
    users.extend(triggers_to(conn, script.id).await?);
    let importers = importers_of(conn, script.id).await?;
    users.extend(importers.iter().map(|importer| format!("{} `{}`", importer.kind.as_str(), importer.name)));
    Ok(users)
}
