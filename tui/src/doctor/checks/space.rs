//! Whether there is room, in bytes and in files.

use crate::doctor::words::size;
use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "disk", title: "Room on the disk", look, ..Check::PLAIN };

/// With less than this, the appliance takes no more writes soon.
const FULL_BYTES: u64 = 64 * 1024 * 1024;
/// With less than this it is time to look.
const LOW_BYTES: u64 = 512 * 1024 * 1024;
/// The same as a part of the whole, for small disks.
const LOW_PART: f64 = 0.1;
/// Of the files that there may be.
const LOW_FILES_PART: f64 = 0.05;
/// The boot partition is written at updates only.
const BOOT: &str = "/boot/firmware";
const BOOT_LOW_BYTES: u64 = 32 * 1024 * 1024;

const ROOM: &str = "see what fills it: `sudo du -xh / | sort -h | tail -20`; `picloud files sweep` removes bytes of files that nothing names; \
`sudo apt clean` and `sudo journalctl --vacuum-size=50M` give some back";

fn look(case: &Case) -> Finding {
    let data = case.data_folder();
    let mut folders: Vec<String> = ["/".to_owned()].into_iter().chain(data).collect();
    if case.machine.has(BOOT) {
        folders.push(BOOT.to_owned());
    }
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    for folder in folders {
        let Some(space) = case.machine.space(&folder) else {
            findings.push(Finding::unknown(format!("how full {folder} is cannot be told")));
            continue;
        };
        // Two folders on one disk are told once.
        if seen.contains(&space) {
            continue;
        }
        seen.push(space);
        let told = format!("{} of {} free in {folder}", size(space.free_bytes as f64), size(space.bytes as f64));
        let is_low = if folder == BOOT {
            space.free_bytes < BOOT_LOW_BYTES
        } else {
            space.free_bytes < LOW_BYTES.min((space.bytes as f64 * LOW_PART) as u64)
        };
        let files_low = space.files > 0 && (space.free_files as f64) < space.files as f64 * LOW_FILES_PART;
        let finding = if space.free_bytes < FULL_BYTES && folder != BOOT {
            Finding::failed(format!("{told}: writes fail soon, or do already"), ROOM)
        } else if files_low {
            Finding::warning(format!("only {} more files may be made in {folder}", space.free_files), ROOM)
        } else if is_low {
            Finding::warning(told, ROOM)
        } else {
            Finding::ok(told)
        };
        findings
            .push(finding.fact(&folder, serde_json::json!({ "bytes": space.bytes, "free_bytes": space.free_bytes })));
    }
    Finding::worst(findings, Finding::unknown("no disk is there"))
}
