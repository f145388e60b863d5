//! Exit codes and `--json`: what programs that call `picloud` rely on.

use crate::program::{picloud, run};
use crate::world::World;
use serde_json::Value;

#[test]
fn every_exit_code_means_one_thing() {
    let mut world = World::quickstart();
    for (code, arguments) in [
        (0, &["apps", "list"][..]),
        (1, &["scripts", "put", "hello", "no-such-file.rhai"]),
        (1, &["apps", "create", "Bad_Name"]),
        (2, &["nonsense"]),
        (2, &["kv", "get", "rooms"]),
        (2, &["apps", "get", ""]),
        (3, &["apps", "get", "nothing"]),
        (3, &["scripts", "list", "--app", "nothing"]),
        (3, &["scripts", "get", "nothing"]),
        (4, &["scripts", "delete", "hello"]),
        (4, &["apps", "create", "quickstart"]),
    ] {
        let ran = world.picloud(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert_eq!(ran.err.is_empty(), code == 0, "a failure is told on standard error: {ran:?}");
        assert_eq!(ran.out.is_empty(), code != 0, "{ran:?}");
    }
    world.kill();
    for arguments in [&["apps", "list"][..], &["deploy"], &["status"]] {
        let said = world.fails(5, arguments);
        assert!(said.contains("picloud-appliance dev"), "{said}");
    }
    let mut nowhere = picloud(world.folder());
    nowhere.args(["status", "--url", "http://127.0.0.1:1"]);
    assert_eq!(run(nowhere, "").code, 5);
}

#[test]
fn every_command_answers_json_when_asked_to() {
    let world = World::quickstart();
    let exported = world.folder().join("exported");
    let id = world.json(&["scripts", "run", "hello"])["execution"]["id"].as_str().unwrap().to_owned();
    let route = world.json(&["routes", "create", "/again", "hello"])["id"].to_string();
    for arguments in [
        &["apps", "list"][..],
        &["apps", "get", "quickstart"],
        &["apps", "create", "two"],
        &["apps", "delete", "two", "--yes"],
        &["routes", "list"],
        &["routes", "get", &route],
        &["routes", "delete", &route],
        &["deploy", "--plan"],
        &["deploy"],
        &["export", "quickstart", exported.to_str().unwrap()],
        &["scripts", "list"],
        &["scripts", "get", "hello"],
        &["scripts", "put", "hello", "scripts/echo.rhai"],
        &["scripts", "versions", "hello"],
        &["scripts", "diff", "hello"],
        &["scripts", "diff", "hello", "1", "2"],
        &["scripts", "rollback", "hello", "1", "--plan"],
        &["scripts", "rollback", "hello", "1"],
        &["scripts", "imports", "weather"],
        &["scripts", "importers", "units"],
        &["scripts", "release", "hello"],
        &["scripts", "delete", "hello", "--force"],
        &["modules", "list"],
        &["modules", "get", "units"],
        &["modules", "put", "units", "modules/units.rhai"],
        &["modules", "importers", "units"],
        &["modules", "delete", "units", "--force"],
        &["kv", "set", "c", "k", "{\"a\": [1]}"],
        &["kv", "get", "c", "k"],
        &["kv", "list", "c"],
        &["kv", "collections"],
        &["kv", "delete", "c", "k"],
        &["env", "set", "a", "b"],
        &["env", "list"],
        &["env", "get", "a"],
        &["env", "delete", "a"],
        &["secrets", "set", "TOKEN", "--value", "s3cret"],
        &["secrets", "grant", "TOKEN", "--script", "echo"],
        &["secrets", "list"],
        &["secrets", "delete", "TOKEN"],
        &["executions", "list"],
        &["executions", "get", &id],
        &["logs"],
        &["keys", "create", "k", "--scope", "invoke"],
        &["keys", "list"],
        &["keys", "delete", "k", "--yes"],
        &["audit", "list"],
        &["audit", "verify"],
        &["backup", "b.tar"],
        &["metrics"],
        &["status"],
        &["limits"],
        &["version"],
        &["sdk", "docs"],
        &["sdk", "definitions", "types"],
        &["init", "new"],
        &["man", "pages"],
        &["logout"],
    ] {
        // Panics where the output is no JSON.
        let answer = world.json(arguments);
        assert!(!answer.is_null(), "{arguments:?}");
    }
}

#[test]
fn every_failure_is_a_problem_when_json_is_asked_for() {
    let world = World::quickstart();
    world.write("broken/app.toml", "name = \"broken\"\nroutes = 1\n");
    for (code, arguments) in [
        (3, &["apps", "get", "nothing"][..]),
        (3, &["env", "get", "nothing"]),
        (4, &["modules", "delete", "units"]),
        (1, &["deploy", "broken"]),
        (1, &["deploy", "no-such-folder"]),
        (1, &["kv", "list", "c", "--limit", "0"]),
        (2, &["kv", "set", "c", "k", "no json"]),
        (2, &["kv", "get", "c"]),
        (2, &["scripts", "nonsense"]),
        (5, &["status", "--socket", "no.sock"]),
    ] {
        let problem = world.problem(code, arguments);
        let text = |name: &str| problem[name].as_str().map(str::len).unwrap_or_default();
        assert!(text("code") > 0 && text("detail") > 0 && problem["status"].is_u64(), "{arguments:?}: {problem}");
    }
    // A run that fails is an answer: the command fails, and what was answered is there as JSON.
    world.write("draft.rhai", "throw \"no luck\";\n");
    let ran = world.picloud(&["scripts", "run", "hello", "--source", "draft.rhai", "--json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &answer["status"], &answer["execution"]["error"]["at"]["line"]), (1, &500.into(), &1.into()));
}
