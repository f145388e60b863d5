//! What a person should look at, in SQLite.

use super::SqliteStore;
use super::dead_letter_rows::json_at;
use super::error::JobResult;
use crate::attention::IN_A_ROW;
use crate::{Attention, LettersOf, PausedTrigger, Result};
use async_trait::async_trait;
use picloud_model::ids::AppId;
use picloud_model::trigger::Paused;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashMap;

#[async_trait]
impl Attention for SqliteStore {
    async fn letters_by_trigger(&self, triggers_max: u32) -> Result<Vec<LettersOf>> {
        self.read(move |conn| {
            let mut newest = newest_letters(conn)?;
            newest.sort_unstable_by_key(|group| std::cmp::Reverse(group.newest));
            newest.truncate(usize::try_from(triggers_max).unwrap_or(usize::MAX));
            let mut select = conn.prepare_cached("SELECT error, dead_at FROM dead_letters WHERE id = ?1")?;
            let mut letters = Vec::new();
            for Group { app, trigger, count, newest } in newest {
                let read = |row: &rusqlite::Row<'_>| Ok((json_at(row, 0)?, row.get(1)?));
                let (error, last_at) = select.query_row([newest], read)?;
                letters.push(LettersOf { app, trigger, letters: count, error, last_at });
            }
            Ok(letters)
        })
        .await
    }

    async fn triggers_that_paused(&self, triggers_max: u32) -> Result<Vec<PausedTrigger>> {
        self.read(move |conn| {
            let mut select = conn.prepare_cached(
                "SELECT app_id, name, paused_at, paused_by FROM triggers
                 WHERE paused_at IS NOT NULL AND paused_by LIKE '%' || ?1 ORDER BY paused_at DESC, id DESC LIMIT ?2",
            )?;
            let rows = select.query_map(params![IN_A_ROW, triggers_max], |row| {
                let paused = Paused { since: row.get(2)?, reason: row.get(3)? };
                Ok(PausedTrigger { app: AppId(row.get(0)?), trigger: row.get(1)?, paused })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// The letters of a trigger, and the number of the newest.
struct Group {
    app: AppId,
    trigger: Option<String>,
    count: i64,
    newest: i64,
}

/// Counted on indexes alone: a letter may be large. Those of no trigger stand in no index of their own; they are what is
/// left of an app's.
fn newest_letters(conn: &Connection) -> JobResult<Vec<Group>> {
    let mut select = conn.prepare_cached(
        "SELECT app_id, trigger, count(*), max(id) FROM dead_letters INDEXED BY dead_letters_trigger
         WHERE trigger IS NOT NULL GROUP BY app_id, trigger",
    )?;
    let groups = select.query_map([], |row| {
        Ok(Group { app: AppId(row.get(0)?), trigger: row.get(1)?, count: row.get(2)?, newest: row.get(3)? })
    })?;
    let mut groups: Vec<Group> = groups.collect::<rusqlite::Result<_>>()?;
    let mut of_triggers: HashMap<AppId, i64> = HashMap::new();
    for group in &groups {
        *of_triggers.entry(group.app).or_default() += group.count;
    }
    let mut select = conn.prepare_cached("SELECT app_id, count(*) FROM dead_letters GROUP BY app_id")?;
    let apps = select.query_map([], |row| Ok((AppId(row.get(0)?), row.get(1)?)))?;
    let apps: Vec<(AppId, i64)> = apps.collect::<rusqlite::Result<_>>()?;
    let mut newest = conn
        .prepare_cached("SELECT id FROM dead_letters WHERE app_id = ?1 AND trigger IS NULL ORDER BY id DESC LIMIT 1")?;
    for (app, all) in apps {
        let count = all - of_triggers.get(&app).copied().unwrap_or(0);
        if count > 0
            && let Some(newest) = newest.query_row([app.0], |row| row.get(0)).optional()?
        {
            groups.push(Group { app, trigger: None, count, newest });
        }
    }
    Ok(groups)
}
