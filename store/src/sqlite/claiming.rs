//! Which deliveries are next: fair from app to app and from lane to lane, in a lane what is due first.
//!
//! A look costs one seek for each lane that has anything, and for each lane that is taken from one short range of the
//! index: what waits behind that is not looked at, however much it is.

use super::claims::{Claim, View};
use super::delivery_ends::event_from_row;
use super::error::JobResult;
use crate::emission::own_lane;
use crate::letters::GiveUp;
use crate::turns::at_once;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::Delivery;
use picloud_model::ids::{AppId, AsyncRequestId, DeliveryId, TriggerId};
use picloud_model::placement::Placement;
use picloud_model::trigger::{Retry, TriggerSpec};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::{HashMap, VecDeque};

/// Deliveries of one look that are given up, or that nothing is left of; with more, there is another look at once.
const GIVEN_UP_MAX: usize = 64;

/// The head of the app's next lane: what is due first of what is free. An app at a time, since a comparison of both
/// columns at once would walk through all of a lane.
const NEXT_LANE: &str = "SELECT app_id, lane, blocked, due_at FROM deliveries
     WHERE app_id = ?1 AND lane > ?2 ORDER BY lane, blocked, due_at, id LIMIT 1";
/// The head of the next app's first lane.
const NEXT_APP: &str = "SELECT app_id, lane, blocked, due_at FROM deliveries
     WHERE app_id > ?1 ORDER BY app_id, lane, blocked, due_at, id LIMIT 1";
/// The beginning of a lane.
const LANE: &str = "SELECT id, due_at, attempts, expires_at FROM deliveries
     WHERE app_id = ?1 AND lane = ?2 AND blocked = 0 ORDER BY due_at, id LIMIT ?3";

/// Where the last look ended: the next one begins behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    app: i64,
    lane_of_app: HashMap<i64, i64>,
}

/// What a look found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) deliveries: Vec<(DeliveryId, Claim, Delivery)>,
    pub(super) given_up: Vec<(DeliveryId, GiveUp)>,
    pub(super) next_due: Option<UnixMs>,
}

/// A lane with something that may be due.
struct Lane {
    id: i64,
    head_due: UnixMs,
    opened: Option<Opened>,
}

/// The beginning of a lane, as far as it may be claimed.
struct Opened {
    /// What is due, first first.
    due: VecDeque<Row>,
    /// How many more may run at once.
    free: u32,
    limited: bool,
    retry: Retry,
    /// Where the lane's run.
    placement: Placement,
    name: Option<String>,
    /// When the first is due of what is not yet.
    next_due: Option<UnixMs>,
}

struct Row {
    id: DeliveryId,
    attempts: u32,
    expires_at: Option<UnixMs>,
}

/// One look.
struct Look<'a> {
    conn: &'a Connection,
    view: &'a View,
    now: UnixMs,
    limit: usize,
    found: Found,
}

/// Chooses up to `limit` that are due and not in `view`, and moves the turn on.
pub(super) fn choose(conn: &Connection, view: &View, turn: &mut Turn, limit: usize, now: UnixMs) -> JobResult<Found> {
    let mut look = Look { conn, view, now, limit, found: Found { next_due: view.postponed_to, ..Found::default() } };
    let mut apps = look.apps_with_due(turn)?;
    let full = |look: &Look<'_>| look.found.deliveries.len() >= limit || look.found.given_up.len() >= GIVEN_UP_MAX;
    while !full(&look)
        && let Some((app, mut lanes)) = apps.pop_front()
    {
        if let Some(lane) = look.take_one(AppId(app), &mut lanes)? {
            (turn.app, _) = (app, turn.lane_of_app.insert(app, lane));
        }
        if !lanes.is_empty() {
            apps.push_back((app, lanes));
        }
    }
    for lane in apps.iter().flat_map(|(_app, lanes)| lanes) {
        look.due_at(lane.head_due);
    }
    if !look.found.given_up.is_empty() {
        look.due_at(now);
    }
    Ok(look.found)
}

impl Look<'_> {
    fn due_at(&mut self, at: UnixMs) {
        self.found.next_due = Some(self.found.next_due.map_or(at, |first| first.min(at)));
    }

    /// The apps with lanes whose head is due, beginning behind the last turn's.
    fn apps_with_due(&mut self, turn: &mut Turn) -> JobResult<VecDeque<(i64, VecDeque<Lane>)>> {
        let mut next_lane = self.conn.prepare_cached(NEXT_LANE)?;
        let mut next_app = self.conn.prepare_cached(NEXT_APP)?;
        let mut apps: Vec<(i64, VecDeque<Lane>)> = Vec::new();
        let mut at = (i64::MIN, i64::MIN);
        loop {
            let mut next = next_lane.query_row([at.0, at.1], head).optional()?;
            if next.is_none() {
                next = next_app.query_row([at.0], head).optional()?;
            }
            let Some((app, lane, blocked, due_at)) = next else { break };
            at = (app, lane);
            if blocked {
                continue;
            }
            if due_at > self.now {
                self.next_of_future_lane(app, lane, due_at)?;
                continue;
            }
            let lane = Lane { id: lane, head_due: due_at, opened: None };
            match apps.last_mut() {
                Some((last, lanes)) if *last == app => lanes.push_back(lane),
                _ => apps.push((app, VecDeque::from([lane]))),
            }
        }
        turn.lane_of_app.retain(|app, _lane| apps.binary_search_by_key(app, |(app, _lanes)| *app).is_ok());
        for (app, lanes) in &mut apps {
            let last = turn.lane_of_app.get(app).copied().unwrap_or(i64::MIN);
            let begin = lanes.iter().position(|lane| lane.id > last).unwrap_or(0);
            lanes.rotate_left(begin);
        }
        let begin = apps.iter().position(|(app, _lanes)| *app > turn.app).unwrap_or(0);
        apps.rotate_left(begin);
        Ok(apps.into())
    }

    /// Nothing in the lane is due: it tells when, unless it is paused.
    fn next_of_future_lane(&mut self, app: i64, lane: i64, due_at: UnixMs) -> JobResult<()> {
        let mut paused = self.conn.prepare_cached("SELECT paused_at IS NOT NULL FROM triggers WHERE id = ?1")?;
        let of_trigger = lane != own_lane(AppId(app));
        if !(of_trigger && paused.query_row([lane], |row| row.get(0)).optional()?.unwrap_or(false)) {
            self.due_at(due_at);
        }
        Ok(())
    }

    /// Takes one from the first lane that has one; lanes without any are dropped, the taken one goes to the end.
    fn take_one(&mut self, app: AppId, lanes: &mut VecDeque<Lane>) -> JobResult<Option<i64>> {
        while let Some(mut lane) = lanes.pop_front() {
            let mut opened = match lane.opened.take() {
                Some(opened) => opened,
                None => match self.open(app, lane.id)? {
                    Some(opened) => opened,
                    None => continue,
                },
            };
            let mut taken = false;
            while !taken
                && opened.free > 0
                && self.found.given_up.len() < GIVEN_UP_MAX
                && let Some(row) = opened.due.pop_front()
            {
                taken = self.take(app, lane.id, &opened, &row)?;
            }
            if taken {
                opened.free -= 1;
            }
            let more = opened.free > 0 && !opened.due.is_empty();
            if opened.free > 0
                && let (false, Some(next_due)) = (more, opened.next_due)
            {
                self.due_at(next_due);
            }
            let id = lane.id;
            if more {
                lanes.push_back(Lane { opened: Some(opened), ..lane });
            }
            if taken {
                return Ok(Some(id));
            }
            if more {
                // As many as one look gives up: the rest is for the next.
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// The beginning of the lane; `None` where nothing of it may run now.
    fn open(&mut self, app: AppId, lane: i64) -> JobResult<Option<Opened>> {
        let mut opened = Opened {
            due: VecDeque::new(),
            free: u32::MAX,
            limited: false,
            retry: Retry::default(),
            placement: Placement::default(),
            name: None,
            next_due: None,
        };
        if lane != own_lane(app) {
            let mut select =
                self.conn.prepare_cached("SELECT spec, paused_at IS NOT NULL FROM triggers WHERE id = ?1")?;
            let trigger = select.query_row([lane], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)));
            match trigger.optional()? {
                Some((_spec, true)) => return Ok(None),
                Some((spec, false)) => {
                    let spec: TriggerSpec = serde_json::from_str(&spec)?;
                    let running = self.view.running_of_lane.get(&lane).copied().unwrap_or(0);
                    if let Some(most) = at_once(&spec) {
                        (opened.limited, opened.free) = (true, most.saturating_sub(running));
                    }
                    (opened.retry, opened.placement) = (spec.retry(), spec.placement());
                    opened.name = Some(spec.name);
                }
                None => opened.free = 0,
            }
        }
        let gone = opened.name.is_none() && lane != own_lane(app);
        if opened.free == 0 && !gone {
            return Ok(None);
        }
        let held = self.view.held_of_lane.get(&lane).copied().unwrap_or(0) as usize;
        let rows_max = i64::try_from(self.limit + held + 1).unwrap_or(i64::MAX);
        let mut select = self.conn.prepare_cached(LANE)?;
        let mut rows = select.query(params![app.0, lane, rows_max])?;
        while let Some(row) = rows.next()? {
            let (id, due_at) = (DeliveryId(row.get(0)?), row.get(1)?);
            if self.view.held.contains(&id) {
                continue;
            }
            if gone {
                self.found.given_up.push((id, GiveUp::NothingLeft));
            } else if due_at > self.now {
                opened.next_due = Some(due_at);
                break;
            } else {
                opened.due.push_back(Row { id, attempts: row.get(2)?, expires_at: row.get(3)? });
            }
        }
        Ok((!gone).then_some(opened))
    }

    /// Takes it, or gives it up; answers whether it is taken.
    fn take(&mut self, app: AppId, lane: i64, opened: &Opened, row: &Row) -> JobResult<bool> {
        let give_up = match row.expires_at {
            Some(since) if since <= self.now => Some(GiveUp::TooOld { since }),
            // Whoever counts attempts that end gives up before that.
            _ if row.attempts >= opened.retry.max_attempts.max(1) => {
                Some(GiveUp::NeverEnded { attempts: row.attempts })
            }
            _ => None,
        };
        if let Some(give_up) = give_up {
            self.found.given_up.push((row.id, give_up));
            return Ok(false);
        }
        let Some((delivery, claim)) = load(self.conn, app, lane, opened, row)? else {
            self.found.given_up.push((row.id, GiveUp::NothingLeft));
            return Ok(false);
        };
        self.found.deliveries.push((row.id, claim, delivery));
        Ok(true)
    }
}

/// A lane's head: its app, itself, whether it is blocked, when it is due.
fn head(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, i64, bool, UnixMs)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn load(conn: &Connection, app: AppId, lane: i64, opened: &Opened, row: &Row) -> JobResult<Option<(Delivery, Claim)>> {
    // A trigger may have been given another script meanwhile; a person's version is of the script it was chosen for.
    let mut select = conn.prepare_cached(
        "SELECT d.trigger_id, t.name, s.name, d.version, d.request_id, d.ordering_key IS NOT NULL,
                e.event_id, e.kind, e.at, e.root_id, e.depth, e.chain, e.body, t.spec
         FROM deliveries d JOIN events e ON e.id = d.event LEFT JOIN triggers t ON t.id = d.trigger_id
         JOIN scripts s ON s.id = CASE WHEN d.version IS NULL THEN coalesce(t.script_id, d.script_id)
                                  ELSE d.script_id END
         WHERE d.id = ?1",
    )?;
    let loaded = select.query_row([row.id.0], |columns| {
        let trigger: Option<i64> = columns.get(0)?;
        let name: Option<String> = columns.get(1)?;
        let attempt = row.attempts + 1;
        let keyed: bool = columns.get(5)?;
        let request: Option<[u8; 16]> = columns.get(4)?;
        let claim = Claim {
            app,
            lane,
            trigger: trigger.map(TriggerId),
            attempt,
            noted: false,
            request: request.map(|id| AsyncRequestId(uuid::Uuid::from_bytes(id))),
            holds_up: opened.limited || keyed,
            postponed_to: None,
        };
        let (retry, placement) = how_of(opened, columns.get_ref(13)?.as_str_or_null()?);
        let delivery = Delivery {
            id: row.id,
            app,
            trigger: claim.trigger.zip(name),
            script: columns.get(2)?,
            version: columns.get(3)?,
            event: event_from_row(columns, 6)?,
            attempt,
            retry,
            expires_at: row.expires_at,
            placement,
        };
        Ok((delivery, claim))
    });
    Ok(loaded.optional()?)
}

/// How and where it is run, as the lane says; in the app's own lane, as the trigger says which a person fired.
fn how_of(opened: &Opened, spec: Option<&str>) -> (Retry, Placement) {
    let fired = || spec.and_then(|spec| serde_json::from_str::<TriggerSpec>(spec).ok());
    match if opened.name.is_some() { None } else { fired() } {
        Some(spec) => (spec.retry(), spec.placement()),
        None => (opened.retry, opened.placement.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    /// Deliveries of one lane, and lanes of another app, in the second test.
    const MANY: i64 = 100_000;
    const LANES: i64 = 1_000;

    fn database() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        for sql in [
            include_str!("../../../migrations/sqlite/V001__start.sql"),
            include_str!("../../../migrations/sqlite/V002__control.sql"),
            include_str!("../../../migrations/sqlite/V003__events.sql"),
        ] {
            conn.execute_batch(sql).unwrap();
        }
        conn.set_prepared_statement_cache_capacity(64);
        conn
    }

    /// One app whose timers are all due, and one with a trigger for each delivery.
    fn full() -> Connection {
        let conn = database();
        let sql = format!(
            "INSERT INTO apps (id, name, hosts, env, limits, revision, created_at, updated_at)
             VALUES (1, 'loud', '[]', '{{}}', '{{}}', 1, 0, 0), (2, 'many', '[]', '{{}}', '{{}}', 1, 0, 0);
             INSERT INTO sources (hash, text) VALUES (zeroblob(32), '1');
             INSERT INTO scripts (id, app_id, name, kind, live_version, live_hash)
             VALUES (1, 1, 'hello', 'endpoint', 1, zeroblob(32)), (2, 2, 'hello', 'endpoint', 1, zeroblob(32));
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {LANES})
             INSERT INTO triggers (id, app_id, position, name, kind, script_id, spec, version, created_at, updated_at)
             SELECT n, 2, n, 't' || n, 'kv', 2,
                    json_object('name', 't' || n, 'kind', 'kv', 'script', 'hello', 'collection', 'c'), 1, 0, 0 FROM n;
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {MANY} + {LANES})
             INSERT INTO deliveries (id, app_id, lane, event, trigger_id, script_id, due_at)
             SELECT n, iif(n > {MANY}, 2, 1), iif(n > {MANY}, n - {MANY}, -1), n, iif(n > {MANY}, n - {MANY}, NULL),
                    iif(n > {MANY}, 2, 1), 0 FROM n;
             INSERT INTO events (id, event_id, app_id, kind, at, root_id, depth, chain, deliveries, body)
             SELECT id, zeroblob(16), app_id, 'kv', 0, zeroblob(16), 1, '[]', 1, CAST('{{}}' AS BLOB)
             FROM deliveries;"
        );
        conn.execute_batch(&sql).unwrap();
        conn
    }

    /// Steps of SQLite's machine in the statement so far, and rows it read without an index.
    fn work(conn: &Connection, sql: &str) -> (i32, i32) {
        let statement = conn.prepare_cached(sql).unwrap();
        (statement.get_status(StatementStatus::VmStep), statement.get_status(StatementStatus::FullscanStep))
    }

    #[test]
    fn a_look_at_a_hundred_thousand_that_wait_in_a_thousand_lanes_is_short_and_fair() {
        let conn = full();
        let (mut turn, mut view, mut seen) = (Turn::default(), View::default(), Vec::new());
        for _look in 0..4 {
            let found = choose(&conn, &view, &mut turn, 32, 1).unwrap();
            assert_eq!((found.deliveries.len(), found.next_due), (32, Some(0)));
            assert_eq!(found.deliveries.iter().filter(|(_id, claim, _one)| claim.lane == -1).count(), 16, "half each");
            for (id, claim, _delivery) in found.deliveries {
                assert!(view.held.insert(id), "not twice");
                *view.held_of_lane.entry(claim.lane).or_default() += 1;
                seen.push(claim.lane);
            }
        }
        seen.retain(|lane| *lane > 0);
        assert_eq!(seen, (1..=64).collect::<Vec<_>>(), "lane after lane");
        // Four looks: a seek a lane each, and short ranges. Reading all that wait is 100 000 rows and more.
        for (sql, steps_max) in [(NEXT_LANE, 200_000), (NEXT_APP, 1_000), (LANE, 20_000)] {
            let (steps, full) = work(&conn, sql);
            assert!((1..steps_max).contains(&steps) && full == 0, "{steps} steps, {full} without an index: {sql}");
        }
    }

    #[test]
    fn every_look_is_answered_by_the_index() {
        let conn = database();
        for sql in [NEXT_LANE, NEXT_APP, LANE] {
            let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let bound = vec![0_i64; explain.parameter_count()];
            let plan = explain.query_map(rusqlite::params_from_iter(bound), |row| row.get::<_, String>(3)).unwrap();
            let plan: Vec<String> = plan.collect::<rusqlite::Result<_>>().unwrap();
            assert_eq!(plan.len(), 1, "no sorting: {plan:?}");
            assert!(plan[0].starts_with("SEARCH deliveries USING") && plan[0].contains("deliveries_due"), "{plan:?}");
        }
    }

    #[test]
    fn ending_a_delivery_looks_at_its_own_rows_alone() {
        let conn = full();
        conn.execute("UPDATE deliveries SET ordering_key = 'k', blocked = id > 1 WHERE app_id = 1", []).unwrap();
        let mut delete = conn.prepare("DELETE FROM deliveries WHERE id = 1").unwrap();
        delete.execute([]).unwrap();
        let steps = delete.get_status(StatementStatus::VmStep);
        assert!((1..1_000).contains(&steps), "{steps} steps");
        let left = conn.query_row(
            "SELECT (SELECT count(*) FROM events WHERE id = 1), (SELECT blocked FROM deliveries WHERE id = 2),
                    (SELECT sum(blocked) FROM deliveries)",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
        );
        assert_eq!(left.unwrap(), (0, 0, MANY - 2), "its event is gone, and the next one with its key is free");
    }
}
