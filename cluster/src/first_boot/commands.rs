//! Programs of the system that a first boot needs, each with a limit of time.

use super::Machine;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that one may take.
const COMMAND_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs them on this machine, or leaves them out on a folder that only looks like one.
pub(super) struct Commands {
    is_live: bool,
}

impl Commands {
    pub(super) fn of(machine: &Machine) -> Self {
        Self { is_live: machine.root == Path::new("/") }
    }

    /// Whether this is the machine that runs.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Runs one; its end must be good.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let told = |error: Error| Error::new(error.kind(), format!("`{program} {}`: {error}", arguments.join(" ")));
        let mut child =
            Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(told)?;
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(told)? {
                return if status.success() { Ok(()) } else { Err(told(Error::other(status.to_string()))) };
            }
            if began.elapsed() > COMMAND_MAX {
                // What does not end by itself is ended; that it has ended already is fine.
                let _ended = child.kill().and_then(|()| child.wait());
                return Err(told(Error::new(ErrorKind::TimedOut, format!("no end after {} s", COMMAND_MAX.as_secs()))));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Runs one on the machine that runs, so that what was written holds now. What it cannot do, the next start does.
    pub(super) fn try_live(&self, program: &str, arguments: &[&str]) {
        if self.is_live
            && let Err(error) = self.run(program, arguments)
        {
            tracing::warn!(%error, "this holds only after the next start");
        }
    }
}
