//! What a process uses, as the kernel tells it.

use std::fs;

/// Ticks of a second in `/proc/PID/stat`: the same on every Linux that programs see.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one process uses; what the kernel does not tell is absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessUsage {
    /// Memory it has in RAM, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time since it started, in seconds.
    pub cpu_s: Option<f64>,
    /// Bytes that it made the disk write since it started.
    pub written_bytes: Option<u64>,
}

impl ProcessUsage {
    /// Of the process `pid`.
    pub fn of(pid: u32) -> Self {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        Self {
            memory_bytes: read("status").and_then(|text| field(&text, "VmRSS:")).map(|kib| kib * 1_024),
            cpu_s: read("stat").and_then(|text| cpu_s(&text)),
            written_bytes: read("io").and_then(|text| field(&text, "write_bytes:")),
        }
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time; the fields are counted behind the name, which may hold anything.
fn cpu_s(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        let usage = ProcessUsage::of(std::process::id());
        assert!(usage.memory_bytes.unwrap() > 100_000);
        assert!(usage.cpu_s.is_some());
        assert_eq!(cpu_s("1 (a) b) S 0 0 0 0 0 0 0 0 0 0 250 50 0 0"), Some(3.0));
    }
}
