//! The app folder at its boundary: files in, bundle or messages out, and back.

use super::*;
use crate::app::HttpPolicy;
use crate::limits::AppLimits;
use crate::placement::Placement;
use crate::route::{RouteAuth, RouteSpec};
use crate::trigger::{Missed, Op, Overlap, Retry, TriggerKind, TriggerSpec};
use proptest::prelude::*;

fn files(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    entries.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

/// What a person sees of a folder that is refused.
fn refusal(entries: &[(&str, &str)]) -> String {
    let found = bundle_from_files(files(entries)).expect_err("the folder is broken");
    let lines = found.iter().map(|d| {
        let file = d.file.as_deref().unwrap_or("?");
        format!("{file}:{}:{}: {}\n  hint: {}\n", d.line, d.column, d.message, d.hint.as_deref().unwrap_or("none"))
    });
    lines.collect()
}

#[test]
fn a_folder_is_one_bundle() {
    let bundle = bundle_from_files(files(&[
        ("app.toml", "name = 'kitchen'\n[[routes]]\nmethods = ['post', 'GET']\npath = '/x'\nscript = 'hello'\n[env]\ncity = 'Berlin'\n[limits]\ntimeout_ms = 10_000\n"),
        ("scripts/hello.rhai", "1"),
        ("modules/units.rhai", "fn f() { 1 }"),
        ("static/a/b.css", "p{}"),
        ("README.md", "ignored"),
        ("scripts/.hello.rhai.swp", "ignored"),
        ("scripts/hello.rhai~", "ignored"),
        ("static/.DS_Store", "ignored"),
    ]))
    .unwrap();
    assert_eq!(bundle.name, "kitchen");
    assert_eq!(bundle.routes[0].title(), "GET,POST /x");
    assert_eq!(bundle.limits.timeout_ms, Some(10_000));
    assert_eq!(bundle.env["city"], "Berlin");
    assert_eq!(bundle.scripts["hello"], "1");
    assert_eq!(bundle.modules["units"], "fn f() { 1 }");
    assert_eq!(bundle.static_files, BTreeMap::from([("a/b.css".to_owned(), "cHt9".to_owned())]));
}

#[test]
fn everything_wrong_with_a_manifest_is_told_at_once_with_its_place() {
    let manifest = r#"name = "Kitchen"
host = ["a.example.org"]
hosts = "a.example.org"
port = 8080

[[routes]]
methods = ["GET", "G T"]
paht = "/x"
script = "helo"

[[routes]]
path = "/a/{x}/{x}"
script = "units"
auth = "secret"

[[routes]]
methods = []
path = "/b"
script = "hello"

[env]
port = 1

[limits]
timeout = 5
timeout_ms = 300001
memory_bytes = "big"
"#;
    let told = refusal(&[("app.toml", manifest), ("scripts/hello.rhai", ""), ("modules/units.rhai", "")]);
    insta::assert_snapshot!(told);
}

#[test]
fn everything_wrong_with_triggers_is_told_at_once_with_its_place() {
    let manifest = r#"name = "kitchen"
[http]
alow = ["a"]
allow = ["printer.local", "http://x/"]

[[triggers]]
name = "on-widget"
kind = "kvs"
colection = "widgets"
script = "helo"

[[triggers]]
kind = "kv"
collection = 5
script = "units"
ops = ["insert", "upsert"]
retry = { max_attempt = 5, factor = "x" }

[[triggers]]
name = "Twice"
kind = "pubsub"
topic = "a/#/b"
schedule = "every 90s"
script = "hello"
concurrency = -1

[[triggers]]
name = "nightly"
kind = "cron"
script = "hello"
missed = "never"

[[triggers]]
name = "letters"
kind = "dead_letter"
script = "hello"
retry = { max_attempts = 0 }
match = { "value.a" = 1, "letter.error.code" = { like = "x" } }

[[triggers]]
name = "letters"
kind = "cron"
script = "hello"
"#;
    let told = refusal(&[("app.toml", manifest), ("scripts/hello.rhai", ""), ("modules/units.rhai", "")]);
    insta::assert_snapshot!(told);
}

#[test]
fn everything_wrong_with_placements_is_told_at_once_with_its_place() {
    let manifest = r#"name = "kitchen"
[placement.hello]
needs = ["camera", "Arch=aarch64"]
avoids = ["x"]
prefers = "camera"

[placement.helo]
needs = ["camera"]

[placement.units]
avoid = ["room=a,b"]

[placement]
other = 5

[[triggers]]
name = "on-widget"
kind = "kv"
collection = "widgets"
script = "hello"
needs = ["camera="]
avoid = ["=x", 5]
prefers = ["room=kitchen", "9lives"]

[[triggers]]
name = "on-other"
kind = "kv"
collection = "widgets"
script = "hello"
prefers = ["room=kitchen", "9lives"]
"#;
    let told = refusal(&[
        ("app.toml", manifest),
        ("scripts/hello.rhai", ""),
        ("scripts/other.rhai", ""),
        ("modules/units.rhai", ""),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn broken_toml_is_told_with_its_place_and_nothing_that_follows_from_it() {
    insta::assert_snapshot!(refusal(&[("app.toml", "name = \"a\nhosts = [\n")]));
}

#[test]
fn a_file_that_does_not_belong_is_told() {
    let told = refusal(&[
        ("app.toml", "name = 'a'"),
        ("scripts/Hello.rhai", ""),
        ("scripts/deep/er.rhai", ""),
        ("scripts/notes.txt", ""),
        ("modules/kv.rhai", ""),
        ("modules/both.rhai", ""),
        ("scripts/both.rhai", ""),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_folder_without_a_manifest_or_with_one_that_is_no_text_is_told() {
    insta::assert_snapshot!(refusal(&[("scripts/hello.rhai", "")]), @r#"
    app.toml:0:0: the folder has no app.toml
      hint: write one that begins with: name = "my-app"
    "#);
    let latin1 = BTreeMap::from([("app.toml".to_owned(), b"name = 'a'\n# gr\xfcn".to_vec())]);
    let found = bundle_from_files(latin1).unwrap_err();
    assert_eq!((found.len(), found[0].line, found[0].column), (1, 2, 5), "{found:?}");
}

#[test]
fn the_watcher_looks_at_what_the_reader_reads() {
    for path in ["app.toml", "scripts/a.rhai", "modules/a.rhai", "static/deep/x.css", "scripts/stray.txt"] {
        assert!(is_app_file(path), "{path}");
    }
    for path in ["README.md", "scripts", "scripts/.a.swp", "static/x~", "other/a.rhai", ".picloud/x", "scripts/4913"] {
        assert!(!is_app_file(path), "{path}");
    }
}

#[test]
fn a_manifest_is_written_for_people() {
    let bundle = Bundle {
        name: "kitchen".to_owned(),
        hosts: vec!["kitchen.example.org".to_owned()],
        routes: vec![
            RouteSpec {
                methods: vec!["GET".to_owned()],
                path: "/rooms/{room}".to_owned(),
                script: "hello".to_owned(),
                auth: RouteAuth::Key,
            },
            RouteSpec { methods: vec![], path: "/".to_owned(), script: "hello".to_owned(), auth: RouteAuth::Public },
        ],
        triggers: vec![
            serde_json::from_value(serde_json::json!({
                "name": "on-widget", "kind": "kv", "script": "hello", "collection": "widgets", "ops": ["insert", "delete"],
                "match": {"value.room": "kitchen", "value.t": {"gt": 20}}, "retry": {"max_attempts": 3},
                "ordering_key": "key",
            }))
            .unwrap(),
            serde_json::from_value(serde_json::json!({
                "name": "nightly", "kind": "cron", "script": "hello", "schedule": "0 3 * * *",
                "timezone": "Europe/Berlin", "missed": "all", "overlap": "queue", "avoid": ["appliance"],
            }))
            .unwrap(),
        ],
        http: HttpPolicy { allow: vec!["printer.local".to_owned(), "192.168.1.20:8123".to_owned()] },
        placement: BTreeMap::from([
            (
                "hello".to_owned(),
                Placement {
                    needs: vec!["camera".to_owned(), "arch=aarch64".to_owned()],
                    avoid: Vec::new(),
                    prefers: vec!["room=kitchen".to_owned()],
                },
            ),
            ("anywhere".to_owned(), Placement::default()),
        ]),
        env: BTreeMap::from([("city".to_owned(), "Berlin".to_owned()), ("a b".to_owned(), "\"\n".to_owned())]),
        limits: AppLimits { timeout_ms: Some(5000), ..AppLimits::default() },
        ..Bundle::default()
    };
    insta::assert_snapshot!(String::from_utf8(files_from_bundle(&bundle).remove("app.toml").unwrap()).unwrap());
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", any::<String>(), Just("'''\"\"\"\\\n\r\n\t\0".to_owned())]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_filter("TOML text of it is JSON", |f| f.is_finite()).prop_map(serde_json::Value::from),
        text().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn any_trigger()(
        kind in proptest::sample::select(TriggerKind::ALL),
        word in "[a-z]{1,8}",
        prefix in proptest::option::of("[ -~ü]{0,20}"),
        ops in any::<bool>(),
        conditions in proptest::collection::btree_map("value(\\.[ --/-~]{1,9}){0,2}", condition(), 0..3),
        retry in proptest::option::of((1_u32..=100, 1_u64..=86_400_000, 1.0_f64..=100.0, 1_u64..=604_800_000)),
        numbers in (proptest::option::of(1_u32..=1000), proptest::option::of(1_u64..1 << 30), proptest::option::of(0_u32..=10_000)),
        ordered in any::<bool>(),
    ) -> TriggerSpec {
        let has = |field: &str| kind.fields().contains(&field);
        let some = |field: &str, text: &str| has(field).then(|| text.to_owned());
        TriggerSpec {
            collection: some("collection", &word),
            prefix: prefix.filter(|_| has("prefix")),
            ops: if ops { kind.ops().to_vec() } else { Vec::<Op>::new() },
            topic: some("topic", &format!("{word}/+/#")),
            trigger: some("trigger", &word).filter(|_| ordered),
            schedule: some("schedule", "every 90s"),
            timezone: some("timezone", "Europe/Berlin").filter(|_| ordered),
            missed: has("missed").then_some(Missed::All),
            overlap: has("overlap").then_some(Overlap::Allow),
            matches: if kind.event_fields().contains(&"value") { conditions } else { BTreeMap::new() },
            retry: retry.map(|(max_attempts, base_ms, factor, max_ms)| Retry { max_attempts, base_ms, factor, max_ms }),
            concurrency: numbers.0,
            ordering_key: (has("ordering_key") && ordered).then(|| kind.event_fields()[0].to_owned()),
            max_age_ms: numbers.1,
            pause_after: numbers.2,
            needs: if ordered { vec![format!("{word}=1")] } else { Vec::new() },
            avoid: if ops { vec![word.clone(), "arch=x86_64".to_owned()] } else { Vec::new() },
            prefers: if ordered && ops { vec![word] } else { Vec::new() },
            ..TriggerSpec::new("later", kind, "later")
        }
    }
}

/// A value of `match`: something to be equal to, or a table of conditions.
fn condition() -> impl Strategy<Value = serde_json::Value> {
    let equal = || json().prop_filter("a table is one of conditions", |value| !value.is_object());
    prop_oneof![equal(), equal().prop_map(|value| serde_json::json!({ "ne": value, "exists": true }))]
}

prop_compose! {
    fn any_bundle()(
        name in "[a-z][a-z0-9-]{0,62}",
        hosts in proptest::collection::vec(text(), 0..3),
        scripts in proptest::collection::btree_map("s[a-z0-9_]{0,20}", text(), 1..4),
        modules in proptest::collection::btree_map("m[a-z0-9_]{0,20}", text(), 0..4),
        methods in proptest::collection::vec(proptest::collection::btree_set("[A-Z]{3,7}", 0..3), 0..4),
        triggers in proptest::collection::btree_map("t[a-z0-9_-]{0,20}", any_trigger(), 0..4),
        allow in proptest::collection::vec("[a-z]{1,8}\\.local(:8[0-9]{0,3})?|10\\.[0-9]\\.0\\.0/16", 0..3),
        env in proptest::collection::btree_map(text(), text(), 0..4),
        timeout_ms in proptest::option::of(1_u64..=300_000),
        needs in proptest::collection::vec("[a-z][a-z0-9._/-]{0,20}(=[ !-+--<>-~]{0,20})?", 0..3),
        content in proptest::collection::btree_map("[a-z]{1,8}(/[a-z]{1,8}){0,2}\\.css", proptest::collection::vec(any::<u8>(), 0..64), 0..4),
    ) -> Bundle {
        let script = scripts.keys().next().expect("there is at least one").clone();
        let leading = script.clone();
        let routes = methods.into_iter().enumerate().map(|(index, methods)| RouteSpec {
            methods: methods.into_iter().collect(),
            path: format!("/r{index}/{{x}}/{{*rest}}"),
            script: leading.clone(),
            auth: if index % 2 == 0 { RouteAuth::Public } else { RouteAuth::Key },
        });
        Bundle {
            name,
            hosts,
            routes: routes.collect(),
            triggers: triggers.into_iter().map(|(name, spec)| TriggerSpec { name, script: script.clone(), ..spec }).collect(),
            http: HttpPolicy { allow },
            placement: if needs.is_empty() { BTreeMap::new() } else {
                let placement = Placement { prefers: needs.clone(), needs, ..Placement::default() };
                BTreeMap::from([(script.clone(), placement)])
            },
            env,
            limits: AppLimits { timeout_ms, ..AppLimits::default() },
            // A byte order mark at the beginning is the one thing an editor may add and a source keeps.
            scripts,
            modules,
            static_files: content.into_iter().map(|(path, bytes)| (path, STANDARD.encode(bytes))).collect(),
            message: None,
        }
    }
}

proptest! {
    #[test]
    fn a_bundle_written_and_read_is_the_same_bundle(bundle in any_bundle()) {
        let files = files_from_bundle(&bundle);
        let read = bundle_from_files(files.clone());
        prop_assert_eq!(read.as_ref(), Ok(&bundle), "{}", String::from_utf8_lossy(&files["app.toml"]));
        prop_assert_eq!(files_from_bundle(&bundle), files);
    }

    #[test]
    fn no_manifest_makes_the_reader_panic(text in any::<String>()) {
        let _ = bundle_from_files(BTreeMap::from([("app.toml".to_owned(), text.into_bytes())]));
    }
}
