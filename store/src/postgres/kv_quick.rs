//! The commonest write in one statement: a key is set whatever it held, and nobody listens.

use super::PgStore;
use super::error::{JobError, JobResult};
use super::transaction::{in_time, lost_in_commit};
use crate::Result;
use crate::kv_changes::Change;
use picloud_model::clock::UnixMs;

/// Sets it and answers its version, where it is known that no trigger listens as of the app's revision now. Nothing
/// happened where the answer is `None`.
pub(super) async fn set(
    store: &PgStore,
    change: &Change<'_>,
    value: &[u8],
    expires_at: Option<UnixMs>,
) -> Result<Option<i64>> {
    let at = &change.at;
    let Some(revision) = store.triggers.unheard_at(at.app, &at.collection) else { return Ok(None) };
    let work = async {
        let mut conn = store.conn().await?;
        // The lock comes first: it is what the rows of the rest are made from.
        let version = sqlx::query_scalar(
            "WITH locked AS MATERIALIZED (
                 SELECT lock_kv_keys(ARRAY[$1], ARRAY[$2], ARRAY[$3]) FROM apps WHERE id = $1 AND revision = $7
             )
             INSERT INTO kv (app_id, collection, key, version, updated_at, expires_at, value)
             SELECT $1, $2, $3, nextval('kv_versions'), $4, $5, $6 FROM locked
             ON CONFLICT (app_id, collection, key) DO UPDATE SET version = excluded.version,
             updated_at = excluded.updated_at, expires_at = excluded.expires_at, value = excluded.value
             RETURNING version",
        )
        .bind(at.app.0)
        .bind(&at.collection)
        .bind(at.key.as_bytes())
        .bind(change.cause.at)
        .bind(expires_at)
        .bind(value)
        .bind(revision)
        .fetch_optional(&mut *conn)
        .await;
        version.map_err(lost_in_commit)
    };
    let set: JobResult<Option<i64>> = in_time(work).await;
    match set {
        // The long way tries again.
        Err(error) if error.is_worth_another_try() => Ok(None),
        set => set.map_err(JobError::into_store_error),
    }
}
