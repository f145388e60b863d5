//! Cases of `Deploys`.

use super::*;
use picloud_model::hash::ContentHash;
use picloud_store::{AppState, StaticWrite};
use std::sync::Arc;

fn file(path: &str, bytes: &[u8]) -> StaticWrite {
    StaticWrite { path: path.to_owned(), bytes: bytes.to_vec() }
}

fn kitchen() -> DeployWrite {
    let mut deploy = deploy_of("kitchen");
    deploy.app.hosts = vec!["kitchen.example.org".to_owned()];
    deploy.app.env.insert("city".to_owned(), "Berlin".to_owned());
    // The importer comes first: imports may go in any direction.
    deploy.scripts = vec![importing(endpoint("hello", "1"), &["units"]), module("units", "fn a() {}")];
    deploy.routes = vec![route(&["GET"], "/z", "hello"), route(&[], "/a", "hello")];
    deploy.static_files = vec![file("index.html", b"<h1>"), file("css/x.css", b"a{}")];
    deploy
}

async fn state(store: &dyn Store, name: &str) -> AppState {
    let app = store.app(name).await.unwrap().unwrap();
    store.app_state(app.id).await.unwrap().unwrap()
}

/// Everything of the state that a change would show in.
fn shown(state: &AppState) -> String {
    format!("{state:?}")
}

pub(crate) async fn a_deploy_makes_the_app_exactly_this(store: Arc<dyn Store>) {
    let app = store.deploy(kitchen(), &act()).await.unwrap();
    assert_eq!((app.revision, app.hosts.len(), app.env["city"].as_str()), (1, 1, "Berlin"));
    let found = state(&*store, "kitchen").await;
    assert_eq!(found.app, app);
    let scripts: Vec<(&str, &str)> = found.scripts.iter().map(|(script, text)| (&*script.name, &**text)).collect();
    assert_eq!(scripts, [("hello", "1"), ("units", "fn a() {}")]);
    let routes: Vec<String> = found.routes.iter().map(|route| route.spec.title()).collect();
    assert_eq!(routes, ["GET /z", "* /a"]);
    let files: Vec<(&str, i64)> = found.static_files.iter().map(|file| (&*file.path, file.size_bytes)).collect();
    assert_eq!(files, [("css/x.css", 3), ("index.html", 4)]);
    assert_eq!(store.imports(found.scripts[0].0.id).await.unwrap(), ["units"]);

    let mut smaller = deploy_of("kitchen");
    smaller.expected = Some(1);
    smaller.scripts = vec![endpoint("other", "2")];
    let app = store.deploy(smaller, &act()).await.unwrap();
    assert_eq!((app.revision, app.hosts.len(), app.env.len()), (2, 0, 0));
    let found = state(&*store, "kitchen").await;
    assert_eq!((found.scripts.len(), found.routes.len(), found.static_files.len()), (1, 0, 0));
    assert!(store.source(ContentHash::of(b"1")).await.unwrap().is_none());
}

pub(crate) async fn the_same_deploy_again_is_no_change(store: Arc<dyn Store>) {
    store.deploy(kitchen(), &act()).await.unwrap();
    let before = shown(&state(&*store, "kitchen").await);
    let later = act_at(NOW + 99);
    let app = store.deploy(DeployWrite { expected: Some(1), ..kitchen() }, &later).await.unwrap();
    assert_eq!(app.revision, 1);
    assert_eq!(shown(&state(&*store, "kitchen").await), before);
}

pub(crate) async fn a_deploy_that_fails_changes_nothing(store: Arc<dyn Store>) {
    store.deploy(kitchen(), &act()).await.unwrap();
    let before = shown(&state(&*store, "kitchen").await);
    type Spoil = fn(&mut DeployWrite);
    let spoilt: &[(&str, Spoil, &str)] = &[
        ("missing import", |d| d.scripts[0].imports.push("nowhere".to_owned()), "module `nowhere`"),
        ("route to nothing", |d| d.routes.push(route(&[], "/n", "nowhere")), "route * /n"),
        ("route to a module", |d| d.routes.push(route(&[], "/n", "units")), "route * /n"),
        ("one name twice", |d| d.scripts.push(module("hello", "fn b() {}")), "hello"),
        ("one route twice", |d| d.routes.push(route(&[], "/a", "hello")), "route * /a"),
    ];
    for (what, spoil, named) in spoilt {
        let mut deploy = kitchen();
        deploy.expected = Some(1);
        deploy.app.env.insert("city".to_owned(), "Paris".to_owned());
        deploy.scripts[0].source = "changed".to_owned();
        deploy.static_files.clear();
        spoil(&mut deploy);
        assert_eq!(in_the_way(store.deploy(deploy, &act()).await), [*named], "{what}");
        assert_eq!(shown(&state(&*store, "kitchen").await), before, "{what}");
    }
    let mut new = deploy_of("garden");
    new.routes = vec![route(&[], "/", "nowhere")];
    assert!(store.deploy(new, &act()).await.is_err());
    assert!(store.app("garden").await.unwrap().is_none());
}

pub(crate) async fn a_deploy_against_a_moved_app_is_refused(store: Arc<dyn Store>) {
    assert_eq!(stale(store.deploy(DeployWrite { expected: Some(4), ..kitchen() }, &act()).await), (4, 0));
    store.deploy(kitchen(), &act()).await.unwrap();
    assert_eq!(in_the_way(store.deploy(kitchen(), &act()).await), ["app `kitchen`"]);
    assert_eq!(stale(store.deploy(DeployWrite { expected: Some(7), ..kitchen() }, &act()).await), (7, 1));
}

pub(crate) async fn what_stays_the_same_keeps_version_and_id(store: Arc<dyn Store>) {
    store.deploy(kitchen(), &act()).await.unwrap();
    let before = state(&*store, "kitchen").await;
    let mut next = DeployWrite { expected: Some(1), ..kitchen() };
    next.scripts[0].source = "2".to_owned();
    next.routes.reverse();
    next.routes.insert(1, route(&["PUT"], "/a", "hello"));
    let later = act_at(NOW + 50);
    store.deploy(next, &later).await.unwrap();
    let after = state(&*store, "kitchen").await;
    let [(hello, _), (units, _)] = &after.scripts[..] else { panic!("two scripts") };
    assert_eq!((hello.version, hello.id), (2, before.scripts[0].0.id));
    assert_eq!(units, &before.scripts[1].0);
    let titles: Vec<String> = after.routes.iter().map(|route| route.spec.title()).collect();
    assert_eq!(titles, ["* /a", "PUT /a", "GET /z"]);
    assert_eq!((after.routes[0].id, after.routes[2].id), (before.routes[1].id, before.routes[0].id));
    assert_eq!(after.static_files, before.static_files);
}

pub(crate) async fn files_may_swap_their_contents_and_bytes_without_a_file_go(store: Arc<dyn Store>) {
    store.deploy(kitchen(), &act()).await.unwrap();
    let mut swapped = DeployWrite { expected: Some(1), ..kitchen() };
    swapped.static_files = vec![file("index.html", b"a{}"), file("css/x.css", b"<h1>")];
    store.deploy(swapped, &act()).await.unwrap();
    for bytes in [b"a{}".as_slice(), b"<h1>"] {
        let stored = store.static_bytes(ContentHash::of(bytes), 0, 100).await.unwrap();
        assert_eq!(stored.as_deref(), Some(bytes));
    }
    let mut fewer = DeployWrite { expected: Some(2), ..kitchen() };
    fewer.static_files = vec![file("copy.html", b"<h1>")];
    store.deploy(fewer, &act()).await.unwrap();
    assert!(store.static_bytes(ContentHash::of(b"a{}"), 0, 100).await.unwrap().is_none());
    assert!(store.static_bytes(ContentHash::of(b"<h1>"), 0, 100).await.unwrap().is_some());
}

pub(crate) async fn a_range_of_a_static_file_is_read_across_its_pieces(store: Arc<dyn Store>) {
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let mut deploy = deploy_of("kitchen");
    deploy.static_files = vec![file("large.bin", &bytes), file("empty", b"")];
    store.deploy(deploy, &act()).await.unwrap();
    let hash = ContentHash::of(&bytes);
    for (offset, len) in [
        (0, 300_000),
        (0, u32::MAX),
        (0, 0),
        (65_535, 2),
        (65_536, 65_536),
        (131_071, 70_000),
        (299_999, 5),
        (300_000, 5),
        (u64::MAX, 5),
    ] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(usize::try_from(len).unwrap()).min(bytes.len());
        let read = store.static_bytes(hash, offset, len).await.unwrap().unwrap();
        assert!(read == bytes[start..end], "offset {offset}, len {len}: {} bytes", read.len());
    }
    assert_eq!(store.static_bytes(ContentHash::of(b""), 0, 9).await.unwrap(), Some(Vec::new()));
    assert_eq!(store.static_bytes(ContentHash::of(b"?"), 0, 9).await.unwrap(), None);
}

pub(crate) async fn a_module_may_become_an_endpoint_in_one_deploy(store: Arc<dyn Store>) {
    store.deploy(kitchen(), &act()).await.unwrap();
    let mut turned = deploy_of("kitchen");
    turned.expected = Some(1);
    turned.scripts = vec![module("hello", "fn a() {}"), importing(endpoint("units", "3"), &["hello"])];
    turned.routes = vec![route(&[], "/a", "units")];
    store.deploy(turned, &act()).await.unwrap();
    let after = state(&*store, "kitchen").await;
    let kinds: Vec<ScriptKind> = after.scripts.iter().map(|(script, _)| script.kind).collect();
    assert_eq!(kinds, [ScriptKind::Module, ScriptKind::Endpoint]);
    assert_eq!(store.importers(after.scripts[0].0.id).await.unwrap().len(), 1);
    assert!(store.importers(after.scripts[1].0.id).await.unwrap().is_empty());
}

pub(crate) async fn snapshots_hold_all_apps_and_one_app(store: Arc<dyn Store>) {
    store.deploy(kitchen(), &act()).await.unwrap();
    let mut garden = deploy_of("garden");
    garden.app.limits.timeout_ms = Some(77);
    garden.scripts = vec![endpoint("b", "1"), endpoint("a", "1"), endpoint("ab", "1")];
    garden.routes = vec![route(&[], "/garden", "a")];
    let garden = store.deploy(garden, &act()).await.unwrap();
    make_app(&*store, "empty").await;

    let mut all = store.snapshot().await.unwrap();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let [empty, first, kitchen] = &all[..] else { panic!("three apps") };
    assert!(empty.routes.is_empty() && empty.scripts.is_empty() && empty.static_files.is_empty());
    assert_eq!((first.id, first.limits.timeout_ms, first.limits.kv_calls), (garden.id, 77, 1_000));
    let names: Vec<&str> = first.scripts.iter().map(|script| &*script.name).collect();
    assert_eq!(names, ["a", "ab", "b"]);
    assert_eq!(kitchen.hosts, ["kitchen.example.org"]);
    assert_eq!(kitchen.env, [("city".to_owned(), "Berlin".to_owned())]);
    let routes: Vec<(&str, &str)> = kitchen.routes.iter().map(|route| (&*route.path, &*route.script)).collect();
    assert_eq!(routes, [("/z", "hello"), ("/a", "hello")]);
    let hello = kitchen.script("hello").unwrap();
    assert_eq!((hello.version, hello.hash), (1, ContentHash::of(b"1")));
    let css = &kitchen.static_files[0];
    assert_eq!((css.path.as_str(), css.size_bytes, css.updated_at), ("css/x.css", 3, NOW));

    for app in &all {
        let one = store.app_snapshot(app.id).await.unwrap().unwrap();
        assert_eq!(format!("{one:?}"), format!("{app:?}"));
    }
    assert!(store.app_snapshot(picloud_model::AppId(9_999)).await.unwrap().is_none());
}
