//! `picloud doctor` on the machine that runs the tests, and a support bundle of an appliance full of secrets.

use crate::program::{picloud, run};
use crate::world::World;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A secret that stands in as many places as anything can be put; each has another end.
const PLANTED: &str = "hunter2-plantedSecret";

#[test]
fn the_machine_that_runs_this_test_is_looked_at_whole_and_within_its_time() {
    let world = World::with_https();
    let ran = world.picloud(&["doctor", "--json"]);
    // What is wrong with this machine is its own business.
    assert!(matches!(ran.code, 0 | 1), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let of = |name: &str| {
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {report:#}"))
    };
    assert!(checks.len() >= 20 && report["is_here"] == true, "{report:#}");
    for check in checks {
        let needs_a_cure = check["state"] == "warning" || check["state"] == "failed";
        assert_eq!(check["cures"].is_array(), needs_a_cure, "{check:#}");
    }
    // Of this appliance all is known.
    for name in ["appliance", "versions", "socket", "certificates", "nodes"] {
        assert_eq!(of(name)["state"], "ok", "{:#}", of(name));
    }
    assert_eq!(of("backup")["state"], "warning", "{:#}", of("backup"));
    assert!(
        of("certificates")["facts"]["days_left"].as_i64().is_some_and(|days| days > 20),
        "{:#}",
        of("certificates")
    );
    let data = fs::read_dir(world.served().join(".picloud")).unwrap();
    let left: Vec<String> = data
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("doctor"))
        .collect();
    assert!(left.is_empty(), "{left:?} was left in the data folder");
}

#[test]
fn an_appliance_elsewhere_is_asked_for_what_it_knows_and_its_machine_is_left_alone() {
    let world = World::with_https();
    let home = tempfile::tempdir().unwrap();
    let key = world.ok(&["keys", "create", "looker", "--scope", "node:read"]);
    let ran = world.afar(home.path(), key.trim(), &["doctor", "--json", "appliance", "nodes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // A loopback address is this machine, so this is about who may ask: status and nodes take `node:read` only.
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["counts"]["ok"], 2, "{report:#}");
    let ran = world.afar(home.path(), "", &["doctor", "appliance"]);
    assert!(ran.code == 1 && ran.out.starts_with("failed"), "{ran:?}");
}

#[test]
fn a_check_that_is_none_is_refused_and_nothing_that_answers_far_away_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let with = |arguments: &[&str]| {
        let mut command = picloud(folder.path());
        command.args(arguments);
        run(command, "")
    };
    let ran = with(&["doctor", "powr"]);
    assert!(ran.code == 2 && ran.err.contains("power"), "{ran:?}");
    let ran = with(&["doctor", "--url", "https://192.0.2.1.invalid:8443", "versions"]);
    assert!(ran.code == 5 && ran.out.is_empty(), "{ran:?}");
    let ran = with(&["support-bundle", "x.tar.gz"]);
    assert!(ran.code == 2 && ran.err.contains("--show"), "{ran:?}");
}

/// Puts a secret wherever the appliance keeps something.
fn plant(world: &World) -> String {
    let secret = |place: &str| format!("{PLANTED}-{place}");
    world.write(
        "scripts/hello.rhai",
        &format!("// {}\nlog::info(\"{}\", #{{ note: \"{}\" }});\n1", secret("source"), secret("log"), secret("field")),
    );
    world.write("static/notes.txt", &secret("static"));
    let toml = world
        .read("app.toml")
        .replace("city = \"Berlin\"", &format!("city = \"{0}\"\nname = \"{0}-2\"", secret("env")));
    world.write("app.toml", &format!("hosts = [\"{PLANTED}-host.example.org\"]\n{toml}"));
    world.ok(&["deploy", "."]);
    world.ok(&["scripts", "run", "hello"]);
    world.ok(&["kv", "put", "notes", &secret("kv-key"), &format!("\"{}\"", secret("kv-value"))]);
    assert_eq!(world.picloud_with_input(&["secrets", "set", "TOKEN"], &secret("secret")).code, 0);
    assert_eq!(world.picloud_with_input(&["secrets", "set", "OTHER"], &secret("other")).code, 0);
    world.ok(&["publish", "orders/new", &format!("\"{}\"", secret("event"))]);
    world.ok(&["join-tokens", "create", "--label", &format!("room={}", "hunter2-plantedsecret-label")]);
    world.ok(&["keys", "create", "planted", "--scope", "instance:admin"]).trim().to_owned()
}

/// A `journalctl` and others that print what a careless program would have logged.
fn careless_tools(folder: &Path, key: &str) {
    let lines = format!(
        "2026-11-22T03:00:00+0000 picloud-appliance[7]: INFO ready app=quickstart\n\
         2026-11-22T03:00:01+0000 picloud-appliance[7]: WARN said value={PLANTED}-log-value app=quickstart\n\
         2026-11-22T03:00:02+0000 picloud-appliance[7]: ERROR connect to postgres://me:{PLANTED}-url@db.local/x\n\
         2026-11-22T03:00:03+0000 picloud-appliance[7]: password: {PLANTED}-password\n\
         2026-11-22T03:00:04+0000 picloud-appliance[7]: Authorization: Bearer {PLANTED}-header\n\
         2026-11-22T03:00:05+0000 picloud-appliance[7]: key {key} from 203.0.113.7:4711 and 192.168.1.20\n\
         -----BEGIN PRIVATE KEY-----\n{PLANTED}-pem\n-----END PRIVATE KEY-----\n"
    );
    fs::write(folder.join("lines"), lines).unwrap();
    for tool in ["journalctl", "systemctl", "dpkg-query"] {
        let path = folder.join(tool);
        fs::write(&path, format!("#!/bin/sh\nexec /bin/cat {}\n", folder.join("lines").display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_bundle_of_an_appliance_full_of_secrets_has_none_of_them() {
    let world = World::with_https();
    let key = plant(&world);
    let tools = tempfile::tempdir().unwrap();
    careless_tools(tools.path(), &key);
    let with = |arguments: &[&str]| {
        let mut command = picloud(world.folder());
        let path = format!("{}:/usr/bin:/bin", tools.path().display());
        command.env("PATH", path).env("PICLOUD_SOCKET", world.socket()).env("PICLOUD_KEY", &key);
        command.args(["support-bundle", "--no-card-test"]).args(arguments);
        run(command, "")
    };
    let shown = with(&["--show"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    // What a person reads before is what is saved.
    let saved = with(&["help.tar.gz", "--yes", "--json"]);
    assert_eq!(saved.code, 0, "{saved:?}");
    let file = world.folder().join("help.tar.gz");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let unpacked = std::process::Command::new("tar").arg("-xzOf").arg(&file).output().unwrap();
    assert!(unpacked.status.success());
    let archive = String::from_utf8(unpacked.stdout).unwrap();
    for text in [&shown.out, &archive, &saved.out, &shown.err, &saved.err] {
        let lower = text.to_lowercase();
        let at = lower.find("hunter2").map(|at| lower[..at].lines().count());
        assert!(at.is_none(), "a secret at line {at:?} of:\n{text}");
        assert!(!text.contains(&key) && !text.contains("203.0.113.7"), "{text}");
    }
    // What helps is there all the same.
    for needed in [
        "INFO ready app=quickstart",
        "said value=[left out] app=quickstart",
        "192.168.1.20",
        "\"name\": \"quickstart\"",
        "\"arch\": ",
        "picloud_uptime_seconds",
    ] {
        assert!(archive.contains(needed), "{needed} is missing in:\n{archive}");
    }
    let report: Value = serde_json::from_str(&saved.out).unwrap();
    let names: BTreeSet<&str> =
        report["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    for name in [
        "README.txt",
        "versions.json",
        "doctor.json",
        "status.json",
        "nodes.json",
        "apps.json",
        "metrics.txt",
        "logs/picloud-appliance.txt",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
}
