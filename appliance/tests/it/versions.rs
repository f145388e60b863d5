//! Versions: compared, gone back to with what they were live with, and reached without being live.

use crate::hello;
use crate::support::{Appliance, Reply};
use serde_json::{Value, json};
use tempfile::tempdir;

const HELLO: &str = "/apps/kitchen/scripts/hello";

/// An app whose answer tells of its source, its module and its env.
fn app(name: &str, module: i64, paths: &[&str]) -> Value {
    let routes: Vec<Value> = paths.iter().map(|path| json!({ "path": path, "script": "hello" })).collect();
    let source = format!("import \"units\" as u;\n`{name} ${{u::f()}} ${{env::get(\"city\")}}`\n");
    json!({
        "name": "kitchen",
        "env": { "city": "Berlin" },
        "routes": routes,
        "scripts": { "hello": source },
        "modules": { "units": format!("fn f() {{ {module} }}\n") },
    })
}

fn rollback(appliance: &Appliance, body: &Value) -> Reply {
    appliance.admin("POST", &format!("{HELLO}/rollback"), &body.to_string())
}

fn revision(appliance: &Appliance) -> i64 {
    appliance.admin("GET", "/apps/kitchen", "").json()["revision"].as_i64().unwrap()
}

/// Makes a key and answers it.
fn key(appliance: &Appliance, scope: &str) -> String {
    let body = json!({ "name": scope, "scopes": [scope] }).to_string();
    let made = appliance.admin("POST", "/keys", &body);
    assert_eq!(made.status, 201, "{}", made.text());
    format!("Bearer {}", made.json()["key"].as_str().unwrap())
}

#[test]
fn going_back_brings_source_modules_and_routes_of_then() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let first = app("one", 1, &["/", "/old"]);
    appliance.deploy(&first);
    let exported = appliance.admin("GET", "/apps/kitchen/export", "").json();
    let mut second = app("two", 2, &["/new", "/"]);
    second["modules"]["extra"] = json!("fn g() { 0 }\n");
    second["env"]["more"] = json!("x");
    appliance.deploy(&second);
    assert_eq!(appliance.get("/kitchen").text(), "two 2 Berlin");
    assert_eq!(appliance.get("/kitchen/old").status, 404);

    let before = revision(&appliance);
    let plan = rollback(&appliance, &json!({ "version": 1, "plan": true }));
    assert_eq!(
        (plan.status, plan.json()["plan"].as_bool(), plan.json()["version"].as_i64()),
        (200, Some(true), Some(2))
    );
    assert_eq!((appliance.get("/kitchen").text().as_str(), revision(&appliance)), ("two 2 Berlin", before));

    let back = rollback(&appliance, &json!({ "version": 1, "message": "it was better" }));
    assert_eq!((back.status, back.header("etag")), (200, "\"3\""), "{}", back.text());
    assert_eq!(back.json()["changes"], plan.json()["changes"], "a plan tells what is done");
    insta::assert_snapshot!(serde_json::to_string_pretty(&back.json()["changes"]).unwrap());
    assert_eq!(back.json()["warnings"], json!([]));
    assert_eq!(appliance.get("/kitchen").text(), "one 1 Berlin");
    assert_eq!(appliance.get("/kitchen/old").text(), "one 1 Berlin");
    assert_eq!(appliance.get("/kitchen/new").status, 404);
    assert_eq!(revision(&appliance), before + 1, "it is one change");
    let now = appliance.admin("GET", "/apps/kitchen/export", "").json();
    assert_eq!((&now["scripts"], &now["routes"]), (&exported["scripts"], &exported["routes"]));
    assert_eq!(now["modules"]["units"], exported["modules"]["units"]);
    let saved = appliance.admin("GET", &format!("{HELLO}/versions/3"), "").json();
    assert_eq!(
        (saved["message"].as_str(), saved["context"]["recorded"].as_bool()),
        (Some("it was better"), Some(true))
    );

    // And forth again, and nowhere.
    assert_eq!(rollback(&appliance, &json!({ "version": 2 })).status, 200);
    assert_eq!(appliance.get("/kitchen/new").text(), "two 2 Berlin");
    let before = revision(&appliance);
    let same = rollback(&appliance, &json!({ "version": 2 }));
    assert_eq!((same.status, &same.json()["changes"]), (200, &json!([])), "{}", same.text());
    assert_eq!(revision(&appliance), before);
}

#[test]
fn a_source_alone_goes_back_where_that_is_asked_for() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&app("one", 1, &["/old"]));
    appliance.deploy(&app("two", 2, &["/new"]));
    let back = rollback(&appliance, &json!({ "version": 1, "only_script": true }));
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(appliance.get("/kitchen/new").text(), "one 2 Berlin");
    assert_eq!(appliance.get("/kitchen/old").status, 404);
}

#[test]
fn a_version_from_before_there_was_a_route_leaves_the_route_as_it_is() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    assert_eq!(appliance.admin("POST", "/apps", r#"{"name": "kitchen"}"#).status, 201);
    for source in ["`one`", "`two`"] {
        let saved = appliance.admin("PUT", HELLO, &json!({ "source": source }).to_string());
        assert!(saved.status < 300, "{}", saved.text());
    }
    let route = json!({ "path": "/", "script": "hello" }).to_string();
    assert_eq!(appliance.admin("POST", "/apps/kitchen/routes", &route).status, 201);
    assert_eq!(appliance.get("/kitchen").text(), "two");
    let back = rollback(&appliance, &json!({ "version": 1 }));
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(appliance.get("/kitchen").text(), "one");
}

#[test]
fn what_the_old_source_speaks_of_must_still_be_there_or_be_forced() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut first = hello("kitchen", "env::get(\"city\") + secrets::get(\"token\")");
    first["env"] = json!({ "city": "Berlin", "unused": "x" });
    let empty = json!({ "name": "kitchen" });
    appliance.deploy(&empty);
    let secret = appliance.admin("PUT", "/apps/kitchen/secrets/token", "{\"value\": \"a-secret\"}");
    assert!(secret.status < 300, "{}", secret.text());
    appliance.deploy(&first);
    assert_eq!(appliance.get("/kitchen").text(), "Berlina-secret");
    appliance.deploy(&hello("kitchen", "\"plain\""));
    let other = "{\"scripts\": [\"other\"]}";
    assert_eq!(appliance.admin("PUT", "/apps/kitchen/secrets/token", other).status, 200);

    let before = revision(&appliance);
    for body in
        [json!({ "version": 1 }), json!({ "version": 1, "plan": true }), json!({ "version": 1, "only_script": true })]
    {
        let refused = rollback(&appliance, &body);
        assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("conflict")), "{}", refused.text());
        assert_eq!(refused.json()["conflicts"], json!(["env value `city`", "secret `token`"]));
        assert!(refused.json()["hint"].as_str().unwrap().contains("--force"));
    }
    assert_eq!((appliance.get("/kitchen").text().as_str(), revision(&appliance)), ("plain", before));

    let forced = rollback(&appliance, &json!({ "version": 1, "force": true }));
    assert_eq!(forced.status, 200, "{}", forced.text());
    let warnings = forced.json()["warnings"].as_array().unwrap().len();
    assert_eq!(warnings, 2, "{}", forced.text());
    assert_eq!(appliance.get("/kitchen").status, 500);
}

#[test]
fn going_back_is_refused_where_something_stands_in_the_way_and_changes_nothing() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&app("one", 1, &["/", "/taken"]));
    let mut second = app("two", 2, &["/"]);
    second["scripts"]["other"] = json!("import \"units\" as u;\nu::f()");
    second["routes"].as_array_mut().unwrap().push(json!({ "path": "/taken", "script": "other" }));
    appliance.deploy(&second);
    let before = revision(&appliance);

    let taken = rollback(&appliance, &json!({ "version": 1 }));
    assert_eq!(taken.status, 409, "{}", taken.text());
    assert!(taken.text().contains("/taken"), "{}", taken.text());
    assert_eq!(rollback(&appliance, &json!({ "version": 9 })).status, 404);
    assert_eq!(rollback(&appliance, &json!({ "version": 1, "hurry": true })).status, 400);
    assert_eq!(appliance.admin("POST", "/apps/kitchen/scripts/nobody/rollback", "{\"version\": 1}").status, 404);
    let url = format!("{HELLO}/rollback");
    let stale = appliance.admin_with("POST", &url, &[("if-match", "\"1\"")], "{\"version\": 1}");
    assert_eq!((stale.status, revision(&appliance)), (412, before), "{}", stale.text());

    // Without that route, the other script gets the module of then, too, and its owner is told.
    let routes = appliance.admin("GET", "/apps/kitchen/routes", "").json();
    let id = routes["items"].as_array().unwrap().iter().find(|route| route["script"] == "other").unwrap()["id"].clone();
    assert_eq!(appliance.admin("DELETE", &format!("/apps/kitchen/routes/{id}"), "").status, 204);
    let back = appliance.admin_with("POST", &url, &[("if-match", "\"2\"")], "{\"version\": 1}");
    assert_eq!(back.status, 200, "{}", back.text());
    let warning = &back.json()["warnings"][0];
    assert_eq!(warning["file"], "modules/units.rhai");
    assert!(warning["message"].as_str().unwrap().starts_with("`other`"), "{warning}");

    // A module that was deleted comes back with whom it was saved with.
    let alone = json!({ "source": "\"three\"" }).to_string();
    assert_eq!(appliance.admin("PUT", HELLO, &alone).status, 200);
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen/scripts/units?force=true", "").status, 204);
    assert_eq!(appliance.get("/kitchen").text(), "three");
    let back = rollback(&appliance, &json!({ "version": 1 }));
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(appliance.get("/kitchen").text(), "one 1 Berlin");
}

#[test]
fn two_versions_are_compared_with_all_they_were_live_with() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&app("one", 1, &["/", "/old"]));
    let mut second = app("two", 2, &["/"]);
    second["env"]["more"] = json!("x");
    appliance.deploy(&second);
    let diff = appliance.admin("GET", &format!("{HELLO}/versions/1/diff"), "");
    assert_eq!(diff.status, 200, "{}", diff.text());
    insta::assert_snapshot!(serde_json::to_string_pretty(&diff.json()).unwrap());
    let same = appliance.admin("GET", &format!("{HELLO}/versions/2/diff?to=2"), "").json();
    let nothing = json!({ "from": 2, "to": 2, "diff": "", "modules": [], "routes": [], "env": [], "secrets": [], "triggers": [] });
    assert_eq!(same, nothing);
    for (url, status) in [("/versions/1/diff?to=9", 404), ("/versions/9/diff", 404), ("/versions/1/diff?too=2", 400)] {
        assert_eq!(appliance.admin("GET", &format!("{HELLO}{url}"), "").status, status, "{url}");
    }
}

#[test]
fn a_version_is_reached_by_name_with_its_own_modules_while_another_is_live() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&app("one", 1, &["/"]));
    appliance.deploy(&app("two", 2, &["/"]));
    let key = key(&appliance, "invoke");
    let ask = |version: &str, key: &str| {
        let mut headers = vec![("x-picloud-version", version)];
        headers.extend((!key.is_empty()).then_some(("authorization", key)));
        appliance.send("GET", "/kitchen", &headers, b"")
    };
    for _twice in 0..2 {
        let old = ask("1", &key);
        assert_eq!((old.status, old.text().as_str()), (200, "one 1 Berlin"), "{}", old.text());
        assert_eq!(old.header("x-picloud-version"), "1");
        assert_eq!(appliance.get("/kitchen").text(), "two 2 Berlin");
    }
    assert_eq!(ask("2", &key).text(), "two 2 Berlin");
    for (version, key, status) in [("9", &*key, 404), ("x", &key, 400), ("1", "", 401)] {
        let refused = ask(version, key);
        assert_eq!(refused.status, status, "version {version}: {}", refused.text());
    }
}
