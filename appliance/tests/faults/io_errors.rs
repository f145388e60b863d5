//! A disk that fails: what it did not take is not acknowledged, reads go on, and what was acknowledged stays.

use crate::support::{Appliance, until};
use crate::work::{bundle, check};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// Makes every sync of a process fail until it is dropped.
struct FailingDisk(Child);

impl FailingDisk {
    fn of(pid: u32) -> Self {
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "inject=fdatasync,fsync:error=EIO",
            "-p",
            &pid.to_string(),
        ]);
        let mut strace = command.stderr(Stdio::piped()).spawn().expect("strace is installed");
        let mut said = BufReader::new(strace.stderr.take().unwrap()).lines();
        let line = said.next().unwrap().unwrap();
        assert!(line.contains("attached"), "{line}");
        // It must go on reading, or strace would stop at a full pipe.
        std::thread::spawn(move || said.for_each(drop));
        Self(strace)
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        // It detaches, and the process goes on.
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGINT).unwrap();
        let _status = self.0.wait();
    }
}

#[test]
fn what_a_failing_disk_did_not_take_is_not_acknowledged_and_all_goes_on_when_it_works_again() {
    let data = tempfile::tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    appliance.deploy(&bundle());
    let mut acknowledged = BTreeSet::new();
    let mut work = |appliance: &Appliance, id: &str| {
        let status = appliance.send("POST", &format!("/faults/work/{id}"), &[], b"").status;
        if status == 200 {
            acknowledged.insert(id.to_owned());
        }
        status
    };
    for number in 0..20 {
        assert_eq!(work(&appliance, &format!("before-{number}")), 200);
    }
    {
        let _failing = FailingDisk::of(appliance.child.id());
        for number in 0..5 {
            assert_eq!(work(&appliance, &format!("during-{number}")), 500, "the disk did not take it");
        }
        assert_eq!(appliance.admin("GET", "/apps/faults/kv/jobs/before-0", "").status, 200, "reads go on");
    }
    until("writes are taken again", || work(&appliance, "after") == 200);
    appliance.end(Signal::SIGKILL);
    let appliance = Appliance::serve(data.path());
    check(&appliance, &acknowledged);
}
