//! The backup that a new appliance begins with: what the card says of it is written down for root alone, before the
//! secrets go from the card, and stays until the backup is in its place or the card says nothing of it any more.
//!
//! The program itself brings it back, once there is a network and before it serves.

use super::disk::Disk;
use super::{Machine, STATE_FOLDER};
use crate::private_file;
use picloud_model::boot_file::{BootFile, BootSecret};
use picloud_model::script::Diagnostic;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The file that says what is to be restored.
pub(super) const WANTED_FILE: &str = "/var/lib/picloud-first-boot/restore.toml";
/// The file that says what was.
const RESTORED_FILE: &str = "restored";
/// Where one attempt keeps what it needs.
const WORK_FOLDER: &str = "restoring";
/// Largest file with what is wanted.
const WANTED_BYTES_MAX: u64 = 64 * 1024;

/// What is to be restored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Where the backups are.
    pub repository: String,
    /// The repository's password.
    pub password: String,
    /// Which of its backups; the newest where absent.
    pub snapshot: Option<String>,
    /// The id of a bucket's access key.
    pub s3_access_key: Option<String>,
    /// Its secret.
    pub s3_secret_key: Option<String>,
    /// The bucket's region.
    pub s3_region: Option<String>,
    /// The private key that the machine lets in where the repository is.
    pub ssh_key: Option<String>,
    /// That machine's public key.
    pub ssh_host_key: Option<String>,
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, snapshot, .. } = self;
        write!(f, "Wanted {{ repository: {repository:?}, snapshot: {snapshot:?}, … }}")
    }
}

/// What is to be restored on this machine, if anything is.
pub fn wanted(machine: &Machine) -> Result<Option<Wanted>> {
    of(&Disk::new(machine))
}

/// A folder of root's own for an attempt, as it was left, if one was.
pub fn work_folder(machine: &Machine) -> Result<PathBuf> {
    let folder = Disk::new(machine).at(Path::new(STATE_FOLDER).join(WORK_FOLDER));
    private_file::folder(&folder)?;
    Ok(folder)
}

/// It is in its place: nothing is wanted any more, and the secrets of the attempt go.
pub fn done(machine: &Machine, snapshot: &str) -> Result<()> {
    let disk = Disk::new(machine);
    let text = format!("{snapshot}\n");
    disk.write(Path::new(STATE_FOLDER).join(RESTORED_FILE), text.as_bytes(), super::disk::PUBLIC, None)?;
    disk.remove_file(WANTED_FILE)?;
    disk.remove_folder(&Path::new(STATE_FOLDER).join(WORK_FOLDER))
}

fn of(disk: &Disk) -> Result<Option<Wanted>> {
    let Some(bytes) = private_file::read(&disk.at(WANTED_FILE), WANTED_BYTES_MAX)? else { return Ok(None) };
    let broken = || Error::new(ErrorKind::InvalidData, format!("`{WANTED_FILE}` is broken: write [restore] anew"));
    let text = std::str::from_utf8(&bytes).map_err(|_no_text| broken())?;
    toml::from_str(text).map(Some).map_err(|_other| broken())
}

/// What is to be written down, for a file that asks for a restore; nothing where that was done before.
pub(super) fn plan(file: &BootFile, disk: &Disk, faults: &mut Vec<Diagnostic>) -> Option<String> {
    let repository = file.restore.repository.clone()?;
    let before = of(disk).unwrap_or_default();
    let is_erased = |secret: &Option<BootSecret>| *secret == Some(BootSecret::Erased);
    if is_erased(&file.restore.password) && before.is_none() && was_done(disk) {
        return None;
    }
    let mut secret = |key: &str, given: &Option<BootSecret>, kept: Option<String>| {
        let value = match given {
            Some(BootSecret::Given(value)) => Some(value.clone()),
            Some(BootSecret::Erased) => kept,
            None => return None,
        };
        if value.is_none() {
            let message = format!("`{key}` was erased after use, and this machine does not have it");
            faults.push(file.fault(key, message, "write it again; the password stands on the recovery sheet"));
        }
        value
    };
    let password = secret("restore.password", &file.restore.password, before.as_ref().map(|it| it.password.clone()));
    let kept = before.as_ref().and_then(|it| it.s3_secret_key.clone());
    let s3_secret_key = secret("restore.s3_secret_key", &file.restore.s3_secret_key, kept);
    let kept = before.as_ref().and_then(|it| it.ssh_key.clone());
    let ssh_key = secret("restore.ssh_key", &file.restore.ssh_key, kept);
    let wanted = Wanted {
        repository,
        password: password?,
        snapshot: file.restore.snapshot.clone(),
        s3_access_key: file.restore.s3_access_key.clone(),
        s3_secret_key,
        s3_region: file.restore.s3_region.clone(),
        ssh_key,
        ssh_host_key: file.restore.ssh_host_key.clone(),
    };
    toml::to_string(&wanted).ok()
}

/// Whether a backup came back before.
pub(super) fn was_done(disk: &Disk) -> bool {
    disk.at(Path::new(STATE_FOLDER).join(RESTORED_FILE)).exists()
}
