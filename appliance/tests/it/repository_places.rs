//! Repositories where the disk is full on either side, and of an appliance whose data is in Postgres.

use crate::repository::{Machine, names, succeeds};
use crate::support::{Appliance, fails, serve_command, until};
use crate::temp_pg::TempPg;
use nix::sys::signal::Signal;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use tempfile::tempdir;

/// Bytes of the file that is backed up: more than the small disks have.
const FILE_BYTES: usize = 6 << 20;

/// A small file system of its own, gone at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(options: &str) -> Self {
        let disk = Self(tempdir().unwrap());
        run(as_root("mount").args(["-t", "tmpfs", "-o", &format!("mode=1777,{options}"), "tmpfs"]).arg(disk.path()));
        disk
    }

    /// Somebody has made room.
    fn grow(&self, options: &str) {
        run(as_root("mount").args(["-o", &format!("remount,{options}")]).arg(self.path()));
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: somebody may still be on their way out.
        run(as_root("umount").arg("-l").arg(self.path()));
    }
}

fn as_root(program: &str) -> Command {
    if nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-n").arg(program);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A machine with a file that nobody can make smaller, and the path of that.
fn filled(home: &Path, place: &Path) -> (Machine, Appliance, String) {
    let machine = Machine::new(&home.join("old"), place);
    let appliance = Appliance::serve(&machine.folder);
    appliance.deploy(&crate::hello("kitchen", "\"kept\""));
    let mut state = 1_u64;
    let noise: String = (0..FILE_BYTES)
        .map(|_at| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from((state >> 57) as u8)
        })
        .collect();
    let made = appliance.admin("POST", "/apps/kitchen/files/photos?name=a", &noise);
    assert_eq!(made.status, 201, "{}", made.text());
    let url = format!("/apps/kitchen/files/photos/{}", made.json()["id"].as_str().unwrap());
    (machine, appliance, url)
}

#[test]
fn a_repository_whose_disk_is_full_is_told_and_takes_the_next_backup_once_there_is_room() {
    let (home, disk) = (tempdir().unwrap(), Disk::mount("size=4m"));
    let (machine, appliance, _file) = filled(home.path(), &disk.path().join("repository"));
    machine.ok(&["init"]);
    let said = machine.fails(&["backup"]);
    assert!(said.contains("no space left") && said.contains("the disk of the repository is full"), "{said}");
    assert!(machine.leftovers().is_empty(), "{:?}", machine.leftovers());
    let list = machine.json(&["list"]);
    assert!(list.as_array().unwrap().iter().all(|backup| backup["verified"] == false), "{list}");
    let outcome = appliance.admin("GET", "/backup/outcome", "").json();
    assert!(outcome["failure"]["error"].as_str().unwrap().contains("no space left"), "{outcome}");
    disk.grow("size=64m");
    assert!(machine.ok(&["backup"]).contains("read back and whole"));
    machine.ok(&["check", "--all"]);
}

#[test]
fn a_data_disk_without_room_for_the_copies_is_told_and_the_appliance_goes_on() {
    let (home, disk) = (tempdir().unwrap(), Disk::mount("size=160m"));
    let (machine, appliance, file) = filled(disk.path(), &home.path().join("repository"));
    machine.ok(&["init"]);
    let ballast = disk.path().join("ballast");
    let mut filling = std::fs::File::create(&ballast).unwrap();
    for size in [1 << 20, 1 << 12] {
        while std::io::Write::write_all(&mut filling, &vec![0; size]).is_ok() {}
    }
    let said = machine.fails(&["backup"]);
    assert!(said.contains("full") && said.contains("hint:"), "{said}");
    assert!(machine.leftovers().is_empty(), "{:?}", machine.leftovers());
    assert_eq!(appliance.admin("GET", &file, "").status, 200, "reads go on");
    // While it is open, its bytes stay.
    drop(filling);
    std::fs::remove_file(&ballast).unwrap();
    until("writes are taken again", || appliance.admin("POST", "/apps/kitchen/files/photos?name=b", "b").status == 201);
    assert!(machine.ok(&["backup"]).contains("read back and whole"));
}

#[test]
fn a_disk_that_runs_full_while_a_backup_is_restored_is_told_and_the_same_command_does_it_later() {
    let home = tempdir().unwrap();
    let place = home.path().join("repository");
    let (old, mut appliance, file) = filled(home.path(), &place);
    old.ok(&["init"]);
    old.ok(&["backup"]);
    let text = appliance.admin("GET", &file, "").text();
    assert!(appliance.end(Signal::SIGTERM).success());
    // Too few bytes are seen before; that no more files can be made is only found out on the way.
    for (options, more, words) in [
        ("size=12m", "size=64m", ["12.0 MiB free", "make room"]),
        ("size=64m,nr_inodes=12", "size=64m,nr_inodes=2000", ["no space left", "the disk that is restored to is full"]),
    ] {
        let disk = Disk::mount(options);
        let new = Machine::new(&disk.path().join("new"), &place);
        let said = fails(&mut new.restore(&old, &[])).1;
        assert!(words.iter().all(|words| said.contains(words)), "{options}: {said}");
        assert!(said.contains("nothing was restored"), "{said}");
        assert_eq!(names(&new.folder), ["empty.toml"], "{said}");
        disk.grow(more);
        succeeds(&mut new.restore(&old, &[]));
        let restored = Appliance::serve(&new.folder);
        assert!(restored.admin("GET", &file, "").text() == text, "the file is what it was");
    }
}

#[test]
fn what_is_in_postgres_is_backed_up_while_it_is_written_and_comes_back_into_a_data_folder() {
    let (home, pg) = (tempdir().unwrap(), TempPg::new());
    let place = home.path().join("repository");
    let (old, new) = (Machine::new(&home.path().join("old"), &place), Machine::new(&home.path().join("new"), &place));
    let mut serve = serve_command(&old.folder);
    serve.arg("--database-url").arg(pg.url());
    let mut appliance = Appliance::start(serve);
    appliance.deploy(&json!({
        "name": "kitchen",
        "routes": [{ "path": "/count", "script": "count", "auth": "public" },
                   { "path": "/secret", "script": "secret", "auth": "public" }],
        "scripts": { "count": "kv::collection(\"c\").incr(\"n\", 1)", "secret": "secrets::get(\"token\").len()" },
    }));
    assert!(appliance.admin("PUT", "/apps/kitchen/secrets/token", "{\"value\": \"very-secret\"}").status < 300);
    let made = appliance.admin("POST", "/apps/kitchen/files/photos?name=a", "bytes of a photo");
    let file = format!("/apps/kitchen/files/photos/{}", made.json()["id"].as_str().unwrap());
    let with_database = |arguments: &[&str]| {
        let mut command = old.command(arguments);
        command.arg("--database-url").arg(pg.url());
        command
    };
    old.ok(&["init"]);
    assert_eq!(appliance.get("/kitchen/count").text(), "1");
    // While it runs, and while nobody does.
    assert!(succeeds(&mut with_database(&["backup"])).contains("read back and whole"));
    assert_eq!(appliance.get("/kitchen/count").text(), "2");
    assert!(appliance.end(Signal::SIGTERM).success());
    assert!(succeeds(&mut with_database(&["backup"])).contains("read back and whole"));
    let list = old.json(&["list"]);
    let ids: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();

    for (id, next) in [(ids[0], "2"), (ids[1], "3")] {
        succeeds(&mut new.restore(&old, &[id]));
        let restored = Appliance::serve(&new.folder);
        assert_eq!(restored.get("/kitchen/count").text(), next);
        assert_eq!(restored.get("/kitchen/secret").text(), "11");
        assert_eq!(restored.admin("GET", &file, "").text(), "bytes of a photo");
        drop(restored);
        std::fs::remove_dir_all(new.data()).unwrap();
    }
}

#[test]
fn restic_is_asked_no_more_than_it_must_be_for_each_run_spends_half_a_second_on_the_password() {
    let home = tempdir().unwrap();
    let (bin, log) = (home.path().join("bin"), home.path().join("log"));
    std::fs::create_dir(&bin).unwrap();
    let script = format!("#!/bin/sh\necho \"$@\" >> {}\nPATH=\"${{PATH#*:}}\" exec restic \"$@\"\n", log.display());
    std::fs::write(bin.join("restic"), script).unwrap();
    run(Command::new("chmod").arg("+x").arg(bin.join("restic")));
    let machine = Machine::new(&home.path().join("old"), &home.path().join("repository"));
    let appliance = Appliance::serve(&machine.folder);
    appliance.deploy(&crate::hello("kitchen", "1"));
    machine.ok(&["init"]);
    for is_first in [true, false] {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        succeeds(machine.command(&["backup"]).env("PATH", path));
        let said = std::fs::read_to_string(&log).unwrap();
        let mut words: Vec<&str> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
        words[2..].sort_unstable();
        assert_eq!(words, ["version", "backup", "dump", "ls", "tag"], "{said}");
        assert_eq!(!said.contains("--parent"), is_first, "what was there is not read again: {said}");
        std::fs::remove_file(&log).unwrap();
    }
}
