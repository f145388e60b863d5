//! Beginning an app, trying scripts out, going back, and the manual.

use crate::script;
use crate::support::{FakeAdmin, picloud, run};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::fs;

#[test]
fn two_versions_are_compared_with_what_they_were_live_with() {
    let diff = json!({
        "from": 2, "to": 5, "diff": "--- a/scripts/hello.rhai\n+++ b/scripts/hello.rhai\n@@ -1 +1 @@\n-b\n+c\n",
        "modules": [{"action": "update", "what": "module", "name": "units (version 1 to 2)"}],
        "routes": [{"action": "create", "what": "route", "name": "GET /x"}], "env": [], "secrets": [],
    });
    let versions = |numbers: &[i64]| {
        let item = |number: &i64| {
            json!({
                "version": number, "kind": "endpoint", "hash": "a".repeat(64), "author": "ada", "sdk_version": "1.0",
                "created_at": "2026-01-02T03:04:05Z",
            })
        };
        json!({"items": numbers.iter().map(item).collect::<Vec<_>>(), "cursor": null}).to_string()
    };
    let answer = || (200, "", diff.to_string());
    // Versions 3 and 4 are not kept any more.
    let admin =
        FakeAdmin::answering([(200, "", versions(&[5, 2])), answer(), answer(), answer(), (200, "", versions(&[1]))]);
    assert_snapshot!(admin.picloud(&["scripts", "diff", "hello", "--app", "a"]).out, @"
    hello: version 2 and version 5
    --- a/scripts/hello.rhai
    +++ b/scripts/hello.rhai
    @@ -1 +1 @@
    -b
    +c
    what it was live with:
      ~ module  units (version 1 to 2)
      + route   GET /x
    ");
    assert_eq!(admin.picloud(&["scripts", "diff", "hello", "2", "--app", "a"]).code, 0);
    assert_eq!(admin.picloud(&["scripts", "diff", "hello", "2", "4", "--app", "a"]).code, 0);
    assert_eq!(admin.picloud(&["scripts", "diff", "hello", "--app", "a"]).code, 1, "there is one version only");
    let lines: Vec<String> = admin.seen().into_iter().map(|seen| seen.line).collect();
    let versions = "GET /api/v1/apps/a/scripts/hello/versions";
    assert_eq!(
        lines,
        [
            format!("{versions}?limit=2"),
            format!("{versions}/2/diff"),
            format!("{versions}/2/diff"),
            format!("{versions}/2/diff?to=4"),
            format!("{versions}?limit=2"),
        ]
    );
}

#[test]
fn a_rollback_is_planned_and_done_with_what_changes() {
    let answer = |plan: bool| {
        let mut answer = script("hello", "endpoint");
        answer["plan"] = json!(plan);
        answer["changes"] = json!([
            {"action": "update", "what": "script", "name": "hello", "diff": "@@ -1 +1 @@\n-c\n+b\n"},
            {"action": "delete", "what": "route", "name": "GET /x"},
        ]);
        answer["warnings"] =
            json!([{"line": 0, "column": 0, "message": "`report` imports `units`, too", "hint": "look at it"}]);
        (200, "", answer.to_string())
    };
    let admin = FakeAdmin::answering([answer(true), answer(false)]);
    assert_snapshot!(admin.picloud(&["scripts", "rollback", "hello", "2", "--plan", "--app", "a"]).shown(admin.folder.path()), @"
    exit 0
    --- stdout
    a rollback of hello to version 2 would change this; nothing was changed
      ~ script  hello
          @@ -1 +1 @@
          -c
          +b
      - route   GET /x
    --- stderr
    warning: `report` imports `units`, too
      hint: look at it
    ");
    let arguments = ["scripts", "rollback", "hello", "2", "--only-script", "--force", "-m", "why", "--if-version", "3"];
    assert_snapshot!(admin.picloud(&[&arguments[..], &["--app", "a"]].concat()).out, @"
    hello is as it was at version 2, as version 3
      ~ script  hello
      - route   GET /x
    ");
    let seen = admin.seen();
    assert!(seen.iter().all(|seen| seen.line == "POST /api/v1/apps/a/scripts/hello/rollback"));
    assert_eq!(
        serde_json::from_str::<Value>(&seen[1].body).unwrap(),
        json!({"version": 2, "message": "why", "plan": false, "only_script": true, "force": true})
    );
    assert!(seen[1].headers.contains(&"if-match: \"3\"".to_owned()));
}

#[test]
fn a_file_is_run_unsaved_and_what_is_suspicious_in_it_is_said() {
    let answer = json!({
        "status": 200, "headers": [], "body": "Hello", "warnings": [{"line": 1, "column": 1, "message": "unused import", "hint": null}],
        "execution": {
            "logs": [], "logs_dropped": 2, "duration_us": 1534,
            "usage": {"operations": 120, "memory_bytes": 4096, "kv_calls": 1, "secret_calls": 0},
        },
    });
    let admin = FakeAdmin::once(200, answer);
    admin.write("scripts/hello.rhai", "1");
    let arguments = ["scripts", "run", "scripts/hello.rhai", "-H", "a: 1", "-H", "A: 2", "-H", "b: 3", "--app", "a"];
    assert_snapshot!(admin.picloud(&arguments).shown(admin.folder.path()), @"
    exit 0
    --- stdout
    Hello
    --- stderr
    2 more lines were over the limit of a run
    status 200 in 1.5 ms
    used 120 operations, 4 KiB of memory, 1 kv call
    warning: scripts/hello.rhai:1:1: unused import
    ");
    let seen = admin.only();
    assert_eq!(seen.line, "POST /api/v1/apps/a/scripts/hello/run");
    let sent: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!((&sent["source"], &sent["request"]["headers"]), (&json!("1"), &json!({"a": ["1", "2"], "b": "3"})));
}

#[test]
fn a_save_tells_what_is_suspicious() {
    let mut saved = script("hello", "endpoint");
    saved["warnings"] = json!([{"file": "scripts/hello.rhai", "line": 2, "column": 3, "message": "`kv::sett` is not known", "hint": "did you mean `set`?"}]);
    let admin = FakeAdmin::once(200, saved);
    admin.write("h.rhai", "1");
    let ran = admin.picloud(&["scripts", "put", "hello", "h.rhai", "--kind", "endpoint", "--app", "a"]);
    assert_eq!(ran.out, "hello is saved as version 3\n");
    assert_eq!(ran.err, "warning: h.rhai:2:3: `kv::sett` is not known\n  hint: did you mean `set`?\n");
}

#[test]
fn a_run_is_shown_with_what_it_used_logged_and_why_it_failed() {
    let run = json!({
        "id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42", "root_id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42", "app": "a",
        "script": "hello", "version": 3, "node": "pi", "cause": "GET /hello", "outcome": "failed", "status": 500,
        "started_at": "2026-01-02T03:04:05.678Z", "duration_us": 1534,
        "usage": {"operations": 120, "memory_bytes": 4096, "kv_calls": 2, "secret_calls": 1},
        "error": {"code": "script-error", "status": 500, "title": "t", "detail": "no luck", "at": {"script": "hello", "line": 3, "column": 1}},
        "logs": [{"at": "2026-01-02T03:04:05.679Z", "level": "warn", "message": "about to fail", "fields": {"n": 3}}],
        "logs_dropped": 1,
    });
    let admin = FakeAdmin::once(200, run);
    assert_snapshot!(admin.picloud(&["executions", "get", "01976f2c", "--app", "a"]).out, @r#"
    run      01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42
    script   a/hello@3 on pi
    cause    GET /hello
    started  2026-01-02T03:04:05.678Z, took 1.5 ms
    outcome  failed (500)
    used     120 operations, 4 KiB of memory, 2 kv calls, 1 secret call
    error: no luck (hello:3:1)
    log:
      2026-01-02T03:04:05.679Z warn  about to fail {"n":3}
      1 more lines were over the limit of a run
    "#);
}

#[test]
fn an_app_is_begun_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let init = |arguments: &[&str]| {
        let mut command = picloud(folder.path());
        command.arg("init").args(arguments);
        run(command, "")
    };
    let ran = init(&["My Kitchen"]);
    assert_eq!(ran.out, "app my-kitchen is begun in My Kitchen\n", "{ran:?}");
    let manifest = fs::read_to_string(folder.path().join("My Kitchen/app.toml")).unwrap();
    assert!(manifest.contains("name = \"my-kitchen\"\n") && !manifest.contains("my-app"), "{manifest}");
    let again = init(&["My Kitchen"]);
    assert!(again.code == 1 && again.err.contains("is an app folder already"), "{again:?}");

    // A folder that has other things keeps them.
    fs::create_dir_all(folder.path().join("shop/scripts")).unwrap();
    fs::write(folder.path().join("shop/README.md"), "mine").unwrap();
    assert_eq!(init(&["shop", "--template", "api", "--app", "store"]).code, 0);
    assert_eq!(fs::read_to_string(folder.path().join("shop/README.md")).unwrap(), "mine");
    fs::create_dir_all(folder.path().join("taken/scripts")).unwrap();
    fs::write(folder.path().join("taken/scripts/counter.rhai"), "mine").unwrap();
    let ran = init(&["taken", "--template", "kv"]);
    assert!(ran.code == 1 && ran.err.contains("scripts/counter.rhai"), "{ran:?}");
    assert_eq!(fs::read_dir(folder.path().join("taken")).unwrap().count(), 1, "nothing was written");

    for bad in ["123", "ü", "---"] {
        assert_eq!(init(&[bad]).code, 2, "{bad}");
    }
    let ran = init(&["third", "--json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&answer["app"], &answer["files"][0]), (&json!("third"), &json!("app.toml")));
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let man = |arguments: &[&str]| {
        let mut command = picloud(folder.path());
        command.arg("man").args(arguments);
        let ran = run(command, "");
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        ran.out
    };
    let said = man(&["pages"]);
    let pages = fs::read_dir(folder.path().join("pages")).unwrap().count();
    assert_eq!(said, format!("{pages} manual pages are written to pages\n"));
    let page = fs::read_to_string(folder.path().join("pages/picloud-scripts-rollback.1")).unwrap();
    assert!(page.contains(".TH picloud-scripts-rollback 1") && page.contains("\\-\\-plan"), "{page}");
    assert!(page.contains("picloud scripts rollback"), "it is called as it is typed: {page}");
    assert!(folder.path().join("pages/picloud.1").exists());
    assert!(!folder.path().join("pages/picloud-help.1").exists());
    assert!(man(&[]).contains(".TH picloud 1"));
}
