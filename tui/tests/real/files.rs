//! Files that an app keeps: brought, looked at, changed, fetched, deleted.

use crate::world::World;
use serde_json::json;
use std::fs;

#[test]
fn a_file_is_brought_listed_changed_fetched_and_deleted() {
    let world = World::quickstart();
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(world.work().join("cat.jpg"), &bytes).unwrap();
    let metadata = format!("{{\n  \"album\": \"ünder the sofa\",\n  \"note\": \"{}\"\n}}", "x".repeat(7_000));
    let cat = world.json(&["files", "put", "photos", "cat.jpg", "--metadata", &metadata]);
    assert_eq!((&cat["name"], &cat["content_type"]), (&json!("cat.jpg"), &json!("image/jpeg")));
    assert_eq!((&cat["size"], &cat["metadata"]["album"]), (&json!(700_000), &json!("ünder the sofa")));
    let id = cat["id"].as_str().unwrap();
    assert_eq!(world.json(&["files", "collections"])["items"][0]["files"], 1);
    assert_eq!(world.json(&["files", "list", "photos", "--prefix", "cat"])["items"], json!([cat]));
    assert_eq!(world.json(&["files", "head", "photos", id]), cat);

    world.ok(&["files", "set", "photos", id, "--name", "tom.jpg"]);
    let told = world.ok(&["files", "get", "photos", id, "tom.jpg"]);
    assert!(told.contains("tom.jpg is written"), "{told}");
    assert_eq!(fs::read(world.work().join("tom.jpg")).unwrap(), bytes);

    let other = world.picloud_with_input(&["files", "put", "photos", "-", "--id", id], "other bytes");
    assert_eq!(other.code, 0, "{other:?}");
    assert_eq!(world.ok(&["files", "get", "photos", id]), "other bytes");
    let late = world.problem(4, &["files", "delete", "photos", id, "--if-match", cat["sha256"].as_str().unwrap()]);
    assert_eq!(late["code"], "precondition-failed");
    world.ok(&["files", "delete", "photos", id]);
    for arguments in [&["files", "get", "photos", id][..], &["files", "head", "photos", id]] {
        assert_eq!(world.problem(3, arguments)["code"], "not-found", "{arguments:?}");
    }
    let swept = world.ok(&["files", "sweep", "--dry-run"]);
    assert!(swept.starts_with("0 files; 0 blobs without a file"), "{swept}");
}

#[test]
fn what_is_no_file_is_refused_and_leaves_nothing() {
    let world = World::quickstart();
    fs::write(world.work().join("a.txt"), "hello").unwrap();
    assert!(world.fails(1, &["files", "put", "photos", "missing.jpg"]).contains("missing.jpg"));
    assert!(world.fails(2, &["files", "put", "photos", "-"]).contains("--name"));
    assert!(world.fails(2, &["files", "put", "photos", "a.txt", "--metadata", "[]"]).contains("no JSON object"));
    assert!(world.fails(1, &["files", "put", "a/b", "a.txt"]).contains("a/b"));
    let damaged = world.fails(3, &["files", "get", "photos", "nonsense", "b.txt"]);
    assert!(damaged.contains("files list photos"), "{damaged}");
    assert!(!world.work().join("b.txt").exists());
    assert_eq!(world.json(&["files", "collections"])["items"], json!([]));
}
