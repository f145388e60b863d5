//! Whether there is enough memory, and whether a card has to stand in for it.

use crate::doctor::words::{count, size};
use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "memory", title: "Memory", look, ..Check::PLAIN };

/// With less than this part of it available, something is killed soon.
const LOW_PART: f64 = 0.06;
/// Of the last five minutes, in percent: everything waited for memory.
const PRESSURE_WARNING: f64 = 10.0;

fn look(case: &Case) -> Finding {
    let Some(memory) = case.machine.read("/proc/meminfo") else {
        return Finding::unknown("the kernel does not tell");
    };
    let kib = |name: &str| -> Option<f64> {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (Some(all), Some(available)) = (kib("MemTotal"), kib("MemAvailable")) else {
        return Finding::unknown("the kernel does not tell");
    };
    let told = format!("{} of {} available", size(available * 1024.0), size(all * 1024.0));
    let fewer = "run less on this machine, or lower `concurrency` and the apps' `memory_bytes`";
    let mut findings = vec![if available < all * LOW_PART {
        Finding::warning(format!("only {told}"), fewer)
    } else {
        Finding::ok(told)
    }];
    if let Some(part) = pressure(case).filter(|part| *part >= PRESSURE_WARNING) {
        findings.push(Finding::warning(
            format!("in the last 5 minutes, {part:.0} % of the time was spent waiting for memory"),
            fewer,
        ));
    }
    let killed = vmstat(case, "oom_kill").unwrap_or(0);
    if killed > 0 {
        let killed = usize::try_from(killed).unwrap_or(usize::MAX);
        let what = format!(
            "the kernel has killed {} for want of memory since the start",
            count(killed, "process", "processes")
        );
        findings.push(Finding::warning(what, fewer).cure("see whom: `journalctl -k | grep -i 'out of memory'`"));
    }
    let swaps = swap_on_cards(case);
    if !swaps.is_empty() {
        let what = format!("swap is on a card: {}", swaps.join(", "));
        findings.push(Finding::warning(
            what,
            "`sudo systemctl disable --now dphys-swapfile`, or take the line out of /etc/fstab; zram wears nothing out",
        ));
    }
    Finding::worst(findings, Finding::unknown("nothing is known"))
        .fact("available_bytes", (available * 1024.0) as u64)
        .fact("all_bytes", (all * 1024.0) as u64)
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`
fn pressure(case: &Case) -> Option<f64> {
    let text = case.machine.read("/proc/pressure/memory")?;
    let line = text.lines().find(|line| line.starts_with("full"))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("avg300="))?.parse().ok()
}

fn vmstat(case: &Case, name: &str) -> Option<u64> {
    let text = case.machine.read("/proc/vmstat")?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
}

fn swap_on_cards(case: &Case) -> Vec<String> {
    let swaps = case.machine.read("/proc/swaps").unwrap_or_default();
    let names = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name.contains("mmcblk") || !name.starts_with("/dev/") && is_on_a_card(case, name)).collect()
}

fn is_on_a_card(case: &Case, path: &str) -> bool {
    let disk = crate::doctor::block::mount_of(&*case.machine, path).and_then(|mount| mount.disk(&*case.machine));
    disk.is_some_and(|disk| disk.starts_with("mmcblk"))
}
