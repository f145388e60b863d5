//! Who may do what: every URL with every scope, for all apps, for the app in question and for another one.

use crate::hello;
use crate::https::{Https, make_key};
use crate::support::Appliance;
use picloud_model::scope::Scope;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tempfile::tempdir;

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// The scope for all apps or for the one of the URL.
    App(Scope),
    /// The scope for all apps, or it is none of apps.
    All(Scope),
    /// The scope for any app: what is seen is narrowed.
    AnyOf(Scope),
    /// Any key.
    Key,
    /// Nothing.
    Nothing,
}

use Needs::{All, AnyOf, App, Key, Nothing};
use Scope::{AppAdmin, InstanceAdmin, NodeAdmin, NodeRead, ScriptRead, ScriptWrite};

/// Every URL of the admin API. One that is missing here, or here for nothing, fails the test.
#[rustfmt::skip]
const TABLE: &[(&str, &str, Needs)] = &[
    ("GET",    "/health", Nothing),
    ("GET",    "/ready", Nothing),
    ("GET",    "/version", Key),
    ("GET",    "/status", All(NodeRead)),
    ("GET",    "/activity", All(NodeRead)),
    ("GET",    "/whoami", Key),
    ("GET",    "/limits", Key),
    ("GET",    "/openapi.json", Key),
    ("GET",    "/sdk/docs", Key),
    ("GET",    "/sdk/definitions", Key),
    ("GET",    "/apps", AnyOf(ScriptRead)),
    ("POST",   "/apps", AnyOf(AppAdmin)),
    ("GET",    "/apps/{app}", App(ScriptRead)),
    ("PATCH",  "/apps/{app}", App(AppAdmin)),
    ("DELETE", "/apps/{app}", App(AppAdmin)),
    ("POST",   "/apps/{app}/deploy", App(AppAdmin)),
    ("GET",    "/apps/{app}/export", App(ScriptRead)),
    ("GET",    "/apps/{app}/scripts", App(ScriptRead)),
    ("GET",    "/apps/{app}/scripts/{script}", App(ScriptRead)),
    ("PUT",    "/apps/{app}/scripts/{script}", App(ScriptWrite)),
    ("DELETE", "/apps/{app}/scripts/{script}", App(ScriptWrite)),
    ("GET",    "/apps/{app}/scripts/{script}/versions", App(ScriptRead)),
    ("GET",    "/apps/{app}/scripts/{script}/versions/{version}", App(ScriptRead)),
    ("GET",    "/apps/{app}/scripts/{script}/versions/{version}/diff", App(ScriptRead)),
    ("POST",   "/apps/{app}/scripts/{script}/rollback", App(ScriptWrite)),
    ("GET",    "/apps/{app}/scripts/{script}/imports", App(ScriptRead)),
    ("GET",    "/apps/{app}/scripts/{script}/importers", App(ScriptRead)),
    ("POST",   "/apps/{app}/scripts/{script}/check", App(ScriptWrite)),
    ("POST",   "/apps/{app}/scripts/{script}/release", App(ScriptWrite)),
    ("POST",   "/apps/{app}/scripts/{script}/run", App(ScriptWrite)),
    ("GET",    "/apps/{app}/routes", App(ScriptRead)),
    ("POST",   "/apps/{app}/routes", App(ScriptWrite)),
    ("GET",    "/apps/{app}/routes/{id}", App(ScriptRead)),
    ("DELETE", "/apps/{app}/routes/{id}", App(ScriptWrite)),
    ("GET",    "/apps/{app}/triggers", App(ScriptRead)),
    ("POST",   "/apps/{app}/triggers", App(ScriptWrite)),
    ("GET",    "/apps/{app}/triggers/{name}", App(ScriptRead)),
    ("PUT",    "/apps/{app}/triggers/{name}", App(ScriptWrite)),
    ("DELETE", "/apps/{app}/triggers/{name}", App(ScriptWrite)),
    ("POST",   "/apps/{app}/triggers/{name}/fire", App(ScriptWrite)),
    ("POST",   "/apps/{app}/triggers/{name}/pause", App(ScriptWrite)),
    ("POST",   "/apps/{app}/triggers/{name}/resume", App(ScriptWrite)),
    ("GET",    "/apps/{app}/triggers/{name}/next", App(ScriptRead)),
    ("POST",   "/apps/{app}/publish", App(ScriptWrite)),
    ("GET",    "/apps/{app}/topics", App(ScriptRead)),
    ("GET",    "/apps/{app}/timers", App(ScriptRead)),
    ("DELETE", "/apps/{app}/timers/{timer}", App(ScriptWrite)),
    ("GET",    "/apps/{app}/dead-letters", App(ScriptRead)),
    ("POST",   "/apps/{app}/dead-letters/retry", App(ScriptWrite)),
    ("GET",    "/apps/{app}/dead-letters/{id}", App(ScriptRead)),
    ("DELETE", "/apps/{app}/dead-letters/{id}", App(ScriptWrite)),
    ("POST",   "/apps/{app}/dead-letters/{id}/retry", App(ScriptWrite)),
    ("GET",    "/apps/{app}/kv", App(ScriptRead)),
    ("GET",    "/apps/{app}/kv/{collection}", App(ScriptRead)),
    ("DELETE", "/apps/{app}/kv/{collection}", App(ScriptWrite)),
    ("GET",    "/apps/{app}/kv/{collection}/{key}", App(ScriptRead)),
    ("PUT",    "/apps/{app}/kv/{collection}/{key}", App(ScriptWrite)),
    ("DELETE", "/apps/{app}/kv/{collection}/{key}", App(ScriptWrite)),
    ("GET",    "/apps/{app}/files", App(ScriptRead)),
    ("GET",    "/apps/{app}/files/{collection}", App(ScriptRead)),
    ("POST",   "/apps/{app}/files/{collection}", App(ScriptWrite)),
    ("GET",    "/apps/{app}/files/{collection}/{file}", App(ScriptRead)),
    ("HEAD",   "/apps/{app}/files/{collection}/{file}", App(ScriptRead)),
    ("PUT",    "/apps/{app}/files/{collection}/{file}", App(ScriptWrite)),
    ("DELETE", "/apps/{app}/files/{collection}/{file}", App(ScriptWrite)),
    ("GET",    "/apps/{app}/env", App(ScriptRead)),
    ("GET",    "/apps/{app}/env/{value}", App(ScriptRead)),
    ("PUT",    "/apps/{app}/env/{value}", App(AppAdmin)),
    ("DELETE", "/apps/{app}/env/{value}", App(AppAdmin)),
    ("GET",    "/apps/{app}/secrets", App(AppAdmin)),
    ("GET",    "/apps/{app}/secrets/{name}", App(AppAdmin)),
    ("PUT",    "/apps/{app}/secrets/{name}", App(AppAdmin)),
    ("DELETE", "/apps/{app}/secrets/{name}", App(AppAdmin)),
    ("GET",    "/apps/{app}/executions", App(ScriptRead)),
    ("GET",    "/apps/{app}/executions/{execution}", App(ScriptRead)),
    ("POST",   "/apps/{app}/executions/{execution}/replay", App(ScriptWrite)),
    ("GET",    "/executions", AnyOf(ScriptRead)),
    ("POST",   "/schedules/preview", Key),
    ("GET",    "/logs", AnyOf(ScriptRead)),
    ("GET",    "/watch", AnyOf(ScriptRead)),
    ("GET",    "/metrics", All(NodeRead)),
    ("GET",    "/audit", All(InstanceAdmin)),
    ("GET",    "/audit/verify", All(InstanceAdmin)),
    ("POST",   "/backup", All(InstanceAdmin)),
    ("POST",   "/backup/copies", All(InstanceAdmin)),
    ("GET",    "/backup/outcome", All(NodeRead)),
    ("PUT",    "/backup/outcome", All(InstanceAdmin)),
    ("POST",   "/files/sweep", All(InstanceAdmin)),
    ("GET",    "/nodes", All(NodeRead)),
    ("GET",    "/nodes/{node}", All(NodeRead)),
    ("PATCH",  "/nodes/{node}", All(NodeAdmin)),
    ("DELETE", "/nodes/{node}", All(NodeAdmin)),
    ("POST",   "/nodes/{node}/approve", All(NodeAdmin)),
    ("POST",   "/nodes/{node}/drain", All(NodeAdmin)),
    ("POST",   "/nodes/{node}/resume", All(NodeAdmin)),
    ("POST",   "/nodes/{node}/replace", All(NodeAdmin)),
    ("GET",    "/join-tokens", All(NodeAdmin)),
    ("POST",   "/join-tokens", All(NodeAdmin)),
    ("DELETE", "/join-tokens/{id}", All(NodeAdmin)),
    ("GET",    "/cluster", All(NodeRead)),
    ("GET",    "/keys", All(InstanceAdmin)),
    ("POST",   "/keys", All(InstanceAdmin)),
    ("GET",    "/keys/{id}", All(InstanceAdmin)),
    ("DELETE", "/keys/{id}", All(InstanceAdmin)),
];

/// For which apps a key has its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    All,
    This,
    Other,
}

/// Whether a key with this scope, for these apps, is let in where that is needed.
fn is_let_in(needs: Needs, scope: Scope, apps: For) -> bool {
    match needs {
        App(needed) => scope == needed && apps != For::Other,
        All(needed) => scope == needed && apps == For::All,
        AnyOf(needed) => scope == needed,
        Key | Nothing => true,
    }
}

fn url_of(template: &str) -> String {
    [
        ("{app}", "kitchen"),
        ("{script}", "hello"),
        ("{version}", "1"),
        ("{collection}", "widgets"),
        ("{key}", "a"),
        ("{name}", "TOKEN"),
        ("{value}", "TOKEN"),
        ("{execution}", "0190b5a0-0000-7000-8000-000000000000"),
        ("{timer}", "0190b5a0-0000-7000-8000-000000000000"),
        ("{file}", "0190b5a0-0000-7000-8000-000000000000"),
        ("{id}", "999999"),
        ("{node}", "nobody"),
    ]
    .iter()
    .fold(template.to_owned(), |url, (part, value)| url.replace(part, value))
}

/// The scopes that each operation of the running program says it needs.
fn operations(appliance: &Appliance) -> BTreeMap<(String, String), Vec<String>> {
    let document = appliance.admin("GET", "/openapi.json", "").json();
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap();
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"].as_array().unwrap();
            let scopes = match security.first() {
                None => vec!["nothing".to_owned()],
                Some(first) => {
                    first["key"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
                }
            };
            operations.insert((method.to_uppercase(), path.to_owned()), scopes);
        }
    }
    operations
}

#[test]
fn the_table_of_this_test_is_the_programs_own() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let table: BTreeMap<(String, String), Vec<String>> = TABLE
        .iter()
        .map(|(method, path, needs)| {
            let scopes = match needs {
                App(scope) | All(scope) | AnyOf(scope) => vec![scope.to_string()],
                Key => Vec::new(),
                Nothing => vec!["nothing".to_owned()],
            };
            (((*method).to_owned(), (*path).to_owned()), scopes)
        })
        .collect();
    let operations = operations(&appliance);
    let missing: Vec<_> = operations.iter().filter(|(url, scopes)| table.get(*url) != Some(scopes)).collect();
    assert!(missing.is_empty(), "give these a row in TABLE, once you have thought about who may: {missing:#?}");
    let gone: Vec<_> = table.keys().filter(|url| !operations.contains_key(*url)).collect();
    assert!(gone.is_empty(), "these are no URLs any more: {gone:#?}");
}

#[test]
fn every_url_lets_in_whom_the_table_says_and_refuses_everybody_else_naming_the_scope() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "1"));
    appliance.deploy(&hello("garden", "1"));
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        for apps in [For::All, For::This, For::Other] {
            let grant = match apps {
                For::All => scope.to_string(),
                For::This if scope.is_of_apps() => format!("{scope}@kitchen"),
                For::Other if scope.is_of_apps() => format!("{scope}@garden"),
                _instance_wide => continue,
            };
            let (_id, key) = make_key(&appliance, &grant, &[&grant]);
            keys.push((*scope, apps, key));
        }
    }
    let mut client = Https::of(&appliance, data.path());
    let mut wrong = Vec::new();
    for (method, template, needs) in TABLE {
        let url = url_of(template);
        // At a version that nothing is at: whoever is let in changes nothing, and so spoils no row that follows.
        let never = ("if-match", "\"999999\"");
        for (scope, apps, key) in &keys {
            // It goes on for as long as it is read, once it lets somebody in.
            if *template == "/backup/copies" && is_let_in(*needs, *scope, *apps) {
                continue;
            }
            let bearer = format!("Bearer {key}");
            let reply = client.send_with(&[("authorization", &bearer), never], method, &url, "{}");
            let refused = matches!(reply.status, 401 | 403);
            if refused == is_let_in(*needs, *scope, *apps) || reply.status >= 500 {
                wrong.push(format!("{method} {template} with {scope} for {apps:?}: {} {}", reply.status, reply.text()));
            }
            // The answer to HEAD has no body.
            let refused = refused && *method != "HEAD";
            if let (true, App(needed) | All(needed) | AnyOf(needed)) = (refused, needs) {
                let said = reply.json();
                let names_it = said["detail"].as_str().unwrap().contains(&format!("`{needed}`"));
                assert!(reply.status == 403 && said["code"] == "forbidden" && names_it, "{method} {template}: {said}");
            }
        }
        let reply = client.send_with(&[never], method, &url, "{}");
        match needs {
            Nothing => assert_eq!(reply.status, 200, "{method} {template}"),
            _somebody => {
                assert_eq!(reply.status, 401, "{method} {template}: {}", reply.text());
                assert_eq!(reply.header("www-authenticate"), "Bearer");
                if *method != "HEAD" {
                    assert_eq!(reply.json()["code"], "unauthenticated");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_key_for_one_app_neither_sees_nor_makes_another() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "1"));
    appliance.deploy(&hello("garden", "1"));
    let (_, key) = make_key(&appliance, "kitchen only", &["script:read@kitchen", "app:admin@kitchen,shed"]);
    let mut client = Https::of(&appliance, data.path());
    let listed = client.send(&key, "GET", "/apps", "").json();
    let names: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|app| &app["name"]).collect();
    assert_eq!(names, ["kitchen"]);
    // Whether the other one is there is not told.
    for app in ["garden", "nowhere"] {
        let reply = client.send(&key, "GET", &format!("/apps/{app}"), "");
        assert_eq!(reply.status, 403, "{}", reply.text());
    }
    assert_eq!(client.send(&key, "POST", "/apps", r#"{"name":"cellar"}"#).status, 403);
    assert_eq!(client.send(&key, "POST", "/apps", r#"{"name":"shed"}"#).status, 201);
    let audit = appliance.admin("GET", "/audit?outcome=refused", "").json();
    let refused: Vec<(&Value, &Value)> =
        audit["items"].as_array().unwrap().iter().map(|entry| (&entry["action"], &entry["app"])).collect();
    assert!(refused.contains(&(&json!("apps.create"), &json!("cellar"))), "{audit}");
}
