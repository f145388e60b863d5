//! What `dev` says on the terminal: what was deployed, what is broken, what scripts log.

use crate::commands::terminal::{complain, say};
use picloud_model::bundle::{Change, ChangeAction, DeployReport};
use picloud_model::execution::{Execution, Outcome};
use picloud_model::problem::Problem;
use picloud_model::script::Diagnostic;
use std::net::SocketAddr;
use std::path::Path;

/// Most changes that are listed one by one.
const CHANGES_SHOWN_MAX: usize = 12;

/// How to look after it: the command that opens the terminal UI on this socket.
pub(super) fn terminal_ui(exe: Option<&Path>, socket: &Path) {
    say(&format!("to look after it: {} --socket {}", picloud_of(exe), socket.display()));
}

/// How `picloud` is started beside this program: in a clone of the repository, cargo builds and starts it.
fn picloud_of(exe: Option<&Path>) -> &'static str {
    let is_built = |profile: &str| exe.is_some_and(|exe| exe.ends_with(format!("target/{profile}/picloud-appliance")));
    match () {
        () if is_built("release") => "cargo run --release -p picloud --",
        () if is_built("debug") => "cargo run -p picloud --",
        () => "picloud",
    }
}

/// A deploy that worked.
pub(super) fn deployed(report: &DeployReport) {
    for warning in &report.warnings {
        complain(&format!("warning: {}", diagnostic(warning)));
    }
    let shown: Vec<String> = report.changes.iter().take(CHANGES_SHOWN_MAX).map(change).collect();
    let more = report.changes.len().saturating_sub(CHANGES_SHOWN_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let what = if shown.is_empty() { "no change".to_owned() } else { format!("{}{more}", shown.join(", ")) };
    say(&format!("deployed {} (revision {}): {what}", report.app, report.revision));
}

fn change(change: &Change) -> String {
    let sign = match change.action {
        ChangeAction::Create => '+',
        ChangeAction::Update => '~',
        ChangeAction::Delete => '-',
    };
    format!("{sign}{} {}", change.what, change.name)
}

/// The URLs it answers.
pub(super) fn answers(report: &DeployReport, addr: SocketAddr) {
    let host = if addr.ip().is_unspecified() || addr.ip().is_loopback() {
        format!("localhost:{}", addr.port())
    } else {
        addr.to_string()
    };
    for answer in &report.answers {
        let (methods, path) = answer.split_once(' ').unwrap_or(("*", answer));
        let methods = if methods == "*" { "any method" } else { methods };
        // An app with hosts answers under those names, on the same port.
        let url = match path.split_once('/') {
            Some(("", _)) => format!("http://{host}{path}"),
            Some((name, rest)) => format!("http://{name}:{}/{rest}", addr.port()),
            None => format!("http://{path}:{}/", addr.port()),
        };
        say(&format!("  {url}  ({methods})"));
    }
}

/// An app that is not the folder's: still there, and how to remove it.
pub(super) fn other(app: &str, socket: &Path) -> String {
    let socket = socket.display();
    format!(
        "app `{app}` is still deployed and goes on answering; to remove it and all it stores: \
         picloud --socket {socket} apps delete {app}"
    )
}

/// The apps that are not the folder's.
pub(super) fn others(others: &[String]) {
    for other in others.iter().take(CHANGES_SHOWN_MAX) {
        say(other);
    }
    if let more @ 1.. = others.len().saturating_sub(CHANGES_SHOWN_MAX) {
        say(&format!("and {more} more: picloud apps list"));
    }
}

/// A folder that cannot be deployed.
pub(super) fn broken(what: &str, nothing_yet: bool) {
    complain(what);
    complain(if nothing_yet {
        "not deployed: save the file again once it is mended"
    } else {
        "not deployed: the last good version goes on answering"
    });
}

/// Diagnostics as `file:line:column: message`.
pub(super) fn diagnostics(errors: &[Diagnostic]) -> String {
    errors.iter().map(|error| format!("error: {}", diagnostic(error))).collect::<Vec<_>>().join("\n")
}

/// A refused deploy, and what else there is to know about it.
pub(super) fn problem(problem: &Problem, notes: &[String]) -> String {
    if !problem.errors.is_empty() {
        return diagnostics(&problem.errors);
    }
    let mut text = format!("error: {problem}");
    for note in notes {
        text += &format!("\n  {note}");
    }
    text
}

fn diagnostic(diagnostic: &Diagnostic) -> String {
    let file = diagnostic.file.as_deref().unwrap_or("app.toml");
    let place = match (diagnostic.line, diagnostic.column) {
        (0, _) => file.to_owned(),
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    };
    let hint = diagnostic.hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    format!("{place}: {}{hint}", diagnostic.message)
}

/// Runs that logged something or failed, as they end.
pub(super) fn executions(executions: &[Execution]) {
    for run in executions {
        for line in &run.logs {
            let fields =
                if matches!(line.fields.as_str(), "" | "{}") { String::new() } else { format!(" {}", line.fields) };
            say(&format!("{:5} {}: {}{fields}", line.level.as_str(), run.script, line.message));
        }
        if run.outcome == Outcome::Ok {
            continue;
        }
        let why = run.error().map_or_else(|| run.outcome.as_str().to_owned(), |problem| problem.to_string());
        complain(&format!("failed {} ({}, status {}): {why}", run.script, run.cause, run.status));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_clone_cargo_starts_what_is_not_installed() {
        for (exe, command) in [
            ("/home/ada/picloud/target/release/picloud-appliance", "cargo run --release -p picloud --"),
            ("/home/ada/picloud/target/debug/picloud-appliance", "cargo run -p picloud --"),
            ("/usr/bin/picloud-appliance", "picloud"),
        ] {
            assert_eq!(picloud_of(Some(Path::new(exe))), command);
        }
        assert_eq!(picloud_of(None), "picloud");
    }
}
