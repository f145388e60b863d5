//! Rows of events and deliveries, written within the transactions of others.

use super::dead_letter_rows::{bury, script_at};
use super::error::JobResult;
use super::signals::News;
use super::transaction::Tx;
use crate::StoreError;
use crate::emission::{NewEvent, Target, own_lane};
use crate::letters::too_deep;
use picloud_model::event::{Cause, EventKind};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ScriptId};
use sqlx::PgConnection;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;

/// Deliveries of one event: as many ids as the sequence leaves between two of its numbers. An event of more targets is
/// kept in several rows.
const TARGETS_MAX: usize = 4_096;

/// Apps whose room is remembered; with more, all are counted anew as they are needed.
const APPS_COUNTED_MAX: usize = 4_096;

/// Of the room that is left, this part is used up before it is counted again: others use it up at the same time.
const ROOM_PARTS: u64 = 16;

/// How many deliveries of each app this appliance lets in before it counts again how many wait. Near the limit it counts
/// each time, and what several let in at the same moment may be above it.
#[derive(Debug, Default)]
pub(super) struct Room {
    apps: Mutex<HashMap<AppId, (u64, u64)>>,
}

impl Room {
    /// Takes room for so many, where there is as much without counting under this limit.
    fn take(&self, app: AppId, limit: u64, count: u64) -> bool {
        let mut apps = self.apps.lock().expect("no holder of this lock panics");
        match apps.get_mut(&app) {
            Some((of_limit, left)) if *of_limit == limit && *left >= count => {
                *left -= count;
                true
            }
            _ => false,
        }
    }

    /// So many wait now.
    fn counted(&self, app: AppId, limit: u64, waiting: u64) {
        let mut apps = self.apps.lock().expect("no holder of this lock panics");
        if apps.len() >= APPS_COUNTED_MAX {
            apps.clear();
        }
        apps.insert(app, (limit, limit.saturating_sub(waiting) / ROOM_PARTS));
    }
}

/// Writes the event and a delivery for each target; answers how many. Refuses above the cause's `queued_max`; above its
/// `depth_max` they are dead letters at once.
pub(super) async fn enqueue(
    tx: &mut Tx<'_>,
    app: AppId,
    cause: &Cause,
    event: &NewEvent,
    targets: Vec<Target>,
) -> JobResult<u32> {
    let count = targets.len();
    if count == 0 {
        return Ok(0);
    }
    // A dead letter's event is one deeper than what died, which may be too deep already: told of it must be.
    if event.depth > cause.depth_max && event.kind != EventKind::DeadLetter {
        for target in &targets {
            if let Some(script) = script_at(tx.conn(), app, target.script).await? {
                let dying = too_deep(app, cause.depth_max, event, target, script);
                // What is buried may make events in turn.
                Box::pin(bury(tx, &dying, cause.at)).await?;
            }
        }
        return Ok(count as u32);
    }
    // What nobody can be refused for is let in: a schedule's time, a delivery given up.
    if !matches!(event.kind, EventKind::DeadLetter | EventKind::Cron) {
        find_room(tx, app, cause.queued_max, count as u64).await?;
    }
    insert(tx, app, event, targets).await?;
    Ok(count as u32)
}

/// Refuses where more would wait than may.
async fn find_room(tx: &mut Tx<'_>, app: AppId, limit: u64, count: u64) -> JobResult<()> {
    let store = tx.store;
    if store.room.take(app, limit, count) {
        return Ok(());
    }
    let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM deliveries WHERE app_id = $1")
        .bind(app.0)
        .fetch_one(tx.conn())
        .await?;
    let waiting = waiting.unsigned_abs();
    if waiting + count > limit {
        return Err(StoreError::Backlog { waiting, limit }.into());
    }
    store.room.counted(app, limit, waiting + count);
    Ok(())
}

/// The rows, whatever waits and however deep it is.
pub(super) async fn insert(tx: &mut Tx<'_>, app: AppId, event: &NewEvent, targets: Vec<Target>) -> JobResult<()> {
    tx.tell(News::Deliveries);
    for targets in targets.chunks(TARGETS_MAX) {
        lock_keys(tx.conn(), targets).await?;
        insert_rows(tx.conn(), app, event, targets).await?;
    }
    Ok(())
}

/// Where several targets have keys, their locks are taken in one order, so that no two transactions wait for each other.
async fn lock_keys(conn: &mut PgConnection, targets: &[Target]) -> JobResult<()> {
    let keyed: Vec<&Target> = targets.iter().filter(|target| target.ordering_key.is_some()).collect();
    if keyed.len() > 1 {
        let lanes: Vec<i64> = keyed.iter().map(|target| target.lane).collect();
        let keys: Vec<Option<Cow<'_, str>>> = keyed.iter().map(|target| stored_key(target)).collect();
        sqlx::query("SELECT lock_ordering_keys($1, $2)").bind(lanes).bind(keys).execute(conn).await?;
    }
    Ok(())
}

async fn insert_rows(conn: &mut PgConnection, app: AppId, event: &NewEvent, targets: &[Target]) -> JobResult<()> {
    let column = |value: fn(&Target) -> Option<i64>| targets.iter().map(value).collect::<Vec<Option<i64>>>();
    sqlx::query(
        "WITH first AS (SELECT nextval('delivery_ids') AS id),
              kept AS (
                  INSERT INTO events (id, event_id, app_id, kind, at, root_id, depth, chain, deliveries, body)
                  SELECT id, $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM first
              )
         INSERT INTO deliveries (id, app_id, lane, event, trigger_id, script_id, version, due_at, ordering_key,
                                 expires_at, timer_id, request_id)
         SELECT first.id + t.number - 1, $2, t.lane, first.id, t.trigger_id, t.script_id, t.version, $10, t.ordering_key,
                t.expires_at, t.timer_id, t.request_id
         FROM first, unnest($11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::bigint[],
                            $17::bytea[], $18::bytea[])
              WITH ORDINALITY AS t (lane, trigger_id, script_id, version, ordering_key, expires_at, timer_id,
                                    request_id, number)",
    )
    .bind(event.id.0.into_bytes())
    .bind(app.0)
    .bind(event.kind.as_str())
    .bind(event.at)
    .bind(event.root_id.0.into_bytes())
    .bind(i64::from(event.depth))
    .bind(serde_json::to_string(&*event.chain)?)
    .bind(i64::try_from(targets.len()).expect("a chunk is small"))
    .bind(&event.body)
    .bind(event.due_at)
    .bind(column(|target| Some(target.lane)))
    .bind(column(|target| target.trigger.map(|trigger| trigger.0)))
    .bind(column(|target| Some(target.script.0)))
    .bind(column(|target| target.version))
    .bind(targets.iter().map(stored_key).collect::<Vec<_>>())
    .bind(column(|target| target.expires_at))
    .bind(targets.iter().map(|target| target.timer.map(|id| id.0.into_bytes().to_vec())).collect::<Vec<_>>())
    .bind(targets.iter().map(|target| target.request.map(|id| id.0.into_bytes().to_vec())).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The key as it is kept: a text of Postgres has no NUL, so of one that has, its hash.
fn stored_key(target: &Target) -> Option<Cow<'_, str>> {
    target.ordering_key.as_deref().map(storable)
}

/// A text that Postgres can keep, and that is another one for another text.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { format!("sha256:{}", ContentHash::of(text.as_bytes())).into() } else { text.into() }
}

/// Removes the timers that wait for a script that goes; answers how many. Requests stay until they would be claimed, which
/// answers them.
pub(super) async fn forget_script(conn: &mut PgConnection, app: AppId, script: ScriptId) -> JobResult<u64> {
    let gone =
        sqlx::query("DELETE FROM deliveries WHERE app_id = $1 AND lane = $2 AND script_id = $3 AND request_id IS NULL")
            .bind(app.0)
            .bind(own_lane(app))
            .bind(script.0)
            .execute(conn)
            .await?;
    Ok(gone.rows_affected())
}
