//! What a check found: how it is, in a sentence, and what to do where it is not well.

use serde::Serialize;
use serde_json::{Map, Value};

/// How it is, from good to bad; what could not be looked at is worse than good and better than a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// There is no such thing on this machine, and it is missed by nobody.
    NotApplicable,
    /// As it should be.
    Ok,
    /// It could not be looked at; the sentence says why.
    Unknown,
    /// It works, and may not go on doing so.
    Warning,
    /// It does not work, or will lose something.
    Failed,
}

impl State {
    /// All of them, the worst first.
    pub(crate) const ALL: [Self; 5] = [Self::Failed, Self::Warning, Self::Unknown, Self::NotApplicable, Self::Ok];

    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// How it is.
    pub(crate) state: State,
    /// In a sentence.
    pub(crate) text: String,
    /// What to do about it: a command, or what to buy or change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cures: Vec<String>,
    /// What it was judged by, for programs.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) facts: Map<String, Value>,
}

impl Finding {
    fn of(state: State, text: impl Into<String>) -> Self {
        Self { state, text: text.into(), cures: Vec::new(), facts: Map::new() }
    }

    /// It is as it should be.
    pub(crate) fn ok(text: impl Into<String>) -> Self {
        Self::of(State::Ok, text)
    }

    /// This machine has no such thing, for this reason.
    pub(crate) fn not_applicable(why: impl Into<String>) -> Self {
        Self::of(State::NotApplicable, why)
    }

    /// It could not be looked at, for this reason.
    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self::of(State::Unknown, why)
    }

    /// It works, and may not go on doing so.
    pub(crate) fn warning(text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::of(State::Warning, text).cure(cure)
    }

    /// It does not work.
    pub(crate) fn failed(text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::of(State::Failed, text).cure(cure)
    }

    /// With something to do about it.
    #[must_use]
    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Self {
        let cure = cure.into();
        if !cure.is_empty() && !self.cures.contains(&cure) {
            self.cures.push(cure);
        }
        self
    }

    /// With something it was judged by.
    #[must_use]
    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// Several as one: the worst counts, and what is as bad as it is told. Nothing at all is `none`.
    pub(crate) fn worst(all: Vec<Self>, none: Self) -> Self {
        let Some(state) = all.iter().map(|finding| finding.state).max() else { return none };
        let mut one = Self::of(state, "");
        let mut texts: Vec<String> = Vec::new();
        for finding in all {
            one.facts.extend(finding.facts);
            let is_told = if state == State::Failed { finding.state >= State::Warning } else { finding.state == state };
            if is_told {
                texts.push(finding.text);
                for cure in finding.cures {
                    one = one.cure(cure);
                }
            }
        }
        one.text = texts.join("; ");
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_worst_counts_and_nothing_that_needs_a_person_is_left_out() {
        let fine = || Finding::ok("fine").fact("a", 1);
        let low = || Finding::warning("low", "buy more").fact("b", 2);
        let gone = || Finding::failed("gone", "call somebody");
        let one = Finding::worst(vec![fine(), low(), gone()], fine());
        assert_eq!((one.state, one.text.as_str()), (State::Failed, "low; gone"));
        assert_eq!(one.cures, ["buy more", "call somebody"]);
        assert_eq!(one.facts.len(), 2);
        assert_eq!(Finding::worst(vec![fine(), Finding::unknown("dark")], fine()).text, "dark");
        assert_eq!(Finding::worst(Vec::new(), fine()), fine());
        assert!(State::Unknown < State::Warning && State::Ok < State::Unknown);
    }
}
