//! How long copies are kept, and what was put aside when somebody went back: two of each, and none longer than two weeks.

use super::folder::{self, ASIDE, COPIES, read_json, upgrade_copies, whole_folders};
use super::go_back::WentBack;
use super::manifest::MANIFEST;
use crate::OpenError;
use crate::data_dir::io_error;
use picloud_model::clock::UnixMs;
use std::path::{Path, PathBuf};

/// How many are kept; the oldest goes when there is another.
pub const COPIES_KEPT_MAX: usize = 2;
/// How long one is kept.
pub const COPY_KEPT_DAYS: i64 = 14;

/// The same in milliseconds.
pub const fn copy_kept_ms() -> i64 {
    COPY_KEPT_DAYS * 24 * 60 * 60 * 1000
}

/// Removes what is too old or too many as of `now`; answers the names, and when the next one is due. Blocks.
pub fn expire_copies(data_dir: &Path, now: UnixMs) -> Result<(Vec<String>, Option<UnixMs>), OpenError> {
    let copies = upgrade_copies(data_dir)?.into_iter().map(|copy| (copy.manifest.made_at, copy.name(), copy.dir));
    let (mut gone, mut due) = (Vec::new(), None);
    for kept in [copies.collect(), put_aside(data_dir)?] {
        for (place, (made_at, name, dir)) in kept.into_iter().enumerate() {
            let ends_at = made_at.saturating_add(copy_kept_ms());
            if place < COPIES_KEPT_MAX && now < ends_at {
                due = Some(due.unwrap_or(ends_at).min(ends_at));
                continue;
            }
            folder::remove(&dir).map_err(|source| io_error(source, data_dir, &dir))?;
            gone.push(name);
        }
    }
    for name in [COPIES, ASIDE] {
        let root = data_dir.join(name);
        folder::clear_leftovers(&root).map_err(|source| io_error(source, data_dir, &root))?;
    }
    Ok((gone, due))
}

/// What was put aside, newest first. A folder of somebody else's is left to them.
fn put_aside(data_dir: &Path) -> Result<Vec<(UnixMs, String, PathBuf)>, OpenError> {
    let root = data_dir.join(ASIDE);
    let folders = whole_folders(&root).map_err(|source| io_error(source, data_dir, &root))?;
    let mut found: Vec<_> = folders
        .into_iter()
        .filter_map(|dir| {
            let back = read_json::<WentBack>(&dir.join(MANIFEST)).ok()?;
            Some((back.at, format!("{ASIDE}/{}", back.aside), dir))
        })
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    Ok(found)
}
