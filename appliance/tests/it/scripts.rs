//! Scripts, versions, routes and apps one by one, runs, and what is kept of them.

use crate::hello;
use crate::support::{Appliance, until};
use serde_json::json;
use tempfile::tempdir;

#[test]
fn a_script_is_saved_read_rolled_back_and_removed() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    assert_eq!(appliance.admin("POST", "/apps", "{\"name\": \"kitchen\"}").status, 201);
    assert_eq!(appliance.admin("POST", "/apps", "{\"name\": \"kitchen\"}").status, 409);
    let url = "/apps/kitchen/scripts/hello";
    assert_eq!(appliance.admin("GET", url, "").status, 404);
    let first = appliance.admin("PUT", url, "{\"source\": \"1\", \"message\": \"begin\"}");
    assert_eq!((first.status, first.header("etag")), (201, "\"1\""), "{}", first.text());
    let route = appliance.admin("POST", "/apps/kitchen/routes", "{\"path\": \"/\", \"script\": \"hello\"}");
    assert_eq!(route.status, 201, "{}", route.text());
    assert_eq!(appliance.get("/kitchen").text(), "1");
    let second = appliance.admin_with("PUT", url, &[("if-match", "\"1\"")], "{\"source\": \"2\"}");
    assert_eq!((second.status, second.header("etag")), (200, "\"2\""), "{}", second.text());
    let stale = appliance.admin_with("PUT", url, &[("if-match", "\"1\"")], "{\"source\": \"3\"}");
    assert_eq!(stale.status, 412, "{}", stale.text());
    assert_eq!(appliance.admin_with("PUT", url, &[("if-none-match", "*")], "{\"source\": \"3\"}").status, 412);
    let same = appliance.admin("PUT", url, "{\"source\": \"2\"}");
    assert_eq!(same.header("etag"), "\"2\"", "saving what is there makes no version");
    let read = appliance.admin("GET", url, "").json();
    assert_eq!((read["source"].as_str(), read["version"].as_i64()), (Some("2"), Some(2)));
    let back = appliance.admin("POST", &format!("{url}/rollback"), "{\"version\": 1}");
    assert_eq!((back.status, back.header("etag")), (200, "\"3\""), "{}", back.text());
    assert_eq!(appliance.get("/kitchen").text(), "1");
    let version = appliance.admin("GET", &format!("{url}/versions/1"), "").json();
    assert_eq!((version["source"].as_str(), version["message"].as_str()), (Some("1"), Some("begin")));
    assert_eq!(appliance.admin("GET", &format!("{url}/versions/9"), "").status, 404);
    let module = appliance.admin("PUT", url, "{\"kind\": \"module\", \"source\": \"fn f() {}\"}");
    assert_eq!(module.status, 409, "{}", module.text());
    assert_eq!(appliance.admin("DELETE", url, "").status, 409);
    let id = route.json()["id"].as_i64().unwrap();
    assert_eq!(appliance.admin("DELETE", &format!("/apps/kitchen/routes/{id}"), "").status, 204);
    assert_eq!(appliance.get("/kitchen").status, 404);
    assert_eq!(appliance.admin("DELETE", url, "").status, 204);
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen", "").status, 204);
    assert_eq!(appliance.admin("GET", "/apps/kitchen", "").status, 404);
}

#[test]
fn a_check_says_what_a_save_would_say_and_saves_nothing() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "\"good\""));
    let check = |name: &str, body: &str| appliance.admin("POST", &format!("/apps/kitchen/scripts/{name}/check"), body);
    let good = check("hello", "{\"source\": \"2\"}");
    assert_eq!((good.status, good.text().as_str()), (200, "{\"imports\":[],\"warnings\":[]}"));
    assert_eq!(check("brand_new", "{\"source\": \"2\"}").status, 200, "it need not be there");
    let broken = check("hello", "{\"source\": \"let a = 1;\\nlet b = ;\"}");
    assert_eq!((broken.status, broken.json()["code"].as_str()), (422, Some("invalid-script")));
    assert_eq!(broken.json()["errors"][0]["line"], 2);
    let lonely = check("hello", "{\"source\": \"import \\\"nobody\\\" as n; n::f()\"}");
    assert_eq!(lonely.status, 422, "{}", lonely.text());
    assert_eq!(lonely.json()["errors"][0]["file"], "scripts/hello.rhai", "{}", lonely.text());
    assert_eq!(appliance.get("/kitchen").text(), "good");
    assert_eq!(appliance.admin("GET", "/apps/kitchen/scripts/hello", "").json()["version"], 1);
    assert_eq!(appliance.admin("GET", "/apps/kitchen/scripts/brand_new", "").status, 404);
}

#[test]
fn a_broken_script_is_refused_with_its_line_and_the_last_good_one_answers() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "\"good\""));
    let refused = appliance.admin("PUT", "/apps/kitchen/scripts/hello", "{\"source\": \"let a = 1;\\nlet b = ;\"}");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some("invalid-script")));
    assert_eq!(refused.json()["errors"][0]["line"], 2);
    let cyclic = |name: &str, other: &str| {
        let source = format!("import \"{other}\" as o;");
        let body = json!({ "kind": "module", "source": source }).to_string();
        appliance.admin("PUT", &format!("/apps/kitchen/scripts/{name}"), &body)
    };
    assert_eq!(cyclic("a", "b").status, 422, "b is missing");
    let leaf = json!({ "kind": "module", "source": "fn f() {}" }).to_string();
    assert_eq!(appliance.admin("PUT", "/apps/kitchen/scripts/b", &leaf).status, 201);
    assert_eq!(cyclic("a", "b").status, 201);
    let circle = cyclic("b", "a");
    assert_eq!(circle.status, 422, "{}", circle.text());
    assert!(circle.text().contains("→"), "{}", circle.text());
    assert_eq!(appliance.get("/kitchen").text(), "good");
}

#[test]
fn an_app_is_patched_and_its_scripts_see_it() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "env::get(\"city\")"));
    let patched = appliance.admin("PATCH", "/apps/kitchen", "{\"env\": {\"city\": \"Berlin\"}}");
    assert_eq!((patched.status, patched.header("etag")), (200, "\"2\""), "{}", patched.text());
    assert_eq!(appliance.get("/kitchen").text(), "Berlin");
    for (body, status) in [
        ("{\"limits\": {\"timeout_ms\": 0}}", 422),
        ("{\"hosts\": [\"a b\"]}", 422),
        ("{\"colour\": \"red\"}", 400),
        ("", 400),
    ] {
        let reply = appliance.admin("PATCH", "/apps/kitchen", body);
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
    }
    let stale = appliance.admin_with("PATCH", "/apps/kitchen", &[("if-match", "\"1\"")], "{}");
    assert_eq!(stale.status, 412);
}

#[test]
fn hosts_that_make_routes_ambiguous_are_refused() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "\"kitchen\""));
    appliance.deploy(&hello("cellar", "\"cellar\""));
    let hosts = "{\"hosts\": [\"home.example.org\"]}";
    assert_eq!(appliance.admin("PATCH", "/apps/kitchen", hosts).status, 200);
    let refused = appliance.admin("PATCH", "/apps/cellar", hosts);
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert_eq!(refused.json()["conflicts"], json!(["kitchen: GET /"]));
    assert_eq!(appliance.send("GET", "/", &[("host", "home.example.org")], b"").text(), "kitchen");
    assert_eq!(appliance.get("/cellar").text(), "cellar");
}

#[test]
fn a_source_of_any_depth_is_refused_and_takes_nothing_down() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.admin("POST", "/apps", "{\"name\": \"kitchen\"}");
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{", "}"), ("#{a:", "}"), ("if true {", "}"), ("!", ""), ("|x| ", "")]
    {
        let source = format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        let reply = appliance.admin("PUT", "/apps/kitchen/scripts/deep", &json!({ "source": source }).to_string());
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (422, Some("invalid-script")),
            "{open}: {}",
            reply.text()
        );
    }
}

#[test]
fn a_script_is_run_without_a_route_and_before_it_is_saved() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello(
        "kitchen",
        "log::info(\"seen\", #{ n: 1 });\n#{ q: ctx.request.query.a, by: ctx.principal.kind }",
    ));
    let body = json!({ "request": { "path": "/x?a=b" } }).to_string();
    let ran = appliance.admin("POST", "/apps/kitchen/scripts/hello/run", &body);
    assert_eq!(ran.status, 200, "{}", ran.text());
    let ran = ran.json();
    assert_eq!(
        (ran["status"].as_i64(), ran["body"].as_str()),
        (Some(200), Some("{\"by\":\"person\",\"q\":\"b\"}")),
        "{ran}"
    );
    assert_eq!(ran["execution"]["logs"][0]["message"], "seen");
    let kept = appliance.admin("GET", "/apps/kitchen/executions?limit=1", "").json();
    assert_eq!(kept["items"][0]["id"], ran["execution"]["id"]);
    assert_eq!(ran["execution"]["logs"][0]["fields"], json!({ "n": 1 }));
    let tried = json!({ "source": "throw \"no\"", "request": {} }).to_string();
    let tried = appliance.admin("POST", "/apps/kitchen/scripts/hello/run", &tried).json();
    assert_eq!(tried["status"], 500);
    assert_eq!(tried["execution"]["error"]["code"], "script-error");
    let broken = json!({ "source": "let = 1" }).to_string();
    assert_eq!(appliance.admin("POST", "/apps/kitchen/scripts/hello/run", &broken).status, 422);
    assert_eq!(appliance.admin("POST", "/apps/kitchen/scripts/nobody/run", "{}").status, 404);
}

#[test]
fn failed_runs_are_kept_and_found() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "throw \"broken on purpose\""));
    let failed = appliance.get("/kitchen");
    assert_eq!(failed.status, 500);
    let id = failed.json()["execution_id"].as_str().unwrap().to_owned();
    let list = || appliance.admin("GET", "/apps/kitchen/executions?outcome=failed", "").json();
    until("the failed run is kept", || list()["items"].as_array().is_some_and(|items| items.len() == 1));
    let kept = &list()["items"][0];
    assert_eq!((kept["id"].as_str(), kept["cause"].as_str()), (Some(id.as_str()), Some("GET /kitchen")));
    let one = appliance.admin("GET", &format!("/apps/kitchen/executions/{id}"), "").json();
    assert_eq!(one["error"]["code"], "script-error");
    assert!(one["error"]["detail"].as_str().unwrap().contains("broken on purpose"), "{one}");
    assert_eq!(appliance.admin("GET", "/apps/kitchen/executions/nonsense", "").status, 404);
}

#[test]
fn routes_are_added_one_by_one_under_the_same_rules() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "1"));
    let add = |body: &str| appliance.admin("POST", "/apps/kitchen/routes", body);
    let twice = add("{\"methods\": [\"get\"], \"path\": \"/\", \"script\": \"hello\"}");
    assert_eq!(twice.status, 409, "{}", twice.text());
    assert_eq!(add("{\"methods\": [\"post\"], \"path\": \"/\", \"script\": \"hello\"}").status, 201);
    assert_eq!(add("{\"path\": \"nowhere\", \"script\": \"hello\"}").status, 422);
    assert_eq!(add("{\"path\": \"/x\", \"script\": \"nobody\"}").status, 422);
    assert_eq!(appliance.send("POST", "/kitchen", &[], b"").text(), "1");
    let routes = appliance.admin("GET", "/apps/kitchen/routes", "").json();
    assert_eq!(routes["items"].as_array().unwrap().len(), 2);
    let id = routes["items"][0]["id"].as_i64().unwrap();
    assert_eq!(appliance.admin("GET", &format!("/apps/kitchen/routes/{id}"), "").json()["path"], "/");
}
