//! Whole apps: all of it or nothing, and never more than was asked.

use crate::hello;
use crate::support::Appliance;
use serde_json::json;
use tempfile::tempdir;

#[test]
fn a_deploy_answers_at_once_and_its_edit_too() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let report = appliance.deploy(&hello("kitchen", "\"one\""));
    assert_eq!(report["answers"], json!(["GET /kitchen/"]));
    assert_eq!(appliance.get("/kitchen").text(), "one");
    assert_eq!(appliance.get("/kitchen/").text(), "one");
    for version in 2..6 {
        let source = format!("#{{ version: {version} }}");
        appliance.deploy(&hello("kitchen", &source));
        assert_eq!(appliance.get("/kitchen").json(), json!({ "version": version }));
    }
    let versions = appliance.admin("GET", "/apps/kitchen/scripts/hello/versions", "").json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 5);
}

#[test]
fn a_plan_shows_the_difference_and_changes_nothing() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "let a = 1;\na\n"));
    let mut wanted = hello("kitchen", "let a = 2;\na\n");
    wanted["env"] = json!({ "city": "Berlin" });
    wanted["limits"] = json!({ "timeout_ms": 500 });
    wanted["modules"] = json!({ "units": "fn f() { 1 }\n" });
    wanted["static"] = json!({ "a.txt": "YQ==" });
    wanted["routes"].as_array_mut().unwrap().push(json!({ "path": "/all/{*rest}", "script": "hello" }));
    let reply = appliance.admin("POST", "/apps/kitchen/deploy?plan=true", &wanted.to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
    insta::assert_snapshot!(serde_json::to_string_pretty(&reply.json()).unwrap());
    assert_eq!(appliance.get("/kitchen").text(), "1");
    assert_eq!(appliance.admin("GET", "/apps/kitchen", "").json()["revision"], 1);
    let of_a_new_app = appliance.admin("POST", "/apps/new/deploy?plan=true", &hello("new", "1").to_string());
    assert_eq!(of_a_new_app.json()["changes"][0]["what"], "app");
    assert_eq!(appliance.admin("GET", "/apps/new", "").status, 404);
}

#[test]
fn what_is_exported_deploys_as_no_change() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut bundle = hello("kitchen", "import \"units\" as u;\nu::f()\n");
    bundle["modules"] = json!({ "units": "fn f() { 1 }\n" });
    bundle["static"] = json!({ "a/b.txt": "YQ==", "empty": "" });
    bundle["env"] = json!({ "city": "Köln" });
    bundle["limits"] = json!({ "timeout_ms": 500 });
    bundle["hosts"] = json!(["Kitchen.Example.org."]);
    appliance.deploy(&bundle);
    let exported = appliance.admin("GET", "/apps/kitchen/export", "").json();
    assert_eq!(exported["hosts"], json!(["kitchen.example.org"]));
    assert_eq!(exported["static"], bundle["static"]);
    let again = appliance.deploy(&exported);
    assert_eq!(again["changes"], json!([]));
    assert_eq!(again["revision"], 1);
    assert_eq!(appliance.send("GET", "/", &[("host", "kitchen.example.org:8080")], b"").text(), "1");
}

#[test]
fn a_broken_deploy_names_everything_at_fault_and_changes_nothing() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "\"good\""));
    let broken = json!({
        "name": "kitchen",
        "hosts": ["http://kitchen"],
        "limits": { "timeout_ms": 300_001 },
        "routes": [
            { "methods": ["GET"], "path": "/a//b", "script": "hello" },
            { "path": "/b", "script": "missing" },
            { "path": "/c", "script": "units" },
        ],
        "triggers": [{ "name": "nightly", "kind": "cron", "script": "units" }],
        "scripts": { "hello": "let x = 1;\nlet y = ;\n", "other": "import \"nowhere\" as n;\n1", "Bad": "1" },
        "modules": { "units": "1 + 1", "kv": "fn f() {}", "a": "import \"b\" as b;", "b": "import \"a\" as a;" },
        "static": { "../x": "YQ==", "y": "no base64!" },
    });
    let reply = appliance.admin("POST", "/apps/kitchen/deploy", &broken.to_string());
    assert_eq!(reply.status, 422, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
    insta::assert_snapshot!(serde_json::to_string_pretty(&reply.json()).unwrap());
    assert_eq!(appliance.get("/kitchen").text(), "good");
    assert_eq!(appliance.admin("GET", "/apps/kitchen", "").json()["revision"], 1);
}

#[test]
fn an_ambiguous_route_is_refused_naming_the_other() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut default = hello("default", "\"default\"");
    default["routes"] = json!([{ "methods": ["GET"], "path": "/kitchen/{room}", "script": "hello" }]);
    appliance.deploy(&default);
    let mut kitchen = hello("kitchen", "\"kitchen\"");
    kitchen["routes"] = json!([{ "path": "/{other}", "script": "hello" }]);
    let reply = appliance.admin("POST", "/apps/kitchen/deploy", &kitchen.to_string());
    assert_eq!(reply.status, 409, "{}", reply.text());
    let problem = reply.json();
    assert_eq!(problem["code"], "conflict");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("/kitchen/{room}") && detail.contains("default"), "{detail}");
    assert_eq!(appliance.admin("GET", "/apps/kitchen", "").status, 404);
    assert_eq!(appliance.get("/kitchen/a").text(), "default");
}

#[test]
fn a_module_is_used_and_its_edit_is_what_runs_next() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut bundle = hello("kitchen", "import \"units\" as u;\nu::double(21)");
    bundle["modules"] = json!({ "units": "fn double(x) { x * 2 }" });
    appliance.deploy(&bundle);
    assert_eq!(appliance.get("/kitchen").text(), "42");
    let body = json!({ "kind": "module", "source": "fn double(x) { x * 20 }" }).to_string();
    assert_eq!(appliance.admin("PUT", "/apps/kitchen/scripts/units", &body).status, 200);
    assert_eq!(appliance.get("/kitchen").text(), "420");
    let importers = appliance.admin("GET", "/apps/kitchen/scripts/units/importers", "").json();
    assert_eq!(importers["items"][0]["name"], "hello");
    let refused = appliance.admin("DELETE", "/apps/kitchen/scripts/units", "");
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert_eq!(refused.json()["conflicts"].as_array().unwrap().len(), 1);
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen/scripts/units?force=true", "").status, 204);
    assert_eq!(appliance.get("/kitchen").status, 500);
}

#[test]
fn deploys_at_the_same_time_leave_one_of_them_whole() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let appliance = &appliance;
            scope.spawn(move || {
                let mut bundle = hello("kitchen", &format!("import \"m\" as m;\n`${{m::n()}} {writer}`"));
                bundle["modules"] = json!({ "m": format!("fn n() {{ {writer} }}") });
                appliance.deploy(&bundle);
                let text = appliance.get("/kitchen").text();
                let (module, script) = text.split_once(' ').unwrap();
                assert_eq!(module, script, "half of a deploy was seen");
            });
        }
    });
    assert_eq!(appliance.admin("GET", "/apps/kitchen", "").json()["revision"], 6);
}

#[test]
fn a_deploy_honours_if_match_and_the_name_in_its_url() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "1"));
    let two = hello("kitchen", "2").to_string();
    let stale = appliance.admin_with("POST", "/apps/kitchen/deploy", &[("if-match", "\"7\"")], &two);
    assert_eq!((stale.status, stale.json()["code"].as_str()), (412, Some("precondition-failed")));
    let met = appliance.admin_with("POST", "/apps/kitchen/deploy", &[("if-match", "\"1\"")], &two);
    assert_eq!((met.status, met.header("etag")), (200, "\"2\""));
    assert_eq!(appliance.admin("POST", "/apps/other/deploy", &two).status, 422);
    let unknown = appliance.admin("POST", "/apps/kitchen/deploy", "{\"name\": \"kitchen\",\n\"rotes\": []}");
    assert_eq!(unknown.status, 400);
    let detail = unknown.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("`rotes`") && detail.contains("line 2"), "{detail}");
}

#[test]
fn where_scripts_may_run_is_planned_deployed_exported_and_deployed_again_as_no_change() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let camera = json!({ "needs": ["camera"], "avoid": [], "prefers": ["room=kitchen"] });
    let mut bundle = hello("kitchen", "1");
    bundle["scripts"]["other"] = json!("2");
    bundle["placement"] = json!({ "hello": camera, "other": {} });
    bundle["triggers"] =
        json!([{ "name": "on-dead", "kind": "dead_letter", "script": "other", "avoid": ["appliance"] }]);
    let plan = appliance.admin("POST", "/apps/kitchen/deploy?plan=true", &bundle.to_string()).json();
    let placed = json!({ "action": "create", "what": "placement", "name": "hello", "diff": "needs camera; prefers room=kitchen" });
    assert!(plan["changes"].as_array().unwrap().contains(&placed), "{plan}");
    appliance.deploy(&bundle);
    let exported = appliance.admin("GET", "/apps/kitchen/export", "").json();
    assert_eq!(exported["placement"], json!({ "hello": camera }), "what says nothing is left out");
    assert_eq!(exported["triggers"][0]["avoid"], json!(["appliance"]));
    assert_eq!(appliance.deploy(&exported)["changes"], json!([]));

    // No script may be named that is not there, and what is said of one that goes goes out of the folder.
    for (placement, said) in [
        (json!({ "helo": camera }), "there is no script `helo`"),
        (json!({ "hello": { "needs": ["Camera"] } }), "is no label"),
    ] {
        let body = json!({ "placement": placement }).to_string();
        let reply = appliance.admin("PATCH", "/apps/kitchen", &body);
        assert_eq!(reply.status, 422, "{}", reply.text());
        assert!(reply.text().contains(said), "{}", reply.text());
    }
    let body = json!({ "placement": { "other": { "prefers": ["gpio"] }, "hello": camera } }).to_string();
    assert_eq!(appliance.admin("PATCH", "/apps/kitchen", &body).status, 200);
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen/triggers/on-dead", "").status, 204);
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen/scripts/other", "").status, 204);
    let exported = appliance.admin("GET", "/apps/kitchen/export", "").json();
    assert_eq!(exported["placement"], json!({ "hello": camera }));
    assert_eq!(appliance.deploy(&exported)["changes"], json!([]));
}
