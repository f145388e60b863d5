//! How long copies are kept: two of them, and none longer than two weeks.

use super::folder::{self, COPIES, upgrade_copies};
use crate::OpenError;
use crate::data_dir::io_error;
use picloud_model::clock::UnixMs;
use std::path::Path;

/// Copies that are kept; the oldest goes when there is another.
pub const COPIES_KEPT_MAX: usize = 2;
/// How long one is kept.
pub const COPY_KEPT_DAYS: i64 = 14;

/// The same in milliseconds.
pub const fn copy_kept_ms() -> i64 {
    COPY_KEPT_DAYS * 24 * 60 * 60 * 1000
}

/// Removes copies that are too old or too many as of `now`; answers their names, and when the next one is due. Blocks.
pub fn expire_copies(data_dir: &Path, now: UnixMs) -> Result<(Vec<String>, Option<UnixMs>), OpenError> {
    let mut gone = Vec::new();
    let mut due = None;
    for (place, copy) in upgrade_copies(data_dir)?.into_iter().enumerate() {
        let ends_at = copy.manifest.made_at.saturating_add(copy_kept_ms());
        if place < COPIES_KEPT_MAX && now < ends_at {
            // Newest first: the last one that stays is the first to go.
            due = Some(ends_at);
            continue;
        }
        folder::remove(&copy.dir).map_err(|source| io_error(source, data_dir, &copy.dir))?;
        gone.push(copy.name());
    }
    let root = data_dir.join(COPIES);
    folder::clear_leftovers(&root).map_err(|source| io_error(source, data_dir, &root))?;
    Ok((gone, due))
}
