//! Apps in Postgres. Whoever changes anything of an app holds its row from the beginning, so that changes of one app
//! come one after the other; runs that write keys and values refer to the row and do not wait for it.

use super::PgStore;
use super::audit_rows::{Noted, note};
use super::error::{JobResult, expect_version};
use super::signals::News;
use super::transaction::{Tx, reading, writing};
use crate::app_rules::{made, patched};
use crate::audit_shown::{app_change_shown, app_shown};
pub(super) use crate::cursor::rows_max;
use crate::cursor::{self, List};
use crate::refusals::name_taken;
use crate::{Apps, Result};
use async_trait::async_trait;
use picloud_model::app::{App, AppPatch, NewApp};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use picloud_model::page::{Page, PageRequest};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// The columns of [`app_from_row`], in its order.
macro_rules! select_app {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, hosts, env, limits, revision, created_at, updated_at, http, placement FROM apps ",
            $rest
        )
    };
}

#[async_trait]
impl Apps for PgStore {
    async fn apps(&self, page: &PageRequest) -> Result<Page<App>> {
        let after = cursor::decode_text(List::Apps, page.cursor.as_deref())?;
        let items_max = cursor::page_items(page.limit);
        reading!(self, |conn| {
            let select = sqlx::query(select_app!("WHERE name > $1 ORDER BY name LIMIT $2"));
            let rows = select.bind(&after).bind(rows_max(items_max)).fetch_all(conn).await?;
            let apps = rows.iter().map(app_from_row).collect::<JobResult<_>>()?;
            Ok(cursor::page(apps, items_max, List::Apps, |app: &App| app.name.clone()))
        })
    }

    async fn app(&self, name: &str) -> Result<Option<App>> {
        reading!(self, |conn| app_by_name(conn, name).await)
    }

    async fn create_app(&self, app: &NewApp, act: &Act) -> Result<App> {
        writing!(self, |tx| {
            if app_by_name(tx.conn(), &app.name).await?.is_some() {
                return Err(name_taken(&app.name).into());
            }
            let made = insert_app(tx, app, act.at).await?;
            note_app(tx, act, "app.create", &made.name, None, Some(app_shown(&made)));
            Ok(made)
        })
    }

    async fn patch_app(&self, app: AppId, patch: &AppPatch, expected: Option<i64>, act: &Act) -> Result<Option<App>> {
        writing!(self, |tx| {
            let Some(before) = app_locked(tx, app).await? else { return Ok(None) };
            expect_version(expected, before.revision)?;
            let mut after = patched(&before, patch);
            if after != before {
                update_app(tx, &mut after, act.at).await?;
                let shown = Some(app_change_shown(&before, &after));
                note_app(tx, act, "app.change", &after.name, Some(app_shown(&before)), shown);
            }
            Ok(Some(after))
        })
    }

    async fn delete_app(&self, app: AppId, expected: Option<i64>, act: &Act) -> Result<bool> {
        let deleted = writing!(self, |tx| {
            let Some(before) = app_locked(tx, app).await? else { return Ok(false) };
            expect_version(expected, before.revision)?;
            // Routes and triggers refer to scripts, which go with the app: they go first.
            for delete in [
                "DELETE FROM routes WHERE app_id = $1",
                "DELETE FROM triggers WHERE app_id = $1",
                "DELETE FROM apps WHERE id = $1",
            ] {
                sqlx::query(delete).bind(app.0).execute(tx.conn()).await?;
            }
            tx.tell(News::Schedules);
            tx.tell(News::Deliveries);
            tx.tell(News::Changes);
            note_app(tx, act, "app.delete", &before.name, Some(app_shown(&before)), None);
            Ok(true)
        })?;
        // Its files went with it.
        self.dropped.notify_one();
        Ok(deleted)
    }
}

/// Writes down what was done to an app as a whole.
pub(super) fn note_app(
    tx: &mut Tx<'_>,
    act: &Act,
    action: &str,
    name: &str,
    before: Option<Value>,
    after: Option<Value>,
) {
    note(tx, act, Noted { action, app: Some(name), target: name, before, after });
}

pub(super) async fn app_by_name(conn: &mut PgConnection, name: &str) -> JobResult<Option<App>> {
    let row = sqlx::query(select_app!("WHERE name = $1")).bind(name).fetch_optional(conn).await?;
    row.as_ref().map(app_from_row).transpose()
}

pub(super) async fn app_by_id(conn: &mut PgConnection, id: AppId) -> JobResult<Option<App>> {
    let row = sqlx::query(select_app!("WHERE id = $1")).bind(id.0).fetch_optional(conn).await?;
    row.as_ref().map(app_from_row).transpose()
}

/// The app, which nobody else changes until the commit.
pub(super) async fn app_locked(tx: &mut Tx<'_>, id: AppId) -> JobResult<Option<App>> {
    let select = sqlx::query(select_app!("WHERE id = $1 FOR NO KEY UPDATE"));
    let row = select.bind(id.0).fetch_optional(tx.conn()).await?;
    row.as_ref().map(app_from_row).transpose()
}

/// The same by its name.
pub(super) async fn app_locked_by_name(tx: &mut Tx<'_>, name: &str) -> JobResult<Option<App>> {
    let select = sqlx::query(select_app!("WHERE name = $1 FOR NO KEY UPDATE"));
    let row = select.bind(name).fetch_optional(tx.conn()).await?;
    row.as_ref().map(app_from_row).transpose()
}

/// All of them by id.
pub(super) async fn all_apps(conn: &mut PgConnection) -> JobResult<Vec<App>> {
    let rows = sqlx::query(select_app!("ORDER BY id")).fetch_all(conn).await?;
    rows.iter().map(app_from_row).collect()
}

/// The app's name; none where it does not exist, which the foreign keys have told already.
pub(super) async fn name_of(conn: &mut PgConnection, app: AppId) -> JobResult<String> {
    let select = sqlx::query_scalar("SELECT name FROM apps WHERE id = $1");
    Ok(select.bind(app.0).fetch_optional(conn).await?.unwrap_or_default())
}

/// Locks the app against other changes of it; answers its name and revision, `""` and 0 where it does not exist.
pub(super) async fn lock_app(tx: &mut Tx<'_>, app: AppId) -> JobResult<(String, i64)> {
    let select = sqlx::query_as("SELECT name, revision FROM apps WHERE id = $1 FOR NO KEY UPDATE");
    Ok(select.bind(app.0).fetch_optional(tx.conn()).await?.unwrap_or_default())
}

/// Makes the app, at revision 1.
pub(super) async fn insert_app(tx: &mut Tx<'_>, app: &NewApp, at: UnixMs) -> JobResult<App> {
    let id = sqlx::query_scalar(
        "INSERT INTO apps (name, hosts, env, limits, http, placement, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7) RETURNING id",
    )
    .bind(&app.name)
    .bind(serde_json::to_string(&app.hosts)?)
    .bind(serde_json::to_string(&app.env)?)
    .bind(serde_json::to_string(&app.limits)?)
    .bind(serde_json::to_string(&app.http)?)
    .bind(serde_json::to_string(&app.placement)?)
    .bind(at)
    .fetch_one(tx.conn())
    .await?;
    tx.tell(News::Changes);
    Ok(made(AppId(id), app, at))
}

/// Writes hosts, env, limits, what may be reached and where it may run, and counts the revision up.
pub(super) async fn update_app(tx: &mut Tx<'_>, app: &mut App, at: UnixMs) -> JobResult<()> {
    app.revision += 1;
    app.updated_at = at;
    sqlx::query(
        "UPDATE apps SET hosts = $2, env = $3, limits = $4, http = $5, placement = $6, revision = $7, updated_at = $8
         WHERE id = $1",
    )
    .bind(app.id.0)
    .bind(serde_json::to_string(&app.hosts)?)
    .bind(serde_json::to_string(&app.env)?)
    .bind(serde_json::to_string(&app.limits)?)
    .bind(serde_json::to_string(&app.http)?)
    .bind(serde_json::to_string(&app.placement)?)
    .bind(app.revision)
    .bind(at)
    .execute(tx.conn())
    .await?;
    tx.tell(News::Changes);
    Ok(())
}

/// Counts the app's revision up: something of it changed.
pub(super) async fn touch_app(tx: &mut Tx<'_>, app: AppId, at: UnixMs) -> JobResult<()> {
    let update = sqlx::query("UPDATE apps SET revision = revision + 1, updated_at = $2 WHERE id = $1");
    update.bind(app.0).bind(at).execute(tx.conn()).await?;
    tx.tell(News::Changes);
    Ok(())
}

fn app_from_row(row: &PgRow) -> JobResult<App> {
    Ok(App {
        id: AppId(row.try_get(0)?),
        name: row.try_get(1)?,
        hosts: serde_json::from_str(row.try_get(2)?)?,
        env: serde_json::from_str(row.try_get(3)?)?,
        limits: serde_json::from_str(row.try_get(4)?)?,
        revision: row.try_get(5)?,
        created_at: row.try_get(6)?,
        updated_at: row.try_get(7)?,
        http: serde_json::from_str(row.try_get(8)?)?,
        placement: serde_json::from_str(row.try_get(9)?)?,
    })
}
