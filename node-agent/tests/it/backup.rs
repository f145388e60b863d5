//! Machines that die and come back on other hardware: node and appliance are the same as before, and nobody pairs
//! anything.

use crate::world::{Node, World, free_address, numbered, program};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn appliance(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("picloud-appliance"));
    command.args(arguments).arg("--data-dir").arg(world.folder.path().join("appliance"));
    command.arg("--admin-socket").arg(world.folder.path().join("admin.sock"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).stdin(Stdio::null()).output().unwrap()
}

fn ok(out: &Output) {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// The program's command on another data folder.
fn node_command(data: &Path, arguments: &[&str]) -> Output {
    let config = data.with_extension("toml");
    if !config.exists() {
        // As the package lays it down.
        fs::write(&config, "# picloud-node\n").unwrap();
    }
    let mut command = Command::new(program("picloud-node"));
    command.args(arguments).arg("--data-dir").arg(data).arg("--config").arg(config);
    command.env_clear().stdin(Stdio::null()).output().unwrap()
}

#[test]
fn an_appliance_on_another_machine_has_its_nodes_back_without_anybody_approving_them() {
    let mut world = World::new();
    let place = world.folder.path().join("repository");
    let place = ["--backup-repository", place.to_str().unwrap()];
    let node = world.joined("pi2");
    let id = node.status()["id"].clone();
    ok(&appliance(&world, &[&["repository", "init"], &place[..]].concat()));
    ok(&appliance(&world, &[&["repository", "backup"], &place[..]].concat()));
    world.appliance.kill();
    node.until_state("away");
    let data = world.folder.path().join("appliance");
    let password = world.folder.path().join("paper");
    fs::rename(data.join("backup.password"), &password).unwrap();
    fs::remove_dir_all(&data).unwrap();
    let paper = ["--backup-password-file", password.to_str().unwrap()];
    ok(&appliance(&world, &[&["repository", "restore"], &place[..], &paper[..]].concat()));
    world.restart_appliance();
    node.until_state("up");
    let there = world.until_node("pi2", |there| there["state"] == "up");
    assert_eq!(there["id"], id);
    // It does what it did: a publish of the node is handled by the appliance.
    let said = numbered("after", 3);
    node.say(&said);
    world.until_noted(&said);
}

#[test]
fn a_node_on_another_machine_is_the_same_and_brings_what_waited_there() {
    let mut world = World::new();
    let mut old = world.joined("pi2");
    let id = old.status()["id"].clone();
    let early = numbered("early", 2);
    old.say(&early);
    world.until_noted(&early);
    world.appliance.stop();
    old.until_state("away");
    let spooled = numbered("spooled", 3);
    old.say(&spooled);
    let file = world.folder.path().join("pi2.tar");
    ok(&old.run(&["backup", file.to_str().unwrap()]));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // The card dies.
    old.process.kill();
    fs::remove_dir_all(&old.data).unwrap();
    let data = world.folder.path().join("new");
    ok(&node_command(&data, &["restore", file.to_str().unwrap()]));
    let again = node_command(&data, &["restore", file.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("there is a node in"), "{again:?}");
    world.restart_appliance();
    let node = Node::start(world.folder.path(), "new", free_address(), &[]);
    node.until_state("up");
    assert_eq!(node.status()["id"], id);
    let there = world.until_node("pi2", |there| there["state"] == "up");
    assert_eq!(there["id"], id, "it keeps the name that it has there");
    let noted = world.until_noted(&spooled);
    assert_eq!(noted.len(), early.len() + spooled.len() + 1, "each once, and the count: {noted:?}");
    // What it publishes now is taken for nothing that the old machine has published.
    let late = numbered("late", 3);
    node.until_serves();
    node.say(&late);
    world.until_noted(&late);
}

#[test]
fn a_restore_of_a_node_that_is_killed_leaves_no_node_or_all_of_it() {
    let world = World::new();
    let node = world.joined("pi2");
    let file = world.folder.path().join("pi2.tar");
    ok(&node.run(&["backup", file.to_str().unwrap()]));
    let data = world.folder.path().join("new");
    for sign in ["restoring", "restoring/spool.db", "spool.db", "identity"] {
        let mut command = Command::new(program("picloud-node"));
        command.arg("restore").arg(&file).arg("--data-dir").arg(&data).env_clear();
        let mut restoring = Killed(
            command.arg("--config").arg(world.folder.path().join("none.toml")).stderr(Stdio::null()).spawn().unwrap(),
        );
        while !data.join(sign).exists() && restoring.0.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        drop(restoring);
        let key = data.join("identity/node.key").exists();
        assert_eq!(key, data.join("identity/member.json").exists(), "all of it, or no node: killed at {sign}");
        if key {
            fs::remove_dir_all(&data).unwrap();
        }
    }
    ok(&node_command(&data, &["restore", file.to_str().unwrap()]));
    assert!(!data.join("restoring").exists());
}

/// Ends it when it is dropped.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}
