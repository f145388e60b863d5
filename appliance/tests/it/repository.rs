//! Backups into a repository of the real restic, and what comes back out of it.

use crate::hello;
use crate::support::{Appliance, fails, program, serve_command, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tempfile::tempdir;

/// A machine: its data, its configuration, and the place where backups go.
pub(crate) struct Machine {
    pub(crate) folder: PathBuf,
    pub(crate) place: String,
}

impl Machine {
    pub(crate) fn new(folder: &Path, place: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("empty.toml"), "").unwrap();
        Self { folder: folder.to_owned(), place: place.display().to_string() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// `repository COMMAND` with the settings of `serve_command`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("repository").args(arguments).arg("--config").arg(self.folder.join("empty.toml"));
        command.arg("--data-dir").arg(self.data()).arg("--admin-socket").arg(self.folder.join("admin.sock"));
        command.arg("--backup-repository").arg(&self.place);
        command
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let out = self.command(arguments).output().unwrap();
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).unwrap()
    }

    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let (code, said) = fails(&mut self.command(arguments));
        assert_eq!(code, 1, "{said}");
        said
    }

    /// The same with the password of another machine.
    pub(crate) fn restore(&self, from: &Self, arguments: &[&str]) -> Command {
        let mut command = self.command(&[&["restore"], arguments].concat());
        command.arg("--backup-password-file").arg(from.data().join("backup.password"));
        command
    }

    pub(crate) fn leftovers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.data()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.contains("tmp-") || name.contains("restoring")).collect()
    }
}

pub(crate) fn succeeds(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Ends it when it is dropped.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Raises the flag when it is dropped.
struct Raised<'f>(&'f AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn kitchen() -> Value {
    json!({
        "name": "kitchen",
        "routes": [{ "path": "/set/{n}", "script": "set" }, { "path": "/secret", "script": "secret" }],
        "triggers": [{ "name": "on-set", "kind": "kv", "collection": "c", "script": "count" }],
        "scripts": {
            "set": "kv::collection(\"c\").set(\"k\" + ctx.request.params.n, parse_int(ctx.request.params.n))",
            "secret": "crypto::sha256(secrets::get(\"token\")).len()",
            "count": "kv::collection(\"counted\").incr(\"n\", 1)",
        },
        "env": { "city": "Berlin" },
        "static": { "a.txt": "YQ==" },
    })
}

/// An appliance with the app, a secret, and a file whose id is answered.
fn filled(machine: &Machine) -> (Appliance, String) {
    let appliance = Appliance::serve(&machine.folder);
    appliance.deploy(&kitchen());
    let secret = appliance.admin("PUT", "/apps/kitchen/secrets/token", "{\"value\": \"very-secret\"}");
    assert!(secret.status < 300, "{}", secret.text());
    let made = appliance.admin(
        "POST",
        "/apps/kitchen/files/photos?name=%C3%A4.jpg&metadata=%7B%22a%22%3A%22%C3%BC%22%7D",
        "bytes of a photo",
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    (appliance, id)
}

#[test]
fn a_machine_comes_back_out_of_a_repository_that_was_written_while_files_came_and_went() {
    let home = tempdir().unwrap();
    let place = home.path().join("repository");
    let (old, new) = (Machine::new(&home.path().join("old"), &place), Machine::new(&home.path().join("new"), &place));
    let (appliance, photo) = filled(&old);
    let sheet = old.ok(&["init"]);
    let password = std::fs::read_to_string(old.data().join("backup.password")).unwrap();
    assert!(sheet.contains(password.trim()) && sheet.contains("RECOVERY SHEET") && sheet.contains("SHA256"), "{sheet}");
    assert!(!old.ok(&["init"]).contains(password.trim()), "it is shown only once");

    let (over, made) = (AtomicBool::new(false), AtomicU64::new(0));
    let acknowledged = std::thread::scope(|scope| {
        let _end = Raised(&over);
        let comes_and_goes = || {
            while !over.load(Ordering::SeqCst) {
                let number = made.fetch_add(1, Ordering::SeqCst);
                let file = appliance.admin("POST", "/apps/kitchen/files/fleeting?name=f", &format!("bytes {number}"));
                assert_eq!(file.status, 201, "{}", file.text());
                if number % 3 > 0 {
                    let url = format!("/apps/kitchen/files/fleeting/{}", file.json()["id"].as_str().unwrap());
                    assert_eq!(appliance.admin("DELETE", &url, "").status, 204);
                }
            }
        };
        let writes = || {
            for number in 1.. {
                assert_eq!(appliance.get(&format!("/kitchen/set/{number}")).status, 200);
                if over.load(Ordering::SeqCst) {
                    return;
                }
            }
        };
        scope.spawn(comes_and_goes);
        scope.spawn(writes);
        until("files came and went", || made.load(Ordering::SeqCst) > 20);
        assert_eq!(appliance.get("/kitchen/set/0").status, 200);
        let said = old.ok(&["backup"]);
        assert!(said.contains("read back and whole"), "{said}");
        let second = old.json(&["backup", "--prune"]);
        assert_eq!((&second["ok"], &second["files_without_bytes"]), (&json!(true), &json!(0)), "{second}");
        made.load(Ordering::SeqCst)
    });
    assert!(acknowledged > 20);
    until("the copies are gone", || old.leftovers().is_empty());
    let list = old.json(&["list"]);
    let list = list.as_array().unwrap();
    assert!(list.iter().all(|backup| backup["verified"] == true && backup["node"] == list[0]["node"]), "{list:?}");
    let status = appliance.admin("GET", "/status", "").json();
    assert_eq!(status["backup"]["success"]["ok"], true, "{status}");
    assert!(appliance.admin("GET", "/metrics", "").text().contains("picloud_backup_last_success_timestamp_seconds 1"));
    let audit = appliance.admin("GET", "/audit?action=backup.", "").json();
    let actions: Vec<&str> = audit["items"].as_array().unwrap().iter().filter_map(|it| it["action"].as_str()).collect();
    assert!(actions.contains(&"backup.take") && actions.contains(&"backup.verified"), "{actions:?}");
    let ca = std::fs::read(old.data().join("keys/ca.crt")).unwrap();
    let exported = appliance.admin("GET", "/apps/kitchen/export", "").json();
    drop(appliance);

    let tried = succeeds(&mut new.restore(&old, &["--verify-only"]));
    assert!(tried.contains("is whole") && !new.data().exists(), "{tried}");
    succeeds(&mut new.restore(&old, &[]));
    let second = Appliance::serve(&new.folder);
    assert_eq!(second.admin("GET", "/apps/kitchen/export", "").json(), exported);
    assert_eq!(second.admin("GET", "/apps/kitchen/kv/c/k0", "").text(), "0");
    assert_eq!(second.get("/kitchen/secret").text(), "64");
    assert_eq!(second.admin("GET", &format!("/apps/kitchen/files/photos/{photo}"), "").text(), "bytes of a photo");
    let sweep = second.admin("POST", "/files/sweep?dry_run=true", "").json();
    assert_eq!(sweep["damaged"], 0, "every file has its bytes: {sweep}");
    assert!(sweep["files"].as_u64().unwrap() > 5, "{sweep}");
    assert_eq!(std::fs::read(new.data().join("keys/ca.crt")).unwrap(), ca, "clients trust the same authority");
    assert_eq!(second.admin("GET", "/audit/verify", "").json()["intact"], true);
    // It goes on where the old one was: with the same password, and only what is new is written.
    let next = new.json(&["backup"]);
    assert!(next["added_bytes"].as_u64().unwrap() < next["size_bytes"].as_u64().unwrap() * 3, "{next}");
}

#[test]
fn one_app_comes_back_beside_the_one_that_is_there() {
    let home = tempdir().unwrap();
    let machine = Machine::new(&home.path().join("pi"), &home.path().join("repository"));
    let (appliance, photo) = filled(&machine);
    assert_eq!(appliance.get("/kitchen/set/7").status, 200);
    until("the trigger ran", || appliance.admin("GET", "/apps/kitchen/kv/counted/n", "").text() == "1");
    machine.ok(&["init"]);
    machine.ok(&["backup"]);
    let refused = machine.fails(&["restore", "--app", "kitchen"]);
    assert!(refused.contains("there is an app `kitchen` already") && refused.contains("--as"), "{refused}");
    let refused = machine.fails(&["restore", "--app", "garden"]);
    assert!(refused.contains("no app `garden`") && refused.contains("but: kitchen"), "{refused}");
    let said = machine.ok(&["restore", "--app", "kitchen", "--as", "galley"]);
    assert!(said.contains("app `kitchen` is back as `galley`"), "{said}");
    assert_eq!(appliance.admin("GET", "/apps/galley/kv/c/k7", "").text(), "7");
    assert_eq!(appliance.get("/galley/secret").text(), "64");
    let file = appliance.admin("GET", &format!("/apps/galley/files/photos/{photo}"), "");
    assert_eq!(file.text(), "bytes of a photo", "it has the id that values may name");
    let listed = appliance.admin("GET", "/apps/galley/files/photos", "").json();
    assert_eq!(
        (&listed["items"][0]["name"], &listed["items"][0]["metadata"]["a"]),
        (&json!("ä.jpg"), &json!("ü")),
        "{listed}"
    );
    assert_eq!(appliance.admin("GET", "/apps/galley/kv/counted/n", "").text(), "1", "what came back set nothing off");
    let (mut old, mut new) = (
        appliance.admin("GET", "/apps/kitchen/export", "").json(),
        appliance.admin("GET", "/apps/galley/export", "").json(),
    );
    (old["name"], new["name"]) = (json!(""), json!(""));
    assert_eq!(old, new);
    // A deleted app comes back under its own name.
    assert!(appliance.admin("DELETE", "/apps/kitchen", "").status < 300);
    machine.ok(&["restore", "--app", "kitchen"]);
    assert_eq!(appliance.get("/kitchen/secret").text(), "64");
    assert!(machine.leftovers().is_empty());
}

#[test]
fn a_flipped_bit_a_wrong_password_and_a_missing_repository_are_named_and_nothing_is_left_behind() {
    let home = tempdir().unwrap();
    let place = home.path().join("repository");
    let (old, new) = (Machine::new(&home.path().join("old"), &place), Machine::new(&home.path().join("new"), &place));
    let (mut appliance, _photo) = filled(&old);
    let refused = old.fails(&["backup"]);
    assert!(refused.contains("backup.password` does not exist") && refused.contains("repository init"), "{refused}");
    old.ok(&["init"]);
    old.ok(&["backup"]);
    assert!(appliance.end(Signal::SIGTERM).success());
    // Also while none runs.
    old.ok(&["backup"]);
    old.ok(&["check", "--all"]);

    let other = home.path().join("other.password");
    std::fs::write(&other, "x").unwrap();
    let refused = |command: &mut Command| fails(command).1;
    let mut wrong = new.command(&["restore", "--backup-password-file", other.to_str().unwrap()]);
    let said = refused(&mut wrong);
    assert!(said.contains("may be read by others") && said.contains("chmod 600"), "{said}");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = refused(&mut wrong);
    assert!(said.contains("does not open") && said.contains("recovery sheet"), "{said}");
    let said = refused(new.restore(&old, &[]).env("PATH", home.path()));
    assert!(said.contains("apt install restic"), "{said}");
    let nowhere = Machine::new(&home.path().join("nowhere"), &home.path().join("none"));
    let said = refused(&mut nowhere.restore(&old, &[]));
    assert!(said.contains("there is no repository in") && said.contains("hint:"), "{said}");

    // In every pack, for only some are of the newest backup.
    let packs: Vec<(PathBuf, Vec<u8>)> =
        walk(&place.join("data")).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    for (path, whole) in &packs {
        let mut flipped = whole.clone();
        flipped[whole.len() / 3] ^= 1;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(path, &flipped).unwrap();
    }
    let said = old.fails(&["check", "--all"]);
    assert!(said.contains("hint:"), "{said}");
    let said = refused(&mut new.restore(&old, &[]));
    assert!(said.contains("nothing was restored") && said.contains("restic says"), "{said}");
    assert_eq!(names(&new.folder), ["empty.toml"], "{said}");
    packs.iter().for_each(|(path, whole)| std::fs::write(path, whole).unwrap());
    succeeds(&mut new.restore(&old, &[]));
    let said = refused(&mut new.restore(&old, &[]));
    assert!(said.contains("is not empty"), "{said}");
}

#[test]
fn a_restore_that_is_killed_at_any_step_leaves_nothing_or_all_and_the_next_one_does_it() {
    let home = tempdir().unwrap();
    let place = home.path().join("repository");
    let (old, new) = (Machine::new(&home.path().join("old"), &place), Machine::new(&home.path().join("new"), &place));
    let (mut appliance, _photo) = filled(&old);
    assert!(appliance.end(Signal::SIGTERM).success());
    old.ok(&["init"]);
    old.ok(&["backup"]);
    let signs = [
        "data.restoring",
        "data.restoring/.fetched",
        "data.restoring/picloud.db",
        "data.restoring/keys",
        "data.restoring/lock",
        "data.restoring/backup.password",
        "data",
    ];
    for sign in signs {
        let mut restoring = new.restore(&old, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut ended = false;
        until(sign, || {
            ended = restoring.try_wait().unwrap().is_some();
            ended || new.folder.join(sign).exists()
        });
        restoring.kill().unwrap();
        restoring.wait().unwrap();
        let whole = new.data().exists();
        assert!(whole || sign != "data", "the last sign is the whole folder");
        if whole {
            assert_eq!(Appliance::serve(&new.folder).get("/kitchen/secret").text(), "64", "killed at {sign}");
            std::fs::remove_dir_all(new.data()).unwrap();
        }
    }
    succeeds(&mut new.restore(&old, &[]));
    assert!(!new.folder.join("data.restoring").exists());
    assert_eq!(Appliance::serve(&new.folder).get("/kitchen/secret").text(), "64");
}

#[test]
fn a_backup_that_is_killed_leaves_no_copies_counts_for_none_and_the_next_one_works() {
    let home = tempdir().unwrap();
    let machine = Machine::new(&home.path().join("pi"), &home.path().join("repository"));
    let (appliance, _photo) = filled(&machine);
    machine.ok(&["init"]);
    let mut killed = machine.command(&["backup"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the data is held", || !machine.leftovers().is_empty());
    killed.kill().unwrap();
    killed.wait().unwrap();
    until("the copies are gone", || machine.leftovers().is_empty());
    let said = machine.ok(&["backup"]);
    assert!(said.contains("read back and whole"), "{said}");
    let list = machine.json(&["list"]);
    let verified = list.as_array().unwrap().iter().filter(|backup| backup["verified"] == true).count();
    assert_eq!(verified, 1, "{list}");
    // One that fails is told as well: its folder is a file now.
    std::fs::rename(home.path().join("repository"), home.path().join("away")).unwrap();
    let said = machine.fails(&["backup"]);
    assert!(said.contains("no repository in"), "{said}");
    let outcome = appliance.admin("GET", "/backup/outcome", "").json();
    assert!(outcome["failure"]["error"].as_str().unwrap().contains("no repository in"), "{outcome}");
    assert_eq!(outcome["success"]["ok"], true, "{outcome}");
    assert!(appliance.admin("GET", "/metrics", "").text().contains("picloud_backup_last_failure_timestamp_seconds"));
}

#[test]
fn files_on_a_disk_of_their_own_come_back_there() {
    let home = tempdir().unwrap();
    let place = home.path().join("repository");
    let (old, new) = (Machine::new(&home.path().join("old"), &place), Machine::new(&home.path().join("new"), &place));
    let (disk, other) = (home.path().join("a disk [1]"), home.path().join("another disk"));
    let serve = |machine: &Machine, disk: &Path| {
        let mut command = serve_command(&machine.folder);
        command.arg("--files-root").arg(disk);
        Appliance::start(command)
    };
    let mut appliance = serve(&old, &disk);
    appliance.deploy(&hello("kitchen", "1"));
    let made = appliance.admin("POST", "/apps/kitchen/files/photos?name=a", "bytes");
    let url = format!("/apps/kitchen/files/photos/{}", made.json()["id"].as_str().unwrap());
    old.ok(&["init"]);
    succeeds(old.command(&["backup"]).arg("--files-root").arg(&disk));
    assert!(appliance.end(Signal::SIGTERM).success());
    succeeds(new.restore(&old, &[]).arg("--files-root").arg(&other));
    assert!(!new.data().join("files").exists());
    assert_eq!(serve(&new, &other).admin("GET", &url, "").text(), "bytes");
    let third = Machine::new(&home.path().join("third"), &place);
    let (_code, said) = fails(third.restore(&old, &[]).arg("--files-root").arg(&other));
    assert!(said.contains("is not empty") && !third.data().exists(), "{said}");
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
