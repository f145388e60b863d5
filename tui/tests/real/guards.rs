//! What is in use is not taken away by accident: refusals that list what stands in the way, and `--force`.

use crate::world::World;
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn a_module_in_use_is_deleted_only_with_force() {
    let world = World::quickstart();
    assert_eq!(world.ok(&["scripts", "imports", "weather"]), "units\n");
    assert_eq!(world.ok(&["modules", "importers", "units"]), "weather\n");
    assert_eq!(world.ok(&["scripts", "importers", "units"]), "weather\n");
    assert_eq!(world.ok(&["scripts", "imports", "hello"]), "");
    assert_snapshot!(world.fails(4, &["modules", "delete", "units"]), @r#"
    error: module `units` is in use
      in the way: endpoint `weather`
    hint: remove those first, or delete it with --force (in the API: ?force=true)
    "#);
    let problem = world.problem(4, &["modules", "delete", "units"]);
    assert_eq!((&problem["code"], &problem["conflicts"]), (&json!("conflict"), &json!(["endpoint `weather`"])));
    assert_eq!(world.get("/quickstart/weather").0, 200);

    world.ok(&["modules", "delete", "units", "--force"]);
    let (status, body) = world.get("/quickstart/weather");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["code"]), (500, &json!("script-error")), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("`units`"), "{body}");
    world.fails(3, &["modules", "get", "units"]);
    world.ok(&["modules", "put", "units", "modules/units.rhai"]);
    assert_eq!(world.get("/quickstart/weather").0, 200, "a module that is back is found again");
}

#[test]
fn a_script_with_a_route_is_deleted_only_with_force_and_its_routes_go_with_it() {
    let world = World::quickstart();
    assert_snapshot!(world.fails(4, &["scripts", "delete", "hello"]), @r#"
    error: endpoint `hello` is in use
      in the way: route GET /hello
    hint: remove those first, or delete it with --force (in the API: ?force=true)
    "#);
    assert_eq!(world.answer("/quickstart/hello"), "Hello, world!");
    world.ok(&["scripts", "delete", "hello", "--force"]);
    assert_eq!(world.get("/quickstart/hello").0, 404);
    let routes = world.ok(&["routes", "list"]);
    assert!(!routes.contains("hello") && routes.contains("weather"), "{routes}");
    world.fails(3, &["scripts", "delete", "hello"]);
    // A script that nothing leads to needs no force.
    world.ok(&["scripts", "put", "idle", "scripts/hello.rhai"]);
    world.ok(&["scripts", "delete", "idle"]);
}

#[test]
fn what_others_rely_on_stays_what_it_is() {
    let world = World::quickstart();
    let said = world.fails(4, &["scripts", "put", "hello", "modules/units.rhai", "--kind", "module"]);
    assert!(said.contains("in the way: route GET /hello"), "{said}");
    let said = world.fails(4, &["scripts", "put", "units", "scripts/hello.rhai", "--kind", "endpoint"]);
    assert!(said.contains("in the way: weather"), "{said}");
    // Without --kind, a module stays a module.
    world.write("units.rhai", "fn fahrenheit(c) { 451.0 }\nfn feeling(c) { \"hot\" }\n");
    world.ok(&["scripts", "put", "units", "units.rhai"]);
    assert!(world.answer("/quickstart/weather").contains("451.0"), "the next call runs the saved module");
    let said = world.fails(1, &["modules", "get", "hello"]);
    assert!(said.contains("hello is a script, not a module"), "{said}");
}

#[test]
fn imports_in_a_circle_are_refused_and_shown() {
    let world = World::quickstart();
    world.write("a.rhai", "fn x() { 1 }\n");
    world.ok(&["modules", "put", "a", "a.rhai"]);
    world.write("b.rhai", "import \"a\" as a;\nfn y() { a::x() }\n");
    world.ok(&["modules", "put", "b", "b.rhai"]);
    world.write("a.rhai", "import \"b\" as b;\nfn x() { b::y() }\n");
    let said = world.fails(1, &["modules", "put", "a", "a.rhai"]);
    assert!(said.contains("a → b → a") || said.contains("b → a → b"), "{said}");
    assert_eq!(world.ok(&["modules", "get", "a"]), "fn x() { 1 }\n");
    for reserved in ["kv", "http"] {
        let said = world.fails(1, &["modules", "put", reserved, "a.rhai"]);
        assert!(said.contains(reserved), "{said}");
    }
}
