//! Scripts and routes of an app, several at once: what deploys and other changes of an app have in common.

use super::error::JobResult;
use super::routes::{insert_route, routes_of};
use super::script_rows::{put_imports, put_script};
use super::transaction::Tx;
use super::version_contexts;
use crate::ScriptWrite;
use crate::parts::{Named, PartsChanged, RouteStep, expect_each_once, modules_among, plan_routes};
use crate::refusals::missing_modules;
use picloud_model::audit::Act;
use picloud_model::ids::AppId;
use picloud_model::route::RouteSpec;
use picloud_model::script::Script;
use std::collections::HashMap;

/// Makes all scripts, then their imports, which may go in any direction among them and to what is in `named`, and adds
/// them to `named`.
pub(super) async fn put_scripts<'a>(
    tx: &mut Tx<'_>,
    app: AppId,
    before: &[Script],
    scripts: &'a [ScriptWrite],
    act: &Act,
    named: &mut Named<'a>,
    changed: &mut PartsChanged,
) -> JobResult<()> {
    expect_each_once(scripts)?;
    let live: HashMap<&str, &Script> = before.iter().map(|script| (script.name.as_str(), script)).collect();
    let mut made = Vec::new();
    for script in scripts {
        let put = put_script(tx, app, live.get(script.name.as_str()).copied(), script, act).await?;
        if put.made {
            changed.scripts_saved.push(format!("{} {}", script.name, put.version));
            made.push(put.id);
        }
        named.insert(&script.name, (put.id, script.kind));
    }
    for script in scripts {
        let (id, _kind) = named[script.name.as_str()];
        let (modules, missing) = modules_among(named, script);
        if !missing.is_empty() {
            return Err(missing_modules(&script.name, missing).into());
        }
        if put_imports(tx, app, id, &modules).await? && !made.contains(&id) {
            changed.scripts_relinked.push(script.name.clone());
        }
    }
    // Last: what a version reaches is known once all imports are written.
    for id in made {
        version_contexts::record(tx, id).await?;
    }
    Ok(())
}

/// Makes the routes exactly these; one that says the same as before keeps its id.
pub(super) async fn put_routes(
    tx: &mut Tx<'_>,
    app: AppId,
    routes: &[RouteSpec],
    scripts: &Named<'_>,
    changed: &mut PartsChanged,
) -> JobResult<()> {
    let plan = plan_routes(&routes_of(tx.conn(), app).await?, routes, scripts, changed)?;
    if !plan.removed.is_empty() {
        let gone: Vec<i64> = plan.removed.into_iter().map(|route| route.0).collect();
        sqlx::query("DELETE FROM routes WHERE id = ANY ($1)").bind(gone).execute(tx.conn()).await?;
    }
    for step in plan.steps {
        match step {
            RouteStep::Move(route, position) => {
                let update = sqlx::query("UPDATE routes SET position = $2 WHERE id = $1");
                update.bind(route.0).bind(position).execute(tx.conn()).await?;
            }
            RouteStep::Make(position, spec, script) => {
                insert_route(tx, app, position, spec, script).await?;
            }
        }
    }
    Ok(())
}
