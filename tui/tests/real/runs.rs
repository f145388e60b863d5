//! What ran, and what the appliance says of itself.

use crate::world::World;
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::process::Command;

#[test]
fn a_failing_run_is_listed_and_shows_its_error_with_the_line_of_the_script() {
    let world = World::quickstart();
    world.write("scripts/fails.rhai", "let x = 1;\nlog::warn(\"about to fail\", #{ n: 3 });\nthrow \"no luck\";\n");
    world.edit("app.toml", "[env]", "[[routes]]\nmethods = [\"GET\"]\npath = \"/fails\"\nscript = \"fails\"\n\n[env]");
    world.ok(&["deploy"]);
    let (status, body) = world.get("/quickstart/fails");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &problem["code"], &problem["at"]["line"]), (500, &json!("script-error"), &json!(3)));

    // Workers hand finished runs over in batches, a moment later.
    let failed = ["executions", "list", "--outcome", "failed", "--script", "fails"];
    let run = world.until(&failed, |list| list["items"].get(0).is_some())["items"][0].clone();
    assert_eq!(run["id"], problem["execution_id"]);
    let id = run["id"].as_str().unwrap();
    let table = world.ok(&failed);
    assert!(table.contains(id) && table.contains("fails@1") && table.contains("GET /quickstart/fails"), "{table}");

    let shown = world.json(&["executions", "get", id]);
    assert_eq!(
        (&shown["outcome"], &shown["status"], &shown["app"]),
        (&json!("failed"), &json!(500), &json!("quickstart"))
    );
    assert_eq!(shown["error"]["at"], json!({"script": "fails", "line": 3, "column": 1}));
    assert_eq!((&shown["error"]["detail"], &shown["logs"][0]["level"]), (&json!("no luck"), &json!("warn")));
    assert_eq!(
        (&shown["logs"][0]["message"], &shown["logs"][0]["fields"]),
        (&json!("about to fail"), &json!({"n": 3}))
    );
    let text = world.ok(&["executions", "get", id]);
    assert!(text.contains("error: no luck (fails:3:1)") && text.contains("warn  about to fail {\"n\":3}"), "{text}");
    assert_eq!(world.json(&["executions", "list", "--script", "hello"])["items"], json!([]));
    world.fails(3, &["executions", "get", "no-id"]);
    world.fails(3, &["executions", "get", "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42"]);
}

#[test]
fn a_script_that_takes_its_worker_down_is_named_and_quarantined_until_it_is_released() {
    let world = World::quickstart();
    let source = "let c = kv::collection(\"c\");\n\
                  if \"round\" in ctx.request.query { c.set(ctx.request.query.round, 1); loop { } }\n\"fine\"\n";
    world.write("scripts/hello.rhai", source);
    world.ok(&["deploy"]);
    let mut lost = Vec::new();
    for round in ["1", "2", "3"] {
        let worker = world.json(&["status"])["worker"]["pid"].to_string();
        std::thread::scope(|scope| {
            let cut_off = scope.spawn(|| world.try_get(&format!("/quickstart/hello?round={round}")));
            world.until(&["kv", "get", "c", round], |value| *value == 1);
            let killed = Command::new("sh").args(["-c", &format!("kill -9 {worker}")]).status().unwrap();
            assert!(killed.success());
            let answer = cut_off.join().unwrap().unwrap_or_default();
            assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        });
        assert_eq!(world.get("/quickstart/counter/x").0, 200, "others wait for the new worker and are answered");
        let count = lost.len();
        let list = ["executions", "list", "--outcome", "worker_lost", "--script", "hello"];
        let list = world.until(&list, |list| list["items"].as_array().is_some_and(|items| items.len() > count));
        lost = list["items"].as_array().unwrap().clone();
    }
    assert!(lost.iter().all(|run| run["error"]["code"] == "worker-lost" && run["cause"] == "GET /quickstart/hello"));
    world.until(&["status"], |status| status["quarantined"] == 1);
    assert!(world.ok(&["scripts", "list"]).contains("quarantined after 3 crashes"));
    let (status, body) = world.get("/quickstart/hello");
    assert!(status == 502 && body.contains("scripts release hello"), "{body}");
    world.ok(&["scripts", "release", "hello"]);
    assert_eq!(world.answer("/quickstart/hello"), "fine");
    assert_eq!(world.json(&["status"])["quarantined"], 0);
}

#[test]
fn a_value_of_the_environment_is_what_the_next_request_sees() {
    let world = World::quickstart();
    assert_eq!(world.ok(&["env", "get", "city"]), "Berlin\n");
    world.ok(&["env", "set", "city", "Rome"]);
    world.ok(&["env", "set", "street", "Via = \"x\""]);
    assert!(world.answer("/quickstart/weather").contains("\"Rome\""));
    let values = json!([{"name": "city", "value": "Rome"}, {"name": "street", "value": "Via = \"x\""}]);
    assert_eq!(world.json(&["env", "list"])["items"], values);
    world.ok(&["env", "delete", "street"]);
    for missing in [["env", "get", "street"], ["env", "delete", "street"]] {
        assert_eq!(world.problem(3, &missing)["code"], "not-found");
    }
    // A deploy makes it what the folder says.
    let changes = world.json(&["deploy"])["changes"].clone();
    assert_eq!(changes.as_array().unwrap().len(), 1, "{changes}");
    assert!(world.answer("/quickstart/weather").contains("\"Berlin\""));
}

#[test]
fn the_appliance_says_how_it_is_what_it_is_and_what_holds() {
    let world = World::quickstart();
    let status = world.json(&["status"]);
    assert_eq!((&status["apps"], &status["scripts"], &status["routes"]), (&json!(1), &json!(5), &json!(4)));
    assert!(status["worker"]["pid"].as_u64().unwrap() > 0);
    let data = world.served().join(".picloud");
    assert_eq!(status["data_dir"], data.to_str().unwrap(), "also where the appliance was given a relative one");
    assert!(world.ok(&["status"]).contains("quarantined: 0"));
    let version = world.json(&["version"]);
    assert_eq!(version["picloud"], version["appliance"]["version"]);
    let limits = world.json(&["limits"]);
    let timeout = limits["items"].as_array().unwrap().iter().find(|limit| limit["name"] == "timeout_ms").unwrap();
    assert_eq!((&timeout["default"], &timeout["ceiling"]), (&json!(10_000), &json!(300_000)));

    world.edit("app.toml", "[env]", "[limits]\ntimeout_ms = 300001\n\n[env]");
    let said = world.fails(1, &["deploy"]);
    assert!(said.contains("timeout_ms") && said.contains("300000"), "{said}");
    world.edit("app.toml", "timeout_ms = 300001", "max_operations = 1000");
    world.ok(&["deploy"]);
    world.write("draft.rhai", "let i = 0;\nloop { i += 1; }\n");
    let ran = world.picloud(&["scripts", "run", "hello", "--source", "draft.rhai"]);
    let problem: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &problem["code"]), (1, &json!("limit-exceeded")));
    assert_eq!(problem["limit"], json!({"name": "max_operations", "value": 1000}));
}

#[test]
fn the_sdk_is_documented_and_defined_for_editors() {
    let world = World::quickstart();
    let docs = world.ok(&["sdk", "docs"]);
    assert!(docs.starts_with("# The SDK") && docs.contains("`kv::collection"), "{docs}");
    assert_eq!(world.json(&["sdk", "docs"])["markdown"].as_str().unwrap().trim_end(), docs.trim_end());
    let said = world.ok(&["sdk", "definitions", "types"]);
    let files = std::fs::read_dir(world.work().join("types")).unwrap().count();
    assert_eq!(said, format!("{files} definition files are written to types\n"));
    assert!(world.read("types/kv.d.rhai").starts_with("module kv;"));
    assert!(world.read("types/__static__.d.rhai").contains("fn respond("));
    let printed = world.ok(&["sdk", "definitions", "-"]);
    assert!(printed.contains("// kv.d.rhai\nmodule kv;"), "{printed}");
    assert_eq!(world.json(&["sdk", "definitions", "-"])["items"].as_array().unwrap().len(), files);
    assert_snapshot!(world.fails(2, &["sdk"]).lines().next().unwrap(), @r#"error: 'picloud sdk' requires a subcommand but one was not provided"#);
}
