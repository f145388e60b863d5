//! What was found, as people and as programs read it.

use super::run::Told;
use super::words::count;
use super::{Finding, State};
use crate::output::{Ink, Output};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was found, for programs.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    /// The worst of all.
    pub(crate) state: State,
    /// How many there are of each state.
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// Who was asked.
    pub(crate) asked: &'a str,
    /// Whether that is the machine this runs on: only then the machine itself was looked at.
    pub(crate) is_here: bool,
    /// Each of them.
    pub(crate) checks: Vec<Entry<'a>>,
}

/// What one check found.
#[derive(Serialize)]
pub(crate) struct Entry<'a> {
    name: &'a str,
    title: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
    took_ms: u128,
}

impl<'a> Report<'a> {
    /// Of what was found.
    pub(crate) fn of(told: &'a [Told], asked: &'a str, is_here: bool) -> Self {
        let mut counts = BTreeMap::new();
        for one in told {
            *counts.entry(one.finding.state.as_str()).or_insert(0) += 1;
        }
        let entry = |one: &'a Told| Entry {
            name: one.name,
            title: one.title,
            finding: &one.finding,
            took_ms: one.took.as_millis(),
        };
        let state = told.iter().map(|one| one.finding.state).max().unwrap_or(State::Ok);
        Self { state, counts, asked, is_here, checks: told.iter().map(entry).collect() }
    }
}

/// As people read it: a line each, with the cures below it, and a sum at the end.
pub(crate) fn text(told: &[Told], output: &Output) -> String {
    let width = told.iter().map(|one| one.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for one in told {
        let state = one.finding.state;
        let word = format!("{:<7}", word_of(state));
        text += &format!("{}  {:width$}  {}\n", output.paint(ink(state), &word), one.name, one.finding.text);
        for cure in &one.finding.cures {
            text += &format!("{:indent$}→ {cure}\n", "", indent = 9);
        }
    }
    text + "\n" + &sum(told) + "\n"
}

fn word_of(state: State) -> &'static str {
    if state == State::NotApplicable { "n/a" } else { state.as_str() }
}

fn ink(state: State) -> Ink {
    match state {
        State::Ok => Ink::Added,
        State::NotApplicable | State::Unknown => Ink::Faint,
        State::Warning => Ink::Changed,
        State::Failed => Ink::Removed,
    }
}

fn sum(told: &[Told]) -> String {
    let of = |state: State| told.iter().filter(|one| one.finding.state == state).count();
    let told = State::ALL.iter().filter(|state| of(**state) > 0).map(|state| match state {
        State::Warning => count(of(*state), "warning", "warnings"),
        state => format!("{} {}", of(*state), word_of(*state)),
    });
    told.collect::<Vec<_>>().join(", ")
}
