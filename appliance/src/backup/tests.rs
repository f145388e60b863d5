//! Archives of a real store: whole ones are read, and everything else is refused.

use super::contents::{Contents, Source, Turn};
use super::pack::pack;
use super::read::read;
use super::restore::restore;
use super::{BackupError, Manifest};
use picloud_model::app::NewApp;
use picloud_model::audit::Act;
use picloud_model::clock::{Clock, ManualClock};
use picloud_store::blobs::Blobs;
use picloud_store::{OpenSettings, Store};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::{TempDir, tempdir};

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(1_800_000_000_000))
}

fn act() -> Act {
    Act::of_appliance("pi", clock().now_ms())
}

async fn open(dir: &Path) -> Arc<dyn Store> {
    picloud_store::open(OpenSettings::new(dir), clock()).await.unwrap()
}

/// A data folder with an app, two keys and a file of an app; and its archive.
async fn archive() -> (TempDir, Vec<u8>) {
    let data = tempdir().unwrap();
    let store = open(data.path()).await;
    store.create_app(&NewApp { name: "kitchen".to_owned(), ..NewApp::default() }, &act()).await.unwrap();
    for (file, text) in [("keys/ca.key", "secret"), ("keys/ca.crt.new", "half"), ("files/a1/b2/c", "bytes of a file")] {
        let path = data.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut bytes = Vec::new();
    let contents = gather(data.path(), store.as_ref()).await.unwrap();
    pack(&contents, &mut bytes).unwrap();
    drop(contents);
    (data, bytes)
}

async fn gather(dir: &Path, store: &dyn Store) -> Result<Contents, BackupError> {
    let source = Source { data_dir: dir.to_owned(), files_root: None, blobs: None, node: "pi".to_owned() };
    Contents::gather(source, store, &Turn::default(), &act()).await
}

fn read_all(bytes: &[u8]) -> Result<(Manifest, BTreeMap<String, Vec<u8>>), BackupError> {
    let mut files = BTreeMap::new();
    let manifest = read(bytes, |path, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| BackupError::Damaged(error.to_string()))?;
        files.insert(path.to_owned(), bytes);
        Ok(())
    })?;
    Ok((manifest, files))
}

#[tokio::test]
async fn files_on_a_disk_of_their_own_are_backed_up_and_restored_there() {
    let machine = tempdir().unwrap();
    let data = machine.path().join("data");
    let store = open(&data).await;
    let (old, new) = (machine.path().join("old disk"), machine.path().join("new disk"));
    let blobs = Blobs::open(&old).unwrap();
    let mut writer = blobs.create(100).await.unwrap();
    writer.write("bytes of a file".into()).await.unwrap();
    let blob = writer.finish(None).await.unwrap();
    let unfinished = blobs.create(100).await.unwrap();
    std::fs::create_dir(old.join("lost+found")).unwrap();
    let source =
        Source { data_dir: data.clone(), files_root: Some(old), blobs: Some(blobs.clone()), node: "pi".to_owned() };
    let contents = Contents::gather(source, store.as_ref(), &Turn::default(), &act()).await.unwrap();
    assert!(!blobs.remove(blob.id).await.unwrap(), "nothing goes while it is copied");
    let archive = machine.path().join("b.tar");
    let manifest = pack(&contents, std::fs::File::create(&archive).unwrap()).unwrap();
    assert_eq!(manifest.files.iter().filter(|file| file.path.starts_with("files/")).count(), 1);
    drop((contents, unfinished));
    assert!(blobs.remove(blob.id).await.unwrap());

    std::fs::create_dir_all(new.join("lost+found")).unwrap();
    let again = machine.path().join("again");
    restore(&archive, &again, Some(&new), clock(), &act(), &mut |_bytes| {}).await.unwrap();
    let restored = Blobs::open(&new).unwrap();
    assert_eq!(restored.read_whole(&blob, 100).await.unwrap(), b"bytes of a file");
    assert!(!again.join("files").exists());
    let third = machine.path().join("third");
    let refused = restore(&archive, &third, Some(&new), clock(), &act(), &mut |_bytes| {}).await.unwrap_err();
    assert!(matches!(refused, BackupError::HasData { .. }), "{refused}");
    assert!(!third.exists());
    assert_eq!(restored.read_whole(&blob, 100).await.unwrap(), b"bytes of a file", "what was there stays");
}

#[tokio::test]
async fn an_archive_holds_what_is_durable_and_nothing_else() {
    let (data, bytes) = archive().await;
    let (manifest, files) = read_all(&bytes).unwrap();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["files/a1/b2/c", "history.db", "keys/ca.key", "picloud.db"]);
    assert_eq!(files["files/a1/b2/c"], b"bytes of a file");
    assert_eq!((manifest.format, manifest.node.as_str(), manifest.files.len()), (1, "pi", 4));
    let left = std::fs::read_dir(data.path()).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with("backup-tmp-"));
    assert_eq!(left.count(), 0, "the copies are gone");
}

#[tokio::test]
async fn an_archive_with_any_byte_changed_or_missing_is_refused() {
    let (_data, whole) = archive().await;
    let places = (0..whole.len()).step_by(397).chain(whole.len().saturating_sub(4_000)..whole.len());
    for place in places {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x20;
        let refused = read_all(&bytes).map(|_read| ()).expect_err(&format!("byte {place} of {}", whole.len()));
        assert!(matches!(refused, BackupError::Damaged(_) | BackupError::Foreign(_)), "byte {place}: {refused}");
    }
    for len in (0..whole.len()).step_by(509) {
        assert!(read_all(&whole[..len]).is_err(), "the first {len} bytes of {}", whole.len());
    }
    let mut longer = whole.clone();
    longer.extend_from_slice(b"more");
    assert!(read_all(&longer).is_err());
    longer.truncate(whole.len());
    longer.extend_from_slice(&[0; 8_192]);
    assert!(read_all(&longer).is_ok(), "zeros at the end are what tapes have");
}

#[test]
fn an_archive_that_somebody_else_made_is_refused_for_what_is_in_it() {
    let entry = |name: &[u8], kind: tar::EntryType| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut head = tar::Header::new_gnu();
        head.as_old_mut().name[..name.len()].copy_from_slice(name);
        head.set_entry_type(kind);
        head.set_size(1);
        head.set_cksum();
        archive.append(&head, &b"x"[..]).unwrap();
        archive.into_inner().unwrap()
    };
    let refused = |name: &str, kind| read_all(&entry(name.as_bytes(), kind)).map(|_read| ()).unwrap_err().to_string();
    let names = [
        "../../etc/passwd",
        "/etc/passwd",
        "keys/../../x",
        "keys//x",
        "keys/./x",
        "notes.txt",
        "admin.sock",
        "a/x.db",
        "keys",
    ];
    for name in names {
        let refused = refused(name, tar::EntryType::Regular);
        assert!(refused.contains("has no place in a backup"), "{name}: {refused}");
    }
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Fifo, tar::EntryType::Directory] {
        let refused = refused("keys/x", kind);
        assert!(refused.contains("no plain file"), "{kind:?}: {refused}");
    }
    assert!(refused("keys/x", tar::EntryType::Regular).contains("its end is missing"));
    let mut noise = [0; 4_096];
    noise.iter_mut().zip((0..=u8::MAX).cycle()).for_each(|(byte, number)| *byte = number.wrapping_mul(37));
    for bytes in [&noise[..], b"", b"not an archive"] {
        let refused = read_all(bytes).map(|_read| ()).unwrap_err();
        assert!(matches!(refused, BackupError::Foreign(_)), "{refused}");
    }
}

#[tokio::test]
async fn what_is_restored_is_private_whole_and_in_the_audit_log() {
    let (_data, bytes) = archive().await;
    let machine = tempdir().unwrap();
    let file = machine.path().join("b.tar");
    std::fs::write(&file, &bytes).unwrap();
    let dir = machine.path().join("data");
    // What a restore that was killed has left behind is in nobody's way.
    std::fs::create_dir(machine.path().join("data.restoring")).unwrap();
    std::fs::write(machine.path().join("data.restoring/picloud.db"), "half").unwrap();
    let restored = restore(&file, &dir, None, clock(), &act(), &mut |_bytes| {}).await.unwrap();
    assert!(restored.audit.intact);
    assert!(!machine.path().join("data.restoring").exists());
    for (path, mode) in
        [("", 0o700), ("keys", 0o700), ("keys/ca.key", 0o600), ("picloud.db", 0o600), ("files/a1/b2", 0o700)]
    {
        let found = std::fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
    let store = open(&dir).await;
    assert!(store.app("kitchen").await.unwrap().is_some());
    let page = store.audit(&picloud_model::audit::AuditQuery::default()).await.unwrap();
    let actions: Vec<&str> = page.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["backup.restore", "app.create"]);
    assert!(store.verify_audit().await.unwrap().intact);
}

#[tokio::test]
async fn a_folder_with_data_or_a_damaged_archive_changes_nothing() {
    let (_data, mut bytes) = archive().await;
    let machine = tempdir().unwrap();
    let (file, dir) = (machine.path().join("b.tar"), machine.path().join("data"));
    std::fs::write(&file, &bytes).unwrap();
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("notes"), "mine").unwrap();
    let refused = restore(&file, &dir, None, clock(), &act(), &mut |_bytes| {}).await.unwrap_err().to_string();
    assert!(refused.contains("is not empty: it holds notes") && refused.contains("hint:"), "{refused}");
    assert_eq!(std::fs::read_to_string(dir.join("notes")).unwrap(), "mine");
    std::fs::remove_file(dir.join("notes")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let refused = restore(&file, &dir, None, clock(), &act(), &mut |_bytes| {}).await.unwrap_err().to_string();
    assert!(refused.contains("damaged"), "{refused}");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    assert!(!machine.path().join("data.restoring").exists());
}

#[tokio::test]
async fn a_second_backup_waits_for_no_one_and_is_refused() {
    let data = tempdir().unwrap();
    let store = open(data.path()).await;
    let turn = Turn::default();
    let source = || Source { data_dir: data.path().to_owned(), files_root: None, blobs: None, node: "pi".to_owned() };
    let first = Contents::gather(source(), store.as_ref(), &turn, &act()).await.unwrap();
    let second = Contents::gather(source(), store.as_ref(), &turn, &act()).await;
    assert!(matches!(second, Err(BackupError::Busy)));
    drop(first);
    assert!(Contents::gather(source(), store.as_ref(), &turn, &act()).await.is_ok());
}
