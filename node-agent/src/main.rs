//! `picloud-node`: the programs it can be, and nothing else.

use std::process::ExitCode;

/// Charges every run of a script for its memory, for this program is also its own worker.
#[global_allocator]
static ALLOCATOR: picloud_orchestrator::worker::RunAllocator = picloud_orchestrator::worker::RunAllocator;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "worker") {
        return picloud_orchestrator::worker::main();
    }
    picloud_node::commands::main()
}
