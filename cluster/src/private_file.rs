//! Files that only their owner may read: written whole or not at all, and tightened where they stand open.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Of folders.
const FOLDER_MODE: u32 = 0o700;
/// Of files.
const FILE_MODE: u32 = 0o600;
/// What others than the owner may do, in a mode.
const OTHERS: u32 = 0o077;
/// Most bytes that are read of a key or a certificate.
const SECRET_BYTES_MAX: u64 = 1024 * 1024;

/// Where a file is written before it takes its place.
pub fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    path.with_file_name(name)
}

/// Makes a folder that nobody else may enter, and those above it.
pub fn folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Puts these bytes in the place of whatever the file holds: after a power cut it holds the one or the other.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    prepare(path, bytes)?;
    put_in_place(path)
}

/// The first half of [`write()`], for files that go together: the bytes are beside their place, down to the disk.
pub fn prepare(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        folder(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(unfinished(path))?;
    // One that an earlier attempt left behind keeps its mode.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The second half: gives a prepared file its name, for good.
pub fn put_in_place(path: &Path) -> Result<()> {
    std::fs::rename(unfinished(path), path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The file's bytes, `None` where it is not there; an error where it has more than `bytes_max`. Its mode stays as it is:
/// it may be one that somebody else has written, on a file system without modes.
pub fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let bytes = first_bytes(file, bytes_max + 1)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes")));
    }
    Ok(Some(bytes))
}

/// The file's first bytes, at most `bytes_max`; `None` where it is not there.
pub fn read_first(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>> {
    open(path)?.map(|file| first_bytes(file, bytes_max)).transpose()
}

/// The bytes of a key or a certificate, `None` where it is not there. Takes from others what they may do with the file,
/// and says so. What is far too long for one is cut, and refused by whoever knows what it must be.
pub fn read_secret(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mode = file.metadata()?.permissions().mode();
    if mode & OTHERS != 0 {
        tracing::warn!(
            file = %path.display(), mode = format!("{:o}", mode & 0o777),
            "others could read this file, which is secret; now only its owner can"
        );
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    first_bytes(file, SECRET_BYTES_MAX).map(Some)
}

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

fn first_bytes(file: File, bytes_max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_its_owners_alone_also_where_it_was_open_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/ca.key");
        assert_eq!(read_secret(&path).unwrap(), None);
        prepare(&path, b"secret").unwrap();
        assert_eq!(read_secret(&path).unwrap(), None, "a prepared file has no name yet");
        put_in_place(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path, 10).unwrap().as_deref(), Some(&b"secret"[..]));
        assert_eq!(mode(&path), 0o644, "only what is known to be a secret is tightened");
        assert_eq!(read_secret(&path).unwrap().as_deref(), Some(&b"secret"[..]));
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_file_is_replaced_whole_and_refused_where_it_is_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity/member.json");
        assert_eq!(read(&path, 10).unwrap(), None);
        write(&path, b"first").unwrap();
        std::fs::write(unfinished(&path), b"half of a sec").unwrap();
        assert_eq!(read(&path, 10).unwrap().as_deref(), Some(&b"first"[..]), "what is unfinished has no name");
        write(&path, b"second").unwrap();
        assert_eq!(read(&path, 10).unwrap().as_deref(), Some(&b"second"[..]));
        assert!(read(&path, 3).is_err());
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read(&path, 10).unwrap(), None);
    }
}
