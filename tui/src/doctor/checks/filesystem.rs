//! Whether file systems are whole and may be written to.

use crate::doctor::block::mount_of;
use crate::doctor::words::count;
use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "file-system", title: "File systems", look, ..Check::PLAIN };

const REPAIR: &str = "take a backup, then have it checked at the next start: add `fsck.mode=force fsck.repair=yes` to the kernel's \
command line (on a Raspberry Pi in /boot/firmware/cmdline.txt) for one start";

fn look(case: &Case) -> Finding {
    let machine = &*case.machine;
    let data = case.data_folder();
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for folder in ["/".to_owned()].into_iter().chain(data) {
        let Some(mount) = mount_of(machine, &folder).filter(|mount| !seen.contains(&mount.point)) else { continue };
        seen.push(mount.point.clone());
        let at = format!("{} ({}, {})", mount.point, mount.source, mount.kind);
        let of = |file: &str| {
            let partition = mount.partition(machine)?;
            machine.read(&format!("/sys/fs/{}/{partition}/{file}", mount.kind))?.trim().parse::<u64>().ok()
        };
        let errors = of("errors_count").unwrap_or(0);
        findings.push(if mount.is_read_only {
            Finding::failed(
                format!("{at} is read-only: nothing is kept"),
                "see why: `sudo dmesg | grep -i -e ext4 -e mmc -e error`",
            )
            .cure(REPAIR)
        } else if errors > 0 {
            let errors = usize::try_from(errors).unwrap_or(usize::MAX);
            Finding::warning(format!("{at} has had {}", count(errors, "error", "errors")), REPAIR)
        } else {
            Finding::ok(format!("{at} is writable and without known errors"))
        });
    }
    Finding::worst(findings, Finding::unknown("the kernel does not tell what is mounted"))
}
