//! Cases of `Scripts`.

use super::*;
use picloud_model::hash::ContentHash;
use picloud_model::ids::ExecutionId;
use picloud_model::page::PageRequest;
use picloud_model::script::SDK_VERSION;
use std::sync::Arc;

pub(crate) async fn each_save_of_a_new_source_is_a_version_and_an_old_one_stays(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    let first = store.save_script(app.id, &endpoint("hello", "1"), None, &act()).await.unwrap();
    assert_eq!((first.version, first.hash, first.size_bytes), (1, ContentHash::of(b"1"), 1));
    assert_eq!((first.updated_at, first.quarantine), (NOW, None));
    let same = store.save_script(app.id, &endpoint("hello", "1"), None, &act()).await.unwrap();
    assert_eq!(same.version, 1, "the same source is no new version");
    assert_eq!(store.app("kitchen").await.unwrap().unwrap().revision, 2, "and no change of the app");
    let later = Act { who: person("bob"), message: None, ..act_at(NOW + 7) };
    let second = store.save_script(app.id, &endpoint("hello", "22"), None, &later).await.unwrap();
    assert_eq!((second.id, second.version, second.size_bytes, second.updated_at), (first.id, 2, 2, NOW + 7));

    let (script, live) = store.script(app.id, "hello").await.unwrap().unwrap();
    assert_eq!(script, second);
    assert_eq!((live.version, live.source.as_deref(), live.author.as_str()), (2, Some("22"), "bob"));
    let old = store.version(first.id, 1).await.unwrap().unwrap();
    assert_eq!(old.source.as_deref(), Some("1"));
    assert_eq!((old.author.as_str(), old.message.as_deref(), old.created_at), ("ada", Some("because"), NOW));
    assert_eq!((old.sdk_version.as_str(), old.kind), (SDK_VERSION, ScriptKind::Endpoint));
    assert!(store.version(first.id, 3).await.unwrap().is_none());
    assert!(store.script(app.id, "other").await.unwrap().is_none());
    assert_eq!(store.source(ContentHash::of(b"1")).await.unwrap().as_deref(), Some("1"));
}

pub(crate) async fn the_version_that_is_expected_must_be_live(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    let save = |source: &str, expected| {
        let script = endpoint("hello", source);
        let store = store.clone();
        async move { store.save_script(app.id, &script, expected, &act()).await }
    };
    assert_eq!(stale(save("1", Some(3)).await), (3, 0));
    save("1", Some(0)).await.unwrap();
    assert_eq!(stale(save("2", Some(0)).await), (0, 1));
    save("2", Some(1)).await.unwrap();
    assert_eq!(stale(save("3", Some(1)).await), (1, 2));
    assert_eq!(stale(store.delete_script(app.id, "hello", Some(1), false, &act()).await), (1, 2));
    assert!(store.delete_script(app.id, "hello", Some(2), false, &act()).await.unwrap());
    assert!(!store.delete_script(app.id, "hello", None, false, &act()).await.unwrap());
}

pub(crate) async fn imports_must_exist_and_be_modules(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    let other = make_app(&*store, "garden").await;
    store.save_script(other.id, &module("units", "fn a() {}"), None, &act()).await.unwrap();
    store.save_script(app.id, &endpoint("page", "1"), None, &act()).await.unwrap();
    let script = importing(endpoint("hello", "2"), &["units", "page"]);
    let missing = in_the_way(store.save_script(app.id, &script, None, &act()).await);
    assert_eq!(missing, ["module `units`", "module `page`"], "another app's is none of ours, an endpoint no module");
    assert!(store.script(app.id, "hello").await.unwrap().is_none(), "nothing was saved");
}

pub(crate) async fn who_imports_whom_is_known_both_ways(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    let save = |script: ScriptWrite| {
        let store = store.clone();
        async move { store.save_script(app.id, &script, None, &act()).await.unwrap() }
    };
    let units = save(module("units", "fn a() {}")).await;
    let lengths = save(importing(module("lengths", "fn b() {}"), &["units"])).await;
    let hello = save(importing(endpoint("hello", "1"), &["units", "lengths"])).await;
    assert_eq!(store.imports(hello.id).await.unwrap(), ["lengths", "units"]);
    let importers = store.importers(units.id).await.unwrap();
    assert_eq!(importers, [hello.clone(), lengths.clone()]);
    let hello = save(importing(endpoint("hello", "2"), &["lengths"])).await;
    assert_eq!(store.imports(hello.id).await.unwrap(), ["lengths"]);
    assert_eq!(store.importers(units.id).await.unwrap(), [lengths]);
}

pub(crate) async fn a_script_in_use_keeps_its_kind_and_is_not_deleted_without_force(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    store.save_script(app.id, &module("units", "fn a() {}"), None, &act()).await.unwrap();
    store.save_script(app.id, &importing(endpoint("hello", "1"), &["units"]), None, &act()).await.unwrap();
    let revision = store.app("kitchen").await.unwrap().unwrap().revision;
    let get = route(&["GET"], "/a/{b}", "hello");
    store.create_route(app.id, &get, revision, &act()).await.unwrap();

    let to_module = store.save_script(app.id, &module("hello", "fn a() {}"), None, &act()).await;
    assert_eq!(in_the_way(to_module), ["route GET /a/{b}"]);
    let to_endpoint = store.save_script(app.id, &endpoint("units", "1"), None, &act()).await;
    assert_eq!(in_the_way(to_endpoint), ["endpoint `hello`"]);
    assert_eq!(in_the_way(store.delete_script(app.id, "hello", None, false, &act()).await), ["route GET /a/{b}"]);
    assert_eq!(in_the_way(store.delete_script(app.id, "units", None, false, &act()).await), ["endpoint `hello`"]);

    assert!(store.delete_script(app.id, "units", None, true, &act()).await.unwrap());
    let (hello, _version) = store.script(app.id, "hello").await.unwrap().expect("importers stay");
    assert!(store.imports(hello.id).await.unwrap().is_empty());
    assert!(store.delete_script(app.id, "hello", None, true, &act()).await.unwrap());
    assert!(store.routes(app.id, &PageRequest::default()).await.unwrap().items.is_empty(), "its routes went along");
}

pub(crate) async fn sources_are_shared_and_go_with_their_last_version(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    let other = make_app(&*store, "garden").await;
    store.save_script(app.id, &endpoint("hello", "shared"), None, &act()).await.unwrap();
    store.save_script(app.id, &endpoint("hello", "newer"), None, &act()).await.unwrap();
    store.save_script(other.id, &endpoint("hello", "shared"), None, &act()).await.unwrap();
    let shared = ContentHash::of(b"shared");
    store.delete_script(app.id, "hello", None, false, &act()).await.unwrap();
    assert!(store.source(shared).await.unwrap().is_some());
    assert!(store.source(ContentHash::of(b"newer")).await.unwrap().is_none());
    store.delete_script(other.id, "hello", None, false, &act()).await.unwrap();
    assert!(store.source(shared).await.unwrap().is_none());
}

pub(crate) async fn a_version_that_crashes_three_times_is_quarantined_until_released_or_replaced(
    store: Arc<dyn Store>,
) {
    let app = make_app(&*store, "kitchen").await;
    store.save_script(app.id, &endpoint("bad", "1"), None, &act()).await.unwrap();
    let crash = |version, run| {
        let store = store.clone();
        async move { store.record_crash(app.id, "bad", version, run, 3, &act_at(NOW + 9)).await.unwrap() }
    };
    let quarantine = || async { store.script(app.id, "bad").await.unwrap().unwrap().0.quarantine };
    let runs = [ExecutionId::new(), ExecutionId::new(), ExecutionId::new()];
    let before = store.app("kitchen").await.unwrap().unwrap().revision;
    assert_eq!([crash(1, runs[0]).await, crash(1, runs[1]).await], [1, 2]);
    assert_eq!(quarantine().await, None);
    assert_eq!(crash(1, runs[2]).await, 3);
    let found = quarantine().await.unwrap();
    assert_eq!((found.version, found.crashes, found.execution_id, found.since), (1, 3, runs[2], NOW + 9));
    assert_eq!(store.app("kitchen").await.unwrap().unwrap().revision, before + 1);
    let snapshot = store.app_snapshot(app.id).await.unwrap().unwrap();
    assert_eq!(snapshot.script("bad").unwrap().quarantined_after_crashes, Some(3));
    assert_eq!(crash(1, ExecutionId::new()).await, 3, "a run that was still under way");
    assert_eq!(quarantine().await.unwrap(), found);

    assert!(store.release_script(app.id, "bad", &act()).await.unwrap());
    assert!(!store.release_script(app.id, "bad", &act()).await.unwrap(), "there is nothing left to release");
    assert_eq!(quarantine().await, None);
    for run in runs {
        crash(1, run).await;
    }
    assert!(quarantine().await.is_some());
    store.save_script(app.id, &endpoint("bad", "2"), None, &act()).await.unwrap();
    assert_eq!(quarantine().await, None, "a new version is run again");
    let snapshot = store.app_snapshot(app.id).await.unwrap().unwrap();
    assert_eq!(snapshot.script("bad").unwrap().quarantined_after_crashes, None);
    let released = store.audit_last().await.unwrap();
    assert!(
        store.release_script(app.id, "bad", &act()).await.unwrap(),
        "a version that is not live can still be named"
    );
    assert_eq!(store.audit_last().await.unwrap(), released + 1);
    assert_eq!(crash(9, runs[0]).await, 0, "a version that does not exist is not counted");
}

pub(crate) async fn scripts_and_versions_are_listed_page_by_page(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    for name in ["c", "a", "d", "b"] {
        store.save_script(app.id, &endpoint(name, name), None, &act()).await.unwrap();
    }
    store.save_script(app.id, &module("m", "fn a() {}"), None, &act()).await.unwrap();
    let first = PageRequest { limit: Some(3), cursor: None };
    let page = store.scripts(app.id, None, &first).await.unwrap();
    let rest = PageRequest { limit: Some(3), cursor: page.cursor.clone() };
    let rest = store.scripts(app.id, None, &rest).await.unwrap();
    let names: Vec<String> = page.items.into_iter().chain(rest.items).map(|script| script.name).collect();
    assert_eq!((names.join(""), rest.cursor), ("abcdm".to_owned(), None));
    let modules = store.scripts(app.id, Some(ScriptKind::Module), &first).await.unwrap();
    assert_eq!(modules.items.len(), 1);

    for source in ["1", "2", "3", "4"] {
        store.save_script(app.id, &endpoint("a", source), None, &act()).await.unwrap();
    }
    let (a, _version) = store.script(app.id, "a").await.unwrap().unwrap();
    let page = store.versions(a.id, &first).await.unwrap();
    let rest = PageRequest { limit: Some(3), cursor: page.cursor.clone() };
    let rest = store.versions(a.id, &rest).await.unwrap();
    assert!(page.items.iter().all(|version| version.source.is_none()), "lists have no sources");
    let numbers: Vec<i64> = page.items.into_iter().chain(rest.items).map(|version| version.version).collect();
    assert_eq!((numbers, rest.cursor), (vec![5, 4, 3, 2, 1], None));
}
