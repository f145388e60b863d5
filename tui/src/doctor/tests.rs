//! Machines with something wrong, each a file in `machines/`, and what the doctor says of them.

use super::machine::told::Told;
use super::{CHECKS, Case, Report, State, run, text};
use crate::output::Output;
use std::collections::BTreeSet;
use std::path::Path;

/// 2026-11-22T12:00:00Z, the time of all these machines.
const NOW_MS: i64 = 1_795_348_800_000;

/// The machines, by the names of their files.
fn machines() -> Vec<(String, Told)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor/machines");
    let mut all: Vec<(String, Told)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, Told::read(&std::fs::read_to_string(path).unwrap()))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn case(told: Told) -> Case {
    let asked = told.asked();
    Case { version: "0.1.0", ..Case::new(Box::new(told), asked, NOW_MS, true) }
}

#[test]
fn every_machine_is_told_what_is_wrong_with_it_and_what_to_do() {
    let mut seen = BTreeSet::new();
    for (name, told) in machines() {
        let about = told.about.clone();
        let found = run(case(told), &[], &|_names| {});
        for one in &found {
            let finding = &one.finding;
            seen.insert((one.name, finding.state));
            assert!(!finding.text.is_empty(), "{name}: {} says nothing", one.name);
            let needs_a_cure = finding.state >= State::Warning;
            assert_eq!(needs_a_cure, !finding.cures.is_empty(), "{name}: {}: {finding:?}", one.name);
        }
        insta::assert_snapshot!(name, format!("{about}\n\n{}", text(&found, &Output::new(true))));
    }
    // Each check finds something on one machine, and nothing on another.
    for check in CHECKS {
        let of = |is: fn(State) -> bool| seen.iter().any(|(name, state)| *name == check.name && is(*state));
        assert!(of(|state| state == State::Ok), "no machine is well by `{}`", check.name);
        assert!(of(|state| state >= State::Warning), "no machine has what `{}` finds", check.name);
    }
}

#[test]
fn for_programs_there_is_the_worst_the_counts_and_every_check_with_its_facts() {
    let (_, told) = machines().into_iter().find(|(name, _)| name == "weak_power").unwrap();
    let mut found = run(case(told), &["power".to_owned(), "temperature".to_owned()], &|_names| {});
    found.iter_mut().for_each(|one| one.took = std::time::Duration::from_millis(3));
    insta::assert_json_snapshot!(Report::of(&found, "/run/picloud/admin.sock", true));
}

#[test]
fn names_of_checks_are_unique_and_can_be_typed() {
    let names: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), CHECKS.len());
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    let doc = include_str!("../../../docs/doctor.md");
    for check in CHECKS {
        assert!(doc.contains(&format!("| `{}` |", check.name)), "docs/doctor.md has no row for `{}`", check.name);
    }
}
