//! Timers: deliveries whose time is to come, which whoever set them may take back.

use super::apps::rows_max;
use super::columns::{count_at, uuid_at};
use super::error::JobResult;
use super::events::deliver;
use super::transaction::Tx;
use crate::cursor::{self, List};
use crate::emission::own_lane;
use crate::kv_changes::with_value;
use crate::triggering::{ForScript, cause_of_timer, timers_after};
use picloud_model::event::{Cause, EventKind};
use picloud_model::ids::{AppId, TimerId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::timer::{NewTimer, Timer};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// Sets one.
pub(super) async fn set(tx: &mut Tx<'_>, app: AppId, timer: &NewTimer, cause: &Cause) -> JobResult<()> {
    let cause = &cause_of_timer(timer, cause);
    let one = ForScript {
        script: &timer.script,
        what: "a timer",
        kind: EventKind::Timer,
        // A time that is over is due now, not before what has been waiting since.
        due_at: timer.due_at.max(cause.at),
        body: with_value(json!({ "timer_id": timer.id }), &timer.value),
        timer: Some(timer.id),
        request: None,
    };
    deliver(tx, app, cause, one).await
}

/// Takes one back, unless it is under way; answers whether it did.
pub(super) async fn cancel(conn: &mut PgConnection, app: AppId, timer: TimerId) -> JobResult<bool> {
    let gone = sqlx::query("DELETE FROM deliveries WHERE timer_id = $1 AND app_id = $2 AND claimed_by IS NULL")
        .bind(timer.0.into_bytes())
        .bind(app.0)
        .execute(conn)
        .await?;
    Ok(gone.rows_affected() > 0)
}

/// The app's timers that wait, soonest first.
pub(super) async fn list(conn: &mut PgConnection, app: AppId, page: &PageRequest) -> JobResult<Page<Timer>> {
    let (due_at, id) = timers_after(page.cursor.as_deref())?;
    let items_max = cursor::page_items(page.limit);
    let rows = sqlx::query(
        "SELECT d.timer_id, s.name, d.due_at, d.attempts, d.id FROM deliveries d JOIN scripts s ON s.id = d.script_id
         WHERE d.app_id = $1 AND d.lane = $2 AND (d.due_at, d.id) > ($3, $4) AND d.timer_id IS NOT NULL
         ORDER BY d.due_at, d.id LIMIT $5",
    )
    .bind(app.0)
    .bind(own_lane(app))
    .bind(due_at)
    .bind(id)
    .bind(rows_max(items_max))
    .fetch_all(conn)
    .await?;
    let timers = rows.iter().map(timer_from_row).collect::<JobResult<_>>()?;
    let page = cursor::page(timers, items_max, List::Timers, |(timer, id): &(Timer, i64)| {
        [timer.due_at.to_be_bytes(), id.to_be_bytes()].concat()
    });
    Ok(page.map(|(timer, _id)| timer))
}

fn timer_from_row(row: &PgRow) -> JobResult<(Timer, i64)> {
    let timer = Timer {
        id: TimerId(uuid_at(row, 0)?),
        script: row.try_get(1)?,
        due_at: row.try_get(2)?,
        attempts: count_at(row, 3)?,
    };
    Ok((timer, row.try_get(4)?))
}
