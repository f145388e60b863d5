//! The real `picloud`, run to its end.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than any command takes that works, on a machine that does other things as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// `picloud` in a folder, without anything of the tester's environment.
pub(crate) fn picloud(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_picloud"));
    command.env_clear().current_dir(folder);
    command
}

/// Runs a command to its end, which must come in time.
pub(crate) fn run(mut command: Command, input: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, out_thread) = read_all(child.stdout.take().unwrap());
    let (err, err_thread) = read_all(child.stderr.take().unwrap());
    // A command that does not read its input may end before it is written.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    let (Ok(out), Ok(err)) = (out.recv_timeout(PATIENCE), err.recv_timeout(PATIENCE)) else {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("{command:?} did not end within {PATIENCE:?}");
    };
    out_thread.join().unwrap();
    err_thread.join().unwrap();
    let code = child.wait().unwrap().code().unwrap();
    Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// Reads to the end on a thread, so that neither output blocks the other.
fn read_all(mut source: impl Read + Send + 'static) -> (mpsc::Receiver<Vec<u8>>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).unwrap();
        // Nobody waits any more where the test has failed.
        let _failed = sender.send(bytes);
    });
    (receiver, thread)
}
