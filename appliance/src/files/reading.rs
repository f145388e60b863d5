//! Files that are read by signed URL, part by part: what each was when it was opened, and the piece read last.
//!
//! A part is smaller than a piece, and a piece is checked as a whole; without its last piece at hand each would be read
//! and checked several times.

use bytes::Bytes;
use picloud_model::hash::ContentHash;
use picloud_store::StoredBlob;
use picloud_store::blobs::{BlobError, Blobs, PIECE_BYTES};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Files remembered at once; each holds at most a piece.
const REMEMBERED_MAX: usize = 16;

/// Whom a part is for: a token, and the content it was opened at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    /// The URL's token, hashed.
    pub token: ContentHash,
    /// What the file was.
    pub sha256: ContentHash,
}

/// All of them.
#[derive(Default)]
pub struct Reading(Mutex<Table>);

#[derive(Default)]
struct Table {
    uses: u64,
    open: HashMap<Reader, Open>,
}

struct Open {
    blob: StoredBlob,
    piece: Option<(u64, Bytes)>,
    used: u64,
}

impl Reading {
    /// Remembers what `reader` reads.
    pub fn begin(&self, reader: Reader, blob: StoredBlob) {
        let mut table = self.lock();
        table.uses += 1;
        let used = table.uses;
        table.open.insert(reader, Open { blob, piece: None, used });
        if table.open.len() > REMEMBERED_MAX
            && let Some(oldest) = table.open.iter().min_by_key(|(_, open)| open.used).map(|(reader, _)| *reader)
        {
            table.open.remove(&oldest);
        }
    }

    /// What `reader` reads; `None` where it is not remembered any more.
    pub fn blob(&self, reader: &Reader) -> Option<StoredBlob> {
        self.lock().open.get(reader).map(|open| open.blob.clone())
    }

    /// The bytes `range` of `blob`, as far as it goes.
    pub async fn part(
        &self,
        blobs: &Blobs,
        reader: &Reader,
        blob: &StoredBlob,
        range: Range<u64>,
    ) -> Result<Vec<u8>, BlobError> {
        let end = range.end.min(blob.size_bytes);
        let mut from = range.start.min(end);
        let mut part = Vec::with_capacity(to_usize(end - from));
        while from < end {
            let number = from / PIECE_BYTES as u64;
            let begin = number * PIECE_BYTES as u64;
            let piece = self.piece(blobs, reader, blob, number).await?;
            let to = end.min(begin + piece.len() as u64);
            part.extend_from_slice(&piece[to_usize(from - begin)..to_usize(to - begin)]);
            from = to;
        }
        if from == blob.size_bytes {
            // Nothing follows the end.
            self.keep(reader, None);
        }
        Ok(part)
    }

    async fn piece(&self, blobs: &Blobs, reader: &Reader, blob: &StoredBlob, number: u64) -> Result<Bytes, BlobError> {
        let kept = self.lock().open.get(reader).and_then(|open| open.piece.clone());
        if let Some((_, piece)) = kept.filter(|(of, _)| *of == number) {
            return Ok(piece);
        }
        let begin = number * PIECE_BYTES as u64;
        let mut read = blobs.read(blob, begin..begin + PIECE_BYTES as u64).await?;
        let Some(piece) = read.next().await? else {
            return Err(BlobError::Corrupted { id: blob.id, what: "it ends before its size".to_owned() });
        };
        self.keep(reader, Some((number, piece.clone())));
        Ok(piece)
    }

    fn keep(&self, reader: &Reader, piece: Option<(u64, Bytes)>) {
        let mut table = self.lock();
        table.uses += 1;
        let used = table.uses;
        if let Some(open) = table.open.get_mut(reader) {
            open.piece = piece;
            open.used = used;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_usize(small: u64) -> usize {
    usize::try_from(small).expect("a part is smaller than a piece or two")
}
