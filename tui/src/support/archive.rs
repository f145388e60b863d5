//! A bundle as `.tar.gz`: the same pieces give the same bytes, and nothing of whoever made it is in it.

use super::Piece;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// The folder in the archive.
const FOLDER: &str = "picloud-support";

/// Writes it.
pub(crate) fn write(pieces: &[Piece], to: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(to, Compression::default()));
    for piece in pieces {
        let mut header = tar::Header::new_gnu();
        header.set_size(piece.text.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        archive.append_data(&mut header, format!("{FOLDER}/{}", piece.name), piece.text.as_bytes())?;
    }
    archive.into_inner()?.finish()?.flush()
}
