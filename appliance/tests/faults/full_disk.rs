//! A disk that runs full: writes are refused with a clear error, reads go on, and with room again all goes on.

use crate::support::{Appliance, until};
use crate::work::{bundle, check};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Enough for the databases and their reserve, little enough to fill within seconds.
const DISK_MIB: u32 = 24;

/// A small file system of its own, gone at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        run(as_root("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_MIB}m,mode=1777"), "tmpfs"])
            .arg(disk.path()));
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a worker may still be on its way out.
        run(as_root("umount").arg("-l").arg(self.0.path()));
    }
}

/// The command, as root also for a person who is not.
pub(crate) fn as_root(program: &str) -> Command {
    if nix::unistd::geteuid().is_root() {
        Command::new(program)
    } else {
        let mut command = Command::new("sudo");
        command.arg("-n").arg(program);
        command
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else_and_loses_nothing() {
    let disk = Disk::mount();
    let mut appliance = Appliance::serve(disk.path());
    appliance.deploy(&bundle());
    let mut acknowledged = BTreeSet::new();
    let mut work = |appliance: &Appliance, id: String| {
        let reply = appliance.send("POST", &format!("/faults/work/{id}"), &[], b"");
        if reply.status == 200 {
            acknowledged.insert(id);
        }
        reply
    };
    for number in 0..20 {
        assert_eq!(work(&appliance, format!("before-{number}")).status, 200);
    }
    // Somebody else fills it.
    let ballast = disk.path().join("ballast");
    fill(&ballast);
    let mut refused = None;
    for number in 0..2_000 {
        let reply = work(&appliance, format!("during-{number}"));
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("the disk is full");
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert_eq!(refused.json()["code"], "storage-full");
    assert!(refused.json()["detail"].as_str().unwrap().contains("full"), "{}", refused.text());
    assert_eq!(appliance.admin("GET", "/apps/faults/kv/jobs/before-0", "").status, 200, "reads go on");
    // A plug is pulled while it is full, too.
    appliance.end(Signal::SIGKILL);
    std::fs::remove_file(&ballast).unwrap();
    let appliance = Appliance::serve(disk.path());
    until("writes are taken again", || work(&appliance, "after".to_owned()).status == 200);
    check(&appliance, &acknowledged);
}

fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [1 << 20, 1 << 12] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
