//! Keys, secrets, env, audit log, backup and metrics: requests, output, exit codes.

use crate::support::FakeAdmin;
use crate::{page, problem};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

fn key(id: i64, name: &str, scopes: &[&str]) -> Value {
    json!({
        "id": id, "name": name, "scopes": scopes, "created_at": "2026-01-02T03:04:05.678Z", "created_by": "ada",
        "expires_at": "2026-04-02T03:04:05.000Z",
    })
}

fn body(admin: &FakeAdmin) -> Value {
    serde_json::from_str(&admin.only().body).unwrap()
}

#[test]
fn a_key_is_printed_alone_so_that_a_shell_can_take_it() {
    let mut created = key(7, "ci", &["app:admin@kitchen", "invoke@kitchen"]);
    created["key"] = json!("picloud_abc");
    let admin = FakeAdmin::once(201, &created);
    let arguments = ["keys", "create", "ci", "--scope", "app:admin", "--scope", "invoke", "--app-only", "kitchen"];
    let ran = admin.picloud(&[&arguments[..], &["--expires", "2999-01-02T03:04:05Z"]].concat());
    assert_snapshot!(ran.shown(admin.folder.path()), @"
    exit 0
    --- stdout
    picloud_abc
    --- stderr
    key ci is made for app:admin@kitchen invoke@kitchen, until 2026-04-02T03:04:05Z; it is not shown again
    ");
    assert_eq!(admin.only().line, "POST /api/v1/keys");
    assert_eq!(
        body(&admin),
        json!({
            "name": "ci", "scopes": ["app:admin", "invoke"], "apps": ["kitchen"], "expires_at": "2999-01-02T03:04:05.000Z",
        })
    );
    let admin = FakeAdmin::once(201, &created);
    let ran = admin.picloud(&["keys", "create", "ci", "--scope", "invoke@kitchen,garden", "--json"]);
    assert_eq!((serde_json::from_str::<Value>(&ran.out).unwrap(), ran.err.as_str()), (created, ""));
    assert_eq!(body(&admin), json!({"name": "ci", "scopes": ["invoke@kitchen,garden"]}));
}

#[test]
fn keys_are_listed_and_revoked_by_name_or_id() {
    let keys = [key(7, "ci", &["app:admin"]), key(8, "7up", &["invoke@kitchen"])];
    let admin = FakeAdmin::once(200, page(&keys));
    assert_snapshot!(admin.picloud(&["keys", "list"]).out, @"
    ID  NAME  SCOPES          MADE                  EXPIRES               LAST USED
    7   ci    app:admin       2026-01-02T03:04:05Z  2026-04-02T03:04:05Z  never
    8   7up   invoke@kitchen  2026-01-02T03:04:05Z  2026-04-02T03:04:05Z  never
    ");
    for (named, line) in [("7up", "DELETE /api/v1/keys/8"), ("7", "DELETE /api/v1/keys/7")] {
        // What is looked for may be on a later page.
        let first = json!({"items": [keys[0]], "cursor": "c1"}).to_string();
        let admin = FakeAdmin::answering([(200, "", first), (200, "", page(&keys[1..])), (204, "", String::new())]);
        assert_eq!(admin.picloud(&["keys", "delete", named]).code, 0);
        let lines: Vec<String> = admin.seen().into_iter().map(|seen| seen.line).collect();
        assert_eq!(lines, ["GET /api/v1/keys", "GET /api/v1/keys?cursor=c1", line]);
    }
    let admin = FakeAdmin::once(200, page(&keys));
    assert_eq!(admin.picloud(&["keys", "delete", "nobody"]).code, 3);
}

/// The secret `TOKEN`.
fn secret(scripts: &[&str]) -> Value {
    json!({
        "name": "TOKEN", "scripts": scripts, "version": 3, "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
    })
}

#[test]
fn a_secret_comes_from_standard_input_and_is_printed_nowhere() {
    for (arguments, input, sent, said) in [
        (&["set", "TOKEN"][..], "s3cret\n", json!({"value": "s3cret"}), "TOKEN is set; it is read by every script\n"),
        (
            &["set", "TOKEN", "--script", "a", "--script", "b"],
            "two\nlines\r\n",
            json!({"value": "two\nlines", "scripts": ["a", "b"]}),
            "TOKEN is set; it is read by a, b\n",
        ),
        (
            &["set", "TOKEN", "--value", "v", "--every-script"],
            "",
            json!({"value": "v", "scripts": ["*"]}),
            "TOKEN is set; it is read by every script\n",
        ),
        (
            &["grant", "TOKEN", "--script", "a", "--only"],
            "",
            json!({"scripts": ["a"]}),
            "TOKEN keeps its value; it is read by a\n",
        ),
        (
            &["grant", "TOKEN", "--every-script"],
            "",
            json!({"scripts": ["*"]}),
            "TOKEN keeps its value; it is read by every script\n",
        ),
    ] {
        let scripts: Vec<&str> =
            sent["scripts"].as_array().map_or(vec!["*"], |scripts| scripts.iter().filter_map(Value::as_str).collect());
        let admin = FakeAdmin::once(200, secret(&scripts));
        let ran = admin.picloud_with_input(&[&["secrets", "--app", "k"], arguments].concat(), input);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, said, ""));
        assert_eq!((admin.only().line.as_str(), body(&admin)), ("PUT /api/v1/apps/k/secrets/TOKEN", sent));
    }
    let admin = FakeAdmin::once(200, page(&[secret(&["*"]), secret(&["a", "b"])]));
    assert_snapshot!(admin.picloud(&["secrets", "list", "--app", "k"]).out, @"
    NAME   READ BY       VERSION  CHANGED
    TOKEN  every script  3        2026-01-02T03:04:05Z
    TOKEN  a, b          3        2026-01-02T03:04:05Z
    ");
    let admin = FakeAdmin::once(204, "");
    assert_eq!(admin.picloud(&["secrets", "delete", "TOKEN", "--app", "k"]).out, "TOKEN is deleted\n");
}

#[test]
fn a_grant_adds_scripts_and_takes_the_secret_from_none() {
    let grant = ["secrets", "grant", "TOKEN", "--script", "b", "--script", "a", "--app", "k"];
    let admin = FakeAdmin::answering([&["a"][..], &["a", "b"]].map(|scripts| (200, "", secret(scripts).to_string())));
    let ran = admin.picloud(&grant);
    assert_eq!((ran.code, ran.out.as_str()), (0, "TOKEN keeps its value; it is read by a, b\n"), "{ran:?}");
    let seen = admin.seen();
    assert_eq!(seen[1].line, "PUT /api/v1/apps/k/secrets/TOKEN");
    assert!(seen[1].headers.contains(&"if-match: \"3\"".to_owned()), "{seen:?}");
    assert_eq!(seen[1].body, r#"{"scripts":["a","b"]}"#);
    let admin = FakeAdmin::once(200, secret(&["*"]));
    let ran = admin.picloud(&grant);
    let said = "every script may read TOKEN already; with --only, no other than those named\n";
    assert_eq!((ran.code, ran.out.as_str()), (0, said), "{ran:?}");
    assert_eq!(admin.only().line, "GET /api/v1/apps/k/secrets/TOKEN", "nothing is changed");
}

#[test]
fn a_plain_value_is_listed_set_and_removed() {
    let list = || (200, "", page(&[json!({"name": "city", "value": "Berlin"}), json!({"name": "unit", "value": "C"})]));
    let value = || (200, "", json!({"name": "unit", "value": "C"}).to_string());
    let admin = FakeAdmin::answering([
        list(),
        value(),
        (404, "", problem(404, "not-found", "env value `none` of app `k` does not exist")),
        value(),
        (204, "", String::new()),
    ]);
    assert_snapshot!(admin.picloud(&["env", "list", "--app", "k"]).out, @"
    NAME  VALUE
    city  Berlin
    unit  C
    ");
    assert_eq!(admin.picloud(&["env", "get", "unit", "--app", "k"]).out, "C\n");
    assert_eq!(admin.picloud(&["env", "get", "none", "--app", "k"]).code, 3);
    assert_eq!(admin.picloud(&["env", "set", "unit", "F", "--app", "k"]).out, "unit is set\n");
    assert_eq!(admin.picloud(&["env", "delete", "unit", "--app", "k"]).out, "unit is removed\n");
    let seen = admin.seen();
    assert_eq!(seen[1].line, "GET /api/v1/apps/k/env/unit");
    assert_eq!((seen[3].line.as_str(), seen[3].body.as_str()), ("PUT /api/v1/apps/k/env/unit", "{\"value\":\"F\"}"));
    assert_eq!(seen[4].line, "DELETE /api/v1/apps/k/env/unit");
}

pub(crate) fn entry(seq: i64) -> Value {
    json!({
        "seq": seq, "at": "2026-01-02T03:04:05.678Z", "who": {"kind": "key", "name": "ci"}, "from": "10.0.0.7",
        "action": "script.save", "app": "kitchen", "target": "hello", "outcome": "done", "after": {"version": 2},
        "hash": "a".repeat(64),
    })
}

#[test]
fn the_audit_log_is_listed_and_checked() {
    let mut refused = entry(4);
    refused["outcome"] = json!("refused");
    refused["app"] = Value::Null;
    let admin = FakeAdmin::once(200, page(&[refused, entry(3)]));
    // An app folder does not narrow it.
    admin.write("app.toml", "name = \"folder\"\n");
    let arguments = ["audit", "list", "--who", "ci", "--action", "script.", "--outcome", "refused", "--app", "kitchen"];
    assert_snapshot!(admin.picloud(&arguments).out, @"
    SEQ  WHEN                  WHO     FROM      OUTCOME  ACTION       WHAT
    4    2026-01-02T03:04:05Z  key ci  10.0.0.7  refused  script.save  hello
    3    2026-01-02T03:04:05Z  key ci  10.0.0.7  done     script.save  kitchen: hello
    ");
    assert_eq!(admin.only().line, "GET /api/v1/audit?app=kitchen&who=ci&action=script.&outcome=refused");
    let admin = FakeAdmin::once(200, page(&[]));
    admin.write("app.toml", "name = \"folder\"\n");
    assert_eq!(admin.picloud(&["audit", "list"]).code, 0);
    assert_eq!(admin.only().line, "GET /api/v1/audit");

    let verdict = json!({"intact": true, "entries": 12, "first_seq": 1, "last_seq": 12, "head": "b".repeat(64)});
    let ran = FakeAdmin::once(200, verdict).picloud(&["audit", "verify"]);
    assert_eq!(ran.out, format!("the audit log is whole: 12 entries, head {}\n", "b".repeat(64)));
    let verdict = json!({"intact": false, "entries": 5, "broken_at": 6, "reason": "its hash is not its own"});
    let ran = FakeAdmin::once(200, &verdict).picloud(&["audit", "verify"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.starts_with("error: the audit log is broken at entry 6: its hash is not its own\n"), "{}", ran.err);
    let ran = FakeAdmin::once(200, &verdict).picloud(&["audit", "verify", "--json"]);
    assert_eq!((ran.code, serde_json::from_str::<Value>(&ran.out).unwrap()), (1, verdict));
}

#[test]
fn a_backup_is_written_whole_and_for_its_owner_only_or_not_at_all() {
    let archive = "an archive".repeat(10_000);
    let admin = FakeAdmin::answering([
        (200, "content-type: application/x-tar\r\n", archive.clone()),
        (200, "", archive.clone()),
        // Cut off: it says that more comes than does.
        (200, "content-length: 9999999\r\n", String::new()),
        (403, "", problem(403, "forbidden", "key `ci` lacks the scope `instance:admin`")),
        (200, "", String::new()),
    ]);
    let file = admin.write("b.tar", "an older one");
    let ran = admin.picloud(&["backup", "b.tar"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "the backup is in b.tar: 97 KiB\n"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), archive);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(admin.picloud(&["backup"]).out, archive);
    for code in [5, 4, 1] {
        let ran = admin.picloud(&["backup", "b.tar"]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), archive, "what was there stays");
    }
    let left: Vec<_> = std::fs::read_dir(admin.folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing is left but the backup and the socket: {left:?}");
    assert!(admin.seen().iter().all(|seen| seen.line == "POST /api/v1/backup"));
}

#[test]
fn metrics_are_printed_as_they_are() {
    let text = "# TYPE picloud_runs_total counter\npicloud_runs_total{app=\"k\"} 1\n";
    let admin = FakeAdmin::answering([(200, "", text.to_owned()), (200, "", text.to_owned())]);
    assert_eq!(admin.picloud(&["metrics"]).out, text);
    let ran = admin.picloud(&["metrics", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), json!({"text": text}));
    assert_eq!(admin.seen()[0].line, "GET /api/v1/metrics");
}
