//! Which deliveries are next: fair from app to app and from lane to lane, in a lane what is due first.
//!
//! A look is one transaction under one lock for all appliances, so that none of them claims what another one does, nor
//! more of a trigger than may run at once. It costs a few statements, of which the first seeks once for each lane.

use super::PgStore;
use super::claims::{Claim, LEASE_MS, Turn};
use super::columns::{count_at, event_at, some_uuid_at};
use super::error::JobResult;
use super::transaction::Tx;
use crate::emission::own_lane;
use crate::letters::GiveUp;
use crate::turns::{Lane, Row, at_once, in_turn, pick, rows_of_lane};
use picloud_model::clock::UnixMs;
use picloud_model::delivery::Delivery;
use picloud_model::ids::{AppId, DeliveryId, TriggerId};
use picloud_model::trigger::{Retry, TriggerSpec};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::collections::HashMap;

/// One look at a time. What is planned while the queue is empty would read all of it when it is not any more, so that
/// indexes are used in any case.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1346584324, 0), set_config('enable_seqscan', 'off', true)";

/// The head of each lane that has any which is neither blocked nor claimed, with its trigger and how many run.
const LANES: &str = "WITH RECURSIVE heads AS (
         (SELECT app_id, lane, due_at FROM deliveries WHERE blocked = 0 AND claimed_by IS NULL
          ORDER BY app_id, lane, due_at, id LIMIT 1)
         UNION ALL
         SELECT n.app_id, n.lane, n.due_at FROM heads h CROSS JOIN LATERAL (
             SELECT app_id, lane, due_at FROM deliveries
             WHERE blocked = 0 AND claimed_by IS NULL AND (app_id, lane) > (h.app_id, h.lane)
             ORDER BY app_id, lane, due_at, id LIMIT 1
         ) n
     )
     SELECT h.app_id, h.lane, h.due_at, t.id IS NOT NULL, t.paused_at IS NOT NULL,
            CASE WHEN h.due_at <= $1 AND t.paused_at IS NULL THEN t.spec END, coalesce(r.running, 0)
     FROM heads h LEFT JOIN triggers t ON t.id = h.lane
     LEFT JOIN (SELECT lane, count(*) AS running FROM deliveries WHERE claimed_by IS NOT NULL GROUP BY lane) r
     ON r.lane = h.lane ORDER BY h.app_id, h.lane";

/// The beginning of each of these lanes.
const BEGINNINGS: &str = "SELECT d.lane, d.app_id, d.id, d.due_at, d.attempts, d.expires_at
     FROM unnest($1::bigint[], $2::bigint[]) AS o (app_id, lane) CROSS JOIN LATERAL (
         SELECT app_id, lane, id, due_at, attempts, expires_at FROM deliveries
         WHERE app_id = o.app_id AND lane = o.lane AND blocked = 0 AND claimed_by IS NULL
         ORDER BY due_at, id LIMIT $3
     ) d ORDER BY d.lane, d.app_id, d.due_at, d.id";

/// Claims these, but for those that somebody is just removing, and begins or goes on with the lease.
const CLAIM: &str = "WITH free AS (
         -- Not `IS NULL`: the index of what is due would be read instead of that of the ids.
         SELECT id FROM deliveries WHERE id = ANY($1) AND blocked = 0 AND num_nulls(claimed_by) = 1
         FOR UPDATE SKIP LOCKED
     ), lease AS (
         INSERT INTO claim_holders (id, alive_until) VALUES ($2, clock_ms() + $3)
         ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
     ), c AS (
         UPDATE deliveries SET claimed_by = $2 FROM free WHERE deliveries.id = free.id RETURNING deliveries.*
     )
     SELECT c.id, c.app_id, c.lane, c.trigger_id, t.name, s.name, c.version, c.ordering_key IS NOT NULL, c.attempts,
            c.expires_at, t.spec, e.event_id, e.kind, e.at, e.root_id, e.depth, e.chain, e.body
     FROM c LEFT JOIN events e ON e.id = c.event LEFT JOIN triggers t ON t.id = c.trigger_id
     -- A trigger may have been given another script meanwhile; a person's version is of the script it was chosen for.
     LEFT JOIN scripts s ON s.id = CASE WHEN c.version IS NULL THEN coalesce(t.script_id, c.script_id)
                                   ELSE c.script_id END";

/// What a look found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) deliveries: Vec<(DeliveryId, Claim, Delivery)>,
    pub(super) given_up: Vec<(DeliveryId, GiveUp)>,
    pub(super) next_due: Option<UnixMs>,
    pub(super) turn: Turn,
}

impl Found {
    fn due_at(&mut self, at: UnixMs) {
        self.next_due = Some(self.next_due.map_or(at, |first| first.min(at)));
    }
}

/// Claims up to `limit` that are due.
pub(super) async fn claim(tx: &mut Tx<'_>, turn: &Turn, limit: usize, now: UnixMs) -> JobResult<Found> {
    let store = tx.store;
    sqlx::query(LOCK).execute(tx.conn()).await?;
    let mut found = Found { turn: turn.clone(), ..Found::default() };
    // Whoever waits for the end of another one's lease looks again then.
    if let Some(left) = end_leases(tx, store).await? {
        found.due_at(now.saturating_add(left));
    }
    let (mut lanes, specs) = lanes(tx, &mut found, now).await?;
    in_turn(&mut lanes, turn.app, &turn.lane_of_app);
    found.turn.lane_of_app.retain(|app, _lane| lanes.iter().any(|lane| lane.app == *app));
    let opened = lanes.len().min(limit.max(1));
    for lane in &lanes[opened..] {
        found.due_at(lane.head_due);
    }
    lanes.truncate(opened);
    beginnings(tx, &mut lanes, limit).await?;
    let picked = pick(lanes, limit, now);
    if let Some(at) = picked.next_due {
        found.due_at(at);
    }
    found.given_up = picked.given_up;
    if !found.given_up.is_empty() {
        found.due_at(now);
    }
    found.turn.app = picked.last_app.unwrap_or(turn.app);
    found.turn.lane_of_app.extend(picked.last_lanes);
    take(tx, &mut found, &picked.rows, &specs, now).await?;
    Ok(found)
}

/// Ends the leases that are over, with their claims; answers how long the next one of another appliance lasts, in ms.
async fn end_leases(tx: &mut Tx<'_>, store: &PgStore) -> JobResult<Option<i64>> {
    let me = store.instance.into_bytes();
    if let Some(known) = store.claims.doubted() {
        let known: Vec<i64> = known.iter().map(|id| id.0).collect();
        sqlx::query("UPDATE deliveries SET claimed_by = NULL WHERE claimed_by = $1 AND NOT id = ANY($2)")
            .bind(me)
            .bind(known)
            .execute(tx.conn())
            .await?;
    }
    Ok(sqlx::query_scalar(
        "WITH over AS (DELETE FROM claim_holders WHERE id <> $1 AND alive_until <= clock_ms() RETURNING id),
              freed AS (UPDATE deliveries SET claimed_by = NULL FROM over WHERE claimed_by = over.id)
         SELECT min(alive_until) - clock_ms() FROM claim_holders WHERE id <> $1 AND alive_until > clock_ms()",
    )
    .bind(me)
    .fetch_one(tx.conn())
    .await?)
}

/// The lanes from which something may be claimed, and what their triggers say.
async fn lanes(tx: &mut Tx<'_>, found: &mut Found, now: UnixMs) -> JobResult<(Vec<Lane>, HashMap<i64, TriggerSpec>)> {
    let (mut lanes, mut specs) = (Vec::new(), HashMap::new());
    for row in sqlx::query(LANES).bind(now).fetch_all(tx.conn()).await? {
        let (app, lane, head_due): (i64, i64, UnixMs) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (there, paused): (bool, bool) = (row.try_get(3)?, row.try_get(4)?);
        if paused {
            continue;
        }
        if head_due > now {
            found.due_at(head_due);
            continue;
        }
        let own = lane == own_lane(AppId(app));
        let mut opened = Lane { app, id: lane, head_due, gone: !own && !there, ..Lane::default() };
        if let Some(spec) = row.try_get::<Option<&str>, _>(5)? {
            let spec: TriggerSpec = serde_json::from_str(spec)?;
            opened.attempts_max = spec.retry().max_attempts;
            opened.free = at_once(&spec).map_or(u32::MAX, |most| most.saturating_sub(running(&row)));
            specs.insert(lane, spec);
        }
        if opened.free > 0 {
            lanes.push(opened);
        }
    }
    Ok((lanes, specs))
}

fn running(row: &PgRow) -> u32 {
    count_at(row, 6).unwrap_or(u32::MAX)
}

/// Reads as much of each lane as it may have to give.
async fn beginnings(tx: &mut Tx<'_>, lanes: &mut [Lane], limit: usize) -> JobResult<()> {
    if lanes.is_empty() {
        return Ok(());
    }
    let rows_max = rows_of_lane(limit, lanes.len());
    let rows = sqlx::query(BEGINNINGS)
        .bind(lanes.iter().map(|lane| lane.app).collect::<Vec<_>>())
        .bind(lanes.iter().map(|lane| lane.id).collect::<Vec<_>>())
        .bind(i64::try_from(rows_max).unwrap_or(i64::MAX))
        .fetch_all(tx.conn())
        .await?;
    let places: HashMap<(i64, i64), usize> =
        lanes.iter().enumerate().map(|(place, lane)| ((lane.id, lane.app), place)).collect();
    for row in rows {
        let Some(&place) = places.get(&(row.try_get(0)?, row.try_get(1)?)) else { continue };
        lanes[place].rows.push_back(Row {
            id: DeliveryId(row.try_get(2)?),
            due_at: row.try_get(3)?,
            attempts: count_at(&row, 4)?,
            expires_at: row.try_get(5)?,
        });
    }
    for lane in lanes {
        lane.more = lane.rows.len() >= rows_max;
    }
    Ok(())
}

/// Claims what was picked, in that order.
async fn take(
    tx: &mut Tx<'_>,
    found: &mut Found,
    picked: &[DeliveryId],
    specs: &HashMap<i64, TriggerSpec>,
    now: UnixMs,
) -> JobResult<()> {
    if picked.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = picked.iter().map(|id| id.0).collect();
    let me = tx.store.instance.into_bytes();
    let rows = sqlx::query(CLAIM).bind(ids).bind(me).bind(LEASE_MS).fetch_all(tx.conn()).await?;
    let mut taken = HashMap::new();
    for row in &rows {
        let id = DeliveryId(row.try_get(0)?);
        match loaded(row, id, specs)? {
            Some((claim, delivery)) => drop(taken.insert(id, (claim, delivery))),
            None => {
                found.given_up.push((id, GiveUp::NothingLeft));
                found.due_at(now);
            }
        }
    }
    if rows.len() < picked.len() {
        found.due_at(now);
    }
    for id in picked {
        if let Some((claim, delivery)) = taken.remove(id) {
            found.deliveries.push((*id, claim, delivery));
        }
    }
    Ok(())
}

/// The delivery, where there is something to run.
fn loaded(row: &PgRow, id: DeliveryId, specs: &HashMap<i64, TriggerSpec>) -> JobResult<Option<(Claim, Delivery)>> {
    let (app, lane): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    let (Some(script), Some(_event)) = (row.try_get::<Option<String>, _>(5)?, some_uuid_at(row, 11)?) else {
        return Ok(None);
    };
    let trigger = row.try_get::<Option<i64>, _>(3)?.map(TriggerId);
    let keyed: bool = row.try_get(7)?;
    let attempt = count_at(row, 8)? + 1;
    let limited = specs.get(&lane).is_some_and(|spec| at_once(spec).is_some());
    let claim = Claim { app: AppId(app), trigger, attempt, holds_up: limited || keyed };
    // In the app's own lane, how and where it is run is for the trigger to say which a person fired.
    let fired: Option<TriggerSpec> = match row.try_get::<Option<&str>, _>(10)? {
        Some(spec) if !specs.contains_key(&lane) => serde_json::from_str(spec).ok(),
        _ => None,
    };
    let spec = specs.get(&lane).or(fired.as_ref());
    let delivery = Delivery {
        id,
        app: AppId(app),
        trigger: trigger.zip(row.try_get::<Option<String>, _>(4)?),
        script,
        version: row.try_get(6)?,
        event: event_at(row, 11)?,
        attempt,
        retry: spec.map_or_else(Retry::default, TriggerSpec::retry),
        expires_at: row.try_get(9)?,
        placement: spec.map(TriggerSpec::placement).unwrap_or_default(),
    };
    Ok(Some((claim, delivery)))
}
