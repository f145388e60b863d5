//! Cases of `Apps`.

use super::*;
use picloud_model::app::{AppPatch, HttpPolicy};
use picloud_model::kv::{Condition, KvRequest};
use picloud_model::limits::AppLimits;
use picloud_model::page::PageRequest;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) async fn an_app_is_made_once_and_found_by_name(store: Arc<dyn Store>) {
    assert!(store.app("kitchen").await.unwrap().is_none());
    let new = NewApp {
        name: "kitchen".to_owned(),
        hosts: vec!["kitchen.example.org".to_owned()],
        env: BTreeMap::from([("city".to_owned(), "Berlin".to_owned())]),
        limits: AppLimits { timeout_ms: Some(500), ..AppLimits::default() },
        http: HttpPolicy { allow: vec!["printer.local".to_owned()] },
        placement: BTreeMap::new(),
    };
    let made = store.create_app(&new, &act()).await.unwrap();
    assert_eq!((made.revision, made.created_at, made.updated_at), (1, NOW, NOW));
    assert_eq!(made.limits.timeout_ms, Some(500));
    assert_eq!(store.app("kitchen").await.unwrap(), Some(made));
    assert_eq!(in_the_way(store.create_app(&new, &act()).await), ["app `kitchen`"]);
}

pub(crate) async fn a_patch_changes_what_it_names_and_counts_the_revision(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    let hosts = AppPatch { hosts: Some(vec!["a.example".to_owned()]), ..AppPatch::default() };
    let patched = store.patch_app(app.id, &hosts, None, &act_at(NOW + 5)).await.unwrap().unwrap();
    assert_eq!((patched.revision, patched.updated_at, patched.created_at), (2, NOW + 5, NOW));
    assert_eq!(patched.hosts, ["a.example"]);
    assert_eq!(store.app("kitchen").await.unwrap().as_ref(), Some(&patched));
    let again = store.patch_app(app.id, &hosts, None, &act_at(NOW + 9)).await.unwrap().unwrap();
    assert_eq!(again, patched, "a patch that changes nothing counts nothing");
    let gone = picloud_model::AppId(app.id.0 + 1_000);
    assert!(store.patch_app(gone, &hosts, None, &act()).await.unwrap().is_none());
}

pub(crate) async fn a_moved_revision_refuses_a_patch_and_a_delete(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    let patch = AppPatch { hosts: Some(vec!["a.example".to_owned()]), ..AppPatch::default() };
    store.patch_app(app.id, &patch, Some(1), &act()).await.unwrap();
    assert_eq!(stale(store.patch_app(app.id, &patch, Some(1), &act()).await), (1, 2));
    assert_eq!(stale(store.delete_app(app.id, Some(1), &act()).await), (1, 2));
    assert!(store.delete_app(app.id, Some(2), &act()).await.unwrap());
    assert!(!store.delete_app(app.id, Some(2), &act()).await.unwrap());
}

pub(crate) async fn a_deleted_app_takes_everything_but_its_history_and_its_id_is_not_reused(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    store.save_script(app.id, &module("units", "const A = 1;"), None, &act()).await.unwrap();
    let hello = importing(endpoint("hello", "1"), &["units"]);
    let hello = store.save_script(app.id, &hello, None, &act()).await.unwrap();
    let revision = store.app("kitchen").await.unwrap().unwrap().revision;
    store.create_route(app.id, &route(&["GET"], "/", "hello"), revision, &act()).await.unwrap();
    let set = KvRequest::Set {
        collection: "c".to_owned(),
        key: "k".to_owned(),
        value: b"1".to_vec(),
        ttl_ms: None,
        condition: Condition::Always,
    };
    store.kv(app.id, set, NOW).await.unwrap();
    store.add_executions(vec![executions::run(app.id, "hello", 1)]).await.unwrap();

    assert!(store.delete_app(app.id, None, &act()).await.unwrap());

    assert!(store.app("kitchen").await.unwrap().is_none());
    assert!(store.app_state(app.id).await.unwrap().is_none());
    assert!(store.source(hello.hash).await.unwrap().is_none());
    assert!(store.kv_collections(app.id, NOW).await.unwrap().is_empty());
    assert_eq!(store.executions(app.id, &Default::default()).await.unwrap().items.len(), 1);
    assert_ne!(make_app(&*store, "kitchen").await.id, app.id);
}

pub(crate) async fn apps_are_listed_by_name_page_by_page(store: Arc<dyn Store>) {
    for name in ["delta", "alpha", "echo", "bravo", "charlie"] {
        make_app(&*store, name).await;
    }
    let mut names = Vec::new();
    let mut page = PageRequest { limit: Some(2), cursor: None };
    let mut pages = 0;
    loop {
        let found = store.apps(&page).await.unwrap();
        assert!(found.items.len() <= 2);
        names.extend(found.items.into_iter().map(|app| app.name));
        pages += 1;
        match found.cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!((names.join(" ").as_str(), pages), ("alpha bravo charlie delta echo", 3));
    let bad = PageRequest { limit: None, cursor: Some("zzz".to_owned()) };
    assert!(matches!(store.apps(&bad).await, Err(StoreError::BadCursor)));
}

pub(crate) async fn a_name_of_another_shape_is_refused(store: Arc<dyn Store>) {
    for name in ["", "Kitchen", "1a", "a_b", "a b", &"a".repeat(64), "../x"] {
        assert!(store.create_app(&new_app(name), &act()).await.is_err(), "{name:?}");
    }
    make_app(&*store, &"a".repeat(63)).await;
}
