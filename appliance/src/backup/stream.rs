//! An archive as the body of an answer: made while it is sent, with a few pieces in memory, and cut off visibly where
//! something goes wrong.

use super::contents::Contents;
use super::pack::pack;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::unfold;
use std::io::{Error, ErrorKind, Write};
use std::time::Duration;
use tokio::sync::mpsc;

/// Bytes of one piece.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that are ready and not sent yet.
const PIECES_MAX: usize = 4;
/// How long a client may take nothing before the backup is given up.
const STALL_MAX: Duration = Duration::from_secs(60);

enum Piece {
    Bytes(Bytes),
    /// The archive is whole.
    End,
}

/// The archive of `contents`.
pub fn stream(contents: Contents) -> Body {
    let (made, mut ready) = mpsc::channel(PIECES_MAX);
    let (sending, pieces) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces { made, piece: Vec::with_capacity(PIECE_BYTES) };
        match pack(&contents, &mut out) {
            Ok(manifest) => {
                let sent = out.made.blocking_send(Piece::End);
                tracing::info!(
                    bytes = manifest.size_bytes(),
                    files = manifest.files.len(),
                    whole = sent.is_ok(),
                    "a backup was sent"
                );
            }
            Err(error) => tracing::warn!(%error, "a backup was given up"),
        }
    });
    // Between the two, so that a client that stands still holds up neither a thread nor the next backup for ever.
    tokio::spawn(async move {
        while let Some(piece) = ready.recv().await {
            match tokio::time::timeout(STALL_MAX, sending.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_gone)) => return,
                Err(_elapsed) => return tracing::warn!("nobody took the next piece of a backup; it was given up"),
            }
        }
    });
    Body::from_stream(unfold(Some(pieces), |pieces| async {
        let mut pieces: mpsc::Receiver<Piece> = pieces?;
        match pieces.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(pieces))),
            Some(Piece::End) => None,
            // An error ends the connection, so that what was sent does not pass for an archive.
            None => Some((Err(Error::new(ErrorKind::BrokenPipe, "the backup was given up")), None)),
        }
    }))
}

/// Collects what is written into pieces; waits while nobody takes them.
struct Pieces {
    made: mpsc::Sender<Piece>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = PIECE_BYTES - self.piece.len();
        let taken = bytes.len().min(room);
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let sent = self.made.blocking_send(Piece::Bytes(piece.into()));
        sent.map_err(|_gone| Error::new(ErrorKind::BrokenPipe, "whoever asked for it has gone"))
    }
}
