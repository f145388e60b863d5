//! docs/first-day.md, done: every command in it, in its order, against a real appliance, and what it says to answer.

use crate::program::PATIENCE;
use crate::world::{World, copy};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// One command, and the lines it answers.
struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

/// The commands of a document: lines that begin with `$ ` in its blocks of code.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    for (index, line) in document.lines().enumerate() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_command| in_block) {
            steps.push(Step { line: index + 1, command: command.to_owned(), expected: Vec::new() });
        } else if in_block {
            steps.last_mut().expect("a block begins with a command").expected.push(line.to_owned());
        }
    }
    steps
}

/// Whether the lines are as expected: `…` alone is any number of lines, within a line anything.
fn is_as_expected(lines: &[&str], expected: &[String]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=lines.len()).any(|skipped| is_as_expected(&lines[skipped..], rest))
        }
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, more)| is_line(line, first) && is_as_expected(more, rest))
        }
    }
}

fn is_line(line: &str, expected: &str) -> bool {
    let Some((before, after)) = expected.split_once('…') else { return line.trim_end() == expected.trim_end() };
    let Some(rest) = line.strip_prefix(before) else { return false };
    // What follows may stand anywhere in the rest.
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| is_line(&rest[at..], after))
}

/// Runs a line as a person's shell would; answers all that is seen.
fn run(world: &World, folder: &Path, command: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_picloud")).parent().unwrap();
    let shell = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env("PICLOUD_SOCKET", world.socket())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    String::from_utf8_lossy(&shell.unwrap().stdout).into_owned()
}

/// Whether it may be asked again until what an event started is done.
fn only_looks(command: &str) -> bool {
    [" list", " get ", " status"].iter().any(|verb| command.contains(verb))
}

#[test]
fn every_command_of_the_first_day_answers_as_the_document_says() {
    let world = World::quickstart();
    let folder = world.folder().join("clone");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples"), &folder.join("examples"));
    let steps = steps(include_str!("../../../docs/first-day.md"));
    assert!(steps.len() > 20, "the document has lost its commands");
    let deadline = Instant::now() + PATIENCE * 2;
    for step in steps {
        loop {
            let out = run(&world, &folder, &step.command);
            let lines: Vec<&str> = out.lines().collect();
            let failed = lines.first().is_some_and(|line| line.starts_with("error: "));
            if is_as_expected(&lines, &step.expected) && !failed {
                break;
            }
            let goes_on = only_looks(&step.command) && Instant::now() < deadline;
            let Step { line, command, expected } = &step;
            assert!(goes_on, "docs/first-day.md:{line}: $ {command}\n{out}\nexpected:\n{}", expected.join("\n"));
        }
    }
}

#[test]
fn dots_stand_for_anything_and_nothing_else_does() {
    let expected = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (lines, text, is) in [
        (vec!["a", "b"], "a\nb", true),
        (vec!["a", "b"], "a", false),
        (vec!["a", "b", "c"], "…\nc", true),
        (vec!["a", "b", "c"], "a\n…", true),
        (vec!["version 0.1.0 is up"], "version … is up", true),
        (vec!["version 0.1.0 is down"], "version … is up", false),
        (vec!["one two three"], "…two…", true),
        (vec![], "…", true),
    ] {
        assert_eq!(is_as_expected(&lines, &expected(text)), is, "{lines:?} {text:?}");
    }
}
