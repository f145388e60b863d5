//! A manifest is believed in nothing.

use super::inventory::{Entry, Inventory, Roots};
use super::{Repository, RepositoryError};
use crate::config::{Mode, Settings};
use picloud_model::hash::ContentHash;
use serde_json::json;

fn inventory() -> Inventory {
    let entry = |path: &str, sha256| Entry { path: path.to_owned(), size_bytes: 5, sha256 };
    Inventory {
        format: 1,
        appliance_version: "0.1.0".to_owned(),
        node: "pi".to_owned(),
        created_at: 1_800_000_000_000,
        roots: Roots {
            copies: "/data/backup-tmp-7".into(),
            keys: "/data/keys".into(),
            files: "/mnt/disk/files of apps".into(),
            config: Some("/etc/picloud/appliance.toml".into()),
        },
        files: vec![
            entry("picloud.db", Some(ContentHash::of(b"a"))),
            entry("keys/ca.key", Some(ContentHash::of(b"b"))),
            entry("files/ab/cd/0", None),
            entry("files/ab/ce/1", None),
            entry("appliance.toml", Some(ContentHash::of(b"c"))),
        ],
    }
}

#[test]
fn what_is_saved_is_the_copies_each_key_the_folders_of_blobs_and_the_configuration() {
    let targets: Vec<String> = inventory().targets().iter().map(|path| path.display().to_string()).collect();
    let expected =
        ["/data/backup-tmp-7", "/data/keys/ca.key", "/etc/picloud/appliance.toml", "/mnt/disk/files of apps/ab"];
    assert_eq!(targets, expected);
    assert_eq!(inventory().stored_at("files/ab/ce/1").display().to_string(), "/mnt/disk/files of apps/ab/ce/1");
    assert_eq!(inventory().stored_at("picloud.db").display().to_string(), "/data/backup-tmp-7/picloud.db");
}

#[test]
fn a_manifest_is_read_again_and_one_that_is_newer_or_odd_is_refused() {
    let whole = serde_json::to_value(inventory()).unwrap();
    let parse = |text: &serde_json::Value| Inventory::parse("abcd", text.to_string().as_bytes());
    assert_eq!(parse(&whole).unwrap(), inventory());
    let refused = |path: &str, value: serde_json::Value| {
        let mut odd = whole.clone();
        *odd.pointer_mut(path).unwrap() = value;
        parse(&odd).unwrap_err()
    };
    let newer = refused("/format", json!(2));
    assert!(matches!(newer, RepositoryError::Newer { found: 2, known: 1, .. }), "{newer}");
    assert!(newer.to_string().contains("version 0.1.0"), "{newer}");
    for (path, value) in [
        ("/roots/keys", json!("keys")),
        ("/roots/files", json!("/data/../etc")),
        ("/files/0/path", json!("../../etc/passwd")),
        ("/files/0/path", json!("/etc/passwd")),
        ("/files/1/path", json!("keys/../../x")),
        ("/files", json!("none")),
    ] {
        let refused = refused(path, value.clone()).to_string();
        assert!(refused.contains("abcd") || refused.contains("has no place"), "{path} {value}: {refused}");
    }
    assert!(Inventory::parse("abcd", b"hello").is_err());
}

#[test]
fn without_a_setting_the_hint_says_how_to_choose_one() {
    let settings = Settings::defaults(&Mode::Service);
    let refused = Repository::of(&settings).unwrap_err().to_string();
    assert!(refused.contains("no repository is set") && refused.contains("backup_repository = "), "{refused}");
}
