//! The command line against an admin API that answers what each test says: requests, output, exit codes.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

#[path = "../support/mod.rs"]
mod support;

mod activity;
mod authoring;
mod control;
mod events;
mod help;
mod https;
mod nodes;
mod streams;

use insta::assert_snapshot;
use serde_json::{Value, json};
use support::{FakeAdmin, picloud, run};

fn problem(status: u16, code: &str, detail: &str) -> String {
    json!({"code": code, "status": status, "title": code, "detail": detail, "hint": "do this"}).to_string()
}

fn app() -> Value {
    json!({
        "id": 1, "name": "kitchen", "hosts": [], "env": {"city": "Berlin"}, "limits": {"timeout_ms": 5000},
        "revision": 7, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T03:04:05.678Z",
    })
}

fn script(name: &str, kind: &str) -> Value {
    json!({
        "id": 1, "name": name, "kind": kind, "version": 3, "hash": "a".repeat(64), "size_bytes": 1500,
        "updated_at": "2026-01-02T03:04:05Z",
    })
}

fn page(items: &[Value]) -> String {
    json!({ "items": items, "cursor": null }).to_string()
}

#[test]
fn every_status_has_its_exit_code() {
    for (status, code, exit) in [
        (400, "malformed", 1),
        (401, "unauthenticated", 4),
        (403, "forbidden", 4),
        (404, "not-found", 3),
        (409, "conflict", 4),
        (412, "precondition-failed", 4),
        (422, "invalid-script", 1),
        (500, "internal", 1),
        (503, "overloaded", 1),
        (507, "storage-full", 1),
    ] {
        let admin = FakeAdmin::once(status, problem(status, code, "it went wrong"));
        let ran = admin.picloud(&["apps", "get", "kitchen"]);
        assert_eq!((ran.code, ran.out.as_str()), (exit, ""), "{status}: {ran:?}");
        assert_eq!(ran.err, "error: it went wrong\nhint: do this\n");
    }
}

#[test]
fn a_place_where_nobody_answers_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let mut missing = picloud(folder.path());
    missing.args(["status", "--socket", "no.sock"]);
    let ran = run(missing, "");
    assert_snapshot!(ran.shown(folder.path()), @"
    exit 5
    --- stdout
    --- stderr
    error: no appliance is running: the socket no.sock does not exist
    hint: start one with `picloud-appliance dev DIR`, or name another with --socket or --url
    ");
    // A socket that nobody listens on any more.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("stale.sock")).unwrap());
    let mut stale = picloud(folder.path());
    stale.args(["status", "--socket", "stale.sock"]);
    assert_eq!(run(stale, "").code, 5);
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut closed = picloud(folder.path());
    closed.args(["status", "--url", &format!("http://127.0.0.1:{port}")]);
    assert_eq!(run(closed, "").code, 5);
}

#[test]
fn a_command_line_that_cannot_be_meant_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["nonsense"],
        &["apps"],
        &["apps", "get"],
        &["status", "--url", "https://pi/path"],
        &["status", "--url", "http://10.0.0.1", "--key", "picloud_x"],
        &["status", "--url", "https://pi", "--fingerprint", "no-hex"],
        &["login"],
        &["keys", "create", "laptop"],
        &["keys", "create", "laptop", "--scope", "everything"],
        &["keys", "create", "laptop", "--scope", "invoke", "--expires", "tomorrow"],
        &["keys", "create", "laptop", "--scope", "invoke", "--expires", "2001-01-01T00:00:00Z"],
        &["nodes", "list", "--state", "asleep"],
        &["nodes", "approve", "garage", "--label", "Room"],
        &["nodes", "label", "garage"],
        &["join-tokens", "create", "--for", "tomorrow"],
        &["join-tokens", "create", "--label", "a=b=c"],
        &["secrets", "set", "TOKEN", "--app", "a"],
        &["secrets", "grant", "TOKEN", "--app", "a"],
        &["scripts", "run", "a.rhai", "--source", "b.rhai", "--app", "a"],
        &["init", "x", "--template", "nonsense"],
        &["status", "--url", "http://pi", "--socket", "x"],
        &["scripts", "list"],
        &["kv", "put", "rooms", "kitchen", "no json", "--app", "a"],
        &["kv", "delete", "rooms", "--app", "a"],
        &["triggers", "create", "on-widget", "moon", "hello", "--app", "a"],
        &["triggers", "create", "on-widget", "kv", "hello", "--match", "no-condition", "--app", "a"],
        &["triggers", "fire", "on-widget", "--event", "5", "--app", "a"],
        &["triggers", "next", "--app", "a"],
        &["publish", "doors", "open", "--app", "a"],
        &["dead-letters", "retry", "--app", "a"],
        &["dead-letters", "retry", "17", "--all", "--app", "a"],
        &["scripts", "run", "hello", "--event", "{}", "--path", "/x", "--app", "a"],
    ] {
        let mut command = picloud(folder.path());
        command.args(arguments);
        let ran = run(command, "");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_failure_is_a_problem_for_whoever_asked_for_json() {
    let admin = FakeAdmin::once(404, problem(404, "not-found", "app `x` does not exist"));
    let ran = admin.picloud(&["apps", "get", "x", "--json"]);
    let problem: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((ran.code, &problem["code"], &problem["status"]), (3, &json!("not-found"), &json!(404)));
    // Also where no appliance said it.
    let folder = tempfile::tempdir().unwrap();
    let mut command = picloud(folder.path());
    command.args(["status", "--json", "--socket", "no.sock"]);
    let problem: Value = serde_json::from_str(&run(command, "").err).unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("no.sock"), "{problem}");
}

#[test]
fn the_key_and_the_place_come_from_flags_before_the_environment() {
    let admin = FakeAdmin::answering([(200, "", page(&[])), (200, "", page(&[]))]);
    let socket = admin.folder.path().join("admin.sock");
    let mut command = picloud(admin.folder.path());
    command.env("PICLOUD_URL", "http://127.0.0.1:1").env("PICLOUD_KEY", "from-env").args(["apps", "list"]);
    command.arg("--socket").arg(&socket);
    assert_eq!(run(command, "").code, 0);
    let mut command = picloud(admin.folder.path());
    command.env("PICLOUD_SOCKET", &socket).env("PICLOUD_KEY", "from-env").args(["--key", "from-flag", "apps", "list"]);
    assert_eq!(run(command, "").code, 0);
    let keys: Vec<String> =
        admin.seen().iter().flat_map(|seen| seen.headers.iter().filter(|h| h.starts_with("auth")).cloned()).collect();
    assert_eq!(keys, ["authorization: Bearer from-env", "authorization: Bearer from-flag"]);
}

#[test]
fn the_app_is_the_flag_or_the_one_of_the_folder() {
    let admin = FakeAdmin::answering([(200, "", page(&[])), (200, "", page(&[]))]);
    admin.write("app.toml", "name = \"kitchen\"\nbroken = \n");
    assert_eq!(admin.picloud(&["scripts", "list"]).code, 0);
    assert_eq!(admin.picloud(&["scripts", "list", "--app", "other"]).code, 0);
    let lines: Vec<String> = admin.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines, ["GET /api/v1/apps/kitchen/scripts", "GET /api/v1/apps/other/scripts"]);
}

#[test]
fn lists_are_tables_and_with_json_what_was_answered() {
    let mut quarantined = script("rooms", "endpoint");
    quarantined["quarantine"] = json!({
        "version": 3, "crashes": 3, "execution_id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42", "since": "2026-01-02T03:04:05Z",
    });
    let answer = json!({ "items": [script("hello", "endpoint"), quarantined], "cursor": "c'1" }).to_string();
    let admin = FakeAdmin::once(200, &answer);
    let ran = admin.picloud(&["scripts", "list", "--app", "kitchen", "--limit", "2", "--cursor", "a b"]);
    assert_eq!(admin.only().line, "GET /api/v1/apps/kitchen/scripts?limit=2&cursor=a%20b");
    assert_snapshot!(ran.shown(admin.folder.path()), @"
    exit 0
    --- stdout
    NAME   KIND      VERSION  SIZE   CHANGED               STATE
    hello  endpoint  3        1 KiB  2026-01-02T03:04:05Z  live
    rooms  endpoint  3        1 KiB  2026-01-02T03:04:05Z  quarantined after 3 crashes
    --- stderr
    there is more: --cursor 'c'1'
    ");
    let admin = FakeAdmin::once(200, &answer);
    let ran = admin.picloud(&["scripts", "list", "--app", "kitchen", "--json"]);
    let (printed, answered): (Value, Value) =
        (serde_json::from_str(&ran.out).unwrap(), serde_json::from_str(&answer).unwrap());
    assert_eq!((printed, ran.err.as_str()), (answered, ""));
}

#[test]
fn an_app_is_shown_made_and_deleted() {
    let admin = FakeAdmin::once(200, app());
    assert_snapshot!(admin.picloud(&["apps", "get", "kitchen"]).out, @"
    created_at: 2026-01-01T00:00:00Z
    env:
      city: Berlin
    id: 1
    limits:
      timeout_ms: 5000
    name: kitchen
    revision: 7
    updated_at: 2026-01-02T03:04:05.678Z
    ");
    let admin = FakeAdmin::once(201, app());
    assert_eq!(admin.picloud(&["apps", "create", "kitchen", "--host", "k.example.org"]).out, "app kitchen is made\n");
    let sent: Value = serde_json::from_str(&admin.only().body).unwrap();
    assert_eq!((&sent["name"], &sent["hosts"]), (&json!("kitchen"), &json!(["k.example.org"])));
    // Nobody sits at a terminal, so nobody is asked.
    let admin = FakeAdmin::once(204, "");
    assert_eq!(admin.picloud(&["apps", "delete", "kitchen"]).out, "app kitchen is deleted\n");
    assert_eq!(admin.only().line, "DELETE /api/v1/apps/kitchen");
}

#[test]
fn a_plan_shows_the_difference_and_a_deploy_what_was_done() {
    let report = |plan: bool| {
        json!({
            "app": "kitchen", "plan": plan, "revision": 7,
            "changes": [
                {"action": "update", "what": "script", "name": "hello", "diff": "@@ -1 +1 @@\n-1\n+2\n"},
                {"action": "create", "what": "route", "name": "GET /x"},
                {"action": "delete", "what": "module", "name": "units"},
            ],
            "warnings": [{"file": "scripts/hello.rhai", "line": 2, "column": 3, "message": "unused", "hint": "drop it"}],
            "answers": ["GET /kitchen/x"],
        })
    };
    let admin = FakeAdmin::answering([(200, "", report(true).to_string()), (200, "", report(false).to_string())]);
    admin.write("k/app.toml", "name = \"kitchen\"\n[[routes]]\npath = \"/x\"\nscript = \"hello\"\n");
    admin.write("k/scripts/hello.rhai", "2");
    assert_snapshot!(admin.picloud(&["deploy", "k", "--plan"]).shown(admin.folder.path()), @"
    exit 0
    --- stdout
    a deploy would change kitchen: 1 created, 1 changed, 1 deleted; nothing was changed
      ~ script  hello
          @@ -1 +1 @@
          -1
          +2
      + route   GET /x
      - module  units
    it would answer
      GET /kitchen/x
    --- stderr
    warning: k/scripts/hello.rhai:2:3: unused
      hint: drop it
    ");
    assert_snapshot!(admin.picloud(&["deploy", "k", "-m", "why"]).out, @"
    kitchen is deployed (revision 7): 1 created, 1 changed, 1 deleted
      ~ script  hello
      + route   GET /x
      - module  units
    it answers
      GET /kitchen/x
    ");
    let seen = admin.seen();
    assert_eq!(seen[0].line, "POST /api/v1/apps/kitchen/deploy?plan=true");
    assert_eq!(seen[1].line, "POST /api/v1/apps/kitchen/deploy");
    let sent: Value = serde_json::from_str(&seen[1].body).unwrap();
    assert_eq!((&sent["message"], &sent["scripts"]["hello"]), (&json!("why"), &json!("2")));
}

#[test]
fn a_broken_folder_is_told_before_anything_is_sent() {
    let admin = FakeAdmin::answering([]);
    admin.write("k/app.toml", "nam = \"kitchen\"\n[[routes]]\npath = \"/x\"\nscript = \"helo\"\n");
    admin.write("k/scripts/hello.rhai", "2");
    assert_snapshot!(admin.picloud(&["deploy", "k"]).shown(admin.folder.path()), @r#"
    exit 1
    --- stdout
    --- stderr
    error: k is not a working app; nothing was changed
    k/app.toml:1:1: unknown key `nam` in app.toml
      hint: did you mean `name`?
    k/app.toml:1:1: `name` is missing
      hint: write first: name = "my-app"
    k/app.toml:4:10: there is no script `helo`
      hint: did you mean `hello`?
    "#);
    assert_eq!(admin.seen(), []);
    assert_snapshot!(admin.picloud(&["deploy", "nowhere"]).shown(admin.folder.path()), @"
    exit 1
    --- stdout
    --- stderr
    error: nowhere is not a folder
    hint: give the folder that holds app.toml
    ");
}

#[test]
fn what_the_appliance_finds_wrong_is_told_with_the_file_as_it_is_reached_from_here() {
    let refused = json!({
        "code": "invalid-script", "status": 422, "title": "invalid script", "detail": "1 source does not compile",
        "errors": [{"file": "scripts/hello.rhai", "line": 3, "column": 9, "message": "`x` is not known", "hint": "say `let x`"}],
    });
    let admin = FakeAdmin::answering([(422, "", refused.to_string()), (422, "", refused.to_string())]);
    admin.write("k/app.toml", "name = \"kitchen\"\n");
    admin.write("k/scripts/hello.rhai", "2");
    assert_snapshot!(admin.picloud(&["deploy", "k"]).shown(admin.folder.path()), @"
    exit 1
    --- stdout
    --- stderr
    error: 1 source does not compile; nothing was changed
    k/scripts/hello.rhai:3:9: `x` is not known
      hint: say `let x`
    ");
    let ran =
        admin.picloud(&["scripts", "put", "hello", "k/scripts/hello.rhai", "--kind", "endpoint", "--app", "kitchen"]);
    assert!(ran.err.contains("\nk/scripts/hello.rhai:3:9: `x` is not known\n"), "{}", ran.err);
}

#[test]
fn an_export_replaces_what_is_the_apps_and_leaves_the_rest() {
    let bundle = json!({
        "name": "kitchen", "routes": [{"path": "/x", "script": "hello", "auth": "public"}],
        "scripts": {"hello": "2"}, "modules": {}, "static": {"a/b.css": "cHt9"},
    });
    let answer = || (200, "", bundle.to_string());
    let admin = FakeAdmin::answering([answer(), answer(), answer()]);
    assert_eq!(admin.picloud(&["export", "kitchen", "new"]).out, "kitchen is written to new: 3 files\n");
    let read = |path: &str| std::fs::read_to_string(admin.folder.path().join(path)).ok();
    assert_eq!(read("new/static/a/b.css").as_deref(), Some("p{}"));
    assert_eq!(
        read("new/app.toml").as_deref(),
        Some("name = \"kitchen\"\n\n[[routes]]\npath = \"/x\"\nscript = \"hello\"\n")
    );
    let stale = ["new/scripts/old.rhai", "new/modules/old.rhai", "new/static/old/deep/x.css"];
    for path in ["new/README.md", "new/scripts/.note"].iter().chain(&stale) {
        admin.write(path, "old");
    }
    assert_eq!(admin.picloud(&["export", "kitchen", "new"]).code, 0);
    assert_eq!(read("new/README.md").as_deref(), Some("old"));
    assert_eq!(read("new/scripts/.note").as_deref(), Some("old"));
    for gone in stale {
        assert_eq!(read(gone), None, "{gone}");
    }
    assert!(!admin.folder.path().join("new/static/old").exists());
    // Somebody's photographs are no app folder.
    admin.write("photos/cat.txt", "cat");
    let ran = admin.picloud(&["export", "kitchen", "photos"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(read("photos/cat.txt").as_deref(), Some("cat"));
    assert_eq!(read("photos/app.toml"), None);
}

#[test]
fn an_export_never_writes_outside_its_folder() {
    for bundle in [
        json!({"name": "kitchen", "static": {"../evil": ""}}),
        json!({"name": "kitchen", "static": {"/etc/evil": ""}}),
        json!({"name": "kitchen", "scripts": {"../../evil": ""}}),
        json!({"name": "kitchen", "modules": {"a/b": ""}}),
    ] {
        let admin = FakeAdmin::once(200, &bundle);
        let ran = admin.picloud(&["export", "kitchen", "new"]);
        assert_eq!(ran.code, 1, "{bundle}: {ran:?}");
        assert!(!admin.folder.path().join("new").exists());
    }
}

#[test]
fn a_source_is_printed_as_it_is_and_saved_with_its_kind() {
    let mut whole = script("hello", "module");
    whole["source"] = json!("let x = 1;\nx");
    let admin = FakeAdmin::answering([
        (200, "", whole.to_string()),
        (200, "", whole.to_string()),
        (200, "", script("hello", "module").to_string()),
    ]);
    assert_eq!(admin.picloud(&["scripts", "get", "hello", "--app", "a"]).out, "let x = 1;\nx");
    let ran = admin.picloud_with_input(&["scripts", "put", "hello", "--app", "a", "-m", "m", "--if-version", "2"], "1");
    assert_eq!((ran.code, ran.out.as_str()), (0, "hello is saved as version 3\n"), "{ran:?}");
    let saved = &admin.seen()[2];
    assert_eq!(saved.line, "PUT /api/v1/apps/a/scripts/hello");
    assert!(saved.headers.contains(&"if-match: \"2\"".to_owned()), "{saved:?}");
    assert_eq!(
        serde_json::from_str::<Value>(&saved.body).unwrap(),
        json!({"kind": "module", "source": "1", "message": "m"})
    );
}

#[test]
fn routes_are_listed_and_added() {
    let route = json!({"id": 4, "methods": ["GET", "POST"], "path": "/x/{y}", "script": "hello", "auth": "key"});
    let every = json!({"id": 5, "path": "/", "script": "hello", "auth": "public"});
    let admin = FakeAdmin::answering([(200, "", page(&[route.clone(), every])), (201, "", route.to_string())]);
    assert_snapshot!(admin.picloud(&["routes", "list", "--app", "a"]).out, @"
    ID  METHODS   PATH    SCRIPT  AUTH
    4   GET,POST  /x/{y}  hello   key
    5   every     /       hello   public
    ");
    let ran = admin
        .picloud(&["routes", "create", "/x/{y}", "hello", "-X", "post", "-X", "get", "--auth", "key", "--app", "a"]);
    assert_eq!(ran.out, "route GET,POST /x/{y} leads to hello\n");
    let sent: Value = serde_json::from_str(&admin.seen()[1].body).unwrap();
    assert_eq!(sent, json!({"methods": ["GET", "POST"], "path": "/x/{y}", "script": "hello", "auth": "key"}));
}

#[test]
fn keys_and_values_are_listed_read_and_stored() {
    let entry = json!({"key": "a/b", "value": {"lamp": true}, "version": 9, "updated_at": "2026-01-02T03:04:05Z"});
    let admin = FakeAdmin::answering([
        (200, "", page(&[entry])),
        (200, "etag: \"9\"\r\n", "{\"lamp\": true}".to_owned()),
        (200, "etag: \"10\"\r\n", "{\"version\":10}".to_owned()),
        (412, "", problem(412, "precondition-failed", "key `a/b` is not as the request expects it")),
        (204, "", String::new()),
        (200, "", "{\"deleted\":1}".to_owned()),
    ]);
    assert_snapshot!(admin.picloud(&["kv", "list", "rooms", "--app", "k", "--prefix", "a/", "--reverse"]).out, @r#"
    KEY  VERSION  VALUE
    a/b  9        {"lamp":true}
    "#);
    assert_eq!(admin.picloud(&["kv", "get", "rooms", "a/b", "--app", "k"]).out, "{\"lamp\": true}\n");
    let ran = admin.picloud(&["kv", "set", "rooms", "a/b", "buy bread", "--string", "--ttl-ms", "500", "--app", "k"]);
    assert_eq!(ran.out, "a/b is stored in rooms as version 10\n");
    let ran = admin.picloud(&["kv", "put", "rooms", "a/b", "1", "--if-absent", "--app", "k", "--key", "secret"]);
    assert_eq!(ran.code, 4);
    assert_eq!(admin.picloud(&["kv", "delete", "rooms", "a/b", "--if-version", "10", "--app", "k"]).code, 0);
    assert_eq!(admin.picloud(&["kv", "delete", "rooms", "--all", "--app", "k"]).code, 0);
    let seen = admin.seen();
    let lines: Vec<&str> = seen.iter().map(|seen| seen.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v1/apps/k/kv/rooms?prefix=a%2F&reverse=true",
            "GET /api/v1/apps/k/kv/rooms/a%2Fb",
            "PUT /api/v1/apps/k/kv/rooms/a%2Fb?ttl_ms=500",
            "PUT /api/v1/apps/k/kv/rooms/a%2Fb",
            "DELETE /api/v1/apps/k/kv/rooms/a%2Fb",
            "DELETE /api/v1/apps/k/kv/rooms",
        ]
    );
    assert_eq!(seen[2].body, "\"buy bread\"");
    assert!(seen[3].headers.contains(&"if-none-match: *".to_owned()));
    assert!(seen[3].headers.contains(&"authorization: Bearer secret".to_owned()));
    assert!(seen[4].headers.contains(&"if-match: \"10\"".to_owned()));
}

#[test]
fn runs_are_listed_with_how_they_ended() {
    let run = json!({
        "id": "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42", "script": "hello", "version": 3, "cause": "GET /hello",
        "outcome": "failed", "status": 500, "started_at": "2026-01-02T03:04:05.678Z", "duration_us": 1534,
    });
    let admin = FakeAdmin::once(200, page(&[run]));
    let ran = admin.picloud(&["executions", "list", "--outcome", "failed", "--script", "hello", "--app", "a"]);
    assert_snapshot!(ran.out, @"
    ID                                    STARTED               SCRIPT   CAUSE       OUTCOME  STATUS  TOOK
    01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42  2026-01-02T03:04:05Z  hello@3  GET /hello  failed   500     1.5 ms
    ");
    assert_eq!(admin.only().line, "GET /api/v1/apps/a/executions?script=hello&outcome=failed");
}

#[test]
fn an_answer_that_is_no_problem_is_told_as_it_is() {
    let admin = FakeAdmin::once(502, "<html>Bad Gateway</html>");
    let ran = admin.picloud(&["status"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("502") && ran.err.contains("Bad Gateway"), "{}", ran.err);
}

#[test]
fn completions_are_made_for_a_shell_without_an_appliance() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = picloud(folder.path());
    command.args(["completions", "bash"]);
    let ran = run(command, "");
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("complete -F _picloud"), "{}", ran.out);
}
