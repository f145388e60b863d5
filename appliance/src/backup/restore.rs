//! Puts an archive in place of an empty data folder: all of it in one step at the end, or nothing.
//!
//! Everything is unpacked into a folder beside it, opened and checked there, and renamed. Whatever ends a restore
//! before that leaves a folder that the next one clears away.

use super::files_root::FilesRoot;
use super::{BackupError, Manifest, read};
use picloud_model::audit::{Act, AuditVerdict};
use picloud_model::clock::{Clock, UnixMs, rfc3339};
use picloud_store::{OpenSettings, Store};
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is added to the name of the data folder while it is not whole.
const UNFINISHED: &str = ".restoring";
/// Of what is in the way, so many names are told.
const NAMES_TOLD_MAX: usize = 5;
/// Bytes read from the archive at once.
const READ_BYTES: usize = 256 * 1024;

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the archive says of itself.
    pub manifest: Manifest,
    /// Whether the audit log in it is what it was.
    pub audit: AuditVerdict,
}

/// Restores `archive` into `dir`, which must not exist or be empty, and files of apps into `files_root`, where that is
/// another folder. `act` goes into the audit log.
pub async fn restore(
    archive: &Path,
    dir: &Path,
    files_root: Option<&Path>,
    clock: Arc<dyn Clock>,
    act: &Act,
    progress: &mut dyn FnMut(u64),
) -> Result<Restored, BackupError> {
    let dir = std::fs::canonicalize(dir).or_else(|_absent| std::path::absolute(dir));
    let dir = dir.map_err(BackupError::io("find", archive))?;
    let owner = refuse_data(&dir)?;
    let open = || File::open(archive).map_err(BackupError::io("open", archive));
    // Twice: what is not whole is refused before the disk is filled with it.
    let mut ignore = |_path: &str, content: &mut dyn Read| count(content, progress);
    read::read(BufReader::with_capacity(READ_BYTES, open()?), &mut ignore)?;
    let unfinished = Unfinished::begin(&dir)?;
    let into = unfinished.path.clone();
    // Within the data folder it comes into place together with that.
    let files_root = files_root.map(|root| root.strip_prefix(&dir).map_or(root.to_owned(), |within| into.join(within)));
    let files_root = files_root.as_deref().map(FilesRoot::begin).transpose()?;
    let manifest = read::read(BufReader::with_capacity(READ_BYTES, open()?), |path, content| {
        let elsewhere = files_root.as_ref().map(|root| root.unpack(path, content)).transpose()?;
        if elsewhere == Some(true) { Ok(()) } else { unpack(&into, path, content) }
    })?;
    let taken = Taken { at: manifest.created_at, node: &manifest.node, files: manifest.files.len() };
    let audit = check(&into, clock, act, &taken).await?;
    unfinished.put_in_place(&dir, owner, files_root)?;
    Ok(Restored { manifest, audit })
}

/// Refuses a folder that holds something; answers to whom an empty one belongs where that is somebody else.
pub(crate) fn refuse_data(dir: &Path) -> Result<Option<(u32, u32)>, BackupError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::io("look into", dir)(error)),
    };
    let names = entries.flatten().take(NAMES_TOLD_MAX).map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    if !names.is_empty() {
        names.sort();
        return Err(BackupError::HasData { dir: dir.to_owned(), names });
    }
    let found = std::fs::metadata(dir).map_err(BackupError::io("look at", dir))?;
    let beside = dir.parent().unwrap_or(dir);
    let beside = std::fs::metadata(beside).map_err(BackupError::io("look at", beside))?;
    if found.dev() != beside.dev() {
        return Err(not_in_place(dir, std::io::Error::from(ErrorKind::CrossesDevices)));
    }
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let others = uid.is_root() && (found.uid(), found.gid()) != (uid.as_raw(), gid.as_raw());
    Ok(others.then_some((found.uid(), found.gid())))
}

/// The folder beside the data folder, held by one restore at a time.
pub(crate) struct Unfinished {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Whether it has its place: nothing is to be removed then.
    done: bool,
    _lock: File,
}

impl Unfinished {
    /// Makes it, or takes the one that was left behind; whatever is in it goes.
    pub(crate) fn begin(dir: &Path) -> Result<Self, BackupError> {
        let mut name = dir.file_name().map(OsString::from).ok_or_else(|| {
            let source = std::io::Error::from(ErrorKind::InvalidInput);
            BackupError::NotInPlace { dir: dir.to_owned(), source, hint: "name a folder, such as /var/lib/picloud" }
        })?;
        name.push(UNFINISHED);
        let path = dir.with_file_name(name);
        let io = |source| BackupError::Io { doing: "make the folder", path: path.clone(), source };
        let parent = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(parent).map_err(BackupError::io("make the folder", parent))?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(io)?,
        }
        let lock = File::open(&path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io(std::io::Error::other("another restore is under way there")));
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        // One that was killed, or somebody else, may have left the folder, open to others, and things in it.
        lock.set_permissions(Permissions::from_mode(0o700)).map_err(io)?;
        clear(&path).map_err(io)?;
        Ok(Self { path, done: false, _lock: lock })
    }

    /// All of it is brought to the disk, and given to whom the folder belonged; then it becomes the data folder, in one
    /// step, and files that went elsewhere stay there.
    pub(crate) fn put_in_place(
        mut self,
        dir: &Path,
        owner: Option<(u32, u32)>,
        files_root: Option<FilesRoot>,
    ) -> Result<(), BackupError> {
        if let Some((uid, gid)) = owner {
            give_to(&self.path, uid, gid)?;
        }
        settle(&self.path)?;
        if let Some(root) = &files_root {
            root.settle(owner)?;
        }
        std::fs::rename(&self.path, dir).map_err(|source| not_in_place(dir, source))?;
        self.done = true;
        // From here on the data speaks of them.
        if let Some(root) = files_root {
            root.keep();
        }
        sync_folder(dir.parent().unwrap_or(dir))
    }
}

fn not_in_place(dir: &Path, source: std::io::Error) -> BackupError {
    let hint = match source.kind() {
        ErrorKind::ResourceBusy | ErrorKind::CrossesDevices => {
            "a disk is mounted there; restore into a folder on that disk, and set `data_dir` to it"
        }
        _ => "somebody else wrote there meanwhile; look what is there, and restore again",
    };
    BackupError::NotInPlace { dir: dir.to_owned(), source, hint }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            let _left_to_the_next = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn clear(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn count(content: &mut dyn Read, progress: &mut dyn FnMut(u64)) -> Result<(), BackupError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => progress(read as u64),
            Err(error) => return Err(BackupError::Damaged(error.to_string())),
        }
    }
}

/// Writes one file; the path was checked.
pub(super) fn unpack(into: &Path, path: &str, content: &mut dyn Read) -> Result<(), BackupError> {
    let target = into.join(path);
    let folder = target.parent().unwrap_or(into);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(BackupError::io("make the folder", folder))?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&target);
    let mut file = file.map_err(BackupError::io("make the file", &target))?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => file.write_all(&buffer[..read]).map_err(BackupError::io("write", &target))?,
            Err(error) => return Err(BackupError::Damaged(format!("read `{path}`: {error}"))),
        }
    }
}

/// What a backup says of itself.
pub(crate) struct Taken<'t> {
    /// When it was taken.
    pub(crate) at: UnixMs,
    /// On which machine.
    pub(crate) node: &'t str,
    /// Files in it.
    pub(crate) files: usize,
}

/// Opens what was unpacked as the appliance would, and writes down that it was restored.
pub(crate) async fn check(
    into: &Path,
    clock: Arc<dyn Clock>,
    act: &Act,
    taken: &Taken<'_>,
) -> Result<AuditVerdict, BackupError> {
    let store: Arc<dyn Store> = picloud_store::open(OpenSettings::new(into), clock).await?;
    let verdict = store.verify_audit().await?;
    let taken_at = rfc3339(taken.at);
    let after = serde_json::json!({ "taken_at": taken_at, "node": taken.node, "files": taken.files });
    store.audit_done(act, None, "backup.restore", &taken_at, after).await?;
    // Closing the store writes everything into its files.
    drop(store);
    let lock = into.join("lock");
    std::fs::remove_file(&lock).map_err(BackupError::io("remove", &lock))?;
    Ok(verdict)
}

/// Everything below `folder`, and then the folder itself.
pub(crate) fn for_each(folder: &Path, work: &mut dyn FnMut(&Path) -> std::io::Result<()>) -> Result<(), BackupError> {
    let io = || BackupError::io("read the folder", folder);
    for entry in std::fs::read_dir(folder).map_err(io())? {
        let entry = entry.map_err(io())?;
        if entry.file_type().map_err(io())?.is_dir() {
            for_each(&entry.path(), work)?;
        } else {
            work(&entry.path()).map_err(BackupError::io("finish", &entry.path()))?;
        }
    }
    work(folder).map_err(BackupError::io("finish", folder))
}

/// What is restored by root belongs to whom the folder belonged.
pub(crate) fn give_to(folder: &Path, uid: u32, gid: u32) -> Result<(), BackupError> {
    for_each(folder, &mut |path| std::os::unix::fs::lchown(path, Some(uid), Some(gid)))
}

/// All of it is on the disk before it gets its name.
pub(crate) fn settle(folder: &Path) -> Result<(), BackupError> {
    for_each(folder, &mut |path| File::open(path)?.sync_all())
}

pub(crate) fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BackupError::io("finish", folder))
}
