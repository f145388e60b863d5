//! Dead letters that go for good: discarded by somebody, too old, or too many.

use super::DataTx;
use super::error::JobResult;
use super::letter_retries::{note_letter, read_letter};
use crate::letters::shown;
use picloud_model::audit::Act;
use picloud_model::dead_letter::LettersKept;
use picloud_model::ids::{AppId, DeadLetterId};
use rusqlite::{Connection, params};
use serde_json::json;
use std::collections::BTreeMap;

/// Removes one; answers whether it was there.
pub(super) fn discard(tx: &DataTx<'_>, app: AppId, id: DeadLetterId, act: &Act) -> JobResult<bool> {
    let Some(letter) = read_letter(tx.conn, app, id)? else { return Ok(false) };
    tx.conn.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?.execute([id.0])?;
    note_letter(tx, app, act, "dead_letter.discard", &id.to_string(), Some(shown(&letter)), None)?;
    Ok(true)
}

/// Removes up to `letters_max` that are not kept, each app's number in an entry of the audit log.
pub(super) fn expire(tx: &DataTx<'_>, kept: &LettersKept, letters_max: u32, act: &Act) -> JobResult<u64> {
    let mut gone: BTreeMap<i64, i64> = BTreeMap::new();
    let mut left = i64::from(letters_max);
    let mut delete = tx.conn.prepare_cached(
        "DELETE FROM dead_letters WHERE id IN
         (SELECT id FROM dead_letters WHERE dead_at <= ?1 ORDER BY dead_at LIMIT ?2) RETURNING app_id",
    )?;
    let oldest = act.at.saturating_sub(kept.age_ms_max);
    for app in delete.query_map([oldest, left], |row| row.get::<_, i64>(0))? {
        *gone.entry(app?).or_default() += 1;
        left -= 1;
    }
    for app in apps_with_letters(tx.conn)? {
        if left == 0 {
            break;
        }
        let mut delete = tx.conn.prepare_cached(
            "DELETE FROM dead_letters WHERE id IN
             (SELECT id FROM dead_letters WHERE app_id = ?1 AND id <=
              (SELECT id FROM dead_letters WHERE app_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2) ORDER BY id LIMIT ?3)",
        )?;
        let surplus = delete.execute(params![app, kept.per_app_max, left])?;
        let surplus = i64::try_from(surplus).unwrap_or(i64::MAX);
        if surplus > 0 {
            *gone.entry(app).or_default() += surplus;
            left -= surplus;
        }
    }
    for (app, letters) in &gone {
        let before = Some(json!({ "letters": letters }));
        note_letter(tx, AppId(*app), act, "dead_letter.expire", "*", before, None)?;
    }
    Ok(gone.values().sum::<i64>().unsigned_abs())
}

/// From one app to the next in the index, however many letters each has.
fn apps_with_letters(conn: &Connection) -> JobResult<Vec<i64>> {
    let mut select = conn.prepare_cached("SELECT min(app_id) FROM dead_letters WHERE app_id > ?1")?;
    let mut apps = Vec::new();
    let mut last = i64::MIN;
    while let Some(app) = select.query_row([last], |row| row.get::<_, Option<i64>>(0))? {
        apps.push(app);
        last = app;
    }
    Ok(apps)
}
