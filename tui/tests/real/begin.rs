//! `picloud init`: what it makes answers at once.

use crate::program::{picloud, run};
use crate::world::World;
use std::path::Path;

/// Makes an app called `mine` in `folder`.
fn init(folder: &Path, template: &str) {
    let mut command = picloud(folder.parent().unwrap());
    command.args(["init", "--app", "mine", "--template", template]).arg(folder);
    let ran = run(command, "");
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn what_was_begun_is_served_as_it_is() {
    let world = World::serving(|served| init(served, "hello"));
    assert_eq!(world.answer("/mine/hello/Ada"), "Hello, Ada!");
    assert!(world.answer("/mine/").contains("<h1>mine</h1>"));
}

#[test]
fn every_template_deploys_without_a_warning_and_does_what_it_says() {
    let world = World::quickstart();
    for template in ["hello", "kv", "api"] {
        let folder = world.work().join(template);
        init(&folder, template);
        let ran = world.picloud(&["deploy", folder.to_str().unwrap(), "--app", "mine"]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{template}: {ran:?}");
        let again = world.ok(&["deploy", folder.to_str().unwrap(), "--app", "mine"]);
        assert!(again.contains("nothing was changed"), "{again}");
        match template {
            "hello" => assert_eq!(world.answer("/mine/hello/world"), "Hello, world!"),
            "kv" => {
                assert_eq!(world.answer("/mine/counter/a"), r#"{"count":0,"name":"a"}"#);
                let ran = world.picloud(&["scripts", "run", "notes", "--app", "mine", "-X", "POST", "-d", "buy bread"]);
                assert!(ran.code == 0 && ran.out.contains("buy bread"), "{ran:?}");
                assert!(world.answer("/mine/notes").contains("buy bread"));
                assert_eq!(world.picloud(&["scripts", "run", "notes", "--app", "mine", "-X", "POST"]).code, 1);
            }
            _ => {
                let post =
                    |body: &str| world.picloud(&["scripts", "run", "items", "--app", "mine", "-X", "POST", "-d", body]);
                let ran = post(r#"{"title": "bread"}"#);
                let item: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
                assert_eq!((&item["title"], &item["done"]), (&"bread".into(), &false.into()));
                let path = format!("/mine/items/{}", item["id"].as_str().unwrap());
                assert_eq!(world.get(&path).0, 200);
                assert!(world.answer("/mine/items").contains("bread"));
                let put = [
                    "scripts",
                    "run",
                    "item",
                    "--app",
                    "mine",
                    "-X",
                    "PUT",
                    "--path",
                    &path,
                    "-d",
                    r#"{"title": "x", "done": true}"#,
                ];
                assert!(world.ok(&put).contains("true"));
                world.ok(&["scripts", "run", "item", "--app", "mine", "-X", "DELETE", "--path", &path]);
                assert_eq!(world.get(&path).0, 404);
                for bad in ["", "[]", "{\"title\": \"\"}", "{\"title\": \"x\", \"done\": 1}"] {
                    let ran = post(bad);
                    assert!(ran.code == 1 && ran.err.contains("status 400"), "{bad}: {ran:?}");
                }
            }
        }
    }
}
