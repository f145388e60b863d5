//! Whatever is done in whatever order: an entry for each change, none for anything else, and the chain holds.

use crate::conformance::keys::key;
use crate::conformance::kv::{incr, set};
use crate::conformance::triggers::on_kv;
use crate::conformance::{act_at, deploy_of, endpoint, importing, module, new_app, route};
use crate::open;
use picloud_model::app::{App, AppPatch};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::kv::{Condition, KvRequest};
use picloud_model::page::PageRequest;
use picloud_store::{AppChange, DeployWrite, ScriptWrite, Store};
use proptest::prelude::*;

/// One thing somebody may do; numbers choose among few names, so that they meet.
#[derive(Clone, Debug)]
enum Doing {
    CreateApp,
    PatchApp(u8),
    DeleteApp,
    Save(u8, u8),
    DeleteScript(u8, bool),
    Crash(u8),
    Release(u8),
    AddRoute(u8, u8),
    DeleteRoute,
    Deploy(u8, bool),
    Change(u8, u8),
    Kv(u8),
    DeleteCollection,
    PutTrigger(u8, u8),
    DeleteTrigger(u8),
    PauseTrigger(u8, bool),
    FireTrigger(u8),
    PutSecret(Option<u8>, Option<u8>),
    DeleteSecret,
    MakeKey(u8),
    DeleteKey,
}

fn doing() -> impl Strategy<Value = Doing> {
    let apps_and_scripts = prop_oneof![
        Just(Doing::CreateApp),
        (0..3_u8).prop_map(Doing::PatchApp),
        Just(Doing::DeleteApp),
        (0..3_u8, 0..3_u8).prop_map(|(name, source)| Doing::Save(name, source)),
        (0..3_u8, 0..3_u8).prop_map(|(name, source)| Doing::Save(name, source)),
        (0..3_u8, any::<bool>()).prop_map(|(name, force)| Doing::DeleteScript(name, force)),
        (0..3_u8).prop_map(Doing::Crash),
        (0..3_u8).prop_map(Doing::Release),
        (0..3_u8, any::<bool>()).prop_map(|(source, routes)| Doing::Deploy(source, routes)),
        (0..3_u8, 0..3_u8).prop_map(|(name, source)| Doing::Change(name, source)),
    ];
    let others = prop_oneof![
        (0..3_u8, 0..2_u8).prop_map(|(path, script)| Doing::AddRoute(path, script)),
        Just(Doing::DeleteRoute),
        (0..3_u8).prop_map(Doing::Kv),
        Just(Doing::DeleteCollection),
        (0..2_u8, 0..3_u8).prop_map(|(name, script)| Doing::PutTrigger(name, script)),
        (0..2_u8).prop_map(Doing::DeleteTrigger),
        (0..2_u8, any::<bool>()).prop_map(|(name, pause)| Doing::PauseTrigger(name, pause)),
        (0..2_u8).prop_map(Doing::FireTrigger),
        (proptest::option::of(0..2_u8), proptest::option::of(0..2_u8)).prop_map(|(v, s)| Doing::PutSecret(v, s)),
        Just(Doing::DeleteSecret),
        (0..2_u8).prop_map(Doing::MakeKey),
        Just(Doing::DeleteKey),
    ];
    prop_oneof![3 => apps_and_scripts, 2 => others]
}

/// `units` is a module, the others import it or not, by their source.
fn script(name: u8, source: u8) -> ScriptWrite {
    match (name, source) {
        (0, _) => module("units", &format!("const A = {source};")),
        (_, 2) => importing(endpoint(&format!("e{name}"), "import"), &["units"]),
        _ => endpoint(&format!("e{name}"), &source.to_string()),
    }
}

/// Does it; refusals are as good as anything.
async fn act_out(store: &dyn Store, doing: &Doing, at: UnixMs) {
    let act = act_at(at);
    let app = store.app("kitchen").await.unwrap();
    let Some(app) = app else {
        match doing {
            Doing::Deploy(source, _) => drop(store.deploy(deploy(None, *source, true), &act).await),
            Doing::MakeKey(name) => drop(store.create_key(&key(&format!("k{name}"), &["invoke"]), &act).await),
            _ => drop(store.create_app(&new_app("kitchen"), &act).await),
        }
        return;
    };
    let (id, revision) = (app.id, app.revision);
    let name_of = |name: u8| script(name, 0).name;
    match doing {
        Doing::CreateApp => drop(store.create_app(&new_app("kitchen"), &act).await),
        Doing::PatchApp(host) => {
            let patch = AppPatch { hosts: Some(vec![format!("h{host}.example")]), ..AppPatch::default() };
            drop(store.patch_app(id, &patch, None, &act).await);
        }
        Doing::DeleteApp => drop(store.delete_app(id, None, &act).await),
        Doing::Save(name, source) => drop(store.save_script(id, &script(*name, *source), None, &act).await),
        Doing::DeleteScript(name, force) => {
            drop(store.delete_script(id, &name_of(*name), None, *force, &act).await);
        }
        Doing::Crash(name) => {
            let run = ExecutionId(uuid::Uuid::from_u128(7));
            drop(store.record_crash(id, &name_of(*name), 1, run, 2, &act).await);
        }
        Doing::Release(name) => drop(store.release_script(id, &name_of(*name), &act).await),
        Doing::AddRoute(path, name) => {
            let spec = route(&[], &format!("/{path}"), &name_of(*name));
            drop(store.create_route(id, &spec, revision, &act).await);
        }
        Doing::DeleteRoute => {
            if let Some(route) = store.routes(id, &PageRequest::default()).await.unwrap().items.first() {
                drop(store.delete_route(id, route.id, &act).await);
            }
        }
        Doing::Deploy(source, routes) => drop(store.deploy(deploy(Some(revision), *source, *routes), &act).await),
        Doing::Change(name, source) => drop(store.change_app(id, change(&app, *name, *source), &act).await),
        Doing::Kv(0) => drop(store.kv_by_hand(id, set("n", "1"), &act).await),
        Doing::Kv(1) => drop(store.kv_by_hand(id, incr("n", 1), &act).await),
        Doing::Kv(_) => {
            let (collection, key) = ("c".to_owned(), "n".to_owned());
            let delete = KvRequest::Delete { collection, key, condition: Condition::Always };
            drop(store.kv_by_hand(id, delete, &act).await);
        }
        Doing::DeleteCollection => drop(store.delete_collection(id, "c", &act).await),
        Doing::PutTrigger(..) | Doing::DeleteTrigger(_) | Doing::PauseTrigger(..) | Doing::FireTrigger(_) => {
            act_on_trigger(store, id, doing, &act).await;
        }
        Doing::PutSecret(value, scripts) => {
            let (value, scripts) = (value.map(|value| vec![value]), scripts.map(|name| vec![name_of(name)]));
            drop(store.put_secret(id, "token", value, scripts, None, &act).await);
        }
        Doing::DeleteSecret => drop(store.delete_secret(id, "token", None, &act).await),
        Doing::MakeKey(name) => drop(store.create_key(&key(&format!("k{name}"), &["invoke"]), &act).await),
        Doing::DeleteKey => {
            if let Some(key) = store.keys(&PageRequest::default()).await.unwrap().items.first() {
                drop(store.delete_key(key.id, &act).await);
            }
        }
    }
}

async fn act_on_trigger(store: &dyn Store, id: AppId, doing: &Doing, act: &Act) {
    match doing {
        Doing::PutTrigger(name, to) => {
            let trigger = on_kv(&format!("t{name}"), &script(*to, 0).name);
            drop(store.put_trigger(id, &trigger, None, act).await);
        }
        Doing::DeleteTrigger(name) => drop(store.delete_trigger(id, &format!("t{name}"), None, act).await),
        Doing::PauseTrigger(name, pause) => {
            let reason = pause.then_some("holiday");
            drop(store.pause_trigger(id, &format!("t{name}"), reason, act).await);
        }
        Doing::FireTrigger(name) => drop(store.fire_trigger(id, &format!("t{name}"), b"{}", act).await),
        _ => unreachable!("it is about something else"),
    }
}

fn deploy(expected: Option<i64>, source: u8, routes: bool) -> DeployWrite {
    let mut deploy = deploy_of("kitchen");
    deploy.expected = expected;
    deploy.scripts = vec![script(0, source), script(1, source)];
    if routes {
        deploy.routes = vec![route(&[], "/0", "e1")];
        deploy.triggers = vec![on_kv("t0", "e1")];
    }
    deploy
}

fn change(app: &App, name: u8, source: u8) -> AppChange {
    AppChange {
        expected: app.revision,
        scripts: vec![script(name, source)],
        routes: None,
        triggers: None,
        action: "script.rollback",
        target: "it".to_owned(),
    }
}

/// Everything that anybody can see of the store.
async fn shown(store: &dyn Store) -> String {
    let keys = store.keys(&PageRequest::default()).await.unwrap();
    let Some(app) = store.app("kitchen").await.unwrap() else { return format!("{keys:?}") };
    let state = store.app_state(app.id).await.unwrap();
    let snapshot = store.app_snapshot(app.id).await.unwrap();
    let secrets = store.sealed_secrets(app.id).await.unwrap();
    let kv = store.kv(app.id, crate::conformance::kv::list(picloud_model::kv::KvQuery::default()), 0).await.unwrap();
    let mut imports = Vec::new();
    for (script, _text) in state.iter().flat_map(|state| &state.scripts) {
        imports.push(store.imports(script.id).await.unwrap());
    }
    // How often a version crashed is not shown before it is quarantined.
    let queued = store.queued(app.id).await.unwrap().deliveries;
    format!("{keys:?} {state:?} {snapshot:?} {secrets:?} {kv:?} {imports:?} {queued}")
}

#[test]
fn each_change_is_one_entry_and_the_chain_always_holds() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (store, _dir) = runtime.block_on(open());
    proptest!(ProptestConfig::with_cases(24), |(doings in proptest::collection::vec(doing(), 1..40))| {
        runtime.block_on(async {
            let store = &*store;
            for (step, doing) in doings.iter().enumerate() {
                let (before, last) = (shown(store).await, store.audit_last().await.unwrap());
                act_out(store, doing, i64::try_from(step).unwrap()).await;
                let changed = i64::from(shown(store).await != before);
                let added = store.audit_last().await.unwrap() - last;
                prop_assert_eq!(added, changed, "{:?} after {}", doing, before);
            }
            let verdict = store.verify_audit().await.unwrap();
            prop_assert!(verdict.intact, "{:?}", verdict);
            Ok(())
        })?;
    });
    let last = runtime.block_on(store.audit_last()).unwrap();
    assert!(last > 100, "{last} changes: the cases do something");
}
