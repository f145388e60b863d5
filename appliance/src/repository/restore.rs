//! A snapshot becomes the data of a machine that has none: all of it in one step at the end, or nothing. Or it is only
//! tried, beside the data.

use super::hints::FETCH;
use super::inventory::{CONFIG, Inventory, hash_file};
use super::restic::Restic;
use super::verify::{compare, files_in, manifest};
use super::{PASSWORD_FILE, Repository, RepositoryError, free_bytes, snapshots};
use crate::backup::files_root::{FETCHED, FilesRoot};
use crate::backup::restore::{Taken, Unfinished, check, for_each, refuse_data};
use crate::backup::{BackupError, FOLDERS};
use crate::tasks::blob_sweep;
use picloud_cluster::private_file;
use picloud_model::audit::{Act, AuditVerdict};
use picloud_model::clock::Clock;
use picloud_store::blobs::Blobs;
use picloud_store::{OpenSettings, Store};
use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Room beside what a backup holds: the store makes its log and its reserve.
const ROOM_BESIDE_BYTES: u64 = 16 * 1024 * 1024;
/// The folder of an attempt, in the data folder or beside where it will be.
const TRIED: &str = "verify";

/// The group of whoever runs the appliance, as the package makes it.
const GROUP: &str = "picloud";

/// What is to be restored, and where.
pub struct RestorePlan<'p> {
    /// The snapshot, or the newest.
    pub snapshot: Option<&'p str>,
    /// The data folder.
    pub dir: &'p Path,
    /// Where bytes of files go, if that is another folder.
    pub files_root: Option<&'p Path>,
    /// Where the configuration file goes, if there is none there yet.
    pub config: &'p Path,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who does it.
    pub act: &'p Act,
}

/// What was restored, or tried.
pub struct RepositoryRestored {
    /// The snapshot.
    pub snapshot: String,
    /// What is in it.
    pub inventory: Inventory,
    /// Whether the audit log in it is what it was.
    pub audit: AuditVerdict,
    /// Files of apps without their bytes; they were lost before the backup.
    pub files_without_bytes: u64,
    /// Where the configuration file was written to.
    pub config: Option<PathBuf>,
}

/// A snapshot that was looked at.
struct Chosen {
    id: String,
    inventory: Inventory,
}

impl Repository {
    /// Restores all of a snapshot.
    pub async fn restore(&self, plan: &RestorePlan<'_>) -> Result<RepositoryRestored, RepositoryError> {
        let dir = std::fs::canonicalize(plan.dir).or_else(|_absent| std::path::absolute(plan.dir));
        let dir = dir.map_err(RepositoryError::io("find", plan.dir))?;
        let owner = refuse_data(&dir)?;
        let restic = self.restic_for_restore().await?;
        let chosen = choose(&restic, plan.snapshot).await?;
        let unfinished = Unfinished::begin(&dir)?;
        let into = unfinished.path.clone();
        // Within the data folder it comes into place together with that.
        let root = plan.files_root.map(|root| root.strip_prefix(&dir).map_or(root.to_owned(), |part| into.join(part)));
        let files_root = root.as_deref().map(FilesRoot::begin).transpose()?;
        check_room(&chosen.inventory, &into, root.as_deref())?;
        fetch(&restic, &chosen, &into, root.as_deref()).await?;
        let Checked { audit, files_without_bytes } = open(&chosen.inventory, &into, root.as_deref(), plan).await?;
        let config = std::fs::read(into.join(CONFIG)).ok();
        self.keep_password(&into)?;
        make_private(&into)?;
        unfinished.put_in_place(&dir, owner, files_root)?;
        let config = config.and_then(|text| put_config(&text, plan.config, owner)).or_else(|| {
            let beside = dir.join(CONFIG);
            beside.exists().then_some(beside)
        });
        Ok(RepositoryRestored { snapshot: chosen.id, inventory: chosen.inventory, audit, files_without_bytes, config })
    }

    /// Restores into a folder that is removed again, and says what was found.
    pub async fn try_restore(&self, plan: &RestorePlan<'_>) -> Result<RepositoryRestored, RepositoryError> {
        let restic = self.restic_for_restore().await?;
        let chosen = choose(&restic, plan.snapshot).await?;
        let dir = std::path::absolute(plan.dir).map_err(RepositoryError::io("find", plan.dir))?;
        let place = if dir.is_dir() { dir.join(TRIED) } else { dir.with_extension(TRIED) };
        let unfinished = Unfinished::begin(&place)?;
        let into = unfinished.path.clone();
        check_room(&chosen.inventory, &into, None)?;
        fetch(&restic, &chosen, &into, None).await?;
        let Checked { audit, files_without_bytes } = open(&chosen.inventory, &into, None, plan).await?;
        Ok(RepositoryRestored {
            snapshot: chosen.id,
            inventory: chosen.inventory,
            audit,
            files_without_bytes,
            config: None,
        })
    }

    /// The next backup goes on with the password that opened this one.
    fn keep_password(&self, into: &Path) -> Result<(), RepositoryError> {
        let (from, to) = (&self.settings.password_file, into.join(PASSWORD_FILE));
        let text = std::fs::read(from).map_err(RepositoryError::io("read", from))?;
        private_file::write(&to, &text).map_err(RepositoryError::io("write", &to))
    }
}

/// The snapshot that is meant, once its manifest was read and everything in that was found.
async fn choose(restic: &Restic, wanted: Option<&str>) -> Result<Chosen, RepositoryError> {
    let all = snapshots::list(restic).await?;
    let snapshot = snapshots::choose(&all, wanted)?;
    let id = snapshot.short_id().to_owned();
    // Beside each other: most of the time of both is spent on the password.
    let (inventory, found) = tokio::try_join!(manifest(restic, &id, &snapshot.copies), files_in(restic, &id))?;
    compare(&id, &inventory, &found)?;
    Ok(Chosen { id, inventory })
}

/// Refuses a disk that has no room for it, before anything is written there.
fn check_room(inventory: &Inventory, into: &Path, root: Option<&Path>) -> Result<(), RepositoryError> {
    let is_blob = |path: &str| path.strip_prefix(FOLDERS[1]).is_some_and(|rest| rest.starts_with('/'));
    let (blobs, others): (Vec<_>, Vec<_>) = inventory.files.iter().partition(|entry| is_blob(&entry.path));
    let sum = |entries: &[&super::inventory::Entry]| entries.iter().map(|entry| entry.size_bytes).sum::<u64>();
    let (blobs, others) = (sum(&blobs), sum(&others) + ROOM_BESIDE_BYTES);
    let wanted = match root {
        Some(root) => vec![(into, others), (root, blobs)],
        None => vec![(into, others + blobs)],
    };
    for (dir, needed_bytes) in wanted {
        if let Some(free_bytes) = free_bytes(dir).filter(|free| *free < needed_bytes) {
            return Err(RepositoryError::NoRoom { dir: dir.to_owned(), free_bytes, needed_bytes });
        }
    }
    Ok(())
}

/// Fetches all of it into `into`, laid out as a data folder, and compares that with the manifest.
async fn fetch(restic: &Restic, chosen: &Chosen, into: &Path, root: Option<&Path>) -> Result<(), RepositoryError> {
    let Chosen { id, inventory } = chosen;
    let (roots, fetched) = (&inventory.roots, into.join(FETCHED));
    let mut parts = vec![(fetched.clone(), vec![])];
    if let Some(root) = root {
        let files = pattern(&roots.files);
        parts[0].1 = vec![OsString::from("--exclude"), files.clone()];
        parts.push((root.join(FETCHED), vec![OsString::from("--include"), files]));
    }
    for (target, chosen) in &parts {
        let mut arguments: Vec<&OsStr> = ["restore", "--no-lock", id, "--target"].map(OsStr::new).into();
        arguments.push(target.as_os_str());
        arguments.extend(chosen.iter().map(OsString::as_os_str));
        restic.succeed(FETCH, &arguments, &mut |_words| {}).await?;
    }
    lay_out(inventory, &fetched, into)?;
    match root {
        Some(root) => {
            let fetched = root.join(FETCHED);
            move_into(&below(&fetched, &roots.files), root)?;
            remove(&fetched)?;
        }
        None => move_whole(&below(&fetched, &roots.files), &into.join(FOLDERS[1]))?,
    }
    remove(&fetched)?;
    check_content(id, inventory, into, root)
}

/// Moves databases, keys and configuration from where restic put them to where they belong.
fn lay_out(inventory: &Inventory, fetched: &Path, into: &Path) -> Result<(), RepositoryError> {
    let roots = &inventory.roots;
    for entry in inventory.files.iter().filter(|entry| !entry.path.contains('/') && entry.path != CONFIG) {
        move_whole(&below(fetched, &roots.copies.join(&entry.path)), &into.join(&entry.path))?;
    }
    if let Some(config) = &roots.config {
        move_whole(&below(fetched, config), &into.join(CONFIG))?;
    }
    move_whole(&below(fetched, &roots.keys), &into.join(FOLDERS[0]))
}

/// Every file has the size, and those that change between backups the hash, of the manifest.
fn check_content(id: &str, inventory: &Inventory, into: &Path, root: Option<&Path>) -> Result<(), RepositoryError> {
    for entry in &inventory.files {
        let at = match (root, entry.path.strip_prefix("files/")) {
            (Some(root), Some(rest)) => root.join(rest),
            _ => into.join(&entry.path),
        };
        let known = std::fs::symlink_metadata(&at).map_err(RepositoryError::io("look at", &at))?;
        let same = known.is_file()
            && known.len() == entry.size_bytes
            && match entry.sha256 {
                Some(hash) => hash_file(&at).map_err(RepositoryError::io("read", &at))? == (entry.size_bytes, hash),
                None => true,
            };
        if !same {
            let what = format!("`{}` is not what was backed up", entry.path);
            return Err(RepositoryError::Damaged { snapshot: id.to_owned(), what });
        }
    }
    Ok(())
}

/// What was found when it was opened.
struct Checked {
    audit: AuditVerdict,
    files_without_bytes: u64,
}

/// Opens it as the appliance would.
async fn open(
    inventory: &Inventory,
    into: &Path,
    root: Option<&Path>,
    plan: &RestorePlan<'_>,
) -> Result<Checked, RepositoryError> {
    let taken = Taken { at: inventory.created_at, node: &inventory.node, files: inventory.files.len() };
    let audit = check(into, Arc::clone(&plan.clock), plan.act, &taken).await?;
    let files = root.map_or_else(|| into.join(FOLDERS[1]), Path::to_owned);
    let store: Arc<dyn Store> = picloud_store::open(OpenSettings::new(into), Arc::clone(&plan.clock)).await?;
    let opened = Blobs::open(&files).map_err(|error| RepositoryError::io("open", &files)(std::io::Error::other(error)));
    let report = blob_sweep::compare(store.as_ref(), &opened?, true).await;
    let report = report.map_err(|error| RepositoryError::io("look into", &files)(std::io::Error::other(error)))?;
    drop(store);
    let lock = into.join("lock");
    std::fs::remove_file(&lock).map_err(RepositoryError::io("remove", &lock))?;
    Ok(Checked { audit, files_without_bytes: report.damaged })
}

/// Writes the configuration where there is none, or one that says nothing, as a package brings it; it stays in the data
/// folder in any case.
fn put_config(text: &[u8], path: &Path, owner: Option<(u32, u32)>) -> Option<PathBuf> {
    let written = if path.exists() {
        let says_something = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        if std::fs::read_to_string(path).ok()?.lines().any(says_something) {
            return None;
        }
        // In its place, and so with the mode and owner that it has.
        std::fs::write(path, text)
    } else {
        write_config(text, path, owner)
    };
    // Who may not write there copies it by hand.
    written.ok().map(|()| path.to_owned())
}

/// It may hold a password: for the group that the appliance runs as, and nobody else.
fn write_config(text: &[u8], path: &Path, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    private_file::write(path, text)?;
    let group = nix::unistd::Group::from_name(GROUP).ok().flatten().map(|group| group.gid.as_raw());
    let Some(gid) = owner.map(|(_uid, gid)| gid).or(group) else { return Ok(()) };
    std::os::unix::fs::chown(path, None, Some(gid))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o640))
}

/// Where restic put what was at `path` on the old machine.
fn below(fetched: &Path, path: &Path) -> PathBuf {
    fetched.join(path.strip_prefix("/").unwrap_or(path))
}

/// A path as a pattern that matches only itself.
fn pattern(path: &Path) -> OsString {
    let mut text = OsString::new();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            text.push("\\");
        }
        text.push(OsStr::from_bytes(&[*byte]));
    }
    text
}

/// Gives a file or folder its place; nothing where there is none.
fn move_whole(from: &Path, to: &Path) -> Result<(), RepositoryError> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        moved => moved.map_err(RepositoryError::io("put in place", to)),
    }
}

/// Moves everything in a folder into another one.
fn move_into(from: &Path, to: &Path) -> Result<(), RepositoryError> {
    let entries = match std::fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(RepositoryError::io("look into", from))?,
    };
    for entry in entries.flatten() {
        move_whole(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), RepositoryError> {
    std::fs::remove_dir_all(folder).map_err(RepositoryError::io("remove", folder))
}

/// Restic gives everything the mode and the owner of the old machine: here it is private, and whoever runs this has it.
fn make_private(folder: &Path) -> Result<(), BackupError> {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    for_each(folder, &mut |path| {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))
    })
}
