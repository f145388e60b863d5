//! What processes cost, as the kernel counts it: CPU, bytes written, wake-ups, memory.

use anyhow::{Context, Result};
use std::fs;
use std::time::{Duration, Instant};

/// Ticks a second in `/proc/PID/stat`: the same on every Linux that PiCloud runs on.
const TICKS_PER_S: u64 = 100;
/// After the last request, before a quiet time begins: batches are written out by then.
const SETTLE: Duration = Duration::from_secs(3);

/// The costs of a process and all its descendants up to now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// User and system time of all threads, ended ones included; to 10 ms.
    pub(crate) cpu: Duration,
    /// The same of the threads that live, to the nanosecond.
    pub(crate) cpu_exact: Duration,
    /// Bytes sent towards the disk.
    pub(crate) written_bytes: u64,
    /// How often threads that live went to sleep of their own accord.
    pub(crate) sleeps: u64,
    /// Resident memory; pages that two processes share count twice.
    pub(crate) rss_bytes: u64,
}

impl Cost {
    /// What was added since `before`; memory is as it is now.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            cpu_exact: self.cpu_exact.saturating_sub(before.cpu_exact),
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
            sleeps: self.sleeps.saturating_sub(before.sleeps),
            rss_bytes: self.rss_bytes,
        }
    }
}

/// The cost of `pid` and its descendants.
pub(crate) fn cost(pid: u32) -> Result<Cost> {
    cost_of(&family(pid)?)
}

/// The cost of `pid` without its descendants.
pub(crate) fn own_cost(pid: u32) -> Result<Cost> {
    cost_of(&[pid])
}

/// The most memory that `pid` ever held, without its descendants.
pub(crate) fn peak_rss_bytes(pid: u32) -> Result<u64> {
    Ok(named(&read(&format!("/proc/{pid}/status"))?, "VmHWM:") * 1024)
}

fn cost_of(pids: &[u32]) -> Result<Cost> {
    let mut cost = Cost::default();
    for pid in pids {
        let folder = format!("/proc/{pid}");
        let stat = read(&format!("{folder}/stat"))?;
        let ticks: u64 = stat_fields(&stat).skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        cost.cpu += Duration::from_millis(ticks * 1000 / TICKS_PER_S);
        cost.written_bytes += named(&read(&format!("{folder}/io"))?, "write_bytes:");
        cost.rss_bytes += named(&read(&format!("{folder}/status"))?, "VmRSS:") * 1024;
        for task in fs::read_dir(format!("{folder}/task"))? {
            let task = task?.path();
            // A thread may end while it is being looked at.
            let Ok(schedule) = fs::read_to_string(task.join("schedstat")) else { continue };
            let Ok(status) = fs::read_to_string(task.join("status")) else { continue };
            let ns = schedule.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
            cost.cpu_exact += Duration::from_nanos(ns);
            cost.sleeps += named(&status, "voluntary_ctxt_switches:");
        }
    }
    Ok(cost)
}

/// Waits until what was asked for last is written and told everywhere.
pub(crate) fn settle() {
    std::thread::sleep(SETTLE);
}

/// What `pid` costs over `seconds` in which nothing is asked of it, and how many they were.
pub(crate) fn quiet(pid: u32, seconds: u64) -> Result<(Cost, f64)> {
    settle();
    let before = cost(pid)?;
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    Ok((cost(pid)?.since(before), start.elapsed().as_secs_f64()))
}

/// `pid` and all that descend from it.
fn family(pid: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("list the processes")? {
        let Some(child) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{child}/stat")) else { continue };
        if let Some(parent) = stat_fields(&stat).nth(1).and_then(|parent| parent.parse::<u32>().ok()) {
            parents.push((child, parent));
        }
    }
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&of) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(child, _)| *child));
        next += 1;
    }
    Ok(family)
}

/// The fields of a `stat` line from the third on: the second is the program's name and may hold anything.
fn stat_fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace()
}

/// The number after `name` at the beginning of a line.
fn named(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_ascii_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read `{path}`: has the process ended?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_this_process_grows_with_its_work() {
        let before = cost(std::process::id()).unwrap();
        assert!(before.rss_bytes > 100_000);
        let mut sum = 0u64;
        while cost(std::process::id()).unwrap().since(before).cpu_exact < Duration::from_millis(5) {
            sum = std::hint::black_box(sum + 1);
        }
    }
}
