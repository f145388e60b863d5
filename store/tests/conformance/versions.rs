//! Cases of what versions were live with, of going back, and of dropping old ones.

use super::*;
use picloud_model::app::AppPatch;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ScriptId};
use picloud_model::page::PageRequest;
use picloud_model::script::{ModuleVersion, VersionContext};
use picloud_store::{AppChange, VersionsKept};
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

async fn save(store: &dyn Store, app: AppId, script: ScriptWrite) -> ScriptId {
    store.save_script(app, &script, None, &act()).await.unwrap().id
}

async fn add_route(store: &dyn Store, app: AppId, path: &str, script: &str) {
    let revision = store.app("kitchen").await.unwrap().unwrap().revision;
    store.create_route(app, &route(&["GET"], path, script), revision, &act()).await.unwrap();
}

async fn context(store: &dyn Store, script: ScriptId, version: i64) -> VersionContext {
    store.version_context(script, version).await.unwrap().unwrap()
}

fn named(context: &VersionContext) -> Vec<String> {
    context.modules.iter().map(|module| format!("{} {}", module.name, module.version)).collect()
}

fn paths(context: &VersionContext) -> Vec<&str> {
    context.routes.iter().map(|route| route.path.as_str()).collect()
}

pub(crate) async fn a_version_knows_what_it_was_live_with(store: Arc<dyn Store>) {
    let store = &*store;
    let app = make_app(store, "kitchen").await.id;
    let env = AppPatch {
        env: Some(BTreeMap::from(["zip", "city"].map(|name| (name.to_owned(), "x".to_owned())))),
        ..AppPatch::default()
    };
    store.patch_app(app, &env, None, &act()).await.unwrap();
    for (name, scripts) in
        [("all", None), ("mine", Some(vec!["hello".to_owned()])), ("other", Some(vec!["x".to_owned()]))]
    {
        store.put_secret(app, name, Some(b"1".to_vec()), scripts, None, &act()).await.unwrap();
    }
    save(store, app, module("units", "fn a() {}")).await;
    save(store, app, module("units", "fn b() {}")).await;
    let lengths = save(store, app, importing(module("lengths", "fn c() {}"), &["units"])).await;
    let hello = save(store, app, importing(endpoint("hello", "1"), &["lengths"])).await;
    add_route(store, app, "/a", "hello").await;
    save(store, app, module("units", "fn c() { 3 }")).await;

    let first = context(store, hello, 1).await;
    assert_eq!(named(&first), ["lengths 1", "units 2"], "directly or not, at the version of that time");
    let units = ModuleVersion { name: "units".to_owned(), version: 2, hash: ContentHash::of(b"fn b() {}") };
    assert_eq!(first.modules[1], units);
    assert_eq!((first.env.join(" "), first.secrets.join(" ")), ("city zip".to_owned(), "all mine".to_owned()));
    assert_eq!((first.recorded, paths(&first)), (true, vec!["/a"]), "the routes now, for it is live");
    assert_eq!(named(&context(store, lengths, 1).await), ["units 2"]);

    add_route(store, app, "/b", "hello").await;
    save(store, app, endpoint("hello", "2")).await;
    add_route(store, app, "/c", "hello").await;
    let (first, second) = (context(store, hello, 1).await, context(store, hello, 2).await);
    assert_eq!((paths(&first), paths(&second)), (vec!["/a", "/b"], vec!["/a", "/b", "/c"]), "as it was when replaced");
    assert_eq!((named(&first).len(), named(&second).len()), (2, 0));
    assert_eq!(first.routes[0], route(&["GET"], "/a", "hello"));
    assert_eq!(store.version_context(hello, 3).await.unwrap(), None);
    assert_eq!(store.version_context(ScriptId(999), 1).await.unwrap(), None);
}

pub(crate) async fn a_deploy_writes_down_what_its_versions_are_live_with(store: Arc<dyn Store>) {
    let store = &*store;
    let mut deploy = deploy_of("kitchen");
    deploy.app.env.insert("city".to_owned(), "Berlin".to_owned());
    deploy.scripts = vec![
        importing(endpoint("hello", "1"), &["lengths"]),
        importing(module("lengths", "fn a() {}"), &["units"]),
        module("units", "fn b() {}"),
    ];
    deploy.routes = vec![route(&[], "/old", "hello")];
    store.deploy(deploy.clone(), &act()).await.unwrap();
    deploy.expected = Some(1);
    deploy.scripts[0].source = "2".to_owned();
    deploy.scripts[2].source = "fn c() {}".to_owned();
    deploy.routes = vec![route(&[], "/new", "hello")];
    let app = store.deploy(deploy, &act()).await.unwrap().id;
    let (hello, _live) = store.script(app, "hello").await.unwrap().unwrap();
    let (first, second) = (context(store, hello.id, 1).await, context(store, hello.id, 2).await);
    assert_eq!((named(&first), paths(&first)), (vec!["lengths 1".to_owned(), "units 1".to_owned()], vec!["/old"]));
    assert_eq!((named(&second), paths(&second)), (vec!["lengths 1".to_owned(), "units 2".to_owned()], vec!["/new"]));
    assert_eq!(second.env, ["city"]);
}

/// The app's scripts with their versions, and its routes with their ids.
async fn shown(store: &dyn Store, app: AppId) -> (i64, Vec<String>, Vec<String>) {
    let state = store.app_state(app).await.unwrap().unwrap();
    let scripts = state.scripts.iter().map(|(script, text)| format!("{} {} {text}", script.name, script.version));
    let routes = state.routes.iter().map(|route| format!("{} {}", route.id, route.spec.title()));
    (state.app.revision, scripts.collect(), routes.collect())
}

fn back(expected: i64, scripts: Vec<ScriptWrite>, routes: Option<Vec<picloud_model::route::RouteSpec>>) -> AppChange {
    AppChange { expected, scripts, routes, triggers: None, action: "script.rollback", target: "hello".to_owned() }
}

pub(crate) async fn an_app_goes_back_in_one_step_or_not_at_all(store: Arc<dyn Store>) {
    let store = &*store;
    let mut deploy = deploy_of("kitchen");
    deploy.scripts =
        vec![importing(endpoint("hello", "1"), &["units"]), module("units", "fn a() {}"), endpoint("other", "o")];
    deploy.routes = vec![route(&[], "/a", "hello"), route(&[], "/o", "other")];
    let app = store.deploy(deploy.clone(), &act()).await.unwrap().id;
    save(store, app, module("units", "fn b() {}")).await;
    save(store, app, endpoint("hello", "2")).await;
    let before = shown(store, app).await;
    assert_eq!(before.0, 3);

    let old = || vec![importing(endpoint("hello", "1"), &["units"]), module("units", "fn a() {}")];
    assert_eq!(stale(store.change_app(app, back(2, old(), None), &act()).await), (2, 3));
    assert_eq!(stale(store.change_app(AppId(99), back(2, old(), None), &act()).await), (2, 0));
    let nowhere = Some(vec![route(&[], "/a", "nowhere")]);
    assert_eq!(in_the_way(store.change_app(app, back(3, old(), nowhere), &act()).await), ["route * /a"]);
    let missing = vec![importing(endpoint("hello", "1"), &["gone"])];
    assert_eq!(in_the_way(store.change_app(app, back(3, missing, None), &act()).await), ["module `gone`"]);
    let turned = vec![module("other", "fn a() {}")];
    assert_eq!(in_the_way(store.change_app(app, back(3, turned, None), &act()).await), ["route * /o"]);
    let twice = vec![endpoint("hello", "1"), endpoint("hello", "3")];
    assert_eq!(in_the_way(store.change_app(app, back(3, twice, None), &act()).await), ["hello"]);
    assert_eq!(shown(store, app).await, before, "nothing of all that");

    let routes = vec![route(&[], "/o", "other"), route(&["GET"], "/a", "hello")];
    let after = store.change_app(app, back(3, old(), Some(routes)), &act_at(NOW + 8)).await.unwrap();
    assert_eq!((after.revision, after.updated_at), (4, NOW + 8), "counted once");
    let (_revision, scripts, routes) = shown(store, app).await;
    assert_eq!(scripts, ["hello 3 1", "other 1 o", "units 3 fn a() {}"], "as new versions; the others stay");
    assert_eq!(routes[0], before.2[1], "what stays the same keeps its id");
    assert!(routes[1].ends_with("GET /a"));
    let (hello, live) = store.script(app, "hello").await.unwrap().unwrap();
    assert_eq!((live.author.as_str(), live.message.as_deref()), ("ada", Some("because")));
    assert_eq!(store.imports(hello.id).await.unwrap(), ["units"]);
    assert_eq!(named(&context(store, hello.id, 3).await), ["units 3"]);
    let again = store.change_app(app, back(4, vec![endpoint("other", "o")], None), &act()).await.unwrap();
    assert_eq!(again.revision, 4, "what is live already is no change");
}

pub(crate) async fn an_importer_is_not_left_with_an_endpoint(store: Arc<dyn Store>) {
    let store = &*store;
    let mut deploy = deploy_of("kitchen");
    deploy.scripts = vec![importing(endpoint("hello", "1"), &["units"]), module("units", "fn a() {}")];
    let app = store.deploy(deploy, &act()).await.unwrap();
    let turned = back(app.revision, vec![endpoint("units", "1")], None);
    assert_eq!(in_the_way(store.change_app(app.id, turned, &act()).await), ["endpoint `hello`"]);
}

pub(crate) async fn a_deleted_module_can_be_brought_back_with_who_needed_it(store: Arc<dyn Store>) {
    let store = &*store;
    let mut deploy = deploy_of("kitchen");
    deploy.scripts = vec![importing(endpoint("hello", "1"), &["units"]), module("units", "fn a() {}")];
    store.deploy(deploy.clone(), &act()).await.unwrap();
    deploy.expected = Some(1);
    deploy.scripts = vec![endpoint("hello", "2")];
    let app = store.deploy(deploy, &act()).await.unwrap();
    assert!(store.script(app.id, "units").await.unwrap().is_none());
    let (hello, _live) = store.script(app.id, "hello").await.unwrap().unwrap();
    let [units] = &context(store, hello.id, 1).await.modules[..] else { panic!("one module") };
    let text = store.source(units.hash).await.unwrap().expect("its source stays with the version that needs it");
    let old = vec![importing(endpoint("hello", "1"), &["units"]), module("units", &text)];
    store.change_app(app.id, back(app.revision, old, None), &act()).await.unwrap();
    assert_eq!(named(&context(store, hello.id, 3).await), ["units 1"]);
    assert!(store.delete_script(app.id, "units", None, true, &act()).await.unwrap());
    assert!(store.delete_script(app.id, "hello", None, true, &act()).await.unwrap());
    assert_eq!(store.source(units.hash).await.unwrap(), None, "and goes with it");
}

async fn kept_versions(store: &dyn Store, script: ScriptId) -> Vec<i64> {
    let page = store.versions(script, &PageRequest { limit: Some(1_000), cursor: None }).await.unwrap();
    page.items.into_iter().map(|version| version.version).collect()
}

pub(crate) async fn old_versions_go_but_never_what_a_kept_one_needs(store: Arc<dyn Store>) {
    let store = &*store;
    let app = make_app(store, "kitchen").await.id;
    let mut units = ScriptId(0);
    for number in 1..=6 {
        units = save(store, app, module("units", &format!("const A = {number};"))).await;
        if number == 2 {
            save(store, app, importing(endpoint("hello", "1"), &["units"])).await;
        }
    }
    let mut busy = ScriptId(0);
    for number in 0..10 {
        let at = act_at(NOW + number * DAY_MS);
        busy = store.save_script(app, &endpoint("busy", &format!("{number}")), None, &at).await.unwrap().id;
    }
    let kept = VersionsKept { newest_min: 2, newest_max: 6, age_ms_max: 4 * DAY_MS };
    let now = NOW + 10 * DAY_MS;
    assert_eq!(store.prune_versions(&kept, NOW, 3).await.unwrap(), 3, "no more than asked for at once");
    while store.prune_versions(&kept, NOW, 100).await.unwrap() > 0 {}
    assert_eq!(kept_versions(store, busy).await, [10, 9, 8, 7, 6, 5], "young ones, but not too many");
    while store.prune_versions(&kept, now, 100).await.unwrap() > 0 {}
    assert_eq!(kept_versions(store, busy).await, [10, 9, 8, 7], "the newest, and those that are young");
    assert_eq!(kept_versions(store, units).await, [6, 5, 2], "`hello` was saved with 2");
    assert!(store.source(ContentHash::of(b"const A = 2;")).await.unwrap().is_some());
    assert!(store.source(ContentHash::of(b"const A = 3;")).await.unwrap().is_none());

    let all = VersionsKept { newest_min: 0, newest_max: 0, age_ms_max: 0 };
    store.delete_script(app, "hello", None, true, &act()).await.unwrap();
    while store.prune_versions(&all, now + 1_000 * DAY_MS, 100).await.unwrap() > 0 {}
    assert_eq!(
        (kept_versions(store, units).await, kept_versions(store, busy).await),
        (vec![6], vec![10]),
        "live ones stay"
    );
    let (busy, _live) = store.script(app, "busy").await.unwrap().unwrap();
    assert_eq!(busy.version, 10);
}
