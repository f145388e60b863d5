//! Files that only their owner may read: written whole or not at all.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Of folders.
const FOLDER_MODE: u32 = 0o700;
/// Of files.
const FILE_MODE: u32 = 0o600;

/// Where a file is written before it takes its place.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    path.with_file_name(name)
}

/// Makes a folder that nobody else may enter, and those above it.
pub(crate) fn folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Puts these bytes in the place of whatever the file holds: after a power cut it holds the one or the other.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    folder(parent)?;
    let unfinished = unfinished(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&unfinished)?;
    // One that an earlier attempt left behind keeps its mode.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(parent)?.sync_all()
}

/// The file's bytes, `None` where it is not there; an error where it has more than `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes")));
    }
    Ok(Some(bytes))
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_owners_alone_and_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity/member.json");
        assert_eq!(read(&path, 10).unwrap(), None);
        write(&path, b"first").unwrap();
        std::fs::write(unfinished(&path), b"half of a sec").unwrap();
        assert_eq!(read(&path, 10).unwrap().as_deref(), Some(&b"first"[..]), "what is unfinished has no name");
        write(&path, b"second").unwrap();
        assert_eq!(read(&path, 10).unwrap().as_deref(), Some(&b"second"[..]));
        assert!(read(&path, 3).is_err());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read(&path, 10).unwrap(), None);
    }
}
