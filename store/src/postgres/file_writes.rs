//! Changes of files: the row, the app's total, the event's deliveries and, by hand, the audit entry, in one transaction.

use super::apps::name_of;
use super::audit_rows::{Noted, note};
use super::emit::emit;
use super::error::JobResult;
use super::file_rows::file_locked;
use super::transaction::Tx;
use crate::file_rules::{
    changed, check, event_body, id_taken, made, new_total, pieces_bytes, shown, stored_size, told,
};
use crate::matching::Happened;
use crate::{FileChange, FileExpected, FileWithBlob, FileWrite, StoredBlob};
use picloud_model::audit::Act;
use picloud_model::event::Cause;
use picloud_model::file::File;
use picloud_model::ids::{AppId, FileId};

/// On whose behalf: of a run, or by somebody's hand.
pub(super) struct Of<'a> {
    pub(super) app: AppId,
    pub(super) collection: &'a str,
    pub(super) cause: &'a Cause,
    pub(super) act: Option<&'a Act>,
}

/// Makes a file.
pub(super) async fn create(tx: &mut Tx<'_>, of: &Of<'_>, write: &FileWrite) -> JobResult<File> {
    resize(tx, of.app, 0, write.blob.size_bytes, write.quota_bytes).await?;
    let made = made(write, draw_version(tx).await?, of.cause.at);
    let inserted = sqlx::query(
        "INSERT INTO files (app_id, id, collection, name, content_type, size_bytes, sha256, pieces, blob_id, version,
                            created_at, updated_at, metadata)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)
         ON CONFLICT (app_id, id) DO NOTHING",
    )
    .bind(of.app.0)
    .bind(made.id.0.into_bytes())
    .bind(of.collection)
    .bind(&made.name)
    .bind(&made.content_type)
    .bind(stored_size(made.size))
    .bind(made.sha256.0)
    .bind(pieces_bytes(&write.blob))
    .bind(write.blob.id.into_bytes())
    .bind(made.version)
    .bind(of.cause.at)
    .bind(&made.metadata)
    .execute(tx.conn())
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(id_taken(made.id).into());
    }
    tell(tx, of, None, Some(&made)).await?;
    Ok(made)
}

/// Changes a file; `None` where it is not there.
pub(super) async fn update(tx: &mut Tx<'_>, of: &Of<'_>, change: &FileChange) -> JobResult<Option<File>> {
    let found = file_locked(tx.conn(), of.app, of.collection, change.id).await?;
    let Some(FileWithBlob { file: before, blob }) = found else { return Ok(None) };
    check(change.expected, &before)?;
    let blob = change.blob.as_ref().unwrap_or(&blob);
    resize(tx, of.app, before.size, blob.size_bytes, change.quota_bytes).await?;
    let after = changed(&before, change, blob, draw_version(tx).await?, of.cause.at);
    put(tx, of.app, &after, blob).await?;
    tell(tx, of, Some(&before), Some(&after)).await?;
    Ok(Some(after))
}

async fn put(tx: &mut Tx<'_>, app: AppId, after: &File, blob: &StoredBlob) -> JobResult<()> {
    sqlx::query(
        "UPDATE files SET name = $3, content_type = $4, size_bytes = $5, sha256 = $6, pieces = $7, blob_id = $8,
                          version = $9, updated_at = $10, metadata = $11
         WHERE app_id = $1 AND id = $2",
    )
    .bind(app.0)
    .bind(after.id.0.into_bytes())
    .bind(&after.name)
    .bind(&after.content_type)
    .bind(stored_size(after.size))
    .bind(after.sha256.0)
    .bind(pieces_bytes(blob))
    .bind(blob.id.into_bytes())
    .bind(after.version)
    .bind(after.updated_at)
    .bind(&after.metadata)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes a file; answers whether it was there.
pub(super) async fn delete(tx: &mut Tx<'_>, of: &Of<'_>, id: FileId, expected: FileExpected) -> JobResult<bool> {
    let Some(found) = file_locked(tx.conn(), of.app, of.collection, id).await? else { return Ok(false) };
    check(expected, &found.file)?;
    resize(tx, of.app, found.file.size, 0, u64::MAX).await?;
    let delete = sqlx::query("DELETE FROM files WHERE app_id = $1 AND id = $2");
    delete.bind(of.app.0).bind(id.0.into_bytes()).execute(tx.conn()).await?;
    tell(tx, of, Some(&found.file), None).await?;
    Ok(true)
}

/// The next number of the sequence that keys and files share.
async fn draw_version(tx: &mut Tx<'_>) -> JobResult<i64> {
    Ok(sqlx::query_scalar("SELECT nextval('kv_versions')").fetch_one(tx.conn()).await?)
}

/// Takes a file's old size off the app's total and adds its new one. The total is nobody else's until the transaction
/// ends, so that two files at once cannot both have the last room.
async fn resize(tx: &mut Tx<'_>, app: AppId, old_bytes: u64, new_bytes: u64, quota_bytes: u64) -> JobResult<()> {
    if old_bytes == new_bytes {
        return Ok(());
    }
    let insert = sqlx::query("INSERT INTO file_totals (app_id, size_bytes) VALUES ($1, 0) ON CONFLICT DO NOTHING");
    insert.bind(app.0).execute(tx.conn()).await?;
    let select = sqlx::query_scalar("SELECT size_bytes FROM file_totals WHERE app_id = $1 FOR UPDATE");
    let used: i64 = select.bind(app.0).fetch_one(tx.conn()).await?;
    let total = new_total(used.unsigned_abs(), old_bytes, new_bytes, quota_bytes)?;
    let update = sqlx::query("UPDATE file_totals SET size_bytes = $2 WHERE app_id = $1");
    update.bind(app.0).bind(stored_size(total)).execute(tx.conn()).await?;
    Ok(())
}

/// Starts whatever waits for this, and writes it down where it was done by hand.
async fn tell(tx: &mut Tx<'_>, of: &Of<'_>, before: Option<&File>, after: Option<&File>) -> JobResult<()> {
    let Some((op, word, file)) = told(before, after) else { return Ok(()) };
    let happened = Happened::Files { op, collection: of.collection, name: &file.name };
    emit(tx, of.app, of.cause, &happened, of.cause.at, || event_body(word, of.collection, file)).await?;
    let Some(act) = of.act else { return Ok(()) };
    let (app, target) = (name_of(tx.conn(), of.app).await?, format!("{}/{}", of.collection, file.id));
    let action = format!("file.{word}");
    let (before, after) = (before.map(shown), after.map(shown));
    note(tx, act, Noted { action: &action, app: Some(&app), target: &target, before, after });
    Ok(())
}
