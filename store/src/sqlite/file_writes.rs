//! Changes of files: the row, the app's total, the event's deliveries and, by hand, the audit entry, in one transaction.

use super::DataTx;
use super::apps::name_of;
use super::audit_rows::{Noted, note};
use super::emit::emit;
use super::error::JobResult;
use super::file_rows::file;
use super::files::files_bytes;
use crate::file_rules::{
    changed, check, event_body, id_taken, made, new_total, pieces_bytes, shown, stored_size, told,
};
use crate::matching::Happened;
use crate::{FileChange, FileExpected, FileWithBlob, FileWrite, StoredBlob};
use picloud_model::audit::Act;
use picloud_model::event::Cause;
use picloud_model::file::File;
use picloud_model::ids::{AppId, FileId};
use rusqlite::params;

/// On whose behalf: of a run, or by somebody's hand.
struct Of<'a> {
    app: AppId,
    collection: &'a str,
    cause: &'a Cause,
    act: Option<&'a Act>,
}

/// Makes a file.
pub(super) fn create(
    tx: &mut DataTx<'_>,
    app: AppId,
    write: FileWrite,
    cause: &Cause,
    act: Option<&Act>,
) -> JobResult<File> {
    resize(tx, app, 0, write.blob.size_bytes, write.quota_bytes)?;
    let made = made(&write, tx.state.versions.draw(tx.conn)?, cause.at);
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO files (app_id, id, collection, name, content_type, size_bytes, sha256, pieces, blob_id, version,
                            created_at, updated_at, metadata)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12)
         ON CONFLICT (app_id, id) DO NOTHING",
    )?;
    let inserted = insert.execute(params![
        app.0,
        made.id.0.into_bytes(),
        write.collection,
        made.name,
        made.content_type,
        stored_size(made.size),
        made.sha256.0,
        pieces_bytes(&write.blob),
        write.blob.id.into_bytes(),
        made.version,
        cause.at,
        made.metadata
    ])?;
    if inserted == 0 {
        return Err(id_taken(made.id).into());
    }
    tell(tx, &Of { app, collection: &write.collection, cause, act }, None, Some(&made))?;
    Ok(made)
}

/// Changes a file; `None` where it is not there.
pub(super) fn update(
    tx: &mut DataTx<'_>,
    app: AppId,
    change: FileChange,
    cause: &Cause,
    act: Option<&Act>,
) -> JobResult<Option<File>> {
    let Some(FileWithBlob { file: before, blob }) = file(tx.conn, app, &change.collection, change.id)? else {
        return Ok(None);
    };
    check(change.expected, &before)?;
    let blob = change.blob.as_ref().unwrap_or(&blob);
    resize(tx, app, before.size, blob.size_bytes, change.quota_bytes)?;
    let after = changed(&before, &change, blob, tx.state.versions.draw(tx.conn)?, cause.at);
    put(tx, app, &after, blob)?;
    tell(tx, &Of { app, collection: &change.collection, cause, act }, Some(&before), Some(&after))?;
    Ok(Some(after))
}

fn put(tx: &DataTx<'_>, app: AppId, after: &File, blob: &StoredBlob) -> JobResult<()> {
    let mut update = tx.conn.prepare_cached(
        "UPDATE files SET name = ?3, content_type = ?4, size_bytes = ?5, sha256 = ?6, pieces = ?7, blob_id = ?8,
                          version = ?9, updated_at = ?10, metadata = ?11
         WHERE app_id = ?1 AND id = ?2",
    )?;
    update.execute(params![
        app.0,
        after.id.0.into_bytes(),
        after.name,
        after.content_type,
        stored_size(after.size),
        after.sha256.0,
        pieces_bytes(blob),
        blob.id.into_bytes(),
        after.version,
        after.updated_at,
        after.metadata
    ])?;
    Ok(())
}

/// Removes a file; answers whether it was there.
pub(super) fn delete(
    tx: &mut DataTx<'_>,
    app: AppId,
    (collection, id): (&str, FileId),
    expected: FileExpected,
    cause: &Cause,
    act: Option<&Act>,
) -> JobResult<bool> {
    let Some(found) = file(tx.conn, app, collection, id)? else { return Ok(false) };
    check(expected, &found.file)?;
    resize(tx, app, found.file.size, 0, u64::MAX)?;
    let mut delete = tx.conn.prepare_cached("DELETE FROM files WHERE app_id = ?1 AND id = ?2")?;
    delete.execute(params![app.0, id.0.into_bytes()])?;
    tell(tx, &Of { app, collection, cause, act }, Some(&found.file), None)?;
    Ok(true)
}

/// Takes a file's old size off the app's total and adds its new one.
fn resize(tx: &DataTx<'_>, app: AppId, old_bytes: u64, new_bytes: u64, quota_bytes: u64) -> JobResult<()> {
    let total = new_total(files_bytes(tx.conn, app)?, old_bytes, new_bytes, quota_bytes)?;
    if old_bytes != new_bytes {
        let mut upsert = tx.conn.prepare_cached(
            "INSERT INTO file_totals (app_id, size_bytes) VALUES (?1, ?2)
             ON CONFLICT (app_id) DO UPDATE SET size_bytes = excluded.size_bytes",
        )?;
        upsert.execute(params![app.0, stored_size(total)])?;
    }
    Ok(())
}

/// Starts whatever waits for this, and writes it down where it was done by hand.
fn tell(tx: &mut DataTx<'_>, of: &Of<'_>, before: Option<&File>, after: Option<&File>) -> JobResult<()> {
    let Some((op, word, file)) = told(before, after) else { return Ok(()) };
    let happened = Happened::Files { op, collection: of.collection, name: &file.name };
    emit(tx, of.app, of.cause, &happened, of.cause.at, || event_body(word, of.collection, file))?;
    let Some(act) = of.act else { return Ok(()) };
    let (app, target) = (name_of(tx.conn, of.app)?, format!("{}/{}", of.collection, file.id));
    let action = format!("file.{word}");
    let (before, after) = (before.map(shown), after.map(shown));
    note(tx, act, Noted { action: &action, app: Some(&app), target: &target, before, after })
}
