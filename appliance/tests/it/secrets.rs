//! Secrets: read by the scripts they are granted to, at once, and to be found nowhere else.

use crate::events::Events;
use crate::hello;
use crate::support::{Appliance, Reply};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::path::Path;
use tempfile::tempdir;

const VALUE: &str = "s3cr3t \"value\" 4711";

fn put(appliance: &Appliance, name: &str, body: &serde_json::Value) -> Reply {
    appliance.admin("PUT", &format!("/apps/kitchen/secrets/{name}"), &body.to_string())
}

/// An app whose `hello` answers the secret, and whose `stranger` tries to.
fn readers() -> serde_json::Value {
    let mut bundle = hello("kitchen", "secrets::get(\"token\")");
    bundle["scripts"]["stranger"] = json!("secrets::get(\"token\")");
    bundle["routes"].as_array_mut().unwrap().push(json!({ "path": "/stranger", "script": "stranger" }));
    bundle
}

#[test]
fn the_next_call_reads_what_was_set_if_it_was_granted() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&readers());
    let detail = |reply: Reply| (reply.status, reply.json()["detail"].as_str().unwrap().to_owned());
    let (status, text) = detail(appliance.get("/kitchen"));
    assert!(status == 500 && text.contains("token") && text.contains("secrets set token --script hello"), "{text}");
    let made = put(&appliance, "token", &json!({ "value": VALUE, "scripts": ["hello", "gone"] }));
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""), "{}", made.text());
    assert!(made.json()["warnings"][0].as_str().unwrap().contains("`gone`"), "{}", made.text());
    assert_eq!(appliance.get("/kitchen").text(), VALUE);
    let (status, text) = detail(appliance.get("/kitchen/stranger"));
    assert!(status == 500 && text.contains("secrets grant token --script stranger"), "{text}");
    for round in 2..8 {
        let value = format!("value {round}");
        let changed = put(&appliance, "token", &json!({ "value": value }));
        assert_eq!((changed.status, changed.header("etag")), (200, format!("\"{round}\"").as_str()));
        assert_eq!(appliance.get("/kitchen").text(), value, "the very next call");
    }
    let same = put(&appliance, "token", &json!({ "value": "value 7", "scripts": ["gone", "hello"] }));
    assert_eq!(same.header("etag"), "\"7\"", "nothing changed");
    put(&appliance, "token", &json!({ "scripts": ["*"] }));
    assert_eq!(appliance.get("/kitchen/stranger").text(), "value 7");
    put(&appliance, "token", &json!({ "scripts": [] }));
    assert_eq!(appliance.get("/kitchen").status, 500);
    let url = "/apps/kitchen/secrets/token";
    for (header, tag) in [("if-match", "\"3\""), ("if-none-match", "*")] {
        assert_eq!(appliance.admin_with("PUT", url, &[(header, tag)], "{\"value\": \"late\"}").status, 412, "{header}");
        assert_eq!(appliance.admin_with("DELETE", url, &[(header, tag)], "").status, 412, "{header}");
    }
    let listed = appliance.admin("GET", "/apps/kitchen/secrets", "").json();
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["version"]), (&json!("token"), &json!(9)));
    assert_eq!(appliance.admin_with("DELETE", url, &[("if-match", "\"9\"")], "").status, 204);
    assert_eq!(appliance.get("/kitchen").status, 500);
    assert_eq!(appliance.admin("GET", url, "").status, 404);
    assert_eq!(appliance.admin("DELETE", url, "").status, 404);
}

#[test]
fn what_cannot_be_a_secret_is_refused() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&readers());
    for (name, body, status) in [
        ("token", json!({}), 422),
        ("token", json!({ "value": "" }), 422),
        ("token", json!({ "value": "x".repeat(64 * 1024 + 1) }), 413),
        ("token", json!({ "value": "x", "scripts": ["No Script"] }), 422),
        ("token", json!({ "value": "x", "colour": "red" }), 400),
        ("2token", json!({ "value": "x" }), 400),
        ("to-ken", json!({ "value": "x" }), 400),
    ] {
        let refused = put(&appliance, name, &body);
        assert_eq!(refused.status, status, "{name}: {}", refused.text());
    }
    assert_eq!(appliance.admin("GET", "/apps/kitchen/secrets", "").json()["items"], json!([]));
    assert_eq!(put(&appliance, "token", &json!({ "value": "x".repeat(64 * 1024) })).status, 201);
    for n in 1..128 {
        assert_eq!(put(&appliance, &format!("s{n}"), &json!({ "value": "x" })).status, 201);
    }
    let refused = put(&appliance, "one_more", &json!({ "value": "x" }));
    assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("conflict")));
    assert_eq!(put(&appliance, "s1", &json!({ "value": "y" })).status, 200, "those that are there can be changed");
}

/// Every file below `folder` that holds `needle`.
fn files_with(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(needle.len()).any(|window| window == needle)
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_value_is_found_nowhere_but_where_a_script_puts_it() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut bundle = hello(
        "kitchen",
        "let t = secrets::get(\"token\"); log::info(`it is ${t}`, #{ t: t, list: [t] }); print(t); throw `no: ${t}`;",
    );
    bundle["scripts"]["blind"] = json!("log::warn(ctx.request.path, #{ q: ctx.request.query }); 1");
    bundle["routes"].as_array_mut().unwrap().push(json!({ "path": "/find/{what}", "script": "blind" }));
    appliance.deploy(&bundle);
    let (logs, watch) = (Events::of(&appliance, "/logs"), Events::of(&appliance, "/watch"));
    let mut said = Vec::new();
    let plain = "hunter2-4711";
    let escaped = serde_json::to_string(VALUE).unwrap().trim_matches('"').to_owned();
    said.push(put(&appliance, "token", &json!({ "value": VALUE })).text());
    said.push(put(&appliance, "other", &json!({ "value": plain, "scripts": [] })).text());
    let failed = appliance.get("/kitchen");
    assert_eq!(failed.status, 500);
    assert!(failed.text().contains("no: [redacted]"), "{}", failed.text());
    said.push(failed.text());
    // A script that never read it, of a caller who knows it.
    assert_eq!(appliance.get(&format!("/kitchen/find/{plain}?q={plain}")).status, 200);
    let draft = json!({ "source": "log::info(secrets::get(\"token\")); throw secrets::get(\"token\");" });
    said.push(appliance.admin("POST", "/apps/kitchen/scripts/hello/run", &draft.to_string()).text());
    said.extend(logs.take(4).iter().map(|event| event.data.to_string()));
    said.extend(watch.take(2).iter().map(|event| event.data.to_string()));
    for path in
        ["/apps/kitchen/executions", "/apps/kitchen/secrets", "/apps/kitchen/export", "/audit", "/metrics", "/status"]
    {
        let reply = appliance.admin("GET", path, "");
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        said.push(reply.text());
    }
    let runs = appliance.admin("GET", "/apps/kitchen/executions", "").text();
    for kept in ["it is [redacted]", "\"t\":\"[redacted]\"", "GET /kitchen/find/[redacted]"] {
        assert!(runs.contains(kept), "{kept} in {runs}");
    }
    said.push(appliance.output.text());
    for text in &said {
        assert!(![VALUE, &escaped, plain].iter().any(|value| text.contains(*value)), "{text}");
    }
    assert_eq!(files_with(data.path(), b"find/[redacted]").len(), 1, "the look into files finds what is there");
    for value in [VALUE, &escaped, plain] {
        assert_eq!(files_with(data.path(), value.as_bytes()), Vec::<String>::new());
    }
}

#[test]
fn secrets_outlive_a_killed_appliance_but_not_their_key() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    appliance.deploy(&readers());
    put(&appliance, "token", &json!({ "value": VALUE }));
    kill(Pid::from_raw(i32::try_from(appliance.child.id()).unwrap()), Signal::SIGKILL).unwrap();
    let _killed = appliance.child.wait();
    let mut appliance = Appliance::serve(data.path());
    assert_eq!(appliance.get("/kitchen").text(), VALUE);
    appliance.end(Signal::SIGTERM);

    let (file, away) = (data.path().join("data/keys/secrets.key"), data.path().join("away"));
    std::fs::rename(&file, &away).unwrap();
    for (bytes, says) in [(None, "is missing"), (Some(vec![1; 31]), "31 bytes"), (Some(vec![1; 32]), "another key")] {
        if let Some(bytes) = &bytes {
            std::fs::write(&file, bytes).unwrap();
        }
        let mut appliance = Appliance::serve(data.path());
        let (_, line) = appliance.output.wait_for(0, "secrets cannot be read");
        assert!(line.contains(says) && line.contains("backup"), "{line}");
        let failed = appliance.get("/kitchen");
        assert!(failed.status == 500 && failed.text().contains(says), "{}", failed.text());
        let refused = put(&appliance, "second", &json!({ "value": "new" }));
        assert_eq!((refused.status, refused.json()["code"].as_str()), (500, Some("corrupted")), "{}", refused.text());
        appliance.end(Signal::SIGTERM);
        assert_eq!(std::fs::read(&file).ok(), bytes, "no key is made over old secrets");
    }
    std::fs::rename(&away, &file).unwrap();
    let mut appliance = Appliance::serve(data.path());
    assert_eq!(appliance.get("/kitchen").text(), VALUE);
    appliance.end(Signal::SIGTERM);

    std::fs::remove_file(&file).unwrap();
    let appliance = Appliance::serve(data.path());
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen/secrets/token", "").status, 204);
    assert_eq!(put(&appliance, "token", &json!({ "value": "anew" })).status, 201, "without secrets there is a new key");
    assert_eq!(appliance.get("/kitchen").text(), "anew");
}
