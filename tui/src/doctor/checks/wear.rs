//! How much is written, and for how long a card bears that.

use crate::doctor::asked::Status;
use crate::doctor::block::mount_of;
use crate::doctor::words::{DAY_S, size, span};
use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "wear", title: "Wear of the card", look, ..Check::PLAIN };

/// The kernel counts in these, whatever the disk has.
const SECTOR_BYTES: f64 = 512.0;
/// Where the written sectors stand in `/sys/block/*/stat`.
const WRITTEN_FIELD: usize = 6;
/// A machine that was just started wrote what it writes at a start, and little else.
const UPTIME_S_MIN: f64 = 60.0 * 60.0;
/// The assumption: how often each cell of a cheap card bears to be written.
const CYCLES: f64 = 500.0;
/// The assumption: how much a card writes inside for what it is told to write, with many small writes.
const AMPLIFICATION: f64 = 4.0;
/// Less than this is no life for a card.
const LIFE_S_MIN: i64 = 3 * 365 * DAY_S;

/// What an eMMC says of its spare blocks.
const SPARE_WARNING: u32 = 2;
const SPARE_URGENT: u32 = 3;
/// Of the life it was made for, in tenths: from here on.
const LIFE_TENTHS_WARNING: u32 = 8;

const QUIETER: &str = "see who writes: `picloud status` (bytes_written, by app) and `sudo iotop -ao`; keep the journal in RAM, no swap on the card";

fn look(case: &Case) -> Finding {
    let path = case.data_folder().unwrap_or_else(|| "/".to_owned());
    let machine = &*case.machine;
    let Some(disk) = mount_of(machine, &path).and_then(|mount| mount.disk(machine)) else {
        return Finding::unknown(format!("which disk {path} is on cannot be told"));
    };
    let own = told_by_disk(case, &disk);
    let counted = counted(case, &disk);
    Finding::worst(own.into_iter().chain([counted]).collect(), Finding::unknown("nothing is known")).fact("disk", disk)
}

/// What an eMMC knows of itself; SD cards say nothing.
fn told_by_disk(case: &Case, disk: &str) -> Option<Finding> {
    let of = |file: &str| case.machine.read(&format!("/sys/block/{disk}/device/{file}"));
    let hex = |text: &str| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    let used = of("life_time")?.split_whitespace().filter_map(hex).max().filter(|tenths| *tenths > 0)?;
    let spare = of("pre_eol_info").and_then(|text| hex(&text)).unwrap_or(0);
    let told = format!("{disk} says that {} to {} % of its life are used", (used - 1) * 10, used * 10);
    let replace = "take a backup, and replace it soon";
    Some(if spare >= SPARE_URGENT || used > 10 {
        Finding::failed(format!("{told}, and its spare blocks are nearly gone"), replace)
    } else if spare == SPARE_WARNING || used >= LIFE_TENTHS_WARNING {
        Finding::warning(told, replace)
    } else {
        Finding::ok(told)
    })
}

/// What was written since the machine was started, and what that means for a card.
fn counted(case: &Case, disk: &str) -> Finding {
    let number = |file: &str, field: usize| -> Option<f64> {
        case.machine.read(&format!("/sys/block/{disk}/{file}"))?.split_whitespace().nth(field)?.parse().ok()
    };
    let (Some(written), Some(disk_size), Some(uptime_s)) =
        (number("stat", WRITTEN_FIELD), number("size", 0), case.machine_uptime_s())
    else {
        return Finding::unknown(format!("the kernel does not count what is written to {disk}"));
    };
    let (written, disk_size) = (written * SECTOR_BYTES, disk_size * SECTOR_BYTES);
    let told = format!("{} written to {disk} in {}", size(written), span(uptime_s as i64));
    if uptime_s < UPTIME_S_MIN {
        return Finding::ok(format!("{told}: too short a time to judge by")).fact("written_bytes", written as u64);
    }
    let per_day = written / uptime_s * DAY_S as f64;
    let long_up = |status: &&Status| status.uptime_s as f64 >= UPTIME_S_MIN;
    let ours = case.status_here().filter(long_up).map(|status| {
        let per_day = status.bytes_written as f64 / (status.uptime_s.max(1) as f64) * DAY_S as f64;
        format!(" ({} of them by PiCloud)", size(per_day))
    });
    let told = format!("{told}: {} a day{}", size(per_day), ours.unwrap_or_default());
    let finding = if disk.starts_with("mmcblk") {
        let life_s =
            (disk_size * CYCLES / AMPLIFICATION / per_day.max(1.0) * DAY_S as f64).min(100.0 * 365.0 * DAY_S as f64);
        let life_s = life_s as i64;
        let told = format!(
            "{told}; a card of {} lasts {} at that, if it bears {CYCLES} full writes and writes {AMPLIFICATION} times what it is told",
            size(disk_size),
            if life_s >= 50 * 365 * DAY_S {
                "more than 50 years".to_owned()
            } else {
                format!("about {}", span(life_s))
            },
        );
        let finding = if life_s < LIFE_S_MIN { Finding::warning(told, QUIETER) } else { Finding::ok(told) };
        finding.fact("life_days", life_s / DAY_S)
    } else {
        Finding::ok(format!("{told}; it is no SD card, so no life is estimated"))
    };
    finding.fact("written_bytes", written as u64).fact("written_bytes_per_day", per_day as u64)
}
