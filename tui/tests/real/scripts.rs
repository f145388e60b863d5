//! One script: saved, looked at, compared, gone back to, tried.

use crate::world::World;
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn a_saved_script_answers_next_and_every_save_is_a_version() {
    let world = World::quickstart();
    let first = world.read("scripts/hello.rhai");
    assert_eq!(world.ok(&["scripts", "get", "hello"]), first);
    let put = |arguments: &[&str], source: &str| {
        let ran = world.picloud_with_input(&[&["scripts", "put", "hello"], arguments].concat(), source);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out
    };
    assert_snapshot!(put(&["-m", "shorter"], "\"two\"\n"), @"hello is saved as version 2");
    assert_eq!(world.answer("/quickstart/hello"), "two");
    world.write("draft.rhai", "\"three\"\n");
    assert_snapshot!(put(&["draft.rhai", "--if-version", "2"], ""), @"hello is saved as version 3");
    assert_eq!(world.answer("/quickstart/hello"), "three");
    let problem = world.problem(4, &["scripts", "put", "hello", "draft.rhai", "--if-version", "2"]);
    assert_eq!((&problem["code"], &problem["status"]), (&json!("precondition-failed"), &json!(412)));

    let versions = world.json(&["scripts", "versions", "hello"]);
    let versions = versions["items"].as_array().unwrap();
    let told: Vec<_> =
        versions.iter().map(|version| (version["version"].clone(), version["message"].clone())).collect();
    assert_eq!(told, [(json!(3), json!(null)), (json!(2), json!("shorter")), (json!(1), json!(null))]);
    assert!(versions.iter().all(|version| version["author"].is_string() && version["hash"].is_string()));
    assert_eq!(world.ok(&["scripts", "get", "hello", "--version", "1"]), first);
    assert_eq!(world.json(&["scripts", "get", "hello"])["source"], "\"three\"\n");
    assert_snapshot!(world.ok(&["scripts", "diff", "hello"]), @r#"
    hello: version 2 and version 3
    --- a/scripts/hello.rhai
    +++ b/scripts/hello.rhai
    @@ -1 +1 @@
    -"two"
    +"three"
    "#);
    assert!(world.json(&["scripts", "diff", "hello", "--from", "1"])["diff"].as_str().unwrap().contains("-// GET"));

    world.ok(&["scripts", "rollback", "hello", "2"]);
    assert_eq!(world.answer("/quickstart/hello"), "two");
    let live = world.json(&["scripts", "get", "hello"]);
    assert_eq!((&live["version"], &live["message"]), (&json!(4), &json!("back to version 2")));
    for missing in [&["scripts", "rollback", "hello", "9"][..], &["scripts", "get", "hello", "--version", "9"]] {
        assert_eq!(world.problem(3, missing)["code"], "not-found");
    }
}

#[test]
fn a_script_that_does_not_compile_is_refused_in_its_file_and_the_saved_one_goes_on_answering() {
    let world = World::quickstart();
    world.write("draft.rhai", "let a = 1;\n\nlet b = ;\n");
    for (arguments, said) in [
        (&["scripts", "put", "hello", "draft.rhai"][..], "scripts/hello.rhai cannot be saved; nothing was changed"),
        (&["scripts", "run", "hello", "--source", "draft.rhai"], "the draft of scripts/hello.rhai cannot be run"),
    ] {
        let expected = format!("error: {said}\ndraft.rhai:3:9: unexpected ';'\n");
        let said = world.fails(1, arguments);
        assert!(said.starts_with(&expected), "{said}");
    }
    assert_eq!(world.problem(1, &["scripts", "put", "new", "draft.rhai"])["errors"][0]["line"], 3);
    world.write("uses.rhai", "import \"nothing\" as n;\nn::x()\n");
    let said = world.fails(1, &["scripts", "put", "new", "uses.rhai"]);
    assert!(said.contains("\nuses.rhai:1:1: ") && said.contains("`nothing`"), "{said}");
    world.fails(3, &["scripts", "get", "new"]);
    assert_eq!((world.revision(), world.answer("/quickstart/hello").as_str()), (1, "Hello, world!"));
    let said = world.fails(1, &["scripts", "put", "Bad-Name", "scripts/hello.rhai"]);
    assert!(said.contains("`Bad-Name` is no script name"), "{said}");
    world.fails(1, &["scripts", "put", "hello", "no-such-file.rhai"]);
}

#[test]
fn a_check_says_all_that_a_save_would_and_saves_nothing() {
    let world = World::quickstart();
    world.write("draft.rhai", "let answer = 42;\nif false { answer } else { \"fine\" }\n");
    assert_snapshot!(world.ok(&["scripts", "check", "hello", "draft.rhai"]), @"draft.rhai could be saved as hello");
    let ran =
        world.picloud_with_input(&["scripts", "check", "new", "--json"], "import \"units\" as units;\nunits::x()\n");
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &answer["imports"]), (0, &json!(["units"])), "{ran:?}");
    world.write("draft.rhai", "let a = 1;\nif a > 1 { nobody_has(a) }\n");
    let ran = world.picloud(&["scripts", "check", "hello", "draft.rhai"]);
    assert!(ran.code == 0 && ran.err.starts_with("warning: draft.rhai:2:12: "), "{ran:?}");
    world.write("draft.rhai", "let a = 1;\n\nlet b = ;\n");
    let said = world.fails(1, &["scripts", "check", "hello", "draft.rhai"]);
    assert!(said.contains("\ndraft.rhai:3:9: unexpected ';'\n"), "{said}");
    let problem = world.problem(1, &["scripts", "check", "hello", "draft.rhai"]);
    assert_eq!((&problem["code"], &problem["errors"][0]["line"]), (&json!("invalid-script"), &json!(3)));
    // A module has only functions: it is checked as what it was, or as what is said.
    world.write("draft.rhai", "fn half(n) { n / 2 }\nprint(half(4));\n");
    for module in [
        &["scripts", "check", "units", "draft.rhai"][..],
        &["scripts", "check", "new", "draft.rhai", "--kind", "module"],
    ] {
        let said = world.fails(1, module);
        assert!(said.contains("\ndraft.rhai:2:"), "{said}");
    }
    world.fails(3, &["scripts", "check", "hello", "scripts/hello.rhai", "--app", "nowhere"]);
    world.fails(3, &["scripts", "get", "new"]);
    assert_eq!((world.revision(), world.answer("/quickstart/hello").as_str()), (1, "Hello, world!"));
}

#[test]
fn a_script_is_tried_with_a_request_and_a_draft_before_it_is_saved() {
    let world = World::quickstart();
    let ran = world.picloud(&["scripts", "run", "hello", "--path", "/hello?name=Ada"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Hello, Ada!\n"));
    assert!(ran.err.starts_with("status 200 in ") && ran.err.contains("\nused 17 operations, "), "{ran:?}");
    // A path that a route leads to has its parameters.
    let echo = ["scripts", "run", "echo", "--path", "/quickstart/echo/one/two/three?q=1", "--method", "put"];
    let ran = world.picloud_with_input(&[&echo[..], &["-H", "User-Agent: me", "-d", "-"]].concat(), "the body");
    let echoed: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        echoed,
        json!({"agent": "me", "body": "the body", "method": "PUT", "query": {"q": "1"}, "rest": "two/three", "word": "one"})
    );

    // A body that is no text arrives, and is answered, byte by byte.
    std::fs::write(world.work().join("body.bin"), [0, 159, 146, 150]).unwrap();
    let arguments = ["scripts", "run", "hello", "--json", "-d", "@body.bin", "--source", "draft.rhai"];
    world.write("draft.rhai", "ctx.request.body\n");
    let ran = world.picloud(&arguments);
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &answer["body_base64"]), (0, &json!("AJ+Slg==")));

    world.write("draft.rhai", "log::info(\"trying\", #{ n: 1 });\nrespond(201, \"draft of \" + ctx.script)\n");
    let ran = world.picloud(&["scripts", "run", "hello", "--source", "draft.rhai"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "draft of hello\n"));
    assert!(ran.err.starts_with("info trying {\"n\":1}\nstatus 201 in "), "{ran:?}");
    assert_eq!(world.answer("/quickstart/hello"), "Hello, world!", "a draft is not saved");
    // A name that is not saved yet is tried in the same way, and is not saved by that.
    let ran = world.picloud(&["scripts", "run", "unsaved", "--source", "draft.rhai"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "draft of unsaved\n"), "{ran:?}");
    let ran = world.picloud(&["scripts", "run", "draft.rhai"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "draft of draft\n"), "{ran:?}");
    world.fails(3, &["scripts", "run", "unsaved"]);
    for module in [&["scripts", "run", "units"][..], &["scripts", "run", "units", "--source", "draft.rhai"]] {
        let said = world.fails(1, module);
        assert!(said.contains("`units` is a module"), "{said}");
    }
    world.write("draft.rhai", "let a = 1;\nthrow \"no luck\";\n");
    let ran = world.picloud(&["scripts", "run", "hello", "--source", "draft.rhai"]);
    assert!(ran.code == 1 && ran.out.contains("\"no luck\"") && ran.out.contains("\"line\":2"), "{ran:?}");
    assert!(ran.err.ends_with("error: the script answered 500: no luck (hello:2:1)\n"), "{ran:?}");
}
