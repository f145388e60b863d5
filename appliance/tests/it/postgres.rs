//! Appliances on Postgres: two that share a database, and one whose database goes away.

use crate::hello;
use crate::support::{Appliance, serve_command, until};
use crate::temp_pg::TempPg;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::tempdir;

/// From a deploy on one appliance to its answer on the other; what is asked for is half a second, on a machine that does
/// nothing else.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// `serve` with what is its own in `folder/name`, and files where all have them.
fn on_postgres(folder: &Path, name: &str, pg: &TempPg) -> Appliance {
    let own = folder.join(name);
    let mut command = serve_command(&own);
    command.arg("--database-url").arg(pg.url()).arg("--files-root").arg(folder.join("files"));
    Appliance::start(command)
}

/// A second one, which has the first one's master key.
fn beside(folder: &Path, first: &str, name: &str, pg: &TempPg) -> Appliance {
    let keys = |name: &str| folder.join(name).join("data/keys");
    std::fs::create_dir_all(keys(name)).unwrap();
    std::fs::copy(keys(first).join("secrets.key"), keys(name).join("secrets.key")).unwrap();
    on_postgres(folder, name, pg)
}

/// Counts, reads a secret, and counts what its trigger was told.
fn kitchen() -> Value {
    let route = |path: &str, script: &str| json!({ "path": path, "script": script, "auth": "public" });
    json!({
        "name": "kitchen",
        "routes": [route("/count", "count"), route("/secret", "secret"), route("/add/{key}", "add"),
                   route("/handled", "handled"), route("/plain", "plain")],
        "scripts": {
            "plain": "\"plain\"",
            "count": "kv::collection(\"c\").incr(\"n\", 1)",
            "secret": "secrets::get(\"token\").len()",
            "add": "kv::collection(\"in\").set(ctx.request.params.key, 1)",
            "handle": "kv::collection(\"out\").set(ctx.event.key, ctx.event.attempt)",
            "handled": "kv::collection(\"out\").list().entries.len()",
        },
        "triggers": [{ "name": "on-in", "kind": "kv", "collection": "in", "script": "handle" }],
    })
}

fn ask(appliance: &Appliance, path: &str) -> String {
    let reply = appliance.get(path);
    assert_eq!(reply.status, 200, "{path}: {}\n{}", reply.text(), appliance.output.text());
    reply.text()
}

#[test]
fn two_appliances_on_one_database_are_one() {
    let (folder, pg) = (tempdir().unwrap(), TempPg::new());
    let one = on_postgres(folder.path(), "one", &pg);
    one.deploy(&kitchen());
    let mut other = beside(folder.path(), "one", "other", &pg);
    assert_eq!((ask(&one, "/kitchen/count"), ask(&other, "/kitchen/count")), ("1".to_owned(), "2".to_owned()));

    // What is deployed, set or made at one is there at the other.
    one.deploy(&hello("garden", "\"first\""));
    let deployed = Instant::now();
    until("the other serves it", || other.get("/garden").status == 200);
    assert!(deployed.elapsed() < SEEN_WITHIN, "{:?}", deployed.elapsed());
    let secret = other.admin("PUT", "/apps/kitchen/secrets/token", "{\"value\": \"very-secret\"}");
    assert!(secret.status < 300, "{}", secret.text());
    until("the secret is known to the other", || one.get("/kitchen/secret").text() == "11");
    assert_eq!(ask(&other, "/kitchen/secret"), "11");

    // Each event is handled once, wherever it was made.
    for number in 0..20 {
        let at = if number % 2 == 0 { &one } else { &other };
        ask(at, &format!("/kitchen/add/k{number}"));
    }
    until("all are handled", || ask(&one, "/kitchen/handled") == "20");
    let letters = one.admin("GET", "/apps/kitchen/dead-letters", "").json();
    assert_eq!(letters["items"], json!([]));

    // One goes without a word, and the work goes on.
    other.end(Signal::SIGKILL);
    for number in 20..30 {
        ask(&one, &format!("/kitchen/add/k{number}"));
    }
    until("all are handled", || ask(&one, "/kitchen/handled") == "30");
    assert_eq!(one.admin("GET", "/status", "").json()["store"]["kind"].as_str().unwrap_or("postgres"), "postgres");
}

#[test]
fn an_appliance_whose_database_goes_away_serves_what_needs_none_and_goes_on_when_it_is_back() {
    let (folder, pg) = (tempdir().unwrap(), TempPg::own());
    let appliance = on_postgres(folder.path(), "one", &pg);
    appliance.deploy(&kitchen());
    // The worker has its source from now on.
    assert_eq!(
        (ask(&appliance, "/kitchen/count"), ask(&appliance, "/kitchen/plain")),
        ("1".to_owned(), "plain".to_owned())
    );
    pg.kill();
    assert_eq!(ask(&appliance, "/kitchen/plain"), "plain");
    let refused = appliance.get("/kitchen/count");
    assert!(refused.status >= 500, "{}: {}", refused.status, refused.text());
    let refused = appliance.admin("GET", "/apps", "");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "2"), "{}", refused.text());
    assert!(refused.text().contains("the database does not answer"), "{}", refused.text());
    pg.start();
    until("the database is used again", || appliance.get("/kitchen/count").status == 200);
    ask(&appliance, "/kitchen/add/a");
    until("events are handled", || ask(&appliance, "/kitchen/handled") == "1");
}
