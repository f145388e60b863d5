//! Scripts and what a client sees of them: every file of `tests/cases/` is a list of both.
//!
//! A script ends at a line that begins with `//>`, which holds the expected answer as `harness::shown` writes it.
//! Before it may stand `//= limits name=value …` (for the rest of the file), and `//= module NAME` or
//! `//= endpoint NAME`, which save the text up to the next line `//.` under that name. With `UPDATE_CASES` set the files
//! are rewritten with what was answered: read the difference.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[expect(dead_code, reason = "one harness, of which this program uses a part")]
mod harness;

use harness::{TestApp, shown};
use picloud_executor::RunAllocator;
use picloud_model::limits::Limits;
use picloud_model::script::ScriptKind;
use std::fmt::Write as _;
use std::path::Path;

#[global_allocator]
static ALLOCATOR: RunAllocator = RunAllocator;

/// Runs the file's scripts; the file with what was really answered.
fn answered(text: &str) -> String {
    let mut app = TestApp::new();
    let mut rewritten = String::new();
    let mut source = String::new();
    let mut saving: Option<(String, ScriptKind)> = None;
    for line in text.lines() {
        if let Some(_expected) = line.strip_prefix("//>") {
            let report = app.run_source(&source);
            writeln!(rewritten, "//> {}", shown(&report)).unwrap();
            source.clear();
            continue;
        }
        rewritten.push_str(line);
        rewritten.push('\n');
        if let Some(directive) = line.strip_prefix("//= ") {
            let (word, rest) = directive.split_once(' ').unwrap();
            match word {
                "limits" => rest.split(' ').for_each(|limit| set_limit(&mut app.limits, limit)),
                "module" => saving = Some((rest.to_owned(), ScriptKind::Module)),
                "endpoint" => saving = Some((rest.to_owned(), ScriptKind::Endpoint)),
                other => panic!("no directive {other}"),
            }
            source.clear();
        } else if line == "//." {
            let (name, kind) = saving.take().expect("//. ends a module or endpoint");
            app.save(&name, kind, &source);
            source.clear();
        } else {
            source.push_str(line);
            source.push('\n');
        }
    }
    assert!(source.trim().is_empty(), "a script without //> at the end: {source}");
    rewritten
}

fn set_limit(limits: &mut Limits, assignment: &str) {
    let (name, value) = assignment.split_once('=').unwrap();
    let mut json = serde_json::to_value(&*limits).unwrap();
    assert!(json.get(name).is_some(), "no limit {name}");
    json[name] = value.parse::<u64>().unwrap().into();
    *limits = serde_json::from_value(json).unwrap();
}

fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let answered = answered(&text);
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, &answered).unwrap();
    }
    for (line, (expected, answered)) in text.lines().zip(answered.lines()).enumerate() {
        assert_eq!(answered, expected, "{file} line {}", line + 1);
    }
}

#[test]
fn values_become_the_answers_of_the_contract() {
    check("responses.rhai");
}

#[test]
fn errors_name_script_line_and_column() {
    check("errors.rhai");
}

#[test]
fn every_limit_ends_the_run_by_name() {
    check("limits.rhai");
}

#[test]
fn hostile_scripts_end_as_named_limits() {
    check("hostile.rhai");
}

#[test]
fn no_try_outlives_a_limit() {
    check("uncatchable.rhai");
}

#[test]
fn standard_functions_answer_what_rhais_would() {
    check("standard.rhai");
}

#[test]
fn modules_and_their_traps_are_as_documented() {
    check("modules.rhai");
}

#[test]
fn endpoints_call_each_other_on_one_account() {
    check("calls.rhai");
}
