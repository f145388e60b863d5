//! Routes, one at a time.

use crate::world::World;
use insta::assert_snapshot;

#[test]
fn a_route_answers_from_its_creation_to_its_deletion() {
    let world = World::quickstart();
    let route = world.json(&["routes", "create", "/hi/{name}", "hello", "--method", "get", "-X", "post"]);
    let id = route["id"].to_string();
    assert_eq!(world.answer("/quickstart/hi/x?name=Ada"), "Hello, Ada!");
    let mut shown = world.json(&["routes", "get", &id]);
    let served_by = shown.as_object_mut().unwrap().remove("served_by").unwrap();
    assert_eq!(served_by.as_array().map(Vec::len), Some(1), "{served_by}");
    assert_eq!(shown, route);
    assert!(world.ok(&["routes", "list"]).contains("GET,POST"));
    world.ok(&["routes", "delete", &id]);
    assert_eq!(world.get("/quickstart/hi/x").0, 404);
    for gone in [["routes", "get", &id], ["routes", "delete", &id]] {
        assert_eq!(world.problem(3, &gone)["code"], "not-found");
    }
}

#[test]
fn a_route_that_cannot_be_is_refused_and_nothing_is_changed() {
    let world = World::quickstart();
    assert_snapshot!(world.fails(4, &["routes", "create", "/echo/{a}/{*b}", "hello"]), @r#"
    error: route `* /echo/{a}/{*b}` of app `quickstart` and route `* /echo/{word}/{*rest}` of app `quickstart` both match `GET /quickstart/echo/a/b`
      in the way: quickstart: * /echo/{word}/{*rest}
    hint: change the path, the methods or the host of one of the two
    "#);
    assert_snapshot!(world.fails(4, &["routes", "create", "/hello", "echo", "-X", "GET"]), @r#"
    error: route `GET /hello` of app `quickstart` and route `GET /hello` of app `quickstart` both match `GET /quickstart/hello`
      in the way: quickstart: GET /hello
    hint: change the path, the methods or the host of one of the two
    "#);
    for (arguments, at_fault) in [
        (&["routes", "create", "/x", "nothing"][..], "`nothing`"),
        (&["routes", "create", "/x", "units"], "`units` is a module"),
        (&["routes", "create", "x", "hello"], "`x`"),
        (&["routes", "create", "/{a}/{a}", "hello"], "{a}"),
        (&["routes", "create", "/x", "hello", "-X", "G T"], "G T"),
    ] {
        let said = world.fails(1, arguments);
        assert!(said.contains(at_fault), "{arguments:?}: {said}");
    }
    // What a method tells apart is not ambiguous.
    world.ok(&["routes", "create", "/hello", "echo", "-X", "POST"]);
    assert_eq!(world.answer("/quickstart/hello"), "Hello, world!");
    assert_eq!(world.json(&["routes", "list"])["items"].as_array().unwrap().len(), 5);
}
