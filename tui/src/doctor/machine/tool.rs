//! Programs of the system, run for what they print: with an end in time and in size.

use super::NotRun;
use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a program may take.
const TOOL_TIME_MAX: Duration = Duration::from_secs(8);
/// How much it may print; the rest is not read.
const TOOL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How much of why it failed is told.
const WHY_LETTERS_MAX: usize = 200;

/// Runs it.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String, NotRun> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => NotRun::Missing,
        _ => NotRun::Failed(format!("{program} does not start: {error}")),
    })?;
    let read = |source: Option<Box<dyn Read + Send>>| {
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = source.map(|source| source.take(TOOL_BYTES_MAX).read_to_end(&mut bytes));
            // Nobody waits any more where it took too long.
            let _gone = sender.send(read.map(|_read| bytes).unwrap_or_default());
        });
        receiver
    };
    let out = read(child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>));
    let err = read(child.stderr.take().map(|err| Box::new(err) as Box<dyn Read + Send>));
    let Ok(out) = out.recv_timeout(TOOL_TIME_MAX) else {
        // It may have ended at this very moment.
        let _ended = child.kill();
        let _status = child.wait();
        return Err(NotRun::Failed(format!("{program} said nothing for {} s", TOOL_TIME_MAX.as_secs())));
    };
    // Whoever closes its output ends; one that does not is not waited for.
    let err = err.recv_timeout(TOOL_TIME_MAX).unwrap_or_default();
    match child.try_wait() {
        Ok(Some(status)) if status.success() => Ok(text(out)),
        Ok(None) => finish(child, out, &err, program),
        Ok(Some(_)) => Err(why(program, &err)),
        Err(error) => Err(NotRun::Failed(format!("{program}: {error}"))),
    }
}

/// Its outputs are closed, so it is about to end.
fn finish(mut child: std::process::Child, out: Vec<u8>, err: &[u8], program: &str) -> Result<String, NotRun> {
    match child.wait() {
        Ok(status) if status.success() => Ok(text(out)),
        _ => Err(why(program, err)),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn why(program: &str, err: &[u8]) -> NotRun {
    let said = String::from_utf8_lossy(err);
    let said: String = said.lines().next().unwrap_or("it failed").chars().take(WHY_LETTERS_MAX).collect();
    NotRun::Failed(format!("{program}: {}", said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_run_for_what_it_prints_and_one_that_fails_or_is_missing_says_so() {
        assert_eq!(run("sh", &["-c", "echo one; echo two >&2"]), Ok("one\n".to_owned()));
        assert_eq!(
            run("sh", &["-c", "echo no such thing >&2; exit 3"]),
            Err(NotRun::Failed("sh: no such thing".into()))
        );
        assert_eq!(run("picloud-no-such-program", &[]), Err(NotRun::Missing));
    }
}
