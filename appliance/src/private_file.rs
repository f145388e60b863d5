//! Files that only their owner may read: written whole or not at all, and tightened where they stand open.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Of folders.
const FOLDER_MODE: u32 = 0o700;
/// Of files.
const FILE_MODE: u32 = 0o600;
/// What others than the owner may do, in a mode.
const OTHERS: u32 = 0o077;
/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where a file is written before it takes its place.
pub fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    path.with_file_name(name)
}

/// Writes the file beside its place, down to the disk; [`put_in_place`] does the rest.
pub fn prepare(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(unfinished(path))?;
    // One that an earlier attempt left behind keeps its mode.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a prepared file its name, for good.
pub fn put_in_place(path: &Path) -> Result<()> {
    std::fs::rename(unfinished(path), path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The file's bytes, `None` where it is not there. Takes from others what they may do with it, and says so.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mode = file.metadata()?.permissions().mode();
    if mode & OTHERS != 0 {
        tracing::warn!(
            file = %path.display(), mode = format!("{:o}", mode & 0o777),
            "others could read this file, which is secret; now only its owner can"
        );
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_owners_alone_also_where_it_was_open_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/ca.key");
        assert_eq!(read(&path).unwrap(), None);
        prepare(&path, b"secret").unwrap();
        assert_eq!(read(&path).unwrap(), None, "a prepared file has no name yet");
        put_in_place(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"secret"[..]));
        assert_eq!(mode(&path), 0o600);
    }
}
