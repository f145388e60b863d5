//! What a program says to the person who started it: the one place that writes to the terminal.

use std::io::Write;
use std::process::ExitCode;

/// What ended a command: a sentence for the person at the terminal, with a hint where there is one.
#[derive(Debug)]
pub struct Stopped(pub String);

impl<E: std::fmt::Display> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// How the program ends after a command; says what stopped it.
pub fn exit_code(ended: Result<(), Stopped>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped(message)) => {
            complain(&format!("error: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints what was asked for. A closed terminal is no error: the program goes on.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints what went wrong.
pub fn complain(line: &str) {
    let mut out = std::io::stderr().lock();
    let _closed = writeln!(out, "{line}").and_then(|()| out.flush());
}
