//! Dead letters that go for good: discarded by somebody, too old, or too many.

use super::error::JobResult;
use super::letter_retries::{lock_letter, note_letter};
use super::transaction::Tx;
use crate::letters::shown;
use picloud_model::audit::Act;
use picloud_model::dead_letter::LettersKept;
use picloud_model::ids::{AppId, DeadLetterId};
use serde_json::json;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Removes one; answers whether it was there.
pub(super) async fn discard(tx: &mut Tx<'_>, app: AppId, id: DeadLetterId, act: &Act) -> JobResult<bool> {
    let Some(letter) = lock_letter(tx.conn(), app, id).await? else { return Ok(false) };
    sqlx::query("DELETE FROM dead_letters WHERE id = $1").bind(id.0).execute(tx.conn()).await?;
    note_letter(tx, app, act, "dead_letter.discard", &id.to_string(), Some(shown(&letter)), None).await?;
    Ok(true)
}

/// Removes up to `letters_max` that are not kept, each app's number in an entry of the audit log.
pub(super) async fn expire(tx: &mut Tx<'_>, kept: &LettersKept, letters_max: u32, act: &Act) -> JobResult<u64> {
    let mut gone: BTreeMap<i64, i64> = BTreeMap::new();
    let mut left = i64::from(letters_max);
    let old: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM dead_letters WHERE id IN
         (SELECT id FROM dead_letters WHERE dead_at <= $1 ORDER BY dead_at LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING app_id",
    )
    .bind(act.at.saturating_sub(kept.age_ms_max))
    .bind(left)
    .fetch_all(tx.conn())
    .await?;
    for app in old {
        *gone.entry(app).or_default() += 1;
        left -= 1;
    }
    for app in apps_with_letters(tx.conn()).await? {
        if left == 0 {
            break;
        }
        let surplus = sqlx::query(
            "DELETE FROM dead_letters WHERE id IN
             (SELECT id FROM dead_letters WHERE app_id = $1 AND id <=
              (SELECT id FROM dead_letters WHERE app_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)
              ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)",
        )
        .bind(app)
        .bind(i64::from(kept.per_app_max))
        .bind(left)
        .execute(tx.conn())
        .await?;
        let surplus = i64::try_from(surplus.rows_affected()).unwrap_or(i64::MAX);
        if surplus > 0 {
            *gone.entry(app).or_default() += surplus;
            left -= surplus;
        }
    }
    for (app, letters) in &gone {
        let before = Some(json!({ "letters": letters }));
        note_letter(tx, AppId(*app), act, "dead_letter.expire", "*", before, None).await?;
    }
    Ok(gone.values().sum::<i64>().unsigned_abs())
}

/// From one app to the next in the index, however many letters each has.
async fn apps_with_letters(conn: &mut PgConnection) -> JobResult<Vec<i64>> {
    Ok(sqlx::query_scalar(
        "WITH RECURSIVE a AS (
             SELECT min(app_id) AS id FROM dead_letters
             UNION ALL
             SELECT (SELECT min(app_id) FROM dead_letters WHERE app_id > a.id) FROM a WHERE a.id IS NOT NULL
         )
         SELECT id FROM a WHERE id IS NOT NULL",
    )
    .fetch_all(conn)
    .await?)
}
