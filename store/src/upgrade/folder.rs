//! The folders in which copies lie: made privately, given their name when they are whole, listed, removed.

use super::manifest::{CopyManifest, FORMAT, MANIFEST, MANIFEST_BYTES_MAX};
use crate::OpenError;
use crate::data_dir::io_error;
use picloud_model::clock::{UnixMs, rfc3339};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Below the data folder.
pub(super) const COPIES: &str = "before-upgrade";
/// The same, of what was put aside.
pub(super) const ASIDE: &str = "after-going-back";
/// How names begin of what is not whole yet.
pub(super) const UNFINISHED: &str = "unfinished-";
/// How names begin of what is being removed.
const GONE: &str = "gone-";
/// Owner only.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A whole copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeCopy {
    /// Its folder.
    pub dir: PathBuf,
    /// What it says of itself.
    pub manifest: CopyManifest,
}

impl UpgradeCopy {
    /// What it is called: `3-20261122T031500Z`.
    pub fn name(&self) -> String {
        self.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// The copies of a data folder that were made before upgrades, newest first. What cannot be read is left out, and told in
/// the log. Blocks.
pub fn upgrade_copies(data_dir: &Path) -> Result<Vec<UpgradeCopy>, OpenError> {
    let root = data_dir.join(COPIES);
    let mut copies = Vec::new();
    for dir in whole_folders(&root).map_err(|source| io_error(source, data_dir, &root))? {
        match read_json::<CopyManifest>(&dir.join(MANIFEST)) {
            Ok(manifest) if manifest.format <= FORMAT => copies.push(UpgradeCopy { dir, manifest }),
            Ok(newer) => tracing::warn!(copy = %dir.display(), format = newer.format, "a newer program made this copy"),
            Err(error) => tracing::warn!(copy = %dir.display(), %error, "a copy from before an upgrade cannot be read"),
        }
    }
    copies.sort_by(|one, other| (other.manifest.made_at, &other.dir).cmp(&(one.manifest.made_at, &one.dir)));
    Ok(copies)
}

/// The folders in `root`, which may be missing, that have their final name.
pub(super) fn whole_folders(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    folders(root, |name| !name.starts_with(UNFINISHED) && !name.starts_with(GONE))
}

fn folders(root: &Path, fits: impl Fn(&str) -> bool) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name().to_str().is_some_and(&fits) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Removes what was begun or half removed.
pub(super) fn clear_leftovers(root: &Path) -> std::io::Result<()> {
    for left in folders(root, |name| name.starts_with(UNFINISHED) || name.starts_with(GONE))? {
        std::fs::remove_dir_all(left)?;
    }
    Ok(())
}

/// Removes a folder, which is whole for everybody until it is gone for everybody.
pub(super) fn remove(dir: &Path) -> std::io::Result<()> {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let gone = dir.with_file_name(format!("{GONE}{name}"));
    std::fs::rename(dir, &gone)?;
    sync(dir.parent().unwrap_or(dir))?;
    std::fs::remove_dir_all(gone)
}

/// `3-20261122T031500Z`: sorts by time within a schema, and says both.
pub(super) fn name_of(schema: i64, at: UnixMs) -> String {
    let time = rfc3339(at);
    let (whole, _fraction) = time.split_once('.').unwrap_or((time.trim_end_matches('Z'), ""));
    let time: String = whole.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("{schema}-{time}Z")
}

/// A name like `name` that nothing in `root` has.
pub(super) fn free_name(root: &Path, name: &str) -> String {
    /// Copies of one second.
    const SAME_MAX: u32 = 1_000;
    let mut names = std::iter::once(name.to_owned()).chain((2..SAME_MAX).map(|number| format!("{name}.{number}")));
    names.find(|name| !root.join(name).exists()).unwrap_or_else(|| name.to_owned())
}

/// Makes a folder, for the owner of the data folder only.
pub(super) fn make(dir: &Path, data_dir: &Path) -> std::io::Result<()> {
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| give(dir, data_dir)),
    }
}

/// What root makes belongs to whom the data folder belongs: the appliance runs as that user.
pub(super) fn give(path: &Path, data_dir: &Path) -> std::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(data_dir)?;
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
}

/// Writes a file that is there whole or not at all.
pub(super) fn write_json(path: &Path, value: &impl serde::Serialize, data_dir: &Path) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    let unfinished = path.with_extension("unfinished");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&unfinished)?;
    file.write_all(&text)?;
    file.sync_all()?;
    give(&unfinished, data_dir)?;
    std::fs::rename(&unfinished, path)?;
    sync(path.parent().unwrap_or(path))
}

/// Reads such a file.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> std::io::Result<T> {
    let mut text = String::new();
    File::open(path)?.take(MANIFEST_BYTES_MAX).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// What was renamed in a folder stays so, whatever becomes of the power.
pub(super) fn sync(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}
