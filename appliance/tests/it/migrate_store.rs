//! `migrate-store`: an appliance whose data moves to Postgres and back goes on as if nothing had been.

use crate::support::{Appliance, fails, program, serve_command, until};
use crate::temp_pg::TempPg;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::tempdir;

fn migrate_command(from: &str, to: &str) -> Command {
    let mut command = program();
    command.args(["migrate-store", "--from", from, "--to", to]);
    command
}

/// Moves, and answers what was told of it.
fn migrate(from: &str, to: &str) -> String {
    let output = migrate_command(from, to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `serve` on the database.
fn on_postgres(data: &Path, pg: &TempPg) -> Appliance {
    let mut command = serve_command(data);
    command.arg("--database-url").arg(pg.url());
    Appliance::start(command)
}

/// Counts, keeps a file, and knows a secret.
fn kitchen() -> Value {
    let route = |path: &str, script: &str| json!({ "path": path, "script": script, "auth": "public" });
    json!({
        "name": "kitchen",
        "routes": [route("/count", "count"), route("/keep", "keep"), route("/kept", "kept"), route("/secret", "secret")],
        "scripts": {
            "count": "kv::collection(\"c\").incr(\"n\", 1)",
            "keep": "files::collection(\"f\").create(#{name: \"a\", content_type: \"text/plain\", data: \"bytes\".to_blob()}).size",
            "kept": "let f = files::collection(\"f\"); f.get(f.list().files[0].id).as_string()",
            "secret": "secrets::get(\"token\").len()",
        },
    })
}

fn ask(appliance: &Appliance, path: &str) -> String {
    let reply = appliance.get(path);
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text()
}

#[test]
fn an_appliance_moves_to_postgres_and_back_with_everything_in_it() {
    let (data, pg) = (tempdir().unwrap(), TempPg::new());
    let dir = data.path().join("data");
    let (dir, url) = (dir.to_str().unwrap(), pg.url());
    let mut first = Appliance::serve(data.path());
    first.deploy(&kitchen());
    let secret = first.admin("PUT", "/apps/kitchen/secrets/token", "{\"value\": \"very-secret\"}");
    assert!(secret.status < 300, "{}", secret.text());
    assert_eq!((ask(&first, "/kitchen/count"), ask(&first, "/kitchen/keep")), ("1".to_owned(), "5".to_owned()));
    until("runs are kept", || {
        let runs = first.admin("GET", "/apps/kitchen/executions", "").json();
        runs["items"].as_array().unwrap().len() == 2
    });
    let audit = first.admin("GET", "/audit", "").json();

    let (_code, refused) = fails(&mut migrate_command(dir, &url));
    assert!(refused.contains("is in use by another appliance"), "{refused}");
    assert!(first.end(Signal::SIGTERM).success());
    let told = migrate(dir, &url);
    assert!(told.contains("the same on both sides") && told.contains("database_url"), "{told}");

    let mut second = on_postgres(data.path(), &pg);
    assert_eq!(ask(&second, "/kitchen/count"), "2", "it goes on counting");
    assert_eq!(ask(&second, "/kitchen/kept"), "bytes", "files are where they were");
    assert_eq!(ask(&second, "/kitchen/secret"), "11", "secrets can still be read");
    let newer = second.admin("GET", "/audit", "").json();
    let (old, new) = (audit["items"].as_array().unwrap(), newer["items"].as_array().unwrap());
    assert_eq!(new[new.len() - old.len()..], old[..], "nothing is gone from the audit log");
    let (_code, refused) = fails(&mut migrate_command(&url, data.path().join("back").to_str().unwrap()));
    assert!(refused.contains("is in use") && refused.contains("hint: stop every appliance"), "{refused}");
    assert!(second.end(Signal::SIGTERM).success());

    // Back into the folder: its old store is in the way, and is not touched.
    let (_code, refused) = fails(&mut migrate_command(&url, dir));
    assert!(refused.contains("is not empty") && refused.contains("hint: "), "{refused}");
    for file in ["picloud.db", "history.db"] {
        std::fs::rename(Path::new(dir).join(file), data.path().join(file)).unwrap();
    }
    migrate(&url, dir);
    let third = Appliance::serve(data.path());
    assert_eq!(ask(&third, "/kitchen/count"), "3");
    assert_eq!((ask(&third, "/kitchen/kept"), ask(&third, "/kitchen/secret")), ("bytes".to_owned(), "11".to_owned()));
}

#[test]
fn a_folder_of_files_is_not_given_to_another_database() {
    let (data, pg) = (tempdir().unwrap(), TempPg::new());
    let mut first = Appliance::serve(data.path());
    first.deploy(&kitchen());
    ask(&first, "/kitchen/keep");
    assert!(first.end(Signal::SIGTERM).success());
    let mut command = serve_command(data.path());
    command.arg("--database-url").arg(pg.url());
    let (_code, refused) = fails(&mut command);
    assert!(refused.contains("belongs to another database") && refused.contains("hint: "), "{refused}");
    let again = Appliance::serve(data.path());
    assert_eq!(ask(&again, "/kitchen/kept"), "bytes", "nothing was swept away");
}

/// Gives the data folder below `to` the key that secrets are sealed with.
fn with_key_of(from: &Path, to: &Path) {
    let key = |data: &Path| data.join("data/keys/secrets.key");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(key(to).parent().unwrap()).unwrap();
    std::fs::copy(key(from), key(to)).unwrap();
}

#[test]
fn appliances_on_one_database_share_their_files() {
    let (one, other, pg) = (tempdir().unwrap(), tempdir().unwrap(), TempPg::new());
    let files = one.path().join("files");
    let start = |data: &Path| {
        let mut command = serve_command(data);
        command.arg("--database-url").arg(pg.url()).arg("--files-root").arg(&files);
        Appliance::start(command)
    };
    let first = start(one.path());
    first.deploy(&kitchen());
    with_key_of(one.path(), other.path());
    let second = start(other.path());
    ask(&first, "/kitchen/keep");
    assert_eq!(ask(&second, "/kitchen/kept"), "bytes", "what one wrote the other reads");
    // A third one that was not told where they are does not begin.
    let third = tempdir().unwrap();
    with_key_of(one.path(), third.path());
    let mut command = serve_command(third.path());
    command.arg("--database-url").arg(pg.url());
    let (_code, refused) = fails(&mut command);
    assert!(refused.contains("the database has files") && refused.contains("files_root"), "{refused}");
}
