//! A program that was started on a host, and what it says.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to end, or to say something, on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what cannot be waited for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A program; killed where it is still running when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(super) fn spawn(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Pulls the plug.
    pub(crate) fn kill(&mut self) {
        crate::kill::kill(&mut self.child);
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.until_ended()
    }

    /// Waits until it has ended.
    pub(crate) fn until_ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end; it said:\n{}", self.said());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// All that it said.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has said this; answers the first such line.
    pub(crate) fn until_said(&mut self, text: &str) -> String {
        self.until_said_after(0, text)
    }

    /// The same, of what comes after so many lines.
    pub(crate) fn until_said_after(&mut self, lines: usize, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let has_ended = self.has_ended();
            if let Some(line) = self.said().lines().skip(lines).find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(!has_ended && begun.elapsed() < PATIENCE, "nothing with {text:?} was said, but:\n{}", self.said());
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to do.
        if self.child.kill().is_ok() {
            let _gone = self.child.wait();
        }
        if std::thread::panicking() {
            let said = self.said();
            let last: Vec<&str> = said.lines().rev().take(60).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            // The test's own output is where one looks.
            let _nowhere = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("--- {}\n{}\n", self.log.display(), last.join("\n")).as_bytes(),
            );
        }
    }
}
