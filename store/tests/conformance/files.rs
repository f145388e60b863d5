//! Rows of files: versions, expectations, quota, pages, events, the audit log, and blobs that are nobody's any more.

use super::{NOW, act, endpoint, make_app, stale};
use picloud_model::audit::AuditQuery;
use picloud_model::event::Cause;
use picloud_model::file::{FilePatch, FileQuery, NewFile};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, FileId};
use picloud_model::limits::Limits;
use picloud_store::{FileChange, FileExpected, FileWrite, Store, StoreError, StoredBlob, TriggerWrite};
use std::sync::Arc;
use uuid::Uuid;

const QUOTA: u64 = 1_000;

fn cause() -> Cause {
    Cause::first(NOW, &Limits::default())
}

/// Bytes that nobody looks for on a disk.
pub(crate) fn blob(bytes: &str) -> StoredBlob {
    let sha256 = ContentHash::of(bytes.as_bytes());
    StoredBlob { id: Uuid::now_v7(), size_bytes: bytes.len() as u64, sha256, pieces: vec![sha256] }
}

pub(crate) fn write(name: &str, bytes: &str) -> FileWrite {
    FileWrite {
        collection: "photos".to_owned(),
        id: FileId::new(),
        file: NewFile {
            name: name.to_owned(),
            content_type: "text/plain".to_owned(),
            metadata: r#"{"album":"summer"}"#.to_owned(),
        },
        blob: blob(bytes),
        quota_bytes: QUOTA,
    }
}

fn change(id: FileId) -> FileChange {
    FileChange {
        collection: "photos".to_owned(),
        id,
        expected: FileExpected::Anything,
        patch: FilePatch::default(),
        blob: None,
        quota_bytes: QUOTA,
    }
}

async fn names(store: &dyn Store, app: AppId, query: &FileQuery) -> (Vec<String>, Option<String>) {
    let page = store.files(app, "photos", query).await.unwrap();
    (page.items.into_iter().map(|file| file.name).collect(), page.cursor)
}

pub(crate) async fn a_file_keeps_what_is_not_named_and_each_change_is_a_version(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let first = write("a.txt", "one");
    let (id, first_blob) = (first.id, first.blob.clone());
    let made = store.create_file(app, first, &cause(), None).await.unwrap();
    assert_eq!((made.id, made.size, made.sha256), (id, 3, ContentHash::of(b"one")));
    let found = store.file(app, "photos", id).await.unwrap().unwrap();
    assert_eq!((found.file, found.blob), (made.clone(), first_blob.clone()));

    let renamed =
        FileChange { patch: FilePatch { name: Some("b.txt".to_owned()), ..FilePatch::default() }, ..change(id) };
    let later = Cause { at: NOW + 1, ..cause() };
    let renamed = store.update_file(app, renamed, &later, None).await.unwrap().unwrap();
    assert!(renamed.version > made.version);
    assert_eq!((renamed.name.as_str(), renamed.updated_at, renamed.created_at), ("b.txt", NOW + 1, NOW));
    assert_eq!((&renamed.metadata, renamed.sha256), (&made.metadata, made.sha256), "what is not named stays");
    assert!(store.dropped_blobs(10).await.unwrap().is_empty(), "it has its bytes still");

    let second_blob = blob("two!");
    let other = FileChange { blob: Some(second_blob.clone()), ..change(id) };
    let changed = store.update_file(app, other, &cause(), None).await.unwrap().unwrap();
    assert_eq!((changed.size, changed.sha256, changed.name.as_str()), (4, second_blob.sha256, "b.txt"));
    assert_eq!(store.file(app, "photos", id).await.unwrap().unwrap().blob, second_blob);
    assert_eq!(store.dropped_blobs(10).await.unwrap(), [first_blob.id]);
    assert!(store.update_file(app, change(FileId::new()), &cause(), None).await.unwrap().is_none());
    assert!(store.file(app, "others", id).await.unwrap().is_none(), "it is in its collection only");
}

pub(crate) async fn a_file_that_is_not_what_was_expected_is_left(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let made = store.create_file(app, write("a.txt", "one"), &cause(), None).await.unwrap();
    let (right, wrong) = (made.version, made.version + 1);
    let at = |expected| FileChange { expected, blob: Some(blob("other")), ..change(made.id) };
    assert_eq!(stale(store.update_file(app, at(FileExpected::Version(wrong)), &cause(), None).await), (wrong, right));
    let other = FileExpected::Sha256(ContentHash::of(b"other"));
    let refused = store.update_file(app, at(other), &cause(), None).await.unwrap_err();
    assert!(matches!(refused, StoreError::OtherBytes { actual, .. } if actual == made.sha256), "{refused}");
    let refused = store.delete_file(app, "photos", made.id, other, &cause(), None).await.unwrap_err();
    assert!(matches!(refused, StoreError::OtherBytes { .. }), "{refused}");
    assert_eq!(store.file(app, "photos", made.id).await.unwrap().unwrap().file, made, "nothing changed");
    let held = FileExpected::Sha256(made.sha256);
    assert!(store.update_file(app, at(held), &cause(), None).await.unwrap().is_some());
    assert!(store.delete_file(app, "photos", made.id, FileExpected::Anything, &cause(), None).await.unwrap());
    assert!(!store.delete_file(app, "photos", made.id, FileExpected::Anything, &cause(), None).await.unwrap());
}

pub(crate) async fn the_quota_holds_for_all_files_of_an_app_and_shrinking_is_always_allowed(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let other = make_app(&*store, "garden").await.id;
    let large = "x".repeat(600);
    let made = store.create_file(app, write("a", &large), &cause(), None).await.unwrap();
    let refused = store.create_file(app, write("b", &large), &cause(), None).await.unwrap_err();
    assert!(matches!(refused, StoreError::Quota { used_bytes: 600, limit_bytes: QUOTA }), "{refused}");
    store.create_file(other, write("b", &large), &cause(), None).await.unwrap();
    let of =
        |size: usize, quota_bytes| FileChange { blob: Some(blob(&"y".repeat(size))), quota_bytes, ..change(made.id) };
    assert!(store.update_file(app, of(1_001, QUOTA), &cause(), None).await.is_err());
    store.update_file(app, of(1_000, QUOTA), &cause(), None).await.unwrap();
    assert_eq!(used_bytes(&*store, app).await, 1_000);
    // The limit was lowered since: less is let in, more is not.
    store.update_file(app, of(900, 10), &cause(), None).await.unwrap();
    assert!(store.update_file(app, of(901, 10), &cause(), None).await.is_err());
    store.delete_file(app, "photos", made.id, FileExpected::Anything, &cause(), None).await.unwrap();
    assert_eq!((used_bytes(&*store, app).await, used_bytes(&*store, other).await), (0, 600));
}

/// As a file without any room is refused.
async fn used_bytes(store: &dyn Store, app: AppId) -> u64 {
    let refused = store.create_file(app, FileWrite { quota_bytes: 0, ..write("a", "b") }, &cause(), None).await;
    match refused.unwrap_err() {
        StoreError::Quota { used_bytes, .. } => used_bytes,
        other => panic!("{other}"),
    }
}

pub(crate) async fn files_are_listed_by_name_and_id_page_by_page(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    for name in ["b", "a/2", "a/1", "a/1", "ä"] {
        store.create_file(app, write(name, name), &cause(), None).await.unwrap();
    }
    let query = FileQuery { prefix: String::new(), cursor: None, limit: 10 };
    assert_eq!(names(&*store, app, &query).await, (["a/1", "a/1", "a/2", "b", "ä"].map(str::to_owned).to_vec(), None));
    let mut query = FileQuery { prefix: "a/".to_owned(), cursor: None, limit: 1 };
    let mut seen = Vec::new();
    loop {
        let (page, cursor) = names(&*store, app, &query).await;
        seen.extend(page);
        query.cursor = cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a/1", "a/1", "a/2"], "files of the same name are each on one page");
    query = FileQuery { prefix: "a/".to_owned(), cursor: None, limit: 1 };
    let (_page, cursor) = names(&*store, app, &query).await;
    for (prefix, cursor) in [("b", cursor.unwrap()), ("", "nonsense".to_owned())] {
        let query = FileQuery { prefix: prefix.to_owned(), cursor: Some(cursor), limit: 1 };
        assert!(matches!(store.files(app, "photos", &query).await, Err(StoreError::BadCursor)), "{prefix}");
    }
    let collections = store.file_collections(app).await.unwrap();
    assert_eq!((collections.len(), collections[0].files, collections[0].size_bytes), (1, 5, 12));
}

pub(crate) async fn blobs_of_removed_files_and_apps_are_told_until_they_are_forgotten(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    let (one, two) = (write("one", "1"), write("two", "2"));
    let (one_blob, two_blob, unknown) = (one.blob.id, two.blob.id, Uuid::now_v7());
    let (one_id, two_id) = (one.id, two.id);
    store.create_file(app.id, one, &cause(), None).await.unwrap();
    store.create_file(app.id, two, &cause(), None).await.unwrap();
    assert_eq!(store.unused_blobs(&[one_blob, unknown, two_blob]).await.unwrap(), [unknown]);
    let rows = store.files_by_blob(None, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| (row.blob, row.id)).collect::<Vec<_>>(), [(one_blob, one_id), (two_blob, two_id)]);
    assert_eq!(store.files_by_blob(Some(one_blob), 10).await.unwrap().len(), 1);

    store.delete_file(app.id, "photos", one_id, FileExpected::Anything, &cause(), None).await.unwrap();
    let signal = store.blobs_dropped();
    signal.notified().await;
    assert_eq!(store.dropped_blobs(10).await.unwrap(), [one_blob]);
    assert!(store.delete_app(app.id, None, &act()).await.unwrap());
    assert_eq!(store.dropped_blobs(10).await.unwrap(), [one_blob, two_blob], "a file also goes with its app");
    store.forget_dropped(vec![one_blob]).await.unwrap();
    assert_eq!(store.dropped_blobs(10).await.unwrap(), [two_blob]);
    let refused = store.create_file(app.id, write("late", "3"), &cause(), None).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused}");
}

pub(crate) async fn each_change_of_a_file_is_one_event_without_its_bytes_or_neither_is_there(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    store.save_script(app, &endpoint("on_photo", "()"), None, &act()).await.unwrap();
    let spec = serde_json::from_value(serde_json::json!({
        "name": "on-photo", "kind": "files", "collection": "photos", "prefix": "a", "script": "on_photo",
    }));
    let trigger = TriggerWrite { spec: spec.unwrap(), next_at: None };
    store.put_trigger(app, &trigger, None, &act()).await.unwrap();
    let made = store.create_file(app, write("a", "one"), &cause(), None).await.unwrap();
    store.create_file(app, write("b", "one"), &cause(), None).await.unwrap();
    let changed = FileChange { blob: Some(blob("two")), ..change(made.id) };
    let changed = store.update_file(app, changed, &cause(), None).await.unwrap().unwrap();
    store.delete_file(app, "photos", made.id, FileExpected::Anything, &cause(), None).await.unwrap();
    let too_large = FileWrite { quota_bytes: 1, ..write("a", "large") };
    assert!(store.create_file(app, too_large, &cause(), None).await.is_err());
    let refused = FileChange { expected: FileExpected::Version(0), ..change(made.id) };
    assert!(store.update_file(app, refused, &cause(), None).await.unwrap().is_none());

    let claimed = store.claim_deliveries(10, NOW).await.unwrap();
    let mut told = Vec::new();
    for delivery in &claimed.deliveries {
        let event: serde_json::Value = serde_json::from_slice(&delivery.event.to_json(None, 1)).unwrap();
        assert_eq!((&event["kind"], &event["collection"]), (&"files".into(), &"photos".into()));
        assert_eq!(event["file"]["metadata"]["album"], "summer");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        told.push((text(&event["op"]), text(&event["file"]["sha256"])));
    }
    told.sort();
    let (one, two) = (made.sha256.to_string(), changed.sha256.to_string());
    assert_eq!(told, [("create".to_owned(), one), ("delete".to_owned(), two.clone()), ("update".to_owned(), two)]);
}

pub(crate) async fn what_is_done_to_a_file_by_hand_is_noted_and_what_a_script_does_is_not(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let by_script = store.create_file(app, write("s", "one"), &cause(), None).await.unwrap();
    store.delete_file(app, "photos", by_script.id, FileExpected::Anything, &cause(), None).await.unwrap();
    let made = store.create_file(app, write("a", "one"), &cause(), Some(&act())).await.unwrap();
    let changed = FileChange { blob: Some(blob("two")), ..change(made.id) };
    store.update_file(app, changed, &cause(), Some(&act())).await.unwrap();
    store.delete_file(app, "photos", made.id, FileExpected::Anything, &cause(), Some(&act())).await.unwrap();
    let page = store.audit(&AuditQuery::default()).await.unwrap();
    let mut entries: Vec<_> = page.items.iter().filter(|entry| entry.action.starts_with("file.")).collect();
    entries.reverse();
    let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["file.create", "file.update", "file.delete"]);
    for entry in entries {
        assert_eq!((entry.target.clone(), entry.app.as_deref()), (format!("photos/{}", made.id), Some("kitchen")));
    }
}

pub(crate) async fn a_signature_is_used_once_and_forgotten_after_its_time(store: Arc<dyn Store>) {
    let (one, two) = (ContentHash::of(b"one"), ContentHash::of(b"two"));
    let used = async |token, now| store.use_signature_once(token, 1_000, now).await.unwrap();
    assert!(used(one, 10).await && used(two, 20).await);
    assert!(!used(one, 30).await && !used(two, 1_000).await, "up to the last moment");
    assert!(used(one, 1_001).await && used(two, 1_002).await, "they were forgotten");
}
