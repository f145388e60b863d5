//! A whole app: shown, deployed, refused, exported, removed.

use crate::program::{picloud, run};
use crate::world::{World, copy};
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn a_folder_that_is_served_answers_and_deploying_it_is_no_change() {
    let world = World::quickstart();
    assert_eq!(world.answer("/quickstart/hello"), "Hello, world!");
    assert_eq!(world.answer("/quickstart/hello?name=Ada"), "Hello, Ada!");
    let weather: serde_json::Value = serde_json::from_str(&world.answer("/quickstart/weather?celsius=20")).unwrap();
    assert_eq!((&weather["city"], &weather["fahrenheit"]), (&json!("Berlin"), &json!(68.0)));
    assert!(world.answer("/quickstart/").contains("<html"), "static/index.html");
    // In the served folder, neither socket nor app need to be named.
    let mut command = picloud(&world.served());
    command.args(["deploy", "--json"]);
    let ran = run(command, "");
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &report["changes"], &report["revision"]), (0, &json!([]), &json!(1)));
    for plan in [&["deploy"][..], &["deploy", "--plan"]] {
        let said = world.ok(plan);
        assert!(said.starts_with("quickstart is exactly this already"), "{said}");
    }
    assert_eq!(world.revision(), 1);
}

#[test]
fn a_plan_shows_the_difference_and_the_deploy_makes_it() {
    let world = World::quickstart();
    world.edit("scripts/hello.rhai", "\"world\"", "\"moon\"");
    world.edit("app.toml", "path = \"/weather\"", "path = \"/forecast\"");
    world.edit("app.toml", "Berlin", "Rome");
    world.write("scripts/extra.rhai", "1\n");
    std::fs::remove_file(world.work().join("static/style.css")).unwrap();
    assert_snapshot!(world.ok(&["deploy", "--plan"]), @r#"
    a deploy would change quickstart: 2 created, 2 changed, 2 deleted; nothing was changed
      ~ env     city
          Berlin → Rome
      + script  extra
          --- a/scripts/extra.rhai
          +++ b/scripts/extra.rhai
          @@ -0,0 +1 @@
          +1
      ~ script  hello
          --- a/scripts/hello.rhai
          +++ b/scripts/hello.rhai
          @@ -3,6 +3,6 @@
           // The value of the last expression is the answer; a string is sent as plain text.
           // Change the greeting, save, and ask again: `dev` has deployed it meanwhile.

          -let name = ctx.request.query.name ?? "world";
          +let name = ctx.request.query.name ?? "moon";

           `Hello, ${name}!`
      + route   GET /forecast
          weather
      - route   GET /weather
          weather
      - static  style.css
          172 B, sha256 21eb681eb1ad
    it would answer
      GET /quickstart/hello
      * /quickstart/echo/{word}/{*rest}
      DELETE,GET,POST /quickstart/counter/{name}
      GET /quickstart/forecast
      GET /quickstart/
    "#);
    assert_eq!((world.revision(), world.answer("/quickstart/hello").as_str()), (1, "Hello, world!"));

    assert_snapshot!(world.ok(&["deploy", "-m", "to the moon"]), @r#"
    quickstart is deployed (revision 2): 2 created, 2 changed, 2 deleted
      ~ env     city
      + script  extra
      ~ script  hello
      + route   GET /forecast
      - route   GET /weather
      - static  style.css
    it answers
      GET /quickstart/hello
      * /quickstart/echo/{word}/{*rest}
      DELETE,GET,POST /quickstart/counter/{name}
      GET /quickstart/forecast
      GET /quickstart/
    "#);
    assert_eq!((world.revision(), world.answer("/quickstart/hello").as_str()), (2, "Hello, moon!"));
    assert!(world.answer("/quickstart/forecast").contains("\"Rome\""));
    assert_eq!(world.get("/quickstart/weather").0, 404);
    let versions = world.json(&["scripts", "versions", "hello"]);
    assert_eq!(
        (&versions["items"][0]["version"], &versions["items"][0]["message"]),
        (&json!(2), &json!("to the moon"))
    );
    assert_eq!(world.json(&["scripts", "get", "counter"])["version"], 1, "what did not change has no new version");
    assert_eq!(world.json(&["deploy", "--plan"])["changes"], json!([]));
}

#[test]
fn an_export_is_the_app_and_deploying_it_is_no_change() {
    let world = World::quickstart();
    world.edit("app.toml", "[env]", "[limits]\ntimeout_ms = 5000\n\n[env]");
    world.write("static/deep/er/x.bin", "\u{0}\u{1}");
    world.ok(&["deploy"]);
    let exported = world.folder().join("exported");
    let exported = exported.to_str().unwrap();
    assert_eq!(world.json(&["export", "quickstart", exported])["app"], "quickstart");
    let report = world.json(&["deploy", exported]);
    assert_eq!((&report["changes"], &report["revision"]), (&json!([]), &json!(2)));
    for file in ["scripts/counter.rhai", "modules/units.rhai", "static/index.html", "static/deep/er/x.bin"] {
        let copied = std::fs::read(world.folder().join("exported").join(file)).unwrap();
        assert_eq!(copied, std::fs::read(world.work().join(file)).unwrap(), "{file}");
    }
    // An app that never saw this appliance is made from it, all of it.
    world.ok(&["deploy", exported, "--app", "second"]);
    assert_eq!(world.answer("/second/hello"), "Hello, world!");
    assert_eq!(world.answer("/quickstart/hello"), "Hello, world!");

    let said = world.fails(3, &["export", "nothing", "anywhere"]);
    assert!(said.contains("`nothing`") && !world.work().join("anywhere").exists(), "{said}");
    let said = world.fails(1, &["export", "quickstart", world.folder().to_str().unwrap()]);
    assert!(said.contains("is not empty"), "{said}");
}

#[test]
fn a_broken_folder_is_refused_with_every_place_and_nothing_is_changed() {
    let world = World::quickstart();
    world.write("scripts/hello.rhai", "let a = 1;\nlet b = ;\n");
    world.write("scripts/new.rhai", "import \"missing\" as m;\nm::x()\n");
    world.write("modules/units.rhai", "fn fahrenheit(c) { c }\nlet y = 2;\n");
    let said = world.fails(1, &["deploy"]);
    // What is said of each is the compiler's affair; where it is, and that something is said to do about it, is ours.
    let faults: Vec<&str> = said.lines().filter(|line| !line.starts_with("  hint: ")).collect();
    let places = ["scripts/hello.rhai:2:9: ", "modules/units.rhai:2:1: ", "scripts/new.rhai:1:1: "];
    assert_eq!(faults[0], "error: 3 things in app `quickstart` cannot be deployed; nothing was changed");
    assert_eq!(faults.len(), 1 + places.len(), "{said}");
    assert!(places.iter().zip(&faults[1..]).all(|(place, fault)| fault.starts_with(place)), "{said}");
    assert_eq!(said.lines().count(), faults.len() + places.len(), "each has a hint: {said}");
    assert_eq!(world.fails(1, &["deploy", "--plan"]), said);
    let problem = world.problem(1, &["deploy"]);
    assert_eq!((&problem["code"], &problem["status"]), (&json!("invalid-script"), &json!(422)));
    assert_eq!(problem["errors"][0]["line"], 2);
    // From elsewhere, places are told as they are reached from there.
    let elsewhere = world.picloud_with_input(&["deploy", "../work"], "");
    assert!(elsewhere.err.contains("\n../work/scripts/hello.rhai:2:9: "), "{}", elsewhere.err);

    world.edit("app.toml", "name = ", "hots = []\nname = ");
    let said = world.fails(1, &["deploy"]);
    assert!(said.contains("app.toml:3:1") && said.contains("hots"), "{said}");
    assert_eq!((world.revision(), world.answer("/quickstart/hello").as_str()), (1, "Hello, world!"));
    assert_eq!(world.json(&["scripts", "list"])["items"].as_array().unwrap().len(), 5);
    assert_eq!(world.get("/quickstart/weather").0, 200);
}

#[test]
fn apps_whose_routes_could_not_be_told_apart_are_refused_and_nothing_is_changed() {
    let world = World::quickstart();
    let other = world.folder().join("other");
    copy(&world.work(), &other);
    // The app `default` is reached without its name.
    std::fs::write(
        other.join("app.toml"),
        "name = \"default\"\n[[routes]]\nmethods = [\"GET\"]\npath = \"/quickstart/hello\"\nscript = \"hello\"\n",
    )
    .unwrap();
    let problem = world.problem(4, &["deploy", "../other"]);
    assert_eq!(problem["code"], "conflict");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("app `default`") && detail.contains("app `quickstart`"), "{detail}");
    assert!(detail.contains("`GET /quickstart/hello`") && detail.contains("nothing was changed"), "{detail}");
    world.fails(3, &["apps", "get", "default"]);
    assert_eq!(world.answer("/quickstart/hello"), "Hello, world!");
}

#[test]
fn apps_are_made_empty_and_deleted_with_all_they_store() {
    let world = World::quickstart();
    assert_snapshot!(world.ok(&["apps", "create", "two"]), @"app two is made");
    let problem = world.problem(4, &["apps", "create", "two"]);
    assert_eq!(problem["code"], "conflict");
    world.fails(1, &["apps", "create", "Two"]);
    let names = |world: &World| {
        let apps = world.json(&["apps", "list"]);
        apps["items"].as_array().unwrap().iter().map(|app| app["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&world), ["quickstart", "two"]);

    world.ok(&["kv", "set", "counters", "Ada", "7"]);
    world.ok(&["apps", "delete", "quickstart", "--yes"]);
    assert_eq!(names(&world), ["two"]);
    assert_eq!(world.get("/quickstart/hello").0, 404);
    world.fails(3, &["apps", "delete", "quickstart", "--yes"]);
    world.ok(&["deploy"]);
    assert_eq!(world.answer("/quickstart/hello"), "Hello, world!");
    world.fails(3, &["kv", "get", "counters", "Ada"]);
}
