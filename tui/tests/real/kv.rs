//! Stored values: what scripts wrote is seen, what is written scripts see.

use crate::world::World;
use serde_json::{Value, json};

#[test]
fn a_value_is_set_read_listed_and_deleted() {
    let world = World::quickstart();
    assert_eq!(world.json(&["kv", "set", "counters", "Ada", "41"])["version"], 1);
    let counted =
        world.picloud(&["scripts", "run", "counter", "--method", "POST", "--path", "/quickstart/counter/Ada"]);
    assert_eq!(serde_json::from_str::<Value>(&counted.out).unwrap()["count"], 42);
    assert_eq!(world.ok(&["kv", "get", "counters", "Ada"]), "42\n");
    assert!(world.answer("/quickstart/counter/Ada").contains("42"));
    world.ok(&["kv", "put", "counters", "a/b c?ü", "--string", "text"]);
    assert_eq!(world.json(&["kv", "get", "counters", "a/b c?ü"]), json!("text"));

    let list = world.json(&["kv", "list", "counters"]);
    let keys: Vec<_> = list["items"].as_array().unwrap().iter().map(|entry| entry["key"].clone()).collect();
    assert_eq!((keys, &list["cursor"]), (vec![json!("Ada"), json!("a/b c?ü")], &Value::Null));
    let keys_only = world.json(&["kv", "list", "counters", "--prefix", "a/", "--keys-only"]);
    assert_eq!(keys_only["items"].as_array().unwrap().len(), 1);
    assert_eq!(keys_only["items"][0].get("value"), None);
    world.ok(&["kv", "delete", "counters", "Ada"]);
    for arguments in [["kv", "get", "counters", "Ada"], ["kv", "delete", "counters", "Ada"]] {
        assert_eq!(world.problem(3, &arguments)["code"], "not-found");
    }
    world.ok(&["kv", "delete", "counters", "--all", "--yes"]);
    assert_eq!(world.json(&["kv", "collections"])["items"], json!([]));
    world.fails(3, &["kv", "delete", "counters", "--all"]);
}

#[test]
fn a_value_is_changed_only_if_it_is_what_the_person_saw() {
    let world = World::quickstart();
    world.ok(&["kv", "set", "rooms", "kitchen", "1", "--if-absent"]);
    for late in [
        &["kv", "set", "rooms", "kitchen", "2", "--if-absent"][..],
        &["kv", "set", "rooms", "kitchen", "2", "--if-version", "9"],
        &["kv", "delete", "rooms", "kitchen", "--if-version", "9"],
        &["kv", "set", "rooms", "absent", "2", "--if-version", "1"],
    ] {
        let problem = world.problem(4, late);
        assert_eq!((&problem["code"], &problem["status"]), (&json!("precondition-failed"), &json!(412)), "{late:?}");
    }
    assert_eq!(world.ok(&["kv", "get", "rooms", "kitchen"]), "1\n");
    let list = world.json(&["kv", "list", "rooms"]);
    let version = list["items"][0]["version"].to_string();
    world.ok(&["kv", "set", "rooms", "kitchen", "2", "--if-version", &version]);
    assert_eq!(world.ok(&["kv", "get", "rooms", "kitchen"]), "2\n");
}

#[test]
fn lists_come_in_pages_that_neither_skip_nor_repeat() {
    let world = World::quickstart();
    for name in ["c1", "c2", "c3"] {
        world.ok(&["kv", "set", name, "k", "1"]);
        world.ok(&["kv", "set", "c0", name, "1"]);
    }
    let pages = |arguments: &[&str], name: &str| {
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let at = cursor.as_deref().map(|cursor| vec!["--cursor", cursor]).unwrap_or_default();
            let page = world.json(&[arguments, &["--limit", "2"], &at].concat());
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2, "{page}");
            seen.extend(items.iter().map(|item| item[name].as_str().unwrap().to_owned()));
            cursor = page["cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return seen;
            }
        }
    };
    assert_eq!(pages(&["kv", "collections"], "name"), ["c0", "c1", "c2", "c3"]);
    assert_eq!(pages(&["kv", "list", "c0"], "key"), ["c1", "c2", "c3"]);
    assert_eq!(pages(&["kv", "list", "c0", "--reverse"], "key"), ["c3", "c2", "c1"]);
    assert_eq!(pages(&["scripts", "list"], "name"), ["counter", "echo", "hello", "units", "weather"]);
    assert_eq!(pages(&["modules", "list"], "name"), ["units"]);
    let said = world.picloud(&["kv", "collections", "--limit", "2"]).err;
    assert!(said.starts_with("there is more: --cursor "), "{said}");
    for arguments in [["--cursor", "!!"], ["--limit", "0"], ["--limit", "1001"]] {
        world.fails(1, &[&["kv", "collections"][..], &arguments].concat());
        world.fails(1, &[&["kv", "list", "c0"][..], &arguments].concat());
    }
}

#[test]
fn what_is_no_key_or_no_value_is_refused_naming_it() {
    let world = World::quickstart();
    world.fails(2, &["kv", "set", "rooms", "", "1"]);
    world.fails(2, &["kv", "set", "", "kitchen", "1"]);
    world.fails(2, &["kv", "set", "rooms", "kitchen", "no json"]);
    let said = world.fails(1, &["kv", "set", "rooms", &"k".repeat(513), "1"]);
    assert!(said.contains("512"), "{said}");
    let said = world.fails(1, &["kv", "set", "a/b", "kitchen", "1"]);
    assert!(said.contains("a/b"), "{said}");
    let big = format!("\"{}\"", "x".repeat(300 * 1024));
    let ran = world.picloud_with_input(&["kv", "set", "rooms", "kitchen", "-"], &big);
    assert!(ran.code == 1 && ran.err.contains("262144"), "{ran:?}");
    // More than the API reads: the refusal arrives although the command is still sending.
    let ran = world.picloud_with_input(&["kv", "set", "rooms", "kitchen", "-"], &"1".repeat(9 << 20));
    assert!(ran.code == 1 && ran.err.contains("more than 8388608 bytes"), "{ran:?}");
    assert_eq!(world.json(&["kv", "collections"])["items"], json!([]));
}
