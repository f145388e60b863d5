//! What both backends do with files alike: expectations, quota, what an event and the audit log tell, and where a page
//! begins.

use crate::cursor::{self, List};
use crate::{FileChange, FileExpected, FileWrite, StoreError, StoredBlob};
use picloud_model::clock::UnixMs;
use picloud_model::file::{File, FileQuery, NewFile};
use picloud_model::hash::ContentHash;
use picloud_model::ids::FileId;
use picloud_model::page::Page;
use picloud_model::trigger::Op;
use serde_json::{Value, json};

/// A file of the app has the id already.
pub(crate) fn id_taken(id: FileId) -> StoreError {
    let message = format!("a file of the app has the id {id} already");
    StoreError::Conflict { message, in_the_way: vec![format!("file {id}")] }
}

/// Bytes of a checksum.
const CHECKSUM_BYTES: usize = 32;
/// Bytes of an id, at the end of a cursor.
const ID_BYTES: usize = 16;

/// Checksums as they are kept.
pub(crate) fn pieces_bytes(blob: &StoredBlob) -> Vec<u8> {
    blob.pieces.iter().flat_map(|ContentHash(piece)| *piece).collect()
}

/// The checksums that are kept as these bytes.
pub(crate) fn pieces_of(bytes: &[u8]) -> Vec<ContentHash> {
    let pieces = bytes.chunks_exact(CHECKSUM_BYTES);
    pieces.map(|piece| ContentHash(piece.try_into().expect("a chunk has its size"))).collect()
}

/// A size as it is kept.
pub(crate) fn stored_size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The file that `write` makes.
pub(crate) fn made(write: &FileWrite, version: i64, at: UnixMs) -> File {
    let NewFile { name, content_type, metadata } = write.file.clone();
    File {
        id: write.id,
        name,
        content_type,
        size: write.blob.size_bytes,
        sha256: write.blob.sha256,
        version,
        created_at: at,
        updated_at: at,
        metadata,
    }
}

/// What `change` makes of the file; `blob` is what it has then.
pub(crate) fn changed(before: &File, change: &FileChange, blob: &StoredBlob, version: i64, at: UnixMs) -> File {
    let patch = &change.patch;
    File {
        id: before.id,
        name: patch.name.as_ref().unwrap_or(&before.name).clone(),
        content_type: patch.content_type.as_ref().unwrap_or(&before.content_type).clone(),
        size: blob.size_bytes,
        sha256: blob.sha256,
        version,
        created_at: before.created_at,
        updated_at: at,
        metadata: patch.metadata.as_ref().unwrap_or(&before.metadata).clone(),
    }
}

/// Refuses where the file is not at what the caller expects.
pub(crate) fn check(expected: FileExpected, file: &File) -> Result<(), StoreError> {
    match expected {
        FileExpected::Version(expected) if expected != file.version => {
            Err(StoreError::Stale { expected, actual: file.version })
        }
        FileExpected::Sha256(expected) if expected != file.sha256 => {
            Err(StoreError::OtherBytes { expected, actual: file.sha256 })
        }
        FileExpected::Anything | FileExpected::Version(_) | FileExpected::Sha256(_) => Ok(()),
    }
}

/// What the app's files have once one goes from `old_bytes` to `new_bytes`. Whoever is above the quota may still shrink.
pub(crate) fn new_total(used_bytes: u64, old_bytes: u64, new_bytes: u64, quota_bytes: u64) -> Result<u64, StoreError> {
    let total = used_bytes.saturating_sub(old_bytes).saturating_add(new_bytes);
    if new_bytes > old_bytes && total > quota_bytes {
        return Err(StoreError::Quota { used_bytes, limit_bytes: quota_bytes });
    }
    Ok(total)
}

/// What happened to a file, the word for it, and which file the event tells of.
pub(crate) fn told<'f>(before: Option<&'f File>, after: Option<&'f File>) -> Option<(Op, &'static str, &'f File)> {
    match (before, after) {
        (None, Some(made)) => Some((Op::Insert, "create", made)),
        (Some(_before), Some(changed)) => Some((Op::Update, "update", changed)),
        (Some(gone), None) => Some((Op::Delete, "delete", gone)),
        (None, None) => None,
    }
}

/// The event's body.
pub(crate) fn event_body(word: &str, collection: &str, file: &File) -> Vec<u8> {
    json!({ "op": word, "collection": collection, "file": file }).to_string().into_bytes()
}

/// As the audit log shows a file.
pub(crate) fn shown(file: &File) -> Value {
    json!({
        "name": file.name, "content_type": file.content_type, "size": file.size, "sha256": file.sha256,
        "version": file.version,
    })
}

/// What stands right before the page: a name and an id.
pub(crate) fn begin(query: &FileQuery) -> Result<(String, Vec<u8>), StoreError> {
    let Some(text) = &query.cursor else { return Ok((query.prefix.clone(), Vec::new())) };
    let mut name = cursor::decode(List::Files, text)?;
    let at = name.len().checked_sub(ID_BYTES).ok_or(StoreError::BadCursor)?;
    let id = name.split_off(at);
    let name = String::from_utf8(name).map_err(|_not_utf8| StoreError::BadCursor)?;
    if name.starts_with(&query.prefix) { Ok((name, id)) } else { Err(StoreError::BadCursor) }
}

/// The page out of up to `items_max + 1` files in their order, of which those behind the prefix are left out.
pub(crate) fn page_of(mut files: Vec<File>, query: &FileQuery, items_max: usize) -> Page<File> {
    let within = files.iter().position(|file| !file.name.starts_with(&query.prefix)).unwrap_or(files.len());
    files.truncate(within);
    cursor::page(files, items_max, List::Files, |last| [last.name.as_bytes(), last.id.0.as_bytes()].concat())
}
