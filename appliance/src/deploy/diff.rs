//! What differs between the app that is there and the one that is wanted. Pure.

use super::check::Wanted;
use super::triggers::trigger_changes;
use picloud_model::bundle::{Change, ChangeAction};
use picloud_model::hash::ContentHash;
use picloud_model::limits::AppLimits;
use picloud_model::placement::Placement;
use picloud_model::route::{RouteAuth, RouteSpec};
use picloud_model::script::ScriptKind;
use picloud_store::AppState;
use std::collections::BTreeMap;

/// Every difference, in a stable order. `whole` shows new and removed sources in full, not only changed ones.
pub fn diff(state: Option<&AppState>, wanted: &Wanted, whole: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if state.is_none() {
        changes.push(Change {
            action: ChangeAction::Create,
            what: "app".to_owned(),
            name: wanted.app.name.clone(),
            diff: None,
        });
    }
    let app = state.map(|state| &state.app);
    let old_hosts = app.iter().flat_map(|app| &app.hosts).map(|host| (host.clone(), String::new())).collect();
    let new_hosts = wanted.app.hosts.iter().map(|host| (host.clone(), String::new())).collect();
    values("host", &old_hosts, &new_hosts, &mut changes);
    let old_limits = app.map(|app| limits(&app.limits)).unwrap_or_default();
    values("limit", &old_limits, &limits(&wanted.app.limits), &mut changes);
    let old_allow = app.iter().flat_map(|app| &app.http.allow).map(|host| (host.clone(), String::new())).collect();
    let new_allow = wanted.app.http.allow.iter().map(|host| (host.clone(), String::new())).collect();
    values("http", &old_allow, &new_allow, &mut changes);
    placements(state, wanted, &mut changes);
    values("env", &app.map(|app| app.env.clone()).unwrap_or_default(), &wanted.app.env, &mut changes);
    scripts(state, wanted, whole, &mut changes);
    routes(state, wanted, &mut changes);
    let old_triggers = state.iter().flat_map(|state| &state.triggers).map(|trigger| &trigger.spec);
    trigger_changes(old_triggers, wanted.triggers.iter().map(|write| &write.spec), &mut changes);
    static_files(state, wanted, &mut changes);
    changes
}

fn limits(limits: &AppLimits) -> BTreeMap<String, String> {
    let json = serde_json::to_value(limits).unwrap_or_default();
    let fields = json.as_object().cloned().unwrap_or_default();
    fields.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

/// Compares where scripts may run; what is said of a script that is gone says nothing.
fn placements(state: Option<&AppState>, wanted: &Wanted, changes: &mut Vec<Change>) {
    let shown = |(script, placement): (&String, &Placement)| (script.clone(), in_short(placement));
    let old = state.iter().flat_map(|state| {
        let is_there = |name: &str| state.scripts.iter().any(|(script, _source)| script.name == name);
        state.app.placement.iter().filter(move |(script, _placement)| is_there(script))
    });
    values("placement", &old.map(shown).collect(), &wanted.app.placement.iter().map(shown).collect(), changes);
}

/// `needs camera; prefers room=kitchen`
fn in_short(placement: &Placement) -> String {
    let lists = [("needs", &placement.needs), ("avoid", &placement.avoid), ("prefers", &placement.prefers)];
    let told = lists.into_iter().filter(|(_list, entries)| !entries.is_empty());
    told.map(|(list, entries)| format!("{list} {}", entries.join(", "))).collect::<Vec<_>>().join("; ")
}

/// Compares two maps of names and values; an empty value has nothing to show.
pub(super) fn values(
    what: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    changes: &mut Vec<Change>,
) {
    let mut push = |action, name: &str, diff: Option<String>| {
        changes.push(Change { action, what: what.to_owned(), name: name.to_owned(), diff });
    };
    let shown = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    for (name, value) in new {
        match old.get(name) {
            None => push(ChangeAction::Create, name, shown(value)),
            Some(before) if before != value => {
                push(ChangeAction::Update, name, Some(format!("{before} → {value}")));
            }
            Some(_same) => {}
        }
    }
    for (name, value) in old.iter().filter(|(name, _value)| !new.contains_key(*name)) {
        push(ChangeAction::Delete, name, shown(value));
    }
}

fn scripts(state: Option<&AppState>, wanted: &Wanted, whole: bool, changes: &mut Vec<Change>) {
    type Side<'a> = BTreeMap<(ScriptKind, &'a str), &'a str>;
    let old: Side<'_> = state
        .iter()
        .flat_map(|state| &state.scripts)
        .map(|(script, source)| ((script.kind, script.name.as_str()), source.as_ref()))
        .collect();
    let new: Side<'_> =
        wanted.scripts.iter().map(|script| ((script.kind, script.name.as_str()), script.source.as_str())).collect();
    let mut push = |action, (kind, name): (ScriptKind, &str), diff: Option<String>| {
        let what = if kind == ScriptKind::Module { "module" } else { "script" };
        changes.push(Change { action, what: what.to_owned(), name: name.to_owned(), diff });
    };
    // A script that became a module, or the reverse, is one that goes and one that comes.
    for (key, source) in old.iter().filter(|(key, _source)| !new.contains_key(*key)) {
        push(ChangeAction::Delete, *key, whole.then(|| unified(*key, source, "")));
    }
    for (key, source) in &new {
        match old.get(key) {
            None => push(ChangeAction::Create, *key, whole.then(|| unified(*key, "", source))),
            Some(before) if before != source => {
                push(ChangeAction::Update, *key, Some(unified(*key, before, source)));
            }
            Some(_same) => {}
        }
    }
}

/// The unified difference of two sources of one script.
pub(super) fn unified((kind, name): (ScriptKind, &str), old: &str, new: &str) -> String {
    let file = super::check::file_of(kind, name);
    let text = similar::TextDiff::from_lines(old, new);
    text.unified_diff().context_radius(3).header(&format!("a/{file}"), &format!("b/{file}")).to_string()
}

fn routes(state: Option<&AppState>, wanted: &Wanted, changes: &mut Vec<Change>) {
    let old = state.iter().flat_map(|state| &state.routes).map(|route| &route.spec);
    route_changes(old, &wanted.routes, changes);
}

/// Compares two lists of routes.
pub(super) fn route_changes<'r>(
    old: impl IntoIterator<Item = &'r RouteSpec>,
    new: impl IntoIterator<Item = &'r RouteSpec>,
    changes: &mut Vec<Change>,
) {
    let shown = |route: &RouteSpec| {
        let auth = match route.auth {
            RouteAuth::Public => "",
            RouteAuth::Key => " (auth = \"key\")",
        };
        (route.title(), format!("{}{auth}", route.script))
    };
    values("route", &old.into_iter().map(shown).collect(), &new.into_iter().map(shown).collect(), changes);
}

fn static_files(state: Option<&AppState>, wanted: &Wanted, changes: &mut Vec<Change>) {
    let shown = |hash: ContentHash, bytes: usize| format!("{bytes} B, sha256 {}", hash.short());
    let old = state.iter().flat_map(|state| &state.static_files);
    let old = old.map(|file| (file.path.clone(), shown(file.hash, usize::try_from(file.size_bytes).unwrap_or(0))));
    let new = wanted.static_files.iter();
    let new = new.map(|file| (file.path.clone(), shown(ContentHash::of(&file.bytes), file.bytes.len())));
    values("static", &old.collect(), &new.collect(), changes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::app::{App, NewApp};
    use picloud_model::ids::{AppId, RouteId, ScriptId, TriggerId};
    use picloud_model::route::Route;
    use picloud_model::script::Script;
    use picloud_model::trigger::{Trigger, TriggerKind, TriggerSpec};
    use picloud_store::{ScriptWrite, StaticFile, StaticWrite, TriggerWrite};

    fn route(method: &str, path: &str, script: &str) -> RouteSpec {
        let auth = RouteAuth::Public;
        RouteSpec { methods: vec![method.to_owned()], path: path.to_owned(), script: script.to_owned(), auth }
    }

    fn wanted(sources: &[(&str, ScriptKind, &str)], routes: Vec<RouteSpec>) -> Wanted {
        let scripts = sources.iter().map(|(name, kind, source)| ScriptWrite {
            name: (*name).to_owned(),
            kind: *kind,
            source: (*source).to_owned(),
            imports: Vec::new(),
        });
        let static_files = vec![StaticWrite { path: "a.css".to_owned(), bytes: b"body {}".to_vec() }];
        let app = NewApp { name: "kitchen".to_owned(), ..NewApp::default() };
        Wanted { app, scripts: scripts.collect(), routes, static_files, triggers: Vec::new(), warnings: Vec::new() }
    }

    /// What the store would hold after `wanted` was deployed.
    fn stored(wanted: &Wanted) -> AppState {
        let app = &wanted.app;
        let app = App {
            id: AppId(1),
            name: app.name.clone(),
            hosts: app.hosts.clone(),
            env: app.env.clone(),
            limits: app.limits.clone(),
            http: app.http.clone(),
            placement: app.placement.clone(),
            revision: 1,
            created_at: 0,
            updated_at: 0,
        };
        let script = |script: &ScriptWrite| Script {
            id: ScriptId(1),
            name: script.name.clone(),
            kind: script.kind,
            version: 1,
            hash: ContentHash::of(script.source.as_bytes()),
            size_bytes: 0,
            updated_at: 0,
            quarantine: None,
        };
        let file = |file: &StaticWrite| StaticFile {
            path: file.path.clone(),
            hash: ContentHash::of(&file.bytes),
            size_bytes: i64::try_from(file.bytes.len()).unwrap(),
            updated_at: 0,
        };
        let trigger = |write: &TriggerWrite| Trigger {
            id: TriggerId(1),
            spec: write.spec.clone(),
            version: 1,
            paused: None,
            failures: 0,
            queued: 0,
            dead_letters: 0,
            next_at: None,
            created_at: 0,
            updated_at: 0,
        };
        AppState {
            app,
            scripts: wanted.scripts.iter().map(|write| (script(write), write.source.as_str().into())).collect(),
            routes: wanted.routes.iter().map(|spec| Route { id: RouteId(1), spec: spec.clone() }).collect(),
            static_files: wanted.static_files.iter().map(file).collect(),
            triggers: wanted.triggers.iter().map(trigger).collect(),
        }
    }

    #[test]
    fn what_was_deployed_differs_in_nothing_and_what_was_not_in_each_thing() {
        let old = wanted(
            &[("hello", ScriptKind::Endpoint, "1\n2\n"), ("units", ScriptKind::Endpoint, "3\n")],
            vec![route("GET", "/", "hello"), route("GET", "/old", "hello")],
        );
        let mut old = old;
        let letters = TriggerSpec::new("letters", TriggerKind::DeadLetter, "hello");
        old.triggers = vec![TriggerWrite { spec: letters.clone(), next_at: None }];
        assert_eq!(diff(Some(&stored(&old)), &old, true), Vec::new());
        let mut new = wanted(
            &[("hello", ScriptKind::Endpoint, "1\n5\n"), ("units", ScriptKind::Module, "fn f() {}\n")],
            vec![route("GET", "/", "units"), route("POST", "/", "hello")],
        );
        new.app.hosts = vec!["kitchen.example.org".to_owned()];
        new.app.limits.timeout_ms = Some(500);
        new.app.http.allow = vec!["printer.local".to_owned()];
        let camera = Placement { needs: vec!["camera".to_owned()], ..Placement::default() };
        new.app.placement.insert("hello".to_owned(), camera);
        let spec = TriggerSpec { trigger: Some("orders".to_owned()), ..letters };
        new.triggers = vec![TriggerWrite { spec, next_at: None }];
        new.static_files[0].bytes = b"p {}".to_vec();
        let changes: Vec<String> = diff(Some(&stored(&old)), &new, true)
            .into_iter()
            .map(|change| format!("{:?} {} {}: {:?}", change.action, change.what, change.name, change.diff))
            .collect();
        insta::assert_snapshot!(changes.join("\n"));
    }
}
