//! `kill -9` of a program: it ends at once, and its worker as soon as it notices.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// How long a worker may take to notice, on a loaded machine.
const NOTICES_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked at: nobody is told when somebody else's child ends.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Kills a program, and waits until its worker, which is left alone, has ended as well: until then it answers.
pub(crate) fn kill(child: &mut Child) {
    let workers = children(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    for worker in workers {
        while is_alive(worker) {
            assert!(begun.elapsed() < NOTICES_WITHIN, "worker {worker} goes on without its parent");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// One that has ended holds nothing any more, also where nobody has asked yet how it ended.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_name, state)| !state.starts_with(['Z', 'X']))
}
