//! Reads a blob piece by piece: each is checked before any of it is handed out, and the next one is read meanwhile.

use super::chain::piece_is_whole;
use super::error::io;
use super::{BlobError, Blobs, PIECE_BYTES, blocking};
use crate::StoredBlob;
use bytes::Bytes;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinHandle;

impl Blobs {
    /// Opens a blob to read `range` of it, which is cut to its size. What is not there is [`BlobError::Corrupted`].
    pub async fn read(&self, blob: &StoredBlob, range: Range<u64>) -> Result<BlobReader, BlobError> {
        let end = range.end.min(blob.size_bytes);
        let (path, blob) = (self.path(blob.id), blob.clone());
        let source = blocking(move || Source::open(path, blob)).await?;
        let mut reader = BlobReader { source: Arc::new(source), next: range.start.min(end), end, ahead: None };
        reader.read_ahead();
        Ok(reader)
    }

    /// All of a blob, of at most `bytes_max`.
    pub async fn read_whole(&self, blob: &StoredBlob, bytes_max: u64) -> Result<Vec<u8>, BlobError> {
        if blob.size_bytes > bytes_max {
            return Err(BlobError::TooLarge { limit_bytes: bytes_max });
        }
        let mut reader = self.read(blob, 0..blob.size_bytes).await?;
        let mut all = Vec::with_capacity(usize::try_from(blob.size_bytes).unwrap_or_default());
        while let Some(piece) = reader.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

/// A blob that is being read: it holds at most two pieces in memory.
pub struct BlobReader {
    source: Arc<Source>,
    /// Where the next piece to be asked for begins.
    next: u64,
    end: u64,
    ahead: Option<JoinHandle<Result<Bytes, BlobError>>>,
}

impl BlobReader {
    /// The next bytes, at most [`PIECE_BYTES`]; `None` at the end. After an error there is no going on.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        // By reference: who gives up waiting here, and comes again, misses nothing.
        let Some(ahead) = &mut self.ahead else { return Ok(None) };
        let piece = ahead.await.unwrap_or(Err(BlobError::Stopped));
        self.ahead = None;
        let piece = piece?;
        self.read_ahead();
        Ok(Some(piece))
    }

    /// Begins to read the next piece.
    fn read_ahead(&mut self) {
        if self.next >= self.end {
            return;
        }
        let number = self.next / PIECE_BYTES as u64;
        let begin = number * PIECE_BYTES as u64;
        let end = (begin + PIECE_BYTES as u64).min(self.end);
        let part = to_usize(self.next - begin)..to_usize(end - begin);
        self.next = end;
        let source = Arc::clone(&self.source);
        self.ahead = Some(tokio::task::spawn_blocking(move || Ok(source.piece(to_usize(number))?.slice(part))));
    }
}

fn to_usize(small: u64) -> usize {
    usize::try_from(small).expect("a piece, and how many there are, fits memory")
}

struct Source {
    file: File,
    path: PathBuf,
    blob: StoredBlob,
}

impl Source {
    fn open(path: PathBuf, blob: StoredBlob) -> Result<Self, BlobError> {
        match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let what = format!("`{}` does not exist", path.display());
                Err(BlobError::Corrupted { id: blob.id, what })
            }
            opened => Ok(Self { file: opened.map_err(io("open", &path))?, path, blob }),
        }
    }

    /// The piece with this number, checked.
    fn piece(&self, number: usize) -> Result<Bytes, BlobError> {
        let StoredBlob { id, size_bytes, pieces, .. } = &self.blob;
        let begin = (number * PIECE_BYTES) as u64;
        let mut piece = vec![0; to_usize((size_bytes - begin).min(PIECE_BYTES as u64))];
        let corrupted = |what: String| BlobError::Corrupted { id: *id, what };
        match self.file.read_exact_at(&mut piece, begin) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(corrupted(format!("`{}` ends before its {size_bytes} bytes", self.path.display())));
            }
            read => read.map_err(io("read", &self.path))?,
        }
        if !piece_is_whole(&piece, number, *size_bytes, pieces) {
            let (path, end) = (self.path.display(), begin + piece.len() as u64);
            return Err(corrupted(format!("bytes {begin} to {end} of `{path}` have another checksum")));
        }
        Ok(piece.into())
    }
}
