//! Backups of a running appliance, and the machine that is brought up from one.

use crate::hello;
use crate::support::{Appliance, fails, program, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tempfile::tempdir;

/// `backup FILE` of the data that `serve_command` uses.
fn backup_command(data: &Path, file: &Path) -> Command {
    let mut command = program();
    command.arg("backup").arg(file).arg("--config").arg(data.join("empty.toml"));
    command.arg("--data-dir").arg(data.join("data")).arg("--admin-socket").arg(data.join("admin.sock"));
    command
}

fn restore_command(data: &Path, file: &Path) -> Command {
    std::fs::create_dir_all(data).unwrap();
    std::fs::write(data.join("empty.toml"), "").unwrap();
    let mut command = program();
    command.arg("restore").arg(file).arg("--config").arg(data.join("empty.toml"));
    command.arg("--data-dir").arg(data.join("data"));
    command
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Raises the flag when it is dropped.
struct Raised<'f>(&'f AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// An app that writes, reads, fails, and knows a secret.
fn kitchen() -> Value {
    let route = |path: &str, script: &str, auth: &str| json!({ "path": path, "script": script, "auth": auth });
    json!({
        "name": "kitchen",
        "routes": [
            route("/set/{n}", "set", "public"),
            route("/secret", "secret", "public"),
            route("/fail", "fail", "public"),
            route("/locked", "locked", "key"),
        ],
        "scripts": {
            "set": "kv::collection(\"c\").set(\"k\" + ctx.request.params.n, parse_int(ctx.request.params.n))",
            "secret": "crypto::sha256(secrets::get(\"token\")).len()",
            "fail": "throw \"as asked\"",
            "locked": "ctx.principal.name",
        },
        "static": { "a.txt": "YQ==" },
    })
}

#[test]
fn a_machine_brought_up_from_a_backup_taken_under_load_has_all_that_was_acknowledged() {
    let (old, new) = (tempdir().unwrap(), tempdir().unwrap());
    let file = new.path().join("b.tar");
    let mut first = Appliance::serve(old.path());
    first.deploy(&kitchen());
    let secret = first.admin("PUT", "/apps/kitchen/secrets/token", "{\"value\": \"very-secret\"}");
    assert!(secret.status < 300, "{}", secret.text());
    let made = first.admin("POST", "/keys", "{\"name\": \"phone\", \"scopes\": [\"invoke\"]}").json();
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    let failed = first.get("/kitchen/fail").json();
    let run = format!("/apps/kitchen/executions/{}", failed["execution_id"].as_str().unwrap());
    until("the failed run is kept", || first.admin("GET", &run, "").status == 200);
    let exported = first.admin("GET", "/apps/kitchen/export", "").json();

    let (acknowledged, over) = (AtomicI64::new(0), AtomicBool::new(false));
    let before = std::thread::scope(|scope| {
        // Also where this panics: the others would go on for ever.
        let _end = Raised(&over);
        let writes = || {
            for number in 1.. {
                let reply = first.get(&format!("/kitchen/set/{number}"));
                assert_eq!(reply.status, 200, "{}", reply.text());
                acknowledged.store(number, Ordering::SeqCst);
                if over.load(Ordering::SeqCst) {
                    return;
                }
            }
        };
        let deploys = || {
            let mut number = 0;
            while !over.load(Ordering::SeqCst) {
                number += 1;
                first.deploy(&hello("garden", &format!("{number}")));
            }
        };
        scope.spawn(writes);
        scope.spawn(deploys);
        until("some writes were acknowledged", || acknowledged.load(Ordering::SeqCst) >= 20);
        let before = acknowledged.load(Ordering::SeqCst);
        let said = succeeds(&mut backup_command(old.path(), &file));
        assert!(said.contains("b.tar: ") && said.contains("files"), "{said}");
        before
    });
    assert!(acknowledged.load(Ordering::SeqCst) > before, "writes went on meanwhile");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(names(&old.path().join("data")).iter().all(|name| !name.starts_with("backup-tmp-")));
    let ca = std::fs::read(old.path().join("data/keys/ca.crt")).unwrap();
    assert!(first.end(Signal::SIGTERM).success());

    let target = new.path().join("machine");
    let said = succeeds(&mut restore_command(&target, &file));
    assert!(said.contains("files"), "{said}");
    let second = Appliance::serve(&target);
    assert_eq!(second.admin("GET", "/apps/kitchen/export", "").json(), exported);
    for number in 1..=before {
        let entry = second.admin("GET", &format!("/apps/kitchen/kv/c/k{number}"), "");
        assert_eq!((entry.status, entry.text()), (200, number.to_string()), "key k{number} of {before}");
    }
    assert_eq!(second.get("/kitchen/secret").text(), "64");
    assert_eq!(second.get("/kitchen/static/a.txt").text(), "a");
    assert_eq!(second.get("/kitchen/locked").status, 401);
    let opened = second.send("GET", "/kitchen/locked", &[("authorization", &key)], b"");
    assert_eq!((opened.status, opened.text().as_str()), (200, "phone"), "{}", opened.text());
    assert_eq!(second.admin("GET", &run, "").json()["id"], failed["execution_id"]);
    assert_eq!(std::fs::read(target.join("data/keys/ca.crt")).unwrap(), ca, "clients trust the same authority");
    let audit = second.admin("GET", "/audit?limit=1000", "").json();
    let actions: Vec<&str> = audit["items"].as_array().unwrap().iter().filter_map(|it| it["action"].as_str()).collect();
    assert!(actions.contains(&"backup.restore") && actions.contains(&"key.create"), "{actions:?}");
    assert_eq!(second.admin("GET", "/audit/verify", "").json()["intact"], true);
    assert_eq!(second.deploy(&kitchen())["changes"], json!([]));
}

#[test]
fn a_backup_is_taken_while_no_appliance_runs_and_is_not_written_over() {
    let data = tempdir().unwrap();
    let file = data.path().join("b.tar");
    let mut appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "\"kept\""));
    assert!(appliance.end(Signal::SIGTERM).success());
    succeeds(&mut backup_command(data.path(), &file));
    let (code, said) = fails(&mut backup_command(data.path(), &file));
    assert_eq!(code, 1);
    assert!(said.contains("is there already") && said.contains("--force"), "{said}");
    succeeds(backup_command(data.path(), &file).arg("--force"));
    assert!(names(data.path()).iter().all(|name| !name.ends_with(".part")));
    // The same through a pipe.
    let piped = backup_command(data.path(), Path::new("-")).output().unwrap();
    assert!(piped.status.success());
    std::fs::write(&file, &piped.stdout).unwrap();
    let target = data.path().join("machine");
    succeeds(&mut restore_command(&target, &file));
    assert_eq!(Appliance::serve(&target).get("/kitchen").text(), "kept");
}

#[test]
fn a_damaged_backup_or_a_folder_with_data_is_refused_and_nothing_is_left_behind() {
    let data = tempdir().unwrap();
    let file = data.path().join("b.tar");
    drop(Appliance::serve(data.path()));
    succeeds(&mut backup_command(data.path(), &file));
    let whole = std::fs::read(&file).unwrap();
    let target = data.path().join("machine");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (damaged, what) in
        [(&flipped[..], "damaged"), (&whole[..whole.len() / 2], "damaged"), (&b"hello"[..], "no backup")]
    {
        std::fs::write(&file, damaged).unwrap();
        let (code, said) = fails(&mut restore_command(&target, &file));
        assert_eq!(code, 1);
        assert!(said.contains(what) && said.contains("hint:") && said.contains("nothing was restored"), "{said}");
        assert_eq!(names(&target), ["empty.toml"]);
    }
    std::fs::write(&file, &whole).unwrap();
    let (_code, said) = fails(&mut restore_command(data.path(), &file));
    assert!(said.contains("is not empty: it holds") && said.contains("picloud.db"), "{said}");
    let (_code, said) = fails(&mut restore_command(&target, &data.path().join("nothing.tar")));
    assert!(said.contains("nothing.tar"), "{said}");
    let (_code, said) = fails(&mut backup_command(&target, &data.path().join("c.tar")));
    assert!(said.contains("does not exist"), "{said}");
}

#[test]
fn a_backup_asks_only_the_appliance_that_has_the_data() {
    let (one, other) = (tempdir().unwrap(), tempdir().unwrap());
    let (_first, _second) = (Appliance::serve(one.path()), Appliance::serve(other.path()));
    let mut command = program();
    command.arg("backup").arg(one.path().join("b.tar")).arg("--config").arg(one.path().join("empty.toml"));
    command.arg("--data-dir").arg(one.path().join("data")).arg("--admin-socket").arg(other.path().join("admin.sock"));
    let (code, said) = fails(&mut command);
    assert_eq!(code, 1);
    assert!(said.contains("that appliance has its data in") && said.contains("--admin-socket"), "{said}");
    assert!(!one.path().join("b.tar").exists());
}

#[test]
fn over_the_api_a_backup_comes_as_an_archive_with_a_name() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "\"kept\""));
    let reply = appliance.admin("POST", "/backup", "");
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/x-tar"));
    let name = reply.header("content-disposition");
    assert!(name.starts_with("attachment; filename=\"picloud-2") && name.ends_with(".tar\""), "{name}");
    let file = data.path().join("b.tar");
    std::fs::write(&file, &reply.body).unwrap();
    let target = data.path().join("machine");
    succeeds(&mut restore_command(&target, &file));
    drop(appliance);
    assert_eq!(Appliance::serve(&target).get("/kitchen").text(), "kept");
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_or_all_and_the_next_one_does_it() {
    let data = tempdir().unwrap();
    let file = data.path().join("b.tar");
    let mut appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "\"kept\""));
    assert!(appliance.end(Signal::SIGTERM).success());
    succeeds(&mut backup_command(data.path(), &file));
    let target = data.path().join("machine");
    for sign in ["data.restoring", "data.restoring/picloud.db", "data.restoring/keys", "data.restoring/lock", "data"] {
        let mut restoring =
            restore_command(&target, &file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut ended = false;
        until(sign, || {
            ended = restoring.try_wait().unwrap().is_some();
            ended || target.join(sign).exists()
        });
        restoring.kill().unwrap();
        restoring.wait().unwrap();
        let whole = target.join("data").exists();
        assert!(whole || sign != "data", "the last sign is the whole folder");
        if whole {
            // All of it, or none: it serves.
            assert_eq!(Appliance::serve(&target).get("/kitchen").text(), "kept", "killed at {sign}");
            std::fs::remove_dir_all(target.join("data")).unwrap();
        }
    }
    succeeds(&mut restore_command(&target, &file));
    assert!(!target.join("data.restoring").exists());
    assert_eq!(Appliance::serve(&target).get("/kitchen").text(), "kept");
}

#[test]
fn a_client_that_goes_away_leaves_no_copies_and_the_next_one_gets_its_turn() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut app = hello("kitchen", "1");
    // More than what lies ready in pieces and in the socket.
    app["static"] = json!({ "large.bin": "YWFh".repeat(3 * 1024 * 1024) });
    appliance.deploy(&app);
    let mut client = UnixStream::connect(&appliance.socket).unwrap();
    client.write_all(b"POST /api/v1/backup HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut begin = [0; 1_000];
    client.read_exact(&mut begin).unwrap();
    assert!(begin.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&begin));
    let second = appliance.admin("POST", "/backup", "");
    assert_eq!((second.status, second.json()["code"].as_str()), (409, Some("conflict")), "{}", second.text());
    drop(client);
    until("the next backup has its turn", || appliance.admin("POST", "/backup", "").status == 200);
    let copies = || names(&data.path().join("data")).into_iter().filter(|name| name.starts_with("backup-tmp-")).count();
    until("the copies are gone", || copies() == 0);
}
