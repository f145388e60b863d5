//! An archive of a node is read whole, or refused for what is wrong with it.

use super::*;
use crate::identity::IdentityFiles;
use crate::spool::Spool;
use tempfile::tempdir;

const NOW: UnixMs = 1_800_000_000_000;

/// A node with a spool, and its archive.
fn archived(home: &Path) -> Vec<u8> {
    let data = home.join("old");
    picloud_cluster::private_file::folder(&data).unwrap();
    IdentityFiles::of(&data).key().unwrap();
    drop(Spool::open(&data, NOW).unwrap());
    std::fs::write(home.join("node.toml"), "name = \"pi2\"\n").unwrap();
    let file = home.join("node.tar");
    let manifest = back_up(&data, &home.join("node.toml"), &file, NOW).unwrap();
    assert_eq!(manifest.files.len(), 3);
    assert!(matches!(back_up(&data, &home.join("node.toml"), &file, NOW), Err(ArchiveError::FileThere(_))));
    std::fs::read(file).unwrap()
}

#[test]
fn a_node_comes_back_as_itself_and_never_gives_a_number_twice() {
    let home = tempdir().unwrap();
    archived(home.path());
    let (file, new, config) =
        (home.path().join("node.tar"), home.path().join("new"), home.path().join("etc/node.toml"));
    let restored = restore(&file, &new, &config, NOW + 1_000).unwrap();
    assert_eq!(restored.config.as_deref(), Some(config.as_path()));
    let id = |data: &Path| IdentityFiles::of(data).key_if_made().unwrap().unwrap().id().to_string();
    assert_eq!(id(&new), id(&home.path().join("old")));
    assert_eq!(restored.manifest.id, id(&new));
    let next = |data: &Path| Spool::open(data, NOW).unwrap().settled_below();
    assert!(next(&new) > next(&home.path().join("old")) + 1_000);
    assert!(!new.join("restoring").exists());
    let refused = restore(&file, &new, &config, NOW).unwrap_err();
    assert!(refused.to_string().contains("picloud-node reset"), "{refused}");
    // Where one is there already the configuration stays, and the other one lies beside the data.
    let third = home.path().join("third");
    assert_eq!(restore(&file, &third, &config, NOW).unwrap().config, Some(third.join("node.toml")));
}

#[test]
fn an_archive_with_a_byte_changed_or_missing_is_refused_and_no_node_is_made() {
    let home = tempdir().unwrap();
    let whole = archived(home.path());
    let (file, new) = (home.path().join("odd.tar"), home.path().join("new"));
    let refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let refused = restore(&file, &new, &home.path().join("node.toml"), NOW);
        assert!(!new.join("identity").exists() && !new.join("spool.db").exists());
        refused.map(|_restored| ()).unwrap_err().to_string()
    };
    // The contents of the first entry; and one byte of each block with something in it.
    for block in whole.chunks(512).enumerate().filter(|(_at, block)| block[0] != 0).map(|(at, _block)| at) {
        let mut bytes = whole.clone();
        bytes[block * 512] ^= 1;
        let said = refused(&bytes);
        assert!(said.contains("damaged") || said.contains("no backup of a node"), "block {block}: {said}");
    }
    for len in (0..whole.len() - 2_048).step_by(1_009) {
        refused(&whole[..len]);
    }
    assert!(refused(b"hello").contains("no backup of a node"));
    let newer = String::from_utf8_lossy(&whole).replace("\"format\": 1", "\"format\": 7");
    assert!(refused(newer.as_bytes()).contains("hint:"));
}

#[test]
fn a_newer_form_is_refused_with_the_version_that_reads_it() {
    let refused = read::parse(br#"{"format": 2, "node_version": "9.1.0", "more": 1}"#).unwrap_err().to_string();
    assert!(refused.contains("format 2") && refused.contains("version 9.1.0"), "{refused}");
}
