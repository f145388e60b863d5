//! For tests of all screens alike: each with everything loaded that it asks for. Whoever makes a screen ask for more adds
//! its answer to [`answer_to`].

use super::testing::{Bench, CAPS};
use super::{Answer, Effect, Msg, ScreenId};
use crate::theme::Caps;
use picloud_model::problem::{Code, Problem};
use serde_json::{Value, json};

/// How often answers may lead to further questions.
const ROUNDS_MAX: usize = 20;
/// An id of a run.
const RUN: &str = "01976f2c-0d3c-7c8e-a2b1-3f0c5a1e9d42";
/// A time that everything has.
const AT: &str = "2026-01-02T11:50:31Z";

/// A screen of an 80x24 terminal with all it asks for.
pub(crate) fn filled(screen: ScreenId) -> Bench {
    filled_with(screen, (80, 24), CAPS)
}

/// The same on another terminal.
pub(crate) fn filled_with(screen: ScreenId, size: (u16, u16), caps: Caps) -> Bench {
    let mut bench = Bench::with(screen, size, caps);
    settle(&mut bench);
    if screen == ScreenId::Home {
        bench.stream("/activity", "activity", activity());
    }
    settle(&mut bench);
    bench.draw();
    bench
}

/// Answers everything that was asked and not answered, and what that leads to.
pub(crate) fn settle(bench: &mut Bench) {
    for _round in 0..ROUNDS_MAX {
        let asked = std::mem::take(&mut bench.unanswered);
        if asked.is_empty() {
            return;
        }
        for effect in asked {
            if let Some(msg) = answered(&effect) {
                bench.send(msg);
            }
        }
    }
}

/// What comes of an effect, if all goes well.
fn answered(effect: &Effect) -> Option<Msg> {
    Some(match effect {
        Effect::Load { owner, generation, request } => {
            let path = request.path.as_str().trim_start_matches("/api/v1");
            let answered = answer_to(request.method.as_str(), path).ok_or_else(|| {
                Problem::new(Code::NotFound, format!("no answer to {} {path} is written down", request.method))
            });
            let answered = answered.map(answer);
            Msg::Loaded { owner: owner.clone(), generation: *generation, answered }
        }
        Effect::Write { id, request } => {
            let path = request.path.as_str().trim_start_matches("/api/v1");
            let body = answer_to("GET", path).unwrap_or(Value::Null);
            Msg::Wrote { id: *id, answered: Ok(answer(body)) }
        }
        Effect::Later { owner, .. } if owner.screen.is_some() => Msg::Due { owner: owner.clone() },
        _ => return None,
    })
}

fn answer(body: Value) -> Answer {
    let body = if let Value::String(text) = &body { text.clone() } else { body.to_string() };
    Answer { status: 200, etag: Some("7".to_owned()), body: body.into() }
}

fn page(items: &[Value]) -> Value {
    json!({"items": items, "cursor": null})
}

/// What the appliance answers to a path below `/api/v1`: two apps with a few things of each kind.
pub(crate) fn answer_to(method: &str, path: &str) -> Option<Value> {
    let path = path.split('?').next().unwrap_or(path);
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if let ["apps", app, rest @ ..] = segments.as_slice() {
        return of_app(method, app, rest);
    }
    Some(match segments.as_slice() {
        ["apps"] => page(&[app("blog"), app("kitchen")]),
        ["whoami"] => json!({"kind": "person", "name": "ada", "grants": ["script:read", "script:write", "invoke",
            "app:admin", "node:read", "node:admin", "instance:admin"]}),
        ["activity"] => activity(),
        ["nodes"] => page(&[
            node("11112222333344445555", "homelab", "up"),
            node("77aa00ff77aa00ff77aa", "attic", "away"),
            node("aabbccddaabbccddaabb", "raspberrypi", "waiting"),
        ]),
        ["nodes", _] => node("77aa00ff77aa00ff77aa", "attic", "away"),
        ["executions"] => page(&[run()]),
        ["status"] => json!({"version": "0.1.0", "node": "homelab", "uptime_s": 1234, "ingress_addr": "0.0.0.0:80",
            "admin_socket": "/run/picloud/admin.sock", "admin_url": null, "ca_fingerprint": null,
            "queues": [{"app": "blog", "deliveries": 2, "oldest_due_ms": 0, "waiting_for_node": 0, "dead_letters": 1,
            "bytes_written": 4096}]}),
        ["version"] => json!({"version": "0.1.0", "sdk_version": "1.1", "api": "v1"}),
        ["limits"] => {
            page(&[json!({"name": "timeout_ms", "default": 10_000, "ceiling": 300_000, "doc": "Wall time."})])
        }
        ["metrics"] => json!("# HELP picloud_runs_total Runs\npicloud_runs_total 12\n"),
        ["sdk", "docs"] => json!("# The SDK\n\n## kv\n\n- `kv::get(collection, key)`: the value\n"),
        ["keys"] => page(&[json!({"id": 1, "name": "ci", "scopes": ["script:read"], "created_at": AT,
            "created_by": "ada"})]),
        ["join-tokens"] => {
            page(&[json!({"id": 1, "labels": {}, "uses_left": 3, "created_by": "ada", "created_at": AT,
            "expires_at": "2026-01-03T11:50:31Z"})])
        }
        ["audit"] => page(&[audit()]),
        ["audit", "verify"] => json!({"intact": true, "entries": 1, "first_seq": 1, "last_seq": 1, "head": null}),
        ["schedules", "preview"] => json!({"items": [{"at": AT, "local": "2026-01-02 11:50:31 UTC"}]}),
        _ => return None,
    })
}

fn of_app(method: &str, name: &str, rest: &[&str]) -> Option<Value> {
    Some(match rest {
        [] => app(name),
        ["scripts"] => page(&[script("feed", "endpoint"), script("html", "module")]),
        ["scripts", script_name] => {
            let mut script = script(script_name, "endpoint");
            script["source"] = json!("import \"html\" as html;\nhtml::page(1 + 1)\n");
            script
        }
        ["scripts", _, "versions"] => page(&[version(2), version(1)]),
        ["scripts", _, "versions", _] => version(1),
        ["scripts", _, "run"] => json!({"status": 200, "result": 2, "logs": [], "duration_us": 900, "effects": []}),
        ["scripts", _, "imports" | "importers"] => page(&[]),
        ["routes"] => page(&[json!({"id": 1, "methods": ["GET"], "path": "/feed", "script": "feed", "auth": "public",
            "served_by": ["homelab"]})]),
        ["triggers"] => page(&[trigger("nightly"), trigger("warm-cache")]),
        ["triggers", name] => trigger(name),
        ["triggers", _, "next"] => json!({"items": [{"at": AT, "local": "2026-01-02 11:50:31 UTC"}]}),
        ["dead-letters"] => page(&[letter(1), letter(2)]),
        ["dead-letters", _] => {
            let mut letter = letter(1);
            let more = json!({"event": {"key": "a"}, "root_execution_id": RUN, "trigger_depth": 0, "tried": [],
                "chain": []});
            letter.as_object_mut()?.extend(more.as_object()?.clone());
            letter
        }
        ["executions"] => page(&[run()]),
        ["executions", _] => run(),
        ["executions", _, "replay"] => json!({"status": 200, "headers": [], "body": "2", "execution": run()}),
        ["kv"] => page(&[json!({"name": "posts", "keys": 2, "size_bytes": 900})]),
        ["kv", _] => page(&[entry("2026-01-11-start"), entry("drafts/a")]),
        ["kv", _, _] => json!({"title": "Solar on the shed"}),
        ["files"] => page(&[json!({"name": "photos", "files": 1, "size_bytes": 4_000_000})]),
        ["files", _] => page(&[file()]),
        ["files", _, _] if method == "GET" => json!("{\"a\": 1}"),
        ["env"] => page(&[json!({"name": "TZ", "value": "UTC"})]),
        ["secrets"] => page(&[json!({"name": "TOKEN", "scripts": ["feed"], "version": 1, "created_at": AT,
            "updated_at": AT})]),
        ["timers"] => page(&[json!({"id": RUN, "script": "feed", "due_at": "2026-01-02T13:00:00Z", "attempts": 0})]),
        _ => return None,
    })
}

fn app(name: &str) -> Value {
    json!({"id": 1, "name": name, "hosts": [], "env": {"TZ": "UTC"}, "limits": {}, "revision": 1, "created_at": AT,
        "updated_at": AT})
}

fn node(id: &str, name: &str, state: &str) -> Value {
    json!({"id": id, "name": name, "kind": "node", "state": state, "since": AT,
        "fingerprint": id.repeat(4)[..64].to_owned(), "labels": {"room": "garage"}, "facts": {"arch": "aarch64"},
        "version": "0.1.0", "urls": ["http://192.0.2.7:8080"], "running": 1, "places": 8, "in_step": true,
        "applied_revision": 42, "revision": 42, "spooled": 0, "round_trip_ms": 4, "appliance": "homelab",
        "joined_at": AT, "last_seen_at": AT, "certificate_expires_at": "2026-03-30T08:00:00Z", "revision_of_record": 3})
}

fn script(name: &str, kind: &str) -> Value {
    json!({"id": 1, "name": name, "kind": kind, "version": 2, "hash": "ab".repeat(32), "size_bytes": 42,
        "updated_at": AT})
}

fn version(number: i64) -> Value {
    json!({"version": number, "kind": "endpoint", "hash": "ab".repeat(32), "author": "ada", "sdk_version": "1.1",
        "created_at": AT, "source": format!("{number} + 1\n")})
}

fn trigger(name: &str) -> Value {
    json!({"id": 1, "name": name, "kind": "cron", "script": "feed", "schedule": "0 3 * * *", "timezone": "UTC",
        "version": 3, "failures": 0, "queued": 0, "dead_letters": 2, "next_at": "2026-01-03T03:00:00Z", "created_at": AT,
        "updated_at": AT})
}

fn letter(id: i64) -> Value {
    json!({"id": id, "trigger": "nightly", "script": "feed", "version": 2, "kind": "cron", "event_id": RUN,
        "error": {"code": "script-error", "status": 500, "title": "script error", "detail": "line 3: no field ts"},
        "attempts": 5, "first_at": AT, "last_at": AT, "final": false})
}

fn run() -> Value {
    json!({"id": RUN, "root_id": RUN, "app_id": 1, "app": "blog", "script": "feed", "version": 2, "node": "homelab",
        "cause": "GET /feed", "outcome": "ok", "status": 200, "started_at": AT, "duration_us": 23_000,
        "usage": {"operations": 12, "memory_bytes": 900, "kv_calls": 1}, "error": null, "logs": [], "logs_dropped": 0,
        "trigger_depth": 0, "replayable": true})
}

fn entry(key: &str) -> Value {
    json!({"key": key, "version": 14, "updated_at": AT, "value": {"title": "Solar on the shed"}})
}

fn file() -> Value {
    json!({"id": RUN, "name": "shed.json", "content_type": "application/json", "size": 8, "sha256": "cd".repeat(32),
        "version": 1, "created_at": AT, "updated_at": AT, "metadata": {}})
}

fn audit() -> Value {
    json!({"seq": 1, "at": AT, "who": {"kind": "person", "name": "ada"}, "from": "socket", "action": "script.save",
        "app": "blog", "target": "feed", "outcome": "done", "before": {"version": 1}, "after": {"version": 2},
        "hash": "ef".repeat(32)})
}

fn activity() -> Value {
    json!({"at": AT, "apps": 2, "scripts": 4, "nodes": [{"id": "11112222333344445555", "name": "homelab",
        "kind": "appliance", "state": "up", "since": AT, "running": 1, "places": 8, "in_step": true}],
        "nodes_by_state": {"up": 1}, "hour": [{"minute": "2026-01-02T12:03:00Z", "runs": 140, "failed": 2, "p95_ms": 38.0}],
        "causes": [{"cause": "http", "runs": 140}], "counted_since": AT, "recent": [{"id": RUN, "app": "blog",
        "script": "feed", "cause": "GET /feed", "node": "homelab", "outcome": "ok", "status": 200,
        "duration_us": 23_000, "started_at": AT}], "needs": [{"kind": "node_waiting", "target": "raspberrypi",
        "count": 1, "text": "asks to join, fingerprint aabbccdd", "at": AT}]})
}
